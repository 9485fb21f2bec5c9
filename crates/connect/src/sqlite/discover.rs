//! Tables, columns and keys of a SQLite file.

use sqlx::Row;
use sqlx::sqlite::{SqliteConnection, SqliteRow};

use super::failed;
use crate::discovered::{Column, Finds, ForeignKey, Table, TableKind};
use crate::error::SourceError;
use crate::files::spool::SCHEMA;

const TABLES: &str = "SELECT name, type FROM pragma_table_list \
    WHERE schema = 'main' AND type IN ('table', 'view', 'virtual') AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name";

const COLUMNS: &str = "SELECT name, type, \"notnull\", dflt_value, pk FROM pragma_table_xinfo(?) WHERE hidden <> 1 ORDER BY cid";

const KEYS: &str = "SELECT \"from\", \"table\", \"to\" FROM pragma_foreign_key_list(?)";

/// Everything in the file. A view that cannot be read, because what it reads is gone, is left out.
pub(super) async fn discover(
    connection: &mut SqliteConnection,
    finds: &mut dyn Finds,
) -> Result<(), SourceError> {
    // As texts: a row of SQLite's takes several times as much.
    let found: Vec<(String, String)> =
        sqlx::query_as(TABLES).fetch_all(&mut *connection).await.map_err(|error| failed(&error))?;
    finds.schema(SCHEMA.to_owned()).await?;
    for (name, kind) in found {
        let view = kind == "view";
        let columns = match sqlx::query(COLUMNS).bind(&name).fetch_all(&mut *connection).await {
            Ok(columns) => columns,
            Err(_) if view => continue,
            Err(error) => return Err(failed(&error)),
        };
        let keys = sqlx::query(KEYS)
            .bind(&name)
            .fetch_all(&mut *connection)
            .await
            .map_err(|error| failed(&error))?;
        let columns = columns
            .iter()
            .enumerate()
            .map(|(index, row)| column(row, index + 1, &keys))
            .collect::<Result<_, _>>()
            .map_err(|error| failed(&error))?;
        let kind = if view { TableKind::View } else { TableKind::BaseTable };
        finds.table(Table { name, kind, row_count: None, comment: None, columns }).await?;
    }
    Ok(())
}

fn column(row: &SqliteRow, position: usize, keys: &[SqliteRow]) -> Result<Column, sqlx::Error> {
    let name: String = row.try_get(0)?;
    let declared: String = row.try_get(1)?;
    let mut column = Column::plain(&name, declared.to_lowercase(), position);
    column.nullable = row.try_get::<i64, _>(2)? == 0;
    column.default = row.try_get(3)?;
    column.primary_key = row.try_get::<i64, _>(4)? > 0;
    for key in keys {
        if key.try_get::<String, _>(0)? == name {
            column.foreign_key = Some(ForeignKey {
                schema: SCHEMA.to_owned(),
                table: key.try_get(1)?,
                // A reference without a column is one to the primary key.
                column: key.try_get::<Option<String>, _>(2)?.unwrap_or_default(),
            });
        }
    }
    Ok(column)
}
