//! Migrations: each exists once, with the few types that differ between the engines in braces.

use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::{AssertSqlSafe, SqlSafeStr};

/// Every migration there is: version, name, text. Only ever appended to.
const MIGRATIONS: &[(i64, &str, &str)] =
    &[(1, "first light", include_str!("../../migrations/0001_first_light.sql"))];

/// How an engine spells the types in braces.
pub(super) struct Spelling {
    pub(super) number_key: &'static str,
    pub(super) uuid: &'static str,
    pub(super) json: &'static str,
    pub(super) bytes: &'static str,
}

/// The migrations as `spelling` writes them.
pub(super) fn migrator(spelling: &Spelling) -> Migrator {
    let migrations = MIGRATIONS
        .iter()
        .map(|(version, name, text)| {
            let text = text
                .replace("{number_key}", spelling.number_key)
                .replace("{uuid}", spelling.uuid)
                .replace("{json}", spelling.json)
                .replace("{bytes}", spelling.bytes);
            // Our own text, with four words replaced by constants.
            let sql = AssertSqlSafe(text).into_sql_str();
            Migration::new(*version, (*name).into(), MigrationType::Simple, sql, false)
        })
        .collect();
    Migrator::with_migrations(migrations)
}

/// The versions this program knows.
pub(super) fn versions() -> Vec<i64> {
    MIGRATIONS.iter().map(|(version, _, _)| *version).collect()
}
