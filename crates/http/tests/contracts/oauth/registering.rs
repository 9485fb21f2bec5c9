//! Applications that register themselves: RFC 7591, RFC 7592, OpenID Connect Registration.

use std::time::Duration;

use serde_json::{Value, json};
use tidegate_domain::RegistrationMode;
use tidegate_domain::limit::Limit;
use tidegate_kernel::Settings;
use tidegate_testkit::{Answer, Engine, TestApp, on_both_engines};

use super::signing::{OWN, jwks, operator};
use super::wire::{
    ADA, App, CALLBACK, approve, assert_flat, authorize, described, exchange, form, organization, parameters,
    parameters_with, register, sent_back, sign_in, token_request,
};
use crate::pages::heading;
use crate::pages::sign_in::window::Window;
use crate::watch::Log;

const REGISTER: &str = "/oauth/register";

fn mode(mode: RegistrationMode) -> impl FnOnce(&mut Settings) {
    move |settings| {
        let mut rules = settings.oauth.rules.clone();
        rules.registration.mode = mode;
        rules.registration.organization = Some(1);
        rules.registration.by_network = None;
        settings.set_oauth(rules);
    }
}

fn shop() -> Value {
    json!({ "client_name": "Shop", "redirect_uris": [CALLBACK] })
}

fn with(name: &str, value: Value) -> Value {
    let mut body = shop();
    body[name] = value;
    body
}

async fn post(app: &TestApp, body: &Value) -> Answer {
    app.post(REGISTER).json(body).send().await
}

fn client(answer: &Answer) -> App {
    App {
        number: 0,
        client_id: answer.text_at("client_id"),
        secret: answer.field("client_secret").as_str().map(str::to_owned),
    }
}

/// The path of a registration, and the token to manage it by.
fn managed(answer: &Answer) -> (String, String) {
    let uri = answer.text_at("registration_client_uri");
    let path = uri.strip_prefix("https://id.example.com").unwrap().to_owned();
    (path, answer.text_at("registration_access_token"))
}

on_both_engines! {
    async fn nobody_registers_where_the_operator_does_not_allow_it(app: TestApp) {
        app.sign_up_rivergen_verified(ADA).await;
        assert_flat(&post(&app, &shop()).await, 404, "not_found");
        let one = app.get("/oauth/register/00000000-0000-4000-8000-000000000000").bearer("tgm_x").send().await;
        assert_flat(&one, 404, "not_found");
        let provider = app.get("/.well-known/openid-configuration").send().await;
        assert!(provider.body.get("registration_endpoint").is_none());
    }

    async fn an_application_registers_itself_and_signs_people_in(engine: Engine) {
        let app = TestApp::builder(engine).settings(mode(RegistrationMode::Open)).start().await;
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let provider = app.get("/.well-known/openid-configuration").send().await;
        assert_eq!(provider.text_at("registration_endpoint"), "https://id.example.com/oauth/register");
        let answer = post(&app, &shop()).await;
        answer.assert_status(201);
        assert_eq!(answer.field("client_secret_expires_at"), &json!(0));
        // OpenID Connect Registration section 2.
        assert_eq!(answer.text_at("id_token_signed_response_alg"), "RS256");
        assert_eq!(answer.text_at("token_endpoint_auth_method"), "client_secret_basic");
        assert_eq!(answer.text_at("scope"), "openid profile email");
        let client = client(&answer);
        let asked = parameters_with(&client, &[("scope", "openid email")]);
        let back = sent_back(&approve(&app, &ada.access_token, &asked).await);
        let tokens = exchange(&app, &client, &back["code"]).await;
        let id = tokens.assert_status(200).text_at("id_token");
        assert_eq!(jsonwebtoken::decode_header(&id).unwrap().alg, jsonwebtoken::Algorithm::RS256);
    }

    /// Nobody has looked at it: it is asked about, it is in nobody's confidence, and it has nothing in its own name.
    async fn one_that_registered_itself_is_nobodys(engine: Engine) {
        let app = TestApp::builder(engine).settings(mode(RegistrationMode::Open)).start().await;
        let ada = app.sign_up_rivergen_verified(ADA).await;
        assert_eq!(organization(&app, &ada).await, 1);
        let itself = client(&post(&app, &shop()).await);
        // Ada's is the organization with which it is kept, and she is asked nevertheless.
        let asked = parameters_with(&itself, &[("scope", "openid email")]);
        let back = sent_back(&authorize(&app, &ada.access_token, &asked).await);
        assert_eq!(back["error"], "consent_required");
        let own = token_request(&app, &itself, &[("grant_type", "client_credentials")]).send().await;
        assert_flat(&own, 400, "unauthorized_client");
        // It is not told of tokens of the organization.
        let trusted = register(&app, &ada, &described()).await;
        let tokens = sign_in(&app, &ada, &trusted).await;
        let token = tokens.text_at("access_token");
        let log = Log::listen();
        let told = token_request_to(&app, "/oauth/introspect", &itself, &[("token", &token)]).await;
        assert_eq!(told.assert_status(200).body, json!({ "active": false }));
        let line = log.last_answer();
        assert!(line.contains("is not of its organization, or this one registered itself"), "{line}");
        // The page names where its people are sent, and no organization.
        let window = Window::new(&app);
        window.sign_in(ADA).await;
        let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(&asked).finish();
        let page = window.open(&format!("/oauth/authorize?{query}")).await;
        assert_eq!(heading(&page), "Allow access?");
        assert!(page.text.contains("shop.example.com"), "{}", page.text);
    }

    async fn a_token_registers_as_many_as_it_is_for(engine: Engine) {
        let app = TestApp::builder(engine).settings(mode(RegistrationMode::Token)).start().await;
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let number = organization(&app, &ada).await;
        let home = app.oauth().organization_numbered(number).await.unwrap().unwrap();
        let week = Duration::from_secs(7 * 24 * 3_600);
        let (made, token) = app.oauth().create_initial_token(&operator(&app), home, 2, week).await.unwrap();
        let with_token = |token: &str| app.post(REGISTER).bearer(token).json(&shop());
        let refused = post(&app, &shop()).await;
        assert_flat(&refused, 401, "invalid_token");
        assert!(refused.header("www-authenticate").starts_with("Bearer"));
        assert_flat(&with_token("tgi_wrong").send().await, 401, "invalid_token");
        // What is refused for itself uses nothing up.
        let wrong = app.post(REGISTER).bearer(token.expose()).json(&with("redirect_uris", json!(["javascript:1"])));
        assert_flat(&wrong.send().await, 400, "invalid_redirect_uri");
        let all = futures_util::future::join_all((0..5).map(|_| with_token(token.expose()).send())).await;
        assert_eq!(all.iter().filter(|answer| answer.status == 201).count(), 2);
        assert_eq!(app.oauth().list_initial_tokens().await.unwrap().len(), 0, "{made:?}");
        let (_, old) = app.oauth().create_initial_token(&operator(&app), home, 2, week).await.unwrap();
        app.advance(week);
        assert_flat(&with_token(old.expose()).send().await, 401, "invalid_token");
    }

    async fn what_is_not_right_is_not_registered(engine: Engine) {
        let app = TestApp::builder(engine).settings(mode(RegistrationMode::Open)).start().await;
        app.sign_up_rivergen_verified(ADA).await;
        for (name, value, error) in [
            ("redirect_uris", json!([]), "invalid_redirect_uri"),
            ("redirect_uris", json!(["http://shop.example.com/cb"]), "invalid_redirect_uri"),
            ("redirect_uris", json!(["https://shop.example.com/cb#x"]), "invalid_redirect_uri"),
            ("redirect_uris", json!(["com.example.shop:/cb"]), "invalid_redirect_uri"),
            ("redirect_uris", json!(["https://shop.example.com/*"]), "invalid_redirect_uri"),
            ("redirect_uris", json!("https://shop.example.com"), "invalid_client_metadata"),
            ("redirect_uris", json!([1]), "invalid_client_metadata"),
            ("redirect_uris", json!(vec!["https://shop.example.com/"; 51]), "invalid_client_metadata"),
            ("client_name", json!("a\u{0}b"), "invalid_client_metadata"),
            ("client_name", json!("x".repeat(200)), "invalid_client_metadata"),
            ("client_name", json!({}), "invalid_client_metadata"),
            ("grant_types", json!(["client_credentials"]), "invalid_client_metadata"),
            ("grant_types", json!(["authorization_code", "implicit"]), "invalid_client_metadata"),
            ("grant_types", json!(["refresh_token"]), "invalid_client_metadata"),
            ("response_types", json!(["token"]), "invalid_client_metadata"),
            ("response_types", json!(["code", "code id_token"]), "invalid_client_metadata"),
            ("scope", json!("openid admin"), "invalid_client_metadata"),
            ("scope", json!("full"), "invalid_client_metadata"),
            ("token_endpoint_auth_method", json!("tls_client_auth"), "invalid_client_metadata"),
            ("token_endpoint_auth_method", json!("private_key_jwt"), "invalid_client_metadata"),
            ("id_token_signed_response_alg", json!("none"), "invalid_client_metadata"),
            ("id_token_signed_response_alg", json!("HS256"), "invalid_client_metadata"),
            ("token_endpoint_auth_signing_alg", json!("none"), "invalid_client_metadata"),
            ("request_object_signing_alg", json!("none"), "invalid_client_metadata"),
            ("jwks_uri", json!("https://169.254.169.254/"), "invalid_client_metadata"),
            ("jwks_uri", json!("http://shop.example.com/jwks"), "invalid_client_metadata"),
            ("jwks", json!({ "keys": [] }), "invalid_client_metadata"),
            ("jwks", json!({ "keys": [{ "kty": "oct", "k": "c2VjcmV0" }] }), "invalid_client_metadata"),
            ("logo_uri", json!("javascript:alert(1)"), "invalid_client_metadata"),
            ("policy_uri", json!("http://shop.example.com"), "invalid_client_metadata"),
            ("contacts", json!(["a\nb"]), "invalid_client_metadata"),
            ("id_token_encrypted_response_alg", json!("RSA-OAEP"), "invalid_client_metadata"),
            ("subject_type", json!("transient"), "invalid_client_metadata"),
            ("software_statement", json!("ey"), "unapproved_software_statement"),
        ] {
            let answer = post(&app, &with(name, value.clone())).await;
            assert_eq!(answer.status, 400, "{name} {value}: {}", answer.text);
            assert_flat(&answer, 400, error);
        }
        let form = app.post(REGISTER).form("a=b").send().await;
        assert_flat(&form, 415, "invalid_request");
        assert!(form.text.contains("send the body as application/json"), "{}", form.text);
        assert_eq!(app.sql_count("select count(*) from oauth_applications").await, 0);
        // What is not known is ignored, and keys lose what is not public.
        let mut jwk = OWN.jwk();
        jwk["x5u"] = json!("https://evil.example");
        let mut body = with("jwks", json!({ "keys": [jwk] }));
        body["token_endpoint_auth_method"] = json!("private_key_jwt");
        body["flies"] = json!(true);
        let answer = post(&app, &body).await;
        assert!(answer.assert_status(201).body.get("flies").is_none() && answer.body.get("client_secret").is_none());
        assert_eq!(answer.field("jwks"), &jwks(&[OWN]));
    }

    async fn a_registration_is_read_changed_and_removed_with_its_token(engine: Engine) {
        let app = TestApp::builder(engine).settings(mode(RegistrationMode::Open)).start().await;
        app.sign_up_rivergen_verified(ADA).await;
        let answer = post(&app, &shop()).await;
        let (path, token) = managed(&answer);
        let other = managed(&post(&app, &shop()).await);
        let read = app.get(&path).bearer(&token).send().await;
        assert_eq!(read.assert_status(200).text_at("client_id"), answer.text_at("client_id"));
        assert!(read.body.get("client_secret").is_none() && read.body.get("registration_access_token").is_none());
        let secret = answer.text_at("client_secret");
        for wrong in ["", "tgm_x", other.1.as_str(), secret.as_str()] {
            let request = if wrong.is_empty() { app.get(&path) } else { app.get(&path).bearer(wrong) };
            assert_flat(&request.send().await, 401, "invalid_token");
        }
        let mut body = with("redirect_uris", json!(["https://shop.example.com/new"]));
        let put = |body: &Value| app.put(&path).bearer(&token).json(body);
        assert_flat(&put(&body).send().await, 400, "invalid_client_metadata");
        body["client_id"] = json!(answer.text_at("client_id"));
        body["client_secret"] = json!("secret_another");
        assert_flat(&put(&body).send().await, 400, "invalid_client_metadata");
        body["client_secret"] = json!(secret);
        body["scope"] = json!("openid");
        let changed = put(&body).send().await;
        assert_eq!(changed.assert_status(200).field("redirect_uris"), &json!(["https://shop.example.com/new"]));
        assert_eq!((changed.text_at("scope").as_str(), changed.body.get("client_secret")), ("openid", None));
        body["token_endpoint_auth_method"] = json!("client_secret_jwt");
        assert!(put(&body).send().await.assert_status(200).text_at("client_secret").starts_with("secret_"));
        let removed = app.delete(&path).bearer(&token).send().await;
        assert_eq!((removed.status, removed.text.as_str()), (204, ""));
        assert_flat(&app.get(&path).bearer(&token).send().await, 401, "invalid_token");
        app.get(&other.0).bearer(&other.1).send().await.assert_status(200);
    }

    async fn registrations_are_bounded_by_network_and_in_all(engine: Engine) {
        let app = TestApp::builder(engine).settings(|settings| {
            mode(RegistrationMode::Open)(settings);
            let mut rules = settings.oauth.rules.clone();
            rules.registration.by_network = Some(Limit::new(3, 3_600));
            rules.registration.most = 4;
            settings.set_oauth(rules);
        }).start().await;
        app.sign_up_rivergen_verified(ADA).await;
        let mut answered = Vec::new();
        for _ in 0..4 {
            answered.push(post(&app, &shop()).await.status);
        }
        assert_eq!(answered, [201, 201, 201, 429]);
        let elsewhere = |ip: &str| app.post(REGISTER).ip(ip).json(&shop());
        elsewhere("203.0.113.1").send().await.assert_status(201);
        assert_flat(&elsewhere("203.0.113.2").send().await, 503, "temporarily_unavailable");
        assert_eq!(app.sql_count("select count(*) from oauth_applications").await, 4);
    }

    /// A change writes, and may have this server read what a stranger names: it counts like a registration.
    async fn changes_of_registrations_are_bounded_by_network(engine: Engine) {
        let app = TestApp::builder(engine).settings(|settings| {
            mode(RegistrationMode::Open)(settings);
            let mut rules = settings.oauth.rules.clone();
            rules.registration.by_network = Some(Limit::new(3, 3_600));
            settings.set_oauth(rules);
        }).start().await;
        app.sign_up_rivergen_verified(ADA).await;
        let answer = post(&app, &shop()).await;
        let (path, token) = managed(&answer);
        let body = with("client_id", json!(answer.text_at("client_id")));
        let mut answered = Vec::new();
        for _ in 0..3 {
            answered.push(app.put(&path).bearer(&token).json(&body).send().await.status);
        }
        assert_eq!(answered, [200, 200, 429]);
        app.get(&path).bearer(&token).send().await.assert_status(200);
    }

    async fn those_that_nobody_uses_are_removed(engine: Engine) {
        let app = TestApp::builder(engine).settings(mode(RegistrationMode::Open)).start().await;
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let managed = register(&app, &ada, &described()).await;
        let (used, _) = (client(&post(&app, &shop()).await), post(&app, &shop()).await);
        app.advance(Duration::from_secs(60 * 24 * 3_600));
        let wrong = token_request(&app, &used, &[("grant_type", "client_credentials")]).send().await;
        assert_flat(&wrong, 400, "unauthorized_client");
        app.advance(Duration::from_secs(40 * 24 * 3_600));
        app.kernel().prune().await.unwrap();
        let left = app.database.sql_texts("select name from oauth_applications order by number").await;
        assert_eq!((left.len(), left[0].as_str()), (2, "Shop"), "{managed:?} {left:?}");
    }

    async fn an_operator_takes_one_out_of_use_and_its_token_with_it(engine: Engine) {
        let app = TestApp::builder(engine).settings(mode(RegistrationMode::Open)).start().await;
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let answer = post(&app, &shop()).await;
        let (path, token) = managed(&answer);
        let id = answer.text_at("client_id").parse::<uuid::Uuid>().unwrap().into();
        app.oauth().suspend_application(&operator(&app), id).await.unwrap();
        assert_flat(&app.get(&path).bearer(&token).send().await, 401, "invalid_token");
        let shown = authorize(&app, &ada.access_token, &parameters(&client(&answer))).await;
        assert_flat(&shown, 400, "invalid_client");
    }
}

/// A request of an application that proves who it is in the body.
async fn token_request_to(app: &TestApp, path: &str, client: &App, fields: &[(&str, &str)]) -> Answer {
    let mut all = vec![("client_id", client.client_id.as_str())];
    all.extend(client.secret.as_deref().map(|secret| ("client_secret", secret)));
    all.extend_from_slice(fields);
    app.post(path).form(&form(&all)).send().await
}
