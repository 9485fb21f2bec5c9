//! The feature.

use std::sync::{Arc, OnceLock};

use futures_util::future::BoxFuture;
use tidegate_database::Unit;
use tidegate_domain::Timestamp;
use tidegate_domain::id::OrganizationId;
use tidegate_kernel::{Fault, Grant, Kernel};
use tidegate_objects::Objects;

use crate::settings::StorageLimits;

/// The use cases of files.
pub struct Storage {
    pub(crate) kernel: Arc<Kernel>,
    pub(crate) objects: Objects,
    pub(crate) limits: StorageLimits,
    pub(crate) sources: OnceLock<Arc<dyn SourcesOfFiles>>,
}

/// Knows which data sources are built on files: a feature that this one does not see.
pub trait SourcesOfFiles: Send + Sync + 'static {
    /// The number of the organization's data source that is built on each of these files, by their keys.
    fn sources_of<'u>(
        &'u self,
        unit: &'u mut Unit,
        organization: OrganizationId,
        object_names: &'u [&'u str],
    ) -> BoxFuture<'u, Result<Vec<Option<i64>>, Fault>>;

    /// Tells the organization's data sources that are built on a file that it is removed: from the end of the unit on they read it no
    /// more. Answers them.
    fn removed<'u>(
        &'u self,
        unit: &'u mut Unit,
        grant: &'u Grant,
        object_name: &'u str,
        now: Timestamp,
    ) -> BoxFuture<'u, Result<Vec<ReadingSource>, Fault>>;
}

/// A data source that is built on a file which was removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadingSource {
    /// Its number.
    pub number: i64,
    /// Its name; none where the caller does not see it.
    pub name: Option<String>,
}

impl Storage {
    /// Has data sources named beside the files that they are built on. The first one to register is asked.
    pub fn register_sources(&self, sources: Arc<dyn SourcesOfFiles>) {
        if self.sources.set(sources).is_err() {
            tracing::warn!("data sources of files are registered already");
        }
    }

    /// The files, for features that read them.
    pub fn objects(&self) -> &Objects {
        &self.objects
    }

    /// How large files may be, and how much organizations may keep.
    pub fn limits(&self) -> &StorageLimits {
        &self.limits
    }
}
