//! Wires the feature: what it is made of, and what it registers with the kernel.

use std::sync::Arc;

use tidegate_crypto::HashPool;
use tidegate_federation::Federation;
use tidegate_kernel::Kernel;

use crate::Identity;
use crate::credentials::password_schemes;
use crate::hooks::IdentityHooks;
use crate::maintenance::PRUNINGS;
use crate::overview_cache::OverviewCache;
use crate::recovery::delayed_factor_reset;
use crate::social::hooks::SocialHooks;

impl Identity {
    /// Wires the feature on a kernel, with what hashes its passwords and the providers that sign in.
    pub fn start(kernel: Arc<Kernel>, passwords: HashPool, federation: Federation) -> Arc<Self> {
        kernel.register_hooks(Arc::new(IdentityHooks));
        kernel.register_hooks(Arc::new(SocialHooks));
        PRUNINGS.into_iter().for_each(|pruning| kernel.register_pruning(pruning));
        let identity = Arc::new(Self { kernel, passwords, federation, overviews: OverviewCache::new() });
        identity.kernel.register_job(&identity, password_schemes::JOB);
        identity.kernel.register_job(&identity, delayed_factor_reset::JOB);
        identity
    }
}
