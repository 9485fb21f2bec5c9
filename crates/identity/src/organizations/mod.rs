//! Organizations.

pub mod repository;
pub mod transfer_ownership;
