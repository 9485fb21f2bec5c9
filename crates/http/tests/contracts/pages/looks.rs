//! What the pages look like, in a real browser: on a phone and on a desk, in the light and in the dark, with scripts and without.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Value, json};
use tidegate_testkit::{Engine, PASSWORD, TestApp, eventually, run};

use super::browser::{Browser, barriers, latest_link, serve};
use crate::cross_contract::login_rivergen;

const SIZES: [(u32, &str); 4] = [(375, "light"), (375, "dark"), (1280, "light"), (1280, "dark")];
const WIDTHS: [u32; 2] = [375, 1280];

/// Every page with the name under which a test looks at it; for one that is no route, what it is. A page that is made by several states
/// has the name of its first one.
const LOOKED_AT: [(&str, &str); 22] = [
    ("/", "start"),
    ("/account", "account"),
    ("/cancel-factor-reset", "cancel-factor-reset"),
    ("/confirm-factor-reset", "confirm-factor-reset"),
    ("/dev/design", "design"),
    ("/dev/outbox", "outbox"),
    ("/dev/outbox/mail", "mail"),
    ("/dev/passkeys", "passkeys"),
    ("/device", "device"),
    ("/forgot-password", "forgot"),
    ("/oauth/authorize", "consent"),
    ("/reset-password", "reset"),
    ("/restore-email", "restore-email"),
    ("/secure-account", "secure-account"),
    ("/sign-in", "sign-in"),
    ("/sign-in/code", "sign-in-code"),
    ("/sign-in/factor", "factor"),
    ("/sign-out", "sign-out"),
    ("/sign-up", "sign-up"),
    ("/sign-up/code", "sign-up-code"),
    ("/signed-out", "signed-out"),
    ("/verify-email", "verify"),
];
/// Pages that follow a form, or a failure.
const ALSO_LOOKED_AT: [&str; 12] = [
    "invalid",
    "nothing",
    "password-changed",
    "forgot-sent",
    "authorize-refused",
    "authorize-unknown",
    "authorize-unknown-posted",
    "logout-unknown",
    "used-wrongly",
    "failed",
    "sign-in-code-wrong",
    "sign-up-wrong",
];

#[test]
fn every_page_is_looked_at() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut served = BTreeSet::from(["/oauth/authorize".to_owned()]);
    for file in ["src/pages/mod.rs", "src/pages/sign_in/mod.rs"] {
        let source = std::fs::read_to_string(folder.join(file)).unwrap();
        let routes = source.split(".route(\"").skip(1).filter_map(|route| route.split_once("\", "));
        let shown = routes.filter(|(path, handlers)| handlers.starts_with("get(") && !path.ends_with(".js"));
        served.extend(shown.map(|(path, _)| path.to_owned()));
    }
    let known: BTreeSet<String> = LOOKED_AT.iter().map(|(path, _)| (*path).to_owned()).collect();
    assert_eq!(served, known, "a new page: look at it, and add a line to LOOKED_AT");
    let tests = folder.join("tests/contracts");
    let looking = [
        "pages/looks.rs",
        "pages/states.rs",
        "pages/sign_in/walk.rs",
        "pages/sign_in/sign_up_walk.rs",
        "oauth/browser_walk.rs",
        "oauth/device_walk.rs",
    ];
    let sources = looking.map(|file| std::fs::read_to_string(tests.join(file)).unwrap());
    // Without the two lists.
    let sources = sources.concat().replace(sources_of_lists(), "");
    for name in LOOKED_AT.iter().map(|(_, name)| *name).chain(ALSO_LOOKED_AT) {
        let ways =
            [format!("look_at(&browser, \"{name}\")"), format!("(\"{name}\", "), format!("name: \"{name}\"")];
        assert!(ways.iter().any(|way| sources.contains(way)), "nobody looks at {name}");
    }
}

/// The text of the lists, in which each name stands once more.
fn sources_of_lists() -> &'static str {
    let source = include_str!("looks.rs");
    let (_, rest) = source.split_once("const LOOKED_AT").unwrap();
    rest.split_once("#[test]").unwrap().0
}

/// The same for pages of which each is looked at once: also on the smallest phones.
const ALL_SIZES: [(u32, &str); 6] =
    [(320, "light"), (320, "dark"), (375, "light"), (375, "dark"), (1280, "light"), (1280, "dark")];

/// What of the text reaches beyond the window and cannot be scrolled to.
const CUT_OFF: &str = "[...document.querySelectorAll('main h1, main h2, main h3, main p, main li, main table, main pre, main code')]
    .filter(part => part.offsetParent && part.getBoundingClientRect().right > innerWidth + 1)
    .filter(part => {
        for (let around = part.parentElement; around; around = around.parentElement) {
            if (['auto', 'scroll', 'hidden'].includes(getComputedStyle(around).overflowX) && around !== document.body) return false;
        }
        return true;
    })
    .map(part => part.textContent.slice(0, 60))";

/// The pages, each with its address and a name.
async fn pages(app: &TestApp, address: &str) -> Vec<(&'static str, String)> {
    app.sign_up_rivergen("ada@example.com").await;
    let verify = latest_link(app).await;
    app.sign_up_rivergen_verified("ada.lovelace@example.com").await;
    let forgot = json!({ "email": "ada.lovelace@example.com" });
    app.post("/api/v1/auth/forgot-password").json(&forgot).send().await.assert_status(200);
    let mails = app.mails_to("ada.lovelace@example.com").await;
    let reset = mails.iter().find_map(|mail| mail.link()).unwrap().to_owned();
    vec![
        ("verify", verify),
        ("reset", reset),
        ("invalid", format!("{address}/reset-password?token=x")),
        ("start", format!("{address}/")),
        ("nothing", format!("{address}/nothing")),
        ("outbox", format!("{address}/dev/outbox")),
        ("mail", String::new()),
        ("design", format!("{address}/dev/design")),
        ("passkeys", format!("{address}/dev/passkeys")),
    ]
}

/// Looks at the page that is shown, in every size and light: that nothing is cut off or cannot be used.
pub(crate) fn look_at(browser: &Browser, name: &str) {
    for (width, scheme) in ALL_SIZES {
        browser.resize(width, scheme);
        look_once(browser, name, (width, scheme));
    }
}

fn look_once(browser: &Browser, name: &str, (width, scheme): (u32, &str)) {
    let story = format!("{name}-{width}-{scheme}");
    // Colours change from light to dark in a moment that nothing waits for.
    browser.evaluate("document.getAnimations().forEach(one => one.finish())");
    browser.keep_picture(&story, true);
    let overflow = browser.evaluate("document.documentElement.scrollWidth - innerWidth");
    assert!(overflow.as_i64().unwrap() <= 0, "{story} is {overflow} pixels too wide");
    let back = browser.evaluate("getComputedStyle(document.body).backgroundColor");
    assert_eq!(back == "rgb(12, 25, 34)", scheme == "dark", "{story}: {back}");
    // What stands in a frame of the outbox is looked at by itself.
    let within = json!({ "exclude": [["iframe"]] });
    assert_eq!(barriers(browser, &within), Vec::<String>::new(), "{story}");
}

#[test]
fn every_page_can_be_used_on_a_phone_and_on_a_desk_in_the_light_and_in_the_dark() {
    run(Engine::Sqlite, async |_: Engine| {
        let (app, address) = serve().await;
        let browser = Browser::start();
        let pages = pages(&app, &address).await;
        let mail =
            app.get("/dev/outbox/mail?number=1").ip("127.0.0.1").header("host", "localhost").send().await;
        mail.assert_status(200);
        for (name, page) in pages {
            for (width, scheme) in SIZES {
                browser.resize(width, scheme);
                if name == "mail" {
                    browser.show(&mail.text);
                } else {
                    browser.open(&page);
                }
                browser.evaluate("document.querySelectorAll('details').forEach(part => part.open = true)");
                look_once(&browser, name, (width, scheme));
            }
        }
        assert_eq!(browser.complaints(), Vec::<Value>::new());
    });
}

#[test]
fn a_form_that_was_refused_can_be_used_and_a_password_can_be_shown() {
    run(Engine::Sqlite, async |_: Engine| {
        let (app, address) = serve().await;
        let browser = Browser::start();
        let (_, reset) = pages(&app, &address).await.remove(1);
        for (width, scheme) in SIZES {
            browser.resize(width, scheme);
            browser.open(&reset);
            browser.type_into("#new_password", "weak");
            browser.press(".reveal");
            assert_eq!(browser.evaluate("document.querySelector('#new_password').type"), "text");
            assert_eq!(
                browser.evaluate("document.querySelector('.reveal').getAttribute('aria-pressed')"),
                "true"
            );
            assert_eq!(browser.evaluate("document.querySelectorAll('.rules .met').length"), 1);
            browser.press("button[type=submit]");
            eventually("a problem", async || browser.text("[role=alert]")).await;
            assert_eq!(browser.evaluate("document.querySelector('#new_password').type"), "password");
            browser.keep_picture(&format!("refused-{width}-{scheme}"), true);
            assert_eq!(barriers(&browser, &json!({ "include": [["main"]] })), Vec::<String>::new());
        }
        assert_eq!(browser.complaints(), Vec::<Value>::new());
    });
}

#[test]
fn pages_work_with_scripts_off() {
    run(Engine::Sqlite, async |_: Engine| {
        let (app, address) = serve().await;
        let browser = Browser::start();
        let mut pages = pages(&app, &address).await;
        let (_, reset) = pages.remove(1);
        let (_, verify) = pages.remove(0);
        browser.command("Emulation.setScriptExecutionDisabled", &json!({ "value": true }));
        browser.open(&reset);
        browser.type_into("#new_password", "Battery2staple!");
        browser.press("button[type=submit]");
        browser.arrive_at("Password changed").await;
        login_rivergen(&app.client(), "ada.lovelace@example.com", "Battery2staple!").await.assert_status(200);
        browser.open(&verify);
        browser.press("button[type=submit]");
        browser.arrive_at("Thank you").await;
        browser.type_into("#new_password", PASSWORD);
        browser.press("button[type=submit]");
        browser.arrive_at("Password changed").await;
    });
}

#[test]
fn the_api_documentation_is_drawn_without_anything_that_its_policy_forbids() {
    run(Engine::Sqlite, async |_: Engine| {
        let (_app, address) = serve().await;
        let browser = Browser::start();
        for scheme in ["light", "dark"] {
            browser.resize(WIDTHS[0], scheme);
            browser.open(&format!("{address}/docs"));
            eventually("the documentation", async || {
                browser.text("main").filter(|text| text.contains("/api/v1/auth/signup"))
            })
            .await;
            let text = browser.text("main").unwrap();
            for part in [
                "What to do about an error",
                "INVALID_REFRESH_TOKEN",
                "/.well-known/openid-configuration",
                "RiverGen",
                "Crossing Minds",
                "/metrics",
                "/.well-known/jwks.json",
            ] {
                assert!(text.contains(part), "{part} is not on the page");
            }
            for width in WIDTHS {
                browser.resize(width, scheme);
                browser.keep_picture(&format!("docs-{width}-{scheme}"), false);
                for part in ["How-to-verify", "What-to-do", "All-codes"] {
                    browser
                        .evaluate(&format!("void document.querySelector('[id*={part}]')?.scrollIntoView()"));
                    browser.keep_picture(&format!("docs-{part}-{width}-{scheme}"), false);
                }
                assert_eq!(browser.evaluate(CUT_OFF), json!([]), "{width} {scheme}");
                let scrolled = "[...document.querySelectorAll('.redoc-markdown table')].filter(table => table.scrollWidth > table.clientWidth).length";
                assert_eq!(browser.evaluate(scrolled), 0, "tables that are cut off: {width} {scheme}");
            }
            // All operations are made of the same parts: looking at some of them takes a small part of the time.
            browser.evaluate(
                "document.querySelectorAll('[id^=\"tag/\"][id*=\"/operation/\"]').forEach((part, number) => number % 20 && part.remove())",
            );
            for width in WIDTHS {
                browser.resize(width, scheme);
                let story = format!("docs-{width}-{scheme}");
                assert_eq!(
                    barriers(&browser, &json!({ "include": [["body"]] })),
                    Vec::<String>::new(),
                    "{story}"
                );
                let overflow = browser.evaluate("document.documentElement.scrollWidth - innerWidth");
                assert!(overflow.as_i64().unwrap() <= 0, "{story} is {overflow} pixels too wide");
            }
        }
        // A search starts the renderer's worker.
        browser.resize(1280, "light");
        browser.type_into("input[type=text]", "refresh");
        eventually("a hit", async || browser.text("[data-role='search:results']")).await;
        assert_eq!(browser.complaints(), Vec::<Value>::new());
    });
}
