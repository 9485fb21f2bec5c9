//! What keeps rows and objects in step.

pub(crate) mod orphans;
pub(crate) mod pruning;
pub(crate) mod settle;
