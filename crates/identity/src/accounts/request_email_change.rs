//! Somebody signed in wants another e-mail address.

use serde_json::json;
use tidegate_delivery::Template;
use tidegate_domain::EmailAddress;
use tidegate_domain::audit::Action;
use tidegate_domain::challenge::{CODE_DIGITS, Purpose};
use tidegate_kernel::fault::{Outcome, refuse};
use tidegate_kernel::message::Mail;
use tidegate_kernel::throttle::Counted;
use tidegate_kernel::{Actor, Call};

use crate::credentials::challenges_repository::NewChallenge;
use crate::{Identity, IdentityTables};

/// Why not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestEmailChangeError {
    /// It is the address they have.
    #[error("the new e-mail address is the current one")]
    SameEmail,
    /// Somebody else has it.
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
        self.kernel.require_mail()?;
        let account = actor.session.account;
        if actor.session.email.as_ref() == Some(new_email) {
            return refuse(RequestEmailChangeError::SameEmail);
        }
        // Bounds both the mails sent to strangers and the addresses asked about.
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

        let mut work = self.begin(call).await?;
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
        work.send(Mail {
            template: Template::EmailChangeCode,
            to: new_email,
            // The new address may be a stranger's: they are not written a line of the caller's choosing.
            display_name: "",
            cause: new.id.into(),
            values: json!({ "code": code.expose(), "minutes": call.profile.codes.change_email.as_secs() / 60 }),
            deliverable: true,
        })
        .await?;
        // The contract keeps an unproven address out of the log.
        let mac = self.kernel.vault.mac("audited address", new_email.as_str().as_bytes());
        let hashed: String = mac.iter().map(|byte| format!("{byte:02x}")).collect();
        work.audit(Action::EmailChangeRequested, actor.subject(), json!({ "new_email_hash": hashed }))
            .await?;
        Ok(work.commit().await?)
    }
}
