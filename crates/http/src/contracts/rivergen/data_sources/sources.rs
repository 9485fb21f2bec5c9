//! Data sources: made, read, changed, deleted.

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use serde::Deserialize;
use tidegate_domain::Permission;
use utoipa::IntoParams;

use super::super::error::ErrorBody;
use super::super::platform::{Answer, Bearer, JsonBody};
use super::super::responses::{Envelope, envelope};
use super::error::{SourcePath, number};
use super::requests::{ChangeCredentialsBody, ChangeDataSourceBody, CreateDataSourceBody};
use super::responses::{ChangedCredentialsData, DataSourceData, DeletedDataSourceData};
use crate::wire::fields::Violations;
use crate::wire::state::App;

/// Makes a data source. It is tested afterwards, and its tables are discovered when it answers: look at its `status`.
#[utoipa::path(post, path = "/data-sources", operation_id = "create_data_source", tag = "Data sources",
    security(("bearer" = [])), request_body = CreateDataSourceBody,
    responses(
        (status = 201, description = "Made", body = Envelope<DataSourceData>),
        (status = 400, description = "BAD_REQUEST: fields are missing that the type needs or do not go together, or options are misspelt; the body is no JSON object", body = ErrorBody),
        (status = 401, description = "UNAUTHORIZED", body = ErrorBody),
        (status = 403, description = "FORBIDDEN, EMAIL_NOT_VERIFIED", body = ErrorBody),
        (status = 404, description = "NOT_FOUND: the workspace, or the file", body = ErrorBody),
        (status = 409, description = "CONFLICT: the organization has as many as it may", body = ErrorBody),
        (status = 422, description = "VALIDATION_ERROR", body = ErrorBody),
        (status = 429, description = "TOO_MANY_REQUESTS", body = ErrorBody),
    ))]
pub(super) async fn create(
    bearer: Bearer,
    State(app): State<App>,
    body: JsonBody<CreateDataSourceBody>,
) -> Answer {
    let (actor, call) = bearer.permitted(Permission::ManageDataSources)?;
    let new = body.0.read()?;
    let made = app.catalog().create_data_source(&call, &actor, new).await?;
    let message = "Data source created successfully";
    Ok(envelope(StatusCode::CREATED, DataSourceData::from(&made), message))
}

/// One data source.
#[utoipa::path(get, path = "/data-sources/{data_source_id}", operation_id = "read_data_source", tag = "Data sources",
    security(("bearer" = [])), params(("data_source_id" = i64, Path, description = "`id` from the list")),
    responses(
        (status = 200, description = "The data source", body = Envelope<DataSourceData>),
        (status = 401, description = "UNAUTHORIZED", body = ErrorBody),
        (status = 403, description = "FORBIDDEN, EMAIL_NOT_VERIFIED", body = ErrorBody),
        (status = 404, description = "NOT_FOUND", body = ErrorBody),
        (status = 422, description = "VALIDATION_ERROR", body = ErrorBody),
        (status = 429, description = "TOO_MANY_REQUESTS", body = ErrorBody),
    ))]
pub(super) async fn read(bearer: Bearer, State(app): State<App>, data_source_id: SourcePath) -> Answer {
    let number = number(data_source_id)?;
    let found = app.catalog().read_data_source(&bearer.actor, number).await?;
    let message = "Data source retrieved successfully";
    Ok(envelope(StatusCode::OK, DataSourceData::from(&found), message))
}

/// Changes a data source. When it is reached in another way then, it is tested, and its tables are discovered again. Where its stored
/// credentials are sent, who made it changes, and admins do.
#[utoipa::path(patch, path = "/data-sources/{data_source_id}", operation_id = "change_data_source", tag = "Data sources",
    security(("bearer" = [])), params(("data_source_id" = i64, Path, description = "`id` from the list")),
    request_body = ChangeDataSourceBody,
    responses(
        (status = 200, description = "Changed", body = Envelope<DataSourceData>),
        (status = 400, description = "BAD_REQUEST: fields are missing that the type needs or do not go together, or options are misspelt; the body is no JSON object", body = ErrorBody),
        (status = 401, description = "UNAUTHORIZED", body = ErrorBody),
        (status = 403, description = "FORBIDDEN, EMAIL_NOT_VERIFIED", body = ErrorBody),
        (status = 404, description = "NOT_FOUND: the data source, or the file", body = ErrorBody),
        (status = 422, description = "VALIDATION_ERROR", body = ErrorBody),
        (status = 429, description = "TOO_MANY_REQUESTS", body = ErrorBody),
    ))]
pub(super) async fn change(
    bearer: Bearer,
    State(app): State<App>,
    data_source_id: SourcePath,
    body: JsonBody<ChangeDataSourceBody>,
) -> Answer {
    let (actor, call) = bearer.permitted(Permission::ManageDataSources)?;
    let number = number(data_source_id)?;
    let change = body.0.read()?;
    let changed = app.catalog().change_data_source(&call, &actor, number, change).await?;
    let message = "Data source updated successfully";
    Ok(envelope(StatusCode::OK, DataSourceData::from(&changed), message))
}

/// How a data source is deleted.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct DeleteDataSourceQuery {
    /// `true` removes it for good; without it, an operator can restore it for a while.
    #[param(value_type = Option<bool>)]
    force: Option<String>,
}

/// A switch of a query.
pub(in super::super) fn switch(
    name: &'static str,
    sent: Option<&str>,
    usual: bool,
) -> Result<bool, Violations> {
    match sent {
        None => Ok(usual),
        Some("true" | "1") => Ok(true),
        Some("false" | "0") => Ok(false),
        Some(_) => Err(Violations::of(name, "must be true or false")),
    }
}

/// Deletes a data source. For admins.
#[utoipa::path(delete, path = "/data-sources/{data_source_id}", operation_id = "delete_data_source", tag = "Data sources",
    security(("bearer" = [])),
    params(("data_source_id" = i64, Path, description = "`id` from the list"), DeleteDataSourceQuery),
    responses(
        (status = 200, description = "Deleted", body = Envelope<DeletedDataSourceData>),
        (status = 401, description = "UNAUTHORIZED", body = ErrorBody),
        (status = 403, description = "FORBIDDEN, EMAIL_NOT_VERIFIED", body = ErrorBody),
        (status = 404, description = "NOT_FOUND", body = ErrorBody),
        (status = 422, description = "VALIDATION_ERROR", body = ErrorBody),
        (status = 429, description = "TOO_MANY_REQUESTS", body = ErrorBody),
    ))]
pub(super) async fn delete(
    bearer: Bearer,
    State(app): State<App>,
    data_source_id: SourcePath,
    query: Result<Query<DeleteDataSourceQuery>, QueryRejection>,
) -> Answer {
    let (actor, call) = bearer.permitted(Permission::AdministerDataSources)?;
    let number = number(data_source_id)?;
    let Query(query) = query.map_err(|_| Violations::of("query", "must be a valid query string"))?;
    let force = switch("force", query.force.as_deref(), false)?;
    let deleted_at = app.catalog().delete_data_source(&call, &actor, number, force).await?;
    let data = DeletedDataSourceData { data_source_id: number, deleted_at: deleted_at.iso_seconds() };
    Ok(envelope(StatusCode::OK, data, "Data source deleted successfully"))
}

/// Changes the credentials of a data source, those that are named. Connections made with the former ones are closed.
#[utoipa::path(patch, path = "/data-sources/{data_source_id}/credentials", operation_id = "change_data_source_credentials", tag = "Data sources",
    security(("bearer" = [])), params(("data_source_id" = i64, Path, description = "`id` from the list")),
    request_body = ChangeCredentialsBody,
    responses(
        (status = 200, description = "Changed", body = Envelope<ChangedCredentialsData>),
        (status = 400, description = "BAD_REQUEST: the body is no JSON object", body = ErrorBody),
        (status = 401, description = "UNAUTHORIZED", body = ErrorBody),
        (status = 403, description = "FORBIDDEN, EMAIL_NOT_VERIFIED", body = ErrorBody),
        (status = 404, description = "NOT_FOUND", body = ErrorBody),
        (status = 422, description = "VALIDATION_ERROR", body = ErrorBody),
        (status = 429, description = "TOO_MANY_REQUESTS", body = ErrorBody),
    ))]
pub(super) async fn change_credentials(
    bearer: Bearer,
    State(app): State<App>,
    data_source_id: SourcePath,
    body: JsonBody<ChangeCredentialsBody>,
) -> Answer {
    let (actor, call) = bearer.permitted(Permission::ManageDataSources)?;
    let number = number(data_source_id)?;
    let change = body.0.read()?;
    let changed_at = app.catalog().change_credentials(&call, &actor, number, change).await?;
    let data =
        ChangedCredentialsData { data_source_id: number, credentials_updated_at: changed_at.iso_seconds() };
    Ok(envelope(StatusCode::OK, data, "Credentials updated successfully"))
}
