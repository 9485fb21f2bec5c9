//! Codes and links: sent out, and answered once.

use serde_json::json;
use tidegate_crypto::PlainToken;
use tidegate_database::Unit;
use tidegate_delivery::{Template, minutes};
use tidegate_domain::account::{Account, LoginName};
use tidegate_domain::challenge::{
    CODE_DIGITS, Challenge, ChallengeStatus, Continuation, MAX_ATTEMPTS, MAX_KNOWN_ATTEMPTS, Purpose,
    REPEATED_FOR,
};
use tidegate_domain::id::{AccountId, ChallengeId};
use tidegate_domain::limit::{self, Limit};
use tidegate_domain::{EmailAddress, PhoneNumber, Secret, Timestamp};
use tidegate_kernel::fault::Fault;
use tidegate_kernel::message::{Language, Mail};
use tidegate_kernel::noted::{self, CredentialFault};
use tidegate_kernel::reserved::Reserved;
use tidegate_kernel::throttle::Counted;
use tidegate_kernel::{Call, CountedMessage, Refused, Settings};

use crate::credentials::challenges_repository::NewChallenge;
use crate::work::Work;
use crate::{Identity, IdentityTables};

/// Temporary tokens are of this kind.
pub(crate) const TEMPORARY_PREFIX: &str = "tgt_";
/// Tokens in links are of this kind.
const LINK_PREFIX: &str = "tgl_";
/// Password-reset tokens are of this kind.
pub(crate) const RESET_PREFIX: &str = "tgp_";
/// Tokens that take a changed address back are of this kind.
pub(crate) const RESTORE_PREFIX: &str = "tgu_";
/// What the hashes of codes are keyed for.
const CODE: &str = "one-time code";

/// What the log says of a code or token that was used.
const USED_TOKEN: &str = "used before, or withdrawn by a newer one";

/// The result of checking a code.
pub(crate) enum Answer {
    /// It is correct, and cannot be used again.
    Right,
    /// It is wrong; the try is counted once the unit commits.
    Wrong,
    /// It is right, and the challenge was answered before: this request may be a repeat of the one that did.
    Again,
    /// The challenge was answered before, or withdrawn, and the code is not its own; the try is counted once the unit commits.
    Used,
    /// Too late.
    Expired,
    /// No try is left, of this challenge or of the account.
    Exhausted(limit::Exceeded),
}

/// Notes why a temporary token leads nowhere `now`: the client is not told.
pub(crate) fn note_token(found: Option<&Challenge>, now: Timestamp) {
    noted::refused(match found.map(|challenge| (challenge.status(now), challenge.expires_at)) {
        None => CredentialFault::Temporary("unknown, of another step, or expired long ago"),
        Some((ChallengeStatus::Consumed, _)) => CredentialFault::Temporary(USED_TOKEN),
        Some((ChallengeStatus::Blocked, _)) => {
            CredentialFault::Temporary("too many wrong codes came with it")
        }
        Some((ChallengeStatus::Expired, at)) => CredentialFault::expired("temporary token", at, now),
        Some((ChallengeStatus::Open, _)) => {
            CredentialFault::Temporary("its account is gone or disabled, or cannot be signed in to with it")
        }
    });
}

/// Notes why the code or the token of a link, that a mail brought, leads nowhere `now`: the client is not told.
pub(crate) fn note_mailed(term: &'static str, found: Option<&Challenge>, now: Timestamp) {
    let no_use = |why| CredentialFault::Mailed { term, why };
    let Some(challenge) = found else {
        // It may be known as one of another kind, which says more.
        noted::refused_otherwise(no_use("unknown, withdrawn by a newer one, or expired long ago"));
        return;
    };
    noted::refused(match challenge.status(now) {
        ChallengeStatus::Consumed => no_use(USED_TOKEN),
        ChallengeStatus::Blocked => no_use("too many wrong codes came for it"),
        ChallengeStatus::Expired => CredentialFault::expired(term, challenge.expires_at, now),
        ChallengeStatus::Open => no_use("sent with another address or time than it was made for"),
    });
}

/// What the link of a mail is for, if it can be followed `now`; noted is why it cannot.
pub(crate) fn if_open(found: Option<Challenge>, now: Timestamp) -> Option<Challenge> {
    let is_open = |found: &Challenge| found.status(now) == ChallengeStatus::Open;
    if !found.as_ref().is_some_and(is_open) {
        note_mailed("link", found.as_ref(), now);
    }
    found.filter(is_open)
}

/// Notes why a code is not taken: not all contracts tell the client.
fn note_answer(challenge: &Challenge, answer: &Answer, now: Timestamp) {
    noted::refused(match answer {
        Answer::Right | Answer::Again => return,
        Answer::Wrong => CredentialFault::OneTimeCode("wrong"),
        Answer::Used => CredentialFault::OneTimeCode(USED_TOKEN),
        Answer::Expired => CredentialFault::expired("one-time code", challenge.expires_at, now),
        Answer::Exhausted(_) => CredentialFault::OneTimeCode("too many wrong ones"),
    });
}

/// Refuses a temporary token.
pub(crate) fn no_token<E>(found: Option<&Challenge>, now: Timestamp, error: E) -> Refused<E> {
    note_token(found, now);
    Refused::Rule(error)
}

/// Refuses one that was used, perhaps by a request at the same time.
pub(crate) fn used_token<E>(error: E) -> Refused<E> {
    noted::refused(CredentialFault::Temporary(USED_TOKEN));
    Refused::Rule(error)
}

/// A challenge of an address, made and not yet sent.
pub(crate) struct EmailChallenge {
    id: ChallengeId,
    /// Goes with the code.
    pub(crate) temporary: PlainToken,
    code: Secret,
    link: PlainToken,
    language: Language,
}

/// A code that is about to be compared, and how it is counted, should it be wrong.
pub(crate) struct Guess {
    /// The phone it was texted to, if it was.
    phone: Option<LoginName>,
    /// Whether the phone's account has signed in from the caller's network.
    is_known: bool,
    /// Wrong codes after which the challenge is blocked for the caller.
    most: i32,
    /// What is counted already of the caller's network. Without it, no code is compared.
    reserved: Option<Reserved>,
    /// By how much that is too many.
    exceeded: Option<limit::Exceeded>,
}

impl Guess {
    /// What is counted beside the caller's network, and up to where: in the unit that answers, which one try at a time gets through.
    ///
    /// A code that was mailed is guessed at by those who hold its temporary token. One that was texted is guessed at by all
    /// who know the number: five times from one network, and unknown networks together neither void it nor use up the
    /// hour's attempts of the networks that the phone's account signs in from.
    fn counted<'g>(
        &'g self,
        challenge: &Challenge,
        settings: &Settings,
        now: Timestamp,
    ) -> Vec<(Counted<'g>, Limit)> {
        let by_account = settings.failed_codes_by_account;
        let Some(phone) = &self.phone else {
            let account = challenge.account.map(Counted::FailedCodeByAccount);
            return account.zip(by_account).into_iter().collect();
        };
        let of_phone = if self.is_known {
            Counted::FailedPhoneCodeFromKnownNetwork(phone)
        } else {
            Counted::FailedPhoneCode(phone)
        };
        let window = challenge.expires_at.since(now).max(REPEATED_FOR);
        let of_challenge = Limit { attempts: MAX_ATTEMPTS.unsigned_abs(), window };
        let of_challenge = (Counted::FailedCodeOfChallenge(challenge.id), of_challenge);
        [of_challenge].into_iter().chain(by_account.map(|limit| (of_phone, limit))).collect()
    }
}

impl Identity {
    /// A code's form in the store: bound to its challenge, and keyed because a million codes are soon tried.
    pub(crate) fn code_mac(&self, challenge: ChallengeId, code: &str) -> [u8; 32] {
        self.kernel.vault.mac(CODE, &code_message(challenge, code))
    }
}

impl Identity {
    /// Whether it is the code whose form in the store is `stored`.
    pub(crate) fn is_code(&self, challenge: ChallengeId, code: &Secret, stored: &[u8]) -> bool {
        self.kernel.vault.verify_mac(CODE, &code_message(challenge, code.expose()), stored)
    }
}

impl Identity {
    /// Counts a code for a challenge as the wrong one it may be, before it is compared: a crowd of concurrent guesses stays within the
    /// limits. That of the caller's network is counted in a unit of its own: nobody in a network waits for what another one's right
    /// code leads to. The others are counted by [`Work::answer`]. `unit` is one that reads.
    pub(crate) async fn reserve_guess(
        &self,
        call: &Call,
        mut unit: Unit,
        challenge: &Challenge,
    ) -> Result<Guess, Fault> {
        let most = challenge.purpose.max_attempts();
        let mut guess = Guess { phone: None, is_known: false, most, reserved: None, exceeded: None };
        if challenge.purpose.is_by_phone() {
            let phone = LoginName::Phone(PhoneNumber::from_stored(challenge.address.clone()));
            guess.is_known = self.kernel.is_known_network(&mut unit, call, &phone).await?;
            guess.most += if guess.is_known { MAX_KNOWN_ATTEMPTS } else { 0 };
            guess.phone = Some(phone);
        }
        // On SQLite there is one unit that writes, and on PostgreSQL each takes a connection.
        drop(unit);
        let now = self.kernel.now();
        let is_compared = match challenge.status_within(guess.most, now) {
            ChallengeStatus::Open => true,
            ChallengeStatus::Consumed => challenge.expires_at.plus(REPEATED_FOR) > now,
            ChallengeStatus::Blocked | ChallengeStatus::Expired => false,
        };
        if is_compared {
            let by_network = self.kernel.settings.failed_codes_by_network;
            match self.kernel.reserve(call, Counted::FailedCodeByNetwork, by_network).await? {
                Ok(reserved) => guess.reserved = Some(reserved),
                Err(exceeded) => guess.exceeded = Some(exceeded),
            }
        }
        Ok(guess)
    }

    /// Whether it is the code of the challenge.
    fn is_code_of(&self, challenge: &Challenge, code: &Secret) -> bool {
        self.is_code(challenge.id, code, challenge.code_mac.as_deref().unwrap_or_default())
    }
}

fn code_message(challenge: ChallengeId, code: &str) -> Vec<u8> {
    [challenge.0.as_bytes().as_slice(), code.as_bytes()].concat()
}

/// What is about to be sent to an address or phone, without anything yet that could be sent back.
pub(crate) fn new_challenge<'c>(
    work: &tidegate_kernel::Work<'_>,
    purpose: Purpose,
    address: &'c str,
) -> NewChallenge<'c> {
    let profile = &work.call.profile;
    NewChallenge {
        id: work.kernel.entropy.uuid(work.now).into(),
        account: None,
        purpose,
        address,
        handle_hash: None,
        link_hash: None,
        code_mac: None,
        contract: profile.contract,
        continuation: NOTHING,
        created_at: work.now,
        expires_at: work.now.plus(profile.codes.of(purpose)),
    }
}

impl<G> Work<'_, G> {
    /// Answers a challenge with a code. Of any number of concurrent right codes exactly one is taken: the try is
    /// counted and the challenge consumed by one statement, under the account's lock.
    pub(crate) async fn answer(
        &mut self,
        challenge: &Challenge,
        code: &Secret,
        guess: Guess,
    ) -> Result<Answer, Fault> {
        let answer = self.compared(challenge, code, guess).await?;
        note_answer(challenge, &answer, self.now);
        Ok(answer)
    }

    async fn compared(
        &mut self,
        challenge: &Challenge,
        code: &Secret,
        mut guess: Guess,
    ) -> Result<Answer, Fault> {
        let most = guess.most;
        // Given back unless it turns out to be a wrong code.
        self.reserved = guess.reserved.take();
        let status = challenge.status_within(most, self.now);
        match status {
            ChallengeStatus::Open => {}
            ChallengeStatus::Consumed if challenge.expires_at.plus(REPEATED_FOR) > self.now => {}
            ChallengeStatus::Consumed => return Ok(Answer::Used),
            ChallengeStatus::Blocked => {
                return Ok(Answer::Exhausted(blocked(challenge).exceeded_at(self.now)));
            }
            ChallengeStatus::Expired => return Ok(Answer::Expired),
        }
        if let Some(exceeded) = guess.exceeded {
            return Ok(Answer::Exhausted(exceeded));
        }
        if self.reserved.is_none() {
            return Err(Fault::Internal("a code that is not counted is not compared".to_owned()));
        }
        if status == ChallengeStatus::Open {
            // Also for an unknown phone: answer and time are the same for both.
            self.lock(challenge.account.unwrap_or(AccountId(challenge.id.0))).await?;
        }
        if let Some(exceeded) = self.count_guess(challenge, &guess).await? {
            return Ok(Answer::Exhausted(exceeded));
        }
        if status == ChallengeStatus::Consumed {
            return Ok(self.answer_again(challenge, code));
        }
        let is_right = self.app.is_code_of(challenge, code);
        let mut challenges = self.unit.challenges();
        let is_counted = match challenge.code_mac.as_deref().filter(|_| is_right) {
            Some(mac) => challenges.take(challenge.id, mac, most, self.now).await?,
            None => challenges.count_attempt(challenge.id, most).await?,
        };
        if is_counted {
            return Ok(if is_right { Answer::Right } else { self.wrong(Answer::Wrong) });
        }
        // Others were counted first: one of them was right, or none is left.
        let again = self.unit.challenges().find(challenge.purpose, challenge.id).await?;
        Ok(match again.as_ref().map(|again| again.status_within(most, self.now)) {
            Some(ChallengeStatus::Blocked) => Answer::Exhausted(blocked(challenge).exceeded_at(self.now)),
            Some(ChallengeStatus::Consumed) => self.answer_again(challenge, code),
            _ => Answer::Used,
        })
    }

    /// Counts what is not counted already; answers by how much it is too many, if it is.
    async fn count_guess(
        &mut self,
        challenge: &Challenge,
        guess: &Guess,
    ) -> Result<Option<limit::Exceeded>, Fault> {
        let app = self.app;
        let counted = guess.counted(challenge, &app.kernel.settings, self.now);
        let exceeded = self.kernel().count_each(&counted).await?.into_iter().flatten().next();
        if let Some(reserved) = &mut self.reserved {
            let counted: Vec<_> = counted.iter().map(|(counted, _)| *counted).collect();
            reserved.and_in_unit(&app.kernel, self.call, &counted);
        }
        Ok(exceeded)
    }

    /// Looks at a code for a challenge that was answered. Wrong ones are counted as ever: the answer that is kept for a repeat
    /// must not be had by guessing.
    fn answer_again(&mut self, challenge: &Challenge, code: &Secret) -> Answer {
        if self.app.is_code_of(challenge, code) { Answer::Again } else { self.wrong(Answer::Used) }
    }

    /// The code was wrong: it stays counted.
    fn wrong(&mut self, answer: Answer) -> Answer {
        if let Some(mut reserved) = self.reserved.take() {
            reserved.keep();
        }
        self.app.kernel.note_wrong_code();
        answer
    }

    /// What is about to be sent to an address or phone, without anything yet that could be sent back.
    pub(crate) fn new_challenge<'c>(&mut self, purpose: Purpose, address: &'c str) -> NewChallenge<'c> {
        new_challenge(&self.kernel(), purpose, address)
    }

    /// A code and a link for an address that is to be verified. [`Work::send_email_challenge`] sends them, last of all.
    pub(crate) async fn new_email_challenge(
        &mut self,
        account: &Account,
        email: &EmailAddress,
        continuation: Continuation,
    ) -> Result<EmailChallenge, Fault> {
        let entropy = self.app.kernel.entropy.as_ref();
        let code = tidegate_crypto::one_time_code(CODE_DIGITS, entropy);
        let temporary = PlainToken::generate(TEMPORARY_PREFIX, entropy);
        let link = PlainToken::generate(LINK_PREFIX, entropy);
        let (temporary_hash, link_hash) = (temporary.hash(), link.hash());
        let new = self.new_challenge(Purpose::VerifyEmail, email.as_str());
        let mac = self.app.code_mac(new.id, code.expose());
        let new = NewChallenge {
            account: Some(account.id),
            handle_hash: Some(temporary_hash.as_bytes()),
            link_hash: Some(link_hash.as_bytes()),
            code_mac: Some(&mac),
            continuation: &continuation,
            ..new
        };
        self.unit.challenges().insert(&new).await?;
        // Its account was just made, in the language of the request.
        let is_new = self.unit.has_made(account.id.0);
        let language = if is_new { Language::Known(None) } else { Language::OfRecipient };
        Ok(EmailChallenge { id: new.id, temporary, code, link, language })
    }

    /// Sends the code and the link of a challenge.
    pub(crate) async fn send_email_challenge(
        &mut self,
        email: &EmailAddress,
        challenge: &EmailChallenge,
        message: CountedMessage,
    ) -> Result<(), Fault> {
        let mail = Mail {
            template: Template::SignUpCode,
            to: email,
            // Chosen by a caller who has not shown the mailbox.
            display_name: "",
            cause: challenge.id.into(),
            values: json!({
                "code": challenge.code.expose(),
                "link": self.app.kernel.verify_email_link(&challenge.link).expose(),
                "minutes": minutes(self.call.profile.codes.verify_email),
            }),
            deliverable: true,
        };
        self.kernel().send_in(mail, challenge.language.clone(), message).await
    }
}

/// What most challenges continue with.
const NOTHING: &Continuation = &Continuation::NOTHING;

/// A challenge without tries left, as the limit it is.
fn blocked(challenge: &Challenge) -> limit::LimitStatus {
    noted::limit(|| Counted::FailedCodeOfChallenge(challenge.id).limit_key(challenge.contract.as_str()));
    limit::LimitStatus {
        limit: MAX_ATTEMPTS.unsigned_abs(),
        remaining: 0,
        resets_at: challenge.expires_at,
        exceeded: true,
    }
}
