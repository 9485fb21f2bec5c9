//! What can go wrong with passkeys, in the contract's codes.

use axum::http::StatusCode;
use tidegate_identity::credentials::passkey::manage::RemovePasskeyError;
use tidegate_identity::credentials::passkey::register::{CompletePasskeyError, StartPasskeyError};
use tidegate_identity::sign_in::passkey_sign_in::{PasskeySignInError, StartPasskeySignInError};

use super::super::error::Error;

const BAD_REQUEST: StatusCode = StatusCode::BAD_REQUEST;
const UNAUTHORIZED: StatusCode = StatusCode::UNAUTHORIZED;
const NOT_FOUND: StatusCode = StatusCode::NOT_FOUND;

impl From<StartPasskeyError> for Error {
    fn from(error: StartPasskeyError) -> Self {
        Self::new(BAD_REQUEST, "REGISTRATION_START_FAILED", error)
    }
}

impl From<CompletePasskeyError> for Error {
    fn from(error: CompletePasskeyError) -> Self {
        let (status, code) = match &error {
            CompletePasskeyError::ChallengeNotFound => (NOT_FOUND, "CHALLENGE_NOT_FOUND"),
            CompletePasskeyError::Attestation | CompletePasskeyError::Authenticator => {
                (BAD_REQUEST, "INVALID_ATTESTATION")
            }
            CompletePasskeyError::NotSetUp(_)
            | CompletePasskeyError::OtherName
            | CompletePasskeyError::ClientData
            | CompletePasskeyError::AlreadyRegistered
            | CompletePasskeyError::TooMany => (BAD_REQUEST, "REGISTRATION_COMPLETION_FAILED"),
        };
        Self::new(status, code, error)
    }
}

impl From<StartPasskeySignInError> for Error {
    fn from(error: StartPasskeySignInError) -> Self {
        let (status, code) = match &error {
            StartPasskeySignInError::NotSetUp(_) => (BAD_REQUEST, "AUTHENTICATION_START_FAILED"),
            StartPasskeySignInError::UnknownAccount => (NOT_FOUND, "USER_NOT_FOUND"),
            StartPasskeySignInError::NoPasskeys => (NOT_FOUND, "NO_CREDENTIALS"),
        };
        Self::new(status, code, error)
    }
}

impl From<PasskeySignInError> for Error {
    fn from(error: PasskeySignInError) -> Self {
        let (status, code) = match &error {
            PasskeySignInError::NotSetUp(_) | PasskeySignInError::NotAdmitted => {
                (BAD_REQUEST, "AUTHENTICATION_COMPLETION_FAILED")
            }
            PasskeySignInError::ChallengeNotFound => (NOT_FOUND, "CHALLENGE_NOT_FOUND"),
            PasskeySignInError::UnknownAccount => (NOT_FOUND, "USER_NOT_FOUND"),
            PasskeySignInError::InvalidCredential => (UNAUTHORIZED, "INVALID_CREDENTIAL"),
            PasskeySignInError::InvalidAssertion => (UNAUTHORIZED, "INVALID_ASSERTION"),
        };
        Self::new(status, code, error)
    }
}

impl From<RemovePasskeyError> for Error {
    fn from(error: RemovePasskeyError) -> Self {
        let RemovePasskeyError::NotFound = error;
        Self::new(NOT_FOUND, "CREDENTIAL_NOT_FOUND", error)
    }
}
