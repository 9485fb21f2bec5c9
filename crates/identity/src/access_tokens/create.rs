//! Makes an access token: of its owner alone, or for one of their organizations.

use std::time::Duration;

use serde_json::json;
use tidegate_crypto::PlainToken;
use tidegate_delivery::Template;
use tidegate_domain::audit::Action;
use tidegate_domain::id::AccessTokenId;
use tidegate_domain::quota::Quota;
use tidegate_domain::{Permission, Role, Scopes, Secret, Timestamp};
use tidegate_kernel::authenticate::ACCESS_TOKEN_PREFIX;
use tidegate_kernel::fault::Outcome;
use tidegate_kernel::tables::access_tokens::{AccessToken, NewAccessToken};
use tidegate_kernel::{Actor, Call, Fault, KernelTables};

use crate::work::{Acting, NoAccess};
use crate::{Identity, IdentityTables};

const DAY: u64 = 24 * 3_600;

/// A token to be made.
#[derive(Clone, Debug)]
pub struct CreateAccessToken {
    /// What its owner calls it.
    pub name: String,
    /// What it may do at most.
    pub scopes: Scopes,
    /// After how many days it expires; never when none, unless the organization says otherwise.
    pub expires_in_days: Option<u32>,
    /// The number of the organization it is for; none for one where the session acts. It is the organization's all the same, unless that
    /// is the maker's own.
    pub organization: Option<i64>,
}

/// A token that was made.
#[derive(Clone, Debug)]
pub struct MadeAccessToken {
    /// The token as it is listed.
    pub token: AccessToken,
    /// Its text, which is shown this once.
    pub text: Secret,
}

impl Identity {
    /// Makes a token for the actor. For an organization: the actor is a member there, and it lives no longer than the
    /// organization lets tokens live.
    ///
    /// Source: RiverGen "auth/tokens" and "organizations/{org_id}/tokens".
    ///
    /// # Errors
    /// [`NoAccess`]; [`Fault::QuotaExceeded`].
    pub async fn create_access_token(
        &self,
        call: &Call,
        actor: &Actor,
        claim: CreateAccessToken,
    ) -> Outcome<MadeAccessToken, NoAccess> {
        let mut work = match claim.organization {
            None => self.begin_as(call, actor, Permission::ManageOwnTokens).await?,
            Some(number) => self.begin_in(call, actor, number, Permission::ManageOwnTokens).await?,
        };
        work.authorize_recent().await?;
        let made = work.make_access_token(claim).await?;
        if made.token.organization_number.is_some() {
            let organization = work.grant.organization();
            work.require_room(organization, &[Quota::OrganizationTokens]).await?;
        }
        work.commit().await?;
        Ok(made)
    }
}

impl Acting<'_> {
    async fn make_access_token(&mut self, claim: CreateAccessToken) -> Result<MadeAccessToken, Fault> {
        let (account, organization) = (self.grant.account(), self.grant.organization());
        // Where it acts decides whose rules hold, not what was asked for: one that acts in an organization of others is that organization's.
        let for_organization = claim.organization.is_some() || self.grant.role() != Role::Owner;
        let expires_at = self.token_expiry(&claim, for_organization).await?;
        let entropy = self.app.kernel.entropy.as_ref();
        let text = PlainToken::generate_checked(ACCESS_TOKEN_PREFIX, entropy);
        let hash = text.hash();
        let id = AccessTokenId(entropy.uuid(self.now));
        let new = NewAccessToken {
            id,
            account,
            organization,
            for_organization,
            role: self.grant.role(),
            // It carries what the tokens of the session that makes it can carry.
            contract: self.grant.claims().contract,
            name: &claim.name,
            hash: hash.as_bytes(),
            scopes: &claim.scopes,
            created_at: self.now,
            expires_at,
        };
        let number = self.unit.access_tokens().insert(&new).await?;
        let metadata = json!({
            "token": number,
            "name": claim.name,
            "scopes": claim.scopes.to_string(),
            "for_organization": for_organization,
            "expires_at": expires_at.map(Timestamp::iso_seconds),
        });
        self.audit(Action::TokenCreated, self.grant.subject(), metadata).await?;
        // The account is locked: of two units that add to it, the second counts what the first added.
        let used = self.unit.quotas().used(account, Quota::AccountTokens, self.now).await?;
        self.app.kernel.settings.quotas.judge(Quota::AccountTokens, used)?;
        let values = json!({ "token": claim.name, "scopes": claim.scopes.to_string() });
        self.security_notice(account, Template::TokenMade, values).await?;
        let Some(token) = self.unit.access_tokens().numbered(account, number).await? else {
            return Err(Fault::Internal("a token that was made is not there".to_owned()));
        };
        Ok(MadeAccessToken { token, text: Secret::new(text.expose()) })
    }

    /// The earlier of what was asked for and what the organization lets tokens live.
    async fn token_expiry(
        &mut self,
        claim: &CreateAccessToken,
        for_organization: bool,
    ) -> Result<Option<Timestamp>, Fault> {
        let asked = claim.expires_in_days.map(|days| Duration::from_secs(u64::from(days) * DAY));
        let most = if for_organization {
            self.unit.organizations().access_token_lifetime(self.grant.organization()).await?
        } else {
            None
        };
        let lifetime = [asked, most].into_iter().flatten().min();
        Ok(lifetime.map(|lifetime| self.now.plus(lifetime)))
    }
}
