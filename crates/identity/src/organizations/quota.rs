//! What an organization may keep is counted in the unit of work that adds to it.

use tidegate_domain::Document;
use tidegate_domain::id::OrganizationId;
use tidegate_domain::quota::Quota;
use tidegate_kernel::Fault;

use crate::IdentityTables;
use crate::work::Work;

impl<G> Work<'_, G> {
    /// Refuses what this unit added to the organization when it is more than a quota allows. To be called after everything
    /// else, right before the commit: it takes a lock for which all others who add to the organization wait.
    pub(crate) async fn require_room(
        &mut self,
        organization: OrganizationId,
        quotas: &[Quota],
    ) -> Result<(), Fault> {
        self.unit.quotas().lock(organization).await?;
        for quota in quotas {
            let used = self.unit.quotas().used(organization, *quota, self.now).await?;
            self.app.kernel.settings.quotas.judge(*quota, used)?;
        }
        Ok(())
    }

    /// The same for a document in place of another. One that does not grow is taken also beyond the quota, which may have
    /// been lowered.
    pub(crate) async fn require_room_for(
        &mut self,
        organization: OrganizationId,
        before: &Document,
        after: &Document,
    ) -> Result<(), Fault> {
        if after.stored_bytes() > before.stored_bytes() {
            self.require_room(organization, &[Quota::MetadataBytes]).await?;
        }
        Ok(())
    }
}
