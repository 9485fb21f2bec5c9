//! Templates.

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use serde::Deserialize;
use tidegate_domain::Permission;
use tidegate_prompts::templates::find::TemplateFilter;
use utoipa::IntoParams;

use super::super::data_sources::sources::switch;
use super::super::error::ErrorBody;
use super::super::platform::{Answer, Bearer, JsonBody};
use super::super::responses::{Envelope, envelope};
use super::error::{NumberPath, no_query, number};
use super::execute::answered;
use super::fields::{integer, search};
use super::responses::ExecutionData;
use super::template_requests::{ChangeTemplateBody, CreateTemplateBody, ExecuteTemplateBody};
use super::template_responses::{DeletedTemplateData, TemplateData, TemplatesData};
use crate::wire::fields::{Check, Violations};
use crate::wire::rejection::Rejection;
use crate::wire::state::App;

/// Longest category that is asked for, in characters.
const MAX_CATEGORY: usize = 100;

/// Which templates are listed.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct TemplatesQuery {
    /// Those of the caller's organization alone are to be had.
    #[param(value_type = Option<i64>)]
    organization_id: Option<String>,
    /// Those of that category.
    #[param(value_type = Option<String>, format = "text-without-nul", max_length = 100)]
    category: Option<String>,
    /// Whether those that come with the program.
    #[param(value_type = Option<bool>)]
    is_system_template: Option<String>,
    /// Whether those that the whole organization sees.
    #[param(value_type = Option<bool>)]
    is_public: Option<String>,
    /// Those with that in their name or description.
    #[param(value_type = Option<String>, format = "text-without-nul", max_length = 255)]
    search: Option<String>,
}

/// A switch that may be left out.
fn choice(name: &'static str, sent: Option<&str>) -> Result<Option<bool>, Violations> {
    sent.map(|text| switch(name, Some(text), false)).transpose()
}

impl TemplatesQuery {
    fn read(self) -> Result<TemplateFilter, Violations> {
        let is_system = choice("is_system_template", self.is_system_template.as_deref())?;
        let is_public = choice("is_public", self.is_public.as_deref())?;
        let mut check = Check::new();
        let organization = integer(&mut check, "organization_id", self.organization_id);
        let category = self.category.filter(|text| !text.is_empty()).and_then(|text| {
            if text.chars().count() > MAX_CATEGORY || text.contains('\0') {
                return check.violated("category", format!("must be at most {MAX_CATEGORY} characters"));
            }
            Some(text)
        });
        let search = search(&mut check, self.search);
        check.finish(Some(TemplateFilter { organization, category, is_system, is_public, search }))
    }
}

/// The templates that the caller sees: their own, those that members of the organization share, and those that come with the program.
#[utoipa::path(get, path = "/prompt-templates", operation_id = "list_prompt_templates", tag = "Prompt Studio",
    security(("bearer" = [])), params(TemplatesQuery),
    responses(
        (status = 200, description = "The templates", body = Envelope<TemplatesData>),
        (status = 401, description = "UNAUTHORIZED", body = ErrorBody),
        (status = 403, description = "FORBIDDEN, EMAIL_NOT_VERIFIED", body = ErrorBody),
        (status = 422, description = "VALIDATION_ERROR", body = ErrorBody),
        (status = 429, description = "TOO_MANY_REQUESTS", body = ErrorBody),
    ))]
pub(super) async fn list(
    bearer: Bearer,
    State(app): State<App>,
    query: Result<Query<TemplatesQuery>, QueryRejection>,
) -> Answer {
    let Query(query) = query.map_err(no_query)?;
    let filter = query.read()?;
    let found = app.prompts().list_templates(&bearer.actor, &filter).await.map_err(Rejection::from)?;
    let data = TemplatesData { items: found.into_iter().map(TemplateData::from).collect() };
    Ok(envelope(StatusCode::OK, data, "Prompt templates retrieved successfully"))
}

/// Makes a template of the caller's.
#[utoipa::path(post, path = "/prompt-templates", operation_id = "create_prompt_template", tag = "Prompt Studio",
    security(("bearer" = [])), request_body = CreateTemplateBody,
    responses(
        (status = 201, description = "Made", body = Envelope<TemplateData>),
        (status = 400, description = "BAD_REQUEST: placeholders and parameters do not fit, or the body is no JSON object", body = ErrorBody),
        (status = 401, description = "UNAUTHORIZED", body = ErrorBody),
        (status = 403, description = "FORBIDDEN, EMAIL_NOT_VERIFIED", body = ErrorBody),
        (status = 404, description = "NOT_FOUND: a data source", body = ErrorBody),
        (status = 409, description = "CONFLICT: the organization has as many templates as it may", body = ErrorBody),
        (status = 422, description = "VALIDATION_ERROR", body = ErrorBody),
        (status = 429, description = "TOO_MANY_REQUESTS", body = ErrorBody),
    ))]
pub(super) async fn create(
    bearer: Bearer,
    State(app): State<App>,
    body: JsonBody<CreateTemplateBody>,
) -> Answer {
    let (actor, call) = bearer.permitted(Permission::ManagePrompts)?;
    let new = body.0.read()?;
    let made = app.prompts().create_template(&call, &actor, new).await?;
    Ok(envelope(StatusCode::CREATED, TemplateData::from(made), "Prompt template created successfully"))
}

/// A template that the caller sees.
#[utoipa::path(get, path = "/prompt-templates/{template_id}", operation_id = "read_prompt_template", tag = "Prompt Studio",
    security(("bearer" = [])), params(("template_id" = i64, Path, description = "`id` from the list")),
    responses(
        (status = 200, description = "The template", body = Envelope<TemplateData>),
        (status = 401, description = "UNAUTHORIZED", body = ErrorBody),
        (status = 403, description = "FORBIDDEN, EMAIL_NOT_VERIFIED", body = ErrorBody),
        (status = 404, description = "NOT_FOUND", body = ErrorBody),
        (status = 422, description = "VALIDATION_ERROR", body = ErrorBody),
        (status = 429, description = "TOO_MANY_REQUESTS", body = ErrorBody),
    ))]
pub(super) async fn read(bearer: Bearer, State(app): State<App>, template_id: NumberPath) -> Answer {
    let number = number("template_id", template_id)?;
    let found = app.prompts().read_template(&bearer.actor, number).await?;
    Ok(envelope(StatusCode::OK, TemplateData::from(found), "Prompt template retrieved successfully"))
}

/// Changes a template of the caller's; admins those, too, that the whole organization sees.
#[utoipa::path(patch, path = "/prompt-templates/{template_id}", operation_id = "change_prompt_template", tag = "Prompt Studio",
    security(("bearer" = [])), params(("template_id" = i64, Path, description = "`id` from the list")),
    request_body = ChangeTemplateBody,
    responses(
        (status = 200, description = "Changed", body = Envelope<TemplateData>),
        (status = 400, description = "BAD_REQUEST: placeholders and parameters do not fit, or the body is no JSON object", body = ErrorBody),
        (status = 401, description = "UNAUTHORIZED", body = ErrorBody),
        (status = 403, description = "FORBIDDEN: also for a template of somebody else, and for one that comes with the program, EMAIL_NOT_VERIFIED", body = ErrorBody),
        (status = 404, description = "NOT_FOUND: also a data source", body = ErrorBody),
        (status = 422, description = "VALIDATION_ERROR", body = ErrorBody),
        (status = 429, description = "TOO_MANY_REQUESTS", body = ErrorBody),
    ))]
pub(super) async fn change(
    bearer: Bearer,
    State(app): State<App>,
    template_id: NumberPath,
    body: JsonBody<ChangeTemplateBody>,
) -> Answer {
    let (actor, call) = bearer.permitted(Permission::ManagePrompts)?;
    let number = number("template_id", template_id)?;
    let change = body.0.read()?;
    let changed = app.prompts().change_template(&call, &actor, number, change).await?;
    Ok(envelope(StatusCode::OK, TemplateData::from(changed), "Prompt template updated successfully"))
}

/// Deletes a template of the caller's; admins those, too, that the whole organization sees.
#[utoipa::path(delete, path = "/prompt-templates/{template_id}", operation_id = "delete_prompt_template", tag = "Prompt Studio",
    security(("bearer" = [])), params(("template_id" = i64, Path, description = "`id` from the list")),
    responses(
        (status = 200, description = "Deleted", body = Envelope<DeletedTemplateData>),
        (status = 401, description = "UNAUTHORIZED", body = ErrorBody),
        (status = 403, description = "FORBIDDEN: also for a template of somebody else, and for one that comes with the program, EMAIL_NOT_VERIFIED", body = ErrorBody),
        (status = 404, description = "NOT_FOUND", body = ErrorBody),
        (status = 422, description = "VALIDATION_ERROR", body = ErrorBody),
        (status = 429, description = "TOO_MANY_REQUESTS", body = ErrorBody),
    ))]
pub(super) async fn delete(bearer: Bearer, State(app): State<App>, template_id: NumberPath) -> Answer {
    let (actor, call) = bearer.permitted(Permission::ManagePrompts)?;
    let number = number("template_id", template_id)?;
    let deleted_at = app.prompts().delete_template(&call, &actor, number).await?;
    let data = DeletedTemplateData { template_id: number, deleted_at: deleted_at.iso_seconds() };
    Ok(envelope(StatusCode::OK, data, "Prompt template deleted successfully"))
}

/// Runs a template with values of its parameters, as a question is asked.
#[utoipa::path(post, path = "/prompt-templates/{template_id}/execute", operation_id = "execute_prompt_template", tag = "Prompt Studio",
    security(("bearer" = [])), params(("template_id" = i64, Path, description = "`id` from the list")),
    request_body = ExecuteTemplateBody,
    responses(
        (status = 200, description = "Under way, or over", body = Envelope<ExecutionData>),
        (status = 400, description = "BAD_REQUEST: a value is missing or of another type, the template is not for a data source, or the body is no JSON object", body = ErrorBody),
        (status = 401, description = "UNAUTHORIZED", body = ErrorBody),
        (status = 403, description = "FORBIDDEN, EMAIL_NOT_VERIFIED", body = ErrorBody),
        (status = 404, description = "NOT_FOUND: the template, a data source, or the workspace", body = ErrorBody),
        (status = 409, description = "CONFLICT: the organization has saved as many questions as it may", body = ErrorBody),
        (status = 422, description = "VALIDATION_ERROR", body = ErrorBody),
        (status = 429, description = "TOO_MANY_REQUESTS: also when too many queries of the person or the organization are running", body = ErrorBody),
        (status = 503, description = "SERVICE_UNAVAILABLE: also when too many queries are running, or a data source does not answer", body = ErrorBody),
    ))]
pub(super) async fn execute(
    bearer: Bearer,
    State(app): State<App>,
    template_id: NumberPath,
    body: JsonBody<ExecuteTemplateBody>,
) -> Answer {
    let (actor, call) = bearer.permitted(Permission::QueryData)?;
    let number = number("template_id", template_id)?;
    let run = body.0.read()?;
    let execution = app.prompts().execute_template(&call, &actor, number, run).await?;
    answered(execution, "Template execution started", "Template executed successfully")
}
