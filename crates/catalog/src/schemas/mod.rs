//! The tables of a source, as they were discovered last.
//!
//! A discovery writes its tables beside those of the last one, a few hundred in a unit of work, as they come, and takes their place in the last unit:
//! readers see one or the other, and the writer is never held for long.

pub(crate) mod called;
pub mod discover;
pub(crate) mod discovery_job;
pub(crate) mod gone;
mod keep;
pub(crate) mod nothing;
pub(crate) mod outdated;
pub mod read;
pub(crate) mod repository;
pub mod stored;
