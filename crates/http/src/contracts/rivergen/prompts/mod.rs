//! Prompt Studio (section 5 of the platform's contract).

mod analytics;
pub(super) mod error;
mod execute;
pub(super) mod executions;
pub(super) mod fields;
mod history;
mod records;
mod requests;
pub(super) mod responses;
mod template_requests;
mod template_responses;
mod templates;

use crate::wire::openapi::endpoints::{Endpoints, routes};

pub(super) use fields::texts;

/// The endpoints of this part of the contract, with those of queries, which have the same answers.
pub(super) fn endpoints() -> Endpoints {
    Endpoints::new()
        .routes(routes!(execute::execute))
        .routes(routes!(records::list))
        .routes(routes!(history::history))
        .routes(routes!(history::clear))
        .routes(routes!(analytics::query_analytics))
        .routes(routes!(executions::read))
        .routes(routes!(executions::read_status))
        .routes(routes!(executions::cancel))
        .routes(routes!(executions::result))
        .routes(routes!(executions::events))
        .routes(routes!(records::read, records::change, records::delete))
        .routes(routes!(records::executions))
        .routes(routes!(analytics::prompt_analytics))
        .routes(routes!(templates::list, templates::create))
        .routes(routes!(templates::read, templates::change, templates::delete))
        .routes(routes!(templates::execute))
        .merge(super::queries::endpoints())
}
