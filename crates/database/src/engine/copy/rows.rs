//! Rows on their way from one engine to the other.

use sqlx::Row;
use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use uuid::Uuid;

use super::columns::{Kind, Table};
use crate::Result;

/// Most rows that are inserted with one statement.
const MOST_ROWS: usize = 200;
/// About the most bytes of them: a row may hold a document of a mebibyte.
const MOST_BYTES: usize = 4 << 20;

/// A value of a row.
#[derive(Debug)]
pub(super) enum Cell {
    Number(Option<i64>),
    Flag(Option<bool>),
    Text(Option<String>),
    Json(Option<String>),
    Key(Option<Uuid>),
    Bytes(Option<Vec<u8>>),
}

/// Rows that are inserted together.
#[derive(Debug, Default)]
pub(super) struct Batch {
    rows: Vec<Vec<Cell>>,
    bytes: usize,
}

impl Cell {
    pub(super) fn of_sqlite(table: &Table, row: &SqliteRow) -> Result<Vec<Self>> {
        let cells = table.columns.iter().enumerate();
        let cells = cells.map(|(place, column)| {
            // Unchecked: the values are those of the kind, whatever the column is declared as.
            Ok(match column.kind {
                Kind::Number => Self::Number(row.try_get_unchecked(place)?),
                Kind::Flag => Self::Flag(row.try_get_unchecked(place)?),
                Kind::Text => Self::Text(row.try_get_unchecked(place)?),
                Kind::Json => Self::Json(row.try_get_unchecked(place)?),
                Kind::Key => Self::Key(row.try_get_unchecked(place)?),
                Kind::Bytes => Self::Bytes(row.try_get_unchecked(place)?),
            })
        });
        cells.collect()
    }

    pub(super) fn of_postgres(table: &Table, row: &PgRow) -> Result<Vec<Self>> {
        let cells = table.columns.iter().enumerate();
        let cells = cells.map(|(place, column)| {
            Ok(match column.kind {
                Kind::Number => Self::Number(row.try_get(place)?),
                Kind::Flag => Self::Flag(row.try_get(place)?),
                Kind::Text => Self::Text(row.try_get(place)?),
                Kind::Json => Self::Json(row.try_get(place)?),
                Kind::Key => Self::Key(row.try_get(place)?),
                Kind::Bytes => Self::Bytes(row.try_get(place)?),
            })
        });
        cells.collect()
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Number(_) | Self::Flag(_) | Self::Key(_) => 16,
            Self::Text(text) | Self::Json(text) => text.as_ref().map_or(0, String::len),
            Self::Bytes(bytes) => bytes.as_ref().map_or(0, Vec::len),
        }
    }
}

impl Batch {
    pub(super) fn push(&mut self, row: Vec<Cell>) {
        self.bytes += row.iter().map(Cell::bytes).sum::<usize>();
        self.rows.push(row);
    }

    pub(super) fn is_full(&self) -> bool {
        self.rows.len() >= MOST_ROWS || self.bytes >= MOST_BYTES
    }

    /// The rows; none are left.
    pub(super) fn take(&mut self) -> Vec<Vec<Cell>> {
        std::mem::take(self).rows
    }
}
