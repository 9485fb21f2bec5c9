//! Databases that tokens are bound to.

pub mod manage;
