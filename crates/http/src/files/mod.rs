//! Files that are downloaded by a signed URL: outside of every contract, without a token.
//!
//! A browser saves what is answered here and shows nothing of it: whatever a person uploads is not to run at this address, where others
//! sign in.

use axum::Router;
use axum::body::Body;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::get;
use serde::Deserialize;
use serde_json::json;
use tidegate_kernel::Refused;
use tidegate_storage::files::file::TrackedFile;
use tidegate_storage::files::signed_url::SignedUrlError;

use crate::wire::boundary::handled;
use crate::wire::not_found::method_not_allowed;
use crate::wire::ranges::{Wanted, wanted};
use crate::wire::rejection::Rejection;
use crate::wire::state::App;

/// Their route.
pub(crate) fn router(app: &App) -> Router<App> {
    Router::new()
        .route("/storage/{*object_name}", get(download))
        .method_not_allowed_fallback(method_not_allowed)
        .layer(middleware::from_fn_with_state(app.clone(), guarded))
}

async fn guarded(State(app): State<App>, request: Request, next: Next) -> Response {
    let mut response = handled(&app, request, next).await.unwrap_or_else(|rejection| failed(&rejection));
    let headers = response.headers_mut();
    let fixed = [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox"),
        (header::REFERRER_POLICY, "no-referrer"),
        // A browser may keep it, and asks whether it still may: the file may be removed meanwhile.
        (header::CACHE_CONTROL, "private, no-cache"),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// What is signed.
#[derive(Deserialize)]
struct Signed {
    #[serde(rename = "X-Tidegate-Expires", default)]
    expires: String,
    #[serde(rename = "X-Tidegate-Signature", default)]
    signature: String,
}

async fn download(
    State(app): State<App>,
    object_name: Result<Path<String>, PathRejection>,
    query: Result<Query<Signed>, QueryRejection>,
    method: Method,
    headers: HeaderMap,
) -> Response {
    let (Ok(Path(object_name)), Ok(Query(signed))) = (object_name, query) else {
        return refused(SignedUrlError::Refused);
    };
    let found = app.storage().file_of_url(&object_name, &signed.expires, &signed.signature).await;
    let answered = match found {
        Ok(file) => answer(&app, &file, &method, &headers).await,
        Err(error) => Err(error),
    };
    answered.unwrap_or_else(|error| match error {
        Refused::Rule(rule) => refused(rule),
        Refused::Fault(fault) => failed(&fault.into()),
    })
}

/// The file, as far as it is asked for.
async fn answer(
    app: &App,
    file: &TrackedFile,
    method: &Method,
    asked: &HeaderMap,
) -> Result<Response, Refused<SignedUrlError>> {
    let etag = HeaderValue::from_str(&file.etag).unwrap_or(HeaderValue::from_static("\"\""));
    let range = match wanted(asked, file.size, &file.etag) {
        Wanted::NotModified => {
            return Ok((StatusCode::NOT_MODIFIED, [(header::ETAG, etag)]).into_response());
        }
        Wanted::Unsatisfiable => {
            let size = format!("bytes */{}", file.size);
            return Ok((StatusCode::RANGE_NOT_SATISFIABLE, [(header::CONTENT_RANGE, size)]).into_response());
        }
        Wanted::Part(range) => Some(range),
        Wanted::All => None,
    };
    let mut headers = described(file, etag);
    let (status, length) = match &range {
        Some(range) => {
            let part = format!("bytes {}-{}/{}", range.start, range.end.saturating_sub(1), file.size);
            headers.extend(HeaderValue::from_str(&part).ok().map(|part| (header::CONTENT_RANGE, part)));
            (StatusCode::PARTIAL_CONTENT, range.end - range.start)
        }
        None => (StatusCode::OK, file.size),
    };
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    // Of nothing there is no part to ask the store for.
    let body = if method == Method::HEAD || length == 0 {
        Body::empty()
    } else {
        Body::from_stream(app.storage().read_file(file, range).await?.content)
    };
    Ok((status, headers, body).into_response())
}

/// What is said of a file besides its bytes.
fn described(file: &TrackedFile, etag: HeaderValue) -> HeaderMap {
    let content_type = HeaderValue::from_str(&file.content_type);
    let disposition = HeaderValue::from_str(&attachment(&file.file_name));
    let mut headers = HeaderMap::new();
    headers.insert(header::ETAG, etag);
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(
        header::CONTENT_TYPE,
        content_type.unwrap_or(HeaderValue::from_static("application/octet-stream")),
    );
    headers
        .insert(header::CONTENT_DISPOSITION, disposition.unwrap_or(HeaderValue::from_static("attachment")));
    headers
}

/// `Content-Disposition` (RFC 6266): to be saved under that name; for old programs under one of ASCII alone.
fn attachment(file_name: &str) -> String {
    let plain: String = file_name
        .chars()
        .map(|one| if one.is_ascii_graphic() && !matches!(one, '"' | '\\' | '%' | '/') { one } else { '_' })
        .collect();
    let mut encoded = String::new();
    for byte in file_name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    format!("attachment; filename=\"{plain}\"; filename*=UTF-8''{encoded}")
}

fn refused(error: SignedUrlError) -> Response {
    let (status, code) = match error {
        SignedUrlError::Refused => (StatusCode::FORBIDDEN, "access_denied"),
        SignedUrlError::NotFound => (StatusCode::NOT_FOUND, "not_found"),
    };
    (status, Json(json!({ "error": code, "error_description": error.to_string() }))).into_response()
}

fn failed(rejection: &Rejection) -> Response {
    let (status, error) = match rejection {
        Rejection::Unavailable { .. } => (StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable"),
        Rejection::UnsupportedEncoding => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "invalid_request"),
        Rejection::RequestTimeout => (StatusCode::REQUEST_TIMEOUT, "invalid_request"),
        _ => (StatusCode::INTERNAL_SERVER_ERROR, "server_error"),
    };
    (status, rejection.headers(), Json(json!({ "error": error }))).into_response()
}

#[cfg(test)]
mod tests {
    use super::attachment;

    #[test]
    fn names_are_told_in_both_ways() {
        assert_eq!(attachment("Q1.csv"), "attachment; filename=\"Q1.csv\"; filename*=UTF-8''Q1.csv");
        assert_eq!(
            attachment("a\"b; ü.csv"),
            "attachment; filename=\"a_b;__.csv\"; filename*=UTF-8''a%22b%3B%20%C3%BC.csv"
        );
    }
}
