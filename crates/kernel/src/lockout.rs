//! Locks after several failures in a row: a few wrong codes, and the next one waits.

use tidegate_domain::limit::{Exceeded, Limit};

use crate::fault::Fault;
use crate::throttle::Counted;
use crate::{KernelTables, Work};

impl Work<'_> {
    /// Whether further attempts wait because of failures in a row, and for how long. The caller holds the account's lock, so that of
    /// many concurrent attempts no more are tried than allowed.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn locked_out(
        &mut self,
        counted: Counted<'_>,
        lock: Option<Limit>,
    ) -> Result<Option<Exceeded>, Fault> {
        let Some(lock) = lock else { return Ok(None) };
        for bucket in self.kernel.bucket_names(self.call, counted) {
            if let Some(status) = self.unit.limits().next(&bucket, lock, self.now).await?
                && status.exceeded
            {
                return Ok(Some(status.exceeded_at(self.now)));
            }
        }
        Ok(None)
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
