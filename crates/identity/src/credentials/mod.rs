//! Passwords, phones and keys.

pub(crate) mod challenge;
pub mod challenges_repository;
pub mod change_password;
pub(crate) mod hashing;
pub(crate) mod owner_notice;
pub(crate) mod password_schemes;
pub mod phone_code;
pub mod redirect;
pub mod service_keys;
pub mod service_keys_repository;
