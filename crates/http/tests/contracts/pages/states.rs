//! What each page behind a mailed link looks like as it asks, when it is done, and for a wrong link.

use serde_json::json;
use tidegate_domain::EmailAddress;
use tidegate_domain::factor::ResetMode;
use tidegate_kernel::{Call, Settings};
use tidegate_testkit::{Engine, Person, TestApp, run};

use super::browser::{Browser, serve_with};
use super::looks::look_at;

const SIGN_IN: &str = "https://app.example.com/sign-in";

/// A page, the link to it, the heading under which it asks, and the one when it is done.
struct Page {
    name: &'static str,
    link: String,
    asks: &'static str,
    done: &'static str,
}

/// The newest link that was mailed to an address.
async fn link_to(app: &TestApp, email: &str) -> String {
    let mails = app.mails_to(email).await;
    mails.iter().find_map(|mail| mail.link()).expect("a mail with a link").to_owned()
}

/// Somebody with an authenticator app.
async fn with_app(app: &TestApp, email: &str) -> Person {
    let person = app.sign_up_rivergen_verified(email).await;
    app.enrol_totp(&person, "Phone").await;
    person
}

/// An operator's reset of their second factors, of which the owner is mailed.
async fn reset_by_operator(app: &TestApp, email: &str) -> String {
    with_app(app, email).await;
    let call = Call::from_cli(app.kernel().settings().contracts.of_installation());
    let address = EmailAddress::parse(email).unwrap();
    app.identity().reset_factors(&call, &address).await.unwrap_or_else(|_| panic!("a reset of {email}"));
    link_to(app, email).await
}

/// A change of address, which the mailbox before it is told of.
async fn changed_address(app: &TestApp, email: &str, to: &str) -> String {
    let person = app.sign_up_rivergen_verified(email).await;
    let request = app.post("/api/v1/auth/me/email/request").bearer(&person.access_token);
    request.json(&json!({ "new_email": to })).send().await.assert_status(200);
    let proof = json!({ "new_email": to, "otp_code": app.latest_code(to).await });
    let request = app.post("/api/v1/auth/me/email/verify").bearer(&person.access_token);
    request.json(&proof).send().await.assert_status(200);
    link_to(app, email).await
}

/// How operators' resets take effect, and where people sign in.
fn reset(settings: &mut Settings, by_operator: ResetMode) {
    settings.factor_resets.by_operator = by_operator;
    settings.sign_in_link = Some(SIGN_IN.to_owned());
}

/// Installations with each of these pages, on which a reset waits for its owner, or may be called off.
async fn installations() -> [(TestApp, String, Vec<Page>); 2] {
    let (app, address) = serve_with(|settings| reset(settings, ResetMode::Confirmed)).await;
    app.sign_up_rivergen("verify@example.com").await;
    with_app(&app, "secure@example.com").await;
    let pages = vec![
        Page {
            name: "verify-email",
            link: link_to(&app, "verify@example.com").await,
            asks: "Confirm your e-mail address",
            done: "Thank you",
        },
        Page {
            name: "secure-account",
            link: link_to(&app, "secure@example.com").await,
            asks: "Secure your account",
            done: "Signed out everywhere",
        },
        Page {
            name: "restore-email",
            link: changed_address(&app, "before@example.com", "after@example.com").await,
            asks: "Restore your e-mail address",
            done: "Address restored",
        },
        Page {
            name: "confirm-factor-reset",
            link: reset_by_operator(&app, "confirm@example.com").await,
            asks: "Remove your second factors",
            done: "Second factors removed",
        },
    ];
    let confirmed = (app, address, pages);
    let (app, address) = serve_with(|settings| reset(settings, ResetMode::Delayed)).await;
    let cancel = Page {
        name: "cancel-factor-reset",
        link: reset_by_operator(&app, "cancel@example.com").await,
        asks: "Keep your second factors",
        done: "Second factors kept",
    };
    [confirmed, (app, address, vec![cancel])]
}

#[test]
fn a_page_behind_a_link_looks_right_as_it_asks_when_it_is_done_and_for_a_wrong_link() {
    run(Engine::Sqlite, async |_: Engine| {
        let browser = Browser::start();
        for (_app, address, pages) in installations().await {
            for Page { name, link, asks, done } in pages {
                browser.open(&link);
                browser.arrive_at(asks).await;
                look_at(&browser, &format!("{name}-asks"));
                browser.press("button[type=submit]");
                browser.arrive_at(done).await;
                // None is a dead end: it asks for a password, or leads back to the application.
                let ways = format!(
                    "document.querySelectorAll('input[type=password], a[href=\"{SIGN_IN}\"]').length"
                );
                assert_ne!(browser.evaluate(&ways), 0, "{name}");
                look_at(&browser, &format!("{name}-done"));
                browser.open(&format!("{address}/{name}?token=wrong"));
                browser.arrive_at("Link not valid").await;
                look_at(&browser, &format!("{name}-wrong"));
            }
        }
        let complaints = browser.complaints();
        assert!(complaints.is_empty(), "{complaints:?}");
    });
}

#[test]
fn a_page_behind_a_link_works_with_scripts_off() {
    run(Engine::Sqlite, async |_: Engine| {
        let browser = Browser::start();
        browser.command("Emulation.setScriptExecutionDisabled", &json!({ "value": true }));
        for (_app, _, pages) in installations().await {
            for Page { link, asks, done, .. } in pages {
                browser.open(&link);
                browser.arrive_at(asks).await;
                browser.press("button[type=submit]");
                browser.arrive_at(done).await;
            }
        }
    });
}
