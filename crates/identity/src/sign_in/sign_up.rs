//! Creates an account.

use serde::{Deserialize, Serialize};
use serde_json::json;
use tidegate_database::Unit;
use tidegate_domain::account::{Account, LoginName};
use tidegate_domain::audit::Action;
use tidegate_domain::challenge::Continuation;
use tidegate_domain::contract::Unverified;
use tidegate_domain::id::AccountId;
use tidegate_domain::password::WeakPassword;
use tidegate_domain::session::{Amr, AmrSet};
use tidegate_domain::{EmailAddress, Password};
use tidegate_kernel::admission::Evidence;
use tidegate_kernel::fault::{Fault, Outcome, refuse};
use tidegate_kernel::issue::{SignInTarget, SignedIn};
use tidegate_kernel::one_time::OneTime;
use tidegate_kernel::tables::idempotency::Record;
use tidegate_kernel::throttle::Counted;
use tidegate_kernel::work::Subject;
use tidegate_kernel::{Call, KernelTables};

use crate::accounts::people::{NewPerson, Person};
use crate::credentials::challenge::EmailChallenge;
use crate::sign_in::complete::{Completed, Completion};
use crate::sign_in::kept::KeptSignIn;
use crate::work::Work;
use crate::{Identity, IdentityTables};

/// How long an answer is repeated to the same idempotency key.
const IDEMPOTENCY_LIFETIME: std::time::Duration = std::time::Duration::from_secs(24 * 3_600);

/// The input of a sign-up.
#[derive(Clone, Debug)]
pub struct SignUp {
    /// Their address.
    pub email: EmailAddress,
    /// Their password.
    pub password: Password,
    /// Their name; empty when not given.
    pub display_name: String,
    /// Whether they agreed to the terms.
    pub agreed_to_terms: bool,
    /// To which version.
    pub terms_version: Option<String>,
    /// Repeats of the same request answer the same.
    pub idempotency_key: Option<String>,
}

/// The sign-up succeeded.
#[derive(Clone, Debug)]
pub enum SignedUp {
    /// The address must be verified before they are signed in.
    VerificationRequired(PendingSignUp),
    /// They are in.
    SignedIn(Box<SignedIn>),
}

/// An account whose address is yet to be verified.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PendingSignUp {
    /// The account's number.
    pub account_number: i64,
    /// Its address.
    pub email: EmailAddress,
    /// Its name.
    pub display_name: String,
    /// Goes with the code from the mail.
    pub temporary_token: String,
}

/// Why sign-up was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignUpError {
    /// The contract's password rule.
    #[error("password {0}")]
    WeakPassword(WeakPassword),
    /// The address is taken.
    #[error("the e-mail address is already registered")]
    EmailTaken,
    /// The key was used for another request.
    #[error("the idempotency key was used for another request")]
    IdempotencyConflict,
    /// The account may not be signed in to. Nothing was made.
    #[error("the account may not sign in here")]
    Refused,
}

impl Identity {
    /// Makes a person's account, with the organization, workspace and roles every person gets, all or nothing.
    ///
    /// Source: RiverGen "signup" and section 2; IngestIQ "register".
    ///
    /// # Errors
    /// [`SignUpError`]; that an address is taken is disclosed by the contracts themselves.
    pub async fn sign_up(&self, call: &Call, claim: SignUp) -> Outcome<SignedUp, SignUpError> {
        let profile = &call.profile;
        let sends_code = profile.unverified == Unverified::SentCode;
        if sends_code {
            self.kernel.require_mail()?;
        }
        self.kernel.throttle(call, &[(Counted::SignUpByIp, profile.limits.sign_up_by_ip)]).await?;
        if let Err(weak) = profile.password.check(&claim.password) {
            return refuse(SignUpError::WeakPassword(weak));
        }
        let repeat = self.repeat(call, &claim);
        let known = self.known(self.kernel.store.read().await?, &claim, &repeat).await?;
        if let Some(answer) = known.answer {
            return answer.map_err(tidegate_kernel::Refused::Rule);
        }
        // Refused before the hash, which costs much.
        let mut mail = None;
        if sends_code {
            mail = Some(self.kernel.count_message(call).await?.within_limits()?);
        }
        let hash = self.hash_for_client(call, claim.password.clone()).await?;

        let Some((mut work, person)) = self.register(call, &claim, &hash, known.is_invited).await? else {
            // Another request was first; perhaps this very one, sent twice at once.
            return self.answer_of_the_first(&claim, &repeat, SignUpError::EmailTaken).await;
        };
        let Person { account, sign_in_target } = person;
        let (signed_up, challenge) = if sends_code {
            let (pending, challenge) = work.ask_for_code(&account, &claim.email).await?;
            (SignedUp::VerificationRequired(pending), Some(challenge))
        } else {
            match work.open_first_session(&account, sign_in_target, &claim.email).await? {
                Some(signed_in) => (SignedUp::SignedIn(Box::new(signed_in)), None),
                None => return refuse(SignUpError::Refused),
            }
        };
        if !work.remember(&repeat, account.id, &signed_up).await? {
            drop(work);
            return self.answer_of_the_first(&claim, &repeat, SignUpError::IdempotencyConflict).await;
        }
        if let (Some(challenge), Some(mail)) = (challenge, mail) {
            work.send_email_challenge(&claim.email, &challenge, mail).await?;
        }
        work.commit().await?;
        Ok(signed_up)
    }

    /// Makes the account, in a unit that goes on. None when the address is taken. `is_invited` is whether it was an invitation's just now.
    async fn register<'a>(
        &'a self,
        call: &'a Call,
        claim: &SignUp,
        hash: &str,
        is_invited: bool,
    ) -> Result<Option<(Work<'a>, Person)>, Fault> {
        if !is_invited {
            let mut work = self.begin(call).await?;
            if let Some(person) = work.register(claim, hash).await? {
                return Ok(Some((work, person)));
            }
            // Its unit is dropped. An invitation may have come meanwhile, which does not keep the address from its owner.
        }
        let mut work = self.begin(call).await?;
        work.yield_invitation(&claim.email).await?;
        let person = work.register(claim, hash).await?;
        Ok(person.map(|person| (work, person)))
    }

    /// What a request answers that lost a race: the answer of the first one, or `otherwise`.
    async fn answer_of_the_first(
        &self,
        claim: &SignUp,
        repeat: &Repeat,
        otherwise: SignUpError,
    ) -> Outcome<SignedUp, SignUpError> {
        let known = self.known(self.kernel.store.begin().await?, claim, repeat).await?;
        known.answer.unwrap_or(Err(otherwise)).map_err(tidegate_kernel::Refused::Rule)
    }

    /// What is known before any work: the answer, where one was given before or the address is taken. To the same caller, with the
    /// same password, a sign-up that worked just now is answered as the first time, also without an idempotency key.
    ///
    /// After a lost race, a writing unit reads: until the winner's unit is durable, no reader sees it.
    async fn known(&self, mut unit: Unit, claim: &SignUp, repeat: &Repeat) -> Result<Known, Fault> {
        // The account before the record: both are committed together, and a reader who sees the first sees the second.
        let owner = unit.accounts().owner_of(&claim.email.clone().into()).await?;
        // An invitation does not keep the address from its owner.
        let is_invited = owner.is_some() && unit.claims().invited(&claim.email).await? == owner;
        let taken = owner.is_some() && !is_invited;
        let keyed = match repeat {
            Repeat::Keyed { key_mac, .. } => unit.idempotency().find(key_mac, self.kernel.now()).await?,
            Repeat::OneTime(_) => None,
        };
        let again = match (repeat, owner) {
            (Repeat::OneTime(action), Some(owner)) if taken => {
                self.signed_up_before(&mut unit, action, owner, &claim.email).await?
            }
            _ => None,
        };
        let wrong = match repeat {
            Repeat::OneTime(action) if taken && again.is_none() => {
                self.kernel.has_other_proof(&mut unit, action).await?.then_some(action)
            }
            _ => None,
        };
        unit.commit().await?;
        if let Some(action) = wrong {
            self.kernel.withdraw_other_proof(action).await?;
        }
        if let (Repeat::Keyed { fingerprint, .. }, Some(record)) = (repeat, keyed) {
            if record.fingerprint != fingerprint {
                return Ok(Known { answer: Some(Err(SignUpError::IdempotencyConflict)), is_invited });
            }
            let plain = self.kernel.vault.open(RESPONSE, &record.response)?;
            let answer = SignedUp::VerificationRequired(serde_json::from_slice(&plain)?);
            return Ok(Known { answer: Some(Ok(answer)), is_invited });
        }
        Ok(Known { answer: again.map(Ok).or(taken.then_some(Err(SignUpError::EmailTaken))), is_invited })
    }

    /// What this caller's sign-up was answered just now, while the account that it made has the address.
    async fn signed_up_before(
        &self,
        unit: &mut Unit,
        action: &OneTime,
        owner: AccountId,
        email: &EmailAddress,
    ) -> Result<Option<SignedUp>, Fault> {
        let Some(kept) = self.kernel.answered::<KeptSignUp>(unit, action).await? else {
            return Ok(None);
        };
        if kept.account != owner {
            return Ok(None);
        }
        Ok(match kept.answer {
            KeptAnswer::Pending(pending) => Some(SignedUp::VerificationRequired(pending)),
            KeptAnswer::SignedIn(kept) => {
                let login = LoginName::Email(email.clone());
                let again = kept.open_again(&self.kernel, unit, login).await?;
                again.map(|signed_in| SignedUp::SignedIn(Box::new(signed_in)))
            }
        })
    }

    /// What a repeat of the request is known by: its key, or everything that it says.
    fn repeat(&self, call: &Call, claim: &SignUp) -> Repeat {
        let contract = call.profile.contract.as_str();
        // The password is part of what must be equal: knowing key and address must not be enough to get the answer.
        let body = json!([
            claim.email.as_str(),
            claim.password.expose(),
            claim.display_name,
            claim.agreed_to_terms,
            claim.terms_version,
        ]);
        let Some(key) = &claim.idempotency_key else {
            let email = json!(claim.email.as_str());
            return Repeat::OneTime(self.kernel.one_time_about(call, "sign-up", &email, &body));
        };
        // A key belongs to the client that chose it: another client that guesses how keys are made must not use them up.
        let named = format!("{contract} sign-up {} {key}", call.network());
        Repeat::Keyed {
            key_mac: self.kernel.vault.mac("idempotency key", named.as_bytes()),
            fingerprint: self.kernel.vault.mac("idempotency fingerprint", body.to_string().as_bytes()),
        }
    }
}

/// What is known of a sign-up before any work.
struct Known {
    /// The answer, where it needs no work.
    answer: Option<Result<SignedUp, SignUpError>>,
    /// Whether the address is an invitation's.
    is_invited: bool,
}

/// What the answers of repeated requests are sealed for.
const RESPONSE: &str = "idempotent response";

/// A request that may be repeated.
enum Repeat {
    /// For a day, by its idempotency key.
    Keyed { key_mac: [u8; 32], fingerprint: [u8; 32] },
    /// For a minute, by its body and its caller: see [`tidegate_kernel::one_time`].
    OneTime(OneTime),
}

/// What a repeat without a key is answered: kept sealed.
#[derive(Serialize, Deserialize)]
struct KeptSignUp {
    account: AccountId,
    answer: KeptAnswer,
}

#[derive(Serialize, Deserialize)]
enum KeptAnswer {
    Pending(PendingSignUp),
    SignedIn(KeptSignIn),
}

impl Work<'_> {
    /// Makes the account, with its organization and workspace. None when the address is taken; then the unit must not be committed.
    async fn register(&mut self, claim: &SignUp, password_hash: &str) -> Result<Option<Person>, Fault> {
        let new = NewPerson {
            login: &LoginName::Email(claim.email.clone()),
            verified_at: None,
            display_name: &claim.display_name,
            password_hash: Some(password_hash),
            agreed_to_terms: claim.agreed_to_terms,
            terms_version: claim.terms_version.as_deref(),
            source: "signup",
            is_at_home: true,
        };
        let Some(person) = self.create_person(&new).await? else {
            return Ok(None);
        };
        let subject = Subject {
            account: Some(person.account.id),
            organization: Some(person.sign_in_target.organization),
            session: None,
        };
        let metadata =
            json!({ "terms_version": claim.terms_version, "agreed_to_terms": claim.agreed_to_terms });
        self.audit(Action::SignedUp, subject, metadata).await?;
        Ok(Some(person))
    }

    /// What a new account is answered whose address is yet to be verified, and the code that does.
    async fn ask_for_code(
        &mut self,
        account: &Account,
        email: &EmailAddress,
    ) -> Result<(PendingSignUp, EmailChallenge), Fault> {
        let challenge = self.new_email_challenge(account, email, Continuation::default()).await?;
        let pending = PendingSignUp {
            account_number: account.number,
            email: email.clone(),
            display_name: account.display_name.clone(),
            temporary_token: challenge.temporary.expose().to_owned(),
        };
        Ok((pending, challenge))
    }

    /// Opens the session of a new account. None when the account may not be signed in to.
    async fn open_first_session(
        &mut self,
        account: &Account,
        target: SignInTarget,
        email: &EmailAddress,
    ) -> Result<Option<SignedIn>, Fault> {
        let evidence = Evidence {
            login: LoginName::Email(email.clone()),
            is_verified: false,
            methods: AmrSet::of(Amr::Password),
            remember_me: false,
            key: None,
            shown_at: None,
            trusted_device: false,
        };
        let completion = Completion { target: Some(target), ..Completion::to_home(evidence, None) };
        Ok(match self.complete_sign_in(account, completion).await? {
            Completed::SignedIn(signed_in) => Some(signed_in),
            Completed::VerifyEmail | Completed::SecondFactor | Completed::Refused(_) => None,
        })
    }

    /// Keeps the answer for repeats. False when one was kept for its key meanwhile.
    async fn remember(
        &mut self,
        repeat: &Repeat,
        account: AccountId,
        answer: &SignedUp,
    ) -> Result<bool, Fault> {
        let (key_mac, fingerprint, pending) = match (repeat, answer) {
            (Repeat::Keyed { key_mac, fingerprint }, SignedUp::VerificationRequired(pending)) => {
                (key_mac, fingerprint, pending)
            }
            // Of the contracts that sign in at once, none has keys.
            (Repeat::Keyed { .. }, SignedUp::SignedIn(_)) => return Ok(true),
            (Repeat::OneTime(action), answer) => {
                let answer = match answer {
                    SignedUp::VerificationRequired(pending) => KeptAnswer::Pending(pending.clone()),
                    SignedUp::SignedIn(signed_in) => KeptAnswer::SignedIn(signed_in.as_ref().into()),
                };
                self.kernel().keep_answer(action, &KeptSignUp { account, answer }).await?;
                return Ok(true);
            }
        };
        let plain = serde_json::to_vec(pending)?;
        let record = Record {
            fingerprint: fingerprint.to_vec(),
            response: self.app.kernel.vault.seal(RESPONSE, &plain, self.app.kernel.entropy.as_ref())?,
        };
        let expires_at = self.now.plus(IDEMPOTENCY_LIFETIME);
        Ok(self.unit.idempotency().insert(key_mac, &record, self.now, expires_at).await?)
    }
}
