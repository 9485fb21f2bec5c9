//! What can go wrong with second factors and devices, in the contract's codes.

use axum::http::StatusCode;
use tidegate_identity::credentials::factor_code::set_up::SetUpCodesError;
use tidegate_identity::credentials::factors::confirmed::ConfirmFactorError;
use tidegate_identity::credentials::factors::remove::RemoveFactorError;
use tidegate_identity::credentials::recovery_code::renew::RenewCodesError;
use tidegate_identity::credentials::step_up::StepUpError;
use tidegate_identity::credentials::totp::set_up::SetUpTotpError;
use tidegate_identity::credentials::trusted_device::activate::ActivateDeviceError;
use tidegate_identity::credentials::trusted_device::list::RevokeDeviceError;
use tidegate_identity::sign_in::second_factor::{ChooseFactorError, ShowFactorError};

use super::super::error::Error;

const BAD_REQUEST: StatusCode = StatusCode::BAD_REQUEST;
const UNAUTHORIZED: StatusCode = StatusCode::UNAUTHORIZED;

/// A method that there is not.
pub(super) fn unknown_method() -> Error {
    Error::new(BAD_REQUEST, "INVALID_REQUEST", "method must be totp, email_otp or sms_otp")
}

impl From<ChooseFactorError> for Error {
    fn from(error: ChooseFactorError) -> Self {
        let (status, code) = match error {
            ChooseFactorError::InvalidToken => (UNAUTHORIZED, "INVALID_TEMPORARY_TOKEN"),
            ChooseFactorError::NotEnabled => (BAD_REQUEST, "INVALID_REQUEST"),
            ChooseFactorError::AccountNotFound => return Self::user_not_found(),
            ChooseFactorError::SignInGone => (StatusCode::NOT_FOUND, "SESSION_NOT_FOUND"),
        };
        Self::new(status, code, error)
    }
}

impl From<ShowFactorError> for Error {
    fn from(error: ShowFactorError) -> Self {
        let (status, code) = match error {
            ShowFactorError::InvalidToken => (UNAUTHORIZED, "INVALID_TOKEN"),
            ShowFactorError::WrongCode | ShowFactorError::UsedCode => (BAD_REQUEST, "INVALID_MFA_CODE"),
            ShowFactorError::AccountNotFound => return Self::user_not_found(),
            ShowFactorError::TooManyAttempts(exceeded) => return Self::too_many_attempts(exceeded, error),
        };
        Self::new(status, code, error)
    }
}

impl From<SetUpTotpError> for Error {
    fn from(error: SetUpTotpError) -> Self {
        let (status, code) = match error {
            SetUpTotpError::NameTaken => (StatusCode::CONFLICT, "TOTP_ALREADY_ENABLED"),
            SetUpTotpError::TooMany => (BAD_REQUEST, "VALIDATION_ERROR"),
        };
        Self::new(status, code, error)
    }
}

impl From<SetUpCodesError> for Error {
    fn from(error: SetUpCodesError) -> Self {
        let (status, code) = match error {
            SetUpCodesError::NoRecipient => (BAD_REQUEST, "SETUP_FAILED"),
            SetUpCodesError::AlreadyEnabled => (StatusCode::CONFLICT, "EMAIL_OTP_ALREADY_ENABLED"),
        };
        Self::new(status, code, error)
    }
}

impl From<ConfirmFactorError> for Error {
    fn from(error: ConfirmFactorError) -> Self {
        let code = match error {
            ConfirmFactorError::WrongCode => "INVALID_CODE",
            ConfirmFactorError::NotPending => "NO_PENDING_SETUP",
            ConfirmFactorError::TooManyAttempts(exceeded) => return Self::too_many_attempts(exceeded, error),
        };
        Self::new(BAD_REQUEST, code, error)
    }
}

impl From<RemoveFactorError> for Error {
    fn from(error: RemoveFactorError) -> Self {
        let RemoveFactorError::NotFound = error;
        Self::new(StatusCode::NOT_FOUND, "MFA_METHOD_NOT_FOUND", error)
    }
}

impl From<RenewCodesError> for Error {
    fn from(error: RenewCodesError) -> Self {
        let RenewCodesError::NotEnabled = error;
        Self::new(BAD_REQUEST, "MFA_NOT_ENABLED", error)
    }
}

impl From<StepUpError> for Error {
    fn from(error: StepUpError) -> Self {
        let code = match error {
            StepUpError::ChallengeNotFound => {
                return Self::new(StatusCode::NOT_FOUND, "CHALLENGE_NOT_FOUND", error);
            }
            StepUpError::WrongPasskey => "INVALID_ASSERTION",
            StepUpError::WrongPassword => "INVALID_CURRENT_PASSWORD",
            StepUpError::WrongCode => "INVALID_MFA_CODE",
            StepUpError::FactorRequired => "MFA_REQUIRED",
            StepUpError::NotEnabled | StepUpError::NoPasskey => "INVALID_REQUEST",
            StepUpError::TooManyAttempts(exceeded) => return Self::too_many_attempts(exceeded, error),
        };
        Self::new(BAD_REQUEST, code, error)
    }
}

impl From<ActivateDeviceError> for Error {
    fn from(error: ActivateDeviceError) -> Self {
        let (status, code) = match error {
            ActivateDeviceError::InvalidToken => (BAD_REQUEST, "INVALID_ACTIVATION_TOKEN"),
            ActivateDeviceError::Expired => (StatusCode::GONE, "ACTIVATION_TOKEN_EXPIRED"),
        };
        Self::new(status, code, error)
    }
}

impl From<RevokeDeviceError> for Error {
    fn from(error: RevokeDeviceError) -> Self {
        let RevokeDeviceError::NotFound = error;
        Self::new(StatusCode::NOT_FOUND, "DEVICE_NOT_FOUND", error)
    }
}
