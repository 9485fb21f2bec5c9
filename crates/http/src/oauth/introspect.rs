//! `/oauth/introspect` (RFC 7662).

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use serde_json::{Value, json};
use tidegate_crypto::PlainToken;
use tidegate_oauth::token::introspect::Introspection;

use super::client::required;
use super::form::Form;
use super::{Answer, Caller};
use crate::wire::state::App;

/// Says whether a token is valid, and what of it the caller may know.
pub(super) async fn introspect(
    caller: Caller,
    State(app): State<App>,
    headers: HeaderMap,
    mut form: Form,
) -> Answer {
    let presented = required(&headers, &mut form)?;
    let client = app.oauth().authenticate_client(&caller, &presented).await?;
    let token = PlainToken::from_presented(&form.required("token")?);
    let found = app.oauth().introspect(&client, &token).await?;
    let body = found.map_or_else(|| json!({ "active": false }), |found| active(app.oauth().issuer(), found));
    Ok((StatusCode::OK, Json(body)).into_response())
}

/// An audience as a claim (RFC 7519 section 4.1.3): a text, or an array where it is several.
fn audience(joined: &str) -> Value {
    if joined.contains(' ') { json!(joined.split(' ').collect::<Vec<_>>()) } else { json!(joined) }
}

fn active(issuer: &str, found: Introspection) -> Value {
    let kind = match (found.is_refresh_token, &found.key) {
        (true, _) => "refresh_token",
        (false, Some(_)) => "DPoP",
        (false, None) => "Bearer",
    };
    let mut body = json!({
        "active": true,
        "scope": found.scopes.to_string(),
        "sub": found.subject,
        "aud": audience(&found.audience),
        "iss": issuer,
        "exp": found.expires_at,
        "token_type": kind,
        "sid": found.session,
        "org": found.organization,
    });
    let optional = [
        ("client_id", found.client_id.map(|name| Value::from(String::from(name)))),
        ("iat", found.issued_at.map(Value::from)),
        ("jti", found.id.map(Value::from)),
        ("cnf", found.key.map(|jkt| json!({ "jkt": jkt }))),
        ("act", found.acting.map(|acting| json!(acting))),
    ];
    if let Value::Object(fields) = &mut body {
        fields.extend(optional.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
    }
    body
}
