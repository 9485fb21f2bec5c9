//! Verifies an address with the code of its sign-up, and signs in.

use serde_json::json;
use tidegate_crypto::PlainToken;
use tidegate_domain::account::Account;
use tidegate_domain::challenge::{Challenge, Purpose};
use tidegate_domain::session::{Amr, AmrSet};
use tidegate_domain::{EmailAddress, Secret, limit};
use tidegate_kernel::Call;
use tidegate_kernel::admission::Evidence;
use tidegate_kernel::fault::{Fault, Outcome, refuse};
use tidegate_kernel::issue::SignedIn;
use tidegate_kernel::one_time::OneTime;

use crate::accounts::proof::ProvenBy;
use crate::credentials::challenge::{Answer, no_token, used_token};
use crate::sign_in::complete::{Completed, Completion, Refusal};
use crate::sign_in::kept::KeptSignIn;
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

/// Why the code was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfirmCodeError {
    /// The temporary token is unknown or was used.
    #[error("the temporary token is invalid or was already used")]
    InvalidToken,
    /// The code is wrong; the try was counted.
    #[error("the code is wrong: enter that of the newest mail")]
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
    /// one row lock. The same request sent again within a minute gets the same answer: see [`tidegate_kernel::one_time`].
    ///
    /// Source: RiverGen "verify-otp".
    ///
    /// # Errors
    /// [`ConfirmCodeError`].
    pub async fn confirm_code(&self, call: &Call, claim: ConfirmCode) -> Outcome<SignedIn, ConfirmCodeError> {
        let hash = claim.temporary_token.hash();
        // What is no token is refused before it costs a turn at the writer.
        let mut unit = self.kernel.store.read().await?;
        let found = unit.challenges().find_by_handle(Purpose::VerifyEmail, hash.as_bytes()).await?;
        let Some(challenge) = found else {
            return Err(no_token(None, self.kernel.now(), ConfirmCodeError::InvalidToken));
        };
        let guess = self.reserve_guess(call, unit, &challenge).await?;
        let mut work = self.begin(call).await?;
        let proof = json!([claim.temporary_token.expose(), claim.code.expose()]);
        let action = self.kernel.one_time(call, "verify e-mail", &proof);
        match work.answer(&challenge, &claim.code, guess).await? {
            Answer::Right => {}
            Answer::Again => {
                let login = EmailAddress::from_stored(challenge.address.clone()).into();
                let known = match self.kernel.answered::<KeptSignIn>(&mut work.unit, &action).await? {
                    Some(kept) => kept.open_again(&self.kernel, &mut work.unit, login).await?,
                    None => None,
                };
                work.commit().await?;
                return known.ok_or_else(|| used_token(ConfirmCodeError::InvalidToken));
            }
            Answer::Wrong => {
                work.commit().await?;
                return refuse(ConfirmCodeError::WrongCode);
            }
            Answer::Used => {
                work.commit().await?;
                return Err(used_token(ConfirmCodeError::InvalidToken));
            }
            Answer::Expired => return refuse(ConfirmCodeError::Expired),
            Answer::Exhausted(exceeded) => return refuse(ConfirmCodeError::TooManyAttempts(exceeded)),
        }
        let signed_in = self.admit_verified(work, &challenge, ProvenBy::MailAndToken, Some(&action)).await?;
        signed_in.ok_or_else(|| no_token(Some(&challenge), self.kernel.now(), ConfirmCodeError::InvalidToken))
    }
}

impl Identity {
    /// Takes a challenge's address as proven, opens its account's session, and commits. None when the account is gone or
    /// disabled, and when it has a second factor: then the address is proven all the same, and no session is open. The answer
    /// is kept for repeats of `action`.
    pub(crate) async fn admit_verified(
        &self,
        mut work: Work<'_>,
        challenge: &Challenge,
        by: ProvenBy,
        action: Option<&OneTime>,
    ) -> Result<Option<SignedIn>, Fault> {
        // Before the session: the first proof ends those that were opened without one.
        let Some(proven) = work.prove_challenge(challenge, by).await? else {
            return Ok(None);
        };
        let Some(account) = work.account_of(challenge).await? else {
            return Ok(None);
        };
        work.audit_proof(proven, account.id).await?;
        let remember_me = challenge.continuation.remember_me;
        let evidence = Evidence {
            login: EmailAddress::from_stored(challenge.address.clone()).into(),
            is_verified: true,
            methods: AmrSet::of(Amr::OneTimeCode),
            remember_me,
            key: None,
            shown_at: None,
            trusted_device: false,
        };
        let history = json!({ "method": "email_verification", "remember_me": remember_me });
        match work.complete_sign_in(&account, Completion::to_home(evidence, Some(history))).await? {
            Completed::SignedIn(signed_in) => {
                if let Some(action) = action {
                    work.kernel().keep_answer(action, &KeptSignIn::from(&signed_in)).await?;
                }
                work.commit().await?;
                Ok(Some(signed_in))
            }
            Completed::SecondFactor | Completed::Refused(Refusal::SecondFactor) => {
                work.note_second_factor(&account).await?;
                work.commit().await?;
                Ok(None)
            }
            Completed::VerifyEmail | Completed::Refused(_) => Ok(None),
        }
    }
}

impl<G> Work<'_, G> {
    /// The account a challenge was sent to, unless it is deleted or disabled.
    pub(crate) async fn account_of(&mut self, challenge: &Challenge) -> Result<Option<Account>, Fault> {
        let Some(id) = challenge.account else {
            return Ok(None);
        };
        let account = self.unit.accounts().find(id).await?;
        Ok(account.filter(|account| account.disabled_at.is_none()))
    }
}
