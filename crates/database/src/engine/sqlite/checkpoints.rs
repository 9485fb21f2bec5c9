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

/// What copies, in a task of its own.
pub(super) struct Checkpoints {
    wake: mpsc::Sender<()>,
    /// Dropped when it ends: also in the middle of a pause.
    lasts: oneshot::Sender<()>,
    task: JoinHandle<()>,
    /// Committed since it was woken.
    units: usize,
}

impl Checkpoints {
    /// Waits for work. The connection is opened for the first.
    pub(super) fn start(options: SqliteConnectOptions) -> Self {
        Self::with_pauses(options, BETWEEN)
    }

    fn with_pauses(options: SqliteConnectOptions, between: Duration) -> Self {
        // Nobody wants a new file in the place of one that is gone.
        let options = options.create_if_missing(false).thread_name(|_| "tidegate-copy".to_owned());
        let (wake, mut woken) = mpsc::channel(1);
        let (lasts, mut ended) = oneshot::channel::<()>();
        let task = tokio::spawn(async move {
            let mut connection = None;
            while woken.recv().await.is_some() {
                // Whatever hinders it, the writer copies what is left.
                drop(copy(&options, &mut connection).await);
                if timeout(between, &mut ended).await.is_ok() {
                    break;
                }
            }
            if let Some(connection) = connection {
                drop(connection.close().await);
            }
        });
        Self { wake, lasts, task, units: 0 }
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

async fn copy(options: &SqliteConnectOptions, open: &mut Option<SqliteConnection>) -> sqlx::Result<()> {
    let connection = match open {
        Some(connection) => connection,
        None => open.insert(SqliteConnection::connect_with(options).await?),
    };
    sqlx::query("pragma wal_checkpoint(passive)").execute(connection).await?;
    Ok(())
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
        SqliteConnection::connect_with(&options).await.unwrap().close().await.unwrap();
        let year = Duration::from_secs(31_536_000);
        let mut checkpoints = Checkpoints::with_pauses(options, year);
        checkpoints.committed(UNITS);
        checkpoints.end().await;
    }

    #[tokio::test]
    async fn a_file_that_is_gone_is_not_made_anew() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("tidegate.db");
        let options = SqliteConnectOptions::new().filename(&file).create_if_missing(true);
        let mut checkpoints = Checkpoints::start(options);
        checkpoints.committed(UNITS);
        checkpoints.end().await;
        assert!(!file.exists());
    }
}
