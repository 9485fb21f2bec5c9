//! Brokerage accounts.

pub mod broker_events;
pub(crate) mod brokerage_opening;
pub mod brokerage_profile;
pub mod brokerage_standing;
pub mod failure;
pub mod open_brokerage_account;
pub(crate) mod sandbox_shelf;
pub mod submit_documents;
pub mod trader;
