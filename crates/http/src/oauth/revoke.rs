//! `/oauth/token/revoke` (RFC 7009).

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use serde_json::json;
use tidegate_crypto::PlainToken;

use super::client::presented;
use super::error::Error;
use super::form::Form;
use super::{Answer, Caller};
use crate::wire::rejection::Rejection;
use crate::wire::state::App;

/// Ends what a token belongs to. The kind of token is read from the token; the hint only has to be one.
pub(super) async fn revoke(
    caller: Caller,
    State(app): State<App>,
    headers: HeaderMap,
    mut form: Form,
) -> Answer {
    let client = match presented(&headers, &mut form)? {
        // A `client_id` alone names a client and proves nothing: it is not looked at (the contract asks for no authentication).
        Some(client) if client.secret.is_some() => {
            Some(app.oauth().authenticate_client(&caller, &client).await?)
        }
        Some(_) | None => None,
    };
    let token = PlainToken::from_presented(&form.required("token")?);
    match form.take("token_type_hint").as_deref() {
        None | Some("access_token" | "refresh_token") => {}
        Some(_) => {
            return Err(Error::invalid_request("token_type_hint must be access_token or refresh_token"));
        }
    }
    let revoked = app.oauth().revoke_token(&caller, client.as_ref(), &token).await;
    revoked.map_err(|fault| Error::from(Rejection::from(fault)))?;
    Ok((StatusCode::OK, Json(json!({}))).into_response())
}
