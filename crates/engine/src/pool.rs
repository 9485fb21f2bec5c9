//! Memory of one query within that of all of them.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use datafusion::common::{DataFusionError, Result};
use datafusion::execution::memory_pool::{
    FairSpillPool, MemoryConsumer, MemoryLimit, MemoryPool, MemoryReservation,
};

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

    /// Bytes that queries hold now.
    pub(crate) fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }
}

/// The memory of one query. What it still holds when it is dropped is given back.
#[derive(Debug)]
pub(crate) struct QueryMemory {
    used: AtomicUsize,
    /// Divides what there is among operators that can spill, so that the first of them does not take all of it.
    shared: FairSpillPool,
    limit: usize,
    server: Arc<ServerMemory>,
}

impl QueryMemory {
    pub(crate) fn new(limit: usize, server: &Arc<ServerMemory>) -> Arc<Self> {
        Arc::new(Self {
            used: AtomicUsize::new(0),
            shared: FairSpillPool::new(limit),
            limit,
            server: Arc::clone(server),
        })
    }
}

fn take(used: &AtomicUsize, more: usize, limit: usize) -> bool {
    used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
        used.checked_add(more).filter(|sum| *sum <= limit)
    })
    .is_ok()
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
        self.shared.register(consumer);
    }

    fn unregister(&self, consumer: &MemoryConsumer) {
        self.shared.unregister(consumer);
    }

    /// What cannot be refused is counted all the same.
    fn grow(&self, reservation: &MemoryReservation, more: usize) {
        self.shared.grow(reservation, more);
        self.used.fetch_add(more, Ordering::Relaxed);
        self.server.used.fetch_add(more, Ordering::Relaxed);
    }

    fn shrink(&self, reservation: &MemoryReservation, less: usize) {
        self.shared.shrink(reservation, less);
        self.used.fetch_sub(less, Ordering::Relaxed);
        self.server.used.fetch_sub(less, Ordering::Relaxed);
    }

    fn try_grow(&self, reservation: &MemoryReservation, more: usize) -> Result<()> {
        if !take(&self.server.used, more, self.server.limit) {
            // Operators that can spill look for this kind of error.
            return Err(DataFusionError::ResourcesExhausted(
                "queries hold all the memory there is".to_owned(),
            ));
        }
        if let Err(refused) = self.shared.try_grow(reservation, more) {
            self.server.used.fetch_sub(more, Ordering::Relaxed);
            return Err(refused);
        }
        self.used.fetch_add(more, Ordering::Relaxed);
        Ok(())
    }

    fn reserved(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    fn memory_limit(&self) -> MemoryLimit {
        MemoryLimit::Finite(self.limit)
    }
}

impl Drop for QueryMemory {
    fn drop(&mut self) {
        self.server.used.fetch_sub(*self.used.get_mut(), Ordering::Relaxed);
    }
}
