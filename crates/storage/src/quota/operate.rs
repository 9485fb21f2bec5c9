//! An operator looks at what an organization keeps, and sets what it may.

use serde_json::json;
use tidegate_domain::audit::Action;
use tidegate_domain::id::OrganizationId;
use tidegate_kernel::work::Subject;
use tidegate_kernel::{Call, Fault};

use super::usage::Usage;
use crate::{Storage, StorageTables};

impl Storage {
    /// What an organization keeps and may; none where there is no such organization.
    ///
    /// Source: `tidegate org storage`.
    ///
    /// # Errors
    /// Only faults.
    pub async fn usage_for_operator(&self, organization: OrganizationId) -> Result<Option<Usage>, Fault> {
        let mut unit = self.kernel.store.read().await?;
        self.usage_in(&mut unit, organization).await
    }

    /// Sets what an organization may keep, in bytes; none: what its plan says. It holds for the next upload on every node. What is
    /// stored already stays.
    ///
    /// Source: `tidegate org storage --limit`.
    ///
    /// # Errors
    /// Only faults.
    pub async fn set_storage_limit(
        &self,
        call: &Call,
        organization: OrganizationId,
        limit: Option<u64>,
    ) -> Result<Option<Usage>, Fault> {
        let mut work = self.begin(call).await?;
        let Some(before) = self.usage_in(&mut work.unit, organization).await? else {
            return Ok(None);
        };
        let stored = limit.map(|limit| i64::try_from(limit).unwrap_or(i64::MAX));
        work.unit.storage_usage().set_limit(organization, stored, work.now).await?;
        let after = self.usage_in(&mut work.unit, organization).await?;
        let subject = Subject { account: None, organization: Some(organization), session: None };
        let metadata = json!({ "from": before.limit, "to": after.map(|usage| usage.limit) });
        work.audit(Action::StorageLimitChanged, subject, metadata).await?;
        work.commit().await?;
        Ok(after)
    }
}
