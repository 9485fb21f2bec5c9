//! Scripts of other origins (the Fetch standard, "CORS protocol").

use std::time::Duration;

use axum::Router;
use axum::http::{HeaderName, HeaderValue, Method, header};
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer};

use crate::wire::state::{App, HttpSettings};

/// Request headers that scripts may send whatever is configured. `X-Requested-With` comes from the usual client libraries.
const HEADERS: [HeaderName; 4] = [
    header::AUTHORIZATION,
    header::CONTENT_TYPE,
    HeaderName::from_static("x-device-fingerprint"),
    HeaderName::from_static("x-requested-with"),
];

/// `routes` with answers that scripts of the configured origins may read.
pub(crate) fn with_cors(routes: Router<App>, app: &App) -> Router<App> {
    match cors(app.http()) {
        Some(cors) => routes.layer(cors),
        None => routes,
    }
}

/// Scripts of the configured origins may call; none by default.
fn cors(settings: &HttpSettings) -> Option<CorsLayer> {
    let origins = settings.cors_origins.iter().filter_map(|origin| origin.parse().ok());
    let origins: Vec<HeaderValue> = origins.collect();
    let allowed = if origins.iter().any(|origin| origin == "*") {
        AllowOrigin::any()
    } else if origins.is_empty() {
        return None;
    } else {
        AllowOrigin::list(origins)
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
                HeaderName::from_static("x-ratelimit-limit"),
                HeaderName::from_static("x-ratelimit-remaining"),
                HeaderName::from_static("x-ratelimit-reset"),
                HeaderName::from_static("x-request-id"),
            ])
            .max_age(Duration::from_secs(600)),
    )
}
