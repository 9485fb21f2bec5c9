//! Operations: health, metrics, keys, the APIs' descriptions.

mod docs_page;
mod operators;
mod receipts;
mod reference;

use std::sync::LazyLock;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, post};
use serde_json::json;
use tidegate_kernel::NotReady;

use crate::registry;
use crate::wire::boundary::handled;
use crate::wire::cors::with_cors;
use crate::wire::not_found::{method_not_allowed, not_found};
use crate::wire::rejection::Rejection;
use crate::wire::state::App;

use operators::admits_operator;
pub(crate) use operators::{is_operator, operators_only};

/// Routes outside of every contract.
pub(crate) fn router(app: &App) -> Router<App> {
    Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .route("/sms/receipts/africas-talking", post(receipts::africas_talking))
        .route("/sms/receipts/africas-talking/{secret}", post(receipts::africas_talking_at))
        .route("/sms/receipts/twilio", post(receipts::twilio))
        .merge(docs_page::router())
        .method_not_allowed_fallback(method_not_allowed)
        .merge(with_cors(documents(), app))
        .layer(middleware::from_fn_with_state(app.clone(), guarded))
}

/// What scripts may want to read too.
fn documents() -> Router<App> {
    Router::new()
        .route("/.well-known/jwks.json", get(jwks))
        .route("/openapi.json", get(document))
        .route("/openapi/{file}", get(document_of))
        .method_not_allowed_fallback(method_not_allowed)
}

/// Outside of every contract an error has the form of OAuth (RFC 6749 section 4.1.2.1).
async fn guarded(State(app): State<App>, request: Request, next: Next) -> Response {
    handled(&app, request, next).await.unwrap_or_else(|rejection| {
        let (status, error) = match rejection {
            Rejection::Unavailable { .. } => (StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable"),
            Rejection::NotConfigured { .. } => (StatusCode::SERVICE_UNAVAILABLE, "server_error"),
            Rejection::UnsupportedEncoding => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "invalid_request"),
            Rejection::RequestTimeout => (StatusCode::REQUEST_TIMEOUT, "invalid_request"),
            _ => (StatusCode::INTERNAL_SERVER_ERROR, "server_error"),
        };
        (status, rejection.headers(), Json(json!({ "error": error }))).into_response()
    })
}

/// The process runs.
async fn healthz() -> Response {
    json(Bytes::from_static(br#"{"status":"ok"}"#))
}

/// The process runs, and its database answers and can be written.
async fn readyz(State(app): State<App>) -> Response {
    let Err(error) = app.kernel().ready().await else {
        return Json(json!({ "status": "ready" })).into_response();
    };
    let reason = match error {
        NotReady::Unreachable(_) => "the database does not answer",
        NotReady::Unwritable(_) => "the database cannot be written",
        NotReady::Damaged(_) => "the database is damaged",
        NotReady::Lost(_) => "the database's file was removed or replaced",
    };
    let body = Json(json!({ "status": "unavailable", "reason": reason }));
    (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "2")], body).into_response()
}

async fn metrics(State(app): State<App>, request: Request) -> Response {
    match app.metrics().filter(|_| admits_operator(&app, &request)) {
        Some(handle) => {
            let kind = HeaderValue::from_static("text/plain; version=0.0.4");
            ([(header::CONTENT_TYPE, kind)], handle.render()).into_response()
        }
        None => not_found().await,
    }
}

/// The keys that verify access tokens (RFC 7517).
async fn jwks(State(app): State<App>) -> Response {
    let headers =
        [(header::CACHE_CONTROL, "public, max-age=300"), (header::CONTENT_TYPE, "application/json")];
    (headers, app.kernel().jwks().to_string()).into_response()
}

/// The code does not change while it runs: what describes it is made once.
static DOCUMENT: LazyLock<Bytes> = LazyLock::new(|| registry::openapi().to_string().into());
static DOCUMENTS: LazyLock<Vec<(&'static str, Bytes)>> = LazyLock::new(|| {
    let documents = registry::contracts()
        .iter()
        .map(|contract| (contract.id.as_str(), contract.openapi().to_json().unwrap_or_default().into()));
    documents.collect()
});

async fn document() -> Response {
    json(DOCUMENT.clone())
}

fn json(text: Bytes) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], text).into_response()
}

async fn document_of(Path(file): Path<String>) -> Response {
    let name = file.strip_suffix(".json");
    match DOCUMENTS.iter().find(|(known, _)| Some(*known) == name) {
        Some((_, document)) => json(document.clone()),
        None => not_found().await,
    }
}
