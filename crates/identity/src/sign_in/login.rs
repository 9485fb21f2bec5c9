//! Signs in: an individual with e-mail address and password, a program with its name and a password or service key.

use serde_json::json;
use tidegate_crypto::{HashError, PlainToken, Verification};
use tidegate_domain::account::{Account, LoginName, ServiceName};
use tidegate_domain::audit::Action;
use tidegate_domain::challenge::Continuation;
use tidegate_domain::contract::Unverified;
use tidegate_domain::factor::DeviceData;
use tidegate_domain::id::AccountId;
use tidegate_domain::session::{Amr, AmrSet};
use tidegate_domain::{Password, Secret};
use tidegate_kernel::admission::{Evidence, SessionKey};
use tidegate_kernel::fault::{Fault, Outcome, refuse};
use tidegate_kernel::issue::SignedIn;
use tidegate_kernel::noted::{self, CredentialFault};
use tidegate_kernel::reserved::Reserved;
use tidegate_kernel::throttle::Counted;
use tidegate_kernel::work::Subject;
use tidegate_kernel::{Call, CountedMessage};
use uuid::Uuid;

use crate::accounts::repository::SignInRecord;
use crate::credentials::service_keys_repository::ServiceKey;
use crate::sign_in::bind::{BindError, BindingRequest};
use crate::sign_in::complete::{Completed, Completion, Refusal};
use crate::sign_in::second_factor::FactorRequest;
use crate::work::Work;
use crate::{Identity, IdentityTables};

/// The credentials of a sign-in.
#[derive(Clone, Debug)]
pub struct SignIn {
    /// Their address or name.
    pub login: LoginName,
    /// Their password, or a program's key.
    pub password: Password,
    /// The number of the workspace to enter.
    pub workspace: Option<i64>,
    /// Whether to stay signed in for longer.
    pub remember_me: bool,
    /// What the client sent of its device.
    pub device: DeviceData,
    /// Whether to sign in only the owner of an organization.
    pub owner_only: bool,
    /// What to bind the tokens to.
    pub binding: BindingRequest,
}

impl SignIn {
    /// A plain sign-in to wherever the account lands.
    pub fn to_home(login: LoginName, password: Password) -> Self {
        Self {
            login,
            password,
            workspace: None,
            remember_me: false,
            device: DeviceData::default(),
            owner_only: false,
            binding: BindingRequest::default(),
        }
    }
}

/// The result of a correct password.
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
    /// The account's second factor must be shown first. Only where the contract asks for it.
    SecondFactorRequired(FactorRequest),
}

/// Why the sign-in was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignInError {
    /// Unknown name, wrong password or disabled account. The client cannot tell these cases apart.
    #[error("the e-mail address or the password is wrong")]
    InvalidCredentials,
    /// The password is right, the address is not verified, and the contract says to refuse.
    #[error("the e-mail address is not verified")]
    NotVerified,
    /// What to bind to does not exist.
    #[error(transparent)]
    Binding(BindError),
    /// The workspace is not theirs.
    #[error("the workspace is not accessible")]
    WorkspaceDenied,
    /// The address must be verified first, and no mail can be sent.
    #[error("the e-mail address is not verified, and no code can be sent at the moment")]
    CannotVerify,
}

/// How often a password is verified anew because its stored hash changed meanwhile.
const ROUNDS: usize = 3;

/// What the log says of a disabled account.
const DISABLED: &str = "the account is disabled";

/// What the log says where the password does not count.
fn password_fault(record: Option<&SignInRecord>) -> &'static str {
    match record {
        None => "there is no such account",
        Some(record) if record.account.disabled_at.is_some() => DISABLED,
        Some(record) if record.password_hash.is_none() => "the account has none: it signs in otherwise",
        Some(_) => "wrong",
    }
}

/// What was found right, and against what it was held: looked at again before anything is opened.
enum Proof {
    Password { verified_against: String, better_hash: Option<String> },
    Key(ServiceKey),
}

impl Identity {
    /// Signs in, or returns the next step.
    ///
    /// Order: rate limits, look-up, hash, rule. An unknown name costs the same hash and the same writes.
    ///
    /// Source: RiverGen "login"; IngestIQ "login"; Crossing Minds "login".
    ///
    /// # Errors
    /// [`SignInError`].
    pub async fn sign_in(&self, call: &Call, claim: SignIn) -> Outcome<SignInOutcome, SignInError> {
        let login = &claim.login;
        let limits = &call.profile.limits;
        let by_ip = (Counted::SignInByIp, limits.sign_in_by_ip);
        let failed_password = self.kernel.failed_password(call, login).await?;
        let by_login = [
            (Counted::SignInByLogin(login), limits.sign_in_by_email),
            (Counted::FailedSignIn(login), limits.failed_sign_in),
            (failed_password, self.kernel.settings.failed_passwords_by_account),
        ];
        match login {
            LoginName::Email(_) | LoginName::Phone(_) => {
                self.kernel.throttle(call, &[&[by_ip], &by_login[..]].concat()).await?;
            }
            LoginName::Service(name) => {
                self.kernel.throttle(call, &[by_ip]).await?;
                // Before the limits on guesses: keys cannot be guessed, and attackers who guess a program's password must
                // not keep out the program that holds one.
                if let Some(outcome) = self.sign_in_with_key(call, &claim, name).await? {
                    return Ok(outcome);
                }
                self.kernel.throttle(call, &by_login).await?;
            }
        }
        let failures = [Counted::FailedSignIn(login), failed_password];
        let mut reserved = Reserved::new(&self.kernel, call, &failures);
        for _ in 0..ROUNDS {
            let record = self.kernel.store.read().await?.accounts().find_for_sign_in(login).await?;
            let why = password_fault(record.as_ref());
            let record = record.filter(|record| record.account.disabled_at.is_none());
            let stored = record.as_ref().and_then(|record| record.password_hash.clone());
            let proof = self.prove_password(call, &claim, stored).await?;
            let (Some(record), Some(proof)) = (&record, proof) else {
                reserved.keep();
                return self.refuse_password(call, login, record.map(|record| record.account), why).await;
            };
            if let Some(outcome) = self.admit(call, &claim, record, proof, &mut reserved).await? {
                return Ok(outcome);
            }
        }
        reserved.keep();
        self.refuse_password(call, login, None, "changed while it was verified").await
    }

    /// Signs a program in with one of its keys; none when what it presents is not one.
    async fn sign_in_with_key(
        &self,
        call: &Call,
        claim: &SignIn,
        name: &ServiceName,
    ) -> Outcome<Option<SignInOutcome>, SignInError> {
        let hash = PlainToken::from_presented(claim.password.expose()).hash();
        let mut unit = self.kernel.store.read().await?;
        let record = unit.accounts().find_for_sign_in(&name.clone().into()).await?;
        let record = record.filter(|record| record.account.disabled_at.is_none());
        // Looked up for unknown names, too: answer and time are the same for both.
        let owner = record.as_ref().map_or(AccountId(Uuid::nil()), |record| record.account.id);
        let key = unit.service_keys().find(owner, hash.as_bytes()).await?;
        drop(unit);
        let now = self.kernel.now();
        if let Some(at) = key.as_ref().and_then(|key| key.expires_at).filter(|at| *at <= now) {
            noted::refused(CredentialFault::expired("service key", at, now));
        }
        let key = key.filter(|key| key.is_live(now));
        match (&record, key) {
            (Some(record), Some(key)) => {
                let mut nothing_reserved = Reserved::new(&self.kernel, call, &[]);
                self.admit(call, claim, record, Proof::Key(key), &mut nothing_reserved).await
            }
            _ => Ok(None),
        }
    }

    async fn prove_password(
        &self,
        call: &Call,
        claim: &SignIn,
        stored: Option<String>,
    ) -> Result<Option<Proof>, Fault> {
        let (requester, password) = (self.requester(call, None), &claim.password);
        let verdict = self.verify_password(requester, &claim.login, password.clone(), stored.clone()).await?;
        let Some(verified_against) = stored.filter(|_| verdict != Verification::Mismatch) else {
            return Ok(None);
        };
        let better_hash = match verdict {
            Verification::MatchOutdated => match self.passwords.hash(requester, password.clone()).await {
                // The next sign-in renews it.
                Err(HashError::Busy { .. }) => None,
                renewed => Some(renewed?),
            },
            Verification::Match | Verification::Mismatch => None,
        };
        Ok(Some(Proof::Password { verified_against, better_hash }))
    }

    /// What follows a right password, in one unit of work. None when the stored hash changed while this one was
    /// verified: because another sign-in renewed it, or because the password is another one now.
    async fn admit(
        &self,
        call: &Call,
        claim: &SignIn,
        record: &SignInRecord,
        proof: Proof,
        reserved: &mut Reserved,
    ) -> Outcome<Option<SignInOutcome>, SignInError> {
        let account = &record.account;
        let evidence = Evidence {
            login: claim.login.clone(),
            is_verified: record.verified_at.is_some(),
            methods: AmrSet::of(proof.amr()),
            remember_me: claim.remember_me,
            key: proof.key(),
            shown_at: None,
            trusted_device: false,
        };
        let needs_mail = evidence.to_verify(call.profile.unverified) == Some(Unverified::SentCode);
        if needs_mail && self.kernel.require_mail().is_err() {
            return refuse(SignInError::CannotVerify);
        }
        let mail = if needs_mail { Some(self.kernel.count_message(call).await?) } else { None };
        let mut work = self.begin(call).await?;
        if !work.holds(account.id, &proof).await? {
            return Ok(None);
        }
        let completion = |evidence: Evidence| Completion {
            evidence,
            target: None,
            workspace: claim.workspace,
            owner_only: claim.owner_only,
            binding: Some(&claim.binding),
            history: Some(json!({ "method": proof.method(), "remember_me": claim.remember_me })),
        };
        let mut completed = work.complete_sign_in(account, completion(evidence.clone())).await?;
        if matches!(completed, Completed::SecondFactor) && work.is_trusted(account.id, &claim.device).await? {
            let evidence = Evidence { trusted_device: true, ..evidence.clone() };
            completed = work.complete_sign_in(account, completion(evidence)).await?;
        }
        if !matches!(completed, Completed::Refused(_)) {
            reserved.refund(&mut work.unit).await?;
        }
        let outcome = match work.outcome_of(completed, account, claim, &evidence, mail).await? {
            Ok(outcome) => outcome,
            Err(refusal) => {
                return self.refuse_sign_in(work, &claim.login, account, refusal, reserved).await.map(Some);
            }
        };
        work.commit().await?;
        reserved.refunded();
        if matches!(outcome, SignInOutcome::SignedIn(_)) {
            self.passwords.note_success(self.requester(call, None));
        }
        Ok(Some(outcome))
    }

    /// The password is right, and no session follows.
    async fn refuse_sign_in(
        &self,
        mut work: Work<'_>,
        login: &LoginName,
        account: &Account,
        refusal: Refusal,
        reserved: &mut Reserved,
    ) -> Outcome<SignInOutcome, SignInError> {
        let error = match refusal {
            Refusal::WorkspaceDenied => SignInError::WorkspaceDenied,
            Refusal::NotVerified => SignInError::NotVerified,
            Refusal::Binding(error) => SignInError::Binding(error),
            // Answered as a wrong password is, and counted as one: limits must not tell the two apart either.
            Refusal::Disabled | Refusal::NotOwner => {
                let (call, is_disabled) = (work.call, matches!(refusal, Refusal::Disabled));
                drop(work);
                reserved.keep();
                let why = if is_disabled {
                    DISABLED
                } else {
                    "right, but this way in is for owners of organizations"
                };
                return self.refuse_password(call, login, Some(account.clone()), why).await;
            }
            Refusal::SecondFactor => {
                work.note_second_factor(account).await?;
                work.commit().await?;
                reserved.keep();
                noted::refused(CredentialFault::Password(
                    "right, but this contract cannot ask for the account's second factor",
                ));
                return refuse(SignInError::InvalidCredentials);
            }
        };
        // The caller knows the password and did not get in: the account's owner finds both in their history.
        reserved.refund(&mut work.unit).await?;
        work.audit(Action::SignInFailed, account.id, json!({ "reason": error.reason() })).await?;
        work.commit().await?;
        reserved.refunded();
        refuse(error)
    }

    async fn refuse_password(
        &self,
        call: &Call,
        login: &LoginName,
        account: Option<Account>,
        why: &'static str,
    ) -> Outcome<SignInOutcome, SignInError> {
        match login {
            // That a key has expired is more telling.
            LoginName::Service(_) => noted::refused_otherwise(CredentialFault::ServiceKey(
                "neither a key of this program nor its password; was the key deleted?",
            )),
            LoginName::Email(_) | LoginName::Phone(_) => noted::refused(CredentialFault::Password(why)),
        }
        let mut work = self.begin(call).await?;
        let subject = Subject { account: account.map(|account| account.id), ..Subject::default() };
        work.audit(Action::SignInFailed, subject, json!({ "reason": "invalid_password" })).await?;
        work.commit().await?;
        refuse(SignInError::InvalidCredentials)
    }
}

impl SignInError {
    /// What the account's history says of it.
    const fn reason(&self) -> &'static str {
        match self {
            Self::InvalidCredentials => "invalid_password",
            Self::NotVerified | Self::CannotVerify => "email_not_verified",
            Self::WorkspaceDenied => "workspace_denied",
            Self::Binding(_) => "database_denied",
        }
    }
}

impl Proof {
    const fn amr(&self) -> Amr {
        match self {
            Self::Password { .. } => Amr::Password,
            Self::Key(_) => Amr::ServiceKey,
        }
    }

    fn key(&self) -> Option<SessionKey> {
        match self {
            Self::Password { .. } => None,
            Self::Key(key) => Some(SessionKey { id: key.id, expires_at: key.expires_at }),
        }
    }

    const fn method(&self) -> &'static str {
        match self {
            Self::Password { .. } => "password",
            Self::Key(_) => "service_key",
        }
    }
}

impl Work<'_> {
    /// What a sign-in comes to that got so far, with what its next step needs.
    async fn outcome_of(
        &mut self,
        completed: Completed<SignedIn>,
        account: &Account,
        claim: &SignIn,
        evidence: &Evidence,
        mail: Option<CountedMessage>,
    ) -> Result<Result<SignInOutcome, Refusal>, Fault> {
        Ok(match completed {
            Completed::SignedIn(signed_in) => Ok(SignInOutcome::SignedIn(Box::new(signed_in))),
            Completed::VerifyEmail => Ok(self.ask_to_verify(account, claim, mail).await?),
            Completed::SecondFactor => {
                self.note_second_factor(account).await?;
                let request = self.ask_second_factor(account, evidence, claim.workspace).await?;
                Ok(SignInOutcome::SecondFactorRequired(request))
            }
            Completed::Refused(refusal) => Err(refusal),
        })
    }

    /// Sends a code that verifies the address and then signs in.
    async fn ask_to_verify(
        &mut self,
        account: &Account,
        claim: &SignIn,
        mail: Option<CountedMessage>,
    ) -> Result<SignInOutcome, Fault> {
        let Some(email) = claim.login.email() else {
            return Err(Fault::Internal("an address is to be verified that is none".to_owned()));
        };
        let continuation = Continuation { remember_me: claim.remember_me, ..Continuation::default() };
        let challenge = self.new_email_challenge(account, email, continuation).await?;
        self.audit(Action::SignInFailed, account.id, json!({ "reason": "email_not_verified" })).await?;
        self.send_email_challenge(email, &challenge, CountedMessage::required(mail)?).await?;
        let temporary_token = Secret::new(challenge.temporary.expose());
        Ok(SignInOutcome::VerificationRequired { temporary_token })
    }

    /// Whether what was proved still holds. Hashing took a while, and a password that was changed meanwhile, perhaps
    /// because it was stolen, is refused. On PostgreSQL, a change waits from here on until the unit ends.
    async fn holds(&mut self, account: AccountId, proof: &Proof) -> Result<bool, Fault> {
        match proof {
            Proof::Key(key) => Ok(self.unit.service_keys().claim(key.id).await?),
            Proof::Password { verified_against, better_hash } => {
                if !self.unit.accounts().claim_password(account, verified_against).await? {
                    return Ok(false);
                }
                if let Some(better) = better_hash {
                    self.unit.accounts().upgrade_password_hash(account, verified_against, better).await?;
                }
                Ok(true)
            }
        }
    }
}
