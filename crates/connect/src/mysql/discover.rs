//! Relations, columns, keys and comments, from the information schema.

use std::collections::HashMap;

use futures_util::StreamExt;
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Row, Value};

use super::connect::Connector;
use crate::discovered::{Column, Discovered, ForeignKey, Room, Schema, Table, TableKind};
use crate::error::SourceError;

const TABLES: &str = "SELECT table_name, table_type, CAST(table_rows AS SIGNED), table_comment \
    FROM information_schema.tables WHERE table_schema = ? ORDER BY table_name";

const COLUMNS: &str = "SELECT table_name, column_name, column_type, is_nullable, column_key, column_default, column_comment \
    FROM information_schema.columns WHERE table_schema = ? ORDER BY table_name, ordinal_position";

const KEYS: &str = "SELECT table_name, column_name, referenced_table_schema, referenced_table_name, referenced_column_name \
    FROM information_schema.key_column_usage WHERE table_schema = ? AND referenced_table_name IS NOT NULL";

const DATABASES: &str = "SELECT schema_name FROM information_schema.schemata \
    WHERE schema_name NOT IN ('information_schema', 'mysql', 'performance_schema', 'sys') ORDER BY schema_name LIMIT 1000";

/// Databases that a user may look into.
pub(super) async fn databases(connector: &Connector, conn: &mut Conn) -> Result<Vec<String>, SourceError> {
    conn.query(DATABASES).await.map_err(|error| connector.error(&error))
}

/// What a user may read of a database.
pub(super) async fn discover(
    connector: &Connector,
    conn: &mut Conn,
    schema: &str,
) -> Result<Discovered, SourceError> {
    let mut room = Room::default();
    let mut keys = HashMap::new();
    rows(connector, conn, (KEYS, schema), &mut room, |row| {
        let key = ForeignKey { schema: text(row, 2)?, table: text(row, 3)?, column: text(row, 4)? };
        keys.insert((text(row, 0)?, text(row, 1)?), key);
        Some(())
    })
    .await?;
    let mut tables: Vec<Table> = Vec::new();
    rows(connector, conn, (TABLES, schema), &mut room, |row| {
        let view = text(row, 1)?.contains("VIEW");
        tables.push(Table {
            name: text(row, 0)?,
            kind: if view { TableKind::View } else { TableKind::BaseTable },
            row_count: row.get_opt::<Option<i64>, _>(2)?.ok()?.filter(|_| !view),
            // A view's comment is the word VIEW, or why it is broken.
            comment: text(row, 3).filter(|text| !text.is_empty() && !view),
            columns: Vec::new(),
        });
        Some(())
    })
    .await?;
    let places: HashMap<String, usize> =
        tables.iter().enumerate().map(|(index, table)| (table.name.clone(), index)).collect();
    rows(connector, conn, (COLUMNS, schema), &mut room, |row| {
        let table = text(row, 0)?;
        let name = text(row, 1)?;
        let columns = &mut tables.get_mut(*places.get(&table)?)?.columns;
        let mut column = Column::plain(&name, text(row, 2)?, columns.len() + 1);
        column.nullable = text(row, 3)? == "YES";
        column.primary_key = text(row, 4)? == "PRI";
        column.default = text(row, 5).filter(|text| text != "NULL");
        column.comment = text(row, 6).filter(|text| !text.is_empty());
        column.foreign_key = keys.get(&(table, name)).cloned();
        columns.push(column);
        Some(())
    })
    .await?;
    // A relation none of whose columns may be read is none.
    tables.retain(|table| !table.columns.is_empty());
    if tables.is_empty() {
        return Ok(Discovered::default());
    }
    Ok(Discovered { schemas: vec![Schema { name: schema.to_owned(), tables }] })
}

/// Gives each row of a query to a function. Rows it can make nothing of are left out.
async fn rows(
    connector: &Connector,
    conn: &mut Conn,
    (query, schema): (&str, &str),
    room: &mut Room,
    mut each: impl FnMut(&Row) -> Option<()>,
) -> Result<(), SourceError> {
    let rows = super::connect::rows(conn, query, (schema,).into()).await;
    let mut rows = rows.map_err(|error| connector.error(&error))?;
    while let Some(row) = rows.next().await {
        let row = row.map_err(|error| connector.error(&error))?;
        room.take((0..row.len()).filter_map(|index| row.as_ref(index)).map(size).sum())?;
        let _ = each(&row);
    }
    Ok(())
}

fn size(value: &Value) -> usize {
    match value {
        Value::Bytes(bytes) => bytes.len(),
        _ => 0,
    }
}

fn text(row: &Row, index: usize) -> Option<String> {
    row.get_opt::<Option<String>, _>(index)?.ok()?
}
