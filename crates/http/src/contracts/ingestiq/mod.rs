//! IngestIQ authentication API: `/api/v2`.

mod auth;
mod defaults;
mod error;
mod wire;

use tidegate_domain::ContractId;
use utoipa::OpenApi;

use crate::contracts::{CommonAnswers, Configuration, Contract, Mount, UnknownPaths, routes_of, unknown_of};
use crate::wire::contract::ContractMarker;
use crate::wire::openapi::BearerToken;
use crate::wire::openapi::endpoints::{Endpoints, routes};
use crate::wire::openapi::shapes::Shapes;

pub(crate) use error::Error;

/// The contract as a type.
pub(crate) struct Ingestiq;

impl ContractMarker for Ingestiq {
    const ID: ContractId = ContractId::INGESTIQ;
    type Error = Error;
}

type Caller = crate::wire::client::Caller<Ingestiq>;
type Bearer = crate::wire::bearer::Bearer<Ingestiq>;
type LiberalBody<T> = crate::wire::body::LiberalBody<Ingestiq, T>;
type UnusedBody = crate::wire::body::UnusedBody<Ingestiq>;
type Answer = Result<axum::response::Response, Error>;

#[derive(OpenApi)]
#[openapi(
    info(title = "IngestIQ authentication API", description = "Register, log in, refresh, log out.", version = "2"),
    modifiers(&BearerToken)
)]
struct Document;

/// The contract.
pub(crate) static CONTRACT: Contract = Contract {
    id: Ingestiq::ID,
    title: "IngestIQ",
    mounts: &[Mount { prefix: "/api/v2", unknown_paths: UnknownPaths::All }],
    sign_in: "/auth/login",
    configuration: Configuration::Profile,
    profile: defaults::profile,
    head: Document::openapi,
    endpoints,
    routes: routes_of::<Ingestiq>,
    unknown: unknown_of::<Ingestiq>,
    common_answers: CommonAnswers {
        too_many_requests: "RATE_LIMITED",
        request_timeout: "REQUEST_TIMEOUT",
        payload_too_large: "PAYLOAD_TOO_LARGE",
        unsupported_media_type: "UNSUPPORTED_MEDIA_TYPE",
        internal: "INTERNAL_ERROR",
        unavailable: "SERVICE_UNAVAILABLE",
    },
    shapes: Shapes::default,
};

fn endpoints() -> Endpoints {
    Endpoints::new()
        .routes(routes!(auth::register))
        .routes(routes!(auth::login))
        .routes(routes!(auth::refresh))
        .routes(routes!(auth::logout))
        .routes(routes!(auth::me))
        .routes(routes!(auth::health))
}
