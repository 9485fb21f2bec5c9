//! `/oauth/par` (RFC 9126).

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use serde_json::json;
use tidegate_oauth::authorize::Parameters;

use super::client::required;
use super::dpop::shown_key;
use super::error::Error;
use super::foreign::{AT_AUTHORIZE, note_in};
use super::form::Form;
use super::{Answer, Caller, path};
use crate::wire::state::App;

/// Keeps an authorization request of an application, which proves who it is as at the token endpoint.
pub(super) async fn push(
    caller: Caller,
    State(app): State<App>,
    headers: HeaderMap,
    mut form: Form,
) -> Answer {
    let presented = required(&headers, &mut form)?;
    let application = app.oauth().authenticate_client(&caller, &presented).await?;
    let pairs = form.pairs();
    note_in(&pairs, AT_AUTHORIZE);
    let parameters =
        Parameters::read(pairs).map_err(|unreadable| Error::invalid_request(unreadable.to_string()))?;
    // RFC 9449 section 10.1: the proof of the request binds the code, as `dpop_jkt` does.
    let key = shown_key(&app, &headers, path::PAR).await?;
    let pushed = app.oauth().push_request(&application, parameters, key).await?;
    let body = json!({ "request_uri": pushed.request_uri, "expires_in": pushed.expires_in });
    Ok((StatusCode::CREATED, Json(body)).into_response())
}
