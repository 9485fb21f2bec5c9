//! SQLite: one writer whose units of work share a commit, and a pool of readers.
//!
//! Units of work run one after another, each in a savepoint of one physical transaction. A unit that finishes while others
//! wait hands the transaction on instead of committing it; the last one commits for all, with a single fsync, and only
//! then is any of them answered. See `docs/adr/0003-group-commit.md`.

mod checkpoints;
pub(super) mod log;
pub(super) mod opening;
mod presence;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Connection as _, SqliteConnection, SqlitePool};
use tokio::sync::{Mutex, OwnedMutexGuard, oneshot};

use self::checkpoints::Checkpoints;
use self::presence::OpenFiles;
use super::StoreOptions;
use super::migrate::{self, Migration, Spelling, WholeSchema};
use super::to_the_end::to_the_end;
use crate::{Result, StoreError};

const SPELLING: Spelling =
    Spelling { number_key: "integer primary key autoincrement", uuid: "blob", json: "text", bytes: "blob" };

/// How long another process (a `tidegate` command beside a server) may hold the write lock before we give up.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// The one connection that writes.
pub(crate) struct Writer {
    lane: Arc<Mutex<Lane>>,
    queue: Arc<Queue>,
    files: Arc<OpenFiles>,
}

/// Who is waiting for the writer.
struct Queue {
    waiting: AtomicUsize,
    max_group: usize,
}

/// The connection and the physical transaction it is in.
struct Lane {
    connection: SqliteConnection,
    /// What it writes into.
    files: Arc<OpenFiles>,
    /// Finished units of the open physical transaction, to be answered when it commits.
    group: Vec<oneshot::Sender<Result<()>>>,
    /// The state of that transaction.
    stage: Stage,
    /// Units begun in it, finished or not.
    begun: usize,
    /// What copies out of the log; none once it is closed.
    checkpoints: Option<Checkpoints>,
    /// Whether the store was closed.
    closed: bool,
}

/// The state of the physical transaction. While one is open, so is the savepoint of its last unit: the next unit or the
/// commit takes care of it, which saves every unit a trip to the connection's thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// None is open.
    NoTransaction,
    /// A unit is under way, or was dropped unfinished and is still to be rolled back.
    InUnit,
    /// The last unit is finished.
    BetweenUnits,
}

/// The writer, held by one unit of work at a time.
pub(crate) struct WriterGuard {
    lane: OwnedMutexGuard<Lane>,
    queue: Arc<Queue>,
    shared: Arc<Mutex<Lane>>,
}

pub(super) async fn open(path: &Path, options: &StoreOptions) -> Result<(Writer, SqlitePool)> {
    opening::look_at(path)?;
    opening::refuse_log_of_another(path)?;
    let describe = |error: sqlx::Error| opening::refusal(path, &error);
    let base = SqliteConnectOptions::new().filename(path).busy_timeout(BUSY_TIMEOUT).foreign_keys(true);
    let writing = base
        .clone()
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .pragma("wal_autocheckpoint", "4000")
        .thread_name(|_| "tidegate-write".to_owned());
    let connection = SqliteConnection::connect_with(&writing).await.map_err(describe)?;
    let checkpoints = Checkpoints::start(writing);
    let readers = SqlitePoolOptions::new()
        .max_connections(options.max_connections)
        .test_before_acquire(false)
        .idle_timeout(None)
        .max_lifetime(None)
        .connect_with(base.read_only(true).thread_name(|n| format!("tidegate-read-{n}")))
        .await
        .map_err(describe)?;
    Ok((Writer::new(connection, checkpoints, OpenFiles::of(path), options.max_group), readers))
}

impl Writer {
    fn new(
        connection: SqliteConnection,
        checkpoints: Checkpoints,
        files: OpenFiles,
        max_group: usize,
    ) -> Self {
        let files = Arc::new(files);
        let lane = Lane {
            connection,
            files: Arc::clone(&files),
            group: Vec::new(),
            stage: Stage::NoTransaction,
            begun: 0,
            checkpoints: Some(checkpoints),
            closed: false,
        };
        Self {
            lane: Arc::new(Mutex::new(lane)),
            queue: Arc::new(Queue { waiting: AtomicUsize::new(0), max_group }),
            files,
        }
    }

    /// Whether the files are those that were opened.
    pub(super) fn check_files(&self) -> Result<()> {
        self.files.check()
    }

    /// Waits for the writer and begins a unit of work.
    pub(super) async fn begin(&self) -> Result<WriterGuard> {
        let waiting = Waiting::enter(&self.lane, &self.queue);
        let lane = Arc::clone(&self.lane).lock_owned().await;
        waiting.leave();
        if lane.closed {
            return Err(StoreError::Unavailable("the database is closed".into()));
        }
        let mut guard = WriterGuard { lane, queue: Arc::clone(&self.queue), shared: Arc::clone(&self.lane) };
        to_the_end(async move {
            let max_group = guard.queue.max_group;
            guard.lane.start_unit(max_group).await?;
            Ok(guard)
        })
        .await
    }

    pub(super) async fn migrate(
        &self,
        migrations: &Arc<[Migration]>,
        whole: Option<&'static WholeSchema>,
    ) -> Result<usize> {
        let migrations = Arc::clone(migrations);
        let mut lane = Arc::clone(&self.lane).lock_owned().await;
        to_the_end(async move {
            lane.settle().await;
            // Keeps other processes out as well: the second one waits, and finds nothing left to do.
            let mut transaction = lane.connection.begin_with("begin immediate").await?;
            let made = match whole {
                Some(whole) => migrate::make(&migrations, whole, &SPELLING, &mut transaction).await?,
                None => 0,
            };
            let applied = migrate::run(&migrations, &SPELLING, &mut *transaction).await?;
            transaction.commit().await?;
            Ok(made + applied)
        })
        .await
    }

    pub(super) async fn applied_migrations(&self) -> Result<Vec<i64>> {
        let mut lane = self.lane.lock().await;
        let on = &mut lane.connection;
        let known: Option<(String,)> =
            sqlx::query_as("select name from sqlite_master where name = '_sqlx_migrations'")
                .fetch_optional(&mut *on)
                .await?;
        if known.is_none() {
            return Ok(Vec::new());
        }
        let rows: Vec<(i64,)> =
            sqlx::query_as("select version from _sqlx_migrations order by version").fetch_all(on).await?;
        Ok(rows.into_iter().map(|(version,)| version).collect())
    }

    /// A table that is not ours, where none is.
    pub(super) async fn foreign_table(&self) -> Result<Option<String>> {
        let mut lane = self.lane.lock().await;
        let tables: Vec<(String,)> = sqlx::query_as(
            "select name from sqlite_master
             where type = 'table' and name not like 'sqlite_%' and name <> '_tidegate_copying'
             order by name = '_sqlx_migrations' desc",
        )
        .fetch_all(&mut lane.connection)
        .await?;
        Ok(tables.into_iter().next().map(|(name,)| name).filter(|name| name != "_sqlx_migrations"))
    }

    pub(super) async fn close(&self) {
        let mut lane = Arc::clone(&self.lane).lock_owned().await;
        to_the_end(async move {
            lane.settle().await;
            if let Some(checkpoints) = lane.checkpoints.take() {
                checkpoints.end().await;
            }
            // Only tidies up: the data is durable without it.
            drop(lane.run("pragma wal_checkpoint(truncate)").await);
            lane.closed = true;
        })
        .await;
    }
}

impl Lane {
    async fn run(&mut self, sql: &'static str) -> Result<()> {
        sqlx::query(sql).execute(&mut self.connection).await?;
        Ok(())
    }

    /// Begins a savepoint for the next unit, in the physical transaction that is open or else in a new one.
    async fn start_unit(&mut self, max_group: usize) -> Result<()> {
        // Neither finished units nor other processes may wait without end behind units that are dropped.
        if self.begun >= max_group {
            self.settle().await;
        }
        let go_on = match self.stage {
            Stage::NoTransaction => None,
            Stage::InUnit => Some("rollback to unit"),
            Stage::BetweenUnits => Some("release unit; savepoint unit"),
        };
        if let Some(go_on) = go_on
            && let Err(error) = self.run(go_on).await
        {
            // Some errors, a full disk among them, SQLite answers by rolling back everything: the savepoint is gone,
            // and with it the finished units before it. They are notified; this unit begins again.
            self.end(Err(error)).await;
        }
        if self.stage == Stage::NoTransaction {
            self.files.check()?;
            if let Err(error) = self.run("begin immediate; savepoint unit").await {
                drop(self.run("rollback").await);
                return Err(error);
            }
        }
        self.begun += 1;
        self.stage = Stage::InUnit; // Until committed: a drop from here on has something to undo.
        Ok(())
    }

    /// Commits the physical transaction, if one is open, and answers its units.
    async fn settle(&mut self) {
        let end = match self.stage {
            Stage::NoTransaction => return,
            Stage::InUnit => "rollback to unit; commit",
            Stage::BetweenUnits => "commit",
        };
        // Before any unit is told that it is durable.
        let outcome = match self.files.check() {
            Ok(()) => self.run(end).await,
            Err(lost) => Err(lost),
        };
        self.end(outcome).await;
    }

    /// Notifies the units of the physical transaction of its end and result.
    async fn end(&mut self, outcome: Result<()>) {
        self.stage = Stage::NoTransaction;
        let units = std::mem::take(&mut self.begun);
        if let (Ok(()), Some(checkpoints)) = (&outcome, &mut self.checkpoints) {
            checkpoints.committed(units);
        }
        if let Err(error) = &outcome {
            // That its files are lost the store tells by itself, once.
            if !matches!(error, StoreError::Lost { .. }) {
                tracing::error!(%error, units = self.group.len(), "group commit failed; every unit in it is refused");
            }
            // Some failures end the transaction by themselves; then this one has nothing to do.
            drop(self.run("rollback").await);
        }
        for unit in self.group.drain(..) {
            // A unit whose caller went away is durable, too.
            drop(unit.send(outcome.clone()));
        }
    }
}

impl WriterGuard {
    pub(super) fn connection(&mut self) -> &mut SqliteConnection {
        &mut self.lane.connection
    }

    /// Ends the unit: durable, with all units that share its physical transaction, when this returns. Not to be cut
    /// off half-way.
    pub(super) async fn commit(mut self) -> Result<()> {
        self.lane.stage = Stage::BetweenUnits;
        let (answer, committed) = oneshot::channel();
        self.lane.group.push(answer);
        if self.queue.is_idle() || self.lane.group.len() >= self.queue.max_group {
            self.lane.settle().await;
        }
        drop(self);
        match committed.await {
            Ok(outcome) => outcome,
            Err(_) => Err(StoreError::Unavailable("the database is closing".into())),
        }
    }
}

impl Drop for WriterGuard {
    fn drop(&mut self) {
        // Waits for the lane, which is released right after this.
        let unfinished = match self.lane.stage {
            Stage::NoTransaction => false,
            Stage::InUnit => true,
            Stage::BetweenUnits => self.queue.is_idle(),
        };
        if unfinished {
            settle_if_idle(&self.shared, &self.queue);
        }
    }
}

impl Queue {
    fn is_idle(&self) -> bool {
        self.waiting.load(Ordering::SeqCst) == 0
    }
}

/// Counts a waiter, also one that gives up.
struct Waiting<'w> {
    lane: &'w Arc<Mutex<Lane>>,
    queue: &'w Arc<Queue>,
    gave_up: bool,
}

impl<'w> Waiting<'w> {
    fn enter(lane: &'w Arc<Mutex<Lane>>, queue: &'w Arc<Queue>) -> Self {
        queue.waiting.fetch_add(1, Ordering::SeqCst);
        Self { lane, queue, gave_up: true }
    }

    fn leave(mut self) {
        self.gave_up = false;
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.queue.waiting.fetch_sub(1, Ordering::SeqCst);
        if self.gave_up {
            // An earlier unit may have left the commit to this one.
            settle_if_idle(self.lane, self.queue);
        }
    }
}

/// Ends an open physical transaction that no unit will end.
fn settle_if_idle(lane: &Arc<Mutex<Lane>>, queue: &Arc<Queue>) {
    let (lane, queue) = (Arc::clone(lane), Arc::clone(queue));
    // Without a runtime the process is ending, and SQLite undoes what was not committed.
    if let Ok(runtime) = tokio::runtime::Handle::try_current() {
        runtime.spawn(async move {
            let mut lane = lane.lock().await;
            if queue.is_idle() {
                lane.settle().await;
            }
        });
    }
}

pub(super) async fn schema(readers: &SqlitePool) -> Result<Vec<String>> {
    let columns: Vec<(String, String, String, i64)> = sqlx::query_as(
        "select m.name, c.name, lower(c.type), case when c.\"notnull\" = 1 or c.pk > 0 then 1 else 0 end
         from sqlite_master m join pragma_table_info(m.name) c
         where m.type = 'table' and m.name not like 'sqlite_%' and m.name not like '_sqlx%'",
    )
    .fetch_all(readers)
    .await?;
    let indexes: Vec<(String, i64, String)> = sqlx::query_as(
        "select m.name, i.\"unique\", (select group_concat(name, ',') from
                (select x.name from pragma_index_info(i.name) x order by x.seqno))
         from sqlite_master m join pragma_index_list(m.name) i
         where m.type = 'table' and m.name not like 'sqlite_%' and m.name not like '_sqlx%'",
    )
    .fetch_all(readers)
    .await?;
    let numbers = columns
        .iter()
        .filter(|(_, column, _, _)| column == "number")
        .map(|(table, ..)| format!("{table} unique (number)"));
    let mut lines: Vec<String> = columns
        .iter()
        .map(|(table, column, kind, required)| {
            let kind = match kind.as_str() {
                "integer" => "bigint",
                other => other,
            };
            format!("{table}.{column} {kind}{}", if *required == 1 { " not null" } else { "" })
        })
        .chain(indexes.iter().map(|(table, unique, columns)| {
            format!("{table} {} ({columns})", if *unique == 1 { "unique" } else { "index" })
        }))
        .chain(numbers)
        .collect();
    lines.sort();
    Ok(lines)
}

#[cfg(test)]
mod tests;
