//! What an inner query compares with the outer one is compared as what it is in the end.
//!
//! A name of the outer query has in the inner one the type that it had when the statement was read. DataFusion 55.2 decides later about the
//! types of expressions whose parts differ (`case when … then 1 else 0.5 end`), and of the inner query leaves that name as it was: once both
//! queries are a join, its two sides would be compared though their types differ, which fails. So the conditions of joins get their types
//! anew. That is before pairs of equal keys are taken out of them.

use datafusion::common::Result;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::logical_expr::LogicalPlan;
use datafusion::optimizer::analyzer::type_coercion::TypeCoercionRewriter;
use datafusion::optimizer::{ApplyOrder, OptimizerConfig, OptimizerRule};

/// Runs when inner queries have become joins.
#[derive(Debug)]
pub(crate) struct Correlated;

impl OptimizerRule for Correlated {
    fn name(&self) -> &'static str {
        "Correlated"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::BottomUp)
    }

    fn rewrite(&self, plan: LogicalPlan, _: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        let LogicalPlan::Join(mut join) = plan else { return Ok(Transformed::no(plan)) };
        let Some(filter) = &join.filter else { return Ok(Transformed::no(LogicalPlan::Join(join))) };
        let mut columns = join.left.schema().as_ref().clone();
        columns.merge(join.right.schema());
        let typed = filter.clone().rewrite(&mut TypeCoercionRewriter::new(&columns))?.data;
        let changed = typed != *filter;
        join.filter = Some(typed);
        Ok(Transformed::new_transformed(LogicalPlan::Join(join), changed))
    }
}
