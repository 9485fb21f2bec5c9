//! PostgreSQL: a pool, and notifications between nodes.

mod allowance;
mod announcer;
mod connections;
mod fitness;
mod opening;
mod owner;
mod sequences;
mod settings;

pub use allowance::ConnectionLimit;
pub(super) use allowance::{connection_limit, why_read_only};
pub(crate) use announcer::{Announced, Announcer};
pub(super) use connections::{Connections, Pooled, Transaction};
pub(super) use fitness::{why_hidden, why_misencoded, why_not_made};
pub(super) use owner::why_denied;
pub(super) use sequences::why_keys_are_taken;

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions};
use sqlx::{AssertSqlSafe, Connection, PgConnection, PgPool, Postgres};
use tokio::time::timeout;
use uuid::Uuid;

use super::migrate::{self, Migration, Spelling};
use super::{Change, ChangeListener, StoreOptions, Topic};
use crate::error::plain;
use crate::repeats::Repeats;
use crate::{Result, StoreError};

const SPELLING: Spelling = Spelling {
    number_key: "bigint generated always as identity primary key",
    uuid: "uuid",
    json: "jsonb",
    bytes: "bytea",
};

/// SQL for the notification channel of an installation. Channels are a database's; an installation may be one of several
/// schemas in it.
macro_rules! channel {
    () => {
        "'tidegate_' || quote_ident(current_schema())::regnamespace::oid"
    };
}

/// How long a request waits for a connection before it is answered 503.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);

/// What a node that begins to listen sends to all nodes, itself too, to test that it receives. To those of earlier versions, which
/// do not know it, anything may have changed.
const PROBE: &str = "!";

/// What to do where notifications do not arrive.
const LISTEN_PAST: &str = "set database_listen to an address past the pooler. Until then nodes hear of one another's changes \
     within 2 s";

/// One is the listener's, and one the announcer's.
pub(super) const BESIDE_UNITS: u32 = 2;
/// One unit of work may wait for another.
pub(super) const FEWEST_UNITS: u32 = 2;

/// How often the two connections are compared: other clients may take the one that was let go of.
const LOOKS: usize = 5;

/// How long a node waits to receive it.
const HEARD_WITHIN: Duration = Duration::from_secs(10);

/// How long a connection beside those of units rests before it is closed.
const IDLE_BESIDE: Duration = Duration::from_secs(10);

/// A connection unused for so long is asked whether it still lives before it is used.
const SUSPECT_AFTER: Duration = Duration::from_secs(1);

/// The connections of units of work, a pool for what an installation does once (migrations, copies, listening), and who tells other nodes of
/// changes.
pub(super) async fn open(url: &str, options: &StoreOptions) -> Result<(Connections, PgPool, Announcer)> {
    let connect = connect_options(url)?;
    opening::try_connect(&connect, options).await?;
    let pool =
        PgPoolOptions::new().max_connections(2).idle_timeout(IDLE_BESIDE).acquire_timeout(ACQUIRE_TIMEOUT);
    let units = usize::try_from(options.connections() - BESIDE_UNITS).unwrap_or(usize::MAX);
    let announcer = Announcer::new(connect.clone());
    Ok((Connections::new(connect.clone(), units), pool.connect_lazy_with(connect), announcer))
}

/// A pool that listens to other nodes, past a pooler, with one connection, and with two when it begins. It connects when it is first used.
pub(super) fn open_for_listening(url: &str) -> Result<PgPool> {
    let connect = connect_options(url)?;
    let pool =
        PgPoolOptions::new().max_connections(2).idle_timeout(IDLE_BESIDE).acquire_timeout(ACQUIRE_TIMEOUT);
    Ok(pool.connect_lazy_with(connect))
}

/// A connection of the pool. One that was not to be had in time is explained by the server: a pool says only that time ran out.
async fn acquire(pool: &PgPool) -> Result<PoolConnection<Postgres>> {
    match pool.acquire().await {
        Err(sqlx::Error::PoolTimedOut) => match opening::why_not(&pool.connect_options()).await {
            Some(refusal) => Err(refusal.into()),
            None => Err(sqlx::Error::PoolTimedOut.into()),
        },
        acquired => Ok(acquired?),
    }
}

fn connect_options(url: &str) -> Result<PgConnectOptions> {
    let connect = PgConnectOptions::from_str(url)
        .map_err(|error| StoreError::Address(format!("the PostgreSQL address is wrong: {}", plain(&error))))?
        // Poolers refuse start-up parameters they do not know. Numbers are sent in binary, which this one has no part in.
        .extra_float_digits(None);
    Ok(match connect.get_application_name() {
        None => connect.application_name("tidegate"),
        Some(_) => connect,
    })
}

/// Whether the server has ended the connection: by a shutdown, a restart, or an administrator.
fn is_closed(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) => true,
        sqlx::Error::Database(cause) => cause.code().is_some_and(|code| code.starts_with("57P")),
        _ => false,
    }
}

pub(super) async fn migrate(pool: &PgPool, migrations: &[Migration]) -> Result<usize> {
    let mut connection = acquire(pool).await?;
    let mut transaction = connection.begin().await?;
    // Nodes that start together migrate once: the second one waits, and finds nothing left to do. The lock goes
    // with the transaction, also when it fails. It is this schema's alone.
    sqlx::query(
        "select pg_advisory_xact_lock(hashtext('tidegate'), quote_ident(current_schema())::regnamespace::oid::int)",
    )
    .execute(&mut *transaction)
    .await?;
    lock_first(&mut transaction, migrations).await?;
    let applied = migrate::run(migrations, &SPELLING, &mut *transaction).await?;
    transaction.commit().await?;
    Ok(applied)
}

/// Locks the tables that the missing migrations name: all of these are one transaction, which would otherwise take them in the order of its
/// statements.
async fn lock_first(on: &mut PgConnection, migrations: &[Migration]) -> Result<()> {
    let applied = applied_on(on).await?;
    for table in migrate::locked_first(migrations, &applied) {
        let (exists,): (bool,) =
            sqlx::query_as("select to_regclass($1) is not null").bind(table).fetch_one(&mut *on).await?;
        if exists {
            // A name of our own.
            let lock = AssertSqlSafe(format!("lock table {table} in access exclusive mode"));
            sqlx::query(lock).execute(&mut *on).await?;
        }
    }
    Ok(())
}

pub(super) async fn applied_migrations(pool: &PgPool) -> Result<Vec<i64>> {
    let mut connection = acquire(pool).await?;
    match applied_on(&mut connection).await {
        Ok(applied) => Ok(applied),
        Err(error) => Err(owner::explained(&mut connection, error).await),
    }
}

async fn applied_on(on: &mut PgConnection) -> sqlx::Result<Vec<i64>> {
    let (exists,): (bool,) =
        sqlx::query_as("select to_regclass('_sqlx_migrations') is not null").fetch_one(&mut *on).await?;
    if !exists {
        return Ok(Vec::new());
    }
    let rows: Vec<(i64,)> =
        sqlx::query_as("select version from _sqlx_migrations order by version").fetch_all(&mut *on).await?;
    Ok(rows.into_iter().map(|(version,)| version).collect())
}

/// SQL that tells the other nodes what changed; none where nothing did.
fn announcement(changes: &[Change]) -> Option<String> {
    if changes.is_empty() {
        return None;
    }
    let payload = changes.iter().map(|change| encode(*change)).collect::<Vec<_>>().join(" ");
    // The protocol allows 8,000 bytes; a change of that many sessions is announced as "everything".
    let payload = if payload.len() < 7_500 { payload } else { encode(Change::Everything) };
    // Letters, digits, spaces and an asterisk: nothing of it needs to be quoted.
    Some(format!(concat!("select pg_notify(", channel!(), ", '{}')"), payload))
}

/// Hears what other nodes announce, for as long as the pool is open.
pub(super) async fn follow(pool: PgPool, listening: PgPool, listener: Arc<dyn ChangeListener>) {
    let failures = Repeats::default();
    while !pool.is_closed() {
        // One that ended without an error was a connection that worked.
        match follow_once(&pool, &listening, listener.as_ref()).await {
            Ok(()) => {
                failures.succeeded();
            }
            Err(_) if pool.is_closed() => return,
            Err(error) => {
                if let Some(times) = failures.failed() {
                    let error = why_lost(&listening, &error).await;
                    tracing::warn!(error, times, "lost the notifications of other nodes; trying again");
                }
            }
        }
        listener.changed(Change::Everything);
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}

/// Why the other nodes are not heard. A pool says only that time ran out: so the server is asked once more.
async fn why_lost(listening: &PgPool, error: &sqlx::Error) -> String {
    let connect = listening.connect_options();
    let why = match error {
        sqlx::Error::PoolTimedOut => opening::why_not(&connect).await.map(|refusal| refusal.what),
        sqlx::Error::Io(_) => Some(opening::said(&connect, error)),
        _ => None,
    };
    why.unwrap_or_else(|| plain(error))
}

async fn follow_once(
    pool: &PgPool,
    listening: &PgPool,
    listener: &dyn ChangeListener,
) -> Result<(), sqlx::Error> {
    let channel: String = sqlx::query_scalar(concat!("select ", channel!())).fetch_one(pool).await?;
    if timeout(HEARD_WITHIN, is_shared(listening)).await.unwrap_or(Err(sqlx::Error::PoolTimedOut))? {
        listener.changed(Change::Everything);
        return keep_silent(listening).await;
    }
    let mut notifications = PgListener::connect_with(listening).await?;
    notifications.listen(&channel).await?;
    listener.changed(Change::Everything);
    sqlx::query(concat!("select pg_notify(", channel!(), ", $1)")).bind(PROBE).execute(pool).await?;
    let mut heard = false;
    loop {
        let received = if heard {
            notifications.try_recv().await?
        } else {
            heard = true;
            match timeout(HEARD_WITHIN, notifications.try_recv()).await {
                Ok(received) => received?,
                Err(_elapsed) => {
                    tracing::warn!(
                        "PostgreSQL does not deliver the notifications of other nodes: {LISTEN_PAST}"
                    );
                    continue;
                }
            }
        };
        let Some(notification) = received else { return Ok(()) };
        let words = notification.payload().split(' ').filter(|word| *word != PROBE);
        words.for_each(|word| listener.changed(decode(word)));
    }
}

/// Whether a pooler gives the connections behind ours to other clients between transactions. To listen on one would be of no
/// use to us and break others: whoever is given it next is sent notifications it has not asked for. Two connections of the pool are
/// compared, so that no more are opened than it may have.
async fn is_shared(pool: &PgPool) -> sqlx::Result<bool> {
    let mut one = pool.acquire().await?;
    let mut other = pool.acquire().await?;
    let mut is_shared = false;
    for _ in 0..LOOKS {
        let before = backend(&mut one).await?;
        let mut transaction = other.begin().await?;
        let meanwhile = backend(&mut transaction).await?;
        is_shared |= before == meanwhile;
        // Only then: with a single connection behind the pooler, each would wait for the other.
        if !is_shared {
            is_shared |= before != backend(&mut one).await?;
        }
        transaction.rollback().await?;
    }
    Ok(is_shared)
}

/// The server's process behind a connection.
async fn backend(connection: &mut PgConnection) -> sqlx::Result<i32> {
    sqlx::query_scalar("select pg_backend_pid()").fetch_one(connection).await
}

/// Does without the notifications of other nodes for as long as the pool is open.
async fn keep_silent(pool: &PgPool) -> sqlx::Result<()> {
    tracing::warn!("a pooler in transaction mode delivers no notifications of other nodes: {LISTEN_PAST}");
    pool.close_event().await;
    Ok(())
}

fn encode(change: Change) -> String {
    match change {
        Change::Row(Topic(topic), id) => format!("{topic}{}", id.simple()),
        Change::Topic(Topic(topic)) => topic.to_string(),
        Change::Everything => "*".to_owned(),
    }
}

/// A word that makes no sense makes this node forget everything: safe, only slower. So does a topic that its listener
/// does not know.
fn decode(word: &str) -> Change {
    let mut letters = word.chars();
    let (topic, id) = match letters.next() {
        Some(topic) if topic.is_ascii_lowercase() => (Topic(topic), letters.as_str()),
        _ => return Change::Everything,
    };
    match Uuid::try_parse(id) {
        Ok(id) => Change::Row(topic, id),
        Err(_) if id.is_empty() => Change::Topic(topic),
        Err(_) => Change::Everything,
    }
}

pub(super) async fn schema(pool: &PgPool) -> Result<Vec<String>> {
    let mut connection = acquire(pool).await?;
    let columns: Vec<(String, String, String, bool)> = sqlx::query_as(
        "select table_name::text, column_name::text, data_type::text, is_nullable = 'NO'
         from information_schema.columns
         where table_schema = current_schema() and table_name not like '\\_sqlx%'",
    )
    .fetch_all(&mut *connection)
    .await?;
    let indexes: Vec<(String, bool, String)> = sqlx::query_as(
        "select t.relname::text, i.indisunique, string_agg(a.attname::text, ',' order by k.place)
         from pg_index i
         join pg_class t on t.oid = i.indrelid
         join pg_namespace n on n.oid = t.relnamespace
         join unnest(i.indkey::int[]) with ordinality as k (attribute, place) on true
         join pg_attribute a on a.attrelid = t.oid and a.attnum = k.attribute
         where n.nspname = current_schema() and t.relname not like '\\_sqlx%'
         group by t.relname, i.indexrelid, i.indisunique",
    )
    .fetch_all(&mut *connection)
    .await?;
    let mut lines: Vec<String> = columns
        .iter()
        .map(|(table, column, kind, required)| {
            let kind = match kind.as_str() {
                "uuid" | "bytea" => "blob",
                "jsonb" => "text",
                other => other,
            };
            format!("{table}.{column} {kind}{}", if *required { " not null" } else { "" })
        })
        .chain(indexes.iter().map(|(table, unique, columns)| {
            format!("{table} {} ({columns})", if *unique { "unique" } else { "index" })
        }))
        .collect();
    lines.sort();
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn announcements_are_read_back_and_senseless_ones_forget_everything() {
        for change in [
            Change::Row(Topic('s'), Uuid::from_u128(7)),
            Change::Row(Topic('a'), Uuid::from_u128(8)),
            Change::Topic(Topic('o')),
            Change::Everything,
        ] {
            assert_eq!(decode(&encode(change)), change);
        }
        for word in ["", "X", "snonsense", "o1", "\u{e9}"] {
            assert_eq!(decode(word), Change::Everything);
        }
    }
}
