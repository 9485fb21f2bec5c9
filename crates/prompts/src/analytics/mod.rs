//! What executions come to: for one saved question, and for a person or an organization over days.
//!
//! Sums are kept by quarters of an hour, of which the days of every time zone are made; they are written in the unit of work that ends
//! an execution, so they are right after a restart. Those of a whole organization are kept besides those of its members: reading them
//! costs what a period has quarters, not what was run in it. What was asked most costs what was asked differently on each of its days.

pub mod of_organization;
pub mod of_prompt;
pub(crate) mod period;
pub(crate) mod repository;
mod totals;
