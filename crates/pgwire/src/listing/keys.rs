//! Keys of relations, and types, as the catalogs say them.

use std::collections::HashMap;

use tidegate_prompts::ports::Relation;

use super::datum::Datum;
use super::model::{
    COLLATION, FIRST_INDEX, FIRST_KEY, FIRST_REFERENCE, FIRST_RELATION, FIRST_SCHEMA, Model, OWNER,
    PG_CATALOG, ident,
};
use super::tables::Rows;
use crate::values::oids::PgType;

impl Model {
    pub(super) fn add_key(
        &mut self,
        place: i64,
        namespace: i64,
        relation: &Relation,
        schema: &str,
        keys: &[i64],
    ) {
        let (oid, index, key) = (FIRST_RELATION + place, FIRST_INDEX + place, FIRST_KEY + place);
        let name = format!("{}_pkey", relation.table);
        let columns: Vec<&str> = relation
            .columns
            .iter()
            .filter(|column| column.primary_key)
            .map(|column| column.name.as_str())
            .collect();
        let written = columns.iter().map(|column| ident(column)).collect::<Vec<_>>().join(", ");
        let places = Datum::List(keys.iter().map(|key| Datum::Int(*key)).collect());
        let zeros = Datum::List(keys.iter().map(|_| Datum::Int(0)).collect());
        let count = i64::try_from(keys.len()).unwrap_or(0);
        self.add_class(index, namespace, &name, "i", count, false);
        self.rows.add(
            "pg_catalog",
            "pg_index",
            [
                ("indexrelid", index.into()),
                ("indrelid", oid.into()),
                ("indnatts", count.into()),
                ("indnkeyatts", count.into()),
                ("indisunique", true.into()),
                ("indisprimary", true.into()),
                ("indisvalid", true.into()),
                ("indisready", true.into()),
                ("indislive", true.into()),
                ("indimmediate", true.into()),
                ("indkey", places.clone()),
                ("indoption", zeros.clone()),
                ("indclass", zeros),
            ],
        );
        let told = (key, name.as_str(), "p", "PRIMARY KEY");
        self.add_constraint(told, (oid, namespace, index, 0), (places, Datum::Null));
        self.add_constraint_words(schema, &relation.table, &name, "PRIMARY KEY");
        for (place, column) in (1..).zip(&columns) {
            self.add_key_column(schema, &relation.table, &name, column, place);
        }
        self.definitions.insert(key, format!("PRIMARY KEY ({written})"));
        let table = format!("{}.{}", ident(schema), ident(&relation.table));
        self.definitions.insert(
            index,
            format!("CREATE UNIQUE INDEX {} ON {table} USING btree ({written})", ident(&name)),
        );
    }

    fn add_constraint(
        &mut self,
        (oid, name, kind, _): (i64, &str, &str, &str),
        (relation, namespace, index, other): (i64, i64, i64, i64),
        (keys, others): (Datum, Datum),
    ) {
        self.rows.add(
            "pg_catalog",
            "pg_constraint",
            [
                ("oid", oid.into()),
                ("conname", name.into()),
                ("connamespace", namespace.into()),
                ("contype", kind.into()),
                ("convalidated", true.into()),
                ("conrelid", relation.into()),
                ("conindid", index.into()),
                ("confrelid", other.into()),
                ("confupdtype", if kind == "f" { "a" } else { " " }.into()),
                ("confdeltype", if kind == "f" { "a" } else { " " }.into()),
                ("confmatchtype", if kind == "f" { "s" } else { " " }.into()),
                ("conislocal", true.into()),
                ("conkey", keys),
                ("confkey", others),
            ],
        );
    }

    fn add_constraint_words(&mut self, schema: &str, table: &str, name: &str, kind: &str) {
        let database = self.context.database.clone();
        self.rows.add(
            "information_schema",
            "table_constraints",
            [
                ("constraint_catalog", database.clone().into()),
                ("constraint_schema", schema.into()),
                ("constraint_name", name.into()),
                ("table_catalog", database.into()),
                ("table_schema", schema.into()),
                ("table_name", table.into()),
                ("constraint_type", kind.into()),
                ("is_deferrable", "NO".into()),
                ("initially_deferred", "NO".into()),
            ],
        );
    }

    fn add_key_column(&mut self, schema: &str, table: &str, name: &str, column: &str, place: i64) {
        let database = self.context.database.clone();
        self.rows.add(
            "information_schema",
            "key_column_usage",
            [
                ("constraint_catalog", database.clone().into()),
                ("constraint_schema", schema.into()),
                ("constraint_name", name.into()),
                ("table_catalog", database.into()),
                ("table_schema", schema.into()),
                ("table_name", table.into()),
                ("column_name", column.into()),
                ("ordinal_position", place.into()),
            ],
        );
    }

    /// Foreign keys, where the person sees both ends: a name that they do not see is in none of the answers.
    pub(super) fn add_references(&mut self, listed: &[(&Relation, &str)]) {
        let mut places = HashMap::new();
        for (place, (relation, _)) in listed.iter().enumerate() {
            let name = (relation.source.as_str(), relation.schema.as_str(), relation.table.as_str());
            places.entry(name).or_insert(place);
        }
        let mut oid = FIRST_REFERENCE;
        for (at, (relation, schema)) in (0..).zip(listed) {
            for (place, column) in (1..).zip(&relation.columns) {
                let Some((other_schema, other_table, other_column)) = &column.references else { continue };
                let meant = (relation.source.as_str(), other_schema.as_str(), other_table.as_str());
                let Some(other) = places.get(&meant).copied() else { continue };
                let Some((target, target_schema)) = listed.get(other) else { continue };
                let found = target.columns.iter().position(|column| column.name == *other_column);
                let Some(found) = found.and_then(|found| i64::try_from(found).ok()) else { continue };
                let other = FIRST_RELATION + i64::try_from(other).unwrap_or(0);
                let name = format!("{}_{}_fkey", relation.table, column.name);
                oid += 1;
                let told = (oid, name.as_str(), "f", "FOREIGN KEY");
                let (keys, others) =
                    (Datum::List(vec![Datum::Int(place)]), Datum::List(vec![Datum::Int(found + 1)]));
                self.add_constraint(told, (FIRST_RELATION + at, FIRST_SCHEMA, 0, other), (keys, others));
                self.add_constraint_words(schema, &relation.table, &name, "FOREIGN KEY");
                self.add_key_column(schema, &relation.table, &name, &column.name, 1);
                let is_visible = self.schema.as_deref() == Some(*target_schema);
                let table = ident(&target.table);
                let table = if is_visible { table } else { format!("{}.{table}", ident(target_schema)) };
                let text = format!(
                    "FOREIGN KEY ({}) REFERENCES {table}({})",
                    ident(&column.name),
                    ident(other_column)
                );
                self.definitions.insert(oid, text);
            }
        }
    }
}

/// Adds a type, and that of its arrays.
pub(super) fn add_type(rows: &mut Rows, kind: PgType) {
    let category = match kind {
        PgType::Bool => "B",
        PgType::Int2
        | PgType::Int4
        | PgType::Int8
        | PgType::Float4
        | PgType::Float8
        | PgType::Numeric
        | PgType::Oid => "N",
        PgType::Text | PgType::Varchar | PgType::Bpchar | PgType::Name => "S",
        PgType::Date | PgType::Time | PgType::Timestamp | PgType::Timestamptz => "D",
        PgType::Interval => "T",
        _ => "U",
    };
    let collation = if category == "S" { COLLATION } else { 0 };
    let array = i64::from(kind.array());
    let mut add = |oid: i64, name: String, size: i64, category: &str, element: i64, array: i64| {
        rows.add(
            "pg_catalog",
            "pg_type",
            [
                ("oid", oid.into()),
                ("typname", name.clone().into()),
                ("typnamespace", PG_CATALOG.into()),
                ("typowner", OWNER.into()),
                ("typlen", size.into()),
                ("typtype", "b".into()),
                ("typcategory", category.into()),
                ("typisdefined", true.into()),
                ("typdelim", ",".into()),
                ("typelem", element.into()),
                ("typarray", array.into()),
                ("typinput", format!("{name}in").into()),
                ("typoutput", format!("{name}out").into()),
                ("typreceive", format!("{name}recv").into()),
                ("typsend", format!("{name}send").into()),
                ("typtypmod", (-1).into()),
                ("typcollation", collation.into()),
            ],
        );
    };
    add(kind.oid().into(), kind.name().to_owned(), kind.size().into(), category, 0, array);
    if array != 0 {
        add(array, format!("_{}", kind.name()), -1, "A", kind.oid().into(), 0);
    }
}
