//! The caller's own account.

use axum::extract::{Query, State};
use axum::http::StatusCode;
use serde::Deserialize;
use tidegate_domain::Permission;
use tidegate_identity::sign_in::sign_in_history::SignInFilter;
use utoipa::IntoParams;

use super::error::ErrorBody;
use super::requests::{EmailChangeBody, ProfileBody, VerifyEmailChangeBody};
use super::responses::{
    EmailChangeRequestedData, EmailChangedData, Envelope, HistoryData, MeData, ProfileData, envelope,
};
use super::{Answer, Bearer, Error, JsonBody, LargeJsonBody, LiberalBody};
use crate::wire::fields::{Check, Violations};
use crate::wire::rejection::Rejection;
use crate::wire::state::App;

/// Everything about the caller's account.
#[utoipa::path(get, path = "/auth/me", tag = "Account", security(("bearer" = [])), responses(
    (status = 200, description = "The account", body = Envelope<MeData>),
    (status = 401, description = "UNAUTHORIZED", body = ErrorBody),
    (status = 403, description = "EMAIL_NOT_VERIFIED, PERMISSION_DENIED", body = ErrorBody),
))]
pub(super) async fn me(bearer: Bearer, State(app): State<App>) -> Answer {
    let actor = bearer.actor;
    let overview = app.identity().overview(&actor).await.map_err(Rejection::from)?;
    // The account was deleted; this node had not been notified yet.
    let overview = overview.ok_or(Rejection::InvalidToken)?;
    Ok(envelope(StatusCode::OK, MeData::from(overview.as_ref()), "Account retrieved."))
}

/// Changes how the caller is shown.
#[utoipa::path(put, path = "/auth/me/profile", tag = "Account", request_body = ProfileBody,
    security(("bearer" = [])),
    responses(
        (status = 200, description = "Changed", body = Envelope<ProfileData>),
        (status = 400, description = "PROFILE_UPDATE_FAILED: the profile would exceed 64 KiB", body = ErrorBody),
        (status = 401, description = "UNAUTHORIZED", body = ErrorBody),
        (status = 403, description = "EMAIL_NOT_VERIFIED, PERMISSION_DENIED", body = ErrorBody),
        (status = 422, description = "VALIDATION_ERROR", body = ErrorBody),
    ))]
pub(super) async fn update_profile(
    bearer: Bearer,
    State(app): State<App>,
    body: LargeJsonBody<ProfileBody>,
) -> Answer {
    let (actor, call) = bearer.permitted(Permission::ChangeOwnProfile)?;
    let change = body.0.read()?;
    let account = app.identity().update_profile(&call, &actor, change).await?;
    Ok(envelope(StatusCode::OK, ProfileData::from(account), "Profile updated."))
}

/// Mails a code to the caller's new address.
#[utoipa::path(post, path = "/auth/me/email/request", tag = "Account", request_body = EmailChangeBody,
    security(("bearer" = [])),
    responses(
        (status = 200, description = "Sent", body = Envelope<EmailChangeRequestedData>),
        (status = 400, description = "EMAIL_UPDATE_REQUEST_FAILED, EMAIL_ALREADY_TAKEN", body = ErrorBody),
        (status = 401, description = "UNAUTHORIZED", body = ErrorBody),
        (status = 403, description = "EMAIL_NOT_VERIFIED, PERMISSION_DENIED, STEP_UP_REQUIRED", body = ErrorBody),
        (status = 422, description = "VALIDATION_ERROR", body = ErrorBody),
    ))]
pub(super) async fn request_email_change(
    bearer: Bearer,
    State(app): State<App>,
    body: JsonBody<EmailChangeBody>,
) -> Answer {
    let (actor, call) = bearer.permitted(Permission::ChangeOwnEmail)?;
    let new_email = body.0.read()?;
    app.identity().request_email_change(&call, &actor, &new_email).await?;
    let message = "A verification code was sent to the new address.";
    let data = EmailChangeRequestedData { message: message.to_owned(), new_email: new_email.to_string() };
    Ok(envelope(StatusCode::OK, data, message))
}

/// Makes the new address the primary one.
#[utoipa::path(post, path = "/auth/me/email/verify", tag = "Account", request_body = VerifyEmailChangeBody,
    security(("bearer" = [])),
    responses(
        (status = 200, description = "Changed", body = Envelope<EmailChangedData>),
        (status = 400, description = "EMAIL_UPDATE_VERIFY_FAILED, INVALID_OTP, OTP_EXPIRED", body = ErrorBody),
        (status = 401, description = "UNAUTHORIZED", body = ErrorBody),
        (status = 403, description = "EMAIL_NOT_VERIFIED, PERMISSION_DENIED, STEP_UP_REQUIRED", body = ErrorBody),
        (status = 422, description = "VALIDATION_ERROR", body = ErrorBody),
        (status = 429, description = "TOO_MANY_ATTEMPTS", body = ErrorBody),
    ))]
pub(super) async fn verify_email_change(
    bearer: Bearer,
    State(app): State<App>,
    body: LiberalBody<VerifyEmailChangeBody>,
) -> Answer {
    let (actor, call) = bearer.permitted(Permission::ChangeOwnEmail)?;
    let (new_email, code) = body.0.read()?;
    let old_email = app.identity().confirm_email_change(&call, &actor, &new_email, &code).await?;
    let message = "E-mail address changed.";
    let data = EmailChangedData {
        message: message.to_owned(),
        old_email: old_email.to_string(),
        new_email: new_email.to_string(),
    };
    Ok(envelope(StatusCode::OK, data, message))
}

/// Which sign-ins to show.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct HistoryQuery {
    /// 1 to 100; 50 when left out.
    #[param(value_type = Option<i64>, minimum = 1, maximum = 100)]
    limit: Option<String>,
    /// How many to skip; 0 when left out.
    #[param(value_type = Option<i64>, minimum = 0)]
    offset: Option<String>,
    /// `success`, `failure`, or both when left out.
    #[param(value_type = Option<String>, format = "sign-in-filter")]
    filter: Option<String>,
}

impl HistoryQuery {
    fn read(self) -> Result<(i64, i64, SignInFilter), Violations> {
        let mut check = Check::new();
        let limit = match self.limit.as_deref().unwrap_or("50").parse() {
            Ok(limit @ 1..=100) => Some(limit),
            _ => check.violated("limit", "must be an integer from 1 to 100"),
        };
        let offset = match self.offset.as_deref().unwrap_or("0").parse() {
            Ok(offset @ 0..) => Some(offset),
            _ => check.violated("offset", "must be an integer from 0"),
        };
        let filter = match self.filter.as_deref() {
            None => Some(SignInFilter::Any),
            Some("success") => Some(SignInFilter::Success),
            Some("failure") => Some(SignInFilter::Failure),
            Some(_) => check.violated("filter", "must be success or failure"),
        };
        check.finish(limit.zip(offset).zip(filter).map(|((limit, offset), filter)| (limit, offset, filter)))
    }
}

/// The caller's sign-ins, newest first.
#[utoipa::path(get, path = "/auth/login-history", tag = "Account", params(HistoryQuery),
    security(("bearer" = [])),
    responses(
        (status = 200, description = "A page of sign-ins", body = Envelope<HistoryData>),
        (status = 401, description = "UNAUTHORIZED", body = ErrorBody),
        (status = 403, description = "EMAIL_NOT_VERIFIED, PERMISSION_DENIED", body = ErrorBody),
        (status = 422, description = "VALIDATION_ERROR", body = ErrorBody),
        (status = 500, description = "HISTORY_FETCH_FAILED", body = ErrorBody),
    ))]
pub(super) async fn login_history(
    bearer: Bearer,
    State(app): State<App>,
    query: Result<Query<HistoryQuery>, axum::extract::rejection::QueryRejection>,
) -> Answer {
    let actor = bearer.actor;
    let Query(query) = query.map_err(|_| Violations::of("query", "must be a valid query string"))?;
    let (limit, offset, filter) = query.read()?;
    let page = app
        .identity()
        .sign_in_history(&actor, filter, limit, offset)
        .await
        .map_err(|fault| Error::from(Rejection::from(fault)).internal_as("HISTORY_FETCH_FAILED"))?;
    Ok(envelope(StatusCode::OK, HistoryData::new(page, limit, offset), "Sign-in history retrieved."))
}
