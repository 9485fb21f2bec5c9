//! The feature: what its use cases need.

use std::sync::Arc;

use tidegate_crypto::HashPool;
use tidegate_federation::Federation;
use tidegate_kernel::Kernel;

use crate::overview_cache::OverviewCache;

/// Accounts and how they are reached.
pub struct Identity {
    pub(crate) kernel: Arc<Kernel>,
    pub(crate) passwords: HashPool,
    pub(crate) federation: Federation,
    pub(crate) overviews: OverviewCache,
}

impl Identity {
    /// Password hashes waiting or being computed.
    pub fn hash_queue_depth(&self) -> usize {
        self.passwords.depth()
    }
}
