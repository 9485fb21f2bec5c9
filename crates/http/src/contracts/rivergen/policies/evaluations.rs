//! What policies decided.

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use serde::Deserialize;
use tidegate_policies::evaluations::find::EvaluationListing;
use utoipa::IntoParams;

use super::super::data_sources::positive;
use super::super::error::ErrorBody;
use super::super::platform::{Answer, Bearer, PlatformError};
use super::super::responses::{Envelope, envelope};
use super::error::{PolicyPath, number};
use super::fields::{instant, queried};
use super::list::MAX_PAGE_SIZE;
use super::responses::EvaluationsData;
use crate::wire::fields::{Check, Violations};
use crate::wire::state::App;

/// Which evaluations are listed.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct EvaluationsQuery {
    /// Those of that account.
    #[param(value_type = Option<i64>)]
    user_id: Option<String>,
    /// Those of that saved query.
    #[param(value_type = Option<i64>)]
    query_id: Option<String>,
    /// Those then or later: ISO 8601 with `Z` or an offset.
    #[param(value_type = Option<String>, format = "date-time", example = "2024-01-01T00:00:00Z")]
    start_date: Option<String>,
    /// Those then or earlier.
    #[param(value_type = Option<String>, format = "date-time", example = "2024-01-31T23:59:59Z")]
    end_date: Option<String>,
    /// From 1.
    #[param(value_type = Option<i64>, minimum = 1, default = 1)]
    page: Option<String>,
    /// At most 100.
    #[param(value_type = Option<i64>, minimum = 1, default = 20)]
    page_size: Option<String>,
}

impl EvaluationsQuery {
    fn read(self) -> Result<EvaluationListing, PlatformError> {
        let mut check = Check::new();
        let user = queried(&mut check, "user_id", self.user_id);
        let query = queried(&mut check, "query_id", self.query_id);
        let page = positive(&mut check, "page", self.page, 1);
        let page_size = positive(&mut check, "page_size", self.page_size, 20);
        let (page, page_size) = check.finish(page.zip(page_size))?;
        let from = instant("start_date", self.start_date)?;
        let until = instant("end_date", self.end_date)?;
        Ok(EvaluationListing { user, query, from, until, page, page_size: page_size.min(MAX_PAGE_SIZE) })
    }
}

/// What a policy decided, newest first. For admins.
#[utoipa::path(get, path = "/policies/{policy_id}/evaluations", operation_id = "list_policy_evaluations", tag = "Policies",
    security(("bearer" = [])), params(("policy_id" = i64, Path, description = "`id` from the list"), EvaluationsQuery),
    responses(
        (status = 200, description = "A page of evaluations", body = Envelope<EvaluationsData>),
        (status = 400, description = "BAD_REQUEST: a date is none", body = ErrorBody),
        (status = 401, description = "UNAUTHORIZED", body = ErrorBody),
        (status = 403, description = "FORBIDDEN, EMAIL_NOT_VERIFIED", body = ErrorBody),
        (status = 404, description = "NOT_FOUND", body = ErrorBody),
        (status = 422, description = "VALIDATION_ERROR", body = ErrorBody),
        (status = 429, description = "TOO_MANY_REQUESTS", body = ErrorBody),
    ))]
pub(super) async fn evaluations(
    bearer: Bearer,
    State(app): State<App>,
    policy_id: PolicyPath,
    query: Result<Query<EvaluationsQuery>, QueryRejection>,
) -> Answer {
    let number = number(policy_id)?;
    let Query(query) = query.map_err(|_| Violations::of("query", "must be a valid query string"))?;
    let listing = query.read()?;
    let found = app.policies().list_evaluations(&bearer.actor, number, &listing).await?;
    let message = "Policy evaluations retrieved successfully";
    Ok(envelope(StatusCode::OK, EvaluationsData::new(&found, &listing), message))
}
