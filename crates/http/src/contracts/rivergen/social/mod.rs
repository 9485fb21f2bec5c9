//! Sign-in by other identity providers (section 3 of the contract, "oauth").

mod answer;
mod error;
pub(super) mod flow;
mod requests;
mod responses;
pub(super) mod sign_in;

/// Where providers send people back unless an operator or a request says otherwise.
fn callback(app: &crate::wire::state::App, provider: &str) -> String {
    format!("{}/api/v1/auth/oauth/{provider}/callback", app.kernel().settings().public_url)
}
