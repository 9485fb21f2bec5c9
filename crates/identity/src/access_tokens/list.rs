//! Lists access tokens: one's own, and those of an organization.

use tidegate_domain::Permission;
use tidegate_kernel::fault::{Fault, Outcome};
use tidegate_kernel::tables::access_tokens::AccessToken;
use tidegate_kernel::{Actor, KernelTables};

use crate::Identity;
use crate::work::NoAccess;

/// A page of tokens.
#[derive(Clone, Debug)]
pub struct AccessTokenPage {
    /// The newest first.
    pub tokens: Vec<AccessToken>,
    /// How many there are in all.
    pub total: i64,
}

impl Identity {
    /// The actor's tokens, those for organizations included. Revoked ones are gone; expired ones are there until they are removed.
    ///
    /// Source: RiverGen "auth/tokens".
    ///
    /// # Errors
    /// Only faults.
    pub async fn list_access_tokens(
        &self,
        actor: &Actor,
        skip: i64,
        limit: i64,
    ) -> Result<AccessTokenPage, Fault> {
        let (mut unit, grant) = self.read_as(actor, Permission::ReadOwnTokens).await?;
        let account = grant.account();
        Ok(AccessTokenPage {
            tokens: unit.access_tokens().of_account(account, skip, limit).await?,
            total: unit.access_tokens().count(account).await?,
        })
    }

    /// The tokens that all members made for an organization of the actor's.
    ///
    /// Source: RiverGen "organizations/{org_id}/tokens".
    ///
    /// # Errors
    /// [`NoAccess`].
    pub async fn list_organization_tokens(
        &self,
        actor: &Actor,
        organization: i64,
        skip: i64,
        limit: i64,
    ) -> Outcome<AccessTokenPage, NoAccess> {
        let (mut unit, grant) = self.read_in(actor, organization, Permission::ReadOrganizationTokens).await?;
        let organization = grant.organization();
        Ok(AccessTokenPage {
            tokens: unit.access_tokens().of_organization(organization, skip, limit).await?,
            total: unit.access_tokens().count_of_organization(organization).await?,
        })
    }
}
