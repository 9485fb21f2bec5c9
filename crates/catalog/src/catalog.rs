//! The feature.

use std::sync::{Arc, OnceLock};

use tidegate_domain::Permission;
use tidegate_kernel::{Fault, Grant, Kernel};

use crate::DataSettings;
use crate::hooks::{SourceFiles, SourceGovernance, TableView};
use crate::life::pools::Pools;
use crate::life::recent::Recent;
use crate::life::slots::Slots;
use crate::schemas::discover::Running;
use crate::schemas::outdated::Outdated;
use crate::sources::DataSource;
use crate::sources::access::Viewer;

/// The use cases of data sources.
pub struct Catalog {
    pub(crate) kernel: Arc<Kernel>,
    pub(crate) settings: DataSettings,
    pub(crate) files: Arc<dyn SourceFiles>,
    /// Whether policies govern what somebody sees, where there are any.
    pub(crate) governance: OnceLock<Arc<dyn SourceGovernance>>,
    /// Open sources of this node.
    pub(crate) pools: Pools,
    /// What may run at the same time.
    pub(crate) slots: Slots,
    /// Discoveries of jobs: they have few places and take long, so no organization has all.
    pub(crate) discovery_turns: Slots,
    /// Discoveries under way.
    pub(crate) running: Running,
    /// Data sources whose tables have changed since they were discovered, or may have.
    pub(crate) outdated: Outdated,
    /// What queries read lately.
    pub(crate) recent: Recent,
}

impl Catalog {
    /// Has `governance` say of what policies decide what members see. Only the first that is registered counts.
    pub fn register_governance(&self, governance: Arc<dyn SourceGovernance>) {
        // A second one would be a defect of the wiring; the first stays.
        drop(self.governance.set(governance));
    }

    /// Whether policies govern what the caller sees of a data source.
    pub(crate) async fn governs(&self, grant: &Grant, source: &DataSource) -> Result<bool, Fault> {
        self.governs_for(Viewer::of(grant), source).await
    }

    /// The same of whoever looks.
    pub(crate) async fn governs_for(&self, viewer: Viewer, source: &DataSource) -> Result<bool, Fault> {
        let Some(governance) = self.governance.get() else { return Ok(false) };
        let Viewer { account, organization, .. } = viewer;
        governance.governs(account, organization, source.number, source.workspace_number).await
    }

    /// Which tables and columns of a data source the caller may know of; none where that is all, as it is for those who write policies.
    pub(crate) async fn view(
        &self,
        grant: &Grant,
        source: &DataSource,
    ) -> Result<Option<Arc<dyn TableView>>, Fault> {
        let governance = self.governance.get().filter(|_| !grant.allows(Permission::ManagePolicies));
        let Some(governance) = governance else { return Ok(None) };
        governance.view(grant.account(), grant.organization(), source.into()).await
    }
}
