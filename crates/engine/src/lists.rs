//! Lists of one expression that exclude one another leave NULL what it is.
//!
//! Of two lists of the same expression DataFusion 55.2 makes one: `city in ('Paris') and city not in ('Paris')` becomes `city in ()`, which is
//! false, and `city not in ('Paris') or city not in ('Oslo')` true, also of a city that is NULL, of which neither can be said. It does so of
//! comparisons with several values, too. So all but the first list or comparison of an expression have it under a name, each under another:
//! what is not the same is not made one.
//!
//! Conditions of filters and joins stay as they are: sources are asked by their form, and the optimizer takes names off them. FALSE and NULL
//! leave out the same rows there; what is TRUE of NULL by such lists, below a NOT or of two lists that OR joins, is left.

use std::collections::HashMap;

use datafusion::common::Result;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{BinaryExpr, Expr, LogicalPlan, Operator};
use datafusion::optimizer::{ApplyOrder, OptimizerConfig, OptimizerRule};

/// Runs right before expressions are simplified.
#[derive(Debug)]
pub(crate) struct Lists;

impl OptimizerRule for Lists {
    fn name(&self) -> &'static str {
        "Lists"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::BottomUp)
    }

    fn rewrite(&self, plan: LogicalPlan, _: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        if matches!(plan, LogicalPlan::Filter(_) | LogicalPlan::Join(_) | LogicalPlan::TableScan(_)) {
            return Ok(Transformed::no(plan));
        }
        let names = NamePreserver::new(&plan);
        let mut written = |expr: Expr| {
            if !expr.exists(|part| Ok(makes_lists(part)))? {
                return Ok(Transformed::no(expr));
            }
            let name = names.save(&expr);
            Named::default().apart(expr)?.map_data(|expr| Ok(name.restore(expr)))
        };
        plan.map_expressions(|expr| match expr {
            Expr::GroupingSet(_) => expr.map_children(&mut written),
            expr => written(expr),
        })
    }
}

/// Whether it is a list, or what several comparisons become one by.
fn makes_lists(expr: &Expr) -> bool {
    matches!(expr, Expr::InList(_) | Expr::Not(_) | Expr::BinaryExpr(BinaryExpr { op: Operator::Or, .. }))
}

/// How often each expression was found.
#[derive(Default)]
struct Named(HashMap<String, usize>);

impl Named {
    fn apart(&mut self, expr: Expr) -> Result<Transformed<Expr>> {
        expr.transform_up(|part| match part {
            Expr::InList(mut list) => {
                let (named, changed) = self.name(*list.expr);
                list.expr = Box::new(named);
                Ok(Transformed::new_transformed(Expr::InList(list), changed))
            }
            Expr::BinaryExpr(mut both) if matches!(both.op, Operator::Eq | Operator::NotEq) => {
                let mut changed = false;
                for side in [&mut both.left, &mut both.right] {
                    if let Expr::Column(_) = side.as_ref() {
                        let (named, other) = self.name(side.as_ref().clone());
                        **side = named;
                        changed |= other;
                    }
                }
                Ok(Transformed::new_transformed(Expr::BinaryExpr(both), changed))
            }
            other => Ok(Transformed::no(other)),
        })
    }

    /// The expression, under a name of its own if it was there before, and whether that is another one than it had.
    fn name(&mut self, expr: Expr) -> (Expr, bool) {
        let bare = expr.clone().unalias();
        let count = self.0.entry(bare.to_string()).or_default();
        *count += 1;
        let named = if *count == 1 { bare } else { bare.alias(count.to_string()) };
        let changed = named != expr;
        (named, changed)
    }
}
