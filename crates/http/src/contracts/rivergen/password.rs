//! Forgotten, reset and changed passwords.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use tidegate_domain::Permission;

use super::error::ErrorBody;
use super::requests::{ChangePasswordBody, ForgotPasswordBody, ResetPasswordBody};
use super::responses::{Done, Envelope};
use super::{Answer, Bearer, Caller, LiberalBody};
use crate::wire::rejection::Rejection;
use crate::wire::state::App;

/// Mails a password-reset link, if an account has that address.
#[utoipa::path(post, path = "/auth/forgot-password", tag = "Authentication", request_body = ForgotPasswordBody,
    responses(
        (status = 200, description = "The same for every address", body = Envelope<Done>),
        (status = 422, description = "VALIDATION_ERROR", body = ErrorBody),
    ))]
pub(super) async fn forgot_password(
    caller: Caller,
    State(app): State<App>,
    body: LiberalBody<ForgotPasswordBody>,
) -> Answer {
    let email = body.0.read()?;
    app.identity().forgot_password(&caller, &email).await.map_err(Rejection::from)?;
    Ok(Done::respond("If an account exists for this address, a reset link was sent."))
}

/// Sets a new password with the token of the mailed link, and ends all sessions.
#[utoipa::path(post, path = "/auth/reset-password", tag = "Authentication", request_body = ResetPasswordBody,
    responses(
        (status = 204, description = "Set"),
        (status = 400, description = "INVALID_TOKEN", body = ErrorBody),
        (status = 404, description = "USER_NOT_FOUND", body = ErrorBody),
        (status = 422, description = "VALIDATION_ERROR", body = ErrorBody),
    ))]
pub(super) async fn reset_password(
    caller: Caller,
    State(app): State<App>,
    body: LiberalBody<ResetPasswordBody>,
) -> Answer {
    app.identity().reset_password(&caller, body.0.read()?).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Changes the password and ends all sessions, this one included.
#[utoipa::path(post, path = "/auth/change-password", tag = "Authentication", request_body = ChangePasswordBody,
    security(("bearer" = [])),
    responses(
        (status = 200, description = "Changed", body = Envelope<Done>),
        (status = 400, description = "INVALID_CURRENT_PASSWORD, CHANGE_PASSWORD_FAILED", body = ErrorBody),
        (status = 401, description = "UNAUTHORIZED, USER_NOT_FOUND", body = ErrorBody),
        (status = 403, description = "EMAIL_NOT_VERIFIED, PERMISSION_DENIED, STEP_UP_REQUIRED", body = ErrorBody),
        (status = 422, description = "VALIDATION_ERROR", body = ErrorBody),
    ))]
pub(super) async fn change_password(
    bearer: Bearer,
    State(app): State<App>,
    body: LiberalBody<ChangePasswordBody>,
) -> Answer {
    let (actor, call) = bearer.permitted(Permission::ChangeOwnPassword)?;
    let (current, new) = body.0.read()?;
    app.identity().change_password(&call, &actor, current, new).await?;
    Ok(Done::respond("Password changed. Sign in again on every device."))
}
