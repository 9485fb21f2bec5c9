//! Applications: registered, changed, revoked and deleted.

pub mod application;
pub(crate) mod cache;
pub mod change;
pub mod create;
pub mod find;
mod known;
pub mod metadata;
pub mod operator;
pub mod operator_change;
pub mod remove;
pub(crate) mod repository;
pub mod revoke;
pub mod rules;
pub mod secret;
pub mod set_rules;
mod strangers;
pub mod unregistered;

pub use application::{Application, ApplicationError, ApplicationRule, MadeBy, NewApplication, origin};
pub use change::ApplicationChange;
pub use metadata::{ClientMetadata, MetadataRule};
pub use rules::{ApplicationRules, RulesChange, RulesError, SubjectType};
pub use unregistered::Unregistered;
