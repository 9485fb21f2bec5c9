//! An application has people make an account: OpenID Connect "Initiating User Registration via OpenID Connect" 1.0.

use serde_json::json;
use tidegate_testkit::{Engine, PASSWORD, TestApp, on_both_engines};

use super::hosted::{Hosted, address};
use super::wire::{ADA, claims, exchange, parameters_with, sent_back};
use crate::pages::heading;
use crate::pages::sign_in::window::{Window, field};

const EVE: &str = "eve@example.com";
const SIGN_UP: &str = "/sign-up";
const CODE: &str = "/sign-up/code";

async fn start(engine: Engine) -> (TestApp, Hosted) {
    let app = TestApp::builder(engine).settings(|settings| settings.sign_up_page = true).start().await;
    let hosted = Hosted::shop(&app, ADA).await;
    (app, hosted)
}

/// The request that leads to the page.
fn creating(hosted: &Hosted) -> String {
    address(&parameters_with(&hosted.client, &[("prompt", "create"), ("login_hint", EVE)]))
}

on_both_engines! {
    async fn a_person_makes_an_account_and_is_sent_back_with_a_code(engine: Engine) {
        let (app, hosted) = start(engine).await;
        let window = Window::new(&app);
        let page = window.visit(&creating(&hosted)).await;
        assert_eq!(heading(page.assert_status(200)), "Create an account");
        assert!(page.text.contains("value=\"eve@example.com\""), "{}", page.text);
        let policy = page.header("content-security-policy");
        assert!(policy.contains("form-action 'self' https://shop.example.com;"), "{policy}");
        // What is mistyped does not lose the way.
        let weak = window.submit(&page, SIGN_UP, &[("email", EVE), ("new_password", "weak")]).await;
        weak.assert_status(422);
        let typed = [("name", "Eve"), ("email", EVE), ("new_password", PASSWORD)];
        let page = window.press(&weak, SIGN_UP, &typed).await;
        let page = window.press(&page, CODE, &[("code", &app.latest_code(EVE).await)]).await;
        assert_eq!(heading(&page), "Allow access?");
        assert!(page.text.contains("asks for access to the account Eve (eve@example.com)."), "{}", page.text);
        let back = sent_back(&window.submit(&page, "/oauth/authorize", &[]).await);
        assert_eq!(back["state"], "some state");
        let issued = exchange(&app, &hosted.client, &back["code"]).await;
        let claims = claims(&issued.assert_status(200).text_at("id_token"));
        assert_eq!((&claims["amr"], &claims["nonce"]), (&json!(["otp"]), &json!("some nonce")));
    }

    /// Section 4.1: whoever is signed in already may want another account. Who has one signs in, and is not led in a circle.
    async fn a_person_who_has_an_account_signs_in_instead(engine: Engine) {
        let (app, hosted) = start(engine).await;
        let window = Window::new(&app);
        window.sign_in(ADA).await;
        let page = window.visit(&creating(&hosted)).await;
        assert_eq!(heading(&page), "Create an account");
        let flow = field(&page, SIGN_UP, "flow");
        let page = window.visit(&format!("/sign-in?flow={flow}")).await;
        assert_eq!(heading(&page), "Sign in");
        assert!(page.text.contains("href=\"/sign-up?flow="), "{}", page.text);
        let page = window.press(&page, "/sign-in", &[("login", ADA), ("password", PASSWORD)]).await;
        assert_eq!(heading(&page), "Allow access?");
        assert!(sent_back(&window.submit(&page, "/oauth/authorize", &[]).await).contains_key("code"));
        // Without the wish, the sign-in comes first, and nobody who is signed in is asked.
        let stranger = Window::new(&app);
        assert_eq!(heading(&stranger.visit(&hosted.address()).await), "Sign in");
        assert!(sent_back(&window.open(&hosted.address()).await).contains_key("code"));
    }

    /// Section 4, and section 4.1 for what contradicts itself.
    async fn the_wish_is_announced_and_stands_not_beside_none(engine: Engine) {
        let (app, hosted) = start(engine).await;
        let found = app.get("/.well-known/openid-configuration").send().await;
        let prompts = json!(["none", "login", "consent", "select_account", "create"]);
        assert_eq!(found.field("prompt_values_supported"), &prompts);
        let both = address(&parameters_with(&hosted.client, &[("prompt", "none create")]));
        assert_eq!(sent_back(&Window::new(&app).open(&both).await)["error"], "invalid_request");
        // Beside others, the account is made first.
        let others = address(&parameters_with(&hosted.client, &[("prompt", "login create consent")]));
        assert_eq!(heading(&Window::new(&app).visit(&others).await), "Create an account");
    }

    async fn the_page_speaks_the_language_that_the_application_asks_for(engine: Engine) {
        let (app, hosted) = start(engine).await;
        let asked = parameters_with(&hosted.client, &[("prompt", "create"), ("ui_locales", "fr sw en")]);
        let window = Window::new(&app);
        let page = window.visit(&address(&asked)).await;
        assert_eq!(heading(&page), "Fungua akaunti");
    }
}
