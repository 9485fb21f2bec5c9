//! RiverGen: identity APIs of individual accounts, and platform APIs: `/api/v1`.

mod account;
mod data_sources;
mod defaults;
mod error;
mod factors;
mod oauth;
mod password;
mod platform;
mod policies;
mod prompts;
mod queries;
mod requests;
mod responses;
mod sessions;
mod shapes;
mod sign_in;
mod sign_up;
mod social;
mod storage;
mod tokens;
mod webauthn;

use tidegate_domain::ContractId;
use utoipa::OpenApi;

use crate::contracts::{CommonAnswers, Configuration, Contract, Mount, UnknownPaths, routes_of, unknown_of};
use crate::wire::contract::ContractMarker;
use crate::wire::openapi::BearerToken;
use crate::wire::openapi::endpoints::{Endpoints, routes};

pub(crate) use error::Error;

/// The contract as a type.
pub(crate) struct Rivergen;

impl ContractMarker for Rivergen {
    const ID: ContractId = ContractId::RIVERGEN;
    type Error = Error;
}

type Caller = crate::wire::client::Caller<Rivergen>;
type Bearer = crate::wire::bearer::Bearer<Rivergen>;
type JsonBody<T> = crate::wire::body::JsonBody<Rivergen, T>;
type LiberalBody<T> = crate::wire::body::LiberalBody<Rivergen, T>;
type LargeJsonBody<T> = crate::wire::body::LargeJsonBody<Rivergen, T>;
type UnusedBody = crate::wire::body::UnusedBody<Rivergen>;
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

/// The contract.
pub(crate) static CONTRACT: Contract = Contract {
    id: Rivergen::ID,
    title: "RiverGen",
    mounts: &[Mount { prefix: "/api/v1", unknown_paths: UnknownPaths::All }],
    sign_in: "/auth/login",
    configuration: Configuration::Profile,
    profile: defaults::profile,
    head: Document::openapi,
    endpoints,
    routes: routes_of::<Rivergen>,
    unknown: unknown_of::<Rivergen>,
    common_answers: CommonAnswers {
        too_many_requests: "RATE_LIMITED",
        request_timeout: "REQUEST_TIMEOUT",
        payload_too_large: "PAYLOAD_TOO_LARGE",
        unsupported_media_type: "UNSUPPORTED_MEDIA_TYPE",
        internal: "INTERNAL_ERROR",
        unavailable: "SERVICE_UNAVAILABLE",
    },
    shapes: shapes::shapes,
};

fn endpoints() -> Endpoints {
    Endpoints::new()
        .routes(routes!(sign_up::sign_up))
        .routes(routes!(sign_up::verify_email))
        .routes(routes!(sign_up::verify_otp))
        .routes(routes!(sign_up::resend_signup_otp))
        .routes(routes!(sign_in::login))
        .routes(routes!(sign_in::refresh))
        .routes(routes!(sign_in::logout))
        .routes(routes!(sign_in::logout_all))
        .routes(routes!(factors::sign_in::generate_otp))
        .routes(routes!(factors::sign_in::verify_mfa))
        .routes(routes!(factors::sign_in::deactivate))
        .routes(routes!(factors::step_up::step_up))
        .routes(routes!(factors::step_up::send_step_up_code))
        .routes(routes!(factors::step_up::start_passkey_step_up))
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
        .routes(routes!(factors::mfa::set_up_totp))
        .routes(routes!(factors::mfa::verify_totp))
        .routes(routes!(factors::mfa::totp_devices))
        .routes(routes!(factors::mfa::remove_totp_device))
        .routes(routes!(factors::mfa::set_up_email_otp))
        .routes(routes!(factors::mfa::verify_email_otp))
        .routes(routes!(factors::mfa::set_up_sms_otp))
        .routes(routes!(factors::mfa::verify_sms_otp))
        .routes(routes!(factors::mfa::status))
        .routes(routes!(factors::mfa::generate_backup_codes))
        .routes(routes!(factors::mfa::backup_codes))
        .routes(routes!(factors::mfa::verify_backup_code))
        .routes(routes!(webauthn::register::start))
        .routes(routes!(webauthn::register::complete))
        .routes(routes!(webauthn::sign_in::start))
        .routes(routes!(webauthn::sign_in::complete))
        .routes(routes!(webauthn::credentials::list))
        .routes(routes!(webauthn::credentials::remove))
        .routes(routes!(social::sign_in::accounts))
        .acting(routes!(social::flow::url, social::flow::callback))
        .routes(routes!(social::flow::posted_callback))
        .routes(routes!(social::sign_in::login))
        .routes(routes!(social::sign_in::signup))
        .routes(routes!(factors::devices::activate))
        .routes(routes!(factors::devices::skip))
        .routes(routes!(factors::devices::list))
        .routes(routes!(factors::devices::revoke))
        .merge(tokens::endpoints())
        .merge(oauth::endpoints())
        .merge(storage::endpoints())
        .merge(data_sources::endpoints())
        .merge(policies::endpoints())
        .merge(prompts::endpoints())
}
