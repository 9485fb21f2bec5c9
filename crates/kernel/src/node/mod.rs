//! What one node keeps in memory. Nothing here is needed after a restart.

pub(crate) mod meter;
