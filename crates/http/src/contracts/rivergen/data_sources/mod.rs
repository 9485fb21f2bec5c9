//! Data sources (section 2 of the platform's contract).

mod error;
pub(super) mod fields;
mod life;
pub(super) mod list;
mod places;
mod requests;
mod responses;
mod schemas;
pub(super) mod sources;

use crate::wire::openapi::endpoints::{Endpoints, routes};

pub(super) use fields::{description, metadata, present, texts};
pub(super) use list::positive;
pub(super) use responses::SourcePagination;
pub(super) use sources::switch;

/// The endpoints of this part of the contract.
pub(super) fn endpoints() -> Endpoints {
    Endpoints::new()
        .routes(routes!(list::list, sources::create))
        .routes(routes!(life::metrics))
        .routes(routes!(sources::read, sources::change, sources::delete))
        .routes(routes!(sources::change_credentials))
        .routes(routes!(life::test))
        .routes(routes!(schemas::discover))
        .routes(routes!(schemas::schemas))
        .routes(routes!(life::health))
        .routes(routes!(life::file_url))
}
