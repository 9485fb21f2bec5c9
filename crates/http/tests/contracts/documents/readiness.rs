//! Readiness asks what the service needs: a database that answers and can be written.

use serde_json::json;
use tidegate_testkit::{Engine, PASSWORD, TestApp, on_both_engines};

/// Sees that nobody can sign in, that this is told as passing, and that readiness knows it.
async fn assert_unwritable(app: &TestApp) {
    app.advance(std::time::Duration::from_secs(2));
    let ready = app.get("/readyz").send().await;
    let expected = json!({ "status": "unavailable", "reason": "the database cannot be written" });
    assert_eq!((ready.status, &ready.body, ready.header("retry-after")), (503, &expected, "2"));
    let body = json!({ "email": "ada@example.com", "password": PASSWORD, "phone": "0712345678" });
    for path in
        ["/api/v1/auth/login", "/api/v2/auth/login", "/v1/login/individual/", "/api/v1/login/send-code"]
    {
        let answer = app.post(path).json(&body).send().await;
        assert_eq!((answer.status, answer.header("retry-after")), (503, "1"), "{path}: {}", answer.text);
    }
    app.get("/healthz").send().await.assert_status(200);
}

async fn assert_ready(app: &TestApp) {
    app.advance(std::time::Duration::from_secs(2));
    app.get("/readyz").send().await.assert_status(200);
}

on_both_engines! {
    async fn an_unwritable_database_is_told_by_readiness_and_by_every_contract(app: TestApp) {
        app.register_ingestiq("ada@example.com").await;
        assert_ready(&app).await;
        app.refuse_writes().await;
        assert_unwritable(&app).await;
        if app.database.engine() == Engine::Postgres {
            app.sql("drop function refuse_write cascade").await;
            assert_ready(&app).await;
            app.register_ingestiq("bob@example.com").await;
        }
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
