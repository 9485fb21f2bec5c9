//! Crossing Minds account API: `/v1`, and the same at the root, where older clients look for it.

mod accounts;
mod body;
mod databases;
mod defaults;
mod error;
mod organization;
mod requests;
mod responses;
mod sign_in;

use axum::response::Response;
use tidegate_domain::{ContractId, Role};
use utoipa::OpenApi;

use crate::contracts::{CommonAnswers, Configuration, Contract, Mount, UnknownPaths, routes_of, unknown_of};
use crate::wire::contract::ContractMarker;
use crate::wire::openapi::BearerToken;
use crate::wire::openapi::endpoints::{Endpoints, routes};

pub(crate) use error::Error;

/// The contract as a type.
pub(crate) struct CrossingMinds;

impl ContractMarker for CrossingMinds {
    const ID: ContractId = ContractId::CROSSING_MINDS;
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

/// What every path of the contract begins with.
const OWN_PATHS: [&str; 6] =
    ["/accounts", "/databases", "/login", "/organizations", "/resolved-sessions", "/sessions"];

/// The contract.
pub(crate) static CONTRACT: Contract = Contract {
    id: CrossingMinds::ID,
    title: "Crossing Minds",
    mounts: &[
        Mount { prefix: "/v1", unknown_paths: UnknownPaths::All },
        // Where older clients look for it. What begins like no path of this contract is outside of it.
        Mount { prefix: "", unknown_paths: UnknownPaths::Below(&OWN_PATHS) },
    ],
    sign_in: "/login/individual/",
    configuration: Configuration::Profile,
    profile: defaults::profile,
    head: Document::openapi,
    endpoints,
    routes: routes_of::<CrossingMinds>,
    unknown: unknown_of::<CrossingMinds>,
    common_answers: CommonAnswers {
        too_many_requests: "RATE_LIMIT_OVERFLOW",
        request_timeout: "REQUEST_TIMEOUT",
        payload_too_large: "PAYLOAD_TOO_LARGE",
        unsupported_media_type: "UNSUPPORTED_MEDIA_TYPE",
        internal: "SERVER_ERROR",
        unavailable: "SERVER_UNAVAILABLE",
    },
    shapes: requests::shapes,
};

fn endpoints() -> Endpoints {
    Endpoints::new()
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
        .acting(routes!(accounts::verify_account_by_link))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_the_root_this_contract_answers_for_what_begins_like_its_paths_and_for_nothing_else() {
        let paths = endpoints().into_openapi().paths.paths;
        let first = |path: &String| path.split('/').nth(1).map(|segment| format!("/{segment}"));
        let mut begins: Vec<String> = paths.keys().filter_map(first).collect();
        begins.sort();
        begins.dedup();
        assert_eq!(begins, OWN_PATHS);
    }
}
