//! Migrations: each exists once, with the few types that differ between the engines in braces.

use std::sync::Arc;

use sqlx::migrate::{Migrate, MigrationType, Migrator};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, Connection as _, SqlSafeStr, SqliteConnection};

use super::fitness::COLUMNS_ON_SQLITE;
use crate::{Result, StoreError};

/// One step of the schema. Once released, it never changes.
#[derive(Clone, Copy, Debug)]
pub struct Migration {
    /// Its place among all migrations of all crates.
    pub version: i64,
    /// What it is called in the database.
    pub name: &'static str,
    /// SQL, with the types that differ between the engines in braces: `{number_key}`, `{uuid}`, `{json}`, `{bytes}`.
    ///
    /// Before it may stand a line `-- first: a, b`: tables that PostgreSQL locks before it applies anything, in this order. Nodes of the
    /// version before write meanwhile; who has one table and waits for another must not have what these wait for. The line is no part of
    /// the migration: it can be written before one that was applied.
    pub text: &'static str,
}

/// What migrations make of an empty SQLite database together.
#[derive(Clone, Copy, Debug)]
pub struct WholeSchema {
    /// The version of the last of them.
    pub last: i64,
    /// SQL, which makes in one go what they make one by one.
    pub text: &'static str,
}

impl WholeSchema {
    /// Its columns, as `table.column`: SQLite makes them in memory, and says what they are.
    ///
    /// # Errors
    /// Those of SQLite.
    pub async fn columns(&self) -> Result<Vec<String>> {
        let mut on = SqliteConnection::connect_with(&SqliteConnectOptions::new().in_memory(true)).await?;
        sqlx::query(self.text).persistent(false).execute(&mut on).await?;
        let columns: Vec<String> = sqlx::query_scalar(COLUMNS_ON_SQLITE).fetch_all(&mut on).await?;
        on.close().await?;
        Ok(columns)
    }
}

/// How the line begins.
const FIRST: &str = "-- first: ";

impl Migration {
    /// The tables that are locked first, and the SQL.
    fn parts(&self) -> (&'static str, &'static str) {
        let parts = self.text.strip_prefix(FIRST).and_then(|text| text.split_once('\n'));
        parts.unwrap_or(("", self.text))
    }
}

/// The tables that are locked before any of the `migrations` is applied that are not `applied`.
pub(super) fn locked_first(migrations: &[Migration], applied: &[i64]) -> Vec<&'static str> {
    let mut tables = Vec::new();
    for migration in migrations.iter().filter(|migration| !applied.contains(&migration.version)) {
        let (first, _) = migration.parts();
        for table in first.split(", ").filter(|table| !table.is_empty()) {
            if !tables.contains(&table) {
                tables.push(table);
            }
        }
    }
    tables
}

/// All `migrations` in the order of their versions.
///
/// # Errors
/// [`StoreError::Migration`] when two have one version.
pub(super) fn in_order(migrations: &[&'static [Migration]]) -> Result<Arc<[Migration]>> {
    let mut all: Vec<Migration> = migrations.iter().copied().flatten().copied().collect();
    all.sort_by_key(|migration| migration.version);
    for (one, next) in all.iter().zip(all.iter().skip(1)) {
        if one.version == next.version {
            let (version, one, next) = (one.version, one.name, next.name);
            return Err(StoreError::Migration(format!("'{one}' and '{next}' are both migration {version}")));
        }
    }
    Ok(all.into())
}

/// Where sqlx notes what was applied.
const APPLIED: &str = "_sqlx_migrations";

/// How an engine spells the types in braces.
pub(super) struct Spelling {
    pub(super) number_key: &'static str,
    pub(super) uuid: &'static str,
    pub(super) json: &'static str,
    pub(super) bytes: &'static str,
}

/// Applies the migrations that are missing; answers how many. The caller holds a lock that keeps every other process
/// out, and a transaction: what is applied is counted, and a refusal leaves nothing behind.
pub(super) async fn run<C: Migrate>(
    migrations: &[Migration],
    spelling: &Spelling,
    on: &mut C,
) -> Result<usize> {
    on.ensure_migrations_table(APPLIED).await?;
    let before = on.list_applied_migrations(APPLIED).await?.len();
    migrator(migrations, spelling).run_direct(None, on, false).await?;
    Ok(on.list_applied_migrations(APPLIED).await?.len() - before)
}

/// Makes what `whole` is in an empty SQLite database, where these are its migrations; answers how many they are. The caller holds the
/// same as above.
pub(super) async fn make(
    migrations: &[Migration],
    whole: &WholeSchema,
    spelling: &Spelling,
    on: &mut SqliteConnection,
) -> Result<usize> {
    on.ensure_migrations_table(APPLIED).await?;
    let is_of_these = migrations.last().is_some_and(|last| last.version == whole.last);
    if !is_of_these || !on.list_applied_migrations(APPLIED).await?.is_empty() {
        return Ok(0);
    }
    sqlx::query(whole.text).persistent(false).execute(&mut *on).await?;
    // Notes each of them and runs none.
    migrator(migrations, spelling).run_direct(None, on, true).await?;
    Ok(migrations.len())
}

/// The migrations as `spelling` writes them.
fn migrator(migrations: &[Migration], spelling: &Spelling) -> Migrator {
    let migrations = migrations
        .iter()
        .map(|migration| {
            let (_, sql) = migration.parts();
            let text = sql
                .replace("{number_key}", spelling.number_key)
                .replace("{uuid}", spelling.uuid)
                .replace("{json}", spelling.json)
                .replace("{bytes}", spelling.bytes);
            // Our own text, with four words replaced by constants.
            let sql = AssertSqlSafe(text).into_sql_str();
            sqlx::migrate::Migration::new(
                migration.version,
                migration.name.into(),
                MigrationType::Simple,
                sql,
                false,
            )
        })
        .collect();
    let mut migrator = Migrator::with_migrations(migrations);
    migrator.set_locking(false);
    migrator
}

#[cfg(test)]
mod tests {
    use super::*;

    const LATE: &[Migration] = &[Migration { version: 3, name: "late", text: "" }];
    const EARLY: &[Migration] = &[
        Migration { version: 2, name: "second", text: "" },
        Migration { version: 1, name: "first", text: "" },
    ];

    #[test]
    fn migrations_of_all_crates_are_in_one_order() {
        let all = in_order(&[LATE, EARLY]).unwrap();
        assert_eq!(
            all.iter().map(|migration| migration.name).collect::<Vec<_>>(),
            ["first", "second", "late"]
        );
    }

    #[test]
    fn what_is_locked_first_is_no_part_of_a_migration() {
        let spelling = Spelling { number_key: "n", uuid: "u", json: "j", bytes: "b" };
        let checksum = |text| {
            let migration = Migration { version: 1, name: "first", text };
            let migrator = migrator(&[migration], &spelling);
            migrator.iter().map(|migration| migration.checksum.to_vec()).collect::<Vec<_>>()
        };
        assert_eq!(checksum("-- first: a, b\n-- Why.\nselect 1"), checksum("-- Why.\nselect 1"));
        assert_ne!(checksum("-- Why.\nselect 1"), checksum("select 1"));
    }

    #[test]
    fn tables_are_locked_once_for_all_migrations_that_are_missing() {
        let all = [
            Migration { version: 1, name: "one", text: "-- first: a, b\nselect 1" },
            Migration { version: 2, name: "two", text: "-- second: c\nselect 1" },
            Migration { version: 3, name: "three", text: "-- first: b, c\nselect 1" },
        ];
        assert_eq!(locked_first(&all, &[]), ["a", "b", "c"]);
        assert_eq!(locked_first(&all, &[1, 2]), ["b", "c"]);
        assert_eq!(locked_first(&all, &[1, 2, 3]), [""; 0]);
    }

    #[test]
    fn two_migrations_of_one_version_are_refused() {
        let error = in_order(&[LATE, EARLY, LATE]).unwrap_err().to_string();
        assert!(error.contains("'late' and 'late' are both migration 3"), "{error}");
    }
}
