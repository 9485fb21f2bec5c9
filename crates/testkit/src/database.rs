//! Private databases.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, Connection, PgConnection, SqliteConnection};
use tempfile::TempDir;
use tidegate_database::{DatabaseUrl, Migration, Store, StoreOptions};
use uuid::Uuid;

use crate::Engine;

/// The migrations of all crates.
pub const MIGRATIONS: &[&[Migration]] = &[
    tidegate_kernel::MIGRATIONS,
    tidegate_identity::MIGRATIONS,
    tidegate_oauth::MIGRATIONS,
    tidegate_storage::MIGRATIONS,
    tidegate_catalog::MIGRATIONS,
    tidegate_policies::MIGRATIONS,
    tidegate_prompts::MIGRATIONS,
];

/// The variable in which `scripts/postgres` names its server.
const SERVER: &str = "TIDEGATE_TEST_POSTGRES";

/// A database for one test, deleted when dropped.
pub struct TestDatabase(Place);

enum Place {
    Sqlite(TempDir),
    Postgres(Schema),
}

/// What a statement locks beside the application, until it is let go of.
pub struct Held(PgConnection);

impl Held {
    /// Lets go of it, and changes nothing.
    ///
    /// # Panics
    /// When the database is gone.
    pub async fn release(mut self) {
        sqlx::raw_sql("rollback").execute(&mut self.0).await.expect("the end of the test's own unit");
    }
}

/// A schema of the test server.
struct Schema {
    server: String,
    name: String,
    /// Another database of the same server, where this one has a database of its own.
    beside: Option<String>,
}

/// Runs a query past the store, on a connection of its own.
macro_rules! on_a_connection {
    ($database:expr, $query:expr, $method:ident) => {
        match &$database.0 {
            Place::Sqlite(_) => $query.$method(&mut $database.sqlite().await).await,
            Place::Postgres(schema) => $query.$method(&mut connect(&schema.url()).await).await,
        }
        .expect("the test's own SQL")
    };
}

impl TestDatabase {
    /// A database with the present schema.
    ///
    /// # Panics
    /// When there is no PostgreSQL to test with: such a test fails, it is never skipped.
    pub async fn create(engine: Engine) -> Self {
        Self::empty(engine).await.migrated().await
    }

    /// A database with nothing in it.
    ///
    /// # Panics
    /// As [`TestDatabase::create`].
    pub async fn empty(engine: Engine) -> Self {
        Self(match engine {
            Engine::Sqlite => Place::Sqlite(tempfile::tempdir().expect("a temporary directory")),
            Engine::Postgres => Place::Postgres(Schema::create().await),
        })
    }

    /// The same in a database of its own also where others share one: for stories that change what holds for all of it.
    ///
    /// # Panics
    /// As [`TestDatabase::create`].
    pub async fn create_alone(engine: Engine) -> Self {
        Self::empty_alone(engine).await.migrated().await
    }

    /// A database of its own with nothing in it.
    ///
    /// # Panics
    /// As [`TestDatabase::create`].
    pub async fn empty_alone(engine: Engine) -> Self {
        match engine {
            Engine::Sqlite => Self::empty(engine).await,
            Engine::Postgres => Self(Place::Postgres(Schema::create_alone().await)),
        }
    }

    async fn migrated(self) -> Self {
        let store = self.open_with(|options| options.max_connections = 1).await;
        store.migrate().await.expect("migrating a fresh database");
        store.close().await;
        self
    }

    /// Has PostgreSQL refuse to write, or no longer, as a server does that is no primary one; ends all connections to it. For databases
    /// [of their own](TestDatabase::create_alone).
    ///
    /// # Panics
    /// When it is another one.
    pub async fn only_reads(&self, does: bool) {
        let Place::Postgres(Schema { name, beside: Some(beside), .. }) = &self.0 else {
            panic!("no PostgreSQL database of its own")
        };
        let alter = if does {
            "set default_transaction_read_only = on"
        } else {
            "reset default_transaction_read_only"
        };
        let mut admin = connect(beside).await;
        for statement in [
            format!("alter database {name} {alter}"),
            format!("select pg_terminate_backend(pid) from pg_stat_activity where datname = '{name}'"),
        ] {
            sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut admin).await.expect("the test's own SQL");
        }
    }

    /// Which engine it is of.
    pub fn engine(&self) -> Engine {
        match self.0 {
            Place::Sqlite(_) => Engine::Sqlite,
            Place::Postgres(_) => Engine::Postgres,
        }
    }

    /// Where it is.
    pub fn url(&self) -> DatabaseUrl {
        match &self.0 {
            Place::Sqlite(directory) => DatabaseUrl::Sqlite(directory.path().join("tidegate.db")),
            Place::Postgres(schema) => DatabaseUrl::Postgres(schema.url()),
        }
    }

    /// Its address, to make a data source of it.
    ///
    /// # Panics
    /// When it is on SQLite.
    pub fn postgres_url(&self) -> String {
        match &self.0 {
            Place::Postgres(schema) => schema.url(),
            Place::Sqlite(_) => panic!("it is no PostgreSQL database"),
        }
    }

    /// Its file, to make a data source of it.
    ///
    /// # Panics
    /// When it is on PostgreSQL.
    pub fn sqlite_file(&self) -> std::path::PathBuf {
        match &self.0 {
            Place::Sqlite(directory) => directory.path().join("tidegate.db"),
            Place::Postgres(_) => panic!("it is no file"),
        }
    }

    /// Opens it, as every node does for itself.
    pub async fn open(&self) -> Store {
        self.open_with(|_| {}).await
    }

    /// Opens it with other options than the default ones.
    ///
    /// # Panics
    /// When it cannot be opened.
    pub async fn open_with(&self, change: impl FnOnce(&mut StoreOptions)) -> Store {
        let mut options = StoreOptions::new(self.url());
        change(&mut options);
        Store::open(&options, MIGRATIONS).await.expect("opening the test's database")
    }

    /// Runs SQL past the store, committed at once; answers how many rows changed. For faults that no use case makes.
    ///
    /// # Panics
    /// When the database refuses it.
    pub async fn sql(&self, statements: &str) -> u64 {
        let statements = AssertSqlSafe(statements.to_owned());
        match &self.0 {
            Place::Sqlite(_) => sqlx::raw_sql(statements)
                .execute(&mut self.sqlite().await)
                .await
                .map(|done| done.rows_affected()),
            Place::Postgres(schema) => sqlx::raw_sql(statements)
                .execute(&mut connect(&schema.url()).await)
                .await
                .map(|done| done.rows_affected()),
        }
        .expect("the test's own SQL")
    }

    /// Runs a statement on PostgreSQL and keeps what it locks, as a long unit of another node does. None on SQLite, where one unit writes at
    /// a time.
    ///
    /// # Panics
    /// When the database refuses it.
    pub async fn hold(&self, statement: &str) -> Option<Held> {
        let Place::Postgres(schema) = &self.0 else { return None };
        let mut connection = connect(&schema.url()).await;
        let statements = AssertSqlSafe(format!("begin; {statement}"));
        sqlx::raw_sql(statements).execute(&mut connection).await.expect("the test's own SQL");
        Some(Held(connection))
    }

    /// The number that a query such as `select count(*) from accounts` answers.
    ///
    /// # Panics
    /// When the database refuses it.
    pub async fn sql_count(&self, query: &str) -> i64 {
        on_a_connection!(self, sqlx::query_scalar(AssertSqlSafe(query.to_owned())), fetch_one)
    }

    /// The texts of a query's one column.
    ///
    /// # Panics
    /// When the database refuses it.
    pub async fn sql_texts(&self, query: &str) -> Vec<String> {
        on_a_connection!(self, sqlx::query_scalar(AssertSqlSafe(query.to_owned())), fetch_all)
    }

    /// A key as the engine's SQL writes it.
    pub fn sql_uuid(&self, key: impl Into<Uuid>) -> String {
        let key: Uuid = key.into();
        match self.engine() {
            Engine::Sqlite => format!("x'{}'", key.simple()),
            Engine::Postgres => format!("'{key}'::uuid"),
        }
    }

    /// A SQLite connection beside the store's, as a command beside the server has one.
    async fn sqlite(&self) -> SqliteConnection {
        let DatabaseUrl::Sqlite(path) = self.url() else { panic!("not SQLite") };
        let options = SqliteConnectOptions::new().filename(path).foreign_keys(true);
        SqliteConnection::connect_with(&options).await.expect("a connection to the test's database")
    }
}

impl Schema {
    async fn create() -> Self {
        Self::create_in(server(), None).await
    }

    async fn create_alone() -> Self {
        let beside = server();
        let name = random_name();
        let create = AssertSqlSafe(format!("create database {name}"));
        sqlx::raw_sql(create)
            .execute(&mut connect(&beside).await)
            .await
            .expect("a database of the test's own");
        let (address, _) = beside.rsplit_once('/').expect("an address that ends in the database's name");
        Self::create_in(format!("{address}/{name}"), Some((beside.clone(), name))).await
    }

    async fn create_in(server: String, alone: Option<(String, String)>) -> Self {
        let (beside, name) =
            alone.map_or_else(|| (None, random_name()), |(beside, name)| (Some(beside), name));
        let mut admin = connect(&server).await;
        let create = AssertSqlSafe(format!("create schema {name}"));
        sqlx::raw_sql(create).execute(&mut admin).await.expect("a schema of the test's own");
        Self { server, name, beside }
    }

    /// The schema alone, under an application name by which its connections differ from those of other tests.
    fn url(&self) -> String {
        let Self { server, name, .. } = self;
        format!("{server}?options[search_path]={name}&application_name={name}")
    }

    async fn remove(server: String, name: String, beside: Option<String>) -> sqlx::Result<()> {
        if let Some(beside) = beside {
            let drop = format!("drop database if exists {name} with (force)");
            sqlx::raw_sql(AssertSqlSafe(drop)).execute(&mut PgConnection::connect(&beside).await?).await?;
            return Ok(());
        }
        let mut admin = PgConnection::connect(&server).await?;
        // A test that failed may still hold locks; the server's own end will do then.
        let drop = format!("set lock_timeout = '1s'; drop schema if exists {name} cascade");
        sqlx::raw_sql(AssertSqlSafe(drop)).execute(&mut admin).await?;
        Ok(())
    }
}

impl Drop for Schema {
    fn drop(&mut self) {
        let removal = Self::remove(self.server.clone(), self.name.clone(), self.beside.clone());
        // On a thread of its own, as this one may belong to a runtime.
        let removal = std::thread::spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            drop(runtime.map(|runtime| {
                runtime.block_on(async { tokio::time::timeout(Duration::from_secs(10), removal).await })
            }));
        });
        drop(removal.join());
    }
}

/// The server that tests share.
fn server() -> String {
    std::env::var(SERVER).unwrap_or_else(|_| {
        panic!(
            "{SERVER} is not set: this test needs PostgreSQL; run it with scripts/test, \
                or with scripts/postgres run -- cargo nextest run"
        )
    })
}

fn random_name() -> String {
    format!("test_{:016x}", RandomState::new().hash_one(std::process::id()))
}

async fn connect(url: &str) -> PgConnection {
    PgConnection::connect(url).await.expect("a connection to the test server")
}

#[cfg(test)]
mod tests {
    use super::*;

    crate::on_both_engines! {
        async fn nodes_share_a_database_and_tests_do_not(engine: Engine) {
            let (ours, theirs) = (TestDatabase::create(engine).await, TestDatabase::create(engine).await);
            let insert = "insert into rate_limit_buckets (bucket, count, resets_at) values ('', 1, 0)";
            assert_eq!(ours.sql(insert).await, 1);
            let count = "select count(*) from rate_limit_buckets";
            assert_eq!((ours.sql_count(count).await, theirs.sql_count(count).await), (1, 0));
            // Two nodes at once.
            let (one, other) = (ours.open().await, ours.open().await);
            one.ping().await.unwrap();
            assert_eq!(other.pending_migrations().await.unwrap(), 0);
        }
    }

    #[tokio::test]
    async fn a_schema_is_gone_with_its_test() {
        let database = TestDatabase::create(Engine::Postgres).await;
        let (Place::Postgres(schema), witness) = (&database.0, TestDatabase::empty(Engine::Postgres).await)
        else {
            panic!("not PostgreSQL")
        };
        let count = format!("select count(*) from pg_namespace where nspname = '{}'", schema.name);
        assert_eq!(witness.sql_count(&count).await, 1);
        drop(database);
        assert_eq!(witness.sql_count(&count).await, 0);
    }
}
