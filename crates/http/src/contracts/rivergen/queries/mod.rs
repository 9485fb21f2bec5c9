//! Queries in SQL: an extension of the platform's contract, with the answers of questions.

mod requests;
mod run;

use crate::wire::openapi::endpoints::{Endpoints, routes};

/// The endpoints of this part of the contract.
pub(super) fn endpoints() -> Endpoints {
    Endpoints::new()
        .routes(routes!(run::execute))
        .routes(routes!(run::history))
        .routes(routes!(run::read))
        .routes(routes!(run::cancel))
        .routes(routes!(run::result))
}
