//! Queries: run, looked at, called off, downloaded.

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use serde::Deserialize;
use tidegate_domain::Permission;
use tidegate_prompts::executions::read::Wanted;
use tidegate_prompts::executions::{ExecutionKind, ExecutionStatus};
use utoipa::IntoParams;

use super::super::error::ErrorBody;
use super::super::platform::{Answer, Bearer, JsonBody, UnusedBody};
use super::super::prompts::error::{NumberPath, no_query, number};
use super::super::prompts::executions::{ResultQuery, cancelled, downloaded};
use super::super::prompts::fields::{page, word};
use super::super::prompts::responses::{ExecutionData, ExecutionsData};
use super::super::responses::{Envelope, envelope};
use super::requests::ExecuteQueryBody;
use crate::wire::fields::Check;
use crate::wire::rejection::Rejection;
use crate::wire::state::App;

/// Runs one SELECT statement over data sources, with the rows and columns that the caller may see. What takes longer than some seconds
/// goes on: ask for it with its `execution_id`. A statement that is refused or fails is answered with 200, `status` `failed` and why.
#[utoipa::path(post, path = "/queries/execute", operation_id = "execute_query", tag = "Queries",
    security(("bearer" = [])), request_body = ExecuteQueryBody,
    responses(
        (status = 200, description = "Under way, or over", body = Envelope<ExecutionData>),
        (status = 400, description = "BAD_REQUEST: the body is no JSON object", body = ErrorBody),
        (status = 401, description = "UNAUTHORIZED", body = ErrorBody),
        (status = 403, description = "FORBIDDEN, EMAIL_NOT_VERIFIED", body = ErrorBody),
        (status = 404, description = "NOT_FOUND: a data source, or the workspace", body = ErrorBody),
        (status = 422, description = "VALIDATION_ERROR", body = ErrorBody),
        (status = 429, description = "TOO_MANY_REQUESTS: also when too many queries of the person or the organization are running", body = ErrorBody),
        (status = 503, description = "SERVICE_UNAVAILABLE: also when too many queries are running", body = ErrorBody),
    ))]
pub(super) async fn execute(
    bearer: Bearer,
    State(app): State<App>,
    body: JsonBody<ExecuteQueryBody>,
) -> Answer {
    let (actor, call) = bearer.permitted(Permission::QueryData)?;
    let new = body.0.read()?;
    let execution = app.prompts().execute(&call, &actor, new).await?;
    let message = match (execution.status.is_over(), &execution.error) {
        (false, _) => "Query execution started".to_owned(),
        (true, None) => "Query executed successfully".to_owned(),
        (true, Some(error)) => error.message.clone(),
    };
    Ok(envelope(StatusCode::OK, ExecutionData::from(execution), &message))
}

/// Which queries are listed.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct QueriesQuery {
    /// From 1.
    #[param(value_type = Option<i64>, minimum = 1, default = 1)]
    page: Option<String>,
    /// At most 100.
    #[param(value_type = Option<i64>, minimum = 1, default = 20)]
    page_size: Option<String>,
    /// Those in that state.
    #[param(value_type = Option<String>, format = "execution-status")]
    status: Option<String>,
    /// Those that began so: as SQL, a question, or a template.
    #[param(value_type = Option<String>, format = "execution-kind")]
    kind: Option<String>,
}

/// What the caller ran, the newest first: queries, questions and templates.
#[utoipa::path(get, path = "/queries", operation_id = "list_queries", tag = "Queries",
    security(("bearer" = [])), params(QueriesQuery),
    responses(
        (status = 200, description = "A page of executions", body = Envelope<ExecutionsData>),
        (status = 401, description = "UNAUTHORIZED", body = ErrorBody),
        (status = 403, description = "FORBIDDEN, EMAIL_NOT_VERIFIED", body = ErrorBody),
        (status = 422, description = "VALIDATION_ERROR", body = ErrorBody),
        (status = 429, description = "TOO_MANY_REQUESTS", body = ErrorBody),
    ))]
pub(super) async fn history(
    bearer: Bearer,
    State(app): State<App>,
    query: Result<Query<QueriesQuery>, QueryRejection>,
) -> Answer {
    let Query(query) = query.map_err(no_query)?;
    let mut check = Check::new();
    let status = word!(&mut check, "status", query.status, ExecutionStatus);
    let kind = word!(&mut check, "kind", query.kind, ExecutionKind);
    let at = page(&mut check, query.page, query.page_size);
    let at = check.finish(at)?;
    let wanted = Wanted { prompt: None, kind, status, page: at.page, page_size: at.page_size };
    let found = app.prompts().list_executions(&bearer.actor, &wanted).await;
    let (executions, total) = found.map_err(Rejection::from)?;
    let data = ExecutionsData::new(None, executions, total, at);
    Ok(envelope(StatusCode::OK, data, "Queries retrieved successfully"))
}

/// A query of the caller's: under way, or over, with its first rows as long as the caller may see the same.
#[utoipa::path(get, path = "/queries/{query_id}", operation_id = "read_query", tag = "Queries",
    security(("bearer" = [])), params(("query_id" = i64, Path, description = "`execution_id` of the answer")),
    responses(
        (status = 200, description = "Under way, or over", body = Envelope<ExecutionData>),
        (status = 401, description = "UNAUTHORIZED", body = ErrorBody),
        (status = 403, description = "FORBIDDEN, EMAIL_NOT_VERIFIED", body = ErrorBody),
        (status = 404, description = "NOT_FOUND", body = ErrorBody),
        (status = 422, description = "VALIDATION_ERROR", body = ErrorBody),
        (status = 429, description = "TOO_MANY_REQUESTS", body = ErrorBody),
    ))]
pub(super) async fn read(bearer: Bearer, State(app): State<App>, query_id: NumberPath) -> Answer {
    let number = number("query_id", query_id)?;
    let execution = app.prompts().execution(&bearer.actor, number).await?;
    Ok(envelope(StatusCode::OK, ExecutionData::from(execution), "Query retrieved successfully"))
}

/// Calls a query of the caller's off.
#[utoipa::path(post, path = "/queries/{query_id}/cancel", operation_id = "cancel_query", tag = "Queries",
    security(("bearer" = [])), params(("query_id" = i64, Path, description = "`execution_id` of the answer")),
    responses(
        (status = 200, description = "Cancelled", body = Envelope<ExecutionData>),
        (status = 401, description = "UNAUTHORIZED", body = ErrorBody),
        (status = 403, description = "FORBIDDEN, EMAIL_NOT_VERIFIED", body = ErrorBody),
        (status = 404, description = "NOT_FOUND", body = ErrorBody),
        (status = 409, description = "CONFLICT: it is over", body = ErrorBody),
        (status = 422, description = "VALIDATION_ERROR", body = ErrorBody),
        (status = 429, description = "TOO_MANY_REQUESTS", body = ErrorBody),
    ))]
pub(super) async fn cancel(
    bearer: Bearer,
    State(app): State<App>,
    query_id: NumberPath,
    _body: UnusedBody,
) -> Answer {
    cancelled("query_id", bearer, &app, query_id).await
}

/// The whole result of a completed query of the caller's. It runs anew, under the policies that hold now. A result that ends early is
/// no whole file of its format.
#[utoipa::path(get, path = "/queries/{query_id}/result", operation_id = "read_query_result", tag = "Queries",
    security(("bearer" = [])), params(("query_id" = i64, Path, description = "`execution_id` of the answer"), ResultQuery),
    responses(
        (status = 200, description = "The rows", content(
            (Vec<Object> = "application/json"), (String = "text/csv"), (String = "application/x-ndjson"),
            (Vec<u8> = "application/vnd.apache.arrow.stream"), (Vec<u8> = "application/vnd.apache.parquet"))),
        (status = 400, description = "BAD_REQUEST: the query fails by now, or the format cannot hold its columns", body = ErrorBody),
        (status = 401, description = "UNAUTHORIZED", body = ErrorBody),
        (status = 403, description = "FORBIDDEN, EMAIL_NOT_VERIFIED; also when a policy denies it by now", body = ErrorBody),
        (status = 404, description = "NOT_FOUND", body = ErrorBody),
        (status = 409, description = "CONFLICT: it is not completed", body = ErrorBody),
        (status = 422, description = "VALIDATION_ERROR", body = ErrorBody),
        (status = 429, description = "TOO_MANY_REQUESTS", body = ErrorBody),
        (status = 503, description = "SERVICE_UNAVAILABLE: also when a data source does not answer", body = ErrorBody),
    ))]
pub(super) async fn result(
    bearer: Bearer,
    State(app): State<App>,
    query_id: NumberPath,
    query: Result<Query<ResultQuery>, QueryRejection>,
) -> Answer {
    downloaded("query_id", bearer, &app, query_id, query).await
}
