//! The two engines, and all that differs between them.

mod address;
mod backup;
mod copy;
mod fitness;
mod migrate;
mod postgres;
mod sqlite;
mod to_the_end;

use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::{PgConnection, PgPool, Sqlite, SqliteConnection, SqlitePool};
use uuid::Uuid;

use crate::damage::Damage;
use crate::{Result, StoreError, Unit};
pub use address::DatabaseUrl;
pub use copy::{CopiedTable, FinishedCopy};
pub use migrate::{Migration, WholeSchema};
pub use postgres::ConnectionLimit;
pub(crate) use postgres::{Announced, Announcer};
pub(crate) use sqlite::WriterGuard;

const TABLES_ON_SQLITE: &str = "select name from sqlite_master where type = 'table'";
/// In the schema that statements find ours in, which need not be the first of the search path.
const TABLES_ON_POSTGRES: &str = "select tablename::text from pg_tables where schemaname = coalesce(
    (select n.nspname from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.oid = to_regclass('_sqlx_migrations')),
    current_schema())";

/// How to open a store.
#[derive(Clone, Debug)]
pub struct StoreOptions {
    /// Where.
    pub url: DatabaseUrl,
    /// Most PostgreSQL connections, or SQLite reading connections, of this process. On PostgreSQL one of them listens
    /// to the other nodes, one tells them of changes, and two at least are for units of work. While it begins to listen, it has one more.
    pub max_connections: u32,
    /// Most units of work that share one SQLite commit.
    pub max_group: usize,
    /// Where the other PostgreSQL nodes are listened to, if not at `url`: a pooler that gives a connection to another client
    /// after each transaction delivers no notifications.
    pub listen_url: Option<DatabaseUrl>,
    /// How long a PostgreSQL that is not there yet is waited for. The first failure is told at once.
    pub patience: Duration,
}

impl StoreOptions {
    /// How many connections to PostgreSQL a process has at most where fewer were asked for.
    pub const FEWEST_ON_POSTGRES: u32 = postgres::BESIDE_UNITS + postgres::FEWEST_UNITS;
    /// What a node opens for a moment, when it begins to listen to the others, and what a command does: to read, to write, and to tell nodes.
    pub const BESIDE_ON_POSTGRES: u32 = 1 + 3;

    /// The defaults for `url`.
    pub fn new(url: DatabaseUrl) -> Self {
        let max_connections = match url {
            DatabaseUrl::Sqlite(_) => 4,
            DatabaseUrl::Postgres(_) => 16,
        };
        Self { url, max_connections, max_group: 64, listen_url: None, patience: Duration::ZERO }
    }

    /// How many connections this process has at most, of which some are there whatever was asked for.
    pub fn connections(&self) -> u32 {
        match self.url {
            DatabaseUrl::Sqlite(_) => self.max_connections,
            DatabaseUrl::Postgres(_) => self.max_connections.max(Self::FEWEST_ON_POSTGRES),
        }
    }
}

/// What a change is about: a lower-case letter, by which nodes of any version know it. Features declare theirs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Topic(pub char);

/// Something committed that caches elsewhere may hold an old copy of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Change {
    /// A row of the topic changed.
    Row(Topic, Uuid),
    /// Something of the topic changed.
    Topic(Topic),
    /// Anything may have changed: messages from other nodes were lost.
    Everything,
}

/// Most changes that are kept one by one; with more, the caches drop everything, which is quicker.
const MOST_CHANGES: usize = 200;

/// Adds a change to those that are announced together.
pub(crate) fn note(changes: &mut Vec<Change>, change: Change) {
    if changes.len() >= MOST_CHANGES {
        *changes = vec![Change::Everything];
    } else if !changes.contains(&change) {
        changes.push(change);
    }
}

/// Told of every [`Change`] this node commits, before the commit is acknowledged, and of those of other nodes as they
/// arrive.
pub trait ChangeListener: Send + Sync + 'static {
    /// Called for each change.
    fn changed(&self, change: Change);
}

/// The store. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    backend: Backend,
    migrations: Arc<[Migration]>,
    listener: Arc<OnceLock<Arc<dyn ChangeListener>>>,
    damage: Damage,
}

#[derive(Clone)]
enum Backend {
    Sqlite { writer: Arc<sqlite::Writer>, readers: SqlitePool },
    Postgres { units: postgres::Connections, pool: PgPool, listening: PgPool, announcer: Announcer },
}

/// A connection of either engine, borrowed for one statement.
pub enum Connection<'c> {
    /// Of SQLite.
    Sqlite(&'c mut SqliteConnection),
    /// Of PostgreSQL.
    Postgres(&'c mut PgConnection),
}

/// What a unit of work runs on.
pub(crate) enum Session {
    SqliteWrite(WriterGuard),
    SqliteRead(PoolConnection<Sqlite>),
    PostgresWrite(postgres::Transaction, Announcer),
    /// Each statement is a transaction.
    PostgresSingle(postgres::Pooled),
    PostgresRead(postgres::Pooled),
}

impl Session {
    pub(crate) fn connection(&mut self) -> Connection<'_> {
        match self {
            Self::SqliteWrite(guard) => Connection::Sqlite(guard.connection()),
            Self::SqliteRead(connection) => Connection::Sqlite(connection),
            Self::PostgresWrite(transaction, _) => Connection::Postgres(transaction),
            Self::PostgresRead(connection) | Self::PostgresSingle(connection) => {
                connection.begins();
                Connection::Postgres(connection)
            }
        }
    }

    /// Notes that the statement for which the connection was borrowed was run to its end.
    pub(crate) fn settled(&mut self) {
        match self {
            Self::PostgresRead(connection) | Self::PostgresSingle(connection) => connection.settled(),
            Self::SqliteWrite(_) | Self::SqliteRead(_) | Self::PostgresWrite(..) => {}
        }
    }

    /// Notes that it failed.
    pub(crate) fn failed(&self, error: &sqlx::Error) {
        match self {
            Self::PostgresWrite(transaction, _) => transaction.failed(error),
            Self::PostgresRead(connection) | Self::PostgresSingle(connection) => connection.failed(error),
            Self::SqliteWrite(_) | Self::SqliteRead(_) => {}
        }
    }

    /// Whether it is one to write with.
    pub(crate) fn writes(&self) -> bool {
        matches!(self, Self::SqliteWrite(_) | Self::PostgresWrite(..) | Self::PostgresSingle(_))
    }

    pub(crate) fn is_postgres(&self) -> bool {
        !matches!(self, Self::SqliteWrite(_) | Self::SqliteRead(_))
    }

    /// Makes what the unit wrote durable and announces `changes` to other nodes, also where it is not known whether it was committed.
    pub(crate) async fn commit(self, changes: &[Change]) -> Result<Announced> {
        match self {
            Self::SqliteWrite(guard) => guard.commit().await?,
            Self::PostgresWrite(transaction, announcer) => {
                let committed = transaction.commit().await;
                let announced = announcer.announce(changes);
                committed?;
                return Ok(announced);
            }
            Self::SqliteRead(_) | Self::PostgresRead(_) | Self::PostgresSingle(_) => {}
        }
        Ok(Announced::NOTHING)
    }
}

impl Store {
    /// Opens the database, creating a SQLite file that is not there, **without** migrating it. Its schema is what all
    /// `migrations` together make, in the order of their versions.
    ///
    /// # Errors
    /// [`StoreError::Address`] or [`StoreError::Refused`] with what to do; [`StoreError::Migration`] when two
    /// migrations have one version.
    pub async fn open(options: &StoreOptions, migrations: &[&'static [Migration]]) -> Result<Self> {
        let migrations = migrate::in_order(migrations)?;
        let backend = match &options.url {
            DatabaseUrl::Sqlite(path) => {
                let (writer, readers) = sqlite::open(path, options).await?;
                Backend::Sqlite { writer: Arc::new(writer), readers }
            }
            DatabaseUrl::Postgres(url) => {
                let (units, pool, announcer) = postgres::open(url, options).await?;
                let listening = match &options.listen_url {
                    Some(DatabaseUrl::Postgres(url)) => postgres::open_for_listening(url)?,
                    Some(DatabaseUrl::Sqlite(_)) => {
                        let text = "other nodes are listened to at a PostgreSQL address: postgres://USER:PASSWORD@HOST/NAME";
                        return Err(StoreError::Address(text.to_owned()));
                    }
                    None => pool.clone(),
                };
                Backend::Postgres { units, pool, listening, announcer }
            }
        };
        Ok(Self {
            backend,
            migrations,
            listener: Arc::new(OnceLock::new()),
            damage: Damage::of(options.url.file()),
        })
    }

    /// Looks whether a SQLite file can be opened, or made where it is not there, and touches nothing.
    ///
    /// # Errors
    /// [`StoreError::Refused`] with what to do.
    pub fn look_at(url: &DatabaseUrl) -> Result<()> {
        match url {
            DatabaseUrl::Sqlite(path) => sqlite::opening::look_at(path),
            DatabaseUrl::Postgres(_) => Ok(()),
        }
    }

    /// Whether a file begins as SQLite databases do.
    pub fn is_sqlite_file(path: &Path) -> bool {
        sqlite::opening::has_magic(path)
    }

    /// Whether a SQLite file is, or is a copy of, one that was opened as a store: what was written to it last may be in a log beside it. What
    /// [`Store::write_copy`] writes has no log.
    pub fn has_log_mode(path: &Path) -> bool {
        sqlite::opening::has_log_mode(path)
    }

    /// Whether a file is the log of a SQLite database and has something in it.
    pub fn has_log_content(log: &Path) -> bool {
        sqlite::log::has_frames(log)
    }

    /// The tables of a SQLite file, or of the schema of a PostgreSQL database.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn tables(&self) -> Result<Vec<String>> {
        let mut unit = self.read().await?;
        let sql = if unit.is_postgres() { TABLES_ON_POSTGRES } else { TABLES_ON_SQLITE };
        let rows = crate::fetch_all!(unit, (String,), sql)?;
        Ok(rows.into_iter().map(|(name,)| name).collect())
    }

    /// Whether there is an installation: any version has migrated the database.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn is_begun(&self) -> Result<bool> {
        Ok(!self.applied_migrations().await?.is_empty())
    }

    /// A table of another program in a SQLite file without any of ours. A PostgreSQL database may be shared.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn foreign_table(&self) -> Result<Option<String>> {
        match &self.backend {
            Backend::Sqlite { writer, .. } => writer.foreign_table().await,
            Backend::Postgres { .. } => Ok(None),
        }
    }

    async fn applied_migrations(&self) -> Result<Vec<i64>> {
        match &self.backend {
            Backend::Sqlite { writer, .. } => writer.applied_migrations().await,
            Backend::Postgres { pool, .. } => postgres::applied_migrations(pool).await,
        }
    }

    /// Begins a unit of work that may write.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when no connection is to be had.
    pub async fn begin(&self) -> Result<Unit> {
        let session = match &self.backend {
            Backend::Sqlite { writer, .. } => writer.begin().await.map(Session::SqliteWrite),
            Backend::Postgres { units, announcer, .. } => match units.begin().await {
                Ok(transaction) => Ok(Session::PostgresWrite(transaction, announcer.clone())),
                Err(error) => Err(StoreError::from(error)),
            },
        };
        let session = session.map_err(|error| self.damage.note(error))?;
        Ok(Unit::new(session, self.listener.get().cloned(), self.damage.clone()))
    }

    /// Begins a unit of a single statement, about nothing that caches hold. On PostgreSQL it is durable as soon as it is run, before the
    /// commit, and takes one trip instead of three: a row that many requests write is locked for as long as the server takes, not for as
    /// long as we do.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when no connection is to be had.
    pub async fn begin_single(&self) -> Result<Unit> {
        let Backend::Postgres { units, .. } = &self.backend else {
            return self.begin().await;
        };
        let session = Session::PostgresSingle(units.acquire().await?);
        Ok(Unit::new(session, None, self.damage.clone()))
    }

    /// Begins a unit that only reads. It never waits for writers; each statement sees what was committed before it.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when no connection is to be had.
    pub async fn read(&self) -> Result<Unit> {
        let session = match &self.backend {
            Backend::Sqlite { readers, .. } => Session::SqliteRead(readers.acquire().await?),
            Backend::Postgres { units, .. } => Session::PostgresRead(units.acquire().await?),
        };
        Ok(Unit::new(session, None, self.damage.clone()))
    }

    /// Brings the schema up to date; answers how many migrations were applied.
    ///
    /// # Errors
    /// [`StoreError::Migration`] when the schema is of another version.
    pub async fn migrate(&self) -> Result<usize> {
        match &self.backend {
            Backend::Sqlite { writer, .. } => writer.migrate(&self.migrations, None).await,
            Backend::Postgres { pool, .. } => postgres::migrate(pool, &self.migrations).await,
        }
    }

    /// The same. An empty SQLite database gets the schema at once: for each column that a migration adds, SQLite reads the schema anew.
    ///
    /// # Errors
    /// As above.
    pub async fn make_or_migrate(&self, whole: &'static WholeSchema) -> Result<usize> {
        match &self.backend {
            Backend::Sqlite { writer, .. } => writer.migrate(&self.migrations, Some(whole)).await,
            Backend::Postgres { .. } => self.migrate().await,
        }
    }

    /// How many migrations have yet to be applied.
    ///
    /// # Errors
    /// [`StoreError::Migration`] when the schema is of a newer version.
    pub async fn pending_migrations(&self) -> Result<usize> {
        let known: Vec<i64> = self.migrations.iter().map(|migration| migration.version).collect();
        let applied = self.applied_migrations().await?;
        if let Some(newer) = applied.iter().find(|version| !known.contains(version)) {
            return Err(sqlx::migrate::MigrateError::VersionMissing(*newer).into());
        }
        Ok(known.len() - applied.len())
    }

    /// Calls `listener` for every change from now on. The first listener stays.
    ///
    /// On PostgreSQL this also starts listening to other nodes.
    pub fn listen(&self, listener: Arc<dyn ChangeListener>) {
        if self.listener.set(Arc::clone(&listener)).is_ok()
            && let Backend::Postgres { pool, listening, .. } = &self.backend
        {
            tokio::spawn(postgres::follow(pool.clone(), listening.clone(), listener));
        }
    }

    /// Proves that the database answers.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when it does not.
    pub async fn ping(&self) -> Result<()> {
        // A transaction replaces connections that the server has closed: what is asked is whether it answers now.
        let mut unit = match &self.backend {
            Backend::Postgres { .. } => self.begin().await?,
            Backend::Sqlite { .. } => self.read().await?,
        };
        crate::fetch_one!(unit, (i64,), "select cast(1 as bigint)")?;
        Ok(())
    }

    /// What limits how many connections there can be, by PostgreSQL's own account: a pooler between may have others.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn connection_limit(&self) -> Result<Option<ConnectionLimit>> {
        match &self.backend {
            Backend::Sqlite { .. } => Ok(None),
            Backend::Postgres { pool, .. } => postgres::connection_limit(pool).await,
        }
    }

    /// Whether the files of a SQLite database are still those that this process opened. Every commit asks, too; this is for one that
    /// has nothing to commit.
    ///
    /// # Errors
    /// [`StoreError::Lost`] with what to do.
    pub fn check_files(&self) -> Result<()> {
        let Backend::Sqlite { writer, .. } = &self.backend else { return Ok(()) };
        writer.check_files().map_err(|error| self.damage.note(error))?;
        self.damage.present();
        Ok(())
    }

    /// What the database said when it first found itself damaged. It stays so until the process ends: what a
    /// damaged database answers is not to be relied on, also where it still answers.
    pub fn damage(&self) -> Option<&str> {
        self.damage.found()
    }

    /// The schema as the engine itself reports it: one `table.column type nullability` line per column and one line per
    /// index, in words common to both engines. For the parity test and `tidegate doctor`.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn schema(&self) -> Result<Vec<String>> {
        match &self.backend {
            Backend::Sqlite { readers, .. } => sqlite::schema(readers).await,
            Backend::Postgres { pool, .. } => postgres::schema(pool).await,
        }
    }

    /// Waits for what is under way and closes every connection.
    pub async fn close(&self) {
        match &self.backend {
            Backend::Sqlite { writer, readers } => {
                readers.close().await;
                writer.close().await;
            }
            Backend::Postgres { units, pool, listening, announcer } => {
                listening.close().await;
                pool.close().await;
                units.close().await;
                announcer.close().await;
            }
        }
    }
}
