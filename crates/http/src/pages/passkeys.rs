//! `/dev/passkeys`: registers a passkey and signs in with it, through the RiverGen contract, in the developer's browser.

use askama::Template;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::look::{Look, page as answer};
use super::parts::{Alert, Field, FieldKind, Tone};
use crate::wire::headers::page_headers;
use crate::wire::state::App;

#[derive(Template)]
#[template(path = "passkeys.html")]
struct Passkeys<'a> {
    look: &'a Look,
    /// What is missing; or the domain passkeys are bound to.
    state: Alert,
    fields: Vec<Field>,
}

/// The page.
pub(super) async fn page(State(app): State<App>) -> Response {
    let look = Look::in_english(&app);
    let state = match &app.kernel().settings().passkeys.relying_party {
        Ok(party) => (Tone::Info, format!("Passkeys are bound to {}. Open this page there.", party.id())),
        Err(reason) => (Tone::Warning, reason.clone()),
    };
    let optional = |field: Field| Field { is_required: false, ..field };
    let password = Field::new("password", "Password", FieldKind::Password, "current-password");
    let password = Field { hint: Some("To register a passkey.".to_owned()), ..password };
    let fields = vec![
        optional(Field::new("email", "E-mail address", FieldKind::Email, "username webauthn")),
        optional(password),
    ];
    let state = Alert { tone: state.0, text: state.1 };
    let mut response = answer(StatusCode::OK, &Passkeys { look: &look, state, fields });
    if let Some(policy) = policy() {
        response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    response
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
