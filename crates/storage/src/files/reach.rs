//! A file that another feature reads: for a data source that is made of it.

use tidegate_database::Unit;
use tidegate_domain::id::{AccountId, OrganizationId};
use tidegate_kernel::Fault;

use super::file::TrackedFile;
use crate::{Storage, StorageTables};

/// Whose files are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// Those of all members of an organization.
    Organization(OrganizationId),
    /// Those of one member.
    Member(OrganizationId, AccountId),
}

impl Whose {
    fn owns(self, file: &TrackedFile) -> bool {
        match self {
            Self::Organization(organization) => file.organization == organization,
            Self::Member(organization, account) => {
                file.organization == organization && file.account == account
            }
        }
    }
}

impl Storage {
    /// The stored file under a key, if it is one of these; none for others', as if there were none. That the caller may have it, they
    /// have found out.
    ///
    /// # Errors
    /// Only faults.
    pub async fn reach_file(
        &self,
        unit: &mut Unit,
        whose: Whose,
        object_name: &str,
    ) -> Result<Option<TrackedFile>, Fault> {
        let file = unit.files().stored(object_name).await?;
        Ok(file.filter(|file| whose.owns(file)))
    }

    /// The same outside of a unit of work.
    ///
    /// # Errors
    /// Only faults.
    pub async fn reach_file_now(
        &self,
        whose: Whose,
        object_name: &str,
    ) -> Result<Option<TrackedFile>, Fault> {
        let mut unit = self.kernel.store.read().await?;
        self.reach_file(&mut unit, whose, object_name).await
    }
}
