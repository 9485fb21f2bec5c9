//! Background work: one runner claims what is due, runs it and settles it, for the table of jobs and for the outbox.
//!
//! A job is one file with a `const JOB: Job<Feature>`, registered in one line with [`crate::Kernel::register_job`].
//! It is enqueued in the unit of work that wants it (`unit.jobs().enqueue(…)`), or runs by its schedule.

mod attempt;
mod claim;
mod enqueue;
mod execute;
mod job;
mod metrics;
mod operate;
mod outbox_source;
pub(crate) mod registry;
pub mod repository;
mod runner;
mod source;
mod table_source;

pub(crate) use attempt::{AttemptError, Failure, attempt};
pub use claim::Claim;
pub use job::{Job, JobError, JobRun, Schedule};
pub use repository::NewJob;
pub use runner::Runner;
pub use tidegate_delivery::RetryPolicy;
