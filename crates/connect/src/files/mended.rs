//! What the end of a Parquet file says, put right where writers are known to be wrong, or the library takes it for less than it is.

use std::sync::Arc;

use arrow_schema::{DataType, Field, FieldRef, Schema, TimeUnit};
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::basic::Type;
use parquet::errors::Result;
use parquet::file::metadata::{ColumnChunkMetaData, FileMetaData, ParquetMetaData, ParquetMetaDataBuilder};

/// What a file is read by.
pub(super) fn mended(read: ArrowReaderMetadata) -> Result<ArrowReaderMetadata> {
    with_wide_times(without_dictionaries_at_zero(with_counted_rows(read)?)?)
}

/// Some writers say 0 for the rows of the whole file; the library then reads none of them.
fn with_counted_rows(read: ArrowReaderMetadata) -> Result<ArrowReaderMetadata> {
    let (file, groups) = (read.metadata().file_metadata(), read.metadata().row_groups());
    let rows = groups.iter().fold(0_i64, |rows, group| rows.saturating_add(group.num_rows().max(0)));
    if file.num_rows() != 0 || rows == 0 {
        return Ok(read);
    }
    let counted = FileMetaData::new(
        file.version(),
        rows,
        file.created_by().map(str::to_owned),
        file.key_value_metadata().cloned(),
        file.schema_descr_ptr(),
        file.column_orders().cloned(),
    );
    let metadata = ParquetMetaDataBuilder::new(counted).set_row_groups(groups.to_vec()).build();
    ArrowReaderMetadata::try_new(Arc::new(metadata), ArrowReaderOptions::new())
}

/// Some writers say 0 for a dictionary that a column does not have; the library reads what is at the file's start.
fn has_dictionary_at_zero(chunk: &ColumnChunkMetaData) -> bool {
    chunk.dictionary_page_offset() == Some(0)
}

fn without_dictionaries_at_zero(read: ArrowReaderMetadata) -> Result<ArrowReaderMetadata> {
    let mut chunks = read.metadata().row_groups().iter().flat_map(|group| group.columns());
    if !chunks.any(has_dictionary_at_zero) {
        return Ok(read);
    }
    let mut builder = ParquetMetaData::clone(read.metadata()).into_builder();
    let mut groups = Vec::new();
    for group in builder.take_row_groups() {
        let mut columns = Vec::with_capacity(group.num_columns());
        for chunk in group.columns().iter().cloned() {
            columns.push(if has_dictionary_at_zero(&chunk) {
                chunk.into_builder().set_dictionary_page_offset(None).build()?
            } else {
                chunk
            });
        }
        groups.push(group.into_builder().set_column_metadata(columns).build()?);
    }
    let metadata = builder.set_row_groups(groups).build();
    ArrowReaderMetadata::try_new(Arc::new(metadata), ArrowReaderOptions::new())
}

/// With moments of 96 bits as microseconds. The library makes nanoseconds of them, which wrap around before 1677 and after 2262 without a
/// word, and for 9999-12-31, which many write for "never", it would give a day of 1816.
fn with_wide_times(read: ArrowReaderMetadata) -> Result<ArrowReaderMetadata> {
    let columns = read.parquet_schema().columns();
    let mut are_wide = columns.iter().map(|column| column.physical_type() == Type::INT96);
    if !are_wide.clone().any(|is_wide| is_wide) {
        return Ok(read);
    }
    let schema = read.schema();
    let fields: Vec<FieldRef> =
        schema.fields().iter().map(|field| with_wide_leaves(field, &mut are_wide)).collect();
    let schema = Schema::new_with_metadata(fields, schema.metadata().clone());
    let options = ArrowReaderOptions::new().with_schema(Arc::new(schema));
    ArrowReaderMetadata::try_new(Arc::clone(read.metadata()), options)
}

/// A column, of whose leaves the iterator says in the file's order whether they are moments of 96 bits.
fn with_wide_leaves(field: &FieldRef, are_wide: &mut dyn Iterator<Item = bool>) -> FieldRef {
    let data_type = match field.data_type() {
        DataType::List(inside) => DataType::List(with_wide_leaves(inside, are_wide)),
        DataType::LargeList(inside) => DataType::LargeList(with_wide_leaves(inside, are_wide)),
        DataType::ListView(inside) => DataType::ListView(with_wide_leaves(inside, are_wide)),
        DataType::LargeListView(inside) => DataType::LargeListView(with_wide_leaves(inside, are_wide)),
        DataType::FixedSizeList(inside, length) => {
            DataType::FixedSizeList(with_wide_leaves(inside, are_wide), *length)
        }
        DataType::Map(entries, sorted) => DataType::Map(with_wide_leaves(entries, are_wide), *sorted),
        DataType::Struct(members) => {
            DataType::Struct(members.iter().map(|member| with_wide_leaves(member, are_wide)).collect())
        }
        leaf => match (are_wide.next(), leaf) {
            (Some(true), DataType::Timestamp(TimeUnit::Nanosecond, zone)) => {
                DataType::Timestamp(TimeUnit::Microsecond, zone.clone())
            }
            _ => leaf.clone(),
        },
    };
    Arc::new(Field::clone(field).with_data_type(data_type))
}
