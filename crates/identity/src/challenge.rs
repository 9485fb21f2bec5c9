//! Codes and links: sent out, and answered once.

use serde_json::json;
use tidegate_crypto::PlainToken;
use tidegate_delivery::Template;
use tidegate_domain::account::Account;
use tidegate_domain::challenge::{CODE_DIGITS, Challenge, Continuation, MAX_ATTEMPTS, Purpose, Standing};
use tidegate_domain::id::ChallengeId;
use tidegate_domain::{EmailAddress, Secret, limit};
use tidegate_store::challenges::NewChallenge;

use crate::Identity;
use crate::fault::Fault;
use crate::mail::Mail;
use crate::throttle::Counted;
use crate::work::Work;

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
        self.vault.mac(CODE, &code_message(challenge, code))
    }
}

fn code_message(challenge: ChallengeId, code: &str) -> Vec<u8> {
    [challenge.0.as_bytes().as_slice(), code.as_bytes()].concat()
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
        let failures = challenge.account.map(Counted::FailedCodeByAccount);
        let failures = failures.map(|counted| self.app.bucket(self.call, counted));
        if let (Some(failures), Some(limit)) = (&failures, self.app.settings.failed_codes_by_account) {
            let standing = self.unit.limits().count(failures, limit, 1, self.now).await?;
            if standing.exceeded {
                return Ok(Answer::Exhausted(standing.exceeded_at(self.now)));
            }
        }
        let stored = challenge.code_mac.as_deref().unwrap_or_default();
        if !self.app.vault.verify_mac(CODE, &code_message(challenge.id, code.expose()), stored) {
            return Ok(Answer::Wrong);
        }
        if let Some(failures) = &failures {
            self.unit.limits().refund(failures).await?;
        }
        let consumed = self.unit.challenges().consume(challenge.id, self.now).await?;
        Ok(if consumed { Answer::Right } else { Answer::Used })
    }

    /// Sends a code and a link to an address that is to be verified; answers the temporary token that goes with the
    /// code.
    pub(crate) async fn challenge_email(
        &mut self,
        account: &Account,
        email: &EmailAddress,
        continuation: Continuation,
    ) -> Result<PlainToken, Fault> {
        let (app, entropy) = (self.app, self.app.entropy.as_ref());
        let id = entropy.uuid(self.now);
        let code = tidegate_crypto::one_time_code(CODE_DIGITS, entropy);
        let temporary = PlainToken::generate(TEMPORARY_PREFIX, entropy);
        let link = PlainToken::generate(LINK_PREFIX, entropy);
        let lifetime = Purpose::VerifyEmail.lifetime();
        self.unit
            .challenges()
            .insert(&NewChallenge {
                id: id.into(),
                account: Some(account.id),
                purpose: Purpose::VerifyEmail,
                address: email.as_str(),
                handle_hash: Some(temporary.hash().as_bytes()),
                link_hash: Some(link.hash().as_bytes()),
                code_mac: Some(&app.code_mac(id.into(), code.expose())),
                dialect: self.call.profile.dialect,
                continuation: &continuation,
                created_at: self.now,
                expires_at: self.now.plus(lifetime),
            })
            .await?;
        self.send(Mail {
            template: Template::SignUpCode,
            to: email,
            display_name: &account.display_name,
            cause: id,
            values: json!({
                "code": code.expose(),
                "link": app.verify_email_link(&link).expose(),
                "minutes": lifetime.as_secs() / 60,
            }),
            deliverable: true,
        })
        .await?;
        Ok(temporary)
    }
}

/// A challenge without tries left, as the limit it is.
fn blocked(challenge: &Challenge) -> limit::Standing {
    limit::Standing {
        limit: MAX_ATTEMPTS.unsigned_abs(),
        remaining: 0,
        resets_at: challenge.expires_at,
        exceeded: true,
    }
}
