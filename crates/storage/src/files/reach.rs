//! A file that another feature reads: for a data source that is made of it.

use std::collections::HashMap;

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

    /// Of each of some keys, whether there is a stored file under it that is one of these. All are looked for in one statement.
    ///
    /// # Errors
    /// Only faults.
    pub async fn has_files(&self, unit: &mut Unit, files: &[(Whose, &str)]) -> Result<Vec<bool>, Fault> {
        let names: Vec<&str> = files.iter().map(|(_, object_name)| *object_name).collect();
        let stored = unit.files().stored_among(&names).await?;
        let stored: HashMap<&str, &TrackedFile> =
            stored.iter().map(|file| (file.object_name.as_str(), file)).collect();
        let is_there = |(whose, name): &(Whose, &str)| stored.get(*name).is_some_and(|file| whose.owns(file));
        Ok(files.iter().map(is_there).collect())
    }

    /// The newest stored file of a member that was uploaded after another one of the organization and called as that was; none where there is
    /// no such.
    ///
    /// # Errors
    /// Only faults.
    pub async fn newer_file(
        &self,
        unit: &mut Unit,
        (organization, account): (OrganizationId, AccountId),
        object_name: &str,
    ) -> Result<Option<TrackedFile>, Fault> {
        let whose = Whose::Organization(organization);
        let Some(file) = self.reach_file(unit, whose, object_name).await? else { return Ok(None) };
        Ok(unit.files().newer(account, &file).await?)
    }

    /// The same as [`Storage::reach_file`] outside of a unit of work.
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
