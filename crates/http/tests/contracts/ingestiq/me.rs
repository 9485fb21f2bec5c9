//! `GET /api/v2/auth/me` and `GET /api/v2/health`.

use std::time::Duration;

use serde_json::json;
use tidegate_testkit::{TestApp, on_both_engines};
use uuid::Uuid;

use super::{ME, MINUTE, SECOND, keys, me};

on_both_engines! {
    async fn somebody_reads_who_they_are(app: TestApp) {
        app.advance(Duration::from_micros(1_234_567));
        let ada = app.register_ingestiq("ada@example.com").await;
        let answer = me(&app.client(), &ada.access_token).await;
        answer.assert_status(200);
        assert_eq!(keys(&answer.body), ["user"]);
        let organization = answer.text_at("user.organizationId");
        assert_eq!(Uuid::parse_str(&organization).unwrap().to_string(), organization);
        let user = json!({
            "id": ada.user_id,
            "email": "ada@example.com",
            "name": "Ada Lovelace",
            "organizationId": organization,
            "role": "owner",
            "createdAt": "2026-01-05T09:00:01.234Z",
        });
        assert_eq!(answer.body["user"], user);
        assert_eq!(answer.header("cache-control"), "no-store");
    }

    async fn an_access_token_lives_fifteen_minutes(app: TestApp) {
        let ada = app.register_ingestiq("ada@example.com").await;
        app.advance(15 * MINUTE - SECOND);
        me(&app.client(), &ada.access_token).await.assert_status(200);
        app.advance(SECOND);
        let answer = me(&app.client(), &ada.access_token).await;
        answer.assert_error(401, "TOKEN_EXPIRED");
        assert_eq!(keys(&answer.body["error"]), ["code", "message"]);
        assert_eq!(answer.header("www-authenticate"), "Bearer error=\"invalid_token\"");
    }

    async fn no_token_and_no_bearer_token_are_unauthorized(app: TestApp) {
        let ada = app.register_ingestiq("ada@example.com").await;
        let token = ada.access_token.as_str();
        let answer = app.get(ME).send().await;
        answer.assert_error(401, "UNAUTHORIZED");
        assert_eq!(answer.header("www-authenticate"), "Bearer");
        for header in [token, "Bearer", "Bearer ", "Basic YWRhOmFkYQ==", &format!("Token {token}"), ""] {
            let answer = app.get(ME).header("authorization", header).send().await;
            answer.assert_error(401, "UNAUTHORIZED");
        }
        let twice = app.get(ME).bearer(token).bearer(token).send().await;
        twice.assert_error(401, "UNAUTHORIZED");
        // A token in the address would stand in every log on the way.
        let answer = app.get(&format!("{ME}?access_token={token}")).send().await;
        answer.assert_error(401, "UNAUTHORIZED");
    }

    async fn the_scheme_is_read_without_case(app: TestApp) {
        let ada = app.register_ingestiq("ada@example.com").await;
        for scheme in ["bearer", "BEARER", "bEaReR"] {
            let header = format!("{scheme} {}", ada.access_token);
            app.get(ME).header("authorization", &header).send().await.assert_status(200);
        }
    }

    async fn what_is_no_access_token_is_invalid(app: TestApp) {
        let ada = app.register_ingestiq("ada@example.com").await;
        for token in ["x", "a.b.c", &ada.refresh_token, &ada.access_token[1..], &"a".repeat(100_000)] {
            let answer = me(&app.client(), token).await;
            answer.assert_error(401, "INVALID_TOKEN");
            assert_eq!(answer.header("www-authenticate"), "Bearer error=\"invalid_token\"");
        }
    }

    async fn roles_are_shown_in_this_contracts_words(app: TestApp) {
        let ada = app.register_ingestiq("ada@example.com").await;
        for (role, word) in [("admin", "admin"), ("developer", "member"), ("viewer", "viewer"), ("owner", "owner")] {
            app.sql(&format!("update memberships set role = '{role}'")).await;
            app.advance(2 * SECOND);
            let answer = me(&app.client(), &ada.access_token).await;
            assert_eq!(answer.text_at("user.role"), word);
        }
    }

    async fn health_needs_no_token_and_is_counted_against_no_limit(app: TestApp) {
        for _ in 0..150 {
            let answer = app.get("/api/v2/health").send().await;
            answer.assert_status(200);
            assert_eq!(answer.body, json!({ "status": "ok" }));
            assert_eq!(answer.header("x-ratelimit-limit"), "");
        }
        let answer = app.get("/api/v2/health").bearer("nonsense").send().await;
        answer.assert_status(200);
    }
}
