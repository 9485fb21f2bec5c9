//! What the organization may keep, and keeps.

use axum::extract::State;
use axum::http::StatusCode;
use tidegate_domain::Permission;

use super::super::error::ErrorBody;
use super::super::platform::{Answer, Bearer};
use super::super::responses::{Envelope, envelope};
use super::responses::{QuotaData, UsageData};
use crate::wire::rejection::Rejection;
use crate::wire::state::App;

/// What all members of the caller's organization may keep together.
#[utoipa::path(get, path = "/storage/quota", operation_id = "storage_quota", tag = "Storage", security(("bearer" = [])),
    responses(
        (status = 200, description = "The quota", body = Envelope<QuotaData>),
        (status = 401, description = "UNAUTHORIZED", body = ErrorBody),
        (status = 403, description = "EMAIL_NOT_VERIFIED, FORBIDDEN", body = ErrorBody),
        (status = 429, description = "TOO_MANY_REQUESTS", body = ErrorBody),
        (status = 500, description = "INTERNAL_SERVER_ERROR", body = ErrorBody),
    ))]
pub(super) async fn quota(bearer: Bearer, State(app): State<App>) -> Answer {
    let (actor, _) = bearer.permitted(Permission::ReadOwnFiles)?;
    let usage = app.storage().storage_usage(&actor).await.map_err(Rejection::from)?;
    Ok(envelope(StatusCode::OK, QuotaData::from(usage), "Storage quota retrieved successfully"))
}

/// What they keep, and may.
#[utoipa::path(get, path = "/storage/usage", operation_id = "storage_usage", tag = "Storage", security(("bearer" = [])),
    responses(
        (status = 200, description = "Usage and quota", body = Envelope<UsageData>),
        (status = 401, description = "UNAUTHORIZED", body = ErrorBody),
        (status = 403, description = "EMAIL_NOT_VERIFIED, FORBIDDEN", body = ErrorBody),
        (status = 429, description = "TOO_MANY_REQUESTS", body = ErrorBody),
        (status = 500, description = "INTERNAL_SERVER_ERROR", body = ErrorBody),
    ))]
pub(super) async fn usage(bearer: Bearer, State(app): State<App>) -> Answer {
    let (actor, _) = bearer.permitted(Permission::ReadOwnFiles)?;
    let usage = app.storage().storage_usage(&actor).await.map_err(Rejection::from)?;
    Ok(envelope(StatusCode::OK, UsageData::from(usage), "Storage usage retrieved successfully"))
}
