//! Registers a passkey.

use axum::extract::State;
use tidegate_domain::Permission;

use super::super::error::ErrorBody;
use super::super::responses::Envelope;
use super::super::{Answer, Bearer, JsonBody};
use super::requests::{CompleteRegistrationBody, StartRegistrationBody};
use super::responses::{CreationOptions, PasskeyAddedData};
use crate::wire::state::App;

/// Begins to register a passkey. Another registration that was begun before ends.
#[utoipa::path(post, path = "/webauthn/register/start", operation_id = "start_passkey_registration", tag = "WebAuthn", request_body = StartRegistrationBody,
    security(("bearer" = [])),
    responses(
        (status = 201, description = "The options for the client, whose challenge is for this session", body = Envelope<CreationOptions>),
        (status = 400, description = "REGISTRATION_START_FAILED: too many passkeys, no e-mail address, or passkeys are not set up", body = ErrorBody),
        (status = 401, description = "UNAUTHORIZED", body = ErrorBody),
        (status = 403, description = "EMAIL_NOT_VERIFIED, PERMISSION_DENIED, STEP_UP_REQUIRED", body = ErrorBody),
        (status = 422, description = "VALIDATION_ERROR", body = ErrorBody),
    ))]
pub(in super::super) async fn start(
    bearer: Bearer,
    State(app): State<App>,
    body: JsonBody<StartRegistrationBody>,
) -> Answer {
    let (actor, call) = bearer.permitted(Permission::ManageOwnFactors)?;
    let creation = app.identity().start_passkey(&call, &actor, body.0.read()?).await?;
    Ok(CreationOptions::respond(&creation))
}

/// Adds the passkey. The challenge is used up.
#[utoipa::path(post, path = "/webauthn/register/complete", operation_id = "complete_passkey_registration", tag = "WebAuthn", request_body = CompleteRegistrationBody,
    security(("bearer" = [])),
    responses(
        (status = 200, description = "Added", body = Envelope<PasskeyAddedData>),
        (status = 400, description = "REGISTRATION_COMPLETION_FAILED: for another origin, under another name, or registered already; \
            INVALID_ATTESTATION", body = ErrorBody),
        (status = 401, description = "UNAUTHORIZED", body = ErrorBody),
        (status = 403, description = "EMAIL_NOT_VERIFIED, PERMISSION_DENIED", body = ErrorBody),
        (status = 404, description = "CHALLENGE_NOT_FOUND: unknown, used, expired, or another session's", body = ErrorBody),
        (status = 422, description = "VALIDATION_ERROR", body = ErrorBody),
    ))]
pub(in super::super) async fn complete(
    bearer: Bearer,
    State(app): State<App>,
    body: JsonBody<CompleteRegistrationBody>,
) -> Answer {
    let (actor, call) = bearer.permitted(Permission::ManageOwnFactors)?;
    let added = app.identity().complete_passkey(&call, &actor, body.0.read()?).await?;
    Ok(PasskeyAddedData::respond(&added))
}
