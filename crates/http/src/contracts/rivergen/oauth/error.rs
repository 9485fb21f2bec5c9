//! Errors of applications and of the consent page.

use axum::http::StatusCode;
use tidegate_kernel::{Fault, Refused};
use tidegate_oauth::applications::ApplicationError;
use tidegate_oauth::authorize::introduce::IntroductionError;
use tidegate_oauth::authorize::{AuthorizationError, ShownError};

use super::super::error::Error;
use crate::wire::fields::Violations;
use crate::wire::rejection::Rejection;

/// The code of whoever is not an admin of the organization.
const DENIED: &str = "organization_access_denied";

impl From<ApplicationError> for Error {
    fn from(error: ApplicationError) -> Self {
        let (status, code) = match error {
            ApplicationError::OrganizationDenied => (StatusCode::FORBIDDEN, DENIED),
            ApplicationError::NotFound => (StatusCode::NOT_FOUND, "application_not_found"),
            ApplicationError::NameTaken => (StatusCode::BAD_REQUEST, "application_exists"),
            ApplicationError::NoSecret => (StatusCode::BAD_REQUEST, "application_has_no_secret"),
            ApplicationError::Rule(rule) => return Violations::of(rule.field(), rule.to_string()).into(),
        };
        Self::new(status, code, error)
    }
}

/// A refusal about an organization's applications: whoever may not manage them is no admin there, in the contract's words.
pub(super) fn about_organization(refused: Refused<ApplicationError>) -> Error {
    match refused {
        Refused::Rule(error) => error.into(),
        Refused::Fault(Fault::Forbidden) => denied(),
        Refused::Fault(fault) => Rejection::from(fault).into(),
    }
}

/// The caller is no admin.
pub(super) fn denied() -> Error {
    ApplicationError::OrganizationDenied.into()
}

impl From<IntroductionError> for Error {
    fn from(error: IntroductionError) -> Self {
        let code = match error {
            IntroductionError::InvalidClient => "invalid_client",
            IntroductionError::InvalidRedirectUri => "invalid_redirect_uri",
            IntroductionError::InvalidScope => "invalid_scope",
        };
        Self::new(StatusCode::BAD_REQUEST, code, error)
    }
}

impl From<ShownError> for Error {
    fn from(error: ShownError) -> Self {
        let code = match error {
            ShownError::InvalidClient => "invalid_client",
            ShownError::InvalidRedirectUri => "invalid_redirect_uri",
            ShownError::InvalidRequest(_) => "invalid_request",
        };
        Self::new(StatusCode::BAD_REQUEST, code, error)
    }
}

impl From<AuthorizationError> for Error {
    fn from(error: AuthorizationError) -> Self {
        Self::new(StatusCode::BAD_REQUEST, error.code(), error)
    }
}
