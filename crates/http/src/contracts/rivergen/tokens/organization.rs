//! Tokens that members make for an organization.

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use tidegate_domain::Permission;

use super::super::error::ErrorBody;
use super::super::responses::{Done, Envelope, envelope};
use super::super::{Answer, Bearer, JsonBody};
use super::error::not_made;
use super::requests::{CreateOrganizationTokenBody, TokensQuery};
use super::responses::{TokenMadeData, TokensData};
use crate::wire::fields::Violations;
use crate::wire::state::App;

/// Makes a token of the caller's for the organization, of which they are a member.
#[utoipa::path(post, path = "/organizations/{org_id}/tokens", operation_id = "create_organization_token", tag = "Access tokens",
    request_body = CreateOrganizationTokenBody, security(("bearer" = [])),
    params(("org_id" = i64, Path, description = "The organization's number")),
    responses(
        (status = 201, description = "Made; its text is in this answer alone", body = Envelope<TokenMadeData>),
        (status = 400, description = "token_creation_failed: too many tokens", body = ErrorBody),
        (status = 401, description = "UNAUTHORIZED", body = ErrorBody),
        (status = 403, description = "organization_access_denied: not a member, or there is no such organization; \
            EMAIL_NOT_VERIFIED, PERMISSION_DENIED, STEP_UP_REQUIRED", body = ErrorBody),
        (status = 422, description = "VALIDATION_ERROR", body = ErrorBody),
    ))]
pub(in super::super) async fn create(
    bearer: Bearer,
    State(app): State<App>,
    org_id: Result<Path<i64>, PathRejection>,
    body: JsonBody<CreateOrganizationTokenBody>,
) -> Answer {
    let (actor, call) = bearer.permitted(Permission::ManageOwnTokens)?;
    let Path(organization) = org_id.map_err(not_a_number)?;
    let claim = body.0.read(organization)?;
    let made = app.identity().create_access_token(&call, &actor, claim).await.map_err(not_made)?;
    Ok(TokenMadeData::respond(&made))
}

/// The tokens that all members made for the organization, the newest first. For its admins.
#[utoipa::path(get, path = "/organizations/{org_id}/tokens", operation_id = "list_organization_tokens", tag = "Access tokens",
    params(("org_id" = i64, Path, description = "The organization's number"), TokensQuery), security(("bearer" = [])),
    responses(
        (status = 200, description = "A page of tokens; revoked ones are left out", body = Envelope<TokensData>),
        (status = 401, description = "UNAUTHORIZED", body = ErrorBody),
        (status = 403, description = "organization_access_denied: not an admin there, or there is no such organization; \
            EMAIL_NOT_VERIFIED, PERMISSION_DENIED", body = ErrorBody),
        (status = 422, description = "VALIDATION_ERROR", body = ErrorBody),
    ))]
pub(in super::super) async fn list(
    bearer: Bearer,
    State(app): State<App>,
    org_id: Result<Path<i64>, PathRejection>,
    query: Result<Query<TokensQuery>, QueryRejection>,
) -> Answer {
    let actor = bearer.actor;
    let Path(organization) = org_id.map_err(not_a_number)?;
    let Query(query) = query.map_err(|_| Violations::of("query", "must be a valid query string"))?;
    let (skip, limit) = query.read()?;
    let page = app.identity().list_organization_tokens(&actor, organization, skip, limit).await?;
    Ok(envelope(StatusCode::OK, TokensData::from(&page), "Tokens retrieved."))
}

/// Revokes a token that was made for the organization: for its owner, and for the organization's admins.
#[utoipa::path(delete, path = "/organizations/{org_id}/tokens/{token_id}", operation_id = "revoke_organization_token", tag = "Access tokens",
    security(("bearer" = [])),
    params(
        ("org_id" = i64, Path, description = "The organization's number"),
        ("token_id" = i64, Path, description = "From the list"),
    ),
    responses(
        (status = 200, description = "Revoked", body = Envelope<Done>),
        (status = 401, description = "UNAUTHORIZED", body = ErrorBody),
        (status = 403, description = "organization_access_denied: not a member, or there is no such organization; \
            EMAIL_NOT_VERIFIED, PERMISSION_DENIED", body = ErrorBody),
        (status = 404, description = "token_not_found: there is none, or it is another member's and the caller is no admin", body = ErrorBody),
        (status = 422, description = "VALIDATION_ERROR", body = ErrorBody),
    ))]
pub(in super::super) async fn revoke(
    bearer: Bearer,
    State(app): State<App>,
    path: Result<Path<(i64, i64)>, PathRejection>,
) -> Answer {
    let (actor, call) = bearer.permitted(Permission::ManageOwnTokens)?;
    let Path((organization, number)) =
        path.map_err(|_| Violations::of("org_id", "and token_id must be integers"))?;
    app.identity().revoke_organization_token(&call, &actor, organization, number).await?;
    Ok(Done::respond("Token revoked."))
}

fn not_a_number(_: PathRejection) -> Violations {
    Violations::of("org_id", "must be an integer")
}
