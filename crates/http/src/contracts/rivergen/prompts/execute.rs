//! A question is asked.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use tidegate_domain::Permission;
use tidegate_prompts::executions::Execution;
use tidegate_prompts::executions::start::NewExecution;

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

/// Whether a client would rather be answered at once (RFC 7240 section 4.1).
fn prefers_no_wait(headers: &HeaderMap) -> bool {
    let values = headers.get_all("prefer").iter().filter_map(|value| value.to_str().ok());
    values
        .flat_map(|value| value.split(','))
        .filter_map(|preference| preference.split(';').next())
        .any(|preference| preference.trim().eq_ignore_ascii_case("respond-async"))
}

/// Asks a question of data sources. What takes longer than some seconds goes on: ask for it with its `execution_id`. A failure after
/// the question was accepted is answered with 200, `status` `failed` and why. With `Prefer: respond-async` the answer comes as soon as
/// the question is accepted, so that its events can be followed from the beginning.
#[utoipa::path(post, path = "/prompts/execute", operation_id = "execute_prompt", tag = "Prompt Studio",
    security(("bearer" = [])), request_body = ExecutePromptBody,
    params(("prefer" = Option<String>, Header, description = "`respond-async`: do not wait for the end")),
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
    headers: HeaderMap,
    body: JsonBody<ExecutePromptBody>,
) -> Answer {
    let (actor, call) = bearer.permitted(Permission::QueryData)?;
    let new = NewExecution { waits: !prefers_no_wait(&headers), ..body.0.read()? };
    let execution = app.prompts().execute(&call, &actor, new).await?;
    answered(execution, "Prompt execution started", "Prompt executed successfully")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_preference_is_found_among_others() {
        let prefers = |values: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append("prefer", axum::http::HeaderValue::from_static(value));
            }
            prefers_no_wait(&headers)
        };
        assert!(prefers(&["respond-async"]) && prefers(&["wait=5", "return=minimal, Respond-Async;x=1"]));
        assert!(!prefers(&[]) && !prefers(&["respond-sync", "respond-async-not", "x=respond-async", ""]));
    }
}
