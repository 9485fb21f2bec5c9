//! Data sources: tested, watched, counted, and where their files are.

use std::time::Duration;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{StatusCode, Uri};
use serde::Deserialize;
use tidegate_domain::Permission;
use utoipa::IntoParams;

use super::super::error::ErrorBody;
use super::super::platform::{Answer, Bearer, OptionalJsonBody};
use super::super::responses::{Envelope, envelope};
use super::error::{SourcePath, number};
use super::requests::TestDataSourceBody;
use super::responses::{FileUrlData, HealthData, MetricsData, TestedData};
use crate::wire::expiry::check_query;
use crate::wire::fields::Violations;
use crate::wire::rejection::Rejection;
use crate::wire::state::App;

/// What the organization's data sources hold and did, as far as the caller sees them.
#[utoipa::path(get, path = "/data-sources/metrics", operation_id = "read_data_source_metrics", tag = "Data sources",
    security(("bearer" = [])),
    responses(
        (status = 200, description = "Connections, queries, pools, tunnels and circuit breakers", body = Envelope<MetricsData>),
        (status = 401, description = "UNAUTHORIZED", body = ErrorBody),
        (status = 403, description = "FORBIDDEN, EMAIL_NOT_VERIFIED", body = ErrorBody),
        (status = 429, description = "TOO_MANY_REQUESTS", body = ErrorBody),
        (status = 500, description = "INTERNAL_SERVER_ERROR", body = ErrorBody),
    ))]
pub(super) async fn metrics(bearer: Bearer, State(app): State<App>) -> Answer {
    let metrics = app.catalog().data_source_metrics(&bearer.actor).await.map_err(Rejection::from)?;
    let message = "Connection metrics retrieved successfully";
    Ok(envelope(StatusCode::OK, MetricsData::from(metrics), message))
}

/// Tests a data source with a query that reads. Both outcomes are answered with 200.
#[utoipa::path(post, path = "/data-sources/{data_source_id}/test", operation_id = "test_data_source", tag = "Data sources",
    security(("bearer" = [])), params(("data_source_id" = i64, Path, description = "`id` from the list")),
    request_body = TestDataSourceBody,
    responses(
        (status = 200, description = "What the test found", body = Envelope<TestedData>),
        (status = 400, description = "BAD_REQUEST: the body is no JSON object", body = ErrorBody),
        (status = 401, description = "UNAUTHORIZED", body = ErrorBody),
        (status = 403, description = "FORBIDDEN, EMAIL_NOT_VERIFIED", body = ErrorBody),
        (status = 404, description = "NOT_FOUND", body = ErrorBody),
        (status = 422, description = "VALIDATION_ERROR", body = ErrorBody),
        (status = 429, description = "TOO_MANY_REQUESTS: also when too many tests of the organization are running", body = ErrorBody),
    ))]
pub(super) async fn test(
    bearer: Bearer,
    State(app): State<App>,
    data_source_id: SourcePath,
    body: OptionalJsonBody<TestDataSourceBody>,
) -> Answer {
    let (actor, _) = bearer.permitted(Permission::ManageDataSources)?;
    let number = number(data_source_id)?;
    let (query, limit) = body.0.read()?;
    let report = app.catalog().test_data_source(&actor, number, query, limit).await?;
    Ok(envelope(StatusCode::OK, TestedData::from(report), "Connection test completed"))
}

/// How many checks are shown.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct HealthQuery {
    /// 10 when left out.
    #[param(value_type = Option<i64>, minimum = 1, maximum = 100)]
    limit: Option<String>,
}

/// How a data source did: it is checked every few minutes, and by every test.
#[utoipa::path(get, path = "/data-sources/{data_source_id}/health", operation_id = "read_data_source_health", tag = "Data sources",
    security(("bearer" = [])), params(("data_source_id" = i64, Path, description = "`id` from the list"), HealthQuery),
    responses(
        (status = 200, description = "How it did", body = Envelope<HealthData>),
        (status = 401, description = "UNAUTHORIZED", body = ErrorBody),
        (status = 403, description = "FORBIDDEN, EMAIL_NOT_VERIFIED", body = ErrorBody),
        (status = 404, description = "NOT_FOUND", body = ErrorBody),
        (status = 422, description = "VALIDATION_ERROR", body = ErrorBody),
        (status = 429, description = "TOO_MANY_REQUESTS", body = ErrorBody),
    ))]
pub(super) async fn health(
    bearer: Bearer,
    State(app): State<App>,
    data_source_id: SourcePath,
    query: Result<Query<HealthQuery>, QueryRejection>,
) -> Answer {
    let number = number(data_source_id)?;
    let Query(query) = query.map_err(|_| Violations::of("query", "must be a valid query string"))?;
    let limit = match query.limit.as_deref().unwrap_or("10").parse() {
        Ok(limit @ 1..=100) => limit,
        _ => return Err(Violations::of("limit", "must be an integer from 1 to 100").into()),
    };
    let health = app.catalog().data_source_health(&bearer.actor, number, limit).await?;
    Ok(envelope(StatusCode::OK, HealthData::from(health), "Health status retrieved successfully"))
}

/// For how long a URL holds.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct FileUrlQuery {
    /// 3600 when left out.
    #[param(value_type = Option<i64>, minimum = 1, maximum = 604800)]
    expires_seconds: Option<String>,
}

/// A URL at which the file of a data source can be fetched without a token.
#[utoipa::path(get, path = "/data-sources/{data_source_id}/file-url", operation_id = "read_data_source_file_url", tag = "Data sources",
    security(("bearer" = [])), params(("data_source_id" = i64, Path, description = "`id` from the list"), FileUrlQuery),
    responses(
        (status = 200, description = "The URL", body = Envelope<FileUrlData>),
        (status = 401, description = "UNAUTHORIZED", body = ErrorBody),
        (status = 403, description = "FORBIDDEN, EMAIL_NOT_VERIFIED", body = ErrorBody),
        (status = 404, description = "NOT_FOUND: the data source, or its file; it may have none", body = ErrorBody),
        (status = 422, description = "VALIDATION_ERROR", body = ErrorBody),
        (status = 429, description = "TOO_MANY_REQUESTS", body = ErrorBody),
        (status = 500, description = "INTERNAL_SERVER_ERROR", body = ErrorBody),
    ))]
pub(super) async fn file_url(
    bearer: Bearer,
    State(app): State<App>,
    data_source_id: SourcePath,
    uri: Uri,
    query: Result<Query<FileUrlQuery>, QueryRejection>,
) -> Answer {
    let number = number(data_source_id)?;
    check_query(&uri, "expires_seconds")?;
    let Query(query) = query.map_err(|_| Violations::of("query", "must be a valid query string"))?;
    let seconds = match query.expires_seconds.as_deref().unwrap_or("3600").parse() {
        Ok(seconds @ 1..=604_800_u32) => seconds,
        _ => return Err(Violations::of("expires_seconds", "must be an integer from 1 to 604800").into()),
    };
    let expires = Duration::from_secs(seconds.into());
    let url = app.catalog().data_source_file_url(&bearer.actor, number, expires).await?;
    let data = FileUrlData { url, expires_in_seconds: seconds };
    Ok(envelope(StatusCode::OK, data, "Presigned URL generated successfully"))
}
