//! A Parquet file of a data source, on this machine.
//!
//! The engine's own reader leaves row groups and pages out by conditions, reads in several streams, and takes filters of joins while it
//! runs. It holds the columns of a row group as a whole, and believes what the file announces; so it reads what
//! [`ParquetContent`] has looked at, within the memory of the query, and all else is read by [`Connected`].

use std::future::ready;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::stats::Precision;
use datafusion::common::{ColumnStatistics, Result, Statistics};
use datafusion::config::{ConfigOptions, TableParquetOptions};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::parquet::metadata::DFParquetMetadata;
use datafusion::datasource::physical_plan::{
    FileGroup, FileScanConfigBuilder, ParquetFileReaderFactory, ParquetSource,
};
use datafusion::datasource::source::DataSourceExec;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryLimit, MemoryPool, MemoryReservation};
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::object_store::ObjectStore;
use datafusion::object_store::memory::InMemory;
use datafusion::parquet::arrow::arrow_reader::ArrowReaderOptions;
use datafusion::parquet::arrow::async_reader::AsyncFileReader;
use datafusion::parquet::errors::{ParquetError, Result as ParquetResult};
use datafusion::parquet::file::metadata::ParquetMetaData;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tidegate_connect::ParquetContent;

use super::connected::{Connected, unavailable};
use super::pushed::shapes;
use super::{OnFailure, Pushed, Rows, Wanted};
use crate::error::{Carried, QueryError};
use crate::leakproof::to_filter;

/// The part of a query's memory that the row groups of one reading may take: joins have several readings, and hold rows besides.
const SHARE: usize = 4;
/// Columns times row groups whose statistics are put together for a plan. Of larger files the number of rows is told.
const MOST_STATISTICS: usize = 50_000;

/// The relation of a Parquet file.
#[derive(Clone, Debug)]
pub struct ParquetRows {
    content: Arc<ParquetContent>,
    /// The same, page by page and in one stream.
    plain: Connected,
    url: ObjectStoreUrl,
    /// Rows are filtered while columns are decoded.
    pushdown_filters: bool,
}

impl ParquetRows {
    /// The relation of a file, which `plain` reads page by page.
    ///
    /// # Errors
    ///
    /// `source_unavailable` where it cannot be given a name of its own.
    pub fn new(content: Arc<ParquetContent>, plain: Connected) -> Result<Self, QueryError> {
        // No text of a query can name it, and each relation has its own.
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let url = ObjectStoreUrl::parse(format!("relation://file{}", NEXT.fetch_add(1, Ordering::Relaxed)))
            .map_err(|_| QueryError::unavailable())?;
        Ok(Self { content, plain, url, pushdown_filters: false })
    }

    /// Whether rows are filtered while columns are decoded: good where few rows are left, bad where most are.
    #[must_use]
    pub fn with_pushdown_filters(mut self, on: bool) -> Self {
        self.pushdown_filters = on;
        self
    }

    /// Streams in which row groups are read whose largest has so many bytes; none where there is no room for one.
    fn streams(wanted: &Wanted<'_>, largest: u64) -> Option<usize> {
        let room = match wanted.memory.memory_limit() {
            MemoryLimit::Finite(bytes) => bytes / SHARE,
            MemoryLimit::Infinite | MemoryLimit::Unknown => usize::MAX,
        };
        let most = room / usize::try_from(largest).ok()?.max(1);
        (most > 0).then(|| wanted.partitions.clamp(1, most))
    }

    /// What the file says of the columns that the optimizer may know about; nothing of the others.
    fn statistics(&self, told: &[usize]) -> Statistics {
        let schema = self.content.schema();
        let known = self.content.once(|| statistics(&self.content));
        let Some(known) = known else { return Statistics::new_unknown(schema) };
        let columns = known.column_statistics.iter().enumerate().map(|(place, column)| {
            if told.binary_search(&place).is_ok() { column.clone() } else { ColumnStatistics::new_unknown() }
        });
        let is_whole = told.len() == schema.fields().len();
        Statistics {
            num_rows: known.num_rows,
            total_byte_size: if is_whole { known.total_byte_size } else { Precision::Absent },
            column_statistics: columns.collect(),
        }
    }

    fn by_row_groups(
        &self,
        wanted: Wanted<'_>,
        streams: usize,
        config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let mut options = TableParquetOptions {
            global: config.execution.parquet.clone(),
            ..TableParquetOptions::default()
        };
        options.global.pushdown_filters = self.pushdown_filters;
        options.global.reorder_filters = false;
        // Without it the reader would look for an index that was not looked at.
        options.global.enable_page_index = self.content.has_page_index();
        // As the rows' types have it: of nanoseconds, those before 1677 and after 2262 would be others.
        options.global.coerce_int96 = Some("us".to_owned());
        // As many bytes as they announce would be made room for.
        options.global.bloom_filter_on_read = false;
        let (content, plain) = (Arc::clone(&self.content), self.plain.clone());
        let readers = Readers { content, plain, memory: wanted.memory };
        let source = ParquetSource::new(Arc::clone(self.content.schema()))
            .with_table_parquet_options(options)
            .with_parquet_file_reader_factory(Arc::new(readers));
        let file = PartitionedFile::new("data.parquet", self.content.size());
        let mut scan = FileScanConfigBuilder::new(self.url.clone(), Arc::new(source))
            .with_file_groups(vec![FileGroup::new(vec![file])])
            .with_projection_indices(Some(wanted.columns))?
            .with_limit(wanted.limit);
        if let Some(told) = &wanted.told {
            scan = scan.with_statistics(self.statistics(told));
        }
        let exec: Arc<dyn ExecutionPlan> = DataSourceExec::from_data_source(scan.build());
        let split = exec.repartitioned(streams, config).map_err(|_| QueryError::unavailable())?;
        Ok(split.unwrap_or(exec))
    }
}

/// What a file says of all its columns. It is an estimate: no answer is made of it, and each row that is counted is read.
fn statistics(content: &ParquetContent) -> Statistics {
    let (metadata, schema) = (content.metadata(), content.schema());
    let rows = usize::try_from(content.rows()).map_or(Precision::Absent, Precision::Inexact);
    let counted = Statistics { num_rows: rows, ..Statistics::new_unknown(schema) };
    if metadata.num_row_groups().saturating_mul(schema.fields().len()) > MOST_STATISTICS {
        return counted;
    }
    let known = DFParquetMetadata::statistics_from_parquet_metadata(metadata, schema);
    let Ok(mut known) = known.map(Statistics::to_inexact) else { return counted };
    for column in &mut known.column_statistics {
        // A plan would fail of bounds that contradict each other.
        let is_sound = match (column.min_value.get_value(), column.max_value.get_value()) {
            (Some(least), Some(largest)) => least <= largest,
            _ => true,
        };
        if !is_sound {
            *column = ColumnStatistics::new_unknown();
        }
    }
    Statistics { num_rows: rows, ..known }
}

#[async_trait]
impl Rows for ParquetRows {
    fn schema(&self) -> SchemaRef {
        self.plain.schema()
    }

    fn estimate(&self) -> Option<u64> {
        Some(self.content.rows())
    }

    fn tells(&self) -> bool {
        true
    }

    /// An empty one: the reader asks for one, and reads the file by itself.
    fn store(&self) -> Option<(ObjectStoreUrl, Arc<dyn ObjectStore>)> {
        Some((self.url.clone(), Arc::new(InMemory::new())))
    }

    fn pushed(&self, wanted: &Wanted<'_>) -> Pushed {
        let plain = self.plain.pushed(wanted);
        let known = self.content.known_group(&wanted.columns);
        if known.and_then(|largest| Self::streams(wanted, largest)).is_none() {
            return plain;
        }
        let filters: Vec<_> = wanted.conditions.iter().filter_map(to_filter).collect();
        Pushed { filters: shapes(&filters), ..plain }
    }

    async fn scan(&self, wanted: Wanted<'_>, config: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        let largest = self.content.largest_group(&wanted.columns).await;
        match largest.and_then(|largest| Self::streams(&wanted, largest)) {
            Some(streams) => self.by_row_groups(wanted, streams, config),
            None => self.plain.scan(wanted, config).await,
        }
    }
}

/// Gives each stream its reader.
#[derive(Debug)]
struct Readers {
    content: Arc<ParquetContent>,
    plain: Connected,
    memory: Arc<dyn MemoryPool>,
}

impl ParquetFileReaderFactory for Readers {
    fn create_reader(
        &self,
        _: usize,
        _: PartitionedFile,
        _: Option<usize>,
        _: &ExecutionPlanMetricsSet,
    ) -> Result<Box<dyn AsyncFileReader + Send>> {
        let memory = MemoryConsumer::new("ParquetReader").register(&self.memory);
        let (content, on_failure) = (Arc::clone(&self.content), Arc::clone(self.plain.on_failure()));
        Ok(Box::new(Reader { content, on_failure, memory }))
    }
}

/// Reads parts of the file. What they take is counted until nobody holds them any more.
struct Reader {
    content: Arc<ParquetContent>,
    on_failure: OnFailure,
    memory: MemoryReservation,
}

/// A part of the file, and its memory.
struct Part {
    bytes: Vec<u8>,
    _memory: MemoryReservation,
}

impl AsRef<[u8]> for Part {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Reader {
    async fn parts(&self, ranges: Vec<Range<u64>>) -> Result<Vec<Bytes>, QueryError> {
        let mut reserved = Vec::with_capacity(ranges.len());
        for range in &ranges {
            let length = usize::try_from(range.end.saturating_sub(range.start));
            let memory = self.memory.new_empty();
            let grown = length.is_ok_and(|length| memory.try_grow(length).is_ok());
            if !grown {
                return Err(QueryError::too_big("The query needs more memory than it may use."));
            }
            reserved.push(memory);
        }
        let parts = self.content.read(ranges).await;
        let parts = parts.map_err(|error| unavailable(&error, &self.on_failure))?;
        let parts = parts.into_iter().zip(reserved);
        Ok(parts.map(|(bytes, memory)| Bytes::from_owner(Part { bytes, _memory: memory })).collect())
    }
}

fn carried(error: QueryError) -> ParquetError {
    ParquetError::External(Box::new(Carried(error)))
}

impl AsyncFileReader for Reader {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, ParquetResult<Bytes>> {
        async move {
            let mut parts = self.parts(vec![range]).await.map_err(carried)?;
            parts.pop().ok_or_else(|| carried(QueryError::unavailable()))
        }
        .boxed()
    }

    fn get_byte_ranges(&mut self, ranges: Vec<Range<u64>>) -> BoxFuture<'_, ParquetResult<Vec<Bytes>>> {
        async move { self.parts(ranges).await.map_err(carried) }.boxed()
    }

    fn get_metadata<'a>(
        &'a mut self,
        _: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, ParquetResult<Arc<ParquetMetaData>>> {
        ready(Ok(Arc::clone(self.content.metadata()))).boxed()
    }
}
