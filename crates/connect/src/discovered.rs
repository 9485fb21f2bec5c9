//! What discovery finds.

use std::future::ready;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use crate::error::SourceError;

/// Bytes of rows of a catalogue that discovery holds at most: two million columns without comments.
const MOST: usize = 512 << 20;
/// What a row costs besides its texts.
const ROW: usize = 256;
/// Relations of a source that are found page by page, at most.
const RELATIONS: usize = 100_000;

/// Counts what a discovery holds: a server may answer without end.
pub(crate) struct Room(usize);

impl Default for Room {
    fn default() -> Self {
        Self(MOST)
    }
}

impl Room {
    /// Makes room for a row of so many bytes.
    pub(crate) fn take(&mut self, bytes: usize) -> Result<(), SourceError> {
        let left = self.0.checked_sub(bytes.saturating_add(ROW));
        self.0 = left.ok_or_else(too_much)?;
        Ok(())
    }
}

/// Refuses more relations than are kept.
pub(crate) fn few<T>(found: &[T]) -> Result<(), SourceError> {
    if found.len() > RELATIONS { Err(too_much()) } else { Ok(()) }
}

fn too_much() -> SourceError {
    SourceError::query("The data source has more than can be discovered at once; name a schema.")
}

/// Schemas of a source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Discovered {
    pub schemas: Vec<Schema>,
}

/// Takes what a discovery finds, piece by piece. What it refuses ends the discovery.
pub trait Finds: Send {
    /// A schema, of which the tables follow.
    fn schema(&mut self, name: String) -> BoxFuture<'_, Result<(), SourceError>>;

    /// A table of the schema that came last.
    fn table(&mut self, table: Table) -> BoxFuture<'_, Result<(), SourceError>>;
}

/// Gathers everything.
impl Finds for Discovered {
    fn schema(&mut self, name: String) -> BoxFuture<'_, Result<(), SourceError>> {
        self.schemas.push(Schema { name, tables: Vec::new() });
        ready(Ok(())).boxed()
    }

    fn table(&mut self, table: Table) -> BoxFuture<'_, Result<(), SourceError>> {
        if let Some(schema) = self.schemas.last_mut() {
            schema.tables.push(table);
        }
        ready(Ok(())).boxed()
    }
}

impl Discovered {
    /// Hands everything on.
    pub(crate) async fn hand_on(self, finds: &mut dyn Finds) -> Result<(), SourceError> {
        for Schema { name, tables } in self.schemas {
            finds.schema(name).await?;
            for table in tables {
                finds.table(table).await?;
            }
        }
        Ok(())
    }
}

/// A schema, a database of servers without schemas, or the one nameless place of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schema {
    pub name: String,
    pub tables: Vec<Table>,
}

/// A relation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    pub name: String,
    pub kind: TableKind,
    /// As the source estimates it; `None` where it does not.
    pub row_count: Option<i64>,
    pub comment: Option<String>,
    pub columns: Vec<Column>,
}

/// The contract's `table_type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableKind {
    BaseTable,
    View,
    Collection,
    File,
}

impl TableKind {
    /// As the contract writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BaseTable => "BASE TABLE",
            Self::View => "VIEW",
            Self::Collection => "COLLECTION",
            Self::File => "FILE",
        }
    }
}

/// A column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    pub name: String,
    /// The source's own name of the type, such as `character varying(255)`.
    pub type_name: String,
    /// From 1.
    pub position: u32,
    pub nullable: bool,
    pub primary_key: bool,
    pub foreign_key: Option<ForeignKey>,
    pub default: Option<String>,
    pub comment: Option<String>,
}

impl Column {
    /// A column of which only name and type are known.
    pub(crate) fn plain(name: impl Into<String>, type_name: impl Into<String>, position: usize) -> Self {
        Self {
            name: name.into(),
            type_name: type_name.into(),
            position: u32::try_from(position).unwrap_or(u32::MAX),
            nullable: true,
            primary_key: false,
            foreign_key: None,
            default: None,
            comment: None,
        }
    }
}

/// The column that a foreign key names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForeignKey {
    pub schema: String,
    pub table: String,
    pub column: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_catalogue_without_end_is_refused() {
        let mut room = Room::default();
        let rows = (0..).take_while(|_| room.take(1_000).is_ok()).count();
        assert_eq!(rows, MOST / (1_000 + ROW));
        assert!(Room::default().take(usize::MAX).is_err());
        assert!(few(&[(); RELATIONS]).is_ok() && few(&[(); RELATIONS + 1]).is_err());
    }

    #[tokio::test]
    async fn what_is_handed_on_is_what_was_found() {
        let table = |name: &str| Table {
            name: name.to_owned(),
            kind: TableKind::View,
            row_count: None,
            comment: None,
            columns: vec![Column::plain("a", "text", 1)],
        };
        let schema = |name: &str, tables: Vec<Table>| Schema { name: name.to_owned(), tables };
        let schemas = vec![
            schema("one", vec![table("a"), table("b")]),
            schema("none", Vec::new()),
            schema("two", vec![table("a")]),
        ];
        let found = Discovered { schemas };
        let mut gathered = Discovered::default();
        found.clone().hand_on(&mut gathered).await.unwrap();
        assert_eq!(gathered, found);
    }
}
