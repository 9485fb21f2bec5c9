//! Step-up: the caller proves anew who they are. Not part of the contract; an operator may ask for it (ADR 11).

use axum::extract::State;
use tidegate_domain::Permission;

use super::super::error::ErrorBody;
use super::super::responses::Envelope;
use super::super::webauthn::RequestOptions;
use super::super::{Answer, Bearer, LiberalBody, UnusedBody};
use super::requests::{StepUpBody, StepUpOtpBody, StepUpProof};
use super::responses::{OtpSentData, SteppedUpData};
use crate::wire::state::App;

/// Proves anew who the caller is, after an answer with `STEP_UP_REQUIRED`. The access token stays the same.
#[utoipa::path(post, path = "/auth/step-up", tag = "Authentication", request_body = StepUpBody,
    security(("bearer" = [])),
    responses(
        (status = 200, description = "Repeat the request that was refused", body = Envelope<SteppedUpData>),
        (status = 400, description = "INVALID_CURRENT_PASSWORD, INVALID_MFA_CODE, \
            MFA_REQUIRED: a password alone does not suffice; INVALID_ASSERTION", body = ErrorBody),
        (status = 401, description = "UNAUTHORIZED", body = ErrorBody),
        (status = 403, description = "EMAIL_NOT_VERIFIED, PERMISSION_DENIED", body = ErrorBody),
        (status = 404, description = "CHALLENGE_NOT_FOUND: of a passkey, unknown, used, expired, or another session's", body = ErrorBody),
        (status = 422, description = "VALIDATION_ERROR", body = ErrorBody),
        (status = 429, description = "TOO_MANY_ATTEMPTS, RATE_LIMITED", body = ErrorBody),
    ))]
pub(in super::super) async fn step_up(
    bearer: Bearer,
    State(app): State<App>,
    body: LiberalBody<StepUpBody>,
) -> Answer {
    let (actor, call) = bearer.permitted(Permission::StepUp)?;
    let authenticated = match body.0.read()? {
        StepUpProof::Password(password) => {
            app.identity().step_up_with_password(&call, &actor, password).await?
        }
        StepUpProof::Factor(presented, kind) => {
            app.identity().step_up_with_factor(&call, &actor, &presented, kind).await?.0
        }
        StepUpProof::Passkey(response) => {
            app.identity().step_up_with_passkey(&call, &actor, &response).await?
        }
    };
    Ok(SteppedUpData::respond(authenticated))
}

/// Sends the code of a second factor for it.
#[utoipa::path(post, path = "/auth/step-up/otp", tag = "Authentication", request_body = StepUpOtpBody,
    security(("bearer" = [])),
    responses(
        (status = 200, description = "Sent", body = Envelope<OtpSentData>),
        (status = 400, description = "INVALID_REQUEST: the method is not enabled", body = ErrorBody),
        (status = 401, description = "UNAUTHORIZED", body = ErrorBody),
        (status = 403, description = "EMAIL_NOT_VERIFIED, PERMISSION_DENIED", body = ErrorBody),
        (status = 422, description = "VALIDATION_ERROR", body = ErrorBody),
    ))]
pub(in super::super) async fn send_step_up_code(
    bearer: Bearer,
    State(app): State<App>,
    body: LiberalBody<StepUpOtpBody>,
) -> Answer {
    let (actor, call) = bearer.permitted(Permission::StepUp)?;
    app.identity().send_step_up_code(&call, &actor, body.0.read()?).await?;
    Ok(OtpSentData::respond())
}

/// Gives the challenge that a passkey answers for it. Another one that was given before ends.
#[utoipa::path(post, path = "/auth/step-up/passkey", operation_id = "start_passkey_step_up", tag = "Authentication",
    security(("bearer" = [])),
    responses(
        (status = 200, description = "The options for the client, whose challenge is for this session", body = Envelope<RequestOptions>),
        (status = 400, description = "INVALID_REQUEST: the account has no passkey that could be used here", body = ErrorBody),
        (status = 401, description = "UNAUTHORIZED", body = ErrorBody),
        (status = 403, description = "EMAIL_NOT_VERIFIED, PERMISSION_DENIED", body = ErrorBody),
    ))]
pub(in super::super) async fn start_passkey_step_up(
    bearer: Bearer,
    State(app): State<App>,
    _body: UnusedBody,
) -> Answer {
    let (actor, call) = bearer.permitted(Permission::StepUp)?;
    let request = app.identity().start_passkey_step_up(&call, &actor).await?;
    Ok(RequestOptions::respond(&request))
}
