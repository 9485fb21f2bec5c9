//! Jobs to be enqueued.

use serde_json::Value;

use crate::Kernel;
use crate::fault::Fault;
use crate::jobs::repository::NewJob;

impl Kernel {
    /// A job to be enqueued in a unit of work: `unit.jobs().enqueue(&job)`. Its payload is stored as it is: for keys of rows,
    /// not for secrets.
    ///
    /// # Errors
    /// When the payload is no JSON.
    pub fn job(&self, name: &'static str, payload: &Value) -> Result<NewJob, Fault> {
        let now = self.now();
        Ok(NewJob {
            id: self.entropy.uuid(now),
            name,
            dedupe_key: None,
            account: None,
            payload: serde_json::to_vec(payload)?,
            sealed: false,
            run_at: now,
            created_at: now,
        })
    }

    /// The same, with a payload that is sealed under the master key.
    ///
    /// # Errors
    /// Those of the vault.
    pub fn sealed_job(&self, name: &'static str, payload: &Value) -> Result<NewJob, Fault> {
        let mut job = self.job(name, payload)?;
        let purpose = purpose(name, job.id);
        job.payload = self.vault.seal(&purpose, &job.payload, self.entropy.as_ref())?;
        job.sealed = true;
        Ok(job)
    }
}

/// What a payload is sealed for: one row only.
pub(super) fn purpose(name: &str, id: uuid::Uuid) -> String {
    format!("job {name} {id}")
}
