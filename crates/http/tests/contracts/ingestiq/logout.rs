//! `POST /api/v2/auth/logout`.

use serde_json::json;
use tidegate_testkit::{PASSWORD, TestApp, on_both_engines};

use super::{LOGOUT, MINUTE, login, me, refresh};

on_both_engines! {
    async fn logging_out_ends_both_tokens_at_once(app: TestApp) {
        let ada = app.register_ingestiq("ada@example.com").await;
        let elsewhere = login(&app.client(), "ada@example.com", PASSWORD).await;
        me(&app.client(), &ada.access_token).await.assert_status(200);
        let answer = app.post(LOGOUT).bearer(&ada.access_token).send().await;
        answer.assert_status(200);
        assert_eq!(answer.body, json!({ "message": "Logged out successfully" }));
        me(&app.client(), &ada.access_token).await.assert_error(401, "INVALID_TOKEN");
        refresh(&app.client(), &ada.refresh_token).await.assert_error(401, "INVALID_TOKEN");
        me(&app.client(), &elsewhere.text_at("accessToken")).await.assert_status(200);
    }

    async fn a_body_is_not_needed_and_an_empty_object_does_no_harm(app: TestApp) {
        app.register_ingestiq("ada@example.com").await;
        let session = async || login(&app.client(), "ada@example.com", PASSWORD).await.text_at("accessToken");
        let logout = async || app.post(LOGOUT).bearer(&session().await);
        logout().await.json(&json!({})).send().await.assert_status(200);
        logout().await.json(&json!({ "everywhere": true })).send().await.assert_status(200);
        // curl -X POST -d ''
        logout().await.form("").send().await.assert_status(200);
        logout().await.header("content-type", "application/json").send().await.assert_status(200);
    }

    async fn a_body_that_is_not_json_is_refused_and_the_session_lives(app: TestApp) {
        let ada = app.register_ingestiq("ada@example.com").await;
        let logout = app.post(LOGOUT).bearer(&ada.access_token);
        logout.body("application/json", "{").send().await.assert_error(400, "VALIDATION_ERROR");
        me(&app.client(), &ada.access_token).await.assert_status(200);
    }

    async fn logging_out_again_is_refused(app: TestApp) {
        let ada = app.register_ingestiq("ada@example.com").await;
        app.post(LOGOUT).bearer(&ada.access_token).send().await.assert_status(200);
        let again = app.post(LOGOUT).bearer(&ada.access_token).send().await;
        again.assert_error(401, "INVALID_TOKEN");
        assert_eq!(again.header("www-authenticate"), "Bearer error=\"invalid_token\"");
        let logouts = "select count(*) from audit_events where action = 'auth.logout'";
        assert_eq!(app.sql_count(logouts).await, 1);
    }

    async fn logging_out_asks_for_a_token(app: TestApp) {
        let answer = app.post(LOGOUT).send().await;
        answer.assert_error(401, "UNAUTHORIZED");
        assert_eq!(answer.header("www-authenticate"), "Bearer");
    }

    async fn an_expired_token_says_so(app: TestApp) {
        let ada = app.register_ingestiq("ada@example.com").await;
        app.advance(15 * MINUTE);
        let answer = app.post(LOGOUT).bearer(&ada.access_token).send().await;
        answer.assert_error(401, "TOKEN_EXPIRED");
        refresh(&app.client(), &ada.refresh_token).await.assert_status(200);
    }
}
