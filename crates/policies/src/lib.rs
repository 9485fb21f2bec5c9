//! Policies of organizations: who wrote which, to what they are assigned, what they decide for somebody, and what they decided.
//!
//! Administrators write policies ([`records`]). [`governed`] says what is left of a relation for a person: it reads the policies and the
//! person, and has the pure crate `tidegate-policy` decide. Whoever runs a query enforces that and writes down what was decided
//! ([`evaluations`]). [`simulate`] answers what somebody would see. Data sources come through [`hooks::SourceRelations`].

pub mod evaluations;
pub mod governed;
pub mod hooks;
mod maintenance;
pub mod policies;
pub mod records;
pub mod settings;
pub mod simulate;
mod start;
pub mod tables;
pub(crate) mod work;

pub use policies::Policies;
pub use settings::PolicySettings;
pub use tables::{MIGRATIONS, PolicyTables};
