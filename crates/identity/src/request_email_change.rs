//! Somebody signed in wants another e-mail address.

use serde_json::json;
use tidegate_delivery::Template;
use tidegate_domain::EmailAddress;
use tidegate_domain::audit::Action;
use tidegate_domain::challenge::{CODE_DIGITS, Continuation, Purpose};
use tidegate_store::challenges::NewChallenge;

use crate::fault::{Outcome, refuse};
use crate::mail::Mail;
use crate::throttle::Counted;
use crate::{Actor, Call, Identity};

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
        self.require_mail()?;
        let account = actor.session.account;
        if actor.session.email == *new_email {
            return refuse(RequestEmailChangeError::SameEmail);
        }
        // Bounds both the mails sent to strangers and the addresses asked about.
        let limit = call.profile.limits.resend_by_account;
        let by_recipient = call.profile.limits.forgot_password_by_email;
        self.throttle(
            call,
            &[
                (Counted::EmailChangeByAccount(account), limit),
                (Counted::EmailChangeByEmail(new_email), by_recipient),
            ],
        )
        .await?;

        let mut work = self.begin(call).await?;
        let owner = work.unit.accounts().owner_of_email(new_email).await?;
        if owner.is_some_and(|owner| owner != account) {
            return refuse(RequestEmailChangeError::EmailTaken);
        }
        let id = self.entropy.uuid(work.now);
        let code = tidegate_crypto::one_time_code(CODE_DIGITS, self.entropy.as_ref());
        let lifetime = Purpose::ChangeEmail.lifetime();
        work.unit.challenges().remove(Purpose::ChangeEmail, account).await?;
        work.unit
            .challenges()
            .insert(&NewChallenge {
                id: id.into(),
                account: Some(account),
                purpose: Purpose::ChangeEmail,
                address: new_email.as_str(),
                handle_hash: None,
                link_hash: None,
                code_mac: Some(&self.code_mac(id.into(), code.expose())),
                dialect: call.profile.dialect,
                continuation: &Continuation::default(),
                created_at: work.now,
                expires_at: work.now.plus(lifetime),
            })
            .await?;
        work.send(Mail {
            template: Template::EmailChangeCode,
            to: new_email,
            display_name: &actor.session.display_name,
            cause: id,
            values: json!({ "code": code.expose(), "minutes": lifetime.as_secs() / 60 }),
            deliverable: true,
        })
        .await?;
        // The contract keeps an unproven address out of the log.
        let mac = self.vault.mac("audited address", new_email.as_str().as_bytes());
        let hashed: String = mac.iter().map(|byte| format!("{byte:02x}")).collect();
        work.audit(Action::EmailChangeRequested, actor.subject(), json!({ "new_email_hash": hashed }))
            .await?;
        Ok(work.commit().await?)
    }
}
