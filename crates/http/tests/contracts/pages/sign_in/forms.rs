//! Forms that wait while something changes, and requests that are sent twice.

use std::time::Duration;

use tidegate_testkit::{PASSWORD, TestApp, on_both_engines};

use super::super::heading;
use super::window::{SESSION, field, filled};
use super::{ADA, Window};

on_both_engines! {
    async fn a_form_that_is_sent_twice_signs_in(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let authenticator = app.enrol_totp(&ada, "Phone").await;
        app.advance(Duration::from_secs(30));
        let window = Window::new(&app);
        let answer = window.try_password(ADA, PASSWORD).await;
        let page = window.follow(answer).await;
        let form = filled(&page, "/sign-in/factor", &[("code", &authenticator.code(app.now()))]);
        let mut secrets = Vec::new();
        for _ in 0..2 {
            // As a browser sends it whose first answer was lost: without what that would have set.
            window.forget(SESSION);
            let answer = window.post("/sign-in/factor", &form).await;
            answer.assert_status(303);
            secrets.push(window.cookie(SESSION).unwrap_or_else(|| panic!("{:?}", answer.headers)));
        }
        assert_eq!(secrets.first(), secrets.last());
        assert!(window.is_signed_in().await);
    }

    async fn a_code_for_an_address_that_is_sent_twice_signs_in_and_once_only_after_a_minute(app: TestApp) {
        app.sign_up_rivergen(ADA).await;
        let window = Window::new(&app);
        let answer = window.try_password(ADA, PASSWORD).await;
        let page = window.follow(answer).await;
        assert_eq!(heading(&page), "Verify your e-mail address");
        let form = filled(&page, "/sign-in/code", &[("code", &app.latest_code(ADA).await)]);
        let mut secrets = Vec::new();
        for _ in 0..3 {
            window.forget(SESSION);
            window.post("/sign-in/code", &form).await.assert_status(303);
            secrets.push(window.cookie(SESSION).expect("signed in"));
            app.advance(Duration::from_secs(29));
        }
        assert!(secrets.iter().all(|secret| *secret == secrets[0]), "one session: {secrets:?}");
        let opened = "select count(*) from sessions where dialect = 'browser'";
        assert_eq!(app.sql_count(opened).await, 1);
        window.forget(SESSION);
        let late = window.post("/sign-in/code", &form).await;
        assert!(late.status >= 400 || window.cookie(SESSION).is_none(), "{} {}", late.status, late.text);
        assert_eq!((window.cookie(SESSION), app.sql_count(opened).await), (None, 1));
        // Another browser that saw the form has another cookie to bind it to.
        let other = Window::at(&app, "203.0.113.9");
        other.visit("/sign-in").await;
        other.post("/sign-in/code", &form).await;
        assert_eq!(other.cookie(SESSION), None);
    }

    async fn the_page_that_asks_for_a_code_shows_the_address_as_its_owner_writes_it(app: TestApp) {
        const SHOWN: &str = "ada@b\u{fc}cher.example";
        app.sign_up_rivergen(SHOWN).await;
        let window = Window::new(&app);
        let answer = window.try_password(SHOWN, PASSWORD).await;
        let page = window.follow(answer).await;
        assert_eq!(heading(&page), "Verify your e-mail address");
        assert!(page.text.contains(SHOWN) && !page.text.contains("xn--"), "{}", page.text);
        // The code is found by the address as it is stored.
        let form = filled(&page, "/sign-in/code", &[("code", &app.latest_code(SHOWN).await)]);
        window.post("/sign-in/code", &form).await.assert_status(303);
        assert!(window.is_signed_in().await);
    }

    async fn two_sign_ins_of_one_browser_do_not_meet(app: TestApp) {
        app.sign_up_rivergen_verified(ADA).await;
        let window = Window::new(&app);
        let first = window.visit("/account").await;
        let second = window.visit("/sign-in").await;
        assert_ne!(field(&first, "/sign-in", "flow"), field(&second, "/sign-in", "flow"));
        let answer = window.submit(&second, "/sign-in", &[("login", ADA), ("password", PASSWORD)]).await;
        assert_eq!(answer.assert_status(303).header("location"), "/account");
        // The form in the other window was made before anyone was signed in here: it comes back, and then it works.
        let page = window.submit(&first, "/sign-in", &[("login", ADA), ("password", PASSWORD)]).await;
        page.assert_status(403);
        assert_eq!(heading(&page), "Sign in");
        let answer = window.submit(&page, "/sign-in", &[("login", ADA), ("password", PASSWORD)]).await;
        assert!(answer.assert_status(303).header("location").starts_with("/account?signed_in="));
    }

    async fn a_browser_without_cookies_is_told_to_allow_them(app: TestApp) {
        app.sign_up_rivergen_verified(ADA).await;
        let window = Window::new(&app);
        let page = window.visit("/sign-in").await;
        window.forget(crate::pages::sign_in::window::FORM);
        let page = window.submit(&page, "/sign-in", &[("login", ADA), ("password", PASSWORD)]).await;
        assert!(page.assert_status(403).text.contains("allow cookies for this site"), "{}", page.text);
    }
}
