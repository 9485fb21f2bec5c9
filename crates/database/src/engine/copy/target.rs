//! What is written to: in one unit of work.

use sqlx::{AssertSqlSafe, Postgres, QueryBuilder, Sqlite};

use super::columns::Table;
use super::rows::{Batch, Cell};
use crate::engine::Connection;
use crate::{Result, StoreError, Unit};

/// The foreign keys that are put back when all rows are there: rows come table by table, and may refer to later ones.
pub(super) struct Constraints(Vec<(String, String, String)>);

/// Keeps other processes out until the unit ends. On SQLite its beginning has.
pub(super) async fn lock(unit: &mut Unit, tables: &[Table]) -> Result<()> {
    let names: Vec<String> = tables.iter().map(|table| format!("\"{}\"", table.name)).collect();
    let lock = format!("lock table {} in access exclusive mode", names.join(", "));
    if let Connection::Postgres(on) = unit.connection(&lock)? {
        sqlx::query(AssertSqlSafe(lock)).execute(on).await?;
    }
    unit.succeeded();
    Ok(())
}

/// The names of the tables that have rows.
pub(super) async fn full<'t>(unit: &mut Unit, tables: &'t [Table]) -> Result<Vec<&'t str>> {
    let mut full = Vec::new();
    for table in tables {
        if count(unit, table).await? > 0 {
            full.push(table.name.as_str());
        }
    }
    Ok(full)
}

/// Lets foreign keys wait until [`restore`].
pub(super) async fn defer_constraints(unit: &mut Unit) -> Result<Constraints> {
    let constraints = match unit.connection("constraints")? {
        Connection::Sqlite(on) => {
            // Until the transaction ends.
            sqlx::query("pragma defer_foreign_keys = on").execute(on).await?;
            Vec::new()
        }
        Connection::Postgres(on) => {
            let constraints: Vec<(String, String, String)> = sqlx::query_as(
                "select conrelid::regclass::text, quote_ident(conname), pg_get_constraintdef(oid)
                 from pg_constraint
                 where contype = 'f' and connamespace = quote_ident(current_schema())::regnamespace",
            )
            .fetch_all(&mut *on)
            .await?;
            for (table, name, _) in &constraints {
                let drop = format!("alter table {table} drop constraint {name}");
                sqlx::query(AssertSqlSafe(drop)).execute(&mut *on).await?;
            }
            constraints
        }
    };
    unit.succeeded();
    Ok(Constraints(constraints))
}

async fn count(unit: &mut Unit, table: &Table) -> Result<i64> {
    let sql = format!("select count(*) from \"{}\"", table.name);
    let count = match unit.connection(&sql)? {
        Connection::Sqlite(on) => sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(on).await?,
        Connection::Postgres(on) => sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(on).await?,
    };
    unit.succeeded();
    Ok(count)
}

/// Inserts the rows if they are many enough; answers how many were.
pub(super) async fn insert_if_full(
    unit: &mut Unit,
    table: &Table,
    batch: &mut Batch,
    progress: &mut impl FnMut(u64),
    before: u64,
) -> Result<u64> {
    if !batch.is_full() {
        return Ok(0);
    }
    let rows = insert(unit, table, batch).await?;
    progress(before + rows);
    Ok(rows)
}

/// Inserts the rows; answers how many.
pub(super) async fn insert(unit: &mut Unit, table: &Table, batch: &mut Batch) -> Result<u64> {
    let rows = batch.take();
    if rows.is_empty() {
        return Ok(0);
    }
    let head = format!("insert into \"{}\" ({})", table.name, table.names());
    let done = match unit.connection(&head)? {
        Connection::Sqlite(on) => {
            let mut query = QueryBuilder::<Sqlite>::new(format!("{head} "));
            query.push_values(rows, |mut values, row| {
                for cell in row {
                    match cell {
                        Cell::Number(value) => values.push_bind(value),
                        Cell::Flag(value) => values.push_bind(value),
                        Cell::Text(value) | Cell::Json(value) => values.push_bind(value),
                        Cell::Key(value) => values.push_bind(value),
                        Cell::Bytes(value) => values.push_bind(value),
                    };
                }
            });
            query.build().persistent(false).execute(on).await?.rows_affected()
        }
        Connection::Postgres(on) => {
            // The numbers are those of the source.
            let mut query = QueryBuilder::<Postgres>::new(format!("{head} overriding system value "));
            query.push_values(rows, |mut values, row| {
                for cell in row {
                    match cell {
                        Cell::Number(value) => values.push_bind(value),
                        Cell::Flag(value) => values.push_bind(value),
                        Cell::Text(value) => values.push_bind(value),
                        Cell::Json(value) => values.push_bind(value).push_unseparated("::jsonb"),
                        Cell::Key(value) => values.push_bind(value),
                        Cell::Bytes(value) => values.push_bind(value),
                    };
                }
            });
            query.build().persistent(false).execute(on).await?.rows_affected()
        }
    };
    unit.succeeded();
    Ok(done)
}

/// Counts the table's rows, and continues its numbers after `last`.
pub(super) async fn finish_table(unit: &mut Unit, table: &Table, rows: u64, last: i64) -> Result<()> {
    let counted = count(unit, table).await?;
    if u64::try_from(counted) != Ok(rows) {
        return Err(StoreError::Database(format!("{rows} rows were read and {counted} are there").into()));
    }
    if last == 0 {
        return Ok(());
    }
    match unit.connection("numbers")? {
        Connection::Sqlite(on) => {
            sqlx::query("delete from sqlite_sequence where name = $1")
                .bind(&table.name)
                .execute(&mut *on)
                .await?;
            sqlx::query("insert into sqlite_sequence (name, seq) values ($1, $2)")
                .bind(&table.name)
                .bind(last)
                .execute(on)
                .await?;
        }
        Connection::Postgres(on) => {
            sqlx::query("select setval(pg_get_serial_sequence(quote_ident($1), 'number'), $2)")
                .bind(&table.name)
                .bind(last)
                .execute(on)
                .await?;
        }
    }
    unit.succeeded();
    Ok(())
}

/// Puts the foreign keys back; they are checked now, on SQLite when the transaction ends.
pub(super) async fn restore(unit: &mut Unit, constraints: Constraints) -> Result<()> {
    for (table, name, definition) in constraints.0 {
        let add = format!("alter table {table} add constraint {name} {definition}");
        match unit.connection(&add)? {
            Connection::Sqlite(on) => sqlx::query(AssertSqlSafe(add)).execute(on).await.map(drop)?,
            Connection::Postgres(on) => sqlx::query(AssertSqlSafe(add)).execute(on).await.map(drop)?,
        }
        unit.succeeded();
    }
    Ok(())
}
