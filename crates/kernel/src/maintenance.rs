//! What is no longer needed is removed, and what other nodes changed is noticed.

use std::time::Duration;

use futures_util::FutureExt;

use crate::fault::Fault;
use crate::tables::known_networks::KEEP_NETWORKS;
use crate::{Kernel, KernelTables};

pub use crate::context::pruning::{Prune, Pruning};

/// How long an ended session is kept for its owner's count and for the log.
const KEEP_SESSIONS: Duration = Duration::from_secs(30 * 24 * 3_600);
/// How long a delivered mail's row is kept.
const KEEP_MAILS: Duration = Duration::from_secs(7 * 24 * 3_600);
/// Rows removed in one unit of work, so that requests do not wait behind it.
pub const AT_ONCE: i64 = 500;
/// Sessions removed in one: each takes its refresh tokens along.
const SESSIONS_AT_ONCE: i64 = 50;
/// How often.
const EVERY: Duration = Duration::from_secs(60);

/// The kernel's own.
const OWN: [Pruning; 8] = [
    Pruning {
        name: "idempotency records",
        prune: |_, unit, now| async move { Ok(unit.idempotency().prune(now, AT_ONCE).await?) }.boxed(),
    },
    Pruning {
        name: "rate limits",
        prune: |_, unit, now| async move { Ok(unit.limits().prune(now, AT_ONCE).await?) }.boxed(),
    },
    Pruning {
        name: "sessions",
        prune: |_, unit, now| {
            async move { Ok(unit.sessions().prune(now.minus(KEEP_SESSIONS), SESSIONS_AT_ONCE).await?) }
                .boxed()
        },
    },
    Pruning {
        name: "messages",
        prune: |_, unit, now| {
            async move { Ok(unit.outbox().prune(now.minus(KEEP_MAILS), AT_ONCE).await?) }.boxed()
        },
    },
    Pruning {
        name: "known networks",
        prune: |_, unit, now| {
            async move { Ok(unit.known_networks().prune(now.minus(KEEP_NETWORKS), AT_ONCE).await?) }.boxed()
        },
    },
    Pruning {
        name: "audit events",
        prune: |kernel, unit, now| {
            let before = now.minus(kernel.settings.audit.keep);
            async move { Ok(unit.audit().prune(before, AT_ONCE).await?) }.boxed()
        },
    },
    Pruning {
        name: "audit events without an account",
        prune: |kernel, unit, now| {
            let before = now.minus(kernel.settings.audit.keep_without_account);
            async move { Ok(unit.audit().prune_without_account(before, AT_ONCE).await?) }.boxed()
        },
    },
    Pruning {
        name: "signing keys",
        prune: |kernel, unit, now| {
            // Twice the longest life: nothing they verify is left.
            let before = now.minus(kernel.settings.longest_access_token * 2);
            async move { Ok(unit.keys().prune(before).await?) }.boxed()
        },
    },
];

impl Kernel {
    /// Removes a batch of everything that is no longer needed; answers how many rows.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn prune(&self) -> Result<u64, Fault> {
        let now = self.now();
        let mut removed = 0;
        for Pruning { name, prune } in OWN.into_iter().chain(self.prunings()) {
            let mut unit = self.store.begin().await?;
            let rows = prune(self, &mut unit, now).await?;
            unit.commit().await?;
            tracing::trace!(name, rows, "pruned");
            removed += rows;
        }
        Ok(removed)
    }

    /// Prunes every minute, batch after batch until little is left, for as long as the process runs.
    pub async fn maintenance_worker(&self) {
        loop {
            tokio::time::sleep(EVERY).await;
            loop {
                match self.prune().await {
                    Ok(removed) if removed >= SESSIONS_AT_ONCE.unsigned_abs() => {
                        tokio::task::yield_now().await
                    }
                    Ok(_) => break,
                    Err(fault) => {
                        tracing::warn!(error = %fault, "old rows could not be removed; trying again in a minute");
                        break;
                    }
                }
            }
        }
    }

    /// Exchanges request counts every second, and notices new signing keys: at once where another node made them, within
    /// a second where a command beside this process did.
    pub async fn exchange_worker(&self) {
        loop {
            drop(tokio::time::timeout(Duration::from_secs(1), self.memory.keys.notified()).await);
            if let Err(fault) = self.reload_signing_keys().await {
                tracing::warn!(error = %fault, "the signing keys could not be read; keeping those known");
            }
            if let Err(fault) = self.exchange_meters().await {
                tracing::warn!(error = %fault, "request counts could not be exchanged");
            }
        }
    }
}
