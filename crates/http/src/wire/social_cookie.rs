//! The cookie by which a browser that began a sign-in at another identity provider is known when it comes back.

use axum::http::{HeaderMap, HeaderValue, header};
use tidegate_crypto::PlainToken;
use tidegate_identity::social::begin::{BegunSocial, REQUEST_LIFETIME};

use crate::wire::state::App;

/// Comes back with links from elsewhere.
const FOR_LINKS: &str = "tidegate-social";
/// Comes back with forms from elsewhere, too: a provider that answers so needs a cookie of its own, which others do not weaken.
const FOR_FORMS: &str = "tidegate-social-form";
/// Longest value that is looked at.
const MAX_VALUE: usize = 128;

/// Browsers take a name that begins so only over https, for one host and for all its paths: no neighbour can set it.
fn name(app: &App, by_form: bool) -> String {
    let name = if by_form { FOR_FORMS } else { FOR_LINKS };
    if is_secure(app) { format!("__Host-{name}") } else { name.to_owned() }
}

fn is_secure(app: &App) -> bool {
    app.kernel().settings().public_url.starts_with("https://")
}

/// What the browser brings.
pub(crate) fn read(app: &App, headers: &HeaderMap, by_form: bool) -> Option<PlainToken> {
    let name = name(app, by_form);
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    let mut pairs = cookies.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let value = pairs.find_map(|(key, value)| (key == name).then_some(value))?;
    (!value.is_empty() && value.len() <= MAX_VALUE).then(|| PlainToken::from_presented(value))
}

/// What the browser is to bring back.
pub(crate) fn set(app: &App, begun: &BegunSocial) -> Option<HeaderValue> {
    let (name, value) = (name(app, begun.posts_answer), begun.browser.expose());
    // Browsers take `None` with `Secure` only, and `Secure` from this machine without https.
    let site = if begun.posts_answer {
        "None; Secure"
    } else if is_secure(app) {
        "Lax; Secure"
    } else {
        "Lax"
    };
    let age = REQUEST_LIFETIME.as_secs();
    HeaderValue::from_str(&format!("{name}={value}; Path=/; Max-Age={age}; HttpOnly; SameSite={site}")).ok()
}
