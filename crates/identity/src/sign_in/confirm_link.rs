//! Verifies an address with the link of its sign-up, and signs in.

use tidegate_crypto::PlainToken;
use tidegate_domain::challenge::{Challenge, ChallengeStatus, Purpose};
use tidegate_domain::{ContractId, EmailAddress};
use tidegate_kernel::fault::{Fault, Outcome, refuse};
use tidegate_kernel::issue::SignedIn;
use tidegate_kernel::{Call, Refused};

use crate::accounts::proof::ProvenBy;
use crate::credentials::challenge::note_mailed;
use crate::work::Work;
use crate::{Identity, IdentityTables};

pub use crate::accounts::link_purpose::ConfirmLinkError;

impl Identity {
    /// Confirms the token of a link and opens the account's session.
    ///
    /// Following the link again within its ten minutes succeeds again, as the contract asks: mail programs and people
    /// do. A changed or reset password withdraws it.
    ///
    /// The mail alone does not show who signed up: unless the caller also holds the `temporary_token` of the sign-up or sign-in that
    /// sent it, the password is dropped at the first proof, and chosen anew by a reset.
    ///
    /// Source: RiverGen "verify-email".
    ///
    /// # Errors
    /// [`ConfirmLinkError`].
    pub async fn confirm_link(
        &self,
        call: &Call,
        token: &PlainToken,
        temporary_token: Option<&PlainToken>,
    ) -> Outcome<SignedIn, ConfirmLinkError> {
        self.find_link(token).await?;
        let mut work = self.begin(call).await?;
        let challenge = match work.open_link(token).await? {
            // A code that only proves the address in another contract does not sign in here.
            Ok(challenge) if challenge.contract != call.profile.contract => {
                return refuse(ConfirmLinkError::InvalidToken);
            }
            Ok(challenge) => challenge,
            Err(refusal) => return refuse(refusal),
        };
        let by = match temporary_token {
            Some(temporary) if work.holds_token(&challenge, temporary).await? => ProvenBy::MailAndToken,
            _ => ProvenBy::mail(&challenge),
        };
        let signed_in = self.admit_verified(work, &challenge, by, None).await?;
        signed_in.ok_or(Refused::Rule(ConfirmLinkError::InvalidToken))
    }

    /// Confirms the token of a link without signing in: for the hosted page, which has no client to give a session to.
    ///
    /// Where the password was dropped, because the mail alone does not show who set it, a token is answered with which another one
    /// is chosen.
    ///
    /// # Errors
    /// [`ConfirmLinkError`].
    pub async fn verify_by_link(
        &self,
        call: &Call,
        token: &PlainToken,
    ) -> Outcome<Option<PlainToken>, ConfirmLinkError> {
        if self.adds_email(token).await? {
            return self.add_email(call, token).await.map(|()| None);
        }
        let sender = self.find_link(token).await?;
        let call = call.under(self.kernel.settings.profile(sender));
        let mut work = self.begin(&call).await?;
        let challenge = match work.open_link(token).await? {
            Ok(challenge) => challenge,
            Err(refusal) => return refuse(refusal),
        };
        let proven = work.prove_challenge(&challenge, ProvenBy::mail(&challenge)).await?;
        let (Some(proven), Some(account)) = (proven, challenge.account) else {
            return refuse(ConfirmLinkError::InvalidToken);
        };
        work.audit_proof(proven, account).await?;
        let choice = if proven.password_dropped {
            let email = EmailAddress::from_stored(challenge.address);
            Some(work.password_choice(account, &email).await?)
        } else {
            None
        };
        work.commit().await?;
        Ok(choice)
    }
}

impl Identity {
    /// The contract that sent a link. Refuses what is no link before it costs a turn at the writer.
    async fn find_link(&self, token: &PlainToken) -> Outcome<ContractId, ConfirmLinkError> {
        let mut unit = self.kernel.store.read().await?;
        let found = unit.challenges().find_by_link(Purpose::VerifyEmail, token.hash().as_bytes()).await?;
        let now = self.kernel.now();
        if !found.as_ref().is_some_and(|link| link.status(now) == ChallengeStatus::Open) {
            note_mailed("link", found.as_ref(), now);
        }
        match found {
            Some(link) => Ok(link.contract),
            None => refuse(ConfirmLinkError::InvalidToken),
        }
    }
}

impl Work<'_> {
    /// Whether a temporary token goes with the sign-up or sign-in of the account that a link was mailed to.
    async fn holds_token(&mut self, challenge: &Challenge, temporary: &PlainToken) -> Result<bool, Fault> {
        let hash = temporary.hash();
        let found = self.unit.challenges().find_by_handle(Purpose::VerifyEmail, hash.as_bytes()).await?;
        Ok(found.is_some_and(|found| found.account == challenge.account && found.expires_at > self.now))
    }

    async fn open_link(&mut self, token: &PlainToken) -> Result<Result<Challenge, ConfirmLinkError>, Fault> {
        let found =
            self.unit.challenges().find_by_link(Purpose::VerifyEmail, token.hash().as_bytes()).await?;
        if let Some(account) = found.as_ref().and_then(|challenge| challenge.account) {
            self.lock(account).await?;
        }
        Ok(match found {
            None => Err(ConfirmLinkError::InvalidToken),
            Some(challenge) if challenge.expires_at <= self.now => Err(ConfirmLinkError::Expired),
            // Withdrawn in this moment, because the password was changed.
            Some(challenge) if !self.unit.challenges().claim(challenge.id, self.now).await? => {
                Err(ConfirmLinkError::InvalidToken)
            }
            Some(challenge) => Ok(challenge),
        })
    }
}
