//! One Tidegate as the OpenID issuer of another: people sign in at B with their account at A.

use std::net::SocketAddr;

use serde_json::json;
use tidegate_domain::Secret;
use tidegate_kernel::Settings;
use tidegate_kernel::settings::DeliveryMode;
use tidegate_testkit::social::{OidcConfig, SocialConfig, SocialSecret};
use tidegate_testkit::{Answer, Engine, Fixture, PASSWORD, TestApp, on_both_engines};
use tokio::net::TcpListener;

use super::wire::{ADA, claims, exchange, register, sent_back};
use crate::pages::heading;
use crate::pages::sign_in::window::Window;

/// Where B has its people sent back.
const CALLBACK: &str = "https://id.example.com/sign-in/with/headquarters/callback";

/// Two installations, of which B has A as an issuer.
struct Two {
    a: TestApp,
    b: TestApp,
    address: String,
}

impl Fixture for Two {
    async fn prepare(engine: Engine) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let settings = Settings::new(&address, DeliveryMode::Keep, tidegate_http::contract_profiles());
        let builder = TestApp::builder(engine).settings(|before| *before = settings);
        let a = builder.http(|http| http.plain_cookies = true).start().await;
        let service = a.router().into_make_service_with_connect_info::<SocketAddr>();
        tokio::spawn(async move { axum::serve(listener, service).await });

        let owner = a.sign_up_rivergen_verified("owner@example.com").await;
        let described = json!({
            "name": "Branch", "grant_types": ["authorization_code"], "redirect_uris": [CALLBACK],
            "scopes": ["openid", "profile", "email"],
        });
        let client = register(&a, &owner, &described).await;
        let mut config = SocialConfig::default();
        let issuer = OidcConfig {
            issuer: address.clone(),
            client_id: client.client_id,
            client_secret: client.secret.map(|secret| SocialSecret(Secret::new(secret))),
            title: Some("Headquarters".to_owned()),
            ..OidcConfig::default()
        };
        config.oidc.insert("headquarters".to_owned(), issuer);
        let b = TestApp::builder(engine).social(config).start().await;
        Self { a, b, address }
    }
}

impl Two {
    /// Begins at B, and signs in at A; answers the question of A.
    async fn reach_the_question(&self, at_a: &Window, at_b: &Window) -> Answer {
        let page = at_b.visit("/sign-in").await;
        assert!(page.text.contains("Continue with Headquarters"), "{}", page.text);
        let link = crate::pages::sign_in::social::button(&page, "headquarters");
        let begun = at_b.open(&link).await;
        let to = begun.assert_status(303).header("location").to_owned();
        let page = at_a.visit(to.strip_prefix(&self.address).unwrap()).await;
        at_a.press(&page, "/sign-in", &[("login", ADA), ("password", PASSWORD)]).await
    }
}

/// Brings what A sent back to B.
async fn come_back(at_b: &Window, answer: &Answer) -> Answer {
    let back = answer.assert_status(302).header("location").strip_prefix("https://id.example.com").unwrap();
    at_b.visit(back).await
}

on_both_engines! {
    async fn a_person_signs_in_at_one_with_their_account_at_the_other(two: Two) {
        two.a.sign_up_rivergen_verified(ADA).await;
        let (at_a, at_b) = (Window::new(&two.a), Window::new(&two.b));
        let question = two.reach_the_question(&at_a, &at_b).await;
        assert_eq!(heading(&question), "Allow access?", "{}", question.text);
        let answer = at_a.submit(&question, "/oauth/authorize", &[]).await;
        let page = come_back(&at_b, &answer).await;
        assert_eq!(heading(&page), "You are signed in", "{}", page.text);
        assert!(page.text.contains("Ada Lovelace (ada@example.com)"), "{}", page.text);
        assert_eq!(two.b.sql_count("select count(*) from social_accounts where provider = 'headquarters'").await, 1);
        // What B keeps of A's tokens is sealed, and A lists B among those that have access.
        let account = at_a.visit("/account").await;
        assert!(account.text.contains("Branch, an application of"), "{}", account.text);
        // The next time nobody is asked for anything at A.
        let again = Window::new(&two.b);
        let begun = again.open(&crate::pages::sign_in::social::button(&again.visit("/sign-in").await, "headquarters")).await;
        let answer = at_a.open(begun.header("location").strip_prefix(&two.address).unwrap()).await;
        assert_eq!(heading(&come_back(&again, &answer).await), "You are signed in");
        assert_eq!(two.b.sql_count("select count(*) from accounts").await, 1);
    }

    /// OpenID Connect Core section 3.1.2.1: a provider that the person is signed in to must not answer for them.
    async fn who_has_to_sign_in_anew_does_so_at_the_provider(two: Two) {
        two.a.sign_up_rivergen_verified(ADA).await;
        let owner = two.b.sign_up_rivergen_verified("owner@example.com").await;
        let shop = register(&two.b, &owner, &crate::oauth::wire::described()).await;
        let asked = crate::oauth::hosted::address(&crate::oauth::wire::parameters_with(&shop, &[("scope", "openid"), ("prompt", "login")]));
        let at_a = Window::new(&two.a);
        at_a.sign_in(ADA).await;
        for app in [&two.a, &two.b] {
            app.advance(std::time::Duration::from_secs(120));
        }
        let begin = async |at_b: &Window| {
            let page = at_b.visit(&asked).await;
            let begun = at_b.open(&crate::pages::sign_in::social::button(&page, "headquarters")).await;
            begun.assert_status(303).header("location").strip_prefix(&two.address).unwrap().to_owned()
        };
        // Who leaves out what B asked for is not signed in there.
        let at_b = Window::new(&two.b);
        let to = begin(&at_b).await;
        assert!(to.contains("&max_age=0&prompt=login"), "{to}");
        let question = at_a.visit(&to.replace("&max_age=0&prompt=login", "")).await;
        assert_eq!(heading(&question), "Allow access?", "{}", question.text);
        let answer = at_a.submit(&question, "/oauth/authorize", &[]).await;
        assert_eq!(come_back(&at_b, &answer).await.status, 422);
        // Asked for, A has her sign in again, and B goes on.
        let page = at_a.visit(&begin(&at_b).await).await;
        assert_eq!(heading(&page), "Sign in", "{}", page.text);
        let answer = at_a.press(&page, "/sign-in", &[("login", ADA), ("password", PASSWORD)]).await;
        let page = come_back(&at_b, &answer).await;
        assert_eq!(heading(&page), "Allow access?", "{}", page.text);
    }

    /// OpenID Connect Core sections 2 and 3.1.2.1: they proved who they are at A, a while before they came to B.
    async fn when_they_signed_in_is_what_the_provider_says(two: Two) {
        two.a.sign_up_rivergen_verified(ADA).await;
        let owner = two.b.sign_up_rivergen_verified("owner@example.com").await;
        let shop = register(&two.b, &owner, &crate::oauth::wire::described()).await;
        let asked = |more: &[(&str, &str)]| {
            let fields = [&[("scope", "openid")][..], more].concat();
            crate::oauth::hosted::address(&crate::oauth::wire::parameters_with(&shop, &fields))
        };
        let at_a = Window::new(&two.a);
        at_a.sign_in(ADA).await;
        let signed_in_at = two.a.now().seconds();
        for app in [&two.a, &two.b] {
            app.advance(std::time::Duration::from_secs(120));
        }
        let at_b = Window::new(&two.b);
        let page = at_b.visit(&asked(&[])).await;
        let begun = at_b.open(&crate::pages::sign_in::social::button(&page, "headquarters")).await;
        let to = begun.assert_status(303).header("location").strip_prefix(&two.address).unwrap().to_owned();
        let question = at_a.visit(&to).await;
        assert_eq!(heading(&question), "Allow access?", "{}", question.text);
        let page = come_back(&at_b, &at_a.submit(&question, "/oauth/authorize", &[]).await).await;
        assert_eq!(heading(&page), "Allow access?", "{}", page.text);
        let back = sent_back(&at_b.submit(&page, "/oauth/authorize", &[]).await);
        let tokens = exchange(&two.b, &shop, &back["code"]).await;
        for name in ["id_token", "access_token"] {
            assert_eq!(claims(&tokens.assert_status(200).text_at(name))["auth_time"], signed_in_at, "{name}");
        }
        // Two minutes are more than one, and less than five.
        let late = sent_back(&at_b.open(&asked(&[("max_age", "60"), ("prompt", "none")])).await);
        assert_eq!(late["error"], "login_required");
        let recent = sent_back(&at_b.open(&asked(&[("max_age", "300"), ("prompt", "none")])).await);
        assert!(recent.contains_key("code"), "{recent:?}");
    }

    async fn a_person_who_refuses_at_one_is_told_at_the_other(two: Two) {
        two.a.sign_up_rivergen_verified(ADA).await;
        let (at_a, at_b) = (Window::new(&two.a), Window::new(&two.b));
        let question = two.reach_the_question(&at_a, &at_b).await;
        let answer = at_a.submit(&question, "/oauth/authorize", &[("choice", "deny")]).await;
        let page = come_back(&at_b, &answer).await;
        assert!(page.assert_status(422).text.contains("the other service did not agree"), "{}", page.text);
        assert_eq!(two.b.sql_count("select count(*) from accounts").await, 0);
    }

    async fn an_address_that_is_not_verified_at_one_makes_no_account_at_the_other(two: Two) {
        let ada = two.a.register_ingestiq(ADA).await;
        assert!(!ada.access_token.is_empty());
        let (at_a, at_b) = (Window::new(&two.a), Window::new(&two.b));
        // A mails a code on the way: until it is typed, nobody is signed in there.
        let page = two.reach_the_question(&at_a, &at_b).await;
        assert_eq!(heading(&page), "Verify your e-mail address", "{}", page.text);
        assert_eq!(two.b.sql_count("select count(*) from accounts").await, 0);
    }
}
