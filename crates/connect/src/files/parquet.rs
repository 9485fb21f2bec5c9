//! Parquet.

use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::sync::Arc;

use arrow_schema::{Field, Schema};
use bytes::Bytes;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder,
};
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, Length};

use super::content::ParquetContent;
use super::mended::mended;
use super::pages::{Measured, look_at_footer};
use super::skip::Group;
use super::spool::Spooled;
use super::{FileTable, Format, MOST_COLUMNS, Ranges, Sink};
use crate::error::SourceError;
use crate::truth::may_hold;

/// A Parquet file, whose schema is its own.
pub(super) struct Parquet {
    file: Chunks,
    metadata: ArrowReaderMetadata,
    tables: Vec<FileTable>,
    /// The same for readers of whole row groups, if it is here and may be read so.
    content: Option<Arc<ParquetContent>>,
}

impl Parquet {
    pub(super) fn inspect(file: Spooled) -> Result<Self, SourceError> {
        let mut head = [0; 4];
        let mut reader = file.reader()?;
        let read = reader.read(&mut head).map_err(super::spool::broken)?;
        if read < 4 || file.size < 12 || !matches!(&head, b"PAR1" | b"PARE") {
            return Err(SourceError::query("The file is no Parquet file."));
        }
        if &head == b"PARE" {
            return Err(SourceError::query("The Parquet file is encrypted."));
        }
        let (name, file) = (file.table.clone(), Arc::new(file));
        let mut parquet = Self::of(name, Chunks::Here(Arc::clone(&file)))?;
        parquet.content = ParquetContent::of(file, &parquet.metadata).map(Arc::new);
        Ok(parquet)
    }

    /// A file elsewhere, of which the end is read now and columns when they are asked for.
    pub(super) fn remote(name: String, ranges: Arc<dyn Ranges>) -> Result<Self, SourceError> {
        if ranges.size() < 12 {
            return Err(SourceError::query("The file is no Parquet file."));
        }
        Self::of(name, Chunks::Elsewhere(ranges))
    }

    fn of(name: String, file: Chunks) -> Result<Self, SourceError> {
        look_at_footer(&file)?;
        let metadata = ArrowReaderMetadata::load(&file, ArrowReaderOptions::new()).and_then(mended);
        let metadata = metadata.map_err(|error| failed(&error))?;
        let rows = metadata.metadata().file_metadata().num_rows();
        let schema = metadata.schema();
        if schema.fields().len() > MOST_COLUMNS {
            return Err(SourceError::query(format!("The file has more than {MOST_COLUMNS} columns.")));
        }
        let named = schema.fields().iter().map(|field| {
            let native = field.data_type().to_string().chars().take(200).collect();
            let mut metadata = field.metadata().clone();
            metadata.insert("native".to_owned(), native);
            Arc::new(Field::clone(field).with_metadata(metadata))
        });
        let schema = Arc::new(Schema::new(named.collect::<Vec<_>>()));
        let table = FileTable { name, schema, rows: Some(rows) };
        Ok(Self { file, metadata, tables: vec![table], content: None })
    }
}

pub(super) fn failed(error: &ParquetError) -> SourceError {
    // What came from elsewhere says itself why it did not.
    if let ParquetError::External(inner) = error
        && let Some(error) = inner.downcast_ref::<SourceError>()
    {
        return error.clone();
    }
    let text = error.to_string();
    let message = if text.to_lowercase().contains("encrypt") {
        "The Parquet file is encrypted."
    } else {
        "The Parquet file is broken, or uses what is not supported."
    };
    SourceError::query(message).with_detail(text)
}

/// The file at places of its own: handles that share a position would disturb each other.
#[derive(Clone)]
pub(super) enum Chunks {
    Here(Arc<Spooled>),
    Elsewhere(Arc<dyn Ranges>),
}

impl Chunks {
    fn failure(&self) -> Option<SourceError> {
        match self {
            Self::Here(_) => None,
            Self::Elsewhere(ranges) => ranges.failure(),
        }
    }
}

impl Length for Chunks {
    fn len(&self) -> u64 {
        match self {
            Self::Here(file) => file.size,
            Self::Elsewhere(ranges) => ranges.size(),
        }
    }
}

impl ChunkReader for Chunks {
    type T = Box<dyn Read>;

    fn get_read(&self, start: u64) -> parquet::errors::Result<Self::T> {
        match self {
            Self::Here(file) => {
                let mut reader = file.reader().map_err(|error| ParquetError::External(Box::new(error)))?;
                reader.seek(SeekFrom::Start(start))?;
                Ok(Box::new(BufReader::new(reader)))
            }
            Self::Elsewhere(ranges) => {
                Ok(Box::new(BufReader::new(Elsewhere { ranges: Arc::clone(ranges), at: start })))
            }
        }
    }

    fn get_bytes(&self, start: u64, length: usize) -> parquet::errors::Result<Bytes> {
        let ends = start.checked_add(length as u64).filter(|end| *end <= self.len());
        ends.ok_or_else(|| ParquetError::EOF("The file ends before a chunk does.".to_owned()))?;
        if let Self::Elsewhere(ranges) = self {
            return ranges.bytes(start, length).map_err(|error| ParquetError::External(Box::new(error)));
        }
        let mut chunk = vec![0; length];
        self.get_read(start)?.read_exact(&mut chunk)?;
        Ok(chunk.into())
    }
}

/// A reader of a file elsewhere.
struct Elsewhere {
    ranges: Arc<dyn Ranges>,
    at: u64,
}

impl Read for Elsewhere {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.ranges.size().saturating_sub(self.at)).unwrap_or(usize::MAX);
        let length = buffer.len().min(left);
        if length == 0 {
            return Ok(0);
        }
        let bytes = self.ranges.bytes(self.at, length).map_err(io::Error::other)?;
        let place = buffer
            .get_mut(..bytes.len())
            .ok_or_else(|| io::Error::other("more bytes than were asked for"))?;
        place.copy_from_slice(&bytes);
        self.at += bytes.len() as u64;
        Ok(bytes.len())
    }
}

impl Parquet {
    /// Why reading ended, if that is known better than the library does.
    fn reason(&self, file: &Measured<Chunks>) -> Option<SourceError> {
        self.file.failure().or_else(|| file.failure())
    }
}

impl Format for Parquet {
    fn describe(&self) -> String {
        let by = self.metadata.metadata().file_metadata().created_by().unwrap_or("an unnamed program");
        crate::gate::bounded(&format!("Parquet, written by {by}"))
    }

    fn tables(&self) -> &[FileTable] {
        &self.tables
    }

    fn skips(&self) -> bool {
        true
    }

    fn content(&self) -> Option<Arc<ParquetContent>> {
        self.content.clone()
    }

    fn read(&self, _: usize, columns: &[usize], sink: &mut Sink) -> Result<(), SourceError> {
        let metadata = self.metadata.metadata();
        let mask = ProjectionMask::roots(self.metadata.parquet_schema(), columns.iter().copied());
        let file = Measured::new(self.file.clone(), metadata)?;
        // The reader gives columns in the file's order, each once.
        let mut sorted: Vec<usize> = columns.to_vec();
        sorted.sort_unstable();
        sorted.dedup();
        let order: Vec<usize> = columns.iter().filter_map(|index| sorted.binary_search(index).ok()).collect();
        for (group, of_group) in metadata.row_groups().iter().enumerate() {
            if !may_hold(sink.filters(), &Group::new(self.metadata.schema(), of_group)) {
                continue;
            }
            let rows = file.rows_at_once(metadata, group, columns);
            let rows = rows.map_err(|error| self.reason(&file).unwrap_or_else(|| failed(&error)))?;
            let builder =
                ParquetRecordBatchReaderBuilder::new_with_metadata(file.clone(), self.metadata.clone());
            let reader = builder
                .with_projection(mask.clone())
                .with_row_groups(vec![group])
                .with_batch_size(rows)
                .build()
                .map_err(|error| self.reason(&file).unwrap_or_else(|| failed(&error)))?;
            for batch in reader {
                let batch = batch.map_err(|error| {
                    self.reason(&file).unwrap_or_else(|| {
                        SourceError::query("The Parquet file is broken, or uses what is not supported.")
                            .with_detail(error)
                    })
                })?;
                file.next_batch();
                let arrays = order.iter().filter_map(|index| batch.columns().get(*index).cloned()).collect();
                let options = arrow_array::RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
                let batch = arrow_array::RecordBatch::try_new_with_options(sink.schema(), arrays, &options)
                    .map_err(|error| {
                    SourceError::query("The rows do not fit the columns.").with_detail(error)
                })?;
                if !sink.batch(batch)? {
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}
