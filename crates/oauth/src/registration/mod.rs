//! Applications that register themselves (RFC 7591, RFC 7592), where the operator allows it.
//!
//! Nobody has looked at what they say of themselves: they get no more than the operator's scopes, nothing in their own name, and count for
//! no organization, though they are kept with one.

pub mod described;
pub(crate) mod document;
pub mod error;
pub mod initial_tokens;
pub mod manage;
pub mod register;
mod sector;
pub(crate) mod tokens_repository;
pub(crate) mod unused;

pub use described::SelfDescription;
pub use error::RegistrationError;
pub use register::Registration;
pub use tokens_repository::InitialToken;
