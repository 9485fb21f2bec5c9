//! Data sources of which a query has shown that their tables are not as they were discovered, or may not be.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tidegate_domain::Timestamp;

use crate::Catalog;

/// Most data sources that are noted for one reason; then noting for it begins anew.
const MOST: usize = 10_000;
/// What was discovered within that time is not doubted: who names something else has most likely misspelt it.
const YOUNG: Duration = Duration::from_secs(60);

/// Numbers of data sources, on this node.
#[derive(Default)]
pub(crate) struct Outdated {
    /// Those that refused a query, until all of their tables are discovered again.
    changed: Mutex<HashSet<i64>>,
    /// Those of which a query named a relation that is not known, and when, until a discovery begins.
    doubted: Mutex<HashMap<i64, Timestamp>>,
}

fn locked<T>(noted: &Mutex<T>) -> MutexGuard<'_, T> {
    noted.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Outdated {
    pub(super) fn has_changed(&self, number: i64) -> bool {
        locked(&self.changed).contains(&number)
    }

    pub(super) fn forget_changed(&self, number: i64) {
        locked(&self.changed).remove(&number);
    }

    /// Whether a query named what was not known, after that was discovered.
    pub(super) fn is_doubted(&self, number: i64, discovered_at: Timestamp) -> bool {
        locked(&self.doubted).get(&number).is_some_and(|at| *at > discovered_at)
    }

    pub(super) fn forget_doubt(&self, number: i64) {
        locked(&self.doubted).remove(&number);
    }

    fn change(&self, number: i64) {
        let mut changed = locked(&self.changed);
        if changed.len() >= MOST {
            changed.clear();
        }
        changed.insert(number);
    }

    fn doubt(&self, number: i64, discovered_at: Timestamp, now: Timestamp) {
        if now.since(discovered_at) < YOUNG {
            return;
        }
        let mut doubted = locked(&self.doubted);
        if doubted.len() >= MOST {
            doubted.clear();
        }
        doubted.insert(number, now);
    }
}

impl Catalog {
    /// A data source refused a query because its tables or what its user may read have changed: what is known of them does not answer the
    /// next discovery on this node.
    pub fn note_outdated(&self, number: i64) {
        self.outdated.change(number);
    }

    /// A query named a relation that is not known of a data source, whose tables were discovered then: the next discovery on this node asks
    /// it, and what is known answers where it cannot be asked.
    pub fn note_unknown(&self, number: i64, discovered_at: Timestamp) {
        self.outdated.doubt(number, discovered_at, self.kernel.now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DISCOVERED: Timestamp = Timestamp::from_micros(0);

    #[test]
    fn what_was_discovered_just_now_or_since_is_not_doubted() {
        let outdated = Outdated::default();
        let later = DISCOVERED.plus(YOUNG);
        outdated.doubt(7, DISCOVERED, later.minus(Duration::from_micros(1)));
        assert!(!outdated.is_doubted(7, DISCOVERED));
        outdated.doubt(7, DISCOVERED, later);
        assert!(outdated.is_doubted(7, DISCOVERED) && !outdated.is_doubted(8, DISCOVERED));
        // Another node has discovered them meanwhile.
        assert!(!outdated.is_doubted(7, later));
        assert!(!outdated.has_changed(7));
        outdated.forget_doubt(7);
        assert!(!outdated.is_doubted(7, DISCOVERED));
    }

    #[test]
    fn however_many_are_doubted_those_that_changed_stay_noted() {
        let outdated = Outdated::default();
        outdated.change(7);
        for number in 0..=10_000 {
            outdated.doubt(number, DISCOVERED, DISCOVERED.plus(YOUNG));
        }
        let noted = locked(&outdated.doubted).len();
        assert!(noted <= MOST, "{noted}");
        assert!(outdated.is_doubted(10_000, DISCOVERED) && outdated.has_changed(7));
        outdated.forget_changed(7);
        assert!(!outdated.has_changed(7));
    }
}
