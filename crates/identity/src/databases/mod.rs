//! Databases that tokens are bound to.

pub mod manage;
pub mod repository;
