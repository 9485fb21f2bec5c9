//! RiverGen identity APIs, individual account: `/api/v1`.

mod account;
mod error;
mod password;
mod requests;
mod responses;
mod sessions;
mod sign_in;
mod sign_up;

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
pub(crate) struct Rivergen;

impl Contract for Rivergen {
    const DIALECT: Dialect = Dialect::Rivergen;
    type Error = Error;
}

type Caller = crate::wire::client::Caller<Rivergen>;
type Bearer = crate::wire::bearer::Bearer<Rivergen>;
type JsonBody<T> = crate::wire::body::JsonBody<Rivergen, T>;
type LargeJsonBody<T> = crate::wire::body::LargeJsonBody<Rivergen, T>;
type NoBody = crate::wire::body::NoBody<Rivergen>;
type Answer = Result<axum::response::Response, Error>;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "RiverGen identity API",
        description = "Sign-up, sign-in, sessions and profile of individual accounts.",
        version = "1"
    ),
    modifiers(&BearerToken)
)]
struct Document;

/// The contract's routes, and those of the contract beside it.
pub(crate) fn router(app: &App) -> Router<App> {
    let (routes, _) = endpoints().split_for_parts();
    let routes = routes.fallback(not_found).method_not_allowed_fallback(method_not_allowed);
    // Two contracts share the prefix; this one answers for what is in neither.
    let routes = super::at_the_edge::<Rivergen>(routes, app).merge(super::riven::routes(app));
    Router::new().nest("/api/v1", routes)
}

/// Their description.
pub(crate) fn document() -> utoipa::openapi::OpenApi {
    OpenApiRouter::with_openapi(Document::openapi()).nest("/api/v1", endpoints()).into_openapi()
}

fn endpoints() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(sign_up::sign_up))
        .routes(routes!(sign_up::verify_email))
        .routes(routes!(sign_up::verify_otp))
        .routes(routes!(sign_up::resend_signup_otp))
        .routes(routes!(sign_in::login))
        .routes(routes!(sign_in::refresh))
        .routes(routes!(sign_in::logout))
        .routes(routes!(sign_in::logout_all))
        .routes(routes!(password::forgot_password))
        .routes(routes!(password::reset_password))
        .routes(routes!(password::change_password))
        .routes(routes!(account::me))
        .routes(routes!(account::update_profile))
        .routes(routes!(account::request_email_change))
        .routes(routes!(account::verify_email_change))
        .routes(routes!(account::login_history))
        .routes(routes!(sessions::list))
        .routes(routes!(sessions::revoke))
}

async fn not_found(_caller: Caller) -> Error {
    Rejection::NotFound.into()
}

async fn method_not_allowed(_caller: Caller) -> Error {
    Rejection::MethodNotAllowed.into()
}

impl axum::response::IntoResponse for Error {
    fn into_response(self) -> axum::response::Response {
        Pending::<Rivergen>(self).into_response()
    }
}
