//! Requests a change of the e-mail address.

use serde_json::json;
use tidegate_delivery::{Template, minutes};
use tidegate_domain::audit::Action;
use tidegate_domain::challenge::{CODE_DIGITS, Purpose};
use tidegate_domain::id::ChallengeId;
use tidegate_domain::{EmailAddress, Permission};
use tidegate_kernel::fault::{Fault, Outcome, refuse};
use tidegate_kernel::message::Mail;
use tidegate_kernel::throttle::Counted;
use tidegate_kernel::{Actor, Call};

use crate::credentials::challenges_repository::NewChallenge;
use crate::work::Acting;
use crate::{Identity, IdentityTables};

/// Why the request was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestEmailChangeError {
    /// It is the address they have.
    #[error("the new e-mail address is the current one")]
    SameEmail,
    /// Another account has it.
    #[error("the e-mail address is already registered")]
    EmailTaken,
}

impl Identity {
    /// Sends a code to the new address. A pending request is replaced.
    ///
    /// Source: RiverGen "me/email/request".
    ///
    /// # Errors
    /// [`RequestEmailChangeError`].
    pub async fn request_email_change(
        &self,
        call: &Call,
        actor: &Actor,
        new_email: &EmailAddress,
    ) -> Outcome<(), RequestEmailChangeError> {
        let grant = actor.authorize(Permission::ChangeOwnEmail)?;
        self.kernel.require_mail()?;
        let account = grant.account();
        if grant.session().email.as_ref() == Some(new_email) {
            return refuse(RequestEmailChangeError::SameEmail);
        }
        // Limits the mails to other people, and the addresses that can be probed.
        let limit = call.profile.limits.resend_by_account;
        let by_recipient = call.profile.limits.forgot_password_by_email;
        self.kernel
            .throttle(
                call,
                &[
                    (Counted::EmailChangeByAccount(account), limit),
                    (Counted::EmailChangeByEmail(new_email), by_recipient),
                ],
            )
            .await?;

        let message = self.kernel.count_message(call).await?;
        // The account is locked: of two requests at once the second replaces the first one's code.
        let mut work = self.begin_as(call, actor, Permission::ChangeOwnEmail).await?;
        work.authorize_recent().await?;
        let owner = work.unit.accounts().owner_of(&new_email.clone().into()).await?;
        // An address that its account has not proven goes to the account that proves it.
        let unproven = work.unit.claims().unproven_owner(new_email).await?;
        if owner.is_some_and(|owner| owner != account && unproven != Some(owner)) {
            return refuse(RequestEmailChangeError::EmailTaken);
        }
        let code = tidegate_crypto::one_time_code(CODE_DIGITS, self.kernel.entropy.as_ref());
        work.unit.challenges().remove(Purpose::ChangeEmail, account).await?;
        let new = work.new_challenge(Purpose::ChangeEmail, new_email.as_str());
        let mac = self.code_mac(new.id, code.expose());
        let new = NewChallenge { account: Some(account), code_mac: Some(&mac), ..new };
        work.unit.challenges().insert(&new).await?;
        work.warn_old_mailbox(new_email, new.id).await?;
        // The contract keeps an unproven address out of the log.
        let mac = self.kernel.vault.mac("audited address", new_email.as_str().as_bytes());
        let hashed = hex::encode(mac);
        work.audit(Action::EmailChangeRequested, work.grant.subject(), json!({ "new_email_hash": hashed }))
            .await?;
        let mail = Mail {
            template: Template::EmailChangeCode,
            to: new_email,
            // The new address may be another person's: no text of the caller goes into a mail to it.
            display_name: "",
            cause: new.id.into(),
            values: json!({ "code": code.expose(), "minutes": minutes(call.profile.codes.change_email) }),
            deliverable: true,
        };
        work.send(mail, message).await?;
        Ok(work.commit().await?)
    }
}

impl Acting<'_> {
    /// Notifies the current mailbox of the request while its owner can still refuse it: resetting the password withdraws the
    /// code and ends the session that asked. The new address is unproven and is not in the mail.
    async fn warn_old_mailbox(&mut self, new_email: &EmailAddress, cause: ChallengeId) -> Result<(), Fault> {
        let emails = self.unit.accounts().emails(self.grant.account()).await?;
        let current = emails.into_iter().find(|known| known.is_primary && known.verified_at.is_some());
        let Some(current) = current.filter(|current| current.email != *new_email) else {
            return Ok(());
        };
        let display_name = self.grant.session().display_name.clone();
        self.notify(Mail {
            template: Template::EmailChangeRequested,
            to: &current.email,
            display_name: &display_name,
            cause: cause.into(),
            values: json!({
                "old_email": current.email.to_string(),
                "when": self.now.iso_seconds(),
                "ip": self.call.ip_text(),
            }),
            deliverable: true,
        })
        .await
    }
}
