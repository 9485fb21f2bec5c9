//! What every engine does for the store, case by case, on SQLite and on PostgreSQL.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "test code: a broken expectation ends the test"
)]

#[macro_use]
mod world;

mod accounts;
mod audit;
mod broker_cursors;
mod brokerage;
mod cancellation;
mod challenges;
mod changes;
mod databases;
mod files;
mod group_commit;
mod idempotency;
mod installation_facts;
mod jobs;
mod keys;
mod limits;
mod members;
mod migrations;
mod model;
mod organizations;
mod outbox;
mod poolers;
mod quotas;
mod refresh_tokens;
mod sandbox_accounts;
mod service_keys;
mod sessions;
mod text;
mod unit_of_work;
