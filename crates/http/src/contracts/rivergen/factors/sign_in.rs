//! The second half of a sign-in.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use tidegate_domain::Permission;
use tidegate_domain::factor::DeviceData;

use super::super::error::{Error, ErrorBody};
use super::super::responses::{Envelope, envelope};
use super::super::{Answer, Bearer, Caller, JsonBody, LiberalBody};
use super::requests::{DeactivateBody, GenerateOtpBody, VerifyMfaBody};
use super::responses::{DeactivatedData, MfaAnswerData, OtpGeneratedData};
use crate::wire::state::App;

/// The header in which a client sends what it collected about itself.
const DEVICE_HEADER: &str = "x-device-fingerprint";

/// What the client sent of itself; nothing where the header is absent or cannot be read.
pub(in super::super) fn device_data(headers: &HeaderMap) -> DeviceData {
    headers.get(DEVICE_HEADER).map(|value| DeviceData::from_header(value.as_bytes())).unwrap_or_default()
}

/// Chooses how the second factor will be shown; sends a code by e-mail or text message where that is the method.
#[utoipa::path(post, path = "/auth/mfa/otp/generate", tag = "Authentication", request_body = GenerateOtpBody,
    responses(
        (status = 200, description = "Go on with the new temporary token", body = Envelope<OtpGeneratedData>),
        (status = 400, description = "INVALID_REQUEST: the method is unknown or not enabled", body = ErrorBody),
        (status = 401, description = "INVALID_TEMPORARY_TOKEN, USER_NOT_FOUND", body = ErrorBody),
        (status = 404, description = "SESSION_NOT_FOUND: the account belongs to no organization any more", body = ErrorBody),
        (status = 422, description = "VALIDATION_ERROR", body = ErrorBody),
    ))]
pub(in super::super) async fn generate_otp(
    caller: Caller,
    State(app): State<App>,
    body: LiberalBody<GenerateOtpBody>,
) -> Answer {
    let token = app.identity().choose_factor(&caller, body.0.read()?).await?;
    let message = "Send the code with this temporary token.";
    let data = OtpGeneratedData { temporary_token: token.expose().to_owned(), message: message.to_owned() };
    Ok(envelope(StatusCode::OK, data, message))
}

/// Shows the second factor, and signs in.
#[utoipa::path(post, path = "/auth/mfa/verify", tag = "Authentication", request_body = VerifyMfaBody,
    params(("x-device-fingerprint" = Option<String>, Header, description = "JSON text with data the client collected")),
    responses(
        (status = 200, description = "Signed in, or the second factor comes next: after a code that connects a provider", body = Envelope<MfaAnswerData>),
        (status = 400, description = "INVALID_MFA_CODE", body = ErrorBody),
        (status = 401, description = "INVALID_TOKEN, USER_NOT_FOUND", body = ErrorBody),
        (status = 422, description = "VALIDATION_ERROR", body = ErrorBody),
        (status = 429, description = "TOO_MANY_ATTEMPTS", body = ErrorBody),
    ))]
pub(in super::super) async fn verify_mfa(
    caller: Caller,
    State(app): State<App>,
    headers: HeaderMap,
    body: LiberalBody<VerifyMfaBody>,
) -> Answer {
    let claim = body.0.read(device_data(&headers))?;
    Ok(MfaAnswerData::respond(&app.identity().show_factor(&caller, claim).await?))
}

/// Removes all factors of a method, or all there are.
#[utoipa::path(post, path = "/auth/mfa/deactivate", tag = "Authentication", request_body = DeactivateBody,
    security(("bearer" = [])),
    responses(
        (status = 200, description = "Removed", body = Envelope<DeactivatedData>),
        (status = 400, description = "VALIDATION_ERROR", body = ErrorBody),
        (status = 401, description = "UNAUTHORIZED", body = ErrorBody),
        (status = 403, description = "EMAIL_NOT_VERIFIED, PERMISSION_DENIED, STEP_UP_REQUIRED", body = ErrorBody),
        (status = 404, description = "MFA_METHOD_NOT_FOUND", body = ErrorBody),
    ))]
pub(in super::super) async fn deactivate(
    bearer: Bearer,
    State(app): State<App>,
    body: Result<JsonBody<DeactivateBody>, Error>,
) -> Answer {
    let (actor, call) = bearer.permitted(Permission::ManageOwnFactors)?;
    let kind =
        body.and_then(|body| body.0.read().map_err(Error::from)).map_err(Error::validation_as_bad_request)?;
    Ok(DeactivatedData::respond(&app.identity().deactivate_factors(&call, &actor, kind).await?))
}
