//! Second factors: what an account has, how they are shown, and how they are removed.

pub mod confirmed;
pub(crate) mod guess;
pub(crate) mod held;
pub mod phone_gone;
pub mod present;
pub mod remove;
pub mod repository;
pub mod status;
