//! A sign-in whose first factor was right goes on with the second one.

use serde_json::json;
use tidegate_crypto::PlainToken;
use tidegate_delivery::Template;
use tidegate_domain::account::{Account, LoginName};
use tidegate_domain::audit::Action;
use tidegate_domain::challenge::{
    Challenge, ChallengeStatus, Continuation, PendingSignIn, Purpose, REPEATED_FOR,
};
use tidegate_domain::factor::{DeviceData, FactorKind, device_name};
use tidegate_domain::id::AccountId;
use tidegate_domain::session::{Amr, AmrSet};
use tidegate_domain::{Secret, Timestamp, limit};
use tidegate_kernel::admission::Evidence;
use tidegate_kernel::counted_factor::{CountedFactor, FactorUse};
use tidegate_kernel::fault::{Fault, Outcome, refuse};
use tidegate_kernel::issue::SignedIn;
use tidegate_kernel::throttle::Counted;
use tidegate_kernel::{Call, Refused};

use crate::credentials::factor_code::send::CodeChallenge;
use crate::credentials::factors::guess::FactorGuess;
use crate::credentials::factors::present::{Accepted, NotAccepted, Presented};
use crate::credentials::trusted_device::recognize::OfferedDevice;
use crate::sign_in::complete::{Completed, Completion};
use crate::sign_in::second_factor_repeat::KeptFactorShown;
use crate::work::Work;
use crate::{Identity, IdentityTables};

/// Temporary tokens of these sign-ins are of this kind.
const PENDING_PREFIX: &str = "tgm_";

/// The answer to a sign-in that waits for a second factor.
#[derive(Clone, Debug)]
pub struct FactorRequest {
    /// Names the sign-in.
    pub temporary_token: Secret,
    /// What the account can show, the primary kind first.
    pub kinds: Vec<FactorKind>,
    /// Whether a backup code would do.
    pub has_recovery_codes: bool,
}

/// A client says how the second factor will be shown.
#[derive(Clone, Debug)]
pub struct ChooseFactor {
    /// From the sign-in.
    pub temporary_token: PlainToken,
    /// Which kind.
    pub kind: FactorKind,
}

/// Why no way was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChooseFactorError {
    /// The token is unknown, used or expired.
    #[error("the temporary token is invalid or has expired; sign in again")]
    InvalidToken,
    /// The account has no such factor, or its codes cannot be sent.
    #[error("this method is not enabled for the account")]
    NotEnabled,
    /// The account is gone or disabled.
    #[error("the account no longer exists")]
    AccountNotFound,
    /// What the sign-in leads to is gone.
    #[error("there is nothing left to sign in to; sign in again")]
    SignInGone,
}

/// The second factor is shown.
#[derive(Clone, Debug)]
pub struct ShowFactor {
    /// From the sign-in, or from the choice of a method.
    pub temporary_token: PlainToken,
    /// What is shown.
    pub presented: Presented,
    /// What the client sent of itself.
    pub device: DeviceData,
}

/// Why no session was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ShowFactorError {
    /// The token is unknown, used or expired.
    #[error("the temporary token is invalid or has expired; sign in again")]
    InvalidToken,
    /// The code is wrong; the try was counted.
    #[error("the code is wrong")]
    WrongCode,
    /// The code was right and is used up; the try was counted. This is told after the first factor was right, and the code opens
    /// nothing any more.
    #[error("this code is used up; wait for the next one")]
    UsedCode,
    /// The account is gone or disabled.
    #[error("the account no longer exists")]
    AccountNotFound,
    /// Too many wrong codes in a row.
    #[error("too many wrong codes; wait a moment")]
    TooManyAttempts(limit::Exceeded),
}

/// A session that was opened with a second factor.
#[derive(Clone, Debug)]
pub struct FactorShown {
    /// The session.
    pub signed_in: SignedIn,
    /// The device, to be trusted if its owner asks for it; none where it is trusted already.
    pub device: Option<OfferedDevice>,
}

/// What a temporary token names.
enum Named {
    /// A sign-in that waits.
    Waiting(Challenge, PendingSignIn),
    /// One that was answered so short a time ago that the request may be a repeat.
    Answered(Challenge),
    /// Nothing.
    None,
}

impl Work<'_> {
    /// Has a sign-in wait for its second factor.
    pub(crate) async fn ask_second_factor(
        &mut self,
        account: &Account,
        evidence: &Evidence,
        workspace: Option<i64>,
    ) -> Result<FactorRequest, Fault> {
        let factors = self.unit.factors().of_account(account.id).await?;
        let kinds = self.usable_kinds(account.id, &factors).await?;
        let recovery_codes = self.unit.recovery_codes().count(account.id).await?;
        let token = PlainToken::generate(PENDING_PREFIX, self.app.kernel.entropy.as_ref());
        let hash = token.hash();
        let pending = PendingSignIn { workspace, shown: evidence.methods, kind: None };
        let continuation = Continuation {
            remember_me: evidence.remember_me,
            sign_in: Some(pending),
            ..Continuation::default()
        };
        let challenge = CodeChallenge {
            purpose: Purpose::SecondFactor,
            account: account.id,
            address: Some(evidence.login.as_str()),
            handle_hash: Some(hash.as_bytes()),
            continuation: &continuation,
        };
        self.challenge_factor(challenge, None).await?;
        Ok(FactorRequest {
            temporary_token: Secret::new(token.expose()),
            kinds,
            has_recovery_codes: recovery_codes.remaining > 0,
        })
    }

    /// The sign-in that a temporary token names, with its account locked.
    async fn pending_sign_in(&mut self, hash: &[u8]) -> Result<Named, Fault> {
        let found = self.unit.challenges().find_by_handle(Purpose::SecondFactor, hash).await?;
        let Some(account) = found.and_then(|found| found.account) else {
            return Ok(Named::None);
        };
        self.lock(account).await?;
        // Again: others may have answered it while this unit waited.
        let Some(found) = self.unit.challenges().find_by_handle(Purpose::SecondFactor, hash).await? else {
            return Ok(Named::None);
        };
        let is_open = found.status(self.now) == ChallengeStatus::Open;
        Ok(match found.continuation.sign_in.clone() {
            Some(pending) if is_open => Named::Waiting(found, pending),
            _ if was_just_answered(&found, self.now) => Named::Answered(found),
            _ => Named::None,
        })
    }

    /// Counts what was not accepted, and says why.
    async fn refuse_factor(
        mut self,
        account: AccountId,
        guess: FactorGuess,
        why: NotAccepted,
    ) -> Outcome<FactorShown, ShowFactorError> {
        self.wrong_guess(guess).await?;
        self.audit(Action::SignInFailed, account, json!({ "reason": "invalid_mfa_code" })).await?;
        self.commit().await?;
        refuse(match why {
            NotAccepted::Wrong => ShowFactorError::WrongCode,
            NotAccepted::UsedUp => ShowFactorError::UsedCode,
        })
    }

    /// Opens the session. None when the account cannot be signed in to any more.
    async fn complete_with_factor(
        &mut self,
        account: &Account,
        challenge: &Challenge,
        pending: &PendingSignIn,
        accepted: &Accepted,
    ) -> Result<Option<SignedIn>, Fault> {
        let login = LoginName::from_stored_address(challenge.address.clone());
        let record = self.unit.accounts().find_for_sign_in(&login).await?;
        let Some(record) = record.filter(|record| record.account.id == account.id) else {
            return Ok(None);
        };
        let remember_me = challenge.continuation.remember_me;
        let evidence = Evidence {
            login,
            is_verified: record.verified_at.is_some(),
            methods: pending.shown.union(AmrSet::of(Amr::MultiFactor).with(Amr::OneTimeCode)),
            trusted_device: false,
            remember_me,
            key: None,
        };
        let history = json!({ "method": "mfa", "factor": accepted.as_str(), "remember_me": remember_me });
        let completion =
            Completion { workspace: pending.workspace, ..Completion::to_home(evidence, Some(history)) };
        Ok(match self.complete_sign_in(account, completion).await? {
            Completed::SignedIn(signed_in) => Some(signed_in),
            Completed::VerifyEmail | Completed::SecondFactor | Completed::Refused(_) => None,
        })
    }
}

impl Identity {
    /// Chooses how the second factor will be shown, and sends a code where it is one that is sent; answers another temporary token.
    /// The same request sent again within a minute gets the same answer: see [`tidegate_kernel::one_time`].
    ///
    /// Source: RiverGen "auth/mfa/otp/generate".
    ///
    /// # Errors
    /// [`ChooseFactorError`].
    pub async fn choose_factor(
        &self,
        call: &Call,
        claim: ChooseFactor,
    ) -> Outcome<Secret, ChooseFactorError> {
        let hash = claim.temporary_token.hash();
        if !self.is_pending_sign_in(hash.as_bytes()).await? {
            return refuse(ChooseFactorError::InvalidToken);
        }
        let mut work = self.begin(call).await?;
        work.require_sender(claim.kind)?;
        let proof = json!([claim.temporary_token.expose(), claim.kind.as_str()]);
        let action = self.kernel.one_time(call, "choose second factor", &proof);
        let (challenge, pending) = match work.pending_sign_in(hash.as_bytes()).await? {
            Named::Waiting(challenge, pending) => (challenge, pending),
            Named::Answered(_) => {
                let known = self.kernel.answered::<String>(&mut work.unit, &action).await?;
                return known.map(Secret::new).ok_or(Refused::Rule(ChooseFactorError::InvalidToken));
            }
            Named::None => return refuse(ChooseFactorError::InvalidToken),
        };
        let Some(account) = work.account_of(&challenge).await? else {
            return refuse(ChooseFactorError::AccountNotFound);
        };
        if work.unit.organizations().sign_in_target(account.id, pending.workspace).await?.is_none() {
            return refuse(ChooseFactorError::SignInGone);
        }
        let recipient = work.recipient(account.id, claim.kind).await?;
        let factors = work.unit.factors().of_account(account.id).await?;
        if !work.usable_kinds(account.id, &factors).await?.contains(&claim.kind) {
            return refuse(ChooseFactorError::NotEnabled);
        }
        if recipient.is_some() {
            let counted = Counted::Factor(CountedFactor::Sent(account.id, FactorUse::SignIn));
            if let Some(exceeded) = work.count(counted, call.profile.limits.second_factor_codes).await? {
                return Err(exceeded.into());
            }
        }
        if !work.unit.challenges().consume(challenge.id, work.now).await? {
            return refuse(ChooseFactorError::InvalidToken);
        }
        let token = PlainToken::generate(PENDING_PREFIX, self.kernel.entropy.as_ref());
        let next_hash = token.hash();
        let continuation = Continuation {
            sign_in: Some(PendingSignIn { kind: Some(claim.kind), ..pending }),
            ..challenge.continuation.clone()
        };
        let next = CodeChallenge {
            purpose: Purpose::SecondFactor,
            account: account.id,
            address: Some(&challenge.address),
            handle_hash: Some(next_hash.as_bytes()),
            continuation: &continuation,
        };
        work.challenge_factor(next, recipient.as_ref()).await?;
        work.audit(Action::FactorCodeSent, account.id, json!({ "method": claim.kind.as_str() })).await?;
        work.kernel().keep_answer(&action, &token.expose()).await?;
        work.commit().await?;
        Ok(Secret::new(token.expose()))
    }

    /// Judges the second factor, and opens the session. The same request sent again within a minute gets the same answer: see
    /// [`tidegate_kernel::one_time`].
    ///
    /// Source: RiverGen "auth/mfa/verify".
    ///
    /// # Errors
    /// [`ShowFactorError`].
    pub async fn show_factor(&self, call: &Call, claim: ShowFactor) -> Outcome<FactorShown, ShowFactorError> {
        let hash = claim.temporary_token.hash();
        if !self.is_pending_sign_in(hash.as_bytes()).await? {
            return refuse(ShowFactorError::InvalidToken);
        }
        let mut work = self.begin(call).await?;
        let proof = json!([claim.temporary_token.expose(), claim.presented.proof(), claim.device.as_str()]);
        let action = self.kernel.one_time(call, "show second factor", &proof);
        let (challenge, pending) = match work.pending_sign_in(hash.as_bytes()).await? {
            Named::Waiting(challenge, pending) => (challenge, pending),
            Named::Answered(challenge) => return work.factor_shown_again(&challenge, &action).await,
            Named::None => return refuse(ShowFactorError::InvalidToken),
        };
        let Some(account) = work.account_of(&challenge).await? else {
            return refuse(ShowFactorError::AccountNotFound);
        };
        let login = LoginName::from_stored_address(challenge.address.clone());
        let guess = match work.begin_guess(account.id, FactorUse::SignIn, Some(&login)).await? {
            Ok(guess) => guess,
            Err(exceeded) => return refuse(ShowFactorError::TooManyAttempts(exceeded)),
        };
        // Before a method was chosen, a code can only be an app's: none was sent.
        let kind = pending.kind.unwrap_or(FactorKind::Totp);
        let accepted = match work.accept(account.id, &claim.presented, kind, Some(&challenge)).await? {
            Ok(accepted) => accepted,
            Err(why) => return work.refuse_factor(account.id, guess, why).await,
        };
        if !work.unit.challenges().consume(challenge.id, work.now).await? {
            return refuse(ShowFactorError::InvalidToken);
        }
        work.right_guess(guess).await?;
        let is_known = work.kernel().is_known_network(&login).await?;
        let signed_in = work.complete_with_factor(&account, &challenge, &pending, &accepted).await?;
        let Some(signed_in) = signed_in else {
            return refuse(ShowFactorError::InvalidToken);
        };
        let device = if work.is_trusted(account.id, &claim.device).await? {
            None
        } else {
            Some(work.offer_device(account.id, &claim.device).await?)
        };
        if !is_known {
            let values = json!({ "device": device_name(&call.user_agent), "days": 0 });
            work.security_notice(account.id, Template::NewDevice, values).await?;
        }
        let shown = FactorShown { signed_in, device };
        work.kernel().keep_answer(&action, &KeptFactorShown::from(&shown)).await?;
        work.commit().await?;
        Ok(shown)
    }

    /// Whether a temporary token names a sign-in that waits, or was answered just now: what is none is refused before it costs a turn at the writer.
    async fn is_pending_sign_in(&self, hash: &[u8]) -> Result<bool, Fault> {
        let mut unit = self.kernel.store.read().await?;
        let found = unit.challenges().find_by_handle(Purpose::SecondFactor, hash).await?;
        let now = self.kernel.now();
        Ok(found.is_some_and(|found| {
            found.status(now) == ChallengeStatus::Open || was_just_answered(&found, now)
        }))
    }
}

/// Whether a request with this challenge may be a repeat of the one that answered it.
fn was_just_answered(challenge: &Challenge, now: Timestamp) -> bool {
    challenge.consumed_at.is_some_and(|answered| answered.plus(REPEATED_FOR) > now)
}
