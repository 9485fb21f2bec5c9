//! Which data sources policies govern, for the catalog.

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tidegate_catalog::hooks::SourceGovernance;
use tidegate_domain::id::{AccountId, OrganizationId};
use tidegate_kernel::Fault;
use tidegate_policies::Policies;
use tidegate_policies::governed::governance::Asker;

/// What the policies say.
pub(crate) struct GovernedSources(pub(crate) Arc<Policies>);

impl SourceGovernance for GovernedSources {
    fn governs(
        &self,
        account: AccountId,
        organization: OrganizationId,
        source: i64,
        workspace: i64,
    ) -> BoxFuture<'_, Result<bool, Fault>> {
        async move {
            let asker = Asker { account, organization, workspace: None, datasets: Vec::new(), query: None };
            let governance = self.0.governance(&asker).await?;
            // Who is no member is given nothing around it either.
            Ok(governance.is_none_or(|governance| governance.concerns_source(source, Some(workspace))))
        }
        .boxed()
    }
}
