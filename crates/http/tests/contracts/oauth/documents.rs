//! Applications whose `client_id` is the address of a document: draft-ietf-oauth-client-id-metadata-document.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tidegate_domain::id::ApplicationId;
use tidegate_domain::oauth::GrantType;
use tidegate_domain::{PartyName, Scopes};
use tidegate_oauth::applications::{ApplicationChange, RulesChange};
use tidegate_testkit::{Answer, Engine, PASSWORD, PUBLIC_URL, Person, TestApp, on_both_engines};
use tokio::net::TcpListener;

use super::signing::{JWT_BEARER, OWN, assertion, jwks, operator};
use super::wire::{
    ADA, App, CALLBACK, approve, assert_flat, authorize, claims, code_for, described, exchange, form,
    parameters_with, refresh, register, sent_back, sign_in,
};
use crate::cross_contract::login_rivergen;
use crate::forge::reworded;
use crate::pages::heading;
use crate::pages::sign_in::window::Window;

const ORDERS: &str = "https://orders.example.com";
const STOCK: &str = "https://stock.example.com";
const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const ACCESS: &str = "urn:ietf:params:oauth:token-type:access_token";

/// A document that is published on this machine, and how often it was asked for.
struct Published {
    address: String,
    state: Arc<Mutex<(Value, usize)>>,
}

impl Published {
    async fn start(fields: Value) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}/client.json", listener.local_addr().unwrap());
        let state = Arc::new(Mutex::new((Value::Null, 0)));
        let shared = Arc::clone(&state);
        let handler = move || {
            let shared = Arc::clone(&shared);
            async move {
                let mut state = shared.lock().unwrap();
                state.1 += 1;
                axum::Json(state.0.clone())
            }
        };
        let router = axum::Router::new().route("/client.json", axum::routing::get(handler));
        tokio::spawn(async move { axum::serve(listener, router).await });
        let published = Self { address, state };
        published.publish(fields);
        published
    }

    /// The usual document with other fields.
    fn publish(&self, fields: Value) {
        let mut document =
            json!({ "client_id": self.address, "client_name": "Shop", "redirect_uris": [CALLBACK] });
        for (name, value) in fields.as_object().unwrap() {
            document[name] = value.clone();
        }
        self.state.lock().unwrap().0 = document;
    }

    fn asked(&self) -> usize {
        self.state.lock().unwrap().1
    }

    fn client(&self) -> App {
        App { number: 0, client_id: self.address.clone(), secret: None }
    }
}

async fn start(engine: Engine, most: u32) -> TestApp {
    let on = move |settings: &mut tidegate_kernel::Settings| {
        let mut rules = settings.oauth.rules.clone();
        rules.registration.client_id_documents = true;
        rules.registration.organization = Some(1);
        rules.registration.most = most;
        rules.resources = vec![ORDERS.to_owned(), STOCK.to_owned()];
        settings.set_oauth(rules);
    };
    TestApp::builder(engine).local_clients().settings(on).start().await
}

fn asked(client: &App) -> std::collections::BTreeMap<String, String> {
    parameters_with(client, &[("scope", "openid email")])
}

/// The key of the row in which an application is kept.
async fn key_of(app: &TestApp, client: &App) -> ApplicationId {
    let all = app.oauth().applications_for_operator(None, 0, 100).await.unwrap();
    all.iter().find(|one| one.client_id() == client.client_id).unwrap().id
}

/// An application that signs with a key of its document, and may what an operator allowed it besides.
async fn confidential(app: &TestApp, ada: &Person) -> (App, ApplicationId) {
    let keys = json!({ "token_endpoint_auth_method": "private_key_jwt", "jwks": jwks(&[OWN]) });
    let client = Published::start(keys).await.client();
    authorize(app, &ada.access_token, &asked(&client)).await.assert_status(302);
    let id = key_of(app, &client).await;
    let change = ApplicationChange {
        grant_types: Some(vec![GrantType::AuthorizationCode, GrantType::ClientCredentials]),
        scopes: Some(Scopes::from_stored("openid email read")),
        ..ApplicationChange::default()
    };
    app.oauth().change_application_for_operator(&operator(app), id, change, None, |_| ()).await.unwrap();
    (client, id)
}

/// A request of an application that signs for it; `jti` is the name of what it signs.
async fn signed(app: &TestApp, client: &App, jti: &str, path: &str, fields: &[(&str, &str)]) -> Answer {
    let jwt = OWN.sign(&assertion(app, client, jti));
    let mut all = vec![("client_assertion_type", JWT_BEARER), ("client_assertion", jwt.as_str())];
    all.extend_from_slice(fields);
    app.post(path).form(&form(&all)).send().await
}

async fn userinfo(app: &TestApp, token: &str) -> Answer {
    app.get("/oauth/userinfo").bearer(token).send().await
}

on_both_engines! {
    async fn a_person_signs_in_to_an_application_that_nobody_registered(engine: Engine) {
        let app = start(engine, 10).await;
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let published = Published::start(json!({})).await;
        let client = published.client();
        let back = sent_back(&approve(&app, &ada.access_token, &asked(&client)).await);
        let tokens = exchange(&app, &client, &back["code"]).await;
        let id = claims(&tokens.assert_status(200).text_at("id_token"));
        assert_eq!((&id["aud"], &id["azp"]), (&json!(client.client_id), &json!(client.client_id)));
        refresh(&app, &client, &tokens.text_at("refresh_token")).await.assert_status(200);
        assert_eq!(published.asked(), 1);
        // It has one name.
        let key = app.database.sql_texts("select name from oauth_applications").await;
        assert!(key[0].starts_with("Shop ["), "{key:?}");
    }

    /// RFC 7662 section 2.2: an API knows an application by what that calls itself.
    async fn an_api_is_told_by_what_name_the_application_goes(engine: Engine) {
        let app = start(engine, 10).await;
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let api = register(&app, &ada, &described()).await;
        let client = Published::start(json!({})).await.client();
        let back = sent_back(&approve(&app, &ada.access_token, &asked(&client)).await);
        let of_document = exchange(&app, &client, &back["code"]).await.assert_status(200).text_at("access_token");
        let own = sign_in(&app, &ada, &api).await.text_at("access_token");
        for (token, known) in [(of_document, &client), (own, &api)] {
            let fields = [
                ("token", token.as_str()),
                ("client_id", api.client_id.as_str()),
                ("client_secret", api.secret.as_deref().unwrap()),
            ];
            let said = app.post("/oauth/introspect").form(&form(&fields)).send().await;
            assert_eq!(said.assert_status(200).text_at("client_id"), known.client_id);
        }
    }

    /// RFC 9068 section 2.2: `client_id` is what the application calls itself.
    async fn its_access_tokens_name_it_by_the_address_of_its_document(engine: Engine) {
        let app = start(engine, 10).await;
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let client = Published::start(json!({})).await.client();
        let back = sent_back(&approve(&app, &ada.access_token, &asked(&client)).await);
        let first = exchange(&app, &client, &back["code"]).await;
        let next = refresh(&app, &client, &first.assert_status(200).text_at("refresh_token")).await;
        next.assert_status(200);
        let id = key_of(&app, &client).await;
        let token = next.text_at("access_token");
        // As versions before wrote it.
        let before = reworded(&app, &token, |claims| claims.client_id = Some(id.into())).await;
        assert_eq!(claims(&before)["client_id"], json!(id));
        let named = [first.text_at("access_token"), token];
        for token in &named {
            assert_eq!(claims(token)["client_id"], json!(client.client_id));
        }
        for token in named.iter().chain([&before]) {
            assert_eq!(userinfo(&app, token).await.assert_status(200).text_at("email"), ADA);
        }
        app.oauth().suspend_application(&operator(&app), id).await.unwrap();
        for token in named.iter().chain([&before]) {
            userinfo(&app, token).await.assert_status(401);
        }
    }

    async fn in_its_own_name_subject_and_client_are_that_address(engine: Engine) {
        let app = start(engine, 10).await;
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let (client, id) = confidential(&app, &ada).await;
        let own = [("grant_type", "client_credentials")];
        let token = signed(&app, &client, "own", "/oauth/token", &own).await.assert_status(200).text_at("access_token");
        let (said, address) = (claims(&token), json!(client.client_id));
        assert_eq!((&said["sub"], &said["client_id"]), (&address, &address));
        userinfo(&app, &token).await.assert_status(403);
        let told = signed(&app, &client, "told", "/oauth/introspect", &[("token", &token)]).await;
        assert_eq!((told.field("active"), told.field("sub"), told.field("client_id")), (&json!(true), &address, &address));
        // As versions before wrote it.
        let before = reworded(&app, &token, |claims| {
            claims.sub = PartyName::from(id);
            claims.client_id = Some(id.into());
        }).await;
        let told = signed(&app, &client, "before", "/oauth/introspect", &[("token", &before)]).await;
        assert_eq!((told.field("active"), told.field("sub")), (&json!(true), &json!(id)));
        signed(&app, &client, "end", "/oauth/token/revoke", &[("token", &token)]).await.assert_status(200);
        for (jti, token) in [("after", &token), ("before after", &before)] {
            let told = signed(&app, &client, jti, "/oauth/introspect", &[("token", token)]).await;
            assert_eq!(told.assert_status(200).field("active"), &json!(false), "{jti}");
        }
    }

    async fn a_token_that_it_exchanged_names_it_so_too(engine: Engine) {
        let app = start(engine, 10).await;
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let (client, id) = confidential(&app, &ada).await;
        let apis = |all: &[&str]| Some(all.iter().map(|api| (*api).to_owned()).collect());
        let (exchange_from, exchange_to) = (apis(&[ORDERS]), apis(&[STOCK, PUBLIC_URL]));
        let change = RulesChange { exchange_from, exchange_to, ..RulesChange::default() };
        app.oauth().set_application_rules(&operator(&app), id, change).await.unwrap();
        let shop = register(&app, &ada, &described()).await;
        let code = code_for(&app, &ada, &parameters_with(&shop, &[("resource", ORDERS)])).await;
        let called = exchange(&app, &shop, &code).await.assert_status(200).text_at("access_token");
        assert_eq!(claims(&called)["client_id"], json!(shop.client_id));
        for api in [STOCK, PUBLIC_URL] {
            let fields = [
                ("grant_type", EXCHANGE), ("subject_token", called.as_str()), ("subject_token_type", ACCESS),
                ("audience", api),
            ];
            let answer = signed(&app, &client, api, "/oauth/token", &fields).await;
            let token = answer.assert_status(200).text_at("access_token");
            let said = claims(&token);
            assert_eq!((&said["client_id"], &said["act"]), (&json!(client.client_id), &json!({ "sub": client.client_id })));
            let told = signed(&app, &client, &format!("told {api}"), "/oauth/introspect", &[("token", &token)]).await;
            assert_eq!(told.text_at("client_id"), client.client_id);
            let status = if api == PUBLIC_URL { 200 } else { 401 };
            userinfo(&app, &token).await.assert_status(status);
        }
    }

    async fn the_page_names_the_host_of_the_document(engine: Engine) {
        let app = start(engine, 10).await;
        app.sign_up_rivergen_verified(ADA).await;
        let published = Published::start(json!({ "client_name": "Your bank" })).await;
        let window = Window::new(&app);
        window.sign_in(ADA).await;
        let query =
            url::form_urlencoded::Serializer::new(String::new()).extend_pairs(asked(&published.client())).finish();
        let page = window.open(&format!("/oauth/authorize?{query}")).await;
        assert_eq!(heading(&page), "Allow access?", "{}", page.text);
        let host = published.address.strip_suffix("/client.json").unwrap();
        assert!(page.text.contains(host), "{}", page.text);
    }

    async fn a_document_that_is_not_right_is_none(engine: Engine) {
        let app = start(engine, 10).await;
        let ada = app.sign_up_rivergen_verified(ADA).await;
        for wrong in [
            json!({ "client_id": "https://shop.example.com/client.json" }),
            json!({ "client_id": null }),
            json!({ "redirect_uris": [] }),
            json!({ "redirect_uris": ["javascript:alert(1)"] }),
            json!({ "redirect_uris": ["https://shop.example.com/*"] }),
            json!({ "client_secret": "secret" }),
            json!({ "token_endpoint_auth_method": "client_secret_basic" }),
            json!({ "token_endpoint_auth_method": "private_key_jwt" }),
            json!({ "grant_types": ["client_credentials"] }),
        ] {
            let published = Published::start(wrong.clone()).await;
            for _ in 0..2 {
                let answer = authorize(&app, &ada.access_token, &asked(&published.client())).await;
                assert_eq!((answer.status, answer.header("location")), (400, ""), "{wrong}");
            }
            assert_eq!(published.asked(), 1, "it is remembered");
        }
        for nowhere in ["http://127.0.0.1:1/client.json", "https://10.0.0.1/client.json", "http://127.0.0.1:1/"] {
            let client = App { number: 0, client_id: nowhere.to_owned(), secret: None };
            assert_flat(&authorize(&app, &ada.access_token, &asked(&client)).await, 400, "invalid_client");
        }
        assert_eq!(app.sql_count("select count(*) from oauth_applications").await, 0);
    }

    async fn a_document_is_read_again_and_what_it_says_holds_then(engine: Engine) {
        let app = start(engine, 10).await;
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let published = Published::start(json!({})).await;
        let client = published.client();
        authorize(&app, &ada.access_token, &asked(&client)).await;
        published.publish(json!({ "redirect_uris": ["https://shop.example.com/new"] }));
        app.advance(Duration::from_secs(3_500));
        assert_eq!(authorize(&app, &ada.access_token, &asked(&client)).await.status, 302);
        app.advance(Duration::from_secs(101));
        let signed_in = login_rivergen(&app.client(), ADA, PASSWORD).await;
        let gone = authorize(&app, &signed_in.text_at("data.access_token"), &asked(&client)).await;
        assert_flat(&gone, 400, "invalid_request");
        assert_eq!(published.asked(), 2);
        assert_eq!(app.sql_count("select count(*) from oauth_applications").await, 1);
    }

    async fn documents_are_bounded_and_off_by_default(engine: Engine) {
        let app = start(engine, 1).await;
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let (first, second) = (Published::start(json!({})).await, Published::start(json!({})).await);
        assert_eq!(authorize(&app, &ada.access_token, &asked(&first.client())).await.status, 302);
        assert_flat(&authorize(&app, &ada.access_token, &asked(&second.client())).await, 400, "invalid_client");
        let off = TestApp::builder(engine).local_clients().start().await;
        let bob = off.sign_up_rivergen_verified("bob@example.com").await;
        assert_flat(&authorize(&off, &bob.access_token, &asked(&first.client())).await, 400, "invalid_client");
        assert_eq!(first.asked(), 1);
    }
}
