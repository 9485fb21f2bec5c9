//! Passkeys (W3C Web Authentication): registered, shown, listed, removed. Signing in with one is in `sign_in`.

pub mod assert;
mod challenge;
pub mod manage;
pub mod register;
pub mod repository;
pub mod step_up;
