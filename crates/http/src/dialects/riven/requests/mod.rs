//! What the contract is asked.

pub(super) mod phone;
