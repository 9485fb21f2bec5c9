//! Readiness asks what the service needs: a database that answers and can be written.

use std::time::Duration;

use serde_json::json;
use tidegate_testkit::{Answer, Engine, PASSWORD, Person, TestApp, on_both_engines};

/// Sees that nobody can sign in, up, or go on, that this is told as passing, and that readiness knows it.
async fn assert_unwritable(app: &TestApp, ada: &Person, link: &str) {
    app.advance(Duration::from_secs(2));
    let ready = app.get("/readyz").send().await;
    let expected = json!({ "status": "unavailable", "reason": "the database cannot be written" });
    assert_eq!((ready.status, &ready.body, ready.header("retry-after")), (503, &expected, "2"));
    let body = json!({
        "email": "ada@example.com", "password": PASSWORD, "phone": "0712345678", "name": "Ada", "refreshToken": ada.refresh_token,
    });
    for path in [
        "/api/v1/auth/login",
        "/api/v2/auth/login",
        "/v1/login/individual/",
        "/api/v1/login/send-code",
        "/api/v1/auth/signup",
        "/api/v2/auth/refresh",
        "/api/v1/auth/forgot-password",
    ] {
        assert_come_back(path, &app.post(path).json(&body).send().await);
    }
    let program =
        "grant_type=client_credentials&client_id=00000000-0000-4000-8000-000000000000&client_secret=x";
    assert_come_back("/oauth/token", &app.post("/oauth/token").form(program).send().await);
    let form = format!("token={link}&new_password=Battery2staple!");
    let page = app.post("/reset-password").form(&form).send().await;
    assert_come_back("/reset-password", &page);
    assert!(page.text.contains("<h1>"), "a page says so to people: {}", page.text);
    app.get("/healthz").send().await.assert_status(200);
}

#[track_caller]
fn assert_come_back(path: &str, answer: &Answer) {
    assert_eq!((answer.status, answer.header("retry-after")), (503, "1"), "{path}: {}", answer.text);
}

async fn assert_ready(app: &TestApp) {
    app.advance(Duration::from_secs(2));
    app.get("/readyz").send().await.assert_status(200);
}

/// Somebody with a session, and the token of a link to set another password.
async fn ada_with_link(app: &TestApp) -> (Person, String) {
    let ada = app.register_ingestiq("ada@example.com").await;
    let forgot = json!({ "email": "ada@example.com" });
    app.post("/api/v1/auth/forgot-password").json(&forgot).send().await.assert_status(200);
    let token = app.latest_link_token("ada@example.com").await;
    (ada, token)
}

/// Sees that everything works again.
async fn assert_recovered(app: &TestApp, ada: &Person) {
    assert_ready(app).await;
    let login = json!({ "email": "ada@example.com", "password": PASSWORD });
    app.post("/api/v2/auth/login").json(&login).send().await.assert_status(200);
    let refresh = json!({ "refreshToken": ada.refresh_token });
    app.post("/api/v2/auth/refresh").json(&refresh).send().await.assert_status(200);
    app.register_ingestiq("bob@example.com").await;
}

on_both_engines! {
    async fn an_unwritable_database_is_told_by_readiness_and_by_every_contract(app: TestApp) {
        let (ada, link) = ada_with_link(&app).await;
        assert_ready(&app).await;
        app.refuse_writes().await;
        assert_unwritable(&app, &ada, &link).await;
        if app.database.engine() == Engine::Postgres {
            app.sql("drop function refuse_write cascade").await;
            assert_recovered(&app, &ada).await;
        }
    }

    // A disk that is full (SQLite: code 13), or a fail-over to a server that is only read: not what a test pretends, but what the
    // database itself says.
    async fn a_full_disk_or_a_read_only_server_is_told_and_its_end_is_noticed(engine: Engine) {
        let app = TestApp::start(engine).await;
        let (ada, link) = ada_with_link(&app).await;
        assert_ready(&app).await;
        app.run_out_of_room().await;
        assert_unwritable(&app, &ada, &link).await;
        app.find_room().await;
        assert_recovered(&app, &ada).await;
    }

    async fn readiness_writes_once_in_two_seconds_however_many_ask(app: TestApp) {
        let written = async || app.sql_count("select cast(coalesce(sum(count), 0) as bigint) from rate_limit_buckets").await;
        for _ in 0..20 {
            app.get("/readyz").send().await.assert_status(200);
        }
        assert_eq!(written().await, 1);
        assert_ready(&app).await;
        assert_eq!(written().await, 2);
    }
}
