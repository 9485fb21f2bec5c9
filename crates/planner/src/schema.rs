//! What a person may see of a data source: the planner knows nothing else, so it can name nothing else.

use serde::{Deserialize, Serialize};

/// Tables the person may see, with the columns they may see.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Schema {
    pub tables: Vec<Table>,
    /// Words of the source's own glossary.
    #[serde(default)]
    pub glossary: Vec<Term>,
}

/// One table or view.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Table {
    /// The name as SQL has it, outermost part first: catalog, schema, table. The last part is the table's name.
    pub path: Vec<String>,
    #[serde(default)]
    pub comment: Option<String>,
    pub columns: Vec<Column>,
    #[serde(default)]
    pub primary_key: Vec<String>,
    #[serde(default)]
    pub foreign_keys: Vec<ForeignKey>,
    /// Estimated number of rows.
    #[serde(default)]
    pub rows: Option<u64>,
}

/// One column.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Column {
    pub name: String,
    pub kind: Kind,
    #[serde(default)]
    pub nullable: bool,
    /// The type is only declared, and the engine reads what is in the column: dates of SQLite are text to it.
    #[serde(default)]
    pub untyped: bool,
    /// Free text. What follows "Also called" are names of the column.
    #[serde(default)]
    pub comment: Option<String>,
}

/// What a column holds, as far as questions differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Text,
    Integer,
    Decimal,
    Double,
    Boolean,
    Date,
    /// A date and time without a zone: the clock on the wall.
    Timestamp,
    /// A point in time: read in the person's zone.
    Instant,
    /// Lists, structures, bytes: shown, never asked about.
    Other,
}

/// Columns that name a row of another table.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ForeignKey {
    pub columns: Vec<String>,
    /// Path of the table referred to.
    pub table: Vec<String>,
    pub references: Vec<String>,
}

/// A word of a glossary: other words for a table, or for a column of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Term {
    pub phrase: String,
    pub table: Vec<String>,
    #[serde(default)]
    pub column: Option<String>,
}

/// A column by its place in the schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ColumnId {
    pub table: usize,
    pub column: usize,
}

impl Table {
    /// The table's own name, without catalog and schema.
    pub fn name(&self) -> &str {
        self.path.last().map_or("", String::as_str)
    }

    /// Whether a column belongs to the primary key or to a foreign one.
    pub fn is_key(&self, column: &str) -> bool {
        self.primary_key.iter().any(|key| key == column)
            || self.foreign_keys.iter().any(|key| key.columns.iter().any(|each| each == column))
    }

    /// Whether the source says of columns whether they may be empty. One that says it of none beside the key, such as a file, says nothing.
    pub fn tells_nulls(&self) -> bool {
        self.columns.iter().any(|column| !column.nullable && !self.primary_key.contains(&column.name))
    }

    /// The place of a column.
    pub fn position(&self, column: &str) -> Option<usize> {
        self.columns.iter().position(|each| each.name == column)
    }
}

impl Schema {
    /// A table by its place.
    pub fn table(&self, at: usize) -> Option<&Table> {
        self.tables.get(at)
    }

    /// A column by its place.
    pub fn column(&self, id: ColumnId) -> Option<&Column> {
        self.tables.get(id.table)?.columns.get(id.column)
    }

    /// The place of the table with this path.
    pub fn find(&self, path: &[String]) -> Option<usize> {
        self.tables.iter().position(|table| table.path == path)
    }
}

impl Kind {
    /// Whether it can be added and averaged.
    pub fn is_number(self) -> bool {
        matches!(self, Self::Integer | Self::Decimal | Self::Double)
    }

    /// Whether it lies in time.
    pub fn is_time(self) -> bool {
        matches!(self, Self::Date | Self::Timestamp | Self::Instant)
    }
}
