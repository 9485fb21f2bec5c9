//! `/verify-email` and `/reset-password`.

use std::time::Duration;

use axum::http::Method;
use serde_json::json;
use tidegate_domain::Colour;
use tidegate_domain::brand::{Brand, Logo};
use tidegate_testkit::{Answer, Engine, PASSWORD, TestApp, on_both_engines};

use super::{assert_harmless, heading};
use crate::cross_contract::{login_rivergen, me_rivergen};
use crate::watch::row_counts;

const VERIFY: &str = "/verify-email";
const RESET: &str = "/reset-password";
const NEW_PASSWORD: &str = "Battery2staple!";

async fn open(app: &TestApp, page: &str, token: &str) -> Answer {
    let answer = app.get(&format!("{page}?token={token}")).send().await;
    assert_harmless(&answer);
    answer
}

async fn submit(app: &TestApp, page: &str, form: &str) -> Answer {
    let answer = app.post(page).form(form).send().await;
    assert_harmless(&answer);
    answer
}

/// The token of a reset link that was mailed to Ada.
async fn reset_token(app: &TestApp) -> String {
    let body = json!({ "email": "ada@example.com" });
    app.post("/api/v1/auth/forgot-password").json(&body).send().await.assert_status(200);
    app.latest_link_token("ada@example.com").await
}

const VERIFIED: &str = "select count(*) from identifiers where verified_at is not null";

on_both_engines! {
    async fn looking_at_a_verification_link_changes_nothing_and_pressing_the_button_verifies(app: TestApp) {
        app.sign_up_rivergen("ada@example.com").await;
        let token = app.latest_link_token("ada@example.com").await;
        let before = row_counts(&app).await;
        // Mail programs look at links before people do.
        for _ in 0..3 {
            let page = open(&app, VERIFY, &token).await;
            page.assert_status(200);
            assert_eq!(heading(&page), "Confirm your e-mail address");
            assert!(page.text.contains(&format!("<input type=\"hidden\" name=\"token\" value=\"{token}\">")));
            app.client().request(Method::HEAD, &format!("{VERIFY}?token={token}")).send().await.assert_status(200);
        }
        assert_eq!((row_counts(&app).await, app.sql_count(VERIFIED).await), (before, 0));

        let page = submit(&app, VERIFY, &format!("token={token}")).await;
        page.assert_status(200);
        assert_eq!(heading(&page), "Thank you");
        assert!(!page.text.contains(&token));
        assert_eq!(app.sql_count(VERIFIED).await, 1);
        // The page has nobody to hand a session to. The mail does not show who set the password, so it asks for one.
        assert_eq!(app.sql_count("select count(*) from sessions").await, 0);
        login_rivergen(&app.client(), "ada@example.com", PASSWORD).await.assert_status(401);
        let (_, form) = page.text.split_once("name=\"token\" value=\"").unwrap();
        let (choice, _) = form.split_once('"').unwrap();
        let chosen = submit(&app, RESET, &format!("token={choice}&new_password={PASSWORD}")).await;
        assert_eq!(heading(&chosen), "Password changed");
        let login = login_rivergen(&app.client(), "ada@example.com", PASSWORD).await;
        me_rivergen(&app.client(), &login.text_at("data.access_token")).await.assert_status(200);
        // The new password withdrew the link.
        submit(&app, VERIFY, &format!("token={token}")).await.assert_status(400);
    }

    async fn a_verification_link_expires_after_ten_minutes(app: TestApp) {
        app.sign_up_rivergen("ada@example.com").await;
        let token = app.latest_link_token("ada@example.com").await;
        app.advance(Duration::from_secs(600));
        let page = submit(&app, VERIFY, &format!("token={token}")).await;
        page.assert_status(410);
        assert_eq!(heading(&page), "Link not valid");
        assert_eq!(app.sql_count(VERIFIED).await, 0);
    }

    async fn looking_at_a_reset_link_changes_nothing_and_the_form_works_once(app: TestApp) {
        let ada = app.sign_up_rivergen_verified("ada@example.com").await;
        let token = reset_token(&app).await;
        let before = row_counts(&app).await;
        for _ in 0..3 {
            let page = open(&app, RESET, &token).await;
            page.assert_status(200);
            assert_eq!(heading(&page), "Set a new password");
            assert!(page.text.contains(&format!("value=\"{token}\"")));
            assert!(page.text.contains("autocomplete=\"new-password\""));
            app.client().request(Method::HEAD, &format!("{RESET}?token={token}")).send().await.assert_status(200);
        }
        assert_eq!(row_counts(&app).await, before);
        me_rivergen(&app.client(), &ada.access_token).await.assert_status(200);

        let form = format!("token={token}&new_password={NEW_PASSWORD}");
        let page = submit(&app, RESET, &form).await;
        page.assert_status(200);
        assert_eq!(heading(&page), "Password changed");
        me_rivergen(&app.client(), &ada.access_token).await.assert_error(401, "UNAUTHORIZED");
        login_rivergen(&app.client(), "ada@example.com", NEW_PASSWORD).await.assert_status(200);

        let again = submit(&app, RESET, &format!("token={token}&new_password=Another3password")).await;
        again.assert_status(400);
        assert_eq!(heading(&again), "Link not valid");
        login_rivergen(&app.client(), "ada@example.com", NEW_PASSWORD).await.assert_status(200);
    }

    async fn a_weak_password_is_asked_for_again_and_costs_nothing(app: TestApp) {
        app.sign_up_rivergen_verified("ada@example.com").await;
        let token = reset_token(&app).await;
        for weak in ["short1A", "nodigitsHere", "NOLOWER123", "noupper123", "", "%3Cb%3Ea%3C%2Fb%3E"] {
            let page = submit(&app, RESET, &format!("token={token}&new_password={weak}")).await;
            page.assert_status(422);
            assert_eq!(heading(&page), "Set a new password");
            assert!(page.text.contains(&format!("value=\"{token}\"")), "the form can be sent again");
            assert!(page.text.contains("role=\"alert\"") && page.text.contains("aria-invalid=\"true\""));
            assert!(weak.is_empty() || !page.text.contains(weak), "what was typed is not shown");
        }
        let page = submit(&app, RESET, &format!("token={token}&new_password={NEW_PASSWORD}")).await;
        assert_eq!(heading(&page), "Password changed");
    }

    async fn a_reset_link_expires_after_an_hour(app: TestApp) {
        app.sign_up_rivergen_verified("ada@example.com").await;
        let token = reset_token(&app).await;
        app.advance(Duration::from_secs(3_600));
        let page = submit(&app, RESET, &format!("token={token}&new_password={NEW_PASSWORD}")).await;
        page.assert_status(400);
        login_rivergen(&app.client(), "ada@example.com", PASSWORD).await.assert_status(200);
    }

    async fn a_link_of_one_kind_is_none_of_the_other(app: TestApp) {
        app.sign_up_rivergen("bob@example.com").await;
        let verification = app.latest_link_token("bob@example.com").await;
        app.sign_up_rivergen_verified("ada@example.com").await;
        let reset = reset_token(&app).await;
        let page = submit(&app, RESET, &format!("token={verification}&new_password={NEW_PASSWORD}")).await;
        page.assert_status(400);
        submit(&app, VERIFY, &format!("token={reset}")).await.assert_status(400);
        let page = submit(&app, RESET, &format!("token={reset}&new_password={NEW_PASSWORD}")).await;
        page.assert_status(200);
    }

    async fn what_is_no_form_gets_a_page_and_changes_nothing(app: TestApp) {
        app.sign_up_rivergen_verified("ada@example.com").await;
        let token = reset_token(&app).await;
        let before = row_counts(&app).await;
        for page in [VERIFY, RESET] {
            for form in ["", "&&&", "new_password=Battery2staple", "token=", "token=x&token=y", "token=%ff", "token=%zz", "x=y",
                "token=%00", "token=tgp_x&new_password=%00%00%00%00aA1%00"]
            {
                let answer = submit(&app, page, form).await;
                assert!((400..500).contains(&answer.status), "{page} {form}: {}", answer.status);
            }
            for kind in ["application/json", "text/plain", "multipart/form-data; boundary=x"] {
                let form = format!("token={token}&new_password={NEW_PASSWORD}");
                let answer = app.post(page).body(kind, form).send().await;
                answer.assert_status(415);
                assert_harmless(&answer);
            }
            let large = app.post(page).form(&format!("token=x&new_password={}", "x".repeat(1 << 20))).send().await;
            large.assert_status(413);
            assert_harmless(&large);
            for query in ["", "?", "?token", "?token=%ff", "?token=%zz", "?token=a&token=b", "?x=y"] {
                let answer = app.get(&format!("{page}{query}")).send().await;
                answer.assert_status(400);
                assert_harmless(&answer);
            }
            for method in [Method::PUT, Method::DELETE, Method::PATCH] {
                app.client().request(method, page).send().await.assert_status(405);
            }
        }
        assert_eq!(row_counts(&app).await, before);
        login_rivergen(&app.client(), "ada@example.com", PASSWORD).await.assert_status(200);
    }

    async fn whatever_stands_in_a_link_is_text_on_the_page(app: TestApp) {
        app.sign_up_rivergen_verified("ada@example.com").await;
        let token = reset_token(&app).await;
        for (sent, shown) in [
            ("%22%3E%3Cscript%3Ealert(1)%3C%2Fscript%3E", "&#34;&#62;&#60;script&#62;alert(1)&#60;/script&#62;"),
            ("'%20onfocus%3Dalert(1)%20autofocus%20x%3D'", "&#39; onfocus=alert(1) autofocus x=&#39;"),
            ("%26%2334%3B", "&#38;#34;"),
        ] {
            for page in [VERIFY, RESET] {
                let answer = app.get(&format!("{page}?token={sent}&redirect={sent}")).send().await;
                answer.assert_status(400);
                assert_harmless(&answer);
            }
            for (page, status) in [(VERIFY, 400), (RESET, 400)] {
                let answer = submit(&app, page, &format!("token={sent}&redirect={sent}&new_password=weak")).await;
                answer.assert_status(status);
            }
            // A link that is valid, with more in it.
            let answer = app.get(&format!("{RESET}?token={token}&redirect={sent}")).send().await;
            answer.assert_status(200);
            let field = format!("name=\"redirect\" value=\"{shown}\">");
            assert!(answer.text.contains(&field) && !answer.text.contains("<script>"), "{}", answer.text);
        }
    }

    async fn an_invalid_link_says_so_at_once_and_how_to_get_another(engine: Engine) {
        let sign_in = Some("https://app.example.com/sign-in".to_owned());
        let app = TestApp::builder(engine).settings(|settings| settings.sign_in_link = sign_in).start().await;
        for page in [VERIFY, RESET] {
            for token in ["", "x", "tgp_0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHI"] {
                let answer = open(&app, page, token).await;
                answer.assert_status(400);
                assert_eq!(heading(&answer), "Link not valid");
                assert!(!answer.text.contains("<form"), "{}", answer.text);
                assert!(answer.text.contains("has expired") && answer.text.contains("To get a new one"), "{}", answer.text);
                assert!(answer.text.contains("href=\"https://app.example.com/sign-in\""), "{}", answer.text);
            }
        }
    }

    async fn a_link_that_would_be_refused_shows_no_form(app: TestApp) {
        // Used.
        app.sign_up_rivergen_verified("ada@example.com").await;
        let used = reset_token(&app).await;
        submit(&app, RESET, &format!("token={used}&new_password={NEW_PASSWORD}")).await.assert_status(200);
        open(&app, RESET, &used).await.assert_status(400);
        // Expired.
        let late = reset_token(&app).await;
        app.sign_up_rivergen("bob@example.com").await;
        let verification = app.latest_link_token("bob@example.com").await;
        open(&app, VERIFY, &verification).await.assert_status(200);
        open(&app, RESET, &late).await.assert_status(200);
        app.advance(Duration::from_secs(3_600));
        open(&app, VERIFY, &verification).await.assert_status(400);
        open(&app, RESET, &late).await.assert_status(400);
        // Of the other kind.
        let reset = reset_token(&app).await;
        open(&app, VERIFY, &reset).await.assert_status(400);
        open(&app, RESET, &reset).await.assert_status(200);
        // Of an account that was disabled since.
        app.sql("update accounts set disabled_at = 1").await;
        open(&app, RESET, &reset).await.assert_status(400);
    }

    async fn a_verification_link_that_was_followed_can_be_opened_again(app: TestApp) {
        app.sign_up_rivergen("ada@example.com").await;
        let token = app.latest_link_token("ada@example.com").await;
        submit(&app, VERIFY, &format!("token={token}")).await.assert_status(200);
        let again = open(&app, VERIFY, &token).await;
        again.assert_status(200);
        submit(&app, VERIFY, &format!("token={token}")).await.assert_status(200);
    }

    async fn a_password_page_names_the_account_to_password_managers_and_people(app: TestApp) {
        app.sign_up_rivergen_verified("ada@example.com").await;
        let token = reset_token(&app).await;
        let weak = format!("token={token}&new_password=weak");
        for page in [open(&app, RESET, &token).await, submit(&app, RESET, &weak).await] {
            let hint = "<input type=\"text\" name=\"username\" value=\"ada@example.com\" autocomplete=\"username\" readonly hidden>";
            assert!(page.text.contains(hint), "{}", page.text);
            assert!(page.text.contains("Choose a new password for ada@example.com."), "{}", page.text);
        }
    }

    async fn the_rules_of_a_password_are_shown_before_they_are_broken(app: TestApp) {
        app.sign_up_rivergen_verified("ada@example.com").await;
        let page = open(&app, RESET, &reset_token(&app).await).await;
        for rule in ["at least 8 characters", "an upper-case letter (A-Z)", "a lower-case letter (a-z)", "a digit (0-9)"] {
            assert!(page.text.contains(&format!(">{rule}</li>")), "{rule}: {}", page.text);
        }
        assert!(page.text.contains("aria-describedby=\"new_password-rules\"") && !page.text.contains("role=\"alert\""));
    }

    async fn a_page_that_is_done_leads_back_to_the_application(engine: Engine) {
        let app = TestApp::builder(engine).settings(|settings| {
            settings.sign_in_link = Some("https://app.example.com/sign-in".to_owned());
            settings.redirect_hosts = vec!["app.example.com".to_owned()];
        });
        let app = app.start().await;
        app.sign_up_rivergen_verified("ada@example.com").await;
        let welcome = "https%3A%2F%2Fapp.example.com%2Fwelcome%3Fa%3Db";
        for (redirect, href, label) in [
            (welcome, "https://app.example.com/welcome?a=b", "Continue to app.example.com"),
            ("", "https://app.example.com/sign-in", "Go to sign-in"),
            ("https%3A%2F%2Fevil.example%2F", "https://app.example.com/sign-in", "Go to sign-in"),
            ("http%3A%2F%2Fapp.example.com%2F", "https://app.example.com/sign-in", "Go to sign-in"),
            ("javascript%3Aalert(1)", "https://app.example.com/sign-in", "Go to sign-in"),
            ("%2F%2Fevil.example", "https://app.example.com/sign-in", "Go to sign-in"),
            ("https%3A%2F%2Fapp.example.com%40evil.example", "https://app.example.com/sign-in", "Go to sign-in"),
        ] {
            let token = reset_token(&app).await;
            let page = app.get(&format!("{RESET}?token={token}&redirect={redirect}")).send().await;
            page.assert_status(200);
            assert_eq!(page.text.contains("name=\"redirect\""), !redirect.is_empty());
            let form = format!("token={token}&redirect={redirect}&new_password={NEW_PASSWORD}");
            let done = submit(&app, RESET, &form).await;
            assert_eq!(heading(&done), "Password changed");
            let link = format!("<a class=\"button primary\" href=\"{href}\">{label}</a>");
            assert!(done.text.contains(&link), "{redirect}: {}", done.text);
            assert!(!done.text.contains("evil.example") && !done.text.contains("javascript:"), "{}", done.text);
            app.advance(Duration::from_secs(3_600));
        }
    }

    async fn a_page_has_the_installations_look(engine: Engine) {
        let brand = || Brand {
            accent: Colour::parse("#5b2a86").unwrap(),
            logo: Some(Logo { media_type: "image/png", bytes: b"\x89PNG\r\n\x1a\n".to_vec() }),
            support: Some("help@example.com".to_owned()),
            ..Brand::default()
        };
        let app = TestApp::builder(engine).settings(|settings| settings.brand = brand().into()).start().await;
        let page = open(&app, RESET, "x").await;
        assert!(page.text.contains("Need help? <a href=\"mailto:help@example.com\">help@example.com</a>"), "{}", page.text);
        let (_, style) = page.text.split_once("rel=\"stylesheet\" href=\"").unwrap();
        let style = app.get(style.split_once('"').unwrap().0).send().await;
        assert!(style.text.contains("--accent: #5b2a86; --on-accent: #ffffff;"), "{}", style.text);
        let logo = app.get("/assets/logo").send().await;
        assert_eq!((logo.header("content-type"), logo.header("x-content-type-options")), ("image/png", "nosniff"));
        let icon = app.get("/assets/icon.svg").send().await;
        assert!(icon.text.contains("#5b2a86") && icon.header("content-security-policy").ends_with("sandbox"));
        // Browsers keep the style sheet: another look has another address.
        let other = TestApp::start(engine).await;
        let usual = open(&other, RESET, "x").await;
        assert!(!page.text.contains(usual.text.split_once("/assets/style.css?v=").unwrap().1.split_once('"').unwrap().0));
    }

    async fn the_name_of_the_product_is_text_on_the_page(engine: Engine) {
        let builder = TestApp::builder(engine).settings(|settings| settings.product = "<b>R&D</b>".to_owned());
        let app = builder.start().await;
        let page = open(&app, VERIFY, "x").await;
        assert!(page.text.contains("&#60;b&#62;R&#38;D&#60;/b&#62;") && !page.text.contains("<b>"), "{}", page.text);
    }

    async fn what_a_page_loads_is_served_from_here(app: TestApp) {
        app.sign_up_rivergen_verified("ada@example.com").await;
        let page = open(&app, RESET, &reset_token(&app).await).await;
        let loaded = page.text.split("<link ").skip(1).filter_map(|tag| tag.split_once("href=\"")?.1.split_once('"'));
        let loaded = loaded.chain(page.text.split("src=\"").skip(1).filter_map(|tag| tag.split_once('"')));
        let loaded: Vec<&str> = loaded.map(|(address, _)| address).collect();
        assert_eq!(loaded.len(), 5, "{loaded:?}");
        for address in loaded {
            assert!(address.starts_with("/assets/") || address == "/favicon.ico", "{address}");
            let asset = app.get(address).send().await;
            asset.assert_status(200);
            assert_eq!(asset.header("cache-control"), "public, max-age=3600");
            let kind = asset.header("content-type");
            assert!(kind.starts_with("text/") || kind.starts_with("image/"), "{kind}");
            assert!(!asset.text.contains("url(") && !asset.text.contains("@import") && !asset.text.contains("https://"), "{address}");
        }
    }

    async fn without_its_database_a_page_says_so(app: TestApp) {
        app.store().close().await;
        let page = submit(&app, RESET, "token=tgp_x&new_password=Battery2staple").await;
        for page in [page, open(&app, RESET, "x").await, open(&app, VERIFY, "x").await] {
            page.assert_status(503);
            assert_eq!(heading(&page), "That did not work");
            assert_eq!(page.header("retry-after"), "1");
        }
    }
}
