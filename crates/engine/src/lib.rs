//! Governed queries: SQL over data sources, of which a person sees what the policies leave.
//!
//! A query gets a session of its own, whose catalog holds only relations that the person may see. Each of them is a leaf to the planner:
//! behind it, and nowhere else, rows are read, filtered and masked. [`Engine::query`] is the one way in.

mod admission;
mod answer;
mod apart;
mod barrier;
mod cancel;
mod catalog;
mod checker;
mod compact;
mod cooperate;
mod correlated;
mod crossed;
mod decision;
mod engine;
mod error;
mod explain;
mod first;
mod functions;
mod gate;
mod governance;
mod information;
mod joins;
mod leakproof;
mod lists;
mod mask;
mod mutation;
mod options;
mod parameters;
mod parsed;
mod pool;
mod relation;
mod rules;
mod session;
mod shown;
mod source;
mod spill;
mod started;
mod table;
#[cfg(test)]
mod tests;
mod thresholds;
mod windows;

pub use admission::{OnProgress, Person, Progress};
pub use answer::Answer;
pub use cancel::Cancel;
pub use decision::{Decision, Decisions};
pub use engine::{Engine, Load, Request};
pub use error::{Code, QueryError, SOURCE_AWAY};
pub use governance::{column_type, describe};
pub use mask::Hasher;
pub use options::{Concurrency, Limits, Options, SizeLimits};
pub use parameters::Parameters;
pub use relation::{GovernedRelation, RelationName, Relations};
pub use session::Shape;
pub use source::{Connected, InMemory, OnFailure, ParquetRows, Pushed, Rows, Wanted, open_rows};
pub use spill::{check_spill_directory, spill_directory_in};
