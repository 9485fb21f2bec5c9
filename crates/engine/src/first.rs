//! The first rows in an order are chosen by the source, where it can: it has an index, or sends a few rows instead of all that the order
//! has to be found in.
//!
//! The sort stays where it is, over what then comes: the source says which rows are the first ones, and not in which order.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::config::ConfigOptions;
use datafusion::physical_expr::PhysicalSortExpr;
use datafusion::physical_expr::expressions::{Column, Literal};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::sorts::sort_preserving_merge::SortPreservingMergeExec;
use datafusion::physical_plan::{ExecutionPlan, replace_children_if_necessary};

use crate::barrier::SecureBarrierExec;

/// Runs when sorts and limits are where they stay.
#[derive(Debug)]
pub(crate) struct First;

impl PhysicalOptimizerRule for First {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_up(|node| {
            Ok(match narrowed(&node)? {
                Some(narrowed) => Transformed::yes(narrowed),
                None => Transformed::no(node),
            })
        })
        .data()
    }

    fn name(&self) -> &'static str {
        "First"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// A sort of which no more than some rows are wanted, over no more than those.
fn narrowed(node: &Arc<dyn ExecutionPlan>) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    let merge = node.downcast_ref::<SortPreservingMergeExec>();
    let above = merge.map_or(node, SortPreservingMergeExec::input);
    let Some(sort) = above.downcast_ref::<SortExec>() else { return Ok(None) };
    let Some(rows) = sort.fetch() else { return Ok(None) };
    // Each of several streams has first rows of its own, which are those of all where they are merged.
    let is_of_all = match merge {
        Some(merge) => merge.expr() == sort.expr() && merge.fetch().is_some_and(|most| most <= rows),
        None => sort.properties().output_partitioning().partition_count() == 1,
    };
    if !is_of_all {
        return Ok(None);
    }
    let Some(input) = first(sort.input(), sort.expr(), rows)? else { return Ok(None) };
    let sorted = replace_children_if_necessary(Arc::clone(above), vec![input])?;
    Ok(Some(match merge {
        Some(_) => replace_children_if_necessary(Arc::clone(node), vec![sorted])?,
        None => sorted,
    }))
}

/// The first rows of a relation, below nodes that give every row on.
fn first(
    node: &Arc<dyn ExecutionPlan>,
    order: &[PhysicalSortExpr],
    rows: usize,
) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    if let Some(barrier) = node.downcast_ref::<SecureBarrierExec>() {
        return Ok(barrier.first(order, rows).map(|barrier| Arc::new(barrier) as Arc<dyn ExecutionPlan>));
    }
    let order = match node.downcast_ref::<ProjectionExec>() {
        Some(projection) => below(projection, order),
        None => gives_all(node).then(|| order.to_vec()),
    };
    let children = node.children();
    let (Some(order), [child]) = (order, children.as_slice()) else { return Ok(None) };
    let Some(child) = first(child, &order, rows)? else { return Ok(None) };
    Ok(Some(replace_children_if_necessary(Arc::clone(node), vec![child])?))
}

fn gives_all(node: &Arc<dyn ExecutionPlan>) -> bool {
    node.fetch().is_none()
        && (node.is::<CooperativeExec>()
            || node.is::<CoalescePartitionsExec>()
            || node.is::<RepartitionExec>())
}

/// The order in terms of what a projection projects. None where that is computed: it may fail, and does so also for rows that are not among
/// the first, whatever the source.
fn below(projection: &ProjectionExec, order: &[PhysicalSortExpr]) -> Option<Vec<PhysicalSortExpr>> {
    let parts = projection.expr();
    let is_plain = parts.iter().all(|part| part.expr.is::<Column>() || part.expr.is::<Literal>());
    let key = |key: &PhysicalSortExpr| {
        let column = key.expr.downcast_ref::<Column>()?;
        let part = parts.get(column.index()).filter(|part| part.expr.is::<Column>())?;
        Some(PhysicalSortExpr { expr: Arc::clone(&part.expr), options: key.options })
    };
    order.iter().map(key).collect::<Option<_>>().filter(|_| is_plain)
}
