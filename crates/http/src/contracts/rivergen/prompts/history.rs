//! What somebody asked, the latest first.

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use serde::Deserialize;
use tidegate_domain::Permission;
use tidegate_prompts::records::history::{HistoryOrder, HistorySorting, HistoryWanted, TimePeriod};
use tidegate_prompts::records::prompt::PromptStatus;
use utoipa::IntoParams;

use super::super::error::ErrorBody;
use super::super::platform::{Answer, Bearer};
use super::super::responses::{Envelope, envelope};
use super::error::no_query;
use super::fields::{Page, integer, order, page, search, word};
use super::responses::{ClearedData, ClearedFilters, PromptHistoryData};
use crate::wire::fields::{Check, Violations};
use crate::wire::rejection::Rejection;
use crate::wire::state::App;

/// Which part of a history is read, and how.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct HistoryQuery {
    /// Of the workspace of that number.
    #[param(value_type = Option<i64>)]
    workspace_id: Option<String>,
    /// In that state.
    #[param(value_type = Option<String>, format = "prompt-status")]
    status: Option<String>,
    /// Of that data source.
    #[param(value_type = Option<i64>)]
    data_source_id: Option<String>,
    /// How far back; `all` when left out.
    #[param(value_type = Option<String>, format = "time-period")]
    time_period: Option<String>,
    /// With that in their name or text.
    #[param(value_type = Option<String>, format = "text-without-nul", max_length = 255)]
    search: Option<String>,
    /// From 1.
    #[param(value_type = Option<i64>, minimum = 1, default = 1)]
    page: Option<String>,
    /// At most 100.
    #[param(value_type = Option<i64>, minimum = 1, default = 20)]
    page_size: Option<String>,
    /// `timestamp` when left out.
    #[param(value_type = Option<String>, format = "history-sort-field")]
    sort_by: Option<String>,
    /// `desc` when left out.
    #[param(value_type = Option<String>, format = "sort-order")]
    sort_order: Option<String>,
    /// Of another member; for admins.
    #[param(value_type = Option<i64>)]
    user_id: Option<String>,
}

/// How far back; all of it when it is left out.
fn period(check: &mut Check, sent: Option<String>) -> Option<TimePeriod> {
    match sent {
        None => Some(TimePeriod::All),
        sent => word!(check, "time_period", sent, TimePeriod),
    }
}

impl HistoryQuery {
    fn read(self) -> Result<(HistoryWanted, Page, Option<i64>), Violations> {
        let mut check = Check::new();
        let workspace = integer(&mut check, "workspace_id", self.workspace_id);
        let status = word!(&mut check, "status", self.status, PromptStatus);
        let source = integer(&mut check, "data_source_id", self.data_source_id);
        let period = period(&mut check, self.time_period);
        let search = search(&mut check, self.search);
        let at = page(&mut check, self.page, self.page_size);
        let sorting = match self.sort_by {
            None => Some(HistorySorting::Timestamp),
            sent => word!(&mut check, "sort_by", sent, HistorySorting),
        };
        let order = order(&mut check, self.sort_order.as_deref());
        let user = integer(&mut check, "user_id", self.user_id);
        let (((at, period), sorting), order) = check.finish(at.zip(period).zip(sorting).zip(order))?;
        let sorting = HistoryOrder { sorting, order };
        let Page { page, page_size } = at;
        let wanted = HistoryWanted { workspace, status, source, period, search, sorting, page, page_size };
        Ok((wanted, at, user))
    }
}

/// What the caller asked and saved, each question once with what became of it last. That of another member for admins.
#[utoipa::path(get, path = "/prompts/history", operation_id = "read_prompt_history", tag = "Prompt Studio",
    security(("bearer" = [])), params(HistoryQuery),
    responses(
        (status = 200, description = "A page of the history", body = Envelope<PromptHistoryData>),
        (status = 401, description = "UNAUTHORIZED", body = ErrorBody),
        (status = 403, description = "FORBIDDEN: also for another member's history, EMAIL_NOT_VERIFIED", body = ErrorBody),
        (status = 404, description = "NOT_FOUND: there is no such member", body = ErrorBody),
        (status = 422, description = "VALIDATION_ERROR", body = ErrorBody),
        (status = 429, description = "TOO_MANY_REQUESTS", body = ErrorBody),
    ))]
pub(super) async fn history(
    bearer: Bearer,
    State(app): State<App>,
    query: Result<Query<HistoryQuery>, QueryRejection>,
) -> Answer {
    let Query(query) = query.map_err(no_query)?;
    let (wanted, page, user) = query.read()?;
    let actor = &bearer.actor;
    let other = user.filter(|number| *number != actor.session().account_number);
    let (found, total) = match other {
        Some(member) => app.prompts().prompt_history_of_member(actor, member, &wanted).await?,
        None => app.prompts().prompt_history(actor, &wanted).await.map_err(Rejection::from)?,
    };
    let data = PromptHistoryData::new(&found, total, page);
    Ok(envelope(StatusCode::OK, data, "Prompt history retrieved successfully"))
}

/// Which part of a history is cleared.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct ClearQuery {
    /// Of the workspace of that number.
    #[param(value_type = Option<i64>)]
    workspace_id: Option<String>,
    /// How far back; `all` when left out.
    #[param(value_type = Option<String>, format = "time-period")]
    time_period: Option<String>,
    /// Of another member; for admins.
    #[param(value_type = Option<i64>)]
    user_id: Option<String>,
}

/// Deletes the caller's saved questions, those that match. Those of another member for admins.
#[utoipa::path(delete, path = "/prompts/history/clear", operation_id = "clear_prompt_history", tag = "Prompt Studio",
    security(("bearer" = [])), params(ClearQuery),
    responses(
        (status = 200, description = "Cleared", body = Envelope<ClearedData>),
        (status = 401, description = "UNAUTHORIZED", body = ErrorBody),
        (status = 403, description = "FORBIDDEN: also for another member's history, EMAIL_NOT_VERIFIED", body = ErrorBody),
        (status = 404, description = "NOT_FOUND: there is no such member", body = ErrorBody),
        (status = 422, description = "VALIDATION_ERROR", body = ErrorBody),
        (status = 429, description = "TOO_MANY_REQUESTS", body = ErrorBody),
    ))]
pub(super) async fn clear(
    bearer: Bearer,
    State(app): State<App>,
    query: Result<Query<ClearQuery>, QueryRejection>,
) -> Answer {
    let (actor, call) = bearer.permitted(Permission::ManagePrompts)?;
    let Query(query) = query.map_err(no_query)?;
    let mut check = Check::new();
    let workspace = integer(&mut check, "workspace_id", query.workspace_id);
    let user = integer(&mut check, "user_id", query.user_id);
    let period = period(&mut check, query.time_period);
    let period = check.finish(period)?;
    let own = actor.session().account_number;
    let deleted_count = match user.filter(|number| *number != own) {
        Some(member) => {
            app.prompts().clear_history_of_member(&call, &actor, member, workspace, period).await?
        }
        None => {
            app.prompts().clear_history(&call, &actor, workspace, period).await.map_err(Rejection::from)?
        }
    };
    let filters_applied = ClearedFilters {
        workspace_id: workspace,
        time_period: period.as_str(),
        user_id: user.unwrap_or(own),
    };
    let message = format!("Successfully cleared {deleted_count} prompt(s) from history");
    Ok(envelope(StatusCode::OK, ClearedData { deleted_count, filters_applied }, &message))
}
