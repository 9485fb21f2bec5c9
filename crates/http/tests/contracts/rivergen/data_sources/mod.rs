//! Data sources: section 2 of the platform's contract.

mod access;
mod credentials;
mod endpoints;
mod files;
mod life;
mod misbehaving;
mod networks;
mod races;
mod restarts;
mod stored;
mod validation;
pub(in crate::rivergen) mod wire;
