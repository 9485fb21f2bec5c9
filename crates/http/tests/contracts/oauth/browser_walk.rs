//! A person signs in to an application in a real browser, and refuses another time.

use std::net::SocketAddr;

use axum::Router;
use axum::extract::RawQuery;
use axum::response::Html;
use axum::routing::get;
use serde_json::{Value, json};
use tidegate_testkit::{Engine, PASSWORD, run};
use tokio::net::TcpListener;
use url::form_urlencoded::Serializer;

use super::wire::{ADA, described_with, parameters_with, register};
use crate::pages::browser::{Browser, serve_with};
use crate::pages::looks::look_at;

/// An application that shows what it was sent back, and its address.
async fn application() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}/callback", listener.local_addr().unwrap());
    let shown = |RawQuery(query): RawQuery| async move {
        let query = query.unwrap_or_default();
        let what = if query.contains("code=tgc_") { "Welcome" } else { "Refused" };
        Html(format!(
            "<!doctype html><title>Shop</title><link rel=icon href='data:,'><h1>{what}</h1><p>{query}</p>"
        ))
    };
    let router = Router::new().route("/callback", get(shown));
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
