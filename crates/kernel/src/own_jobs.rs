//! The kernel's own background work.

use std::sync::Arc;

use crate::{Kernel, exchange, maintenance, token_uses};

impl Kernel {
    /// Registers the kernel's jobs, one line each.
    pub(crate) fn register_own_jobs(self: &Arc<Self>) {
        self.register_job(self, maintenance::JOB);
        self.register_job(self, exchange::JOB);
        self.register_job(self, token_uses::JOB);
    }
}
