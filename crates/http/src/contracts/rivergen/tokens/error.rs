//! What can go wrong with tokens, in the contract's codes: small letters in this part of it.

use axum::http::StatusCode;
use tidegate_identity::NoAccess;
use tidegate_identity::access_tokens::change::AccessTokenError;
use tidegate_identity::access_tokens::revoke::RevokeOrganizationTokenError;
use tidegate_kernel::{Fault, Refused};

use super::super::error::Error;

impl From<NoAccess> for Error {
    fn from(error: NoAccess) -> Self {
        Self::new(StatusCode::FORBIDDEN, "organization_access_denied", error)
    }
}

impl From<AccessTokenError> for Error {
    fn from(error: AccessTokenError) -> Self {
        let AccessTokenError::NotFound = error;
        Self::new(StatusCode::NOT_FOUND, "token_not_found", error)
    }
}

impl From<RevokeOrganizationTokenError> for Error {
    fn from(error: RevokeOrganizationTokenError) -> Self {
        match error {
            RevokeOrganizationTokenError::NoAccess(no_access) => no_access.into(),
            RevokeOrganizationTokenError::NotFound => AccessTokenError::NotFound.into(),
        }
    }
}

/// A token that was not made, for a reason that is no mistake in the request.
pub(super) fn not_made(refused: Refused<NoAccess>) -> Error {
    match refused {
        Refused::Fault(Fault::QuotaExceeded(exceeded)) => {
            Error::new(StatusCode::BAD_REQUEST, "token_creation_failed", exceeded)
        }
        other => other.into(),
    }
}
