//! Columns of batches as values of rows.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Float32Type, Float64Type, Int16Type, Int32Type, Int64Type, IntervalMonthDayNanoType,
    Time64MicrosecondType, TimestampMicrosecondType,
};
use arrow_array::{Array, ArrayRef, RecordBatch, StringArray};
use arrow_cast::cast;
use arrow_cast::display::{ArrayFormatter, FormatOptions};
use arrow_schema::{DataType, Field, IntervalUnit, SchemaRef, TimeUnit};
use bytes::{BufMut, BytesMut};

use super::oids::PgType;
use super::{binary, days};
use crate::protocol::backend::Column;
use crate::protocol::problem::Problem;

/// Seconds and microseconds from 1970 to 2000.
const EPOCH_MICROS: i64 = days::EPOCH_DAYS * days::DAY;

/// A column as clients are told of it. A list of values that PostgreSQL has arrays of is an array.
pub(crate) fn described(field: &Field) -> Column {
    let kind = field.data_type();
    let (oid, size) = match elements(kind) {
        Some(inner) => (inner.array(), -1),
        None => (PgType::of(kind).oid(), PgType::of(kind).size()),
    };
    Column { name: field.name().clone(), oid, size, modifier: PgType::modifier(kind), is_binary: false }
}

/// All columns of an answer.
pub(crate) fn described_all(schema: &SchemaRef) -> Vec<Column> {
    schema.fields().iter().map(|field| described(field)).collect()
}

/// The type of the elements of a list, where PostgreSQL has arrays of it.
fn elements(kind: &DataType) -> Option<PgType> {
    match kind {
        DataType::List(field) | DataType::LargeList(field) | DataType::FixedSizeList(field, _) => {
            let inner = PgType::of(field.data_type());
            (inner != PgType::Json).then_some(inner)
        }
        _ => None,
    }
}

/// A batch, ready to be written row by row.
pub(crate) struct Encoded {
    columns: Vec<Values>,
    pub(crate) rows: usize,
}

struct Values {
    array: ArrayRef,
    kind: Kind,
    is_binary: bool,
}

/// How a value is written.
enum Kind {
    Scalar(PgType),
    /// The values of one list are a column of their own.
    List(PgType),
    /// As the library shows it: lists of lists, structures, maps and what PostgreSQL has no type for.
    Shown,
}

fn unsendable() -> Problem {
    Problem::new("42804", "A column of the answer cannot be sent.")
}

impl Encoded {
    /// `columns` are what clients were told: a batch whose types differ is brought to them.
    pub(crate) fn new(batch: &RecordBatch, columns: &[Column]) -> Result<Self, Problem> {
        if batch.num_columns() != columns.len() {
            return Err(unsendable());
        }
        let values = batch.columns().iter().zip(columns).map(|(array, column)| Values::new(array, column));
        Ok(Self { columns: values.collect::<Result<_, _>>()?, rows: batch.num_rows() })
    }

    /// Writes a row: the number of its values, and each with its length.
    pub(crate) fn write(&self, row: usize, out: &mut BytesMut) -> Result<(), Problem> {
        out.put_u16(u16::try_from(self.columns.len()).map_err(|_| unsendable())?);
        for values in &self.columns {
            values.write(row, out)?;
        }
        Ok(())
    }
}

impl Values {
    fn new(array: &ArrayRef, column: &Column) -> Result<Self, Problem> {
        let told = PgType::of_oid(column.oid);
        let kind = match (told, elements(array.data_type())) {
            (None, Some(inner)) if inner.array() == column.oid => Kind::List(inner),
            (None, _) => return Err(unsendable()),
            (Some(PgType::Json), _) => Kind::Shown,
            (Some(kind), _) => Kind::Scalar(kind),
        };
        let array = match &kind {
            Kind::Scalar(kind) => uniform(array, *kind)?,
            Kind::List(_) | Kind::Shown => Arc::clone(array),
        };
        Ok(Self { array, kind, is_binary: column.is_binary })
    }

    fn write(&self, row: usize, out: &mut BytesMut) -> Result<(), Problem> {
        if self.array.is_null(row) {
            out.put_i32(-1);
            return Ok(());
        }
        let at = out.len();
        out.put_u32(0);
        match &self.kind {
            Kind::Scalar(kind) if self.is_binary => binary_value(&self.array, *kind, row, out)?,
            Kind::Scalar(kind) => out.extend_from_slice(&text_value(&self.array, *kind, row)?),
            Kind::List(kind) => list(&self.array, *kind, row, self.is_binary, out)?,
            Kind::Shown => out.extend_from_slice(shown(&self.array, row)?.as_bytes()),
        }
        let length = u32::try_from(out.len() - at - 4).map_err(|_| unsendable())?;
        if let Some(place) = out.get_mut(at..at + 4) {
            place.copy_from_slice(&length.to_be_bytes());
        }
        Ok(())
    }
}

fn shown(array: &ArrayRef, row: usize) -> Result<String, Problem> {
    let options = FormatOptions::default();
    let formatter = ArrayFormatter::try_new(array.as_ref(), &options).map_err(|_| unsendable())?;
    formatter.value(row).try_to_string().map_err(|_| unsendable())
}

/// The one Arrow type in which values of a type are written.
fn uniform(array: &ArrayRef, kind: PgType) -> Result<ArrayRef, Problem> {
    let wanted = match kind {
        PgType::Bool => DataType::Boolean,
        PgType::Int2 => DataType::Int16,
        PgType::Int4 => DataType::Int32,
        PgType::Int8 => DataType::Int64,
        PgType::Float4 => DataType::Float32,
        PgType::Float8 => DataType::Float64,
        PgType::Bytea => DataType::Binary,
        PgType::Date => DataType::Date32,
        PgType::Time => DataType::Time64(TimeUnit::Microsecond),
        PgType::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, None),
        PgType::Timestamptz => DataType::Timestamp(TimeUnit::Microsecond, Some("+00:00".into())),
        PgType::Interval => DataType::Interval(IntervalUnit::MonthDayNano),
        _ => DataType::Utf8,
    };
    if *array.data_type() == wanted {
        return Ok(Arc::clone(array));
    }
    let before = array.logical_null_count();
    let made = cast(array, &wanted).map_err(|_| unsendable())?;
    // A value that the type cannot hold became null: it is not to look as if it were none.
    if made.logical_null_count() > before {
        return Err(unsendable());
    }
    Ok(if kind == PgType::Numeric && PgType::is_open(array.data_type()) { trimmed(&made) } else { made })
}

/// Decimals of any scale come with as many digits as there may be after the point. Those are written that a number has.
fn trimmed(array: &ArrayRef) -> ArrayRef {
    let trim = |text: &str| match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text.to_owned(),
    };
    let texts = array.as_string::<i32>().iter().map(|text| text.map(trim));
    Arc::new(texts.collect::<StringArray>())
}

fn float(number: f64, shortest: impl Fn() -> String) -> String {
    if number.is_nan() {
        "NaN".to_owned()
    } else if number.is_infinite() {
        if number > 0.0 { "Infinity".to_owned() } else { "-Infinity".to_owned() }
    } else {
        shortest()
    }
}

fn text_value(array: &ArrayRef, kind: PgType, row: usize) -> Result<Vec<u8>, Problem> {
    Ok(match kind {
        PgType::Bool => if array.as_boolean().value(row) { "t" } else { "f" }.to_owned(),
        PgType::Int2 => array.as_primitive::<Int16Type>().value(row).to_string(),
        PgType::Int4 => array.as_primitive::<Int32Type>().value(row).to_string(),
        PgType::Int8 => array.as_primitive::<Int64Type>().value(row).to_string(),
        PgType::Float4 => {
            let number = array.as_primitive::<Float32Type>().value(row);
            float(number.into(), || {
                if is_usual(number.into()) { number.to_string() } else { format!("{number:e}") }
            })
        }
        PgType::Float8 => {
            let number = array.as_primitive::<Float64Type>().value(row);
            float(number, || if is_usual(number) { number.to_string() } else { format!("{number:e}") })
        }
        PgType::Bytea => format!("\\x{}", hex::encode(array.as_binary::<i32>().value(row))),
        PgType::Date => days::date(array.as_primitive::<Date32Type>().value(row).into()),
        PgType::Time => days::time(array.as_primitive::<Time64MicrosecondType>().value(row)),
        PgType::Timestamp | PgType::Timestamptz => {
            let micros = array.as_primitive::<TimestampMicrosecondType>().value(row);
            days::timestamp(micros, kind == PgType::Timestamptz)
        }
        PgType::Interval => {
            let value = array.as_primitive::<IntervalMonthDayNanoType>().value(row);
            days::interval(value.months, value.days, value.nanoseconds / 1_000)
        }
        _ => {
            let text = array.as_string::<i32>().value(row);
            // Clients end texts there; PostgreSQL has no such text.
            if text.contains('\0') {
                return Err(Problem::new(
                    "22000",
                    "A text of the answer has a NUL character, which the protocol cannot send.",
                ));
            }
            text.to_owned()
        }
    }
    .into_bytes())
}

/// Whether a number is written without an exponent.
fn is_usual(number: f64) -> bool {
    number == 0.0 || (1e-5..1e15).contains(&number.abs())
}

fn binary_value(array: &ArrayRef, kind: PgType, row: usize, out: &mut BytesMut) -> Result<(), Problem> {
    match kind {
        PgType::Bool => out.put_u8(u8::from(array.as_boolean().value(row))),
        PgType::Int2 => out.put_i16(array.as_primitive::<Int16Type>().value(row)),
        PgType::Int4 => out.put_i32(array.as_primitive::<Int32Type>().value(row)),
        PgType::Int8 => out.put_i64(array.as_primitive::<Int64Type>().value(row)),
        PgType::Float4 => out.put_f32(array.as_primitive::<Float32Type>().value(row)),
        PgType::Float8 => out.put_f64(array.as_primitive::<Float64Type>().value(row)),
        PgType::Bytea => out.extend_from_slice(array.as_binary::<i32>().value(row)),
        PgType::Date => {
            let day = i64::from(array.as_primitive::<Date32Type>().value(row)) - days::EPOCH_DAYS;
            out.put_i32(i32::try_from(day).map_err(|_| unsendable())?);
        }
        PgType::Time => out.put_i64(array.as_primitive::<Time64MicrosecondType>().value(row)),
        PgType::Timestamp | PgType::Timestamptz => {
            let micros = array.as_primitive::<TimestampMicrosecondType>().value(row);
            out.put_i64(micros.checked_sub(EPOCH_MICROS).ok_or_else(unsendable)?);
        }
        PgType::Interval => {
            let value = array.as_primitive::<IntervalMonthDayNanoType>().value(row);
            out.put_i64(value.nanoseconds / 1_000);
            out.put_i32(value.days);
            out.put_i32(value.months);
        }
        PgType::Numeric => {
            let text = array.as_string::<i32>().value(row);
            out.extend_from_slice(&binary::numeric(text).ok_or_else(unsendable)?);
        }
        _ => out.extend_from_slice(&text_value(array, kind, row)?),
    }
    Ok(())
}

/// A list as an array of one dimension.
fn list(
    array: &ArrayRef,
    kind: PgType,
    row: usize,
    is_binary: bool,
    out: &mut BytesMut,
) -> Result<(), Problem> {
    let inner = match array.data_type() {
        DataType::List(_) => array.as_list::<i32>().value(row),
        DataType::LargeList(_) => array.as_list::<i64>().value(row),
        _ => array.as_fixed_size_list().value(row),
    };
    let inner = uniform(&inner, kind)?;
    if is_binary {
        out.put_i32(i32::from(!inner.is_empty()));
        out.put_i32(i32::from(inner.null_count() > 0));
        out.put_u32(kind.oid());
        if !inner.is_empty() {
            out.put_i32(i32::try_from(inner.len()).map_err(|_| unsendable())?);
            out.put_i32(1);
        }
        let values = Values { array: Arc::clone(&inner), kind: Kind::Scalar(kind), is_binary };
        return (0..inner.len()).try_for_each(|row| values.write(row, out));
    }
    out.put_u8(b'{');
    for row in 0..inner.len() {
        if row > 0 {
            out.put_u8(b',');
        }
        if inner.is_null(row) {
            out.extend_from_slice(b"NULL");
        } else {
            element(&String::from_utf8_lossy(&text_value(&inner, kind, row)?), out);
        }
    }
    out.put_u8(b'}');
    Ok(())
}

/// An element of an array, in quotes where it would be read as something else.
pub(crate) fn element(text: &str, out: &mut BytesMut) {
    let is_plain = !text.is_empty()
        && !text.eq_ignore_ascii_case("null")
        && !text.contains(|c: char| c.is_whitespace() || matches!(c, '{' | '}' | ',' | '"' | '\\'));
    if is_plain {
        out.extend_from_slice(text.as_bytes());
        return;
    }
    out.put_u8(b'"');
    for byte in text.bytes() {
        if matches!(byte, b'"' | b'\\') {
            out.put_u8(b'\\');
        }
        out.put_u8(byte);
    }
    out.put_u8(b'"');
}

#[cfg(test)]
mod tests {
    use arrow_array::types::Int32Type;
    use arrow_array::{
        BooleanArray, Date32Array, Decimal128Array, Float64Array, Int64Array, ListArray, UInt64Array,
    };

    use super::*;

    fn row(array: ArrayRef, is_binary: bool) -> Vec<u8> {
        let batch = RecordBatch::try_from_iter([("c", array)]).unwrap();
        let columns: Vec<Column> =
            described_all(&batch.schema()).into_iter().map(|column| Column { is_binary, ..column }).collect();
        let mut out = BytesMut::new();
        Encoded::new(&batch, &columns).unwrap().write(0, &mut out).unwrap();
        out[6..].to_vec()
    }

    fn text(array: impl Array + 'static) -> String {
        String::from_utf8(row(Arc::new(array), false)).unwrap()
    }

    #[test]
    fn values_are_written_as_postgresql_writes_them() {
        assert_eq!(text(BooleanArray::from(vec![true])), "t");
        assert_eq!(text(Int64Array::from(vec![i64::MIN])), "-9223372036854775808");
        assert_eq!(text(UInt64Array::from(vec![u64::MAX])), "18446744073709551615");
        assert_eq!(text(Float64Array::from(vec![f64::NEG_INFINITY])), "-Infinity");
        assert_eq!(text(Float64Array::from(vec![1e300])), "1e300");
        assert_eq!(text(Float64Array::from(vec![0.1])), "0.1");
        assert_eq!(text(Date32Array::from(vec![19_675])), "2023-11-14");
        let price = Decimal128Array::from(vec![-12_345]).with_precision_and_scale(10, 2).unwrap();
        assert_eq!(text(price), "-123.45");
        let open = |text: &str| cast(&StringArray::from(vec![text]), &DataType::Decimal256(76, 38)).unwrap();
        for number in ["-12.5", "100", "0", "0.00001"] {
            assert_eq!(String::from_utf8(row(open(number), false)).unwrap(), number);
        }
        assert_eq!(text(StringArray::from(vec!["O'Brien"])), "O'Brien");
        let list = ListArray::from_iter_primitive::<Int32Type, _, _>(vec![Some(vec![Some(1), None])]);
        assert_eq!(text(list), "{1,NULL}");
    }

    #[test]
    fn binary_values_are_counted_from_2000() {
        assert_eq!(row(Arc::new(Date32Array::from(vec![10_958])), true), [0, 0, 0, 1]);
        assert_eq!(row(Arc::new(Int64Array::from(vec![1])), true), [0, 0, 0, 0, 0, 0, 0, 1]);
        let list = ListArray::from_iter_primitive::<Int32Type, _, _>(vec![Some(vec![Some(7)])]);
        let expected = [0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 23, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 4, 0, 0, 0, 7];
        assert_eq!(row(Arc::new(list), true), expected);
    }

    #[test]
    fn nothing_is_made_up_for_what_cannot_be_sent() {
        let batch = RecordBatch::try_from_iter([("c", Arc::new(Int64Array::from(vec![70_000])) as ArrayRef)])
            .unwrap();
        let told = Column { name: "c".to_owned(), oid: 21, size: 2, modifier: -1, is_binary: false };
        assert!(Encoded::new(&batch, &[told]).is_err(), "it does not fit, and is not null");
        let nul = RecordBatch::try_from_iter([("c", Arc::new(StringArray::from(vec!["a\0b"])) as ArrayRef)])
            .unwrap();
        let encoded = Encoded::new(&nul, &described_all(&nul.schema())).unwrap();
        assert_eq!(encoded.write(0, &mut BytesMut::new()).unwrap_err().state, "22000");
    }
}
