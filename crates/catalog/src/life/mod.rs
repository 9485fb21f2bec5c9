//! The life of a data source: tested when it is made or changed, watched while it is there, left alone for a while when it fails.

pub mod breaker;
pub(crate) mod checks_repository;
pub(crate) mod file;
pub mod health;
pub(crate) mod idle_job;
pub mod metrics;
pub(crate) mod open;
pub(crate) mod pools;
pub mod query;
pub(crate) mod recent;
pub(crate) mod schedule_job;
pub(crate) mod slots;
pub(crate) mod test_job;
pub mod testing;
