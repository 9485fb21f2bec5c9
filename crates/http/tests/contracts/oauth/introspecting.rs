//! Who is told of a token: RFC 7662 section 4.

use std::time::Duration;

use serde_json::json;
use tidegate_testkit::{Engine, TestApp, on_both_engines};

use super::attacks::with_api;
use super::signing::change;
use super::wire::{ADA, App, described, described_with, form, register, sign_in, token_request};
use crate::watch::Log;

async fn is_told(app: &TestApp, client: &App, token: &str) -> bool {
    let fields = [
        ("token", token),
        ("client_id", &client.client_id),
        ("client_secret", client.secret.as_deref().unwrap()),
    ];
    let answer = app.post("/oauth/introspect").form(&form(&fields)).send().await;
    answer.assert_status(200).field("active") == &json!(true)
}

on_both_engines! {
    async fn the_api_that_a_token_is_for_is_told_of_it_and_no_other(engine: Engine) {
        let app = TestApp::builder(engine).settings(with_api).start().await;
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let bob = app.sign_up_rivergen_verified("bob@example.com").await;
        let client = register(&app, &ada, &described()).await;
        let colleague = register(&app, &ada, &described_with(json!({ "name": "Colleague" }))).await;
        let api = register(&app, &bob, &described_with(json!({ "name": "API" }))).await;
        let api = change(&app, &api, None, |metadata| metadata.serves = vec!["https://api.example.com".to_owned()]).await;
        let fields = [("grant_type", "client_credentials"), ("resource", "https://api.example.com")];
        let token = token_request(&app, &client, &fields).send().await.text_at("access_token");
        for (who, told) in [(&client, true), (&api, true), (&colleague, false)] {
            assert_eq!(is_told(&app, who, &token).await, told, "{who:?}");
        }
        // Tokens for this installation are nothing of that API's, and known in the organization.
        let token = sign_in(&app, &ada, &client).await.text_at("access_token");
        for (who, told) in [(&client, true), (&api, false), (&colleague, true)] {
            assert_eq!(is_told(&app, who, &token).await, told, "{who:?}");
        }
    }

    async fn the_log_says_why_a_token_is_told_to_be_inactive(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let bob = app.sign_up_rivergen_verified("bob@example.com").await;
        let client = register(&app, &ada, &described()).await;
        let stranger = register(&app, &bob, &described_with(json!({ "name": "Stranger" }))).await;
        let tokens = sign_in(&app, &ada, &client).await;
        let (access, refresh) = (tokens.text_at("access_token"), tokens.text_at("refresh_token"));
        let log = Log::listen();
        for (who, token, why) in [
            (&stranger, access.clone(), "introspection: the token is good, was issued to another application"),
            (&stranger, refresh, "refresh token: unknown, of another application"),
            (&client, format!("Bearer {access}"), "malformed: "),
        ] {
            assert!(!is_told(&app, who, &token).await, "{why}");
            let line = log.last_answer();
            assert!(line.contains(&format!(" status=200 refused=\"{why}")), "{why}: {line}");
            assert!(!line.contains(&access), "{line}");
        }
    }

    // A gateway asks about each token that it is shown, and some of those have always expired.
    async fn expired_tokens_hide_no_refused_request_from_the_log(engine: Engine) {
        let app = TestApp::builder(engine).without_limits().start().await;
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let client = register(&app, &ada, &described()).await;
        let token = sign_in(&app, &ada, &client).await.text_at("access_token");
        app.advance(Duration::from_secs(24 * 3_600));
        let log = Log::listen();
        for _ in 0..70 {
            assert!(!is_told(&app, &client, &token).await);
        }
        let lines = log.lines();
        let told = lines.iter().filter(|line| line.contains(" status=200 refused=\"exp: expired ")).count();
        assert_eq!(told, 60, "so many a minute");
        let fields = [("token", token.as_str()), ("client_id", &client.client_id), ("client_secret", "wrong")];
        app.post("/oauth/introspect").form(&form(&fields)).send().await.assert_status(401);
        let line = log.last_answer();
        assert!(line.contains(" status=401 ") && line.contains(" refused=\"client_secret: wrong"), "{line}");
    }
}
