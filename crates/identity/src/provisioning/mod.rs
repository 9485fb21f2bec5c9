//! What an operator sets up.

pub mod provision;
