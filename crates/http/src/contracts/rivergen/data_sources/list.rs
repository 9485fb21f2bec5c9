//! Data sources in a list.

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use serde::Deserialize;
use tidegate_catalog::sources::SourceStatus;
use tidegate_catalog::sources::find::{Listing, Order, Sorting};
use utoipa::IntoParams;

use super::super::error::ErrorBody;
use super::super::platform::{Answer, Bearer, PlatformError};
use super::super::responses::{Envelope, envelope};
use super::responses::DataSourcesData;
use crate::wire::fields::{Check, Violations};
use crate::wire::state::App;

/// Most items of a page; who asks for more gets so many.
const MAX_PAGE_SIZE: i64 = 100;
/// Longest text that is searched for, in characters.
const MAX_SEARCH: usize = 255;

/// Which data sources are listed, and how.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct DataSourcesQuery {
    /// Those of the workspace of that number.
    #[param(value_type = Option<i64>)]
    workspace_id: Option<String>,
    /// Those of that type.
    #[param(value_type = Option<String>, format = "data-source-type")]
    r#type: Option<String>,
    /// Those in that state.
    #[param(value_type = Option<String>, format = "source-status")]
    status_filter: Option<String>,
    /// From 1.
    #[param(value_type = Option<i64>, minimum = 1, default = 1)]
    page: Option<String>,
    /// At most 100.
    #[param(value_type = Option<i64>, minimum = 1, default = 20)]
    page_size: Option<String>,
    /// Those with that in their name or description.
    #[param(value_type = Option<String>, format = "text-without-nul", max_length = 255)]
    search: Option<String>,
    /// A field of the items; `created_at` when left out.
    #[param(value_type = Option<String>, format = "sort-field", example = "created_at")]
    sort_by: Option<String>,
    /// `desc` when left out.
    #[param(value_type = Option<String>, format = "sort-order")]
    sort_order: Option<String>,
}

/// A positive number of a query.
pub(in super::super) fn positive(
    check: &mut Check,
    name: &'static str,
    sent: Option<String>,
    usual: i64,
) -> Option<i64> {
    match sent.map(|text| text.parse::<i64>()) {
        None => Some(usual),
        Some(Ok(number)) if number >= 1 => Some(number),
        Some(_) => check.violated(name, "must be an integer from 1"),
    }
}

impl DataSourcesQuery {
    fn read(self) -> Result<Listing, PlatformError> {
        let mut check = Check::new();
        let workspace = self.workspace_id.and_then(|text| {
            let number = text.parse::<i64>().map_err(|_| "must be an integer");
            check.parsed("workspace_id", number)
        });
        let kind = self.r#type.and_then(|name| check.parsed("type", name.parse()));
        let status = self.status_filter.and_then(|name| match SourceStatus::from_name(&name) {
            Some(status) => Some(status),
            None => {
                check.violated("status_filter", "must be active, inactive, testing, failed or maintenance")
            }
        });
        let page = positive(&mut check, "page", self.page, 1);
        let page_size = positive(&mut check, "page_size", self.page_size, 20);
        let search = self.search.filter(|text| !text.trim().is_empty()).and_then(|text| {
            if text.chars().count() > MAX_SEARCH || text.contains('\0') {
                return check.violated("search", format!("must be at most {MAX_SEARCH} characters"));
            }
            Some(text.trim().to_owned())
        });
        let order = match self.sort_order.as_deref() {
            None | Some("desc") => Some(Order::Descending),
            Some("asc") => Some(Order::Ascending),
            Some(_) => check.violated("sort_order", "must be asc or desc"),
        };
        let numbers = page.zip(page_size).zip(order);
        let ((page, page_size), order) = check.finish(numbers)?;
        let sorting = match self.sort_by.as_deref() {
            None => Sorting::default(),
            Some(name) => Sorting::from_name(name)
                .ok_or_else(|| PlatformError::bad_request("sort_by must be a field of the items"))?,
        };
        let page_size = page_size.min(MAX_PAGE_SIZE);
        Ok(Listing { workspace, kind, status, search, sorting, order, page, page_size })
    }
}

/// The organization's data sources: those of the caller's workspaces, and all for its admins.
#[utoipa::path(get, path = "/data-sources", operation_id = "list_data_sources", tag = "Data sources",
    security(("bearer" = [])), params(DataSourcesQuery),
    responses(
        (status = 200, description = "A page of data sources", body = Envelope<DataSourcesData>),
        (status = 400, description = "BAD_REQUEST: there is no field to sort by of that name", body = ErrorBody),
        (status = 401, description = "UNAUTHORIZED", body = ErrorBody),
        (status = 403, description = "FORBIDDEN, EMAIL_NOT_VERIFIED", body = ErrorBody),
        (status = 422, description = "VALIDATION_ERROR", body = ErrorBody),
        (status = 429, description = "TOO_MANY_REQUESTS", body = ErrorBody),
    ))]
pub(super) async fn list(
    bearer: Bearer,
    State(app): State<App>,
    query: Result<Query<DataSourcesQuery>, QueryRejection>,
) -> Answer {
    let Query(query) = query.map_err(|_| Violations::of("query", "must be a valid query string"))?;
    let listing = query.read()?;
    let found = app.catalog().list_data_sources(&bearer.actor, &listing).await;
    let found = found.map_err(crate::wire::rejection::Rejection::from)?;
    let message = "Data sources retrieved successfully";
    Ok(envelope(StatusCode::OK, DataSourcesData::new(&found, &listing), message))
}
