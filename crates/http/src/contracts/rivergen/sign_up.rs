//! Sign-up and the verification of its address.

use axum::extract::State;
use axum::http::StatusCode;
use tidegate_identity::sign_in::sign_up::SignedUp;

use super::error::ErrorBody;
use super::requests::{ResendBody, SignUpBody, VerifyEmailBody, VerifyOtpBody};
use super::responses::{Envelope, ResentData, SignUpData, VerifiedData, envelope, name};
use super::{Answer, Caller, Error, LiberalBody};
use crate::wire::rejection::Rejection;
use crate::wire::state::App;

/// Makes an account with its personal organization and mails a code.
#[utoipa::path(post, path = "/auth/signup", tag = "Authentication", request_body = SignUpBody, responses(
    (status = 201, description = "Made; verify the address to sign in", body = Envelope<SignUpData>),
    (status = 400, description = "VALIDATION_ERROR", body = ErrorBody),
    (status = 409, description = "EMAIL_TAKEN, IDEMPOTENCY_CONFLICT", body = ErrorBody),
    (status = 422, description = "INVALID_PASSWORD", body = ErrorBody),
))]
pub(super) async fn sign_up(
    caller: Caller,
    State(app): State<App>,
    body: Result<LiberalBody<SignUpBody>, Error>,
) -> Answer {
    let claim =
        body.and_then(|body| body.0.read().map_err(Error::from)).map_err(Error::validation_as_bad_request)?;
    let SignedUp::VerificationRequired(pending) = app.identity().sign_up(&caller, claim).await? else {
        tracing::error!("[rivergen] verified_email_required is off, which this contract has no answer for");
        return Err(Rejection::Internal.into());
    };
    let message = "Account created. Check your e-mail for a verification code.";
    let data = SignUpData {
        user_id: pending.account_number,
        email: pending.email.to_string(),
        display_name: name(&pending.display_name),
        temporary_token: pending.temporary_token,
        email_verification_required: true,
        message: message.to_owned(),
    };
    Ok(envelope(StatusCode::CREATED, data, message))
}

/// Verifies an address with the token of the mailed link, and signs in.
#[utoipa::path(post, path = "/auth/verify-email", tag = "Authentication", request_body = VerifyEmailBody, responses(
    (status = 200, description = "Verified and signed in", body = Envelope<VerifiedData>),
    (status = 400, description = "INVALID_TOKEN", body = ErrorBody),
    (status = 410, description = "TOKEN_EXPIRED", body = ErrorBody),
    (status = 422, description = "VALIDATION_ERROR", body = ErrorBody),
))]
pub(super) async fn verify_email(
    caller: Caller,
    State(app): State<App>,
    body: LiberalBody<VerifyEmailBody>,
) -> Answer {
    let (token, temporary) = body.0.read()?;
    Ok(VerifiedData::respond(&app.identity().confirm_link(&caller, &token, temporary.as_ref()).await?))
}

/// Verifies an address with the mailed code, and signs in.
#[utoipa::path(post, path = "/auth/verify-otp", tag = "Authentication", request_body = VerifyOtpBody, responses(
    (status = 200, description = "Verified and signed in", body = Envelope<VerifiedData>),
    (status = 400, description = "INVALID_OTP", body = ErrorBody),
    (status = 401, description = "INVALID_TOKEN", body = ErrorBody),
    (status = 410, description = "OTP_EXPIRED", body = ErrorBody),
    (status = 422, description = "VALIDATION_ERROR", body = ErrorBody),
    (status = 429, description = "TOO_MANY_ATTEMPTS", body = ErrorBody),
))]
pub(super) async fn verify_otp(
    caller: Caller,
    State(app): State<App>,
    body: LiberalBody<VerifyOtpBody>,
) -> Answer {
    let claim = body.0.read()?;
    Ok(VerifiedData::respond(&app.identity().confirm_code(&caller, claim).await?))
}

/// Mails a new code and withdraws the old one.
#[utoipa::path(post, path = "/auth/resend-signup-otp", tag = "Authentication", request_body = ResendBody, responses(
    (status = 200, description = "Sent", body = Envelope<ResentData>),
    (status = 400, description = "VALIDATION_ERROR: the address is not the token's", body = ErrorBody),
    (status = 401, description = "INVALID_TOKEN", body = ErrorBody),
    (status = 409, description = "EMAIL_ALREADY_VERIFIED", body = ErrorBody),
    (status = 422, description = "VALIDATION_ERROR", body = ErrorBody),
))]
pub(super) async fn resend_signup_otp(
    caller: Caller,
    State(app): State<App>,
    body: LiberalBody<ResendBody>,
) -> Answer {
    let (email, token) = body.0.read()?;
    let token = app.identity().resend_code(&caller, &email, &token).await?;
    let message = "A new verification code was sent.";
    let data = ResentData { temporary_token: token.expose().to_owned(), message: message.to_owned() };
    Ok(envelope(StatusCode::OK, data, message))
}
