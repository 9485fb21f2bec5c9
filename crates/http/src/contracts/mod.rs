//! The contracts.

pub mod crossing_minds;
pub mod ingestiq;
pub mod riven;
pub mod rivergen;

use std::time::Duration;

use axum::Router;
use axum::http::{HeaderName, HeaderValue, Method, header};
use tower_http::cors::{AllowOrigin, CorsLayer};

use crate::state::App;
use crate::wire::boundary::guard;
use crate::wire::contract::Contract;

/// Puts a contract's edge around its routes.
fn at_the_edge<C: Contract>(router: Router<App>, app: &App) -> Router<App> {
    let router = router.layer(axum::middleware::from_fn_with_state(app.clone(), guard::<C>));
    match cors(&app.http().cors_origins) {
        Some(cors) => router.layer(cors),
        None => router,
    }
}

/// Scripts of the configured origins may call; none by default.
fn cors(origins: &[String]) -> Option<CorsLayer> {
    let origins: Vec<HeaderValue> = origins.iter().filter_map(|origin| origin.parse().ok()).collect();
    let allowed = if origins.iter().any(|origin| origin == "*") {
        AllowOrigin::any()
    } else if origins.is_empty() {
        return None;
    } else {
        AllowOrigin::list(origins)
    };
    Some(
        CorsLayer::new()
            .allow_origin(allowed)
            .allow_methods([Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE])
            .allow_headers([
                header::AUTHORIZATION,
                header::CONTENT_TYPE,
                HeaderName::from_static("x-device-fingerprint"),
            ])
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
