//! Saved questions.

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use serde::Deserialize;
use tidegate_domain::Permission;
use tidegate_prompts::executions::ExecutionStatus;
use tidegate_prompts::executions::read::Wanted;
use tidegate_prompts::records::list::{Listing, Sorting};
use tidegate_prompts::records::prompt::PromptStatus;
use utoipa::IntoParams;

use super::super::error::ErrorBody;
use super::super::platform::{Answer, Bearer, JsonBody};
use super::super::responses::{Envelope, envelope};
use super::error::{NumberPath, no_query, number};
use super::fields::{Page, integer, order, page, search, word};
use super::requests::ChangePromptBody;
use super::responses::{ChangedPromptData, DeletedPromptData, ExecutionsData, PromptData, PromptsData};
use crate::wire::fields::{Check, Violations};
use crate::wire::rejection::Rejection;
use crate::wire::state::App;

/// Which questions are listed, and how.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct PromptsQuery {
    /// Those of the workspace of that number.
    #[param(value_type = Option<i64>)]
    workspace_id: Option<String>,
    /// Those in that state.
    #[param(value_type = Option<String>, format = "prompt-status")]
    status: Option<String>,
    /// From 1.
    #[param(value_type = Option<i64>, minimum = 1, default = 1)]
    page: Option<String>,
    /// At most 100.
    #[param(value_type = Option<i64>, minimum = 1, default = 20)]
    page_size: Option<String>,
    /// Those with that in their name or text.
    #[param(value_type = Option<String>, format = "text-without-nul", max_length = 255)]
    search: Option<String>,
    /// `created_at` when left out.
    #[param(value_type = Option<String>, format = "prompt-sort-field", example = "created_at")]
    sort_by: Option<String>,
    /// `desc` when left out.
    #[param(value_type = Option<String>, format = "sort-order")]
    sort_order: Option<String>,
}

impl PromptsQuery {
    fn read(self) -> Result<(Listing, Page), Violations> {
        let mut check = Check::new();
        let workspace = integer(&mut check, "workspace_id", self.workspace_id);
        let status = word!(&mut check, "status", self.status, PromptStatus);
        let at = page(&mut check, self.page, self.page_size);
        let search = search(&mut check, self.search);
        let sorting = match self.sort_by {
            None => Some(Sorting::CreatedAt),
            sent => word!(&mut check, "sort_by", sent, Sorting),
        };
        let order = order(&mut check, self.sort_order.as_deref());
        let ((at, sorting), order) = check.finish(at.zip(sorting).zip(order))?;
        let Page { page, page_size } = at;
        Ok((Listing { workspace, status, search, sorting, order, page, page_size }, at))
    }
}

/// The caller's saved questions.
#[utoipa::path(get, path = "/prompts", operation_id = "list_prompts", tag = "Prompt Studio",
    security(("bearer" = [])), params(PromptsQuery),
    responses(
        (status = 200, description = "A page of questions", body = Envelope<PromptsData>),
        (status = 401, description = "UNAUTHORIZED", body = ErrorBody),
        (status = 403, description = "FORBIDDEN, EMAIL_NOT_VERIFIED", body = ErrorBody),
        (status = 422, description = "VALIDATION_ERROR", body = ErrorBody),
        (status = 429, description = "TOO_MANY_REQUESTS", body = ErrorBody),
    ))]
pub(super) async fn list(
    bearer: Bearer,
    State(app): State<App>,
    query: Result<Query<PromptsQuery>, QueryRejection>,
) -> Answer {
    let Query(query) = query.map_err(no_query)?;
    let (listing, page) = query.read()?;
    let found = app.prompts().list_prompts(&bearer.actor, &listing).await;
    let (prompts, total) = found.map_err(Rejection::from)?;
    let data = PromptsData::new(&prompts, total, page);
    Ok(envelope(StatusCode::OK, data, "Prompts retrieved successfully"))
}

/// A saved question of the caller's, with its latest query.
#[utoipa::path(get, path = "/prompts/{prompt_id}", operation_id = "read_prompt", tag = "Prompt Studio",
    security(("bearer" = [])), params(("prompt_id" = i64, Path, description = "`id` from the list")),
    responses(
        (status = 200, description = "The question", body = Envelope<PromptData>),
        (status = 401, description = "UNAUTHORIZED", body = ErrorBody),
        (status = 403, description = "FORBIDDEN, EMAIL_NOT_VERIFIED", body = ErrorBody),
        (status = 404, description = "NOT_FOUND", body = ErrorBody),
        (status = 422, description = "VALIDATION_ERROR", body = ErrorBody),
        (status = 429, description = "TOO_MANY_REQUESTS", body = ErrorBody),
    ))]
pub(super) async fn read(bearer: Bearer, State(app): State<App>, prompt_id: NumberPath) -> Answer {
    let number = number("prompt_id", prompt_id)?;
    let (prompt, latest) = app.prompts().read_prompt(&bearer.actor, number).await?;
    Ok(envelope(StatusCode::OK, PromptData::new(&prompt, latest), "Prompt retrieved successfully"))
}

/// Changes what a saved question of the caller's is called, its tags and its metadata.
#[utoipa::path(patch, path = "/prompts/{prompt_id}", operation_id = "change_prompt", tag = "Prompt Studio",
    security(("bearer" = [])), params(("prompt_id" = i64, Path, description = "`id` from the list")),
    request_body = ChangePromptBody,
    responses(
        (status = 200, description = "Changed", body = Envelope<ChangedPromptData>),
        (status = 400, description = "BAD_REQUEST: the body is no JSON object", body = ErrorBody),
        (status = 401, description = "UNAUTHORIZED", body = ErrorBody),
        (status = 403, description = "FORBIDDEN, EMAIL_NOT_VERIFIED", body = ErrorBody),
        (status = 404, description = "NOT_FOUND", body = ErrorBody),
        (status = 422, description = "VALIDATION_ERROR", body = ErrorBody),
        (status = 429, description = "TOO_MANY_REQUESTS", body = ErrorBody),
    ))]
pub(super) async fn change(
    bearer: Bearer,
    State(app): State<App>,
    prompt_id: NumberPath,
    body: JsonBody<ChangePromptBody>,
) -> Answer {
    let (actor, call) = bearer.permitted(Permission::ManagePrompts)?;
    let number = number("prompt_id", prompt_id)?;
    let change = body.0.read()?;
    let changed = app.prompts().change_prompt(&call, &actor, number, change).await?;
    Ok(envelope(StatusCode::OK, ChangedPromptData::from(&changed), "Prompt updated successfully"))
}

/// Deletes a saved question of the caller's.
#[utoipa::path(delete, path = "/prompts/{prompt_id}", operation_id = "delete_prompt", tag = "Prompt Studio",
    security(("bearer" = [])), params(("prompt_id" = i64, Path, description = "`id` from the list")),
    responses(
        (status = 200, description = "Deleted", body = Envelope<DeletedPromptData>),
        (status = 401, description = "UNAUTHORIZED", body = ErrorBody),
        (status = 403, description = "FORBIDDEN, EMAIL_NOT_VERIFIED", body = ErrorBody),
        (status = 404, description = "NOT_FOUND", body = ErrorBody),
        (status = 422, description = "VALIDATION_ERROR", body = ErrorBody),
        (status = 429, description = "TOO_MANY_REQUESTS", body = ErrorBody),
    ))]
pub(super) async fn delete(bearer: Bearer, State(app): State<App>, prompt_id: NumberPath) -> Answer {
    let (actor, call) = bearer.permitted(Permission::ManagePrompts)?;
    let number = number("prompt_id", prompt_id)?;
    let deleted_at = app.prompts().delete_prompt(&call, &actor, number).await?;
    let data = DeletedPromptData { prompt_id: number, deleted_at: deleted_at.iso_seconds() };
    Ok(envelope(StatusCode::OK, data, "Prompt deleted successfully"))
}

/// Which executions are listed.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct ExecutionsQuery {
    /// From 1.
    #[param(value_type = Option<i64>, minimum = 1, default = 1)]
    page: Option<String>,
    /// At most 100.
    #[param(value_type = Option<i64>, minimum = 1, default = 20)]
    page_size: Option<String>,
    /// Those in that state.
    #[param(value_type = Option<String>, format = "execution-status")]
    status: Option<String>,
}

/// The executions of a saved question of the caller's, the newest first.
#[utoipa::path(get, path = "/prompts/{prompt_id}/executions", operation_id = "list_prompt_executions", tag = "Prompt Studio",
    security(("bearer" = [])), params(("prompt_id" = i64, Path, description = "`id` from the list"), ExecutionsQuery),
    responses(
        (status = 200, description = "A page of executions", body = Envelope<ExecutionsData>),
        (status = 401, description = "UNAUTHORIZED", body = ErrorBody),
        (status = 403, description = "FORBIDDEN, EMAIL_NOT_VERIFIED", body = ErrorBody),
        (status = 404, description = "NOT_FOUND", body = ErrorBody),
        (status = 422, description = "VALIDATION_ERROR", body = ErrorBody),
        (status = 429, description = "TOO_MANY_REQUESTS", body = ErrorBody),
    ))]
pub(super) async fn executions(
    bearer: Bearer,
    State(app): State<App>,
    prompt_id: NumberPath,
    query: Result<Query<ExecutionsQuery>, QueryRejection>,
) -> Answer {
    let number = number("prompt_id", prompt_id)?;
    let Query(query) = query.map_err(no_query)?;
    let mut check = Check::new();
    let status = word!(&mut check, "status", query.status, ExecutionStatus);
    let at = page(&mut check, query.page, query.page_size);
    let at = check.finish(at)?;
    let wanted = Wanted { prompt: Some(number), kind: None, status, page: at.page, page_size: at.page_size };
    let (found, total) = app.prompts().executions_of_prompt(&bearer.actor, number, wanted).await?;
    let data = ExecutionsData::new(Some(number), found, total, at);
    Ok(envelope(StatusCode::OK, data, "Execution history retrieved successfully"))
}
