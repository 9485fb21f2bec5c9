//! How much runs against sources at the same time: a share for each organization, so that sources which accept and never answer hold up
//! nobody but their own organization.
//!
//! The share shrinks when places run short: the second half of the places is for organizations that hold none. An organization whose newest
//! attempt ran out of time has one place until a source of its own answers. An attempt that takes long makes room for others, and ends
//! where too many do.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tidegate_domain::id::OrganizationId;
use tokio::sync::Notify;
use tokio::time::timeout;

/// Organizations that are remembered for an attempt that ran out of time. Beyond that all are forgotten.
const MOST_HANGING: usize = 10_000;

/// Places of a node.
pub(crate) struct Slots(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    most: usize,
    each: usize,
    state: Mutex<State>,
    freed: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// What runs.
    places: Held,
    /// What has run for long, beside that.
    long: Held,
    /// Whose newest attempt ran out of time.
    hanging: HashSet<OrganizationId>,
}

#[derive(Debug, Default)]
struct Held {
    taken: usize,
    organizations: HashMap<OrganizationId, usize>,
}

impl Held {
    fn of(&self, organization: OrganizationId) -> usize {
        self.organizations.get(&organization).copied().unwrap_or(0)
    }

    /// Whether the organization may have another one of `most`: a first one while there is any, more while there are plenty.
    fn admits(&self, organization: OrganizationId, most: usize, each: usize) -> bool {
        match self.of(organization) {
            0 => self.taken < most,
            own => own < each && self.taken < most.div_ceil(2),
        }
    }

    fn add(&mut self, organization: OrganizationId) {
        self.taken += 1;
        *self.organizations.entry(organization).or_insert(0) += 1;
    }

    fn remove(&mut self, organization: OrganizationId) {
        self.taken = self.taken.saturating_sub(1);
        let left = self.of(organization).saturating_sub(1);
        // Organizations that hold nothing are forgotten.
        if left == 0 {
            self.organizations.remove(&organization);
        } else {
            self.organizations.insert(organization, left);
        }
    }
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place, until it is dropped.
#[derive(Debug)]
pub(crate) struct Slot {
    inner: Arc<Inner>,
    organization: OrganizationId,
    is_long: bool,
}

impl Slot {
    /// Makes room for others, for what takes long: it goes on beside what else runs. False where too many do, of this organization or of
    /// all: then it has to end.
    pub(crate) fn make_room(&mut self) -> bool {
        let mut state = self.inner.state();
        if !self.is_long {
            if !state.long.admits(self.organization, self.inner.most, self.inner.each) {
                return false;
            }
            state.places.remove(self.organization);
            state.long.add(self.organization);
            self.is_long = true;
            drop(state);
            self.inner.freed.notify_waiters();
        }
        true
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut state = self.inner.state();
        let held = if self.is_long { &mut state.long } else { &mut state.places };
        held.remove(self.organization);
        drop(state);
        self.inner.freed.notify_waiters();
    }
}

impl Slots {
    pub(crate) fn new(most: usize, each: usize) -> Self {
        let (most, each) = (most.max(1), each.max(1));
        Self(Arc::new(Inner { most, each, state: Mutex::default(), freed: Notify::new() }))
    }

    /// A place now, or none.
    pub(crate) fn try_take(&self, organization: OrganizationId) -> Option<Slot> {
        let Inner { most, each, .. } = *self.0;
        let mut state = self.0.state();
        let share = if state.hanging.contains(&organization) { 1 } else { each };
        let is_within_all = state.places.of(organization) + state.long.of(organization) < each;
        if !is_within_all || !state.places.admits(organization, most, share) {
            return None;
        }
        state.places.add(organization);
        Some(Slot { inner: Arc::clone(&self.0), organization, is_long: false })
    }

    /// A place, or none when there is none for so long. Who waits holds nothing.
    pub(crate) async fn take(&self, organization: OrganizationId, patience: Duration) -> Option<Slot> {
        let found = async {
            loop {
                // Before the look: what is freed after it is heard of.
                let freed = self.0.freed.notified();
                if let Some(slot) = self.try_take(organization) {
                    return slot;
                }
                freed.await;
            }
        };
        timeout(patience, found).await.ok()
    }

    /// Notes how an attempt of an organization ended: whether it ran out of time.
    pub(crate) fn note(&self, organization: OrganizationId, ran_out_of_time: bool) {
        let mut state = self.0.state();
        if !ran_out_of_time {
            state.hanging.remove(&organization);
            return;
        }
        if state.hanging.len() >= MOST_HANGING {
            state.hanging.clear();
        }
        state.hanging.insert(organization);
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn organization(number: u128) -> OrganizationId {
        OrganizationId(Uuid::from_u128(number))
    }

    /// All places that organizations of these numbers get, each as many as it can.
    fn all_of(slots: &Slots, numbers: std::ops::Range<u128>) -> Vec<Slot> {
        let mut taken = Vec::new();
        for number in numbers {
            taken.extend(std::iter::from_fn(|| slots.try_take(organization(number))));
        }
        taken
    }

    #[tokio::test]
    async fn an_organization_has_its_share_and_no_more() {
        let slots = Slots::new(3, 2);
        let (ada, bob) = (organization(1), organization(2));
        let held = (slots.try_take(ada).unwrap(), slots.try_take(ada).unwrap());
        assert!(slots.try_take(ada).is_none());
        assert!(slots.take(ada, Duration::from_millis(20)).await.is_none());
        let other = slots.take(bob, Duration::from_secs(1)).await.unwrap();
        // All three are taken.
        assert!(slots.try_take(organization(3)).is_none());
        drop(held);
        let _again = slots.take(bob, Duration::from_secs(1)).await.unwrap();
        drop(other);
        assert!(slots.try_take(ada).is_some());
    }

    #[tokio::test]
    async fn who_waits_gets_what_is_freed() {
        let slots = Slots::new(1, 1);
        let held = slots.try_take(organization(1)).unwrap();
        let waiting = slots.take(organization(2), Duration::from_secs(10));
        let freeing = async {
            tokio::task::yield_now().await;
            drop(held);
        };
        let (got, ()) = tokio::join!(waiting, freeing);
        assert!(got.is_some());
    }

    // Eight organizations whose sources hang once held all 32 places: nobody else's was tested or discovered.
    #[test]
    fn organizations_that_hang_leave_half_of_the_places_to_others() {
        let slots = Slots::new(32, 4);
        let held = all_of(&slots, 1..9);
        assert_eq!(held.len(), 4 * 4 + 4, "four take their share, then each has one");
        let others: Vec<Slot> =
            (100..112).filter_map(|number| slots.try_take(organization(number))).collect();
        assert_eq!(others.len(), 12);
        assert!(slots.try_take(organization(200)).is_none());
    }

    #[test]
    fn who_ran_out_of_time_has_one_place_until_a_source_answers() {
        let slots = Slots::new(32, 4);
        (1..9).for_each(|number| slots.note(organization(number), true));
        assert_eq!(all_of(&slots, 1..9).len(), 8);
        slots.note(organization(1), false);
        assert_eq!(all_of(&slots, 1..2).len(), 4);
    }

    #[test]
    fn what_takes_long_makes_room_for_others_and_not_for_more_of_its_own() {
        let slots = Slots::new(4, 2);
        let mut held = all_of(&slots, 1..2);
        assert_eq!(held.len(), 2);
        assert!(held.iter_mut().all(Slot::make_room));
        assert!(slots.try_take(organization(1)).is_none());
        let mut others = all_of(&slots, 2..5);
        assert_eq!(others.len(), 4, "all places are free again");
        let went_on = others.iter_mut().map(Slot::make_room).filter(|went_on| *went_on).count();
        assert_eq!(went_on, 2, "what takes long has as many places, and the same shares");
        drop((held, others));
        let state = slots.0.state();
        assert_eq!((state.places.taken, state.long.taken), (0, 0));
        assert!(state.places.organizations.is_empty() && state.long.organizations.is_empty());
    }

    // Sources of a stranger that answer a test and never a discovery would else be all discoveries of a node.
    #[test]
    fn no_organization_has_all_discoveries() {
        use crate::schemas::discovery_job::{AT_ONCE, EACH};
        let turns = Slots::new(AT_ONCE, EACH);
        let taken = all_of(&turns, 1..2);
        assert_eq!(taken.len(), EACH);
        assert!(turns.try_take(organization(2)).is_some());
    }

    #[test]
    fn organizations_that_hold_nothing_are_forgotten() {
        let slots = Slots::new(10, 2);
        for number in 0..100 {
            drop(slots.try_take(organization(number)));
        }
        let _held = slots.try_take(organization(1_000)).unwrap();
        assert_eq!(slots.0.state().places.organizations.len(), 1);
    }
}
