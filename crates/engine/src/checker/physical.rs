//! The physical plan, as it will run.

use std::collections::HashSet;
use std::sync::Arc;

use datafusion::catalog::memory::MemorySourceConfig;
use datafusion::datasource::source::DataSourceExec;
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::BinaryExpr;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::filter::FilterExec;

use super::{Expected, refused};
use crate::barrier::SecureBarrierExec;
use crate::error::QueryError;
use crate::governance;
use crate::source::ConnectedExec;
use crate::table::GovernedTable;

/// Nodes with children that only compute.
const COMPUTING: &[&str] = &[
    "AggregateExec",
    "BoundedWindowAggExec",
    "BucketJoinExec",
    "BufferExec",
    "CoalesceBatchesExec",
    "CoalescePartitionsExec",
    "CooperativeExec",
    "CrossJoinExec",
    "FilterExec",
    "GlobalLimitExec",
    "HashJoinExec",
    "InterleaveExec",
    "LocalLimitExec",
    "NestedLoopJoinExec",
    "PartialSortExec",
    "PartitionedTopKExec",
    "PiecewiseMergeJoinExec",
    "ProjectionExec",
    "RecursiveQueryExec",
    "RepartitionExec",
    "ScalarSubqueryExec",
    "SortExec",
    "SortExec(TopK)",
    "SortMergeJoinExec",
    "SortPreservingMergeExec",
    "SymmetricHashJoinExec",
    "UnionExec",
    "UnnestExec",
    "WindowAggExec",
    "YieldExec",
];

/// Leaves that have no rows of a source.
const EMPTY: &[&str] = &["EmptyExec", "PlaceholderRowExec", "WorkTableExec", "LazyMemoryExec"];

/// Refuses plans in which rows of a source come from anything but a barrier with what the policies say.
pub(crate) fn check(
    plan: &Arc<dyn ExecutionPlan>,
    expected: &Expected,
    values: &HashSet<Vec<String>>,
) -> Result<(), QueryError> {
    // Not by recursion: a plan may be deep.
    let mut rest = vec![Arc::clone(plan)];
    while let Some(node) = rest.pop() {
        let children = node.children();
        if children.is_empty() {
            check_leaf(&node, expected, values)?;
        } else if !COMPUTING.contains(&node.name()) {
            return Err(refused("a node that is not known"));
        }
        rest.extend(children.into_iter().map(Arc::clone));
    }
    Ok(())
}

fn check_leaf(
    node: &Arc<dyn ExecutionPlan>,
    expected: &Expected,
    values: &HashSet<Vec<String>>,
) -> Result<(), QueryError> {
    if let Some(barrier) = node.downcast_ref::<SecureBarrierExec>() {
        return check_barrier(barrier, expected);
    }
    if EMPTY.contains(&node.name()) {
        return Ok(());
    }
    // `VALUES` of the query are a source in memory.
    let source = node
        .downcast_ref::<DataSourceExec>()
        .and_then(|exec| exec.data_source().downcast_ref::<MemorySourceConfig>());
    let names = source.map(|source| {
        source.original_schema().fields().iter().map(|field| field.name().clone()).collect::<Vec<_>>()
    });
    match names {
        Some(names) if values.contains(&names) => Ok(()),
        _ => Err(refused("rows that come from no barrier")),
    }
}

fn check_barrier(barrier: &SecureBarrierExec, expected: &Expected) -> Result<(), QueryError> {
    if barrier.seal().session != expected.session {
        return Err(refused("a barrier of another session"));
    }
    let table =
        expected.tables.get(barrier.seal().relation).ok_or_else(|| refused("a barrier of no relation"))?;
    check_columns(barrier, table)?;
    check_first(barrier, table)?;
    check_rows(barrier, table)
}

/// A source that stops early has applied the policy's filter before, and chooses by values that the person sees.
fn check_first(barrier: &SecureBarrierExec, table: &GovernedTable) -> Result<(), QueryError> {
    let Some(source) = barrier.leaf().downcast_ref::<ConnectedExec>() else { return Ok(()) };
    let (scan, resolved) = (source.scan(), &table.governed.resolved);
    let is_hidden = |name: &String| resolved.masks.contains_key(name) || resolved.hidden.contains_key(name);
    if scan.order.iter().any(|key| is_hidden(&key.column)) {
        return Err(refused("rows that are chosen by what is hidden"));
    }
    let is_filtered = source.is_exact() && !scan.filters.is_empty();
    if scan.limit.is_some() && resolved.filter.is_some() && !is_filtered {
        return Err(refused("a limit before the filter"));
    }
    Ok(())
}

/// Each column that leaves is visible, of its own place, and under its mask.
fn check_columns(barrier: &SecureBarrierExec, table: &GovernedTable) -> Result<(), QueryError> {
    let inside = barrier.leaf().schema();
    let resolved = &table.governed.resolved;
    let (outside, filtered) = (barrier.schema(), barrier.inner().schema());
    let count = barrier.outputs().len();
    if outside.fields().len() != count || barrier.places().len() != count {
        return Err(refused("a column too many"));
    }
    let outputs = barrier.outputs().iter().zip(barrier.places());
    for ((output, place), field) in outputs.zip(outside.fields()) {
        let name = output.field.name();
        let source = inside.fields().get(output.inner).ok_or_else(|| refused("a column of no source"))?;
        if source.name() != name || field.name() != name {
            return Err(refused("a column under another name"));
        }
        if filtered.fields().get(*place).is_none_or(|inner| inner.name() != name) {
            return Err(refused("a column in the place of another"));
        }
        if resolved.hidden.contains_key(name) {
            return Err(refused("a hidden column"));
        }
        if output.mask.as_ref() != resolved.masks.get(name) {
            return Err(refused("a column without its mask"));
        }
    }
    Ok(())
}

/// Above the leaf there is a filter, and the policy's is a part of it.
fn check_rows(barrier: &SecureBarrierExec, table: &GovernedTable) -> Result<(), QueryError> {
    if !barrier.leaf().children().is_empty() {
        return Err(refused("a source with more below it"));
    }
    let Some(policy) = table.governed.resolved.filter.as_ref() else { return Ok(()) };
    let source = table.governed.rows.schema();
    let wanted = governance::row_filter(policy, &source)
        .and_then(|filter| governance::physical(&filter, &barrier.leaf().schema()))
        .map_err(|_| refused("a filter that does not fit"))?;
    let filter = barrier.inner().downcast_ref::<FilterExec>().ok_or_else(|| refused("no filter"))?;
    let above_leaf = Arc::ptr_eq(filter.input(), barrier.leaf());
    let there = conjuncts(filter.predicate());
    if above_leaf && conjuncts(&wanted).iter().all(|part| there.contains(part)) {
        Ok(())
    } else {
        Err(refused("another filter"))
    }
}

fn conjuncts(all: &Arc<dyn PhysicalExpr>) -> Vec<&Arc<dyn PhysicalExpr>> {
    let mut found = Vec::new();
    let mut rest = vec![all];
    while let Some(expr) = rest.pop() {
        match expr.downcast_ref::<BinaryExpr>() {
            Some(binary) if *binary.op() == Operator::And => rest.extend([binary.left(), binary.right()]),
            _ => found.push(expr),
        }
    }
    found
}
