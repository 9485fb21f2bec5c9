//! Applications of an organization.

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;

use super::super::error::ErrorBody;
use super::super::responses::{Done, Envelope, envelope};
use super::super::{Answer, Bearer, Error, JsonBody, UnusedBody};
use super::error::not_registered;
use super::requests::{ChangeApplicationBody, CreateApplicationBody, PageQuery};
use super::responses::{
    ApplicationsData, ChangedApplicationData, CreatedApplicationData, OneApplicationData, SecretData,
};
use crate::wire::fields::Violations;
use crate::wire::state::App;

type OrganizationPath = Result<Path<i64>, PathRejection>;
type ApplicationPath = Result<Path<(i64, i64)>, PathRejection>;

fn organization(path: OrganizationPath) -> Result<i64, Error> {
    path.map(|Path(number)| number).map_err(|_| Violations::of("org_id", "must be an integer").into())
}

fn application(path: ApplicationPath) -> Result<(i64, i64), Error> {
    path.map(|Path(numbers)| numbers)
        .map_err(|_| Violations::of("app_id", "must be an integer, and so must org_id").into())
}

/// Registers an application. Its secret is shown once.
#[utoipa::path(post, path = "/organizations/{org_id}/oauth-applications", operation_id = "create_application", tag = "OAuth applications",
    security(("bearer" = [])), params(("org_id" = i64, Path, description = "Its number: one of the caller's organizations")),
    request_body = CreateApplicationBody,
    responses(
        (status = 201, description = "Registered", body = Envelope<CreatedApplicationData>),
        (status = 400, description = "application_exists", body = ErrorBody),
        (status = 401, description = "UNAUTHORIZED", body = ErrorBody),
        (status = 403, description = "organization_access_denied: not an admin there, or there is no such organization; EMAIL_NOT_VERIFIED, PERMISSION_DENIED, STEP_UP_REQUIRED", body = ErrorBody),
        (status = 409, description = "too_many_applications: the organization has as many as it may", body = ErrorBody),
        (status = 422, description = "VALIDATION_ERROR", body = ErrorBody),
    ))]
pub(super) async fn create(
    bearer: Bearer,
    State(app): State<App>,
    org_id: OrganizationPath,
    body: JsonBody<CreateApplicationBody>,
) -> Answer {
    let Bearer { actor, call, .. } = bearer;
    let organization = organization(org_id)?;
    let new = body.0.read()?;
    let registered = app.oauth().create_application(&call, &actor, organization, &new).await;
    let registered = registered.map_err(not_registered)?;
    let message = "Application created. Keep its secret: it is not shown again.";
    Ok(envelope(StatusCode::CREATED, CreatedApplicationData::new(&registered, message), message))
}

/// The organization's applications, in the order in which they were made.
#[utoipa::path(get, path = "/organizations/{org_id}/oauth-applications", operation_id = "list_applications", tag = "OAuth applications",
    security(("bearer" = [])), params(("org_id" = i64, Path, description = "Its number: one of the caller's organizations"), PageQuery),
    responses(
        (status = 200, description = "A page of applications", body = Envelope<ApplicationsData>),
        (status = 401, description = "UNAUTHORIZED", body = ErrorBody),
        (status = 403, description = "organization_access_denied: not an admin there, or there is no such organization; EMAIL_NOT_VERIFIED, PERMISSION_DENIED", body = ErrorBody),
        (status = 422, description = "VALIDATION_ERROR", body = ErrorBody),
    ))]
pub(super) async fn list(
    bearer: Bearer,
    State(app): State<App>,
    org_id: OrganizationPath,
    query: Result<Query<PageQuery>, QueryRejection>,
) -> Answer {
    let organization = organization(org_id)?;
    let Query(query) = query.map_err(|_| Violations::of("query", "must be a valid query string"))?;
    let (skip, limit) = query.read()?;
    let list = app.oauth().list_applications(&bearer.actor, organization, skip, limit).await?;
    let message = "Applications retrieved.";
    Ok(envelope(StatusCode::OK, ApplicationsData::new(&list, message), message))
}

/// One application.
#[utoipa::path(get, path = "/organizations/{org_id}/oauth-applications/{app_id}", operation_id = "read_application", tag = "OAuth applications",
    security(("bearer" = [])),
    params(("org_id" = i64, Path, description = "Its number: one of the caller's organizations"), ("app_id" = i64, Path, description = "`id` from the list")),
    responses(
        (status = 200, description = "The application", body = Envelope<OneApplicationData>),
        (status = 401, description = "UNAUTHORIZED", body = ErrorBody),
        (status = 403, description = "organization_access_denied: not an admin there, or there is no such organization; EMAIL_NOT_VERIFIED, PERMISSION_DENIED", body = ErrorBody),
        (status = 404, description = "application_not_found", body = ErrorBody),
        (status = 422, description = "VALIDATION_ERROR", body = ErrorBody),
    ))]
pub(super) async fn read(bearer: Bearer, State(app): State<App>, path: ApplicationPath) -> Answer {
    let (organization, number) = application(path)?;
    let found = app.oauth().read_application(&bearer.actor, organization, number).await?;
    let message = "Application retrieved.";
    Ok(envelope(StatusCode::OK, OneApplicationData::new(&found, message), message))
}

/// Changes an application. With `status` `revoked` its tokens end; with `active` it can be used again.
#[utoipa::path(patch, path = "/organizations/{org_id}/oauth-applications/{app_id}", operation_id = "change_application", tag = "OAuth applications",
    security(("bearer" = [])),
    params(("org_id" = i64, Path, description = "Its number: one of the caller's organizations"), ("app_id" = i64, Path, description = "`id` from the list")),
    request_body = ChangeApplicationBody,
    responses(
        (status = 200, description = "Changed", body = Envelope<ChangedApplicationData>),
        (status = 400, description = "application_exists", body = ErrorBody),
        (status = 401, description = "UNAUTHORIZED", body = ErrorBody),
        (status = 403, description = "organization_access_denied: not an admin there, or there is no such organization; EMAIL_NOT_VERIFIED, PERMISSION_DENIED, STEP_UP_REQUIRED", body = ErrorBody),
        (status = 404, description = "application_not_found", body = ErrorBody),
        (status = 422, description = "VALIDATION_ERROR", body = ErrorBody),
    ))]
pub(super) async fn change(
    bearer: Bearer,
    State(app): State<App>,
    path: ApplicationPath,
    body: JsonBody<ChangeApplicationBody>,
) -> Answer {
    let Bearer { actor, call, .. } = bearer;
    let (organization, number) = application(path)?;
    let change = body.0.read()?;
    let changed = app.oauth().change_application(&call, &actor, organization, number, change).await?;
    let message = "Application updated.";
    Ok(envelope(StatusCode::OK, ChangedApplicationData::new(&changed, message), message))
}

/// Deletes an application for good; all its tokens end.
#[utoipa::path(delete, path = "/organizations/{org_id}/oauth-applications/{app_id}", operation_id = "delete_application", tag = "OAuth applications",
    security(("bearer" = [])),
    params(("org_id" = i64, Path, description = "Its number: one of the caller's organizations"), ("app_id" = i64, Path, description = "`id` from the list")),
    responses(
        (status = 200, description = "Deleted", body = Envelope<Done>),
        (status = 401, description = "UNAUTHORIZED", body = ErrorBody),
        (status = 403, description = "organization_access_denied: not an admin there, or there is no such organization; EMAIL_NOT_VERIFIED, PERMISSION_DENIED", body = ErrorBody),
        (status = 404, description = "application_not_found", body = ErrorBody),
        (status = 422, description = "VALIDATION_ERROR", body = ErrorBody),
    ))]
pub(super) async fn delete(bearer: Bearer, State(app): State<App>, path: ApplicationPath) -> Answer {
    let Bearer { actor, call, .. } = bearer;
    let (organization, number) = application(path)?;
    app.oauth().delete_application(&call, &actor, organization, number).await?;
    Ok(Done::respond("Application deleted."))
}

/// Gives an application another secret, which is shown once; all its tokens end.
#[utoipa::path(post, path = "/organizations/{org_id}/oauth-applications/{app_id}/regenerate-secret", operation_id = "regenerate_secret",
    tag = "OAuth applications", security(("bearer" = [])),
    params(("org_id" = i64, Path, description = "Its number: one of the caller's organizations"), ("app_id" = i64, Path, description = "`id` from the list")),
    responses(
        (status = 200, description = "The new secret", body = Envelope<SecretData>),
        (status = 400, description = "application_has_no_secret: it is a public client", body = ErrorBody),
        (status = 401, description = "UNAUTHORIZED", body = ErrorBody),
        (status = 403, description = "organization_access_denied: not an admin there, or there is no such organization; EMAIL_NOT_VERIFIED, PERMISSION_DENIED, STEP_UP_REQUIRED", body = ErrorBody),
        (status = 404, description = "application_not_found", body = ErrorBody),
        (status = 422, description = "VALIDATION_ERROR", body = ErrorBody),
    ))]
pub(super) async fn regenerate_secret(
    bearer: Bearer,
    State(app): State<App>,
    path: ApplicationPath,
    _body: UnusedBody,
) -> Answer {
    let Bearer { actor, call, .. } = bearer;
    let (organization, number) = application(path)?;
    let secret = app.oauth().regenerate_secret(&call, &actor, organization, number).await?;
    let message = "Secret regenerated. Keep it: it is not shown again.";
    Ok(envelope(StatusCode::OK, SecretData::new(&secret, message), message))
}

/// Revokes an application: all its tokens end, and it gets no others until its status is `active` again.
#[utoipa::path(post, path = "/organizations/{org_id}/oauth-applications/{app_id}/revoke", operation_id = "revoke_application",
    tag = "OAuth applications", security(("bearer" = [])),
    params(("org_id" = i64, Path, description = "Its number: one of the caller's organizations"), ("app_id" = i64, Path, description = "`id` from the list")),
    responses(
        (status = 200, description = "Revoked", body = Envelope<Done>),
        (status = 401, description = "UNAUTHORIZED", body = ErrorBody),
        (status = 403, description = "organization_access_denied: not an admin there, or there is no such organization; EMAIL_NOT_VERIFIED, PERMISSION_DENIED", body = ErrorBody),
        (status = 404, description = "application_not_found", body = ErrorBody),
        (status = 422, description = "VALIDATION_ERROR", body = ErrorBody),
    ))]
pub(super) async fn revoke(
    bearer: Bearer,
    State(app): State<App>,
    path: ApplicationPath,
    _body: UnusedBody,
) -> Answer {
    let Bearer { actor, call, .. } = bearer;
    let (organization, number) = application(path)?;
    app.oauth().revoke_application(&call, &actor, organization, number).await?;
    Ok(Done::respond("Application revoked."))
}
