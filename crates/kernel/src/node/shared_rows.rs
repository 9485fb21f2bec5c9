//! Rows that many units add to, each of which locks what it adds to until its commit.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tidegate_database::OnCommit;

/// The last place: further units add to its row, and wait for one another.
const LAST: u32 = u64::BITS - 1;

/// What names a row, and those beside it.
type Name = [u8; 32];

/// The places beside one another that units under way on this node add to. Each of several units at the same time has a row of its own;
/// one after another, they have the same.
#[derive(Default)]
pub(crate) struct SharedRows(Mutex<HashMap<Name, u64>>);

/// A place, taken until the unit ends that holds it.
pub(crate) struct TakenPlace {
    rows: Arc<SharedRows>,
    name: Name,
    place: u32,
}

impl SharedRows {
    /// Takes the first place that no other unit has.
    pub(crate) fn take(self: &Arc<Self>, name: Name) -> TakenPlace {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = all.entry(name).or_default();
        let place = taken.trailing_ones().min(LAST);
        *taken |= 1_u64 << place;
        TakenPlace { rows: Arc::clone(self), name, place }
    }
}

impl TakenPlace {
    /// Its number; zero where no other unit is under way.
    pub(crate) const fn number(&self) -> u32 {
        self.place
    }
}

impl OnCommit for TakenPlace {
    /// The row is locked until the unit is committed.
    fn committed(&mut self) {}
}

impl Drop for TakenPlace {
    fn drop(&mut self) {
        let mut all = self.rows.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(taken) = all.get_mut(&self.name) {
            *taken &= !(1_u64 << self.place);
            if *taken == 0 {
                all.remove(&self.name);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_at_the_same_time_have_places_of_their_own_and_later_ones_the_first() {
        let rows = Arc::new(SharedRows::default());
        let (one, two, other) = (rows.take([1; 32]), rows.take([1; 32]), rows.take([2; 32]));
        assert_eq!([one.number(), two.number(), other.number()], [0, 1, 0]);
        drop(one);
        let three = rows.take([1; 32]);
        assert_eq!(three.number(), 0);
        drop((two, three, other));
        assert_eq!(rows.take([1; 32]).number(), 0);
        assert!(rows.0.lock().unwrap().is_empty());
    }

    #[test]
    fn where_all_places_are_taken_the_last_is_shared() {
        let rows = Arc::new(SharedRows::default());
        let taken: Vec<TakenPlace> = (0..70).map(|_| rows.take([1; 32])).collect();
        assert_eq!(taken.iter().map(TakenPlace::number).max(), Some(LAST));
        drop(taken);
        assert!(rows.0.lock().unwrap().is_empty());
    }
}
