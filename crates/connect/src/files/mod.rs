//! Sources that are one file: delimited text, JSON, Parquet, spreadsheets, XML.
//!
//! A file is copied beside the process if it is elsewhere, read once to learn its tables and the types that hold **every** value,
//! and read again for each scan. All of it happens on threads of its own, which may block; batches wait in a short queue, so that memory
//! stays bounded and a reader that goes away ends the read.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use arrow_array::RecordBatch;
use arrow_schema::{Schema, SchemaRef};
use bytes::Bytes;
use futures_util::stream;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use crate::discovered::{Column, Discovered, Schema as Place, Table, TableKind};
use crate::error::{SourceError, quoted, within};
use crate::filter::Filter;
use crate::registry::SourceType;
use crate::rows::{BATCH_ROWS, Batch, Cell};
use crate::settings::Settings;
use crate::source::{BatchStream, Relation, Scan, Source, Tested};

mod archive;
mod cells;
mod commas;
mod content;
mod csv;
mod excel;
mod headers;
mod infer;
mod json;
mod known;
mod lengths;
mod mended;
mod ods;
mod other;
mod pages;
mod parquet;
mod skip;
pub(crate) mod spool;
mod text;
mod thrift;
mod xls;
mod xml;

pub use content::ParquetContent;
pub(crate) use infer::{Inferred, Kind, days, microseconds, schema as schema_of, type_name};
pub(crate) use known::Known;
use spool::Spooled;

/// Columns of a table at most. More are refused rather than planned for minutes.
pub(crate) const MOST_COLUMNS: usize = 10_000;
/// Bytes of one row, or one value, at most.
pub(crate) const LONGEST_ROW: usize = 64 << 20;
/// Bytes of the names of all columns of a file at most: they are kept for as long as it is.
const LONGEST_NAMES: usize = 16 << 20;
/// Bytes of stack of a thread that reads: files may be nested. What is not used is not taken.
const STACK: usize = 32 << 20;

/// A table of a file.
#[derive(Clone, Debug)]
pub(crate) struct FileTable {
    pub(crate) name: String,
    pub(crate) schema: SchemaRef,
    pub(crate) rows: Option<i64>,
}

/// A file whose tables are known. Its methods block.
pub(crate) trait Format: Send + Sync {
    /// What kind of file it turned out to be, for the answer of a test.
    fn describe(&self) -> String;
    fn tables(&self) -> &[FileTable];
    /// What was read and is probably not meant, for the answer of a test.
    fn warning(&self) -> Option<&str> {
        None
    }
    /// Whether parts are left out that have no row for which the filters of a sink hold.
    fn skips(&self) -> bool {
        false
    }
    /// Reads a table's columns, by index, until the end or until the sink has enough.
    fn read(&self, table: usize, columns: &[usize], sink: &mut Sink) -> Result<(), SourceError>;
    /// The kinds of a table's columns; none where the file has types of its own.
    fn kinds(&self, _table: usize) -> Option<&[Kind]> {
        None
    }
    /// The file itself, if it is one of Parquet that may be read by row groups.
    fn content(&self) -> Option<Arc<ParquetContent>> {
        None
    }
    /// Gives columns kinds that hold more than they need, so that several files have the same.
    fn widen(&mut self, _table: usize, _kinds: &[Kind]) {}
}

/// Bytes of a file elsewhere, of which parts are read. Blocks.
pub(crate) trait Ranges: Send + Sync {
    fn size(&self) -> u64;
    /// Exactly those from a place on.
    fn bytes(&self, start: u64, length: usize) -> Result<Bytes, SourceError>;
    /// Why the last read failed, if it did: on their way through a library, errors become text.
    fn failure(&self) -> Option<SourceError>;
}

/// A Parquet file elsewhere, of which only what is asked for is read. Blocks.
pub(crate) fn remote_parquet(name: String, ranges: Arc<dyn Ranges>) -> Result<Arc<dyn Format>, SourceError> {
    Ok(Arc::new(parquet::Parquet::remote(name, ranges)?))
}

/// Refuses names of columns that have more bytes together than are kept.
fn check_names(bytes: usize) -> Result<(), SourceError> {
    if bytes <= LONGEST_NAMES {
        return Ok(());
    }
    let text = format!("The names of the columns have more than {LONGEST_NAMES} bytes together.");
    Err(SourceError::query(text))
}

/// Where the rows of a read go.
pub(crate) struct Sink {
    schema: SchemaRef,
    batch: Option<Batch>,
    sender: mpsc::Sender<Result<RecordBatch, SourceError>>,
    left: usize,
    /// Rows for which one of these does not hold need not come.
    filters: Vec<Filter>,
    deadline: Instant,
    limit: Duration,
}

impl Sink {
    /// Appends a row, whose cells come in the order of the columns asked for. False when no more is wanted.
    pub(crate) fn row<'a>(
        &mut self,
        width: usize,
        mut cell: impl FnMut(usize) -> Result<Cell<'a>, SourceError>,
    ) -> Result<bool, SourceError> {
        if self.left == 0 {
            return Ok(false);
        }
        let batch = match &mut self.batch {
            Some(batch) => batch,
            None => self.batch.insert(Batch::new(SchemaRef::clone(&self.schema))?),
        };
        for index in 0..width {
            batch.append(index, cell(index)?)?;
        }
        self.left -= 1;
        if batch.end_row() {
            let rows = batch.take()?;
            return self.send(rows);
        }
        Ok(self.left > 0)
    }

    /// The columns asked for.
    pub(crate) fn schema(&self) -> SchemaRef {
        SchemaRef::clone(&self.schema)
    }

    /// Rows for which one of these does not hold need not be passed on.
    pub(crate) fn filters(&self) -> &[Filter] {
        &self.filters
    }

    /// Passes a batch on. False when no more is wanted.
    pub(crate) fn batch(&mut self, rows: RecordBatch) -> Result<bool, SourceError> {
        let rows = if rows.num_rows() > self.left { rows.slice(0, self.left) } else { rows };
        self.left -= rows.num_rows();
        Ok(self.send(rows)? && self.left > 0)
    }

    fn send(&self, rows: RecordBatch) -> Result<bool, SourceError> {
        if Instant::now() > self.deadline {
            return Err(SourceError::timeout("The query", self.limit));
        }
        Ok(self.sender.blocking_send(Ok(rows)).is_ok())
    }

    fn finish(mut self, result: Result<(), SourceError>) {
        let last = match result {
            Err(error) => Some(Err(error)),
            Ok(()) => self.batch.as_mut().filter(|batch| !batch.is_empty()).map(Batch::take),
        };
        if let Some(last) = last {
            let _ = self.sender.blocking_send(last);
        }
    }
}

/// A source that is one file.
pub(crate) struct Files {
    format: Arc<dyn Format>,
    limit: Duration,
    opened: Duration,
}

impl Files {
    /// Copies the file if need be and reads it once.
    pub(crate) async fn open(settings: &Settings) -> Result<Self, SourceError> {
        let began = Instant::now();
        let spooled = within(settings.query_timeout, "Fetching the file", Spooled::fetch(settings)).await?;
        let settings = settings.clone();
        let limit = settings.query_timeout;
        // The thread ends with the attempt, whose time may be shorter than this one's.
        let stop = spooled.stop_reading();
        let kind = settings.kind;
        let inspecting = blocking(move || inspect(&settings, kind, spooled));
        let format = within(limit, "Reading the file", inspecting).await?;
        stop.keep();
        Ok(Self { format, limit, opened: began.elapsed() })
    }

    fn table(&self, relation: &Relation) -> Result<(usize, &FileTable), SourceError> {
        let mut tables = self.format.tables().iter().enumerate();
        let here = relation.schema.as_deref().is_none_or(|schema| schema == spool::SCHEMA);
        tables.find(|(_, table)| here && table.name == relation.table).ok_or_else(|| {
            SourceError::changed(format!("The file has no table {}.", quoted(&relation.table)))
        })
    }
}

/// Reads a file of a kind once, to learn its tables. Blocks.
pub(crate) fn inspect(
    settings: &Settings,
    kind: SourceType,
    file: Spooled,
) -> Result<Arc<dyn Format>, SourceError> {
    other::refuse(kind, &file)?;
    Ok(match kind {
        SourceType::Csv => Arc::new(csv::Csv::inspect(settings, file)?),
        SourceType::Json => Arc::new(json::Json::inspect(file)?),
        SourceType::Parquet => Arc::new(parquet::Parquet::inspect(file)?),
        SourceType::Excel => Arc::new(excel::Excel::inspect(settings, file)?),
        SourceType::Xml => Arc::new(xml::Xml::inspect(settings, file)?),
        other => return Err(SourceError::unsupported(format!("{other} is not the type of a file."))),
    })
}

/// Begins what blocks on a thread of its own. The runtime has a few for all queries, which are read and planned there: one that waits for a
/// slow store, or for a client that takes no rows, would keep one as long as its query may take, and one query with many files all of them.
fn on_own_thread(work: impl FnOnce() + Send + 'static) -> Result<(), SourceError> {
    let runtime = Handle::current();
    let begun = thread::Builder::new().name("source".to_owned()).stack_size(STACK).spawn(move || {
        // What it waits for is driven there.
        let _entered = runtime.enter();
        work();
    });
    begun.map(drop).map_err(|error| {
        SourceError::connection("The server has no thread left to read the data source with.")
            .with_detail(error)
    })
}

/// Runs what blocks on a thread of its own. A panic of a library over a broken file becomes an error.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, SourceError> + Send + 'static,
) -> Result<T, SourceError> {
    let (give, take) = oneshot::channel();
    on_own_thread(move || drop(give.send(work())))?;
    // A thread that panicked gives nothing.
    take.await.unwrap_or_else(|_| Err(SourceError::query("The file is broken and cannot be read.")))
}

/// Reads or writes a piece of a file on a thread of the runtime: that waits for this machine's disk alone, and not for long.
pub(crate) async fn briefly<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, SourceError> + Send + 'static,
) -> Result<T, SourceError> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| {
        Err(SourceError::query("The file is broken and cannot be read.").with_detail(error))
    })
}

/// The columns asked for, by index.
pub(crate) fn project(schema: &Schema, names: Option<&[String]>) -> Result<Vec<usize>, SourceError> {
    match names {
        None => Ok((0..schema.fields().len()).collect()),
        Some(names) => names
            .iter()
            .map(|name| {
                schema
                    .index_of(name)
                    .map_err(|_| SourceError::changed(format!("The column {} does not exist.", quoted(name))))
            })
            .collect(),
    }
}

#[async_trait::async_trait]
impl Source for Files {
    async fn test(&self, query: Option<&str>, _: Duration) -> Result<Tested, SourceError> {
        if query.is_some() {
            return Err(SourceError::query("A file runs no query of its own; test it without one."));
        }
        let tables = self.format.tables();
        let columns: usize = tables.iter().map(|table| table.schema.fields().len()).sum();
        let result = match tables {
            [one] => format!("{} rows, {columns} columns", one.rows.unwrap_or_default()),
            _ => format!("{} tables, {columns} columns", tables.len()),
        };
        let result = match self.format.warning() {
            Some(warning) => format!("{result}; {warning}"),
            None => result,
        };
        Ok(Tested {
            version: Some(self.format.describe()),
            result: Some(result),
            tunnel: false,
            elapsed: self.opened,
        })
    }

    async fn discover(&self, schema: Option<&str>) -> Result<Discovered, SourceError> {
        if schema.is_some_and(|schema| schema != spool::SCHEMA) {
            return Ok(Discovered::default());
        }
        let tables = self.format.tables().iter().map(|table| Table {
            name: table.name.clone(),
            kind: TableKind::File,
            row_count: table.rows,
            comment: None,
            columns: table
                .schema
                .fields()
                .iter()
                .enumerate()
                .map(|(index, field)| {
                    let mut column = Column::plain(field.name(), infer::type_name(field), index + 1);
                    column.nullable = field.is_nullable();
                    column
                })
                .collect(),
        });
        Ok(Discovered { schemas: vec![Place { name: spool::SCHEMA.to_owned(), tables: tables.collect() }] })
    }

    async fn schema(&self, relation: &Relation) -> Result<SchemaRef, SourceError> {
        Ok(SchemaRef::clone(&self.table(relation)?.1.schema))
    }

    fn evaluates(&self, _: &Schema, _: &Filter) -> bool {
        false
    }

    fn skips(&self) -> bool {
        self.format.skips()
    }

    fn parquet(&self, relation: &Relation) -> Option<Arc<ParquetContent>> {
        self.table(relation).ok()?;
        self.format.content()
    }

    async fn scan(&self, request: Scan) -> Result<BatchStream, SourceError> {
        let (index, _) = self.table(&request.relation)?;
        scan(Arc::clone(&self.format), index, &request, self.limit)
    }

    async fn close(&self) {}
}

/// Starts to read a table of a file.
pub(crate) fn scan(
    format: Arc<dyn Format>,
    index: usize,
    scan: &Scan,
    limit: Duration,
) -> Result<BatchStream, SourceError> {
    let Some(table) = format.tables().get(index) else {
        return Err(SourceError::changed("There is no such table."));
    };
    let columns = project(&table.schema, scan.projection.as_deref())?;
    let projected = table
        .schema
        .project(&columns)
        .map_err(|error| SourceError::changed("No such columns.").with_detail(error))?;
    let schema = Arc::new(projected);
    let limited = scan.limit_of_any().is_some() && scan.filters.is_empty();
    let (sender, receiver) = mpsc::channel(2);
    let mut sink = Sink {
        schema: SchemaRef::clone(&schema),
        batch: None,
        sender,
        left: scan.limit.filter(|_| limited).unwrap_or(usize::MAX),
        filters: scan.filters.clone(),
        deadline: Instant::now() + limit,
        limit,
    };
    on_own_thread(move || {
        let read = std::panic::AssertUnwindSafe(|| match sink.left {
            0 => Ok(()),
            _ => format.read(index, &columns, &mut sink),
        });
        // Libraries may panic over a broken file; that is the file's fault and ends its read only.
        let result = std::panic::catch_unwind(read)
            .unwrap_or_else(|_| Err(SourceError::query("The file is broken and cannot be read.")));
        sink.finish(result);
    })?;
    let batches =
        stream::unfold(receiver, |mut receiver| async move { Some((receiver.recv().await?, receiver)) });
    Ok(BatchStream::new(schema, vec![false; scan.filters.len()], limited, Box::pin(batches)))
}

/// A file of JSON values one after the other, and what it says of its columns; without any it is a table without columns.
pub(crate) fn json_lines(file: Spooled, empty: bool) -> Result<(Arc<dyn Format>, Known), SourceError> {
    let (json, known) = match empty {
        true => (json::Json::empty(file)?, Known::of(Vec::new())),
        false => json::Json::learned(file)?,
    };
    let format: Arc<dyn Format> = Arc::new(json);
    Ok((format, known))
}

/// The same with columns that are known; none if these do not hold what is in the file. `rewritten` is as in [`Known::holds`].
pub(crate) fn json_lines_of(
    file: Spooled,
    empty: bool,
    known: &Known,
    rewritten: bool,
) -> Result<Option<Arc<dyn Format>>, SourceError> {
    let json = json::Json::of_known(file, empty, known, rewritten)?;
    Ok(json.map(|json| Arc::new(json) as Arc<dyn Format>))
}

/// Rows of a batch that readers of columnar files ask for.
pub(crate) const READ_ROWS: usize = BATCH_ROWS;

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use arrow_array::{ArrayRef, Int64Array};
    use futures_util::StreamExt;

    use super::*;

    /// A table without an end. Notes which threads read it.
    struct Endless {
        tables: Vec<FileTable>,
        threads: Arc<Mutex<Vec<Option<String>>>>,
    }

    fn note(threads: &Mutex<Vec<Option<String>>>) {
        threads.lock().unwrap().push(thread::current().name().map(str::to_owned));
    }

    impl Format for Endless {
        fn describe(&self) -> String {
            String::new()
        }

        fn tables(&self) -> &[FileTable] {
            &self.tables
        }

        fn read(&self, _: usize, _: &[usize], sink: &mut Sink) -> Result<(), SourceError> {
            note(&self.threads);
            let numbers: ArrayRef = Arc::new(Int64Array::from(vec![1]));
            let rows = RecordBatch::try_new(sink.schema(), vec![numbers]).unwrap();
            while sink.batch(rows.clone())? {}
            Ok(())
        }
    }

    // Some files in one query of a client that took no rows kept all threads of the runtime, and nobody's query was read any more.
    #[tokio::test]
    async fn files_are_read_on_no_thread_of_the_runtime() {
        let threads = Arc::new(Mutex::new(Vec::new()));
        let field = arrow_schema::Field::new("n", arrow_schema::DataType::Int64, true);
        let table =
            FileTable { name: "t".to_owned(), schema: Arc::new(Schema::new(vec![field])), rows: None };
        let format = Arc::new(Endless { tables: vec![table], threads: Arc::clone(&threads) });
        let wanted = Scan::all(Relation { schema: None, table: "t".to_owned() });
        let mut rows = scan(format, 0, &wanted, Duration::from_secs(3_600)).unwrap();
        assert_eq!(rows.next().await.unwrap().unwrap().num_rows(), 1);
        let noted = Arc::clone(&threads);
        blocking(move || {
            note(&noted);
            Ok(())
        })
        .await
        .unwrap();
        assert_eq!(*threads.lock().unwrap(), [Some("source".to_owned()), Some("source".to_owned())]);
    }

    #[tokio::test]
    async fn a_thread_that_panics_is_an_error() {
        let broken =
            blocking(|| -> Result<(), SourceError> { panic!("a library met what it does not know") });
        assert_eq!(broken.await.unwrap_err().message, "The file is broken and cannot be read.");
    }
}
