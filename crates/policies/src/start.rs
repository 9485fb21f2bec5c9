//! Wires the feature, and what it registers with the kernel.

use std::sync::{Arc, OnceLock};

use tidegate_kernel::cache::ReadCache;
use tidegate_kernel::{Kernel, Together};

use crate::hooks::{PolicyHooks, SimulatedQueries, SourceRelations};
use crate::maintenance::PRUNINGS;
use crate::{Policies, PolicySettings};

/// Organizations whose policies a node remembers.
const ORGANIZATIONS: usize = 1_024;
/// People that it remembers, and workspaces of theirs.
const PEOPLE: usize = 4_096;

impl Policies {
    /// Wires the feature on a kernel. What is known of data sources comes from `sources`.
    pub fn start(
        kernel: Arc<Kernel>,
        settings: PolicySettings,
        sources: Arc<dyn SourceRelations>,
    ) -> Arc<Self> {
        kernel.register_hooks(Arc::new(PolicyHooks));
        PRUNINGS.into_iter().for_each(|pruning| kernel.register_pruning(pruning));
        Arc::new(Self {
            kernel,
            settings,
            sources,
            queries: OnceLock::new(),
            active: ReadCache::new(ORGANIZATIONS),
            people: ReadCache::new(PEOPLE),
            workspaces: ReadCache::new(PEOPLE),
            records: Together::new(),
            hash_keys: ReadCache::new(ORGANIZATIONS),
        })
    }

    /// Has simulations with SQL run by `queries`. Only the first that is registered counts.
    pub fn register_queries(&self, queries: Arc<dyn SimulatedQueries>) {
        // A second one would be a defect of the wiring; the first stays.
        drop(self.queries.set(queries));
    }
}
