//! The tables and columns of both databases.

use sqlx::{PgPool, SqlitePool};

use super::super::Backend;
use crate::{Result, StoreError};

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Number,
    Flag,
    Text,
    /// A document: text on SQLite, parsed on PostgreSQL.
    Json,
    /// A row key: 16 bytes on SQLite.
    Key,
    Bytes,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) kind: Kind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Table {
    pub(super) name: String,
    pub(super) columns: Vec<Column>,
}

impl Column {
    /// The column in a list of PostgreSQL's, documents as text.
    pub(super) fn postgres_text(&self) -> String {
        let cast = if self.kind == Kind::Json { "::text" } else { "" };
        format!("\"{}\"{cast}", self.name)
    }
}

impl Table {
    /// Whether its rows are numbered by the database.
    pub(super) fn has_number(&self) -> bool {
        self.columns.iter().any(|column| column.name == "number")
    }

    /// The names of its columns, in their order.
    pub(super) fn names(&self) -> String {
        let names: Vec<String> = self.columns.iter().map(|column| format!("\"{}\"", column.name)).collect();
        names.join(", ")
    }

    /// A query of all rows, each column as `written`.
    pub(super) fn select(&self, written: impl Fn(&Column) -> String) -> String {
        let columns: Vec<String> = self.columns.iter().map(written).collect();
        format!("select {} from \"{}\"", columns.join(", "), self.name)
    }
}

/// The tables, in one order. Of two engines PostgreSQL says what columns hold, because it tells keys from bytes and documents from
/// text.
pub(super) async fn of_both(source: &Backend, target: &Backend) -> Result<Vec<Table>> {
    let (ours, theirs) = (of(source).await?, of(target).await?);
    let names = |tables: &[Table]| -> Vec<String> {
        tables.iter().map(|table| format!("{} ({})", table.name, sorted(table))).collect()
    };
    if names(&ours) != names(&theirs) {
        return Err(StoreError::Migration("the two databases do not have the same tables".to_owned()));
    }
    Ok(if matches!(source, Backend::Postgres { .. }) { ours } else { theirs })
}

fn sorted(table: &Table) -> String {
    let mut names: Vec<&str> = table.columns.iter().map(|column| column.name.as_str()).collect();
    names.sort_unstable();
    names.join(", ")
}

/// The tables of one, but those whose name begins with `_`: they are no part of what is copied.
pub(super) async fn of(backend: &Backend) -> Result<Vec<Table>> {
    let rows = match backend {
        Backend::Sqlite { readers, .. } => of_sqlite(readers).await?,
        Backend::Postgres { pool, .. } => of_postgres(pool).await?,
    };
    let mut tables: Vec<Table> = Vec::new();
    for (table, name, declared) in rows {
        let kind = kind(&declared).ok_or_else(|| {
            StoreError::Database(format!("{table}.{name} has a type that is not copied: {declared}").into())
        })?;
        let column = Column { name, kind };
        match tables.last_mut().filter(|last| last.name == table) {
            Some(last) => last.columns.push(column),
            None => tables.push(Table { name: table, columns: vec![column] }),
        }
    }
    Ok(tables)
}

/// Table, column and type of each column.
type Declared = Vec<(String, String, String)>;

async fn of_sqlite(readers: &SqlitePool) -> Result<Declared> {
    let rows = sqlx::query_as(
        "select m.name, c.name, lower(c.type)
         from sqlite_master m join pragma_table_info(m.name) c
         where m.type = 'table' and m.name not like 'sqlite\\_%' escape '\\' and m.name not like '\\_%' escape '\\'
         order by m.name, c.cid",
    );
    Ok(rows.fetch_all(readers).await?)
}

async fn of_postgres(pool: &PgPool) -> Result<Declared> {
    let rows = sqlx::query_as(
        "select table_name::text, column_name::text, data_type::text
         from information_schema.columns
         where table_schema = current_schema() and table_name not like '\\_%'
         order by table_name::text collate \"C\", ordinal_position",
    );
    Ok(rows.fetch_all(pool).await?)
}

/// What the engine's type holds.
fn kind(declared: &str) -> Option<Kind> {
    Some(match declared {
        "bigint" | "integer" => Kind::Number,
        "boolean" => Kind::Flag,
        "text" => Kind::Text,
        "jsonb" => Kind::Json,
        "uuid" => Kind::Key,
        "blob" | "bytea" => Kind::Bytes,
        _ => return None,
    })
}
