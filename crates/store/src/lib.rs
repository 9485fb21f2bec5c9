//! Repositories, unit of work and migrations, on SQLite and PostgreSQL.
//!
//! Each statement is written once and runs on both engines; what differs between them lives in [`engine`] and nowhere
//! else. See `docs/adr/0001-one-statement-two-engines.md`.

pub mod accounts;
pub mod audit;
pub mod broker_cursors;
pub mod brokerage;
pub mod challenges;
pub mod databases;
pub mod engine;
pub mod error;
pub mod idempotency;
pub mod keys;
pub mod limits;
pub mod members;
pub mod organizations;
pub mod outbox;
pub mod quotas;
pub mod refresh_tokens;
pub mod sandbox_accounts;
pub mod service_keys;
pub mod sessions;
mod statement;
pub mod unit;

pub use engine::{Change, ChangeListener, DatabaseUrl, Store, StoreOptions};
pub use error::StoreError;
pub use unit::Unit;

/// Result of a store operation.
pub type Result<T, E = StoreError> = std::result::Result<T, E>;
