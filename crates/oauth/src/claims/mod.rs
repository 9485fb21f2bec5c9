//! What an application is told of a person: ID tokens and the userinfo endpoint.

pub(crate) mod cache;
mod custom;
pub mod id_token;
mod known;
pub(crate) mod pairwise;
pub mod person;
pub(crate) mod requested;
pub(crate) mod session_claims;
mod signed_userinfo;
pub mod userinfo;
