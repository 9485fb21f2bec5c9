//! A person gives an application access: RiverGen, section 10; RFC 6749 section 4.1; OpenID Connect Core section 3.1.2.

use serde_json::json;
use tidegate_testkit::{Engine, TestApp, on_both_engines};

use super::wire::{
    ADA, CALLBACK, approve, as_person, assert_flat, audited, authorize, described, described_with, exchange,
    form, organization, parameters, parameters_with, register, register_public, sent_back, sign_in,
};

/// The only field of an answer that says why nothing was given.
async fn refused_with(
    app: &TestApp,
    token: &str,
    parameters: &std::collections::BTreeMap<String, String>,
) -> String {
    let mut back = sent_back(&authorize(app, token, parameters).await);
    assert!(!back.contains_key("code"));
    assert_eq!(back.get("state").map(String::as_str), Some("some state"));
    assert!(back.contains_key("iss"));
    back.remove("error").unwrap()
}

on_both_engines! {
    async fn a_bearer_of_a_full_session_is_sent_back_with_a_code(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let client = register(&app, &ada, &described()).await;
        let answer = authorize(&app, &ada.access_token, &parameters(&client)).await;
        let back = sent_back(&answer);
        assert_eq!(back["state"], "some state");
        assert_eq!(back["iss"], "https://id.example.com", "RFC 9207");
        assert!(back["code"].starts_with("tgc_"));
        assert_eq!((answer.header("cache-control"), answer.header("referrer-policy")), ("no-store", "no-referrer"));
        let granted = ["oauth.application.created", "oauth.consent.granted"];
        assert_eq!(audited(&app, "oauth.").await, granted);
        // What was allowed before is not news.
        authorize(&app, &ada.access_token, &parameters(&client)).await.assert_status(302);
        assert_eq!(audited(&app, "oauth.").await, granted);
    }

    async fn a_form_gives_access_or_refuses_it(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let client = register(&app, &ada, &described()).await;
        let send = |approve: &str| {
            let fields = [
                ("client_id", client.client_id.as_str()), ("redirect_uri", CALLBACK), ("scope", "openid"),
                ("state", "some state"), ("approve", approve),
            ];
            app.post("/oauth/authorize").bearer(&ada.access_token).form(&form(&fields)).send()
        };
        let back = sent_back(&send("true").await);
        assert!(back.contains_key("code") && back["state"] == "some state");
        let back = sent_back(&send("false").await);
        assert_eq!((back["error"].as_str(), back["state"].as_str()), ("access_denied", "some state"));
        assert!(!back.contains_key("code"));
        assert_eq!(audited(&app, "oauth.consent").await, ["oauth.consent.granted", "oauth.consent.denied"]);
        for approve in ["yes", "", "TRUE"] {
            assert_flat(&send(approve).await, 400, "invalid_request");
        }
    }

    async fn a_frontend_is_told_where_to_send_the_browser(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let client = register(&app, &ada, &described()).await;
        let body = |fields: serde_json::Value| {
            let mut body = json!({
                "client_id": client.client_id, "redirect_uri": CALLBACK, "scope": "openid", "state": "s", "approve": true,
            });
            for (name, value) in fields.as_object().unwrap() {
                body[name] = value.clone();
            }
            app.post("/api/v1/oauth/authorize").bearer(&ada.access_token).json(&body).send()
        };
        let url = body(json!({})).await.assert_status(200).text_at("data.redirect_url");
        assert!(url.starts_with(&format!("{CALLBACK}?code=tgc_")) && url.contains("state=s"), "{url}");
        let url = body(json!({ "approve": false })).await.assert_status(200).text_at("data.redirect_url");
        assert!(url.starts_with(&format!("{CALLBACK}?error=access_denied")), "{url}");
        for (fields, code) in [
            (json!({ "client_id": "nobody" }), "invalid_client"),
            (json!({ "redirect_uri": "https://evil.example/" }), "invalid_redirect_uri"),
            (json!({ "scope": "admin" }), "invalid_scope"),
            (json!({ "code_challenge": "short", "code_challenge_method": "S256" }), "invalid_request"),
            (json!({ "resource": "https://api.example.com" }), "invalid_target"),
        ] {
            body(fields).await.assert_error(400, code);
        }
        for fields in [json!({ "approve": "yes" }), json!({ "approve": null }), json!({ "state": "a\u{0}b" })] {
            body(fields).await.assert_error(422, "VALIDATION_ERROR");
        }
        let machine = register(&app, &ada, &described_with(json!({
            "name": "Machine", "grant_types": ["client_credentials"],
        }))).await;
        body(json!({ "client_id": machine.client_id })).await.assert_error(400, "unauthorized_client");
    }

    async fn an_application_is_introduced_to_whoever_knows_its_redirect_uri(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let client = register(&app, &ada, &described()).await;
        let get = |fields: Vec<(&'static str, String)>| {
            let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
            app.get(&format!("/api/v1/oauth/app-info?{}", form(&fields))).send()
        };
        let id = || ("client_id", client.client_id.clone());
        let uri = || ("redirect_uri", CALLBACK.to_owned());
        let answer = get(vec![id(), uri(), ("scope", "openid email".into())]).await;
        let data = answer.assert_status(200).field("data");
        assert_eq!((&data["app_name"], &data["description"]), (&json!("Shop"), &json!("Sells things.")));
        assert_eq!(data["scopes"], described()["scopes"]);
        assert_eq!(data["requested_scopes"], json!(["openid", "email"]));
        assert!(data["organization_name"].is_string());
        assert_eq!(get(vec![id(), uri()]).await.field("data.requested_scopes"), &described()["scopes"]);
        get(vec![("client_id", "x".into()), uri()]).await.assert_error(400, "invalid_client");
        get(vec![id(), ("redirect_uri", "https://e.example".into())]).await.assert_error(400, "invalid_redirect_uri");
        let beyond = get(vec![id(), uri(), ("scope", "openid admin".into())]).await;
        beyond.assert_error(400, "invalid_scope");
        assert!(beyond.text.contains("not registered for the scope admin"), "{}", beyond.text);
        get(vec![id()]).await.assert_error(422, "VALIDATION_ERROR");
        let path = format!("{}/{}/revoke", crate::oauth::wire::applications(organization(&app, &ada).await), client.number);
        as_person(&app, axum::http::Method::POST, &path, &ada).send().await.assert_status(200);
        get(vec![id(), uri()]).await.assert_error(400, "invalid_client");
    }

    async fn what_cannot_be_sent_back_is_shown(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let client = register(&app, &ada, &described()).await;
        for (name, value, code) in [
            ("client_id", "", "invalid_client"),
            ("client_id", "nobody", "invalid_client"),
            ("client_id", "00000000-0000-4000-8000-000000000000", "invalid_client"),
            ("redirect_uri", "", "invalid_request"),
            ("redirect_uri", "https://evil.example/callback", "invalid_request"),
            ("response_type", "", "invalid_request"),
            ("response_type", "token", "invalid_request"),
            ("response_type", "code id_token", "invalid_request"),
        ] {
            let answer = authorize(&app, &ada.access_token, &parameters_with(&client, &[(name, value)])).await;
            assert_flat(&answer, 400, code);
        }
    }

    async fn what_is_wrong_otherwise_is_sent_back_with_the_state(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let client = register(&app, &ada, &described()).await;
        for (changed, error) in [
            (&[("scope", "openid admin")][..], "invalid_scope"),
            (&[("scope", "fly")], "invalid_scope"),
            (&[("scope", "openid  email")], "invalid_scope"),
            (&[("code_challenge", "short")], "invalid_request"),
            (&[("code_challenge", "")], "invalid_request"),
            (&[("code_challenge_method", "S512")], "invalid_request"),
            (&[("code_challenge_method", "plain")], "invalid_request"),
            (&[("code_challenge_method", "")], "invalid_request"),
            (&[("response_mode", "fragment")], "invalid_request"),
            (&[("prompt", "dance")], "invalid_request"),
            (&[("prompt", "none login")], "invalid_request"),
            (&[("max_age", "-1")], "invalid_request"),
            (&[("claims", "[1]")], "invalid_request"),
            (&[("request", "ey")], "request_not_supported"),
            (&[("request_uri", "https://shop.example.com/r")], "request_uri_not_supported"),
            (&[("registration", "{}")], "registration_not_supported"),
            (&[("resource", "https://api.example.com")], "invalid_target"),
            (&[("prompt", "login")], "login_required"),
            (&[("prompt", "consent")], "consent_required"),
        ] {
            let found = refused_with(&app, &ada.access_token, &parameters_with(&client, changed)).await;
            assert_eq!(found, error, "{changed:?}");
        }
        let machine = register(&app, &ada, &described_with(json!({
            "name": "Machine", "grant_types": ["client_credentials"],
        }))).await;
        let found = refused_with(&app, &ada.access_token, &parameters(&machine)).await;
        assert_eq!(found, "unauthorized_client");
        assert_eq!(app.sql_count("select count(*) from oauth_codes").await, 0);
    }

    async fn somebody_who_signed_in_too_long_ago_is_sent_back_to_sign_in(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let client = register(&app, &ada, &described()).await;
        app.advance(std::time::Duration::from_secs(61));
        let parameters = parameters_with(&client, &[("max_age", "60")]);
        assert_eq!(refused_with(&app, &ada.access_token, &parameters).await, "login_required");
        let parameters = parameters_with(&client, &[("max_age", "61")]);
        assert!(sent_back(&authorize(&app, &ada.access_token, &parameters).await).contains_key("code"));
    }

    async fn nobody_without_a_token_and_no_limited_token_gives_access(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let client = register(&app, &ada, &described()).await;
        let query = form(&parameters(&client).iter().map(|(a, b)| (a.as_str(), b.as_str())).collect::<Vec<_>>());
        assert_flat(&app.get(&format!("/oauth/authorize?{query}")).send().await, 401, "invalid_token");
        let limited = sign_in(&app, &ada, &client).await.text_at("access_token");
        assert_flat(&authorize(&app, &limited, &parameters(&client)).await, 403, "insufficient_scope");
        let own = crate::oauth::wire::token_request(&app, &client, &[("grant_type", "client_credentials")]).send().await;
        let own = own.text_at("access_token");
        assert_eq!(authorize(&app, &own, &parameters(&client)).await.status, 403);
        let body = json!({ "client_id": client.client_id, "redirect_uri": CALLBACK, "approve": true });
        let answer = app.post("/api/v1/oauth/authorize").bearer(&limited).json(&body).send().await;
        answer.assert_error(403, "PERMISSION_DENIED");
    }

    async fn a_public_client_has_to_send_a_challenge(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let client = register_public(&app, &ada).await;
        let without = parameters_with(&client, &[("code_challenge", ""), ("code_challenge_method", "")]);
        assert_eq!(refused_with(&app, &ada.access_token, &without).await, "invalid_request");
        sign_in(&app, &ada, &client).await;
    }

    async fn a_confidential_client_may_do_without(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let client = register(&app, &ada, &described()).await;
        let without = parameters_with(&client, &[("code_challenge", ""), ("code_challenge_method", "")]);
        let code = crate::oauth::wire::code_for(&app, &ada, &without).await;
        let fields = [("grant_type", "authorization_code"), ("code", &code), ("redirect_uri", CALLBACK)];
        crate::oauth::wire::token_request(&app, &client, &fields).send().await.assert_status(200);
    }

    async fn the_plain_challenge_is_for_confidential_clients_and_only_where_the_operator_allows_it(engine: Engine) {
        let allowed = |settings: &mut tidegate_kernel::Settings| {
            let mut rules = settings.oauth.rules.clone();
            rules.allow_plain_pkce = true;
            settings.set_oauth(rules);
        };
        let app = TestApp::builder(engine).settings(allowed).start().await;
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let client = register(&app, &ada, &described()).await;
        for method in ["plain", ""] {
            let plain = [("code_challenge", crate::oauth::wire::VERIFIER), ("code_challenge_method", method)];
            let code = crate::oauth::wire::code_for(&app, &ada, &parameters_with(&client, &plain)).await;
            exchange(&app, &client, &code).await.assert_status(200);
            let public = register_public_once(&app, &ada, method).await;
            let found = refused_with(&app, &ada.access_token, &parameters_with(&public, &plain)).await;
            assert_eq!(found, "invalid_request");
        }
    }

    async fn an_application_on_a_persons_device_is_sent_back_to_any_port_and_to_its_own_scheme(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let client = register_public(&app, &ada).await;
        for uri in ["http://127.0.0.1:51004/callback", "com.example.shop:/callback"] {
            let answer = approve(&app, &ada.access_token, &parameters_with(&client, &[("redirect_uri", uri)])).await;
            let location = answer.assert_status(302).header("location");
            assert!(location.starts_with(&format!("{uri}?code=")), "{location}");
        }
    }

    async fn the_answer_can_be_a_form_that_the_browser_posts(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let client = register(&app, &ada, &described()).await;
        let changed = [("response_mode", "form_post"), ("state", "\"><script>alert(1)</script>")];
        let answer = authorize(&app, &ada.access_token, &parameters_with(&client, &changed)).await;
        answer.assert_status(200);
        assert!(answer.text.contains(&format!("action=\"{CALLBACK}\"")) && answer.text.contains("name=\"code\""));
        assert!(!answer.text.contains("<script>"), "{}", answer.text);
        let policy = answer.header("content-security-policy");
        assert!(policy.contains("form-action https://shop.example.com;"), "{policy}");
        assert_eq!(answer.header("cache-control"), "no-store");
        let script = app.get("/oauth/form-post.js").send().await;
        assert!(script.assert_status(200).text.contains("submit"));
    }
}

async fn register_public_once(
    app: &TestApp,
    who: &tidegate_testkit::Person,
    name: &str,
) -> crate::oauth::wire::App {
    let body = described_with(json!({
        "name": format!("Public {name}."), "grant_types": ["authorization_code"], "token_endpoint_auth_method": "none",
    }));
    register(app, who, &body).await
}
