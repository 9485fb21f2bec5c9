//! People at `/oauth/authorize`: they sign in, are asked, and are sent back. RFC 6749 section 4.1; OpenID Connect Core section 3.1.2.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::http::Method;
use serde_json::json;
use tidegate_testkit::{Answer, Engine, PASSWORD, Person, TestApp, on_both_engines};
use url::form_urlencoded::Serializer;

use super::wire::{
    ADA, App, CALLBACK, applications, as_person, audited, described, described_with, exchange, organization,
    parameters, parameters_with, register, register_public, sent_back,
};
use crate::pages::heading;
use crate::pages::sign_in::assert_guarded;
use crate::pages::sign_in::window::{Window, field, filled};

const AUTHORIZE: &str = "/oauth/authorize";
const BOB: &str = "bob@example.com";

/// The address that the application sends the browser to.
fn address(parameters: &BTreeMap<String, String>) -> String {
    format!("{AUTHORIZE}?{}", Serializer::new(String::new()).extend_pairs(parameters).finish())
}

/// The usual application of an organization.
async fn shop(app: &TestApp) -> (Person, App) {
    let ada = app.sign_up_rivergen_verified(ADA).await;
    let client = register(app, &ada, &described()).await;
    (ada, client)
}

/// Signs in on the page, whoever asks; answers what follows.
async fn sign_in(window: &Window, page: &Answer, login: &str) -> Answer {
    assert_eq!(heading(page), "Sign in", "{}", page.text);
    window.press(page, "/sign-in", &[("login", login), ("password", PASSWORD)]).await
}

/// The page of the question, without what goes on to the application.
#[track_caller]
fn assert_asked(page: &Answer) {
    page.assert_status(200);
    assert_eq!(heading(page), "Allow access?", "{}", page.text);
    let policy = page.header("content-security-policy");
    assert!(policy.contains("form-action 'self' https://shop.example.com;"), "{policy}");
    assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
    assert_eq!((page.header("x-frame-options"), page.header("cache-control")), ("DENY", "no-store"));
}

/// The answer to the question.
async fn choose(window: &Window, page: &Answer, choice: &str) -> Answer {
    let typed: &[(&str, &str)] = if choice == "allow" { &[] } else { &[("choice", choice)] };
    window.submit(page, AUTHORIZE, typed).await
}

on_both_engines! {
    async fn a_person_signs_in_allows_it_and_is_sent_back_with_a_code(app: TestApp) {
        let (_, client) = shop(&app).await;
        let window = Window::new(&app);
        let page = window.visit(&address(&parameters(&client))).await;
        let page = sign_in(&window, &page, ADA).await;
        assert_asked(&page);
        for text in [
            "Shop, an application of", "asks for access to the account Ada Lovelace (ada@example.com).",
            "You will be sent on to https://shop.example.com.", "know which account is yours", "read your e-mail address",
        ] {
            assert!(page.text.contains(text), "{text}: {}", page.text);
        }
        let back = sent_back(&choose(&window, &page, "allow").await);
        assert_eq!((back["state"].as_str(), back["iss"].as_str()), ("some state", "https://id.example.com"));
        let issued = exchange(&app, &client, &back["code"]).await;
        issued.assert_status(200);
        let claims = crate::oauth::wire::claims(&issued.text_at("id_token"));
        assert_eq!((&claims["amr"], &claims["nonce"]), (&json!(["pwd"]), &json!("some nonce")));

        // What was allowed is remembered: neither page is shown again.
        let back = sent_back(&window.open(&address(&parameters(&client))).await);
        assert!(back.contains_key("code"));
        // Something more is asked for.
        let more = parameters_with(&client, &[("scope", "openid email read profile")]);
        assert_asked(&window.open(&address(&more)).await);
        // As is everything where the application wants it.
        let again = parameters_with(&client, &[("prompt", "consent")]);
        assert_asked(&window.open(&address(&again)).await);
        assert_eq!(audited(&app, "oauth.consent").await, ["oauth.consent.granted"]);
    }

    async fn a_person_refuses_and_the_application_is_told(app: TestApp) {
        let (_, client) = shop(&app).await;
        let window = Window::new(&app);
        let page = window.visit(&address(&parameters(&client))).await;
        let page = sign_in(&window, &page, ADA).await;
        let back = sent_back(&choose(&window, &page, "deny").await);
        assert_eq!((back["error"].as_str(), back["state"].as_str()), ("access_denied", "some state"));
        assert!(!back.contains_key("code") && back.contains_key("iss"));
        assert_eq!(audited(&app, "oauth.consent").await, ["oauth.consent.denied"]);
        // They may think again.
        assert_asked(&window.open(&address(&parameters(&client))).await);
    }

    async fn an_application_may_ask_without_a_page(app: TestApp) {
        let (_, client) = shop(&app).await;
        let window = Window::new(&app);
        let silent = address(&parameters_with(&client, &[("prompt", "none")]));
        assert_eq!(sent_back(&window.open(&silent).await)["error"], "login_required");
        window.sign_in(ADA).await;
        assert_eq!(sent_back(&window.open(&silent).await)["error"], "consent_required");
        let page = window.open(&address(&parameters(&client))).await;
        sent_back(&choose(&window, &page, "allow").await);
        assert!(sent_back(&window.open(&silent).await).contains_key("code"));
        // And never gets one where it cannot be.
        app.advance(Duration::from_secs(60));
        let fresh = address(&parameters_with(&client, &[("prompt", "none"), ("max_age", "30")]));
        assert_eq!(sent_back(&window.open(&fresh).await)["error"], "login_required");
    }

    async fn an_application_may_have_the_person_sign_in_again(app: TestApp) {
        let (_, client) = shop(&app).await;
        let window = Window::new(&app);
        window.sign_in(ADA).await;
        let page = window.open(&address(&parameters(&client))).await;
        sent_back(&choose(&window, &page, "allow").await);
        for changed in [("prompt", "login"), ("prompt", "select_account"), ("max_age", "0")] {
            app.advance(Duration::from_secs(10));
            let path = address(&parameters_with(&client, &[changed]));
            let page = window.visit(&path).await;
            let answer = window.submit(&page, "/sign-in", &[("login", ADA), ("password", PASSWORD)]).await;
            let to = answer.assert_status(303).header("location").to_owned();
            // Time passes between the sign-in and the redirect.
            app.advance(Duration::from_secs(2));
            assert!(sent_back(&window.open(&to).await).contains_key("code"), "{changed:?}");
            // The proof is this request's and this session's alone, and does not last.
            let other = to.replace("some+state", "other");
            assert_ne!(other, to);
            assert_eq!(heading(&window.visit(&other).await), "Sign in", "{changed:?}");
            let thief = Window::new(&app);
            thief.sign_in(ADA).await;
            if changed.0 == "prompt" {
                assert_eq!(heading(&thief.visit(&to).await), "Sign in", "{changed:?}");
            }
            app.advance(Duration::from_secs(300));
            assert_eq!(heading(&window.visit(&to).await), "Sign in", "{changed:?}");
        }
        // Old enough to be asked, young enough not to be.
        app.advance(Duration::from_secs(60));
        let young = address(&parameters_with(&client, &[("max_age", "100000")]));
        assert!(sent_back(&window.open(&young).await).contains_key("code"));
        let old = address(&parameters_with(&client, &[("max_age", "59")]));
        assert_eq!(heading(&window.visit(&old).await), "Sign in");
    }

    async fn an_application_may_say_who_it_is_and_in_which_language(app: TestApp) {
        let (_, client) = shop(&app).await;
        let window = Window::new(&app);
        let asked = parameters_with(&client, &[("login_hint", ADA), ("ui_locales", "fr sw en")]);
        let page = window.visit(&address(&asked)).await;
        assert_eq!(heading(&page), "Ingia");
        assert!(page.text.contains("value=\"ada@example.com\""), "{}", page.text);
        let page = window.press(&page, "/sign-in", &[("login", ADA), ("password", PASSWORD)]).await;
        assert_eq!(heading(&page), "Uruhusu?");
    }

    async fn an_application_may_ask_for_the_second_factor_where_the_browser_is_trusted(app: TestApp) {
        let (ada, client) = shop(&app).await;
        let authenticator = app.enrol_totp(&ada, "Phone").await;
        app.advance(Duration::from_secs(30));
        let window = Window::new(&app);
        let answer = window.try_password(ADA, PASSWORD).await;
        let page = window.follow(answer).await;
        let code = authenticator.code(app.now());
        window.press(&page, "/sign-in/factor", &[("code", &code), ("trust", "yes")]).await;
        // The browser is trusted now, and signs in with the password alone.
        let page = window.visit("/sign-out").await;
        window.press(&page, "/sign-out", &[]).await;
        window.sign_in(ADA).await;
        // What it gives would outlast its trust: the factor is asked for before anything is given.
        let page = window.visit(&address(&parameters(&client))).await;
        assert_asked(&page);
        let answer = choose(&window, &page, "allow").await;
        assert_eq!(heading(&window.follow(answer).await), "Sign in");
        assert_eq!(app.sql_count("select count(*) from oauth_codes").await, 0);
        let asked = address(&parameters_with(&client, &[("acr_values", "urn:example:mfa")]));
        let page = window.visit(&asked).await;
        let page = window.press(&page, "/sign-in", &[("login", ADA), ("password", PASSWORD)]).await;
        assert_eq!(heading(&page), "Confirm that it is you");
        app.advance(Duration::from_secs(90));
        let page = window.press(&page, "/sign-in/factor", &[("code", &authenticator.code(app.now()))]).await;
        let back = sent_back(&choose(&window, &page, "allow").await);
        let issued = exchange(&app, &client, &back["code"]).await;
        let claims = crate::oauth::wire::claims(&issued.assert_status(200).text_at("id_token"));
        assert!(claims["amr"].as_array().unwrap().contains(&json!("mfa")), "{claims}");
    }

    async fn a_person_uses_another_account(app: TestApp) {
        let (_, client) = shop(&app).await;
        app.sign_up_rivergen_verified(BOB).await;
        let window = Window::new(&app);
        window.sign_in(BOB).await;
        let page = window.open(&address(&parameters(&client))).await;
        assert!(page.text.contains("bob@example.com"), "{}", page.text);
        let other = page.text.split_once("href=\"/sign-in?flow=").unwrap().1.split_once('"').unwrap().0.to_owned();
        let page = window.open(&format!("/sign-in?flow={other}")).await;
        let page = sign_in(&window, &page, ADA).await;
        assert_asked(&page);
        assert!(page.text.contains("ada@example.com"), "{}", page.text);
    }

    async fn what_must_not_be_sent_back_is_shown(app: TestApp) {
        let (_, client) = shop(&app).await;
        let window = Window::new(&app);
        for changed in [
            ("client_id", "00000000-0000-0000-0000-000000000000"),
            ("client_id", ""),
            ("redirect_uri", "https://evil.example/"),
            ("redirect_uri", "https://shop.example.com/callback/../x"),
            ("redirect_uri", ""),
            ("response_type", "token"),
        ] {
            let page = window.open(&address(&parameters_with(&client, &[changed]))).await;
            page.assert_status(400);
            assert_eq!((heading(&page), page.header("location")), ("Request refused", ""), "{changed:?}");
            assert_guarded(&page);
            assert!(!page.text.contains("registered: "), "{}", page.text);
        }
        let twice = format!("{}&redirect_uri=https%3A%2F%2Fevil.example", address(&parameters(&client)));
        assert_eq!(heading(&window.open(&twice).await), "Request refused");
        let long = address(&parameters_with(&client, &[("nonce", &"x".repeat(4_096))]));
        assert_eq!(heading(&window.open(&long).await), "Request refused");
        // What an application may be told, it is told.
        let back = sent_back(&window.open(&address(&parameters_with(&client, &[("scope", "admin")]))).await);
        assert_eq!(back["error"], "invalid_scope");
        assert_eq!(back["error_description"], "the application is not registered for the scope admin");
    }

    /// Initiating User Registration 1.0, which is not announced: whoever asks for it is told on the page how people get accounts.
    async fn who_is_to_make_an_account_is_told_where_they_come_from(app: TestApp) {
        let (_, client) = shop(&app).await;
        let window = Window::new(&app);
        for prompt in ["", "create"] {
            let page = window.visit(&address(&parameters_with(&client, &[("prompt", prompt)]))).await;
            assert_eq!(heading(&page), "Sign in");
            assert!(page.text.contains("No account yet?"), "{}", page.text);
        }
        assert_eq!(window.open("/sign-up").await.status, 404);
    }

    async fn in_development_a_wrong_redirect_uri_stands_beside_the_registered_ones(engine: Engine) {
        let app = TestApp::builder(engine).http(|http| http.plain_cookies = true).start().await;
        let (ada, client) = shop(&app).await;
        let wrong = parameters_with(&client, &[("redirect_uri", "http://localhost:18150/callback")]);
        let page = Window::new(&app).open(&address(&wrong)).await;
        page.assert_status(400);
        let told = format!("it sent http://localhost:18150/callback; registered: {CALLBACK}, http://127.0.0.1/callback");
        assert!(page.text.contains(&told), "{}", page.text);
        // A program is told no more than in production.
        let answer = app.get(&address(&wrong)).bearer(&ada.access_token).send().await;
        answer.assert_status(400);
        assert!(!answer.text.contains("registered: "), "{}", answer.text);
    }

    async fn an_attacker_cannot_answer_in_the_persons_name(app: TestApp) {
        let (_, client) = shop(&app).await;
        app.sign_up_rivergen_verified(BOB).await;
        let window = Window::new(&app);
        window.sign_in(ADA).await;
        let page = window.open(&address(&parameters(&client))).await;
        assert_asked(&page);
        let attacker = Window::new(&app);
        attacker.sign_in(BOB).await;
        let theirs = field(&attacker.open(&address(&parameters(&client))).await, AUTHORIZE, "csrf");
        // A form of another browser, of another request, and without anything.
        let more = address(&parameters_with(&client, &[("scope", "openid email read profile")]));
        let other = field(&window.open(&more).await, AUTHORIZE, "csrf");
        for csrf in [theirs.as_str(), other.as_str(), "x"] {
            let form = filled(&page, AUTHORIZE, &[("csrf", csrf)]);
            assert_asked(&window.post(AUTHORIZE, &form).await);
        }
        // A page of another site, whose forms come without cookies, or say where they come from.
        let form = filled(&page, AUTHORIZE, &[]);
        let request = window.request(AUTHORIZE, &form).header("sec-fetch-site", "cross-site");
        assert_asked(&window.send(request).await);
        let stranger = Window::new(&app);
        assert_eq!(heading(&{ let answer = stranger.post(AUTHORIZE, &form).await; stranger.follow(answer).await }), "Sign in");
        // The question was about another request than the one that is answered.
        let swapped = filled(&page, AUTHORIZE, &[("asked", more.split_once('?').unwrap().1)]);
        assert_asked(&window.post(AUTHORIZE, &swapped).await);
        assert_eq!(audited(&app, "oauth.consent").await, Vec::<String>::new());
        assert_eq!(app.sql_count("select count(*) from oauth_codes").await, 0);
        sent_back(&window.post(AUTHORIZE, &form).await);
    }

    async fn a_request_that_is_posted_is_asked_for_as_a_link(app: TestApp) {
        let (_, client) = shop(&app).await;
        let window = Window::new(&app);
        let form = Serializer::new(String::new()).extend_pairs(&parameters(&client)).finish();
        let answer = window.post(AUTHORIZE, &form).await;
        assert!(answer.assert_status(303).header("location").starts_with("/oauth/authorize?"));
        let page = window.follow(answer).await;
        assert_asked(&sign_in(&window, &page, ADA).await);
    }

    async fn a_request_object_that_is_posted_is_refused_and_not_dropped(app: TestApp) {
        let (_, client) = shop(&app).await;
        let window = Window::new(&app);
        let asked = parameters_with(&client, &[("request", "eyJhbGciOiJub25lIn0.e30."), ("csrf", "x"), ("choice", "allow")]);
        let form = Serializer::new(String::new()).extend_pairs(&asked).finish();
        let answer = window.post(AUTHORIZE, &form).await;
        assert_eq!((answer.assert_status(303).header("x-frame-options"), answer.header("cache-control")), ("DENY", "no-store"));
        let to = answer.header("location").to_owned();
        let back = sent_back(&window.open(&to).await);
        assert_eq!((back["error"].as_str(), back["state"].as_str()), ("request_not_supported", "some state"));
    }

    async fn a_question_that_has_changed_since_is_asked_again(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let client = register(&app, &ada, &described_with(json!({ "scopes": ["openid"] }))).await;
        let path = format!("{}/{}", applications(organization(&app, &ada).await), client.number);
        let window = Window::new(&app);
        window.sign_in(ADA).await;
        // It does not say what it asks for: all that it may.
        let mut asked = parameters(&client);
        asked.remove("scope");
        let changes = [json!({ "scopes": ["openid", "email", "read"] }), json!({ "name": "Another shop" })];
        for change in changes {
            let page = window.open(&address(&asked)).await;
            assert_asked(&page);
            as_person(&app, Method::PATCH, &path, &ada).json(&change).send().await.assert_status(200);
            for choice in ["allow", "deny"] {
                let again = choose(&window, &page, choice).await;
                assert_asked(&again);
                assert_eq!(audited(&app, "oauth.consent").await, Vec::<String>::new(), "{change} {choice}");
            }
            assert_eq!(app.sql_count("select count(*) from oauth_consents").await, 0, "{change}");
        }
        let page = window.open(&address(&asked)).await;
        assert!(page.text.contains("Another shop") && page.text.contains("read your e-mail address"), "{}", page.text);
        assert!(sent_back(&choose(&window, &page, "allow").await).contains_key("code"));
    }

    async fn each_page_of_a_sign_in_may_lead_on_to_the_application(app: TestApp) {
        let (ada, client) = shop(&app).await;
        let window = Window::new(&app);
        window.sign_in(ADA).await;
        let page = window.open(&address(&parameters(&client))).await;
        sent_back(&choose(&window, &page, "allow").await);
        let page = window.visit("/sign-out").await;
        window.press(&page, "/sign-out", &[]).await;
        let authenticator = app.enrol_totp(&ada, "Phone").await;
        app.advance(Duration::from_secs(90));
        let assert_leads_on = |page: &Answer| {
            let policy = page.header("content-security-policy");
            assert!(policy.contains("form-action 'self' https://shop.example.com;"), "{policy}");
        };
        let page = window.visit(&address(&parameters(&client))).await;
        assert_leads_on(&page);
        let wrong = window.press(&page, "/sign-in", &[("login", ADA), ("password", "Wrong1horse!")]).await;
        assert_leads_on(&wrong);
        let page = window.press(&wrong, "/sign-in", &[("login", ADA), ("password", PASSWORD)]).await;
        assert_eq!(heading(&page), "Confirm that it is you");
        assert_leads_on(&page);
        let wrong = window.press(&page, "/sign-in/factor", &[("code", "x")]).await;
        assert_leads_on(&wrong);
        let back = window.press(&wrong, "/sign-in/factor", &[("code", &authenticator.code(app.now()))]).await;
        assert!(sent_back(&back).contains_key("code"), "nothing is asked that was allowed");
        // The page for a mailed code.
        app.sign_up_rivergen(BOB).await;
        let window = Window::new(&app);
        let page = window.visit(&address(&parameters(&client))).await;
        let page = window.press(&page, "/sign-in", &[("login", BOB), ("password", PASSWORD)]).await;
        assert_eq!(heading(&page), "Verify your e-mail address");
        assert_leads_on(&page);
        // Other sign-ins stay here.
        assert_guarded(&Window::new(&app).visit("/sign-in").await);
    }

    async fn another_account_is_asked_for_its_second_factor_as_the_first_one_was(app: TestApp) {
        let (ada, client) = shop(&app).await;
        app.sign_up_rivergen_verified(BOB).await;
        let authenticator = app.enrol_totp(&ada, "Phone").await;
        app.advance(Duration::from_secs(30));
        let window = Window::new(&app);
        let answer = window.try_password(ADA, PASSWORD).await;
        let page = window.follow(answer).await;
        let code = authenticator.code(app.now());
        window.press(&page, "/sign-in/factor", &[("code", &code), ("trust", "yes")]).await;
        let asked = address(&parameters_with(&client, &[("acr_values", "urn:example:mfa"), ("prompt", "login")]));
        let page = window.visit(&asked).await;
        // He has no second factor.
        let page = sign_in(&window, &page, BOB).await;
        assert_asked(&page);
        let other = page.text.split_once("href=\"/sign-in?flow=").unwrap().1.split_once('"').unwrap().0.to_owned();
        let page = window.open(&format!("/sign-in?flow={other}")).await;
        let page = sign_in(&window, &page, ADA).await;
        assert_eq!(heading(&page), "Confirm that it is you", "although she trusts this browser");
    }

    async fn an_application_is_not_introduced_by_a_name_that_its_founder_chose(app: TestApp) {
        let (_, client) = shop(&app).await;
        app.sign_up_rivergen_verified(BOB).await;
        let window = Window::new(&app);
        window.sign_in(BOB).await;
        let page = window.open(&address(&parameters(&client))).await;
        assert_asked(&page);
        let said = "Shop, an application of the organization of ada@example.com, asks";
        assert!(page.text.contains(said), "{}", page.text);
    }

    async fn a_browser_whose_session_ended_signs_in_again_and_goes_on(app: TestApp) {
        let (ada, client) = shop(&app).await;
        let window = Window::new(&app);
        window.sign_in(ADA).await;
        let page = window.open(&address(&parameters(&client))).await;
        app.post("/api/v1/auth/logout-all").bearer(&ada.access_token).send().await.assert_status(204);
        let answer = choose(&window, &page, "allow").await;
        let page = window.follow(answer).await;
        assert_asked(&sign_in(&window, &page, ADA).await);
        assert_eq!(app.sql_count("select count(*) from oauth_codes").await, 0);
    }

    async fn an_application_of_a_phone_is_answered_at_its_own_scheme(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let client = register_public(&app, &ada).await;
        let window = Window::new(&app);
        window.sign_in(ADA).await;
        let asked = parameters_with(&client, &[("redirect_uri", "com.example.shop:/callback")]);
        let page = window.open(&address(&asked)).await;
        let policy = page.header("content-security-policy");
        assert!(policy.contains("form-action 'self' com.example.shop:;"), "{policy}");
        let answer = choose(&window, &page, "allow").await;
        assert!(answer.assert_status(302).header("location").starts_with("com.example.shop:/callback?code=tgc_"));
    }

    async fn what_an_application_is_called_is_text(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let client = register(&app, &ada, &described_with(json!({ "name": "\"><script>alert(1)</script>" }))).await;
        let window = Window::new(&app);
        window.sign_in(ADA).await;
        let page = window.open(&address(&parameters(&client))).await;
        assert_asked(&page);
        assert!(!page.text.contains("<script>"), "{}", page.text);
        assert_eq!(CALLBACK, "https://shop.example.com/callback");
    }

    async fn a_program_without_a_token_is_told_so_as_before(app: TestApp) {
        let (_, client) = shop(&app).await;
        let answer = app.get(&address(&parameters(&client))).send().await;
        assert_eq!(answer.status, 401, "{}", answer.text);
    }
}
