//! Access tokens for several APIs: RFC 8707.

use serde_json::{Value, json};
use tidegate_testkit::{Answer, Engine, Person, TestApp, on_both_engines};
use url::form_urlencoded::Serializer;

use super::signing::{OWN, change, jwks, signed_request};
use super::wire::{
    ADA, App, CALLBACK, VERIFIER, assert_flat, claims, described, described_with, form, me, parameters,
    register, sent_back, token_request,
};
use crate::pages::heading;
use crate::pages::sign_in::window::Window;

const OURS: &str = "https://id.example.com";
const ORDERS: &str = "https://orders.example.com";
const STOCK: &str = "https://stock.example.com";

async fn start(engine: Engine) -> (TestApp, Person, App) {
    let app = TestApp::builder(engine)
        .settings(|settings| {
            let mut rules = settings.oauth.rules.clone();
            rules.resources = vec![ORDERS.to_owned(), STOCK.to_owned()];
            settings.set_oauth(rules);
        })
        .start()
        .await;
    let ada = app.sign_up_rivergen_verified(ADA).await;
    let client = register(&app, &ada, &described()).await;
    (app, ada, client)
}

/// The usual request for those APIs, as a form.
fn asked(client: &App, resources: &[&str]) -> String {
    let mut form = Serializer::new(String::new());
    form.extend_pairs(parameters(client)).append_pair("approve", "true");
    for resource in resources {
        form.append_pair("resource", resource);
    }
    form.finish()
}

async fn approve(app: &TestApp, who: &Person, client: &App, resources: &[&str]) -> Answer {
    app.post("/oauth/authorize").bearer(&who.access_token).form(&asked(client, resources)).send().await
}

async fn code(app: &TestApp, who: &Person, client: &App, resources: &[&str]) -> String {
    sent_back(&approve(app, who, client, resources).await).remove("code").unwrap()
}

async fn exchange(app: &TestApp, client: &App, code: &str, resources: &[&str]) -> Answer {
    let mut fields = vec![
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", CALLBACK),
        ("code_verifier", VERIFIER),
    ];
    fields.extend(resources.iter().map(|resource| ("resource", *resource)));
    token_request(app, client, &fields).send().await
}

async fn refresh(app: &TestApp, client: &App, token: &str, resources: &[&str]) -> Answer {
    let mut fields = vec![("grant_type", "refresh_token"), ("refresh_token", token)];
    fields.extend(resources.iter().map(|resource| ("resource", *resource)));
    token_request(app, client, &fields).send().await
}

#[track_caller]
fn audience(answer: &Answer) -> Value {
    claims(&answer.assert_status(200).text_at("access_token"))["aud"].clone()
}

on_both_engines! {
    async fn a_grant_is_for_several_apis_and_each_token_for_those_that_are_named(engine: Engine) {
        let (app, ada, client) = start(engine).await;
        let tokens = exchange(&app, &client, &code(&app, &ada, &client, &[ORDERS, STOCK]).await, &[]).await;
        assert_eq!(audience(&tokens), json!([ORDERS, STOCK]));
        assert_eq!(me(&app, &tokens.text_at("access_token")).await, 401, "it is not for this installation");
        let fewer = exchange(&app, &client, &code(&app, &ada, &client, &[ORDERS, STOCK]).await, &[STOCK]).await;
        assert_eq!(audience(&fewer), STOCK);
        // The grant is still for both.
        let next = refresh(&app, &client, &fewer.text_at("refresh_token"), &[ORDERS]).await;
        assert_eq!(audience(&next), ORDERS);
        let both = refresh(&app, &client, &next.text_at("refresh_token"), &[]).await;
        assert_eq!(audience(&both), json!([ORDERS, STOCK]));
        // And for nothing else.
        let more = refresh(&app, &client, &both.text_at("refresh_token"), &[ORDERS, OURS]).await;
        assert_flat(&more, 400, "invalid_target");
        let code = code(&app, &ada, &client, &[ORDERS]).await;
        assert_flat(&exchange(&app, &client, &code, &[ORDERS, STOCK]).await, 400, "invalid_target");
    }

    async fn this_installation_may_be_one_of_them(engine: Engine) {
        let (app, ada, client) = start(engine).await;
        let tokens = exchange(&app, &client, &code(&app, &ada, &client, &[OURS, ORDERS]).await, &[]).await;
        assert_eq!(audience(&tokens), json!([OURS, ORDERS]));
        assert_eq!(me(&app, &tokens.text_at("access_token")).await, 200);
        let other = refresh(&app, &client, &tokens.text_at("refresh_token"), &[ORDERS]).await;
        assert_eq!(me(&app, &other.text_at("access_token")).await, 401);
        let own = refresh(&app, &client, &other.text_at("refresh_token"), &[OURS]).await;
        assert_eq!((audience(&own), me(&app, &own.text_at("access_token")).await), (json!(OURS), 200));
    }

    async fn each_of_them_is_told_of_the_token(engine: Engine) {
        let (app, ada, client) = start(engine).await;
        let api = register(&app, &ada, &described_with(json!({ "name": "Stock" }))).await;
        let api = change(&app, &api, None, |metadata| metadata.serves = vec![STOCK.to_owned()]).await;
        let tokens = exchange(&app, &client, &code(&app, &ada, &client, &[ORDERS, STOCK]).await, &[]).await;
        let fields = [
            ("client_id", api.client_id.as_str()),
            ("client_secret", api.secret.as_deref().unwrap()),
            ("token", &tokens.text_at("access_token")),
        ];
        let said = app.post("/oauth/introspect").form(&form(&fields)).send().await;
        assert_eq!((said.field("active"), said.field("aud")), (&json!(true), &json!([ORDERS, STOCK])));
    }

    async fn they_are_sent_in_every_kind_of_request(engine: Engine) {
        let (app, ada, client) = start(engine).await;
        let own = [("grant_type", "client_credentials"), ("resource", ORDERS), ("resource", STOCK)];
        assert_eq!(audience(&token_request(&app, &client, &own).send().await), json!([ORDERS, STOCK]));
        // Pushed.
        let secret = client.secret.as_deref().unwrap();
        let mut fields = parameters(&client);
        fields.insert("client_secret".to_owned(), secret.to_owned());
        let mut pushed = Serializer::new(String::new());
        pushed.extend_pairs(&fields).append_pair("resource", ORDERS).append_pair("resource", STOCK);
        let pushed = app.post("/oauth/par").form(&pushed.finish()).send().await;
        let request_uri = pushed.assert_status(201).text_at("request_uri");
        let brought = form(&[("client_id", &client.client_id), ("request_uri", &request_uri), ("approve", "true")]);
        let back = sent_back(&app.post("/oauth/authorize").bearer(&ada.access_token).form(&brought).send().await);
        assert_eq!(audience(&exchange(&app, &client, &back["code"], &[]).await), json!([ORDERS, STOCK]));
        // Signed.
        let client = change(&app, &client, None, |metadata| metadata.jwks = Some(jwks(&[OWN]))).await;
        let mut request = signed_request(&app, &client);
        request["resource"] = json!([STOCK, ORDERS]);
        let brought = form(&[("client_id", &client.client_id), ("request", &OWN.sign(&request)), ("approve", "true")]);
        let back = sent_back(&app.post("/oauth/authorize").bearer(&ada.access_token).form(&brought).send().await);
        assert_eq!(audience(&exchange(&app, &client, &back["code"], &[]).await), json!([STOCK, ORDERS]));
    }

    /// Who allowed an application to read something here allowed it no token for another API with that: it is asked for, and remembered.
    async fn a_person_is_asked_for_each_api_once(engine: Engine) {
        let (app, _, client) = start(engine).await;
        app.sign_up_rivergen_verified("bob@example.com").await;
        let window = Window::new(&app);
        window.sign_in("bob@example.com").await;
        let open = async |resources: &[&str], more: &str| {
            let mut query = Serializer::new(String::new());
            query.extend_pairs(parameters(&client));
            for resource in resources {
                query.append_pair("resource", resource);
            }
            window.open(&format!("/oauth/authorize?{}{more}", query.finish())).await
        };
        let allow = async |resources: &[&str]| {
            let page = open(resources, "").await;
            assert_eq!(heading(&page), "Allow access?", "{resources:?}: {}", page.text);
            assert!(sent_back(&window.submit(&page, "/oauth/authorize", &[]).await).contains_key("code"));
            page.text
        };
        assert!(!allow(&[]).await.contains("in your name"));
        assert!(sent_back(&open(&[], "").await).contains_key("code"));
        assert_eq!(sent_back(&open(&[ORDERS], "&prompt=none").await)["error"], "consent_required");
        let asked = allow(&[OURS, ORDERS]).await;
        assert!(asked.contains(&format!("use {ORDERS} in your name")), "{asked}");
        assert!(!asked.contains(&format!("use {OURS} in your name")), "{asked}");
        for known in [&[ORDERS][..], &[OURS, ORDERS], &[OURS], &[]] {
            assert!(sent_back(&open(known, "").await).contains_key("code"), "{known:?}");
        }
        let asked = allow(&[ORDERS, STOCK]).await;
        assert!(asked.contains(&format!("use {STOCK} in your name")), "{asked}");
        assert!(sent_back(&open(&[STOCK], "").await).contains_key("code"));
        let account = window.open("/account").await;
        assert!(account.assert_status(200).text.contains(&format!("use {STOCK} in your name")), "{}", account.text);
    }

    async fn what_is_none_of_them_is_refused(engine: Engine) {
        let (app, ada, client) = start(engine).await;
        for resources in [&[ORDERS, "https://other.example.com"][..], &["", "x"]] {
            let back = sent_back(&approve(&app, &ada, &client, resources).await);
            assert_eq!(back["error"], "invalid_target", "{resources:?}");
        }
        // Several are sent one by one, and not without end.
        let both = format!("{ORDERS} {STOCK}");
        assert_flat(&approve(&app, &ada, &client, &[&both]).await, 400, "invalid_request");
        let many: Vec<String> = (0..9).map(|number| format!("https://{number}.example.com")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert_flat(&approve(&app, &ada, &client, &many).await, 400, "invalid_request");
        let own = [("grant_type", "client_credentials"), ("resource", ORDERS), ("resource", "https://other.example.com")];
        assert_flat(&token_request(&app, &client, &own).send().await, 400, "invalid_target");
        // The one that is sent twice is one; nothing else may be sent twice.
        let tokens = exchange(&app, &client, &code(&app, &ada, &client, &[ORDERS, ORDERS]).await, &[]).await;
        assert_eq!(audience(&tokens), ORDERS);
        let twice = [("grant_type", "client_credentials"), ("scope", "read"), ("scope", "read")];
        assert_flat(&token_request(&app, &client, &twice).send().await, 400, "invalid_request");
    }
}
