//! What executions come to: for one saved question, and for a person or an organization over days.
//!
//! Sums are kept by quarters of an hour, of which the days of every time zone are made; they are written in the unit of work that ends
//! an execution, so they are right after a restart. Those of a whole organization are kept besides those of its members: reading them
//! costs what a period has quarters and days, not what was run in it. What was asked most is described in `questions.rs`. Sums of one person
//! cost what that person ran.

pub(crate) mod add;
pub mod of_organization;
pub mod of_prompt;
pub(crate) mod period;
mod questions;
mod recount;
pub(crate) mod repository;
pub(crate) mod sums_job;
mod totals;
