//! All rows of one database into another that is empty, of either engine: in one transaction, from one snapshot.
//!
//! The tables are those of the schema, as the engines report them; nothing here knows one by name.

mod columns;
mod mark;
mod rows;
mod target;

use futures_util::TryStreamExt;
use sqlx::{AssertSqlSafe, Postgres, Sqlite, Transaction};

use self::columns::Table;
pub use self::mark::FinishedCopy;
use self::rows::{Batch, Cell};
use super::{Backend, Store};
use crate::{Reason, Result, StoreError, Unit};

/// A table that was copied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopiedTable {
    /// Its name.
    pub name: String,
    /// How many rows it has.
    pub rows: u64,
}

/// What is read from: a snapshot that later writes do not change.
enum Source {
    Sqlite(Transaction<'static, Sqlite>),
    Postgres(Transaction<'static, Postgres>),
}

impl Store {
    /// Copies every row to `target`, which has the present schema and no row. All of it is there afterwards, counted, or
    /// nothing; with it goes the mark of [`Store::mark_copy`]. `progress` is told each table and how many of its rows are copied.
    ///
    /// # Errors
    /// [`StoreError::Address`] when the target has rows; [`StoreError::Migration`] when one of the two does not have the
    /// present schema; those of the databases.
    pub async fn copy_to(
        &self,
        target: &Self,
        mut progress: impl FnMut(&str, u64) + Send,
    ) -> Result<Vec<CopiedTable>> {
        for (store, which) in [(self, "source"), (target, "target")] {
            let pending = store.pending_migrations().await?;
            if pending > 0 {
                return Err(StoreError::Migration(format!("the {which} lacks {pending} migration(s)")));
            }
        }
        let tables = columns::of_both(&self.backend, &target.backend).await?;
        let mut source = Source::open(&self.backend).await?;
        let mut unit = target.begin().await?;
        target::lock(&mut unit, &tables).await?;
        let mut unit = mark::refuse_rows(unit, &tables).await?;
        let constraints = target::defer_constraints(&mut unit).await?;
        let mut copied = Vec::new();
        for table in &tables {
            let about = |error| of_table(&table.name, error);
            let rows =
                source.copy(table, &mut unit, |rows| progress(&table.name, rows)).await.map_err(about)?;
            let last = source.last_number(table).await.map_err(about)?;
            target::finish_table(&mut unit, table, rows, last).await.map_err(about)?;
            copied.push(CopiedTable { name: table.name.clone(), rows });
        }
        target::restore(&mut unit, constraints).await?;
        mark::forget(&mut unit).await?;
        // Rows that are new here were not copied anywhere.
        mark::forget_finished(&mut unit).await?;
        unit.commit().await?;
        Ok(copied)
    }
}

fn of_table(table: &str, error: StoreError) -> StoreError {
    match error {
        StoreError::Database(reason) => {
            StoreError::Database(Reason { what: format!("table {table}: {}", reason.what), ..reason })
        }
        other => other,
    }
}

impl Source {
    async fn open(backend: &Backend) -> Result<Self> {
        match backend {
            Backend::Sqlite { readers, .. } => Ok(Self::Sqlite(readers.begin().await?)),
            Backend::Postgres { pool, .. } => {
                let begin = "begin transaction isolation level repeatable read, read only";
                Ok(Self::Postgres(pool.begin_with(begin).await?))
            }
        }
    }

    /// Writes the table's rows to the unit of work; answers how many.
    async fn copy(&mut self, table: &Table, unit: &mut Unit, mut progress: impl FnMut(u64)) -> Result<u64> {
        let mut batch = Batch::default();
        let mut rows = 0;
        match self {
            Self::Sqlite(on) => {
                let select = table.select(|column| format!("\"{}\"", column.name));
                let mut found = sqlx::query(AssertSqlSafe(select)).fetch(&mut **on);
                while let Some(row) = found.try_next().await? {
                    batch.push(Cell::of_sqlite(table, &row)?);
                    rows += target::insert_if_full(unit, table, &mut batch, &mut progress, rows).await?;
                }
            }
            Self::Postgres(on) => {
                let select = table.select(columns::Column::postgres_text);
                let mut found = sqlx::query(AssertSqlSafe(select)).fetch(&mut **on);
                while let Some(row) = found.try_next().await? {
                    batch.push(Cell::of_postgres(table, &row)?);
                    rows += target::insert_if_full(unit, table, &mut batch, &mut progress, rows).await?;
                }
            }
        }
        rows += target::insert(unit, table, &mut batch).await?;
        progress(rows);
        Ok(rows)
    }

    /// The highest number that a row of the table ever had: numbers are not given twice, also not those of deleted rows.
    async fn last_number(&mut self, table: &Table) -> Result<i64> {
        if !table.has_number() {
            return Ok(0);
        }
        let last: Option<i64> = match self {
            Self::Sqlite(on) => {
                sqlx::query_scalar("select seq from sqlite_sequence where name = $1")
                    .bind(&table.name)
                    .fetch_optional(&mut **on)
                    .await?
            }
            Self::Postgres(on) => sqlx::query_scalar(
                "select pg_sequence_last_value(pg_get_serial_sequence(quote_ident($1), 'number')::regclass)",
            )
            .bind(&table.name)
            .fetch_one(&mut **on)
            .await?,
        };
        Ok(last.unwrap_or(0))
    }
}
