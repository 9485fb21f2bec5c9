//! Other people's things.

use serde_json::json;
use tidegate_testkit::{PASSWORD, on_both_engines};

use super::Target;
use crate::cross_contract::{login_rivergen, me_rivergen};
use crate::watch::row_counts;

on_both_engines! {
    async fn somebody_elses_session_does_not_exist(target: Target) {
        let (app, ada) = (&target.app, &target.ada);
        let eve = app.sign_up_rivergen_verified("eve@example.com").await;
        let list = app.get("/api/v1/sessions").bearer(&ada.access_token).send().await;
        let before = row_counts(app).await;
        let path = format!("/api/v1/sessions/{}", list.field("data.sessions.0.id"));
        let answer = app.delete(&path).bearer(&eve.access_token).send().await;
        answer.assert_error(404, "SESSION_NOT_FOUND");
        let nobodys = app.delete("/api/v1/sessions/999999").bearer(&eve.access_token).send().await;
        assert_eq!(answer.text, nobodys.text, "hers cannot be told from one that never was");
        assert_eq!(row_counts(app).await, before);
        me_rivergen(&app.client(), &ada.access_token).await.assert_status(200);
    }

    async fn somebody_elses_workspace_is_not_entered(target: Target) {
        let app = &target.app;
        app.sign_up_rivergen_verified("eve@example.com").await;
        let me = me_rivergen(&app.client(), &target.ada.access_token).await;
        let sessions = app.sql_count("select count(*) from sessions").await;
        for workspace in [me.field("data.workspaces.0.id").clone(), json!(999_999), json!(-1), json!(i64::MAX)] {
            let body = json!({ "email": "eve@example.com", "password": PASSWORD, "workspace_id": workspace });
            let answer = app.post("/api/v1/auth/login").json(&body).send().await;
            answer.assert_error(403, "PERMISSION_DENIED");
        }
        assert_eq!(app.sql_count("select count(*) from sessions").await, sessions);
    }

    async fn nobody_sees_anybody_else(target: Target) {
        let app = &target.app;
        let eve = app.sign_up_rivergen_verified("eve@example.com").await;
        for path in ["/api/v1/auth/me", "/api/v1/sessions", "/api/v1/auth/login-history", "/api/v2/auth/me"] {
            let answer = app.get(path).bearer(&eve.access_token).send().await;
            answer.assert_status(200);
            assert!(!answer.text.contains("ada@example.com"), "{path}: {}", answer.text);
        }
        let list = app.get("/api/v1/sessions").bearer(&eve.access_token).send().await;
        assert_eq!(list.field("data.total_count"), 1);
    }

    async fn a_code_and_a_temporary_token_of_two_people_do_not_go_together(target: Target) {
        let app = &target.app;
        let bob = app.sign_up_rivergen("bob@example.com").await;
        app.sign_up_rivergen("eve@example.com").await;
        let code = app.latest_code("eve@example.com").await;
        if code == app.latest_code("bob@example.com").await {
            return; // Once in a million seeds.
        }
        let body = json!({ "temporary_token": bob.temporary_token, "otp_code": code });
        app.post("/api/v1/auth/verify-otp").json(&body).send().await.assert_error(400, "INVALID_OTP");
        let body = json!({ "temporary_token": bob.temporary_token, "email": "eve@example.com" });
        let resend = app.post("/api/v1/auth/resend-signup-otp").json(&body).send().await;
        resend.assert_error(400, "VALIDATION_ERROR");
        login_rivergen(&app.client(), "bob@example.com", PASSWORD).await.assert_status(200);
    }

    async fn an_address_change_is_confirmed_by_whoever_asked_for_it(target: Target) {
        let (app, ada) = (&target.app, &target.ada);
        let eve = app.sign_up_rivergen_verified("eve@example.com").await;
        let body = json!({ "new_email": "ada@lovelace.example" });
        let ask = app.post("/api/v1/auth/me/email/request").bearer(&ada.access_token).json(&body);
        ask.send().await.assert_status(200);
        let code = app.latest_code("ada@lovelace.example").await;
        let body = json!({ "new_email": "ada@lovelace.example", "otp_code": code });
        let verify = app.post("/api/v1/auth/me/email/verify").bearer(&eve.access_token).json(&body);
        verify.send().await.assert_error(400, "EMAIL_UPDATE_VERIFY_FAILED");
        let verify = app.post("/api/v1/auth/me/email/verify").bearer(&ada.access_token).json(&body);
        verify.send().await.assert_status(200);
    }
}
