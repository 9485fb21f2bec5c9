//! Creates an account.

use serde::{Deserialize, Serialize};
use serde_json::json;
use tidegate_database::Unit;
use tidegate_domain::account::{Account, LoginName};
use tidegate_domain::audit::Action;
use tidegate_domain::challenge::Continuation;
use tidegate_domain::contract::Unverified;
use tidegate_domain::password::WeakPassword;
use tidegate_domain::session::{Amr, AmrSet};
use tidegate_domain::{EmailAddress, Password};
use tidegate_kernel::admission::Evidence;
use tidegate_kernel::fault::{Fault, Outcome, refuse};
use tidegate_kernel::issue::SignedIn;
use tidegate_kernel::tables::idempotency::Record;
use tidegate_kernel::throttle::Counted;
use tidegate_kernel::work::Subject;
use tidegate_kernel::{Call, KernelTables};

use crate::accounts::people::{NewPerson, Person};
use crate::sign_in::complete::{Completed, Completion};
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
        let repeat = claim.idempotency_key.as_deref().map(|key| self.repeat(call, key, &claim));
        let known = self.known_answer(self.kernel.store.read().await?, &claim, repeat.as_ref()).await?;
        if let Some(answer) = known {
            return answer.map_err(tidegate_kernel::Refused::Rule);
        }
        let hash = self.hash_for_client(call, claim.password.clone()).await?;

        let mut work = self.begin(call).await?;
        let Some(account) = work.register(&claim, &hash).await? else {
            drop(work);
            // Another request was first; perhaps this very one, sent twice at once.
            return self.answer_of_the_first(&claim, repeat.as_ref(), SignUpError::EmailTaken).await;
        };
        let signed_up = if sends_code {
            let temporary_token =
                work.challenge_email(&account, &claim.email, Continuation::default()).await?;
            SignedUp::VerificationRequired(PendingSignUp {
                account_number: account.number,
                email: claim.email.clone(),
                display_name: account.display_name.clone(),
                temporary_token: temporary_token.expose().to_owned(),
            })
        } else {
            match work.open_first_session(&account, &claim.email).await? {
                Some(signed_in) => SignedUp::SignedIn(Box::new(signed_in)),
                None => return refuse(SignUpError::Refused),
            }
        };
        if let (Some(repeat), SignedUp::VerificationRequired(pending)) = (&repeat, &signed_up)
            && !work.remember(repeat, pending).await?
        {
            drop(work);
            return self.answer_of_the_first(&claim, Some(repeat), SignUpError::IdempotencyConflict).await;
        }
        work.commit().await?;
        Ok(signed_up)
    }

    /// What a request answers that lost a race: the answer of the first one, or `otherwise`.
    async fn answer_of_the_first(
        &self,
        claim: &SignUp,
        repeat: Option<&Repeat>,
        otherwise: SignUpError,
    ) -> Outcome<SignedUp, SignUpError> {
        let answer = self.known_answer(self.kernel.store.begin().await?, claim, repeat).await?;
        answer.unwrap_or(Err(otherwise)).map_err(tidegate_kernel::Refused::Rule)
    }

    /// The answer that needs no work: one given before, or that the address is taken.
    ///
    /// After a lost race, a writing unit reads: until the winner's unit is durable, no reader sees it.
    async fn known_answer(
        &self,
        mut unit: Unit,
        claim: &SignUp,
        repeat: Option<&Repeat>,
    ) -> Result<Option<Result<SignedUp, SignUpError>>, Fault> {
        // The account before the record: both are committed together, and a reader who sees the first sees the second.
        let owner = unit.accounts().owner_of(&claim.email.clone().into()).await?;
        // An invitation does not keep the address from its owner.
        let taken = owner.is_some() && unit.claims().invited(&claim.email).await? != owner;
        let record = match repeat {
            Some(repeat) => unit.idempotency().find(&repeat.key_mac, self.kernel.now()).await?,
            None => None,
        };
        unit.commit().await?;
        if let (Some(repeat), Some(record)) = (repeat, record) {
            if record.fingerprint != repeat.fingerprint {
                return Ok(Some(Err(SignUpError::IdempotencyConflict)));
            }
            let plain = self.kernel.vault.open(RESPONSE, &record.response)?;
            return Ok(Some(Ok(SignedUp::VerificationRequired(serde_json::from_slice(&plain)?))));
        }
        Ok(taken.then_some(Err(SignUpError::EmailTaken)))
    }

    fn repeat(&self, call: &Call, key: &str, claim: &SignUp) -> Repeat {
        let contract = call.profile.contract.as_str();
        // The password is part of what must be equal: knowing key and address must not be enough to get the answer.
        let body = json!([
            claim.email.as_str(),
            claim.password.expose(),
            claim.display_name,
            claim.agreed_to_terms,
            claim.terms_version,
        ]);
        // A key belongs to the client that chose it: another client that guesses how keys are made must not use them up.
        let named = format!("{contract} sign-up {} {key}", call.network());
        Repeat {
            key_mac: self.kernel.vault.mac("idempotency key", named.as_bytes()),
            fingerprint: self.kernel.vault.mac("idempotency fingerprint", body.to_string().as_bytes()),
        }
    }
}

/// What the answers of repeated requests are sealed for.
const RESPONSE: &str = "idempotent response";

/// A request that may be repeated.
struct Repeat {
    key_mac: [u8; 32],
    fingerprint: [u8; 32],
}

impl Work<'_> {
    /// Makes the account, with its organization and workspace. None when the address is taken.
    async fn register(&mut self, claim: &SignUp, password_hash: &str) -> Result<Option<Account>, Fault> {
        self.yield_invitation(&claim.email).await?;
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
        let Some(Person { account, sign_in_target }) = self.create_person(&new).await? else {
            return Ok(None);
        };
        let subject = Subject {
            account: Some(account.id),
            organization: Some(sign_in_target.organization),
            session: None,
        };
        let metadata =
            json!({ "terms_version": claim.terms_version, "agreed_to_terms": claim.agreed_to_terms });
        self.audit(Action::SignedUp, subject, metadata).await?;
        Ok(Some(account))
    }

    /// Opens the session of a new account. None when the account may not be signed in to.
    async fn open_first_session(
        &mut self,
        account: &Account,
        email: &EmailAddress,
    ) -> Result<Option<SignedIn>, Fault> {
        let evidence = Evidence {
            login: LoginName::Email(email.clone()),
            is_verified: false,
            methods: AmrSet::of(Amr::Password),
            remember_me: false,
            key: None,
            trusted_device: false,
        };
        Ok(match self.complete_sign_in(account, Completion::to_home(evidence, None)).await? {
            Completed::SignedIn(signed_in) => Some(signed_in),
            Completed::VerifyEmail | Completed::SecondFactor | Completed::Refused(_) => None,
        })
    }

    /// Keeps an answer for repeats. False when one was kept meanwhile.
    async fn remember(&mut self, repeat: &Repeat, answer: &PendingSignUp) -> Result<bool, Fault> {
        let plain = serde_json::to_vec(answer)?;
        let record = Record {
            fingerprint: repeat.fingerprint.to_vec(),
            response: self.app.kernel.vault.seal(RESPONSE, &plain, self.app.kernel.entropy.as_ref())?,
        };
        let expires_at = self.now.plus(IDEMPOTENCY_LIFETIME);
        Ok(self.unit.idempotency().insert(&repeat.key_mac, &record, self.now, expires_at).await?)
    }
}
