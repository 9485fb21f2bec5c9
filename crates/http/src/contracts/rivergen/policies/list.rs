//! Policies in a list, and how many there are.

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use serde::Deserialize;
use tidegate_policies::records::find::Listing;
use utoipa::IntoParams;

use super::super::data_sources::{positive, switch};
use super::super::error::ErrorBody;
use super::super::platform::{Answer, Bearer, PlatformError};
use super::super::responses::{Envelope, envelope};
use super::fields::{policy_type, queried};
use super::responses::{PoliciesData, PolicyDashboardData};
use crate::wire::fields::{Check, Violations};
use crate::wire::rejection::Rejection;
use crate::wire::state::App;

/// Most items of a page; who asks for more gets so many.
pub(super) const MAX_PAGE_SIZE: i64 = 100;
/// Longest text that is searched for, in characters.
const MAX_SEARCH: usize = 255;

/// Which policies are listed.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct PoliciesQuery {
    /// Those of the workspace of that number.
    #[param(value_type = Option<i64>)]
    workspace_id: Option<String>,
    /// Those of that type.
    #[param(value_type = Option<String>, format = "policy-type")]
    r#type: Option<String>,
    /// Those in that state.
    #[param(value_type = Option<bool>)]
    is_active: Option<String>,
    /// From 1.
    #[param(value_type = Option<i64>, minimum = 1, default = 1)]
    page: Option<String>,
    /// At most 100.
    #[param(value_type = Option<i64>, minimum = 1, default = 20)]
    page_size: Option<String>,
    /// Those with that in their name or description.
    #[param(value_type = Option<String>, format = "text-without-nul", max_length = 255)]
    search: Option<String>,
}

impl PoliciesQuery {
    fn read(self) -> Result<Listing, PlatformError> {
        let mut check = Check::new();
        let workspace = queried(&mut check, "workspace_id", self.workspace_id);
        let kind = self.r#type.and_then(|name| policy_type(&mut check, &name));
        let is_active = match self.is_active.as_deref() {
            None => None,
            sent => match switch("is_active", sent, true) {
                Ok(is_active) => Some(is_active),
                Err(_) => check.violated("is_active", "must be true or false"),
            },
        };
        let page = positive(&mut check, "page", self.page, 1);
        let page_size = positive(&mut check, "page_size", self.page_size, 20);
        let search = self.search.filter(|text| !text.trim().is_empty()).and_then(|text| {
            if text.chars().count() > MAX_SEARCH || text.contains('\0') {
                return check.violated("search", format!("must be at most {MAX_SEARCH} characters"));
            }
            Some(text.trim().to_owned())
        });
        let (page, page_size) = check.finish(page.zip(page_size))?;
        Ok(Listing { workspace, kind, is_active, search, page, page_size: page_size.min(MAX_PAGE_SIZE) })
    }
}

/// The organization's policies. For admins.
#[utoipa::path(get, path = "/policies", operation_id = "list_policies", tag = "Policies",
    security(("bearer" = [])), params(PoliciesQuery),
    responses(
        (status = 200, description = "A page of policies", body = Envelope<PoliciesData>),
        (status = 401, description = "UNAUTHORIZED", body = ErrorBody),
        (status = 403, description = "FORBIDDEN, EMAIL_NOT_VERIFIED", body = ErrorBody),
        (status = 422, description = "VALIDATION_ERROR", body = ErrorBody),
        (status = 429, description = "TOO_MANY_REQUESTS", body = ErrorBody),
    ))]
pub(super) async fn list(
    bearer: Bearer,
    State(app): State<App>,
    query: Result<Query<PoliciesQuery>, QueryRejection>,
) -> Answer {
    let Query(query) = query.map_err(|_| Violations::of("query", "must be a valid query string"))?;
    let listing = query.read()?;
    let found = app.policies().list_policies(&bearer.actor, &listing).await.map_err(Rejection::from)?;
    let message = "Policies retrieved successfully";
    Ok(envelope(StatusCode::OK, PoliciesData::new(&found, &listing), message))
}

/// Whose policies are counted.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct DashboardQuery {
    /// Those of the workspace of that number; all of the organization when left out.
    #[param(value_type = Option<i64>)]
    workspace_id: Option<String>,
}

/// How many policies of each type there are. For admins.
#[utoipa::path(get, path = "/policies/dashboard", operation_id = "read_policy_dashboard", tag = "Policies",
    security(("bearer" = [])), params(DashboardQuery),
    responses(
        (status = 200, description = "By type; `query_limits` is the key of the type `query_limit`", body = Envelope<PolicyDashboardData>),
        (status = 401, description = "UNAUTHORIZED", body = ErrorBody),
        (status = 403, description = "FORBIDDEN, EMAIL_NOT_VERIFIED", body = ErrorBody),
        (status = 422, description = "VALIDATION_ERROR", body = ErrorBody),
        (status = 429, description = "TOO_MANY_REQUESTS", body = ErrorBody),
    ))]
pub(super) async fn dashboard(
    bearer: Bearer,
    State(app): State<App>,
    query: Result<Query<DashboardQuery>, QueryRejection>,
) -> Answer {
    let Query(query) = query.map_err(|_| Violations::of("query", "must be a valid query string"))?;
    let mut check = Check::new();
    let workspace = queried(&mut check, "workspace_id", query.workspace_id);
    check.finish(Some(()))?;
    let totals = app.policies().policy_totals(&bearer.actor, workspace).await.map_err(Rejection::from)?;
    let message = "Policy dashboard summary retrieved successfully";
    Ok(envelope(StatusCode::OK, PolicyDashboardData::new(&totals), message))
}
