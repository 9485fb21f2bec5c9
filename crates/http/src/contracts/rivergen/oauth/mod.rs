//! Applications of an organization, and what a frontend of one's own needs to show a consent page (sections 9 and 10 of the contract).
//! The protocol's own endpoints are at the root of the host: `http/src/oauth/`.

pub(super) mod applications;
pub(super) mod authorize;
mod error;
mod requests;
mod responses;
