//! Copies what was committed out of the write-ahead log into the database, beside the writer.
//!
//! When the log has grown to 4,000 pages the writer copies what is left and begins it anew, and every unit of work waits meanwhile. In a
//! large database each of those pages lies elsewhere, so that this takes long. Another connection copies them while the log grows, some at a time, and
//! leaves the writer the last few.

use std::time::Duration;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection as _, SqliteConnection};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// How many units are worth a step: each flushes the log and the database.
const UNITS: usize = 128;
/// The least between two steps: pages that are written again and again are copied once in it.
const BETWEEN: Duration = Duration::from_millis(100);

/// The connection that copies, in a task of its own.
pub(super) struct Checkpoints {
    wake: mpsc::Sender<()>,
    /// Dropped when it ends: also in the middle of a pause.
    lasts: oneshot::Sender<()>,
    task: JoinHandle<()>,
    /// Committed since it was woken.
    units: usize,
}

impl Checkpoints {
    /// Opens the connection and waits for work.
    pub(super) async fn start(options: SqliteConnectOptions) -> sqlx::Result<Self> {
        Self::with_pauses(options, BETWEEN).await
    }

    async fn with_pauses(options: SqliteConnectOptions, between: Duration) -> sqlx::Result<Self> {
        let options = options.thread_name(|_| "tidegate-copy".to_owned());
        let mut connection = SqliteConnection::connect_with(&options).await?;
        let (wake, mut woken) = mpsc::channel(1);
        let (lasts, mut ended) = oneshot::channel::<()>();
        let task = tokio::spawn(async move {
            while woken.recv().await.is_some() {
                // Whatever hinders it, the writer copies what is left.
                drop(sqlx::query("pragma wal_checkpoint(passive)").execute(&mut connection).await);
                if timeout(between, &mut ended).await.is_ok() {
                    break;
                }
            }
            drop(connection.close().await);
        });
        Ok(Self { wake, lasts, task, units: 0 })
    }

    /// Takes note of units that were committed.
    pub(super) fn committed(&mut self, units: usize) {
        self.units += units;
        // It is awake already where there is no room.
        if self.units >= UNITS && self.wake.try_send(()).is_ok() {
            self.units = 0;
        }
    }

    /// Ends it, and waits until its connection is closed.
    pub(super) async fn end(self) {
        drop((self.wake, self.lasts));
        drop(self.task.await);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // If it did, this test would last a year.
    #[tokio::test]
    async fn its_end_does_not_wait_for_a_pause() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("tidegate.db");
        let options = SqliteConnectOptions::new().filename(file).create_if_missing(true);
        let year = Duration::from_secs(31_536_000);
        let mut checkpoints = Checkpoints::with_pauses(options, year).await.unwrap();
        checkpoints.committed(UNITS);
        checkpoints.end().await;
    }
}
