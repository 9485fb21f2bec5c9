//! Where the caller is signed in.

use axum::extract::{Path, State};
use axum::http::StatusCode;

use super::error::ErrorBody;
use super::responses::{Envelope, Revoked, SessionsData, envelope};
use super::{Answer, Bearer, Error};
use crate::wire::fields::Violations;
use crate::wire::rejection::Rejection;
use crate::wire::state::App;

/// The caller's active sessions, latest activity first.
#[utoipa::path(get, path = "/sessions", operation_id = "list_sessions", tag = "Sessions", security(("bearer" = [])), responses(
    (status = 200, description = "The sessions", body = Envelope<SessionsData>),
    (status = 401, description = "UNAUTHORIZED", body = ErrorBody),
    (status = 403, description = "EMAIL_NOT_VERIFIED, PERMISSION_DENIED", body = ErrorBody),
    (status = 500, description = "SESSIONS_FETCH_FAILED", body = ErrorBody),
))]
pub(super) async fn list(bearer: Bearer, State(app): State<App>) -> Answer {
    let actor = bearer.actor;
    let list = app
        .identity()
        .list_sessions(&actor)
        .await
        .map_err(|fault| Error::from(Rejection::from(fault)).internal_as("SESSIONS_FETCH_FAILED"))?;
    Ok(envelope(StatusCode::OK, SessionsData::from(&list), "Sessions retrieved."))
}

/// Ends one of the caller's sessions; its access token fails from the next request on.
#[utoipa::path(delete, path = "/sessions/{session_id}", operation_id = "revoke_session", tag = "Sessions", security(("bearer" = [])),
    params(("session_id" = i64, Path, description = "From the list")),
    responses(
        (status = 200, description = "Ended", body = Envelope<Revoked>),
        (status = 401, description = "UNAUTHORIZED", body = ErrorBody),
        (status = 403, description = "EMAIL_NOT_VERIFIED, PERMISSION_DENIED", body = ErrorBody),
        (status = 404, description = "SESSION_NOT_FOUND", body = ErrorBody),
        (status = 422, description = "VALIDATION_ERROR", body = ErrorBody),
    ))]
pub(super) async fn revoke(
    bearer: Bearer,
    State(app): State<App>,
    session_id: Result<Path<i64>, axum::extract::rejection::PathRejection>,
) -> Answer {
    let Bearer { actor, call, .. } = bearer;
    let Path(number) = session_id.map_err(|_| Violations::of("session_id", "must be an integer"))?;
    app.identity().end_session(&call, &actor, number).await?;
    Ok(envelope(StatusCode::OK, Revoked { success: true }, "Session revoked."))
}
