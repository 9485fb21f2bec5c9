//! Applications of other organizations: whoever registers one must not get access with a link.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;
use tidegate_testkit::{Engine, TestApp, on_both_engines};
use url::form_urlencoded::Serializer;

use super::wire::{
    ADA, CALLBACK, approve, authorize, described, parameters, parameters_with, register, register_public,
    sent_back,
};
use crate::pages::heading;
use crate::pages::sign_in::window::Window;

const EVE: &str = "eve@example.com";

fn address(parameters: &BTreeMap<String, String>) -> String {
    format!("/oauth/authorize?{}", Serializer::new(String::new()).extend_pairs(parameters).finish())
}

on_both_engines! {
    async fn a_link_gives_a_strangers_application_nothing(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let eve = app.sign_up_rivergen_verified(EVE).await;
        let client = register(&app, &eve, &described()).await;
        for parameters in [parameters(&client), parameters_with(&client, &[("scope", "")])] {
            let back = sent_back(&authorize(&app, &ada.access_token, &parameters).await);
            assert_eq!((back["error"].as_str(), back.contains_key("code")), ("consent_required", false));
        }
        assert_eq!(app.sql_count("select count(*) from oauth_codes").await, 0);
        assert_eq!(app.sql_count("select count(*) from oauth_consents").await, 0);
        // Eve's own organization is hers.
        assert!(sent_back(&authorize(&app, &eve.access_token, &parameters(&client)).await).contains_key("code"));
        // What Ada allowed when she was asked is remembered, and no more than that.
        assert!(sent_back(&approve(&app, &ada.access_token, &parameters(&client)).await).contains_key("code"));
        assert!(sent_back(&authorize(&app, &ada.access_token, &parameters(&client)).await).contains_key("code"));
        let more = parameters_with(&client, &[("scope", "openid profile")]);
        assert_eq!(sent_back(&authorize(&app, &ada.access_token, &more).await)["error"], "consent_required");
    }

    async fn an_invitation_makes_nobody_a_member(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let eve = app.sign_up_rivergen_verified(EVE).await;
        let client = register(&app, &eve, &described()).await;
        app.create_individual(&app.bound(&eve, json!({})).await, ADA, "backend").await;
        let back = sent_back(&authorize(&app, &ada.access_token, &parameters(&client)).await);
        assert_eq!(back["error"], "consent_required");
    }

    /// OpenID Connect Core section 11: not even members give it without a question.
    async fn access_without_the_person_is_never_given_silently(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let body = crate::oauth::wire::described_with(json!({ "scopes": ["openid", "read", "offline_access"] }));
        let client = register(&app, &ada, &body).await;
        let asked = |scope: &str| parameters_with(&client, &[("scope", scope)]);
        assert!(sent_back(&authorize(&app, &ada.access_token, &asked("openid read")).await).contains_key("code"));
        let offline = asked("openid read offline_access");
        assert_eq!(sent_back(&authorize(&app, &ada.access_token, &offline).await)["error"], "consent_required");
        assert!(sent_back(&approve(&app, &ada.access_token, &offline).await).contains_key("code"));
        assert!(sent_back(&authorize(&app, &ada.access_token, &offline).await).contains_key("code"), "remembered");
    }

    async fn what_nobody_was_asked_for_is_no_consent(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let client = register(&app, &ada, &described()).await;
        let silent = address(&parameters_with(&client, &[("prompt", "none")]));
        let window = Window::new(&app);
        window.sign_in(ADA).await;
        // A member's client gets a code; the page asks nevertheless.
        assert!(sent_back(&authorize(&app, &ada.access_token, &parameters(&client)).await).contains_key("code"));
        assert_eq!(sent_back(&window.open(&silent).await)["error"], "consent_required");
        // So it does where a client says that it asked: whoever has a token could say so.
        assert!(sent_back(&approve(&app, &ada.access_token, &parameters(&client)).await).contains_key("code"));
        assert_eq!(sent_back(&window.open(&silent).await)["error"], "consent_required");
        assert_eq!(heading(&window.visit(&address(&parameters(&client))).await), "Allow access?");
    }

    async fn a_client_that_could_be_another_one_is_asked_about_every_time(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let client = register_public(&app, &ada).await;
        let window = Window::new(&app);
        window.sign_in(ADA).await;
        for uri in ["http://127.0.0.1:51004/callback", "com.example.shop:/callback"] {
            let native = parameters_with(&client, &[("redirect_uri", uri)]);
            let page = window.visit(&address(&native)).await;
            assert_eq!(heading(&page), "Allow access?", "{uri}");
            let answer = window.submit(&page, "/oauth/authorize", &[]).await;
            assert!(answer.assert_status(302).header("location").starts_with(&format!("{uri}?code=")));
            assert_eq!(heading(&window.visit(&address(&native)).await), "Allow access?", "{uri}: again");
            let silent = parameters_with(&client, &[("redirect_uri", uri), ("prompt", "none")]);
            for answer in [window.open(&address(&silent)).await, authorize(&app, &ada.access_token, &native).await] {
                let location = answer.assert_status(302).header("location");
                assert!(location.starts_with(&format!("{uri}?error=consent_required")), "{location}");
            }
        }
        // An address that only its owner serves is remembered.
        let web = parameters_with(&client, &[("redirect_uri", CALLBACK)]);
        assert!(sent_back(&window.open(&address(&web)).await).contains_key("code"));
    }

    async fn an_application_does_not_use_up_what_the_organization_may_ask(engine: Engine) {
        let few = |settings: &mut tidegate_kernel::Settings| {
            for profile in settings.contracts.iter_mut() {
                if profile.contract == tidegate_domain::ContractId::CROSSING_MINDS {
                    profile.limits.requests_by_organization = Some(tidegate_domain::limit::Limit::new(5, 60));
                }
            }
        };
        let app = TestApp::builder(engine).settings(few).start().await;
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let client = register(&app, &ada, &described()).await;
        let tokens = crate::oauth::wire::sign_in(&app, &ada, &client).await;
        let own = crate::oauth::wire::token_request(&app, &client, &[("grant_type", "client_credentials")]).send().await;
        let ask = async |token: &str| app.get("/v1/organizations/accounts/").bearer(token).send().await.status;
        for token in [tokens.text_at("access_token"), own.text_at("access_token")] {
            for _ in 0..5 {
                assert_eq!(ask(&token).await, 403);
            }
            assert_eq!(ask(&token).await, 429);
        }
        // A member's own session has all five.
        for _ in 0..5 {
            assert_eq!(ask(&ada.access_token).await, 403);
        }
        assert_eq!(ask(&ada.access_token).await, 429);
    }

    async fn an_operator_sees_who_has_access_and_takes_it_away(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let eve = app.sign_up_rivergen_verified(EVE).await;
        let client = register(&app, &eve, &described()).await;
        let tokens = crate::oauth::wire::sign_in(&app, &ada, &client).await;
        let account = app.kernel().authenticate(&ada.access_token).await.unwrap().session().account;
        let listed = app.oauth().consents_for_operator(account).await.unwrap();
        assert_eq!((listed.len(), listed[0].given_through.as_str()), (1, "rivergen"));
        let operator = tidegate_kernel::Call::from_cli(app.kernel().settings().contracts.of_installation());
        let revoke = || app.oauth().revoke_consent_for_operator(&operator, account, listed[0].application);
        revoke().await.unwrap();
        assert!(revoke().await.is_err());
        assert_eq!(crate::oauth::wire::me(&app, &tokens.text_at("access_token")).await, 401);
        assert!(app.oauth().consents_for_operator(account).await.unwrap().is_empty());
    }

    async fn nobody_else_is_answered_for_than_the_one_of_the_hint(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let eve = app.sign_up_rivergen_verified(EVE).await;
        let client = register(&app, &ada, &described()).await;
        let hint = crate::oauth::wire::sign_in(&app, &ada, &client).await.text_at("id_token");
        crate::oauth::wire::code(&app, &eve, &client).await;
        let with_hint = |hint: &str, prompt: &str| parameters_with(&client, &[("id_token_hint", hint), ("prompt", prompt)]);
        let back = sent_back(&authorize(&app, &ada.access_token, &with_hint(&hint, "none")).await);
        assert!(back.contains_key("code"));
        for prompt in ["none", ""] {
            let back = sent_back(&authorize(&app, &eve.access_token, &with_hint(&hint, prompt)).await);
            assert_eq!((back["error"].as_str(), back.contains_key("code")), ("login_required", false));
        }
        let back = sent_back(&authorize(&app, &ada.access_token, &with_hint("a.b.c", "")).await);
        assert_eq!(back["error"], "invalid_request");
        let window = Window::new(&app);
        window.sign_in(EVE).await;
        assert_eq!(sent_back(&window.open(&address(&with_hint(&hint, "none"))).await)["error"], "login_required");
        let page = window.visit(&address(&with_hint(&hint, ""))).await;
        assert_eq!(heading(&page), "Sign in");
    }

    async fn an_answer_does_not_stand_in_for_a_recent_sign_in(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let client = register(&app, &ada, &described()).await;
        app.advance(Duration::from_secs(61));
        for changed in [("max_age", "60"), ("prompt", "login")] {
            let back = sent_back(&approve(&app, &ada.access_token, &parameters_with(&client, &[changed])).await);
            assert_eq!((back["error"].as_str(), back.contains_key("code")), ("login_required", false));
        }
        let asked = parameters_with(&client, &[("max_age", "61"), ("prompt", "consent")]);
        assert!(sent_back(&approve(&app, &ada.access_token, &asked).await).contains_key("code"));
    }
}
