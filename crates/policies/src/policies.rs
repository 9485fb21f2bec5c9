//! The feature.

use std::sync::{Arc, OnceLock};

use tidegate_domain::id::{AccountId, OrganizationId};
use tidegate_kernel::cache::ReadCache;
use tidegate_kernel::{Kernel, Together};

use crate::PolicySettings;
use crate::evaluations::repository::StoredRow;
use crate::governed::load::Active;
use crate::governed::person::{OwnWorkspace, Person};
use crate::hooks::{SimulatedQueries, SourceRelations};

/// The use cases of policies.
pub struct Policies {
    pub(crate) kernel: Arc<Kernel>,
    pub(crate) settings: PolicySettings,
    /// What is known of data sources and their tables.
    pub(crate) sources: Arc<dyn SourceRelations>,
    /// Runs queries of simulations, where something can.
    pub(crate) queries: OnceLock<Arc<dyn SimulatedQueries>>,
    /// Active policies of organizations, read lately.
    pub(crate) active: ReadCache<OrganizationId, Arc<Active>>,
    /// People, read lately.
    pub(crate) people: ReadCache<(AccountId, OrganizationId), Option<Arc<Person>>>,
    /// Whether workspaces are people's own, read lately.
    pub(crate) workspaces: ReadCache<OwnWorkspace, Option<i64>>,
    /// What was decided and waits to be written.
    pub(crate) records: Arc<Together<Vec<StoredRow>, ()>>,
    /// Keys of hashes, which never change.
    pub(crate) hash_keys: ReadCache<OrganizationId, Arc<[u8; 32]>>,
}
