//! Which functions a query may call: a closed list by name. A new version of the engine adds none to it.

mod bounded;
mod names;
mod series;

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use datafusion::catalog::TableFunction;
use datafusion::execution::SessionStateDefaults;
use datafusion::logical_expr::planner::ExprPlanner;
use datafusion::logical_expr::{AggregateUDF, ScalarUDF, Signature, WindowUDF};

pub(crate) use names::OF_TIMES;
#[cfg(test)]
pub(crate) use names::{AGGREGATES, REFUSED, SCALARS, WINDOWS};

/// The functions of every session.
#[derive(Debug)]
pub(crate) struct Functions {
    pub(crate) scalars: Vec<Arc<ScalarUDF>>,
    pub(crate) aggregates: Vec<Arc<AggregateUDF>>,
    pub(crate) windows: Vec<Arc<WindowUDF>>,
    pub(crate) tables: Vec<Arc<TableFunction>>,
    names: BTreeSet<String>,
}

impl Functions {
    /// Takes what is on the list from the engine's own, with bounds around those that make much out of little.
    pub(crate) fn new() -> Self {
        let allowed: HashSet<&str> =
            names::SCALARS.iter().chain(names::AGGREGATES).chain(names::WINDOWS).copied().collect();
        let scalars: Vec<_> = SessionStateDefaults::default_scalar_functions()
            .into_iter()
            .filter(|function| allowed.contains(function.name()))
            .map(bounded::bounded)
            .collect();
        let aggregates: Vec<_> = SessionStateDefaults::default_aggregate_functions()
            .into_iter()
            .filter(|function| allowed.contains(function.name()))
            .collect();
        let windows: Vec<_> = SessionStateDefaults::default_window_functions()
            .into_iter()
            .filter(|function| allowed.contains(function.name()))
            .collect();
        let tables = series::table_functions();
        let mut names = BTreeSet::new();
        for function in &scalars {
            names.insert(function.name().to_owned());
            names.extend(function.aliases().iter().cloned());
        }
        for function in &aggregates {
            names.insert(function.name().to_owned());
            names.extend(function.aliases().iter().cloned());
        }
        for function in &windows {
            names.insert(function.name().to_owned());
            names.extend(function.aliases().iter().cloned());
        }
        // Syntax of the planner, no function of a registry.
        names.insert("unnest".to_owned());
        Self { scalars, aggregates, windows, tables, names }
    }

    /// What turns syntax into calls of functions: `x['a']`, `EXTRACT`, `||`.
    pub(crate) fn planners() -> Vec<Arc<dyn ExprPlanner>> {
        let mut planners: Vec<Arc<dyn ExprPlanner>> = vec![Arc::new(bounded::ConcatPlanner)];
        planners.extend(SessionStateDefaults::default_expr_planners());
        planners
    }

    /// Whether there is a function of this name, in small letters.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.names.contains(name)
    }

    /// A function by any of its names, in small letters: the one by which it is on the list, and what it takes. One of many rows and of a
    /// window has two signatures.
    pub(crate) fn find(&self, called: &str) -> Option<(&str, Vec<&Signature>)> {
        let scalars = self.scalars.iter().map(|each| (each.name(), each.aliases(), each.signature()));
        let aggregates = self.aggregates.iter().map(|each| (each.name(), each.aliases(), each.signature()));
        let windows = self.windows.iter().map(|each| (each.name(), each.aliases(), each.signature()));
        let mut found = scalars
            .chain(aggregates)
            .chain(windows)
            .filter(|(name, aliases, _)| *name == called || aliases.iter().any(|alias| alias == called));
        let (name, _, first) = found.next()?;
        let others = found.filter(|(other, ..)| *other == name).map(|(.., signature)| signature);
        Some((name, std::iter::once(first).chain(others).collect()))
    }

    /// Whether there is a table function of this name, in small letters.
    pub(crate) fn has_table(&self, name: &str) -> bool {
        name == "unnest" || self.tables.iter().any(|function| function.name() == name)
    }

    /// All names, to look for the nearest.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(String::as_str)
    }
}
