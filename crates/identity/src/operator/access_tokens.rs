//! Lists and revokes access tokens for an operator, and sets for how long those of an organization live.

use serde_json::json;
use tidegate_domain::audit::Action;
use tidegate_domain::id::OrganizationId;
use tidegate_kernel::KernelTables;
use tidegate_kernel::fault::{Fault, Outcome, refuse};
use tidegate_kernel::tables::access_tokens::AccessToken;
use tidegate_kernel::work::Subject;

use super::{AccountName, Operator, OperatorError};
use crate::{Identity, IdentityTables};

/// Tokens shown of an account, or of an organization.
pub const SHOWN_TOKENS: i64 = 1_000;

/// Why an operator's command about tokens of an organization was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OrganizationTokensError {
    /// No such organization.
    #[error("there is no such organization")]
    UnknownOrganization,
    /// No such token was made for it.
    #[error("the organization has no such access token")]
    NoSuchToken,
}

impl Identity {
    /// The access tokens of an account, at most [`SHOWN_TOKENS`], newest first.
    ///
    /// Source: `tidegate user tokens`.
    ///
    /// # Errors
    /// [`OperatorError`].
    pub async fn account_tokens(
        &self,
        operator: &Operator,
        name: &AccountName,
    ) -> Outcome<Vec<AccessToken>, OperatorError> {
        let mut work = self.begin_for(operator).await?;
        let account = work.named(name).await?;
        Ok(work.unit.access_tokens().of_account(account, 0, SHOWN_TOKENS).await?)
    }

    /// Revokes one access token of an account, or all; answers how many.
    ///
    /// Source: `tidegate user tokens --revoke`.
    ///
    /// # Errors
    /// [`OperatorError`].
    pub async fn revoke_account_tokens(
        &self,
        operator: &Operator,
        name: &AccountName,
        number: Option<i64>,
    ) -> Outcome<usize, OperatorError> {
        let mut work = self.begin_for(operator).await?;
        let account = work.lock_named(name).await?.id;
        let revoked = match number {
            None => work.unit.access_tokens().remove_all(account).await?,
            Some(number) => match work.unit.access_tokens().numbered(account, number).await? {
                Some(token) => usize::from(work.unit.access_tokens().remove(token.id).await?),
                None => return refuse(OperatorError::NoSuchToken),
            },
        };
        work.audit(Action::TokenRevoked, account, json!({ "token": number, "revoked": revoked })).await?;
        work.commit().await?;
        Ok(revoked)
    }

    /// The tokens that members made for an organization, at most [`SHOWN_TOKENS`], newest first.
    ///
    /// Source: `tidegate org tokens`.
    ///
    /// # Errors
    /// Only faults.
    pub async fn organization_tokens(
        &self,
        _: &Operator,
        organization: OrganizationId,
    ) -> Result<Vec<AccessToken>, Fault> {
        let mut unit = self.kernel.store.read().await?;
        Ok(unit.access_tokens().of_organization(organization, 0, SHOWN_TOKENS).await?)
    }

    /// Revokes one token that was made for an organization, or all; answers how many.
    ///
    /// Source: `tidegate org tokens --revoke`.
    ///
    /// # Errors
    /// [`OrganizationTokensError`].
    pub async fn revoke_organization_tokens(
        &self,
        operator: &Operator,
        organization: OrganizationId,
        number: Option<i64>,
    ) -> Outcome<usize, OrganizationTokensError> {
        let mut work = self.begin_for(operator).await?;
        if !work.unit.organizations().lock(organization).await? {
            return refuse(OrganizationTokensError::UnknownOrganization);
        }
        let mut subject = Subject { organization: Some(organization), ..Subject::default() };
        let revoked = match number {
            None => work.unit.access_tokens().remove_all_of_organization(organization).await?,
            Some(number) => {
                let found = work.unit.access_tokens().numbered_of_organization(organization, number).await?;
                let Some(token) = found else {
                    return refuse(OrganizationTokensError::NoSuchToken);
                };
                subject.account = Some(token.account);
                usize::from(work.unit.access_tokens().remove(token.id).await?)
            }
        };
        work.audit(Action::TokenRevoked, subject, json!({ "token": number, "revoked": revoked })).await?;
        work.commit().await?;
        Ok(revoked)
    }

    /// Sets for how many minutes a token lives at most that a member makes for the organization; as long as they like when none.
    /// Tokens that were made before keep their expiry.
    ///
    /// Source: RiverGen section 8, `access_token_expire_minutes`; `tidegate org token-lifetime`.
    ///
    /// # Errors
    /// [`OrganizationTokensError`].
    pub async fn set_token_lifetime(
        &self,
        operator: &Operator,
        organization: OrganizationId,
        minutes: Option<i64>,
    ) -> Outcome<(), OrganizationTokensError> {
        let mut work = self.begin_for(operator).await?;
        let now = work.now;
        if !work.unit.organizations().set_access_token_minutes(organization, minutes, now).await? {
            return refuse(OrganizationTokensError::UnknownOrganization);
        }
        let subject = Subject { organization: Some(organization), ..Subject::default() };
        work.audit(Action::TokenLifetimeChanged, subject, json!({ "minutes": minutes })).await?;
        Ok(work.commit().await?)
    }
}
