//! A person signs in to an application in a real browser, and refuses another time.

use std::net::SocketAddr;

use axum::Router;
use axum::extract::RawQuery;
use axum::response::Html;
use axum::routing::get;
use serde_json::{Value, json};
use tidegate_domain::RegistrationMode;
use tidegate_kernel::Settings;
use tidegate_testkit::{Engine, PASSWORD, eventually, run};
use tokio::net::TcpListener;
use url::form_urlencoded::Serializer;

use super::wire::{
    ADA, App, CALLBACK, approve, described_with, exchange, form, parameters_with, register, sent_back,
};
use crate::pages::browser::{Browser, serve_with};
use crate::pages::looks::look_at;

/// What an application shows of what it was sent back.
fn shown(sent: &str) -> Html<String> {
    let what = if sent.contains("code=tgc_") { "Welcome" } else { "Refused" };
    Html(format!(
        "<!doctype html><title>Shop</title><link rel=icon href='data:,'><h1>{what}</h1><p>{sent}</p>"
    ))
}

/// An application that shows what it was sent back, in its address or in a form, and its address.
async fn application() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}/callback", listener.local_addr().unwrap());
    let asked = |RawQuery(query): RawQuery| async move { shown(&query.unwrap_or_default()) };
    let posted = |form: String| async move { shown(&form) };
    let bye =
        async || Html("<!doctype html><title>Shop</title><link rel=icon href='data:,'><h1>Goodbye</h1>");
    let router = Router::new().route("/callback", get(asked).post(posted)).route("/bye", get(bye));
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, service).await });
    address
}

#[test]
fn a_person_refuses_an_application_then_allows_it_and_is_not_asked_again() {
    run(Engine::Sqlite, async |_: Engine| {
        let (app, address) = serve_with(|_| {}).await;
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let authenticator = app.enrol_totp(&ada, "Phone").await;
        app.advance(std::time::Duration::from_secs(30));
        let callback = application().await;
        let client = register(&app, &ada, &described_with(json!({ "redirect_uris": [callback] }))).await;
        let asked = parameters_with(&client, &[("redirect_uri", &callback)]);
        let query = Serializer::new(String::new()).extend_pairs(&asked).finish();
        let request = format!("{address}/oauth/authorize?{query}");
        let browser = Browser::start();
        browser.open(&request);
        browser.arrive_at("Sign in").await;
        browser.type_into("#login", ADA);
        browser.type_into("#password", PASSWORD);
        browser.press("form[action='/sign-in'] button[type=submit]");
        browser.arrive_at("Confirm that it is you").await;
        browser.type_into("#code", &authenticator.code(app.now()));
        browser.press("form[action='/sign-in/factor'] button[type=submit]");
        browser.arrive_at("Allow access?").await;
        look_at(&browser, "consent");
        browser.press("form:has([name=choice][value=deny]) button");
        browser.arrive_at("Refused").await;
        assert!(browser.text("p").unwrap().contains("error=access_denied"));

        browser.open(&request);
        browser.arrive_at("Allow access?").await;
        browser.press("form:has([name=choice][value=allow]) button");
        browser.arrive_at("Welcome").await;
        browser.open(&request);
        browser.arrive_at("Welcome").await;
        browser.open(&format!("{address}/oauth/authorize?client_id=nobody"));
        browser.arrive_at("Request refused").await;
        look_at(&browser, "authorize-refused");
        assert_eq!(browser.complaints(), Vec::<Value>::new());
    });
}

/// Anybody may register an application.
fn open(settings: &mut Settings) {
    let mut rules = settings.oauth.rules.clone();
    rules.registration.mode = RegistrationMode::Open;
    rules.registration.organization = Some(1);
    settings.set_oauth(rules);
}

/// Anybody may have registered it: whether it hears of an error, the person decides. An answer that they gave is posted by the page.
#[test]
fn a_person_goes_on_to_an_unknown_application_or_does_not() {
    run(Engine::Sqlite, async |_: Engine| {
        let (app, address) = serve_with(open).await;
        app.sign_up_rivergen_verified(ADA).await;
        let callback = application().await;
        let body = json!({ "client_name": "Unknown", "redirect_uris": [callback] });
        let registered = app.post("/oauth/register").json(&body).send().await;
        let client_id = registered.assert_status(201).text_at("client_id");
        let client = App { number: 0, client_id, secret: None };
        let request = |changed: &[(&str, &str)]| {
            let mut all = vec![("redirect_uri", callback.as_str()), ("scope", "openid")];
            all.extend_from_slice(changed);
            let query = Serializer::new(String::new()).extend_pairs(parameters_with(&client, &all)).finish();
            format!("{address}/oauth/authorize?{query}")
        };
        let browser = Browser::start();
        browser.open(&request(&[("prompt", "none")]));
        browser.arrive_at("Request refused").await;
        look_at(&browser, "authorize-unknown");
        browser.press("a[href*='error=login_required']");
        browser.arrive_at("Refused").await;
        browser.open(&request(&[("prompt", "none"), ("response_mode", "form_post")]));
        browser.arrive_at("Request refused").await;
        look_at(&browser, "authorize-unknown-posted");
        browser.press("form[method=post] button");
        browser.arrive_at("Refused").await;
        assert!(browser.text("p").unwrap().contains("error=login_required"));
        assert_eq!(browser.complaints(), Vec::<Value>::new());

        browser.open(&request(&[("response_mode", "form_post")]));
        browser.arrive_at("Sign in").await;
        browser.type_into("#login", ADA);
        browser.type_into("#password", PASSWORD);
        browser.press("form[action='/sign-in'] button[type=submit]");
        browser.arrive_at("Allow access?").await;
        browser.press("form:has([name=choice][value=allow]) button");
        browser.arrive_at("Welcome").await;
    });
}

/// The same where it has people signed out: an ID token may be that of whoever registered it.
#[test]
fn a_person_who_is_signed_out_goes_on_to_an_unknown_application_or_does_not() {
    run(Engine::Sqlite, async |_: Engine| {
        let (app, address) = serve_with(open).await;
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let bye = application().await.replace("/callback", "/bye");
        let body = json!({ "client_name": "Unknown", "redirect_uris": [CALLBACK], "post_logout_redirect_uris": [bye] });
        let registered = app.post("/oauth/register").json(&body).send().await;
        let client_id = registered.assert_status(201).text_at("client_id");
        let client = App { number: 0, client_id, secret: Some(registered.text_at("client_secret")) };
        let back = sent_back(
            &approve(&app, &ada.access_token, &parameters_with(&client, &[("scope", "openid")])).await,
        );
        let id_token = exchange(&app, &client, &back["code"]).await.assert_status(200).text_at("id_token");
        let query = form(&[("id_token_hint", id_token.as_str()), ("post_logout_redirect_uri", bye.as_str())]);
        let browser = Browser::start();
        browser.open(&format!("{address}/oauth/logout?{query}"));
        browser.arrive_at("Signed out").await;
        look_at(&browser, "logout-unknown");
        browser.press(&format!("a[href='{bye}']"));
        browser.arrive_at("Goodbye").await;
        assert_eq!(browser.complaints(), Vec::<Value>::new());
    });
}

#[test]
fn an_application_is_allowed_with_scripts_off() {
    run(Engine::Sqlite, async |_: Engine| {
        let (app, address) = serve_with(|_| {}).await;
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let callback = application().await;
        let client = register(&app, &ada, &described_with(json!({ "redirect_uris": [callback] }))).await;
        let asked = parameters_with(&client, &[("redirect_uri", &callback)]);
        let query = Serializer::new(String::new()).extend_pairs(&asked).finish();
        let request = format!("{address}/oauth/authorize?{query}");
        let browser = Browser::start();
        browser.command("Emulation.setScriptExecutionDisabled", &json!({ "value": true }));
        browser.open(&request);
        browser.arrive_at("Sign in").await;
        browser.type_into("#login", ADA);
        browser.type_into("#password", PASSWORD);
        browser.press("form[action='/sign-in'] button[type=submit]");
        browser.arrive_at("Allow access?").await;
        browser.press("form:has([name=choice][value=deny]) button");
        browser.arrive_at("Refused").await;
        browser.open(&request);
        browser.arrive_at("Allow access?").await;
        browser.press("form:has([name=choice][value=allow]) button");
        browser.arrive_at("Welcome").await;
    });
}

#[test]
fn a_person_who_was_signed_out_comes_back_to_an_application_that_they_allowed() {
    run(Engine::Sqlite, async |_: Engine| {
        let (app, address) = serve_with(|_| {}).await;
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let callback = application().await;
        let client = register(&app, &ada, &described_with(json!({ "redirect_uris": [callback] }))).await;
        let asked = parameters_with(&client, &[("redirect_uri", &callback)]);
        let query = Serializer::new(String::new()).extend_pairs(&asked).finish();
        let request = format!("{address}/oauth/authorize?{query}");
        let browser = Browser::start();
        let sign_in = || {
            browser.type_into("#login", ADA);
            browser.type_into("#password", PASSWORD);
            browser.press("form[action='/sign-in'] button[type=submit]");
        };
        browser.open(&request);
        browser.arrive_at("Sign in").await;
        sign_in();
        browser.arrive_at("Allow access?").await;
        browser.press("form:has([name=choice][value=allow]) button");
        browser.arrive_at("Welcome").await;
        browser.open(&format!("{address}/sign-out"));
        browser.arrive_at("Sign out?").await;
        browser.press("form[action='/sign-out'] button");
        browser.arrive_at("Signed out").await;
        // The answer to the form leads through this server to the application at once.
        browser.open(&request);
        browser.arrive_at("Sign in").await;
        sign_in();
        browser.arrive_at("Welcome").await;
        assert_eq!(browser.complaints(), Vec::<Value>::new());
    });
}

#[test]
fn a_person_looks_who_has_access_and_is_signed_out_by_an_application() {
    run(Engine::Sqlite, async |_: Engine| {
        let (app, address) = serve_with(|_| {}).await;
        let owner = app.sign_up_rivergen_verified("owner@example.com").await;
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let callback = application().await;
        let bye = callback.replace("/callback", "/bye");
        let fields = json!({ "redirect_uris": [callback], "post_logout_redirect_uris": [bye] });
        let client = register(&app, &owner, &described_with(fields)).await;
        let asked = parameters_with(&client, &[("redirect_uri", &callback)]);
        let query = Serializer::new(String::new()).extend_pairs(&asked).finish();
        let browser = Browser::start();
        browser.open(&format!("{address}/oauth/authorize?{query}"));
        browser.arrive_at("Sign in").await;
        browser.type_into("#login", ADA);
        browser.type_into("#password", PASSWORD);
        browser.press("form[action='/sign-in'] button[type=submit]");
        browser.arrive_at("Allow access?").await;
        browser.press("form:has([name=choice][value=allow]) button");
        browser.arrive_at("Welcome").await;
        browser.open(&format!("{address}/account"));
        browser.arrive_at("You are signed in").await;
        look_at(&browser, "account-applications");
        browser.press("form[action='/account/applications/withdraw'] button");
        eventually("it is gone", async || {
            browser.text("[class~=success]").filter(|text| text.contains("no access"))
        })
        .await;
        look_at(&browser, "account-withdrawn");

        let logout =
            [("client_id", client.client_id.as_str()), ("post_logout_redirect_uri", &bye), ("state", "s")];
        let query = Serializer::new(String::new()).extend_pairs(logout).finish();
        browser.open(&format!("{address}/oauth/logout?{query}"));
        browser.arrive_at("Sign out?").await;
        look_at(&browser, "logout-asked");
        // The answer to the form leads to the application: the page's policy lets it.
        browser.press("form[action='/oauth/logout'] button");
        browser.arrive_at("Goodbye").await;
        assert_eq!(browser.evaluate("location.search"), "?state=s");
        browser.open(&format!("{address}/account"));
        browser.arrive_at("Sign in").await;
        browser.open(&format!("{address}/oauth/logout?id_token_hint=bad"));
        browser.arrive_at("Request refused").await;
        look_at(&browser, "logout-refused");
        assert!(!ada.access_token.is_empty());
        assert_eq!(browser.complaints(), Vec::<Value>::new());
    });
}
