//! Organizations.

pub(crate) mod quota;
pub mod quotas_repository;
pub mod repository;
pub mod transfer_ownership;
