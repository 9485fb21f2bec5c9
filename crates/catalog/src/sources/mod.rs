//! Data sources: described, changed, deleted, and whose they are.

pub(crate) mod access;
pub(crate) mod card;
pub mod change;
pub mod connection;
pub mod create;
pub mod credentials;
mod deleted_repository;
pub mod error;
pub mod file_url;
pub mod find;
pub mod operator;
pub mod remove;
pub(crate) mod repository;
pub(crate) mod row;
pub(crate) mod sealed;
mod slug;
pub mod source;
pub mod status;

pub use connection::Connection;
pub use credentials::CredentialChange;
pub use error::SourceRefusal;
pub use source::{DataSource, NewDataSource};
pub use status::SourceStatus;
