//! Rows in memory.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::catalog::memory::MemorySourceConfig;
use datafusion::common::Result;
use datafusion::config::ConfigOptions;
use datafusion::physical_plan::ExecutionPlan;

use super::{Rows, Wanted};

/// Batches that somebody has: schemas of the server's own, and tests.
#[derive(Clone, Debug)]
pub struct InMemory {
    schema: SchemaRef,
    batches: Vec<RecordBatch>,
}

impl InMemory {
    /// Batches of one schema.
    pub fn new(schema: SchemaRef, batches: Vec<RecordBatch>) -> Self {
        Self { schema, batches }
    }
}

#[async_trait]
impl Rows for InMemory {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn estimate(&self) -> Option<u64> {
        Some(self.batches.iter().map(|batch| batch.num_rows() as u64).sum())
    }

    async fn scan(&self, wanted: Wanted<'_>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        let exec = MemorySourceConfig::try_new_exec(
            std::slice::from_ref(&self.batches),
            Arc::clone(&self.schema),
            Some(wanted.columns),
        )?;
        Ok(exec)
    }
}
