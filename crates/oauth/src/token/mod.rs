//! Tokens: issued, refreshed, revoked, described.

pub mod assertion;
pub(crate) mod assertions_repository;
pub mod client;
pub mod error;
pub mod exchange;
pub mod introspect;
pub mod issued;
pub(crate) mod key;
pub mod own;
pub mod refresh;
pub mod revoke;
pub mod trade;

pub use client::PresentedClient;
pub use error::TokenError;
pub use issued::Issued;
