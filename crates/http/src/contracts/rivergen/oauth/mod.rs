//! Applications of an organization, and what a frontend of one's own needs to show a consent page (sections 9 and 10 of the contract).
//! The protocol's own endpoints are at the root of the host: `http/src/oauth/`.

mod applications;
mod authorize;
mod error;
mod leaving;
mod requests;
mod responses;

use crate::wire::openapi::endpoints::{Endpoints, routes};

pub(super) use requests::texts;

/// The endpoints of this part of the contract.
pub(super) fn endpoints() -> Endpoints {
    Endpoints::new()
        .routes(routes!(applications::create))
        .routes(routes!(applications::list))
        .routes(routes!(applications::read))
        .routes(routes!(applications::change))
        .routes(routes!(applications::delete))
        .routes(routes!(applications::regenerate_secret))
        .routes(routes!(applications::revoke))
        .routes(routes!(authorize::app_info))
        .routes(routes!(authorize::authorize))
}
