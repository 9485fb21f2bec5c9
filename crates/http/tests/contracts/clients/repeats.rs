//! A one-time action is sent again right after it worked: its answer was lost, or a button was pressed twice.

use std::time::Duration;

use serde_json::{Value, json};
use tidegate_testkit::{Answer, Request, TestApp, on_both_engines};

use crate::watch::row_counts;

const ADA: &str = "ada@example.com";
const PHONE: &str = "+254712345678";
const SESSIONS: &str = "select count(*) from sessions";
const MINUTE: Duration = Duration::from_secs(60);

/// A one-time action that is ready to be done, and how it is refused once it was.
struct Action {
    path: &'static str,
    body: Value,
    bearer: Option<String>,
    refused: u16,
}

impl Action {
    fn request(&self, app: &TestApp) -> Request {
        let request = app.post(self.path).header("user-agent", "App/1.0").json(&self.body);
        match &self.bearer {
            Some(token) => request.bearer(token),
            None => request,
        }
    }

    async fn send(&self, app: &TestApp) -> Answer {
        self.request(app).send().await
    }
}

/// Every one-time action, each about a person of its own.
async fn actions(app: &TestApp) -> Vec<Action> {
    let mut actions = Vec::new();
    app.enter_phone(PHONE).await.assert_status(200);
    let body = json!({ "phone": PHONE, "code": app.latest_text_code(PHONE).await });
    actions.push(Action { path: "/api/v1/auth/confirm-code", body, bearer: None, refused: 422 });

    let bob = "+254712345679";
    app.register_phone(bob).await;
    app.advance(MINUTE);
    app.send_login_code(bob).await.assert_status(200);
    let body = json!({ "phone": bob, "code": app.latest_text_code(bob).await });
    actions.push(Action { path: "/api/v1/login/verify-code", body, bearer: None, refused: 401 });

    let ada = app.sign_up_rivergen(ADA).await;
    let body = json!({ "temporary_token": ada.temporary_token, "otp_code": app.latest_code(ADA).await });
    actions.push(Action { path: "/api/v1/auth/verify-otp", body, bearer: None, refused: 401 });

    let eve = app.sign_up_rivergen("eve@example.com").await;
    let body = json!({ "email": "eve@example.com", "temporary_token": eve.temporary_token });
    actions.push(Action { path: "/api/v1/auth/resend-signup-otp", body, bearer: None, refused: 401 });

    app.sign_up_rivergen_verified("kim@example.com").await;
    let forgot = json!({ "email": "kim@example.com" });
    app.post("/api/v1/auth/forgot-password").json(&forgot).send().await.assert_status(200);
    let token = app.latest_link_token("kim@example.com").await;
    let body = json!({ "token": token, "new_password": "Another2horse!" });
    actions.push(Action { path: "/api/v1/auth/reset-password", body, bearer: None, refused: 400 });

    let joe = app.sign_up_rivergen_verified("joe@example.com").await;
    let new = "joe.new@example.com";
    let request = app.post("/api/v1/auth/me/email/request").bearer(&joe.access_token);
    request.json(&json!({ "new_email": new })).send().await.assert_status(200);
    let body = json!({ "new_email": new, "otp_code": app.latest_code(new).await });
    let bearer = Some(joe.access_token);
    actions.push(Action { path: "/api/v1/auth/me/email/verify", body, bearer, refused: 400 });
    actions
}

/// How many rows every table has, apart from the counts of attempts.
async fn rows(app: &TestApp) -> Vec<String> {
    let counts = row_counts(app).await;
    let counts = counts.split(", ").filter(|count| !count.starts_with("rate_limit_buckets"));
    counts.map(str::to_owned).collect()
}

on_both_engines! {
    async fn a_repeat_is_answered_as_the_first_time_and_does_nothing_again(app: TestApp) {
        for action in actions(&app).await {
            let first = action.send(&app).await;
            assert!(first.status < 300, "{} {}", action.path, first.text);
            let done = rows(&app).await;
            for _ in 0..2 {
                app.advance(Duration::from_secs(29));
                let again = action.send(&app).await;
                assert_eq!((again.status, &again.text), (first.status, &first.text), "{}", action.path);
                assert_eq!(rows(&app).await, done, "{}", action.path);
            }
        }
    }

    async fn after_a_minute_it_was_done_once_and_is_refused(app: TestApp) {
        for action in actions(&app).await {
            assert!(action.send(&app).await.status < 300, "{}", action.path);
            app.advance(MINUTE);
            assert_eq!(action.send(&app).await.status, action.refused, "{}", action.path);
        }
    }

    async fn another_caller_who_saw_the_secret_is_refused(app: TestApp) {
        for action in actions(&app).await {
            assert!(action.send(&app).await.status < 300, "{}", action.path);
            let elsewhere = action.request(&app).ip("203.0.113.9").send().await;
            assert_eq!(elsewhere.status, action.refused, "{}", action.path);
            let request = app.post(action.path).header("user-agent", "App/2.0").json(&action.body);
            let request = match &action.bearer {
                Some(token) => request.bearer(token),
                None => request,
            };
            assert_eq!(request.send().await.status, action.refused, "{}", action.path);
        }
    }

    async fn another_node_answers_a_repeat_too(app: TestApp) {
        let other = app.another_node().await;
        app.enter_phone(PHONE).await.assert_status(200);
        let body = json!({ "phone": PHONE, "code": app.latest_text_code(PHONE).await });
        let first = app.post("/api/v1/auth/confirm-code").json(&body).send().await;
        let ip = "198.51.100.7";
        let again = other.client().post("/api/v1/auth/confirm-code").ip(ip).json(&body).send().await;
        assert_eq!(again.assert_status(200).text, first.text);
    }

    async fn a_double_tap_opens_one_session(app: TestApp) {
        app.enter_phone(PHONE).await.assert_status(200);
        let body = json!({ "phone": PHONE, "code": app.latest_text_code(PHONE).await });
        let tap = || app.post("/api/v1/auth/confirm-code").json(&body).send();
        let (one, other) = tokio::join!(tap(), tap());
        assert_eq!(one.assert_status(200).text, other.assert_status(200).text);
        assert_eq!(app.sql_count(SESSIONS).await, 1);
    }

    async fn a_repeat_is_refused_once_its_session_has_ended(app: TestApp) {
        app.enter_phone(PHONE).await.assert_status(200);
        let body = json!({ "phone": PHONE, "code": app.latest_text_code(PHONE).await });
        let confirm = || app.post("/api/v1/auth/confirm-code").json(&body).send();
        let token = confirm().await.assert_status(200).text_at("auth.token");
        app.post("/api/v1/logout").bearer(&token).send().await.assert_status(200);
        confirm().await.assert_status(422);
        assert_eq!(app.sql_count(SESSIONS).await, 1);
    }

    async fn the_kept_answer_cannot_be_had_by_guessing(app: TestApp) {
        app.enter_phone(PHONE).await.assert_status(200);
        let right = app.latest_text_code(PHONE).await;
        let confirm = |code: String| {
            app.post("/api/v1/auth/confirm-code").json(&json!({ "phone": PHONE, "code": code })).send()
        };
        confirm(right.clone()).await.assert_status(200);
        let number: u32 = right.parse().unwrap();
        for guess in 1..=5 {
            confirm(format!("{:06}", (number + guess) % 1_000_000)).await.assert_status(422);
        }
        // Five wrong codes from one network, and the right one is no longer looked at.
        confirm(right).await.assert_status(422);
    }

    async fn kept_answers_are_sealed_and_removed(app: TestApp) {
        app.enter_phone(PHONE).await.assert_status(200);
        let body = json!({ "phone": PHONE, "code": app.latest_text_code(PHONE).await });
        let answer = app.post("/api/v1/auth/confirm-code").json(&body).send().await;
        let token = answer.assert_status(200).text_at("auth.token");
        let secret = token.split('|').next_back().unwrap();
        let kept = "select count(*) from idempotency_records";
        assert_eq!(app.sql_count(kept).await, 1);
        for column in ["response", "fingerprint", "key_mac"] {
            let hex = secret.bytes().map(|byte| format!("{byte:02x}")).collect::<String>();
            let found = match app.database.engine() {
                tidegate_testkit::Engine::Sqlite => format!("{kept} where instr(lower(hex({column})), '{hex}') > 0"),
                tidegate_testkit::Engine::Postgres => {
                    format!("{kept} where position('{hex}' in encode({column}, 'hex')) > 0")
                }
            };
            assert_eq!(app.sql_count(&found).await, 0);
        }
        app.advance(2 * MINUTE);
        app.kernel().prune().await.unwrap();
        assert_eq!(app.sql_count(kept).await, 0);
    }
}
