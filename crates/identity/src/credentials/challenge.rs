//! Codes and links: sent out, and answered once.

use serde_json::json;
use tidegate_crypto::PlainToken;
use tidegate_delivery::Template;
use tidegate_domain::account::Account;
use tidegate_domain::challenge::{CODE_DIGITS, Challenge, Continuation, MAX_ATTEMPTS, Purpose, Standing};
use tidegate_domain::id::ChallengeId;
use tidegate_domain::{EmailAddress, Secret, limit};
use tidegate_kernel::KernelTables;
use tidegate_kernel::fault::Fault;
use tidegate_kernel::message::Mail;
use tidegate_kernel::throttle::Counted;

use crate::credentials::challenges_repository::NewChallenge;
use crate::work::Work;
use crate::{Identity, IdentityTables};

/// Temporary tokens are of this kind.
const TEMPORARY_PREFIX: &str = "tgt_";
/// Tokens in links are of this kind.
const LINK_PREFIX: &str = "tgl_";
/// What the hashes of codes are keyed for.
const CODE: &str = "one-time code";

/// What became of a code.
pub(crate) enum Answer {
    /// It is right, and nobody else can use it any more.
    Right,
    /// It is wrong; the try is counted once the unit commits.
    Wrong,
    /// It was answered before, or withdrawn.
    Used,
    /// Too late.
    Expired,
    /// No try is left, of this challenge or of the account.
    Exhausted(limit::Exceeded),
}

impl Identity {
    /// A code's form in the store: bound to its challenge, and keyed because a million codes are soon tried.
    pub(crate) fn code_mac(&self, challenge: ChallengeId, code: &str) -> [u8; 32] {
        self.kernel.vault.mac(CODE, &code_message(challenge, code))
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

impl Work<'_> {
    /// Answers a challenge with a code. Of any number of concurrent right codes exactly one is taken: the try is
    /// counted and the challenge consumed under one row lock.
    pub(crate) async fn answer(&mut self, challenge: &Challenge, code: &Secret) -> Result<Answer, Fault> {
        match challenge.standing(self.now) {
            Standing::Open => {}
            Standing::Consumed => return Ok(Answer::Used),
            Standing::Blocked => return Ok(Answer::Exhausted(blocked(challenge).exceeded_at(self.now))),
            Standing::Expired => return Ok(Answer::Expired),
        }
        if let Some(account) = challenge.account {
            self.lock(account).await?;
        }
        if !self.unit.challenges().count_attempt(challenge.id).await? {
            // Others were counted first: one of them was right, or none is left.
            let again = self.unit.challenges().find(challenge.purpose, challenge.id).await?;
            let exhausted = again.is_some_and(|again| again.standing(self.now) == Standing::Blocked);
            return Ok(if exhausted {
                Answer::Exhausted(blocked(challenge).exceeded_at(self.now))
            } else {
                Answer::Used
            });
        }
        // Strangers who guess at a phone's codes do not use up the tries at a mailbox's.
        let failures = challenge.account.map(|account| match challenge.purpose {
            Purpose::RegisterPhone | Purpose::SignInByPhone => Counted::FailedPhoneCodeByAccount(account),
            _ => Counted::FailedCodeByAccount(account),
        });
        if let Some(failures) = failures
            && let Some(exceeded) =
                self.count(failures, self.app.kernel.settings.failed_codes_by_account).await?
        {
            return Ok(Answer::Exhausted(exceeded));
        }
        let stored = challenge.code_mac.as_deref().unwrap_or_default();
        if !self.app.kernel.vault.verify_mac(CODE, &code_message(challenge.id, code.expose()), stored) {
            return Ok(Answer::Wrong);
        }
        if let Some(failures) = failures {
            self.unit.limits().refund(&self.app.kernel.bucket(self.call, failures)).await?;
        }
        let consumed = self.unit.challenges().consume(challenge.id, self.now).await?;
        Ok(if consumed { Answer::Right } else { Answer::Used })
    }

    /// What is about to be sent to an address or phone, without anything yet that could be sent back.
    pub(crate) fn new_challenge<'c>(&mut self, purpose: Purpose, address: &'c str) -> NewChallenge<'c> {
        new_challenge(&self.kernel(), purpose, address)
    }

    /// Sends a code and a link to an address that is to be verified; answers the temporary token that goes with the
    /// code.
    pub(crate) async fn challenge_email(
        &mut self,
        account: &Account,
        email: &EmailAddress,
        continuation: Continuation,
    ) -> Result<PlainToken, Fault> {
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
        self.mail_code(new.id, email, code.expose(), &link).await?;
        Ok(temporary)
    }

    async fn mail_code(
        &mut self,
        cause: ChallengeId,
        email: &EmailAddress,
        code: &str,
        link: &PlainToken,
    ) -> Result<(), Fault> {
        self.send(Mail {
            template: Template::SignUpCode,
            to: email,
            // Chosen by a caller who has not shown the mailbox.
            display_name: "",
            cause: cause.into(),
            values: json!({
                "code": code,
                "link": self.app.kernel.verify_email_link(link).expose(),
                "minutes": self.call.profile.codes.verify_email.as_secs() / 60,
            }),
            deliverable: true,
        })
        .await
    }
}

/// What most challenges continue with.
const NOTHING: &Continuation = &Continuation { remember_me: false, invitation: None };

/// A challenge without tries left, as the limit it is.
fn blocked(challenge: &Challenge) -> limit::Standing {
    limit::Standing {
        limit: MAX_ATTEMPTS.unsigned_abs(),
        remaining: 0,
        resets_at: challenge.expires_at,
        exceeded: true,
    }
}
