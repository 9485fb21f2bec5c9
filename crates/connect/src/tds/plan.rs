//! How the columns of a relation are selected, read and compared.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};

use super::token::Raw;
use crate::error::SourceError;
use crate::filter::{Filter, Literal, decimal_text, to_sql};
use crate::rows::{Cell, Unfit};
use crate::wire::Bytes;

/// Values that one query may carry; the server takes 2,100.
const MOST_VALUES: usize = 2_000;
/// Days from 0001-01-01 and to 9999-12-31.
const DATES: std::ops::RangeInclusive<i32> = -719_162..=2_932_896;
/// Microseconds of a day.
const DAY: i64 = 86_400_000_000;

/// A relation whose columns are known.
pub(crate) struct Plan {
    pub(crate) schema: SchemaRef,
    columns: HashMap<String, PlannedColumn>,
}

/// One column.
#[derive(Clone, Debug)]
struct PlannedColumn {
    expression: String,
    compare: Compare,
}

/// What may be compared with it at the server, with the same outcome as here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Compare {
    NullOnly,
    Boolean,
    Int,
    UInt,
    Decimal(i8),
    Text,
    Bytes,
    Date,
    Timestamp,
}

/// A column as the information schema has it.
pub(super) struct Found {
    pub(super) name: String,
    pub(super) data_type: String,
    pub(super) nullable: bool,
    pub(super) precision: Option<i64>,
    pub(super) scale: Option<i64>,
    pub(super) fraction: Option<i64>,
}

impl Plan {
    /// A plan of columns. `truncate` cuts moments to microseconds, which are text otherwise where they are finer.
    pub(super) fn of(found: Vec<Found>, unfit: Unfit, truncate: bool) -> Self {
        let mut fields = Vec::new();
        let mut columns = HashMap::new();
        for found in found {
            let (data_type, expression, compare) = found.planned(truncate);
            let metadata = HashMap::from([("native".to_owned(), found.data_type.clone())]);
            let nullable = found.nullable || unfit == Unfit::Null;
            fields.push(Field::new(&found.name, data_type, nullable).with_metadata(metadata));
            columns.insert(found.name, PlannedColumn { expression, compare });
        }
        Self { schema: Arc::new(Schema::new(fields)), columns }
    }

    /// Which filters the server decides as they would be decided here.
    pub(super) fn applies(&self, filters: &[Filter]) -> Vec<bool> {
        let mut room = MOST_VALUES;
        let each = filters.iter().map(|filter| {
            let mut exact = true;
            let mut count = 0;
            filter.leaves(&mut |name, ordered, values| {
                let compare = self.columns.get(name).map(|column| column.compare);
                count += values.len();
                exact &=
                    compare.is_some_and(|compare| values.iter().all(|value| compare.takes(value, ordered)));
            });
            let fits = exact && count <= room;
            if fits {
                room -= count;
            }
            fits
        });
        each.collect()
    }

    /// The query that reads columns of a relation, and its parameters, all of them text.
    pub(super) fn query(
        &self,
        schema: &str,
        table: &str,
        wanted: &Schema,
        filters: &[Filter],
        limit: Option<usize>,
    ) -> (String, Vec<String>) {
        let list: Vec<&str> = wanted.fields().iter().map(|field| self.expression(field.name())).collect();
        let list = if list.is_empty() { "1".to_owned() } else { list.join(", ") };
        let top = limit.map(|limit| format!("TOP ({limit}) ")).unwrap_or_default();
        let mut query = format!("SELECT {top}{list} FROM {}.{}", identifier(schema), identifier(table));
        let mut parameters = Vec::new();
        let parts: Vec<String> =
            filters.iter().map(|filter| self.condition(filter, &mut parameters)).collect();
        if !parts.is_empty() {
            query.push_str(" WHERE ");
            query.push_str(&parts.join(" AND "));
        }
        (query, parameters)
    }

    fn expression(&self, name: &str) -> &str {
        self.columns.get(name).map_or("NULL", |column| column.expression.as_str())
    }

    fn condition(&self, filter: &Filter, parameters: &mut Vec<String>) -> String {
        let column = |name: &str, _: bool| {
            let expression = self.expression(name);
            match self.columns.get(name).map(|column| column.compare) {
                // Collations ignore case and accents, every comparison blanks and zeros at the end: a mark there keeps them.
                Some(Compare::Text) => format!("(({expression} + N'|') COLLATE Latin1_General_BIN2)"),
                Some(Compare::Bytes) => format!("({expression} + 0x01)"),
                _ => expression.to_owned(),
            }
        };
        to_sql(filter, &column, &mut |_, literal| {
            let (value, kind) = match literal {
                Literal::Boolean(value) => (u8::from(*value).to_string(), "bit".to_owned()),
                Literal::Int(value) => (value.to_string(), "bigint".to_owned()),
                Literal::UInt(value) => (value.to_string(), "bigint".to_owned()),
                Literal::Decimal { unscaled, scale } => {
                    (decimal_text(*unscaled, *scale), format!("decimal(38, {})", (*scale).max(0)))
                }
                Literal::Utf8(text) => (text.clone(), String::new()),
                Literal::Binary(bytes) => (hex::encode(bytes), String::new()),
                Literal::Date(days) => (date_text(*days), "date".to_owned()),
                Literal::Timestamp(moment) => (moment_text(*moment), "datetime2(6)".to_owned()),
            };
            parameters.push(value);
            let number = parameters.len();
            match literal {
                Literal::Utf8(_) => format!("(@p{number} + N'|')"),
                Literal::Binary(_) => format!("(CONVERT(varbinary(max), @p{number}, 2) + 0x01)"),
                _ => format!("CAST(@p{number} AS {kind})"),
            }
        })
    }
}

impl Compare {
    fn takes(self, literal: &Literal, ordered: bool) -> bool {
        match (self, literal) {
            (Self::Boolean, Literal::Boolean(_)) | (Self::Int, Literal::Int(_)) => true,
            (Self::UInt, Literal::UInt(value)) => i64::try_from(*value).is_ok(),
            (Self::Text, Literal::Utf8(text)) => !ordered && !text.contains('\0'),
            (Self::Bytes, Literal::Binary(_)) => !ordered,
            // Numbers of other scales are compared after rounding.
            (Self::Decimal(own), Literal::Decimal { unscaled, scale }) => {
                own == *scale && unscaled.unsigned_abs().to_string().len() <= 38
            }
            (Self::Date, Literal::Date(days)) => DATES.contains(days),
            (Self::Timestamp, Literal::Timestamp(moment)) => {
                i32::try_from(moment.div_euclid(DAY)).is_ok_and(|days| DATES.contains(&days))
            }
            _ => false,
        }
    }
}

fn date_text(days: i32) -> String {
    let date = jiff::civil::date(1970, 1, 1).checked_add(jiff::Span::new().days(days));
    date.map(|date| date.to_string()).unwrap_or_default()
}

fn moment_text(microseconds: i64) -> String {
    let moment = jiff::Timestamp::from_microsecond(microseconds).unwrap_or_default();
    moment.strftime("%Y-%m-%dT%H:%M:%S.%6f").to_string()
}

/// A name in a query.
pub(super) fn identifier(name: &str) -> String {
    format!("[{}]", name.replace(']', "]]"))
}

impl Found {
    fn planned(&self, truncate: bool) -> (DataType, String, Compare) {
        let plain = identifier(&self.name);
        let cast = |kind: &str| format!("CAST({plain} AS {kind})");
        let moment = DataType::Timestamp(TimeUnit::Microsecond, None);
        let fine = self.fraction.unwrap_or(7) > 6;
        match self.data_type.as_str() {
            "bit" => (DataType::Boolean, plain, Compare::Boolean),
            "tinyint" => (DataType::UInt8, plain, Compare::UInt),
            "smallint" => (DataType::Int16, plain, Compare::Int),
            "int" => (DataType::Int32, plain, Compare::Int),
            "bigint" => (DataType::Int64, plain, Compare::Int),
            "real" => (DataType::Float32, plain, Compare::NullOnly),
            "float" => (DataType::Float64, plain, Compare::NullOnly),
            "decimal" | "numeric" => {
                let precision = self.precision.and_then(|digits| u8::try_from(digits).ok()).unwrap_or(38);
                let scale = self.scale.and_then(|digits| i8::try_from(digits).ok()).unwrap_or(0);
                let (precision, scale) = (precision.clamp(1, 38), scale.clamp(0, 38));
                (DataType::Decimal128(precision, scale), plain, Compare::Decimal(scale))
            }
            "money" => (DataType::Decimal128(19, 4), cast("decimal(19, 4)"), Compare::Decimal(4)),
            "smallmoney" => (DataType::Decimal128(10, 4), cast("decimal(10, 4)"), Compare::Decimal(4)),
            "date" => (DataType::Date32, plain, Compare::Date),
            "smalldatetime" => (moment, cast("datetime2(0)"), Compare::Timestamp),
            "datetime" => (moment, cast("datetime2(3)"), Compare::Timestamp),
            "datetime2" if !fine => (moment, plain, Compare::Timestamp),
            // Cutting is not what CAST does, which rounds: the last digit is dropped here.
            "datetime2" if truncate => (moment, plain, Compare::NullOnly),
            "time" if !fine || truncate => {
                (DataType::Time64(TimeUnit::Microsecond), plain, Compare::NullOnly)
            }
            "datetime2" | "time" | "datetimeoffset" => {
                (DataType::Utf8, format!("CONVERT(nvarchar(40), {plain}, 121)"), Compare::NullOnly)
            }
            "char" | "varchar" | "text" | "nchar" | "nvarchar" | "ntext" => {
                (DataType::Utf8, cast("nvarchar(max)"), Compare::Text)
            }
            "xml" | "json" | "vector" => (DataType::Utf8, cast("nvarchar(max)"), Compare::NullOnly),
            "uniqueidentifier" => (DataType::Utf8, cast("nvarchar(36)"), Compare::NullOnly),
            "binary" | "varbinary" | "image" => (DataType::Binary, cast("varbinary(max)"), Compare::Bytes),
            "timestamp" | "rowversion" => (DataType::Binary, cast("varbinary(8)"), Compare::NullOnly),
            "hierarchyid" | "geometry" | "geography" => {
                (DataType::Utf8, format!("{plain}.ToString()"), Compare::NullOnly)
            }
            "sql_variant" => (DataType::Utf8, cast("nvarchar(4000)"), Compare::NullOnly),
            // Types of the user's own that are programs: their bytes.
            _ => (DataType::Binary, cast("varbinary(max)"), Compare::NullOnly),
        }
    }
}

/// The number of an integer of any width, the smallest of which has no sign.
pub(super) fn whole(bytes: &[u8]) -> Option<i64> {
    let mut bytes = Bytes(bytes);
    match bytes.len() {
        1 => bytes.u8().map(i64::from),
        2 => bytes.i16_le().map(i64::from),
        4 => bytes.i32_le().map(i64::from),
        8 => bytes.i64_le(),
        _ => None,
    }
}

/// The unscaled number of a decimal: its sign, then the magnitude.
pub(super) fn decimal(bytes: &[u8]) -> Option<i128> {
    let (sign, magnitude) = bytes.split_first()?;
    let mut wide = [0; 16];
    wide.get_mut(..magnitude.len())?.copy_from_slice(magnitude);
    let number = i128::from_le_bytes(wide);
    (number >= 0).then_some(if *sign == 0 { -number } else { number })
}

/// Days since 1970-01-01 of three bytes of days since 0001-01-01.
pub(super) fn days(bytes: &[u8]) -> Option<i32> {
    let [a, b, c] = *bytes else { return None };
    Some(i32::from_le_bytes([a, b, c, 0]) + DATES.start())
}

/// Microseconds of a time of day in units of a scale.
pub(super) fn time(bytes: &[u8], scale: u8) -> Option<i64> {
    let mut wide = [0; 8];
    wide.get_mut(..bytes.len())?.copy_from_slice(bytes);
    let units = i64::from_le_bytes(wide);
    let microseconds = match scale {
        7 => units / 10,
        0..=6 => units.checked_mul(10_i64.pow(6 - u32::from(scale)))?,
        _ => return None,
    };
    (0..DAY).contains(&microseconds).then_some(microseconds)
}

/// Gives the value of a column, as the schema has it, to a function.
pub(super) fn cell<R>(
    name: &str,
    kind: &DataType,
    scale: u8,
    raw: Raw<'_>,
    unfit: Unfit,
    then: impl FnOnce(Cell<'_>) -> Result<R, SourceError>,
) -> Result<R, SourceError> {
    let Some(bytes) = raw.bytes() else { return then(Cell::Null) };
    let text;
    let cell = match kind {
        DataType::Boolean => whole(&bytes).map(|number| Cell::Boolean(number != 0)),
        DataType::UInt8 => whole(&bytes).and_then(|number| number.try_into().ok()).map(Cell::UInt),
        DataType::Int16 | DataType::Int32 | DataType::Int64 => whole(&bytes).map(Cell::Int),
        DataType::Float32 => Bytes(&bytes).f32_le().map(|number| Cell::Float(number.into())),
        DataType::Float64 => Bytes(&bytes).f64_le().map(Cell::Float),
        DataType::Decimal128(..) => decimal(&bytes).map(Cell::Decimal128),
        DataType::Date32 => days(&bytes).map(Cell::Date),
        DataType::Time64(_) => time(&bytes, scale).map(Cell::Time),
        DataType::Timestamp(..) => {
            bytes.split_at_checked(bytes.len().wrapping_sub(3)).and_then(|(of_day, date)| {
                Some(Cell::Timestamp(i64::from(days(date)?) * DAY + time(of_day, scale)?))
            })
        }
        DataType::Binary => Some(Cell::Bytes(&bytes)),
        DataType::Utf8 => {
            let units: Vec<u16> = bytes.chunks_exact(2).filter_map(|unit| Bytes(unit).u16_le()).collect();
            match String::from_utf16(&units) {
                Ok(decoded) => {
                    text = decoded;
                    Some(Cell::Text(&text))
                }
                Err(_) => return then(unfit.cell(name, "text that is not Unicode")?),
            }
        }
        _ => None,
    };
    match cell {
        Some(cell) => then(cell),
        None => Err(SourceError::sent_mistyped(name)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_as_the_protocol_writes_them() {
        assert_eq!(days(&[0, 0, 0]), Some(*DATES.start()));
        assert_eq!(days(&719_162_u32.to_le_bytes()[..3]), Some(0));
        assert_eq!(time(&[1, 0, 0], 0), Some(1_000_000));
        assert_eq!(time(&[19, 0, 0, 0, 0], 7), Some(1));
        assert_eq!(time(&[0xff; 5], 7), None);
        assert_eq!(decimal(&[0, 5, 0, 0, 0]), Some(-5));
        assert_eq!(decimal(&[1; 18]), None);
        assert_eq!(whole(&[0xff]), Some(255));
        assert_eq!(whole(&[0xff, 0xff]), Some(-1));
        assert_eq!(moment_text(-1), "1969-12-31T23:59:59.999999");
        assert_eq!(identifier("a]b"), "[a]]b]");
    }
}
