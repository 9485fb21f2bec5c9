//! Databases with many accounts in them.
//!
//! Loaded with SQL of our own instead of a million sign-ups. What it writes is what sign-ups and sign-ins leave behind:
//! every account with its organization, workspace, roles, membership, address, password, a session with a refresh token,
//! and a line of the audit log.

use std::path::Path;
use std::time::{Duration, Instant};

use futures_util::future::try_join_all;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{AssertSqlSafe, Connection, PgConnection, SqliteConnection};

use crate::clients::Random;
use crate::server::Setup;
use crate::{Result, progress};

/// Accounts written at a time.
const BATCH: u64 = 100_000;

/// Makes a database on the server at `server` and answers its address.
pub(crate) fn create_postgres(server: &str, name: &str) -> Result<String> {
    let (place, _) = server.rsplit_once('/').ok_or("the PostgreSQL address names no database")?;
    block_on(async {
        let mut admin = PgConnection::connect(server).await?;
        sqlx::raw_sql(AssertSqlSafe(format!("create database {name}"))).execute(&mut admin).await?;
        Ok(format!("{place}/{name}"))
    })
}

/// Makes the database of `setup` with `accounts` accounts in it, all with the password whose stored form is `hash`.
pub(crate) fn seed(setup: &Setup, accounts: u64, hash: &str) -> Result<()> {
    setup.migrate()?;
    block_on(async {
        match &setup.postgres {
            Some(url) => {
                let mut on = PgConnection::connect(url).await?;
                for statement in statements(&POSTGRES, accounts, hash) {
                    sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut on).await?;
                }
                sqlx::raw_sql("vacuum analyze").execute(&mut on).await?;
            }
            None => {
                let options = SqliteConnectOptions::new()
                    .filename(setup.file())
                    .journal_mode(SqliteJournalMode::Wal)
                    // These data are not needed after a crash.
                    .synchronous(SqliteSynchronous::Off)
                    .pragma("cache_size", "-1000000");
                let mut on = SqliteConnection::connect_with(&options).await?;
                for statement in statements(&SQLITE, accounts, hash) {
                    sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut on).await?;
                }
                sqlx::raw_sql("pragma wal_checkpoint(truncate)").execute(&mut on).await?;
                on.close().await?;
            }
        }
        Ok(())
    })
}

/// Adds `count` people to the SQLite database of `setup`, numbered from `from`, who belong to its first organization.
pub(crate) fn seed_members(setup: &Setup, from: u64, count: u64) -> Result<()> {
    let [account, identifier, membership] = ["003", "004", "005"].map(SQLITE.key);
    let inserts = [
        format!(
            "insert into accounts (id, kind, display_name, first_name, last_name, profile, user_metadata,
                is_system_admin, agreed_to_terms, created_at, updated_at)
             select {account}, 'individual', 'Person ' || i, 'Person', '' || i, '{{}}', '{{\"team\":\"night\"}}',
                false, false, {THEN}, {THEN}"
        ),
        format!(
            "insert into identifiers (id, account_id, kind, value, verified_at, is_primary, created_at)
             select {identifier}, {account}, 'email', 'person' || i || '@example.com', {THEN}, true, {THEN}"
        ),
        format!(
            "insert into memberships (id, account_id, organization_id, role, source, is_home, joined_at)
             select {membership}, {account}, (select id from organizations order by number limit 1), 'developer',
                'managed', true, {THEN}"
        ),
    ];
    block_on(async {
        let mut on =
            SqliteConnection::connect_with(&SqliteConnectOptions::new().filename(setup.file())).await?;
        for insert in inserts {
            let last = from + count - 1;
            let numbered = format!(
                "with recursive n(i) as (select {from} union all select i + 1 from n where i < {last}) {insert} from n"
            );
            sqlx::raw_sql(AssertSqlSafe(numbered)).execute(&mut on).await?;
        }
        on.close().await?;
        Ok(())
    })
}

/// What each of many tables has.
const COLUMNS: &str = "name text not null, amount numeric(10, 2), made_at timestamp, note text";

/// Makes `count` tables in a PostgreSQL database.
pub(crate) fn make_tables_in_postgres(address: &str, count: u64) -> Result<()> {
    /// Each table is a lock until its transaction ends.
    const AT_ONCE: u64 = 500;
    block_on(async {
        let mut on = PgConnection::connect(address).await?;
        for first in (1..=count).step_by(AT_ONCE as usize) {
            let last = count.min(first + AT_ONCE - 1);
            let statement = format!(
                "do $$ begin for i in {first}..{last} loop
                    execute format('create table table_%s (id bigint primary key, {COLUMNS})', i);
                 end loop; end $$"
            );
            sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut on).await?;
        }
        sqlx::raw_sql("vacuum analyze").execute(&mut on).await?;
        Ok(())
    })
}

/// Makes a SQLite database with `count` tables.
pub(crate) fn make_tables_in_sqlite(file: &Path, count: u64) -> Result<()> {
    block_on(async {
        let options = SqliteConnectOptions::new().filename(file).create_if_missing(true);
        let mut on = SqliteConnection::connect_with(&options).await?;
        let tables: String = (1..=count)
            .map(|table| format!("create table table_{table} (id integer primary key, {COLUMNS});"))
            .collect();
        let statement = format!("begin; {tables} commit");
        sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut on).await?;
        on.close().await?;
        Ok(())
    })
}

/// Makes the table `orders` of `count` rows in a PostgreSQL database.
pub(crate) fn make_rows_in_postgres(address: &str, count: u64) -> Result<()> {
    block_on(async {
        let mut on = PgConnection::connect(address).await?;
        let statement = format!(
            "create table orders as select i::bigint as id, 'order number ' || i as name, i * 0.25::float8 as amount,
                timestamp '2024-01-01' + i * interval '1 second' as made_at, i % 3 = 0 as paid
             from generate_series(1, {count}) as i"
        );
        sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut on).await?;
        sqlx::raw_sql("vacuum analyze orders").execute(&mut on).await?;
        Ok(())
    })
}

/// Runs statements on a PostgreSQL database.
pub(crate) fn execute(address: &str, statements: &str) -> Result<()> {
    block_on(async {
        let mut on = PgConnection::connect(address).await?;
        sqlx::raw_sql(AssertSqlSafe(statements.to_owned())).execute(&mut on).await?;
        Ok(())
    })
}

/// How many rows a second PostgreSQL gives that are asked for one by one, each by its key, through so many connections; prepared.
pub(crate) fn points_per_second(
    address: &str,
    statement: &'static str,
    connections: u64,
    rows: u64,
    counted: Duration,
) -> Result<f64> {
    block_on(async {
        let mut open = Vec::new();
        for seed in 0..connections {
            open.push((PgConnection::connect(address).await?, Random(seed)));
        }
        let end = Instant::now() + counted;
        let asking = open.into_iter().map(|(mut on, mut random)| async move {
            let mut answers = 0_u64;
            while Instant::now() < end {
                let key = i64::try_from(1 + random.below(rows))?;
                sqlx::query(statement).bind(key).fetch_one(&mut on).await?;
                answers += 1;
            }
            Ok::<_, Box<dyn std::error::Error + Send + Sync>>(answers)
        });
        let answers = try_join_all(asking).await?;
        Ok(answers.into_iter().sum::<u64>() as f64 / counted.as_secs_f64())
    })
}

/// How large the database of `setup` is.
pub(crate) fn bytes(setup: &Setup) -> Result<u64> {
    let Some(url) = &setup.postgres else { return Ok(std::fs::metadata(setup.file())?.len()) };
    let size = "select pg_database_size(current_database())";
    block_on(async {
        let bytes: i64 = sqlx::query_scalar(size).fetch_one(&mut PgConnection::connect(url).await?).await?;
        Ok(u64::try_from(bytes)?)
    })
}

/// How many messages wait to be sent.
pub(crate) fn pending_messages(setup: &Setup) -> Result<i64> {
    let pending = "select count(*) from outbox_messages where state = 'pending'";
    block_on(async {
        Ok(match &setup.postgres {
            Some(url) => {
                sqlx::query_scalar(pending).fetch_one(&mut PgConnection::connect(url).await?).await?
            }
            None => sqlx::query_scalar(pending).fetch_one(&mut beside(setup).await?).await?,
        })
    })
}

/// Number, phone and sealed values of the text messages after that with the number `after`.
pub(crate) fn texts(setup: &Setup, after: i64) -> Result<Vec<(i64, String, Vec<u8>)>> {
    let texts = "select number, recipient, payload from outbox_messages
                 where channel = 'sms' and payload is not null and number > $1 order by number";
    block_on(async {
        Ok(match &setup.postgres {
            Some(url) => {
                let query = sqlx::query_as(texts).bind(after);
                query.fetch_all(&mut PgConnection::connect(url).await?).await?
            }
            None => sqlx::query_as(texts).bind(after).fetch_all(&mut beside(setup).await?).await?,
        })
    })
}

/// A connection to the SQLite database of a server that runs.
async fn beside(setup: &Setup) -> Result<SqliteConnection> {
    let options = SqliteConnectOptions::new().filename(setup.file()).read_only(true);
    Ok(SqliteConnection::connect_with(&options).await?)
}

/// How an engine writes what standard SQL has no word for.
struct Spelling {
    /// A UUIDv7 as ours, of a kind of row (three hexadecimal digits) and the number `i`.
    key: fn(kind: &str) -> String,
    /// 32 bytes without a pattern, as hashes are.
    hash: &'static str,
}

const SQLITE: Spelling = Spelling {
    key: |kind| format!("unhex(printf('%012x7{kind}8%015x', 1700000000000 + i, i))"),
    hash: "randomblob(32)",
};

const POSTGRES: Spelling = Spelling {
    key: |kind| {
        format!("(lpad(to_hex(1700000000000 + i), 12, '0') || '7{kind}8' || lpad(to_hex(i), 15, '0'))::uuid")
    },
    hash: "sha256(int8send(i))",
};

/// When all of it happened, and when the sessions end (in the year 2100), in microseconds.
const THEN: &str = "1700000000000000 + i * 1000";
const FAR: &str = "4102444800000000";

fn statements<'s>(
    spelling: &'s Spelling,
    accounts: u64,
    hash: &'s str,
) -> impl Iterator<Item = String> + use<'s> {
    (0..accounts).step_by(usize::try_from(BATCH).unwrap_or(usize::MAX)).flat_map(move |from| {
        if from > 0 {
            progress(&format!("{from} of {accounts} accounts written"));
        }
        let last = (from + BATCH).min(accounts) - 1;
        inserts(spelling, hash).into_iter().map(move |insert| {
            format!(
                "with recursive n(i) as (select cast({from} as bigint) union all select i + 1 from n where i < {last}) \
                 {insert} from n"
            )
        })
    })
}

/// One statement a table, each without its `from`.
fn inserts(spelling: &Spelling, hash: &str) -> Vec<String> {
    let [organization, workspace, account, identifier, membership, session, token, event] =
        ["001", "002", "003", "004", "005", "006", "007", "008"].map(spelling.key);
    let random = spelling.hash;
    let mut inserts = vec![format!(
        "insert into organizations (id, name, domain, plan, settings, created_at, updated_at)
         select {organization}, 'Person ' || i, 'example.com', 'free', '{{}}', {THEN}, {THEN}"
    )];
    for (kind, role) in [("011", "Admin"), ("012", "Developer"), ("013", "Viewer")] {
        let key = (spelling.key)(kind);
        inserts.push(format!(
            "insert into roles (id, organization_id, name) select {key}, {organization}, '{role}'"
        ));
    }
    inserts.extend([
        format!(
            "insert into workspaces (id, organization_id, name, slug, is_default, created_at)
             select {workspace}, {organization}, 'Default Workspace', 'default-workspace', true, {THEN}"
        ),
        format!(
            "insert into accounts (id, kind, display_name, profile, user_metadata, is_system_admin, agreed_to_terms,
                terms_version, created_at, updated_at)
             select {account}, 'individual', 'Person ' || i, '{{}}', '{{}}', false, true, '1.0', {THEN}, {THEN}"
        ),
        format!("insert into passwords (account_id, hash, changed_at) select {account}, '{hash}', {THEN}"),
        format!(
            "insert into identifiers (id, account_id, kind, value, verified_at, is_primary, created_at)
             select {identifier}, {account}, 'email', 'person' || i || '@example.com', {THEN}, true, {THEN}"
        ),
        format!(
            "insert into memberships (id, account_id, organization_id, role, source, is_home, joined_at)
             select {membership}, {account}, {organization}, 'owner', 'signup', true, {THEN}"
        ),
        format!(
            "insert into membership_workspaces (membership_id, workspace_id) select {membership}, {workspace}"
        ),
        format!(
            "insert into sessions (id, account_id, organization_id, workspace_id, dialect, amr, remember_me, ip,
                user_agent, created_at, last_activity_at, expires_at, ends_at)
             select {session}, {account}, {organization}, {workspace}, 'rivergen', 'pwd', false, '192.0.2.1',
                'tidegate-bench', {THEN}, {THEN}, {FAR}, {FAR}"
        ),
        format!(
            "insert into refresh_tokens (id, session_id, token_hash, issued_at, expires_at)
             select {token}, {session}, {random}, {THEN}, {FAR}"
        ),
        format!(
            "insert into audit_events (id, at, action, account_id, organization_id, session_id, dialect, ip,
                user_agent, metadata)
             select {event}, {THEN}, 'auth.login.success', {account}, {organization}, {session}, 'rivergen',
                '192.0.2.1', 'tidegate-bench', '{{\"method\":\"password\",\"remember_me\":false}}'"
        ),
    ]);
    inserts
}

/// Waits for work, outside of any measurement.
pub(crate) fn block_on<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work)
}
