//! Sign-ins by a provider that must not succeed: attacks, and a provider that is not well.

use axum::http::Method;
use tidegate_testkit::social::Health;
use tidegate_testkit::{Answer, Builder, Engine, PASSWORD, on_both_engines};

use super::super::heading;
use super::social::{PROVIDERS, agree, assert_signed_in, bring, button, sign_in, sign_in_from};
use super::window::SESSION;
use super::{ADA, Window, assert_guarded, disable};
use crate::rivergen::social::Social;

const AGAIN: &str = "This sign-in took too long, or it was begun in another browser. Try again.";

/// That nobody was signed in, and why, on the sign-in page.
#[track_caller]
fn assert_told(window: &Window, page: &Answer, status: u16, text: &str) {
    page.assert_status(status);
    assert_eq!(heading(page), "Sign in", "{}", page.text);
    assert!(page.text.contains(text), "{text}: {}", page.text);
    assert_guarded(page);
    assert_eq!(window.cookie(SESSION), None);
}

on_both_engines! {
    async fn an_answer_is_for_the_browser_that_began(social: Social) {
        let window = Window::new(&social.app);
        let page = window.visit("/sign-in").await;
        for (provider, _) in PROVIDERS {
            let returned = agree(&social, &window, &page, provider).await;
            // The attack: the owner of an answer has another browser bring it, which is signed in to their account then.
            let victim = Window::new(&social.app);
            victim.visit("/sign-in").await;
            assert_told(&victim, &bring(&victim, &returned).await, 422, AGAIN);
            let bare = Window::new(&social.app);
            assert_told(&bare, &bring(&bare, &returned).await, 422, AGAIN);
            assert_eq!(social.accounts().await, 0, "{provider}");
        }
        // The browser that began is not kept out by it.
        let page = window.visit("/sign-in").await;
        assert_signed_in(&sign_in_from(&social, &window, &page, "google").await);
    }

    async fn an_answer_is_for_one_provider_and_one_time(social: Social) {
        let window = Window::new(&social.app);
        let page = window.visit("/sign-in").await;
        let mut returned = agree(&social, &window, &page, "google").await;
        let own = returned.redirect_uri.clone();
        // Mix-up: the answer comes to another provider's address.
        returned.redirect_uri = own.replace("/google/", "/microsoft/");
        assert_told(&window, &bring(&window, &returned).await, 422, AGAIN);
        // The issuer beside the code is another one (RFC 9207).
        returned.redirect_uri.clone_from(&own);
        returned.parameters.insert("iss".to_owned(), "https://evil.example".to_owned());
        assert_told(&window, &bring(&window, &returned).await, 422, AGAIN);
        // That used it up.
        returned.parameters.remove("iss");
        assert_told(&window, &bring(&window, &returned).await, 422, AGAIN);
        let returned = agree(&social, &window, &window.visit("/sign-in").await, "google").await;
        let answer = bring(&window, &returned).await;
        assert_signed_in(&window.follow(answer).await);
        window.forget(SESSION);
        assert_told(&window, &bring(&window, &returned).await, 422, AGAIN);
        // Ambiguous, and without what it needs.
        let returned = agree(&social, &window, &window.visit("/sign-in").await, "google").await;
        let twice = format!("{}&code=other", returned.path());
        assert_told(&window, &window.open(&twice).await, 422, AGAIN);
        for query in ["", "?state=x", "?code=x", "?code=x&state=x", "?state=%FF", "?error=x"] {
            let answer = window.open(&format!("/sign-in/with/google/callback{query}")).await;
            assert_eq!((answer.status, heading(&answer)), (422, "Sign in"), "{query}: {}", answer.text);
        }
    }

    async fn a_contracts_answer_is_none_of_a_page_and_the_other_way_round(social: Social) {
        let app = &social.app;
        let window = Window::new(app);
        let page = window.visit("/sign-in").await;
        let returned = agree(&social, &window, &page, "google").await;
        let path = format!("/api/v1/auth/oauth/google/callback?{}", returned.encoded());
        app.get(&path).send().await.assert_error(400, "OAUTH_AUTHORIZATION_FAILED");
        let begun = app.get("/api/v1/auth/oauth/google/url").send().await;
        let returned = social.stub("google").authorize(&begun.assert_status(200).text_at("data.oauth_url"));
        let path = format!("/sign-in/with/google/callback?{}", returned.encoded());
        assert_told(&window, &window.open(&path).await, 422, AGAIN);
    }

    async fn a_page_of_another_site_begins_nothing(social: Social) {
        let window = Window::new(&social.app);
        let page = window.visit("/sign-in").await;
        let link = button(&page, "google");
        let stranger = Window::new(&social.app);
        stranger.visit("/sign-in").await;
        assert_eq!(stranger.open(&link).await.status, 403);
        let (path, query) = link.split_once('?').unwrap();
        let flow = query.split('&').find(|pair| pair.starts_with("flow=")).unwrap();
        for link in [path.to_owned(), format!("{path}?{flow}"), format!("{path}?{flow}&csrf=x")] {
            assert_told(&window, &window.open(&link).await, 403, "This form was no longer valid.");
        }
        let request = social.app.client().request(Method::GET, &link).header("sec-fetch-site", "cross-site");
        assert_told(&window, &window.send(request).await, 403, "This form was no longer valid.");
        let head = window.send(social.app.client().request(Method::HEAD, &link)).await;
        assert_eq!((head.status, head.header("location")), (200, ""));
        assert_eq!(social.app.sql_count("select count(*) from social_requests").await, 0);
        let unknown = link.replace("/google?", "/nobody?");
        assert_told(&window, &window.open(&unknown).await, 422, "This way to sign in is not available here.");
        let unset = link.replace("/google?", "/%2e%2e%2fgoogle?");
        assert_told(&window, &window.open(&unset).await, 422, "This way to sign in is not available here.");
    }

    async fn what_keeps_a_person_out_is_told_in_plain_words(social: Social) {
        let app = &social.app;
        let window = Window::new(app);
        // The person refuses at the provider.
        let page = window.visit("/sign-in").await;
        let mut returned = agree(&social, &window, &page, "google").await;
        returned.parameters.remove("code");
        returned.parameters.insert("error".to_owned(), "access_denied".to_owned());
        assert_told(&window, &bring(&window, &returned).await, 422, "the other service did not agree");
        // The provider has not verified the address.
        social.stub("google").person(|person| person.is_verified = false);
        let page = sign_in(&social, &window, "google").await;
        assert_told(&window, &page, 422, "has not verified your e-mail address");
        social.stub("google").person(|person| person.is_verified = true);
        // The account is disabled.
        assert_signed_in(&sign_in(&social, &window, "google").await);
        window.forget(SESSION);
        disable(app, ADA).await;
        let page = sign_in(&social, &window, "google").await;
        assert_told(&window, &page, 422, "This account cannot sign in here.");
    }

    async fn a_provider_that_is_not_well_is_told_and_the_others_go_on(engine: Engine) {
        let social = Social::with(engine, |_| (), Builder::without_limits).await;
        let window = Window::new(&social.app);
        social.stub("google").behave(|google| google.token = Health::Down);
        // More than it takes until nobody asks it for a while.
        for _ in 0..12 {
            let page = sign_in(&social, &window, "google").await;
            assert_told(&window, &page, 503, "does not answer at the moment");
        }
        let asked = social.stub("google").asked().len();
        let page = sign_in(&social, &window, "google").await;
        assert_told(&window, &page, 503, "does not answer at the moment");
        assert_eq!(social.stub("google").asked().len(), asked, "it is left in peace");
        social.stub("google").behave(|google| google.token = Health::Garbage);
        // The pause is measured by a clock that nobody sets.
        tokio::time::sleep(std::time::Duration::from_secs(6)).await;
        let page = sign_in(&social, &window, "google").await;
        assert_told(&window, &page, 422, "sent an answer that cannot be used");
        assert_signed_in(&sign_in(&social, &window, "github").await);
        social.stub("google").behave(|google| google.token = Health::Fine);
        // The same address: whoever signs in with both proves it.
        assert_eq!(heading(&sign_in(&social, &window, "google").await), "Confirm that it is you");
    }

    async fn the_pages_have_the_limits_of_the_contract(engine: Engine) {
        let social = Social::with(engine, |_| (), |builder: Builder| builder).await;
        let window = Window::new(&social.app);
        let link = button(&window.visit("/sign-in").await, "google");
        for _ in 0..60 {
            window.open(&link).await.assert_status(303);
        }
        let refused = window.open(&link).await;
        assert!(refused.assert_status(429).text.contains("Too many attempts."), "{}", refused.text);
        for _ in 0..30 {
            window.open("/sign-in/with/google/callback?code=guess&state=guess").await.assert_status(422);
        }
        window.open("/sign-in/with/google/callback?code=guess&state=guess").await.assert_status(429);
        let elsewhere = Window::at(&social.app, "203.0.113.77");
        assert_signed_in(&sign_in(&social, &elsewhere, "google").await);
        // The password is another door.
        social.app.sign_up_rivergen_verified("bob@example.com").await;
        window.try_password("bob@example.com", PASSWORD).await.assert_status(303);
    }
}
