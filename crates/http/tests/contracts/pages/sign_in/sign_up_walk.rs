//! The sign-up in a real browser, in every size and light, with scripts and without.

use serde_json::{Value, json};
use tidegate_testkit::{Engine, eventually, run};

use super::super::browser::{Browser, serve_with};
use super::super::looks::look_at;
use super::ADA;

const FORM: &str = "form[action='/sign-up'] button[type=submit]";
const CODE: &str = "form[action='/sign-up/code'] button[type=submit]";

#[test]
fn a_person_makes_an_account_and_sees_which_rules_a_password_breaks() {
    run(Engine::Sqlite, async |_: Engine| {
        let (app, address) = serve_with(|settings| settings.sign_up_page = true).await;
        let browser = Browser::start();
        browser.open(&format!("{address}/account"));
        browser.arrive_at("Sign in").await;
        browser.press("a[href^='/sign-up?flow=']");
        browser.arrive_at("Create an account").await;
        look_at(&browser, "sign-up");
        browser.type_into("#name", "Ada Lovelace");
        browser.type_into("#email", ADA);
        browser.type_into("#new_password", "weak");
        assert_eq!(browser.evaluate("document.querySelectorAll('.rules .met').length > 0"), true);
        browser.press(FORM);
        eventually("a problem", async || browser.text("[role=alert]").filter(|text| !text.is_empty())).await;
        assert_eq!(browser.evaluate("document.activeElement.id"), "new_password");
        assert_eq!(browser.evaluate("document.querySelector('#email').value"), ADA);
        look_at(&browser, "sign-up-wrong");
        browser.type_into("#new_password", "Battery2staple!");
        browser.press(FORM);
        browser.arrive_at("Verify your e-mail address").await;
        look_at(&browser, "sign-up-code");
        browser.type_into("#code", &app.latest_code(ADA).await);
        browser.press(CODE);
        browser.arrive_at("You are signed in").await;
        assert!(browser.text("main").unwrap().contains("Signed in as Ada Lovelace (ada@example.com)."));
        assert_eq!(browser.complaints(), Vec::<Value>::new());
    });
}

#[test]
fn a_person_makes_an_account_with_scripts_off() {
    run(Engine::Sqlite, async |_: Engine| {
        let (app, address) = serve_with(|settings| settings.sign_up_page = true).await;
        let browser = Browser::start();
        browser.command("Emulation.setScriptExecutionDisabled", &json!({ "value": true }));
        browser.open(&format!("{address}/sign-up"));
        browser.type_into("#email", ADA);
        browser.type_into("#new_password", "Battery2staple!");
        browser.press(FORM);
        browser.arrive_at("Verify your e-mail address").await;
        let before = browser.evaluate("location.href");
        browser.press("form[action='/sign-up/code/again'] button");
        eventually("another page", async || (browser.evaluate("location.href") != before).then_some(()))
            .await;
        browser.arrive_at("Verify your e-mail address").await;
        assert_eq!(app.mails_to(ADA).await.len(), 2);
        browser.type_into("#code", &app.latest_code(ADA).await);
        browser.press(CODE);
        browser.arrive_at("You are signed in").await;
    });
}
