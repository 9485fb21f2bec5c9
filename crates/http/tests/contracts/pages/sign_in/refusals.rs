//! A page says little of why it refuses something; the log has a word for each refusal.

use std::collections::BTreeSet;

use tidegate_testkit::{Answer, Engine, PASSWORD, TestApp, on_both_engines};

use super::window::{FORM, SESSION, filled};
use super::{ADA, Window};
use crate::watch::Log;

/// Pages that take a form.
const FORMS: [&str; 20] = [
    "/account/applications/withdraw",
    "/cancel-factor-reset",
    "/confirm-factor-reset",
    "/device",
    "/forgot-password",
    "/reset-password",
    "/restore-email",
    "/secure-account",
    "/sign-in",
    "/sign-in/code",
    "/sign-in/code/again",
    "/sign-in/factor",
    "/sign-in/factor/send",
    "/sign-in/passkey",
    "/sign-in/passkey/options",
    "/sign-in/with/nobody/callback",
    "/sign-out",
    "/sign-up",
    "/sign-up/code",
    "/sign-up/code/again",
];

/// Addresses that lead nowhere, or not any more.
const LINKS: [&str; 16] = [
    "/cancel-factor-reset?token=wrong",
    "/confirm-factor-reset?token=wrong",
    "/forgot-password?flow=wrong",
    "/nowhere",
    "/reset-password?token=wrong",
    "/restore-email?token=wrong",
    "/secure-account?token=wrong",
    "/sign-in/code?flow=wrong",
    "/sign-in/factor?flow=wrong",
    "/sign-in/with/nobody/callback",
    "/sign-in/with/nobody?flow=wrong",
    "/sign-in/with/nobody?csrf=x",
    "/sign-in?flow=wrong",
    "/sign-up/code?flow=wrong",
    "/sign-up?flow=wrong",
    "/verify-email?token=wrong",
];

/// The code in the line of a refusal; none for what was not refused.
#[track_caller]
fn code_of(log: &Log, answer: &Answer, story: &str) -> Option<String> {
    if answer.status < 400 {
        return None;
    }
    let line = log.last_answer();
    let code = line.split_once(" code=\"").and_then(|(_, rest)| rest.split_once('"')).map(|(code, _)| code);
    let code = code.unwrap_or_default();
    assert!(!code.is_empty() && code != "unnamed", "{story}: {line}");
    Some(code.to_owned())
}

on_both_engines! {
    async fn no_refusal_of_a_page_is_without_a_word_in_the_log(engine: Engine) {
        let log = Log::listen();
        let app = TestApp::builder(engine).settings(|settings| settings.sign_up_page = true).start().await;
        let (mut codes, mut refused, mut number) = (BTreeSet::new(), 0, 0);
        // Each from a network of its own: the log has sixty lines a minute about the refused requests of one.
        let mut ip = || {
            number += 1;
            format!("198.18.{}.{}", number / 200, number % 200 + 1)
        };
        for path in FORMS {
            for (kind, body) in [
                ("application/x-www-form-urlencoded", "x=1"),
                ("application/x-www-form-urlencoded", "csrf=AAAA&login=x&email=x&code=1"),
                ("application/x-www-form-urlencoded", "csrf=AAAA&flow=wrong&token=wrong"),
                ("application/x-www-form-urlencoded", "flow=%FF&flow=x&token=x&token=y"),
                ("application/json", "{}"),
            ] {
                let request = app.post(path).ip(&ip()).header("accept", "text/html").body(kind, body);
                let code = code_of(&log, &request.send().await, &format!("{path} {body}"));
                refused += usize::from(code.is_some());
                codes.extend(code);
            }
        }
        for path in LINKS {
            let answer = app.get(path).ip(&ip()).header("accept", "text/html").send().await;
            let code = code_of(&log, &answer, path);
            refused += usize::from(code.is_some());
            codes.extend(code);
        }
        assert!(refused > 60, "{refused}: {codes:?}");
        for code in ["page.signin.stale", "page.signin.gone.text", "page.invalid.verify", "page.failed.unread", "page.failed.form"] {
            assert!(codes.contains(code), "{code}: {codes:?}");
        }
    }

    async fn the_log_says_why_a_form_was_no_longer_valid(app: TestApp) {
        let log = Log::listen();
        app.sign_up_rivergen_verified(ADA).await;
        let refused = |answer: &Answer, why: &str| {
            answer.assert_status(403);
            let line = log.last_answer();
            let told = format!(" refused=\"form: {why}");
            assert!(line.contains(" code=\"page.signin.stale\"") && line.contains(&told), "{told}: {line}");
        };
        let (window, other) = (Window::new(&app), Window::new(&app));
        let page = window.visit("/sign-in").await;
        other.visit("/sign-in").await;
        let form = filled(&page, "/sign-in", &[("login", ADA), ("password", PASSWORD)]);
        refused(&other.post("/sign-in", &form).await, "its token is of another form, another session or another browser");
        other.set_cookie(SESSION, "ended");
        refused(&other.post("/sign-in", &form).await, "the session that it was made for has ended");
        let without = filled(&page, "/sign-in", &[("csrf", ""), ("login", ADA), ("password", PASSWORD)]);
        refused(&window.post("/sign-in", &without).await, "it has no token");
        let foreign = window.request("/sign-in", &form).header("sec-fetch-site", "cross-site");
        refused(&window.send(foreign).await, "a page of another site sent it");
        window.forget(FORM);
        refused(&window.post("/sign-in", &form).await, "its cookie did not come");
    }

    async fn the_log_says_where_browsers_keep_no_cookie_of_a_form(engine: Engine) {
        let log = Log::listen();
        let plain = "public_url is http, and browsers keep the cookie of pages only over https, or with --dev";
        let other = "the browser keeps none, or has let it go";
        for (url, host, why) in [
            ("http://id.example.com", "id.example.com", plain),
            ("http://127.0.0.1:8080", "192.168.1.2:8080", plain),
            ("http://127.0.0.1:8080", "localhost:8080", other),
            ("https://id.example.com", "id.example.com", other),
        ] {
            let app = TestApp::builder(engine).settings(|settings| settings.public_url = url.into()).start().await;
            let request = app.post("/sign-in").header("host", host).header("accept", "text/html");
            request.form("csrf=AAAA&login=x&password=x").send().await.assert_status(403);
            let line = log.last_answer();
            assert!(line.contains(&format!("form: its cookie did not come: {why}\"")), "{url} {host}: {line}");
        }
    }
}
