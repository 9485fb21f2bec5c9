//! Relations, columns, keys and comments, from the catalogue.

use std::collections::HashMap;

use futures_util::{StreamExt, TryStreamExt};
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Row};

use super::connect::Connector;
use crate::discovered::{Column, Finds, ForeignKey, Room, Table, TableKind};
use crate::error::SourceError;
use crate::registry::SourceType;

/// A partition has rows of its table under another name, and a policy about the table would say nothing of it. So it is none of its own where its
/// table may be read.
const RELATIONS: &str = "SELECT n.nspname::text, r.relname::text, r.relkind::text, r.reltuples::float8, \
    rd.description::text, r.oid::int8, a.attname::text, a.attnum::int4, format_type(a.atttypid, a.atttypmod)::text, \
    a.attnotnull, pg_get_expr(ad.adbin, ad.adrelid)::text, cd.description::text \
    FROM pg_catalog.pg_class r JOIN pg_catalog.pg_namespace n ON n.oid = r.relnamespace \
    LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped \
      AND (has_table_privilege(r.oid, 'SELECT') OR has_column_privilege(r.oid, a.attnum, 'SELECT')) \
    LEFT JOIN pg_catalog.pg_attrdef ad ON ad.adrelid = r.oid AND ad.adnum = a.attnum \
    LEFT JOIN pg_catalog.pg_description rd ON rd.objoid = r.oid AND rd.objsubid = 0 \
      AND rd.classoid = 'pg_catalog.pg_class'::regclass \
    LEFT JOIN pg_catalog.pg_description cd ON cd.objoid = r.oid AND cd.objsubid = a.attnum \
      AND cd.classoid = 'pg_catalog.pg_class'::regclass \
    WHERE r.relkind IN ('r', 'v', 'm', 'f', 'p') AND n.nspname !~ '^pg_' \
    AND n.nspname NOT IN ('information_schema', 'crdb_internal', '_timescaledb_internal') AND ($1 = '' OR n.nspname = $1) \
    AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_inherits i JOIN pg_catalog.pg_class p ON p.oid = i.inhparent \
      WHERE i.inhrelid = r.oid AND p.relkind = 'p' AND has_table_privilege(p.oid, 'SELECT')) \
    AND has_schema_privilege(n.oid, 'USAGE') AND (a.attnum IS NOT NULL OR has_table_privilege(r.oid, 'SELECT')) \
    ORDER BY n.nspname, r.relname, r.oid, a.attnum";

const REDSHIFT_RELATIONS: &str = "SELECT n.nspname::text, r.relname::text, r.relkind::text, r.reltuples::float8, \
    rd.description::text, r.oid::int8, a.attname::text, a.attnum::int4, format_type(a.atttypid, a.atttypmod)::text, \
    a.attnotnull, NULL::text, cd.description::text \
    FROM pg_catalog.pg_class r JOIN pg_catalog.pg_namespace n ON n.oid = r.relnamespace \
    JOIN pg_catalog.pg_attribute a ON a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped \
    LEFT JOIN pg_catalog.pg_description rd ON rd.objoid = r.oid AND rd.objsubid = 0 \
    LEFT JOIN pg_catalog.pg_description cd ON cd.objoid = r.oid AND cd.objsubid = a.attnum \
    WHERE r.relkind IN ('r', 'v') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' \
    AND ($1 = '' OR n.nspname = $1) AND has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(r.oid, 'SELECT') \
    ORDER BY n.nspname, r.relname, r.oid, a.attnum";

const KEYS: &str = "SELECT k.conrelid::int8, k.contype::text, u.here::int4, fn.nspname::text, fr.relname::text, fa.attname::text \
    FROM pg_catalog.pg_constraint k CROSS JOIN LATERAL unnest(k.conkey, k.confkey) AS u (here, there) \
    LEFT JOIN pg_catalog.pg_class fr ON fr.oid = k.confrelid LEFT JOIN pg_catalog.pg_namespace fn ON fn.oid = fr.relnamespace \
    LEFT JOIN pg_catalog.pg_attribute fa ON fa.attrelid = k.confrelid AND fa.attnum = u.there \
    WHERE k.contype IN ('p', 'f') AND k.conrelid <> 0";

const SCHEMAS: &str = "SELECT n.nspname::text FROM pg_catalog.pg_namespace n WHERE n.nspname !~ '^pg_' \
    AND n.nspname NOT IN ('information_schema', 'crdb_internal', '_timescaledb_internal') AND has_schema_privilege(n.oid, 'USAGE') \
    ORDER BY CASE WHEN n.nspname = $1 THEN 0 ELSE 1 END, n.nspname LIMIT 1000";

/// Primary keys and references, by relation and column.
#[derive(Default)]
struct Keys {
    primary: std::collections::HashSet<(i64, i32)>,
    foreign: HashMap<(i64, i32), ForeignKey>,
}

/// Schemas that a user may look into, the named one first if it is there.
pub(super) async fn schemas(
    connector: &Connector,
    client: &Client,
    named: Option<&str>,
) -> Result<Vec<String>, SourceError> {
    let failed = |error: tokio_postgres::Error| connector.error(&error);
    let parameters = [(named.unwrap_or_default(), Type::TEXT)];
    let rows = client.query_typed_raw(SCHEMAS, parameters).await.map_err(failed)?;
    let rows: Vec<Row> = rows.try_collect().await.map_err(failed)?;
    rows.iter().map(|row| row.try_get(0).map_err(failed)).collect()
}

/// What a user may read of a database, or of one schema of it. A relation is handed on when its last column has come.
pub(super) async fn discover(
    connector: &Connector,
    client: &Client,
    schema: Option<&str>,
    finds: &mut dyn Finds,
) -> Result<(), SourceError> {
    let failed = |error: tokio_postgres::Error| connector.error(&error);
    let redshift = connector.kind == SourceType::Redshift;
    let mut room = Room::default();
    let keys = if redshift { Keys::default() } else { keys(connector, client, &mut room).await? };
    let query = if redshift { REDSHIFT_RELATIONS } else { RELATIONS };
    let parameters = [(schema.unwrap_or_default(), Type::TEXT)];
    let rows = client.query_typed_raw(query, parameters).await.map_err(failed)?;
    let mut rows = Box::pin(rows.map_err(failed));
    let (mut begun, mut last) = (None::<String>, None::<(i64, Table)>);
    while let Some(row) = rows.next().await {
        let row = row?;
        room.take(row.raw_size_bytes())?;
        let relation: i64 = row.try_get(5).map_err(failed)?;
        if last.as_ref().is_none_or(|(last, _)| *last != relation) {
            let next = table(&row).map_err(failed)?;
            if let Some((_, whole)) = last.replace((relation, next)) {
                finds.table(whole).await?;
            }
            let schema: String = row.try_get(0).map_err(failed)?;
            if begun.as_ref() != Some(&schema) {
                finds.schema(schema.clone()).await?;
                begun = Some(schema);
            }
        }
        if let Some((relation, table)) = &mut last {
            add(table, *relation, &keys, &row).map_err(failed)?;
        }
    }
    match last {
        Some((_, whole)) => finds.table(whole).await,
        None => Ok(()),
    }
}

async fn keys(connector: &Connector, client: &Client, room: &mut Room) -> Result<Keys, SourceError> {
    let failed = |error: tokio_postgres::Error| connector.error(&error);
    let none: [(&str, Type); 0] = [];
    let rows = client.query_typed_raw(KEYS, none).await.map_err(failed)?;
    let mut rows = Box::pin(rows.map_err(failed));
    let mut keys = Keys::default();
    while let Some(row) = rows.next().await {
        let row = row?;
        room.take(row.raw_size_bytes())?;
        add_key(&mut keys, &row).map_err(failed)?;
    }
    Ok(keys)
}

fn add_key(keys: &mut Keys, row: &Row) -> Result<(), tokio_postgres::Error> {
    let at = (row.try_get(0)?, row.try_get(2)?);
    if row.try_get::<_, &str>(1)? == "p" {
        keys.primary.insert(at);
        return Ok(());
    }
    let target = (row.try_get::<_, Option<String>>(3)?, row.try_get(4)?, row.try_get(5)?);
    if let (Some(schema), Some(table), Some(column)) = target {
        keys.foreign.entry(at).or_insert(ForeignKey { schema, table, column });
    }
    Ok(())
}

/// Adds the column of a row of the catalogue; a relation without columns has a row without one.
fn add(table: &mut Table, relation: i64, keys: &Keys, row: &Row) -> Result<(), tokio_postgres::Error> {
    let Some(number) = row.try_get::<_, Option<i32>>(7)? else { return Ok(()) };
    let at = (relation, number);
    table.columns.push(Column {
        name: row.try_get(6)?,
        type_name: row.try_get(8)?,
        // Numbers of dropped columns are not used again; positions have no holes.
        position: u32::try_from(table.columns.len() + 1).unwrap_or(u32::MAX),
        nullable: !row.try_get::<_, bool>(9)?,
        primary_key: keys.primary.contains(&at),
        foreign_key: keys.foreign.get(&at).cloned(),
        default: row.try_get(10)?,
        comment: row.try_get(11)?,
    });
    Ok(())
}

fn table(row: &Row) -> Result<Table, tokio_postgres::Error> {
    let view = matches!(row.try_get::<_, &str>(2)?, "v" | "m");
    let estimate: f64 = row.try_get(3)?;
    Ok(Table {
        name: row.try_get(1)?,
        kind: if view { TableKind::View } else { TableKind::BaseTable },
        // 0 and -1 say that nobody has counted.
        #[expect(clippy::cast_possible_truncation, reason = "an estimate; the cast saturates")]
        row_count: (estimate >= 1.0).then_some(estimate as i64),
        comment: row.try_get(4)?,
        columns: Vec::new(),
    })
}
