//! The logical plan, after the optimizer.

use std::sync::Arc;

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::datasource::source_as_provider;
use datafusion::functions_table::generate_series::GenerateSeriesTable;
use datafusion::logical_expr::{Expr, LogicalPlan, Operator, TableScan};

use super::{Expected, refused};
use crate::error::QueryError;
use crate::table::GovernedTable;

/// Kinds of nodes that only compute. Others do something, or are not known.
fn computes(plan: &LogicalPlan) -> bool {
    matches!(
        plan,
        LogicalPlan::Projection(_)
            | LogicalPlan::Filter(_)
            | LogicalPlan::Window(_)
            | LogicalPlan::Aggregate(_)
            | LogicalPlan::Sort(_)
            | LogicalPlan::Join(_)
            | LogicalPlan::Repartition(_)
            | LogicalPlan::Union(_)
            | LogicalPlan::TableScan(_)
            | LogicalPlan::EmptyRelation(_)
            | LogicalPlan::Subquery(_)
            | LogicalPlan::SubqueryAlias(_)
            | LogicalPlan::Limit(_)
            | LogicalPlan::Values(_)
            | LogicalPlan::Distinct(_)
            | LogicalPlan::Unnest(_)
            | LogicalPlan::RecursiveQuery(_)
    )
}

/// Refuses plans with nodes that do more than compute, and scans of what is not governed.
pub(crate) fn check(plan: &LogicalPlan, expected: &Expected) -> Result<(), QueryError> {
    let mut broken = None;
    let walked = plan.apply_with_subqueries(|node| {
        if let Err(error) = check_node(node, expected) {
            broken = Some(error);
            return Ok(TreeNodeRecursion::Stop);
        }
        Ok(TreeNodeRecursion::Continue)
    });
    match (broken, walked) {
        (Some(error), _) => Err(error),
        (None, Err(_)) => Err(refused("a plan that cannot be walked")),
        (None, Ok(_)) => Ok(()),
    }
}

fn check_node(node: &LogicalPlan, expected: &Expected) -> Result<(), QueryError> {
    if !computes(node) {
        return Err(refused("a node that does more than compute"));
    }
    match node {
        LogicalPlan::TableScan(scan) => check_scan(scan, expected),
        _ => Ok(()),
    }
}

fn check_scan(scan: &TableScan, expected: &Expected) -> Result<(), QueryError> {
    let provider = source_as_provider(&scan.source).map_err(|_| refused("a source that is no relation"))?;
    if provider.is::<GenerateSeriesTable>()
        || provider.is::<datafusion::datasource::cte_worktable::CteWorkTable>()
    {
        return Ok(());
    }
    let table =
        provider.downcast_ref::<GovernedTable>().ok_or_else(|| refused("a relation without a barrier"))?;
    let known = expected.tables.get(table.seal.relation);
    let same = known.is_some_and(|known| std::ptr::eq(Arc::as_ptr(known), table));
    if table.seal.session != expected.session || !same {
        return Err(refused("a relation of another session"));
    }
    let masks = &table.governed.resolved.masks;
    let hidden = &table.governed.resolved.hidden;
    for filter in &scan.filters {
        if filter.column_refs().iter().any(|column| masks.contains_key(&column.name)) {
            return Err(refused("a condition on a masked column below its mask"));
        }
        if !plain(filter) {
            return Err(refused("a condition below a barrier that can fail"));
        }
    }
    if scan.projected_schema.fields().iter().any(|field| hidden.contains_key(field.name())) {
        return Err(refused("a hidden column"));
    }
    Ok(())
}

/// Whether there are only columns, values, comparisons and AND, OR, NOT in it. Types are not looked at here.
fn plain(expr: &Expr) -> bool {
    let mut only = true;
    let walked = expr.apply(|part| {
        only &= match part {
            Expr::Column(_)
            | Expr::Literal(..)
            | Expr::Not(_)
            | Expr::IsNull(_)
            | Expr::IsNotNull(_)
            | Expr::Between(_)
            | Expr::InList(_) => true,
            Expr::BinaryExpr(binary) => matches!(
                binary.op,
                Operator::And
                    | Operator::Or
                    | Operator::Eq
                    | Operator::NotEq
                    | Operator::Lt
                    | Operator::LtEq
                    | Operator::Gt
                    | Operator::GtEq
            ),
            _ => false,
        };
        Ok(TreeNodeRecursion::Continue)
    });
    only && walked.is_ok()
}
