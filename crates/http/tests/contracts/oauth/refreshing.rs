//! Applications refresh: RFC 6749 section 6.

use std::time::Duration;

use axum::http::Method;
use serde_json::json;
use tidegate_testkit::{TestApp, on_both_engines};

use super::wire::{
    ADA, applications, as_person, assert_flat, audited, claims, described, me, organization, refresh,
    register, sign_in, token_request, token_request_at,
};
use crate::watch::row_counts;

on_both_engines! {
    async fn a_refresh_token_is_replaced_and_a_lost_answer_repeated(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let client = register(&app, &ada, &described()).await;
        let first = sign_in(&app, &ada, &client).await.text_at("refresh_token");
        let second = refresh(&app, &client, &first).await;
        assert_ne!(second.assert_status(200).text_at("refresh_token"), first);
        assert_eq!(second.text_at("scope"), "openid email read");
        app.advance(Duration::from_secs(30));
        let again = refresh(&app, &client, &first).await;
        assert_eq!(again.assert_status(200).text_at("refresh_token"), second.text_at("refresh_token"));
        assert_eq!(me(&app, &again.text_at("access_token")).await, 200);
        assert_eq!(claims(&again.text_at("access_token"))["client_id"], client.client_id.as_str());
    }

    async fn a_slow_tab_gets_the_newest_token_within_thirty_seconds(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let client = register(&app, &ada, &described()).await;
        let other = app.another_node().await;
        let first = sign_in(&app, &ada, &client).await.text_at("refresh_token");
        let mut newest = refresh(&app, &client, &first).await.assert_status(200).clone();
        for _ in 0..5 {
            app.advance(Duration::from_secs(6));
            newest = refresh(&app, &client, &newest.text_at("refresh_token")).await.assert_status(200).clone();
            let rotated = row_counts(&app).await;
            let fields = [("grant_type", "refresh_token"), ("refresh_token", first.as_str())];
            for node in [app.client(), other.client()] {
                let slow = token_request_at(&node, &client, &fields).send().await;
                assert_eq!(slow.assert_status(200).text_at("refresh_token"), newest.text_at("refresh_token"));
                assert_eq!(me(&app, &slow.text_at("access_token")).await, 200);
            }
            assert_eq!(me(&app, &newest.text_at("access_token")).await, 200);
            assert_eq!(row_counts(&app).await, rotated);
        }
        app.advance(Duration::from_secs(1));
        assert_flat(&refresh(&app, &client, &first).await, 400, "invalid_grant");
        assert_flat(&refresh(&app, &client, &newest.text_at("refresh_token")).await, 400, "invalid_grant");
        app.advance(Duration::from_secs(2));
        assert_eq!(me(&app, &newest.text_at("access_token")).await, 401);
        assert_eq!(audited(&app, "session.").await, ["session.refresh_token_replayed"]);
    }

    async fn scopes_are_narrowed_for_one_access_token_and_never_widened(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let client = register(&app, &ada, &described()).await;
        let token = sign_in(&app, &ada, &client).await.text_at("refresh_token");
        let with = |scope: &'static str, token: String| {
            let (app, client) = (&app, &client);
            async move {
                let fields = [("grant_type", "refresh_token"), ("refresh_token", token.as_str()), ("scope", scope)];
                token_request(app, client, &fields).send().await
            }
        };
        let narrowed = with("openid", token).await;
        assert_eq!(narrowed.assert_status(200).text_at("scope"), "openid");
        assert_eq!(me(&app, &narrowed.text_at("access_token")).await, 403, "without read");
        let next = narrowed.text_at("refresh_token");
        for scope in ["openid profile", "admin", "fly", "read  email"] {
            assert_flat(&with(scope, next.clone()).await, 400, "invalid_scope");
        }
        let beyond = with("openid profile", next.clone()).await;
        assert_eq!(beyond.text_at("error_description"), "the scope profile exceeds what was granted");
        // The refresh token keeps what was granted.
        assert_eq!(refresh(&app, &client, &next).await.assert_status(200).text_at("scope"), "openid email read");
    }

    async fn an_application_that_may_ask_for_less_gets_less(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let client = register(&app, &ada, &described()).await;
        let token = sign_in(&app, &ada, &client).await.text_at("refresh_token");
        let path = format!("{}/{}", applications(organization(&app, &ada).await), client.number);
        let body = json!({ "scopes": ["openid"] });
        as_person(&app, Method::PATCH, &path, &ada).json(&body).send().await.assert_status(200);
        let answer = refresh(&app, &client, &token).await;
        assert_eq!(answer.assert_status(200).text_at("scope"), "openid");
        assert_eq!(me(&app, &answer.text_at("access_token")).await, 403);
    }

    async fn unknown_and_expired_refresh_tokens_are_refused(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let client = register(&app, &ada, &described()).await;
        let token = sign_in(&app, &ada, &client).await.text_at("refresh_token");
        for unknown in ["x", "tgr_x", "pat_x"] {
            assert_flat(&refresh(&app, &client, unknown).await, 400, "invalid_grant");
        }
        let missing = token_request(&app, &client, &[("grant_type", "refresh_token")]).send().await;
        assert_flat(&missing, 400, "invalid_request");
        app.advance(Duration::from_secs(30 * 24 * 3_600));
        assert_flat(&refresh(&app, &client, &token).await, 400, "invalid_grant");
    }
}
