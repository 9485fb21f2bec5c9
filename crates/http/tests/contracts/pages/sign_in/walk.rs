//! The sign-in in a real browser: with a password, a second factor and a passkey, in every size and light, with scripts and without.

use serde_json::{Value, json};
use tidegate_crypto::RelyingParty;
use tidegate_kernel::settings::DeliveryMode;
use tidegate_testkit::social::{SocialConfig, StubKind, StubProvider};
use tidegate_testkit::{Engine, PASSWORD, eventually, run};

use super::super::browser::{Browser, serve_built, serve_with};
use super::super::looks::look_at;
use super::super::passkeys::add_authenticator;
use super::ADA;

fn type_password(browser: &Browser, password: &str) {
    browser.type_into("#login", ADA);
    browser.type_into("#password", password);
    browser.press("form[action='/sign-in'] button[type=submit]");
}

#[test]
fn a_person_signs_in_with_password_and_second_factor_and_out_again() {
    run(Engine::Sqlite, async |_: Engine| {
        let (app, address) = serve_with(|_| {}).await;
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let authenticator = app.enrol_totp(&ada, "Phone").await;
        app.advance(std::time::Duration::from_secs(30));
        let browser = Browser::start();
        browser.open(&format!("{address}/account"));
        browser.arrive_at("Sign in").await;
        look_at(&browser, "sign-in");
        type_password(&browser, "Wrong1horse!");
        eventually("a problem", async || browser.text("[role=alert]").filter(|text| !text.is_empty())).await;
        look_at(&browser, "sign-in-wrong");
        assert_eq!(browser.evaluate("document.querySelector('#login').value"), ADA);
        browser.type_into("#password", PASSWORD);
        browser.press("form[action='/sign-in'] button[type=submit]");
        browser.arrive_at("Confirm that it is you").await;
        look_at(&browser, "factor");
        browser.type_into("#code", &authenticator.code(app.now()));
        browser.press("form[action='/sign-in/factor'] button[type=submit]");
        browser.arrive_at("You are signed in").await;
        look_at(&browser, "account");
        assert_eq!(browser.evaluate("document.cookie"), "", "no script sees the cookies");
        browser.press("form[action='/sign-out'] button[type=submit]");
        browser.arrive_at("Signed out").await;
        look_at(&browser, "signed-out");
        browser.open(&format!("{address}/account"));
        browser.arrive_at("Sign in").await;
        browser.press("a[href^='/forgot-password']");
        browser.arrive_at("Forgot your password?").await;
        look_at(&browser, "forgot");
        browser.type_into("#email", ADA);
        browser.press("button[type=submit]");
        browser.arrive_at("Check your mailbox").await;
        look_at(&browser, "forgot-sent");
        assert_eq!(browser.complaints(), Vec::<Value>::new());
    });
}

#[test]
fn a_person_verifies_their_address_on_the_way_with_scripts_off() {
    run(Engine::Sqlite, async |_: Engine| {
        let (app, address) = serve_with(|_| {}).await;
        app.sign_up_rivergen(ADA).await;
        let browser = Browser::start();
        browser.command("Emulation.setScriptExecutionDisabled", &json!({ "value": true }));
        browser.open(&format!("{address}/sign-in"));
        type_password(&browser, PASSWORD);
        browser.arrive_at("Verify your e-mail address").await;
        browser.type_into("#code", &app.latest_code(ADA).await);
        browser.press("form[action='/sign-in/code'] button[type=submit]");
        browser.arrive_at("You are signed in").await;
        browser.press("button[type=submit]");
        browser.arrive_at("Signed out").await;
    });
}

#[test]
fn what_is_shown_on_the_way_and_when_something_fails_looks_right() {
    run(Engine::Sqlite, async |_: Engine| {
        let (app, address) = serve_with(|_| {}).await;
        app.sign_up_rivergen(ADA).await;
        let browser = Browser::start();
        browser.open(&format!("{address}/sign-in"));
        browser.arrive_at("Sign in").await;
        type_password(&browser, PASSWORD);
        browser.arrive_at("Verify your e-mail address").await;
        look_at(&browser, "sign-in-code");
        let code = app.latest_code(ADA).await;
        browser.type_into("#code", if code == "000000" { "000001" } else { "000000" });
        browser.press("form[action='/sign-in/code'] button[type=submit]");
        eventually("a problem", async || browser.text("[role=alert]").filter(|text| !text.is_empty())).await;
        look_at(&browser, "sign-in-code-wrong");
        browser.type_into("#code", &code);
        browser.press("form[action='/sign-in/code'] button[type=submit]");
        browser.arrive_at("You are signed in").await;
        browser.open(&format!("{address}/sign-out"));
        browser.arrive_at("Sign out?").await;
        look_at(&browser, "sign-out");
        let forgot = json!({ "email": ADA });
        app.post("/api/v1/auth/forgot-password").json(&forgot).send().await.assert_status(200);
        browser.open(&format!("{address}/reset-password?token={}", app.latest_link_token(ADA).await));
        browser.arrive_at("Set a new password").await;
        browser.type_into("#new_password", "Battery2staple!");
        browser.press("button[type=submit]");
        browser.arrive_at("Password changed").await;
        look_at(&browser, "password-changed");
        // A page that is only sent forms.
        browser.open(&format!("{address}/sign-in/factor/send"));
        eventually("the page", async || browser.text("h1")).await;
        look_at(&browser, "used-wrongly");
        assert_eq!(browser.complaints(), Vec::<Value>::new());

        let (_app, address) = serve_with(|settings| settings.mail = DeliveryMode::Off).await;
        browser.open(&format!("{address}/forgot-password"));
        browser.arrive_at("Forgot your password?").await;
        browser.type_into("#email", ADA);
        browser.press("button[type=submit]");
        browser.arrive_at("That did not work").await;
        look_at(&browser, "failed");
    });
}

#[test]
fn a_second_factor_and_a_forgotten_password_need_no_scripts() {
    run(Engine::Sqlite, async |_: Engine| {
        let (app, address) = serve_with(|_| {}).await;
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let authenticator = app.enrol_totp(&ada, "Phone").await;
        app.advance(std::time::Duration::from_secs(30));
        let browser = Browser::start();
        browser.command("Emulation.setScriptExecutionDisabled", &json!({ "value": true }));
        browser.open(&format!("{address}/sign-in"));
        type_password(&browser, PASSWORD);
        browser.arrive_at("Confirm that it is you").await;
        browser.type_into("#code", &authenticator.code(app.now()));
        browser.press("form[action='/sign-in/factor'] button[type=submit]");
        browser.arrive_at("You are signed in").await;
        browser.open(&format!("{address}/sign-out"));
        browser.arrive_at("Sign out?").await;
        browser.press("form[action='/sign-out'] button");
        browser.arrive_at("Signed out").await;
        browser.open(&format!("{address}/forgot-password"));
        browser.arrive_at("Forgot your password?").await;
        browser.type_into("#email", ADA);
        browser.press("button[type=submit]");
        browser.arrive_at("Check your mailbox").await;
        assert_eq!(app.templates_to(ADA).await[0], "password_reset");
    });
}

#[test]
fn a_person_signs_in_with_a_passkey() {
    run(Engine::Sqlite, async |_: Engine| {
        let change = |settings: &mut tidegate_kernel::Settings| {
            let party = RelyingParty::on_localhost("Tidegate", Vec::new()).unwrap();
            settings.passkeys.relying_party = Ok(party.into());
        };
        let (app, address) = serve_with(change).await;
        let address = address.replace("127.0.0.1", "localhost");
        app.sign_up_rivergen_verified(ADA).await;
        let browser = Browser::start();
        let authenticator = add_authenticator(&browser);
        browser.open(&format!("{address}/dev/passkeys"));
        browser.arrive_at("Passkeys").await;
        browser.type_into("#email", ADA);
        browser.type_into("#password", PASSWORD);
        browser.press("[data-do=register]");
        eventually("registered", async || browser.text("#said").filter(|said| said == "Passkey registered."))
            .await;
        // Nobody touches it: otherwise it would answer the browser's own offer at once.
        let at_rest = json!({ "authenticatorId": authenticator, "enabled": false });
        browser.command("WebAuthn.setAutomaticPresenceSimulation", &at_rest);
        for login in [ADA, ""] {
            browser.open(&format!("{address}/sign-in"));
            browser.arrive_at("Sign in").await;
            eventually("the offer", async || {
                (browser.evaluate("document.querySelector('form[data-passkey]').hidden") == false)
                    .then_some(())
            })
            .await;
            look_at(&browser, "sign-in-passkey");
            browser.type_into("#login", login);
            browser.press("form[data-passkey] button");
            let touched = json!({ "authenticatorId": authenticator, "enabled": true });
            browser.command("WebAuthn.setAutomaticPresenceSimulation", &touched);
            eventually("signed in", async || {
                // The browser refuses a request that comes before its own offer has ended. The page says so, and to try again.
                if browser.text("[data-failed]").is_some_and(|failed| !failed.is_empty()) {
                    browser.press("form[data-passkey] button");
                }
                (browser.text("h1")? == "You are signed in").then_some(())
            })
            .await;
            browser.command("WebAuthn.setAutomaticPresenceSimulation", &at_rest);
            browser.press("form[action='/sign-out'] button");
            browser.arrive_at("Signed out").await;
        }
        let all = "select count(*) from sessions where dialect = 'browser' and amr like '%user%'";
        assert_eq!(app.sql_count(all).await, 2);
        assert_eq!(browser.complaints(), Vec::<Value>::new());
    });
}

#[test]
fn a_person_signs_in_with_another_provider() {
    run(Engine::Sqlite, async |_: Engine| {
        let mut config = SocialConfig::default();
        let mut stubs = Vec::new();
        for kind in
            [StubKind::Apple, StubKind::Github, StubKind::Google, StubKind::Microsoft, StubKind::OpenId]
        {
            let stub = StubProvider::start(kind).await;
            stub.set_up(&mut config);
            stubs.push(stub);
        }
        let (app, address) = serve_built(|_| {}, |builder| builder.social(config)).await;
        stubs.iter().for_each(|stub| stub.follow(&app.clock));
        let browser = Browser::start();
        let there = async |name: &str| {
            browser.open(&format!("{address}/sign-in"));
            browser.arrive_at("Sign in").await;
            browser.press(&format!("a[href^='/sign-in/with/{name}']"));
            let stub = stubs.iter().find(|stub| stub.name() == name).unwrap();
            let reached = eventually("the provider", async || {
                let href = browser.evaluate("location.href").as_str()?.to_owned();
                href.starts_with(&stub.base()).then_some(href)
            });
            stub.authorize(&reached.await)
        };
        browser.open(&format!("{address}/sign-in"));
        browser.arrive_at("Sign in").await;
        look_at(&browser, "sign-in-providers");
        let returned = there("google").await;
        browser.open(&format!("{address}{}", returned.path()));
        browser.arrive_at("You are signed in").await;
        browser.press("form[action='/sign-out'] button");
        browser.arrive_at("Signed out").await;

        // Apple has the browser post its answer from a page of its own.
        let returned = there("apple").await;
        let fields: String = returned
            .parameters
            .iter()
            .map(|(name, value)| format!("<input name='{name}' value='{}'>", value.replace('\'', "&#39;")))
            .collect();
        let action = &returned.redirect_uri;
        browser.show(&format!("<!doctype html><h1>Apple</h1><form method=post action='{action}'>{fields}<button>Go on</button></form>"));
        browser.press("button");
        // Another subject with the address of an account: the mailbox is to be shown.
        browser.arrive_at("Confirm that it is you").await;
        look_at(&browser, "sign-in-join");
        browser.press("form[action='/sign-in/factor/send'] button");
        eventually("a code is asked for", async || browser.text("label[for=code]")).await;
        look_at(&browser, "sign-in-join-code");
        browser.type_into("#code", &app.latest_code(ADA).await);
        browser.press("form[action='/sign-in/factor'] button[type=submit]");
        browser.arrive_at("You are signed in").await;
        browser.press("form[action='/sign-out'] button");
        browser.arrive_at("Signed out").await;

        let mut refused = there("github").await;
        refused.parameters.remove("code");
        refused.parameters.insert("error".to_owned(), "access_denied".to_owned());
        browser.open(&format!("{address}{}", refused.path()));
        eventually("why", async || {
            browser.text("[role=alert]").filter(|text| text.contains("did not agree"))
        })
        .await;
        look_at(&browser, "sign-in-social-refused");
        assert_eq!(browser.complaints(), Vec::<Value>::new());
    });
}
