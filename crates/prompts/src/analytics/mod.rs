//! What executions come to: for one saved question, and for a person or an organization over days.
//!
//! Sums are kept by quarters of an hour, of which the days of every time zone are made; they are written in the unit of work that ends
//! an execution, so they are right after a restart, and reading them costs what a period has, not what was ever run.

pub mod of_organization;
pub mod of_prompt;
pub(crate) mod period;
pub(crate) mod repository;
