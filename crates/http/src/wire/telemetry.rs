//! What is logged and measured of every request.

use std::net::IpAddr;
use std::time::Instant;

use axum::extract::{MatchedPath, Request};
use axum::http::{HeaderName, HeaderValue, Method, header};
use axum::response::Response;
use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};
use tidegate_kernel::noted::noting;
use tracing::Instrument;

use crate::wire::client::{client_ip, peer};
use crate::wire::state::App;
use crate::wire::unmatched;

/// The header that tells the client what its request is called.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Where it is asked whether a token is active.
pub(crate) const INTROSPECT: &str = "/oauth/introspect";

/// A contract's error code, on its way to the log.
#[derive(Clone)]
pub(crate) struct ErrorCode(pub(crate) String);

/// Says what each metric means, once at start.
pub fn describe_metrics() {
    describe_counter!("tidegate_http_requests_total", "Requests answered, by method, route and status.");
    describe_histogram!(
        "tidegate_http_request_duration_seconds",
        Unit::Seconds,
        "Time from the request's head to its answer, by method and route."
    );
    describe_counter!(
        "tidegate_log_lines_dropped_total",
        "Log lines not written, by reason: `limit` (refused requests, per network and minute), `writer` (the log could \
         not be written, or not fast enough)."
    );
    describe_counter!(
        "tidegate_upload_budget_refusals_total",
        "Bodies refused because http.uploads was used up."
    );
    describe_counter!(
        "tidegate_storage_uploaded_bytes_total",
        Unit::Bytes,
        "Bytes of files that were stored."
    );
    describe_counter!(
        "tidegate_storage_missing_files_total",
        "Files whose object was found to be missing in the store."
    );
    describe_counter!(
        "tidegate_password_hashes_refused_total",
        "Requests refused because the hash queue was full."
    );
    describe_counter!("tidegate_connections_closed_total", "Connections closed by the server, by reason.");
    describe_counter!("tidegate_wrong_codes_total", "Wrong one-time codes, of mails and text messages.");
    describe_gauge!("tidegate_password_hash_queue", "Password hashes waiting or being computed.");
    describe_gauge!("tidegate_queries", "Governed queries that are running, or wait for a place, by state.");
    describe_gauge!("tidegate_query_memory_bytes", Unit::Bytes, "Memory that running queries hold.");
    describe_gauge!("tidegate_query_spilled_bytes", Unit::Bytes, "Disk that running queries use.");
    describe_gauge!("tidegate_outbox_messages", "Messages in the outbox, by state.");
    describe_gauge!("tidegate_jobs", "Background jobs that are enqueued, running or dead, by job and state.");
    describe_histogram!(
        "tidegate_job_duration_seconds",
        Unit::Seconds,
        "Time of one attempt at a background job, by job and result: `done` or `failed`."
    );
}

/// Errors that are steps of a protocol, and no refusals: a device waits for a person (RFC 8628 section 3.5), and a proof is asked for
/// with a nonce (RFC 9449 section 8). A few waiting devices would take all lines of their network.
const STEPS: [&str; 3] = ["authorization_pending", "slow_down", "use_dpop_nonce"];

/// Gives every request an id, a log line and its metrics.
#[expect(clippy::disallowed_methods, reason = "latency is measured, not decided upon")]
pub(crate) async fn observe<F: Future<Output = Response>>(
    app: &App,
    request: Request,
    next: impl FnOnce(Request) -> F,
) -> Response {
    let started = Instant::now();
    let id = app.request_ids().next(app.kernel().now());
    let method = request.method().clone();
    // The pattern, never the address: paths and queries hold tokens and codes.
    let route = request.extensions().get::<MatchedPath>().cloned();
    // What a client asked for that found nothing, as far as it is no secret.
    let path = route.is_none().then(|| unmatched::shown(request.uri().path()));
    let route = route.as_ref().map_or("unmatched", MatchedPath::as_str);
    let ip = client_ip(request.headers(), request.extensions(), app.http());
    let silent = app.unread_forwarding().note(ip, peer(request.extensions()), request.headers(), app);
    // What is logged on the way carries the id; the rest is in the line below. A span's fields are written when it begins,
    // for every request, whether or not anything is logged in it.
    let span = tracing::info_span!("request", id);

    let (mut response, noted) = noting(next(request)).instrument(span).await;

    let took = started.elapsed();
    let code = response.extensions_mut().remove::<ErrorCode>().map(|code| code.0).unwrap_or_default();
    let (status, micros) = (response.status().as_u16(), u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
    let ignored = (!noted.ignored.is_empty()).then(|| noted.ignored.join(", "));
    let refused = noted.refused.map(|fault| fault.to_string());
    let is_untold = refused.is_some() && route == INTROSPECT;
    // What went well is counted by the metrics; a line for each would be most of a busy server's work.
    match status {
        // An application that is sent its error by way of a browser (RFC 6749 section 4.1.2.1).
        ..400 if !code.is_empty() && app.refusals().admits(ip, status, app.kernel().now()) => {
            tracing::info!(id, %method, route, %ip, status, code, micros, "answered");
        }
        // That a token is not active is all that the asker is told (RFC 7662 section 2.2).
        ..400 if is_untold && app.refusals().admits_inactive(ip, app.kernel().now()) => {
            tracing::info!(id, %method, route, %ip, status, refused, ignored, micros, "answered");
        }
        // What a client sends for nothing, and may believe to be in force: once an hour.
        ..400 if ignored.as_deref().is_some_and(|fields| is_new(app, &method, route, fields)) => {
            tracing::info!(id, %method, route, %ip, status, ignored, micros, "answered");
        }
        // Probes ask every few seconds. That the node is not ready is logged where it is found, at growing intervals.
        500.. if route == "/readyz" => tracing::debug!(id, %ip, status, micros, "answered"),
        400.. if !is_told(app, ip, status, &code) => {}
        500.. => tracing::warn!(id, %method, route, %ip, status, code, micros, "answered"),
        // Which limit an operator has to raise, or a developer. Both fields are left out where there is nothing to say.
        429 => {
            app.unread_forwarding().note_limited(silent, noted.limit.as_deref(), app.http());
            tracing::info!(id, %method, route, %ip, status, code, limit = noted.limit, refused, ignored, micros, "answered");
        }
        // What is wrong with the credential, which the client is not told. The field is left out where nothing is.
        400.. => {
            tracing::info!(id, %method, route, path, %ip, status, code, refused, ignored, micros, "answered");
        }
        _ => tracing::debug!(id, %method, route, %ip, status, code, ignored, micros, "answered"),
    }
    app.request_metrics().count(route, method_label(&method), status, took);
    mark(&mut response, id);
    response
}

/// Adds the headers that every answer has.
fn mark(response: &mut Response, id: String) {
    if let Ok(id) = HeaderValue::try_from(id) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    // Some answers repeat what was sent; no browser may take them for a page or a script (OWASP ASVS 14.4.4).
    response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
}

/// Whether the log says that something was refused.
fn is_told(app: &App, ip: IpAddr, status: u16, code: &str) -> bool {
    !STEPS.contains(&code) && app.refusals().admits(ip, status, app.kernel().now())
}

/// Whether the log has yet to say in this hour that an endpoint ignores these fields.
fn is_new(app: &App, method: &Method, route: &str, fields: &str) -> bool {
    app.ignored_fields().is_first(&format!("{method} {route}: {fields}"), app.kernel().now())
}

/// Any token can stand for a method (RFC 9110 section 9.1); as labels only those we serve.
fn method_label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}
