//! Backup codes: single use, for when no other second factor is at hand.

pub mod renew;
pub mod repository;
pub(crate) mod spend;
