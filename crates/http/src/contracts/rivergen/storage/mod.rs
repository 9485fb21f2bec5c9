//! Storage (section 3 of the platform contract).

mod error;
mod files;
mod objects;
mod requests;
mod responses;
mod upload;
mod usage;

use axum::routing::get;

use crate::wire::openapi::endpoints::{Endpoints, routes};

pub(super) use requests::texts;

/// The endpoints of this part of the contract.
pub(super) fn endpoints() -> Endpoints {
    Endpoints::new()
        .routes(routes!(upload::upload))
        .routes(routes!(files::list))
        .routes(routes!(files::list_objects))
        .routes(routes!(files::list_buckets))
        .behind(
            "/storage/objects/{*object_name}",
            get(objects::read).delete(objects::remove),
            routes!(objects::metadata, objects::presigned_url, objects::remove),
        )
        .routes(routes!(usage::quota))
        .routes(routes!(usage::usage))
}
