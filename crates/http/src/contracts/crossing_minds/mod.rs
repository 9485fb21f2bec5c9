//! Crossing Minds account API: `/v1`, and the same at the root, where older clients look for it.

mod accounts;
mod body;
mod databases;
mod error;
mod organization;
mod requests;
mod responses;
mod sign_in;

use axum::Router;
use axum::extract::OriginalUri;
use axum::http::{HeaderValue, Method, header};
use axum::response::Response;
use tidegate_domain::{Dialect, Role, Timestamp};
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::ops::BearerToken;
use crate::state::App;
use crate::wire::boundary::Pending;
use crate::wire::contract::{Contract, ContractError};

pub(crate) use error::Error;

/// The contract.
pub(crate) struct CrossingMinds;

impl Contract for CrossingMinds {
    const DIALECT: Dialect = Dialect::CrossingMinds;
    type Error = Error;
}

type Caller = crate::wire::client::Caller<CrossingMinds>;
type Bearer = crate::wire::bearer::Bearer<CrossingMinds>;
type Answer = Result<Response, Error>;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Crossing Minds account API",
        description = "Accounts, sign-in, databases. Every path also answers with a slash at its end, and without `/v1`.",
        version = "1"
    ),
    modifiers(&BearerToken)
)]
struct Document;

/// The contract's routes.
pub(crate) fn router(app: &App) -> Router<App> {
    let (routes, _) = endpoints().split_for_parts();
    let routes = routes.method_not_allowed_fallback(method_not_allowed);
    let versioned = routes.clone().fallback(not_found);
    Router::new()
        .nest("/v1", super::at_the_edge::<CrossingMinds>(versioned, app))
        .merge(super::at_the_edge::<CrossingMinds>(routes, app))
}

/// What is answered where there is nothing, at the root: this contract's clients are the ones who ask there.
pub(crate) fn nowhere(path: &str, now: Timestamp) -> Response {
    let mut response = path_not_found(path).render(now);
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Their description.
pub(crate) fn document() -> utoipa::openapi::OpenApi {
    OpenApiRouter::with_openapi(Document::openapi()).nest("/v1", endpoints()).into_openapi()
}

fn endpoints() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(accounts::list_current_accounts))
        .routes(routes!(accounts::list_accounts))
        .routes(routes!(accounts::create_individual))
        .routes(routes!(accounts::change_individual))
        .routes(routes!(accounts::delete_individual))
        .routes(routes!(accounts::create_service))
        .routes(routes!(accounts::change_service))
        .routes(routes!(accounts::delete_service))
        .routes(routes!(accounts::delete_own_account))
        .routes(routes!(accounts::create_service_key))
        .routes(routes!(accounts::delete_service_key))
        .routes(routes!(accounts::resend_verification_code))
        .routes(routes!(accounts::verify_account))
        .routes(routes!(accounts::verify_account_by_link))
        .routes(routes!(accounts::send_reset_password_email))
        .routes(routes!(accounts::reset_password))
        .routes(routes!(sign_in::login_individual))
        .routes(routes!(sign_in::login_service))
        .routes(routes!(sign_in::login_root))
        .routes(routes!(sign_in::refresh_token))
        .routes(routes!(sign_in::login_jwt))
        .routes(routes!(databases::create_database))
        .routes(routes!(databases::list_databases))
        .routes(routes!(databases::current_database))
        .routes(routes!(databases::change_database))
        .routes(routes!(databases::delete_database))
        .routes(routes!(databases::database_status))
        .routes(routes!(databases::resolve_session))
        .routes(routes!(databases::list_resolved_sessions))
        .routes(routes!(organization::current_organization))
        .routes(routes!(organization::change_organization))
}

async fn not_found(_caller: Caller, OriginalUri(uri): OriginalUri) -> Error {
    path_not_found(uri.path())
}

fn path_not_found(path: &str) -> Error {
    Error::not_found("path", path, "PATH_NOT_FOUND")
}

async fn method_not_allowed(_caller: Caller, method: Method) -> Error {
    Error::method_not_allowed(&method)
}

impl axum::response::IntoResponse for Error {
    fn into_response(self) -> Response {
        Pending::<CrossingMinds>(self).into_response()
    }
}

/// The contract's names of the roles: section 3.
const ROLES: [(&str, Role); 5] = [
    ("root", Role::Owner),
    ("manager", Role::Admin),
    ("backend", Role::Developer),
    ("demo_viewer", Role::Viewer),
    ("frontend", Role::Frontend),
];

fn role_name(role: Role) -> &'static str {
    ROLES.iter().find(|(_, known)| *known == role).map_or("frontend", |(name, _)| name)
}

fn role_of(name: &str) -> Option<Role> {
    ROLES.iter().find(|(known, _)| *known == name).map(|(_, role)| *role)
}
