//! Telling the other nodes what was committed.
//!
//! Of the transactions that notify, PostgreSQL lets one at a time commit, on the whole server: a lock is held until what it wrote is durable.
//! Units that notified in their own transaction waited for one another's flush to disk. So what they changed is announced as soon as they are
//! committed, by a connection of its own: everything that waits, in one statement.

use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

use super::{ACQUIRE_TIMEOUT, announcement};
use crate::engine::{Change, note};
use crate::repeats::Repeats;

/// How long a commit waits for its announcement. Nodes hear of it later then, and use nothing that is older than two seconds anyway.
const AWAITED: Duration = Duration::from_secs(1);
/// How soon an announcement that failed is tried again.
const TRY_AGAIN: Duration = Duration::from_millis(250);

/// Announces what the units of a node changed. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Announcer(Arc<Inner>);

struct Inner {
    connect: PgConnectOptions,
    waiting: Mutex<Waiting>,
    /// Made when it is first needed.
    connection: tokio::sync::Mutex<Option<PgConnection>>,
    failures: Repeats,
}

#[derive(Default)]
struct Waiting {
    changes: Vec<Change>,
    /// Whoever waits until they are sent.
    told: Vec<oneshot::Sender<()>>,
    /// Whether somebody sends them.
    is_running: bool,
    is_closed: bool,
}

/// What a unit changed, on its way to the other nodes.
pub(crate) struct Announced(Option<oneshot::Receiver<()>>);

impl Announced {
    /// Of a unit that has nothing to announce.
    pub(crate) const NOTHING: Self = Self(None);

    /// Waits until it was sent, or could not be: then it is sent again, until it is.
    pub(crate) async fn sent(self) {
        if let Some(told) = self.0 {
            // Whoever sends goes away with the process alone.
            let _ = timeout(AWAITED, told).await;
        }
    }
}

impl Announcer {
    pub(super) fn new(connect: PgConnectOptions) -> Self {
        Self(Arc::new(Inner {
            connect,
            waiting: Mutex::default(),
            connection: tokio::sync::Mutex::default(),
            failures: Repeats::default(),
        }))
    }

    /// Announces changes that are committed.
    pub(crate) fn announce(&self, changes: &[Change]) -> Announced {
        if changes.is_empty() {
            return Announced::NOTHING;
        }
        let (tell, told) = oneshot::channel();
        let mut waiting = self.0.waiting();
        for change in changes {
            note(&mut waiting.changes, *change);
        }
        waiting.told.push(tell);
        let is_running = mem::replace(&mut waiting.is_running, true);
        drop(waiting);
        if !is_running {
            tokio::spawn(Arc::clone(&self.0).run());
        }
        Announced(Some(told))
    }

    /// Sends nothing from now on.
    pub(crate) async fn close(&self) {
        self.0.waiting().is_closed = true;
        let connection = self.0.connection.lock().await.take();
        if let Some(connection) = connection
            && let Err(error) = connection.close().await
        {
            tracing::debug!(%error, "closing the connection of announcements");
        }
    }
}

impl Inner {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends all that waits, again and again, until nothing does.
    async fn run(self: Arc<Self>) {
        let mut connection = self.connection.lock().await;
        while let Some((changes, told)) = self.next() {
            match self.send(&mut connection, &changes).await {
                Ok(()) => {
                    self.failures.succeeded();
                }
                Err(error) => {
                    drop(told);
                    self.failed(&error);
                    sleep(TRY_AGAIN).await;
                }
            }
        }
    }

    /// What waits; none where nothing does, and then nobody sends until there is something.
    fn next(&self) -> Option<(Vec<Change>, Vec<oneshot::Sender<()>>)> {
        let mut waiting = self.waiting();
        if waiting.changes.is_empty() || waiting.is_closed {
            waiting.is_running = false;
            return None;
        }
        Some((mem::take(&mut waiting.changes), mem::take(&mut waiting.told)))
    }

    /// Sends them on the connection that there is, and, where that was closed meanwhile, on a new one.
    async fn send(&self, connection: &mut Option<PgConnection>, changes: &[Change]) -> sqlx::Result<()> {
        let Some(sql) = announcement(changes) else { return Ok(()) };
        if let Some(resting) = connection
            && run_on(resting, &sql).await.is_ok()
        {
            return Ok(());
        }
        *connection = None;
        let mut made = timeout(ACQUIRE_TIMEOUT, PgConnection::connect_with(&self.connect))
            .await
            .unwrap_or(Err(sqlx::Error::PoolTimedOut))?;
        run_on(&mut made, &sql).await?;
        *connection = Some(made);
        Ok(())
    }

    /// What could not be sent waits again. Other nodes may have used what is old meanwhile.
    fn failed(&self, error: &sqlx::Error) {
        self.waiting().changes = vec![Change::Everything];
        if let Some(times) = self.failures.failed() {
            tracing::warn!(%error, times, "other nodes cannot be told of changes; trying again");
        }
    }
}

async fn run_on(connection: &mut PgConnection, sql: &str) -> sqlx::Result<()> {
    let run = sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection);
    timeout(ACQUIRE_TIMEOUT, run).await.unwrap_or(Err(sqlx::Error::PoolTimedOut)).map(|_| ())
}
