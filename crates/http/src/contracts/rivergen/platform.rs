//! The codes of the modules of data differ from those of accounts (section 1.3 of the platform's contract).

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use tidegate_domain::{ContractId, Timestamp};
use tidegate_kernel::Refused;

use super::{Error, Rivergen};
use crate::wire::boundary::Pending;
use crate::wire::contract::{ContractError, ContractMarker};
use crate::wire::fields::Violations;
use crate::wire::rejection::Rejection;

/// The contract's modules of data as a type: the same contract, with other codes.
pub(super) struct Platform;

impl ContractMarker for Platform {
    const ID: ContractId = ContractId::RIVERGEN;
    type Error = PlatformError;
}

pub(super) type Bearer = crate::wire::bearer::Bearer<Platform>;
pub(super) type JsonBody<T> = crate::wire::body::JsonBody<Platform, T>;
pub(super) type OptionalJsonBody<T> = crate::wire::body::OptionalJsonBody<Platform, T>;
pub(super) type UnusedBody = crate::wire::body::UnusedBody<Platform>;
pub(super) type Answer = Result<Response, PlatformError>;

/// An error of the modules of data, in the contract's envelope.
#[derive(Clone, Debug)]
pub(super) struct PlatformError(Error);

impl PlatformError {
    pub(super) fn new(status: StatusCode, code: &'static str, message: impl ToString) -> Self {
        Self(Error::new(status, code, message))
    }

    /// Bad parameters that are not one field's.
    pub(super) fn bad_request(message: impl ToString) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "BAD_REQUEST", message)
    }

    pub(super) fn not_found(message: impl ToString) -> Self {
        Self::new(StatusCode::NOT_FOUND, "NOT_FOUND", message)
    }

    pub(super) fn forbidden(message: impl ToString) -> Self {
        Self::new(StatusCode::FORBIDDEN, "FORBIDDEN", message)
    }

    /// A body larger than any may be, or than there is room for.
    pub(super) fn too_large(message: impl ToString) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "REQUEST_ENTITY_TOO_LARGE", message)
    }

    /// The same error with a time to wait.
    pub(super) fn retry_after(self, seconds: u64) -> Self {
        Self(self.0.retry_after(seconds))
    }
}

impl From<Violations> for PlatformError {
    fn from(violations: Violations) -> Self {
        Self(violations.into())
    }
}

impl From<Rejection> for PlatformError {
    fn from(rejection: Rejection) -> Self {
        let own = match &rejection {
            Rejection::MalformedBody(_) => Some((StatusCode::BAD_REQUEST, "BAD_REQUEST")),
            Rejection::Forbidden(_) => Some((StatusCode::FORBIDDEN, "FORBIDDEN")),
            Rejection::NotFound { .. } => Some((StatusCode::NOT_FOUND, "NOT_FOUND")),
            Rejection::RateLimited { .. } => Some((StatusCode::TOO_MANY_REQUESTS, "TOO_MANY_REQUESTS")),
            Rejection::PayloadTooLarge { .. } => {
                Some((StatusCode::PAYLOAD_TOO_LARGE, "REQUEST_ENTITY_TOO_LARGE"))
            }
            Rejection::Internal => Some((StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL_SERVER_ERROR")),
            _ => None,
        };
        let error: Error = rejection.into();
        Self(own.map_or(error.clone(), |(status, code)| error.answered(status).coded(code)))
    }
}

impl<E: Into<Self>> From<Refused<E>> for PlatformError {
    fn from(refused: Refused<E>) -> Self {
        match refused {
            Refused::Rule(rule) => rule.into(),
            Refused::Fault(fault) => Rejection::from(fault).into(),
        }
    }
}

/// The contract's boundary writes it.
impl IntoResponse for PlatformError {
    fn into_response(self) -> Response {
        Pending::<Rivergen>(self.0).into_response()
    }
}

impl ContractError for PlatformError {
    fn code(&self) -> &str {
        self.0.code()
    }

    fn render(&self, now: Timestamp) -> Response {
        self.0.render(now)
    }
}
