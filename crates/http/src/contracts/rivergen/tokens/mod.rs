//! Personal access tokens (section 8 of the contract), and organization tokens (section 13).

mod error;
pub(super) mod organization;
pub(super) mod own;
mod requests;
mod responses;

pub(super) use requests::scope_shape;
