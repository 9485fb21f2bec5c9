//! Data sources of which a query has shown that their tables are not as they were discovered, or may not be.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::Catalog;

/// Most data sources that are noted; then noting begins anew.
const MOST: usize = 10_000;

/// Numbers of data sources, on this node, until all of their tables are discovered again.
#[derive(Default)]
pub(crate) struct Outdated(Mutex<HashSet<i64>>);

impl Outdated {
    fn numbers(&self) -> MutexGuard<'_, HashSet<i64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn has(&self, number: i64) -> bool {
        self.numbers().contains(&number)
    }

    pub(super) fn forget(&self, number: i64) {
        self.numbers().remove(&number);
    }
}

impl Catalog {
    /// A data source refused a query because its tables or what its user may read have changed, or a query named a relation that is not known:
    /// what is known of them does not answer the next discovery on this node.
    pub fn note_outdated(&self, number: i64) {
        let mut numbers = self.outdated.numbers();
        if numbers.len() >= MOST {
            numbers.clear();
        }
        numbers.insert(number);
    }
}
