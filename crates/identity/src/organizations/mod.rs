//! Organizations.

pub mod transfer_ownership;
