//! Wires the feature, and what it registers with the kernel.

use std::sync::Arc;

use tidegate_kernel::Kernel;

use crate::analytics::sums_job;
use crate::executions::live::Live;
use crate::executions::values::ValueCache;
use crate::executions::{lease_job, lost_job};
use crate::hooks::PromptHooks;
use crate::maintenance::PRUNINGS;
use crate::models::Models;
use crate::prompts::Ports;
use crate::{PromptSettings, Prompts};

impl Prompts {
    /// Wires the feature on a kernel.
    ///
    /// # Errors
    /// Says which model is configured wrongly, and why.
    pub fn start(kernel: Arc<Kernel>, settings: PromptSettings, ports: Ports) -> Result<Arc<Self>, String> {
        let models = Models::new(&settings)?;
        kernel.register_hooks(Arc::new(PromptHooks));
        PRUNINGS.into_iter().for_each(|pruning| kernel.register_pruning(pruning));
        let live = Live::new(settings.at_once);
        let prompts = Arc::new(Self { kernel, settings, ports, models, values: ValueCache::new(), live });
        prompts.kernel.register_job(&prompts, lease_job::JOB);
        prompts.kernel.register_job(&prompts, lost_job::JOB);
        prompts.kernel.register_job(&prompts, sums_job::JOB);
        Ok(prompts)
    }
}
