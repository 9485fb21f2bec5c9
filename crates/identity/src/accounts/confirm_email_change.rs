//! Verifies the new e-mail address of an account.

use serde_json::json;
use tidegate_delivery::Template;
use tidegate_domain::audit::Action;
use tidegate_domain::challenge::Purpose;
use tidegate_domain::id::{AccountId, ChallengeId};
use tidegate_domain::{EmailAddress, Permission, Secret, limit};
use tidegate_kernel::fault::{Fault, Outcome, refuse};
use tidegate_kernel::message::Mail;
use tidegate_kernel::{Actor, Call};

use crate::accounts::proof::ProvenBy;
use crate::credentials::challenge::Answer;
use crate::work::Work;
use crate::{Identity, IdentityTables};

/// Why the change was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfirmEmailChangeError {
    /// No change to that address is pending, or another account took it meanwhile.
    #[error("no change to this e-mail address is pending")]
    NotPending,
    /// The code is wrong; the try was counted.
    #[error("the code is wrong")]
    WrongCode,
    /// Too late.
    #[error("the code has expired; ask for a new one")]
    Expired,
    /// Too many wrong codes.
    #[error("too many wrong codes; ask for a new one")]
    TooManyAttempts(limit::Exceeded),
}

impl Identity {
    /// Makes the new address the account's primary one; answers the address it replaces, which stays as another.
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
        let mut work = self.begin_as(call, actor, Permission::ChangeOwnEmail).await?;
        let account = work.grant.account();
        let found = work.unit.challenges().latest(Purpose::ChangeEmail, account).await?;
        let Some(challenge) = found.filter(|found| found.address == new_email.as_str()) else {
            return refuse(ConfirmEmailChangeError::NotPending);
        };
        match work.answer(&challenge, code).await? {
            Answer::Right => {}
            Answer::Wrong => {
                work.commit().await?;
                return refuse(ConfirmEmailChangeError::WrongCode);
            }
            Answer::Used => return refuse(ConfirmEmailChangeError::NotPending),
            Answer::Expired => return refuse(ConfirmEmailChangeError::Expired),
            Answer::Exhausted(exceeded) => return refuse(ConfirmEmailChangeError::TooManyAttempts(exceeded)),
        }
        let emails = work.unit.accounts().emails(account).await?;
        let old = emails.into_iter().find(|email| email.is_primary).map(|email| email.email);
        let Some(old_email) = old else {
            return refuse(ConfirmEmailChangeError::NotPending);
        };
        if !work.take_email(account, new_email, challenge.id).await? {
            return refuse(ConfirmEmailChangeError::NotPending);
        }
        let (old, new) = (old_email.as_str(), new_email.as_str());
        work.audit(Action::EmailChanged, work.grant.subject(), json!({ "old_email": old, "new_email": new }))
            .await?;
        // The old mailbox hears of it: if this was not its owner, they can still act.
        let display_name = work.grant.session().display_name.clone();
        work.notify(Mail {
            template: Template::EmailChanged,
            to: &old_email,
            display_name: &display_name,
            cause: challenge.id.0,
            values: json!({ "old_email": old, "new_email": new, "when": work.now.iso_seconds() }),
            deliverable: true,
        })
        .await?;
        work.commit().await?;
        Ok(old_email)
    }
}

impl<G> Work<'_, G> {
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
