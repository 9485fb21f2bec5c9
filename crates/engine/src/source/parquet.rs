//! Parquet files in an object store.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::{DataFusionError, Result};
use datafusion::config::{ConfigOptions, TableParquetOptions};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::parquet::metadata::DFParquetMetadata;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::Expr;
use datafusion::object_store::ObjectStore;
use datafusion::parquet::arrow::parquet_to_arrow_schema;
use datafusion::physical_plan::ExecutionPlan;

use super::{Rows, Wanted};
use crate::error::QueryError;

/// One file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParquetFile {
    /// Where it is in its store.
    pub path: String,
    /// Bytes.
    pub size: u64,
}

/// Files of one schema.
#[derive(Clone)]
pub struct ParquetFiles {
    store: Arc<dyn ObjectStore>,
    url: ObjectStoreUrl,
    files: Vec<ParquetFile>,
    schema: SchemaRef,
    rows: u64,
    /// Rows are filtered while columns are decoded.
    pushdown_filters: bool,
}

impl std::fmt::Debug for ParquetFiles {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ParquetFiles").field("files", &self.files.len()).finish_non_exhaustive()
    }
}

impl ParquetFiles {
    /// Reads the ends of the files.
    ///
    /// # Errors
    ///
    /// `source_unavailable` where one is not there or no Parquet file, and where they are of different schemas.
    pub async fn open(store: Arc<dyn ObjectStore>, files: Vec<ParquetFile>) -> Result<Self, QueryError> {
        let mut rows = 0;
        let mut schema: Option<SchemaRef> = None;
        for file in &files {
            let place = PartitionedFile::new(file.path.clone(), file.size);
            let metadata = DFParquetMetadata::new(store.as_ref(), &place.object_meta)
                .fetch_metadata()
                .await
                .map_err(|_| QueryError::unavailable())?;
            let metadata = metadata.file_metadata();
            rows += u64::try_from(metadata.num_rows()).unwrap_or(0);
            let own = parquet_to_arrow_schema(metadata.schema_descr(), metadata.key_value_metadata())
                .map_err(|_| QueryError::unavailable())?;
            match &schema {
                Some(first) if first.fields() != own.fields() => return Err(QueryError::unavailable()),
                Some(_) => {}
                None => schema = Some(Arc::new(own)),
            }
        }
        let schema = schema.ok_or_else(QueryError::unavailable)?;
        let schema = Arc::new(schema.as_ref().clone().with_metadata(std::collections::HashMap::new()));
        // No text of a query can name it, and each set of files has its own.
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let url = ObjectStoreUrl::parse(format!("relation://files{}", NEXT.fetch_add(1, Ordering::Relaxed)))
            .map_err(|_| QueryError::unavailable())?;
        Ok(Self { store, url, files, schema, rows, pushdown_filters: false })
    }

    /// Whether rows are filtered while columns are decoded: good where few rows are left, bad where most are.
    #[must_use]
    pub fn with_pushdown_filters(mut self, on: bool) -> Self {
        self.pushdown_filters = on;
        self
    }
}

#[async_trait]
impl Rows for ParquetFiles {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn estimate(&self) -> Option<u64> {
        Some(self.rows)
    }

    fn store(&self) -> Option<(ObjectStoreUrl, Arc<dyn ObjectStore>)> {
        Some((self.url.clone(), Arc::clone(&self.store)))
    }

    fn sees(&self, _: &Expr) -> bool {
        true
    }

    async fn scan(&self, wanted: Wanted<'_>, config: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        let mut options = TableParquetOptions {
            global: config.execution.parquet.clone(),
            ..TableParquetOptions::default()
        };
        options.global.pushdown_filters = self.pushdown_filters;
        options.global.reorder_filters = false;
        let source = ParquetSource::new(Arc::clone(&self.schema)).with_table_parquet_options(options);
        let files = self.files.iter().map(|file| PartitionedFile::new(file.path.clone(), file.size));
        let scan = FileScanConfigBuilder::new(self.url.clone(), Arc::new(source))
            .with_file_groups(files.map(|file| FileGroup::new(vec![file])).collect())
            .with_projection_indices(Some(wanted.columns))?
            .with_limit(wanted.limit)
            .build();
        let exec: Arc<dyn ExecutionPlan> = DataSourceExec::from_data_source(scan);
        let split = exec.repartitioned(wanted.partitions, config).map_err(unavailable)?;
        Ok(split.unwrap_or(exec))
    }
}

fn unavailable(_: DataFusionError) -> DataFusionError {
    QueryError::unavailable().into()
}
