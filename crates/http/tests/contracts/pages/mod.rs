//! Hosted pages: where the links in mails lead, and the development outbox.

pub(crate) mod browser;
mod language;
mod links;
pub(crate) mod looks;
mod outbox;
mod passkeys;
pub(crate) mod sign_in;
mod start;
mod states;
mod words;

use tidegate_testkit::Answer;

/// Checks that a page lets nothing happen but what it is for: no scripts, no foreign content, no frames, no traces.
#[track_caller]
fn assert_harmless(page: &Answer) {
    let policy = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; frame-src 'self'; \
                  form-action 'self'; frame-ancestors 'none'; base-uri 'none'";
    for (name, value) in [
        ("content-type", "text/html; charset=utf-8"),
        ("content-security-policy", policy),
        ("x-frame-options", "DENY"),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("cache-control", "no-store"),
        ("cross-origin-opener-policy", "same-origin"),
    ] {
        assert_eq!(page.header(name), value, "{name}");
    }
    assert_eq!(page.header("set-cookie"), "");
    assert_eq!(page.header("x-request-id").len(), 32);
    let text = page.text.to_lowercase().replace("<script src=\"/assets/page.js\" defer></script>", "");
    for foreign in [
        "<script",
        " style=",
        "<style",
        "http://",
        "//cdn",
        "<iframe",
        " onclick",
        " onerror=",
        "javascript:",
    ] {
        assert!(!text.contains(foreign), "{foreign} in {text}");
    }
}

/// What a page says to its reader: the text of its `<h1>`.
pub(crate) fn heading(page: &Answer) -> &str {
    let after = page.text.split_once("<h1>").unwrap_or_else(|| panic!("no heading: {}", page.text)).1;
    after.split_once("</h1>").unwrap().0
}
