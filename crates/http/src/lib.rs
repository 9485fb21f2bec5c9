//! The HTTP surface: one folder per contract, plus OAuth, operations and hosted pages.
//!
//! A contract is a translation and nothing else: it parses the wire, calls a use case, renders the answer.

mod contracts;
mod files;
mod oauth;
mod ops;
mod pages;
mod registry;
mod wire;

use std::convert::Infallible;
use std::task::{Context, Poll};

use axum::Router;
use axum::extract::{OriginalUri, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use axum::routing::future::RouteFuture;
use tower::Service;
use tower_http::normalize_path::NormalizePath;

pub use registry::{
    Configuration, Contract, Mount, UnknownPaths, contract, contract_profiles, contracts, openapi,
};
pub use wire::shares::Shares;
pub use wire::state::{App, Features, ForwardedHeader, HttpSettings, OpsSettings};
pub use wire::telemetry::describe_metrics;

use pages::show_to_browsers;
use wire::admission::admitted;
use wire::cors::of_admitted_origin;
use wire::telemetry::observe;
use wire::unread::drained;

/// All that is served over HTTP, as connections ask it.
#[derive(Clone)]
pub struct Surface(NormalizePath<Router>);

impl Surface {
    /// All routes of `app`.
    pub fn new(app: App) -> Self {
        let routes = Router::new()
            .merge(ops::router(&app))
            .merge(pages::router(&app))
            .merge(oauth::router(&app))
            .merge(files::router(&app))
            .merge(registry::router(&app))
            .layer(axum::middleware::from_fn_with_state(app.clone(), surrounded))
            .with_state(app);
        // A slash at the end is ignored, without a redirect: redirects lose bodies.
        Self(NormalizePath::trim_trailing_slash(routes))
    }
}

impl Service<Request> for Surface {
    type Response = Response;
    type Error = Infallible;
    type Future = RouteFuture<Infallible>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request) -> RouteFuture<Infallible> {
        // As it was sent, before the slash is taken away.
        let sent = OriginalUri(request.uri().clone());
        request.extensions_mut().insert(sent);
        self.0.call(request)
    }
}

/// The same [`Surface`] as the one route of a router: for tests, and for servers that take nothing else. A request costs one more look-up.
pub fn router(app: App) -> Router {
    Router::new().fallback_service(Surface::new(app))
}

/// What surrounds every request, outermost first. One layer, because each costs every request a box and a copy of the router.
async fn surrounded(State(app): State<App>, request: Request, next: Next) -> Response {
    let admitted = |request| admitted(request, |request| next.run(request));
    let drained = |request| drained(request, admitted);
    let shown = |request| show_to_browsers(&app, request, drained);
    let of_admitted_origin = |request| of_admitted_origin(&app, request, shown);
    observe(&app, request, of_admitted_origin).await
}
