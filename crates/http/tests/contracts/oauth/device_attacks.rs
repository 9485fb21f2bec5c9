//! Attacks on devices and on the page where people type their codes: RFC 8628 section 5, RFC 9700.

use std::time::Duration;

use tidegate_domain::limit::Limit;
use tidegate_kernel::Settings;
use tidegate_testkit::{Answer, Engine, PASSWORD, TestApp, on_both_engines};

use super::wire::{ADA, App, assert_flat, described_with, me, register};
use crate::oauth::devices::{allow, ask, choose, poll, shop_with_television, type_code};
use crate::pages::heading;
use crate::pages::sign_in::assert_guarded;
use crate::pages::sign_in::window::{FORM, SESSION, Window, field, filled};

const EVE: &str = "eve@example.com";

/// Limits on guessing: by account, by network and of all people together.
fn limited(settings: &mut Settings, account: u32, network: u32, all: u32) {
    let mut rules = settings.oauth.rules.clone();
    rules.user_codes_by_account = Some(Limit::new(account, 60));
    rules.user_codes_by_network = Some(Limit::new(network, 60));
    rules.user_codes = Some(Limit::new(all, 60));
    settings.set_oauth(rules);
}

/// Codes that no device has.
const WRONG: [&str; 8] =
    ["BBBB-BBBB", "CCCC-CCCC", "DDDD-DDDD", "FFFF-FFFF", "GGGG-GGGG", "HHHH-HHHH", "JJJJ-JJJJ", "KKKK-KKKK"];

async fn guess(window: &Window, codes: &[&str]) -> Vec<u16> {
    let mut answered = Vec::new();
    for code in codes {
        answered.push(type_code(window, code).await.status);
    }
    answered
}

async fn signed_in(app: &TestApp, login: &str, ip: &str) -> Window {
    let window = Window::at(app, ip);
    window.sign_in(login).await;
    window
}

/// That nobody has allowed anything.
async fn assert_nothing_allowed(app: &TestApp, client: &App, asked: &Answer) {
    assert_eq!(app.sql_count("select count(*) from oauth_device_codes where status <> 'pending'").await, 0);
    app.advance(Duration::from_secs(60));
    assert_flat(&poll(app, client, asked).await, 400, "authorization_pending");
}

on_both_engines! {
    // RFC 8628 section 5.1: user code brute forcing.
    async fn guesses_of_one_account_are_bounded(engine: Engine) {
        let app = TestApp::builder(engine).settings(|settings| limited(settings, 3, 100, 100)).start().await;
        let client = shop_with_television(&app).await;
        let asked = ask(&app, &client, &[]).await;
        let window = signed_in(&app, ADA, "198.51.100.1").await;
        assert_eq!(guess(&window, &WRONG[..4]).await, [422, 422, 422, 429]);
        // Another network does not help, nor does the right code.
        let elsewhere = signed_in(&app, ADA, "198.51.100.2").await;
        assert_eq!(guess(&elsewhere, &[&asked.text_at("user_code")]).await, [429]);
        app.advance(Duration::from_secs(61));
        assert_eq!(guess(&window, &[&asked.text_at("user_code")]).await, [200]);
    }

    async fn guesses_of_one_network_are_bounded(engine: Engine) {
        let app = TestApp::builder(engine).settings(|settings| limited(settings, 100, 3, 100)).start().await;
        shop_with_television(&app).await;
        app.sign_up_rivergen_verified(EVE).await;
        let window = signed_in(&app, ADA, "198.51.100.1").await;
        assert_eq!(guess(&window, &WRONG[..2]).await, [422, 422]);
        let other = signed_in(&app, EVE, "198.51.100.1").await;
        assert_eq!(guess(&other, &WRONG[..2]).await, [422, 429]);
        let elsewhere = signed_in(&app, EVE, "198.51.100.2").await;
        assert_eq!(guess(&elsewhere, &WRONG[..1]).await, [422]);
    }

    async fn guesses_of_all_people_together_are_bounded(engine: Engine) {
        let app = TestApp::builder(engine).settings(|settings| limited(settings, 2, 2, 5)).start().await;
        let client = shop_with_television(&app).await;
        let asked = ask(&app, &client, &[]).await;
        let mut answered = Vec::new();
        for number in 0..3 {
            let email = format!("guesser{number}@example.com");
            app.sign_up_rivergen_verified(&email).await;
            let window = signed_in(&app, &email, &format!("198.51.100.{number}")).await;
            answered.extend(guess(&window, &WRONG[..2]).await);
        }
        assert_eq!(answered, [422, 422, 422, 422, 422, 429]);
        // However many accounts and networks they have.
        let window = signed_in(&app, ADA, "203.0.113.1").await;
        assert_eq!(guess(&window, &[&asked.text_at("user_code")]).await, [429]);
    }

    async fn right_codes_are_not_counted_and_what_cannot_be_a_code_is_not_looked_up(engine: Engine) {
        let app = TestApp::builder(engine).settings(|settings| limited(settings, 2, 2, 2)).start().await;
        let client = shop_with_television(&app).await;
        let window = signed_in(&app, ADA, "198.51.100.1").await;
        assert_eq!(guess(&window, &["", "x", "AAAA-AAAA", "BCDF-GHJ", "BCDF-GHJKL"]).await, [422; 5]);
        for _ in 0..4 {
            let asked = ask(&app, &client, &[]).await;
            allow(&window, &asked).await;
            poll(&app, &client, &asked).await.assert_status(200);
        }
    }

    async fn nobody_guesses_without_an_account(app: TestApp) {
        let client = shop_with_television(&app).await;
        let asked = ask(&app, &client, &[]).await;
        let code = asked.text_at("user_code");
        let window = Window::new(&app);
        let page = window.visit(&format!("/device?user_code={code}")).await;
        assert_eq!(heading(&page), "Sign in");
        let page = window.post("/device", &format!("csrf=x&user_code={code}&choice=allow")).await;
        assert_eq!(heading(&window.follow(page).await), "Sign in");
        assert_nothing_allowed(&app, &client, &asked).await;
    }

    // RFC 8628 section 5.4: remote phishing. A page cannot prevent it; it says what happens, from where, and asks.
    async fn a_code_that_a_stranger_sends_is_not_allowed_by_a_link_alone(app: TestApp) {
        let client = shop_with_television(&app).await;
        let asked = ask(&app, &client, &[("scope", "read")]).await;
        let window = signed_in(&app, ADA, "198.51.100.1").await;
        for query in ["", "&choice=allow", "&choice=allow&csrf=x"] {
            let page = window.open(&format!("/device?user_code={}{query}", asked.text_at("user_code"))).await;
            assert_eq!(heading(&page), "Connect a device");
        }
        let page = type_code(&window, &asked.text_at("user_code")).await;
        assert_guarded(&page);
        assert!(page.text.contains("they are trying to get into your account"), "{}", page.text);
        let ip = &app.database.sql_texts("select ip from oauth_device_codes").await[0];
        assert!(page.text.contains(&format!("It asked from the network address {ip}, less than 1 minute ago.")), "{}", page.text);
        assert_nothing_allowed(&app, &client, &asked).await;
    }

    async fn an_attacker_cannot_answer_in_the_persons_name(app: TestApp) {
        let client = shop_with_television(&app).await;
        app.sign_up_rivergen_verified(EVE).await;
        let [asked, other] = [ask(&app, &client, &[]).await, ask(&app, &client, &[]).await];
        let window = signed_in(&app, ADA, "198.51.100.1").await;
        let eve = signed_in(&app, EVE, "198.51.100.2").await;
        let own = type_code(&eve, &asked.text_at("user_code")).await;
        let page = type_code(&window, &other.text_at("user_code")).await;
        let code = asked.text_at("user_code");
        let answer = |csrf: &str| format!("csrf={csrf}&user_code={code}&choice=allow");
        for csrf in ["", "x", &field(&own, "/device", "csrf"), &field(&page, "/device", "csrf")] {
            let again = window.post("/device", &answer(csrf)).await;
            assert_eq!(heading(&again), "Allow this device?", "{csrf}");
        }
        // A page of another site sends the right form.
        let page = type_code(&window, &code).await;
        let form = filled(&page, "/device", &[("choice", "allow")]);
        let foreign = window.send(window.request("/device", &form).header("sec-fetch-site", "cross-site")).await;
        assert_eq!(heading(&foreign), "Allow this device?");
        // The session was replaced meanwhile.
        let mine = window.cookie(SESSION).unwrap();
        window.set_cookie(SESSION, &eve.cookie(SESSION).unwrap());
        assert_eq!(heading(&window.post("/device", &form).await), "Allow this device?");
        window.set_cookie(SESSION, &mine);
        let kept = window.cookie(FORM).unwrap();
        window.forget(FORM);
        assert_eq!(heading(&window.post("/device", &form).await), "Allow this device?");
        window.set_cookie(FORM, &kept);
        assert_nothing_allowed(&app, &client, &asked).await;
        assert_eq!(heading(&window.post("/device", &form).await), "Device connected");
    }

    async fn the_question_is_asked_again_when_its_application_has_changed(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let client = register(&app, &ada, &described_with(serde_json::json!({
            "name": "Printer", "grant_types": [crate::oauth::devices::DEVICE_CODE],
        }))).await;
        let asked = ask(&app, &client, &[]).await;
        let window = signed_in(&app, ADA, "198.51.100.1").await;
        let page = type_code(&window, &asked.text_at("user_code")).await;
        app.sql("update oauth_applications set name = 'Bank'").await;
        let again = choose(&window, &page, "allow").await;
        assert!(again.text.contains("Bank, an application of"), "{}", again.text);
        assert_nothing_allowed(&app, &client, &asked).await;
    }

    async fn who_has_a_second_factor_shows_it_before_a_device_gets_access(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let client = register(&app, &ada, &crate::oauth::devices::television()).await;
        let authenticator = app.enrol_totp(&ada, "Phone").await;
        app.advance(Duration::from_secs(30));
        let window = Window::new(&app);
        let page = window.try_password(ADA, PASSWORD).await;
        let page = window.follow(page).await;
        let code = authenticator.code(app.now());
        window.press(&page, "/sign-in/factor", &[("code", &code), ("trust", "yes")]).await;
        let page = window.visit("/sign-out").await;
        window.press(&page, "/sign-out", &[]).await;
        window.sign_in(ADA).await;
        let asked = ask(&app, &client, &[]).await;
        let page = type_code(&window, &asked.text_at("user_code")).await;
        let page = choose(&window, &page, "allow").await;
        assert_eq!(heading(&page), "Sign in");
        assert_eq!(app.sql_count("select count(*) from oauth_device_codes where status <> 'pending'").await, 0);
        let page = window.press(&page, "/sign-in", &[("login", ADA), ("password", PASSWORD)]).await;
        assert_eq!(heading(&page), "Confirm that it is you");
        app.advance(Duration::from_secs(90));
        let page = window.press(&page, "/sign-in/factor", &[("code", &authenticator.code(app.now()))]).await;
        assert_eq!(field_value(&page), asked.text_at("user_code"));
        allow(&window, &asked).await;
        poll(&app, &client, &asked).await.assert_status(200);
    }

    // RFC 8628 section 5.2: device code brute forcing; RFC 9700 section 4.5: what is stored is of no use.
    async fn codes_are_not_stored_and_are_of_use_to_their_own_application_alone(app: TestApp) {
        let client = shop_with_television(&app).await;
        let eve = app.sign_up_rivergen_verified(EVE).await;
        let other = register(&app, &eve, &described_with(serde_json::json!({
            "name": "Other", "grant_types": [crate::oauth::devices::DEVICE_CODE], "token_endpoint_auth_method": "none",
        }))).await;
        let asked = ask(&app, &client, &[]).await;
        let window = signed_in(&app, ADA, "198.51.100.1").await;
        allow(&window, &asked).await;
        assert_flat(&poll(&app, &other, &asked).await, 400, "invalid_grant");
        let texts = app.database.sql_texts(
            "select scope || ip || status || coalesce(audience, '') from oauth_device_codes").await;
        assert!(texts.iter().all(|text| !text.contains("tgd_") && !text.contains(&asked.text_at("user_code"))));
        let tokens = poll(&app, &client, &asked).await;
        assert_eq!(me(&app, &tokens.assert_status(200).text_at("access_token")).await, 200);
    }

    async fn a_new_password_takes_away_what_a_device_was_allowed(app: TestApp) {
        let client = shop_with_television(&app).await;
        let asked = ask(&app, &client, &[]).await;
        let window = signed_in(&app, ADA, "198.51.100.1").await;
        allow(&window, &asked).await;
        app.post("/api/v1/auth/forgot-password").json(&serde_json::json!({ "email": ADA })).send().await.assert_status(200);
        let mails = app.mails_to(ADA).await;
        let link = mails.iter().find_map(|mail| mail.link().filter(|link| link.contains("reset-password"))).unwrap().to_owned();
        let token = link.split_once("token=").unwrap().1.split('&').next().unwrap();
        let form = format!("token={token}&new_password=Battery2staple!");
        app.post("/reset-password").form(&form).send().await.assert_status(200);
        assert_flat(&poll(&app, &client, &asked).await, 400, "invalid_grant");
        assert_eq!(app.sql_count("select count(*) from oauth_device_codes").await, 0);
    }

    async fn a_code_that_was_being_allowed_while_access_was_taken_back_opens_nothing(app: TestApp) {
        let client = shop_with_television(&app).await;
        let asked = ask(&app, &client, &[]).await;
        let window = signed_in(&app, ADA, "198.51.100.1").await;
        allow(&window, &asked).await;
        // Who takes access back removes the codes that can be seen.
        app.sql("delete from oauth_consents").await;
        assert_flat(&poll(&app, &client, &asked).await, 400, "invalid_grant");
        assert_eq!(app.sql_count("select count(*) from sessions where application_id is not null").await, 0);
    }

    async fn codes_that_devices_ask_for_are_bounded_by_network(engine: Engine) {
        let one = |settings: &mut Settings| {
            let mut rules = settings.oauth.rules.clone();
            rules.device_requests_by_network = Some(Limit::new(2, 60));
            settings.set_oauth(rules);
        };
        let app = TestApp::builder(engine).settings(one).start().await;
        let client = shop_with_television(&app).await;
        for _ in 0..2 {
            ask(&app, &client, &[]).await.assert_status(200);
        }
        assert_flat(&ask(&app, &client, &[]).await, 429, "temporarily_unavailable");
        assert_eq!(app.sql_count("select count(*) from oauth_device_codes").await, 2);
    }
}

/// What stands in the field for the code.
fn field_value(page: &Answer) -> String {
    let after = page.text.split_once("name=\"user_code\"").unwrap_or_else(|| panic!("{}", page.text)).1;
    after.split_once("value=\"").unwrap().1.split_once('"').unwrap().0.to_owned()
}
