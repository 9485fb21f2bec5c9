//! Errors with the contract's codes (its section 1).

use std::borrow::Cow;

use axum::Json;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tidegate_domain::Timestamp;
use tidegate_identity::sessions::refresh::RefreshError;
use tidegate_identity::sessions::sign_out::SignOutError;
use tidegate_identity::sign_in::login::SignInError;
use tidegate_identity::sign_in::sign_up::SignUpError;
use tidegate_kernel::fault::Forbidden;
use utoipa::ToSchema;

use crate::contracts::common_error::{VALIDATION_ERROR, capitalized, common_answer};
use crate::wire::contract::{ContractError, contract_error};
use crate::wire::fields::Violations;
use crate::wire::rejection::Rejection;

/// An error of this contract.
#[derive(Clone, Debug)]
pub(crate) struct Error {
    status: StatusCode,
    code: &'static str,
    message: String,
    details: Vec<Detail>,
    headers: Box<HeaderMap>,
}

/// The error envelope.
#[derive(Serialize, ToSchema)]
pub(crate) struct ErrorBody {
    error: ErrorObject,
}

/// The error.
#[derive(Serialize, ToSchema)]
pub(crate) struct ErrorObject {
    /// Stable code to branch on.
    #[schema(example = "VALIDATION_ERROR")]
    code: &'static str,
    /// For people; not to branch on.
    message: String,
    /// Every field at fault, where fields are.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    details: Vec<Detail>,
}

/// A field at fault.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Detail {
    #[schema(value_type = String)]
    field: Cow<'static, str>,
    message: String,
}

impl ContractError for Error {
    fn code(&self) -> &str {
        self.code
    }

    fn render(&self, _now: Timestamp) -> Response {
        let error =
            ErrorObject { code: self.code, message: self.message.clone(), details: self.details.clone() };
        let mut response = (self.status, Json(ErrorBody { error })).into_response();
        response.headers_mut().extend(self.headers.as_ref().clone());
        response
    }
}

impl Error {
    fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), details: Vec::new(), headers: Box::default() }
    }
}

impl From<Violations> for Error {
    fn from(violations: Violations) -> Self {
        let details = violations
            .iter()
            .map(|one| Detail { field: one.field.clone(), message: format!("{} {}", one.field, one.message) })
            .collect();
        let error =
            Self::new(StatusCode::BAD_REQUEST, VALIDATION_ERROR, "Some fields are missing or invalid");
        Self { details, ..error }
    }
}

impl From<Rejection> for Error {
    fn from(rejection: Rejection) -> Self {
        let headers = Box::new(rejection.headers());
        let (status, code, message) = match rejection {
            Rejection::Invalid(violations) => return violations.into(),
            Rejection::MalformedBody(text) => (StatusCode::BAD_REQUEST, VALIDATION_ERROR, text.into()),
            Rejection::InvalidToken | Rejection::Unproven(_) => {
                (StatusCode::UNAUTHORIZED, "INVALID_TOKEN", "the access token is invalid".into())
            }
            Rejection::ExpiredToken => {
                (StatusCode::UNAUTHORIZED, "TOKEN_EXPIRED", "the access token has expired".into())
            }
            rejection => common_answer(&super::CONTRACT, rejection),
        };
        Self { headers, ..Self::new(status, code, capitalized(&message)) }
    }
}

contract_error!(super::Ingestiq, Error);

impl From<SignUpError> for Error {
    fn from(error: SignUpError) -> Self {
        match error {
            SignUpError::WeakPassword(weak) => Violations::of("password", weak.to_string()).into(),
            SignUpError::EmailTaken => {
                Self::new(StatusCode::CONFLICT, "EMAIL_EXISTS", "An account with this e-mail address exists")
            }
            SignUpError::IdempotencyConflict => {
                Self::new(StatusCode::CONFLICT, "DUPLICATE_ENTRY", "The request repeats another one's key")
            }
            SignUpError::Refused => Rejection::Forbidden(Forbidden::Unsaid).into(),
        }
    }
}

impl From<SignInError> for Error {
    fn from(error: SignInError) -> Self {
        match error {
            SignInError::InvalidCredentials => {
                Self::new(StatusCode::UNAUTHORIZED, "INVALID_CREDENTIALS", "Wrong e-mail address or password")
            }
            SignInError::WorkspaceDenied
            | SignInError::CannotVerify
            | SignInError::NotVerified
            | SignInError::Binding(_) => Rejection::Forbidden(Forbidden::Unsaid).into(),
        }
    }
}

impl From<RefreshError> for Error {
    fn from(error: RefreshError) -> Self {
        let (code, message) = match error {
            RefreshError::Invalid => ("INVALID_TOKEN", "The refresh token is invalid or was already used"),
            RefreshError::Expired => ("TOKEN_EXPIRED", "The refresh token has expired"),
        };
        let headers = Box::new(Rejection::InvalidToken.headers());
        Self { headers, ..Self::new(StatusCode::UNAUTHORIZED, code, message) }
    }
}

impl From<SignOutError> for Error {
    fn from(error: SignOutError) -> Self {
        let SignOutError::AlreadyEnded = error;
        Rejection::InvalidToken.into()
    }
}
