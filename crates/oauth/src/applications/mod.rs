//! Applications: registered, changed, revoked and deleted.

pub mod application;
pub mod change;
pub mod create;
pub mod find;
pub mod operator;
pub mod remove;
pub(crate) mod repository;
pub mod revoke;
pub mod secret;

pub use application::{Application, ApplicationError, ApplicationRule, NewApplication};
pub use change::ApplicationChange;
