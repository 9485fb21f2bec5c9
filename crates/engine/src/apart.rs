//! Filters that come up while a query runs (of joins, of TopK, of aggregates) reach the column that they are about, or none.
//!
//! DataFusion 55.2 hands them down by the names of columns (apache/datafusion#25244, #25296). Where two columns of a node have one name, the
//! first is taken; where the other side of a semi join has a column with the name of a key, or the rows of a group one with the name of what
//! they are grouped by, one that has nothing to do with it: rows that belong to the answer are skipped. Below such a node nothing is handed down here.

use std::collections::HashSet;
use std::sync::Arc;

use datafusion::arrow::datatypes::Schema;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{JoinType, Result};
use datafusion::config::ConfigOptions;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::aggregates::AggregateExec;
use datafusion::physical_plan::joins::HashJoinExec;

use crate::cooperate::closed;

/// Runs before filters are handed down.
#[derive(Debug)]
pub(crate) struct Apart;

impl PhysicalOptimizerRule for Apart {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_up(|node| {
            let children: Vec<_> = node.children().into_iter().map(Arc::clone).collect();
            let mistakable: Vec<bool> = children
                .iter()
                .enumerate()
                .map(|(place, child)| is_mistakable(&node, place, child))
                .collect();
            if !mistakable.contains(&true) {
                return Ok(Transformed::no(node));
            }
            let children = children.into_iter().zip(mistakable);
            let children = children.map(|(child, closes)| if closes { closed(child) } else { child });
            let node = datafusion::physical_plan::replace_children_if_necessary(node, children.collect())?;
            Ok(Transformed::yes(node))
        })
        .data()
    }

    fn name(&self) -> &'static str {
        "Apart"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// Whether a filter on a column of `node` might reach another one of this child.
fn is_mistakable(node: &Arc<dyn ExecutionPlan>, place: usize, child: &Arc<dyn ExecutionPlan>) -> bool {
    let below = child.schema();
    let mut names = HashSet::new();
    if !below.fields().iter().all(|field| names.insert(field.name())) {
        return true;
    }
    if let Some(aggregate) = node.downcast_ref::<AggregateExec>() {
        let mut keys = aggregate.group_expr().expr().iter();
        return keys.any(|(key, name)| is_another(key, name, &below));
    }
    node.downcast_ref::<HashJoinExec>().is_some_and(|join| keys_stray(join, place, &below))
}

/// A semi join hands what is asked of its key to its other side, too, of which nothing else is left in its rows.
fn keys_stray(join: &HashJoinExec, place: usize, below: &Schema) -> bool {
    let mut keys = join.on().iter();
    match (join.join_type(), place) {
        (JoinType::LeftSemi, 1) => keys.any(|(left, right)| strays(left, right, below)),
        (JoinType::RightSemi, 0) => keys.any(|(left, right)| strays(right, left, below)),
        _ => false,
    }
}

/// Whether the column with the name of a key is another one than the key's counterpart.
fn strays(key: &Arc<dyn PhysicalExpr>, counterpart: &Arc<dyn PhysicalExpr>, below: &Schema) -> bool {
    key.downcast_ref::<Column>().is_some_and(|key| is_another(counterpart, key.name(), below))
}

/// Whether there is a column of this name, and it is another one than is meant.
fn is_another(meant: &Arc<dyn PhysicalExpr>, name: &str, below: &Schema) -> bool {
    let Ok(found) = below.index_of(name) else { return false };
    meant.downcast_ref::<Column>().is_none_or(|column| column.index() != found)
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::datatypes::{DataType, Field};
    use datafusion::common::NullEquality;
    use datafusion::physical_plan::aggregates::{AggregateMode, PhysicalGroupBy};
    use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
    use datafusion::physical_plan::empty::EmptyExec;
    use datafusion::physical_plan::joins::PartitionMode;
    use datafusion::physical_plan::union::UnionExec;

    use super::*;

    fn of(names: &[&str]) -> Arc<dyn ExecutionPlan> {
        let fields: Vec<Field> = names.iter().map(|name| Field::new(*name, DataType::Int64, true)).collect();
        Arc::new(EmptyExec::new(Arc::new(Schema::new(fields))))
    }

    /// Which children are closed after the rule.
    fn closed_of(node: Arc<dyn ExecutionPlan>) -> Vec<bool> {
        let node = Apart.optimize(node, &ConfigOptions::new()).unwrap();
        node.children().into_iter().map(|child| child.name() == "YieldExec").collect()
    }

    #[test]
    fn nothing_is_handed_down_where_names_are_there_twice() {
        let over = |child| closed_of(Arc::new(CoalescePartitionsExec::new(child)));
        assert_eq!(over(of(&["id", "t"])), [false]);
        assert_eq!(over(of(&["id", "t", "id"])), [true]);
    }

    // The library gives the inputs the names of the union.
    #[test]
    fn a_union_names_the_columns_of_its_inputs() {
        let union = UnionExec::try_new(vec![of(&["a", "b"]), of(&["b", "a"])]).unwrap();
        assert!(union.children().into_iter().all(|child| child.schema() == union.schema()));
    }

    #[test]
    fn nor_where_rows_have_another_column_with_the_name_of_their_group() {
        let grouped = |place: usize, name: &str| {
            let input = of(&["a", "b"]);
            let key: Arc<dyn PhysicalExpr> = Arc::new(Column::new(["a", "b"][place], place));
            let keys = PhysicalGroupBy::new_single(vec![(key, name.to_owned())]);
            let (none, schema) = (Vec::new(), input.schema());
            let aggregate =
                AggregateExec::try_new(AggregateMode::Single, keys, none, Vec::new(), input, schema);
            closed_of(Arc::new(aggregate.unwrap()))
        };
        assert_eq!(grouped(0, "a"), [false]);
        assert_eq!(grouped(0, "c"), [false]);
        assert_eq!(grouped(0, "b"), [true]);
    }

    #[test]
    fn nor_where_a_semi_join_would_ask_another_column() {
        let join = |kind: JoinType, right_key: usize, names: &[&str]| {
            let left: Arc<dyn PhysicalExpr> = Arc::new(Column::new("x", 0));
            let right: Arc<dyn PhysicalExpr> = Arc::new(Column::new(names[right_key], right_key));
            let join = HashJoinExec::try_new(
                of(&["x"]),
                of(names),
                vec![(left, right)],
                None,
                &kind,
                None,
                PartitionMode::CollectLeft,
                NullEquality::NullEqualsNothing,
                false,
            );
            closed_of(Arc::new(join.unwrap()))
        };
        assert_eq!(join(JoinType::LeftSemi, 0, &["y", "x"]), [false, true]);
        assert_eq!(join(JoinType::LeftSemi, 1, &["y", "x"]), [false, false]);
        assert_eq!(join(JoinType::LeftSemi, 0, &["y", "z"]), [false, false]);
        assert_eq!(join(JoinType::Inner, 0, &["y", "x"]), [false, false]);
        assert_eq!(join(JoinType::RightSemi, 0, &["y", "x"]), [false, false]);
    }
}
