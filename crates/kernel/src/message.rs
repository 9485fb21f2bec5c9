//! Mails and text messages a use case causes: rows of its own unit of work.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use serde_json::{Value, json};
use tidegate_crypto::PlainToken;
use tidegate_delivery::{SmsTemplate, Template, minutes};
use tidegate_domain::{Catalogue, EmailAddress, LanguageTag, PhoneNumber, Secret, Timestamp};
use uuid::Uuid;

use crate::fault::Fault;
use crate::settings::DeliveryMode;
use crate::tables::outbox::{Channel, NewMessage};
use crate::throttle::Counted;
use crate::{CountedMessage, Kernel, KernelTables, Work};

/// What the values of a message are sealed for.
pub(crate) const PAYLOAD: &str = "outbox payload";
/// Among the values of some messages: when what they say is no longer worth sending, in seconds since the epoch.
pub(crate) const VALID_UNTIL: &str = "valid_until";

/// Among the values of some text messages: whether they are counted by prefix when they are delivered.
pub(crate) const COUNTED_AT_DELIVERY: &str = "counted_at_delivery";

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
    /// False for an unknown address: the same work, and no message is sent.
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
    /// Whether it is counted for all numbers of its prefix when it is delivered, rather than when it was asked for: the
    /// answer must not tell which numbers have an account.
    pub counted_at_delivery: bool,
    /// False for an unknown phone: the same work, and no message is sent.
    pub deliverable: bool,
}

/// The language of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Language {
    /// That of the recipient's account, which is looked up; without an account, that of the request.
    OfRecipient,
    /// That of the recipient's account, as it was looked up before; where it has none, that of the request.
    Known(Option<LanguageTag>),
}

/// A message of either channel.
struct Queued<'a> {
    channel: Channel,
    template: &'a str,
    rule: CountingRule,
    /// That it was counted by who causes it; none where it is not.
    counted: Option<CountedMessage>,
    recipient: &'a str,
    /// The mailbox or phone it is counted by.
    counted_as: &'a str,
    cause: Uuid,
    values: Value,
    deliverable: bool,
    language: Language,
}

/// What becomes of a message beyond a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum OverLimit {
    /// The request is refused.
    Refuse,
    /// The request goes on and nothing is sent.
    Discard,
    /// It is not counted.
    Send,
}

/// How the messages of a template are counted.
#[derive(Clone, Copy, Debug)]
struct CountingRule {
    /// OverLimit the limit of its recipient.
    recipient: OverLimit,
    /// OverLimit a limit of who caused it. What is sent in any case is not counted by them: a notice.
    causer: OverLimit,
    /// Factor on the recipient's limit.
    times: u32,
}

/// What a caller asked for.
const REQUESTED: CountingRule =
    CountingRule { recipient: OverLimit::Refuse, causer: OverLimit::Refuse, times: 1 };

/// Every template says how it is counted.
const fn rule_of(template: Template) -> CountingRule {
    match template {
        Template::SignUpCode
        | Template::Invitation
        | Template::InvitationCode
        | Template::EmailChangeCode => REQUESTED,
        // Other callers can use up the mails of a mailbox: its owner's codes to sign in with get as many besides. A reset of factors
        // must not wait for its time without its owner hearing of it.
        Template::SecondFactorCode | Template::FactorResetRequested | Template::FactorResetConfirmation => {
            CountingRule { times: 2, ..REQUESTED }
        }
        // The answer does not disclose that the limit of a mailbox is reached: other callers use it up, too.
        Template::PasswordReset | Template::HostedSignUpCode | Template::AddressInUse => {
            CountingRule { recipient: OverLimit::Discard, ..REQUESTED }
        }
        // Comes along with something else, which is not to fail because of it.
        Template::EmailAddition => {
            CountingRule { recipient: OverLimit::Discard, causer: OverLimit::Discard, times: 1 }
        }
        // Its link is the owner's way back, and it comes once for each proven change: nothing may suppress it.
        Template::EmailChanged => {
            CountingRule { recipient: OverLimit::Send, causer: OverLimit::Send, times: 2 }
        }
        // No caller may use up the mails of an owner, or of the owner's network, to suppress this notice.
        Template::PasswordChanged
        | Template::EmailChangeRequested
        | Template::CredentialMade
        | Template::NewDevice
        | Template::FactorAdded
        | Template::FactorRemoved
        | Template::PasskeyAdded
        | Template::PasskeyRemoved
        | Template::TokenMade
        | Template::ApplicationAllowed
        | Template::ProviderConnected
        | Template::FactorUnreachable
        | Template::RecoveryCodeUsed
        | Template::RecoveryCodesLow => {
            CountingRule { recipient: OverLimit::Discard, causer: OverLimit::Send, times: 2 }
        }
    }
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

    /// The link in a mail with which the previous mailbox takes a changed address back.
    pub fn restore_email_link(&self, token: &PlainToken) -> Secret {
        Secret::new(self.settings.restore_email_link.replace("{token}", token.expose()))
    }
}

impl Kernel {
    /// The link in a security notice that ends all sessions and starts the account's recovery.
    pub fn secure_account_link(&self, token: &PlainToken) -> Secret {
        Secret::new(self.settings.secure_account_link.replace("{token}", token.expose()))
    }

    /// The link in a mail that calls off a reset of second factors.
    pub fn cancel_factor_reset_link(&self, token: &PlainToken) -> Secret {
        Secret::new(self.settings.cancel_factor_reset_link.replace("{token}", token.expose()))
    }

    /// The link in a mail that confirms a reset of second factors.
    pub fn confirm_factor_reset_link(&self, token: &PlainToken) -> Secret {
        Secret::new(self.settings.confirm_factor_reset_link.replace("{token}", token.expose()))
    }
}

impl Work<'_> {
    /// Puts a mail in the outbox that was counted by who causes it.
    ///
    /// # Errors
    /// [`Fault::RateLimited`], and those of the store and the vault.
    pub async fn send(&mut self, mail: Mail<'_>, counted: CountedMessage) -> Result<(), Fault> {
        self.send_in(mail, Language::OfRecipient, counted).await
    }

    /// Puts a mail in the outbox, in a language that is known.
    ///
    /// # Errors
    /// As of [`Work::send`].
    pub async fn send_in(
        &mut self,
        mail: Mail<'_>,
        language: Language,
        counted: CountedMessage,
    ) -> Result<(), Fault> {
        self.enqueue_mail(mail, language, Some(counted)).await
    }

    async fn enqueue_mail(
        &mut self,
        mail: Mail<'_>,
        language: Language,
        counted: Option<CountedMessage>,
    ) -> Result<(), Fault> {
        let mut values = json!({
            "product": self.kernel.settings.product,
            // A mail to an address that is not verified has no name in it: the name may be an attacker's text.
            "display_name": if mail.template.may_name_recipient() { mail.display_name } else { "" },
            "email": mail.to.to_string(),
        });
        tidegate_domain::text::merge(&mut values, &mail.values);
        self.enqueue(Queued {
            channel: Channel::Email,
            template: mail.template.as_str(),
            rule: rule_of(mail.template),
            counted,
            recipient: mail.to.as_str(),
            counted_as: &mail.to.mailbox(),
            cause: mail.cause,
            values,
            deliverable: mail.deliverable,
            language,
        })
        .await
    }

    /// Puts a text message in the outbox that was counted by who causes it.
    ///
    /// # Errors
    /// As of [`Work::send`].
    pub async fn text_code(&mut self, text: CodeText<'_>, counted: CountedMessage) -> Result<(), Fault> {
        self.text_code_in(text, Language::OfRecipient, counted).await
    }

    /// Puts a text message in the outbox, in a language that is known.
    ///
    /// # Errors
    /// As of [`Work::send`].
    pub async fn text_code_in(
        &mut self,
        text: CodeText<'_>,
        language: Language,
        counted: CountedMessage,
    ) -> Result<(), Fault> {
        let values = json!({
            "product": self.kernel.settings.product,
            "code": text.code.expose(),
            "minutes": minutes(text.expires_at.since(self.now)),
            VALID_UNTIL: text.expires_at.seconds(),
            COUNTED_AT_DELIVERY: text.counted_at_delivery,
        });
        self.enqueue(Queued {
            channel: Channel::Sms,
            template: SmsTemplate::Code.as_str(),
            rule: REQUESTED,
            counted: Some(counted),
            recipient: text.to.expose(),
            counted_as: text.to.expose(),
            cause: text.cause,
            values,
            deliverable: text.deliverable,
            language,
        })
        .await
    }

    /// The one way into the outbox: what goes through here is counted by its recipient, deliverable or not, unless it was before.
    ///
    /// Counted last, and best as the last thing that the unit does: on PostgreSQL, others who write to the recipient wait from then on until
    /// the unit is committed.
    async fn enqueue(&mut self, mut queued: Queued<'_>) -> Result<(), Fault> {
        let language = json!({ "language": self.language_for(&queued).await? });
        let mut values = queued.values.clone();
        tidegate_domain::text::merge(&mut values, &language);
        let plain = serde_json::to_vec(&values)?;
        let payload = self.kernel.vault.seal(PAYLOAD, &plain, self.kernel.entropy.as_ref())?;
        let id = self.kernel.entropy.uuid(self.now).into();
        let message = NewMessage {
            id,
            idempotency_key: &format!("{}.{}", queued.template, queued.cause.simple()),
            channel: queued.channel.as_str(),
            template: queued.template,
            recipient: queued.recipient,
            payload: &payload,
            deliverable: queued.deliverable,
            created_at: self.now,
        };
        self.unit.outbox().insert(message).await?;
        self.unit.write_deferred().await?;
        let counted = queued.counted.take();
        if !self.judge_message(&queued, counted).await? {
            self.unit.outbox().withhold(id).await?;
        }
        Ok(())
    }

    /// The language of a message: that of the recipient's account, or else of the request that causes it. It is looked up
    /// whether or not the address has an account, so that both take the same time.
    async fn language_for(&mut self, queued: &Queued<'_>) -> Result<String, Fault> {
        if let Language::Known(of_account) = &queued.language {
            return Ok(self.words_in(of_account.as_ref()).lang().to_owned());
        }
        let kind = match queued.channel {
            Channel::Email => "email",
            Channel::Sms => "phone",
        };
        Ok(self.words_of(kind, queued.recipient).await?.lang().to_owned())
    }

    /// The texts in the language that a mail to an address is written in.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn words_for(&mut self, email: &EmailAddress) -> Result<Arc<Catalogue>, Fault> {
        self.words_of("email", email.as_str()).await
    }

    async fn words_of(&mut self, kind: &str, recipient: &str) -> Result<Arc<Catalogue>, Fault> {
        let of_account = self.unit.account_cards().language_of(kind, recipient).await?;
        Ok(self.words_in(of_account.as_ref()))
    }

    fn words_in(&self, of_account: Option<&LanguageTag>) -> Arc<Catalogue> {
        let languages = &self.kernel.settings.languages;
        Arc::clone(languages.of(of_account.or_else(|| self.call.language(languages))))
    }

    /// Counts a message by its recipient, and judges it by them and by who causes it, who was counted before. False when it is one too
    /// many and nothing is to be sent; it is counted nowhere then.
    async fn judge_message(
        &mut self,
        queued: &Queued<'_>,
        counted: Option<CountedMessage>,
    ) -> Result<bool, Fault> {
        let rule = queued.rule;
        let is_open = rule.recipient != OverLimit::Send
            && !counted.as_ref().is_some_and(|counted| counted.by_recipient);
        let limit = self.kernel.settings.messages.by_recipient.filter(|_| is_open);
        let limit = limit.map(|limit| limit.times(rule.times));
        let recipient = Counted::MessagesByRecipient(queued.counted_as);
        let over_recipient = self.count(recipient, limit).await?;
        let (taken, over_causer) = match counted.map(|counted| counted.by_causer) {
            Some(Ok(taken)) => (Some(taken), None),
            Some(Err(exceeded)) => (None, Some(exceeded)),
            None => (None, None),
        };
        let mut is_within = true;
        for (exceeded, beyond) in [(over_recipient, rule.recipient), (over_causer, rule.causer)] {
            match (exceeded, beyond) {
                (Some(exceeded), OverLimit::Refuse) => return Err(exceeded.into()),
                (Some(_), OverLimit::Discard) => is_within = false,
                (Some(_), OverLimit::Send) | (None, _) => {}
            }
        }
        if is_within {
            if let Some(taken) = taken {
                self.unit.on_commit(Box::new(taken));
            }
        } else if limit.is_some() {
            self.refund(&[recipient]).await?;
        }
        Ok(is_within)
    }

    /// Puts a notice in the outbox: welcome, but no reason to refuse anything while mails cannot be sent. Who causes it is not counted.
    ///
    /// # Errors
    /// Those of the store and the vault; a defect where the template is none of a notice.
    pub async fn notify(&mut self, mail: Mail<'_>) -> Result<(), Fault> {
        if rule_of(mail.template).causer != OverLimit::Send {
            let template = mail.template.as_str();
            return Err(Fault::Internal(format!("{template} is no notice: it is counted by who causes it")));
        }
        if self.kernel.settings.mail == DeliveryMode::Off {
            self.kernel.unsent_notices.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(
                template = mail.template.as_str(),
                "a notice to the owner of an account is not sent: no mail provider is configured; set [mail.smtp]"
            );
            return Ok(());
        }
        self.enqueue_mail(mail, Language::OfRecipient, None).await
    }
}
