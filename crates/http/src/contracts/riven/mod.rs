//! Riven phone and account-opening API: `/api/v1`, beside RiverGen.

mod account;
mod auth;
mod defaults;
mod error;
mod profile;
mod requests;
mod responses;

use tidegate_domain::ContractId;
use utoipa::OpenApi;

use crate::contracts::{CommonAnswers, Configuration, Contract, Mount, UnknownPaths, routes_of, unknown_of};
use crate::wire::contract::ContractMarker;
use crate::wire::openapi::OpaqueToken;
use crate::wire::openapi::endpoints::{Endpoints, routes};

pub(crate) use error::Error;

/// The contract as a type.
pub(crate) struct Riven;

impl ContractMarker for Riven {
    const ID: ContractId = ContractId::RIVEN;
    type Error = Error;
}

type Caller = crate::wire::client::Caller<Riven>;
type Bearer = crate::wire::bearer::Bearer<Riven>;
type LiberalBody<T> = crate::wire::body::LiberalBody<Riven, T>;
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

/// The contract.
pub(crate) static CONTRACT: Contract = Contract {
    id: Riven::ID,
    title: "Riven",
    mounts: &[
        // Beside RiverGen, which answers for what neither knows.
        Mount { prefix: "/api/v1", unknown_paths: UnknownPaths::Below(&["/account", "/login"]) },
    ],
    sign_in: "/login/verify-code",
    configuration: Configuration::Own,
    profile: defaults::profile,
    head: Document::openapi,
    endpoints,
    routes: routes_of::<Riven>,
    unknown: unknown_of::<Riven>,
    common_answers: CommonAnswers {
        too_many_requests: "Too many requests",
        request_timeout: "The body did not arrive in time",
        payload_too_large: "The body is too large",
        unsupported_media_type: "The body has another type",
        internal: "Something went wrong here",
        unavailable: "Come back after `Retry-After` seconds",
    },
    shapes: requests::shapes::shapes,
};

fn endpoints() -> Endpoints {
    Endpoints::new()
        .routes(routes!(auth::enter_phone))
        .routes(routes!(auth::confirm_code))
        .routes(routes!(auth::send_code))
        .routes(routes!(auth::verify_code))
        .routes(routes!(auth::logout))
        .routes(routes!(account::create))
        .routes(routes!(account::kyc))
        .acting(routes!(account::kyc_by_get))
        .routes(routes!(account::profile))
}
