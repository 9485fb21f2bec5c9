//! A question is asked.

use axum::extract::State;
use axum::http::StatusCode;
use tidegate_domain::Permission;
use tidegate_prompts::executions::Execution;

use super::super::error::ErrorBody;
use super::super::platform::{Answer, Bearer, JsonBody};
use super::super::responses::{Envelope, envelope};
use super::requests::ExecutePromptBody;
use super::responses::ExecutionData;
use crate::wire::state::App;

/// An execution, with the words for one that goes on or for one that is over.
pub(super) fn answered(execution: Execution, started: &str, done: &str) -> Answer {
    let message = match (execution.status.is_over(), &execution.error) {
        (false, _) => started.to_owned(),
        (true, None) => done.to_owned(),
        (true, Some(error)) => error.message.clone(),
    };
    Ok(envelope(StatusCode::OK, ExecutionData::from(execution), &message))
}

/// Asks a question of data sources. What takes longer than some seconds goes on: ask for it with its `execution_id`. A failure after
/// the question was accepted is answered with 200, `status` `failed` and why.
#[utoipa::path(post, path = "/prompts/execute", operation_id = "execute_prompt", tag = "Prompt Studio",
    security(("bearer" = [])), request_body = ExecutePromptBody,
    responses(
        (status = 200, description = "Under way, or over", body = Envelope<ExecutionData>),
        (status = 400, description = "BAD_REQUEST: the model is unknown, or the body is no JSON object", body = ErrorBody),
        (status = 401, description = "UNAUTHORIZED", body = ErrorBody),
        (status = 403, description = "FORBIDDEN, EMAIL_NOT_VERIFIED", body = ErrorBody),
        (status = 404, description = "NOT_FOUND: a data source, the workspace, or the saved question", body = ErrorBody),
        (status = 409, description = "CONFLICT: the organization has saved as many questions as it may", body = ErrorBody),
        (status = 422, description = "VALIDATION_ERROR", body = ErrorBody),
        (status = 429, description = "TOO_MANY_REQUESTS: also when too many queries of the person or the organization are running", body = ErrorBody),
        (status = 503, description = "SERVICE_UNAVAILABLE: also when too many queries are running", body = ErrorBody),
    ))]
pub(super) async fn execute(
    bearer: Bearer,
    State(app): State<App>,
    body: JsonBody<ExecutePromptBody>,
) -> Answer {
    let (actor, call) = bearer.permitted(Permission::QueryData)?;
    let new = body.0.read()?;
    let execution = app.prompts().execute(&call, &actor, new).await?;
    answered(execution, "Prompt execution started", "Prompt executed successfully")
}
