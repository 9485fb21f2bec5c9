//! What ends a browser's session: time, its owner, an operator. And what its cookie is not.

use std::time::Duration;

use serde_json::json;
use tidegate_crypto::SigningAlgorithm;
use tidegate_testkit::{PASSWORD, TestApp, on_both_engines};

use super::window::SESSION;
use super::{ADA, Window, disable};

const HOUR: Duration = Duration::from_secs(3_600);

on_both_engines! {
    async fn a_browser_that_is_used_stays_signed_in_until_its_lifetime_is_over(app: TestApp) {
        app.sign_up_rivergen_verified(ADA).await;
        let idle = Window::new(&app);
        idle.sign_in(ADA).await;
        let used = Window::new(&app);
        used.sign_in(ADA).await;
        // Eight hours without a request, seven days in all.
        for _ in 0..23 {
            app.advance(7 * HOUR);
            assert!(used.is_signed_in().await);
        }
        assert!(!idle.is_signed_in().await, "after the idle time");
        app.advance(6 * HOUR);
        assert!(used.is_signed_in().await);
        app.advance(HOUR);
        assert!(!used.is_signed_in().await, "after its lifetime, however much it was used");
    }

    async fn a_browser_is_among_the_owners_sessions_and_is_ended_there(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let window = Window::new(&app);
        window.sign_in(ADA).await;
        let list = app.get("/api/v1/sessions").bearer(&ada.access_token).send().await;
        let sessions = list.assert_status(200).field("data.sessions").as_array().unwrap().clone();
        let browser = sessions.iter().find(|session| session["is_current"] == false).unwrap_or_else(|| panic!("{}", list.text));
        let path = format!("/api/v1/sessions/{}", browser["id"]);
        let ended = app.delete(&path).bearer(&ada.access_token).send().await;
        assert!(ended.status < 300, "{}", ended.text);
        assert!(!window.is_signed_in().await);
    }

    async fn a_browser_is_signed_out_when_its_account_is_disabled_or_signed_out_everywhere(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let window = Window::new(&app);
        window.sign_in(ADA).await;
        app.post("/api/v1/auth/logout-all").bearer(&ada.access_token).send().await.assert_status(204);
        assert!(!window.is_signed_in().await);

        window.sign_in(ADA).await;
        disable(&app, ADA).await;
        assert!(!window.is_signed_in().await);
        // And it does not sign in again, with the answer to a wrong password.
        let page = window.try_password(ADA, PASSWORD).await;
        assert!(page.assert_status(422).text.contains("The address or the password is wrong"), "{}", page.text);
    }

    async fn each_sign_in_has_a_secret_of_its_own_and_ends_the_one_before(app: TestApp) {
        app.sign_up_rivergen_verified(ADA).await;
        let window = Window::new(&app);
        window.sign_in(ADA).await;
        let first = window.cookie(SESSION).unwrap();
        window.sign_in(ADA).await;
        let second = window.cookie(SESSION).unwrap();
        assert_ne!(first, second);
        let thief = Window::new(&app);
        thief.set_cookie(SESSION, &first);
        assert!(!thief.is_signed_in().await && window.is_signed_in().await);
        // Another browser's session goes on.
        let other = Window::new(&app);
        other.sign_in(ADA).await;
        assert!(window.is_signed_in().await && other.is_signed_in().await);
    }

    async fn the_cookie_is_no_token_and_a_token_is_no_cookie(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let phone = app.register_phone("+254700000001").await;
        let window = Window::new(&app);
        window.sign_in(ADA).await;
        let secret = window.cookie(SESSION).unwrap();
        for path in ["/api/v1/auth/me", "/api/v1/sessions", "/oauth/userinfo"] {
            let request = app.get(path).bearer(&secret);
            request.send().await.assert_status(401);
            app.get(path).header("cookie", &format!("{SESSION}={secret}")).send().await.assert_status(401);
        }
        let body = json!({ "refresh_token": secret });
        app.post("/api/v1/auth/refresh").json(&body).send().await.assert_status(401);
        let opaque = phone.token.split_once('|').unwrap().1;
        for token in [ada.access_token.as_str(), &ada.refresh_token, &phone.token, opaque, "tgb_", "x"] {
            let thief = Window::new(&app);
            thief.set_cookie(SESSION, token);
            assert!(!thief.is_signed_in().await, "{token}");
        }
        assert!(window.is_signed_in().await);
    }

    async fn the_cookie_is_no_token_where_it_is_remembered_either(app: TestApp) {
        app.sign_up_rivergen_verified(ADA).await;
        let window = Window::new(&app);
        window.sign_in(ADA).await;
        let secret = window.cookie(SESSION).unwrap();
        let cookie = format!("{SESSION}={secret}");
        let node = app.another_node().await;
        for client in [app.client(), node.client()] {
            // Before the node has seen it in a cookie, after, and once more after that.
            for _ in 0..3 {
                for path in ["/api/v1/auth/me", "/api/v1/sessions", "/oauth/userinfo"] {
                    client.get(path).bearer(&secret).send().await.assert_status(401);
                    client.get(path).bearer(&format!("1|{secret}")).send().await.assert_status(401);
                }
                client.get("/account").header("cookie", &cookie).send().await.assert_status(200);
            }
            app.kernel().rotate_signing_key(SigningAlgorithm::EdDsa).await.unwrap();
            client.get("/api/v1/auth/me").bearer(&secret).send().await.assert_status(401);
            client.get("/account").header("cookie", &cookie).send().await.assert_status(200);
            client.get("/api/v1/auth/me").bearer(&secret).send().await.assert_status(401);
        }
        assert!(app.kernel().authenticate_cookie(&secret).await.is_ok());
        assert!(app.kernel().inspect(&secret).await.is_err() && app.kernel().authenticate(&secret).await.is_err());
    }

    async fn only_the_cookie_that_no_other_host_can_set_is_read(app: TestApp) {
        app.sign_up_rivergen_verified(ADA).await;
        let window = Window::new(&app);
        window.sign_in(ADA).await;
        let secret = window.cookie(SESSION).unwrap();
        for name in ["tidegate_session", "__host-tidegate_session", "__Secure-tidegate_session", " __Host-tidegate_session "] {
            let other = Window::new(&app);
            other.set_cookie(name, &secret);
            assert!(!other.is_signed_in().await, "{name}");
        }
        // Two of one name: somebody else set one of them.
        let twice = format!("{SESSION}={secret}; {SESSION}={secret}");
        let answer = app.get("/account").header("cookie", &twice).send().await;
        assert!(answer.assert_status(303).header("location").starts_with("/sign-in"));
    }
}
