//! Migrations: each exists once, with the few types that differ between the engines in braces.

use sqlx::migrate::{Migrate, Migration, MigrationType, Migrator};
use sqlx::{AssertSqlSafe, SqlSafeStr};

use crate::Result;

/// Every migration there is: version, name, text. Only ever appended to.
const MIGRATIONS: &[(i64, &str, &str)] = &[
    (1, "first light", include_str!("../../migrations/0001_first_light.sql")),
    (2, "crossing minds", include_str!("../../migrations/0002_crossing_minds.sql")),
    (3, "riven", include_str!("../../migrations/0003_riven.sql")),
    (5, "quotas", include_str!("../../migrations/0005_quotas.sql")),
];

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
pub(super) async fn run<C: Migrate>(spelling: &Spelling, on: &mut C) -> Result<usize> {
    on.ensure_migrations_table(APPLIED).await?;
    let before = on.list_applied_migrations(APPLIED).await?.len();
    migrator(spelling).run_direct(None, on, false).await?;
    Ok(on.list_applied_migrations(APPLIED).await?.len() - before)
}

/// The migrations as `spelling` writes them.
fn migrator(spelling: &Spelling) -> Migrator {
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
    let mut migrator = Migrator::with_migrations(migrations);
    migrator.set_locking(false);
    migrator
}

/// The versions this program knows.
pub(super) fn versions() -> Vec<i64> {
    MIGRATIONS.iter().map(|(version, _, _)| *version).collect()
}
