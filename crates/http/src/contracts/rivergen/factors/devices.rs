//! Trusted devices.

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use tidegate_domain::Permission;

use super::super::error::ErrorBody;
use super::super::responses::{Envelope, Revoked, envelope};
use super::super::{Answer, Bearer, LiberalBody};
use super::requests::ActivationBody;
use super::responses::{DeviceActivatedData, DevicesData};
use crate::wire::fields::Violations;
use crate::wire::rejection::Rejection;
use crate::wire::state::App;

/// Trusts the device that the last sign-in with a second factor came from.
#[utoipa::path(post, path = "/devices/activate", tag = "Devices", request_body = ActivationBody,
    security(("bearer" = [])),
    responses(
        (status = 200, description = "Trusted", body = Envelope<DeviceActivatedData>),
        (status = 400, description = "INVALID_ACTIVATION_TOKEN", body = ErrorBody),
        (status = 401, description = "UNAUTHORIZED", body = ErrorBody),
        (status = 403, description = "EMAIL_NOT_VERIFIED, PERMISSION_DENIED", body = ErrorBody),
        (status = 410, description = "ACTIVATION_TOKEN_EXPIRED", body = ErrorBody),
        (status = 422, description = "VALIDATION_ERROR", body = ErrorBody),
    ))]
pub(in super::super) async fn activate(
    bearer: Bearer,
    State(app): State<App>,
    body: LiberalBody<ActivationBody>,
) -> Answer {
    let (actor, call) = bearer.permitted(Permission::ManageOwnFactors)?;
    let device = app.identity().activate_device(&call, &actor, &body.0.read()?).await?;
    Ok(DeviceActivatedData::respond(&device))
}

/// Does not trust it.
#[utoipa::path(post, path = "/devices/skip", tag = "Devices", request_body = ActivationBody,
    security(("bearer" = [])),
    responses(
        (status = 200, description = "Not trusted", body = Envelope<Revoked>),
        (status = 400, description = "INVALID_ACTIVATION_TOKEN", body = ErrorBody),
        (status = 401, description = "UNAUTHORIZED", body = ErrorBody),
        (status = 403, description = "EMAIL_NOT_VERIFIED, PERMISSION_DENIED", body = ErrorBody),
        (status = 410, description = "ACTIVATION_TOKEN_EXPIRED", body = ErrorBody),
        (status = 422, description = "VALIDATION_ERROR", body = ErrorBody),
    ))]
pub(in super::super) async fn skip(
    bearer: Bearer,
    State(app): State<App>,
    body: LiberalBody<ActivationBody>,
) -> Answer {
    let (actor, call) = bearer.permitted(Permission::ManageOwnFactors)?;
    app.identity().skip_device(&call, &actor, &body.0.read()?).await?;
    Ok(envelope(StatusCode::OK, Revoked { success: true }, "Device not trusted."))
}

/// The caller's trusted devices.
#[utoipa::path(get, path = "/devices", operation_id = "list_devices", tag = "Devices", security(("bearer" = [])), responses(
    (status = 200, description = "The devices", body = Envelope<DevicesData>),
    (status = 401, description = "UNAUTHORIZED", body = ErrorBody),
    (status = 403, description = "EMAIL_NOT_VERIFIED, PERMISSION_DENIED", body = ErrorBody),
))]
pub(in super::super) async fn list(bearer: Bearer, State(app): State<App>) -> Answer {
    let devices = app.identity().list_devices(&bearer.actor).await.map_err(Rejection::from)?;
    Ok(envelope(StatusCode::OK, DevicesData::from(devices.as_slice()), "Devices retrieved."))
}

/// Trusts a device no more; its sessions stay.
#[utoipa::path(delete, path = "/devices/{device_id}", operation_id = "revoke_device", tag = "Devices", security(("bearer" = [])),
    params(("device_id" = i64, Path, description = "From the list")),
    responses(
        (status = 200, description = "Removed", body = Envelope<Revoked>),
        (status = 401, description = "UNAUTHORIZED", body = ErrorBody),
        (status = 403, description = "EMAIL_NOT_VERIFIED, PERMISSION_DENIED", body = ErrorBody),
        (status = 404, description = "DEVICE_NOT_FOUND", body = ErrorBody),
        (status = 422, description = "VALIDATION_ERROR", body = ErrorBody),
    ))]
pub(in super::super) async fn revoke(
    bearer: Bearer,
    State(app): State<App>,
    device_id: Result<Path<i64>, PathRejection>,
) -> Answer {
    let (actor, call) = bearer.permitted(Permission::ManageOwnFactors)?;
    let Path(number) = device_id.map_err(|_| Violations::of("device_id", "must be an integer"))?;
    app.identity().revoke_device(&call, &actor, number).await?;
    Ok(envelope(StatusCode::OK, Revoked { success: true }, "Device revoked."))
}
