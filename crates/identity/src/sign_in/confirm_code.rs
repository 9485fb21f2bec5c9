//! Somebody sends back the code they were sent at sign-up, and is let in.

use serde_json::json;
use tidegate_crypto::PlainToken;
use tidegate_domain::account::Account;
use tidegate_domain::audit::Action;
use tidegate_domain::challenge::{Challenge, Purpose};
use tidegate_domain::session::Amr;
use tidegate_domain::{EmailAddress, Secret, limit};
use tidegate_kernel::fault::{Fault, Outcome, refuse};
use tidegate_kernel::issue::{Principal, SignedIn};
use tidegate_kernel::work::Subject;
use tidegate_kernel::{Call, Refused};

use crate::accounts::proof::ProvenBy;
use crate::credentials::challenge::Answer;
use crate::work::Work;
use crate::{Identity, IdentityTables};

/// A code and the temporary token it goes with.
#[derive(Clone, Debug)]
pub struct ConfirmCode {
    /// From sign-up, sign-in or the last resend.
    pub temporary_token: PlainToken,
    /// From the mail.
    pub code: Secret,
}

/// Why not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfirmCodeError {
    /// The temporary token is unknown or was used.
    #[error("the temporary token is invalid or was already used")]
    InvalidToken,
    /// The code is wrong; the try was counted.
    #[error("the code is wrong")]
    WrongCode,
    /// Too late.
    #[error("the code has expired; ask for a new one")]
    Expired,
    /// Too many wrong codes.
    #[error("too many wrong codes; ask for a new one")]
    TooManyAttempts(limit::Exceeded),
}

impl Identity {
    /// Confirms a one-time code and opens the account's session.
    ///
    /// Of any number of concurrent right codes exactly one is taken: the try is counted and the challenge consumed under
    /// one row lock.
    ///
    /// Source: RiverGen "verify-otp".
    ///
    /// # Errors
    /// [`ConfirmCodeError`].
    pub async fn confirm_code(&self, call: &Call, claim: ConfirmCode) -> Outcome<SignedIn, ConfirmCodeError> {
        let hash = claim.temporary_token.hash();
        // What is no token is refused before it costs a turn at the writer.
        let mut unit = self.kernel.store.read().await?;
        if unit.challenges().find_by_handle(Purpose::VerifyEmail, hash.as_bytes()).await?.is_none() {
            return refuse(ConfirmCodeError::InvalidToken);
        }
        drop(unit);
        let mut work = self.begin(call).await?;
        let found = work.unit.challenges().find_by_handle(Purpose::VerifyEmail, hash.as_bytes()).await?;
        let Some(challenge) = found else {
            return refuse(ConfirmCodeError::InvalidToken);
        };
        match work.answer(&challenge, &claim.code).await? {
            Answer::Right => {}
            Answer::Wrong => {
                work.commit().await?;
                return refuse(ConfirmCodeError::WrongCode);
            }
            Answer::Used => return refuse(ConfirmCodeError::InvalidToken),
            Answer::Expired => return refuse(ConfirmCodeError::Expired),
            Answer::Exhausted(standing) => return refuse(ConfirmCodeError::TooManyAttempts(standing)),
        }
        let signed_in = work.admit_verified(&challenge, ProvenBy::MailAndToken).await?;
        let signed_in = signed_in.ok_or(Refused::Rule(ConfirmCodeError::InvalidToken))?;
        work.commit().await?;
        Ok(signed_in)
    }
}

impl Work<'_> {
    /// Takes a challenge's address as verified and lets its owner in. None when the account is gone or shut.
    pub(crate) async fn admit_verified(
        &mut self,
        challenge: &Challenge,
        by: ProvenBy,
    ) -> Result<Option<SignedIn>, Fault> {
        let email = EmailAddress::from_stored(challenge.address.clone());
        // Before the session: the first proof ends those that were opened without one.
        let Some(proven) = self.prove_challenge(challenge, by).await? else {
            return Ok(None);
        };
        let Some(account) = self.account_of(challenge).await? else {
            return Ok(None);
        };
        let Some(landing) = self.unit.organizations().landing(account.id, None).await? else {
            return Ok(None);
        };
        let signed_in = self
            .open_session(Principal {
                account: &account,
                login: email.into(),
                is_verified: true,
                landing,
                amr: Amr::OneTimeCode,
                remember_me: challenge.continuation.remember_me,
                bound: None,
                key: None,
            })
            .await?;
        let subject = Subject {
            account: Some(account.id),
            organization: Some(landing.organization),
            session: Some(signed_in.session),
        };
        self.audit_proof(proven, subject).await?;
        let metadata =
            json!({ "method": "email_verification", "remember_me": challenge.continuation.remember_me });
        self.audit(Action::SignInSucceeded, subject, metadata).await?;
        Ok(Some(signed_in))
    }

    /// The account a challenge was sent to, unless it is gone or shut.
    pub(crate) async fn account_of(&mut self, challenge: &Challenge) -> Result<Option<Account>, Fault> {
        let Some(id) = challenge.account else {
            return Ok(None);
        };
        let account = self.unit.accounts().find(id).await?;
        Ok(account.filter(|account| account.disabled_at.is_none()))
    }
}
