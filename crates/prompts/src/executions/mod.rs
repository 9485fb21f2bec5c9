//! Executions: a question or a query from the moment it is accepted to its end, and its result.

pub mod cancel;
mod ending;
pub mod execution;
pub(crate) mod finish;
pub mod follow;
pub mod format;
pub(crate) mod lease_job;
pub(crate) mod live;
pub(crate) mod lost_job;
pub mod operator;
pub mod read;
pub(crate) mod repository;
pub mod result;
pub(crate) mod row;
pub(crate) mod run;
pub mod start;
pub mod stream;
pub(crate) mod values;

pub use execution::{Execution, ExecutionKind, ExecutionStatus};
