//! Conditions that a source is shown, so that it may skip what cannot satisfy them.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Schema};
use datafusion::common::Result;
use datafusion::config::ConfigOptions;
use datafusion::physical_expr::utils::collect_columns;
use datafusion::physical_expr::{PhysicalExpr, conjunction_opt, split_conjunction};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::filter_pushdown::{
    ChildFilterPushdownResult, ChildPushdownResult, FilterPushdownPhase,
};

/// The leaf after it was shown a condition, of which it may skip what cannot be true. What it says about it is not asked: the condition
/// is applied above all the same.
pub(crate) fn shown(
    leaf: &Arc<dyn ExecutionPlan>,
    condition: &Arc<dyn PhysicalExpr>,
    phase: FilterPushdownPhase,
    config: &ConfigOptions,
) -> Result<Arc<dyn ExecutionPlan>> {
    let Some(filter) = decided_by_bounds(condition, &leaf.schema()) else { return Ok(Arc::clone(leaf)) };
    let asked = ChildPushdownResult {
        parent_filters: vec![ChildFilterPushdownResult { filter, child_results: Vec::new() }],
        self_filters: Vec::new(),
    };
    let answer = leaf.handle_child_pushdown_result(phase, asked, config)?;
    Ok(answer.updated_node.unwrap_or_else(|| Arc::clone(leaf)))
}

/// What of a condition the bounds of a column decide. Files leave NaN out of them, which is larger than every number here.
fn decided_by_bounds(condition: &Arc<dyn PhysicalExpr>, schema: &Schema) -> Option<Arc<dyn PhysicalExpr>> {
    let is_decided = |part: &Arc<dyn PhysicalExpr>| {
        collect_columns(part).iter().all(|column| {
            schema.fields().get(column.index()).is_some_and(|field| !is_floating(field.data_type()))
        })
    };
    // As it is, if it may be: a condition of many parts is a tree, and would become a chain.
    if is_decided(condition) {
        return Some(Arc::clone(condition));
    }
    conjunction_opt(split_conjunction(condition).into_iter().filter(|part| is_decided(part)).map(Arc::clone))
}

fn is_floating(kind: &DataType) -> bool {
    match kind {
        DataType::Dictionary(_, values) => values.is_floating(),
        kind => kind.is_floating(),
    }
}
