//! The outbox: what is to be sent, written with what caused it and sent afterwards.

mod operator;

use std::time::Duration;

use tidegate_database::{Result, Unit, execute, fetch_all, fetch_one, fetch_optional, prune, put_off};
use tidegate_domain::Timestamp;
use tidegate_domain::id::OutboxMessageId;
use uuid::Uuid;

use crate::changes;
use crate::jobs::Claim;

/// The outbox of a unit of work.
pub struct Outbox<'u>(pub(crate) &'u mut Unit);

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

/// A message to be sent.
#[derive(Clone, Copy, Debug)]
pub struct NewMessage<'a> {
    /// Key.
    pub id: OutboxMessageId,
    /// The same for every copy of one message; a second one is not added.
    pub idempotency_key: &'a str,
    /// `email` or `sms`.
    pub channel: &'a str,
    /// Which template.
    pub template: &'a str,
    /// To whom.
    pub recipient: &'a str,
    /// The template's values, sealed.
    pub payload: &'a [u8],
    /// False for a message that must leave no trace but equal work: it is claimed and settled like any other, and never
    /// sent.
    pub deliverable: bool,
    /// Now.
    pub created_at: Timestamp,
}

/// The state of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// To be sent.
    Pending,
    /// Accepted by the provider; in development, kept to be read: see [`Message::standing`].
    Delivered,
    /// Given up after too many attempts, or after a permanent error.
    Dead,
    /// Never to be sent.
    Discarded,
}

impl State {
    /// The stored value.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Delivered => "delivered",
            Self::Dead => "dead",
            Self::Discarded => "discarded",
        }
    }
}

/// A message.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Message {
    /// The integer shown on the command line.
    pub number: i64,
    id: Uuid,
    /// The same for every copy of one message.
    pub idempotency_key: String,
    /// `email` or `sms`.
    pub channel: String,
    /// Which template.
    pub template: String,
    /// To whom.
    pub recipient: String,
    /// The template's values, sealed; gone once delivered, unless the provider is the outbox itself.
    pub payload: Option<Vec<u8>>,
    /// Its state: see [`State`].
    pub state: String,
    /// Tries so far.
    pub attempts: i64,
    claims: i64,
    next_attempt_at: i64,
    /// Why the last try failed.
    pub last_error: Option<String>,
    /// The provider that accepted it.
    pub provider: Option<String>,
    /// What they reported of it since: `interim`, `delivered` or `failed`.
    pub receipt: Option<String>,
    /// Why it failed, in their code.
    pub receipt_reason: Option<String>,
    created_at: i64,
    settled_at: Option<i64>,
}

impl Message {
    /// Whether it is never sent.
    pub fn is_discarded(&self) -> bool {
        self.state == State::Discarded.as_str()
    }

    /// Where it stands, for people: what no provider was given is kept to be read, not delivered.
    pub fn standing(&self) -> &str {
        let is_kept = self.state == State::Delivered.as_str() && self.payload.is_some();
        if is_kept { "kept" } else { &self.state }
    }

    /// Key.
    pub fn id(&self) -> OutboxMessageId {
        self.id.into()
    }

    /// Which claim of it was the last.
    pub const fn claim(&self) -> Claim {
        Claim(self.claims)
    }

    /// When it is tried next.
    pub fn next_attempt_at(&self) -> Timestamp {
        Timestamp::from_micros(self.next_attempt_at)
    }

    /// When it was written.
    pub fn created_at(&self) -> Timestamp {
        Timestamp::from_micros(self.created_at)
    }

    /// When it was delivered or given up.
    pub fn settled_at(&self) -> Option<Timestamp> {
        self.settled_at.map(Timestamp::from_micros)
    }
}

/// The result of a delivery attempt.
#[derive(Clone, Copy, Debug)]
pub enum Attempt<'a> {
    /// It was accepted. Its values are wiped unless they are to stay readable.
    Delivered {
        /// Whether the outbox itself is where messages are read.
        keep_payload: bool,
        /// Who took it, where there are several to choose from, and what they call it.
        accepted: Option<(&'a str, Option<&'a str>)>,
    },
    /// It was never to be sent. Its values are wiped.
    Discarded,
    /// It failed and is tried again.
    Again {
        /// When.
        at: Timestamp,
        /// Why it failed.
        error: &'a str,
    },
    /// It failed permanently.
    Dead {
        /// Why.
        error: &'a str,
    },
    /// It failed finally, and no operator needs to act: its text had a short lifetime. The row is deleted.
    Missed {
        /// Why.
        error: &'a str,
    },
}

/// A provider's report.
#[derive(Clone, Copy, Debug)]
pub struct NewReceipt<'a> {
    /// Whose.
    pub provider: &'a str,
    /// What they call the message.
    pub message_id: &'a str,
    /// How far it has got: `interim`, `delivered` or `failed`.
    pub state: &'a str,
    /// Why it failed, in their code.
    pub reason: Option<&'a str>,
}

impl Outbox<'_> {
    /// Adds a message unless one of its key is there.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn insert(&mut self, new: NewMessage<'_>) -> Result<()> {
        let state = if new.deliverable { State::Pending } else { State::Discarded };
        put_off!(
            self.0,
            "insert into outbox_messages (id, idempotency_key, channel, template, recipient, payload, state, attempts,
                next_attempt_at, leased_until, created_at)
             values ($1, $2, $3, $4, $5, $6, $7, 0, $8, 0, $8) on conflict (idempotency_key) do nothing",
            new.id.0,
            new.idempotency_key,
            new.channel,
            new.template,
            new.recipient,
            new.payload,
            state.as_str(),
            new.created_at.micros(),
        )?;
        let waits = if new.channel == Channel::Sms.as_str() { changes::TEXTS } else { changes::MAILS };
        self.0.note(waits);
        Ok(())
    }

    /// Discards a message that the unit has inserted: it is never sent.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn withhold(&mut self, message: OutboxMessageId) -> Result<()> {
        execute!(
            self.0,
            "update outbox_messages set state = $2 where id = $1",
            message.0,
            State::Discarded.as_str(),
        )?;
        Ok(())
    }

    /// Takes up to `at_most` due messages of one channel for `lease`; no other worker gets them in that time. Discarded
    /// ones are among them: were they not, the work behind a request would tell whether anyone is sent something.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn claim(
        &mut self,
        channel: &str,
        now: Timestamp,
        lease: Duration,
        at_most: i64,
    ) -> Result<Vec<Message>> {
        let mut messages = fetch_all!(
            self.0,
            Message,
            "update outbox_messages set leased_until = $2, attempts = attempts + 1, claims = claims + 1
             where settled_at is null and leased_until <= $1 and id in
                (select id from outbox_messages
                 where settled_at is null and next_attempt_at <= $1 and leased_until <= $1 and channel = $4
                 order by next_attempt_at, number limit $3)
             returning number, id, idempotency_key, channel, template, recipient, payload, state, attempts, claims,
                next_attempt_at, last_error, provider, receipt, receipt_reason, created_at, settled_at",
            now.micros(),
            now.plus(lease).micros(),
            at_most,
            channel,
        )?;
        messages.sort_by_key(|message| message.number);
        Ok(messages)
    }

    /// Stores the result of a delivery attempt of the worker with that claim. A failure is not stored once another worker has
    /// taken the message; that it was sent always is.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn settle(
        &mut self,
        id: OutboxMessageId,
        claim: Claim,
        attempt: Attempt<'_>,
        now: Timestamp,
    ) -> Result<()> {
        match attempt {
            Attempt::Delivered { keep_payload, accepted } => {
                return self.put_away(id, State::Delivered, keep_payload, accepted, now).await;
            }
            Attempt::Discarded => return self.put_away(id, State::Discarded, false, None, now).await,
            Attempt::Again { at, error } => execute!(
                self.0,
                "update outbox_messages set next_attempt_at = $2, leased_until = 0, last_error = $3
                 where id = $1 and state = 'pending' and claims = $4",
                id.0,
                at.micros(),
                error,
                claim.0,
            ),
            Attempt::Missed { error } => execute!(
                self.0,
                "update outbox_messages set state = 'discarded', settled_at = $2, leased_until = 0, last_error = $3,
                    payload = null
                 where id = $1 and state = 'pending' and claims = $4",
                id.0,
                now.micros(),
                error,
                claim.0,
            ),
            Attempt::Dead { error } => execute!(
                self.0,
                "update outbox_messages set state = 'dead', settled_at = $2, leased_until = 0, last_error = $3
                 where id = $1 and state = 'pending' and claims = $4",
                id.0,
                now.micros(),
                error,
                claim.0,
            ),
        }?;
        Ok(())
    }

    /// One statement for what was delivered and for what was never to be.
    async fn put_away(
        &mut self,
        id: OutboxMessageId,
        state: State,
        keep_payload: bool,
        accepted: Option<(&str, Option<&str>)>,
        now: Timestamp,
    ) -> Result<()> {
        execute!(
            self.0,
            "update outbox_messages set state = $6, settled_at = $2, leased_until = 0, last_error = null,
                payload = case when $3 then payload else null end, provider = $4, provider_message_id = $5
             where id = $1 and settled_at is null",
            id.0,
            now.micros(),
            keep_payload,
            accepted.map(|(provider, _)| provider),
            accepted.and_then(|(_, message_id)| message_id),
            state.as_str(),
        )?;
        Ok(())
    }

    /// The messages to a recipient that are kept, the oldest first.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn to_recipient(&mut self, recipient: &str) -> Result<Vec<Message>> {
        fetch_all!(
            self.0,
            Message,
            "select number, id, idempotency_key, channel, template, recipient, payload, state, attempts, claims,
                next_attempt_at, last_error, provider, receipt, receipt_reason, created_at, settled_at
             from outbox_messages where recipient = $1 order by number",
            recipient,
        )
    }

    /// Notes what a provider reports of a message it took; answers the message's number. Reports may come in any order:
    /// what is final stays. None for a message that is not known (any more).
    ///
    /// # Errors
    /// Those of the database.
    pub async fn receive(&mut self, receipt: NewReceipt<'_>, now: Timestamp) -> Result<Option<i64>> {
        let row = fetch_optional!(
            self.0,
            (i64,),
            "update outbox_messages set receipt_at = $5,
                receipt = case when receipt in ('delivered', 'failed') then receipt else $3 end,
                receipt_reason = case when receipt in ('delivered', 'failed') then receipt_reason else $4 end
             where provider_message_id = $2 and provider = $1 returning number",
            receipt.provider,
            receipt.message_id,
            receipt.state,
            receipt.reason,
            now.micros(),
        )?;
        Ok(row.map(|(number,)| number))
    }

    /// The newest messages, to `recipient` or to all, newest first.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn list(&mut self, recipient: Option<&str>, limit: i64) -> Result<Vec<Message>> {
        fetch_all!(
            self.0,
            Message,
            "select number, id, idempotency_key, channel, template, recipient, payload, state, attempts, claims,
                next_attempt_at, last_error, provider, receipt, receipt_reason, created_at, settled_at
             from outbox_messages where recipient = $1 or $1 = '' order by number desc limit $2",
            recipient.unwrap_or_default(),
            limit,
        )
    }

    /// How many messages wait and how many are dead.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn depth(&mut self) -> Result<(i64, i64)> {
        fetch_one!(
            self.0,
            (i64, i64),
            "select count(case when state = 'pending' then 1 end), count(case when state = 'dead' then 1 end)
             from outbox_messages where state in ('pending', 'dead')",
        )
    }

    /// What keeps messages from being sent: the state, the error and how many have both, the most frequent first. Those that wait for their
    /// first try are not among them.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn unsent(&mut self, limit: i64) -> Result<Vec<(String, String, i64)>> {
        fetch_all!(
            self.0,
            (String, String, i64),
            "select state, coalesce(last_error, '') as reason, count(*) as messages from outbox_messages
             where state = 'dead' or (state = 'pending' and last_error is not null)
             group by state, last_error order by messages desc, state, reason limit $1",
            limit,
        )
    }

    /// Whether a message of a channel can be claimed.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn is_due(&mut self, channel: &str, now: Timestamp) -> Result<bool> {
        let row = fetch_optional!(
            self.0,
            (i64,),
            "select number from outbox_messages
             where settled_at is null and next_attempt_at <= $1 and leased_until <= $1 and channel = $2 limit 1",
            now.micros(),
            channel,
        )?;
        Ok(row.is_some())
    }

    /// When the next message is due, if one is pending.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn next_due(&mut self) -> Result<Option<Timestamp>> {
        let row = fetch_optional!(
            self.0,
            (Option<i64>,),
            "select min(case when leased_until > next_attempt_at then leased_until else next_attempt_at end)
             from outbox_messages where state = 'pending'",
        )?;
        Ok(row.and_then(|(at,)| at).map(Timestamp::from_micros))
    }

    /// Removes settled messages last tried before `before`, dead ones excepted; answers how many.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn prune(&mut self, before: Timestamp, at_most: i64) -> Result<u64> {
        prune!(
            self.0,
            "outbox_messages",
            "id",
            "where state in ('delivered', 'discarded') and next_attempt_at < $1 order by next_attempt_at limit $2",
            before.micros(),
            at_most,
        )
    }
}
