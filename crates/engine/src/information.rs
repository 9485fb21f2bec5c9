//! `information_schema`: what the person may see, and nothing else. Its rows are ours and go through a barrier all the same.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, StringArray, UInt64Array};
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::arrow::record_batch::RecordBatch;
use tidegate_policy::Resolved;

use crate::error::QueryError;
use crate::relation::{GovernedRelation, RelationName, Relations};
use crate::source::InMemory;

/// Relations whose columns are listed at most; the list says nothing of the others.
const MOST_RELATIONS: usize = 2_000;

/// One of the relations of `information_schema`.
pub(crate) async fn open(
    table: &str,
    source: Option<&str>,
    visible: &[RelationName],
    relations: &dyn Relations,
) -> Result<GovernedRelation, QueryError> {
    let names: Vec<&RelationName> =
        visible.iter().filter(|name| source.is_none_or(|source| source == name.source)).collect();
    let batch = match table {
        "schemata" => schemata(&names),
        "tables" => tables(&names),
        _ => columns(&names, relations).await,
    }?;
    Ok(GovernedRelation {
        rows: Arc::new(InMemory::new(batch.schema(), vec![batch])),
        resolved: Arc::new(Resolved::open()),
        // Nothing of it is masked.
        hash: Arc::new(|_| [0; 32]),
    })
}

fn texts<'t>(name: &str, values: impl Iterator<Item = &'t str>) -> (Field, ArrayRef) {
    let values: StringArray = values.map(Some).collect();
    (Field::new(name, DataType::Utf8, false), Arc::new(values))
}

fn batch(columns: Vec<(Field, ArrayRef)>) -> Result<RecordBatch, QueryError> {
    let (fields, arrays): (Vec<_>, Vec<_>) = columns.into_iter().unzip();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).map_err(|_| QueryError::unavailable())
}

fn schemata(names: &[&RelationName]) -> Result<RecordBatch, QueryError> {
    let mut pairs: Vec<(&str, &str)> =
        names.iter().map(|name| (name.source.as_str(), name.schema.as_str())).collect();
    pairs.sort_unstable();
    pairs.dedup();
    batch(vec![
        texts("catalog_name", pairs.iter().map(|pair| pair.0)),
        texts("schema_name", pairs.iter().map(|pair| pair.1)),
    ])
}

fn tables(names: &[&RelationName]) -> Result<RecordBatch, QueryError> {
    batch(vec![
        texts("table_catalog", names.iter().map(|name| name.source.as_str())),
        texts("table_schema", names.iter().map(|name| name.schema.as_str())),
        texts("table_name", names.iter().map(|name| name.table.as_str())),
        texts("table_type", names.iter().map(|_| "BASE TABLE")),
    ])
}

async fn columns(names: &[&RelationName], relations: &dyn Relations) -> Result<RecordBatch, QueryError> {
    let mut rows: Vec<(&RelationName, String, u64, String, &str)> = Vec::new();
    for name in names.iter().take(MOST_RELATIONS) {
        // One source that does not answer does not hide the others.
        let Ok(Some(relation)) = relations.open(name).await else { continue };
        if relation.resolved.decision != tidegate_policy::Decision::Allowed {
            continue;
        }
        let schema = relation.rows.schema();
        let shown =
            schema.fields().iter().filter(|field| !relation.resolved.hidden.contains_key(field.name()));
        for (place, field) in (1..).zip(shown) {
            let nullable = field.is_nullable() || relation.resolved.masks.contains_key(field.name());
            let nullable = if nullable { "YES" } else { "NO" };
            rows.push((
                *name,
                field.name().clone(),
                place,
                crate::compact::outside(field.data_type()).to_string(),
                nullable,
            ));
        }
    }
    let places: UInt64Array = rows.iter().map(|row| Some(row.2)).collect();
    batch(vec![
        texts("table_catalog", rows.iter().map(|row| row.0.source.as_str())),
        texts("table_schema", rows.iter().map(|row| row.0.schema.as_str())),
        texts("table_name", rows.iter().map(|row| row.0.table.as_str())),
        texts("column_name", rows.iter().map(|row| row.1.as_str())),
        (Field::new("ordinal_position", DataType::UInt64, false), Arc::new(places)),
        texts("is_nullable", rows.iter().map(|row| row.4)),
        texts("data_type", rows.iter().map(|row| row.3.as_str())),
    ])
}
