//! Sign-ins as they are kept for a repeat of their request: see [`tidegate_kernel::one_time`].

use serde::{Deserialize, Serialize};
use tidegate_database::Unit;
use tidegate_domain::account::LoginName;
use tidegate_domain::id::{AccountId, OrganizationId, SessionId};
use tidegate_domain::{Role, Secret};
use tidegate_kernel::issue::{SignedIn, TokenSet};
use tidegate_kernel::{Fault, Kernel};

use crate::IdentityTables;

/// What a repeat of the request is answered: kept sealed.
#[derive(Serialize, Deserialize)]
pub(crate) struct KeptSignIn {
    session: SessionId,
    account: AccountId,
    organization: OrganizationId,
    role: Role,
    #[serde(default)]
    is_unverified: bool,
    access_token: String,
    refresh_token: String,
    expires_in: i64,
}

impl From<&SignedIn> for KeptSignIn {
    fn from(opened: &SignedIn) -> Self {
        Self {
            session: opened.session,
            account: opened.account.id,
            organization: opened.organization,
            role: opened.role,
            is_unverified: !opened.is_verified,
            access_token: opened.tokens.access_token.expose().to_owned(),
            refresh_token: opened.tokens.refresh_token.expose().to_owned(),
            expires_in: opened.tokens.expires_in,
        }
    }
}

impl KeptSignIn {
    /// The sign-in with the tokens that were answered. None when its session has ended meanwhile, or its account is disabled.
    pub(crate) async fn open_again(
        self,
        kernel: &Kernel,
        unit: &mut Unit,
        login: LoginName,
    ) -> Result<Option<SignedIn>, Fault> {
        let account = unit.accounts().find(self.account).await?;
        let Some(account) = account.filter(|account| account.disabled_at.is_none()) else {
            return Ok(None);
        };
        if kernel.current_session(unit, self.session).await?.is_none() {
            return Ok(None);
        }
        Ok(Some(SignedIn {
            account,
            login,
            is_verified: !self.is_unverified,
            session: self.session,
            organization: self.organization,
            role: self.role,
            database: None,
            tokens: TokenSet {
                access_token: Secret::new(self.access_token),
                refresh_token: Secret::new(self.refresh_token),
                expires_in: self.expires_in,
            },
        }))
    }
}
