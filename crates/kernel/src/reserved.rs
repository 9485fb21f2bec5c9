//! Failures that are counted before it is known whether they are any.

use tidegate_database::{Store, Unit};
use tidegate_domain::limit::{Exceeded, Limit};

use crate::fault::Fault;
use crate::throttle::Counted;
use crate::{Call, Kernel, KernelTables};

impl Kernel {
    /// Counts an attempt as the failure it may turn out to be, in a unit of its own and before anything is looked at; or refuses it.
    ///
    /// For what many callers are counted in: each waits for the others' statements alone. A process that ends half-way leaves it counted.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn reserve(
        &self,
        call: &Call,
        counted: Counted<'_>,
        limit: Option<Limit>,
    ) -> Result<Result<Reserved, Exceeded>, Fault> {
        let Some(limit) = limit else {
            return Ok(Ok(Reserved::new(self, call, &[])));
        };
        if let Some(exceeded) = self.count_alone(call, counted, limit).await? {
            return Ok(Err(exceeded));
        }
        // Not before it is counted: callers who go away early would be given back what was never taken.
        Ok(Ok(Reserved::new(self, call, &[counted])))
    }
}

/// Failures that were counted before it is known whether they are any: counting first keeps a crowd of concurrent
/// guesses within the limit. Whatever does not turn out to be a failure is taken back, also an attempt that was given up
/// half-way, or refused because there was too much to do.
pub struct Reserved {
    store: Store,
    buckets: Vec<[u8; 32]>,
    /// Counted in the unit that acts: gone with it where it is not committed.
    in_unit: Vec<[u8; 32]>,
}

impl Reserved {
    /// What the attempt counts, should it fail.
    pub fn new(kernel: &Kernel, call: &Call, counted: &[Counted<'_>]) -> Self {
        let buckets = counted.iter().flat_map(|counted| kernel.bucket_names(call, *counted)).collect();
        Self { store: kernel.store.clone(), buckets, in_unit: Vec::new() }
    }

    /// What the unit that acts has counted itself, because it holds a lock that lets one attempt through at a time.
    pub fn and_in_unit(&mut self, kernel: &Kernel, call: &Call, counted: &[Counted<'_>]) {
        self.in_unit.extend(counted.iter().flat_map(|counted| kernel.bucket_names(call, *counted)));
    }

    /// The attempt failed: it stays counted.
    pub fn keep(&mut self) {
        self.buckets.clear();
        self.in_unit.clear();
    }

    /// Takes the attempt back in the unit of work that makes it a success.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn refund(&self, unit: &mut Unit) -> Result<(), Fault> {
        Ok(unit.limits().refund_all(&self.buckets).await?)
    }

    /// Takes back, in the unit of work that makes the attempt a success, what that unit has counted.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn refund_in_unit(&self, unit: &mut Unit) -> Result<(), Fault> {
        Ok(unit.limits().refund_all(&self.in_unit).await?)
    }

    /// Takes the attempt back in a unit of its own.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn give_back(mut self) -> Result<(), Fault> {
        let buckets = std::mem::take(&mut self.buckets);
        if buckets.is_empty() {
            return Ok(());
        }
        let mut unit = self.store.begin_single().await?;
        unit.limits().refund_all(&buckets).await?;
        Ok(unit.commit().await?)
    }

    /// That unit was committed.
    pub fn refunded(&mut self) {
        self.buckets.clear();
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        if self.buckets.is_empty() {
            return;
        }
        // Without a runtime the process is ending; the window ends by itself.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        // The task holds what it needs and no `Reserved`: a runtime that is ending drops the task at once, and with a
        // `Reserved` in it that would be the next one to be spawned, without end.
        let (store, buckets) = (self.store.clone(), std::mem::take(&mut self.buckets));
        runtime.spawn(async move {
            let taken_back = async {
                let mut unit = store.begin().await?;
                unit.limits().refund_all(&buckets).await?;
                Ok::<(), Fault>(unit.commit().await?)
            };
            if let Err(fault) = taken_back.await {
                tracing::warn!(error = %fault, "an attempt that did not fail stays counted as one");
            }
        });
    }
}
