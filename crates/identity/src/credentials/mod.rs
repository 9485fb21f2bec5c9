//! Passwords, passkeys, phones, keys and second factors.

pub(crate) mod challenge;
pub mod challenges_repository;
pub mod change_password;
pub mod factor_code;
pub mod factors;
pub(crate) mod hashing;
pub(crate) mod owner_notice;
pub mod passkey;
pub(crate) mod password_schemes;
pub mod phone_code;
pub mod recovery_code;
pub mod redirect;
pub(crate) mod security_notice;
pub mod service_keys;
pub mod service_keys_repository;
pub mod step_up;
pub mod totp;
pub mod trusted_device;
