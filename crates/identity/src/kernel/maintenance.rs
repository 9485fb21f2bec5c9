//! What is no longer needed is removed, and what other nodes changed is noticed.

use std::time::Duration;

use crate::Identity;
use crate::kernel::fault::Fault;

/// How long a dead challenge can still say why it is refused.
const KEEP_CHALLENGES: Duration = Duration::from_secs(24 * 3_600);
/// How long an ended session is kept for its owner's count and for the log.
const KEEP_SESSIONS: Duration = Duration::from_secs(30 * 24 * 3_600);
/// How long a delivered mail's row is kept.
const KEEP_MAILS: Duration = Duration::from_secs(7 * 24 * 3_600);
/// How long what is in a deleted database stays: longer than any request that found it before takes.
const KEEP_DATABASES: Duration = Duration::from_secs(3_600);
/// How long, at least, a deleted account's refresh tokens can still be told whose they were.
const KEEP_NAMES: Duration = Duration::from_secs(90 * 24 * 3_600);
/// Rows removed in one unit of work, so that requests do not wait behind it.
const AT_ONCE: i64 = 500;
/// Sessions removed in one: each takes its refresh tokens along.
const SESSIONS_AT_ONCE: i64 = 50;
/// How often.
const EVERY: Duration = Duration::from_secs(60);

impl Identity {
    /// Removes a batch of everything that is no longer needed; answers how many rows.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn prune(&self) -> Result<u64, Fault> {
        let now = self.now();
        let refreshable = self.settings.contracts.iter().map(|profile| profile.refresh.lifetime).max();
        let keep_names = KEEP_NAMES.max(refreshable.unwrap_or_default());
        let mut removed = 0;
        let mut unit = self.store.begin().await?;
        removed += unit.challenges().prune(now.minus(KEEP_CHALLENGES), AT_ONCE).await?;
        removed += unit.idempotency().prune(now, AT_ONCE).await?;
        removed += unit.limits().prune(now, AT_ONCE).await?;
        unit.commit().await?;
        let mut unit = self.store.begin().await?;
        removed += unit.sessions().prune(now.minus(KEEP_SESSIONS), SESSIONS_AT_ONCE).await?;
        removed += unit.databases().purge(now.minus(KEEP_DATABASES), AT_ONCE).await?;
        removed += unit.outbox().prune(now.minus(KEEP_MAILS), AT_ONCE).await?;
        removed += unit.accounts().forget_deleted(now.minus(keep_names), AT_ONCE).await?;
        // Twice the longest life: nothing they verify is left.
        removed += unit.keys().prune(now.minus(self.settings.longest_access_token * 2)).await?;
        unit.commit().await?;
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
