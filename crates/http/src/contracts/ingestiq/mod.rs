//! IngestIQ authentication API: `/api/v2`.

mod auth;
mod error;
mod wire;

use axum::Router;
use tidegate_domain::Dialect;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::ops::BearerToken;
use crate::state::App;
use crate::wire::boundary::Pending;
use crate::wire::contract::Contract;
use crate::wire::rejection::Rejection;

pub(crate) use error::Error;

/// The contract.
pub(crate) struct Ingestiq;

impl Contract for Ingestiq {
    const DIALECT: Dialect = Dialect::Ingestiq;
    type Error = Error;
}

type Caller = crate::wire::client::Caller<Ingestiq>;
type Bearer = crate::wire::bearer::Bearer<Ingestiq>;
type JsonBody<T> = crate::wire::body::JsonBody<Ingestiq, T>;
type NoBody = crate::wire::body::NoBody<Ingestiq>;
type Answer = Result<axum::response::Response, Error>;

#[derive(OpenApi)]
#[openapi(
    info(title = "IngestIQ authentication API", description = "Register, log in, refresh, log out.", version = "2"),
    modifiers(&BearerToken)
)]
struct Document;

/// The contract's routes.
pub(crate) fn router(app: &App) -> Router<App> {
    let (routes, _) = endpoints().split_for_parts();
    let routes = routes.fallback(not_found).method_not_allowed_fallback(method_not_allowed);
    Router::new().nest("/api/v2", super::at_the_edge::<Ingestiq>(routes, app))
}

/// Their description.
pub(crate) fn document() -> utoipa::openapi::OpenApi {
    OpenApiRouter::with_openapi(Document::openapi()).nest("/api/v2", endpoints()).into_openapi()
}

fn endpoints() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(auth::register))
        .routes(routes!(auth::login))
        .routes(routes!(auth::refresh))
        .routes(routes!(auth::logout))
        .routes(routes!(auth::me))
        .routes(routes!(auth::health))
}

async fn not_found(_caller: Caller) -> Error {
    Rejection::NotFound.into()
}

async fn method_not_allowed(_caller: Caller) -> Error {
    Rejection::MethodNotAllowed.into()
}

impl axum::response::IntoResponse for Error {
    fn into_response(self) -> axum::response::Response {
        Pending::<Ingestiq>(self).into_response()
    }
}
