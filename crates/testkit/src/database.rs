//! Private databases.

use std::hash::{BuildHasher, RandomState};
use std::path::{Path, PathBuf};
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
/// The database of that server whose copies tests get.
const TEMPLATE: &str = "tidegate_template";

/// A database for one test, deleted when dropped.
pub struct TestDatabase(Place);

enum Place {
    Sqlite(TempDir),
    Postgres(Own),
}

/// What a statement locks beside the application, until it is let go of.
pub struct Held(PgConnection);

impl Held {
    /// Runs another statement, as what the unit does next.
    ///
    /// # Panics
    /// When the database refuses it.
    pub async fn run(&mut self, statement: &str) {
        let statement = AssertSqlSafe(statement.to_owned());
        sqlx::raw_sql(statement).execute(&mut self.0).await.expect("the test's own SQL");
    }

    /// Lets go of it, and keeps what it changed.
    ///
    /// # Panics
    /// When the database is gone.
    pub async fn commit(mut self) {
        sqlx::raw_sql("commit").execute(&mut self.0).await.expect("the end of the test's own unit");
    }

    /// Lets go of it, and changes nothing.
    ///
    /// # Panics
    /// When the database is gone.
    pub async fn release(mut self) {
        sqlx::raw_sql("rollback").execute(&mut self.0).await.expect("the end of the test's own unit");
    }
}

/// A database of the test server.
struct Own {
    /// The server's first one, beside it.
    beside: String,
    name: String,
}

/// Runs a query past the store, on a connection of its own.
macro_rules! on_a_connection {
    ($database:expr, $query:expr, $method:ident) => {
        match &$database.0 {
            Place::Sqlite(_) => $query.$method(&mut $database.sqlite().await).await,
            Place::Postgres(own) => $query.$method(&mut connect(&own.url()).await).await,
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
        match engine {
            Engine::Sqlite => {
                let database = Self::empty(engine).await;
                std::fs::copy(template().await, database.sqlite_file()).expect("a copy of the template");
                database
            }
            Engine::Postgres => Self(Place::Postgres(Own::copy().await)),
        }
    }

    /// A database with nothing in it.
    ///
    /// # Panics
    /// As [`TestDatabase::create`].
    pub async fn empty(engine: Engine) -> Self {
        Self(match engine {
            Engine::Sqlite => Place::Sqlite(tempfile::tempdir().expect("a temporary directory")),
            Engine::Postgres => Place::Postgres(Own::empty(random_name()).await),
        })
    }

    async fn migrate(&self) {
        let store = self.open_with(|options| options.max_connections = 1).await;
        store.migrate().await.expect("migrating a fresh database");
        store.close().await;
    }

    /// Has PostgreSQL refuse to write, or no longer, as a server does that is no primary one; ends all connections to it.
    ///
    /// # Panics
    /// When it is another one.
    pub async fn only_reads(&self, does: bool) {
        self.only_reads_later(does).await;
        let Place::Postgres(Own { name, beside }) = &self.0 else { panic!("it is no PostgreSQL database") };
        let end = format!("select pg_terminate_backend(pid) from pg_stat_activity where datname = '{name}'");
        execute(&mut connect(beside).await, &end).await;
    }

    /// The same on the connections that are made from now on.
    ///
    /// # Panics
    /// When it is another one.
    pub async fn only_reads_later(&self, does: bool) {
        let Place::Postgres(Own { name, beside }) = &self.0 else { panic!("it is no PostgreSQL database") };
        let alter = if does {
            "set default_transaction_read_only = on"
        } else {
            "reset default_transaction_read_only"
        };
        execute(&mut connect(beside).await, &format!("alter database {name} {alter}")).await;
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
            Place::Postgres(own) => DatabaseUrl::Postgres(own.url()),
        }
    }

    /// Its address, to make a data source of it.
    ///
    /// # Panics
    /// When it is on SQLite.
    pub fn postgres_url(&self) -> String {
        match &self.0 {
            Place::Postgres(own) => own.url(),
            Place::Sqlite(_) => panic!("it is no PostgreSQL database"),
        }
    }

    /// Its file, to make a data source of it.
    ///
    /// # Panics
    /// When it is on PostgreSQL.
    pub fn sqlite_file(&self) -> PathBuf {
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
            Place::Postgres(own) => sqlx::raw_sql(statements)
                .execute(&mut connect(&own.url()).await)
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
        let Place::Postgres(own) = &self.0 else { return None };
        let mut connection = connect(&own.url()).await;
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

/// The SQLite database with the present schema whose copies tests get: beside the program of these tests, and of its age, which whoever comes
/// first makes.
async fn template() -> PathBuf {
    let program = std::env::current_exe().expect("the path of these tests");
    let template = program.with_extension("db");
    let changed = |path: &Path| std::fs::metadata(path).and_then(|found| found.modified());
    let is_newer = || Some(changed(&template).ok()? > changed(&program).ok()?);
    if is_newer() != Some(true) {
        let made = TestDatabase::empty(Engine::Sqlite).await;
        made.migrate().await;
        let beside = template.with_extension(random_name());
        std::fs::copy(made.sqlite_file(), &beside).expect("a template beside these tests");
        // Another one may have done it meanwhile, with the same.
        std::fs::rename(&beside, &template).expect("a template beside these tests");
    }
    template
}

impl Own {
    /// One with nothing in it.
    async fn empty(name: String) -> Self {
        let beside = server();
        execute(&mut connect(&beside).await, &format!("create database {name}")).await;
        Self { beside, name }
    }

    /// One with the present schema: a copy of the server's template, which whoever comes first makes. Migrating each would take longer than
    /// most tests do.
    async fn copy() -> Self {
        let (beside, name) = (server(), random_name());
        let mut admin = connect(&beside).await;
        if !is_made(&mut admin).await {
            execute(&mut admin, "select pg_advisory_lock(1)").await;
            if !is_made(&mut admin).await {
                // Of a process that was killed over it.
                execute(&mut admin, &format!("drop database if exists {TEMPLATE}")).await;
                let template = TestDatabase(Place::Postgres(Self::empty(TEMPLATE.to_owned()).await));
                template.migrate().await;
                execute(&mut admin, &format!("alter database {TEMPLATE} is_template true")).await;
                // It is there for as long as the server is.
                std::mem::forget(template);
            }
            execute(&mut admin, "select pg_advisory_unlock(1)").await;
        }
        execute(&mut admin, &format!("create database {name} template {TEMPLATE} strategy file_copy")).await;
        Self { beside, name }
    }

    /// Under an application name by which its connections differ from those of other tests.
    fn url(&self) -> String {
        let (address, _) = self.beside.rsplit_once('/').expect("an address that ends in the database's name");
        format!("{address}/{0}?application_name={0}", self.name)
    }

    async fn remove(beside: String, name: String) -> sqlx::Result<()> {
        let drop = AssertSqlSafe(format!("drop database if exists {name} with (force)"));
        sqlx::raw_sql(drop).execute(&mut PgConnection::connect(&beside).await?).await?;
        Ok(())
    }
}

/// Whether the template is complete.
async fn is_made(admin: &mut PgConnection) -> bool {
    sqlx::query_scalar("select exists (select from pg_database where datname = $1 and datistemplate)")
        .bind(TEMPLATE)
        .fetch_one(admin)
        .await
        .expect("the server's databases")
}

async fn execute(connection: &mut PgConnection, statement: &str) {
    let statement = AssertSqlSafe(statement.to_owned());
    sqlx::raw_sql(statement).execute(connection).await.expect("a database of the test's own");
}

impl Drop for Own {
    fn drop(&mut self) {
        let removal = Self::remove(self.beside.clone(), self.name.clone());
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
    async fn a_database_is_gone_with_its_test() {
        let database = TestDatabase::create(Engine::Postgres).await;
        let (Place::Postgres(own), witness) = (&database.0, TestDatabase::empty(Engine::Postgres).await)
        else {
            panic!("not PostgreSQL")
        };
        let count = format!("select count(*) from pg_database where datname = '{}'", own.name);
        assert_eq!(witness.sql_count(&count).await, 1);
        drop(database);
        assert_eq!(witness.sql_count(&count).await, 0);
    }
}
