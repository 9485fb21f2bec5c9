//! Verifies the new e-mail address of an account.

use serde_json::json;
use tidegate_crypto::PlainToken;
use tidegate_delivery::{Template, minutes};
use tidegate_domain::audit::Action;
use tidegate_domain::challenge::{ChallengeStatus, Purpose};
use tidegate_domain::id::{AccountId, ChallengeId};
use tidegate_domain::{EmailAddress, Permission, Secret, limit};
use tidegate_kernel::fault::{Fault, Outcome, refuse};
use tidegate_kernel::message::Mail;
use tidegate_kernel::{Actor, Call, Refused};

use crate::accounts::proof::ProvenBy;
use crate::credentials::challenge::{Answer, RESTORE_PREFIX};
use crate::credentials::challenges_repository::NewChallenge;
use crate::work::{Acting, Work};
use crate::{Identity, IdentityTables};

/// Why the change was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfirmEmailChangeError {
    /// No change to that address is pending, or another account took it meanwhile.
    #[error("no change to this e-mail address is pending")]
    NotPending,
    /// The code is wrong; the try was counted.
    #[error("the code is wrong: enter that of the newest mail")]
    WrongCode,
    /// Too late.
    #[error("the code has expired; ask for a new one")]
    Expired,
    /// Too many wrong codes.
    #[error("too many wrong codes; ask for a new one")]
    TooManyAttempts(limit::Exceeded),
}

impl Identity {
    /// Makes the new address the account's primary one; answers the address it replaces, which stays as another. The same
    /// request sent again within a minute gets the same answer: see [`tidegate_kernel::one_time`].
    ///
    /// Source: RiverGen "me/email/verify".
    ///
    /// # Errors
    /// [`ConfirmEmailChangeError`].
    pub async fn confirm_email_change(
        &self,
        call: &Call,
        actor: &Actor,
        new_email: &EmailAddress,
        code: &Secret,
    ) -> Outcome<EmailAddress, ConfirmEmailChangeError> {
        let (mut unit, grant) = self.read_as(actor, Permission::ChangeOwnEmail).await?;
        let found = unit.challenges().latest(Purpose::ChangeEmail, grant.account()).await?;
        let pending = found.filter(|found| found.address == new_email.as_str());
        let guess = match &pending {
            Some(challenge) => Some(self.reserve_guess(call, unit, challenge).await?),
            None => {
                drop(unit);
                None
            }
        };
        let mut work = self.begin_as(call, actor, Permission::ChangeOwnEmail).await?;
        work.authorize_recent().await?;
        let account = work.grant.account();
        let proof = json!([work.grant.session().id, new_email.as_str(), code.expose()]);
        let action = self.kernel.one_time(call, "change e-mail", &proof);
        let (Some(challenge), Some(guess)) = (pending, guess) else {
            let known = self.kernel.answered::<EmailAddress>(&mut work.unit, &action).await?;
            return known.ok_or(Refused::Rule(ConfirmEmailChangeError::NotPending));
        };
        match work.answer(&challenge, code, guess).await? {
            Answer::Right => {}
            Answer::Wrong => {
                work.commit().await?;
                return refuse(ConfirmEmailChangeError::WrongCode);
            }
            Answer::Used | Answer::Again => {
                work.commit().await?;
                return refuse(ConfirmEmailChangeError::NotPending);
            }
            Answer::Expired => return refuse(ConfirmEmailChangeError::Expired),
            Answer::Exhausted(exceeded) => return refuse(ConfirmEmailChangeError::TooManyAttempts(exceeded)),
        }
        let Some(old_email) = work.primary_email(account).await? else {
            return refuse(ConfirmEmailChangeError::NotPending);
        };
        if !work.take_email(account, new_email, challenge.id).await? {
            return refuse(ConfirmEmailChangeError::NotPending);
        }
        let (old, new) = (old_email.as_str(), new_email.as_str());
        work.audit(Action::EmailChanged, work.grant.subject(), json!({ "old_email": old, "new_email": new }))
            .await?;
        work.disconnect_replaced(&old_email, new_email).await?;
        work.tell_old_mailbox(&old_email, new_email, challenge.id).await?;
        work.end_way_back_to(new_email).await?;
        work.kernel().keep_answer(&action, &old_email).await?;
        work.commit().await?;
        Ok(old_email)
    }
}

impl Acting<'_> {
    /// What signs in because of an address goes with it: its mailbox may be the reason for the change.
    async fn disconnect_replaced(&mut self, old: &EmailAddress, new: &EmailAddress) -> Result<(), Fault> {
        if old != new {
            let (account, now) = (self.grant.account(), self.now);
            self.unit.social_accounts().disconnect_address(account, old, now).await?;
        }
        Ok(())
    }

    /// A change back to the address that a link is open for is what the link was for.
    async fn end_way_back_to(&mut self, email: &EmailAddress) -> Result<(), Fault> {
        let account = self.grant.account();
        let open = self.unit.challenges().latest(Purpose::RestoreEmail, account).await?;
        if open.is_some_and(|open| open.address == email.as_str()) {
            self.unit.challenges().remove(Purpose::RestoreEmail, account).await?;
        }
        Ok(())
    }

    /// Tells the previous mailbox, with a link that takes the change back: if this was not its owner, they can still act.
    async fn tell_old_mailbox(
        &mut self,
        old_email: &EmailAddress,
        new_email: &EmailAddress,
        cause: ChallengeId,
    ) -> Result<(), Fault> {
        let (old, new) = (old_email.to_string(), new_email.to_string());
        let mut values = json!({ "old_email": old, "new_email": new, "when": self.now.iso_seconds() });
        if old_email != new_email
            && let Some(link) = self.restore_link(self.grant.account(), old_email).await?
        {
            let minutes = minutes(self.call.profile.codes.restore_email);
            tidegate_domain::text::merge(&mut values, &json!({ "link": link.expose(), "minutes": minutes }));
        }
        let display_name = self.grant.session().display_name.clone();
        self.notify(Mail {
            template: Template::EmailChanged,
            to: old_email,
            display_name: &display_name,
            cause: cause.0,
            values,
            deliverable: true,
        })
        .await
    }
}

impl<G> Work<'_, G> {
    /// The address that mails to the account go to.
    pub(crate) async fn primary_email(&mut self, account: AccountId) -> Result<Option<EmailAddress>, Fault> {
        let emails = self.unit.accounts().emails(account).await?;
        Ok(emails.into_iter().find(|email| email.is_primary).map(|email| email.email))
    }

    /// A link with which the mailbox of `old` takes the account back for a while. None where that is turned off.
    async fn restore_link(
        &mut self,
        account: AccountId,
        old: &EmailAddress,
    ) -> Result<Option<Secret>, Fault> {
        if self.call.profile.codes.restore_email.is_zero() {
            return Ok(None);
        }
        // The earlier mailbox has the last word: a second link would let the caller of the first change take the account back.
        let earlier = self.unit.challenges().latest(Purpose::RestoreEmail, account).await?;
        if earlier.is_some_and(|earlier| earlier.status(self.now) == ChallengeStatus::Open) {
            return Ok(None);
        }
        let token = PlainToken::generate(RESTORE_PREFIX, self.app.kernel.entropy.as_ref());
        let hash = token.hash();
        let new = NewChallenge {
            account: Some(account),
            link_hash: Some(hash.as_bytes()),
            ..self.new_challenge(Purpose::RestoreEmail, old.as_str())
        };
        self.unit.challenges().insert(&new).await?;
        Ok(Some(self.app.kernel.restore_email_link(&token)))
    }

    /// Gives the account the verified primary address that a challenge has proven: a new one, or one it had before. False
    /// when another account has it, and when the password was changed since the challenge was sent: what was asked for
    /// under the old password ended with it.
    pub(crate) async fn take_email(
        &mut self,
        account: AccountId,
        email: &EmailAddress,
        challenge: ChallengeId,
    ) -> Result<bool, Fault> {
        if self.unit.challenges().precedes_password(challenge).await? {
            return Ok(false);
        }
        if self.prove_mailbox(account, email, ProvenBy::Addition).await?.is_none() {
            return Ok(false);
        }
        self.unit.accounts().make_email_primary(account, email).await?;
        self.unit.challenges().remove(Purpose::ChangeEmail, account).await?;
        // Whatever was mailed to the old address loses its power with it.
        self.unit.challenges().remove(Purpose::ResetPassword, account).await?;
        self.withdraw_verification_links(account).await?;
        Ok(true)
    }
}
