//! A sign-in whose first factor was right goes on with the second one.

use serde_json::json;
use tidegate_crypto::PlainToken;
use tidegate_delivery::Template;
use tidegate_domain::account::{Account, LoginName};
use tidegate_domain::audit::Action;
use tidegate_domain::challenge::{Challenge, ChallengeStatus, Continuation, PendingSignIn, Purpose};
use tidegate_domain::factor::{DeviceData, FactorKind, device_name};
use tidegate_domain::id::AccountId;
use tidegate_domain::session::{Amr, AmrSet};
use tidegate_domain::{Secret, limit};
use tidegate_kernel::Call;
use tidegate_kernel::admission::Evidence;
use tidegate_kernel::counted_factor::{CountedFactor, FactorUse};
use tidegate_kernel::fault::{Fault, Outcome, refuse};
use tidegate_kernel::issue::SignedIn;
use tidegate_kernel::noted::{self, CredentialFault};
use tidegate_kernel::one_time::OneTime;
use tidegate_kernel::throttle::Counted;

use crate::credentials::challenge::{no_token, used_token};
use crate::credentials::factor_code::send::CodeChallenge;
use crate::credentials::factors::guess::FactorGuess;
use crate::credentials::factors::present::{Accepted, NotAccepted, Presented};
use crate::credentials::trusted_device::recognize::OfferedDevice;
use crate::sign_in::complete::{Completed, Completion};
use crate::sign_in::second_factor_repeat::{KeptFactorShown, was_just_answered};
use crate::work::Work;
use crate::{Identity, IdentityTables};

/// Temporary tokens of these sign-ins are of this kind.
const PENDING_PREFIX: &str = "tgm_";

/// The answer to a sign-in that waits for a second factor.
#[derive(Clone, Debug)]
pub struct FactorRequest {
    /// Names the sign-in.
    pub temporary_token: Secret,
    /// What was signed in as: an address or a number of the account.
    pub login: String,
    /// What the account can show, the primary kind first.
    pub kinds: Vec<FactorKind>,
    /// Whether a backup code would do.
    pub has_recovery_codes: bool,
    /// Whether it is not a second factor that is asked for, but a code that is mailed to the account's address: it connects the
    /// provider by which the person comes.
    pub is_mailbox: bool,
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

/// How far the sign-in got.
#[derive(Clone, Debug)]
pub enum FactorOutcome {
    /// A session is open.
    SignedIn(Box<FactorShown>),
    /// The mailbox was shown, and the account's second factor comes now.
    Another(FactorRequest),
}

/// What was shown is right.
struct RightFactor {
    /// Whose it is.
    account: Account,
    accepted: Accepted,
    /// Whether the account has signed in from the caller's network before.
    is_known: bool,
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
        let pending = PendingSignIn {
            workspace,
            shown: evidence.methods,
            shown_at: evidence.shown_at,
            kind: None,
            connects: None,
        };
        self.ask_pending(account.id, evidence.login.as_str(), evidence.remember_me, pending).await
    }

    /// Has a sign-in wait for what it lacks.
    pub(crate) async fn ask_pending(
        &mut self,
        account: AccountId,
        login: &str,
        remember_me: bool,
        pending: PendingSignIn,
    ) -> Result<FactorRequest, Fault> {
        let kinds = self.kinds_to_show(account, &pending).await?;
        let is_mailbox = pending.mailbox_for().is_some();
        let has_recovery_codes =
            !is_mailbox && self.unit.recovery_codes().count(account).await?.remaining > 0;
        let token = PlainToken::generate(PENDING_PREFIX, self.app.kernel.entropy.as_ref());
        let hash = token.hash();
        let continuation = Continuation { remember_me, sign_in: Some(pending), ..Continuation::default() };
        let challenge = CodeChallenge {
            purpose: Purpose::SecondFactor,
            account,
            address: Some(login),
            handle_hash: Some(hash.as_bytes()),
            continuation: &continuation,
        };
        self.challenge_factor(challenge, None).await?;
        let temporary_token = Secret::new(token.expose());
        let login = login.to_owned();
        Ok(FactorRequest { temporary_token, login, kinds, has_recovery_codes, is_mailbox })
    }

    /// The kinds of code that a sign-in waits for: of the account's factors, or one that is mailed to its address.
    async fn kinds_to_show(
        &mut self,
        account: AccountId,
        pending: &PendingSignIn,
    ) -> Result<Vec<FactorKind>, Fault> {
        if pending.mailbox_for().is_some() {
            let is_proven = self.proven_address(account).await?.is_some();
            return Ok(if is_proven { vec![FactorKind::EmailOtp] } else { Vec::new() });
        }
        let factors = self.unit.factors().of_account(account).await?;
        self.usable_kinds(account, &factors).await
    }

    /// The sign-in of `account` that a temporary token names, with the account locked.
    async fn pending_sign_in(&mut self, account: AccountId, hash: &[u8]) -> Result<Named, Fault> {
        self.lock(account).await?;
        // Again: others may have answered it since it was found.
        let found = self.unit.challenges().find_by_handle(Purpose::SecondFactor, hash).await?;
        let Some(found) = found.filter(|found| found.account == Some(account)) else {
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
    ) -> Outcome<FactorOutcome, ShowFactorError> {
        self.wrong_guess(guess).await?;
        self.audit(Action::SignInFailed, account, json!({ "reason": "invalid_mfa_code" })).await?;
        self.commit().await?;
        refuse(match why {
            NotAccepted::Wrong => ShowFactorError::WrongCode,
            NotAccepted::UsedUp => ShowFactorError::UsedCode,
        })
    }

    /// Judges what is shown, and uses it up.
    async fn accept_pending(
        &mut self,
        account: AccountId,
        presented: &Presented,
        challenge: &Challenge,
        pending: &PendingSignIn,
    ) -> Result<Result<Accepted, NotAccepted>, Fault> {
        // Before a method was chosen, a code can only be an app's: none was sent.
        let kind = pending.kind.unwrap_or(FactorKind::Totp);
        if pending.mailbox_for().is_none() {
            return self.accept(account, presented, kind, Some(challenge)).await;
        }
        let is_right = match presented {
            Presented::Code(code) => kind == FactorKind::EmailOtp && self.is_code_of(challenge, code),
            Presented::Recovery(_) => false,
        };
        if is_right {
            return Ok(Ok(Accepted::Mailbox));
        }
        noted::refused(CredentialFault::OneTimeCode("wrong"));
        Ok(Err(NotAccepted::Wrong))
    }

    /// What was shown with what was shown before. A mailed code is a second factor where the account has chosen codes by mail.
    async fn shown_by_now(
        &mut self,
        account: AccountId,
        pending: &PendingSignIn,
        accepted: &Accepted,
    ) -> Result<AmrSet, Fault> {
        let shown = pending.shown.with(Amr::OneTimeCode);
        let is_factor = match accepted {
            Accepted::Factor(_) | Accepted::Recovery { .. } => true,
            Accepted::Mailbox => {
                let factors = self.unit.factors().of_account(account).await?;
                factors.iter().any(|factor| factor.kind == FactorKind::EmailOtp)
            }
        };
        Ok(if is_factor { shown.with(Amr::MultiFactor) } else { shown })
    }

    /// Opens the session, and connects the provider that it was begun by. None when the account cannot be signed in to any more.
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
        if let Some(connects) = &pending.connects
            && !self.connect_pending(account.id, connects).await?
        {
            return Ok(None);
        }
        let remember_me = challenge.continuation.remember_me;
        let evidence = Evidence {
            login,
            is_verified: record.verified_at.is_some(),
            methods: pending.shown,
            trusted_device: false,
            remember_me,
            key: None,
            shown_at: pending.shown_at,
        };
        let history = json!({ "method": "mfa", "factor": accepted.as_str(), "remember_me": remember_me });
        let completion =
            Completion { workspace: pending.workspace, ..Completion::to_home(evidence, Some(history)) };
        Ok(match self.complete_sign_in(account, completion).await? {
            Completed::SignedIn(signed_in) => Some(signed_in),
            Completed::VerifyEmail | Completed::SecondFactor | Completed::Refused(_) => None,
        })
    }

    /// What was shown is right: opens the session, or asks for the factor that is still to be shown.
    async fn go_on_with(
        mut self,
        claim: &ShowFactor,
        challenge: &Challenge,
        pending: PendingSignIn,
        right: RightFactor,
        action: &OneTime,
    ) -> Outcome<FactorOutcome, ShowFactorError> {
        let RightFactor { account, accepted, is_known } = right;
        let shown = self.shown_by_now(account.id, &pending, &accepted).await?;
        let mut pending = PendingSignIn { shown, kind: None, ..pending };
        let is_mailbox = matches!(accepted, Accepted::Mailbox);
        if let Some(connects) = pending.connects.as_mut().filter(|_| is_mailbox) {
            connects.needs_mailbox = false;
        }
        let has_shown_factor = shown.contains(Amr::MultiFactor);
        if !has_shown_factor && self.unit.factors().any(account.id).await? {
            let remember_me = challenge.continuation.remember_me;
            let request = self.ask_pending(account.id, &challenge.address, remember_me, pending).await?;
            self.commit().await?;
            return Ok(FactorOutcome::Another(request));
        }
        let signed_in = self.complete_with_factor(&account, challenge, &pending, &accepted).await?;
        let Some(signed_in) = signed_in else {
            return Err(no_token(Some(challenge), self.now, ShowFactorError::InvalidToken));
        };
        // Only who has shown the factor on a device may have it trusted.
        let device = if !has_shown_factor || self.is_trusted(account.id, &claim.device).await? {
            None
        } else {
            Some(self.offer_device(account.id, &claim.device).await?)
        };
        if !is_known {
            let values = json!({ "device": device_name(&self.call.user_agent), "days": 0 });
            self.security_notice(account.id, Template::NewDevice, values).await?;
        }
        let shown = FactorShown { signed_in, device };
        self.kernel().keep_answer(action, &KeptFactorShown::from(&shown)).await?;
        self.commit().await?;
        Ok(FactorOutcome::SignedIn(Box::new(shown)))
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
        let Some(account) = self.account_of_pending(hash.as_bytes()).await? else {
            return refuse(ChooseFactorError::InvalidToken);
        };
        let message = self.count_code(call, claim.kind).await?;
        let mut work = self.begin(call).await?;
        work.require_sender(claim.kind)?;
        let proof = json!([claim.temporary_token.expose(), claim.kind.as_str()]);
        let action = self.kernel.one_time(call, "choose second factor", &proof);
        let (challenge, pending) = match work.pending_sign_in(account, hash.as_bytes()).await? {
            Named::Waiting(challenge, pending) => (challenge, pending),
            Named::Answered(_) => {
                let known = self.kernel.answered::<String>(&mut work.unit, &action).await?;
                return known.map(Secret::new).ok_or_else(|| used_token(ChooseFactorError::InvalidToken));
            }
            Named::None => return Err(used_token(ChooseFactorError::InvalidToken)),
        };
        let Some(account) = work.account_of(&challenge).await? else {
            return refuse(ChooseFactorError::AccountNotFound);
        };
        if work.unit.organizations().sign_in_target(account.id, pending.workspace).await?.is_none() {
            return refuse(ChooseFactorError::SignInGone);
        }
        let recipient = work.recipient(account.id, claim.kind).await?;
        if !work.kinds_to_show(account.id, &pending).await?.contains(&claim.kind) {
            return refuse(ChooseFactorError::NotEnabled);
        }
        if recipient.is_some() {
            let counted = Counted::Factor(CountedFactor::Sent(account.id, counted_use(&pending)));
            if let Some(exceeded) = work.count(counted, call.profile.limits.second_factor_codes).await? {
                return Err(exceeded.into());
            }
        }
        if !work.unit.challenges().consume(challenge.id, work.now).await? {
            return Err(used_token(ChooseFactorError::InvalidToken));
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
        work.audit(Action::FactorCodeSent, account.id, json!({ "method": claim.kind.as_str() })).await?;
        work.kernel().keep_answer(&action, &token.expose()).await?;
        work.challenge_factor(next, recipient.as_ref().zip(message)).await?;
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
    pub async fn show_factor(
        &self,
        call: &Call,
        claim: ShowFactor,
    ) -> Outcome<FactorOutcome, ShowFactorError> {
        let hash = claim.temporary_token.hash();
        let Some(account) = self.account_of_pending(hash.as_bytes()).await? else {
            return refuse(ShowFactorError::InvalidToken);
        };
        let reserved = self.reserve_factor_guess(call).await?;
        let mut work = self.begin(call).await?;
        let proof = json!([claim.temporary_token.expose(), claim.presented.proof(), claim.device.as_str()]);
        let action = self.kernel.one_time(call, "show second factor", &proof);
        let (challenge, pending) = match work.pending_sign_in(account, hash.as_bytes()).await? {
            Named::Waiting(challenge, pending) => (challenge, pending),
            Named::Answered(challenge) => {
                let shown = work.factor_shown_again(&challenge, &action, reserved).await;
                return shown.map(|shown| FactorOutcome::SignedIn(Box::new(shown)));
            }
            Named::None => return Err(used_token(ShowFactorError::InvalidToken)),
        };
        let Some(account) = work.account_of(&challenge).await? else {
            return refuse(ShowFactorError::AccountNotFound);
        };
        let login = LoginName::from_stored_address(challenge.address.clone());
        let to = counted_use(&pending);
        let guess = match work.begin_guess(account.id, to, Some(&login), reserved).await? {
            Ok(guess) => guess,
            Err(exceeded) => return refuse(ShowFactorError::TooManyAttempts(exceeded)),
        };
        let accepted = match work.accept_pending(account.id, &claim.presented, &challenge, &pending).await? {
            Ok(accepted) => accepted,
            Err(why) => return work.refuse_factor(account.id, guess, why).await,
        };
        if !work.unit.challenges().consume(challenge.id, work.now).await? {
            return Err(used_token(ShowFactorError::InvalidToken));
        }
        work.right_guess(guess).await?;
        let right = RightFactor { account, accepted, is_known: guess.is_known };
        work.go_on_with(&claim, &challenge, pending, right, &action).await
    }
}

/// What a code is shown for: the one that connects a provider is counted apart, since whoever has an account there with the same address
/// begins such sign-ins.
pub(crate) fn counted_use(pending: &PendingSignIn) -> FactorUse {
    if pending.mailbox_for().is_some() { FactorUse::Join } else { FactorUse::SignIn }
}
