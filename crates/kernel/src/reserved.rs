//! Failures that are counted before it is known whether they are any.

use tidegate_database::Unit;
use tidegate_domain::limit::{Exceeded, Limit};

use crate::fault::Fault;
use crate::node::counting::ProvisionalCount;
use crate::tables::limits::BucketName;
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
        let taken = self.count_apart(call, &[(counted, limit)]).await?;
        Ok(taken.map(|taken| Reserved { taken, in_unit: Vec::new() }))
    }
}

/// Failures that were counted before it is known whether they are any: counting first keeps a crowd of concurrent
/// guesses within the limit. Whatever does not turn out to be a failure is taken back, also an attempt that was given up
/// half-way, or refused because there was too much to do.
pub struct Reserved {
    taken: ProvisionalCount,
    /// Counted in the unit that acts: gone with it where it is not committed.
    in_unit: Vec<BucketName>,
}

impl Reserved {
    /// What the attempt counts, should it fail.
    pub fn new(kernel: &Kernel, call: &Call, counted: &[Counted<'_>]) -> Self {
        let buckets = counted.iter().flat_map(|counted| kernel.bucket_names(call, *counted)).collect();
        Self { taken: kernel.counting.taken(buckets), in_unit: Vec::new() }
    }

    /// What the unit that acts has counted itself, because it holds a lock that lets one attempt through at a time.
    pub fn and_in_unit(&mut self, kernel: &Kernel, call: &Call, counted: &[Counted<'_>]) {
        self.in_unit.extend(counted.iter().flat_map(|counted| kernel.bucket_names(call, *counted)));
    }

    /// The attempt failed: it stays counted.
    pub fn keep(&mut self) {
        self.taken.keep();
        self.in_unit.clear();
    }

    /// Takes the attempt back in the unit of work that makes it a success.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn refund(&self, unit: &mut Unit) -> Result<(), Fault> {
        Ok(unit.limits().refund_all(self.taken.buckets()).await?)
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
    pub async fn give_back(self) -> Result<(), Fault> {
        Ok(self.taken.give_back().await?)
    }

    /// That unit was committed.
    pub fn refunded(&mut self) {
        self.taken.keep();
    }
}
