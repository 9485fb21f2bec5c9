//! Signs in with a one-time code sent to a phone.

use serde::{Deserialize, Serialize};
use serde_json::json;
use tidegate_domain::account::{Account, LoginName};
use tidegate_domain::audit::Action;
use tidegate_domain::challenge::Challenge;
use tidegate_domain::id::{AccountId, SessionId};
use tidegate_domain::session::{Amr, AmrSet};
use tidegate_domain::{PhoneNumber, Secret};
use tidegate_kernel::admission::Evidence;
use tidegate_kernel::fault::{Fault, Outcome, refuse};
use tidegate_kernel::noted::{self, CredentialFault};
use tidegate_kernel::one_time::OneTime;
use tidegate_kernel::work::Subject;
use tidegate_kernel::{Call, Refused};

use crate::accounts::people::{NewPerson, Person};
use crate::credentials::challenge::Answer;
use crate::credentials::phone_code::PhonePurpose;
use crate::sign_in::complete::{Completed, Completion, Refusal};
use crate::work::Work;
use crate::{Identity, IdentityTables};

/// A phone and the code that was texted to it.
#[derive(Clone, Debug)]
pub struct PhoneCode {
    /// The phone.
    pub phone: PhoneNumber,
    /// What it was asked for.
    pub purpose: PhonePurpose,
    /// The code.
    pub code: Secret,
}

/// Signed in.
#[derive(Clone, Debug)]
pub struct PhoneSignedIn {
    /// Who.
    pub account: AccountId,
    /// Their token, as long-lived as the session.
    pub token: Secret,
}

/// The code is wrong, used, replaced or expired, no attempt is left, or the account is disabled. The client cannot tell
/// these cases apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the code is not valid for this phone")]
pub struct CodeRejected;

/// What becomes of a right code.
enum PhoneAdmission {
    /// A session is open.
    SignedIn(Account, SessionId, Secret),
    /// The account is disabled, or there is none to sign in to.
    Refused,
    /// The account has a second factor. The code is used up, and its owner finds the attempt in their history.
    SecondFactor,
}

impl Identity {
    /// Confirms the newest code that was texted to a phone for that purpose, and opens a session.
    ///
    /// Registering with an unused phone number creates an individual with a personal organization, all or nothing. Of any
    /// number of concurrent correct codes exactly one is accepted. The same request sent again within a minute gets the same
    /// answer: see [`tidegate_kernel::one_time`].
    ///
    /// Source: Riven "auth/confirm-code" and "login/verify-code".
    ///
    /// # Errors
    /// [`CodeRejected`].
    pub async fn sign_in_by_phone(
        &self,
        call: &Call,
        claim: PhoneCode,
    ) -> Outcome<PhoneSignedIn, CodeRejected> {
        let (purpose, address) = (claim.purpose.challenge(), claim.phone.expose());
        // What no code was sent for is refused before it costs a turn at the writer.
        let mut unit = self.kernel.store.read().await?;
        let Some(challenge) = unit.challenges().latest_to(purpose, address).await? else {
            noted::refused(CredentialFault::OneTimeCode(
                "none was sent to that phone, or it expired long ago",
            ));
            return refuse(CodeRejected);
        };
        let guess = self.reserve_guess(call, unit, &challenge).await?;
        let mut work = self.begin(call).await?;
        let proof = json!([challenge.id.0, claim.code.expose()]);
        let action = self.kernel.one_time(call, purpose.as_str(), &proof);
        match work.answer(&challenge, &claim.code, guess).await? {
            Answer::Right => {}
            Answer::Again => {
                let known = work.phone_sign_in_answered(&action).await?;
                work.commit().await?;
                return known.ok_or(Refused::Rule(CodeRejected));
            }
            Answer::Used => {
                work.commit().await?;
                return refuse(CodeRejected);
            }
            Answer::Wrong => {
                work.audit_wrong_code(&challenge).await?;
                work.commit().await?;
                return refuse(CodeRejected);
            }
            Answer::Expired | Answer::Exhausted(_) => return refuse(CodeRejected),
        }
        let (account, session, token) = match work.admit_phone(claim.phone, claim.purpose).await? {
            PhoneAdmission::SignedIn(account, session, token) => (account, session, token),
            PhoneAdmission::Refused => return refuse(CodeRejected),
            PhoneAdmission::SecondFactor => {
                work.commit().await?;
                return refuse(CodeRejected);
            }
        };
        // What features know of an account is about one that there was before.
        let is_new = work.unit.has_made(account.id.0);
        let offered = if is_new { None } else { work.kernel().unproven_address(account.id).await? };
        let kept = KeptPhoneSignIn { account: account.id, session, token: token.expose().to_owned() };
        work.kernel().keep_answer(&action, &kept).await?;
        work.commit().await?;
        if let Some(email) = offered
            && let Err(fault) = self.offer_email_again(call, account.id, &email).await
        {
            // They are signed in, and it is offered at the next sign-in.
            tracing::warn!(error = %fault, "an e-mail address is not offered to its owner");
        }
        Ok(PhoneSignedIn { account: account.id, token })
    }
}

/// What a repeat of the request is answered: kept sealed.
#[derive(Serialize, Deserialize)]
struct KeptPhoneSignIn {
    account: AccountId,
    session: SessionId,
    token: String,
}

impl Work<'_> {
    /// What this sign-in was answered before, while its session is good.
    async fn phone_sign_in_answered(&mut self, action: &OneTime) -> Result<Option<PhoneSignedIn>, Fault> {
        let Some(kept) = self.app.kernel.answered::<KeptPhoneSignIn>(&mut self.unit, action).await? else {
            return Ok(None);
        };
        let current = self.app.kernel.current_session(&mut self.unit, kept.session).await?;
        Ok(current.map(|_| PhoneSignedIn { account: kept.account, token: Secret::new(kept.token) }))
    }

    async fn audit_wrong_code(&mut self, challenge: &Challenge) -> Result<(), Fault> {
        let subject = Subject { account: challenge.account, ..Subject::default() };
        let metadata = json!({ "method": "phone", "purpose": challenge.purpose.as_str() });
        self.audit(Action::SignInFailed, subject, metadata).await
    }

    /// Opens a session for the holder of the phone.
    async fn admit_phone(
        &mut self,
        phone: PhoneNumber,
        purpose: PhonePurpose,
    ) -> Result<PhoneAdmission, Fault> {
        let login = LoginName::Phone(phone);
        let known = self.unit.accounts().find_for_sign_in(&login).await?;
        let (account, target) = match (known, purpose) {
            (Some(known), _) => {
                self.lock(known.account.id).await?;
                (known.account, None)
            }
            (None, PhonePurpose::SignIn) => return Ok(PhoneAdmission::Refused),
            (None, PhonePurpose::Register) => match self.register_phone(&login).await? {
                Some(Person { account, sign_in_target }) => (account, Some(sign_in_target)),
                None => return Ok(PhoneAdmission::Refused),
            },
        };
        let evidence = Evidence {
            login,
            is_verified: true,
            methods: AmrSet::of(Amr::OneTimeCode),
            remember_me: false,
            key: None,
            shown_at: None,
            trusted_device: false,
        };
        let history = Some(json!({ "method": "phone" }));
        let completion = Completion { target, ..Completion::to_home(evidence, history) };
        match self.complete_opaque_sign_in(&account, completion).await? {
            Completed::SignedIn((session, token)) => Ok(PhoneAdmission::SignedIn(account, session, token)),
            Completed::SecondFactor | Completed::Refused(Refusal::SecondFactor) => {
                self.note_second_factor(&account).await?;
                Ok(PhoneAdmission::SecondFactor)
            }
            Completed::VerifyEmail | Completed::Refused(_) => Ok(PhoneAdmission::Refused),
        }
    }

    /// Creates the account of the phone. None when a concurrent request did, with another code for the same phone.
    async fn register_phone(&mut self, login: &LoginName) -> Result<Option<Person>, Fault> {
        let new = NewPerson {
            login,
            verified_at: Some(self.now),
            display_name: "",
            password_hash: None,
            agreed_to_terms: false,
            terms_version: None,
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
        self.audit(Action::SignedUp, subject, json!({ "method": "phone" })).await?;
        self.audit(Action::PhoneVerified, subject, json!({})).await?;
        Ok(Some(person))
    }
}
