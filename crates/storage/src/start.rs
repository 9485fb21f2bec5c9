//! Wires the feature, and what it registers with the kernel.

use std::sync::{Arc, OnceLock};

use tidegate_kernel::Kernel;
use tidegate_objects::Objects;

use crate::Storage;
use crate::hooks::StorageHooks;
use crate::settings::StorageLimits;
use crate::upkeep::{orphans, pruning, settle};

impl Storage {
    /// Wires the feature on a kernel.
    pub fn start(kernel: Arc<Kernel>, objects: Objects, limits: StorageLimits) -> Arc<Self> {
        kernel.register_hooks(Arc::new(StorageHooks));
        kernel.register_pruning(pruning::REMOVED_FILES);
        let storage = Arc::new(Self { kernel, objects, limits, sources: OnceLock::new() });
        storage.kernel.register_job(&storage, settle::JOB);
        storage.kernel.register_job(&storage, settle::REMOVE_JOB);
        storage.kernel.register_job(&storage, settle::ABANDONED_JOB);
        storage.kernel.register_job(&storage, orphans::JOB);
        storage
    }
}
