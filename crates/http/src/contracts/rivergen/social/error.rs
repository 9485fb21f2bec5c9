//! What can go wrong with another identity provider, in the contract's codes.

use axum::http::StatusCode;
use tidegate_identity::social::error::SocialError;
use tidegate_kernel::Refused;

use super::super::error::Error;
use crate::wire::fields::Violations;
use crate::wire::rejection::Rejection;

/// Seconds a client waits before it asks a provider again that did not answer.
const RETRY_AFTER: u64 = 5;

/// The error of an endpoint that calls whatever fails with the provider `code`.
pub(super) fn failed(code: &'static str, refused: Refused<SocialError>) -> Error {
    let error = match refused {
        Refused::Rule(error) => error,
        Refused::Fault(fault) => return Rejection::from(fault).into(),
    };
    let code = match &error {
        SocialError::UnknownProvider => "INVALID_PROVIDER",
        SocialError::MissingCode => "MISSING_AUTHORIZATION_CODE",
        SocialError::PageNotAllowed => {
            return Violations::of("redirect_uri", "is not one that is allowed").into();
        }
        _ => code,
    };
    let reason = error.reason();
    Error::new(StatusCode::BAD_REQUEST, code, error).because("provider", reason)
}

/// The error of the endpoint that begins: it has a code for unknown providers only.
pub(super) fn not_begun(refused: Refused<SocialError>) -> Error {
    match refused {
        Refused::Rule(SocialError::ProviderUnavailable | SocialError::ProviderFailed) => {
            let reason = "The provider does not answer; try again, or sign in in another way.";
            Rejection::Unavailable { retry_after: RETRY_AFTER, reason }.into()
        }
        refused => failed("INVALID_PROVIDER", refused),
    }
}
