//! Failures that are counted before it is known whether they are any.

use tidegate_database::{Store, Unit};
use tidegate_domain::limit::{Exceeded, Limit};

use crate::fault::Fault;
use crate::throttle::Counted;
use crate::{Call, Kernel, KernelTables};

impl Kernel {
    /// Counts each of `attempts` as the failures they may turn out to be, in a unit of work of its own and before anything is looked at;
    /// or refuses and counts none of them.
    ///
    /// A process that ends half-way leaves them counted.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn reserve(
        &self,
        call: &Call,
        attempts: &[(Counted<'_>, Option<Limit>)],
    ) -> Result<Result<Reserved, Exceeded>, Fault> {
        if let Some(exceeded) = self.exceeded(call, attempts).await? {
            return Ok(Err(exceeded));
        }
        let counted = attempts.iter().filter(|(_, limit)| limit.is_some()).map(|(counted, _)| *counted);
        Ok(Ok(Reserved::new(self, call, &counted.collect::<Vec<_>>())))
    }
}

/// Failures that were counted before it is known whether they are any: counting first keeps a crowd of concurrent
/// guesses within the limit. Whatever does not turn out to be a failure is taken back, also an attempt that was given up
/// half-way, or refused because there was too much to do.
pub struct Reserved {
    store: Store,
    buckets: Vec<[u8; 32]>,
    /// Counted in the unit that acts: taken back with the others, and gone with the unit where it is not committed.
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

    /// Takes the attempt back in the unit of work that makes it a success: as the last thing before the commit, because on PostgreSQL
    /// others of the same network wait from here on.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn refund(&self, unit: &mut Unit) -> Result<(), Fault> {
        let all = [self.buckets.as_slice(), self.in_unit.as_slice()].concat();
        Ok(unit.limits().refund_all(&all).await?)
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
