//! What holds for every address below `/api/v2`.

use axum::body::Body;
use axum::http::Method;
use serde_json::json;
use tidegate_testkit::{Answer, PASSWORD, TestApp, on_both_engines};

use super::{LOGIN, LOGOUT, ME, REFRESH, REGISTER, keys};
use crate::routes::assert_envelope;

fn assert_bare_error(answer: &Answer, status: u16, code: &str) {
    answer.assert_error(status, code);
    assert_envelope(tidegate_domain::ContractId::INGESTIQ, answer);
    assert_eq!(keys(&answer.body["error"]), ["code", "message"]);
}

on_both_engines! {
    async fn an_unknown_address_is_not_found_in_this_contracts_words(app: TestApp) {
        for path in ["/api/v2", "/api/v2/", "/api/v2/auth", "/api/v2/auth/nothing", "/api/v2/auth/login/x",
            "/api/v2/AUTH/LOGIN", "/api/v2/%2e%2e/v1/auth/me", "/api/v2/auth%2flogin", "/api/v2/%zz", "/api/v2/%ff"]
        {
            assert_bare_error(&app.get(path).send().await, 404, "NOT_FOUND");
            assert_bare_error(&app.post(path).json(&json!({})).send().await, 404, "NOT_FOUND");
        }
    }

    async fn a_wrong_method_is_told_the_right_ones(app: TestApp) {
        for (path, allowed) in
            [(LOGIN, "POST"), (REGISTER, "POST"), (REFRESH, "POST"), (LOGOUT, "POST"), (ME, "GET,HEAD")]
        {
            for method in [Method::PUT, Method::DELETE, Method::PATCH, Method::OPTIONS, Method::TRACE] {
                let answer = app.client().request(method, path).send().await;
                assert_bare_error(&answer, 405, "METHOD_NOT_ALLOWED");
                assert_eq!(answer.header("allow"), allowed, "RFC 9110 section 15.5.6");
            }
        }
    }

    async fn a_slash_at_the_end_is_ignored_without_a_redirect(app: TestApp) {
        app.register_ingestiq("ada@example.com").await;
        let body = json!({ "email": "ada@example.com", "password": PASSWORD });
        let answer = app.post("/api/v2/auth/login/").json(&body).send().await;
        answer.assert_status(200);
        let me = app.get("/api/v2/auth/me/?x=1").bearer(&answer.text_at("accessToken")).send().await;
        me.assert_status(200);
        app.get("/api/v2/health/").send().await.assert_status(200);
    }

    async fn bodies_are_json_and_say_so(app: TestApp) {
        app.register_ingestiq("ada@example.com").await;
        let body = json!({ "email": "ada@example.com", "password": PASSWORD }).to_string();
        for kind in ["application/json", "application/json; charset=utf-8", "Application/JSON ;x=y"] {
            app.post(LOGIN).body(kind, body.clone()).send().await.assert_status(200);
        }
        for kind in ["text/json", "text/plain", "application/x-www-form-urlencoded", "application/jsonp", ""] {
            let answer = app.post(LOGIN).body(kind, body.clone()).send().await;
            assert_bare_error(&answer, 415, "UNSUPPORTED_MEDIA_TYPE");
        }
        let answer = app.post(LOGIN).stream(Body::from(body)).send().await;
        assert_bare_error(&answer, 415, "UNSUPPORTED_MEDIA_TYPE");
    }

    async fn a_body_has_at_most_64_kibibytes(app: TestApp) {
        let body = |size: usize| format!("{{\"x\":\"{}\"}}", "x".repeat(size - 8));
        let answer = app.post(LOGIN).body("application/json", body(65_536)).send().await;
        answer.assert_error(400, "VALIDATION_ERROR");
        let answer = app.post(LOGIN).body("application/json", body(65_537)).send().await;
        assert_bare_error(&answer, 413, "PAYLOAD_TOO_LARGE");
    }
}
