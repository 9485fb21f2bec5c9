//! Trusted devices: where the second factor is not asked for again for some time.

pub mod activate;
pub mod list;
pub mod recognize;
pub mod repository;
