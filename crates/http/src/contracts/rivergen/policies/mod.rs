//! Policies (section 4 of the platform's contract).

mod assignments;
mod error;
mod evaluations;
mod fields;
mod list;
mod policy;
mod requests;
mod responses;
mod rules;
mod simulate;
mod simulated;

use crate::wire::openapi::endpoints::{Endpoints, routes};

pub(super) use fields::texts;

/// The endpoints of this part of the contract.
pub(super) fn endpoints() -> Endpoints {
    Endpoints::new()
        .routes(routes!(list::list, policy::create))
        .routes(routes!(list::dashboard))
        .routes(routes!(simulate::simulate))
        .routes(routes!(policy::read, policy::change, policy::delete))
        .routes(routes!(assignments::assign))
        .routes(routes!(assignments::remove))
        .routes(routes!(evaluations::evaluations))
}
