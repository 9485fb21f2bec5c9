//! A window function that is asked for twice is computed once.
//!
//! Two that were written differently can be the same once they are simplified, as `avg(coalesce(price, 0)) over ()` of a price that is never
//! null and `avg(price) over ()`. What equal ones have in common DataFusion 55.2 takes out of them, as of any expressions, into a projection
//! before them: that is the whole function, which no projection can compute, and planning panics. So they have one column by then.

use std::sync::Arc;

use datafusion::common::tree_node::Transformed;
use datafusion::common::{Column, Result};
use datafusion::logical_expr::{Expr, LogicalPlan, Projection, Window};
use datafusion::optimizer::{ApplyOrder, OptimizerConfig, OptimizerRule};

/// Runs when expressions are simplified, before common parts of them are looked for.
#[derive(Debug)]
pub(crate) struct EqualWindows;

impl OptimizerRule for EqualWindows {
    fn name(&self) -> &'static str {
        "EqualWindows"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::BottomUp)
    }

    fn rewrite(&self, plan: LogicalPlan, _: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        let LogicalPlan::Window(window) = plan else { return Ok(Transformed::no(plan)) };
        let mut known = below(&window);
        let mut kept = Vec::new();
        let mut columns: Vec<Expr> = window.input.schema().columns().into_iter().map(Expr::Column).collect();
        for (written, (function, column)) in window.window_expr.iter().zip(functions(&window)) {
            match known.iter().find(|(other, _)| *other == function && !other.is_volatile()) {
                Some((_, first)) => {
                    columns.push(Expr::Column(first.clone()).alias_qualified(column.relation, column.name));
                }
                None => {
                    columns.push(Expr::Column(column.clone()));
                    kept.push(written.clone());
                    known.push((function, column));
                }
            }
        }
        if kept.len() == window.window_expr.len() {
            return Ok(Transformed::no(LogicalPlan::Window(window)));
        }
        let input = match kept.is_empty() {
            true => window.input,
            false => Arc::new(LogicalPlan::Window(Window::try_new(kept, window.input)?)),
        };
        Ok(Transformed::yes(LogicalPlan::Projection(Projection::try_new(columns, input)?)))
    }
}

/// The functions of the nodes right below, which are computed before: there is one for each order of rows.
fn below(window: &Window) -> Vec<(Expr, Column)> {
    let (mut known, mut input) = (Vec::new(), &window.input);
    while let LogicalPlan::Window(before) = input.as_ref() {
        known.extend(functions(before));
        input = &before.input;
    }
    known
}

/// The functions of a node without their names, and their columns: these are behind those of its input.
fn functions(window: &Window) -> impl Iterator<Item = (Expr, Column)> {
    let columns = window.schema.columns().into_iter().skip(window.input.schema().fields().len());
    window.window_expr.iter().map(|written| written.clone().unalias()).zip(columns)
}
