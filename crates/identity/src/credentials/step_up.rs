//! Step-up: before a sensitive action the caller proves anew who they are, if that was too long ago.

use serde_json::json;
use tidegate_crypto::Verification;
use tidegate_domain::audit::Action;
use tidegate_domain::challenge::{ChallengeStatus, Continuation, Purpose};
use tidegate_domain::factor::FactorKind;
use tidegate_domain::session::{Amr, AmrSet};
use tidegate_domain::{Password, Permission, Timestamp, limit};
use tidegate_kernel::counted_factor::{CountedFactor, FactorUse};
use tidegate_kernel::fault::{Fault, Outcome, refuse};
use tidegate_kernel::reserved::Reserved;
use tidegate_kernel::throttle::Counted;
use tidegate_kernel::{Actor, Call, KernelTables};

use crate::credentials::factor_code::send::CodeChallenge;
use crate::credentials::factors::present::{Accepted, Presented};
use crate::work::Acting;
use crate::{Identity, IdentityTables};

/// Why the caller has not proven who they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StepUpError {
    /// The password is wrong, or the account has none.
    #[error("the password is wrong")]
    WrongPassword,
    /// The code is wrong; the try was counted.
    #[error("the code is wrong")]
    WrongCode,
    /// The account has a second factor, and a password alone does not suffice.
    #[error("the account has a second factor; show it instead of the password")]
    FactorRequired,
    /// The account has no factor of that kind, or codes cannot be sent to it.
    #[error("the account has no such second factor")]
    NotEnabled,
    /// The account has no passkey, or passkeys are not set up here.
    #[error("the account has no passkey that could be used here")]
    NoPasskey,
    /// The passkey is not the caller's, or its authenticator's answer does not verify.
    #[error("the passkey is not one of this account, or its answer does not verify")]
    WrongPasskey,
    /// The challenge is unknown, used or expired, or it is another session's.
    #[error("the challenge is unknown or has expired; begin again")]
    ChallengeNotFound,
    /// Too many wrong codes in a row.
    #[error("too many wrong codes; wait a moment")]
    TooManyAttempts(limit::Exceeded),
}

impl Acting<'_> {
    /// Refuses a caller who has not shown lately enough who they are: see [`authorize_recent`].
    ///
    /// [`authorize_recent`]: tidegate_kernel::Work::authorize_recent
    pub(crate) async fn authorize_recent(&mut self) -> Result<(), Fault> {
        let mut work = tidegate_kernel::Work {
            kernel: &self.app.kernel,
            call: self.call,
            unit: &mut self.unit,
            now: self.now,
        };
        work.authorize_recent(&self.grant).await
    }

    /// Notes in the session that its owner proved anew who they are.
    pub(crate) async fn note_step_up(&mut self, shown: AmrSet, method: &str) -> Result<Timestamp, Fault> {
        let session = self.grant.session();
        let (id, amr) = (session.id, session.amr.union(shown));
        if !self.unit.sessions().authenticated_again(id, amr, self.now).await? {
            return Err(Fault::SessionEnded);
        }
        self.audit(Action::SteppedUp, self.grant.subject(), json!({ "method": method })).await?;
        Ok(self.now)
    }
}

impl Identity {
    /// Proves anew who the caller is, by the password: of an account without a second factor.
    ///
    /// # Errors
    /// [`StepUpError`].
    pub async fn step_up_with_password(
        &self,
        call: &Call,
        actor: &Actor,
        password: Password,
    ) -> Outcome<Timestamp, StepUpError> {
        let (mut unit, grant) = self.read_as(actor, Permission::StepUp).await?;
        let account = grant.account();
        // A session that has ended must not learn whether a password is right.
        self.kernel.renewed(&mut unit, grant).await?;
        if unit.factors().any(account).await? {
            return refuse(StepUpError::FactorRequired);
        }
        let stored = unit.accounts().password_hash(account).await?;
        drop(unit);
        let (Some(email), Some(stored)) = (&grant.session().email, stored) else {
            return refuse(StepUpError::WrongPassword);
        };
        // A stolen access token must not become a way to guess the password.
        let login = email.clone().into();
        let failures = self.kernel.failed_password(call, &login).await?;
        self.kernel.throttle(call, &[(failures, self.kernel.settings.failed_passwords_by_account)]).await?;
        let mut reserved = Reserved::new(&self.kernel, call, &[failures]);
        self.spend_hash(call, grant).await?;
        let requester = self.requester(call, Some(grant));
        let verdict = self.verify_password(requester, &login, password, Some(stored.clone())).await?;
        if verdict == Verification::Mismatch {
            reserved.keep();
            return refuse(StepUpError::WrongPassword);
        }
        let mut work = self.begin_as(call, actor, Permission::StepUp).await?;
        if !work.unit.accounts().claim_password(account, &stored).await? {
            return refuse(StepUpError::WrongPassword);
        }
        reserved.refund(&mut work.unit).await?;
        let at = work.note_step_up(AmrSet::of(Amr::Password), "password").await?;
        work.commit().await?;
        reserved.refunded();
        Ok(at)
    }

    /// Sends the code of a second factor to the caller's primary address or phone.
    ///
    /// # Errors
    /// [`StepUpError`].
    pub async fn send_step_up_code(
        &self,
        call: &Call,
        actor: &Actor,
        kind: FactorKind,
    ) -> Outcome<(), StepUpError> {
        let message = self.count_message_as(call, actor, Permission::StepUp).await?;
        let mut work = self.begin_as(call, actor, Permission::StepUp).await?;
        work.require_sender(kind)?;
        let account = work.grant.account();
        let holds = work.unit.factors().of_account(account).await?.iter().any(|held| held.kind == kind);
        let recipient = if holds { work.recipient(account, kind).await? } else { None };
        let Some(recipient) = recipient else {
            return refuse(StepUpError::NotEnabled);
        };
        let counted = Counted::Factor(CountedFactor::Sent(account, FactorUse::StepUp));
        if let Some(exceeded) = work.count(counted, call.profile.limits.second_factor_codes).await? {
            return Err(exceeded.into());
        }
        work.unit.challenges().remove(Purpose::StepUp, account).await?;
        let challenge = CodeChallenge {
            purpose: Purpose::StepUp,
            account,
            address: None,
            handle_hash: None,
            continuation: &Continuation::default(),
        };
        let metadata = json!({ "method": kind.as_str() });
        work.audit(Action::FactorCodeSent, work.grant.subject(), metadata).await?;
        work.challenge_factor(challenge, Some((&recipient, message))).await?;
        Ok(work.commit().await?)
    }

    /// Proves anew who the caller is, by a second factor or a backup code; answers when, and how many backup codes are left if one was
    /// used. The same request sent again within a minute gets the same answer: see [`tidegate_kernel::one_time`].
    ///
    /// Source: RiverGen "mfa/backup-codes/verify".
    ///
    /// # Errors
    /// [`StepUpError`].
    pub async fn step_up_with_factor(
        &self,
        call: &Call,
        actor: &Actor,
        presented: &Presented,
        kind: FactorKind,
    ) -> Outcome<(Timestamp, Option<usize>), StepUpError> {
        let reserved = self.reserve_factor_guess_as(call, actor, Permission::StepUp).await?;
        let mut work = self.begin_as(call, actor, Permission::StepUp).await?;
        let account = work.grant.account();
        let guess = match work.begin_guess(account, FactorUse::StepUp, None, reserved).await? {
            Ok(guess) => guess,
            Err(exceeded) => return refuse(StepUpError::TooManyAttempts(exceeded)),
        };
        let sent = work.unit.challenges().latest(Purpose::StepUp, account).await?;
        let sent = sent.filter(|sent| sent.status(work.now) == ChallengeStatus::Open);
        let proof = json!([work.grant.session().id.0, kind.as_str(), presented.proof()]);
        let action = self.kernel.one_time(call, "step up", &proof);
        // A stolen access token is not told that a code was right once.
        let Ok(accepted) = work.accept(account, presented, kind, sent.as_ref()).await? else {
            let known = self.kernel.answered::<(Timestamp, Option<usize>)>(&mut work.unit, &action).await?;
            if let Some(known) = known {
                work.right_guess(guess).await?;
                work.commit().await?;
                return Ok(known);
            }
            work.wrong_guess(guess).await?;
            let metadata = json!({ "reason": "invalid_mfa_code" });
            work.audit(Action::FactorRefused, work.grant.subject(), metadata).await?;
            work.commit().await?;
            return refuse(StepUpError::WrongCode);
        };
        work.unit.challenges().remove(Purpose::StepUp, account).await?;
        work.right_guess(guess).await?;
        let shown = AmrSet::of(Amr::MultiFactor).with(Amr::OneTimeCode);
        let at = work.note_step_up(shown, accepted.as_str()).await?;
        let remaining = match accepted {
            Accepted::Recovery { remaining } => Some(remaining),
            Accepted::Factor(_) | Accepted::Mailbox => None,
        };
        work.kernel().keep_answer(&action, &(at, remaining)).await?;
        work.commit().await?;
        Ok((at, remaining))
    }
}
