//! Revokes an access token, at once and for good.

use serde_json::json;
use tidegate_domain::Permission;
use tidegate_domain::audit::Action;
use tidegate_kernel::fault::{Outcome, refuse};
use tidegate_kernel::tables::access_tokens::AccessToken;
use tidegate_kernel::work::Subject;
use tidegate_kernel::{Actor, Call, Fault, KernelTables, Refused};

use crate::Identity;
use crate::access_tokens::change::AccessTokenError;
use crate::work::{Acting, NoAccess};

/// Why a token of an organization was not revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RevokeOrganizationTokenError {
    /// The caller does not belong to the organization.
    #[error(transparent)]
    NoAccess(#[from] NoAccess),
    /// No such token was made for it; one that is not the caller's to revoke looks the same.
    #[error("the token does not exist")]
    NotFound,
}

impl Identity {
    /// Revokes the actor's token of that number, whomever it is for.
    ///
    /// Source: RiverGen "auth/tokens/{token_id}".
    ///
    /// # Errors
    /// [`AccessTokenError`].
    pub async fn revoke_access_token(
        &self,
        call: &Call,
        actor: &Actor,
        number: i64,
    ) -> Outcome<(), AccessTokenError> {
        let mut work = self.begin_as(call, actor, Permission::ManageOwnTokens).await?;
        let account = work.grant.account();
        let Some(token) = work.unit.access_tokens().numbered(account, number).await? else {
            return refuse(AccessTokenError::NotFound);
        };
        if !work.revoke_token(&token).await? {
            return refuse(AccessTokenError::NotFound);
        }
        Ok(work.commit().await?)
    }

    /// Revokes a token that was made for an organization of the actor's: their own, or any if their role allows it.
    ///
    /// Source: RiverGen "organizations/{org_id}/tokens/{token_id}".
    ///
    /// # Errors
    /// [`RevokeOrganizationTokenError`].
    pub async fn revoke_organization_token(
        &self,
        call: &Call,
        actor: &Actor,
        organization: i64,
        number: i64,
    ) -> Outcome<(), RevokeOrganizationTokenError> {
        let work = self.begin_in(call, actor, organization, Permission::ManageOwnTokens).await;
        let mut work = work.map_err(|refused| match refused {
            Refused::Rule(no_access) => Refused::Rule(no_access.into()),
            Refused::Fault(fault) => Refused::Fault(fault),
        })?;
        let organization = work.grant.organization();
        let found = work.unit.access_tokens().numbered_of_organization(organization, number).await?;
        let may_all = work.grant.allows(Permission::RevokeOrganizationTokens);
        let Some(token) = found.filter(|token| may_all || token.account == work.grant.account()) else {
            return refuse(RevokeOrganizationTokenError::NotFound);
        };
        if !work.revoke_token(&token).await? {
            return refuse(RevokeOrganizationTokenError::NotFound);
        }
        Ok(work.commit().await?)
    }
}

impl Acting<'_> {
    /// Removes a token and records it. False when it is gone already.
    async fn revoke_token(&mut self, token: &AccessToken) -> Result<bool, Fault> {
        if !self.unit.access_tokens().remove(token.id).await? {
            return Ok(false);
        }
        let subject = Subject { account: Some(token.account), ..self.grant.subject() };
        let metadata = json!({
            "token": token.number,
            "name": token.name,
            "by": self.grant.account().to_string(),
        });
        self.audit(Action::TokenRevoked, subject, metadata).await?;
        Ok(true)
    }
}
