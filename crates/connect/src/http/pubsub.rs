//! Pub/Sub: what a subscription holds at the moment, up to a bound, without taking it away.
//!
//! Nothing is ever acknowledged. Messages are leased while they are read, so that each pull gives others; at the end, and after an error,
//! every lease is given back by an acknowledgement deadline of 0, and the server delivers the messages again to whoever asks. A reader that
//! is gone before that leaves leases that run out by themselves. Subscribers of the same subscription get the leased messages later,
//! and a subscription with a dead-letter policy counts each reading as an attempt: such a one is refused unless the source says that it may
//! be read.
//!
//! Source: Google Cloud, "Pub/Sub API" (v1): projects.subscriptions.list, pull, modifyAckDeadline.

use std::collections::HashSet;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tokio::time::Instant;
use url::Url;

use super::client::Request;
use super::google::{Google, endpoint};
use crate::error::SourceError;
use crate::members::Members;
use crate::network::NetworkPolicy;
use crate::settings::Settings;
use crate::snapshot::{Fetcher, Lines};

const SCOPE: &str = "https://www.googleapis.com/auth/pubsub";
const ENDPOINT: &str = "https://pubsub.googleapis.com/";
/// Messages of a subscription at most, unless `metadata.max_records` says otherwise.
const MOST: u64 = 10_000;
/// Messages of a pull at most.
const PULL: usize = 1_000;
/// Leases that are given back with one request.
const GIVEN_BACK: usize = 1_000;
/// Pulls one after the other that give nothing new, after which the subscription is taken to be read.
const EMPTY: u32 = 2;
/// Subscriptions at most.
const SUBSCRIPTIONS: usize = 10_000;
/// How long giving one batch of leases back may take.
const GIVING_BACK: Duration = Duration::from_secs(10);

/// The subscriptions of a project.
pub(crate) struct Pubsub {
    google: Google,
    base: Url,
    project: String,
    most: usize,
    /// How long messages are pulled.
    longest: Duration,
    dead_letters: bool,
}

impl Pubsub {
    pub(crate) async fn open(settings: &Settings, policy: &NetworkPolicy) -> Result<Self, SourceError> {
        let number = |name: &str, default: u64| match settings.metadata.get(name) {
            None | Some(Value::Null) => Ok(default),
            Some(value) => value.as_u64().filter(|number| *number > 0).ok_or_else(|| {
                SourceError::connection(format!("metadata.{name} must be a whole number above 0."))
            }),
        };
        let most = usize::try_from(number("max_records", MOST)?).unwrap_or(usize::MAX);
        Ok(Self {
            google: Google::open(settings, policy, SCOPE).await?,
            base: endpoint(settings, ENDPOINT)?,
            project: Google::project(settings)?,
            most,
            longest: Duration::from_secs(number("max_seconds", 8)?),
            dead_letters: settings.flag("allow_dead_letter_policy", false)?,
        })
    }

    /// The address of a subscription, or of an operation on it. An identifier has letters, digits and `-_.~+%` alone, so that none of its
    /// characters has a meaning in a path.
    fn url(&self, subscription: Option<&str>, operation: &str) -> Result<Url, SourceError> {
        let part = |name: &str| {
            let mut bytes = name.bytes();
            let fits = !name.is_empty()
                && bytes.all(|byte| byte.is_ascii_alphanumeric() || b"-_.~+:".contains(&byte));
            if fits { Ok(()) } else { Err(SourceError::query("The name is none of a subscription.")) }
        };
        part(&self.project)?;
        let mut path = format!("v1/projects/{}/subscriptions", self.project);
        if let Some(subscription) = subscription {
            part(subscription)?;
            if subscription.contains(':') || subscription.starts_with('.') {
                return Err(SourceError::query("The name is none of a subscription."));
            }
            path.push_str(&format!("/{subscription}{operation}"));
        }
        self.base.join(&path).map_err(|_| SourceError::query("The name is none of a subscription."))
    }

    async fn subscriptions(&self, most: usize) -> Result<Vec<Value>, SourceError> {
        let mut found = Vec::new();
        let mut token: Option<String> = None;
        loop {
            let mut url = self.url(None, "")?;
            url.query_pairs_mut().append_pair("pageSize", "1000");
            if let Some(token) = &token {
                url.query_pairs_mut().append_pair("pageToken", token);
            }
            let answer = self.google.ask(Request::get(url)).await?;
            found.extend(answer.get("subscriptions").and_then(Value::as_array).cloned().unwrap_or_default());
            token = answer.get("nextPageToken").and_then(Value::as_str).map(str::to_owned);
            if token.as_ref().is_none_or(String::is_empty) || found.len() >= most {
                return Ok(found);
            }
        }
    }

    /// Pulls until there is nothing new, or enough.
    async fn pull(
        &self,
        subscription: &str,
        most: usize,
        leases: &mut Vec<String>,
        out: &mut Lines,
    ) -> Result<(), SourceError> {
        let until = Instant::now() + self.longest;
        let mut seen = HashSet::new();
        let mut empty = 0;
        while out.rows < most && empty < EMPTY && Instant::now() < until {
            let ask = json!({ "maxMessages": PULL.min(most - out.rows), "returnImmediately": true });
            let request = Request::post(self.url(Some(subscription), ":pull")?, &ask);
            let answer = self.google.ask(request).await?;
            let received = answer.get("receivedMessages").and_then(Value::as_array);
            let before = out.rows;
            for message in received.into_iter().flatten() {
                leases.extend(message.get("ackId").and_then(Value::as_str).map(str::to_owned));
                let id = message.pointer("/message/messageId").and_then(Value::as_str).unwrap_or_default();
                // A lease that ran out meanwhile brings its message again.
                if seen.insert(id.to_owned()) && out.rows < most {
                    out.write(&row(message))?;
                }
            }
            empty = if out.rows == before { empty + 1 } else { 0 };
        }
        Ok(())
    }

    /// Gives leases back: the server delivers the messages again.
    async fn give_back(&self, subscription: &str, leases: &[String]) {
        for some in leases.chunks(GIVEN_BACK) {
            let Ok(url) = self.url(Some(subscription), ":modifyAckDeadline") else { return };
            let ask = json!({ "ackIds": some, "ackDeadlineSeconds": 0 });
            let given = tokio::time::timeout(GIVING_BACK, self.google.ask(Request::post(url, &ask))).await;
            match given {
                Ok(Ok(_)) => {}
                Ok(Err(error)) => tracing::debug!(detail = error.detail, "leases run out by themselves"),
                Err(_) => tracing::debug!("leases run out by themselves: the server does not answer"),
            }
        }
    }
}

/// A message as a row: JSON objects by their members, all else as the text `data`.
fn row(received: &Value) -> String {
    let message = received.get("message").cloned().unwrap_or_default();
    let member = |name: &str| message.get(name).cloned().unwrap_or_default();
    let mut row = Members::default();
    row.add("message_id", member("messageId"));
    row.add("publish_time", member("publishTime"));
    row.add("ordering_key", member("orderingKey"));
    row.add("attributes", member("attributes"));
    let bytes =
        STANDARD.decode(message.get("data").and_then(Value::as_str).unwrap_or_default()).unwrap_or_default();
    row.add_payload(bytes);
    row.into_json()
}

#[async_trait::async_trait]
impl Fetcher for Pubsub {
    async fn probe(&self, query: Option<&str>) -> Result<(Option<String>, Option<String>), SourceError> {
        if query.is_some() {
            return Err(SourceError::query("Pub/Sub is tested without a query."));
        }
        let seen = self.subscriptions(1).await?.len();
        Ok((Some("Pub/Sub v1".to_owned()), Some(format!("{seen} subscriptions seen"))))
    }

    async fn relations(&self) -> Result<Vec<(String, String, Option<i64>)>, SourceError> {
        let mut found = Vec::new();
        for subscription in self.subscriptions(SUBSCRIPTIONS).await? {
            let is_pushed = |name: &str, inside: &str| {
                subscription.pointer(&format!("/{name}/{inside}")).and_then(Value::as_str).is_some()
            };
            let elsewhere = is_pushed("pushConfig", "pushEndpoint")
                || is_pushed("bigqueryConfig", "table")
                || is_pushed("cloudStorageConfig", "bucket");
            let refused = subscription.get("deadLetterPolicy").is_some() && !self.dead_letters;
            let name = subscription.get("name").and_then(Value::as_str).unwrap_or_default();
            let name = name.rsplit('/').next().unwrap_or_default();
            if !elsewhere && !refused && !name.is_empty() {
                found.push(("main".to_owned(), name.to_owned(), None));
            }
        }
        found.sort();
        Ok(found)
    }

    async fn rows(&self, _: &str, table: &str, wanted: usize, out: &mut Lines) -> Result<(), SourceError> {
        let subscription = self.google.ask(Request::get(self.url(Some(table), "")?)).await?;
        if subscription.get("deadLetterPolicy").is_some() && !self.dead_letters {
            return Err(SourceError::query(
                "The subscription has a dead-letter policy, which counts each reading as an attempt to deliver; read a subscription of its own, or set metadata.allow_dead_letter_policy.",
            ));
        }
        let mut leases = Vec::new();
        let pulled = self.pull(table, wanted.min(self.most), &mut leases, out).await;
        self.give_back(table, &leases).await;
        pulled
    }

    fn tunnel(&self) -> Option<&crate::ssh::Tunnel> {
        self.google.client.dialer.tunnel().map(AsRef::as_ref)
    }
}
