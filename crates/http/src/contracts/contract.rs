//! What a contract is: one value per folder, from which the router, the descriptions, the start-up text, the configuration
//! and the test kit are made.

use axum::extract::OriginalUri;
use axum::http::Method;
use axum::{Extension, Router};
use tidegate_domain::{ContractId, ContractProfile};
use utoipa::openapi::path::Operation;
use utoipa::openapi::{ContentBuilder, OpenApi, Ref, RefOr, Response, ResponseBuilder};

use crate::wire::boundary::{Pending, guard};
use crate::wire::client::Caller;
use crate::wire::contract::ContractMarker;
use crate::wire::cors::with_cors_around;
use crate::wire::elsewhere::ServedElsewhere;
use crate::wire::openapi::answers::{COMMON, describe_headers, operations_mut};
use crate::wire::openapi::endpoints::Endpoints;
use crate::wire::openapi::shapes::{Shapes, describe_requests};
use crate::wire::rejection::Rejection;
use crate::wire::state::App;

/// A contract Tidegate serves.
#[derive(Debug)]
pub struct Contract {
    /// Its name in claims, rows, configuration, on the command line and in the path of its description.
    pub id: ContractId,
    /// Its name for people.
    pub title: &'static str,
    /// Where it is served. Its description shows the first.
    pub mounts: &'static [Mount],
    /// Where its clients sign in, below the first prefix: told to those who come with a token of another contract.
    pub sign_in: &'static str,
    /// How an operator configures it.
    pub configuration: Configuration,
    /// What differs in it for the use cases, unless an operator says otherwise.
    pub profile: fn() -> ContractProfile,
    /// The head of its description.
    pub(crate) head: fn() -> OpenApi,
    /// Its endpoints, without a prefix.
    pub(crate) endpoints: fn() -> Endpoints,
    /// Its routes below a prefix, inside its boundary: [`routes_of`] its marker.
    pub(crate) routes: fn(&Self, &str, &App) -> Router<App>,
    /// What answers unknown paths that are its own: [`unknown_of`] its marker.
    pub(crate) unknown: fn(&App) -> Router<App>,
    /// Answers that no endpoint lists for itself.
    pub(crate) common_answers: CommonAnswers,
    /// What its requests look like, where the attributes of their fields cannot say it.
    pub(crate) shapes: fn() -> Shapes,
}

/// A prefix under which a contract is served.
#[derive(Debug)]
pub struct Mount {
    /// Such as `/api/v1`; empty for the root.
    pub prefix: &'static str,
    /// Which unknown paths under the prefix are answered in this contract's envelope.
    pub unknown_paths: UnknownPaths,
}

/// Which unknown paths are a contract's.
#[derive(Debug)]
pub enum UnknownPaths {
    /// All under the prefix that are no other contract's. At most one contract per prefix has them.
    All,
    /// Those that are, or begin with, one of these; the rest is another contract's, or unknown.
    Below(&'static [&'static str]),
}

/// Descriptions of the answers that every endpoint can give: the code, or a sentence where the contract has none.
#[derive(Debug)]
pub(crate) struct CommonAnswers {
    /// 429: the contract, or the operator, limits every request.
    pub(crate) too_many_requests: &'static str,
    /// 408, where a body may be read.
    pub(crate) request_timeout: &'static str,
    /// 413, where a body may be read.
    pub(crate) payload_too_large: &'static str,
    /// 415.
    pub(crate) unsupported_media_type: &'static str,
    /// 500.
    pub(crate) internal: &'static str,
    /// 503.
    pub(crate) unavailable: &'static str,
}

/// How an operator configures a contract, in the table of its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Configuration {
    /// Every number of its profile.
    Profile,
    /// Keys of its own, which the program translates into the profile.
    Own,
}

impl Mount {
    /// The paths that are, with everything below them, this contract's.
    pub(crate) fn claims(&self) -> Vec<String> {
        match self.unknown_paths {
            UnknownPaths::All => vec![self.prefix.to_owned()],
            UnknownPaths::Below(paths) => paths.iter().map(|path| format!("{}{path}", self.prefix)).collect(),
        }
    }
}

impl Contract {
    /// Whose tokens its endpoints take, as a sentence ends with it.
    pub(crate) fn tokens_taken(&self) -> String {
        let Some(mount) = self.mounts.first() else { return String::new() };
        let places = mount.claims();
        let takes = if places.len() == 1 { "takes" } else { "take" };
        format!("{} {takes} tokens of POST {}{}", places.join(" and "), mount.prefix, self.sign_in)
    }

    /// Its OpenAPI description.
    pub fn openapi(&self) -> OpenApi {
        let prefix = self.mounts.first().map_or("", |mount| mount.prefix);
        let below = |prefix: &str, path: &str| match path {
            "" | "/" => prefix.to_owned(),
            path => format!("{prefix}{path}"),
        };
        let endpoints = (self.endpoints)().into_openapi();
        let mut document = (self.head)().nest_with_path_composer(prefix, endpoints, below);
        let responses = &mut document.components.get_or_insert_default().responses;
        for ((_, name), description) in COMMON.into_iter().zip(self.common_answers.descriptions()) {
            responses.insert(name.to_owned(), error_answer(description));
        }
        for (method, operation) in document.paths.paths.values_mut().flat_map(operations_mut) {
            // Of a body that GET should not have, no more is looked at than whether it is encoded.
            self.common_answers.describe(operation, method != Method::GET);
        }
        describe_headers(&mut document);
        describe_requests(&mut document, &(self.profile)(), (self.shapes)());
        document
    }
}

impl CommonAnswers {
    /// In the order of [`COMMON`].
    fn descriptions(&self) -> [&'static str; 6] {
        [
            self.request_timeout,
            self.payload_too_large,
            self.unsupported_media_type,
            self.too_many_requests,
            self.internal,
            self.unavailable,
        ]
    }

    /// Adds them to an operation, except those that it describes itself.
    fn describe(&self, operation: &mut Operation, reads_body: bool) {
        let answers = &mut operation.responses.responses;
        // An endpoint that lists no error counts no requests: health.
        let is_counted = answers.keys().any(|status| status.starts_with('4'));
        for (status, name) in COMMON {
            let can_be = match status {
                "408" | "413" => reads_body,
                "429" => is_counted,
                _ => true,
            };
            if can_be {
                answers.entry(status.to_owned()).or_insert_with(|| Ref::from_response_name(name).into());
            }
        }
    }
}

fn error_answer(description: &str) -> RefOr<Response> {
    let body = ContentBuilder::new().schema(Some(Ref::from_schema_name("ErrorBody"))).build();
    ResponseBuilder::new().description(description).content("application/json", body).build().into()
}

/// A contract's routes below a prefix, inside its boundary.
pub(crate) fn routes_of<C: ContractMarker>(contract: &Contract, prefix: &str, app: &App) -> Router<App> {
    let routes = (contract.endpoints)().into_router(prefix);
    with_middleware::<C>(routes.method_not_allowed_fallback(method_not_allowed::<C>), app)
}

/// What answers unknown paths that are a contract's.
pub(crate) fn unknown_of<C: ContractMarker>(app: &App) -> Router<App> {
    with_middleware::<C>(Router::new().fallback(not_found::<C>), app)
}

fn with_middleware<C: ContractMarker>(routes: Router<App>, app: &App) -> Router<App> {
    with_cors_around(axum::middleware::from_fn_with_state(app.clone(), guard::<C>), routes, app)
}

async fn not_found<C: ContractMarker>(
    _caller: Caller<C>,
    elsewhere: Option<Extension<ServedElsewhere>>,
    OriginalUri(uri): OriginalUri,
) -> Pending<C> {
    let elsewhere = elsewhere.map(|Extension(ServedElsewhere(told))| told.into());
    Pending(Rejection::NotFound { path: uri.path().to_owned(), elsewhere }.into())
}

async fn method_not_allowed<C: ContractMarker>(_caller: Caller<C>, method: Method) -> Pending<C> {
    Pending(Rejection::MethodNotAllowed { method }.into())
}
