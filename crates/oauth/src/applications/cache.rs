//! The applications that a node remembers.

use std::sync::Arc;

use tidegate_domain::id::ApplicationId;
use tidegate_kernel::cache::ReadCache;

use super::application::Application;

/// Most applications that are remembered.
const REMEMBERED: usize = 1_024;

/// The applications read lately, all of which were in use.
pub(crate) struct KnownApplications(pub(super) ReadCache<ApplicationId, Arc<Application>>);

impl KnownApplications {
    pub(crate) fn new() -> Self {
        Self(ReadCache::new(REMEMBERED))
    }
}
