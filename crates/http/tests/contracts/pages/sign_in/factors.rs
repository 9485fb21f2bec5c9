//! The second factor, trusted browsers, and passkeys.

use std::time::Duration;

use serde_json::{Value, json};
use tidegate_domain::EmailAddress;
use tidegate_testkit::{Answer, PASSWORD, TestApp, on_both_engines};

use super::super::heading;
use super::window::{DEVICE, encoded, field, filled};
use super::{ADA, BOB, NEWEST, Window, assert_guarded};

const STEP: Duration = Duration::from_secs(30);

/// At the second factor, after the right password.
async fn halfway(window: &Window) -> Answer {
    let answer = window.try_password(ADA, PASSWORD).await;
    assert!(
        answer.assert_status(303).header("location").starts_with("/sign-in/factor?flow="),
        "{:?}",
        answer.headers
    );
    assert!(!window.is_signed_in().await);
    let page = window.follow(answer).await;
    assert_eq!(heading(&page), "Confirm that it is you");
    assert_guarded(&page);
    page
}

async fn options(window: &Window, page: &Answer, login: &str) -> Answer {
    let csrf = page.text.split_once("data-options=\"").unwrap().1.split_once('"').unwrap().0;
    let flow = field(page, "/sign-in/passkey", "flow");
    let form = format!("csrf={csrf}&flow={flow}&login={}", encoded(login));
    window.post("/sign-in/passkey/options", &form).await
}

/// Sends what an authenticator says.
async fn present(window: &Window, page: &Answer, login: &str, credential: &Value) -> Answer {
    let typed = [("login", login), ("credential", &credential.to_string())];
    window.submit(page, "/sign-in/passkey", &typed).await
}

on_both_engines! {
    async fn an_app_shows_the_second_factor(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let authenticator = app.enrol_totp(&ada, "Phone").await;
        let window = Window::new(&app);
        let page = halfway(&window).await;
        let used = window.submit(&page, "/sign-in/factor", &[("code", &authenticator.code(app.now()))]).await;
        assert!(used.assert_status(422).text.contains("This code is used up"), "{}", used.text);
        for wrong in ["000000", "", "12345", "abcdef"] {
            let answer = window.submit(&page, "/sign-in/factor", &[("code", wrong)]).await;
            assert!([422, 429].contains(&answer.status), "{}", answer.text);
            assert_guarded(&answer);
        }
        app.advance(Duration::from_secs(90));
        let code = authenticator.code(app.now());
        let spaced = format!("{} {}", &code[..3], &code[3..]);
        let answer = window.submit(&page, "/sign-in/factor", &[("code", &spaced)]).await;
        assert_eq!(answer.assert_status(303).header("location"), "/account");
        assert!(window.is_signed_in().await);
        let with_factor = "select count(*) from sessions where dialect = 'browser' and amr like '%pwd%' and amr like '%mfa%'";
        assert_eq!(app.sql_count(with_factor).await, 1);
    }

    async fn a_code_by_mail_and_a_backup_code_show_it_too(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let backup = app.enrol_email_otp(&ada).await;
        let window = Window::new(&app);
        let page = halfway(&window).await;
        assert!(page.text.contains("Choose how you want to get a code"), "{}", page.text);
        let page = window.press(&page, "/sign-in/factor/send", &[]).await;
        assert!(page.text.contains("Code from the e-mail that we sent you"), "{}", page.text);
        let code = app.latest_code(ADA).await;
        let wrong = if code == "000000" { "000001" } else { "000000" };
        let page = window.submit(&page, "/sign-in/factor", &[("code", wrong)]).await;
        assert!(page.assert_status(422).text.contains(NEWEST), "{}", page.text);
        let page = window.press(&page, "/sign-in/factor", &[("code", &code)]).await;
        assert_eq!(heading(&page), "You are signed in");

        let window = Window::new(&app);
        let page = halfway(&window).await;
        let flow = field(&page, "/sign-in/factor/send", "flow");
        let page = window.visit(&format!("/sign-in/factor?flow={flow}&backup=yes")).await;
        assert!(page.text.contains("Backup code"), "{}", page.text);
        let first = backup[0].to_lowercase();
        let page = window.press(&page, "/sign-in/factor", &[("code", &first)]).await;
        assert_eq!(heading(&page), "You are signed in");
        // It is used up.
        let window = Window::new(&app);
        let page = halfway(&window).await;
        let flow = field(&page, "/sign-in/factor/send", "flow");
        let page = window.visit(&format!("/sign-in/factor?flow={flow}&backup=yes")).await;
        window.submit(&page, "/sign-in/factor", &[("code", &first)]).await.assert_status(422);
        assert!(!window.is_signed_in().await);
    }

    async fn where_a_sign_in_leads_survives_the_second_factor(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let authenticator = app.enrol_totp(&ada, "Phone").await;
        app.advance(STEP);
        let window = Window::new(&app);
        let page = window.visit("/account").await;
        let page = window.press(&page, "/sign-in", &[("login", ADA), ("password", PASSWORD)]).await;
        let page = window.submit(&page, "/sign-in/factor", &[("code", "000000")]).await;
        let answer = window.submit(&page, "/sign-in/factor", &[("code", &authenticator.code(app.now()))]).await;
        assert!(answer.assert_status(303).header("location").starts_with("/account?signed_in="), "{:?}", answer.headers);
    }

    async fn a_browser_is_trusted_where_its_owner_says_so_and_nowhere_else(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let authenticator = app.enrol_totp(&ada, "Phone").await;
        app.advance(STEP);
        let window = Window::new(&app);
        let page = halfway(&window).await;
        let typed = [("code", authenticator.code(app.now())), ("trust", "yes".to_owned())];
        let typed: Vec<(&str, &str)> = typed.iter().map(|(name, value)| (*name, value.as_str())).collect();
        window.press(&page, "/sign-in/factor", &typed).await;
        assert!(window.cookie(DEVICE).is_some());
        // Signed out, and in again with the password alone.
        let page = window.visit("/sign-out").await;
        window.press(&page, "/sign-out", &[]).await;
        window.sign_in(ADA).await;
        let without = "select count(*) from sessions where dialect = 'browser' and revoked_at is null and amr = 'pwd'";
        assert_eq!(app.sql_count(without).await, 1, "the session does not say that a factor was shown");
        // The same program in the same network without the cookie is asked, and so is one with another cookie.
        let other = Window::new(&app);
        halfway(&other).await;
        other.set_cookie(DEVICE, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
        halfway(&other).await;
        // And after the time for which devices are trusted.
        app.advance(Duration::from_secs(31 * 24 * 3_600));
        halfway(&window).await;
    }

    async fn an_attacker_with_the_password_does_not_get_past_the_second_factor(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let authenticator = app.enrol_totp(&ada, "Phone").await;
        app.advance(STEP);
        app.sign_up_rivergen_verified(BOB).await;
        let window = Window::new(&app);
        let page = halfway(&window).await;
        let flow = field(&page, "/sign-in/factor", "flow");
        // The step after it, another step, and the beginning.
        for path in ["/account", "/sign-out", "/signed-out"] {
            window.visit(path).await;
            assert!(!window.is_signed_in().await);
        }
        window.open(&format!("/sign-in/code?flow={flow}")).await.assert_status(400);
        let form = filled(&page, "/sign-in/factor", &[("code", "000000")]);
        window.post("/sign-in/code", &form).await.assert_status(400);
        window.post("/sign-in/code/again", &form).await.assert_status(400);
        // Without what the sign-in waits with, and with that of the beginning.
        let begun = field(&window.visit("/sign-in").await, "/sign-in", "flow");
        for flow in ["", &begun] {
            let form = filled(&page, "/sign-in/factor", &[("flow", flow), ("code", "000000")]);
            window.post("/sign-in/factor", &form).await.assert_status(400);
            window.post("/sign-in/factor/send", &form).await.assert_status(400);
        }
        // In another browser it is nothing: what leaked from a history or a log shows no second factor there.
        let thief = Window::new(&app);
        thief.visit("/sign-in").await;
        thief.open(&format!("/sign-in/factor?flow={flow}")).await.assert_status(400);
        assert!(!window.is_signed_in().await && !thief.is_signed_in().await);
        assert_eq!(app.sql_count("select count(*) from sessions where dialect = 'browser'").await, 0);
        // It is used once.
        let code = authenticator.code(app.now());
        window.submit(&page, "/sign-in/factor", &[("code", &code)]).await.assert_status(303);
        app.advance(Duration::from_secs(90));
        let signed_out = Window::new(&app);
        let fresh = halfway(&signed_out).await;
        let code = authenticator.code(app.now());
        let form = filled(&fresh, "/sign-in/factor", &[("code", &code)]);
        app.advance(Duration::from_secs(601));
        let answer = signed_out.post("/sign-in/factor", &form).await;
        assert!(answer.assert_status(303).header("location").starts_with("/sign-in?flow="), "too late: it begins anew");
        assert!(!signed_out.is_signed_in().await);
    }

    async fn an_attacker_who_guesses_the_second_factor_is_stopped(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let authenticator = app.enrol_totp(&ada, "Phone").await;
        app.advance(STEP);
        let window = Window::at(&app, "192.0.2.66");
        let page = halfway(&window).await;
        for _ in 0..3 {
            window.submit(&page, "/sign-in/factor", &[("code", "000000")]).await.assert_status(422);
        }
        let code = authenticator.code(app.now());
        let answer = window.submit(&page, "/sign-in/factor", &[("code", &code)]).await;
        assert!(answer.assert_status(429).text.contains("Too many attempts. Try again in 1 minute."), "{}", answer.text);
        assert!(!window.is_signed_in().await);
    }

    async fn a_passkey_signs_in_whatever_is_typed_beside_it(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        app.enrol_totp(&ada, "Phone").await;
        let mut authenticator = app.enrol_passkey(&ada, "Laptop").await;
        for login in [ADA, ""] {
            let window = Window::new(&app);
            let page = window.visit("/sign-in").await;
            let challenge = options(&window, &page, login).await.assert_status(200).body.clone();
            assert_eq!(challenge["allowCredentials"], json!([]), "{login}");
            let credential = authenticator.sign_in(&challenge);
            let answer = present(&window, &page, login, &credential).await;
            assert_eq!(answer.assert_status(303).header("location"), "/account");
            assert!(window.is_signed_in().await);
            // The same answer again signs nobody in.
            let other = Window::new(&app);
            let page = other.visit("/sign-in").await;
            let refused = present(&other, &page, login, &credential).await;
            assert!(refused.assert_status(422).text.contains("The passkey did not sign you in"), "{}", refused.text);
            assert!(!other.is_signed_in().await);
        }
        let all = "select count(*) from sessions where dialect = 'browser' and amr like '%mfa%' and amr like '%user%'";
        assert_eq!(app.sql_count(all).await, 2);
        // At the second factor it will do as well.
        let window = Window::new(&app);
        let page = halfway(&window).await;
        let challenge = options(&window, &page, "").await.assert_status(200).body.clone();
        assert_eq!(challenge["allowCredentials"].as_array().unwrap().len(), 1, "whose it must be is known");
        let credential = authenticator.sign_in(&challenge);
        present(&window, &page, "", &credential).await.assert_status(303);
    }

    async fn another_accounts_passkey_shows_no_second_factor(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        app.enrol_totp(&ada, "Phone").await;
        let bob = app.sign_up_rivergen_verified(BOB).await;
        let mut authenticator = app.enrol_passkey(&bob, "Laptop").await;
        let window = Window::new(&app);
        let page = halfway(&window).await;
        for login in [ADA, BOB, ""] {
            let challenge = options(&window, &page, login).await.assert_status(200).body.clone();
            let credential = authenticator.sign_in(&challenge);
            let answer = present(&window, &page, login, &credential).await;
            assert_eq!(answer.status, 422, "the page names {login}, the sign-in names Ada");
            assert!(!window.is_signed_in().await);
        }
    }

    async fn the_beginning_with_a_passkey_tells_nobody_which_addresses_have_one(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        app.enrol_passkey(&ada, "Laptop").await;
        app.sign_up_rivergen_verified(BOB).await;
        let window = Window::new(&app);
        let page = window.visit("/sign-in").await;
        let mut shapes = Vec::new();
        for login in [ADA, BOB, "eve@example.com"] {
            let first = options(&window, &page, login).await.assert_status(200).body.clone();
            let again = options(&window, &page, login).await.body.clone();
            assert_eq!((&first["allowCredentials"], &again["allowCredentials"]), (&json!([]), &json!([])), "{login}");
            let keys: Vec<String> = first.as_object().unwrap().keys().cloned().collect();
            shapes.push(keys);
        }
        assert!(shapes.windows(2).all(|pair| pair[0] == pair[1]), "{shapes:?}");
        // Only this page's script may ask.
        let email = EmailAddress::parse(ADA).unwrap();
        for csrf in ["", "x", &field(&page, "/sign-in", "csrf")] {
            let flow = field(&page, "/sign-in/passkey", "flow");
            let form = format!("csrf={csrf}&flow={flow}&login={}", encoded(email.as_str()));
            window.post("/sign-in/passkey/options", &form).await.assert_status(403);
        }
    }

    async fn what_is_no_passkey_signs_nobody_in(app: TestApp) {
        app.sign_up_rivergen_verified(ADA).await;
        let window = Window::new(&app);
        let page = window.visit("/sign-in").await;
        for credential in [json!(null), json!({}), json!({ "id": "x", "response": {} }), json!("x"), json!({ "id": "AA", "response": {
            "authenticatorData": "AA", "clientDataJSON": "AA", "signature": "AA" } })]
        {
            present(&window, &page, ADA, &credential).await.assert_status(422);
        }
        assert!(!window.is_signed_in().await);
    }
}
