//! Executions: looked at, called off, downloaded, followed.

use std::convert::Infallible;

use axum::body::{Body, Bytes};
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::{Stream, stream};
use serde::Deserialize;
use serde_json::json;
use tidegate_domain::Permission;
use tidegate_prompts::executions::follow::{Follower, News, Said};
use tidegate_prompts::executions::format::ResultFormat;
use tidegate_prompts::executions::result::Download;
use utoipa::IntoParams;

use super::super::error::ErrorBody;
use super::super::platform::{Answer, Bearer, PlatformError, UnusedBody};
use super::super::responses::{Envelope, envelope};
use super::error::{NumberPath, no_query, number};
use super::fields::word;
use super::responses::ExecutionData;
use crate::wire::fields::Check;
use crate::wire::state::App;

const RETRIEVED: &str = "Execution status retrieved successfully";

/// An execution of the caller's: under way, or over, with its first rows as long as the caller may see the same.
#[utoipa::path(get, path = "/prompts/executions/{execution_id}", operation_id = "read_execution", tag = "Prompt Studio",
    security(("bearer" = [])), params(("execution_id" = i64, Path, description = "`execution_id` of the answer")),
    responses(
        (status = 200, description = "Under way, or over", body = Envelope<ExecutionData>),
        (status = 401, description = "UNAUTHORIZED", body = ErrorBody),
        (status = 403, description = "FORBIDDEN, EMAIL_NOT_VERIFIED", body = ErrorBody),
        (status = 404, description = "NOT_FOUND", body = ErrorBody),
        (status = 422, description = "VALIDATION_ERROR", body = ErrorBody),
        (status = 429, description = "TOO_MANY_REQUESTS", body = ErrorBody),
    ))]
pub(super) async fn read(bearer: Bearer, State(app): State<App>, execution_id: NumberPath) -> Answer {
    let number = number("execution_id", execution_id)?;
    let execution = app.prompts().execution(&bearer.actor, number).await?;
    Ok(envelope(StatusCode::OK, ExecutionData::from(execution), RETRIEVED))
}

/// The same.
#[utoipa::path(get, path = "/prompts/executions/{execution_id}/status", operation_id = "read_execution_status", tag = "Prompt Studio",
    security(("bearer" = [])), params(("execution_id" = i64, Path, description = "`execution_id` of the answer")),
    responses(
        (status = 200, description = "Under way, or over", body = Envelope<ExecutionData>),
        (status = 401, description = "UNAUTHORIZED", body = ErrorBody),
        (status = 403, description = "FORBIDDEN, EMAIL_NOT_VERIFIED", body = ErrorBody),
        (status = 404, description = "NOT_FOUND", body = ErrorBody),
        (status = 422, description = "VALIDATION_ERROR", body = ErrorBody),
        (status = 429, description = "TOO_MANY_REQUESTS", body = ErrorBody),
    ))]
pub(super) async fn read_status(bearer: Bearer, app: State<App>, execution_id: NumberPath) -> Answer {
    read(bearer, app, execution_id).await
}

/// Calls an execution of the caller's off.
#[utoipa::path(post, path = "/prompts/executions/{execution_id}/cancel", operation_id = "cancel_execution", tag = "Prompt Studio",
    security(("bearer" = [])), params(("execution_id" = i64, Path, description = "`execution_id` of the answer")),
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
    execution_id: NumberPath,
    _body: UnusedBody,
) -> Answer {
    cancelled("execution_id", bearer, &app, execution_id).await
}

/// Calls one off, whatever the path calls it.
pub(in super::super) async fn cancelled(
    name: &'static str,
    bearer: Bearer,
    app: &App,
    path: NumberPath,
) -> Answer {
    let (actor, call) = bearer.permitted(Permission::QueryData)?;
    let number = number(name, path)?;
    let execution = app.prompts().cancel_execution(&call, &actor, number).await?;
    Ok(envelope(StatusCode::OK, ExecutionData::from(execution), "Execution cancelled successfully"))
}

/// How a result is written.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(in super::super) struct ResultQuery {
    /// `json` when left out.
    #[param(value_type = Option<String>, format = "result-format")]
    format: Option<String>,
}

/// The whole result of a completed execution of the caller's. Its query runs anew, under the policies that hold now. A result that ends
/// early is no whole file of its format.
#[utoipa::path(get, path = "/prompts/executions/{execution_id}/result", operation_id = "read_execution_result", tag = "Prompt Studio",
    security(("bearer" = [])), params(("execution_id" = i64, Path, description = "`execution_id` of the answer"), ResultQuery),
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
    execution_id: NumberPath,
    query: Result<Query<ResultQuery>, QueryRejection>,
) -> Answer {
    downloaded("execution_id", bearer, &app, execution_id, query).await
}

/// The result of one, whatever the path calls it.
pub(in super::super) async fn downloaded(
    name: &'static str,
    bearer: Bearer,
    app: &App,
    path: NumberPath,
    query: Result<Query<ResultQuery>, QueryRejection>,
) -> Answer {
    let (actor, call) = bearer.permitted(Permission::QueryData)?;
    let number = number(name, path)?;
    let Query(query) = query.map_err(no_query)?;
    let mut check = Check::new();
    let format = match query.format {
        None => Some(ResultFormat::Json),
        sent => word!(&mut check, "format", sent, ResultFormat),
    };
    let format = check.finish(format)?;
    let download = app.prompts().execution_result(&call, &actor, number, format).await?;
    file(download, number, format)
}

/// A file, written while its rows are read.
fn file(download: Download, number: i64, format: ResultFormat) -> Answer {
    let disposition = format!("attachment; filename=\"result-{number}.{}\"", format.as_str());
    let disposition = HeaderValue::from_str(&disposition).map_err(|_| {
        PlatformError::new(StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL_SERVER_ERROR", "no header")
    })?;
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(format.media_type())),
        (header::CONTENT_DISPOSITION, disposition),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    ];
    Ok((StatusCode::OK, headers, Body::from_stream(pieces(download))).into_response())
}

fn pieces(download: Download) -> impl Stream<Item = Result<Bytes, std::io::Error>> {
    stream::try_unfold(download, |mut download| async move {
        let piece = download.next().await.map_err(std::io::Error::other)?;
        Ok(piece.map(|piece| (piece, download)))
    })
}

/// The progress of an execution of the caller's as server-sent events: `progress` with each change, then `completed`, `failed` or
/// `cancelled`. The data of each is what the execution looks like then. While a model writes its answer, `explanation` has what it wrote
/// more of how it reads the question: `{"attempt", "text"}`. A text is added to those of the same attempt; those of an earlier one are void.
#[utoipa::path(get, path = "/prompts/executions/{execution_id}/events", operation_id = "follow_execution", tag = "Prompt Studio",
    security(("bearer" = [])), params(("execution_id" = i64, Path, description = "`execution_id` of the answer")),
    responses(
        (status = 200, description = "Events", content((String = "text/event-stream"))),
        (status = 401, description = "UNAUTHORIZED", body = ErrorBody),
        (status = 403, description = "FORBIDDEN, EMAIL_NOT_VERIFIED", body = ErrorBody),
        (status = 404, description = "NOT_FOUND", body = ErrorBody),
        (status = 422, description = "VALIDATION_ERROR", body = ErrorBody),
        (status = 429, description = "TOO_MANY_REQUESTS", body = ErrorBody),
    ))]
pub(super) async fn events(bearer: Bearer, State(app): State<App>, execution_id: NumberPath) -> Answer {
    let number = number("execution_id", execution_id)?;
    let follower = app.prompts().follow_execution(&bearer.actor, number).await?;
    Ok(told(follower))
}

fn told(follower: Follower) -> Response {
    let events = stream::unfold(follower, |mut follower| async move {
        let news = follower.next().await?;
        Some((Ok::<_, Infallible>(event(news)), follower))
    });
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    (StatusCode::OK, headers, Body::from_stream(events)).into_response()
}

/// An event (HTML Living Standard section 9.2.6): JSON has no line breaks in it.
fn event(news: News) -> Bytes {
    match news {
        News::Quiet => Bytes::from_static(b": still running\n\n"),
        News::Said(Said { attempt, text }) => {
            let data = json!({ "attempt": attempt, "text": text });
            format!("event: explanation\ndata: {data}\n\n").into()
        }
        News::Changed(execution) => {
            let is_over = execution.status.is_over();
            let name = if is_over { execution.status.as_str() } else { "progress" };
            let data = serde_json::to_string(&ExecutionData::from(*execution)).unwrap_or_default();
            format!("event: {name}\ndata: {data}\n\n").into()
        }
    }
}
