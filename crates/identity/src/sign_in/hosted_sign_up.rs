//! Signs up on the hosted page: nothing is made before the code from the mailbox comes back.
//!
//! The contracts' sign-up says which addresses are taken. The page does not: for an address that is in use, the same rows are written by
//! the same statements, a code is asked for that nothing matches, and the mail tells the address's owner that there is an account. What is
//! made has a proven address from the start: nobody can take an address here without its mailbox, or set a password for its owner.

use serde_json::json;
use tidegate_crypto::PlainToken;
use tidegate_database::Unit;
use tidegate_delivery::{Template, minutes};
use tidegate_domain::account::LoginName;
use tidegate_domain::audit::Action;
use tidegate_domain::challenge::{CODE_DIGITS, Challenge, Continuation, PendingSignUp, Purpose};
use tidegate_domain::id::ChallengeId;
use tidegate_domain::password::WeakPassword;
use tidegate_domain::session::{Amr, AmrSet};
use tidegate_domain::{EmailAddress, Password, Secret, limit};
use tidegate_kernel::admission::Evidence;
use tidegate_kernel::fault::{Fault, Outcome, refuse};
use tidegate_kernel::issue::SignedIn;
use tidegate_kernel::message::Mail;
use tidegate_kernel::one_time::OneTime;
use tidegate_kernel::throttle::Counted;
use tidegate_kernel::work::Subject;
use tidegate_kernel::{Call, CountedMessage};

use crate::accounts::people::{NewPerson, Person};
use crate::credentials::challenge::{Answer, TEMPORARY_PREFIX, no_token, used_token};
use crate::credentials::challenges_repository::NewChallenge;
use crate::sign_in::complete::{Completed, Completion, Refusal};
use crate::sign_in::confirm_code::ConfirmCode;
use crate::sign_in::kept::KeptSignIn;
use crate::work::Work;
use crate::{Identity, IdentityTables};

/// The input of a sign-up on the page.
#[derive(Clone, Debug)]
pub struct HostedSignUp {
    /// Their address.
    pub email: EmailAddress,
    /// Their password.
    pub password: Password,
    /// Their name; empty when not given.
    pub display_name: String,
}

/// Why a sign-up was not begun.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BeginSignUpError {
    /// The rules for passwords.
    #[error("password {0}")]
    WeakPassword(WeakPassword),
}

/// Why a sign-up was not confirmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfirmSignUpError {
    /// The temporary token is unknown or was used, or the address has got an account since.
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
    /// The account cannot be signed in to with a code alone.
    #[error("the account cannot be signed in to with a code alone")]
    NotAdmitted,
}

impl Identity {
    /// Mails a code to an address for which an account is to be made, and answers the temporary token that goes with it. An address that
    /// is in use is answered alike: see above. The same request sent again within a minute gets the same answer, or the token of the last
    /// mail that was asked for since.
    ///
    /// # Errors
    /// [`BeginSignUpError`].
    pub async fn begin_sign_up(&self, call: &Call, claim: HostedSignUp) -> Outcome<Secret, BeginSignUpError> {
        self.kernel.require_mail()?;
        // A password that is only mistyped costs no attempt.
        if let Err(weak) = call.profile.password.check(&claim.password) {
            return refuse(BeginSignUpError::WeakPassword(weak));
        }
        self.kernel.throttle(call, &[(Counted::SignUpByIp, call.profile.limits.sign_up_by_ip)]).await?;
        let HostedSignUp { email, password, display_name } = claim;
        let proof = json!([email.as_str(), password.expose(), display_name]);
        let action = self.kernel.one_time(call, "hosted sign-up", &proof);
        let mut unit = self.kernel.store.read().await?;
        let known = self.known_token(call, &mut unit, &action).await?;
        drop(unit);
        if let Some(known) = known {
            return Ok(known);
        }
        let hash = self.hash_for_client(call, password).await?;
        let pending = PendingSignUp { display_name, password: self.seal_password(&email, &hash)? };
        let message = self.kernel.count_message(call).await?;
        let work = self.begin(call).await?;
        Ok(work.send_sign_up_code(&email, pending, &action, message).await?)
    }

    /// Mails another code, withdraws the old one, and answers the temporary token that goes with the new one. The same request sent
    /// again within a minute gets the same answer, or the token of the last mail that was asked for since.
    ///
    /// # Errors
    /// [`ConfirmSignUpError::InvalidToken`].
    pub async fn resend_sign_up(
        &self,
        call: &Call,
        temporary_token: &PlainToken,
    ) -> Outcome<Secret, ConfirmSignUpError> {
        self.kernel.require_mail()?;
        let action = self.another_mail(call, temporary_token.expose());
        let mut unit = self.kernel.store.read().await?;
        if let Some(known) = self.known_token(call, &mut unit, &action).await? {
            return Ok(known);
        }
        let hash = temporary_token.hash();
        let found = unit.challenges().find_by_handle(Purpose::SignUp, hash.as_bytes()).await?;
        drop(unit);
        // One that has expired is sent anew, too: that is what its page says to do.
        let challenge = match found {
            Some(challenge) if challenge.consumed_at.is_none() => challenge,
            found => {
                return Err(no_token(found.as_ref(), self.kernel.now(), ConfirmSignUpError::InvalidToken));
            }
        };
        let pending = pending(&challenge)?.clone();
        self.kernel.throttle(call, &[(Counted::SignUpByIp, call.profile.limits.sign_up_by_ip)]).await?;
        let message = self.kernel.count_message(call).await?;
        let mut work = self.begin(call).await?;
        let now = work.now;
        if !work.unit.challenges().consume(challenge.id, now).await? {
            // Perhaps by this very request, sent twice at once.
            let known = self.known_token(call, &mut work.unit, &action).await?;
            return known.ok_or_else(|| used_token(ConfirmSignUpError::InvalidToken));
        }
        // The new one has it.
        work.unit.challenges().forget_continuation(challenge.id).await?;
        let email = EmailAddress::from_stored(challenge.address);
        Ok(work.send_sign_up_code(&email, pending, &action, message).await?)
    }

    /// Confirms the mailed code: makes the account, with the organization, workspace and roles that every person gets, and opens its first
    /// session. The same request sent again within a minute gets the same answer.
    ///
    /// # Errors
    /// [`ConfirmSignUpError`].
    pub async fn confirm_sign_up(
        &self,
        call: &Call,
        claim: ConfirmCode,
    ) -> Outcome<SignedIn, ConfirmSignUpError> {
        let hash = claim.temporary_token.hash();
        // What is no token is refused before it costs a turn at the writer.
        let mut unit = self.kernel.store.read().await?;
        let found = unit.challenges().find_by_handle(Purpose::SignUp, hash.as_bytes()).await?;
        let Some(challenge) = found else {
            return Err(no_token(None, self.kernel.now(), ConfirmSignUpError::InvalidToken));
        };
        let guess = self.reserve_guess(call, unit, &challenge).await?;
        let mut work = self.begin(call).await?;
        let proof = json!([claim.temporary_token.expose(), claim.code.expose()]);
        let action = self.kernel.one_time(call, "confirm hosted sign-up", &proof);
        match work.answer(&challenge, &claim.code, guess).await? {
            Answer::Right => work.admit_signed_up(&challenge, &action).await,
            Answer::Again => {
                let login = EmailAddress::from_stored(challenge.address.clone()).into();
                let known = match self.kernel.answered::<KeptSignIn>(&mut work.unit, &action).await? {
                    Some(kept) => kept.open_again(&self.kernel, &mut work.unit, login).await?,
                    None => None,
                };
                work.commit().await?;
                known.ok_or_else(|| used_token(ConfirmSignUpError::InvalidToken))
            }
            Answer::Wrong => {
                work.commit().await?;
                refuse(ConfirmSignUpError::WrongCode)
            }
            Answer::Used => {
                work.commit().await?;
                Err(used_token(ConfirmSignUpError::InvalidToken))
            }
            Answer::Expired => refuse(ConfirmSignUpError::Expired),
            Answer::Exhausted(exceeded) => refuse(ConfirmSignUpError::TooManyAttempts(exceeded)),
        }
    }

    /// Has another code mailed in the place of the one that goes with that temporary token.
    fn another_mail(&self, call: &Call, token: &str) -> OneTime {
        self.kernel.one_time(call, "resend hosted sign-up", &json!(token))
    }

    /// The temporary token that is kept for an action, or the one of the last mail that was asked for since: another mail withdraws the
    /// code before it, and a form that the browser's way back sends again would lead to a code that can never be right.
    async fn known_token(
        &self,
        call: &Call,
        unit: &mut Unit,
        action: &OneTime,
    ) -> Result<Option<Secret>, Fault> {
        let mut known = self.kernel.answered::<String>(unit, action).await?;
        // Each is kept longer than the one before it: while the first one is kept, none of the others is missing.
        while let Some(token) = &known {
            let next = self.another_mail(call, token);
            let Some(next) = self.kernel.answered::<String>(unit, &next).await? else { break };
            known = Some(next);
        }
        Ok(known.map(Secret::new))
    }

    /// The hash of a password whose account is not made yet: it opens for its address alone.
    fn seal_password(&self, email: &EmailAddress, hash: &str) -> Result<String, Fault> {
        let kernel = &self.kernel;
        let sealed = kernel.vault.seal(&sealed_for(email), hash.as_bytes(), kernel.entropy.as_ref())?;
        Ok(hex::encode(sealed))
    }

    fn open_password(&self, email: &EmailAddress, sealed: &str) -> Result<String, Fault> {
        let unreadable = || Fault::Internal("the password of a sign-up cannot be read".to_owned());
        let sealed = hex::decode(sealed).map_err(|_| unreadable())?;
        let opened = self.kernel.vault.open(&sealed_for(email), &sealed)?;
        String::from_utf8(opened.to_vec()).map_err(|_| unreadable())
    }
}

fn sealed_for(email: &EmailAddress) -> String {
    format!("password of a sign-up {}", email.as_str())
}

/// What is made once the challenge is answered.
fn pending(challenge: &Challenge) -> Result<&PendingSignUp, Fault> {
    let pending = challenge.continuation.sign_up.as_ref();
    pending.ok_or_else(|| Fault::Internal("a sign-up says nothing of its account".to_owned()))
}

impl Work<'_> {
    /// Mails the code, or tells the address's owner that there is an account; keeps the answer for repeats, and commits.
    async fn send_sign_up_code(
        mut self,
        email: &EmailAddress,
        pending: PendingSignUp,
        action: &OneTime,
        message: CountedMessage,
    ) -> Result<Secret, Fault> {
        let app = self.app;
        let token = PlainToken::generate(TEMPORARY_PREFIX, app.kernel.entropy.as_ref());
        self.kernel().keep_answer(action, &token.expose()).await?;
        let kept = app.kernel.answered::<String>(&mut self.unit, action).await?;
        if let Some(first) = kept.filter(|kept| kept != token.expose()) {
            // The same form, sent twice at once: one code is mailed.
            return Ok(Secret::new(first));
        }
        // Both are looked up whatever the first one says: the statements must not tell.
        let owner = self.unit.accounts().owner_of(&LoginName::Email(email.clone())).await?;
        let invited = self.unit.claims().invited(email).await?;
        // An invitation does not keep the address from its owner.
        let is_taken = owner.is_some() && owner != invited;
        let limit = self.call.profile.limits.mails_by_email;
        let deliverable = self.count(Counted::MailsByEmail(email), limit).await?.is_none();
        self.mail_sign_up(email, pending, &token, Told { is_taken, deliverable }, message).await?;
        self.commit().await?;
        Ok(Secret::new(token.expose()))
    }

    async fn mail_sign_up(
        &mut self,
        email: &EmailAddress,
        pending: PendingSignUp,
        token: &PlainToken,
        told: Told,
        message: CountedMessage,
    ) -> Result<(), Fault> {
        let (app, now) = (self.app, self.now);
        let entropy = app.kernel.entropy.as_ref();
        let code = tidegate_crypto::one_time_code(CODE_DIGITS, entropy);
        let handle = token.hash();
        let new = self.new_challenge(Purpose::SignUp, email.as_str());
        // A code that is not on its way to the mailbox is nobody's, and cannot be guessed either.
        let nobodys: ChallengeId = entropy.uuid(now).into();
        let bound = if told.is_taken || !told.deliverable { nobodys } else { new.id };
        let mac = app.code_mac(bound, code.expose());
        let continuation = Continuation { sign_up: Some(pending), ..Continuation::default() };
        let new = NewChallenge {
            handle_hash: Some(handle.as_bytes()),
            code_mac: Some(&mac),
            continuation: &continuation,
            ..new
        };
        self.unit.challenges().insert(&new).await?;
        let (template, values) = if told.is_taken {
            let link = format!("{}/sign-in", app.kernel.settings.public_url);
            (Template::AddressInUse, json!({ "link": link }))
        } else {
            let minutes = minutes(self.call.profile.codes.verify_email);
            (Template::HostedSignUpCode, json!({ "code": code.expose(), "minutes": minutes }))
        };
        let mail = Mail {
            template,
            to: email,
            // Chosen by a caller who has not shown the mailbox.
            display_name: "",
            cause: new.id.into(),
            values,
            deliverable: told.deliverable,
        };
        self.send(mail, message).await
    }

    /// Makes the account, opens its first session, and commits.
    async fn admit_signed_up(
        mut self,
        challenge: &Challenge,
        action: &OneTime,
    ) -> Outcome<SignedIn, ConfirmSignUpError> {
        let email = EmailAddress::from_stored(challenge.address.clone());
        let Some(Person { account, sign_in_target }) = self.make_signed_up(challenge, &email).await? else {
            return Err(no_token(Some(challenge), self.now, ConfirmSignUpError::InvalidToken));
        };
        // The account has both now. The challenge is no row of it: name and password would outlive a change of them, and the account.
        self.unit.challenges().forget_continuation(challenge.id).await?;
        let evidence = Evidence {
            login: LoginName::Email(email),
            is_verified: true,
            methods: AmrSet::of(Amr::OneTimeCode),
            remember_me: false,
            key: None,
            shown_at: None,
            trusted_device: false,
        };
        let history = json!({ "method": "email_verification", "remember_me": false });
        let completion =
            Completion { target: Some(sign_in_target), ..Completion::to_home(evidence, Some(history)) };
        match self.complete_sign_in(&account, completion).await? {
            Completed::SignedIn(signed_in) => {
                self.kernel().keep_answer(action, &KeptSignIn::from(&signed_in)).await?;
                self.commit().await?;
                Ok(signed_in)
            }
            Completed::SecondFactor | Completed::Refused(Refusal::SecondFactor) => {
                self.note_second_factor(&account).await?;
                self.commit().await?;
                refuse(ConfirmSignUpError::NotAdmitted)
            }
            Completed::VerifyEmail | Completed::Refused(_) => refuse(ConfirmSignUpError::NotAdmitted),
        }
    }

    /// Makes the person whose mailbox was just shown. None when another account has proven the address meanwhile.
    async fn make_signed_up(
        &mut self,
        challenge: &Challenge,
        email: &EmailAddress,
    ) -> Result<Option<Person>, Fault> {
        let pending = pending(challenge)?;
        let hash = self.app.open_password(email, &pending.password)?;
        self.yield_invitation(email).await?;
        // Whoever has taken the address since without its mailbox yields, as to any proof.
        self.evict_unproven(email).await?;
        let login = LoginName::Email(email.clone());
        let new = NewPerson {
            login: &login,
            verified_at: Some(self.now),
            display_name: &pending.display_name,
            password_hash: Some(&hash),
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
        self.audit(Action::SignedUp, subject, json!({ "terms_version": null, "agreed_to_terms": false }))
            .await?;
        self.audit(Action::EmailVerified, subject, json!({})).await?;
        Ok(Some(person))
    }
}

/// What becomes of a sign-up's mail.
#[derive(Clone, Copy)]
struct Told {
    /// Whether the address has an account, whose owner is told.
    is_taken: bool,
    /// False beyond the limit of the mailbox.
    deliverable: bool,
}
