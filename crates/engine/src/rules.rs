//! The optimizer's rules, by name. A version of the engine that brings another rule, or another order, makes a test fail: whoever looks at
//! the rule then decides whether it may run above barriers.

use std::sync::Arc;

use datafusion::optimizer::{Analyzer, AnalyzerRule, Optimizer, OptimizerRule};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;

use crate::apart::Apart;
use crate::cooperate::Cooperate;
use crate::correlated::Correlated;
use crate::first::First;
use crate::joins::{Buckets, Joins};
use crate::lists::Lists;
use crate::thresholds::Thresholds;
use crate::windows::EqualWindows;

/// Rules of the analyzer.
pub(crate) const ANALYZER: &[&str] = &["resolve_grouping_function", "type_coercion"];

/// Logical rules of our own.
const CORRELATED: &str = "Correlated";
const EQUAL_WINDOWS: &str = "EqualWindows";
const LISTS: &str = "Lists";
/// Logical rules. What moves parts of expressions towards the source is not among them: it has taken masks away from views.
pub(crate) const LOGICAL: &[&str] = &[
    "rewrite_set_comparison",
    "optimize_unions",
    "unions_to_filter",
    LISTS,
    SIMPLIFIES,
    "replace_distinct_aggregate",
    "eliminate_join",
    "decorrelate_predicate_subquery",
    "scalar_subquery_to_join",
    "decorrelate_lateral_join",
    CORRELATED,
    TAKES_PAIRS,
    "eliminate_duplicated_expr",
    "eliminate_filter",
    "eliminate_cross_join",
    "eliminate_limit",
    "propagate_empty_relation",
    "filter_null_join_keys",
    "eliminate_outer_join",
    "push_down_limit",
    "push_down_filter",
    "single_distinct_aggregation_to_group_by",
    "eliminate_group_by_constant",
    EQUAL_WINDOWS,
    TAKES_COMMON_PARTS,
    "optimize_projections",
];

/// Logical rules of the engine that do not run.
#[cfg(test)]
pub(crate) const LEFT_OUT: &[&str] = &["extract_leaf_expressions", "push_down_leaf_projections"];

/// Physical rules. What hands the conditions of filters down is not among them: it goes by the names of columns, as [`crate::apart`] tells, and
/// conditions are as far down as they may be by then.
pub(crate) const PHYSICAL: &[&str] = &[
    "OutputRequirements",
    "aggregate_statistics",
    "join_selection",
    "LimitedDistinctAggregation",
    "WindowTopN",
    "EnsureRequirements",
    "CombinePartialFinalAggregate",
    "OptimizeAggregateOrder",
    "ProjectionPushdown",
    "OutputRequirements",
    "LimitAggregation",
    "LimitPushPastWindows",
    "HashJoinBuffering",
    "LimitPushdown",
    "TopKRepartition",
    "ProjectionPushdown",
    "PushdownSort",
    "EnsureCooperative",
    "FilterPushdown(Post)",
    "SanityCheckPlan",
];

/// Physical rules of the engine that do not run.
#[cfg(test)]
pub(crate) const PHYSICAL_LEFT_OUT: &[&str] = &["FilterPushdown"];

pub(crate) fn analyzer() -> Vec<Arc<dyn AnalyzerRule + Send + Sync>> {
    Analyzer::new().rules.into_iter().filter(|rule| ANALYZER.contains(&rule.name())).collect()
}

pub(crate) fn logical() -> Vec<Arc<dyn OptimizerRule + Send + Sync>> {
    let mut rules: Vec<Arc<dyn OptimizerRule + Send + Sync>> =
        Optimizer::new().rules.into_iter().filter(|rule| LOGICAL.contains(&rule.name())).collect();
    let ours: [(&str, Arc<dyn OptimizerRule + Send + Sync>); 3] = [
        (SIMPLIFIES, Arc::new(Lists)),
        (TAKES_PAIRS, Arc::new(Correlated)),
        (TAKES_COMMON_PARTS, Arc::new(EqualWindows)),
    ];
    for (next, rule) in ours {
        if let Some(place) = rules.iter().position(|rule| rule.name() == next) {
            rules.insert(place, rule);
        }
    }
    rules
}

/// What simplifies conditions.
const SIMPLIFIES: &str = "simplify_expressions";
/// What takes pairs of equal keys out of the conditions of joins. Inner queries are joins by then.
const TAKES_PAIRS: &str = "extract_equijoin_predicate";
/// What takes common parts of expressions out of them.
const TAKES_COMMON_PARTS: &str = "common_sub_expression_eliminate";
/// What puts rows into the order and the places that operators require. Joins are put on the disk before that.
const REQUIREMENTS: &str = "EnsureRequirements";
/// What hands filters down that come up while a query runs.
const HANDS_DOWN: &str = "FilterPushdown(Post)";

pub(crate) fn physical(joins: Joins) -> Vec<Arc<dyn PhysicalOptimizerRule + Send + Sync>> {
    let mut rules: Vec<Arc<dyn PhysicalOptimizerRule + Send + Sync>> =
        PhysicalOptimizer::new().rules.into_iter().filter(|rule| PHYSICAL.contains(&rule.name())).collect();
    if let Some(place) = rules.iter().position(|rule| rule.name() == HANDS_DOWN) {
        rules.insert(place, Arc::new(Apart));
        rules.insert(place, Arc::new(First));
        rules.insert(place, Arc::new(Thresholds));
    }
    if joins == Joins::OnDisk
        && let Some(place) = rules.iter().position(|rule| rule.name() == REQUIREMENTS)
    {
        rules.insert(place, Arc::new(Buckets));
    }
    rules.push(Arc::new(Cooperate));
    rules
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rules_of_the_engine_are_those_that_were_looked_at() {
        let analyzer: Vec<_> = Analyzer::new().rules.iter().map(|rule| rule.name().to_owned()).collect();
        assert_eq!(analyzer, ANALYZER);
        let logical: Vec<_> = Optimizer::new().rules.iter().map(|rule| rule.name().to_owned()).collect();
        let known: Vec<_> = logical.iter().filter(|name| !LEFT_OUT.contains(&name.as_str())).collect();
        let ours = [CORRELATED, EQUAL_WINDOWS, LISTS];
        assert_eq!(known, LOGICAL.iter().filter(|name| !ours.contains(name)).collect::<Vec<_>>());
        assert!(LEFT_OUT.iter().all(|name| logical.iter().any(|rule| rule == name)));
        let physical: Vec<_> =
            PhysicalOptimizer::new().rules.iter().map(|rule| rule.name().to_owned()).collect();
        let known: Vec<_> =
            physical.iter().filter(|name| !PHYSICAL_LEFT_OUT.contains(&name.as_str())).collect();
        assert_eq!(known, PHYSICAL.iter().collect::<Vec<_>>());
        assert!(PHYSICAL_LEFT_OUT.iter().all(|name| physical.iter().any(|rule| rule == name)));
    }

    #[test]
    fn what_moves_parts_of_expressions_down_does_not_run() {
        let logical = self::logical();
        assert!(logical.iter().all(|rule| !LEFT_OUT.contains(&rule.name())));
        assert_eq!(logical.iter().map(|rule| rule.name()).collect::<Vec<_>>(), LOGICAL);
        assert_eq!(self::physical(Joins::InMemory).len(), PHYSICAL.len() + 4);
        let on_disk = self::physical(Joins::OnDisk);
        let names: Vec<_> = on_disk.iter().map(|rule| rule.name()).collect();
        assert_eq!(names.len(), PHYSICAL.len() + 5);
        for (ours, before) in
            [("Buckets", REQUIREMENTS), ("Thresholds", "First"), ("First", "Apart"), ("Apart", HANDS_DOWN)]
        {
            let place = names.iter().position(|name| *name == ours).unwrap();
            assert_eq!(names[place + 1], before);
        }
    }
}
