//! The HTTP surface: one folder per contract, plus operations and hosted pages.
//!
//! A contract is a translation and nothing else: it parses the wire, calls a use case, renders the answer.

mod contracts;
mod ops;
mod pages;
mod registry;
mod wire;

use axum::Router;
use tower::Layer;
use tower_http::normalize_path::NormalizePathLayer;

pub use registry::{
    Configuration, Contract, Mount, UnknownPaths, contract, contract_profiles, contracts, openapi,
};
pub use wire::shares::Shares;
pub use wire::state::{App, ForwardedHeader, HttpSettings, OpsSettings};
pub use wire::telemetry::describe_metrics;

/// The whole application as one router.
pub fn router(app: App) -> Router {
    let routes = Router::new()
        .merge(ops::router(&app))
        .merge(pages::router(&app))
        .merge(registry::router(&app))
        .layer(axum::middleware::from_fn(wire::admission::admitted))
        .layer(axum::middleware::from_fn(wire::unread::drained))
        .layer(axum::middleware::from_fn_with_state(app.clone(), pages::show_to_browsers))
        .layer(axum::middleware::from_fn_with_state(app.clone(), wire::telemetry::observe))
        .with_state(app);
    // A slash at the end is ignored, without a redirect: redirects lose bodies.
    Router::new().fallback_service(NormalizePathLayer::trim_trailing_slash().layer(routes))
}
