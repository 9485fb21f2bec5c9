//! `/dev/passkeys`: registers a passkey and signs in with it, through the RiverGen contract, in the developer's browser.

use askama::Template;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::look::{Look, page as answer};
use super::parts::{Alert, Field, FieldKind, LinkButton, Rank, Tone};
use crate::wire::headers::page_headers;
use crate::wire::state::App;

#[derive(Template)]
#[template(path = "passkeys.html")]
struct Passkeys<'a> {
    look: &'a Look,
    /// What is missing; or the domain passkeys are bound to.
    state: Alert,
    /// The same page at that domain, where this is another one.
    elsewhere: Option<LinkButton>,
    fields: Vec<Field>,
}

/// The page.
pub(super) async fn page(State(app): State<App>, headers: HeaderMap) -> Response {
    let look = Look::in_english(&app);
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let (tone, text, elsewhere) = match &app.kernel().settings().passkeys.relying_party {
        Ok(party) if is_below(host, party.id()) => {
            (Tone::Info, format!("Passkeys are bound to {}, where this page is.", party.id()), None)
        }
        Ok(party) => {
            let text = format!(
                "Passkeys are bound to {}, and this page is at {}: browsers refuse them here.",
                party.id(),
                name_of(host)
            );
            (Tone::Warning, text, Some(the_page_at(party.id(), host)))
        }
        Err(reason) => (Tone::Warning, reason.clone(), None),
    };
    let optional = |field: Field| Field { is_required: false, ..field };
    let password = Field::new("password", "Password", FieldKind::Password, "current-password");
    let password = Field { hint: Some("To register a passkey.".to_owned()), ..password };
    let fields = vec![
        optional(Field::new("email", "E-mail address", FieldKind::Email, "username webauthn")),
        optional(password),
    ];
    let state = Alert { tone, text };
    let mut response = answer(StatusCode::OK, &Passkeys { look: &look, state, elsewhere, fields });
    if let Some(policy) = policy() {
        response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    response
}

/// Whether browsers let a page of that host use passkeys of the domain (W3C Web Authentication, "relying party identifier").
pub(super) fn is_below(host: &str, domain: &str) -> bool {
    let name = name_of(host).to_ascii_lowercase();
    name.strip_suffix(domain).is_some_and(|before| before.is_empty() || before.ends_with('.'))
}

/// The page at the domain, at the port it was asked at.
fn the_page_at(domain: &str, host: &str) -> LinkButton {
    // Other domains than this machine's have a proxy in front, with TLS.
    let address = if domain == "localhost" {
        format!("http://localhost{}", host.get(name_of(host).len()..).unwrap_or_default())
    } else {
        format!("https://{domain}")
    };
    let href = format!("{address}/dev/passkeys");
    LinkButton { rank: Rank::Primary, label: format!("Open {href}"), href }
}

/// A host without its port.
fn name_of(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

/// The script of the page.
pub(super) async fn script() -> Response {
    let kind = HeaderValue::from_static("text/javascript; charset=utf-8");
    ([(header::CONTENT_TYPE, kind)], include_str!("../../templates/passkeys.js")).into_response()
}

/// The policy of all pages, and calls of this server's own API.
fn policy() -> Option<HeaderValue> {
    let headers = page_headers();
    let policy = headers.get(header::CONTENT_SECURITY_POLICY)?.to_str().ok()?;
    HeaderValue::try_from(format!("{policy}; connect-src 'self'")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_at_an_address_leads_to_the_domain_at_the_same_port() {
        for (host, href) in [
            ("127.0.0.1:8080", "http://localhost:8080/dev/passkeys"),
            ("[::1]:8080", "http://localhost:8080/dev/passkeys"),
            ("127.0.0.1", "http://localhost/dev/passkeys"),
        ] {
            assert!(!is_below(host, "localhost"));
            assert_eq!(the_page_at("localhost", host).href, href);
        }
        assert!(is_below("localhost:8080", "localhost") && is_below("id.example.com", "example.com"));
        assert!(!is_below("notexample.com", "example.com") && !is_below("", "localhost"));
        assert_eq!(the_page_at("example.com", "127.0.0.1:80").href, "https://example.com/dev/passkeys");
    }
}
