//! How much the caller's organization may keep, and keeps.

use tidegate_database::Unit;
use tidegate_domain::Permission;
use tidegate_domain::id::OrganizationId;
use tidegate_kernel::{Actor, Fault};

use super::repository::OrganizationUsage;
use crate::settings::StorageLimits;
use crate::{Storage, StorageTables};

/// How much an organization may keep, and keeps. In bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// May keep.
    pub limit: u64,
    /// Whether an operator said so; else its plan does.
    pub is_set: bool,
    /// Keeps, uploads under way included.
    pub used: u64,
    /// Files that are stored.
    pub files: u64,
}

impl Usage {
    /// What is left.
    pub const fn available(&self) -> u64 {
        self.limit.saturating_sub(self.used)
    }

    pub(crate) fn of(organization: &OrganizationUsage, files: i64, limits: &StorageLimits) -> Self {
        let set = organization.limit_bytes.and_then(|limit| u64::try_from(limit).ok());
        Self {
            limit: set.unwrap_or_else(|| limits.of_plan(&organization.plan)),
            is_set: set.is_some(),
            used: u64::try_from(organization.used_bytes).unwrap_or(0),
            files: u64::try_from(files).unwrap_or(0),
        }
    }
}

impl Storage {
    /// How much the caller's organization may keep, and keeps.
    ///
    /// Source: RiverGen "storage/quota", "storage/usage".
    ///
    /// # Errors
    /// Only faults.
    pub async fn storage_usage(&self, actor: &Actor) -> Result<Usage, Fault> {
        let (mut unit, grant) = self.read_as(actor, Permission::ReadOwnFiles).await?;
        let found = self.usage_in(&mut unit, grant.organization()).await?;
        found.ok_or(Fault::SessionEnded)
    }

    /// The same of any organization, without its files counted; none where there is no such organization.
    pub(crate) async fn quota_in(
        &self,
        unit: &mut Unit,
        organization: OrganizationId,
    ) -> Result<Option<Usage>, Fault> {
        let found = unit.storage_usage().organization(organization).await?;
        Ok(found.map(|found| Usage::of(&found, 0, &self.limits)))
    }

    /// The same of any organization; none where there is no such organization.
    pub(crate) async fn usage_in(
        &self,
        unit: &mut Unit,
        organization: OrganizationId,
    ) -> Result<Option<Usage>, Fault> {
        let Some(found) = unit.storage_usage().organization(organization).await? else {
            return Ok(None);
        };
        let files = unit.storage_usage().count_files(organization).await?;
        Ok(Some(Usage::of(&found, files, &self.limits)))
    }
}
