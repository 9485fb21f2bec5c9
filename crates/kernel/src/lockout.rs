//! Locks after several failures in a row: a few wrong codes, and the next one waits.

use tidegate_domain::limit::{Exceeded, Limit};

use crate::fault::Fault;
use crate::throttle::Counted;
use crate::{KernelTables, Work, noted};

/// What attempts in a row have come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InARow {
    /// None has failed: there is nothing to forget.
    NoFailure,
    /// Some have, and another one may be tried.
    SomeFailures,
    /// Further ones wait.
    LockedOut(Exceeded),
}

impl Work<'_> {
    /// Whether attempts in a row have failed, and whether further ones wait because of that. The caller holds the account's lock, so that
    /// of many concurrent attempts no more are tried than allowed.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn failed_in_a_row(
        &mut self,
        counted: Counted<'_>,
        lock: Option<Limit>,
    ) -> Result<InARow, Fault> {
        let mut in_a_row = InARow::NoFailure;
        let Some(lock) = lock else { return Ok(in_a_row) };
        for bucket in self.kernel.bucket_names(self.call, counted) {
            match self.unit.limits().next(&bucket, lock, self.now).await? {
                Some(status) if status.exceeded => {
                    noted::limit(|| counted.limit_key(self.call.profile.contract.as_str()));
                    return Ok(InARow::LockedOut(status.exceeded_at(self.now)));
                }
                Some(_) => in_a_row = InARow::SomeFailures,
                None => {}
            }
        }
        Ok(in_a_row)
    }

    /// Counts a failure.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn count_failure(&mut self, counted: Counted<'_>, lock: Option<Limit>) -> Result<(), Fault> {
        let Some(lock) = lock else { return Ok(()) };
        for bucket in self.kernel.bucket_names(self.call, counted) {
            self.unit.limits().fail(&bucket, lock, self.now).await?;
        }
        Ok(())
    }

    /// Forgets the failures: an attempt succeeded.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn forget_failures(&mut self, counted: Counted<'_>) -> Result<(), Fault> {
        for bucket in self.kernel.bucket_names(self.call, counted) {
            self.unit.limits().clear(&bucket).await?;
        }
        Ok(())
    }
}
