//! Columns that grow row by row into bounded batches.

use std::sync::Arc;

use arrow_array::builder::{
    BinaryBuilder, BooleanBuilder, Date32Builder, Decimal128Builder, Decimal256Builder, Float32Builder,
    Float64Builder, Int8Builder, Int16Builder, Int32Builder, Int64Builder, IntervalMonthDayNanoBuilder,
    StringBuilder, Time64MicrosecondBuilder, TimestampMicrosecondBuilder, UInt8Builder, UInt16Builder,
    UInt32Builder, UInt64Builder,
};
use arrow_array::types::IntervalMonthDayNano;
use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow_buffer::i256;
use arrow_schema::{DataType, IntervalUnit, SchemaRef, TimeUnit};

use crate::error::{SourceError, quoted};

/// Rows in a batch at most.
pub(crate) const BATCH_ROWS: usize = 8_192;
/// Bytes of text and binary values after which a batch is closed: on the way to a client several wait for each other.
const BATCH_BYTES: usize = 1 << 20;

/// One value of a row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Cell<'a> {
    Null,
    Boolean(bool),
    Int(i64),
    UInt(u64),
    Float(f64),
    Decimal128(i128),
    Decimal256(i256),
    Text(&'a str),
    Bytes(&'a [u8]),
    /// Days since 1970-01-01.
    Date(i32),
    /// Microseconds since midnight.
    Time(i64),
    /// Microseconds since 1970-01-01.
    Timestamp(i64),
    Interval {
        months: i32,
        days: i32,
        nanoseconds: i64,
    },
}

macro_rules! columns {
    ($($variant:ident($builder:ty)),+ $(,)?) => {
        enum ColumnBuilder { $($variant($builder)),+ }

        impl ColumnBuilder {
            fn append_null(&mut self) {
                match self { $(Self::$variant(builder) => builder.append_null()),+ }
            }

            fn finish(&mut self) -> ArrayRef {
                match self { $(Self::$variant(builder) => Arc::new(builder.finish())),+ }
            }
        }
    };
}

columns! {
    Boolean(BooleanBuilder), Int8(Int8Builder), Int16(Int16Builder), Int32(Int32Builder), Int64(Int64Builder),
    UInt8(UInt8Builder), UInt16(UInt16Builder), UInt32(UInt32Builder), UInt64(UInt64Builder),
    Float32(Float32Builder), Float64(Float64Builder), Decimal128(Decimal128Builder), Decimal256(Decimal256Builder),
    Utf8(StringBuilder), Binary(BinaryBuilder), Date32(Date32Builder), Time64(Time64MicrosecondBuilder),
    Timestamp(TimestampMicrosecondBuilder), Interval(IntervalMonthDayNanoBuilder),
}

impl ColumnBuilder {
    fn new(kind: &DataType) -> Option<Self> {
        Some(match kind {
            DataType::Boolean => Self::Boolean(BooleanBuilder::new()),
            DataType::Int8 => Self::Int8(Int8Builder::new()),
            DataType::Int16 => Self::Int16(Int16Builder::new()),
            DataType::Int32 => Self::Int32(Int32Builder::new()),
            DataType::Int64 => Self::Int64(Int64Builder::new()),
            DataType::UInt8 => Self::UInt8(UInt8Builder::new()),
            DataType::UInt16 => Self::UInt16(UInt16Builder::new()),
            DataType::UInt32 => Self::UInt32(UInt32Builder::new()),
            DataType::UInt64 => Self::UInt64(UInt64Builder::new()),
            DataType::Float32 => Self::Float32(Float32Builder::new()),
            DataType::Float64 => Self::Float64(Float64Builder::new()),
            DataType::Decimal128(..) => {
                Self::Decimal128(Decimal128Builder::new().with_data_type(kind.clone()))
            }
            DataType::Decimal256(..) => {
                Self::Decimal256(Decimal256Builder::new().with_data_type(kind.clone()))
            }
            DataType::Utf8 => Self::Utf8(StringBuilder::new()),
            DataType::Binary => Self::Binary(BinaryBuilder::new()),
            DataType::Date32 => Self::Date32(Date32Builder::new()),
            DataType::Time64(TimeUnit::Microsecond) => Self::Time64(Time64MicrosecondBuilder::new()),
            DataType::Timestamp(TimeUnit::Microsecond, _) => {
                Self::Timestamp(TimestampMicrosecondBuilder::new().with_data_type(kind.clone()))
            }
            DataType::Interval(IntervalUnit::MonthDayNano) => {
                Self::Interval(IntervalMonthDayNanoBuilder::new())
            }
            _ => return None,
        })
    }

    /// Appends a value of exactly this type; false if it is of another one or too large.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a 32-bit float was widened by its reader, without loss"
    )]
    fn append(&mut self, cell: Cell<'_>) -> bool {
        macro_rules! number {
            ($builder:expr, $value:expr) => {
                match $value.try_into() {
                    Ok(number) => $builder.append_value(number),
                    Err(_) => return false,
                }
            };
        }
        match (self, cell) {
            (column, Cell::Null) => column.append_null(),
            (Self::Boolean(b), Cell::Boolean(value)) => b.append_value(value),
            (Self::Int8(b), Cell::Int(value)) => number!(b, value),
            (Self::Int16(b), Cell::Int(value)) => number!(b, value),
            (Self::Int32(b), Cell::Int(value)) => number!(b, value),
            (Self::Int64(b), Cell::Int(value)) => b.append_value(value),
            (Self::UInt8(b), Cell::UInt(value)) => number!(b, value),
            (Self::UInt16(b), Cell::UInt(value)) => number!(b, value),
            (Self::UInt32(b), Cell::UInt(value)) => number!(b, value),
            (Self::UInt64(b), Cell::UInt(value)) => b.append_value(value),
            (Self::Float32(b), Cell::Float(value)) => b.append_value(value as f32),
            (Self::Float64(b), Cell::Float(value)) => b.append_value(value),
            (Self::Decimal128(b), Cell::Decimal128(value)) => b.append_value(value),
            (Self::Decimal256(b), Cell::Decimal256(value)) => b.append_value(value),
            (Self::Utf8(b), Cell::Text(value)) => b.append_value(value),
            (Self::Binary(b), Cell::Bytes(value)) => b.append_value(value),
            (Self::Date32(b), Cell::Date(value)) => b.append_value(value),
            (Self::Time64(b), Cell::Time(value)) => b.append_value(value),
            (Self::Timestamp(b), Cell::Timestamp(value)) => b.append_value(value),
            (Self::Interval(b), Cell::Interval { months, days, nanoseconds }) => {
                b.append_value(IntervalMonthDayNano { months, days, nanoseconds });
            }
            _ => return false,
        }
        true
    }
}

/// A batch that is being filled.
pub(crate) struct Batch {
    schema: SchemaRef,
    columns: Vec<ColumnBuilder>,
    rows: usize,
    bytes: usize,
}

impl Batch {
    /// A batch of the columns of a schema, all of whose types are ones of this module.
    pub(crate) fn new(schema: SchemaRef) -> Result<Self, SourceError> {
        let columns = schema
            .fields()
            .iter()
            .map(|field| {
                ColumnBuilder::new(field.data_type()).ok_or_else(|| {
                    SourceError::query(format!(
                        "The column {} has a type that cannot be read.",
                        quoted(field.name())
                    ))
                })
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { schema, columns, rows: 0, bytes: 0 })
    }

    /// Appends the value of a column in the present row.
    pub(crate) fn append(&mut self, index: usize, cell: Cell<'_>) -> Result<(), SourceError> {
        self.bytes += match cell {
            Cell::Text(text) => text.len(),
            Cell::Bytes(bytes) => bytes.len(),
            _ => 0,
        };
        if self.columns.get_mut(index).is_some_and(|column| column.append(cell)) {
            return Ok(());
        }
        let name = self.schema.fields().get(index).map(|field| field.name().as_str()).unwrap_or_default();
        Err(SourceError::mistyped(format!("A value of the column {} does not fit its type.", quoted(name))))
    }

    /// Ends the row; true when the batch should be taken.
    pub(crate) fn end_row(&mut self) -> bool {
        self.rows += 1;
        self.rows >= BATCH_ROWS || self.bytes >= BATCH_BYTES
    }

    /// Ends rows without columns, of so many as many as there is room for. Gives how many they were.
    pub(crate) fn end_rows(&mut self, count: u64) -> u64 {
        let room = BATCH_ROWS.saturating_sub(self.rows);
        let ended = usize::try_from(count).unwrap_or(room).min(room);
        self.rows += ended;
        ended as u64
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// The rows so far; the batch goes on empty.
    pub(crate) fn take(&mut self) -> Result<RecordBatch, SourceError> {
        let columns: Vec<ArrayRef> = self.columns.iter_mut().map(ColumnBuilder::finish).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(self.rows));
        self.rows = 0;
        self.bytes = 0;
        RecordBatch::try_new_with_options(SchemaRef::clone(&self.schema), columns, &options)
            .map_err(|error| SourceError::query("The rows do not fit the columns.").with_detail(error))
    }
}

/// What is done with a value that its Arrow type cannot hold: infinite dates, NaN in decimals, the zero date.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unfit {
    /// The read ends with an error that names the column.
    Refuse,
    /// It becomes NULL.
    Null,
}

impl Unfit {
    pub(crate) fn of(settings: &crate::Settings) -> Result<Self, SourceError> {
        Ok(match settings.choice("unfit_values", &["refuse", "null"])? {
            "null" => Self::Null,
            _ => Self::Refuse,
        })
    }

    /// The value in place of one that is `what`, such as "an infinite date".
    pub(crate) fn cell(self, column: &str, what: &str) -> Result<Cell<'static>, SourceError> {
        match self {
            Self::Null => Ok(Cell::Null),
            Self::Refuse => Err(SourceError::query(format!(
                "The column {} holds {what}, which has no place in its type; metadata.unfit_values = \"null\" reads it as NULL.",
                quoted(column)
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use arrow_schema::{Field, Schema};

    use super::*;

    #[test]
    fn a_batch_is_closed_by_its_rows_or_by_its_bytes() {
        let schema = Arc::new(Schema::new(vec![Field::new("a", DataType::Utf8, true)]));
        let mut batch = Batch::new(schema).unwrap();
        for (length, rows) in [(0, BATCH_ROWS), (BATCH_BYTES / 4, 4), (2 * BATCH_BYTES, 1)] {
            let text = "x".repeat(length);
            let mut closed = false;
            while !closed {
                batch.append(0, Cell::Text(&text)).unwrap();
                closed = batch.end_row();
            }
            assert_eq!(batch.take().unwrap().num_rows(), rows);
        }
    }
}
