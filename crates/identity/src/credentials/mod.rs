//! Passwords, phones and keys.

pub(crate) mod challenge;
pub mod change_password;
pub mod phone_code;
pub mod service_keys;
