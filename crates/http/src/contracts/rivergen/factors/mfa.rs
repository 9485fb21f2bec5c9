//! Second factors: set up, verified, listed, removed.

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use tidegate_domain::Permission;
use tidegate_domain::factor::FactorKind;
use tidegate_identity::credentials::factor_code::set_up::SetUpCodesError;
use tidegate_identity::credentials::factors::present::Presented;
use tidegate_identity::credentials::step_up::StepUpError;
use tidegate_kernel::Refused;

use super::super::error::{Error, ErrorBody};
use super::super::responses::{Envelope, envelope};
use super::super::{Answer, Bearer, JsonBody, LiberalBody, UnusedBody};
use super::requests::{BackupCodeBody, CodeBody, TotpSetUpBody, TotpVerifyBody};
use super::responses::{
    BackupCodeCountData, BackupCodeVerifiedData, BackupCodesData, FactorVerifiedData, MfaStatusData,
    OtpSentData, RemovedData, TotpDevicesData, TotpSetUpData,
};
use crate::wire::fields::Violations;
use crate::wire::qr;
use crate::wire::rejection::Rejection;
use crate::wire::state::App;

/// Makes the seed of an authenticator app. It counts once a code of the app was verified.
#[utoipa::path(post, path = "/mfa/totp/setup", tag = "MFA", request_body = TotpSetUpBody,
    security(("bearer" = [])),
    responses(
        (status = 200, description = "To be verified within 10 minutes", body = Envelope<TotpSetUpData>),
        (status = 400, description = "VALIDATION_ERROR", body = ErrorBody),
        (status = 401, description = "UNAUTHORIZED", body = ErrorBody),
        (status = 403, description = "EMAIL_NOT_VERIFIED, PERMISSION_DENIED, STEP_UP_REQUIRED", body = ErrorBody),
        (status = 409, description = "TOTP_ALREADY_ENABLED: a verified app has that name", body = ErrorBody),
    ))]
pub(in super::super) async fn set_up_totp(
    bearer: Bearer,
    State(app): State<App>,
    body: Result<JsonBody<TotpSetUpBody>, Error>,
) -> Answer {
    let (actor, call) = bearer.permitted(Permission::ManageOwnFactors)?;
    let name =
        body.and_then(|body| body.0.read().map_err(Error::from)).map_err(Error::validation_as_bad_request)?;
    let set_up = app.identity().set_up_totp(&call, &actor, name).await?;
    let Some(picture) = qr::data_uri(set_up.uri.expose()) else {
        tracing::error!("a set-up does not fit into a QR code");
        return Err(Rejection::Internal.into());
    };
    Ok(envelope(StatusCode::OK, TotpSetUpData::new(&set_up, picture), "Scan the code, then verify."))
}

/// Verifies an authenticator app with one of its codes.
#[utoipa::path(post, path = "/mfa/totp/verify", tag = "MFA", request_body = TotpVerifyBody,
    security(("bearer" = [])),
    responses(
        (status = 200, description = "Verified", body = Envelope<FactorVerifiedData>),
        (status = 400, description = "INVALID_CODE, NO_PENDING_SETUP", body = ErrorBody),
        (status = 401, description = "UNAUTHORIZED", body = ErrorBody),
        (status = 403, description = "EMAIL_NOT_VERIFIED, PERMISSION_DENIED", body = ErrorBody),
        (status = 422, description = "VALIDATION_ERROR", body = ErrorBody),
        (status = 429, description = "TOO_MANY_ATTEMPTS", body = ErrorBody),
    ))]
pub(in super::super) async fn verify_totp(
    bearer: Bearer,
    State(app): State<App>,
    body: JsonBody<TotpVerifyBody>,
) -> Answer {
    let (actor, call) = bearer.permitted(Permission::ManageOwnFactors)?;
    let (code, name) = body.0.read()?;
    let codes = app.identity().confirm_totp(&call, &actor, &code, name.as_deref()).await?;
    Ok(FactorVerifiedData::respond(&codes))
}

/// The caller's authenticator apps.
#[utoipa::path(get, path = "/mfa/totp/devices", tag = "MFA", security(("bearer" = [])), responses(
    (status = 200, description = "Verified ones, the primary one first", body = Envelope<TotpDevicesData>),
    (status = 401, description = "UNAUTHORIZED", body = ErrorBody),
    (status = 403, description = "EMAIL_NOT_VERIFIED, PERMISSION_DENIED", body = ErrorBody),
    (status = 500, description = "DEVICE_LIST_ERROR", body = ErrorBody),
))]
pub(in super::super) async fn totp_devices(bearer: Bearer, State(app): State<App>) -> Answer {
    let status = app.identity().factor_status(&bearer.actor).await;
    let status =
        status.map_err(|fault| Error::from(Rejection::from(fault)).internal_as("DEVICE_LIST_ERROR"))?;
    Ok(envelope(StatusCode::OK, TotpDevicesData::from(&status), "Devices retrieved."))
}

/// Removes an authenticator app; with the last one, the backup codes too.
#[utoipa::path(delete, path = "/mfa/totp/devices/{device_id}", tag = "MFA", security(("bearer" = [])),
    params(("device_id" = i64, Path, description = "From the list")),
    responses(
        (status = 200, description = "Removed", body = Envelope<RemovedData>),
        (status = 401, description = "UNAUTHORIZED", body = ErrorBody),
        (status = 403, description = "EMAIL_NOT_VERIFIED, PERMISSION_DENIED, STEP_UP_REQUIRED", body = ErrorBody),
        (status = 404, description = "DEVICE_NOT_FOUND", body = ErrorBody),
        (status = 422, description = "VALIDATION_ERROR", body = ErrorBody),
        (status = 500, description = "DEVICE_REMOVE_ERROR", body = ErrorBody),
    ))]
pub(in super::super) async fn remove_totp_device(
    bearer: Bearer,
    State(app): State<App>,
    device_id: Result<Path<i64>, PathRejection>,
) -> Answer {
    let (actor, call) = bearer.permitted(Permission::ManageOwnFactors)?;
    let Path(number) = device_id.map_err(|_| Violations::of("device_id", "must be an integer"))?;
    app.identity().remove_totp_device(&call, &actor, number).await.map_err(|refused| match refused {
        Refused::Rule(error) => Error::from(error).coded("DEVICE_NOT_FOUND"),
        Refused::Fault(fault) => Error::from(Rejection::from(fault)).internal_as("DEVICE_REMOVE_ERROR"),
    })?;
    Ok(RemovedData::respond("Device removed."))
}

/// Sends a code to the primary address; once it came back, such codes are a second factor.
#[utoipa::path(post, path = "/mfa/email-otp/setup", tag = "MFA", security(("bearer" = [])), responses(
    (status = 200, description = "Sent", body = Envelope<OtpSentData>),
    (status = 400, description = "SETUP_FAILED: no verified address", body = ErrorBody),
    (status = 401, description = "UNAUTHORIZED", body = ErrorBody),
    (status = 403, description = "EMAIL_NOT_VERIFIED, PERMISSION_DENIED, STEP_UP_REQUIRED", body = ErrorBody),
    (status = 409, description = "EMAIL_OTP_ALREADY_ENABLED", body = ErrorBody),
    (status = 422, description = "VALIDATION_ERROR: a body that is not JSON", body = ErrorBody),
))]
pub(in super::super) async fn set_up_email_otp(
    bearer: Bearer,
    State(app): State<App>,
    _body: UnusedBody,
) -> Answer {
    set_up_codes(bearer, app, FactorKind::EmailOtp).await
}

/// Verifies that the codes arrive.
#[utoipa::path(post, path = "/mfa/email-otp/verify", tag = "MFA", request_body = CodeBody,
    security(("bearer" = [])),
    responses(
        (status = 200, description = "Verified", body = Envelope<FactorVerifiedData>),
        (status = 400, description = "INVALID_CODE, NO_PENDING_SETUP", body = ErrorBody),
        (status = 401, description = "UNAUTHORIZED", body = ErrorBody),
        (status = 403, description = "EMAIL_NOT_VERIFIED, PERMISSION_DENIED", body = ErrorBody),
        (status = 422, description = "VALIDATION_ERROR", body = ErrorBody),
        (status = 429, description = "TOO_MANY_ATTEMPTS", body = ErrorBody),
    ))]
pub(in super::super) async fn verify_email_otp(
    bearer: Bearer,
    State(app): State<App>,
    body: JsonBody<CodeBody>,
) -> Answer {
    verify_codes(bearer, app, FactorKind::EmailOtp, body).await
}

/// Sends a code to the verified phone; once it came back, such codes are a second factor. Not part of the contract.
#[utoipa::path(post, path = "/mfa/sms-otp/setup", tag = "MFA", security(("bearer" = [])), responses(
    (status = 200, description = "Sent", body = Envelope<OtpSentData>),
    (status = 400, description = "SETUP_FAILED: no verified phone", body = ErrorBody),
    (status = 401, description = "UNAUTHORIZED", body = ErrorBody),
    (status = 403, description = "EMAIL_NOT_VERIFIED, PERMISSION_DENIED, STEP_UP_REQUIRED", body = ErrorBody),
    (status = 409, description = "SMS_OTP_ALREADY_ENABLED", body = ErrorBody),
    (status = 422, description = "VALIDATION_ERROR: a body that is not JSON", body = ErrorBody),
))]
pub(in super::super) async fn set_up_sms_otp(
    bearer: Bearer,
    State(app): State<App>,
    _body: UnusedBody,
) -> Answer {
    set_up_codes(bearer, app, FactorKind::SmsOtp).await
}

/// Verifies that the codes arrive. Not part of the contract.
#[utoipa::path(post, path = "/mfa/sms-otp/verify", tag = "MFA", request_body = CodeBody,
    security(("bearer" = [])),
    responses(
        (status = 200, description = "Verified", body = Envelope<FactorVerifiedData>),
        (status = 400, description = "INVALID_CODE, NO_PENDING_SETUP", body = ErrorBody),
        (status = 401, description = "UNAUTHORIZED", body = ErrorBody),
        (status = 403, description = "EMAIL_NOT_VERIFIED, PERMISSION_DENIED", body = ErrorBody),
        (status = 422, description = "VALIDATION_ERROR", body = ErrorBody),
        (status = 429, description = "TOO_MANY_ATTEMPTS", body = ErrorBody),
    ))]
pub(in super::super) async fn verify_sms_otp(
    bearer: Bearer,
    State(app): State<App>,
    body: JsonBody<CodeBody>,
) -> Answer {
    verify_codes(bearer, app, FactorKind::SmsOtp, body).await
}

async fn set_up_codes(bearer: Bearer, app: App, kind: FactorKind) -> Answer {
    let (actor, call) = bearer.permitted(Permission::ManageOwnFactors)?;
    let sent = app.identity().set_up_codes(&call, &actor, kind).await;
    sent.map_err(|refused| match (refused, kind) {
        (Refused::Rule(error @ SetUpCodesError::AlreadyEnabled), FactorKind::SmsOtp) => {
            Error::from(error).coded("SMS_OTP_ALREADY_ENABLED")
        }
        (refused, _) => Error::from(refused),
    })?;
    Ok(OtpSentData::respond())
}

async fn verify_codes(bearer: Bearer, app: App, kind: FactorKind, body: JsonBody<CodeBody>) -> Answer {
    let (actor, call) = bearer.permitted(Permission::ManageOwnFactors)?;
    let codes = app.identity().confirm_codes(&call, &actor, kind, &body.0.read()?).await?;
    Ok(FactorVerifiedData::respond(&codes))
}

/// The caller's second factors.
#[utoipa::path(get, path = "/mfa/status", tag = "MFA", security(("bearer" = [])), responses(
    (status = 200, description = "The second factors", body = Envelope<MfaStatusData>),
    (status = 401, description = "UNAUTHORIZED", body = ErrorBody),
    (status = 403, description = "EMAIL_NOT_VERIFIED, PERMISSION_DENIED", body = ErrorBody),
))]
pub(in super::super) async fn status(bearer: Bearer, State(app): State<App>) -> Answer {
    let status = app.identity().factor_status(&bearer.actor).await.map_err(Rejection::from)?;
    Ok(envelope(StatusCode::OK, MfaStatusData::from(&status), "Status retrieved."))
}

/// Makes new backup codes in place of the earlier ones.
#[utoipa::path(post, path = "/mfa/backup-codes/generate", tag = "MFA", security(("bearer" = [])), responses(
    (status = 200, description = "Shown this once", body = Envelope<BackupCodesData>),
    (status = 400, description = "MFA_NOT_ENABLED", body = ErrorBody),
    (status = 401, description = "UNAUTHORIZED", body = ErrorBody),
    (status = 403, description = "EMAIL_NOT_VERIFIED, PERMISSION_DENIED, STEP_UP_REQUIRED", body = ErrorBody),
    (status = 422, description = "VALIDATION_ERROR: a body that is not JSON", body = ErrorBody),
))]
pub(in super::super) async fn generate_backup_codes(
    bearer: Bearer,
    State(app): State<App>,
    _body: UnusedBody,
) -> Answer {
    let (actor, call) = bearer.permitted(Permission::ManageOwnFactors)?;
    Ok(BackupCodesData::respond(&app.identity().renew_recovery_codes(&call, &actor).await?))
}

/// How many backup codes are left; never the codes.
#[utoipa::path(get, path = "/mfa/backup-codes", tag = "MFA", security(("bearer" = [])), responses(
    (status = 200, description = "How many", body = Envelope<BackupCodeCountData>),
    (status = 401, description = "UNAUTHORIZED", body = ErrorBody),
    (status = 403, description = "EMAIL_NOT_VERIFIED, PERMISSION_DENIED", body = ErrorBody),
))]
pub(in super::super) async fn backup_codes(bearer: Bearer, State(app): State<App>) -> Answer {
    let status = app.identity().factor_status(&bearer.actor).await.map_err(Rejection::from)?;
    Ok(envelope(StatusCode::OK, BackupCodeCountData::from(&status), "Backup codes counted."))
}

/// Proves anew who the caller is, with a backup code, which is used up.
#[utoipa::path(post, path = "/mfa/backup-codes/verify", tag = "MFA", request_body = BackupCodeBody,
    security(("bearer" = [])),
    responses(
        (status = 200, description = "Used up", body = Envelope<BackupCodeVerifiedData>),
        (status = 400, description = "INVALID_BACKUP_CODE", body = ErrorBody),
        (status = 401, description = "UNAUTHORIZED", body = ErrorBody),
        (status = 403, description = "EMAIL_NOT_VERIFIED, PERMISSION_DENIED", body = ErrorBody),
        (status = 422, description = "VALIDATION_ERROR", body = ErrorBody),
        (status = 429, description = "TOO_MANY_ATTEMPTS", body = ErrorBody),
    ))]
pub(in super::super) async fn verify_backup_code(
    bearer: Bearer,
    State(app): State<App>,
    body: LiberalBody<BackupCodeBody>,
) -> Answer {
    let (actor, call) = bearer.permitted(Permission::StepUp)?;
    let presented = Presented::Recovery(body.0.read()?);
    let shown = app.identity().step_up_with_factor(&call, &actor, &presented, FactorKind::Totp).await;
    match shown {
        Ok((_, remaining)) => Ok(verified(remaining.unwrap_or_default())),
        Err(Refused::Rule(error @ StepUpError::WrongCode)) => {
            Err(Error::from(error).coded("INVALID_BACKUP_CODE"))
        }
        Err(refused) => Err(refused.into()),
    }
}

fn verified(remaining: usize) -> Response {
    let message = "Backup code accepted.";
    let data = BackupCodeVerifiedData { success: true, remaining, message: message.to_owned() };
    envelope(StatusCode::OK, data, message)
}
