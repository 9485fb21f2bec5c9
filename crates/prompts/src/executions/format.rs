//! Results as text and files.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use arrow_array::{Array, ArrayRef, RecordBatch, StringArray};
use arrow_cast::display::{ArrayFormatter, FormatOptions};
use arrow_json::writer::{LineDelimited, WriterBuilder as JsonBuilder};
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef};
use bytes::Bytes;
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;

use super::execution::{PREVIEW_BYTES, PREVIEW_ROWS};
use crate::ports::ResultColumn;

/// Rows of a row group of Parquet: so many are in memory while they are written.
const GROUP_ROWS: usize = 64 * 1024;
/// Most bytes of one.
const GROUP_BYTES: usize = 16 * 1024 * 1024;
/// About as many bytes has a piece of text. A batch as a whole may be many megabytes of it, of which several wait for the client.
const PIECE: usize = 64 * 1024;
/// Rows of the first piece, of which it is not known how long they are.
const FIRST_ROWS: usize = 256;

super::execution::words! {
    /// How a result is written.
    ResultFormat {
        /// One JSON array of objects.
        Json = "json",
        /// RFC 4180, with a header. What is nested is JSON-like text.
        Csv = "csv",
        /// One JSON object a line.
        JsonLines = "jsonl",
        /// An Arrow IPC stream.
        Arrow = "arrow",
        /// A Parquet file.
        Parquet = "parquet",
    }
}

impl ResultFormat {
    /// Its media type.
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Csv => "text/csv; charset=utf-8",
            Self::JsonLines => "application/x-ndjson",
            Self::Arrow => "application/vnd.apache.arrow.stream",
            Self::Parquet => "application/vnd.apache.parquet",
        }
    }
}

/// Bytes that were written and are not taken yet.
#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl Shared {
    fn take(&self) -> Bytes {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner)).into()
    }

    /// Makes room for so many bytes more at once, instead of twice as much again and again.
    fn reserve(&self, bytes: usize) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).reserve(bytes);
    }
}

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

type JsonWriter = arrow_json::writer::Writer<Shared, LineDelimited>;

enum Writer {
    Json { inner: Box<JsonWriter>, begun: bool },
    JsonLines(Box<JsonWriter>),
    Csv(Box<arrow_csv::Writer<Shared>>),
    Arrow(Box<arrow_ipc::writer::StreamWriter<Shared>>),
    Parquet(Box<ArrowWriter<Shared>>),
}

impl Writer {
    /// Whether it is all the same how many rows are written at once.
    const fn is_text(&self) -> bool {
        matches!(self, Self::Json { .. } | Self::JsonLines(_) | Self::Csv(_))
    }
}

/// Writes a result, batch by batch.
pub struct Encoder {
    writer: Writer,
    written: Shared,
    /// Rows of the next piece, where that is text: as many as would have made the last one [`PIECE`] bytes.
    rows: usize,
}

fn json(written: &Shared) -> JsonWriter {
    JsonBuilder::new().with_explicit_nulls(true).build(written.clone())
}

fn of_parquet(error: parquet::errors::ParquetError) -> ArrowError {
    ArrowError::from_external_error(Box::new(error))
}

impl Encoder {
    /// A writer of rows of that schema.
    ///
    /// # Errors
    /// For a schema that the format does not have.
    pub fn new(format: ResultFormat, schema: &SchemaRef) -> Result<Self, ArrowError> {
        let written = Shared::default();
        let writer = match format {
            ResultFormat::Json => Writer::Json { inner: Box::new(json(&written)), begun: false },
            ResultFormat::JsonLines => Writer::JsonLines(Box::new(json(&written))),
            ResultFormat::Csv => {
                let mut writer = arrow_csv::WriterBuilder::new().with_header(true).build(written.clone());
                // The header, also of a result without rows.
                writer.write(&flat(&RecordBatch::new_empty(Arc::clone(schema)))?)?;
                Writer::Csv(Box::new(writer))
            }
            ResultFormat::Arrow => {
                let writer = arrow_ipc::writer::StreamWriter::try_new(written.clone(), schema)?;
                Writer::Arrow(Box::new(writer))
            }
            ResultFormat::Parquet => {
                let properties = WriterProperties::builder()
                    .set_compression(Compression::SNAPPY)
                    .set_max_row_group_row_count(Some(GROUP_ROWS))
                    .build();
                let writer = ArrowWriter::try_new(written.clone(), Arc::clone(schema), Some(properties));
                Writer::Parquet(Box::new(writer.map_err(of_parquet)?))
            }
        };
        Ok(Self { writer, written, rows: FIRST_ROWS })
    }

    /// The bytes of the first rows of a batch, and the rows that are left of it. There may be no bytes yet.
    ///
    /// # Errors
    /// For values that the format does not have.
    pub fn write(&mut self, batch: RecordBatch) -> Result<(Bytes, Option<RecordBatch>), ArrowError> {
        let rows = batch.num_rows();
        if !self.writer.is_text() || rows == 0 {
            return Ok((self.write_all(&batch)?, None));
        }
        let now = rows.min(self.rows);
        if now == self.rows {
            self.written.reserve(PIECE + PIECE / 4);
        }
        let bytes = self.write_all(&batch.slice(0, now))?;
        self.rows = (PIECE.saturating_mul(now) / bytes.len().max(1)).max(1);
        Ok((bytes, (now < rows).then(|| batch.slice(now, rows - now))))
    }

    fn write_all(&mut self, batch: &RecordBatch) -> Result<Bytes, ArrowError> {
        match &mut self.writer {
            Writer::Json { inner, begun } => {
                inner.write(batch)?;
                let lines = self.written.take();
                return Ok(joined(&lines, begun));
            }
            Writer::JsonLines(writer) => writer.write(batch)?,
            Writer::Csv(writer) => writer.write(&flat(batch)?)?,
            Writer::Arrow(writer) => writer.write(batch)?,
            Writer::Parquet(writer) => {
                writer.write(batch).map_err(of_parquet)?;
                if writer.in_progress_size() > GROUP_BYTES {
                    writer.flush().map_err(of_parquet)?;
                }
            }
        }
        Ok(self.written.take())
    }

    /// What comes last.
    ///
    /// # Errors
    /// As [`Self::write`].
    pub fn finish(mut self) -> Result<Bytes, ArrowError> {
        match self.writer {
            Writer::Json { begun, .. } => {
                return Ok(Bytes::from_static(if begun { b"]" } else { b"[]" }));
            }
            Writer::JsonLines(ref mut writer) => writer.finish()?,
            Writer::Csv(writer) => drop(writer),
            Writer::Arrow(ref mut writer) => writer.finish()?,
            Writer::Parquet(writer) => drop((*writer).close().map_err(of_parquet)?),
        }
        Ok(self.written.take())
    }
}

/// Lines as items of an array that goes on.
fn joined(lines: &[u8], begun: &mut bool) -> Bytes {
    let mut items = Vec::with_capacity(lines.len() + 1);
    for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        items.push(if *begun { b',' } else { b'[' });
        *begun = true;
        items.extend_from_slice(line);
    }
    items.into()
}

/// A batch whose nested columns are text.
fn flat(batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let schema = batch.schema();
    if schema.fields().iter().all(|field| !field.data_type().is_nested()) {
        return Ok(batch.clone());
    }
    let (mut fields, mut columns) = (Vec::new(), Vec::<ArrayRef>::new());
    for (field, column) in schema.fields().iter().zip(batch.columns()) {
        if field.data_type().is_nested() {
            let options = FormatOptions::default();
            let formatter = ArrayFormatter::try_new(column.as_ref(), &options)?;
            let texts = (0..column.len()).map(|row| {
                Ok(if column.is_null(row) { None } else { Some(formatter.value(row).try_to_string()?) })
            });
            columns.push(Arc::new(texts.collect::<Result<StringArray, ArrowError>>()?));
            fields.push(Field::new(field.name(), DataType::Utf8, true));
        } else {
            columns.push(Arc::clone(column));
            fields.push(field.as_ref().clone());
        }
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
}

/// The first rows as a JSON array, as many as are shown.
///
/// # Errors
/// For values that JSON does not have.
pub fn json_rows(batches: &[RecordBatch]) -> Result<String, ArrowError> {
    let mut text = String::from("[");
    let mut rows = 0;
    'all: for batch in batches {
        for row in 0..batch.num_rows() {
            if rows == PREVIEW_ROWS {
                break 'all;
            }
            let written = Shared::default();
            json(&written).write(&batch.slice(row, 1))?;
            let line = written.take();
            let line = String::from_utf8_lossy(&line);
            if text.len() + line.len() > PREVIEW_BYTES {
                break 'all;
            }
            if rows > 0 {
                text.push(',');
            }
            text.push_str(line.trim_end());
            rows += 1;
        }
    }
    text.push(']');
    Ok(text)
}

/// The columns of a result, in words.
pub fn columns_of(schema: &SchemaRef) -> Vec<ResultColumn> {
    let column = |field: &Arc<Field>| ResultColumn {
        name: field.name().clone(),
        type_name: type_name(field.data_type()).to_owned(),
    };
    schema.fields().iter().map(column).collect()
}

fn type_name(of: &DataType) -> &'static str {
    match of {
        DataType::Null => "null",
        DataType::Boolean => "boolean",
        DataType::Date32 | DataType::Date64 => "date",
        DataType::Timestamp(..) => "timestamp",
        DataType::Time32(_) | DataType::Time64(_) => "time",
        DataType::Interval(_) | DataType::Duration(_) => "interval",
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
            "binary"
        }
        DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..) => "array",
        DataType::Struct(_) | DataType::Map(..) => "object",
        DataType::Dictionary(_, values) => type_name(values),
        other if other.is_integer() => "integer",
        other if other.is_numeric() => "number",
        _ => "string",
    }
}

#[cfg(test)]
mod tests {
    use arrow_array::{Float64Array, Int64Array, ListArray};

    use super::*;

    fn batch() -> RecordBatch {
        let nested = ListArray::from_iter_primitive::<arrow_array::types::Int32Type, _, _>(vec![
            Some(vec![Some(1), None]),
            None,
        ]);
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("id", Arc::new(Int64Array::from(vec![Some(i64::MAX), None]))),
            ("name", Arc::new(StringArray::from(vec![Some("O'Brien, \"Ann\"\nline"), Some("")]))),
            ("share", Arc::new(Float64Array::from(vec![Some(f64::NAN), Some(0.5)]))),
            ("parts", Arc::new(nested)),
        ];
        RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, of)| (name, of, true)))
            .unwrap()
    }

    fn encoded(format: ResultFormat, batches: &[RecordBatch]) -> Vec<u8> {
        let mut encoder = Encoder::new(format, &batch().schema()).unwrap();
        let mut bytes = Vec::new();
        for batch in batches {
            let mut rest = Some(batch.clone());
            while let Some(batch) = rest {
                let (piece, left) = encoder.write(batch).unwrap();
                bytes.extend_from_slice(&piece);
                rest = left;
            }
        }
        bytes.extend_from_slice(&encoder.finish().unwrap());
        bytes
    }

    #[test]
    fn text_comes_in_pieces_of_bounded_size_and_of_at_least_a_row() {
        let long = "x".repeat(2 * PIECE);
        let text = |row: usize| if row == 7_000 { long.clone() } else { format!("{row:0100}") };
        let texts: ArrayRef = Arc::new(StringArray::from_iter_values((0..8_000).map(text)));
        let all = RecordBatch::try_from_iter([("text", texts)]).unwrap();
        for format in [ResultFormat::Csv, ResultFormat::JsonLines, ResultFormat::Json] {
            let mut encoder = Encoder::new(format, &all.schema()).unwrap();
            let (mut pieces, mut rest) = (Vec::new(), Some(all.clone()));
            while let Some(batch) = rest {
                let (piece, left) = encoder.write(batch).unwrap();
                pieces.push(piece);
                rest = left;
            }
            pieces.push(encoder.finish().unwrap());
            // Nobody knows beforehand that a row is long.
            assert!(pieces.iter().filter(|piece| piece.len() > PIECE + PIECE / 4).count() <= 1, "{format:?}");
            assert!(pieces.iter().all(|piece| piece.len() < 4 * PIECE), "{format:?}");
            let written = String::from_utf8(pieces.concat()).unwrap();
            let mut after = written.as_str();
            for row in 0..8_000 {
                let text = text(row);
                after = after.split_once(text.as_str()).expect("every row, in order").1;
            }
        }
        let mut encoder = Encoder::new(ResultFormat::Arrow, &all.schema()).unwrap();
        assert!(encoder.write(all).unwrap().1.is_none(), "batches of Arrow stay what they are");
    }

    #[test]
    fn json_is_one_array_over_all_batches() {
        let text = encoded(ResultFormat::Json, &[batch(), batch()]);
        let rows: Vec<serde_json::Value> = serde_json::from_slice(&text).unwrap();
        assert_eq!(rows.len(), 4);
        assert_eq!(rows[0]["id"], serde_json::json!(i64::MAX));
        assert_eq!(rows[1]["id"], serde_json::Value::Null);
        assert_eq!(rows[0]["name"], "O'Brien, \"Ann\"\nline");
        assert_eq!(rows[0]["share"], serde_json::Value::Null);
        assert_eq!(encoded(ResultFormat::Json, &[]), b"[]");
        let lines = String::from_utf8(encoded(ResultFormat::JsonLines, &[batch()])).unwrap();
        assert_eq!(lines.lines().count(), 2);
        assert_eq!(encoded(ResultFormat::JsonLines, &[]), b"");
    }

    #[test]
    fn csv_has_a_header_also_without_rows_and_quotes_what_needs_it() {
        assert_eq!(encoded(ResultFormat::Csv, &[]), b"id,name,share,parts\n");
        let text = String::from_utf8(encoded(ResultFormat::Csv, &[batch()])).unwrap();
        assert!(text.contains("\"O'Brien, \"\"Ann\"\"\nline\""), "{text}");
        assert!(text.starts_with("id,name,share,parts\n9223372036854775807,"), "{text}");
    }

    #[test]
    fn arrow_and_parquet_are_read_as_they_were_written() {
        let bytes = encoded(ResultFormat::Arrow, &[batch(), batch()]);
        let reader = arrow_ipc::reader::StreamReader::try_new(bytes.as_slice(), None).unwrap();
        assert_eq!(reader.map(|batch| batch.unwrap().num_rows()).sum::<usize>(), 4);
        let bytes = Bytes::from(encoded(ResultFormat::Parquet, &[batch(), batch()]));
        assert_eq!(&bytes[..4], b"PAR1");
        let reader = parquet::arrow::arrow_reader::ParquetRecordBatchReader::try_new(bytes, 1_024).unwrap();
        assert_eq!(reader.map(|batch| batch.unwrap().num_rows()).sum::<usize>(), 4);
        for format in [ResultFormat::Arrow, ResultFormat::Parquet] {
            assert!(!encoded(format, &[]).is_empty());
        }
    }

    #[test]
    fn a_preview_is_bounded_in_rows_and_bytes() {
        let many =
            RecordBatch::try_from_iter([("n", Arc::new(Int64Array::from_iter_values(0..500)) as ArrayRef)])
                .unwrap();
        let rows: Vec<serde_json::Value> = serde_json::from_str(&json_rows(&[many]).unwrap()).unwrap();
        assert_eq!(rows.len(), PREVIEW_ROWS);
        let long = "x".repeat(PREVIEW_BYTES / 3);
        let texts = StringArray::from(vec![long.as_str(); 9]);
        let wide = RecordBatch::try_from_iter([("t", Arc::new(texts) as ArrayRef)]).unwrap();
        let rows: Vec<serde_json::Value> = serde_json::from_str(&json_rows(&[wide]).unwrap()).unwrap();
        assert_eq!(rows.len(), 2);
        assert_eq!(json_rows(&[]).unwrap(), "[]");
    }

    #[test]
    fn columns_are_named_in_words() {
        let names: Vec<String> = columns_of(&batch().schema()).into_iter().map(|one| one.type_name).collect();
        assert_eq!(names, ["integer", "string", "number", "array"]);
    }
}
