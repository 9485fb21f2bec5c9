//! Lists of one expression that exclude one another leave NULL what it is.
//!
//! Of two lists of the same expression DataFusion 55.2 makes one: `city in ('Paris') and city not in ('Paris')` becomes `city in ()`, which is
//! false, also of a city that is NULL, of which it cannot be said. That is seen where the condition is shown, negated or grouped by. So all
//! but the first list of an expression have it under a name, each under another: what is not the same is not made one.

use std::collections::HashMap;

use datafusion::common::Result;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{Expr, LogicalPlan};
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
        let names = NamePreserver::new(&plan);
        let mut written = |expr: Expr| {
            let name = names.save(&expr);
            apart(expr)?.map_data(|expr| Ok(name.restore(expr)))
        };
        plan.map_expressions(|expr| match expr {
            Expr::GroupingSet(_) => expr.map_children(&mut written),
            expr => written(expr),
        })
    }
}

fn apart(expr: Expr) -> Result<Transformed<Expr>> {
    let mut lists: HashMap<String, usize> = HashMap::new();
    expr.transform_up(|part| {
        let Expr::InList(mut list) = part else { return Ok(Transformed::no(part)) };
        let bare = list.expr.as_ref().clone().unalias();
        let count = lists.entry(bare.to_string()).or_default();
        *count += 1;
        if *count == 1 {
            return Ok(Transformed::no(Expr::InList(list)));
        }
        let named = bare.alias(count.to_string());
        let changed = named != *list.expr;
        *list.expr = named;
        Ok(Transformed::new_transformed(Expr::InList(list), changed))
    })
}
