//! The feature: everything its use cases need, wired once.

use std::sync::Arc;

use tidegate_crypto::HashPool;
use tidegate_domain::id::AccountId;
use tidegate_kernel::Kernel;
use tidegate_kernel::cache::{REMEMBERED, ReadCache};

use crate::accounts::overview::Overview;
use crate::hooks::IdentityHooks;
use crate::maintenance::PRUNINGS;

/// Accounts and how they are reached.
pub struct Identity {
    pub(crate) kernel: Arc<Kernel>,
    pub(crate) passwords: HashPool,
    pub(crate) overviews: ReadCache<AccountId, Arc<Overview>>,
}

impl Identity {
    /// Wires the feature on a kernel, with what hashes its passwords.
    pub fn start(kernel: Arc<Kernel>, passwords: HashPool) -> Arc<Self> {
        kernel.register_hooks(Arc::new(IdentityHooks));
        PRUNINGS.into_iter().for_each(|pruning| kernel.register_pruning(pruning));
        Arc::new(Self { kernel, passwords, overviews: ReadCache::new(REMEMBERED) })
    }

    /// Password hashes waiting or being computed.
    pub fn hash_queue_depth(&self) -> usize {
        self.passwords.depth()
    }
}
