//! `POST /api/v2/auth/login`.

use serde_json::json;
use tidegate_testkit::{PASSWORD, TestApp, on_both_engines};

use super::{LOGIN, faulty, keys, login, me, refresh};
use crate::watch::row_counts;

on_both_engines! {
    async fn a_right_password_opens_a_session(app: TestApp) {
        let ada = app.register_ingestiq("ada@example.com").await;
        let answer = login(&app.client(), "ada@example.com", PASSWORD).await;
        answer.assert_status(200);
        assert_eq!(keys(&answer.body), ["accessToken", "refreshToken", "user"]);
        let user = json!({ "id": ada.user_id, "email": "ada@example.com", "name": "Ada Lovelace" });
        assert_eq!(answer.body["user"], user);
        me(&app.client(), &answer.text_at("accessToken")).await.assert_status(200);
        refresh(&app.client(), &answer.text_at("refreshToken")).await.assert_status(200);
    }

    async fn several_sessions_live_side_by_side(app: TestApp) {
        let first = app.register_ingestiq("ada@example.com").await;
        let second = login(&app.client(), " ADA@example.com", PASSWORD).await;
        assert_ne!(second.text_at("accessToken"), first.access_token);
        assert_ne!(second.text_at("refreshToken"), first.refresh_token);
        me(&app.client(), &first.access_token).await.assert_status(200);
        me(&app.client(), &second.text_at("accessToken")).await.assert_status(200);
    }

    async fn an_unknown_address_and_a_wrong_password_get_the_same_answer(app: TestApp) {
        app.register_ingestiq("ada@example.com").await;
        let wrong = login(&app.client(), "ada@example.com", "wrong password").await;
        wrong.assert_error(401, "INVALID_CREDENTIALS");
        assert_eq!(keys(&wrong.body["error"]), ["code", "message"]);
        assert_eq!(wrong.header("www-authenticate"), "Bearer");
        let unknown = login(&app.client(), "eve@example.com", PASSWORD).await;
        assert_eq!((unknown.status, &unknown.text), (wrong.status, &wrong.text));
        let names = |answer: &tidegate_testkit::Answer| {
            answer.headers.keys().map(ToString::to_string).collect::<std::collections::BTreeSet<_>>()
        };
        assert_eq!(names(&unknown), names(&wrong), "nor do the headers tell");
    }

    async fn a_shut_account_looks_like_a_wrong_password(app: TestApp) {
        app.register_ingestiq("ada@example.com").await;
        app.sql("update accounts set disabled_at = 1").await;
        login(&app.client(), "ada@example.com", PASSWORD).await.assert_error(401, "INVALID_CREDENTIALS");
    }

    async fn logging_in_never_applies_the_rule_for_new_passwords(app: TestApp) {
        app.register_ingestiq("ada@example.com").await;
        for password in ["", "x", &"x".repeat(129), &"x".repeat(50_000), "\0"] {
            let answer = login(&app.client(), "ada@example.com", password).await;
            answer.assert_error(401, "INVALID_CREDENTIALS");
        }
    }

    async fn a_failed_login_is_recorded_and_opens_nothing(app: TestApp) {
        app.register_ingestiq("ada@example.com").await;
        let failures = "select count(*) from audit_events where action = 'auth.login.failure'";
        let sessions = "select count(*) from sessions";
        assert_eq!((app.sql_count(failures).await, app.sql_count(sessions).await), (0, 1));
        login(&app.client(), "ada@example.com", "wrong password").await;
        login(&app.client(), "eve@example.com", "wrong password").await;
        assert_eq!((app.sql_count(failures).await, app.sql_count(sessions).await), (2, 1));
    }

    async fn what_is_missing_or_ill_typed_is_named(app: TestApp) {
        let before = row_counts(&app).await;
        let send = async |body| app.post(LOGIN).json(&body).send().await;
        assert_eq!(faulty(&send(json!({})).await), ["email", "password"]);
        assert_eq!(faulty(&send(json!({ "email": "ada@example.com" })).await), ["password"]);
        assert_eq!(faulty(&send(json!({ "email": "ada", "password": 1 })).await), ["email", "password"]);
        assert_eq!(faulty(&send(json!({ "email": null, "password": "" })).await), ["email"]);
        assert_eq!(row_counts(&app).await, before, "nothing was written");
    }

    async fn a_password_is_taken_as_it_is_typed(app: TestApp) {
        app.register_ingestiq("ada@example.com").await;
        for password in [format!(" {PASSWORD}"), format!("{PASSWORD} "), PASSWORD.to_uppercase()] {
            login(&app.client(), "ada@example.com", &password).await.assert_error(401, "INVALID_CREDENTIALS");
        }
    }
}
