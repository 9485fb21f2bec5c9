//! Sign-in by other identity providers on the hosted page, each a stub on this machine.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tidegate_domain::factor::FactorKind;
use tidegate_testkit::social::{Returned, SocialConfig};
use tidegate_testkit::{Answer, Builder, Engine, TestApp, on_both_engines};

use super::super::heading;
use super::window::SESSION;
use super::{ADA, Window, assert_guarded};
use crate::oauth::asked_for;
use crate::rivergen::social::Social;

/// All of them, with what their buttons say.
pub(super) const PROVIDERS: [(&str, &str); 5] = [
    ("apple", "Apple"),
    ("github", "GitHub"),
    ("google", "Google"),
    ("microsoft", "Microsoft"),
    ("sso", "Example SSO"),
];

/// Where a provider's button leads.
#[track_caller]
pub(crate) fn button(page: &Answer, provider: &str) -> String {
    let start = format!("href=\"/sign-in/with/{provider}?");
    let rest = page.text.split_once(&start).unwrap_or_else(|| panic!("no {provider}: {}", page.text)).1;
    let query = rest.split_once('"').unwrap().0.replace("&amp;", "&").replace("&#38;", "&");
    format!("/sign-in/with/{provider}?{query}")
}

/// Presses a provider's button on the page, and has the person agree there; answers what the browser brings back.
pub(super) async fn agree(social: &Social, window: &Window, page: &Answer, provider: &str) -> Returned {
    let begun = window.open(&button(page, provider)).await;
    social.stub(provider).authorize(begun.assert_status(303).header("location"))
}

/// Brings an answer back as the provider has the browser do it, without following what comes then.
pub(super) async fn bring(window: &Window, returned: &Returned) -> Answer {
    if !returned.by_form {
        return window.open(&returned.path()).await;
    }
    let path = returned.path();
    let path = path.split_once('?').unwrap().0.to_owned();
    // A form of the provider's page, with which browsers send no cookies.
    let stranger = Window::of(window);
    let request = stranger.request(&path, &returned.encoded()).header("sec-fetch-site", "cross-site");
    let answer = stranger.send(request).await;
    assert_eq!(answer.header("set-cookie"), "", "the browser's own cookies stay");
    window.open(answer.assert_status(303).header("location")).await
}

/// There and back from the page that is shown.
pub(super) async fn sign_in_from(social: &Social, window: &Window, page: &Answer, provider: &str) -> Answer {
    let returned = agree(social, window, page, provider).await;
    let answer = bring(window, &returned).await;
    window.follow(answer).await
}

/// There and back from the sign-in page.
pub(super) async fn sign_in(social: &Social, window: &Window, provider: &str) -> Answer {
    let page = window.visit("/sign-in").await;
    sign_in_from(social, window, &page, provider).await
}

#[track_caller]
pub(super) fn assert_signed_in(page: &Answer) {
    page.assert_status(200);
    assert_eq!(heading(page), "You are signed in", "{}", page.text);
}

on_both_engines! {
    async fn a_person_signs_up_and_in_by_each_provider(social: Social) {
        for (number, (provider, title)) in PROVIDERS.into_iter().enumerate() {
            social.stub(provider).person(|person| person.email = format!("person{number}@example.com"));
            let window = Window::new(&social.app);
            let page = window.visit("/sign-in").await;
            assert_guarded(&page);
            assert!(page.text.contains(&format!("Continue with {title}")), "{}", page.text);
            let page = sign_in_from(&social, &window, &page, provider).await;
            assert_signed_in(&page);
            assert!(page.text.contains(&format!("person{number}@example.com")), "{}", page.text);
            assert_eq!(social.newest_amr().await, "fed");
            // And again in another browser: it is the same account.
            assert_signed_in(&sign_in(&social, &Window::new(&social.app), provider).await);
        }
        assert_eq!((social.accounts().await, social.connected().await), (5, 5));
        let pages = "select count(*) from sessions where dialect = 'browser'";
        assert_eq!(social.app.sql_count(pages).await, 10);
    }

    async fn the_name_in_apples_form_comes_along(social: Social) {
        let window = Window::new(&social.app);
        assert!(sign_in(&social, &window, "apple").await.text.contains("Ada Lovelace (ada@example.com)"));
        let names = social.app.database.sql_texts("select display_name from accounts").await;
        assert_eq!(names, ["Ada Lovelace"]);
    }

    async fn a_sign_in_by_a_provider_comes_back_to_the_application_that_asked(social: Social) {
        let app = &social.app;
        let (client, address) = asked_for(app, "owner@example.com").await;
        let window = Window::new(app);
        let page = window.visit(&address).await;
        let page = sign_in_from(&social, &window, &page, "google").await;
        assert_eq!(heading(&page), "Allow access?", "{}", page.text);
        assert!(page.text.contains("ada@example.com"), "{}", page.text);
        let claims = client.allow(app, &window, &page).await;
        assert_eq!(claims["amr"], serde_json::json!(["fed"]));
    }

    async fn the_second_factor_is_asked_for_where_the_account_has_one(social: Social) {
        let app = &social.app;
        let ada = app.sign_up_rivergen_verified(ADA).await;
        social.join("google", ADA).await.assert_status(200);
        let authenticator = app.enrol_totp(&ada, "Phone").await;
        app.advance(Duration::from_secs(30));
        let window = Window::new(app);
        let page = sign_in(&social, &window, "google").await;
        assert_eq!(heading(&page), "Confirm that it is you", "{}", page.text);
        assert_eq!(window.cookie(SESSION), None);
        let code = authenticator.code(app.now());
        let page = window.press(&page, "/sign-in/factor", &[("code", &code), ("trust", "yes")]).await;
        assert_signed_in(&page);
        assert_eq!(social.newest_amr().await, "otp mfa fed");
        // The browser is trusted now.
        let out = window.visit("/sign-out").await;
        window.press(&out, "/sign-out", &[]).await;
        assert_signed_in(&sign_in(&social, &window, "google").await);
        assert_eq!(social.newest_amr().await, "fed");
    }

    /// What was shown at the provider is no newer for a second factor that is shown here, and nobody signed in there tomorrow.
    async fn a_session_is_as_old_as_the_sign_in_at_the_provider(social: Social) {
        let app = &social.app;
        let ada = app.sign_up_rivergen_verified(ADA).await;
        social.join("google", ADA).await.assert_status(200);
        let authenticator = app.enrol_totp(&ada, "Phone").await;
        app.advance(Duration::from_secs(30));
        let says = |seconds: i64| {
            social.stub("google").behave(|behaviour| {
                behaviour.claims = Some(Arc::new(move |claims| {
                    claims.insert("auth_time".to_owned(), json!(seconds));
                }));
            });
        };
        let newest = async || {
            let newest = "select auth_time from sessions where dialect = 'browser' order by number desc limit 1";
            app.sql_count(newest).await / 1_000_000
        };
        let an_hour_ago = app.now().seconds() - 3_600;
        says(an_hour_ago);
        let window = Window::new(app);
        let page = sign_in(&social, &window, "google").await;
        let fields = [("code", authenticator.code(app.now())), ("trust", "yes".to_owned())];
        let fields = fields.each_ref().map(|(name, value)| (*name, value.as_str()));
        assert_signed_in(&window.press(&page, "/sign-in/factor", &fields).await);
        assert_eq!(newest().await, an_hour_ago);
        let out = window.visit("/sign-out").await;
        window.press(&out, "/sign-out", &[]).await;
        says(app.now().seconds() + 86_400);
        assert_signed_in(&sign_in(&social, &window, "google").await);
        assert_eq!(newest().await, app.now().seconds());
    }

    async fn an_account_that_is_there_is_joined_with_a_mailed_code(social: Social) {
        let app = &social.app;
        app.sign_up_rivergen_verified(ADA).await;
        let window = Window::new(app);
        let page = sign_in(&social, &window, "sso").await;
        assert_eq!(heading(&page), "Confirm that it is you", "{}", page.text);
        assert!(page.text.contains("with the address ada@example.com already"), "{}", page.text);
        assert!(page.text.contains("Then you can sign in with Example SSO."), "{}", page.text);
        assert!(!page.text.contains("/sign-in/passkey"), "a passkey shows no mailbox: {}", page.text);
        assert_eq!(social.connected().await, 0);
        let kind = FactorKind::EmailOtp.as_str();
        let page = window.press(&page, "/sign-in/factor/send", &[("kind", kind)]).await;
        assert!(!page.text.contains("name=\"trust\""), "a mailed code makes no device trusted: {}", page.text);
        let code = app.latest_code(ADA).await;
        assert_signed_in(&window.press(&page, "/sign-in/factor", &[("code", &code)]).await);
        assert_eq!((social.accounts().await, social.connected().await), (1, 1));
        assert_signed_in(&sign_in(&social, &Window::new(app), "sso").await);
    }

    async fn the_page_that_joins_shows_the_address_as_its_owner_writes_it(social: Social) {
        const SHOWN: &str = "ada@b\u{fc}cher.example";
        social.app.sign_up_rivergen_verified(SHOWN).await;
        social.stub("sso").person(|person| person.email = "ada@xn--bcher-kva.example".to_owned());
        let page = sign_in(&social, &Window::new(&social.app), "sso").await;
        assert_eq!(heading(&page), "Confirm that it is you", "{}", page.text);
        assert!(page.text.contains(&format!("with the address {SHOWN} already")), "{}", page.text);
        assert!(!page.text.contains("xn--"), "{}", page.text);
    }

    // Whoever has an account at a provider with the owner's address begins as many of these as they like.
    async fn codes_that_join_do_not_use_up_those_that_sign_in(engine: Engine) {
        let social = Social::with(engine, |_| (), |builder: Builder| builder).await;
        let app = &social.app;
        let ada = app.sign_up_rivergen_verified(ADA).await;
        app.enrol_email_otp(&ada).await;
        let stranger = Window::at(app, "203.0.113.9");
        for _ in 0..3 {
            let page = sign_in(&social, &stranger, "sso").await;
            let page = stranger.press(&page, "/sign-in/factor/send", &[("kind", "email_otp")]).await;
            stranger.submit(&page, "/sign-in/factor", &[("code", "000000")]).await.assert_status(422);
        }
        let page = sign_in(&social, &stranger, "sso").await;
        stranger.submit(&page, "/sign-in/factor/send", &[("kind", "email_otp")]).await.assert_status(429);
        let window = Window::new(app);
        let answer = window.try_password(ADA, tidegate_testkit::PASSWORD).await;
        let page = window.follow(answer).await;
        let page = window.press(&page, "/sign-in/factor/send", &[("kind", "email_otp")]).await;
        let code = app.latest_code(ADA).await;
        assert_signed_in(&window.press(&page, "/sign-in/factor", &[("code", &code)]).await);
    }

    async fn where_no_provider_is_set_up_the_page_offers_none(app: TestApp) {
        let window = Window::new(&app);
        assert!(!window.visit("/sign-in").await.text.contains("/sign-in/with/"));
        assert_eq!(SocialConfig::default().oidc.len(), 0);
    }
}
