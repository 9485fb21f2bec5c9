//! What the OpenID Foundation's test suite asks for and no other story here tells: see `docs/conformance.md`.

use serde_json::json;
use tidegate_testkit::{PASSWORD, TestApp, on_both_engines};

use super::hosted::{Hosted, address};
use super::wire::{ADA, claims, exchange, parameters, parameters_with, sent_back};
use crate::pages::heading;
use crate::pages::sign_in::window::Window;

const OWNER: &str = "owner@example.com";
const BOB: &str = "bob@example.com";

on_both_engines! {
    async fn userinfo_is_asked_with_get_and_with_post(app: TestApp) {
        let shop = Hosted::shop(&app, OWNER).await;
        app.sign_up_rivergen_verified(ADA).await;
        let tokens = shop.sign_in(&app, &Window::new(&app), ADA).await;
        let got = app.get("/oauth/userinfo").bearer(&tokens.access_token).send().await;
        let posted = app.post("/oauth/userinfo").bearer(&tokens.access_token).send().await;
        assert_eq!(got.assert_status(200).body, posted.assert_status(200).body);
        assert_eq!(got.field("sub"), &claims(&tokens.id_token)["sub"]);
        assert_eq!(app.post("/oauth/userinfo").form(&format!("access_token={}", tokens.access_token)).send().await.status, 401);
    }

    async fn a_request_needs_no_nonce_and_no_state(app: TestApp) {
        let shop = Hosted::shop(&app, OWNER).await;
        app.sign_up_rivergen_verified(ADA).await;
        let tokens = shop.sign_in_for(&app, &Window::new(&app), ADA, &[("nonce", ""), ("state", "")]).await;
        assert!(claims(&tokens.id_token).get("nonce").is_none());
    }

    async fn what_is_not_known_changes_nothing(app: TestApp) {
        let shop = Hosted::shop(&app, OWNER).await;
        app.sign_up_rivergen_verified(ADA).await;
        let window = Window::new(&app);
        shop.sign_in(&app, &window, ADA).await;
        for more in ["display=page", "display=popup", "extra=foobar&extra=twice", "claims_locales=se", "acr_values=1+2"] {
            let answer = window.open(&format!("{}&{more}", shop.address())).await;
            assert!(sent_back(&answer).contains_key("code"), "{more}");
        }
        for scope in ["email openid read", "read openid email", "openid"] {
            let asked = address(&parameters_with(&shop.client, &[("scope", scope)]));
            assert!(sent_back(&window.open(&asked).await).contains_key("code"), "{scope}");
        }
    }

    async fn nobody_else_answers_than_the_one_of_the_hint(app: TestApp) {
        let shop = Hosted::shop(&app, OWNER).await;
        app.sign_up_rivergen_verified(ADA).await;
        app.sign_up_rivergen_verified(BOB).await;
        let window = Window::new(&app);
        let tokens = shop.sign_in(&app, &window, ADA).await;
        let silent = |hint: &str| address(&parameters_with(&shop.client, &[("prompt", "none"), ("id_token_hint", hint)]));
        let code = sent_back(&window.open(&silent(&tokens.id_token)).await).remove("code").unwrap();
        let issued = exchange(&app, &shop.client, &code).await;
        assert_eq!(claims(&issued.text_at("id_token"))["sub"], claims(&tokens.id_token)["sub"]);
        // Bob sits at the browser now.
        let page = window.visit("/sign-out").await;
        window.press(&page, "/sign-out", &[]).await;
        let page = window.visit(&address(&parameters(&shop.client))).await;
        let page = window.press(&page, "/sign-in", &[("login", BOB), ("password", PASSWORD)]).await;
        sent_back(&window.submit(&page, "/oauth/authorize", &[]).await);
        assert_eq!(sent_back(&window.open(&silent(&tokens.id_token)).await)["error"], "login_required");
        let asked = address(&parameters_with(&shop.client, &[("id_token_hint", &tokens.id_token)]));
        assert_eq!(heading(&window.visit(&asked).await), "Sign in");
    }

    async fn what_is_said_of_logout_is_true(app: TestApp) {
        let provider = app.get("/.well-known/openid-configuration").send().await;
        assert_eq!(provider.assert_status(200).text_at("end_session_endpoint"), "https://id.example.com/oauth/logout");
        for name in ["backchannel_logout_supported", "backchannel_logout_session_supported"] {
            assert_eq!(provider.field(name), &json!(true), "{name}");
        }
        // Nothing is said of front-channel logout and of session management, which there are not.
        for name in ["frontchannel_logout_supported", "check_session_iframe"] {
            assert!(provider.field(name).is_null(), "{name}");
        }
        assert!(provider.field("claims_supported").as_array().unwrap().contains(&json!("sid")));
    }
}
