//! Verifies an address with the code of its sign-up, and signs in.

use serde::{Deserialize, Serialize};
use serde_json::json;
use tidegate_crypto::PlainToken;
use tidegate_domain::account::{Account, LoginName};
use tidegate_domain::challenge::{Challenge, Purpose};
use tidegate_domain::id::{AccountId, OrganizationId, SessionId};
use tidegate_domain::session::{Amr, AmrSet};
use tidegate_domain::{EmailAddress, Role, Secret, limit};
use tidegate_kernel::admission::Evidence;
use tidegate_kernel::fault::{Fault, Outcome, refuse};
use tidegate_kernel::issue::{SignedIn, TokenSet};
use tidegate_kernel::one_time::OneTime;
use tidegate_kernel::{Call, Refused};

use crate::accounts::proof::ProvenBy;
use crate::credentials::challenge::Answer;
use crate::sign_in::complete::{Completed, Completion, Refusal};
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
        if unit.challenges().find_by_handle(Purpose::VerifyEmail, hash.as_bytes()).await?.is_none() {
            return refuse(ConfirmCodeError::InvalidToken);
        }
        drop(unit);
        let mut work = self.begin(call).await?;
        let found = work.unit.challenges().find_by_handle(Purpose::VerifyEmail, hash.as_bytes()).await?;
        let Some(challenge) = found else {
            return refuse(ConfirmCodeError::InvalidToken);
        };
        let proof = json!([claim.temporary_token.expose(), claim.code.expose()]);
        let action = self.kernel.one_time(call, "verify e-mail", &proof);
        match work.answer(&challenge, &claim.code).await? {
            Answer::Right => {}
            Answer::Again => {
                let login = EmailAddress::from_stored(challenge.address.clone()).into();
                let known = work.sign_in_answered(&action, login).await?;
                work.commit().await?;
                return known.ok_or(Refused::Rule(ConfirmCodeError::InvalidToken));
            }
            Answer::Wrong => {
                work.commit().await?;
                return refuse(ConfirmCodeError::WrongCode);
            }
            Answer::Used => {
                work.commit().await?;
                return refuse(ConfirmCodeError::InvalidToken);
            }
            Answer::Expired => return refuse(ConfirmCodeError::Expired),
            Answer::Exhausted(exceeded) => return refuse(ConfirmCodeError::TooManyAttempts(exceeded)),
        }
        let signed_in = self.admit_verified(work, &challenge, ProvenBy::MailAndToken, Some(&action)).await?;
        signed_in.ok_or(Refused::Rule(ConfirmCodeError::InvalidToken))
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

/// What a repeat of the request is answered: kept sealed.
#[derive(Serialize, Deserialize)]
struct KeptSignIn {
    session: SessionId,
    account: AccountId,
    organization: OrganizationId,
    role: Role,
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
            access_token: opened.tokens.access_token.expose().to_owned(),
            refresh_token: opened.tokens.refresh_token.expose().to_owned(),
            expires_in: opened.tokens.expires_in,
        }
    }
}

impl Work<'_> {
    /// The session that an action opened, with the tokens that were answered. None when it has ended meanwhile.
    async fn sign_in_answered(
        &mut self,
        action: &OneTime,
        login: LoginName,
    ) -> Result<Option<SignedIn>, Fault> {
        let kernel = &self.app.kernel;
        let Some(kept) = kernel.answered::<KeptSignIn>(&mut self.unit, action).await? else {
            return Ok(None);
        };
        let account = self.unit.accounts().find(kept.account).await?;
        let Some(account) = account.filter(|account| account.disabled_at.is_none()) else {
            return Ok(None);
        };
        if !kernel.is_alive(&mut self.unit, kept.session).await? {
            return Ok(None);
        }
        Ok(Some(SignedIn {
            account,
            login,
            is_verified: true,
            session: kept.session,
            organization: kept.organization,
            role: kept.role,
            database: None,
            tokens: TokenSet {
                access_token: Secret::new(kept.access_token),
                refresh_token: Secret::new(kept.refresh_token),
                expires_in: kept.expires_in,
            },
        }))
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
