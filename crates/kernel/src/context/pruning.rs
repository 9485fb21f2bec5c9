//! What features register to have removed.

use futures_util::future::BoxFuture;
use tidegate_database::Unit;
use tidegate_domain::Timestamp;

use crate::context::kernel::Kernel;
use crate::fault::Fault;

/// Removes a batch of what a feature no longer needs at that instant; answers how many rows.
pub type Prune = for<'u> fn(&'u Kernel, &'u mut Unit, Timestamp) -> BoxFuture<'u, Result<u64, Fault>>;

/// One kind of what is pruned. Features register theirs with [`Kernel::register_pruning`].
#[derive(Clone, Copy)]
pub struct Pruning {
    /// What it is called in the log.
    pub name: &'static str,
    /// Removes it, in a unit of work of its own.
    pub prune: Prune,
}
