//! Streams that are merged share a threshold only where it is one of the whole order.
//!
//! Of an order by several keys DataFusion 55.2 leaves out of each stream's sort what is constant within it, also where the streams have
//! different constants, such as the parts of a UNION. The sorts that keep no more than some rows have a threshold in common all the same: what
//! one stream has found keeps rows out of another one that come before it. So these sort by all keys.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::config::ConfigOptions;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::sorts::sort_preserving_merge::SortPreservingMergeExec;
use datafusion::physical_plan::{ExecutionPlan, replace_children_if_necessary};

/// Runs when sorts and limits are where they stay.
#[derive(Debug)]
pub(crate) struct Thresholds;

impl PhysicalOptimizerRule for Thresholds {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_up(|node| {
            Ok(match by_all_keys(&node) {
                Some(sort) => Transformed::yes(replace_children_if_necessary(node, vec![sort])?),
                None => Transformed::no(node),
            })
        })
        .data()
    }

    fn name(&self) -> &'static str {
        "Thresholds"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// The sort below a merge by more keys than it has itself.
fn by_all_keys(node: &Arc<dyn ExecutionPlan>) -> Option<Arc<dyn ExecutionPlan>> {
    let merge = node.downcast_ref::<SortPreservingMergeExec>()?;
    let sort = merge.input().downcast_ref::<SortExec>()?;
    let rows = sort.fetch()?;
    (merge.expr() != sort.expr()).then(|| {
        let sort = SortExec::new(merge.expr().clone(), Arc::clone(sort.input()))
            .with_fetch(Some(rows))
            .with_preserve_partitioning(sort.preserve_partitioning());
        Arc::new(sort) as Arc<dyn ExecutionPlan>
    })
}
