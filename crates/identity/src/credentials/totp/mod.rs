//! Authenticator apps (RFC 6238).

pub mod confirm;
pub mod set_up;
