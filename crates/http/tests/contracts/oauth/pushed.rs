//! Authorization requests that are pushed (RFC 9126) or signed (RFC 9101); RFC 9700 sections 4.1, 4.2 and 4.4.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use tidegate_testkit::{Answer, Engine, PASSWORD, Person, TestApp, on_both_engines};
use url::form_urlencoded::Serializer;

use super::signing::{ISSUER, JWT_BEARER, OTHER, OWN, assertion, change, jwks, signed_request, with_key};
use super::wire::{
    ADA, App, CALLBACK, approve, assert_flat, authorize, described, described_with, exchange, form,
    parameters, parameters_with, register, register_public, sent_back, token_request,
};
use crate::pages::heading;
use crate::pages::sign_in::window::Window;

const URN: &str = "urn:ietf:params:oauth:request_uri:";

/// Pushes a request, as an application that proves who it is in the body.
async fn push(app: &TestApp, client: &App, fields: &[(&str, &str)]) -> Answer {
    let mut all = vec![("client_id", client.client_id.as_str())];
    all.extend(client.secret.as_deref().map(|secret| ("client_secret", secret)));
    all.extend(fields.iter().filter(|(name, _)| *name != "client_id"));
    app.post("/oauth/par").form(&form(&all)).send().await
}

async fn push_usual(app: &TestApp, client: &App, changed: &[(&str, &str)]) -> Answer {
    let parameters = parameters_with(client, changed);
    let fields: Vec<_> = parameters.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    push(app, client, &fields).await
}

/// What the browser brings for a pushed request.
fn brought(client: &App, request_uri: &str) -> std::collections::BTreeMap<String, String> {
    [("client_id", client.client_id.as_str()), ("request_uri", request_uri)]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
}

fn address(fields: &std::collections::BTreeMap<String, String>) -> String {
    format!("/oauth/authorize?{}", Serializer::new(String::new()).extend_pairs(fields).finish())
}

async fn shop(app: &TestApp) -> (Person, App) {
    let ada = app.sign_up_rivergen_verified(ADA).await;
    let client = register(app, &ada, &described()).await;
    (ada, client)
}

/// The usual application, with its secret and a key besides.
async fn signing_shop(app: &TestApp) -> (Person, App) {
    let (ada, client) = shop(app).await;
    let client = change(app, &client, None, |metadata| metadata.jwks = Some(jwks(&[OWN]))).await;
    (ada, client)
}

async fn assert_object_refused(app: &TestApp, ada: &Person, client: &App, object: &str, why: &Value) {
    let query = form(&[("client_id", &client.client_id), ("request", object)]);
    let shown = app.get(&format!("/oauth/authorize?{query}")).bearer(&ada.access_token).send().await;
    assert_eq!(shown.status, 400, "{why}: {}", shown.header("location"));
    assert_flat(&shown, 400, "invalid_request_object");
    let pushed = push(app, client, &[("request", object)]).await;
    assert_flat(&pushed, 400, "invalid_request_object");
}

on_both_engines! {
    async fn a_request_is_pushed_brought_and_answered_once(app: TestApp) {
        let (ada, client) = shop(&app).await;
        let answer = push_usual(&app, &client, &[]).await;
        assert_eq!((answer.assert_status(201).field("expires_in"), answer.header("cache-control")), (&json!(90), "no-store"));
        let request_uri = answer.text_at("request_uri");
        assert!(request_uri.starts_with(URN) && request_uri.len() > URN.len() + 40);
        let back = sent_back(&approve(&app, &ada.access_token, &brought(&client, &request_uri)).await);
        assert_eq!(back["state"], "some state");
        exchange(&app, &client, &back["code"]).await.assert_status(200);
        let again = approve(&app, &ada.access_token, &brought(&client, &request_uri)).await;
        assert_flat(&again, 400, "invalid_request_uri");
    }

    async fn a_person_signs_in_and_answers_a_pushed_request_though_that_takes_longer_than_it_waits(app: TestApp) {
        let (_, client) = shop(&app).await;
        let request_uri = push_usual(&app, &client, &[]).await.text_at("request_uri");
        let window = Window::new(&app);
        let page = window.visit(&address(&brought(&client, &request_uri))).await;
        assert_eq!(heading(&page), "Sign in");
        app.advance(Duration::from_secs(300));
        let page = window.press(&page, "/sign-in", &[("login", ADA), ("password", PASSWORD)]).await;
        assert_eq!(heading(&page), "Allow access?", "{}", page.text);
        let answer = window.submit(&page, "/oauth/authorize", &[]).await;
        let back = sent_back(&answer);
        exchange(&app, &client, &back["code"]).await.assert_status(200);
        let page = window.open(&address(&brought(&client, &request_uri))).await;
        assert_eq!((page.status, heading(&page)), (400, "Request refused"));
    }

    /// Nothing that stands beside it counts (RFC 9126 section 4, RFC 9101 section 6.3).
    async fn what_stands_beside_a_pushed_request_does_not_count(app: TestApp) {
        let (ada, client) = shop(&app).await;
        let request_uri = push_usual(&app, &client, &[("scope", "openid")]).await.text_at("request_uri");
        let mut beside = brought(&client, &request_uri);
        for (name, value) in [("scope", "openid read"), ("state", "forged"), ("redirect_uri", "https://evil.example/"), ("nonce", "x")] {
            beside.insert(name.to_owned(), value.to_owned());
        }
        let back = sent_back(&approve(&app, &ada.access_token, &beside).await);
        assert_eq!(back["state"], "some state");
        let tokens = exchange(&app, &client, &back["code"]).await;
        assert_eq!(tokens.assert_status(200).text_at("scope"), "openid");
    }

    async fn a_pushed_request_is_its_applications_and_expires(app: TestApp) {
        let (ada, client) = shop(&app).await;
        let other = register(&app, &ada, &described_with(json!({ "name": "Other" }))).await;
        let request_uri = push_usual(&app, &client, &[]).await.text_at("request_uri");
        let stolen = approve(&app, &ada.access_token, &brought(&other, &request_uri)).await;
        assert_flat(&stolen, 400, "invalid_request_uri");
        for unknown in [URN.to_owned(), format!("{URN}p.x"), format!("{request_uri}x"), request_uri.to_uppercase()] {
            let answer = approve(&app, &ada.access_token, &brought(&client, &unknown)).await;
            assert_eq!((answer.status, answer.header("location")), (400, ""), "{unknown}");
        }
        app.advance(Duration::from_secs(90));
        let late = approve(&app, &ada.access_token, &brought(&client, &request_uri)).await;
        assert_flat(&late, 400, "invalid_request_uri");
        // The application itself ends what it pushed by being removed.
        let kept = "select count(*) from oauth_pushed_requests";
        assert_eq!(app.sql_count(kept).await, 1);
    }

    async fn what_the_authorization_endpoint_would_refuse_is_refused_at_once(app: TestApp) {
        let (_, client) = shop(&app).await;
        for (changed, error) in [
            (("redirect_uri", "https://evil.example/"), "invalid_request"),
            (("redirect_uri", ""), "invalid_request"),
            (("response_type", "token"), "invalid_request"),
            (("scope", "admin"), "invalid_scope"),
            (("code_challenge_method", "plain"), "invalid_request"),
            (("request_uri", "https://shop.example.com/r"), "invalid_request"),
            (("request_uri", &format!("{URN}p.x")), "invalid_request"),
            (("request", "ey"), "request_not_supported"),
            (("resource", "https://api.example.com"), "invalid_target"),
        ] {
            assert_flat(&push_usual(&app, &client, &[changed]).await, 400, error);
        }
        let anonymous = App { secret: None, ..client.clone() };
        assert_flat(&push_usual(&app, &anonymous, &[]).await, 401, "invalid_client");
        let twice = form(&[("client_id", &client.client_id), ("client_id", &client.client_id)]);
        assert_flat(&app.post("/oauth/par").form(&twice).send().await, 400, "invalid_request");
        let json = app.post("/oauth/par").json(&json!({ "client_id": client.client_id })).send().await;
        assert_flat(&json, 415, "invalid_request");
        assert_eq!(app.sql_count("select count(*) from oauth_pushed_requests").await, 0);
    }

    /// RFC 9126 section 5: whoever has to push cannot be talked out of it by an address.
    async fn an_application_that_has_to_push_is_not_asked_in_another_way(app: TestApp) {
        let (ada, client) = shop(&app).await;
        change(&app, &client, None, |metadata| metadata.require_pushed_authorization_requests = true).await;
        let back = sent_back(&authorize(&app, &ada.access_token, &parameters(&client)).await);
        assert_eq!(back["error"], "invalid_request");
        let request_uri = push_usual(&app, &client, &[]).await.text_at("request_uri");
        let back = sent_back(&approve(&app, &ada.access_token, &brought(&client, &request_uri)).await);
        assert!(back.contains_key("code"));
    }

    async fn an_operator_has_everybody_push(engine: Engine) {
        let app = TestApp::builder(engine).settings(|settings| {
            let mut rules = settings.oauth.rules.clone();
            rules.require_pushed_authorization_requests = true;
            settings.set_oauth(rules);
        }).start().await;
        let (ada, client) = shop(&app).await;
        let back = sent_back(&authorize(&app, &ada.access_token, &parameters(&client)).await);
        assert_eq!(back["error"], "invalid_request");
        let provider = app.get("/.well-known/openid-configuration").send().await;
        assert_eq!(provider.field("require_pushed_authorization_requests"), &json!(true));
        // A public client pushes, too: with its challenge.
        let public = register_public(&app, &ada).await;
        push_usual(&app, &public, &[]).await.assert_status(201);
        assert_flat(&push_usual(&app, &public, &[("code_challenge", "")]).await, 400, "invalid_request");
    }

    async fn a_signed_request_counts_and_nothing_beside_it(app: TestApp) {
        let (ada, client) = signing_shop(&app).await;
        let object = OWN.sign_with(&signed_request(&app, &client), |header| header.typ = Some("oauth-authz-req+jwt".to_owned()));
        let mut fields = parameters_with(&client, &[("scope", "openid read"), ("state", "forged"), ("redirect_uri", "https://evil.example/")]);
        fields.insert("request".to_owned(), object.clone());
        let back = sent_back(&approve(&app, &ada.access_token, &fields).await);
        assert_eq!(back["state"], "some state");
        exchange(&app, &client, &back["code"]).await.assert_status(200);
        // Pushed, too.
        let pushed = push(&app, &client, &[("request", &object), ("state", "forged")]).await;
        let request_uri = pushed.assert_status(201).text_at("request_uri");
        let back = sent_back(&approve(&app, &ada.access_token, &brought(&client, &request_uri)).await);
        assert_eq!(back["state"], "some state");
    }

    async fn numbers_and_objects_in_a_signed_request_are_parameters(app: TestApp) {
        let (ada, client) = signing_shop(&app).await;
        let mut claims = signed_request(&app, &client);
        claims["max_age"] = json!(3600);
        claims["claims"] = json!({ "id_token": { "auth_time": { "essential": true } } });
        let fields = [("client_id", client.client_id.as_str()), ("request", &OWN.sign(&claims))]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into();
        assert!(sent_back(&approve(&app, &ada.access_token, &fields).await).contains_key("code"));
    }

    async fn a_signed_request_is_the_applications_for_this_server_and_of_now(app: TestApp) {
        let (ada, client) = signing_shop(&app).await;
        let now = app.now().seconds();
        for wrong in [
            json!({ "iss": null }),
            json!({ "iss": "somebody" }),
            json!({ "aud": null }),
            json!({ "aud": "https://other.example.com" }),
            json!({ "aud": [ISSUER, "https://other.example.com"] }),
            json!({ "exp": null }),
            json!({ "exp": now - 60 }),
            json!({ "exp": now + 7_200 }),
            json!({ "exp": 1e300 }),
            json!({ "nbf": now + 600 }),
            json!({ "client_id": "00000000-0000-4000-8000-000000000000" }),
            // What authenticates the client is no request (RFC 9101 section 10.8).
            json!({ "sub": client.client_id }),
            json!({ "request": "ey" }),
            json!({ "request_uri": "https://shop.example.com/r" }),
            json!({ "scope": ["openid"] }),
            json!({ "state": "a\u{0}b" }),
            json!({ "state": "x".repeat(3_000) }),
        ] {
            let mut claims = signed_request(&app, &client);
            for (name, value) in wrong.as_object().unwrap() {
                claims[name] = value.clone();
                if value.is_null() {
                    claims.as_object_mut().unwrap().remove(name);
                }
            }
            assert_object_refused(&app, &ada, &client, &OWN.sign(&claims), &wrong).await;
        }
    }

    /// RFC 8725 sections 2.1 and 3.1; RFC 9101 section 10.
    async fn no_header_of_a_request_talks_this_server_into_another_key_or_algorithm(app: TestApp) {
        let (ada, client) = signing_shop(&app).await;
        let claims = signed_request(&app, &client);
        let body = URL_SAFE_NO_PAD.encode(claims.to_string());
        let of = |header: Value| format!("{}.{body}.", URL_SAFE_NO_PAD.encode(header.to_string()));
        for object in [
            of(json!({ "alg": "none" })),
            of(json!({ "alg": "HS256", "kid": OWN.kid })),
            OTHER.sign(&claims),
            OTHER.sign_with(&claims, |header| header.kid = Some(OWN.kid.to_owned())),
            OTHER.sign_with(&claims, |header| { header.kid = None; header.jwk = serde_json::from_value(OTHER.jwk()).ok(); }),
            OWN.sign_with(&claims, |header| header.crit = Some(vec!["exp".to_owned()])),
            OWN.sign_with(&claims, |header| header.typ = Some("client-authentication+jwt".to_owned())),
            // Encrypted: refused clearly, and nothing of it is opened.
            "eyJhbGciOiJSU0EtT0FFUCIsImVuYyI6IkExMjhHQ00iLCJ6aXAiOiJERUYifQ.AAAA.AAAA.AAAA.AAAA".to_owned(),
            "a.b.c".to_owned(),
        ] {
            assert_object_refused(&app, &ada, &client, &object, &json!(object)).await;
        }
        let shown = push(&app, &client, &[("request", "a.b.c.d.e")]).await;
        assert!(shown.text_at("error_description").contains("encrypted"));
    }

    async fn an_application_that_has_to_sign_cannot_be_asked_unsigned(app: TestApp) {
        let (ada, client) = signing_shop(&app).await;
        change(&app, &client, None, |metadata| metadata.require_signed_request_object = true).await;
        let back = sent_back(&authorize(&app, &ada.access_token, &parameters(&client)).await);
        assert_eq!(back["error"], "invalid_request");
        assert_flat(&push_usual(&app, &client, &[]).await, 400, "invalid_request");
        let object = OWN.sign(&signed_request(&app, &client));
        push(&app, &client, &[("request", &object)]).await.assert_status(201);
    }

    async fn a_browser_brings_a_signed_request_and_its_person_has_time(app: TestApp) {
        let (_, client) = signing_shop(&app).await;
        let object = OWN.sign(&signed_request(&app, &client));
        let window = Window::new(&app);
        let query = form(&[("client_id", &client.client_id), ("request", &object)]);
        let answer = window.visit(&format!("/oauth/authorize?{query}")).await;
        assert_eq!(heading(&answer), "Sign in", "{}", answer.text);
        app.advance(Duration::from_secs(300));
        let page = window.press(&answer, "/sign-in", &[("login", ADA), ("password", PASSWORD)]).await;
        let answer = window.submit(&page, "/oauth/authorize", &[]).await;
        let back = sent_back(&answer);
        exchange(&app, &client, &back["code"]).await.assert_status(200);
        assert_eq!(app.sql_count("select count(*) from oauth_pushed_requests").await, 1);
    }

    /// RFC 9700 section 4.8: a client that has to use PKCE is not downgraded.
    async fn a_confidential_client_that_has_to_use_pkce_is_not_talked_out_of_it(app: TestApp) {
        let (ada, client) = shop(&app).await;
        change(&app, &client, None, |metadata| metadata.require_pkce = true).await;
        let without = parameters_with(&client, &[("code_challenge", ""), ("code_challenge_method", "")]);
        let back = sent_back(&authorize(&app, &ada.access_token, &without).await);
        assert_eq!(back["error"], "invalid_request");
        assert!(sent_back(&approve(&app, &ada.access_token, &parameters(&client)).await).contains_key("code"));
    }

    async fn an_application_that_signs_pushes_with_an_assertion(app: TestApp) {
        let (_, client) = shop(&app).await;
        let client = with_key(&app, &client).await;
        let jwt = OWN.sign(&assertion(&app, &client, "1"));
        let usual = parameters(&client);
        let mut fields: Vec<_> = usual.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        fields.extend([("client_assertion", jwt.as_str()), ("client_assertion_type", JWT_BEARER)]);
        app.post("/oauth/par").form(&form(&fields)).send().await.assert_status(201);
        assert_eq!(CALLBACK, usual["redirect_uri"]);
    }

    /// Anybody pushes in the name of a client that proves nothing, and must not keep its people out with that.
    async fn strangers_do_not_use_up_what_a_public_client_may_push(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let [public, confidential] = [register_public(&app, &ada).await, register(&app, &ada, &described()).await];
        let oldest = push_usual(&app, &public, &[]).await.assert_status(201).text_at("request_uri");
        let now = app.kernel().now().micros();
        let random = match app.database.engine() {
            Engine::Sqlite => "randomblob(16)",
            Engine::Postgres => "uuid_send(gen_random_uuid())",
        };
        let fill = format!(
            "insert into oauth_pushed_requests (hash, application_id, parameters, signed, created_at, expires_at)
             with recursive numbers(n) as (select 1 union all select n + 1 from numbers where n < 10000)
             select {random}, p.id, {random}, false, {now} + n, {now} + 1800000000 from oauth_applications p cross join numbers"
        );
        app.sql(&fill).await;
        let request_uri = push_usual(&app, &public, &[]).await.assert_status(201).text_at("request_uri");
        assert_eq!(app.sql_count("select count(*) from oauth_pushed_requests").await, 20_001, "the oldest gives way");
        assert_flat(&approve(&app, &ada.access_token, &brought(&public, &oldest)).await, 400, "invalid_request_uri");
        let back = sent_back(&approve(&app, &ada.access_token, &brought(&public, &request_uri)).await);
        assert_eq!(back["state"], "some state");
        // Who proves who it is has pushed them itself.
        assert_flat(&push_usual(&app, &confidential, &[]).await, 429, "temporarily_unavailable");
    }

    async fn requests_of_one_application_are_limited_where_it_proves_who_it_is(engine: Engine) {
        let app = TestApp::builder(engine).settings(|settings| {
            let mut rules = settings.oauth.rules.clone();
            rules.requests_by_client = Some(tidegate_domain::limit::Limit::new(3, 60));
            settings.set_oauth(rules);
        }).start().await;
        let (ada, client) = shop(&app).await;
        let other = register(&app, &ada, &described_with(json!({ "name": "Other" }))).await;
        let own = [("grant_type", "client_credentials")];
        let mut answered = Vec::new();
        for _ in 0..4 {
            answered.push(token_request(&app, &client, &own).send().await.status);
        }
        assert_eq!(answered, [200, 200, 200, 429]);
        assert_flat(&push_usual(&app, &client, &[]).await, 429, "temporarily_unavailable");
        token_request(&app, &other, &own).send().await.assert_status(200);
        token_request(&app, &client, &own).ip("203.0.113.9").send().await.assert_status(200);
    }
}
