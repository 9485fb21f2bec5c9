//! Applications that sign instead of sending a secret: `private_key_jwt` and `client_secret_jwt`. RFC 7523; OpenID Connect Core section 9;
//! RFC 8725; RFC 9700 section 2.5.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};
use tidegate_crypto::JwtAlgorithm;
use tidegate_domain::oauth::ClientAuthentication;
use tidegate_testkit::{Answer, Engine, Person, TestApp, on_both_engines};
use tokio::net::TcpListener;

use super::signing::{ISSUER, JWT_BEARER, Key, OTHER, OWN, assertion, change, jwks, operator, with_key};
use super::wire::{
    ADA, App, CALLBACK, VERIFIER, assert_flat, audited, code, described, described_with, form, me, register,
    sign_in, token_request,
};

const GRANT: (&str, &str) = ("grant_type", "client_credentials");

/// A request to the token endpoint with that assertion.
async fn present(app: &TestApp, jwt: &str, more: &[(&str, &str)]) -> Answer {
    let mut fields = vec![GRANT, ("client_assertion_type", JWT_BEARER), ("client_assertion", jwt)];
    fields.extend_from_slice(more);
    app.post("/oauth/token").form(&form(&fields)).send().await
}

async fn shop(app: &TestApp) -> (Person, App) {
    let ada = app.sign_up_rivergen_verified(ADA).await;
    let client = register(app, &ada, &described()).await;
    let client = with_key(app, &client).await;
    (ada, client)
}

/// The claims with some in the place of others; `null` takes one away.
fn with(mut claims: Value, changed: &Value) -> Value {
    for (name, value) in changed.as_object().unwrap() {
        match value {
            Value::Null => drop(claims.as_object_mut().unwrap().remove(name)),
            value => claims[name] = value.clone(),
        }
    }
    claims
}

on_both_engines! {
    async fn an_application_signs_in_with_its_key_and_has_no_secret(app: TestApp) {
        let (ada, client) = shop(&app).await;
        assert_eq!(client.secret, None);
        let kept = "select count(*) from oauth_applications where secret_hash is not null or sealed_secret is not null";
        assert_eq!(app.sql_count(kept).await, 0);
        present(&app, &OWN.sign(&assertion(&app, &client, "1")), &[]).await.assert_status(200);
        let named = [("client_id", client.client_id.as_str())];
        present(&app, &OWN.sign(&assertion(&app, &client, "2")), &named).await.assert_status(200);
        // The whole way of a person, and revocation and introspection.
        let once = code(&app, &ada, &client).await;
        let jwt = OWN.sign(&assertion(&app, &client, "3"));
        let fields = [
            ("grant_type", "authorization_code"), ("code", &once), ("redirect_uri", CALLBACK),
            ("code_verifier", VERIFIER), ("client_assertion_type", JWT_BEARER), ("client_assertion", &jwt),
        ];
        let tokens = app.post("/oauth/token").form(&form(&fields)).send().await;
        let access = tokens.assert_status(200).text_at("access_token");
        for (path, id) in [("/oauth/introspect", "4"), ("/oauth/token/revoke", "5")] {
            let jwt = OWN.sign(&assertion(&app, &client, id));
            let fields = [("token", access.as_str()), ("client_assertion_type", JWT_BEARER), ("client_assertion", &jwt)];
            app.post(path).form(&form(&fields)).send().await.assert_status(200);
        }
    }

    async fn an_assertion_is_accepted_once_on_every_node(engine: Engine) {
        let app = TestApp::builder(engine).start().await;
        let (_, client) = shop(&app).await;
        let jwt = OWN.sign(&assertion(&app, &client, "once"));
        present(&app, &jwt, &[]).await.assert_status(200);
        assert_flat(&present(&app, &jwt, &[]).await, 401, "invalid_client");
        // Signed anew under the same name it is the same.
        let again = OWN.sign(&with(assertion(&app, &client, "once"), &json!({ "exp": app.now().seconds() + 90 })));
        assert_flat(&present(&app, &again, &[]).await, 401, "invalid_client");
        // Of many at once, one is accepted.
        let jwt = OWN.sign(&assertion(&app, &client, "race"));
        let answers = futures_util::future::join_all((0..10).map(|_| present(&app, &jwt, &[]))).await;
        assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1);
        // What has expired is forgotten: it is refused for itself.
        assert_eq!(app.sql_count("select count(*) from oauth_used_assertions").await, 2);
    }

    async fn an_assertion_is_for_this_server_of_this_application_and_of_now(app: TestApp) {
        let (_, client) = shop(&app).await;
        let now = app.now().seconds();
        for (place, fine) in [
            json!({ "aud": [ISSUER] }),
            json!({ "aud": format!("{ISSUER}/") }),
            json!({ "aud": format!("{ISSUER}/oauth/token") }),
            json!({ "aud": format!("{ISSUER}/oauth/par") }),
            json!({ "exp": now + 3_600 }),
            json!({ "iat": null }),
            json!({ "nbf": now - 1 }),
            json!({ "iat": now + 10, "nbf": now + 10 }),
        ].into_iter().enumerate() {
            let claims = with(assertion(&app, &client, &format!("fine {place}")), &fine);
            let answer = present(&app, &OWN.sign(&claims), &[]).await;
            assert_eq!(answer.status, 200, "{fine}");
        }
        for (place, wrong) in [
            json!({ "aud": null }),
            json!({ "aud": "https://other.example.com" }),
            json!({ "aud": [ISSUER, "https://other.example.com"] }),
            json!({ "aud": client.client_id }),
            json!({ "iss": null }),
            json!({ "iss": "somebody" }),
            json!({ "sub": "00000000-0000-4000-8000-000000000000" }),
            json!({ "jti": null }),
            json!({ "jti": "" }),
            json!({ "jti": 7 }),
            json!({ "jti": "x".repeat(256) }),
            json!({ "exp": null }),
            json!({ "exp": now - 60 }),
            json!({ "iat": now + 61 }),
            json!({ "nbf": now + 61 }),
            json!({ "exp": now + 7_200 }),
            json!({ "exp": "soon" }),
            // Huge numbers.
            json!({ "exp": u64::MAX }),
            json!({ "exp": 1e308 }),
            json!({ "iat": i64::MAX }),
        ].into_iter().enumerate() {
            let claims = with(assertion(&app, &client, &format!("wrong {place}")), &wrong);
            let answer = present(&app, &OWN.sign(&claims), &[("client_id", &client.client_id)]).await;
            assert_eq!(answer.status, 401, "{wrong}: {}", answer.text);
            assert_flat(&answer, 401, "invalid_client");
        }
        let used = app.sql_count("select count(*) from oauth_used_assertions").await;
        assert_eq!(used, 8, "what is refused is not kept");
    }

    /// RFC 9700 section 4.4 and RFC 7523 section 3: one application's assertion is not another's.
    async fn an_assertion_of_another_application_is_none(app: TestApp) {
        let (ada, client) = shop(&app).await;
        let other = register(&app, &ada, &described_with(json!({ "name": "Other" }))).await;
        let other = change(&app, &other, Some(ClientAuthentication::PrivateKeyJwt), |metadata| {
            metadata.jwks = Some(jwks(&[OTHER]));
        }).await;
        for (key, claims, named) in [
            (OTHER, assertion(&app, &client, "1"), &client),
            (OTHER, assertion(&app, &other, "2"), &client),
            (OWN, assertion(&app, &client, "3"), &other),
        ] {
            let answer = present(&app, &key.sign(&claims), &[("client_id", &named.client_id)]).await;
            assert_flat(&answer, 401, "invalid_client");
        }
        present(&app, &OTHER.sign(&assertion(&app, &other, "4")), &[]).await.assert_status(200);
    }

    /// RFC 8725 sections 2.1, 3.1 and 3.11, RFC 7515 section 4.1.11.
    async fn no_header_talks_this_server_into_another_key_algorithm_or_kind(engine: Engine) {
        let app = TestApp::builder(engine).settings(|settings| {
            let mut rules = settings.oauth.rules.clone();
            rules.failed_secrets_by_client = None;
            settings.set_oauth(rules);
        }).start().await;
        let (_, client) = shop(&app).await;
        let claims = assertion(&app, &client, "1");
        let mut tokens = vec![
            OWN.sign_with(&claims, |header| header.crit = Some(vec!["exp".to_owned()])),
            OWN.sign_with(&claims, |header| header.typ = Some("oauth-authz-req+jwt".to_owned())),
            OWN.sign_with(&claims, |header| header.typ = Some("at+jwt".to_owned())),
            OWN.sign_with(&claims, |header| header.kid = Some("../../etc/passwd".to_owned())),
            OTHER.sign_with(&claims, |header| header.kid = Some(OWN.kid.to_owned())),
            OTHER.sign_with(&claims, |header| {
                header.jwk = serde_json::from_value(OTHER.jwk()).ok();
                header.jku = Some("https://evil.example/jwks.json".to_owned());
                header.x5u = Some("https://evil.example/cert".to_owned());
                header.kid = None;
            }),
        ];
        let body = URL_SAFE_NO_PAD.encode(claims.to_string());
        for header in [
            json!({ "alg": "none" }), json!({ "alg": "None", "kid": OWN.kid }), json!({ "alg": "" }), json!({}), json!([]),
        ] {
            let header = URL_SAFE_NO_PAD.encode(header.to_string());
            tokens.push(format!("{header}.{body}."));
            tokens.push(format!("{header}.{body}.AAAA"));
        }
        // An HMAC keyed with what everybody knows.
        let mut header = Header::new(Algorithm::HS256);
        header.kid = Some(OWN.kid.to_owned());
        for secret in [OWN.jwk().to_string(), jwks(&[OWN]).to_string(), String::new()] {
            tokens.push(encode(&header, &claims, &EncodingKey::from_secret(secret.as_bytes())).unwrap());
        }
        // Encrypted (five parts), and shapes that are none; a compressed one would be read by nobody.
        let zipped = URL_SAFE_NO_PAD.encode(json!({ "alg": "dir", "enc": "A128GCM", "zip": "DEF" }).to_string());
        tokens.push(format!("{zipped}..AAAA.AAAA.AAAA"));
        tokens.extend(["", ".", "..", "....", "a.b.c", "\u{e9}"].map(str::to_owned));
        tokens.push(format!("{}.{body}.AAAA", "A".repeat(20_000)));
        for token in &tokens {
            let answer = present(&app, token, &[("client_id", &client.client_id)]).await;
            assert!([400, 401].contains(&answer.status), "{token}: {}", answer.text);
        }
        assert_eq!(app.sql_count("select count(*) from oauth_used_assertions").await, 0);
    }

    async fn only_the_registered_algorithm_and_method_count(app: TestApp) {
        let (ada, client) = shop(&app).await;
        change(&app, &client, None, |metadata| {
            metadata.token_endpoint_auth_signing_alg = Some(JwtAlgorithm::Rs256);
        }).await;
        let answer = present(&app, &OWN.sign(&assertion(&app, &client, "1")), &[]).await;
        assert_flat(&answer, 401, "invalid_client");
        change(&app, &client, None, |metadata| {
            metadata.token_endpoint_auth_signing_alg = Some(JwtAlgorithm::Es256);
        }).await;
        present(&app, &OWN.sign(&assertion(&app, &client, "2")), &[]).await.assert_status(200);
        // One with a secret does not sign, also if it has keys.
        let basic = register(&app, &ada, &described_with(json!({ "name": "Basic" }))).await;
        change(&app, &basic, None, |metadata| metadata.jwks = Some(jwks(&[OWN]))).await;
        let answer = present(&app, &OWN.sign(&assertion(&app, &basic, "3")), &[]).await;
        assert_flat(&answer, 401, "invalid_client");
        token_request(&app, &basic, &[GRANT]).send().await.assert_status(200);
        // And one that signs sends no secret.
        let sent = App { secret: basic.secret.clone(), ..client.clone() };
        assert_flat(&token_request(&app, &sent, &[GRANT]).send().await, 401, "invalid_client");
        assert_flat(&token_request(&app, &client, &[GRANT]).send().await, 401, "invalid_client");
    }

    async fn an_assertion_stands_alone_and_is_of_the_one_kind(app: TestApp) {
        let (_, client) = shop(&app).await;
        let jwt = OWN.sign(&assertion(&app, &client, "1"));
        for fields in [
            &[GRANT, ("client_assertion", jwt.as_str())][..],
            &[GRANT, ("client_assertion_type", JWT_BEARER)],
            &[GRANT, ("client_assertion", &jwt), ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:saml2-bearer")],
            &[GRANT, ("client_assertion", &jwt), ("client_assertion_type", JWT_BEARER), ("client_secret", "secret_x")],
        ] {
            let answer = app.post("/oauth/token").form(&form(fields)).send().await;
            assert_flat(&answer, 400, "invalid_request");
        }
    }

    async fn a_secret_signs_and_is_kept_sealed_for_those_who_chose_that(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let client = register(&app, &ada, &described()).await;
        let before = client.secret.clone().unwrap();
        let client = change(&app, &client, Some(ClientAuthentication::SecretJwt), |_| ()).await;
        let secret = client.secret.clone().unwrap();
        assert_ne!(secret, before, "of the one before nothing but a hash is known");
        let sign = |id: &str, secret: &str, algorithm| {
            let key = EncodingKey::from_secret(secret.as_bytes());
            encode(&Header::new(algorithm), &assertion(&app, &client, id), &key).unwrap()
        };
        present(&app, &sign("1", &secret, Algorithm::HS256), &[]).await.assert_status(200);
        for (id, secret, algorithm) in [
            ("2", before.as_str(), Algorithm::HS256), ("3", "", Algorithm::HS256), ("4", &secret, Algorithm::HS512),
        ] {
            assert_flat(&present(&app, &sign(id, secret, algorithm), &[]).await, 401, "invalid_client");
        }
        // Sent as it is, it proves nothing: it is not to be sent.
        assert_flat(&token_request(&app, &client, &[GRANT]).send().await, 401, "invalid_client");
        let bytes = match app.database.engine() {
            Engine::Sqlite => "select lower(hex(sealed_secret)) from oauth_applications",
            Engine::Postgres => "select encode(sealed_secret, 'hex') from oauth_applications",
        };
        let plain: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
        let sealed = app.database.sql_texts(bytes).await.concat();
        assert!(sealed.len() > plain.len() && !sealed.contains(&plain));
        // Back to a secret that is sent: it is another one, and no copy of it is kept.
        let client = change(&app, &client, Some(ClientAuthentication::SecretBasic), |_| ()).await;
        token_request(&app, &client, &[GRANT]).send().await.assert_status(200);
        assert_eq!(app.sql_count("select count(*) from oauth_applications where sealed_secret is not null").await, 0);
    }

    async fn another_way_to_prove_it_ends_what_was_given_before(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let client = register(&app, &ada, &described()).await;
        let tokens = sign_in(&app, &ada, &client).await;
        with_key(&app, &client).await;
        assert_eq!(me(&app, &tokens.text_at("access_token")).await, 401);
        assert!(audited(&app, "oauth.application").await.iter().any(|action| action.contains("updated")));
    }

    async fn keys_are_read_where_the_application_publishes_them_and_again_when_they_change(engine: Engine) {
        let app = TestApp::builder(engine).local_clients().start().await;
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let client = register(&app, &ada, &described()).await;
        let published = Published::start(OWN).await;
        let client = change(&app, &client, Some(ClientAuthentication::PrivateKeyJwt), |metadata| {
            metadata.jwks_uri = Some(published.uri.clone());
        }).await;
        for id in ["1", "2"] {
            present(&app, &OWN.sign(&assertion(&app, &client, id)), &[]).await.assert_status(200);
        }
        assert_eq!(published.asked(), 1);
        published.publish(OTHER);
        let new = OTHER.sign(&assertion(&app, &client, "3"));
        assert_flat(&present(&app, &new, &[]).await, 401, "invalid_client");
        app.advance(std::time::Duration::from_secs(61));
        present(&app, &OTHER.sign(&assertion(&app, &client, "4")), &[]).await.assert_status(200);
        // Unknown keys do not have it ask as often as strangers like.
        for id in 5..20 {
            let unknown = OWN.sign(&assertion(&app, &client, &id.to_string()));
            assert_flat(&present(&app, &unknown, &[("client_id", &client.client_id)]).await, 401, "invalid_client");
        }
        assert_eq!(published.asked(), 2);
    }

    /// No address that only this server can reach is registered (server-side request forgery).
    async fn no_address_inside_is_registered(app: TestApp) {
        let (_, client) = shop(&app).await;
        let id = client.client_id.parse::<uuid::Uuid>().unwrap().into();
        for uri in [
            "http://shop.example.com/jwks", "https://127.0.0.1/jwks", "https://localhost/jwks", "https://10.0.0.1/jwks",
            "https://169.254.169.254/latest", "https://[::1]/jwks", "https://a:b@shop.example.com/jwks", "file:///etc/passwd",
            "gopher://shop.example.com", "",
        ] {
            let refused = app.oauth().change_application_for_operator(
                &operator(&app), id, Default::default(), None,
                |metadata| { metadata.jwks = None; metadata.jwks_uri = Some(uri.to_owned()); },
            ).await;
            assert!(refused.is_err(), "{uri}");
        }
    }
}

/// Where an application publishes its keys.
pub(super) struct Published {
    pub(super) uri: String,
    state: std::sync::Arc<std::sync::Mutex<(Key, usize)>>,
}

impl Published {
    pub(super) async fn start(key: Key) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let uri = format!("http://{}/jwks.json", listener.local_addr().unwrap());
        let state = std::sync::Arc::new(std::sync::Mutex::new((key, 0)));
        let shared = state.clone();
        let handler = move || {
            let shared = shared.clone();
            async move {
                let mut state = shared.lock().unwrap();
                state.1 += 1;
                axum::Json(jwks(&[state.0]))
            }
        };
        let router = axum::Router::new().route("/jwks.json", axum::routing::get(handler));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { uri, state }
    }

    pub(super) fn publish(&self, key: Key) {
        self.state.lock().unwrap().0 = key;
    }

    fn asked(&self) -> usize {
        self.state.lock().unwrap().1
    }
}
