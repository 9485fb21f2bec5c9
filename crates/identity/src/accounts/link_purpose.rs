//! What the link in a mail is for: the page behind it says so before anything happens. Reading it changes nothing.

use tidegate_crypto::PlainToken;
use tidegate_domain::challenge::{Challenge, ChallengeStatus, Purpose};
use tidegate_domain::id::OrganizationId;
use tidegate_domain::{EmailAddress, LanguageTag, PasswordRule};
use tidegate_kernel::KernelTables;
use tidegate_kernel::fault::Fault;

use crate::accounts::claims_repository::OrganizationLabel;
use crate::credentials::challenge::note_mailed;
use crate::{Identity, IdentityTables};

/// Why following a link failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfirmLinkError {
    /// The token is unknown.
    #[error("the verification token is invalid")]
    InvalidToken,
    /// Too late.
    #[error("the verification token has expired; sign in to get a new one")]
    Expired,
}

/// What following a link means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkPurpose {
    /// The address the link was mailed to.
    pub email: EmailAddress,
    /// The language of the account, where known.
    pub language: Option<LanguageTag>,
    /// The organization that manages the account once the link is followed.
    pub invited_by: Option<String>,
    /// The phones that can sign in to the account, masked.
    pub phones: Vec<String>,
    /// How many passkeys can sign in to it.
    pub passkeys: i64,
    /// What a new password needs: the rule of the contract that sent the link.
    pub password: PasswordRule,
}

impl Identity {
    /// What an organization is called where strangers read it: never by a name that its founder chose.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn organization_label(&self, organization: OrganizationId) -> Result<OrganizationLabel, Fault> {
        let mut unit = self.kernel.store.read().await?;
        Ok(unit.claims().label(organization).await?)
    }

    /// What the token of a `/verify-email` link is for. None when following it would be refused.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn verification_purpose(&self, token: &PlainToken) -> Result<Option<LinkPurpose>, Fault> {
        match self.link_purpose(Purpose::VerifyEmail, token).await? {
            Some(purpose) => Ok(Some(purpose)),
            None => self.link_purpose(Purpose::AddEmail, token).await,
        }
    }

    /// What the token of a `/reset-password` link is for. None when following it would be refused.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn reset_purpose(&self, token: &PlainToken) -> Result<Option<LinkPurpose>, Fault> {
        self.link_purpose(Purpose::ResetPassword, token).await
    }

    async fn link_purpose(&self, purpose: Purpose, token: &PlainToken) -> Result<Option<LinkPurpose>, Fault> {
        let mut unit = self.kernel.store.read().await?;
        let found = unit.challenges().find_by_link(purpose, token.hash().as_bytes()).await?;
        if !found.as_ref().is_some_and(|found| self.is_followed(found)) {
            note_mailed("link", found.as_ref(), self.kernel.now());
        }
        let Some(challenge) = found else {
            return Ok(None);
        };
        let Some(account) = challenge.account.filter(|_| self.is_followed(&challenge)) else {
            return Ok(None);
        };
        let is_enabled =
            unit.accounts().find(account).await?.is_some_and(|account| account.disabled_at.is_none());
        let emails = unit.accounts().emails(account).await?;
        let mut theirs = emails.iter().filter(|known| known.email.as_str() == challenge.address);
        let is_right = match purpose {
            Purpose::ResetPassword => theirs.any(|known| known.is_primary),
            Purpose::AddEmail => emails.is_empty() || theirs.any(|known| known.verified_at.is_some()),
            _ => theirs.next().is_some(),
        };
        if !is_enabled || !is_right {
            return Ok(None);
        }
        let phones = unit.claims().phones(account).await?;
        let passkeys = unit.passkeys().count(account).await?;
        let home = unit.claims().home(account).await?;
        // An invitation that was accepted, withdrawn or replaced asks for nothing any more.
        let invitation = challenge
            .continuation
            .invitation
            .filter(|invitation| home.is_some_and(|home| !home.accepted && home.organization == *invitation));
        let invited_by = match invitation {
            Some(organization) => Some(unit.claims().label(organization).await?.to_string()),
            None => None,
        };
        let language = unit.account_cards().language_of("email", &challenge.address).await?;
        Ok(Some(LinkPurpose {
            language,
            invited_by,
            phones: phones.iter().map(ToString::to_string).collect(),
            passkeys,
            password: self.kernel.settings.profile(challenge.contract).password.clone(),
            email: EmailAddress::from_stored(challenge.address),
        }))
    }

    /// Whether the link may still be followed: until it expires, and one that sets a password once.
    fn is_followed(&self, challenge: &Challenge) -> bool {
        match challenge.status(self.kernel.now()) {
            ChallengeStatus::Open => true,
            // Mail programs and people follow a verification link again, and wrong codes do not block it.
            ChallengeStatus::Consumed | ChallengeStatus::Blocked => {
                challenge.purpose != Purpose::ResetPassword && challenge.expires_at > self.kernel.now()
            }
            ChallengeStatus::Expired => false,
        }
    }
}
