//! Errors with the contract's codes (sections 1.3 and 3 of the contract).

use std::borrow::Cow;

use axum::Json;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tidegate_domain::Timestamp;
use tidegate_domain::limit::Exceeded;
use tidegate_identity::accounts::confirm_email_change::ConfirmEmailChangeError;
use tidegate_identity::accounts::request_email_change::RequestEmailChangeError;
use tidegate_identity::accounts::update_profile::UpdateProfileError;
use tidegate_identity::credentials::change_password::ChangePasswordError;
use tidegate_identity::recovery::reset_password::ResetPasswordError;
use tidegate_identity::sessions::end_session::EndSessionError;
use tidegate_identity::sessions::refresh::RefreshError;
use tidegate_identity::sessions::sign_out::SignOutError;
use tidegate_identity::sign_in::confirm_code::ConfirmCodeError;
use tidegate_identity::sign_in::confirm_link::ConfirmLinkError;
use tidegate_identity::sign_in::login::SignInError;
use tidegate_identity::sign_in::resend_code::ResendError;
use tidegate_identity::sign_in::sign_up::SignUpError;
use utoipa::ToSchema;

use crate::contracts::common_error::{VALIDATION_ERROR, common_answer, sentence, stopped};
use crate::wire::contract::{ContractError, contract_error};
use crate::wire::fields::Violations;
use crate::wire::rejection::{Rejection, limit_headers};

/// An error of this contract.
#[derive(Clone, Debug)]
pub(crate) struct Error {
    status: StatusCode,
    code: &'static str,
    message: String,
    details: Option<Details>,
    headers: Box<HeaderMap>,
}

/// The error envelope.
#[derive(Serialize, ToSchema)]
pub(crate) struct ErrorBody {
    /// Always `false`.
    success: bool,
    /// The error.
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
    /// The first field at fault, if one is.
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<Details>,
    /// When, ISO 8601 UTC.
    timestamp: String,
}

/// A field at fault.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Details {
    #[schema(value_type = String)]
    field: Cow<'static, str>,
    reason: String,
}

impl ContractError for Error {
    fn code(&self) -> &str {
        self.code
    }

    fn render(&self, now: Timestamp) -> Response {
        let error = ErrorObject {
            code: self.code,
            message: self.message.clone(),
            details: self.details.clone(),
            timestamp: now.iso_seconds(),
        };
        let mut response = (self.status, Json(ErrorBody { success: false, error })).into_response();
        response.headers_mut().extend(self.headers.as_ref().clone());
        response
    }
}

impl Error {
    pub(super) fn new(status: StatusCode, code: &'static str, message: impl ToString) -> Self {
        Self { status, code, message: sentence(&message.to_string()), details: None, headers: Box::default() }
    }

    /// Sign-up answers 400 where everything else answers 422 (seed; contradiction C2).
    pub(crate) fn validation_as_bad_request(mut self) -> Self {
        if self.code == VALIDATION_ERROR {
            self.status = StatusCode::BAD_REQUEST;
        }
        self
    }

    /// Endpoints that list a code of their own for a failure that is not the client's.
    pub(crate) fn internal_as(mut self, code: &'static str) -> Self {
        if self.status == StatusCode::INTERNAL_SERVER_ERROR {
            self.code = code;
        }
        self
    }

    /// The same error with a reason that clients can branch on.
    pub(super) fn because(mut self, field: &'static str, reason: &'static str) -> Self {
        self.details = Some(Details { field: field.into(), reason: reason.to_owned() });
        self
    }

    /// The same error under the code that one endpoint has for it.
    pub(super) fn coded(mut self, code: &'static str) -> Self {
        self.code = code;
        self
    }

    /// The same error with another status.
    pub(super) fn answered(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    /// The same error with a time to wait.
    pub(super) fn retry_after(mut self, seconds: u64) -> Self {
        self.headers.insert(header::RETRY_AFTER, seconds.into());
        self
    }

    /// Too many wrong codes (contradiction C9).
    pub(super) fn too_many_attempts(exceeded: Exceeded, message: impl ToString) -> Self {
        let headers = Box::new(limit_headers(&exceeded));
        Self { headers, ..Self::new(StatusCode::TOO_MANY_REQUESTS, "TOO_MANY_ATTEMPTS", message) }
    }

    /// The account is gone, and with it the right to act for it.
    pub(crate) fn user_not_found() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "USER_NOT_FOUND", "the account no longer exists")
    }
}

impl From<Violations> for Error {
    fn from(violations: Violations) -> Self {
        let mut error = Self::new(StatusCode::UNPROCESSABLE_ENTITY, VALIDATION_ERROR, "");
        // A field's name is no word to begin with a capital.
        error.message = stopped(&violations.as_sent());
        error.details = violations
            .iter()
            .next()
            .map(|one| Details { field: one.field.clone(), reason: one.message.clone() });
        error
    }
}

impl From<Rejection> for Error {
    fn from(rejection: Rejection) -> Self {
        let headers = Box::new(rejection.headers());
        let own_code = match &rejection {
            Rejection::Forbidden(_) => Some("PERMISSION_DENIED"),
            Rejection::NotFound { .. } => Some("RESOURCE_NOT_FOUND"),
            _ => None,
        };
        let (status, code, message) = match rejection {
            Rejection::Invalid(violations) => return violations.into(),
            Rejection::EmailNotVerified => (
                StatusCode::FORBIDDEN,
                "EMAIL_NOT_VERIFIED",
                "the e-mail address is not verified: POST /api/v1/auth/login sends a code, and with the code POST /api/v1/auth/verify-otp \
                 answers a token that is taken here; tokens of other contracts are not"
                    .into(),
            ),
            Rejection::StepUpRequired => (
                StatusCode::FORBIDDEN,
                "STEP_UP_REQUIRED",
                "prove again who you are: POST /api/v1/auth/step-up, then repeat the request".into(),
            ),
            rejection => common_answer(&super::CONTRACT, rejection),
        };
        Self { headers, ..Self::new(status, own_code.unwrap_or(code), message) }
    }
}

contract_error!(super::Rivergen, Error);

impl From<SignUpError> for Error {
    fn from(error: SignUpError) -> Self {
        let (status, code) = match error {
            SignUpError::WeakPassword(_) => (StatusCode::UNPROCESSABLE_ENTITY, "INVALID_PASSWORD"),
            SignUpError::EmailTaken => (StatusCode::CONFLICT, "EMAIL_TAKEN"),
            SignUpError::IdempotencyConflict => (StatusCode::CONFLICT, "IDEMPOTENCY_CONFLICT"),
            SignUpError::Refused => (StatusCode::FORBIDDEN, "PERMISSION_DENIED"),
        };
        Self::new(status, code, error)
    }
}

impl From<ConfirmLinkError> for Error {
    fn from(error: ConfirmLinkError) -> Self {
        let (status, code) = match error {
            ConfirmLinkError::InvalidToken => (StatusCode::BAD_REQUEST, "INVALID_TOKEN"),
            ConfirmLinkError::Expired => (StatusCode::GONE, "TOKEN_EXPIRED"),
        };
        Self::new(status, code, error)
    }
}

impl From<ConfirmCodeError> for Error {
    fn from(error: ConfirmCodeError) -> Self {
        let (status, code) = match error {
            ConfirmCodeError::InvalidToken => (StatusCode::UNAUTHORIZED, "INVALID_TOKEN"),
            ConfirmCodeError::WrongCode => (StatusCode::BAD_REQUEST, "INVALID_OTP"),
            ConfirmCodeError::Expired => (StatusCode::GONE, "OTP_EXPIRED"),
            ConfirmCodeError::TooManyAttempts(exceeded) => return Self::too_many_attempts(exceeded, error),
        };
        Self::new(status, code, error)
    }
}

impl From<ResendError> for Error {
    fn from(error: ResendError) -> Self {
        let (status, code) = match error {
            ResendError::InvalidToken => (StatusCode::UNAUTHORIZED, "INVALID_TOKEN"),
            ResendError::OtherEmail => (StatusCode::BAD_REQUEST, VALIDATION_ERROR),
            ResendError::AlreadyVerified => (StatusCode::CONFLICT, "EMAIL_ALREADY_VERIFIED"),
        };
        Self::new(status, code, error)
    }
}

impl From<SignInError> for Error {
    fn from(error: SignInError) -> Self {
        let (status, code) = match error {
            SignInError::InvalidCredentials => (StatusCode::UNAUTHORIZED, "INVALID_CREDENTIALS"),
            SignInError::WorkspaceDenied => (StatusCode::FORBIDDEN, "PERMISSION_DENIED"),
            SignInError::CannotVerify | SignInError::NotVerified => {
                (StatusCode::FORBIDDEN, "EMAIL_NOT_VERIFIED")
            }
            SignInError::Binding(_) => (StatusCode::FORBIDDEN, "PERMISSION_DENIED"),
        };
        Self::new(status, code, error)
    }
}

impl From<RefreshError> for Error {
    fn from(error: RefreshError) -> Self {
        let code = match error {
            RefreshError::Invalid => "INVALID_REFRESH_TOKEN",
            RefreshError::Expired => "REFRESH_TOKEN_EXPIRED",
        };
        Self::new(StatusCode::UNAUTHORIZED, code, error)
    }
}

impl From<SignOutError> for Error {
    fn from(error: SignOutError) -> Self {
        let SignOutError::AlreadyEnded = error;
        Self::new(StatusCode::BAD_REQUEST, "LOGOUT_FAILED", error)
    }
}

impl From<ResetPasswordError> for Error {
    fn from(error: ResetPasswordError) -> Self {
        let (status, code) = match &error {
            ResetPasswordError::WeakPassword(weak) => {
                return Violations::of("new_password", weak.to_string()).into();
            }
            ResetPasswordError::InvalidToken => (StatusCode::BAD_REQUEST, "INVALID_TOKEN"),
            ResetPasswordError::AccountNotFound => (StatusCode::NOT_FOUND, "USER_NOT_FOUND"),
        };
        Self::new(status, code, error)
    }
}

impl From<ChangePasswordError> for Error {
    fn from(error: ChangePasswordError) -> Self {
        match &error {
            ChangePasswordError::WeakPassword(_) | ChangePasswordError::SamePassword => {
                Violations::of("new_password", error.to_string()).into()
            }
            ChangePasswordError::WrongPassword => {
                Self::new(StatusCode::BAD_REQUEST, "INVALID_CURRENT_PASSWORD", error)
            }
            ChangePasswordError::NoPassword => {
                Self::new(StatusCode::BAD_REQUEST, "CHANGE_PASSWORD_FAILED", error)
            }
            ChangePasswordError::AccountNotFound => Self::user_not_found(),
        }
    }
}

impl From<UpdateProfileError> for Error {
    fn from(error: UpdateProfileError) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "PROFILE_UPDATE_FAILED", error)
    }
}

impl From<RequestEmailChangeError> for Error {
    fn from(error: RequestEmailChangeError) -> Self {
        let code = match error {
            RequestEmailChangeError::SameEmail => "EMAIL_UPDATE_REQUEST_FAILED",
            RequestEmailChangeError::EmailTaken => "EMAIL_ALREADY_TAKEN",
        };
        Self::new(StatusCode::BAD_REQUEST, code, error)
    }
}

impl From<ConfirmEmailChangeError> for Error {
    fn from(error: ConfirmEmailChangeError) -> Self {
        let (status, code) = match error {
            ConfirmEmailChangeError::NotPending => (StatusCode::BAD_REQUEST, "EMAIL_UPDATE_VERIFY_FAILED"),
            ConfirmEmailChangeError::WrongCode => (StatusCode::BAD_REQUEST, "INVALID_OTP"),
            ConfirmEmailChangeError::Expired => (StatusCode::BAD_REQUEST, "OTP_EXPIRED"),
            ConfirmEmailChangeError::TooManyAttempts(exceeded) => {
                return Self::too_many_attempts(exceeded, error);
            }
        };
        Self::new(status, code, error)
    }
}

impl From<EndSessionError> for Error {
    fn from(error: EndSessionError) -> Self {
        let EndSessionError::NotFound = error;
        Self::new(StatusCode::NOT_FOUND, "SESSION_NOT_FOUND", error)
    }
}
