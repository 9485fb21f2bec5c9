//! The columns of a relation by what is in them: SQLite's declared types promise nothing.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_schema::{DataType, Field, Schema, SchemaRef};
use sqlx::sqlite::{Sqlite, SqliteArguments, SqliteConnection, SqliteRow};
use sqlx::{AssertSqlSafe, Row, TypeInfo, ValueRef};

use super::failed;
use crate::error::{SourceError, quoted};
use crate::filter::{Filter, Literal, to_sql};
use crate::rows::{Batch, Cell};
use crate::source::Order;

/// Columns looked at in one query, of which each needs six results of at most 2,000.
const AT_ONCE: usize = 300;
/// Integers that a double holds are not larger.
const EXACT: i64 = 1 << 53;

/// A relation whose columns are known.
pub(crate) struct Plan {
    pub(crate) schema: SchemaRef,
    columns: HashMap<String, PlannedColumn>,
    utf8: bool,
}

/// How a column is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PlannedColumn {
    Int,
    Float,
    Text,
    Blob,
    /// Of several types, or empty: as text.
    Mixed,
}

/// A query and what is bound to it.
pub(crate) struct Query {
    text: String,
    parameters: Vec<Literal>,
}

impl Query {
    pub(crate) fn prepared(self) -> sqlx::query::Query<'static, Sqlite, SqliteArguments> {
        let mut query = sqlx::query(AssertSqlSafe(self.text));
        for parameter in self.parameters {
            query = match parameter {
                Literal::Int(value) => query.bind(value),
                Literal::Utf8(text) => query.bind(text),
                Literal::Binary(bytes) => query.bind(bytes),
                // No filter with another value is taken.
                _ => query.bind(None::<i64>),
            };
        }
        query
    }
}

pub(crate) fn no_relation(name: &str) -> SourceError {
    SourceError::changed(format!("The file has no table {}.", quoted(name)))
}

pub(crate) fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

impl Plan {
    /// Reads the relation once to see what is in its columns.
    pub(crate) async fn look_up(connection: &mut SqliteConnection, table: &str) -> Result<Self, SourceError> {
        let found =
            sqlx::query("SELECT name, type, \"notnull\" FROM pragma_table_xinfo(?) WHERE hidden <> 1")
                .bind(table)
                .fetch_all(&mut *connection)
                .await
                .map_err(|error| failed(&error))?;
        if found.is_empty() {
            return Err(no_relation(table));
        }
        let encoding: String = sqlx::query_scalar("PRAGMA encoding")
            .fetch_one(&mut *connection)
            .await
            .map_err(|error| failed(&error))?;
        let mut fields = Vec::new();
        let mut columns = HashMap::new();
        for some in found.chunks(AT_ONCE) {
            let names: Vec<String> = some
                .iter()
                .map(|row| row.try_get(0))
                .collect::<Result<_, _>>()
                .map_err(|error| failed(&error))?;
            let row = sqlx::query(AssertSqlSafe(census(table, &names)))
                .fetch_one(&mut *connection)
                .await
                .map_err(|error| failed(&error))?;
            for (index, name) in names.into_iter().enumerate() {
                let column = PlannedColumn::of(&row, index * 6).map_err(|error| failed(&error))?;
                let declared: String =
                    some.get(index).and_then(|row| row.try_get(1).ok()).unwrap_or_default();
                let metadata = HashMap::from([("native".to_owned(), declared.to_lowercase())]);
                fields.push(Field::new(&name, column.data_type(), true).with_metadata(metadata));
                columns.insert(name, column);
            }
        }
        Ok(Self { schema: Arc::new(Schema::new(fields)), columns, utf8: encoding == "UTF-8" })
    }

    pub(crate) fn project(
        &self,
        names: Option<&[String]>,
    ) -> Result<(SchemaRef, Vec<(String, PlannedColumn)>), SourceError> {
        let indices = crate::files::project(&self.schema, names)?;
        let schema = self
            .schema
            .project(&indices)
            .map_err(|error| SourceError::changed("No such columns.").with_detail(error))?;
        let columns = schema
            .fields()
            .iter()
            .filter_map(|field| Some((field.name().clone(), *self.columns.get(field.name())?)));
        let columns = columns.collect();
        Ok((Arc::new(schema), columns))
    }

    pub(crate) fn evaluates(&self, filter: &Filter) -> bool {
        let mut exact = true;
        filter.leaves(&mut |name, order, values| {
            let Some(column) = self.columns.get(name) else {
                exact = false;
                return;
            };
            exact &= values.iter().all(|value| match (column, value) {
                (PlannedColumn::Int, Literal::Int(_)) | (PlannedColumn::Blob, Literal::Binary(_)) => true,
                (PlannedColumn::Text, Literal::Utf8(_)) => self.utf8 || !order,
                _ => false,
            });
        });
        exact
    }

    /// Whether rows come into this order as they would here. Numbers with a fraction may be zeros with a sign.
    pub(crate) fn orders(&self, order: &[Order]) -> bool {
        order.iter().all(|key| match self.columns.get(&key.column) {
            Some(PlannedColumn::Int | PlannedColumn::Blob) => true,
            Some(PlannedColumn::Text) => self.utf8,
            Some(PlannedColumn::Float | PlannedColumn::Mixed) | None => false,
        })
    }

    /// The query that reads columns of a relation. Rows without columns are counted.
    pub(crate) fn query(
        &self,
        table: &str,
        columns: &[(String, PlannedColumn)],
        filters: &[&Filter],
        order: &[Order],
        limit: Option<usize>,
    ) -> Query {
        let list: Vec<String> = columns.iter().map(|(name, _)| identifier(name)).collect();
        let counted = list.is_empty();
        let list = if counted { "1".to_owned() } else { list.join(", ") };
        let mut text = format!("SELECT {list} FROM main.{}", identifier(table));
        let mut parameters = Vec::new();
        let column = |name: &str, _: bool| match self.columns.get(name) {
            // Without the affinity of the column, which would turn the text it is compared with into a number.
            Some(PlannedColumn::Text) => format!("CAST({} AS TEXT) COLLATE BINARY", identifier(name)),
            _ => identifier(name),
        };
        let parts: Vec<String> = filters
            .iter()
            .map(|filter| {
                to_sql(filter, &column, &mut |_, literal| {
                    parameters.push(literal.clone());
                    "?".to_owned()
                })
            })
            .collect();
        if !parts.is_empty() {
            text.push_str(" WHERE ");
            text.push_str(&parts.join(" AND "));
        }
        let keys: Vec<String> = order.iter().map(|key| self.ordered(key, table, filters)).collect();
        if !keys.is_empty() {
            text.push_str(" ORDER BY ");
            text.push_str(&keys.join(", "));
        }
        if let Some(limit) = limit {
            text.push_str(&format!(" LIMIT {limit}"));
        }
        if counted {
            text = format!("SELECT count(*) FROM ({text})");
        }
        Query { text, parameters }
    }

    fn ordered(&self, key: &Order, table: &str, filters: &[&Filter]) -> String {
        let value = format!("{}.{} COLLATE BINARY", identifier(table), identifier(&key.column));
        let direction = if key.descending { "DESC" } else { "ASC" };
        match key.nulls(&self.schema, filters.iter().copied()) {
            None => format!("{value} {direction}"),
            Some(true) => format!("{value} {direction} NULLS FIRST"),
            Some(false) => format!("{value} {direction} NULLS LAST"),
        }
    }
}

/// For each column: whether it has integers, reals, texts, blobs, and the largest and smallest integer.
fn census(table: &str, names: &[String]) -> String {
    let mut parts = Vec::new();
    for name in names {
        let column = identifier(name);
        for kind in ["integer", "real", "text", "blob"] {
            parts.push(format!("coalesce(max(typeof({column}) = '{kind}'), 0)"));
        }
        for end in ["max", "min"] {
            parts.push(format!("{end}(CASE WHEN typeof({column}) = 'integer' THEN {column} END)"));
        }
    }
    format!("SELECT {} FROM main.{}", parts.join(", "), identifier(table))
}

impl PlannedColumn {
    fn of(row: &SqliteRow, at: usize) -> Result<Self, sqlx::Error> {
        let has = |index: usize| row.try_get::<i64, _>(at + index).map(|flag| flag == 1);
        let end = |index: usize| row.try_get::<Option<i64>, _>(at + index);
        let exact = || -> Result<bool, sqlx::Error> {
            Ok(end(4)?.is_none_or(|most| most <= EXACT) && end(5)?.is_none_or(|least| least >= -EXACT))
        };
        Ok(match (has(0)?, has(1)?, has(2)?, has(3)?) {
            (true, false, false, false) => Self::Int,
            (false, true, false, false) => Self::Float,
            (true, true, false, false) if exact()? => Self::Float,
            (false, false, true, false) => Self::Text,
            (false, false, false, true) => Self::Blob,
            _ => Self::Mixed,
        })
    }

    fn data_type(self) -> DataType {
        match self {
            Self::Int => DataType::Int64,
            Self::Float => DataType::Float64,
            Self::Blob => DataType::Binary,
            Self::Text | Self::Mixed => DataType::Utf8,
        }
    }

    /// Appends the value of a row.
    pub(crate) fn append(
        self,
        name: &str,
        row: &SqliteRow,
        index: usize,
        batch: &mut Batch,
    ) -> Result<(), SourceError> {
        let error = |error: sqlx::Error| {
            SourceError::query(format!("A value of the column {} cannot be read.", quoted(name)))
                .with_detail(error)
        };
        let raw = row.try_get_raw(index).map_err(error)?;
        if raw.is_null() {
            return batch.append(index, Cell::Null);
        }
        match self {
            Self::Int => batch.append(index, Cell::Int(row.try_get_unchecked(index).map_err(error)?)),
            Self::Float => batch.append(index, Cell::Float(row.try_get_unchecked(index).map_err(error)?)),
            Self::Blob => {
                batch.append(index, Cell::Bytes(row.try_get_unchecked::<&[u8], _>(index).map_err(error)?))
            }
            Self::Text => {
                batch.append(index, Cell::Text(row.try_get_unchecked::<&str, _>(index).map_err(error)?))
            }
            Self::Mixed => {
                let text = text_of(row, index)?;
                batch.append(index, text.as_deref().map_or(Cell::Null, Cell::Text))
            }
        }
    }
}

/// A value of any type as text: blobs in hexadecimal digits after `\x`.
pub(crate) fn text_of(row: &SqliteRow, index: usize) -> Result<Option<String>, SourceError> {
    let raw = row.try_get_raw(index).map_err(|error| failed(&error))?;
    if raw.is_null() {
        return Ok(None);
    }
    let kind = raw.type_info().name().to_owned();
    let text = match kind.as_str() {
        "INTEGER" => row.try_get_unchecked::<i64, _>(index).map(|number| number.to_string()),
        "REAL" => row.try_get_unchecked::<f64, _>(index).map(|number| number.to_string()),
        "BLOB" => row.try_get_unchecked::<&[u8], _>(index).map(|bytes| format!("\\x{}", hex::encode(bytes))),
        _ => row.try_get_unchecked::<String, _>(index),
    };
    text.map(Some).map_err(|error| failed(&error))
}
