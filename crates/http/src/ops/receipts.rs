//! Delivery receipts of SMS providers.

use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Json, Response};
use serde_json::json;
use tidegate_kernel::Refused;
use tidegate_kernel::sms_receipts::{ReceiptRefused, Reporter};

use crate::wire::body::read;
use crate::wire::rejection::Rejection;
use crate::wire::state::App;

/// Largest receipt: a form of a dozen short fields.
const LARGEST: usize = 16 * 1024;

/// Where Africa's Talking reports, proven by the last segment of the address.
pub(super) async fn africas_talking_at(
    State(app): State<App>,
    Path(secret): Path<String>,
    request: Request,
) -> Response {
    take(&app, Reporter::AfricasTalkingAt(&secret), request).await
}

/// The same, proven by HTTP Basic authentication.
pub(super) async fn africas_talking(
    State(app): State<App>,
    headers: HeaderMap,
    request: Request,
) -> Response {
    take(&app, Reporter::AfricasTalkingAs(text(&headers, &header::AUTHORIZATION)), request).await
}

/// Where Twilio reports, proven by its signature.
pub(super) async fn twilio(State(app): State<App>, headers: HeaderMap, request: Request) -> Response {
    let signature = HeaderName::from_static("x-twilio-signature");
    take(&app, Reporter::Twilio(text(&headers, &signature)), request).await
}

fn text<'h>(headers: &'h HeaderMap, name: &HeaderName) -> &'h str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

async fn take(app: &App, reporter: Reporter<'_>, request: Request) -> Response {
    let body = match read(request.into_body(), LARGEST).await {
        Ok(body) => body,
        Err(Rejection::PayloadTooLarge { .. }) => {
            return refuse(StatusCode::PAYLOAD_TOO_LARGE, "invalid_request");
        }
        Err(_) => return refuse(StatusCode::BAD_REQUEST, "invalid_request"),
    };
    match app.kernel().take_receipt(reporter, &body).await {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(Refused::Rule(ReceiptRefused::Unproven)) => refuse(StatusCode::FORBIDDEN, "access_denied"),
        Err(Refused::Rule(ReceiptRefused::Malformed)) => refuse(StatusCode::BAD_REQUEST, "invalid_request"),
        Err(Refused::Fault(fault)) => {
            let rejection = Rejection::from(fault);
            // The provider sends it again.
            let status = StatusCode::SERVICE_UNAVAILABLE;
            (status, rejection.headers(), Json(json!({ "error": "temporarily_unavailable" }))).into_response()
        }
    }
}

fn refuse(status: StatusCode, error: &str) -> Response {
    (status, Json(json!({ "error": error }))).into_response()
}
