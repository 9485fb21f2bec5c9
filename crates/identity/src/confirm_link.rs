//! Somebody follows the link they were sent at sign-up, and is let in.

use tidegate_crypto::PlainToken;
use tidegate_domain::challenge::Purpose;

use crate::fault::{Outcome, refuse};
use crate::issue::SignedIn;
use crate::{Call, Identity, Refused};

/// Why not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfirmLinkError {
    /// The token is unknown.
    #[error("the verification token is invalid")]
    InvalidToken,
    /// Too late.
    #[error("the verification token has expired; sign in to get a new one")]
    Expired,
}

impl Identity {
    /// Confirms the token of a link and opens the account's session.
    ///
    /// Following the link again within its ten minutes succeeds again, as the contract asks: mail programs and people
    /// do. A changed or reset password withdraws it.
    ///
    /// Source: RiverGen "verify-email".
    ///
    /// # Errors
    /// [`ConfirmLinkError`].
    pub async fn confirm_link(&self, call: &Call, token: &PlainToken) -> Outcome<SignedIn, ConfirmLinkError> {
        let mut work = self.begin(call).await?;
        let found = work
            .unit
            .challenges()
            .find_by_link(Purpose::VerifyEmail, token.hash().as_bytes())
            .await?;
        let Some(challenge) = found else {
            return refuse(ConfirmLinkError::InvalidToken);
        };
        if challenge.expires_at <= work.now {
            return refuse(ConfirmLinkError::Expired);
        }
        let signed_in = work.admit_verified(&challenge).await?;
        let signed_in = signed_in.ok_or(Refused::Rule(ConfirmLinkError::InvalidToken))?;
        work.commit().await?;
        Ok(signed_in)
    }
}
