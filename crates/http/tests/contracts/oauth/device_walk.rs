//! A person connects a device in a real browser, and refuses another one.

use serde_json::{Value, json};
use tidegate_testkit::{Engine, PASSWORD, run};

use super::devices::{DEVICE_CODE, ask, poll};
use super::wire::{ADA, assert_flat, described_with, register};
use crate::pages::browser::{Browser, serve_with};
use crate::pages::looks::look_at;

#[test]
fn a_person_connects_a_device_and_refuses_another_one() {
    run(Engine::Sqlite, async |_: Engine| {
        let (app, address) = serve_with(|_| {}).await;
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let television = json!({
            "name": "Television", "grant_types": [DEVICE_CODE], "redirect_uris": [], "token_endpoint_auth_method": "none",
        });
        let client = register(&app, &ada, &described_with(television)).await;
        let asked = ask(&app, &client, &[]).await;
        let browser = Browser::start();
        browser.open(&format!("{address}/device"));
        browser.arrive_at("Sign in").await;
        browser.type_into("#login", ADA);
        browser.type_into("#password", PASSWORD);
        browser.press("form[action='/sign-in'] button[type=submit]");
        browser.arrive_at("Connect a device").await;
        look_at(&browser, "device");
        browser.type_into("#user_code", "wrong");
        browser.press("form[action='/device'] button");
        browser.arrive_at("Connect a device").await;
        look_at(&browser, "device-wrong");
        browser.open(&format!("{address}/device?user_code={}", asked.text_at("user_code")));
        browser.arrive_at("Connect a device").await;
        browser.press("form[action='/device'] button");
        browser.arrive_at("Allow this device?").await;
        look_at(&browser, "device-question");
        browser.press("form:has([name=choice][value=allow]) button");
        browser.arrive_at("Device connected").await;
        look_at(&browser, "device-connected");
        poll(&app, &client, &asked).await.assert_status(200);

        let asked = ask(&app, &client, &[]).await;
        browser.open(&format!("{address}/device"));
        browser.arrive_at("Connect a device").await;
        browser.type_into("#user_code", &asked.text_at("user_code").to_lowercase());
        browser.press("form[action='/device'] button");
        browser.arrive_at("Allow this device?").await;
        browser.press("form:has([name=choice][value=deny]) button");
        browser.arrive_at("Device not connected").await;
        look_at(&browser, "device-refused");
        assert_flat(&poll(&app, &client, &asked).await, 400, "access_denied");
        assert_eq!(browser.complaints(), Vec::<Value>::new());
    });
}
