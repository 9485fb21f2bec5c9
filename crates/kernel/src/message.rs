//! Mails and text messages a use case causes: rows of its own unit of work.

use serde_json::{Value, json};
use tidegate_crypto::PlainToken;
use tidegate_delivery::{SmsTemplate, Template};
use tidegate_domain::{EmailAddress, PhoneNumber, Secret, Timestamp};
use uuid::Uuid;

use crate::fault::Fault;
use crate::settings::DeliveryMode;
use crate::tables::outbox::NewMessage;
use crate::work::Work;
use crate::{Kernel, KernelTables};

/// What the values of a message are sealed for.
pub(crate) const PAYLOAD: &str = "outbox payload";
/// Among the values of some messages: when what they say is no longer worth sending, in seconds since the epoch.
pub(crate) const VALID_UNTIL: &str = "valid_until";

/// Which way a message goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Channel {
    Email,
    Sms,
}

impl Channel {
    pub(crate) const ALL: [Self; 2] = [Self::Email, Self::Sms];

    /// The stored value.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Sms => "sms",
        }
    }
}

/// A mail to be sent.
pub struct Mail<'a> {
    /// Which mail.
    pub template: Template,
    /// The recipient.
    pub to: &'a EmailAddress,
    /// How they are addressed; empty when not known.
    pub display_name: &'a str,
    /// What caused it: together with the template, the mail's idempotency key.
    pub cause: Uuid,
    /// The template's own values.
    pub values: Value,
    /// False for an address nobody has: all the same work, and nothing is sent.
    pub deliverable: bool,
}

/// A one-time code to be texted.
pub struct CodeText<'a> {
    /// The recipient.
    pub to: &'a PhoneNumber,
    /// What caused it: its idempotency key.
    pub cause: Uuid,
    /// The code.
    pub code: &'a Secret,
    /// When it is no longer worth sending.
    pub expires_at: Timestamp,
    /// False for a phone nobody has: all the same work, and nothing is sent.
    pub deliverable: bool,
}

/// A message of either channel.
struct Queued<'a> {
    channel: Channel,
    template: &'a str,
    recipient: &'a str,
    cause: Uuid,
    values: Value,
    deliverable: bool,
}

impl Kernel {
    /// Refuses what needs a text message while none can be sent.
    ///
    /// # Errors
    /// [`Fault::SmsNotConfigured`].
    pub fn require_sms(&self) -> Result<(), Fault> {
        match self.settings.sms {
            DeliveryMode::Off => Err(Fault::SmsNotConfigured),
            DeliveryMode::Send | DeliveryMode::Keep => Ok(()),
        }
    }

    /// Refuses what needs a mail while none can be sent.
    ///
    /// # Errors
    /// [`Fault::MailNotConfigured`].
    pub fn require_mail(&self) -> Result<(), Fault> {
        match self.settings.mail {
            DeliveryMode::Off => Err(Fault::MailNotConfigured),
            DeliveryMode::Send | DeliveryMode::Keep => Ok(()),
        }
    }

    /// The link in a mail that verifies its address.
    pub fn verify_email_link(&self, token: &PlainToken) -> Secret {
        Secret::new(self.settings.verify_email_link.replace("{token}", token.expose()))
    }

    /// The link in a mail that resets a password.
    pub fn reset_password_link(&self, token: &PlainToken) -> Secret {
        Secret::new(self.settings.reset_password_link.replace("{token}", token.expose()))
    }
}

impl Work<'_> {
    /// Puts a mail in the outbox.
    ///
    /// # Errors
    /// Those of the store and the vault.
    pub async fn send(&mut self, mail: Mail<'_>) -> Result<(), Fault> {
        let mut values = json!({
            "product": self.kernel.settings.product,
            // A mail to an address that is yet to be proven names nobody: the name may be an attacker's words.
            "display_name": if mail.template.may_name_recipient() { mail.display_name } else { "" },
            "email": mail.to.as_str(),
        });
        tidegate_domain::text::merge(&mut values, &mail.values);
        self.enqueue(Queued {
            channel: Channel::Email,
            template: mail.template.as_str(),
            recipient: mail.to.as_str(),
            cause: mail.cause,
            values,
            deliverable: mail.deliverable,
        })
        .await
    }

    /// Puts a text message in the outbox.
    ///
    /// # Errors
    /// Those of the store and the vault.
    pub async fn text_code(&mut self, text: CodeText<'_>) -> Result<(), Fault> {
        let values = json!({
            "product": self.kernel.settings.product,
            "code": text.code.expose(),
            "minutes": text.expires_at.since(self.now).as_secs() / 60,
            VALID_UNTIL: text.expires_at.seconds(),
        });
        self.enqueue(Queued {
            channel: Channel::Sms,
            template: SmsTemplate::Code.as_str(),
            recipient: text.to.expose(),
            cause: text.cause,
            values,
            deliverable: text.deliverable,
        })
        .await
    }

    async fn enqueue(&mut self, queued: Queued<'_>) -> Result<(), Fault> {
        let plain = serde_json::to_vec(&queued.values)?;
        let payload = self.kernel.vault.seal(PAYLOAD, &plain, self.kernel.entropy.as_ref())?;
        let message = NewMessage {
            id: self.kernel.entropy.uuid(self.now).into(),
            idempotency_key: &format!("{}.{}", queued.template, queued.cause.simple()),
            channel: queued.channel.as_str(),
            template: queued.template,
            recipient: queued.recipient,
            payload: &payload,
            deliverable: queued.deliverable,
            created_at: self.now,
        };
        Ok(self.unit.outbox().insert(message).await?)
    }

    /// Puts a notice in the outbox: welcome, but no reason to refuse anything while mails cannot be sent.
    ///
    /// # Errors
    /// Those of the store and the vault.
    pub async fn notify(&mut self, mail: Mail<'_>) -> Result<(), Fault> {
        if self.kernel.settings.mail == DeliveryMode::Off {
            tracing::warn!(template = mail.template.as_str(), "not sent: no mail provider is configured");
            return Ok(());
        }
        self.send(mail).await
    }
}
