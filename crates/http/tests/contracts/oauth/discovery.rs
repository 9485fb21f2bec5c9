//! What the installation says of itself: OpenID Connect Discovery 1.0, RFC 8414, RFC 9728.

use serde_json::json;
use tidegate_testkit::{TestApp, on_both_engines};

use super::wire::{ADA, described_with, register, sign_in};

on_both_engines! {
    async fn both_documents_of_the_provider_say_the_same_and_every_endpoint_is_there(app: TestApp) {
        let provider = app.get("/.well-known/openid-configuration").send().await;
        let server = app.get("/.well-known/oauth-authorization-server").send().await;
        assert_eq!(provider.assert_status(200).body, server.assert_status(200).body);
        assert!(provider.header("cache-control").contains("max-age"));
        let issuer = provider.text_at("issuer");
        for (name, value) in provider.body.as_object().unwrap() {
            let Some(url) = value.as_str().filter(|_| name.ends_with("_endpoint") || name == "jwks_uri") else {
                continue;
            };
            let path = url.strip_prefix(&issuer).unwrap();
            assert_ne!(app.get(path).send().await.status, 404, "{name}");
        }
        let alg = provider.text_at("id_token_signing_alg_values_supported.0");
        assert_eq!(alg, app.get("/.well-known/jwks.json").send().await.text_at("keys.0.alg"));
        assert_eq!(provider.field("code_challenge_methods_supported"), &json!(["S256"]));
        // No page makes an account unless the operator wants one: `create` is not announced.
        let prompts = json!(["none", "login", "consent", "select_account"]);
        assert_eq!(provider.field("prompt_values_supported"), &prompts);
        assert_eq!(provider.field("ui_locales_supported"), &json!(["en", "sw"]));
    }

    async fn an_api_says_who_issues_its_tokens(app: TestApp) {
        let found = app.get("/.well-known/oauth-protected-resource").send().await;
        assert_eq!(found.assert_status(200).text_at("resource"), "https://id.example.com");
        assert_eq!(found.field("authorization_servers"), &json!(["https://id.example.com"]));
    }

    /// RFC 9728 section 5.1.
    async fn a_challenge_says_where_to_learn_who_issues_tokens(app: TestApp) {
        let address = "resource_metadata=\"https://id.example.com/.well-known/oauth-protected-resource\"";
        let none = app.get("/oauth/userinfo").send().await;
        assert_eq!(none.assert_status(401).header("www-authenticate"), format!("Bearer {address}"));
        let wrong = app.get("/oauth/userinfo").bearer("wrong").send().await;
        let challenge = format!("Bearer error=\"invalid_token\", {address}");
        assert_eq!(wrong.assert_status(401).header("www-authenticate"), challenge);
    }

    async fn what_a_client_may_sign_with_is_told_and_none_is_not_among_it(app: TestApp) {
        let provider = app.get("/.well-known/openid-configuration").send().await;
        for name in [
            "id_token_signing_alg_values_supported", "token_endpoint_auth_signing_alg_values_supported",
            "request_object_signing_alg_values_supported",
        ] {
            let all = provider.field(name).as_array().unwrap();
            assert!(!all.is_empty() && !all.contains(&json!("none")), "{name}");
        }
        assert_eq!(provider.field("request_uri_parameter_supported"), &json!(false));
        assert!(provider.field("token_endpoint_auth_methods_supported").as_array().unwrap().contains(&json!("private_key_jwt")));
    }

    async fn every_scope_that_is_announced_can_be_asked_for(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let provider = app.get("/.well-known/openid-configuration").send().await;
        let scopes = provider.field("scopes_supported").clone();
        let client = register(&app, &ada, &described_with(json!({ "scopes": scopes }))).await;
        sign_in(&app, &ada, &client).await;
    }
}
