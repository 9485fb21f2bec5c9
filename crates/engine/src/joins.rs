//! Joins by keys whose rows do not fit into memory.
//!
//! The engine's hash join holds one side in memory, and its sort-merge join is not what a query can fall back to (see `docs/adr/0018-engine.md`).
//! So both sides are written to the disk, each row into the bucket of its key, and the hash join then joins bucket by bucket: rows with equal
//! keys are in equal buckets. NULLs, conditions besides the keys, and rows without a partner are the hash join's own affair here as elsewhere.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::compute::BatchCoalescer;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{DataFusionError, Result};
use datafusion::config::ConfigOptions;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::joins::{HashJoinExec, PartitionMode};
use datafusion::physical_plan::metrics::{ExecutionPlanMetricsSet, SpillMetrics, Time};
use datafusion::physical_plan::repartition::BatchPartitioner;
use datafusion::physical_plan::spill::spill_pool::{self, SpillPoolSink};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, Distribution, ExecutionPlan, InputDistributionRequirements, Partitioning,
    PlanProperties, ReplaceChildrenOptions, SpillManager,
};
use futures_util::{Stream, StreamExt, TryStreamExt, stream};

use crate::spill::MOST_FILES;

/// Buckets of a join that is alone in its query.
const MOST_BUCKETS: usize = 64;

/// Where joins by keys hold one side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Joins {
    /// In memory, as long as it fits.
    #[default]
    InMemory,
    /// On the disk, in buckets.
    OnDisk,
}

/// Whether there is a join in a plan that could be on the disk instead.
pub(crate) fn any(plan: &Arc<dyn ExecutionPlan>) -> bool {
    count(plan) > 0
}

fn count(plan: &Arc<dyn ExecutionPlan>) -> usize {
    let mut found = 0;
    let mut rest = vec![Arc::clone(plan)];
    while let Some(node) = rest.pop() {
        found += usize::from(in_memory(&node).is_some());
        rest.extend(node.children().into_iter().map(Arc::clone));
    }
    found
}

/// `NOT IN` asks whether there is a NULL on the other side at all: a bucket does not know.
fn in_memory(node: &Arc<dyn ExecutionPlan>) -> Option<&HashJoinExec> {
    node.downcast_ref::<HashJoinExec>().filter(|join| !join.null_aware)
}

/// Puts joins on the disk. It comes before what is done for the order and the distribution of rows, which a join in buckets does not keep.
#[derive(Debug)]
pub(crate) struct Buckets;

impl PhysicalOptimizerRule for Buckets {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        // All joins of a query together leave one half of its files to sorts and groups.
        let most = (MOST_FILES / 4 / count(&plan).max(1)).clamp(2, MOST_BUCKETS);
        plan.transform_up(|node| {
            let Some(join) = in_memory(&node) else { return Ok(Transformed::no(node)) };
            Ok(Transformed::yes(Arc::new(BucketJoinExec::new(join, most)?) as Arc<dyn ExecutionPlan>))
        })
        .data()
    }

    fn name(&self) -> &'static str {
        "Buckets"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// A join on the disk.
#[derive(Debug)]
pub(crate) struct BucketJoinExec {
    /// What is done with each bucket.
    join: Arc<HashJoinExec>,
    buckets: usize,
    properties: Arc<PlanProperties>,
}

impl BucketJoinExec {
    fn new(join: &HashJoinExec, buckets: usize) -> Result<Self> {
        let join = join.builder().reset_state().with_partition_mode(PartitionMode::CollectLeft).build()?;
        Ok(Self::of(join, buckets))
    }

    fn of(join: HashJoinExec, buckets: usize) -> Self {
        // No order of either side is kept, and nothing is said of how rows are distributed.
        let properties = PlanProperties::new(
            EquivalenceProperties::new(join.schema()),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Final,
            Boundedness::Bounded,
        );
        Self { join: Arc::new(join), buckets, properties: Arc::new(properties) }
    }

    fn over(&self, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        let join = self.join.builder().reset_state().recompute_properties().with_new_children(children)?;
        Ok(Arc::new(Self::of(join.build()?, self.buckets)))
    }
}

impl DisplayAs for BucketJoinExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BucketJoinExec")
    }
}

impl ExecutionPlan for BucketJoinExec {
    fn name(&self) -> &'static str {
        "BucketJoinExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn input_distribution_requirements(&self) -> InputDistributionRequirements {
        InputDistributionRequirements::new(vec![Distribution::SinglePartition, Distribution::SinglePartition])
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![self.join.left(), self.join.right()]
    }

    fn replace_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        self.over(children)
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        self.over(children)
    }

    fn apply_expressions(
        &self,
        visit: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        self.join.apply_expressions(visit)
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        if partition != 0 {
            return datafusion::common::internal_err!("one partition");
        }
        let (join, buckets) = (Arc::clone(&self.join), self.buckets);
        let rows = stream::once(async move {
            let (left_keys, right_keys): (Vec<_>, Vec<_>) = join.on().iter().cloned().unzip();
            let left = join.left().execute(0, Arc::clone(&context))?;
            let left = split(left, left_keys, buckets, &context).await?;
            let right = join.right().execute(0, Arc::clone(&context))?;
            let right = split(right, right_keys, buckets, &context).await?;
            let pairs = stream::iter(left.into_iter().zip(right));
            let joined = pairs.map(move |(left, right)| of_bucket(&join, left, right, &context));
            Ok::<_, DataFusionError>(joined.try_flatten())
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), rows.try_flatten())))
    }
}

/// Writes rows to the disk and gives the buckets, to be read one after the other. A bucket without rows has no file.
async fn split(
    mut rows: SendableRecordBatchStream,
    keys: Vec<Arc<dyn PhysicalExpr>>,
    buckets: usize,
    context: &TaskContext,
) -> Result<Vec<SendableRecordBatchStream>> {
    let metrics = SpillMetrics::new(&ExecutionPlanMetricsSet::new(), 0);
    let disk = Arc::new(SpillManager::new(context.runtime_env(), metrics, rows.schema()));
    let (writers, readers): (Vec<SpillPoolSink>, Vec<SendableRecordBatchStream>) =
        (0..buckets).map(|_| spill_pool::spsc_channel(usize::MAX, Arc::clone(&disk))).unzip();
    let mut by_key = BatchPartitioner::new_hash_partitioner(keys, buckets, Time::new())?;
    while let Some(batch) = rows.next().await {
        by_key.partition(batch?, |bucket, part| match writers.get(bucket) {
            Some(writer) => writer.push_batch(&part),
            None => datafusion::common::internal_err!("a bucket too many"),
        })?;
        // A source in memory never waits, and the query could not be stopped.
        tokio::task::yield_now().await;
    }
    Ok(readers)
}

/// Joins one bucket with its counterpart.
fn of_bucket(
    join: &HashJoinExec,
    left: SendableRecordBatchStream,
    right: SendableRecordBatchStream,
    context: &Arc<TaskContext>,
) -> Result<SendableRecordBatchStream> {
    let rows = context.session_config().batch_size();
    let children = vec![bucket(left, rows)?, bucket(right, rows)?];
    let join = join.builder().reset_state().recompute_properties().with_new_children(children)?;
    join.build_exec()?.execute(0, Arc::clone(context))
}

fn bucket(rows: SendableRecordBatchStream, size: usize) -> Result<Arc<dyn ExecutionPlan>> {
    let schema = rows.schema();
    let rows: SendableRecordBatchStream =
        Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&schema), whole(rows, size)));
    let bucket: Arc<dyn PartitionStream> =
        Arc::new(Bucket { schema: Arc::clone(&schema), rows: Mutex::new(Some(rows)) });
    Ok(Arc::new(StreamingTableExec::try_new(schema, vec![bucket], None, [], false, None)?))
}

/// The pieces that a bucket was written in, put together. A piece that was read is a part of a larger block of bytes, and would be counted as
/// all of it.
fn whole(
    rows: SendableRecordBatchStream,
    size: usize,
) -> impl Stream<Item = Result<RecordBatch>> + Send + 'static {
    let pieces = BatchCoalescer::new(rows.schema(), size);
    stream::try_unfold((rows, pieces), |(mut rows, mut pieces)| async move {
        loop {
            if let Some(batch) = pieces.next_completed_batch() {
                return Ok::<_, DataFusionError>(Some((batch, (rows, pieces))));
            }
            match rows.next().await {
                Some(piece) => pieces.push_batch(piece?)?,
                None if pieces.is_empty() => return Ok(None),
                None => pieces.finish_buffered_batch()?,
            }
        }
    })
}

/// Rows of one bucket, which are read once.
struct Bucket {
    schema: SchemaRef,
    rows: Mutex<Option<SendableRecordBatchStream>>,
}

impl fmt::Debug for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bucket").finish_non_exhaustive()
    }
}

impl PartitionStream for Bucket {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner).take();
        rows.unwrap_or_else(|| {
            let twice = DataFusionError::Internal("a bucket is read once".to_owned());
            let failed = stream::iter([Err::<RecordBatch, _>(twice)]);
            Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), failed))
        })
    }
}
