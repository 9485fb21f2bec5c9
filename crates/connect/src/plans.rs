//! What was found out about relations, for a while: asking for their columns is a trip of its own.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::source::Relation;

/// How long a relation is taken to be as it was.
const LIFE: Duration = Duration::from_secs(60);
/// Relations that are remembered.
const MOST: usize = 1_000;

type Known<P> = HashMap<Relation, (Arc<P>, Instant)>;

/// The plans of relations that were looked at lately.
pub(crate) struct Plans<P>(Mutex<Known<P>>);

impl<P> Default for Plans<P> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<P> Plans<P> {
    pub(crate) fn get(&self, relation: &Relation) -> Option<Arc<P>> {
        let known = self.known();
        let (plan, since) = known.get(relation)?;
        (since.elapsed() < LIFE).then(|| Arc::clone(plan))
    }

    /// Remembers a plan, and gives it back.
    pub(crate) fn keep(&self, relation: &Relation, plan: P) -> Arc<P> {
        let plan = Arc::new(plan);
        let mut known = self.known();
        if known.len() >= MOST {
            known.retain(|_, (_, since)| since.elapsed() < LIFE);
        }
        if known.len() >= MOST {
            known.clear();
        }
        known.insert(relation.clone(), (Arc::clone(&plan), Instant::now()));
        plan
    }

    /// Any plan of which something is true.
    pub(crate) fn find(&self, is_wanted: impl Fn(&P) -> bool) -> Option<Arc<P>> {
        self.known().values().map(|(plan, _)| plan).find(|plan| is_wanted(plan)).map(Arc::clone)
    }

    /// Forgets a relation, which may have changed.
    pub(crate) fn forget(&self, relation: &Relation) {
        self.known().remove(relation);
    }

    /// Forgets all.
    pub(crate) fn clear(&self) {
        self.known().clear();
    }

    fn known(&self) -> MutexGuard<'_, Known<P>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
