//! `/oauth/token/revoke` (RFC 7009).

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use serde_json::json;
use tidegate_crypto::PlainToken;

use super::client::presented_beside_bearer;
use super::form::Form;
use super::{Answer, Caller};
use crate::wire::state::App;

/// Ends what a token belongs to. The kind of token is read from the token, and a hint, whatever it is, is not needed (RFC 7009 section
/// 2.1).
pub(super) async fn revoke(
    caller: Caller,
    State(app): State<App>,
    headers: HeaderMap,
    mut form: Form,
) -> Answer {
    // A bearer token beside it is no way for a client to authenticate, and none is asked for.
    let client = match presented_beside_bearer(&headers, &mut form)? {
        // A `client_id` alone names a client and proves nothing: it is not looked at (the contract asks for no authentication).
        Some(client) if client.has_proof() => Some(app.oauth().authenticate_client(&caller, &client).await?),
        Some(_) | None => None,
    };
    let token = PlainToken::from_presented(&form.required("token")?);
    app.oauth().revoke_token(&caller, client.as_ref(), &token).await?;
    Ok((StatusCode::OK, Json(json!({}))).into_response())
}
