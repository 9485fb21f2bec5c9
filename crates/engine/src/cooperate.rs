//! Joins without a key pair every row with every row, in one go and without letting go of the thread. Here they are made to: rows come to
//! them in small pieces, and after each piece and each batch of pairs the thread is given back, so that a query can be stopped.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{DataFusionError, Result};
use datafusion::config::ConfigOptions;
use datafusion::execution::{RecordBatchStream, SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::execution_plan::CardinalityEffect;
use datafusion::physical_plan::joins::{
    CrossJoinExec, HashJoinExec, NestedLoopJoinExec, PiecewiseMergeJoinExec, SortMergeJoinExec,
};
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties, ReplaceChildrenOptions,
};
use futures_util::{Stream, StreamExt};

use crate::joins::BucketJoinExec;

/// Rows that are paired with all others before the thread is given back.
const PIECE: usize = 128;

/// The last physical rule.
#[derive(Debug)]
pub(crate) struct Cooperate;

impl PhysicalOptimizerRule for Cooperate {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_up(|node| {
            let pairs_all = node.is::<CrossJoinExec>()
                || node.is::<NestedLoopJoinExec>()
                || node.is::<PiecewiseMergeJoinExec>();
            let by_keys =
                node.is::<HashJoinExec>() || node.is::<BucketJoinExec>() || node.is::<SortMergeJoinExec>();
            if !pairs_all && !by_keys {
                return Ok(Transformed::no(node));
            }
            // Joins by keys make pairs batch by batch; where all keys are equal, there are as many.
            let children = node.children();
            let node = match children.as_slice() {
                [left, right] if pairs_all => {
                    let right: Arc<dyn ExecutionPlan> =
                        Arc::new(YieldExec::new(Arc::clone(right), Some(PIECE)));
                    let left =
                        if node.is::<NestedLoopJoinExec>() { read_once(left) } else { Arc::clone(left) };
                    let children = vec![left, right];
                    datafusion::physical_plan::replace_children_if_necessary(node, children)?
                }
                _ => node,
            };
            Ok(Transformed::yes(Arc::new(YieldExec::new(node, None)) as Arc<dyn ExecutionPlan>))
        })
        .data()
    }

    fn name(&self) -> &'static str {
        "Cooperate"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// The left side of a nested-loop join. Where it does not fit into memory, DataFusion 55.2 reads it a second time to spill it. Nodes below
/// may have given their rows away by then: files are shared out once among the streams that read them, and what is repartitioned panics. And
/// rows that have no partner are told once for each stream of the right side. Such a join ends with `limit_memory` instead.
fn read_once(left: &Arc<dyn ExecutionPlan>) -> Arc<dyn ExecutionPlan> {
    let was_read = Some(AtomicBool::new(false));
    Arc::new(YieldExec { was_read, ..YieldExec::new(Arc::clone(left), None) })
}

/// The same rows, with nothing handed down below them: neither filters nor limits.
pub(crate) fn closed(input: Arc<dyn ExecutionPlan>) -> Arc<dyn ExecutionPlan> {
    Arc::new(YieldExec::new(input, None))
}

/// Gives the thread back after each batch.
#[derive(Debug)]
pub(crate) struct YieldExec {
    input: Arc<dyn ExecutionPlan>,
    /// Rows of a batch at most.
    piece: Option<usize>,
    /// Whether it was read, where that may be once.
    was_read: Option<AtomicBool>,
}

impl YieldExec {
    fn new(input: Arc<dyn ExecutionPlan>, piece: Option<usize>) -> Self {
        Self { input, piece, was_read: None }
    }

    /// The same over another input, which was not read.
    fn anew(&self, input: Arc<dyn ExecutionPlan>) -> Self {
        let was_read = self.was_read.as_ref().map(|_| AtomicBool::new(false));
        Self { input, piece: self.piece, was_read }
    }
}

impl DisplayAs for YieldExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("YieldExec")
    }
}

impl ExecutionPlan for YieldExec {
    fn name(&self) -> &'static str {
        "YieldExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.input.properties()
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false]
    }

    fn cardinality_effect(&self) -> CardinalityEffect {
        CardinalityEffect::Equal
    }

    fn replace_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        match (children.pop(), children.is_empty()) {
            (Some(input), true) => Ok(Arc::new(self.anew(input))),
            _ => datafusion::common::internal_err!("one input"),
        }
    }

    fn with_new_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        match (children.pop(), children.is_empty()) {
            (Some(input), true) => Ok(Arc::new(self.anew(input))),
            _ => datafusion::common::internal_err!("one input"),
        }
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        if self.was_read.as_ref().is_some_and(|was_read| was_read.swap(true, Ordering::Relaxed)) {
            return Err(DataFusionError::ResourcesExhausted("one side of a join does not fit".to_owned()));
        }
        let rows = self.input.execute(partition, context)?;
        Ok(Box::pin(Yielding { rows, piece: self.piece, rest: None, due: false }))
    }
}

struct Yielding {
    rows: SendableRecordBatchStream,
    piece: Option<usize>,
    rest: Option<RecordBatch>,
    due: bool,
}

impl Yielding {
    /// A piece of what has arrived.
    fn piece_of(&mut self, batch: RecordBatch) -> RecordBatch {
        match self.piece {
            Some(piece) if batch.num_rows() > piece => {
                self.rest = Some(batch.slice(piece, batch.num_rows() - piece));
                batch.slice(0, piece)
            }
            _ => batch,
        }
    }
}

impl Stream for Yielding {
    type Item = Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.due {
            self.due = false;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let batch = match self.rest.take() {
            Some(rest) => rest,
            None => match ready!(self.rows.poll_next_unpin(cx)) {
                Some(Ok(batch)) => batch,
                other => return Poll::Ready(other),
            },
        };
        self.due = true;
        Poll::Ready(Some(Ok(self.piece_of(batch))))
    }
}

impl RecordBatchStream for Yielding {
    fn schema(&self) -> SchemaRef {
        self.rows.schema()
    }
}
