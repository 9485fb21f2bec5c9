//! Names of people that differ from application to application (OpenID Connect Core section 8), signed userinfo, and claims of an
//! installation's own.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use tidegate_kernel::{Call, Settings};
use tidegate_oauth::applications::{RulesChange, SubjectType};
use tidegate_testkit::{Answer, Engine, TestApp, on_both_engines};

use super::wire::{
    ADA, App, authorize, claims, described, described_with, exchange, form, me, parameters_with, refresh,
    register, sent_back, sign_in,
};

async fn set(app: &TestApp, client: &App, change: RulesChange) -> bool {
    let call = Call::from_cli(app.kernel().settings().contracts.of_installation());
    let id = tidegate_domain::id::ApplicationId(client.client_id.parse().unwrap());
    app.oauth().set_application_rules(&call, id, change).await.is_ok()
}

fn pairwise(sector: Option<&str>) -> RulesChange {
    RulesChange { subject: Some(SubjectType::Pairwise(sector.map(str::to_owned))), ..RulesChange::default() }
}

async fn userinfo(app: &TestApp, token: &str) -> Answer {
    app.get("/oauth/userinfo").bearer(token).send().await
}

/// What an application calls the person, wherever it is told.
async fn subject(app: &TestApp, client: &App, tokens: &Answer) -> String {
    let access = tokens.text_at("access_token");
    let subject = claims(&tokens.text_at("id_token"))["sub"].as_str().unwrap().to_owned();
    assert_eq!(claims(&access)["sub"], json!(subject));
    assert_eq!(userinfo(app, &access).await.assert_status(200).text_at("sub"), subject);
    for token in [&access, &tokens.text_at("refresh_token")] {
        let fields = [
            ("client_id", client.client_id.as_str()),
            ("client_secret", client.secret.as_deref().unwrap()),
            ("token", token),
        ];
        let said = app.post("/oauth/introspect").form(&form(&fields)).send().await;
        assert_eq!((said.field("active"), said.text_at("sub")), (&json!(true), subject.clone()));
    }
    subject
}

fn with_claims(settings: &mut Settings) {
    let mut rules = settings.oauth.rules.clone();
    rules.claims = serde_json::from_value(json!([
        { "name": "https://example.com/role", "scope": "profile", "from": "role" },
        { "name": "https://example.com/organization", "scope": "profile", "from": "organization_name" },
        { "name": "team", "scope": "email", "from": "metadata:team" },
        { "name": "missing", "scope": "email", "from": "metadata:missing" },
        { "name": "number", "scope": "phone", "from": "account_number" },
    ]))
    .unwrap();
    settings.set_oauth(rules);
}

on_both_engines! {
    async fn a_person_has_another_name_in_each_sector_wherever_it_is_told(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let public = register(&app, &ada, &described()).await;
        let elsewhere = json!({ "name": "Elsewhere", "redirect_uris": [crate::oauth::wire::CALLBACK] });
        let [first, second, other] = [
            register(&app, &ada, &described_with(json!({ "name": "First" }))).await,
            register(&app, &ada, &described_with(elsewhere)).await,
            register(&app, &ada, &described_with(json!({ "name": "Other" }))).await,
        ];
        // Redirect URIs of the usual application have two hosts.
        assert!(!set(&app, &first, pairwise(None)).await);
        assert!(!set(&app, &first, pairwise(Some("not a host"))).await);
        assert!(set(&app, &first, pairwise(Some("shop.example.com"))).await);
        assert!(set(&app, &second, pairwise(None)).await);
        assert!(set(&app, &other, pairwise(Some("other.example.com"))).await);
        let mut subjects = Vec::new();
        for client in [&public, &first, &second, &other] {
            subjects.push(subject(&app, client, &sign_in(&app, &ada, client).await).await);
        }
        assert_eq!(subjects[1], subjects[2], "one sector");
        assert!(subjects[0] != subjects[1] && subjects[0] != subjects[3] && subjects[1] != subjects[3]);
        assert_eq!(app.sql_count("select count(*) from oauth_pairwise_keys").await, 1);
        // For good: after refreshing, another time, and on another node, which reads the key from the store.
        let tokens = sign_in(&app, &ada, &first).await;
        let next = refresh(&app, &first, &tokens.text_at("refresh_token")).await;
        assert_eq!(subject(&app, &first, &next).await, subjects[1]);
        assert_eq!(me(&app, &next.text_at("access_token")).await, 403, "what others are told");
        let node = app.another_node().await;
        let elsewhere = node.client().get("/oauth/userinfo").bearer(&next.text_at("access_token")).send().await;
        assert_eq!(elsewhere.assert_status(200).text_at("sub"), subjects[1]);
    }

    /// Else the key before it could never be retired.
    async fn the_key_of_names_is_sealed_anew_after_the_master_key_was_replaced(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let client = register(&app, &ada, &described()).await;
        assert!(set(&app, &client, pairwise(Some("shop.example.com"))).await);
        let named = claims(&sign_in(&app, &ada, &client).await.text_at("id_token"))["sub"].clone();
        app.sql("create table sealed_before as select sealed from oauth_pairwise_keys").await;
        let is_as_before = "select count(*) from oauth_pairwise_keys where sealed in (select sealed from sealed_before)";
        app.kernel().prune().await.unwrap();
        assert_eq!(app.sql_count(is_as_before).await, 1, "it is under the key in use");
        let node = app.another_node_under(2, &[1]).await;
        node.kernel.prune().await.unwrap();
        assert_eq!(app.sql_count(is_as_before).await, 0);
        // The names stay.
        let code = crate::oauth::wire::code(&app, &ada, &client).await;
        let fields = [
            ("grant_type", "authorization_code"), ("code", code.as_str()),
            ("redirect_uri", crate::oauth::wire::CALLBACK), ("code_verifier", crate::oauth::wire::VERIFIER),
        ];
        let tokens = crate::oauth::wire::token_request_at(&node.client(), &client, &fields).send().await;
        assert_eq!(claims(&tokens.assert_status(200).text_at("id_token"))["sub"], named);
    }

    async fn a_pairwise_name_is_understood_as_a_hint(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let client = register(&app, &ada, &described()).await;
        assert!(set(&app, &client, pairwise(Some("shop.example.com"))).await);
        let tokens = sign_in(&app, &ada, &client).await;
        let hint = parameters_with(&client, &[("id_token_hint", &tokens.text_at("id_token")), ("prompt", "none")]);
        assert!(sent_back(&authorize(&app, &ada.access_token, &hint).await).contains_key("code"));
        let eve = app.sign_up_rivergen_verified("eve@example.com").await;
        assert_eq!(sent_back(&authorize(&app, &eve.access_token, &hint).await)["error"], "login_required");
    }

    async fn a_session_with_a_pairwise_name_ends_at_once(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let client = register(&app, &ada, &described()).await;
        assert!(set(&app, &client, pairwise(Some("shop.example.com"))).await);
        let token = sign_in(&app, &ada, &client).await.text_at("access_token");
        assert_eq!(me(&app, &token).await, 403);
        app.post("/oauth/token/revoke").form(&form(&[("token", &token)])).send().await.assert_status(200);
        assert_eq!(me(&app, &token).await, 401);
    }

    async fn userinfo_is_signed_for_an_application_that_wants_it(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let client = register(&app, &ada, &described()).await;
        let change = RulesChange { userinfo_signed: Some(true), ..RulesChange::default() };
        assert!(set(&app, &client, change).await);
        let tokens = sign_in(&app, &ada, &client).await;
        let answer = userinfo(&app, &tokens.text_at("access_token")).await;
        assert_eq!((answer.status, answer.header("content-type")), (200, "application/jwt"));
        let said = claims(&answer.text);
        assert_eq!((&said["iss"], &said["aud"]), (&json!("https://id.example.com"), &json!(client.client_id)));
        assert_eq!((&said["sub"], &said["email"]), (&claims(&tokens.text_at("id_token"))["sub"], &json!(ADA)));
        let header: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(answer.text.split('.').next().unwrap()).unwrap()).unwrap();
        let keys = app.get("/.well-known/jwks.json").send().await;
        assert_eq!((&header["kid"], &header["alg"]), (keys.field("keys.0.kid"), keys.field("keys.0.alg")));
        // It is no access token, and no ID token of a sign-in.
        assert_eq!(me(&app, &answer.text).await, 401);
        assert!(said.get("exp").is_none() && said.get("nonce").is_none());
    }

    async fn an_operator_has_more_told_with_a_scope(engine: Engine) {
        let app = TestApp::builder(engine).settings(with_claims).start().await;
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let client = register(&app, &ada, &described()).await;
        app.sql("update accounts set user_metadata = '{\"team\": [\"red\", 7]}'").await;
        let token = async |scope: &str| {
            let code = crate::oauth::wire::code_for(&app, &ada, &parameters_with(&client, &[("scope", scope)])).await;
            exchange(&app, &client, &code).await.text_at("access_token")
        };
        let told = userinfo(&app, &token("openid email").await).await;
        assert_eq!(told.assert_status(200).field("team"), &json!(["red", 7]));
        for absent in ["missing", "number", "https://example.com/role"] {
            assert!(told.body.get(absent).is_none(), "{absent}");
        }
        let told = userinfo(&app, &token("openid profile").await).await;
        assert_eq!(told.body.get("https://example.com/role"), Some(&json!("owner")));
        assert!(told.body.get("https://example.com/organization").is_some_and(Value::is_string) && told.body.get("team").is_none());
    }

    async fn an_id_token_says_with_how_many_factors(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let client = register(&app, &ada, &described()).await;
        let said = claims(&sign_in(&app, &ada, &client).await.text_at("id_token"));
        assert_eq!((&said["acr"], &said["azp"]), (&json!("1fa"), &json!(client.client_id)));
        let found = app.get("/.well-known/openid-configuration").send().await;
        assert_eq!(found.field("acr_values_supported"), &json!(["1fa", "mfa"]));
        assert_eq!(found.field("subject_types_supported"), &json!(["public", "pairwise"]));
    }
}
