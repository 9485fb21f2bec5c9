//! Relations of data sources that are reached through drivers.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::arrow::record_batch::RecordBatchOptions;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Result, internal_err};
use datafusion::config::ConfigOptions;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties, ReplaceChildrenOptions,
};
use futures_util::{StreamExt, TryStreamExt, stream};
use tidegate_connect::{ErrorCode, Filter, Order, Relation, Scan, Source, SourceError};

use super::pushed::shapes;
use super::{OnFailure, Pushed, Rows, Wanted, names};
use crate::error::{Code, QueryError};
use crate::leakproof::to_filter;

/// Rows that a source chooses as the first ones at most. It sorts what it has no index for, on its own disk if they are many.
const MOST_FIRST: usize = 10_000;

/// A relation of an open data source.
#[derive(Clone)]
pub struct Connected {
    source: Arc<dyn Source>,
    relation: Relation,
    schema: SchemaRef,
    estimate: Option<u64>,
    on_failure: OnFailure,
}

impl fmt::Debug for Connected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connected").field("relation", &self.relation).finish_non_exhaustive()
    }
}

impl Connected {
    /// Asks the source for the columns of a relation.
    ///
    /// # Errors
    ///
    /// What is told of a failure of the source.
    pub async fn open(
        source: Arc<dyn Source>,
        relation: Relation,
        estimate: Option<u64>,
        on_failure: OnFailure,
    ) -> Result<Self, QueryError> {
        let schema = source.schema(&relation).await.map_err(|error| unavailable(&error, &on_failure))?;
        Ok(Self { source, relation, schema, estimate, on_failure })
    }

    /// Who hears of its failures.
    pub(super) const fn on_failure(&self) -> &OnFailure {
        &self.on_failure
    }
}

impl Connected {
    /// The conditions that the source evaluates as the engine would.
    fn filters(&self, wanted: &Wanted<'_>) -> Vec<Filter> {
        let all = wanted.conditions.iter().filter_map(to_filter);
        all.filter(|filter| self.source.evaluates(&self.schema, filter)).collect()
    }

    /// The conditions that the source is told, which evaluates these: all of them if it leaves out what has no row for which they hold.
    fn told(&self, wanted: &Wanted<'_>, filters: Vec<Filter>) -> Vec<Filter> {
        match self.source.skips() {
            true => wanted.conditions.iter().filter_map(to_filter).collect(),
            false => filters,
        }
    }
}

/// Whether a source that evaluates these applies all conditions, so that none of its rows is taken away above.
fn applies_all(wanted: &Wanted<'_>, filters: &[Filter]) -> bool {
    filters.len() == wanted.conditions.len()
}

/// Rows after which a source that evaluates these may stop.
fn limit(wanted: &Wanted<'_>, filters: &[Filter]) -> Option<usize> {
    wanted.limit.or_else(|| wanted.first.filter(|_| applies_all(wanted, filters)))
}

/// What a source said is for the operator alone: it may quote rows. That this server has no room for a copy is no word of the source.
pub(super) fn unavailable(error: &SourceError, on_failure: &OnFailure) -> QueryError {
    let told = on_failure(error);
    match error.code {
        ErrorCode::Timeout => QueryError::time(),
        ErrorCode::LocalDisk => QueryError::new(Code::SourceUnavailable, error.message.clone()),
        _ => told,
    }
}

#[async_trait]
impl Rows for Connected {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn estimate(&self) -> Option<u64> {
        self.estimate
    }

    fn pushed(&self, wanted: &Wanted<'_>) -> Pushed {
        let filters = self.filters(wanted);
        let (columns, limit) = (names(&self.schema, &wanted.columns), limit(wanted, &filters));
        Pushed { columns, filters: shapes(&filters), order: Vec::new(), limit }
    }

    async fn scan(&self, wanted: Wanted<'_>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        // Asked once: the source may forget its columns meanwhile, and a limit that is for other conditions than it is told leaves out rows.
        let filters = self.filters(&wanted);
        let (is_exact, limit) = (applies_all(&wanted, &filters), limit(&wanted, &filters));
        let schema = Arc::new(self.schema.project(&wanted.columns)?);
        let names = schema.fields().iter().map(|field| field.name().clone()).collect();
        let (relation, filters) = (self.relation.clone(), self.told(&wanted, filters));
        let scan = Scan { relation, projection: Some(names), filters, order: Vec::new(), limit };
        Ok(Arc::new(ConnectedExec::new(self.clone(), scan, is_exact, schema)))
    }
}

/// Reads a relation of a data source, in one stream.
pub(crate) struct ConnectedExec {
    rows: Connected,
    scan: Scan,
    /// Whether no row that comes is taken away above.
    is_exact: bool,
    properties: Arc<PlanProperties>,
}

impl ConnectedExec {
    fn new(rows: Connected, scan: Scan, is_exact: bool, schema: SchemaRef) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        Self { rows, scan, is_exact, properties: Arc::new(properties) }
    }

    /// The same, of no more than the first rows in an order. None where the source cannot choose them as the engine would.
    pub(crate) fn first(&self, order: &[Order], rows: usize) -> Option<Self> {
        let is_known = || self.rows.source.orders(&self.rows.schema, order);
        if !self.is_exact || self.scan.limit.is_some() || rows > MOST_FIRST || !is_known() {
            return None;
        }
        let scan = Scan { order: order.to_vec(), limit: Some(rows), ..self.scan.clone() };
        let (rows, properties) = (self.rows.clone(), Arc::clone(&self.properties));
        Some(Self { rows, scan, is_exact: self.is_exact, properties })
    }

    /// What the source is asked for.
    pub(crate) fn scan(&self) -> &Scan {
        &self.scan
    }

    /// Whether it applies all conditions that it was made with, the policy's among them.
    pub(crate) fn is_exact(&self) -> bool {
        self.is_exact
    }
}

impl fmt::Debug for ConnectedExec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectedExec").field("relation", &self.scan.relation).finish_non_exhaustive()
    }
}

impl DisplayAs for ConnectedExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ConnectedExec")
    }
}

impl ExecutionPlan for ConnectedExec {
    fn name(&self) -> &'static str {
        "ConnectedExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn replace_children(
        self: Arc<Self>,
        _: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn with_new_children(self: Arc<Self>, _: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn execute(&self, partition: usize, _: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        if partition != 0 {
            return internal_err!("a data source is read in one stream");
        }
        let (source, scan, schema) = (Arc::clone(&self.rows.source), self.scan.clone(), self.schema());
        let (shape, on_failure) = (Arc::clone(&schema), Arc::clone(&self.rows.on_failure));
        let rows = stream::once(async move {
            let rows = source.scan(scan).await.map_err(|error| unavailable(&error, &on_failure))?;
            let rows = rows.map(move |batch| -> Result<RecordBatch> {
                let failed = |error: SourceError| unavailable(&error, &on_failure);
                let batch = batch.map_err(failed)?;
                Ok(fitted(&batch, &shape).map_err(failed)?)
            });
            Ok::<_, datafusion::common::DataFusionError>(rows)
        })
        .try_flatten();
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, rows)))
    }
}

/// A batch with exactly the columns that were promised. A source that changed under the query is not available.
fn fitted(batch: &RecordBatch, schema: &Arc<Schema>) -> Result<RecordBatch, SourceError> {
    let changed = || SourceError::changed("The columns changed while they were read.");
    if batch.num_columns() != schema.fields().len() {
        return Err(changed());
    }
    let columns = batch
        .columns()
        .iter()
        .zip(schema.fields())
        .map(|(column, field)| {
            if column.data_type() == field.data_type() {
                Ok(Arc::clone(column))
            } else {
                cast(column, field.data_type())
            }
        })
        .collect::<Result<Vec<_>, _>>()
        .map_err(|_| changed())?;
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options).map_err(|_| changed())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_of_this_server_is_told_and_the_words_of_a_source_are_not() {
        let unnamed: OnFailure = Arc::new(|_| QueryError::unavailable());
        let of = |code| unavailable(&SourceError::new(code, "no room").with_detail("SECRET-1"), &unnamed);
        let full = QueryError::new(Code::SourceUnavailable, "no room");
        assert_eq!(of(ErrorCode::LocalDisk), full);
        for code in [ErrorCode::Query, ErrorCode::Connection, ErrorCode::FileNotFound] {
            assert_eq!(of(code), QueryError::unavailable(), "{code}");
        }
    }
}
