//! Who is a member of an organization, as features see it that do not own memberships.

use tidegate_database::{Result, Unit, fetch_optional};
use tidegate_domain::Role;
use tidegate_domain::id::{AccountId, OrganizationId};
use uuid::Uuid;

use super::role;

/// Memberships of a unit of work.
pub struct Memberships<'u>(pub(crate) &'u mut Unit);

impl Memberships<'_> {
    /// The organization of that number and the account's role there, if it is a member who agreed to be one; its owner need not.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn find(&mut self, account: AccountId, number: i64) -> Result<Option<(OrganizationId, Role)>> {
        let row = fetch_optional!(
            self.0,
            (Uuid, String),
            "select m.organization_id, m.role from memberships m join organizations o on o.id = m.organization_id
             where m.account_id = $1 and o.number = $2 and (m.accepted_at is not null or m.role = 'owner')",
            account.0,
            number,
        )?;
        row.map(|(organization, name)| Ok((organization.into(), role(&name)?))).transpose()
    }

    /// Whether the account is a member of the organization who agreed to be one; its owner need not.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn exists(&mut self, account: AccountId, organization: OrganizationId) -> Result<bool> {
        let row = fetch_optional!(
            self.0,
            (Uuid,),
            "select organization_id from memberships
             where account_id = $1 and organization_id = $2 and (accepted_at is not null or role = 'owner')",
            account.0,
            organization.0,
        )?;
        Ok(row.is_some())
    }
}
