//! Policies as administrators write them.

pub mod assign;
pub(crate) mod assignments_repository;
pub mod change;
pub(crate) mod checked;
pub mod create;
pub mod dashboard;
pub mod error;
pub mod find;
pub(crate) mod lacking;
pub(crate) mod native;
pub(crate) mod places;
pub mod policy;
pub mod remove;
pub(crate) mod repository;
pub(crate) mod rules_repository;
pub(crate) mod targets;

pub use error::PolicyRefusal;
pub use policy::{FullPolicy, NewPolicy, NewRule, PolicyRecord, RuleRecord, StoredAssignment, Targets};
