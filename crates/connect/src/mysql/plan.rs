//! How the columns of a relation are selected, read and compared.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_buffer::i256;
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Row, Value};

use super::connect::Connector;
use crate::error::SourceError;
use crate::filter::{Filter, Literal, decimal_text, to_sql};
use crate::rows::{Cell, Unfit};
use crate::source::{Order, Relation};

/// Days from 1000-01-01 and to 9999-12-31: the dates that the server promises to know.
const DATES: std::ops::RangeInclusive<i32> = -354_285..=2_932_896;

/// A relation whose columns are known.
pub(crate) struct Plan {
    pub(crate) schema: SchemaRef,
    columns: HashMap<String, PlannedColumn>,
}

/// One column.
#[derive(Clone, Debug)]
pub(crate) struct PlannedColumn {
    expression: String,
    data_type: DataType,
    compare: Compare,
}

/// What may be compared with it at the server, with the same outcome as here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Compare {
    Nothing,
    NullOnly,
    Int,
    UInt,
    Decimal,
    Text,
    Bytes,
    Date,
    Timestamp,
}

const COLUMNS: &str = "SELECT table_name, column_name, data_type, column_type, is_nullable, \
    CAST(numeric_precision AS SIGNED), CAST(numeric_scale AS SIGNED) FROM information_schema.columns \
    WHERE table_schema = ? AND table_name = ? ORDER BY ordinal_position";

impl Plan {
    /// Looks the columns of a relation up.
    pub(crate) async fn look_up(
        connector: &Connector,
        conn: &mut Conn,
        relation: &Relation,
        unfit: Unfit,
    ) -> Result<Self, SourceError> {
        let schema = relation.schema.as_deref().unwrap_or(&connector.database);
        let found: Vec<Row> =
            conn.exec(COLUMNS, (schema, &relation.table)).await.map_err(|error| connector.error(&error))?;
        let mut fields = Vec::new();
        let mut columns = HashMap::new();
        for row in found {
            // The server may compare names without regard to case; the relation is the one of exactly this name.
            let Some(found) = Found::of(&row).filter(|found| found.table == relation.table) else { continue };
            let column = found.planned(unfit);
            let metadata = HashMap::from([("native".to_owned(), found.column_type)]);
            let nullable = found.nullable || unfit == Unfit::Null;
            fields.push(Field::new(&found.name, column.data_type.clone(), nullable).with_metadata(metadata));
            columns.insert(found.name, column);
        }
        if fields.is_empty() {
            return Err(SourceError::no_relation(&relation.table));
        }
        Ok(Self { schema: Arc::new(Schema::new(fields)), columns })
    }

    /// How the columns of a projection are read.
    pub(crate) fn columns_of(&self, schema: &Schema) -> Vec<(String, PlannedColumn)> {
        let columns = schema.fields().iter().filter_map(|field| {
            let column = self.columns.get(field.name())?;
            Some((field.name().clone(), column.clone()))
        });
        columns.collect()
    }

    /// Whether the server decides a filter as it would be decided here.
    pub(crate) fn evaluates(&self, filter: &Filter) -> bool {
        let mut exact = true;
        filter.leaves(&mut |name, _, values| {
            let compare = self.columns.get(name).map_or(Compare::Nothing, |column| column.compare);
            // The server takes the date of zeros for NULL, if its column has none.
            let is_about_null = values.is_empty() && matches!(compare, Compare::Date | Compare::Timestamp);
            exact &= compare != Compare::Nothing
                && !is_about_null
                && values.iter().all(|value| compare.takes(value));
        });
        exact
    }

    /// Whether the server puts rows into this order as they would be here. Of texts and bytes it compares the beginnings.
    pub(crate) fn orders(&self, order: &[Order]) -> bool {
        order
            .iter()
            .all(|key| self.columns.get(&key.column).is_some_and(|column| column.compare.is_ordered()))
    }

    /// The query that reads columns of a relation, and its parameters. Rows without columns are counted.
    pub(crate) fn query(
        &self,
        (schema, table): (&str, &str),
        columns: &[(String, PlannedColumn)],
        filters: &[Filter],
        order: &[Order],
        limit: Option<usize>,
    ) -> (String, Vec<Value>) {
        let list: Vec<&str> = columns.iter().map(|(_, column)| column.expression.as_str()).collect();
        let counted = list.is_empty();
        let list = if counted { "1".to_owned() } else { list.join(", ") };
        let mut query = format!("SELECT {list} FROM {}.{}", identifier(schema), identifier(table));
        let mut parameters = Vec::new();
        let parts: Vec<String> =
            filters.iter().map(|filter| self.condition(filter, &mut parameters)).collect();
        if !parts.is_empty() {
            query.push_str(" WHERE ");
            query.push_str(&parts.join(" AND "));
        }
        if !order.is_empty() {
            let keys: Vec<String> = order.iter().map(|key| self.ordered(key, table, filters)).collect();
            query.push_str(" ORDER BY ");
            query.push_str(&keys.join(", "));
        }
        if let Some(limit) = limit {
            query.push_str(&format!(" LIMIT {limit}"));
        }
        if counted {
            query = format!("SELECT COUNT(*) FROM ({query}) AS `counted`");
        }
        (query, parameters)
    }

    fn ordered(&self, key: &Order, table: &str, filters: &[Filter]) -> String {
        let Some(column) = self.columns.get(&key.column) else { return "NULL".to_owned() };
        let name = identifier(&key.column);
        // A name alone would be one of what is selected.
        let value = if column.expression == name {
            format!("{}.{name}", identifier(table))
        } else {
            column.expression.clone()
        };
        let direction = if key.descending { "DESC" } else { "ASC" };
        // The server has no words for it: its NULLs are smaller than all values.
        match key.nulls(&self.schema, filters) {
            Some(true) if key.descending => format!("({value} IS NULL) DESC, {value} {direction}"),
            Some(false) if !key.descending => format!("({value} IS NULL) ASC, {value} {direction}"),
            _ => format!("{value} {direction}"),
        }
    }

    fn condition(&self, filter: &Filter, parameters: &mut Vec<Value>) -> String {
        let column = |name: &str, _: bool| match self.columns.get(name) {
            // Collations of the server ignore case, accents and blanks at the end; bytes do not.
            Some(column) if column.compare == Compare::Text => {
                format!("CAST(CONVERT({} USING utf8mb4) AS BINARY)", column.expression)
            }
            Some(column) => column.expression.clone(),
            None => "NULL".to_owned(),
        };
        to_sql(filter, &column, &mut |_, literal| {
            let (value, text) = match literal {
                Literal::Boolean(value) => (Value::from(*value), "?".to_owned()),
                Literal::Int(value) => (Value::from(*value), "?".to_owned()),
                Literal::UInt(value) => (Value::from(*value), "?".to_owned()),
                Literal::Decimal { unscaled, scale } => {
                    let text = format!("CAST(? AS DECIMAL(65, {}))", (*scale).max(0));
                    (Value::from(decimal_text(*unscaled, *scale)), text)
                }
                Literal::Utf8(text) => (Value::from(text.as_str()), "CAST(? AS BINARY)".to_owned()),
                Literal::Binary(bytes) => (Value::from(bytes.as_slice()), "CAST(? AS BINARY)".to_owned()),
                Literal::Date(days) => (Value::from(date_text(*days)), "CAST(? AS DATE)".to_owned()),
                Literal::Timestamp(moment) => {
                    (Value::from(moment_text(*moment)), "CAST(? AS DATETIME(6))".to_owned())
                }
            };
            parameters.push(value);
            text
        })
    }
}

fn date_text(days: i32) -> String {
    let date = jiff::civil::date(1970, 1, 1).checked_add(jiff::Span::new().days(days));
    date.map(|date| date.to_string()).unwrap_or_default()
}

fn moment_text(microseconds: i64) -> String {
    let moment = jiff::Timestamp::from_microsecond(microseconds).unwrap_or_default();
    moment.strftime("%Y-%m-%d %H:%M:%S.%6f").to_string()
}

impl Compare {
    fn is_ordered(self) -> bool {
        matches!(self, Self::Int | Self::UInt | Self::Decimal | Self::Date | Self::Timestamp)
    }

    fn takes(self, literal: &Literal) -> bool {
        match (self, literal) {
            (Self::Int, Literal::Int(_)) | (Self::UInt, Literal::UInt(_)) => true,
            (Self::Text, Literal::Utf8(_)) | (Self::Bytes, Literal::Binary(_)) => true,
            (Self::Decimal, Literal::Decimal { scale, .. }) => (0..=30).contains(scale),
            (Self::Date, Literal::Date(days)) => DATES.contains(days),
            (Self::Timestamp, Literal::Timestamp(moment)) => {
                i32::try_from(moment.div_euclid(86_400_000_000)).is_ok_and(|days| DATES.contains(&days))
            }
            _ => false,
        }
    }
}

/// A name in a query.
pub(crate) fn identifier(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// A column as the information schema has it.
struct Found {
    table: String,
    name: String,
    data_type: String,
    column_type: String,
    nullable: bool,
    precision: Option<i64>,
    scale: Option<i64>,
}

impl Found {
    fn of(row: &Row) -> Option<Self> {
        Some(Self {
            table: row.get_opt(0)?.ok()?,
            name: row.get_opt(1)?.ok()?,
            data_type: row.get_opt::<String, _>(2)?.ok()?.to_lowercase(),
            column_type: row.get_opt(3)?.ok()?,
            nullable: row.get_opt::<String, _>(4)?.ok()? == "YES",
            precision: row.get_opt::<Option<i64>, _>(5)?.ok()?,
            scale: row.get_opt::<Option<i64>, _>(6)?.ok()?,
        })
    }

    fn planned(&self, unfit: Unfit) -> PlannedColumn {
        let plain = identifier(&self.name);
        let unsigned = self.column_type.to_lowercase().contains("unsigned");
        let whole = |signed: DataType, without: DataType| match unsigned {
            true => (without, Compare::UInt),
            false => (signed, Compare::Int),
        };
        let microsecond = TimeUnit::Microsecond;
        let dated = |compare| if unfit == Unfit::Null { Compare::Nothing } else { compare };
        let (data_type, compare) = match self.data_type.as_str() {
            "tinyint" => whole(DataType::Int8, DataType::UInt8),
            "smallint" => whole(DataType::Int16, DataType::UInt16),
            "mediumint" | "int" | "integer" => whole(DataType::Int32, DataType::UInt32),
            "bigint" => whole(DataType::Int64, DataType::UInt64),
            "year" => (DataType::UInt16, Compare::UInt),
            "float" => (DataType::Float32, Compare::NullOnly),
            "double" | "real" => (DataType::Float64, Compare::NullOnly),
            "decimal" | "numeric" => self.decimal(),
            "date" => (DataType::Date32, dated(Compare::Date)),
            "datetime" => (DataType::Timestamp(microsecond, None), dated(Compare::Timestamp)),
            "timestamp" => (DataType::Timestamp(microsecond, Some("UTC".into())), dated(Compare::Timestamp)),
            "char" | "varchar" | "tinytext" | "text" | "mediumtext" | "longtext" | "enum" | "set" => {
                (DataType::Utf8, Compare::Text)
            }
            "binary" | "varbinary" | "tinyblob" | "blob" | "mediumblob" | "longblob" => {
                (DataType::Binary, Compare::Bytes)
            }
            "bit" => (DataType::UInt64, Compare::NullOnly),
            other => {
                let expression = match other {
                    "geometry" | "point" | "linestring" | "polygon" | "multipoint" | "multilinestring"
                    | "multipolygon" | "geometrycollection" | "geomcollection" => {
                        format!("ST_AsText({plain})")
                    }
                    // JSON, times (up to 838 hours), addresses, UUIDs and what is not known: their own text.
                    _ => format!("CAST({plain} AS CHAR)"),
                };
                return PlannedColumn { expression, data_type: DataType::Utf8, compare: Compare::NullOnly };
            }
        };
        let expression = match self.data_type.as_str() {
            "year" => format!("CAST({plain} AS UNSIGNED)"),
            _ => plain,
        };
        PlannedColumn { expression, data_type, compare }
    }

    fn decimal(&self) -> (DataType, Compare) {
        let precision = self.precision.and_then(|digits| u8::try_from(digits).ok()).unwrap_or(65);
        let scale = self.scale.and_then(|digits| i8::try_from(digits).ok()).unwrap_or(30);
        let data_type = match precision {
            1..=38 => DataType::Decimal128(precision, scale),
            _ => DataType::Decimal256(precision.clamp(1, 76), scale),
        };
        (data_type, Compare::Decimal)
    }
}

impl PlannedColumn {
    /// The value that the server sent for it.
    pub(crate) fn cell<'a>(
        &self,
        name: &str,
        value: &'a Value,
        unfit: Unfit,
    ) -> Result<Cell<'a>, SourceError> {
        let cell = match (value, &self.data_type) {
            (Value::NULL, _) => Some(Cell::Null),
            (Value::Bytes(bytes), DataType::Utf8) => match std::str::from_utf8(bytes) {
                Ok(text) => Some(Cell::Text(text)),
                Err(_) => return unfit.cell(name, "text that is not UTF-8"),
            },
            (Value::Bytes(bytes), DataType::Binary) => Some(Cell::Bytes(bytes)),
            (Value::Bytes(bytes), DataType::Decimal128(_, scale)) => {
                digits(bytes, *scale).and_then(|text| text.parse().ok()).map(Cell::Decimal128)
            }
            (Value::Bytes(bytes), DataType::Decimal256(_, scale)) => {
                digits(bytes, *scale).and_then(|text| i256::from_string(&text)).map(Cell::Decimal256)
            }
            // Bits come as bytes, the highest first.
            (Value::Bytes(bytes), DataType::UInt64) if bytes.len() <= 8 => {
                Some(Cell::UInt(bytes.iter().fold(0, |bits, byte| bits << 8 | u64::from(*byte))))
            }
            (
                Value::Int(number),
                DataType::UInt8 | DataType::UInt16 | DataType::UInt32 | DataType::UInt64,
            ) => u64::try_from(*number).ok().map(Cell::UInt),
            (Value::Int(number), _) => Some(Cell::Int(*number)),
            (Value::UInt(number), DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64) => {
                i64::try_from(*number).ok().map(Cell::Int)
            }
            (Value::UInt(number), _) => Some(Cell::UInt(*number)),
            (Value::Float(number), _) => Some(Cell::Float((*number).into())),
            (Value::Double(number), _) => Some(Cell::Float(*number)),
            (Value::Date(..), kind) => match moment(value) {
                None => return unfit.cell(name, "a date with zeros"),
                Some(moment) if *kind == DataType::Date32 => {
                    crate::files::days(moment.date()).map(Cell::Date)
                }
                Some(moment) => crate::files::microseconds(moment).map(Cell::Timestamp),
            },
            _ => None,
        };
        cell.ok_or_else(|| SourceError::sent_mistyped(name))
    }
}

/// A date that has no zeros in it.
fn moment(value: &Value) -> Option<jiff::civil::DateTime> {
    let Value::Date(year, month, day, hour, minute, second, micro) = value else { return None };
    let part = |part: &u8| i8::try_from(*part).ok();
    let nanoseconds = i32::try_from(*micro).ok()?.checked_mul(1_000)?;
    let year = i16::try_from(*year).ok().filter(|year| *year > 0)?;
    let (hour, minute, second) = (part(hour)?, part(minute)?, part(second)?);
    jiff::civil::DateTime::new(year, part(month)?, part(day)?, hour, minute, second, nanoseconds).ok()
}

/// The digits of a decimal at a scale, without the point.
fn digits(text: &[u8], scale: i8) -> Option<String> {
    let text = std::str::from_utf8(text).ok()?;
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let scale = usize::try_from(scale).ok()?;
    let kept = fraction.get(..scale.min(fraction.len()))?;
    let rest = fraction.get(kept.len()..)?;
    let exact = rest.bytes().all(|digit| digit == b'0');
    exact.then(|| format!("{whole}{kept:0<scale$}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_keep_their_digits() {
        assert_eq!(digits(b"-12.5", 2).as_deref(), Some("-1250"));
        assert_eq!(digits(b"12", 2).as_deref(), Some("1200"));
        assert_eq!(digits(b"12.500", 1).as_deref(), Some("125"));
        assert_eq!(digits(b"12.55", 1), None);
        assert_eq!(digits(b"7", 0).as_deref(), Some("7"));
    }

    #[test]
    fn dates_are_written_as_the_server_reads_them() {
        assert_eq!(date_text(-1), "1969-12-31");
        assert_eq!(moment_text(1_500_000), "1970-01-01 00:00:01.500000");
        assert_eq!(moment_text(-1), "1969-12-31 23:59:59.999999");
        let first = jiff::civil::date(1000, 1, 1);
        assert_eq!(crate::files::days(first), Some(*DATES.start()));
    }
}
