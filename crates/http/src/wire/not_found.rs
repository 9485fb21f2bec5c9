//! The answer outside of every contract and page.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Json, Response};
use serde_json::json;

use crate::wire::telemetry::ErrorCode;

/// Marks the answer below, so that browsers can be shown a page instead.
#[derive(Clone, Copy)]
pub(crate) struct NothingServed;

/// Nothing is served at this path, or nothing for this caller. It is the same answer whatever the path, so that what is
/// hidden from a caller looks like what does not exist.
pub(crate) async fn not_found() -> Response {
    let error = "not_found";
    let body = json!({ "error": error, "error_description": "Nothing is served at this path." });
    let headers = [(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))];
    let mut response = (StatusCode::NOT_FOUND, headers, Json(body)).into_response();
    response.extensions_mut().insert(ErrorCode(error.to_owned()));
    response.extensions_mut().insert(NothingServed);
    response
}
