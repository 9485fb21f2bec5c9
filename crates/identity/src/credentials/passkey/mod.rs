//! Passkeys (W3C Web Authentication): registered, listed, removed. Signing in with one is in `sign_in`.

pub mod manage;
pub mod register;
pub mod repository;
