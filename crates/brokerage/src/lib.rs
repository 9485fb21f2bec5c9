//! Brokerage accounts: opened at a broker, followed, and shown beside the account whose they are.

pub mod account_status;
pub mod brokerage;
pub mod check_account_status;
pub mod customer;
pub mod events;
pub mod failure;
mod hooks;
pub mod open_account;
pub(crate) mod opening;
pub mod operator_fields;
pub mod profile;
pub(crate) mod sandbox_store;
mod start;
pub mod submit_documents;
pub mod tables;
pub(crate) mod work;

pub use brokerage::{BrokerChoice, Brokerage};
pub use tables::BrokerageTables;
