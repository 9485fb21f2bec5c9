//! How much an organization may keep, and keeps.

pub mod operate;
pub(crate) mod repository;
pub mod usage;
