//! The caller's own tokens.

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use tidegate_domain::Permission;
use tidegate_kernel::Refused;

use super::super::error::{Error, ErrorBody};
use super::super::responses::{Done, Envelope, envelope};
use super::super::{Answer, Bearer, JsonBody};
use super::error::not_made;
use super::requests::{ChangeTokenBody, CreateTokenBody, TokensQuery};
use super::responses::{TokenData, TokenMadeData, TokensData};
use crate::wire::fields::Violations;
use crate::wire::rejection::Rejection;
use crate::wire::state::App;

/// Makes a token for the caller, also for one of their organizations. A token makes no tokens.
#[utoipa::path(post, path = "/auth/tokens", operation_id = "create_token", tag = "Access tokens", request_body = CreateTokenBody,
    security(("bearer" = [])),
    responses(
        (status = 201, description = "Made; its text is in this answer alone", body = Envelope<TokenMadeData>),
        (status = 400, description = "token_creation_failed: not a member of the organization, or too many tokens", body = ErrorBody),
        (status = 401, description = "UNAUTHORIZED", body = ErrorBody),
        (status = 403, description = "EMAIL_NOT_VERIFIED, PERMISSION_DENIED, STEP_UP_REQUIRED", body = ErrorBody),
        (status = 422, description = "VALIDATION_ERROR", body = ErrorBody),
    ))]
pub(in super::super) async fn create(
    bearer: Bearer,
    State(app): State<App>,
    body: JsonBody<CreateTokenBody>,
) -> Answer {
    let (actor, call) = bearer.permitted(Permission::ManageOwnTokens)?;
    let made = app.identity().create_access_token(&call, &actor, body.0.read()?).await;
    let made = made.map_err(|refused| match refused {
        Refused::Rule(no_access) => Error::new(StatusCode::BAD_REQUEST, "token_creation_failed", no_access),
        other => not_made(other),
    })?;
    Ok(TokenMadeData::respond(&made))
}

/// The caller's tokens, the newest first, without their texts.
#[utoipa::path(get, path = "/auth/tokens", operation_id = "list_tokens", tag = "Access tokens", params(TokensQuery),
    security(("bearer" = [])),
    responses(
        (status = 200, description = "A page of tokens; revoked ones are left out", body = Envelope<TokensData>),
        (status = 401, description = "UNAUTHORIZED", body = ErrorBody),
        (status = 403, description = "EMAIL_NOT_VERIFIED, PERMISSION_DENIED", body = ErrorBody),
        (status = 422, description = "VALIDATION_ERROR", body = ErrorBody),
    ))]
pub(in super::super) async fn list(
    bearer: Bearer,
    State(app): State<App>,
    query: Result<Query<TokensQuery>, QueryRejection>,
) -> Answer {
    let actor = bearer.actor;
    let Query(query) = query.map_err(|_| Violations::of("query", "must be a valid query string"))?;
    let (skip, limit) = query.read()?;
    let page = app.identity().list_access_tokens(&actor, skip, limit).await.map_err(Rejection::from)?;
    Ok(envelope(StatusCode::OK, TokensData::from(&page), "Tokens retrieved."))
}

/// Renames one of the caller's tokens, or gives it other scopes. Its text and its expiry cannot change.
#[utoipa::path(patch, path = "/auth/tokens/{token_id}", operation_id = "change_token", tag = "Access tokens", request_body = ChangeTokenBody,
    security(("bearer" = [])),
    params(("token_id" = i64, Path, description = "From the list")),
    responses(
        (status = 200, description = "As it is now", body = Envelope<TokenData>),
        (status = 401, description = "UNAUTHORIZED", body = ErrorBody),
        (status = 403, description = "EMAIL_NOT_VERIFIED, PERMISSION_DENIED, STEP_UP_REQUIRED", body = ErrorBody),
        (status = 404, description = "token_not_found", body = ErrorBody),
        (status = 422, description = "VALIDATION_ERROR", body = ErrorBody),
    ))]
pub(in super::super) async fn change(
    bearer: Bearer,
    State(app): State<App>,
    token_id: Result<Path<i64>, PathRejection>,
    body: JsonBody<ChangeTokenBody>,
) -> Answer {
    let (actor, call) = bearer.permitted(Permission::ManageOwnTokens)?;
    let Path(number) = token_id.map_err(|_| Violations::of("token_id", "must be an integer"))?;
    let change = body.0.read()?;
    let token = app.identity().change_access_token(&call, &actor, number, change).await?;
    Ok(envelope(StatusCode::OK, TokenData::from(&token), "Token changed."))
}

/// Revokes one of the caller's tokens, at once and for good.
#[utoipa::path(delete, path = "/auth/tokens/{token_id}", operation_id = "revoke_token", tag = "Access tokens", security(("bearer" = [])),
    params(("token_id" = i64, Path, description = "From the list")),
    responses(
        (status = 200, description = "Revoked", body = Envelope<Done>),
        (status = 401, description = "UNAUTHORIZED", body = ErrorBody),
        (status = 403, description = "EMAIL_NOT_VERIFIED, PERMISSION_DENIED", body = ErrorBody),
        (status = 404, description = "token_not_found", body = ErrorBody),
        (status = 422, description = "VALIDATION_ERROR", body = ErrorBody),
    ))]
pub(in super::super) async fn revoke(
    bearer: Bearer,
    State(app): State<App>,
    token_id: Result<Path<i64>, PathRejection>,
) -> Answer {
    let (actor, call) = bearer.permitted(Permission::ManageOwnTokens)?;
    let Path(number) = token_id.map_err(|_| Violations::of("token_id", "must be an integer"))?;
    app.identity().revoke_access_token(&call, &actor, number).await?;
    Ok(Done::respond("Token revoked."))
}
