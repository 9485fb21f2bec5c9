//! How many jobs wait, and how many were given up.

use crate::fault::Fault;
use crate::{Kernel, KernelTables};

impl Kernel {
    /// Sets the gauges of jobs, one for each registered job and state.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn measure_jobs(&self) -> Result<(), Fault> {
        let counted = self.store.read().await?.jobs().depth().await?;
        for job in self.jobs().iter().filter(|job| job.has_rows() && !job.is_scheduled()) {
            for state in ["pending", "running", "dead"] {
                let of_it = counted.iter().find(|(name, of, _)| name == job.name && of == state);
                let count = of_it.map_or(0, |(_, _, count)| u32::try_from(*count).unwrap_or(u32::MAX));
                metrics::gauge!("tidegate_jobs", "job" => job.name, "state" => state).set(f64::from(count));
            }
        }
        Ok(())
    }
}
