//! Engines, unit of work, statements and the migration runner, on SQLite and PostgreSQL.
//!
//! This crate knows no table: repositories live in the crates whose tables they are, beside what uses them. Each
//! statement is written once and runs on both engines; what differs between them lives in [`engine`] and nowhere else.
//! See `docs/adr/0001-one-statement-two-engines.md`.

mod damage;
mod denial;
mod descriptors;
pub mod engine;
pub mod error;
mod keyed;
mod limit;
pub mod put_off;
mod repeats;
mod statement;
pub mod unit;

pub use denial::{Denial, user};
pub use descriptors::{OpenDescriptor, descriptors_of, identity};
pub use engine::{
    Change, ChangeListener, ConnectionLimit, CopiedTable, DatabaseUrl, FinishedCopy, Migration, Store,
    StoreOptions, Topic, WholeSchema,
};
pub use error::{Reason, Refusal, StoreError};
pub use keyed::Keyed;
pub use repeats::Repeats;
pub use sqlx;
pub use statement::{MOST_ROWS, rows};
pub use unit::{Deferred, OnCommit, Unit};

/// Result of a store operation.
pub type Result<T, E = StoreError> = std::result::Result<T, E>;
