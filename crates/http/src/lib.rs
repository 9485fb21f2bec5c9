//! The HTTP surface: one folder per contract, plus operations and hosted pages.
//!
//! A dialect is a translation and nothing else: it parses the wire, calls a use case, renders the answer.

mod body;
mod boundary;
mod bearer;
mod client;
mod contract;
pub mod dialects;
mod fields;
mod ops;
mod pages;
mod rejection;
mod state;
mod telemetry;

use axum::Router;

pub use ops::{OpsSettings, openapi, openapi_of};
pub use state::{App, HttpSettings};
pub use telemetry::describe_metrics;

/// The whole application as one router.
pub fn router(app: App) -> Router {
    let (rivergen, _) = dialects::rivergen::router(&app).split_for_parts();
    let (ingestiq, _) = dialects::ingestiq::router(&app).split_for_parts();
    Router::new()
        .merge(ops::router())
        .merge(pages::router(&app))
        .merge(rivergen)
        .merge(ingestiq)
        .fallback(ops::not_found)
        .layer(axum::middleware::from_fn_with_state(app.clone(), telemetry::observe))
        .with_state(app)
}
