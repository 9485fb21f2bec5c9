//! Relations as questions are asked of them.

use tidegate_catalog::schemas::read::{StoredColumn, StoredTable};
use tidegate_engine::RelationName;
use tidegate_prompts::ports::{Relation, RelationColumn};

/// A relation as questions are asked of it: what discovery found, as far as it is seen.
pub(crate) fn described(
    name: &RelationName,
    table: &StoredTable,
    is_typed: bool,
    is_seen: impl Fn(&StoredColumn) -> bool,
) -> Relation {
    let columns = table.columns.iter().filter(|column| is_seen(column));
    Relation {
        source: name.source.clone(),
        schema: name.schema.clone(),
        table: name.table.clone(),
        comment: table.comment.clone(),
        columns: columns.map(|each| column(each, is_typed)).collect(),
    }
}

fn column(column: &StoredColumn, is_typed: bool) -> RelationColumn {
    let references = column.foreign_key.clone().map(|(schema, table, other)| {
        let schema = if schema.is_empty() { RelationName::NO_SCHEMA.to_owned() } else { schema };
        (schema, table, other)
    });
    RelationColumn {
        name: column.name.clone(),
        type_name: column.type_name.clone(),
        nullable: column.nullable,
        is_typed,
        comment: column.comment.clone(),
        primary_key: column.primary_key,
        references,
    }
}
