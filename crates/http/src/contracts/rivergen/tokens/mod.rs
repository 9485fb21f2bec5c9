//! Personal access tokens (section 8 of the contract), and organization tokens (section 13).

mod error;
mod organization;
mod own;
mod requests;
mod responses;

use crate::wire::openapi::endpoints::{Endpoints, routes};

pub(super) use requests::scope_shape;

/// The endpoints of this part of the contract.
pub(super) fn endpoints() -> Endpoints {
    Endpoints::new()
        .routes(routes!(own::create))
        .routes(routes!(own::list))
        .routes(routes!(own::change))
        .routes(routes!(own::revoke))
        .routes(routes!(organization::create))
        .routes(routes!(organization::list))
        .routes(routes!(organization::revoke))
}
