//! The hosted sign-in.

mod applications;
mod attacks;
mod factors;
mod forms;
mod refusals;
mod sessions;
mod sign_up;
mod sign_up_walk;
pub(crate) mod social;
mod social_refused;
pub(crate) mod stories;
mod walk;
pub(crate) mod window;

use tidegate_domain::EmailAddress;
use tidegate_identity::operator::{AccountName, Operator};
use tidegate_testkit::{Answer, TestApp};
use window::Window;

const ADA: &str = "ada@example.com";
const BOB: &str = "bob@example.com";
/// What is said of a wrong code that was mailed.
const NEWEST: &str = "This code is wrong. Enter the code of the newest e-mail that we sent you.";

/// An operator disables an account.
async fn disable(app: &TestApp, email: &str) {
    let operator = Operator::at_command_line(app.kernel().settings().contracts.of_installation());
    let name = AccountName::Login(EmailAddress::parse(email).unwrap().into());
    let disabled = app.identity().disable_account(&operator, &name).await;
    disabled.unwrap_or_else(|_| panic!("{email} is disabled"));
}

/// Checks that a page of the sign-in lets nothing happen but what it is for. What it may do more than other pages: keep cookies, and,
/// where passkeys are offered, ask this server for a challenge.
#[track_caller]
pub(crate) fn assert_guarded(page: &Answer) {
    let policy = page.header("content-security-policy").replace("; connect-src 'self'", "");
    assert_eq!(
        policy,
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; frame-src 'self'; \
         form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    );
    for (name, value) in [
        ("x-frame-options", "DENY"),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("cache-control", "no-store"),
        ("cross-origin-opener-policy", "same-origin"),
    ] {
        assert_eq!(page.header(name), value, "{name}");
    }
    let text = page.text.to_lowercase();
    for foreign in ["<style", " style=", "<iframe", " onclick", "javascript:", "http://", "<script>"] {
        assert!(!text.contains(foreign), "{foreign} in {text}");
    }
}
