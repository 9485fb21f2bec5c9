//! Columns as they are stored: JSON of one table, with short names and without what is usual.

use serde::{Deserialize, Serialize};
use tidegate_connect::{Column, ForeignKey, Table};

/// Longest name that is kept, in characters.
const MAX_NAME: usize = 512;
/// Longest type, default and comment.
const MAX_TEXT: usize = 2_000;
/// Most columns of a table that are kept.
pub(super) const MAX_COLUMNS: usize = 10_000;

/// A column of a discovered table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredColumn {
    /// As the source calls it.
    #[serde(rename = "n")]
    pub name: String,
    /// The source's own name of its type.
    #[serde(rename = "t")]
    pub type_name: String,
    /// From 1.
    #[serde(rename = "p")]
    pub position: u32,
    /// Whether it may be NULL.
    #[serde(rename = "z", default, skip_serializing_if = "is_false")]
    pub nullable: bool,
    /// Whether it is part of the primary key.
    #[serde(rename = "k", default, skip_serializing_if = "is_false")]
    pub primary_key: bool,
    /// Schema, table and column that it refers to.
    #[serde(rename = "f", default, skip_serializing_if = "Option::is_none")]
    pub foreign_key: Option<(String, String, String)>,
    /// Its default, as the source writes it.
    #[serde(rename = "d", default, skip_serializing_if = "Option::is_none")]
    pub default: Option<String>,
    /// What its owner says of it.
    #[serde(rename = "c", default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
const fn is_false(value: &bool) -> bool {
    !*value
}

/// A table to be stored.
#[derive(Clone, Debug)]
pub(super) struct NewTable {
    pub(super) place: i64,
    pub(super) name: String,
    pub(super) kind: &'static str,
    pub(super) row_count: Option<i64>,
    pub(super) comment: Option<String>,
    pub(super) columns: String,
}

/// A source's text as it is kept: PostgreSQL stores no NUL, and nobody needs a comment of a megabyte.
pub(super) fn kept(text: &str, longest: usize) -> String {
    text.chars().filter(|c| *c != '\0').take(longest).collect()
}

pub(super) fn kept_name(text: &str) -> String {
    kept(text, MAX_NAME)
}

impl From<Column> for StoredColumn {
    fn from(column: Column) -> Self {
        let text = |text: String| kept(&text, MAX_TEXT);
        Self {
            name: kept_name(&column.name),
            type_name: text(column.type_name),
            position: column.position,
            nullable: column.nullable,
            primary_key: column.primary_key,
            foreign_key: column.foreign_key.map(|ForeignKey { schema, table, column }| {
                (kept_name(&schema), kept_name(&table), kept_name(&column))
            }),
            default: column.default.map(text),
            comment: column.comment.map(text),
        }
    }
}

impl NewTable {
    /// A table at its place in its schema.
    pub(super) fn new(place: i64, table: Table) -> Result<Self, serde_json::Error> {
        let columns: Vec<StoredColumn> =
            table.columns.into_iter().take(MAX_COLUMNS).map(StoredColumn::from).collect();
        Ok(Self {
            place,
            name: kept_name(&table.name),
            kind: table.kind.as_str(),
            row_count: table.row_count,
            comment: table.comment.map(|text| kept(&text, MAX_TEXT)),
            columns: serde_json::to_string(&columns)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use tidegate_connect::TableKind;

    use super::*;

    #[test]
    fn columns_are_read_as_they_were_written_and_take_little_room() {
        let column = |name: &str| Column {
            name: name.to_owned(),
            type_name: "integer".to_owned(),
            position: 1,
            nullable: false,
            primary_key: false,
            foreign_key: None,
            default: None,
            comment: None,
        };
        let odd = Column {
            nullable: true,
            primary_key: true,
            foreign_key: Some(ForeignKey { schema: "s".into(), table: "t".into(), column: "c".into() }),
            default: Some("0\0".into()),
            comment: Some("é".repeat(5_000)),
            ..column("\"; drop\0 🦀")
        };
        let table = Table {
            name: "t".into(),
            kind: TableKind::View,
            row_count: None,
            comment: None,
            columns: vec![column("a"), odd],
        };
        let stored = NewTable::new(0, table).unwrap();
        let read: Vec<StoredColumn> = serde_json::from_str(&stored.columns).unwrap();
        assert!(stored.columns.starts_with(r#"[{"n":"a","t":"integer","p":1},"#), "{}", stored.columns);
        assert_eq!((read[1].name.as_str(), read[1].default.as_deref()), ("\"; drop 🦀", Some("0")));
        assert_eq!(read[1].comment.as_ref().unwrap().chars().count(), MAX_TEXT);
        assert!(read[1].nullable && read[1].primary_key && read[1].foreign_key.is_some());
    }
}
