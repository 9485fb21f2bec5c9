//! What policies decided.

pub mod find;
pub mod record;
pub(crate) mod repository;

pub use record::{Action, Evaluated, NewEvaluation, Outcome};
