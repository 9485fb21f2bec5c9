//! Wires the feature, and what it registers with the kernel.

use std::sync::{Arc, OnceLock};

use tidegate_kernel::Kernel;

use crate::hooks::{CatalogHooks, SourceFiles};
use crate::life::pools::Pools;
use crate::life::recent::Recent;
use crate::life::slots::Slots;
use crate::life::{idle_job, schedule_job, test_job};
use crate::maintenance::PRUNINGS;
use crate::schemas::discover::Running;
use crate::schemas::discovery_job;
use crate::schemas::outdated::Outdated;
use crate::{Catalog, DataSettings};

impl Catalog {
    /// Wires the feature on a kernel. Files of data sources come from `files`.
    pub fn start(kernel: Arc<Kernel>, settings: DataSettings, files: Arc<dyn SourceFiles>) -> Arc<Self> {
        kernel.register_hooks(Arc::new(CatalogHooks));
        PRUNINGS.into_iter().for_each(|pruning| kernel.register_pruning(pruning));
        let catalog = Arc::new(Self {
            pools: Pools::new(&settings),
            slots: Slots::new(settings.at_once, settings.at_once_per_organization),
            discovery_turns: Slots::new(discovery_job::AT_ONCE, discovery_job::EACH),
            running: Running::default(),
            outdated: Outdated::default(),
            recent: Recent::new(),
            kernel,
            settings,
            files,
            governance: OnceLock::new(),
        });
        catalog.kernel.register_job(&catalog, test_job::JOB);
        catalog.kernel.register_job(&catalog, discovery_job::JOB);
        catalog.kernel.register_job(&catalog, schedule_job::JOB);
        catalog.kernel.register_job(&catalog, idle_job::JOB);
        catalog
    }
}
