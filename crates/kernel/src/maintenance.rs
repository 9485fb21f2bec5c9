//! What is no longer needed is removed: a scheduled job of the installation.

use std::time::Duration;

use futures_util::FutureExt;

use crate::fault::Fault;
use crate::jobs::{Job, JobError, RetryPolicy, Schedule};
use crate::tables::known_networks::KEEP_NETWORKS;
use crate::{Kernel, KernelTables};

pub use crate::context::pruning::{Prune, Pruning};

/// How long an ended session is kept for its owner's count and for the log.
const KEEP_SESSIONS: Duration = Duration::from_secs(30 * 24 * 3_600);
/// How long a delivered mail's row is kept.
const KEEP_MAILS: Duration = Duration::from_secs(7 * 24 * 3_600);
/// How long an expired access token can still be seen by its owner, unless they make another one.
const KEEP_EXPIRED_TOKENS: Duration = Duration::from_secs(30 * 24 * 3_600);
/// Rows removed in one unit of work, so that requests do not wait behind it.
pub const AT_ONCE: i64 = 500;
/// Sessions removed in one: each takes its refresh tokens along.
const SESSIONS_AT_ONCE: i64 = 50;
/// How long a dead job waits for its operator.
const KEEP_DEAD_JOBS: Duration = Duration::from_secs(90 * 24 * 3_600);
/// The job's name.
pub const NAME: &str = "prune";
/// How often.
const EVERY: Duration = Duration::from_secs(60);
/// So much later, at random.
const JITTER: Duration = Duration::from_secs(5);

/// The kernel's own.
const OWN: [Pruning; 11] = [
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
        name: "dead jobs",
        prune: |_, unit, now| {
            async move { Ok(unit.jobs().prune(now.minus(KEEP_DEAD_JOBS), AT_ONCE).await?) }.boxed()
        },
    },
    Pruning {
        name: "proofs of possession",
        prune: |_, unit, now| async move { Ok(unit.dpop_proofs().prune(now, AT_ONCE).await?) }.boxed(),
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
        name: "expired access tokens",
        prune: |_, unit, now| {
            let before = now.minus(KEEP_EXPIRED_TOKENS);
            async move { Ok(unit.access_tokens().prune(before, AT_ONCE).await?) }.boxed()
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
}

/// Prunes every minute, batch after batch until little is left.
pub(crate) const JOB: Job<Kernel> = Job {
    schedule: Some(Schedule::Installation { every: EVERY, jitter: JITTER, at_start: false }),
    retry: RetryPolicy { max_attempts: u32::MAX, first_delay: EVERY, factor: 1, max_delay: EVERY },
    ..Job::new(NAME, |kernel, run| {
        async move {
            while kernel.prune().await? >= SESSIONS_AT_ONCE.unsigned_abs() {
                if run.stopping().now_or_never().is_some() {
                    return Err(JobError::Stopped);
                }
                tokio::task::yield_now().await;
            }
            Ok(())
        }
        .boxed()
    })
};
