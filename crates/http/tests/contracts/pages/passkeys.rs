//! Passkeys in a real browser, with a virtual authenticator (the DevTools protocol's domain WebAuthn).

use serde_json::{Value, json};
use tidegate_crypto::RelyingParty;
use tidegate_testkit::{Engine, PASSWORD, eventually, run};

use super::browser::{Browser, serve_with};

/// Adds an authenticator that answers by itself: one in the device, with a verified person.
pub(super) fn add_authenticator(browser: &Browser) -> String {
    browser.command("WebAuthn.enable", &json!({}));
    let options = json!({
        "protocol": "ctap2",
        "transport": "internal",
        "hasResidentKey": true,
        "hasUserVerification": true,
        "isUserVerified": true,
        "automaticPresenceSimulation": true,
    });
    let added = browser.command("WebAuthn.addVirtualAuthenticator", &json!({ "options": options }));
    added["authenticatorId"].as_str().unwrap().to_owned()
}

/// What the page said after a button was pressed.
async fn press(browser: &Browser, action: &str) -> String {
    browser.press(&format!("[data-do={action}]"));
    eventually("an answer", async || browser.text("#said").filter(|said| !said.is_empty())).await
}

#[test]
fn a_passkey_is_registered_and_signs_in() {
    run(Engine::Sqlite, async |_: Engine| {
        // Browsers bind passkeys to no IP address.
        let change = |settings: &mut tidegate_kernel::Settings| {
            let party = RelyingParty::on_localhost("Tidegate", Vec::new()).unwrap();
            settings.passkeys.relying_party = Ok(party.into());
        };
        let (app, address) = serve_with(change).await;
        let address = address.replace("127.0.0.1", "localhost");
        app.sign_up_rivergen_verified("ada@example.com").await;
        let browser = Browser::start();
        let authenticator = add_authenticator(&browser);
        browser.open(&format!("{address}/dev/passkeys"));
        browser.arrive_at("Passkeys").await;
        let said = browser.text(".alert").unwrap();
        assert_eq!(said, "Passkeys are bound to localhost, where this page is.");
        // The same page at the address of this machine leads here.
        browser.open(&format!("{}/dev/passkeys", address.replace("localhost", "127.0.0.1")));
        assert!(browser.text(".alert").unwrap().contains("browsers refuse them here"));
        browser.press("a[href^='http://localhost:']");
        eventually("the page at localhost", async || {
            (browser.evaluate("location.hostname") == "localhost").then_some(())
        })
        .await;
        browser.arrive_at("Passkeys").await;
        browser.type_into("#email", "ada@example.com");
        assert!(press(&browser, "signIn").await.starts_with("NO_CREDENTIALS"));
        browser.type_into("#password", PASSWORD);
        assert_eq!(press(&browser, "register").await, "Passkey registered.");
        assert_eq!(press(&browser, "signIn").await, "Signed in as ada@example.com.");
        assert_eq!(press(&browser, "signInWithoutAddress").await, "Signed in as ada@example.com.");
        // The same authenticator makes no second one.
        assert_ne!(press(&browser, "register").await, "Passkey registered.");
        let held = browser.command("WebAuthn.getCredentials", &json!({ "authenticatorId": authenticator }));
        assert_eq!(held["credentials"].as_array().unwrap().len(), 1, "{held}");
        assert_eq!(app.sql_count("select use_count from passkeys").await, 2);
        let user = app.sql_count("select count(*) from sessions where amr like '%user%'").await;
        assert_eq!(user, 2);
        // A person who is not verified does not sign in.
        let unverified = json!({ "authenticatorId": authenticator, "isUserVerified": false });
        browser.command("WebAuthn.setUserVerified", &unverified);
        assert!(!press(&browser, "signIn").await.starts_with("Signed in"));
        assert_eq!(browser.complaints(), Vec::<Value>::new());
    });
}
