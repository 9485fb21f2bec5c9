//! What waits in the outbox is sent.

use std::pin::pin;
use std::time::Duration;

use futures_util::FutureExt;
use serde_json::Value;
use tidegate_delivery::{OutgoingMail, SendError, Template};
use tidegate_domain::EmailAddress;
use tidegate_store::outbox::{Attempt, Message};

use crate::Identity;
use crate::fault::Fault;
use crate::mail::PAYLOAD;
use crate::settings::DeliveryMode;

/// How long a worker has for a batch before another takes it over: at-least-once, never never.
const LEASE: Duration = Duration::from_secs(120);
/// How long one mail may take.
const PATIENCE: Duration = Duration::from_secs(90);
/// Messages taken at a time.
const BATCH: i64 = 10;
/// How often the outbox is looked at when nobody says that there is something in it.
const POLL: Duration = Duration::from_secs(1);

/// A mail as the outbox command and the development page show it.
#[derive(Clone, Debug)]
pub struct OutboxEntry {
    /// The row.
    pub message: Message,
    /// The template's values, where they are kept.
    pub values: Option<Value>,
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

impl Identity {
    /// Sends what is due, one batch; answers how many messages were tried.
    ///
    /// # Errors
    /// Those of the store. A provider's failure is not one: the message waits for its next turn.
    pub async fn send_due_mail(&self) -> Result<usize, Fault> {
        let Some(provider) = &self.mail else { return Ok(0) };
        let mut unit = self.store.begin().await?;
        let batch = unit.outbox().claim(self.now(), LEASE, BATCH).await?;
        if batch.is_empty() {
            return Ok(0);
        }
        unit.commit().await?;
        // All at once: one slow recipient must not hold up the others past their lease.
        let tries = batch.iter().map(|message| async move {
            match self.compose(message) {
                // Given up before the lease ends: until then nobody else sends it.
                Ok(mail) => match tokio::time::timeout(PATIENCE, provider.deliver(&mail)).await {
                    Ok(result) => result,
                    Err(_) => Err(SendError::Transient(format!("the mail server took over {PATIENCE:?}"))),
                },
                Err(error) => Err(error),
            }
        });
        let results = futures_util::future::join_all(tries).await;
        // Each is settled whatever becomes of the others: what was sent must not be sent again.
        let mut failed = None;
        for (message, result) in batch.iter().zip(results) {
            failed = self.settle(message, result).await.err().or(failed);
        }
        failed.map_or(Ok(batch.len()), Err)
    }

    async fn settle(&self, message: &Message, result: Result<(), SendError>) -> Result<(), Fault> {
        let now = self.now();
        let attempts = u32::try_from(message.attempts).unwrap_or(u32::MAX);
        let error = result.as_ref().err().map(ToString::to_string).unwrap_or_default();
        let attempt = match (&result, self.retry.next(attempts)) {
            (Ok(()), _) => {
                Attempt::Delivered { keep_payload: self.settings.mail == DeliveryMode::Keep, accepted: None }
            }
            (Err(SendError::Transient(_)), Some(delay)) => {
                Attempt::Again { at: now.plus(delay), error: &error }
            }
            (Err(_), _) => Attempt::Dead { error: &error },
        };
        match attempt {
            Attempt::Delivered { .. } => {}
            Attempt::Again { at, .. } => {
                tracing::warn!(mail = message.number, %error, again_at = at.iso_seconds(), "a mail was not sent");
            }
            Attempt::Dead { .. } => {
                tracing::error!(mail = message.number, %error, "a mail is given up; see `tidegate outbox list`");
            }
        }
        let mut unit = self.store.begin().await?;
        unit.outbox().settle(message.id(), attempt, now).await?;
        Ok(unit.commit().await?)
    }

    fn compose(&self, message: &Message) -> Result<OutgoingMail, SendError> {
        let unknown = || SendError::Permanent(format!("there is no template {}", message.template));
        let template = Template::from_name(&message.template).ok_or_else(unknown)?;
        // Sealed under a key that this node has not been given yet: another node, or a later start, can open it.
        let values = self.values_of(message).map_err(|fault| SendError::Transient(fault.to_string()))?;
        let values = values.ok_or_else(|| SendError::Permanent("its values are gone".to_owned()))?;
        // As good as it will get: a mistake in a template does not go away by itself.
        let rendered = self.templates.render(template, &values);
        let rendered = rendered.map_err(|error| SendError::Permanent(error.to_string()))?;
        Ok(OutgoingMail {
            to: message.recipient.clone(),
            idempotency_key: message.idempotency_key.clone(),
            rendered,
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

    /// The newest mails, to `recipient` or to anybody, newest first.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn list_outbox(
        &self,
        recipient: Option<&EmailAddress>,
        limit: i64,
    ) -> Result<Vec<OutboxEntry>, Fault> {
        let messages =
            self.store.read().await?.outbox().list(recipient.map(EmailAddress::as_str), limit).await?;
        // One that cannot be opened is listed all the same.
        let entry =
            |message: Message| OutboxEntry { values: self.values_of(&message).ok().flatten(), message };
        Ok(messages.into_iter().map(entry).collect())
    }

    /// What a mail says.
    ///
    /// # Errors
    /// When the template has a mistake.
    pub fn render(&self, entry: &OutboxEntry) -> Result<Option<tidegate_delivery::Rendered>, Fault> {
        let (Some(values), Some(template)) = (&entry.values, Template::from_name(&entry.message.template))
        else {
            return Ok(None);
        };
        self.templates.render(template, values).map(Some).map_err(|error| Fault::Internal(error.to_string()))
    }

    /// Tries a mail again that was given up. False when no such mail is dead.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn retry_mail(&self, number: i64) -> Result<bool, Fault> {
        let mut unit = self.store.begin().await?;
        let revived = unit.outbox().revive(number, self.now()).await?;
        unit.commit().await?;
        Ok(revived)
    }

    /// Removes a mail that was given up. False when no such mail is dead.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn drop_mail(&self, number: i64) -> Result<bool, Fault> {
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

    /// Sends mail until `stop`, which ends it between two batches: a mail in the middle of being sent would be sent
    /// again.
    pub async fn mail_worker(&self, stop: impl Future<Output = ()>) {
        let mut stop = pin!(stop);
        loop {
            match self.send_due_mail().await {
                Ok(0) => {
                    tokio::select! {
                        // Woken by a commit on this node, or a notification from another.
                        () = self.memory.outbox.notified() => {}
                        () = tokio::time::sleep(POLL) => {}
                        () = &mut stop => return,
                    }
                }
                Ok(_) => {
                    // A backlog is no reason not to stop.
                    if stop.as_mut().now_or_never().is_some() {
                        return;
                    }
                }
                Err(fault) => {
                    tracing::error!(error = %fault, "the outbox could not be read; trying again");
                    tokio::time::sleep(POLL).await;
                }
            }
        }
    }
}
