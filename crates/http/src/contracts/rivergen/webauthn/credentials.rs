//! Lists and removes passkeys.

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use tidegate_domain::Permission;
use tidegate_kernel::Refused;

use super::super::error::{Error, ErrorBody};
use super::super::responses::{Envelope, envelope};
use super::super::{Answer, Bearer};
use super::responses::{PasskeyRemovedData, PasskeysData};
use crate::wire::fields::Violations;
use crate::wire::rejection::Rejection;
use crate::wire::state::App;

/// The caller's passkeys.
#[utoipa::path(get, path = "/webauthn/credentials", operation_id = "list_passkeys", tag = "WebAuthn", security(("bearer" = [])), responses(
    (status = 200, description = "The passkeys, the newest first", body = Envelope<PasskeysData>),
    (status = 401, description = "UNAUTHORIZED", body = ErrorBody),
    (status = 403, description = "EMAIL_NOT_VERIFIED, PERMISSION_DENIED", body = ErrorBody),
    (status = 500, description = "CREDENTIAL_LISTING_FAILED", body = ErrorBody),
))]
pub(in super::super) async fn list(bearer: Bearer, State(app): State<App>) -> Answer {
    let passkeys = app
        .identity()
        .list_passkeys(&bearer.actor)
        .await
        .map_err(|fault| Error::from(Rejection::from(fault)).internal_as("CREDENTIAL_LISTING_FAILED"))?;
    Ok(envelope(StatusCode::OK, PasskeysData::from(passkeys.as_slice()), "Passkeys retrieved."))
}

/// Removes a passkey; sessions stay.
#[utoipa::path(delete, path = "/webauthn/credentials/{credential_id}", operation_id = "remove_passkey", tag = "WebAuthn", security(("bearer" = [])),
    params(("credential_id" = i64, Path, description = "`id` from the list; not the base64url id")),
    responses(
        (status = 200, description = "Removed", body = Envelope<PasskeyRemovedData>),
        (status = 401, description = "UNAUTHORIZED", body = ErrorBody),
        (status = 403, description = "EMAIL_NOT_VERIFIED, PERMISSION_DENIED, STEP_UP_REQUIRED", body = ErrorBody),
        (status = 404, description = "CREDENTIAL_NOT_FOUND", body = ErrorBody),
        (status = 422, description = "VALIDATION_ERROR", body = ErrorBody),
        (status = 500, description = "CREDENTIAL_DELETION_FAILED", body = ErrorBody),
    ))]
pub(in super::super) async fn remove(
    bearer: Bearer,
    State(app): State<App>,
    credential_id: Result<Path<i64>, PathRejection>,
) -> Answer {
    let (actor, call) = bearer.permitted(Permission::ManageOwnFactors)?;
    let Path(number) = credential_id.map_err(|_| Violations::of("credential_id", "must be an integer"))?;
    app.identity().remove_passkey(&call, &actor, number).await.map_err(|refused| match refused {
        Refused::Rule(error) => Error::from(error),
        Refused::Fault(fault) => {
            Error::from(Rejection::from(fault)).internal_as("CREDENTIAL_DELETION_FAILED")
        }
    })?;
    Ok(PasskeyRemovedData::respond())
}
