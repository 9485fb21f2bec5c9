//! The answers outside of every contract and page.

use axum::http::{Extensions, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Json, Response};
use serde_json::json;

use crate::wire::elsewhere::ServedElsewhere;
use crate::wire::telemetry::ErrorCode;

/// What is said of a path at which nothing is served.
const NOT_SERVED: &str = "Nothing is served at this path. /docs lists what is.";

/// Marks the answers below, so that browsers can be shown a page instead.
#[derive(Clone, Copy)]
pub(crate) enum NothingServed {
    /// At this path.
    Here,
    /// To this method.
    ToMethod,
}

/// Nothing is served at this path, or nothing for this caller. It is the same answer whatever the path, so that what is
/// hidden from a caller looks like what does not exist.
pub(crate) async fn not_found() -> Response {
    refused(StatusCode::NOT_FOUND, "not_found", NOT_SERVED, NothingServed::Here)
}

/// Nothing is served at an unknown path, which is perhaps one that is served and was changed on its way.
pub(crate) async fn nothing_here(extensions: Extensions) -> Response {
    let Some(ServedElsewhere(told)) = extensions.get::<ServedElsewhere>() else { return not_found().await };
    let text = format!("{NOT_SERVED} {told}.");
    refused(StatusCode::NOT_FOUND, "not_found", &text, NothingServed::Here)
}

/// The path is served, with the methods that `Allow` names.
pub(crate) async fn method_not_allowed() -> Response {
    let text = "This path does not answer that method.";
    refused(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", text, NothingServed::ToMethod)
}

fn refused(status: StatusCode, error: &'static str, text: &str, mark: NothingServed) -> Response {
    let body = json!({ "error": error, "error_description": text });
    let headers = [(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))];
    let mut response = (status, headers, Json(body)).into_response();
    response.extensions_mut().insert(ErrorCode(error.to_owned()));
    response.extensions_mut().insert(mark);
    response
}
