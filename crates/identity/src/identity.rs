//! The feature: everything its use cases need, wired once.

use std::sync::Arc;

use tidegate_crypto::{HashError, HashPool, Verification};
use tidegate_domain::Password;
use tidegate_domain::id::AccountId;
use tidegate_kernel::cache::{REMEMBERED, ReadCache};
use tidegate_kernel::{Fault, Kernel};

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

    /// Verifies a password; no stored hash means an account nobody has, at the same cost.
    ///
    /// A hash that cannot be read is an operator's trouble; to the client it is a password that does not match.
    pub(crate) async fn verify_password(
        &self,
        password: Password,
        stored: Option<String>,
    ) -> Result<Verification, Fault> {
        match self.passwords.verify(password, stored).await {
            Err(HashError::Unreadable(error)) => {
                tracing::error!(%error, "a stored password hash cannot be verified; its owner cannot sign in");
                Ok(Verification::Mismatch)
            }
            verdict => Ok(verdict?),
        }
    }
}
