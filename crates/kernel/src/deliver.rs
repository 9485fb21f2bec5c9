//! What waits in the outbox is delivered: mails and text messages.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::Value;
use tidegate_database::Unit;
use tidegate_delivery::sms::Accepted;
use tidegate_delivery::{OutgoingMail, OutgoingSms, Rendered, SendError, SmsTemplate, Template};
use tidegate_domain::account::LoginName;
use tidegate_domain::id::OutboxMessageId;
use tidegate_domain::{PhoneNumber, Secret, Timestamp};

use crate::fault::Fault;
use crate::jobs::{AttemptError, Failure, attempt};
use crate::message::{COUNTED_AT_DELIVERY, PAYLOAD, VALID_UNTIL};
use crate::settings::DeliveryMode;
use crate::tables::outbox::{Attempt, Channel, Message, State};
use crate::{Kernel, KernelTables};

/// How long a worker holds the messages it claimed. Longer than one may take, so it is not renewed: a message is claimed again
/// only after its worker died.
const LEASE: Duration = Duration::from_secs(120);
/// How long one message may take, all its providers together.
const PATIENCE: Duration = Duration::from_secs(90);
/// Messages taken at a time when they are delivered once.
const BATCH: usize = 10;

/// A message as the outbox command and the development page show it.
#[derive(Clone, Debug)]
pub struct OutboxEntry {
    /// The row.
    pub message: Message,
    /// The template's values, where they are kept.
    pub values: Option<Value>,
}

/// What a message says.
#[derive(Clone, Debug)]
pub enum RenderedMessage {
    /// In a mail.
    Mail(Rendered),
    /// In a text message.
    Sms(Secret),
}

impl RenderedMessage {
    /// What it is about; a text message does not say.
    pub fn subject(&self) -> Option<&str> {
        match self {
            Self::Mail(mail) => Some(&mail.subject),
            Self::Sms(_) => None,
        }
    }

    /// Its plain text.
    pub fn text(&self) -> &str {
        match self {
            Self::Mail(mail) => &mail.text,
            Self::Sms(text) => text.expose(),
        }
    }

    /// The same in HTML, where it has that.
    pub fn html(&self) -> Option<&str> {
        match self {
            Self::Mail(mail) => Some(&mail.html),
            Self::Sms(_) => None,
        }
    }
}

impl OutboxEntry {
    /// The one-time code in it.
    pub fn code(&self) -> Option<&str> {
        self.values.as_ref()?.get("code")?.as_str()
    }

    /// The link in it.
    pub fn link(&self) -> Option<&str> {
        self.values.as_ref()?.get("link")?.as_str()
    }
}

/// A message that this worker holds.
pub(crate) struct ClaimedMessage {
    message: Message,
    /// Whether there were too many to numbers like its recipient's.
    is_over: bool,
}

impl AttemptError for SendError {}

/// The provider that took a message, where there are several.
type Taken = Result<Option<Accepted>, SendError>;

impl Kernel {
    /// Delivers what is due, one batch of mails and one of text messages; answers how many messages were tried.
    ///
    /// # Errors
    /// Those of the store. A provider's failure is not one: the message waits for its next turn.
    pub async fn deliver_due(&self) -> Result<usize, Fault> {
        let mut tried = 0;
        for channel in Channel::ALL {
            let claimed = self.claim_messages(channel, BATCH).await?;
            let settled =
                join_all(claimed.iter().map(|message| self.deliver_claimed(channel, message))).await;
            tried += settled.into_iter().collect::<Result<Vec<()>, Fault>>()?.len();
        }
        Ok(tried)
    }

    /// Claims messages that are due, at most `room`.
    pub(crate) async fn claim_messages(
        &self,
        channel: Channel,
        room: usize,
    ) -> Result<Vec<ClaimedMessage>, Fault> {
        let is_able = match channel {
            Channel::Email => self.mail.is_some(),
            Channel::Sms => !self.sms.is_empty(),
        };
        if !is_able {
            return Ok(Vec::new());
        }
        // Every commit of either channel wakes both: looking costs a reader, claiming a turn at the writer.
        if !self.store.read().await?.outbox().is_due(channel.as_str(), self.now()).await? {
            return Ok(Vec::new());
        }
        let mut unit = self.store.begin().await?;
        let at_most = i64::try_from(room).unwrap_or(i64::MAX);
        let batch = unit.outbox().claim(channel.as_str(), self.now(), LEASE, at_most).await?;
        let over = match channel {
            Channel::Sms if !batch.is_empty() => self.count_by_prefix(&mut unit, &batch).await?,
            Channel::Email | Channel::Sms => HashSet::new(),
        };
        unit.commit().await?;
        let claimed = batch.into_iter().map(|message| {
            let is_over = over.contains(&message.id());
            ClaimedMessage { message, is_over }
        });
        Ok(claimed.collect())
    }

    /// Makes one attempt at a claimed message, and settles it at once: what was sent must not be sent again, and a receipt
    /// may be on its way.
    pub(crate) async fn deliver_claimed(
        &self,
        channel: Channel,
        claimed: &ClaimedMessage,
    ) -> Result<(), Fault> {
        let ClaimedMessage { message, is_over } = claimed;
        let job = match channel {
            Channel::Email => "deliver mail",
            Channel::Sms => "deliver text message",
        };
        let delivering = async {
            if *is_over {
                return Err(SendError::Permanent("too many codes to numbers of its prefix".to_owned()));
            }
            self.deliver(channel, message).await
        };
        // Given up before the lease ends: until then nobody else sends it.
        let taken = attempt(job, Some(PATIENCE), delivering).await.map_err(|failure| match failure {
            Failure::Error(error) => error,
            failure => SendError::Transient(failure.to_string()),
        });
        self.settle(channel, message, taken).await
    }

    /// Counts, at their first try, the codes of a batch that are counted by their prefix; answers those that are too many.
    ///
    /// Not when they are asked for: as nothing is texted to a number without an account, and what costs nothing must use
    /// up nothing, the answer to the next request would tell which numbers have one.
    async fn count_by_prefix(
        &self,
        unit: &mut Unit,
        batch: &[Message],
    ) -> Result<HashSet<OutboxMessageId>, Fault> {
        let mut over = HashSet::new();
        let Some(limit) = self.settings.texts.by_prefix else {
            return Ok(over);
        };
        for message in batch.iter().filter(|message| message.attempts == 1) {
            let values = self.values_of(message).ok().flatten();
            if values.and_then(|values| values.get(COUNTED_AT_DELIVERY)?.as_bool()) != Some(true) {
                continue;
            }
            let phone = PhoneNumber::from_stored(message.recipient.clone());
            let bucket = self.prefix_bucket(&phone, message.is_discarded());
            let standing = unit.limits().count(&bucket, limit, 1, self.now()).await?;
            if standing.exceeded && !message.is_discarded() {
                let prefix = phone.prefix();
                tracing::warn!(prefix, "no more codes for these numbers; see [phone.limits] by_prefix");
                over.insert(message.id());
            }
        }
        Ok(over)
    }

    #[expect(clippy::disallowed_methods, reason = "latency is measured, not decided upon")]
    async fn deliver(&self, channel: Channel, message: &Message) -> Taken {
        let values = self.values_to_send(message)?;
        let started = Instant::now();
        let taken = match channel {
            Channel::Email => {
                let mail = self.compose(message, &values)?;
                if message.is_discarded() {
                    return self.pretend(channel).await;
                }
                let provider = self.mail.as_ref().ok_or_else(unprovided)?;
                provider.deliver(&mail).await.map(|()| None)
            }
            Channel::Sms => {
                let sms = self.compose_sms(message, &values)?;
                if message.is_discarded() {
                    return self.pretend(channel).await;
                }
                self.sms.deliver(&sms, self.now()).await.map(Some).map_err(SendError::from)
            }
        };
        self.pace.note(channel, started.elapsed());
        taken
    }

    /// Takes as long as sending did: a message that is not sent must not be settled sooner than one that is.
    async fn pretend(&self, channel: Channel) -> Taken {
        let pace = self.pace.last(channel);
        if !pace.is_zero() {
            tokio::time::sleep(pace).await;
        }
        Ok(None)
    }

    async fn settle(&self, channel: Channel, message: &Message, result: Taken) -> Result<(), Fault> {
        let now = self.now();
        let attempts = u32::try_from(message.attempts).unwrap_or(u32::MAX);
        let error = result.as_ref().err().map(ToString::to_string).unwrap_or_default();
        let mode = match channel {
            Channel::Email => self.settings.mail,
            Channel::Sms => self.settings.sms,
        };
        let attempt = match (&result, self.retry.next(attempts)) {
            _ if message.is_discarded() => Attempt::Discarded,
            (Ok(accepted), _) => Attempt::Delivered {
                keep_payload: mode == DeliveryMode::Keep,
                accepted: accepted.as_ref().map(|by| (by.provider.as_str(), by.message_id.as_deref())),
            },
            (Err(SendError::Transient(_)), Some(delay)) => {
                Attempt::Again { at: now.plus(delay), error: &error }
            }
            // A code is worth nothing when it comes late: nobody is to see to it, and anybody can cause one to a number that
            // is none.
            (Err(_), _) if channel == Channel::Sms => Attempt::Missed { error: &error },
            (Err(_), _) => Attempt::Dead { error: &error },
        };
        let (number, channel) = (message.number, channel.as_str());
        match attempt {
            Attempt::Delivered { .. } | Attempt::Discarded => {}
            Attempt::Again { at, .. } => {
                tracing::warn!(number, channel, %error, again_at = at.iso_seconds(), "a message was not sent");
            }
            Attempt::Missed { .. } => {
                tracing::warn!(number, channel, %error, "a message is given up, and its time is over");
            }
            Attempt::Dead { .. } => {
                tracing::error!(number, channel, %error, "a message is given up; see `tidegate outbox list`");
            }
        }
        let mut unit = self.store.begin().await?;
        unit.outbox().settle(message.id(), message.claim(), attempt, now).await?;
        Ok(unit.commit().await?)
    }

    /// The values of a message that is still worth sending.
    fn values_to_send(&self, message: &Message) -> Result<Value, SendError> {
        // Sealed under a key that this node has not been given yet: another node, or a later start, can open it.
        let values = self.values_of(message).map_err(|fault| SendError::Transient(fault.to_string()))?;
        let values = values.ok_or_else(|| SendError::Permanent("its values are gone".to_owned()))?;
        let end = values.get(VALID_UNTIL).and_then(Value::as_i64).map(Timestamp::from_seconds);
        if end.is_some_and(|end| end <= self.now()) {
            return Err(SendError::Permanent("what it says has expired".to_owned()));
        }
        Ok(values)
    }

    fn compose(&self, message: &Message, values: &Value) -> Result<OutgoingMail, SendError> {
        let template = Template::from_name(&message.template).ok_or_else(|| unknown(message))?;
        // As good as it will get: a mistake in a template does not go away by itself.
        let rendered = self.templates.render(template, values);
        let rendered = rendered.map_err(|error| SendError::Permanent(error.to_string()))?;
        Ok(OutgoingMail {
            to: message.recipient.clone(),
            idempotency_key: message.idempotency_key.clone(),
            rendered,
            date: message.created_at(),
        })
    }

    fn compose_sms(&self, message: &Message, values: &Value) -> Result<OutgoingSms, SendError> {
        let template = SmsTemplate::from_name(&message.template).ok_or_else(|| unknown(message))?;
        let text = self.templates.render_sms(template, values);
        Ok(OutgoingSms {
            to: PhoneNumber::from_stored(message.recipient.clone()),
            idempotency_key: message.idempotency_key.clone(),
            text: text.map_err(|error| SendError::Permanent(error.to_string()))?,
            date: message.created_at(),
        })
    }

    fn values_of(&self, message: &Message) -> Result<Option<Value>, Fault> {
        let Some(sealed) = &message.payload else {
            return Ok(None);
        };
        let plain = self.vault.open(PAYLOAD, sealed)?;
        Ok(Some(serde_json::from_slice(&plain)?))
    }

    /// The newest messages, to `recipient` or to anybody, newest first.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn list_outbox(
        &self,
        recipient: Option<&LoginName>,
        limit: i64,
    ) -> Result<Vec<OutboxEntry>, Fault> {
        let messages =
            self.store.read().await?.outbox().list(recipient.map(LoginName::as_str), limit).await?;
        // One that cannot be opened is listed all the same.
        let entry =
            |message: Message| OutboxEntry { values: self.values_of(&message).ok().flatten(), message };
        Ok(messages.into_iter().map(entry).collect())
    }

    /// What a message says; none where that was not kept.
    ///
    /// # Errors
    /// When the template has a mistake.
    pub fn render(&self, entry: &OutboxEntry) -> Result<Option<RenderedMessage>, Fault> {
        let Some(values) = &entry.values else {
            return Ok(None);
        };
        let name = &entry.message.template;
        let said = match (Template::from_name(name), SmsTemplate::from_name(name)) {
            (Some(template), _) => self.templates.render(template, values).map(RenderedMessage::Mail),
            (None, Some(template)) => self.templates.render_sms(template, values).map(RenderedMessage::Sms),
            (None, None) => return Ok(None),
        };
        said.map(Some).map_err(|error| Fault::Internal(error.to_string()))
    }

    /// Tries a message again that was given up, or at once that waits for its next attempt; answers which of them it was. None when no
    /// such message is dead or pending.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn retry_message(&self, number: i64) -> Result<Option<State>, Fault> {
        let mut unit = self.store.begin().await?;
        let was = if unit.outbox().revive(number, self.now()).await? {
            Some(State::Dead)
        } else if unit.outbox().hasten(number, self.now()).await? {
            Some(State::Pending)
        } else {
            None
        };
        unit.commit().await?;
        Ok(was)
    }

    /// Removes a message that was given up. False when no such message is dead.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn drop_message(&self, number: i64) -> Result<bool, Fault> {
        let mut unit = self.store.begin().await?;
        let buried = unit.outbox().bury(number).await?;
        unit.commit().await?;
        Ok(buried)
    }

    /// Messages waiting and given up: for the metrics.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn outbox_depth(&self) -> Result<(i64, i64), Fault> {
        Ok(self.store.read().await?.outbox().depth().await?)
    }
}

fn unknown(message: &Message) -> SendError {
    SendError::Permanent(format!("there is no template {}", message.template))
}

/// Configured when it was written, and no longer: the operator may see to it before the message is given up.
fn unprovided() -> SendError {
    SendError::Transient("no mail provider is configured".to_owned())
}
