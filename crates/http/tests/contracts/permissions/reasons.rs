//! A refusal says what it takes: another contract's token, a scope or a role.

use serde_json::json;
use tidegate_http::contracts;
use tidegate_testkit::{PASSWORD, TestApp, on_both_engines};

use crate::cross_contract::login_ingestiq;

/// A personal access token with these scopes.
async fn limited(app: &TestApp, session: &str, scopes: &[&str]) -> String {
    let body = json!({ "name": "Limited", "scopes": scopes });
    let made = app.post("/api/v1/auth/tokens").bearer(session).json(&body).send().await;
    made.assert_status(201).text_at("data.token")
}

on_both_engines! {
    async fn a_token_of_another_contract_is_told_which_one_is_taken(app: TestApp) {
        let ada = app.sign_up_rivergen_verified("ada@example.com").await;
        let body = json!({ "email": "eve@example.com", "role": "manager" });
        let request = app.post("/v1/accounts/individual/").bearer(&ada.access_token).json(&body);
        let refused = request.send().await;
        refused.assert_error(403, "INSUFFICIENT_ROLE");
        let told = "this token was issued by RiverGen; /v1 takes tokens of POST /v1/login/individual/";
        assert_eq!(refused.text_at("error_data.error"), told);
        assert_eq!(refused.header("www-authenticate"), "");
        let ingestiq = login_ingestiq(&app.client(), "ada@example.com", PASSWORD).await.text_at("accessToken");
        let refused = app.get("/api/v1/auth/tokens").bearer(&ingestiq).send().await;
        refused.assert_error(403, "PERMISSION_DENIED");
        let told = "This token was issued by IngestIQ; /api/v1 takes tokens of POST /api/v1/auth/login.";
        assert_eq!(refused.text_at("error.message"), told);
    }

    async fn a_scope_that_is_missing_is_named_in_the_text_and_in_the_challenge(app: TestApp) {
        let ada = app.sign_up_rivergen_verified("ada@example.com").await;
        let token = limited(&app, &ada.access_token, &["data:query"]).await;
        let refused = app.get("/api/v1/data-sources").bearer(&token).send().await;
        refused.assert_error(403, "FORBIDDEN");
        assert_eq!(refused.text_at("error.message"), "The token needs the scope data:read (it has data:query).");
        let challenge = "Bearer error=\"insufficient_scope\", scope=\"data:read\"";
        assert_eq!(refused.header("www-authenticate"), challenge);
        let refused = app.post("/api/v1/policies").bearer(&token).json(&json!({})).send().await;
        assert_eq!(refused.header("www-authenticate"), "Bearer error=\"insufficient_scope\", scope=\"policies:write\"");
        // In the other contracts as well.
        let refused = app.get("/api/v2/auth/me").bearer(&token).send().await;
        refused.assert_error(403, "FORBIDDEN");
        assert_eq!(refused.header("www-authenticate"), "Bearer error=\"insufficient_scope\", scope=\"read\"");
        // What no scope gives names none.
        let refused = app.post("/api/v1/auth/tokens").bearer(&token).json(&json!({})).send().await;
        assert_eq!(refused.header("www-authenticate"), "Bearer error=\"insufficient_scope\"");
        assert!(refused.text_at("error.message").starts_with("No scope gives this"), "{}", refused.text);
    }

    async fn a_role_that_does_not_suffice_is_told_which_one_does(app: TestApp) {
        let manager = app.provision("ada@example.com").await;
        app.add_individual(&manager, "vera@example.com", "demo_viewer").await;
        let body = json!({ "email": "vera@example.com", "password": PASSWORD });
        let signed_in = app.post("/api/v1/auth/login").json(&body).send().await;
        let vera = signed_in.assert_status(200).text_at("data.access_token");
        let refused = app.post("/api/v1/policies").bearer(&vera).json(&json!({})).send().await;
        refused.assert_error(403, "FORBIDDEN");
        assert_eq!(refused.text_at("error.message"), "Viewers may not make or change policies; it takes an admin.");
        assert_eq!(refused.header("www-authenticate"), "");
    }
}

#[test]
fn contracts_name_where_their_clients_sign_in_and_themselves() {
    for contract in contracts() {
        let path = format!("{}{}", contract.mounts[0].prefix, contract.sign_in.trim_end_matches('/'));
        let document = contract.openapi();
        let described = document.paths.paths.get(&path).unwrap_or_else(|| panic!("{path} is not served"));
        assert!(described.post.is_some(), "{path}");
        assert_eq!(contract.id.title(), contract.title);
    }
}
