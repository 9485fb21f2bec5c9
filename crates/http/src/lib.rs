//! The HTTP surface: one folder per contract, plus operations and hosted pages.
//!
//! A dialect is a translation and nothing else: it parses the wire, calls a use case, renders the answer.

pub mod contracts;
mod ops;
mod pages;
mod state;
mod telemetry;
mod wire;

use axum::Router;
use tower::Layer;
use tower_http::normalize_path::NormalizePathLayer;

pub use ops::{OpsSettings, openapi, openapi_of};
pub use state::{App, ForwardedHeader, HttpSettings};
pub use telemetry::describe_metrics;
pub use wire::shares::Shares;

/// The whole application as one router.
pub fn router(app: App) -> Router {
    let routes = Router::new()
        .merge(ops::router(&app))
        .merge(pages::router(&app))
        .merge(contracts::rivergen::router(&app))
        .merge(contracts::ingestiq::router(&app))
        .merge(contracts::crossing_minds::router(&app))
        .fallback(ops::not_found)
        .layer(axum::middleware::from_fn_with_state(app.clone(), wire::admission::admitted))
        .layer(axum::middleware::from_fn(wire::unread::drained))
        .layer(axum::middleware::from_fn_with_state(app.clone(), telemetry::observe))
        .with_state(app);
    // A slash at the end is ignored, without a redirect: redirects lose bodies.
    Router::new().fallback_service(NormalizePathLayer::trim_trailing_slash().layer(routes))
}
