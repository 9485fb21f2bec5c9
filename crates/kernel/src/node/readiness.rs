//! Whether this node can do what it is for: read, and write.

use std::time::Duration;

use tidegate_database::{Repeats, Store};
use tidegate_domain::Timestamp;
use tidegate_domain::limit::Limit;
use tokio::sync::Mutex;
use tokio::time::timeout;

use crate::KernelTables;

/// How long it is believed that the database can be written: balancers ask every few seconds, and strangers may ask too.
const BELIEVED_FOR: Duration = Duration::from_secs(2);
/// How long the database may take.
const PATIENCE: Duration = Duration::from_secs(3);
/// The row that is written: one of the rate limits', that nothing is limited by.
const BUCKET: &[u8; 32] = b"tidegate readiness, limits none.";

/// Why this node is not ready.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotReady {
    /// The database does not answer.
    #[error("the database does not answer: {0}")]
    Unreachable(String),
    /// The database answers and cannot be written: it is read-only, or its disk is full.
    #[error("the database cannot be written: {0}")]
    Unwritable(String),
    /// The database has found itself damaged since this process was started. Only a restart makes it ready again.
    #[error("{0}")]
    Damaged(String),
    /// A file of the database was removed or replaced under this process.
    #[error("{0}")]
    Lost(String),
}

/// What was found when the database was last written for this.
#[derive(Debug, Default)]
pub(crate) struct Readiness {
    known: Mutex<Option<(Timestamp, Result<(), NotReady>)>>,
    failures: Repeats,
}

impl Readiness {
    /// See [`crate::Kernel::ready`].
    pub(crate) async fn check(&self, store: &Store, now: Timestamp) -> Result<(), NotReady> {
        let verdict = match store.damage() {
            Some(_) => Ok(()),
            None => self.use_database(store, now).await,
        };
        // Also if it was found just now.
        let verdict = store.damage().map_or(verdict, |damage| Err(NotReady::Damaged(damage.to_owned())));
        match &verdict {
            Ok(()) => {
                self.failures.succeeded();
            }
            Err(error) => {
                if let Some(times) = self.failures.failed() {
                    tracing::error!(%error, times, "not ready");
                }
            }
        }
        verdict
    }

    async fn use_database(&self, store: &Store, now: Timestamp) -> Result<(), NotReady> {
        store.check_files().map_err(|error| NotReady::Lost(error.to_string()))?;
        match timeout(PATIENCE, store.ping()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Err(NotReady::Unreachable(error.to_string())),
            Err(_elapsed) => {
                return Err(NotReady::Unreachable(format!("not within {} s", PATIENCE.as_secs())));
            }
        }
        let mut known = self.known.lock().await;
        if let Some((at, verdict)) = &*known
            && *at <= now
            && now.since(*at) < BELIEVED_FOR
        {
            return verdict.clone();
        }
        let verdict = match timeout(PATIENCE, write(store, now)).await {
            Ok(written) => written.map_err(|error| NotReady::Unwritable(error.to_string())),
            Err(_elapsed) => Err(NotReady::Unwritable(format!("not within {} s", PATIENCE.as_secs()))),
        };
        *known = Some((now, verdict.clone()));
        verdict
    }
}

async fn write(store: &Store, now: Timestamp) -> tidegate_database::Result<()> {
    let mut unit = store.begin().await?;
    unit.limits().count(BUCKET, Limit::new(u32::MAX, 60), 1, now).await?;
    unit.commit().await
}
