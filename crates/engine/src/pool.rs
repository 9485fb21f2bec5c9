//! Memory of one query within that of all of them.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use datafusion::common::{DataFusionError, Result};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryLimit, MemoryPool, MemoryReservation};
use tokio::sync::watch;

/// The part of all memory that is left to queries which hold little, and how little that is: a part of all, too.
pub(crate) const LEFT_TO_SMALL: usize = 4;
pub(crate) const SMALL: usize = 32;

/// Bytes that all queries hold, and may hold.
#[derive(Debug)]
pub(crate) struct ServerMemory {
    used: AtomicUsize,
    limit: usize,
}

impl ServerMemory {
    pub(crate) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self { used: AtomicUsize::new(0), limit })
    }

    /// What all may hold together for a query that holds so much to have more. The last part is for those that hold little: else the big
    /// queries of one organization would end everybody's small ones. A query that is alone may have all that one may.
    fn limit_for(&self, holds: usize, of_query: usize) -> usize {
        if holds <= self.limit / SMALL {
            return self.limit;
        }
        self.limit - (self.limit / LEFT_TO_SMALL).min(self.limit.saturating_sub(of_query))
    }

    /// Bytes that queries hold now.
    pub(crate) fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }
}

/// Who holds what of one query's memory.
///
/// Operators that can spill share one half of it. The other half is for what cannot: builds of joins, results, and the merges by which an
/// operator spills. A merge of many pieces by several columns writes their keys out in rows, which takes up to three times what the pieces
/// take; where operators that can spill have all there is, the merge that is to make room finds none, and the query ends.
#[derive(Debug, Default)]
struct Shares {
    /// Operators that can spill.
    sharers: usize,
    /// Bytes that they hold.
    spillable: usize,
    /// Bytes that others hold.
    kept: usize,
}

impl Shares {
    const fn used(&self) -> usize {
        self.spillable.saturating_add(self.kept)
    }

    fn keep(&mut self, more: usize, limit: usize) -> bool {
        let fits = self.used().checked_add(more).is_some_and(|sum| sum <= limit);
        if fits {
            self.kept += more;
        }
        fits
    }

    /// More for one that holds `own` and can spill.
    fn share(&mut self, own: usize, more: usize, limit: usize) -> bool {
        let most = (limit / 2).min(limit.saturating_sub(self.kept));
        let (Some(own), Some(all)) = (own.checked_add(more), self.spillable.checked_add(more)) else {
            return false;
        };
        // Not all of them need their share. One that holds little may have a piece of wide rows where there is room.
        let fits = own <= most / self.sharers.max(1) || own <= limit / 8 && all <= most;
        if fits {
            self.spillable = all;
        }
        fits
    }

    fn of(&mut self, reservation: &MemoryReservation) -> &mut usize {
        if reservation.consumer().can_spill() { &mut self.spillable } else { &mut self.kept }
    }
}

/// The memory of one query. What it still holds when it is dropped is given back.
#[derive(Debug)]
pub(crate) struct QueryMemory {
    shares: Mutex<Shares>,
    limit: usize,
    server: Arc<ServerMemory>,
    /// Dropped with it, after what it held was given back.
    alive: watch::Sender<()>,
}

impl QueryMemory {
    pub(crate) fn new(limit: usize, server: &Arc<ServerMemory>) -> Arc<Self> {
        let (alive, _) = watch::channel(());
        Arc::new(Self { shares: Mutex::default(), limit, server: Arc::clone(server), alive })
    }

    /// Bytes that the query may hold.
    pub(crate) const fn limit(&self) -> usize {
        self.limit
    }

    /// Tells when nothing holds any of it any more.
    pub(crate) fn ended(&self) -> Ended {
        Ended(self.alive.subscribe())
    }

    fn shares(&self) -> MutexGuard<'_, Shares> {
        self.shares.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The end of a query's memory.
#[derive(Debug)]
pub(crate) struct Ended(watch::Receiver<()>);

impl Ended {
    pub(crate) async fn wait(mut self) {
        while self.0.changed().await.is_ok() {}
    }
}

fn take(used: &AtomicUsize, more: usize, limit: usize) -> bool {
    used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
        used.checked_add(more).filter(|sum| *sum <= limit)
    })
    .is_ok()
}

/// Operators that can spill look for this kind of error.
fn exhausted(why: &str) -> DataFusionError {
    DataFusionError::ResourcesExhausted(why.to_owned())
}

impl fmt::Display for QueryMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("query memory")
    }
}

impl MemoryPool for QueryMemory {
    fn name(&self) -> &'static str {
        "query memory"
    }

    fn register(&self, consumer: &MemoryConsumer) {
        if consumer.can_spill() {
            self.shares().sharers += 1;
        }
    }

    fn unregister(&self, consumer: &MemoryConsumer) {
        if consumer.can_spill() {
            let mut shares = self.shares();
            shares.sharers = shares.sharers.saturating_sub(1);
        }
    }

    /// What cannot be refused is counted all the same.
    fn grow(&self, reservation: &MemoryReservation, more: usize) {
        *self.shares().of(reservation) += more;
        self.server.used.fetch_add(more, Ordering::Relaxed);
    }

    fn shrink(&self, reservation: &MemoryReservation, less: usize) {
        *self.shares().of(reservation) -= less;
        self.server.used.fetch_sub(less, Ordering::Relaxed);
    }

    fn try_grow(&self, reservation: &MemoryReservation, more: usize) -> Result<()> {
        let holds = self.shares().used().saturating_add(more);
        if !take(&self.server.used, more, self.server.limit_for(holds, self.limit)) {
            return Err(exhausted("queries hold all the memory there is"));
        }
        let mut shares = self.shares();
        let fits = match reservation.consumer().can_spill() {
            true => shares.share(reservation.size(), more, self.limit),
            false => shares.keep(more, self.limit),
        };
        if fits {
            return Ok(());
        }
        drop(shares);
        self.server.used.fetch_sub(more, Ordering::Relaxed);
        Err(exhausted("the query holds all the memory it may"))
    }

    fn reserved(&self) -> usize {
        self.shares().used()
    }

    fn memory_limit(&self) -> MemoryLimit {
        MemoryLimit::Finite(self.limit)
    }
}

impl Drop for QueryMemory {
    fn drop(&mut self) {
        let used = self.shares().used();
        self.server.used.fetch_sub(used, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reserve(memory: &Arc<QueryMemory>, can_spill: bool) -> MemoryReservation {
        let pool = Arc::clone(memory) as Arc<dyn MemoryPool>;
        MemoryConsumer::new("an operator").with_can_spill(can_spill).register(&pool)
    }

    #[test]
    fn operators_that_can_spill_leave_one_half_for_the_others() {
        let server = ServerMemory::new(usize::MAX);
        let memory = QueryMemory::new(800, &server);
        let (sort, other) = (reserve(&memory, true), reserve(&memory, true));
        let merge = reserve(&memory, false);
        sort.try_grow(200).unwrap();
        assert!(sort.try_grow(1).is_err(), "each has a half of the half");
        other.try_grow(200).unwrap();
        merge.try_grow(400).unwrap();
        assert!(merge.try_grow(1).is_err());
        assert_eq!((memory.reserved(), server.used()), (800, 800));
        drop(other);
        sort.try_grow(200).unwrap();
        assert!(merge.try_grow(1).is_err(), "what the other had is shared anew");
        drop((sort, merge));
        assert_eq!((memory.reserved(), server.used()), (0, 0));
    }

    #[test]
    fn a_piece_of_wide_rows_is_more_than_a_share_where_there_is_room() {
        let memory = QueryMemory::new(800, &ServerMemory::new(usize::MAX));
        let many: Vec<MemoryReservation> = (0..16).map(|_| reserve(&memory, true)).collect();
        for one in &many[..4] {
            one.try_grow(100).unwrap();
            assert!(one.try_grow(1).is_err());
        }
        assert!(many[4].try_grow(100).is_err(), "the half is taken");
    }

    #[tokio::test]
    async fn the_end_of_its_memory_is_told_when_all_of_it_is_given_back() {
        let server = ServerMemory::new(100);
        let memory = QueryMemory::new(100, &server);
        let held = reserve(&memory, false);
        held.try_grow(60).unwrap();
        let ended = tokio::spawn(memory.ended().wait());
        drop(memory);
        tokio::task::yield_now().await;
        assert!(!ended.is_finished(), "an operator holds some of it");
        drop(held);
        ended.await.unwrap();
        assert_eq!(server.used(), 0);
    }

    #[test]
    fn what_all_queries_hold_is_bounded() {
        let server = ServerMemory::new(100);
        let (one, two) = (QueryMemory::new(100, &server), QueryMemory::new(100, &server));
        let (first, second) = (reserve(&one, false), reserve(&two, false));
        first.try_grow(60).unwrap();
        assert!(second.try_grow(60).is_err());
        assert_eq!(server.used(), 60);
        drop((first, one));
        second.try_grow(60).unwrap();
    }

    #[test]
    fn big_queries_leave_a_part_to_small_ones() {
        let server = ServerMemory::new(3_200);
        let big: Vec<MemoryReservation> =
            (0..4).map(|_| reserve(&QueryMemory::new(800, &server), false)).collect();
        for one in &big[..3] {
            one.try_grow(800).unwrap();
        }
        assert!(big[3].try_grow(101).is_err(), "the last quarter is not for them");
        big[3].try_grow(100).unwrap();
        let small = reserve(&QueryMemory::new(800, &server), false);
        small.try_grow(100).unwrap();
        assert!(small.try_grow(1).is_err());
        assert_eq!(server.used(), 2_600);
        // One that is alone has all that it may.
        let server = ServerMemory::new(800);
        reserve(&QueryMemory::new(800, &server), false).try_grow(800).unwrap();
    }
}
