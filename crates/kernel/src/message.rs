//! Mails and text messages a use case causes: rows of its own unit of work.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use serde_json::{Value, json};
use tidegate_crypto::PlainToken;
use tidegate_delivery::{SmsTemplate, Template, minutes};
use tidegate_domain::limit::Limit;
use tidegate_domain::{Catalogue, EmailAddress, LanguageTag, PhoneNumber, Secret, Timestamp};
use uuid::Uuid;

use crate::fault::Fault;
use crate::reserved::Reserved;
use crate::settings::DeliveryMode;
use crate::tables::outbox::{Channel, NewMessage};
use crate::throttle::Counted;
use crate::{Call, Kernel, KernelTables, Work};

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
    /// Whether the message was counted already, before the unit began: see [`Kernel::counts_of_text`].
    pub is_counted: bool,
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
    /// Whether the network was counted for it before the unit began.
    network_is_counted: bool,
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
    /// OverLimit a limit of who caused it.
    causer: OverLimit,
    /// Factor on the recipient's limit.
    times: u32,
}

/// What a caller asked for.
const REQUESTED: CountingRule =
    CountingRule { recipient: OverLimit::Refuse, causer: OverLimit::Refuse, times: 1 };

/// What was counted before.
const COUNTED: CountingRule = CountingRule { recipient: OverLimit::Send, causer: OverLimit::Send, times: 1 };

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

impl Kernel {
    /// What a text message with a code counts as that a caller asks for. A request that counts it before its unit, with what it counts
    /// besides, holds the count of its network for no longer than counting takes.
    pub fn counts_of_text<'c>(&self, call: &Call, phone: &'c PhoneNumber) -> Vec<(Counted<'c>, Limit)> {
        let counts = self.message_counts(call, phone.expose(), REQUESTED);
        counts.into_iter().map(|(count, _)| count).collect()
    }

    /// Counts a mail by the network of who asks for it, in a unit of its own and before the one that sends it
    /// ([`Work::send_counted_in`]): that would keep others of the network waiting until its commit. It is taken back unless it is kept.
    ///
    /// # Errors
    /// [`Fault::RateLimited`], and those of the store.
    pub async fn count_mail_by_network(&self, call: &Call) -> Result<Reserved, Fault> {
        let limit = self.settings.messages.by_network;
        Ok(self.reserve(call, Counted::MessagesByNetwork, limit).await??)
    }

    /// What a message counts as: its recipient and who causes it, network, account and organization. And what becomes of it beyond each
    /// limit.
    fn message_counts<'c>(
        &self,
        call: &Call,
        counted_as: &'c str,
        rule: CountingRule,
    ) -> Vec<((Counted<'c>, Limit), OverLimit)> {
        let limits = &self.settings.messages;
        let causer = call.causer;
        let CountingRule { recipient, causer: by_causer, times } = rule;
        let of_recipient = limits.by_recipient.map(|limit| limit.times(times));
        let counts = [
            Some((Counted::MessagesByRecipient(counted_as), of_recipient, recipient)),
            Some((Counted::MessagesByNetwork, limits.by_network, by_causer)),
            causer.map(|by| (Counted::MessagesByAccount(by.account), limits.by_account, by_causer)),
            causer.map(|by| {
                (Counted::MessagesByOrganization(by.organization), limits.by_organization, by_causer)
            }),
        ];
        let counts = counts.into_iter().flatten().filter(|(.., beyond)| *beyond != OverLimit::Send);
        counts.filter_map(|(counted, limit, beyond)| Some(((counted, limit?), beyond))).collect()
    }
}

impl Work<'_> {
    /// Puts a mail in the outbox.
    ///
    /// # Errors
    /// Those of the store and the vault.
    pub async fn send(&mut self, mail: Mail<'_>) -> Result<(), Fault> {
        self.send_in(mail, Language::OfRecipient).await
    }

    /// Puts a mail in the outbox, in a language that is known.
    ///
    /// # Errors
    /// Those of the store and the vault.
    pub async fn send_in(&mut self, mail: Mail<'_>, language: Language) -> Result<(), Fault> {
        self.enqueue_mail(mail, language, false).await
    }

    /// Puts a mail in the outbox that the network was counted for before the unit began: see [`Kernel::count_mail_by_network`].
    ///
    /// # Errors
    /// Those of the store and the vault.
    pub async fn send_counted_in(&mut self, mail: Mail<'_>, language: Language) -> Result<(), Fault> {
        self.enqueue_mail(mail, language, true).await
    }

    async fn enqueue_mail(
        &mut self,
        mail: Mail<'_>,
        language: Language,
        network_is_counted: bool,
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
            network_is_counted,
            recipient: mail.to.as_str(),
            counted_as: &mail.to.mailbox(),
            cause: mail.cause,
            values,
            deliverable: mail.deliverable,
            language,
        })
        .await
    }

    /// Puts a text message in the outbox.
    ///
    /// # Errors
    /// Those of the store and the vault.
    pub async fn text_code(&mut self, text: CodeText<'_>) -> Result<(), Fault> {
        self.text_code_in(text, Language::OfRecipient).await
    }

    /// Puts a text message in the outbox, in a language that is known.
    ///
    /// # Errors
    /// Those of the store and the vault.
    pub async fn text_code_in(&mut self, text: CodeText<'_>, language: Language) -> Result<(), Fault> {
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
            rule: if text.is_counted { COUNTED } else { REQUESTED },
            network_is_counted: text.is_counted,
            recipient: text.to.expose(),
            counted_as: text.to.expose(),
            cause: text.cause,
            values,
            deliverable: text.deliverable,
            language,
        })
        .await
    }

    /// The one way into the outbox: what goes through here is counted, deliverable or not, unless it was before.
    ///
    /// Counted last, and best as the last thing that the unit does: on PostgreSQL, others of the network wait from then on until
    /// the unit is committed.
    async fn enqueue(&mut self, queued: Queued<'_>) -> Result<(), Fault> {
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
        if !self.count_message(&queued).await? {
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

    /// Counts a message by its recipient and by who causes it: network, account, organization. False when it is one too
    /// many and nothing is to be sent; it is counted nowhere then.
    async fn count_message(&mut self, queued: &Queued<'_>) -> Result<bool, Fault> {
        let counts = self.kernel.message_counts(self.call, queued.counted_as, queued.rule);
        let is_open = |counted: &Counted<'_>| {
            !(queued.network_is_counted && matches!(counted, Counted::MessagesByNetwork))
        };
        let counts = counts.into_iter().filter(|((counted, _), _)| is_open(counted));
        let (counted, beyond): (Vec<_>, Vec<_>) = counts.unzip();
        let exceeded = self.count_each(&counted).await?;
        let mut is_within = true;
        for (exceeded, beyond) in exceeded.into_iter().zip(beyond) {
            match exceeded {
                Some(exceeded) if beyond == OverLimit::Refuse => return Err(exceeded.into()),
                Some(_) => is_within = false,
                None => {}
            }
        }
        if !is_within {
            let counted: Vec<_> = counted.iter().map(|(counted, _)| *counted).collect();
            self.refund(&counted).await?;
        }
        Ok(is_within)
    }

    /// Puts a notice in the outbox: welcome, but no reason to refuse anything while mails cannot be sent.
    ///
    /// # Errors
    /// Those of the store and the vault.
    pub async fn notify(&mut self, mail: Mail<'_>) -> Result<(), Fault> {
        if self.kernel.settings.mail == DeliveryMode::Off {
            self.kernel.unsent_notices.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(
                template = mail.template.as_str(),
                "a notice to the owner of an account is not sent: no mail provider is configured; set [mail.smtp]"
            );
            return Ok(());
        }
        self.send(mail).await
    }
}
