//! Answers as bytes, batch by batch: no more than a batch is held, but for a row group of Parquet.

use std::sync::Arc;

use bytes::Bytes;
use datafusion::arrow::array::{Array, ArrayRef, RecordBatch, StringBuilder};
use datafusion::arrow::csv::{Writer as CsvWriter, WriterBuilder as CsvBuilder};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::ipc::writer::StreamWriter;
use datafusion::arrow::json::writer::{
    JsonArray, LineDelimited, Writer as JsonWriter, WriterBuilder as JsonBuilder,
};
use datafusion::arrow::record_batch::RecordBatchOptions;
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::parquet::basic::Compression;
use datafusion::parquet::errors::ParquetError;
use datafusion::parquet::file::properties::WriterProperties;
use futures_util::{Stream, StreamExt, stream};

use crate::answer::Answer;
use crate::error::{Code, QueryError};

/// Rows of a row group of Parquet.
const GROUP_ROWS: usize = 65_536;

/// How an answer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// One list of objects.
    Json,
    /// An object on each line.
    JsonLines,
    /// With a line of names; lists and structures as text.
    Csv,
    /// The streaming format of Arrow.
    Arrow,
    /// A file.
    Parquet,
}

impl Format {
    /// Every format.
    pub const ALL: [Self; 5] = [Self::Json, Self::JsonLines, Self::Csv, Self::Arrow, Self::Parquet];

    /// The media type of what is written.
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::JsonLines => "application/x-ndjson",
            Self::Csv => "text/csv; charset=utf-8",
            Self::Arrow => "application/vnd.apache.arrow.stream",
            Self::Parquet => "application/vnd.apache.parquet",
        }
    }

    /// The ending of names of such files.
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::JsonLines => "jsonl",
            Self::Csv => "csv",
            Self::Arrow => "arrows",
            Self::Parquet => "parquet",
        }
    }
}

/// Writes an answer as it comes.
pub fn encode(answer: Answer, format: Format) -> impl Stream<Item = Result<Bytes, QueryError>> + Send {
    // Columns of one name cannot be told apart, and some formats refuse them.
    let schema = unique(&answer.schema);
    let encoder = Encoder::new(format, &schema);
    stream::unfold(Some((answer, encoder)), move |state| {
        let schema = Arc::clone(&schema);
        async move {
            let (mut answer, encoder) = state?;
            let mut encoder = match encoder {
                Ok(encoder) => encoder,
                Err(error) => return Some((Err(error), None)),
            };
            match answer.next().await {
                Some(Ok(batch)) => {
                    let named = renamed(&batch, &schema);
                    let bytes = named.and_then(|batch| encoder.batch(&batch));
                    let next = bytes.is_ok().then_some((answer, Ok(encoder)));
                    Some((bytes, next))
                }
                Some(Err(error)) => Some((Err(error), None)),
                None => Some((encoder.finish(), None)),
            }
        }
    })
    .filter(|bytes| std::future::ready(!bytes.as_ref().is_ok_and(Bytes::is_empty)))
}

enum Encoder {
    Json(JsonWriter<Vec<u8>, JsonArray>),
    JsonLines(JsonWriter<Vec<u8>, LineDelimited>),
    Csv { names: SchemaRef, is_first: bool },
    Arrow(StreamWriter<Vec<u8>>),
    Parquet(Box<ArrowWriter<Vec<u8>>>),
}

fn broken(_: ArrowError) -> QueryError {
    unwritable()
}

fn broken_file(_: ParquetError) -> QueryError {
    unwritable()
}

fn unwritable() -> QueryError {
    QueryError::new(Code::TypeMismatch, "The answer has a column that this format cannot hold.")
}

impl Encoder {
    fn new(format: Format, schema: &SchemaRef) -> Result<Self, QueryError> {
        Ok(match format {
            Format::Json => Self::Json(JsonBuilder::new().with_explicit_nulls(true).build(Vec::new())),
            Format::JsonLines => {
                Self::JsonLines(JsonBuilder::new().with_explicit_nulls(true).build(Vec::new()))
            }
            Format::Csv => Self::Csv { names: Arc::clone(schema), is_first: true },
            Format::Arrow => Self::Arrow(StreamWriter::try_new(Vec::new(), schema).map_err(broken)?),
            Format::Parquet => {
                let properties = WriterProperties::builder()
                    .set_compression(Compression::SNAPPY)
                    .set_max_row_group_row_count(Some(GROUP_ROWS))
                    .set_created_by("tidegate".to_owned())
                    .build();
                let writer = ArrowWriter::try_new(Vec::new(), Arc::clone(schema), Some(properties))
                    .map_err(broken_file)?;
                Self::Parquet(Box::new(writer))
            }
        })
    }

    fn batch(&mut self, batch: &RecordBatch) -> Result<Bytes, QueryError> {
        match self {
            Self::Json(writer) => {
                writer.write(batch).map_err(broken)?;
                Ok(std::mem::take(writer.get_mut()).into())
            }
            Self::JsonLines(writer) => {
                writer.write(batch).map_err(broken)?;
                Ok(std::mem::take(writer.get_mut()).into())
            }
            Self::Csv { is_first, .. } => csv(batch, std::mem::take(is_first)),
            Self::Arrow(writer) => {
                writer.write(batch).map_err(broken)?;
                Ok(std::mem::take(writer.get_mut()).into())
            }
            Self::Parquet(writer) => {
                writer.write(batch).map_err(broken_file)?;
                Ok(std::mem::take(writer.inner_mut()).into())
            }
        }
    }

    fn finish(self) -> Result<Bytes, QueryError> {
        match self {
            Self::Json(mut writer) => {
                writer.finish().map_err(broken)?;
                Ok(writer.into_inner().into())
            }
            Self::JsonLines(mut writer) => {
                writer.finish().map_err(broken)?;
                Ok(writer.into_inner().into())
            }
            // Names are written without a row, too.
            Self::Csv { names, is_first: true } => csv(&RecordBatch::new_empty(names), true),
            Self::Csv { .. } => Ok(Bytes::new()),
            Self::Arrow(mut writer) => {
                writer.finish().map_err(broken)?;
                Ok(std::mem::take(writer.get_mut()).into())
            }
            Self::Parquet(writer) => writer.into_inner().map(Bytes::from).map_err(broken_file),
        }
    }
}

fn csv(batch: &RecordBatch, names: bool) -> Result<Bytes, QueryError> {
    let flat = flattened(batch).map_err(broken)?;
    let mut writer: CsvWriter<Vec<u8>> = CsvBuilder::new().with_header(names).build(Vec::new());
    writer.write(&flat).map_err(broken)?;
    Ok(writer.into_inner().into())
}

/// A batch whose lists and structures are text.
fn flattened(batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let mut fields = Vec::new();
    let mut columns = Vec::new();
    for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
        let is_flat = !column.data_type().is_nested() && !matches!(column.data_type(), DataType::Interval(_));
        let column = if is_flat { Arc::clone(column) } else { text(column)? };
        fields.push(Field::new(field.name(), column.data_type().clone(), true));
        columns.push(column);
    }
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &options)
}

fn text(column: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    let options = FormatOptions::default();
    let shown = ArrayFormatter::try_new(column.as_ref(), &options)?;
    let mut texts = StringBuilder::new();
    for row in 0..column.len() {
        if column.is_null(row) {
            texts.append_null();
        } else {
            texts.append_value(shown.value(row).try_to_string()?);
        }
    }
    Ok(Arc::new(texts.finish()))
}

fn renamed(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, QueryError> {
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::clone(schema), batch.columns().to_vec(), &options).map_err(broken)
}

/// Names of which no two are the same: the later ones get a number.
fn unique(schema: &SchemaRef) -> SchemaRef {
    let mut taken = std::collections::HashSet::new();
    let fields = schema.fields().iter().map(|field| {
        let mut name = field.name().clone();
        let mut number = 2;
        while !taken.insert(name.clone()) {
            name = format!("{}_{number}", field.name());
            number += 1;
        }
        field.as_ref().clone().with_name(name)
    });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}
