//! What the link in a mail is for: the page behind it says so before anything happens.

use tidegate_crypto::PlainToken;
use tidegate_domain::challenge::{Challenge, ChallengeStatus, Purpose};
use tidegate_kernel::fault::Fault;

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
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LinkPurpose {
    /// The organization that manages the account once the link is followed.
    pub invited_by: Option<String>,
    /// The phones that can sign in to the account, masked.
    pub phones: Vec<String>,
}

impl Identity {
    /// What the token of a `/verify-email` link is for. A token that is not valid is for nothing.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn verification_purpose(&self, token: &PlainToken) -> Result<LinkPurpose, Fault> {
        for purpose in [Purpose::VerifyEmail, Purpose::AddEmail] {
            let described = self.link_purpose(purpose, token).await?;
            if described != LinkPurpose::default() {
                return Ok(described);
            }
        }
        Ok(LinkPurpose::default())
    }

    /// What the token of a `/reset-password` link is for. A token that is not valid is for nothing.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn reset_purpose(&self, token: &PlainToken) -> Result<LinkPurpose, Fault> {
        self.link_purpose(Purpose::ResetPassword, token).await
    }

    async fn link_purpose(&self, purpose: Purpose, token: &PlainToken) -> Result<LinkPurpose, Fault> {
        let mut unit = self.kernel.store.read().await?;
        let found = unit.challenges().find_by_link(purpose, token.hash().as_bytes()).await?;
        let now = self.kernel.now();
        let open = found.filter(|found| found.status(now) == ChallengeStatus::Open);
        let Some(Challenge { account: Some(account), continuation, .. }) = open else {
            return Ok(LinkPurpose::default());
        };
        let phones = unit.claims().phones(account).await?;
        let home = unit.claims().home(account).await?;
        // An invitation that was accepted, withdrawn or replaced asks for nothing any more.
        let invitation = continuation
            .invitation
            .filter(|invitation| home.is_some_and(|home| !home.accepted && home.organization == *invitation));
        let invited_by = match invitation {
            Some(organization) => Some(unit.claims().label(organization).await?.to_string()),
            None => None,
        };
        Ok(LinkPurpose { invited_by, phones: phones.iter().map(ToString::to_string).collect() })
    }
}
