//! Tokens: issued, refreshed, revoked, described.

pub mod client;
pub mod error;
pub mod exchange;
pub mod introspect;
pub mod issued;
pub mod own;
pub mod refresh;
pub mod revoke;

pub use client::PresentedClient;
pub use error::TokenError;
pub use issued::Issued;
