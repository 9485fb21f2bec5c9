//! Step-up: the caller proves anew who they are. Not part of the contract; an operator may ask for it (ADR 11).

use axum::extract::State;
use tidegate_domain::Permission;

use super::super::error::ErrorBody;
use super::super::responses::Envelope;
use super::super::{Answer, Bearer, JsonBody};
use super::requests::{StepUpBody, StepUpOtpBody, StepUpProof};
use super::responses::{OtpSentData, SteppedUpData};
use crate::wire::state::App;

/// Proves anew who the caller is, after an answer with `STEP_UP_REQUIRED`. The access token stays the same.
#[utoipa::path(post, path = "/auth/step-up", tag = "Authentication", request_body = StepUpBody,
    security(("bearer" = [])),
    responses(
        (status = 200, description = "Repeat the request that was refused", body = Envelope<SteppedUpData>),
        (status = 400, description = "INVALID_CURRENT_PASSWORD, INVALID_MFA_CODE, \
            MFA_REQUIRED: a password alone does not suffice", body = ErrorBody),
        (status = 401, description = "UNAUTHORIZED", body = ErrorBody),
        (status = 403, description = "EMAIL_NOT_VERIFIED, PERMISSION_DENIED", body = ErrorBody),
        (status = 422, description = "VALIDATION_ERROR", body = ErrorBody),
        (status = 429, description = "TOO_MANY_ATTEMPTS, RATE_LIMITED", body = ErrorBody),
    ))]
pub(in super::super) async fn step_up(
    bearer: Bearer,
    State(app): State<App>,
    body: JsonBody<StepUpBody>,
) -> Answer {
    let (actor, call) = bearer.permitted(Permission::StepUp)?;
    let authenticated = match body.0.read()? {
        StepUpProof::Password(password) => {
            app.identity().step_up_with_password(&call, &actor, password).await?
        }
        StepUpProof::Factor(presented, kind) => {
            app.identity().step_up_with_factor(&call, &actor, &presented, kind).await?.0
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
    body: JsonBody<StepUpOtpBody>,
) -> Answer {
    let (actor, call) = bearer.permitted(Permission::StepUp)?;
    app.identity().send_step_up_code(&call, &actor, body.0.read()?).await?;
    Ok(OtpSentData::respond())
}
