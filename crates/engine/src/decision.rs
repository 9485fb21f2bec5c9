//! What was decided at each relation, and what came of it.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tidegate_connect::Order;
use tidegate_policy::{Effect, PolicyRef, Resolved};

use crate::relation::RelationName;
use crate::source::Pushed;

/// Readings of one relation whose records are kept.
const MOST_READINGS: usize = 8;

/// The record of one relation of one query.
#[derive(Clone, Debug)]
pub struct Decision {
    /// The relation.
    pub relation: RelationName,
    /// Policies that had a part in it, each with its version, and what each did.
    pub policies: Vec<(PolicyRef, Effect)>,
    /// What was resolved, with the attributes that were used.
    pub resolved: Arc<Resolved>,
    /// Rows that crossed the barrier.
    pub rows: u64,
    /// Masked columns that were read, sorted.
    pub masked: Vec<String>,
    /// How often the relation was read.
    pub scans: u64,
    /// What was left to the source, for the first readings that were planned. For those who manage policies.
    pub pushed: Vec<Pushed>,
    /// Whether a number of queries that a policy allows was used up, so that nothing was read.
    pub refused: bool,
}

impl Decision {
    /// That of a relation that a query named and its person may not see.
    pub(crate) fn denied(relation: RelationName, resolved: Arc<Resolved>) -> Self {
        Tally::default().decision(relation, resolved)
    }

    /// Takes the record of another query in, if the same was decided about the same relation. Answers whether it was.
    pub fn takes_in(&mut self, other: &Self) -> bool {
        let is_same = self.relation == other.relation
            && self.policies == other.policies
            && self.refused == other.refused
            && self.resolved.decision == other.resolved.decision;
        if is_same {
            self.rows = self.rows.saturating_add(other.rows);
            self.scans = self.scans.saturating_add(other.scans);
            self.masked.extend(other.masked.iter().cloned());
            self.masked.sort();
            self.masked.dedup();
            let room = MOST_READINGS.saturating_sub(self.pushed.len());
            self.pushed.extend(other.pushed.iter().take(room).cloned());
        }
        is_same
    }
}

/// Whoever keeps decision records. It is called when a query is over, whatever its end, and when one names what is denied its person.
pub trait Decisions: Send + Sync {
    /// Keeps the records of a query.
    fn keep(&self, decisions: Vec<Decision>);
}

/// The place of a reading among those whose records are kept.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reading(usize);

/// Counts of one relation while a query runs.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    rows: AtomicU64,
    scans: AtomicU64,
    masked: Mutex<BTreeSet<String>>,
    pushed: Mutex<Vec<Pushed>>,
    refused: AtomicBool,
}

impl Tally {
    pub(crate) fn crossed(&self, rows: usize) {
        self.rows.fetch_add(rows as u64, Ordering::Relaxed);
    }

    pub(crate) fn scanned<'n>(&self, masked: impl Iterator<Item = &'n str>) {
        self.scans.fetch_add(1, Ordering::Relaxed);
        let mut all = self.masked.lock().unwrap_or_else(PoisonError::into_inner);
        all.extend(masked.map(str::to_owned));
    }

    /// Notes what a reading that is planned leaves to the source. Not of those after many.
    pub(crate) fn planned(&self, pushed: Pushed) -> Option<Reading> {
        let mut all = self.pushed.lock().unwrap_or_else(PoisonError::into_inner);
        let reading = Reading(all.len());
        (all.len() < MOST_READINGS).then(|| {
            all.push(pushed);
            reading
        })
    }

    /// Notes that a reading leaves the choice of the first rows to the source, too.
    pub(crate) fn first(&self, reading: Option<Reading>, order: &[Order], rows: usize) {
        let mut all = self.pushed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pushed) = reading.and_then(|Reading(place)| all.get_mut(place)) {
            pushed.first(order, rows);
        }
    }

    /// Notes that the query may not run now.
    pub(crate) fn refuse(&self) {
        self.refused.store(true, Ordering::Relaxed);
    }

    pub(crate) fn masked(&self) -> Vec<String> {
        self.masked.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    pub(crate) fn decision(&self, relation: RelationName, resolved: Arc<Resolved>) -> Decision {
        Decision {
            relation,
            policies: resolved
                .policies
                .iter()
                .map(|applied| (applied.policy, applied.effect.clone()))
                .collect(),
            resolved,
            rows: self.rows.load(Ordering::Relaxed),
            masked: self.masked(),
            scans: self.scans.load(Ordering::Relaxed),
            pushed: self.pushed.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            refused: self.refused.load(Ordering::Relaxed),
        }
    }
}

#[cfg(test)]
mod tests {
    use tidegate_policy::Applied;

    use super::*;

    fn decision(table: &str, version: i64, rows: usize) -> Decision {
        let tally = Tally::default();
        tally.crossed(rows);
        tally.scanned(["ssn"].into_iter());
        tally.planned(Pushed::default());
        let applied = Applied { policy: PolicyRef { id: 1, version }, rule: 1, effect: Effect::Filtered };
        let resolved = Resolved { policies: vec![applied], ..Resolved::open() };
        tally.decision(RelationName::new("hr", None, table), Arc::new(resolved))
    }

    #[test]
    fn what_was_decided_alike_is_one_record_and_stays_short() {
        let mut all = decision("emp", 1, 2);
        for _ in 0..MOST_READINGS {
            assert!(all.takes_in(&decision("emp", 1, 3)));
        }
        let readings = MOST_READINGS as u64;
        assert_eq!((all.rows, all.scans), (2 + 3 * readings, 1 + readings));
        assert_eq!((all.masked.as_slice(), all.pushed.len()), (["ssn".to_owned()].as_slice(), MOST_READINGS));
        let mut refused = decision("emp", 1, 0);
        refused.refused = true;
        for other in [decision("dept", 1, 1), decision("emp", 2, 1), refused] {
            assert!(!all.takes_in(&other), "{other:?}");
        }
        assert_eq!(all.rows, 2 + 3 * readings);
    }
}
