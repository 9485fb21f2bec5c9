//! `/oauth/device_authorization` (RFC 8628 section 3.1).

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use serde_json::json;

use super::client::required;
use super::form::Form;
use super::path::DEVICE_PAGE;
use super::{Answer, Caller};
use crate::wire::state::App;

/// Hands a device its codes.
pub(super) async fn device_authorization(
    caller: Caller,
    State(app): State<App>,
    headers: HeaderMap,
    mut form: Form,
) -> Answer {
    let presented = required(&headers, &mut form)?;
    let application = app.oauth().authenticate_client(&caller, &presented).await?;
    let (scope, resource) = (form.take("scope"), form.resources()?);
    let asked = app.oauth().request_device(&caller, &application, scope.as_deref(), resource).await?;
    let page = format!("{}{DEVICE_PAGE}", app.oauth().issuer());
    let user_code = asked.user_code.shown();
    let body = json!({
        "device_code": asked.device_code.expose(),
        "user_code": user_code,
        "verification_uri": page,
        "verification_uri_complete": format!("{page}?user_code={user_code}"),
        "expires_in": asked.expires_in,
        "interval": asked.interval,
    });
    Ok((StatusCode::OK, Json(body)).into_response())
}
