//! What one node keeps in memory. Nothing here is needed after a restart.

pub(crate) mod counted_message;
pub(crate) mod counting;
pub(crate) mod keys;
pub(crate) mod memory;
pub(crate) mod meter;
pub(crate) mod once_per_window;
pub(crate) mod pace;
pub(crate) mod readiness;
pub(crate) mod shared_rows;
pub(crate) mod together;
pub(crate) mod token_uses;
