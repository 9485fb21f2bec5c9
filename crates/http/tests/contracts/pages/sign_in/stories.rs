//! People sign in with a password and with a mailed code, set a new password, and sign out.

use tidegate_domain::account::LoginName;
use tidegate_testkit::{Engine, PASSWORD, TestApp, on_both_engines};

use super::super::heading;
use super::window::{FORM, SESSION};
use super::{ADA, NEWEST, Window, assert_guarded};

/// Somebody who registered a phone through Riven, and set a password from their mailbox.
pub(super) async fn with_phone(app: &TestApp, phone: &str) {
    let person = app.register_phone(phone).await;
    app.open_account(&person, ADA).await;
    let link = app.latest_link_token(ADA).await;
    app.post("/verify-email").form(&format!("token={link}")).send().await.assert_status(200);
    let window = Window::new(app);
    let page = window.visit("/forgot-password").await;
    window.submit(&page, "/forgot-password", &[("email", ADA)]).await.assert_status(200);
    let token = app.latest_link_token(ADA).await;
    let form = format!("token={token}&new_password={PASSWORD}");
    app.post("/reset-password").form(&form).send().await.assert_status(200);
}

on_both_engines! {
    async fn a_person_signs_in_is_told_so_and_signs_out(app: TestApp) {
        app.sign_up_rivergen_verified(ADA).await;
        let window = Window::new(&app);
        let page = window.visit("/sign-in").await;
        page.assert_status(200);
        assert_eq!(heading(&page), "Sign in");
        assert_guarded(&page);
        let given = page.header("set-cookie").to_owned();
        assert!(given.starts_with(&format!("{FORM}=")) && given.ends_with("; Path=/; HttpOnly; SameSite=Lax; Secure"), "{given}");

        let answer = window.submit(&page, "/sign-in", &[("login", ADA), ("password", PASSWORD)]).await;
        assert_eq!(answer.assert_status(303).header("location"), "/account");
        let given = answer.header("set-cookie").to_owned();
        assert!(given.starts_with(&format!("{SESSION}=tgb_")) && given.ends_with("; Path=/; HttpOnly; SameSite=Lax; Secure"), "{given}");
        let page = window.follow(answer).await;
        assert_eq!(heading(&page), "You are signed in");
        assert!(page.text.contains("Signed in as Ada Lovelace (ada@example.com)."), "{}", page.text);
        assert_guarded(&page);

        // What is kept: a session like any other, and the hash of the secret alone.
        let secret = window.cookie(SESSION).unwrap();
        assert_eq!(app.sql_count("select count(*) from sessions where dialect = 'browser' and amr = 'pwd'").await, 1);
        assert_eq!(app.sql_count("select count(*) from refresh_tokens r join sessions s on s.id = r.session_id where s.dialect = 'browser'").await, 0);
        let opened = "select count(*) from audit_events where action = 'auth.login.success' and origin = 'page'";
        assert_eq!(app.sql_count(opened).await, 1);

        let page = window.visit("/sign-out").await;
        assert_eq!(heading(&page), "Sign out?");
        assert!(window.is_signed_in().await, "looking at the page signs nobody out");
        let page = window.press(&page, "/sign-out", &[]).await;
        assert_eq!(heading(&page), "Signed out");
        assert_guarded(&page);
        assert_eq!((window.cookie(SESSION), window.cookie(FORM).is_some()), (None, true));
        // The session is over, not only the cookie gone.
        window.set_cookie(SESSION, &secret);
        assert!(!window.is_signed_in().await);
        assert_eq!(app.sql_count("select count(*) from sessions where dialect = 'browser' and revoked_reason = 'logged_out'").await, 1);
    }

    async fn an_address_is_written_as_people_write_it_and_the_page_says_what_it_takes(app: TestApp) {
        app.sign_up_rivergen_verified(ADA).await;
        let window = Window::new(&app);
        for login in [" Ada@Example.com ", "ADA@EXAMPLE.COM"] {
            window.sign_in(login).await;
        }
        for wrong in ["ada", "0712", "@", "", "ada@"] {
            let page = window.try_password(wrong, PASSWORD).await;
            page.assert_status(422);
            assert!(page.text.contains("Enter an e-mail address, or a phone number"), "{wrong}");
        }
    }

    async fn a_phone_signs_in_with_the_same_password_and_its_second_factor(app: TestApp) {
        let phone = "+254700000001";
        with_phone(&app, phone).await;
        let window = Window::new(&app);
        window.sign_in(phone).await;
        let page = Window::new(&app).try_password("+254700000009", PASSWORD).await;
        assert!(page.assert_status(422).text.contains("The address or the password is wrong"), "{}", page.text);
    }

    async fn where_a_sign_in_leads_survives_wrong_passwords(app: TestApp) {
        app.sign_up_rivergen_verified(ADA).await;
        let window = Window::new(&app);
        let mut page = window.visit("/account").await;
        assert_eq!(heading(&page), "Sign in");
        for _ in 0..2 {
            page = window.submit(&page, "/sign-in", &[("login", ADA), ("password", "Wrong1horse!")]).await;
            page.assert_status(422);
            assert_guarded(&page);
            assert!(page.text.contains("value=\"ada@example.com\""), "what was typed is still there");
            assert!(!page.text.contains("Wrong1horse"), "{}", page.text);
        }
        let answer = window.submit(&page, "/sign-in", &[("login", ADA), ("password", PASSWORD)]).await;
        assert!(answer.assert_status(303).header("location").starts_with("/account?signed_in="));
        assert_eq!(heading(&window.follow(answer).await), "You are signed in");
    }

    async fn an_address_that_is_not_verified_is_verified_on_the_way(app: TestApp) {
        app.sign_up_rivergen(ADA).await;
        let window = Window::new(&app);
        let answer = window.try_password(ADA, PASSWORD).await;
        assert!(answer.assert_status(303).header("location").starts_with("/sign-in/code?flow="));
        let page = window.follow(answer).await;
        assert_eq!(heading(&page), "Verify your e-mail address");
        assert_guarded(&page);
        assert!(!window.is_signed_in().await);

        let wrong = window.submit(&page, "/sign-in/code", &[("code", "000000")]).await;
        assert!(wrong.assert_status(422).text.contains(NEWEST), "{}", wrong.text);
        let old = app.latest_code(ADA).await;
        let page = window.press(&wrong, "/sign-in/code/again", &[]).await;
        assert_eq!(heading(&page), "Verify your e-mail address");
        let code = app.latest_code(ADA).await;
        let refused = window.submit(&page, "/sign-in/code", &[("code", &old)]).await;
        assert_eq!(refused.status, if old == code { 303 } else { 422 });
        let page = window.press(&page, "/sign-in/code", &[("code", &code)]).await;
        assert_eq!(heading(&page), "You are signed in");
        assert_eq!(app.sql_count("select count(*) from sessions where dialect = 'browser' and amr = 'otp'").await, 1);
        // From now on the password is enough.
        Window::new(&app).sign_in(ADA).await;
    }

    async fn a_forgotten_password_is_set_anew_and_signs_every_browser_out(app: TestApp) {
        app.sign_up_rivergen_verified(ADA).await;
        let before = Window::new(&app);
        before.sign_in(ADA).await;
        let window = Window::at(&app, "192.0.2.7");
        let page = window.visit("/forgot-password").await;
        assert_eq!(heading(&page), "Forgot your password?");
        let known = window.submit(&page, "/forgot-password", &[("email", ADA)]).await;
        let unknown = window.submit(&page, "/forgot-password", &[("email", "eve@example.com")]).await;
        let told = |page: &str| page.split("<a ").next().unwrap().replace("eve@", "ada@");
        assert_eq!((known.status, told(&known.text)), (200, told(&unknown.text)), "nobody learns which addresses have accounts");
        assert_guarded(&known);
        let email = LoginName::from_stored_address(ADA.to_owned());
        assert_eq!(email.as_str(), ADA);

        let token = app.latest_link_token(ADA).await;
        let form = format!("token={token}&new_password=Battery2staple!");
        app.post("/reset-password").form(&form).send().await.assert_status(200);
        assert!(!before.is_signed_in().await);
        window.try_password(ADA, PASSWORD).await.assert_status(422);
        window.try_password(ADA, "Battery2staple!").await.assert_status(303);
    }

    async fn the_pages_speak_the_language_of_the_browser(app: TestApp) {
        let window = Window::new(&app);
        let request = app.get("/sign-in").header("accept-language", "sw");
        assert_eq!(heading(&window.send(request).await), "Ingia");
        let request = app.get("/sign-in?login_hint=ada%40example.com").header("accept-language", "de, en;q=0.5");
        let page = window.send(request).await;
        assert_eq!(heading(&page), "Sign in");
        assert!(page.text.contains("value=\"ada@example.com\""), "{}", page.text);
    }
}

#[test]
fn without_a_mail_provider_an_address_cannot_be_verified_and_the_page_says_whom_to_tell() {
    tidegate_testkit::run(Engine::Sqlite, async |_: Engine| {
        let app = TestApp::builder(Engine::Sqlite).mail_off().start().await;
        let window = Window::new(&app);
        let page = window.visit("/forgot-password").await;
        let page = window.submit(&page, "/forgot-password", &[("email", ADA)]).await;
        assert!(page.assert_status(503).text.contains("not set up to send messages"), "{}", page.text);
    });
}
