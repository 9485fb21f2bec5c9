//! Organizations.

pub(crate) mod quota;
pub mod quotas_repository;
pub mod repository;
pub mod second_factor_rule;
pub mod second_factor_rules_repository;
pub mod transfer_ownership;
