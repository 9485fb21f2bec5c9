//! The schema of a new SQLite database, which is made at once. `TIDEGATE_TEST_WRITE=1 scripts/test the_schema_is_what_all_migrations_make`
//! writes its text anew.

use std::collections::HashSet;

use tidegate_database::{Result, Store, WholeSchema};

use crate::failure::{Failure, refuse};

/// What all migrations make of an empty database.
pub(crate) static WHOLE_SCHEMA: WholeSchema = WholeSchema { last: 30, text: include_str!("schema.sql") };

/// Where what was applied to a database is noted.
pub(crate) const APPLIED: &str = "_sqlx_migrations";

/// The table by which an installation of any version is known: every one has it.
pub(crate) const KNOWN_BY: &str = "signing_keys";

/// Its tables: both engines have the same.
pub(crate) fn tables() -> impl Iterator<Item = &'static str> {
    let begins = WHOLE_SCHEMA.text.lines().filter_map(|line| line.strip_prefix("CREATE TABLE "));
    begins.filter_map(|rest| rest.strip_suffix(" ("))
}

/// The tables of the present schema that a database does not have: somebody dropped them.
///
/// # Errors
/// Those of the database.
async fn missing_tables(store: &Store) -> Result<Vec<&'static str>> {
    let there = store.tables().await?;
    Ok(tables().filter(|name| there.iter().all(|table| table != name)).collect())
}

/// Refuses a database of the present schema that has not all of its tables: what needs them would fail, request by request.
///
/// # Errors
/// Names the missing ones; or those of the database.
pub(crate) async fn refuse_lost_tables(store: &Store) -> Result<(), Failure> {
    let missing = missing_tables(store).await?;
    if missing.is_empty() { Ok(()) } else { Err(lost("tables", &missing)) }
}

/// Refuses a database that would give new rows the keys of others: every sign-up and sign-in would fail, until the sequences have caught up.
///
/// # Errors
/// Names the table; or those of the database.
pub(crate) async fn refuse_taken_keys(store: &Store) -> Result<(), Failure> {
    let ours: Vec<&str> = tables().collect();
    refuse(store.why_keys_are_taken(&ours).await?)
}

/// The same of columns, which takes longer: all of them are made in memory to be compared with.
///
/// # Errors
/// Names the missing ones; or those of the database.
pub(crate) async fn refuse_lost_columns(store: &Store) -> Result<(), Failure> {
    let (there, all) = (store.columns().await?, WHOLE_SCHEMA.columns().await?);
    let there: HashSet<&str> = there.iter().map(String::as_str).collect();
    let missing: Vec<&str> =
        all.iter().map(String::as_str).filter(|column| !there.contains(column)).collect();
    if missing.is_empty() { Ok(()) } else { Err(lost("columns", &missing)) }
}

/// What to say of them.
fn lost(parts: &str, missing: &[&str]) -> Failure {
    Failure::advised(
        "database_lost",
        format!("the schema is up to date, but {parts} of it are missing: {}", missing.join(", ")),
        "stop the server and restore your backup, the whole of it: pg_restore and psql end with errors where a part is left out. What was in \
         them is lost here, and empty ones in their place would hide that",
    )
}

/// The tables of a database that are not Tidegate's, sorted. None is named of an installation of an earlier version: which tables that one had
/// is not known here.
///
/// # Errors
/// Those of the database.
pub(crate) async fn other_tables(store: &Store) -> Result<Vec<String>> {
    if store.is_begun().await? && store.pending_migrations().await? > 0 {
        return Ok(Vec::new());
    }
    let is_ours = |name: &str| {
        name.starts_with('_') || name.starts_with("sqlite_") || tables().any(|table| table == name)
    };
    let mut others = store.tables().await?;
    others.retain(|name| !is_ours(name));
    others.sort_unstable();
    Ok(others)
}

/// What tables of a database that notes no migration say of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Unnoted {
    /// None has a name of ours, or there is the list of migrations.
    Nothing,
    /// Another program has tables of these names.
    Taken(Vec<&'static str>),
    /// All of ours are there, so that only the list is missing.
    ListMissing,
}

/// Looks for tables of our names where nothing says that they are ours.
///
/// # Errors
/// Those of the database.
pub(crate) async fn unnoted_tables(store: &Store) -> Result<Unnoted> {
    let there = store.tables().await?;
    let is_there = |name: &str| there.iter().any(|table| table == name);
    if is_there(APPLIED) {
        return Ok(Unnoted::Nothing);
    }
    let taken: Vec<&'static str> = tables().filter(|name| is_there(name)).collect();
    Ok(match taken.len() {
        0 => Unnoted::Nothing,
        all if all == tables().count() => Unnoted::ListMissing,
        _ => Unnoted::Taken(taken),
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use tidegate_database::sqlx::{self, Connection as _, SqliteConnection};
    use tidegate_database::{DatabaseUrl, Store, StoreOptions};

    use super::*;
    use crate::opening::MIGRATIONS;

    /// A database in `file`, migrated with `whole` or one by one.
    async fn database(file: &Path, whole: Option<&'static WholeSchema>) -> SqliteConnection {
        let options = StoreOptions::new(DatabaseUrl::Sqlite(file.to_owned()));
        let store = Store::open(&options, MIGRATIONS).await.unwrap();
        let pending = store.pending_migrations().await.unwrap();
        let applied = match whole {
            Some(whole) => store.make_or_migrate(whole).await.unwrap(),
            None => store.migrate().await.unwrap(),
        };
        assert_eq!(applied, pending);
        assert_eq!(store.make_or_migrate(&WHOLE_SCHEMA).await.unwrap(), 0);
        store.close().await;
        SqliteConnection::connect(&format!("sqlite://{}", file.display())).await.unwrap()
    }

    /// Tables and indexes in the order in which they were made.
    async fn schema(on: &mut SqliteConnection) -> Vec<(String, Option<String>)> {
        let all = "select name, sql from sqlite_master order by rowid";
        sqlx::query_as(all).fetch_all(on).await.unwrap()
    }

    async fn applied(on: &mut SqliteConnection) -> Vec<(i64, String, bool, Vec<u8>)> {
        let all = "select version, description, success, checksum from _sqlx_migrations order by version";
        sqlx::query_as(all).fetch_all(on).await.unwrap()
    }

    #[tokio::test]
    async fn the_schema_is_what_all_migrations_make() {
        let directory = tempfile::tempdir().unwrap();
        let mut one_by_one = database(&directory.path().join("one_by_one.db"), None).await;
        let made = schema(&mut one_by_one).await;
        let ours = |name: &str| !name.starts_with("sqlite_") && name != "_sqlx_migrations";
        let text: String = made
            .iter()
            .filter(|(name, _)| ours(name))
            .filter_map(|(_, sql)| sql.as_ref())
            .map(|sql| format!("{sql};\n"))
            .collect();
        if std::env::var_os("TIDEGATE_TEST_WRITE").is_some() {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/schema.sql");
            std::fs::write(path, &text).unwrap();
            return;
        }
        assert!(WHOLE_SCHEMA.text == text, "write it anew, see the head of this file");
        let names = made.iter().filter(|(name, sql)| ours(name) && is_table(sql.as_deref()));
        assert_eq!(tables().collect::<Vec<_>>(), names.map(|(name, _)| name.as_str()).collect::<Vec<_>>());
        let mut at_once = database(&directory.path().join("at_once.db"), Some(&WHOLE_SCHEMA)).await;
        assert_eq!(sorted(schema(&mut at_once).await), sorted(made.clone()));
        let (newest, here) = (applied(&mut one_by_one).await, applied(&mut at_once).await);
        assert_eq!(here, newest);
        assert_eq!(newest.last().map(|(version, ..)| *version), Some(WHOLE_SCHEMA.last));
        // No migration puts rows into an empty database.
        for (name, _) in made.iter().filter(|(name, sql)| ours(name) && is_table(sql.as_deref())) {
            let count = sqlx::AssertSqlSafe(format!("select count(*) from {name}"));
            let (rows,): (i64,) = sqlx::query_as(count).fetch_one(&mut one_by_one).await.unwrap();
            assert_eq!(rows, 0, "{name}");
        }
    }

    #[tokio::test]
    async fn the_columns_of_the_schema_are_those_that_a_database_has() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("tidegate.db");
        database(&file, None).await.close().await.unwrap();
        let store = Store::open(&StoreOptions::new(DatabaseUrl::Sqlite(file)), MIGRATIONS).await.unwrap();
        let mut there = store.columns().await.unwrap();
        there.retain(|column| !column.starts_with(APPLIED));
        let mut all = WHOLE_SCHEMA.columns().await.unwrap();
        there.sort_unstable();
        all.sort_unstable();
        assert_eq!(there, all);
        assert!(all.iter().any(|column| column == "accounts.language"));
        assert!(tables().any(|table| table == KNOWN_BY));
        store.close().await;
    }

    fn is_table(sql: Option<&str>) -> bool {
        sql.is_some_and(|sql| sql.starts_with("CREATE TABLE"))
    }

    fn sorted(mut schema: Vec<(String, Option<String>)>) -> Vec<(String, Option<String>)> {
        schema.sort();
        schema
    }

    #[tokio::test]
    async fn a_schema_of_other_migrations_makes_nothing() {
        static OLDER: WholeSchema = WholeSchema { last: 1, text: "create table other (id integer)" };
        let directory = tempfile::tempdir().unwrap();
        let mut migrated = database(&directory.path().join("tidegate.db"), Some(&OLDER)).await;
        assert!(schema(&mut migrated).await.iter().all(|(name, _)| name != "other"));
    }
}
