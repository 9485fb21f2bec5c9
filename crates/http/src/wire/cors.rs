//! Scripts of other origins (the Fetch standard, "CORS protocol").

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::Route;
use serde_json::json;
use tower::{Layer, Service};
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer, ResponseFuture};

use crate::wire::possession::{DPOP, DPOP_NONCE};
use crate::wire::rejection::{RATE_LIMIT, RATE_LIMIT_REMAINING, RATE_LIMIT_RESET};
use crate::wire::state::{App, HttpSettings};
use crate::wire::telemetry::{ErrorCode, REQUEST_ID};

/// Request headers that scripts may send whatever is configured. `X-Requested-With` comes from the usual client libraries.
const HEADERS: [HeaderName; 6] = [
    header::AUTHORIZATION,
    header::CONTENT_TYPE,
    DPOP,
    HeaderName::from_static("prefer"),
    HeaderName::from_static("x-device-fingerprint"),
    HeaderName::from_static("x-requested-with"),
];
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const SEC_FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");

/// `routes` with answers that scripts of the admitted origins may read.
pub(crate) fn with_cors(routes: Router<App>, app: &App) -> Router<App> {
    match cors(app.http()) {
        Some(rules) => routes.layer(ForScripts::with(rules)),
        None => routes,
    }
}

/// The same of `routes` inside `boundary`. To the router both are one layer: each one costs every request a box, and further copies of
/// the boxes inside of it.
pub(crate) fn with_cors_around<L>(boundary: L, routes: Router<App>, app: &App) -> Router<App>
where
    L: Layer<Route> + Clone + Send + Sync + 'static,
    L::Service: Service<Request, Response = Response, Error = Infallible> + Clone + Send + Sync + 'static,
    <L::Service as Service<Request>>::Future: Send + 'static,
{
    match cors(app.http()) {
        Some(rules) => routes.layer((ForScripts::with(rules), boundary)),
        None => routes.layer(boundary),
    }
}

/// Has scripts of the admitted origins read answers: as a layer, and around a service. The rules are shared, because whatever is around
/// a route is copied several times with it for each request, and they are a dozen header values.
#[derive(Clone)]
struct ForScripts<S> {
    rules: Arc<CorsLayer>,
    inner: S,
}

impl ForScripts<()> {
    fn with(rules: CorsLayer) -> Self {
        Self { rules: Arc::new(rules), inner: () }
    }
}

impl<S> Layer<S> for ForScripts<()> {
    type Service = ForScripts<S>;

    fn layer(&self, inner: S) -> ForScripts<S> {
        ForScripts { rules: Arc::clone(&self.rules), inner }
    }
}

impl<S: Service<Request, Response = Response>> Service<Request> for ForScripts<S> {
    type Response = Response;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        CorsLayer::layer(&self.rules, &mut self.inner).call(request)
    }
}

/// Scripts of the admitted origins may call; none by default.
fn cors(settings: &HttpSettings) -> Option<CorsLayer> {
    if settings.cors_origins.is_empty() && !settings.cors_this_machine {
        return None;
    }
    let allowed = if admits_any(settings) {
        AllowOrigin::any()
    } else {
        let settings = settings.clone();
        AllowOrigin::predicate(move |origin, _| is_admitted(&settings, origin))
    };
    let headers = if settings.cors_headers.iter().any(|name| name == "*") {
        AllowHeaders::mirror_request()
    } else {
        let configured = settings.cors_headers.iter().filter_map(|name| name.parse().ok());
        AllowHeaders::list(HEADERS.into_iter().chain(configured))
    };
    Some(
        CorsLayer::new()
            .allow_origin(allowed)
            .allow_methods([Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE])
            .allow_headers(headers)
            .expose_headers([
                header::RETRY_AFTER,
                RATE_LIMIT,
                RATE_LIMIT_REMAINING,
                RATE_LIMIT_RESET,
                REQUEST_ID,
                header::WWW_AUTHENTICATE,
                DPOP_NONCE,
            ])
            .max_age(Duration::from_secs(600)),
    )
}

fn admits_any(settings: &HttpSettings) -> bool {
    settings.cors_origins.iter().any(|origin| origin == "*")
}

/// Whether scripts of that origin may call. `null` never: it is the origin of any sandboxed frame and of any local file.
fn is_admitted(settings: &HttpSettings, origin: &HeaderValue) -> bool {
    if origin == "null" {
        return false;
    }
    admits_any(settings)
        || settings.cors_origins.iter().any(|known| origin == known.as_str())
        || (settings.cors_this_machine && origin.to_str().is_ok_and(is_this_machine))
}

/// Whether an origin is a page of this machine, at any port.
fn is_this_machine(origin: &str) -> bool {
    let Some((_, address)) =
        origin.split_once("://").filter(|(scheme, _)| ["http", "https"].contains(scheme))
    else {
        return false;
    };
    ["localhost", "127.0.0.1", "[::1]"]
        .iter()
        .filter_map(|host| address.strip_prefix(host))
        .any(|rest| rest.is_empty() || rest.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok()))
}

/// Refuses preflight requests of origins that are not admitted, with what to configure; logs them for the operator, and the headers that
/// the others may not send. Part of what surrounds every request, and not a layer of the routes that scripts may call: most requests
/// have no `Origin`, and cost nothing so.
pub(crate) async fn of_admitted_origin<F: Future<Output = Response>>(
    app: &App,
    request: Request,
    next: impl FnOnce(Request) -> F,
) -> Response {
    let Some(origin) = request.headers().get(header::ORIGIN).cloned() else { return next(request).await };
    let is_preflight = request.method() == Method::OPTIONS
        && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    if is_admitted(app.http(), &origin) {
        if is_preflight {
            note_headers(app, &request);
        }
        return next(request).await;
    }
    if is_preflight || is_of_another_origin(&request) {
        app.refused_origins().note(&origin, app.kernel().now());
    }
    if is_preflight { refusal(&origin) } else { unreadable(next(request).await) }
}

/// Logs the headers that a script may not send: the browser reads so in the answer, and does not send the request.
fn note_headers(app: &App, preflight: &Request) {
    let lists = preflight.headers().get_all(header::ACCESS_CONTROL_REQUEST_HEADERS).iter();
    let names = lists.filter_map(|list| list.to_str().ok()).flat_map(|list| list.split(','));
    for name in names.filter_map(|name| name.trim().parse::<HeaderName>().ok()) {
        let mut configured = app.http().cors_headers.iter();
        let is_admitted = HEADERS.into_iter().any(|known| known == name)
            || configured.any(|known| known == "*" || name.as_str().eq_ignore_ascii_case(known));
        if !is_admitted {
            app.refused_origins().note_header(&name, app.kernel().now());
        }
    }
}

/// Whether the browser says that a script of another origin asks: pages send `Origin` to their own origin, too.
fn is_of_another_origin(request: &Request) -> bool {
    let says = |name: HeaderName, values: &[&str]| {
        request.headers().get(name).is_some_and(|said| values.iter().any(|value| said == value))
    };
    says(SEC_FETCH_MODE, &["cors"]) && says(SEC_FETCH_SITE, &["cross-site", "same-site"])
}

/// To a preflight request. The browser shows its status, and its developer tools this text.
fn refusal(origin: &HeaderValue) -> Response {
    let error = "origin_not_allowed";
    let text = if origin == "null" {
        "Scripts of the origin null may never call. Serve the page from an address, and add that to http.cors_origins in \
         the configuration of the server."
    } else {
        "Scripts of this origin may not call. Add it to http.cors_origins in the configuration of the server."
    };
    let body = json!({ "error": error, "error_description": text });
    let headers = [(header::CACHE_CONTROL, "no-store"), (header::VARY, "origin")];
    let mut response = (StatusCode::FORBIDDEN, headers, Json(body)).into_response();
    response.extensions_mut().insert(ErrorCode(error.to_owned()));
    response
}

/// The answer without what would let any script read it: `*` names every origin, `null` included.
fn unreadable(mut response: Response) -> Response {
    response.headers_mut().remove(header::ACCESS_CONTROL_ALLOW_ORIGIN);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admits(origins: &[&str], cors_this_machine: bool, origin: &str) -> bool {
        let cors_origins = origins.iter().map(|origin| (*origin).to_owned()).collect();
        let settings = HttpSettings { cors_origins, cors_this_machine, ..HttpSettings::default() };
        is_admitted(&settings, &origin.parse().unwrap())
    }

    #[test]
    fn pages_of_this_machine_are_admitted_in_development_at_any_port() {
        for origin in [
            "http://localhost:3000",
            "http://localhost",
            "https://localhost:5173",
            "http://127.0.0.1:8081",
            "http://[::1]:3000",
        ] {
            assert!(admits(&[], true, origin), "{origin}");
            assert!(!admits(&[], false, origin), "{origin}");
        }
        for origin in [
            "null",
            "http://localhost.evil.example",
            "http://localhost:3000.evil.example",
            "http://localhost@evil.example",
            "http://127.0.0.1.evil.example",
            "http://127.0.0.10",
            "http://[::1].evil.example",
            "http://evil.example",
            "ftp://localhost",
            "file://localhost",
            "http://localhost:",
            "http://localhost:99999",
            "localhost:3000",
            "",
        ] {
            assert!(!admits(&[], true, origin), "{origin}");
        }
    }

    #[test]
    fn the_origin_null_is_never_admitted() {
        for origins in [&["*"][..], &["null"], &["https://app.example.com", "*"]] {
            assert!(!admits(origins, true, "null"), "{origins:?}");
        }
        assert!(admits(&["*"], false, "https://any.example"));
        assert!(admits(&["https://app.example.com"], false, "https://app.example.com"));
        assert!(!admits(&["https://app.example.com"], false, "https://app.example.com.evil.example"));
    }
}
