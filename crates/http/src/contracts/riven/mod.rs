//! Riven phone and account-opening API: `/api/v1`, beside RiverGen.

mod account;
mod auth;
mod error;
mod profile;
mod requests;
mod responses;

use axum::Router;
use axum::routing::any;
use tidegate_domain::Dialect;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::ops::OpaqueToken;
use crate::state::App;
use crate::wire::boundary::Pending;
use crate::wire::contract::Contract;
use crate::wire::rejection::Rejection;

pub(crate) use error::Error;

/// The contract.
pub(crate) struct Riven;

impl Contract for Riven {
    const DIALECT: Dialect = Dialect::Riven;
    type Error = Error;
}

type Caller = crate::wire::client::Caller<Riven>;
type Bearer = crate::wire::bearer::Bearer<Riven>;
type JsonBody<T> = crate::wire::body::JsonBody<Riven, T>;
type Answer = Result<axum::response::Response, Error>;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Riven phone and account-opening API",
        description = "Sign-up and sign-in with a phone, and a brokerage account.",
        version = "1"
    ),
    modifiers(&OpaqueToken)
)]
struct Document;

/// The contract's routes below `/api/v1`, to be put beside RiverGen's. What neither knows is answered in RiverGen's words,
/// except below the two paths that are this contract's own.
pub(crate) fn routes(app: &App) -> Router<App> {
    let (routes, _) = endpoints().split_for_parts();
    let routes = routes
        .route("/account/{*rest}", any(not_found))
        .route("/login/{*rest}", any(not_found))
        .method_not_allowed_fallback(method_not_allowed);
    super::at_the_edge::<Riven>(routes, app)
}

/// Their description.
pub(crate) fn document() -> utoipa::openapi::OpenApi {
    OpenApiRouter::with_openapi(Document::openapi()).nest("/api/v1", endpoints()).into_openapi()
}

fn endpoints() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(auth::enter_phone))
        .routes(routes!(auth::confirm_code))
        .routes(routes!(auth::send_code))
        .routes(routes!(auth::verify_code))
        .routes(routes!(auth::logout))
        .routes(routes!(account::create))
        .routes(routes!(account::kyc, account::kyc_by_get))
        .routes(routes!(account::profile))
}

async fn not_found(_caller: Caller) -> Error {
    Rejection::NotFound.into()
}

async fn method_not_allowed(_caller: Caller) -> Error {
    Rejection::MethodNotAllowed.into()
}

impl axum::response::IntoResponse for Error {
    fn into_response(self) -> axum::response::Response {
        Pending::<Riven>(self).into_response()
    }
}
