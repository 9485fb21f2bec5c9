//! Errors of applications and of the consent page.

use axum::http::StatusCode;
use tidegate_kernel::{Fault, Refused};
use tidegate_oauth::applications::ApplicationError;
use tidegate_oauth::authorize::introduce::IntroductionError;
use tidegate_oauth::authorize::{AuthorizationError, ShownError};

use super::super::error::Error;
use crate::wire::fields::Violations;

impl From<ApplicationError> for Error {
    fn from(error: ApplicationError) -> Self {
        let (status, code) = match error {
            ApplicationError::OrganizationDenied => (StatusCode::FORBIDDEN, "organization_access_denied"),
            ApplicationError::NotFound => (StatusCode::NOT_FOUND, "application_not_found"),
            ApplicationError::NameTaken => (StatusCode::BAD_REQUEST, "application_exists"),
            ApplicationError::NoSecret => (StatusCode::BAD_REQUEST, "application_has_no_secret"),
            ApplicationError::Rule(rule) => return Violations::of(rule.field(), rule.to_string()).into(),
        };
        Self::new(status, code, error)
    }
}

/// An application that was not registered, maybe because there are too many.
pub(super) fn not_registered(refused: Refused<ApplicationError>) -> Error {
    match refused {
        Refused::Fault(Fault::QuotaExceeded(exceeded)) => {
            Error::new(StatusCode::CONFLICT, "too_many_applications", exceeded)
        }
        other => other.into(),
    }
}

impl From<IntroductionError> for Error {
    fn from(error: IntroductionError) -> Self {
        let code = match error {
            IntroductionError::InvalidClient => "invalid_client",
            IntroductionError::InvalidRedirectUri => "invalid_redirect_uri",
            IntroductionError::InvalidScope(_) => "invalid_scope",
        };
        Self::new(StatusCode::BAD_REQUEST, code, error)
    }
}

impl From<ShownError> for Error {
    fn from(error: ShownError) -> Self {
        let code = match error {
            ShownError::InvalidClient | ShownError::NoClient => "invalid_client",
            ShownError::InvalidRedirectUri(_) => "invalid_redirect_uri",
            ShownError::InvalidRequest(_) => "invalid_request",
            ShownError::InvalidRequestUri | ShownError::InvalidRequestObject(_) => error.code(),
        };
        Self::new(StatusCode::BAD_REQUEST, code, error)
    }
}

impl From<AuthorizationError> for Error {
    fn from(error: AuthorizationError) -> Self {
        Self::new(StatusCode::BAD_REQUEST, error.code(), error)
    }
}
