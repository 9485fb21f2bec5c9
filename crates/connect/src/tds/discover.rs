//! Relations, columns, keys and comments, from the catalog views.

use std::collections::{HashMap, HashSet};

use super::Conn;
use super::plan::Found;
use crate::discovered::{Column, Discovered, ForeignKey, Schema, Table, TableKind};
use crate::error::SourceError;

/// Text columns only, so that every value is read the same way; numbers are read back from their digits.
const TABLES: &str = "SELECT s.name, o.name, CAST(o.type AS nvarchar(2)), \
    CAST((SELECT SUM(p.rows) FROM sys.partitions p WHERE p.object_id = o.object_id AND p.index_id IN (0, 1)) AS nvarchar(30)), \
    CAST(e.value AS nvarchar(4000)) \
    FROM sys.objects o JOIN sys.schemas s ON s.schema_id = o.schema_id \
    LEFT JOIN sys.extended_properties e ON e.class = 1 AND e.major_id = o.object_id AND e.minor_id = 0 AND e.name = N'MS_Description' \
    WHERE o.type IN ('U', 'V') AND o.is_ms_shipped = 0 AND (@p1 = N'' OR s.name = @p1) ORDER BY s.name, o.name";

/// Synapse has neither extended properties nor foreign keys that hold.
const TABLES_SYNAPSE: &str = "SELECT s.name, o.name, CAST(o.type AS nvarchar(2)), CAST(NULL AS nvarchar(30)), CAST(NULL AS nvarchar(10)) \
    FROM sys.objects o JOIN sys.schemas s ON s.schema_id = o.schema_id \
    WHERE o.type IN ('U', 'V') AND o.is_ms_shipped = 0 AND (@p1 = N'' OR s.name = @p1) ORDER BY s.name, o.name";

const COLUMNS: &str = "SELECT c.TABLE_SCHEMA, c.TABLE_NAME, c.COLUMN_NAME, c.DATA_TYPE, CAST(c.IS_NULLABLE AS nvarchar(3)), \
    CAST(c.NUMERIC_PRECISION AS nvarchar(10)), CAST(c.NUMERIC_SCALE AS nvarchar(10)), CAST(c.DATETIME_PRECISION AS nvarchar(10)), \
    CAST(c.CHARACTER_MAXIMUM_LENGTH AS nvarchar(12)), CAST(c.COLUMN_DEFAULT AS nvarchar(4000)) \
    FROM INFORMATION_SCHEMA.COLUMNS c WHERE (@p1 = N'' OR c.TABLE_SCHEMA = @p1) AND (@p2 = N'' OR c.TABLE_NAME = @p2) \
    ORDER BY c.TABLE_SCHEMA, c.TABLE_NAME, c.ORDINAL_POSITION";

const PRIMARY: &str = "SELECT k.TABLE_SCHEMA, k.TABLE_NAME, k.COLUMN_NAME FROM INFORMATION_SCHEMA.TABLE_CONSTRAINTS t \
    JOIN INFORMATION_SCHEMA.KEY_COLUMN_USAGE k ON k.CONSTRAINT_SCHEMA = t.CONSTRAINT_SCHEMA AND k.CONSTRAINT_NAME = t.CONSTRAINT_NAME \
    WHERE t.CONSTRAINT_TYPE = 'PRIMARY KEY'";

const FOREIGN: &str = "SELECT OBJECT_SCHEMA_NAME(f.parent_object_id), OBJECT_NAME(f.parent_object_id), COL_NAME(f.parent_object_id, f.parent_column_id), \
    OBJECT_SCHEMA_NAME(f.referenced_object_id), OBJECT_NAME(f.referenced_object_id), COL_NAME(f.referenced_object_id, f.referenced_column_id) \
    FROM sys.foreign_key_columns f";

const COMMENTS: &str = "SELECT OBJECT_SCHEMA_NAME(e.major_id), OBJECT_NAME(e.major_id), COL_NAME(e.major_id, e.minor_id), CAST(e.value AS nvarchar(4000)) \
    FROM sys.extended_properties e WHERE e.class = 1 AND e.minor_id > 0 AND e.name = N'MS_Description'";

type Cells = [Option<String>];
type Place = (String, String, String);

fn cell(row: &mut Cells, index: usize) -> Option<String> {
    row.get_mut(index)?.take()
}

fn place(row: &mut Cells) -> Option<Place> {
    Some((cell(row, 0)?, cell(row, 1)?, cell(row, 2)?))
}

/// What is known of columns besides their types.
#[derive(Default)]
struct Known {
    primary: HashSet<Place>,
    foreign: HashMap<Place, ForeignKey>,
    comments: HashMap<Place, String>,
}

async fn known(conn: &mut Conn) -> Result<Known, SourceError> {
    let mut known = Known::default();
    conn.rows(PRIMARY, &[], |mut row| known.primary.extend(place(&mut row))).await?;
    conn.rows(FOREIGN, &[], |mut row| {
        let to = cell(&mut row, 3).zip(cell(&mut row, 4)).zip(cell(&mut row, 5));
        if let (Some(((schema, table), column)), Some(from)) = (to, place(&mut row)) {
            known.foreign.insert(from, ForeignKey { schema, table, column });
        }
    })
    .await?;
    conn.rows(COMMENTS, &[], |mut row| {
        let comment = cell(&mut row, 3);
        known.comments.extend(place(&mut row).zip(comment));
    })
    .await?;
    Ok(known)
}

/// The relations of a database or of one of its schemas, without columns.
async fn tables(conn: &mut Conn, query: &str, schema: &str) -> Result<Discovered, SourceError> {
    let mut found = Discovered::default();
    conn.rows(query, &[schema.to_owned()], |mut row| {
        let Some((schema, name, kind)) = place(&mut row) else { return };
        let view = kind.trim() == "V";
        let table = Table {
            name,
            kind: if view { TableKind::View } else { TableKind::BaseTable },
            row_count: cell(&mut row, 3).and_then(|digits| digits.parse().ok()).filter(|_| !view),
            comment: cell(&mut row, 4),
            columns: Vec::new(),
        };
        match found.schemas.last_mut().filter(|last| last.name == schema) {
            Some(last) => last.tables.push(table),
            None => found.schemas.push(Schema { name: schema, tables: vec![table] }),
        }
    })
    .await?;
    Ok(found)
}

/// What a user may read of a database.
pub(super) async fn discover(
    conn: &mut Conn,
    schema: Option<&str>,
    synapse: bool,
) -> Result<Discovered, SourceError> {
    let schema = schema.unwrap_or_default().to_owned();
    let mut known = if synapse { Known::default() } else { known(conn).await? };
    let mut found = tables(conn, if synapse { TABLES_SYNAPSE } else { TABLES }, &schema).await?;
    let mut places = HashMap::new();
    for (at, schema) in found.schemas.iter().enumerate() {
        for (index, table) in schema.tables.iter().enumerate() {
            places.insert((schema.name.clone(), table.name.clone()), (at, index));
        }
    }
    conn.rows(COLUMNS, &[schema, String::new()], |mut row| {
        let Some(key) = place(&mut row) else { return };
        let Some((at, index)) = places.get(&(key.0.clone(), key.1.clone())) else { return };
        let table = found.schemas.get_mut(*at).and_then(|schema| schema.tables.get_mut(*index));
        let Some(columns) = table.map(|table| &mut table.columns) else { return };
        let type_name = type_name(&mut row);
        let mut column = Column::plain(&key.2, type_name, columns.len() + 1);
        column.nullable = cell(&mut row, 4).as_deref() == Some("YES");
        column.primary_key = known.primary.contains(&key);
        column.default = cell(&mut row, 9);
        column.comment = known.comments.remove(&key);
        column.foreign_key = known.foreign.remove(&key);
        columns.push(column);
    })
    .await?;
    // A relation none of whose columns may be read is none.
    for schema in &mut found.schemas {
        schema.tables.retain(|table| !table.columns.is_empty());
    }
    found.schemas.retain(|schema| !schema.tables.is_empty());
    Ok(found)
}

/// `varchar(20)`, `decimal(10,2)`, `datetime2(7)`.
fn type_name(row: &mut Cells) -> String {
    let name = cell(row, 3).unwrap_or_default();
    let number = |index: usize| row.get(index).and_then(Clone::clone);
    match name.as_str() {
        "decimal" | "numeric" => {
            format!("{name}({},{})", number(5).unwrap_or_default(), number(6).unwrap_or_default())
        }
        "datetime2" | "time" | "datetimeoffset" => format!("{name}({})", number(7).unwrap_or_default()),
        "char" | "varchar" | "nchar" | "nvarchar" | "binary" | "varbinary" => {
            let length = number(8).unwrap_or_default();
            format!("{name}({})", if length == "-1" { "max" } else { length.as_str() })
        }
        _ => name,
    }
}

/// The columns of one relation.
pub(super) async fn columns(conn: &mut Conn, schema: &str, table: &str) -> Result<Vec<Found>, SourceError> {
    let mut found = Vec::new();
    conn.rows(COLUMNS, &[schema.to_owned(), table.to_owned()], |mut row| {
        let number = |row: &mut Cells, index| cell(row, index).and_then(|digits| digits.parse::<i64>().ok());
        let Some((of_schema, of_table, name)) = place(&mut row) else { return };
        // The server may compare names without regard to case; the relation is the one of exactly this name.
        if of_schema != schema || of_table != table {
            return;
        }
        found.push(Found {
            name,
            data_type: cell(&mut row, 3).unwrap_or_default().to_lowercase(),
            nullable: cell(&mut row, 4).as_deref() == Some("YES"),
            precision: number(&mut row, 5),
            scale: number(&mut row, 6),
            fraction: number(&mut row, 7),
        });
    })
    .await?;
    if found.is_empty() {
        return Err(SourceError::no_relation(table));
    }
    Ok(found)
}
