//! Somebody signs in with an e-mail address and a password.

use serde_json::json;
use tidegate_crypto::Verification;
use tidegate_domain::account::Account;
use tidegate_domain::audit::Action;
use tidegate_domain::challenge::Continuation;
use tidegate_domain::session::Amr;
use tidegate_domain::{DialectProfile, EmailAddress, Password, Secret};
use tidegate_store::accounts::SignInRecord;

use crate::fault::{Outcome, refuse};
use crate::issue::{Principal, SignedIn};
use crate::throttle::{Counted, Reserved};
use crate::work::Subject;
use crate::{Call, Identity};

/// What somebody signs in with.
#[derive(Clone, Debug)]
pub struct SignIn {
    /// Their address.
    pub email: EmailAddress,
    /// Their password.
    pub password: Password,
    /// The number of the workspace to enter.
    pub workspace: Option<i64>,
    /// Whether to stay signed in for longer.
    pub remember_me: bool,
}

/// How far a right password got somebody.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum SignInOutcome {
    /// They are in.
    SignedIn(Box<SignedIn>),
    /// Their address must be verified first; a code was sent.
    VerificationRequired {
        /// Goes with the code.
        temporary_token: Secret,
    },
}

/// Why not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignInError {
    /// Unknown address, wrong password or shut account: which, nobody learns.
    #[error("the e-mail address or the password is wrong")]
    InvalidCredentials,
    /// The workspace is not theirs.
    #[error("the workspace is not accessible")]
    WorkspaceDenied,
    /// The address must be verified first, and no mail can be sent.
    #[error("the e-mail address is not verified, and no code can be sent at the moment")]
    CannotVerify,
}

/// How often a password is verified anew because its stored hash changed meanwhile.
const ROUNDS: usize = 3;

/// What stands between a right password and a session. Multi-factor authentication is one more of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum NextStep {
    OpenSession,
    VerifyEmail,
}

impl NextStep {
    fn after_password(profile: &DialectProfile, record: &SignInRecord) -> Self {
        if profile.verified_email_required && record.verified_at.is_none() {
            Self::VerifyEmail
        } else {
            Self::OpenSession
        }
    }
}

impl Identity {
    /// Signs somebody in, or says how to go on.
    ///
    /// Order: rate limits, look-up, hash, rule. An unknown address costs the same hash and the same writes.
    ///
    /// Source: RiverGen "login"; IngestIQ "login".
    ///
    /// # Errors
    /// [`SignInError`].
    pub async fn sign_in(&self, call: &Call, claim: SignIn) -> Outcome<SignInOutcome, SignInError> {
        let email = &claim.email;
        let limits = &call.profile.limits;
        self.throttle(
            call,
            &[
                (Counted::SignInByIp, limits.sign_in_by_ip),
                (Counted::SignInByEmail(email), limits.sign_in_by_email),
                (Counted::FailedSignIn(email), limits.failed_sign_in),
                (Counted::FailedPasswordByEmail(email), self.settings.failed_passwords_by_account),
            ],
        )
        .await?;
        let failures = [Counted::FailedSignIn(email), Counted::FailedPasswordByEmail(email)];
        let mut reserved = Reserved::new(self, call, &failures);
        for _ in 0..ROUNDS {
            let record = self.store.read().await?.accounts().find_for_sign_in(email).await?;
            let stored = record.as_ref().and_then(|record| record.password_hash.clone());
            let verdict = self.verify_password(claim.password.clone(), stored).await?;
            let open = record.filter(|record| record.account.disabled_at.is_none());
            let (Some(record), Verification::Match | Verification::MatchOutdated) = (&open, verdict) else {
                reserved.keep();
                return self.refuse_password(call, open.map(|record| record.account)).await;
            };
            let better_hash = match verdict {
                Verification::MatchOutdated => Some(self.passwords.hash(claim.password.clone()).await?),
                Verification::Match | Verification::Mismatch => None,
            };
            if let Some(outcome) = self.admit(call, &claim, record, better_hash, &mut reserved).await? {
                return Ok(outcome);
            }
        }
        reserved.keep();
        self.refuse_password(call, None).await
    }

    /// What follows a right password, in one unit of work. None when the stored hash changed while this one was
    /// verified: because somebody else's sign-in renewed it, or because the password is another one now.
    async fn admit(
        &self,
        call: &Call,
        claim: &SignIn,
        record: &SignInRecord,
        better_hash: Option<String>,
        reserved: &mut Reserved,
    ) -> Outcome<Option<SignInOutcome>, SignInError> {
        let (account, email) = (&record.account, &claim.email);
        let next = NextStep::after_password(&call.profile, record);
        if next == NextStep::VerifyEmail && self.require_mail().is_err() {
            return refuse(SignInError::CannotVerify);
        }
        let mut work = self.begin(call).await?;
        // Hashing took a while. A password that was changed meanwhile, perhaps because somebody stole it, lets in nobody.
        let verified_against = record.password_hash.as_deref().unwrap_or_default();
        if !work.unit.accounts().claim_password(account.id, verified_against).await? {
            return Ok(None);
        }
        reserved.refund(&mut work.unit).await?;
        if let Some(better) = better_hash {
            work.unit.accounts().upgrade_password_hash(account.id, verified_against, &better).await?;
        }
        let Some(landing) = work.unit.organizations().landing(account.id, claim.workspace).await? else {
            work.audit(Action::SignInFailed, account.id, json!({ "reason": "workspace_denied" })).await?;
            work.commit().await?;
            reserved.refunded();
            return refuse(SignInError::WorkspaceDenied);
        };
        let outcome = match next {
            NextStep::VerifyEmail => {
                let continuation = Continuation { remember_me: claim.remember_me };
                let token = work.challenge_email(account, email, continuation).await?;
                // Somebody knows the password and did not get in: the owner finds both in their history.
                work.audit(Action::SignInFailed, account.id, json!({ "reason": "email_not_verified" }))
                    .await?;
                SignInOutcome::VerificationRequired { temporary_token: Secret::new(token.expose()) }
            }
            NextStep::OpenSession => {
                let signed_in = work
                    .open_session(Principal {
                        account,
                        email,
                        is_verified: record.verified_at.is_some(),
                        landing,
                        amr: Amr::Password,
                        remember_me: claim.remember_me,
                    })
                    .await?;
                let subject = Subject {
                    account: Some(account.id),
                    organization: Some(landing.organization),
                    session: Some(signed_in.session),
                };
                let metadata = json!({ "method": "password", "remember_me": claim.remember_me });
                work.audit(Action::SignInSucceeded, subject, metadata).await?;
                SignInOutcome::SignedIn(Box::new(signed_in))
            }
        };
        work.commit().await?;
        reserved.refunded();
        Ok(Some(outcome))
    }

    async fn refuse_password(
        &self,
        call: &Call,
        account: Option<Account>,
    ) -> Outcome<SignInOutcome, SignInError> {
        let mut work = self.begin(call).await?;
        let subject = Subject { account: account.map(|account| account.id), ..Subject::default() };
        work.audit(Action::SignInFailed, subject, json!({ "reason": "invalid_password" })).await?;
        work.commit().await?;
        refuse(SignInError::InvalidCredentials)
    }
}
