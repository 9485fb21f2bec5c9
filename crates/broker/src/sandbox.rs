//! A broker without a network: for development, for tests, and until the operator has a contract with a real
//! one.
//!
//! An account's life is planned when it is opened and looked up when it is requested, so nothing has to run
//! meanwhile. The plan is a value ([`SandboxAccount`]) kept wherever a [`SandboxStore`] puts it.

mod account;
mod store;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use smart_default::SmartDefault;
use tidegate_domain::{Clock, Timestamp};
use uuid::Uuid;

use crate::account::{Account, TradingAccount, email_key};
use crate::application::{Application, Document};
use crate::error::{BrokerError, TookEffect, Trouble};
use crate::event::AccountEvent;

pub use account::{SandboxAccount, StatusChange};
pub use store::{MemorySandboxStore, PutOutcome, SandboxStore, SandboxStoreFailed};

/// How often a change is tried that others keep overtaking.
const MAX_RACES: u32 = 8;
/// How old an event is before it is reported. A reader that continues after the last event must not miss one that another
/// node was still writing when it was queried.
const SETTLED_AFTER: Duration = Duration::from_secs(2);

/// How the sandbox treats applications.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema, SmartDefault)]
#[serde(deny_unknown_fields, default)]
pub struct SandboxConfig {
    /// Seconds from an application, or from its missing documents, to its approval.
    #[serde(with = "tidegate_domain::time::seconds")]
    #[schemars(with = "u64")]
    #[default(Duration::from_secs(2))]
    pub review: Duration,
    /// Seconds from the approval until the account is active.
    #[serde(with = "tidegate_domain::time::seconds")]
    #[schemars(with = "u64")]
    #[default(Duration::from_secs(2))]
    pub activation: Duration,
    /// Whether an application needs documents.
    #[default(true)]
    pub require_documents: bool,
}

/// The embedded broker. Shared by all tasks, and through its store by all nodes.
#[derive(Clone)]
pub struct Sandbox {
    config: SandboxConfig,
    clock: Arc<dyn Clock>,
    store: Arc<dyn SandboxStore>,
}

impl fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sandbox").field("config", &self.config).finish_non_exhaustive()
    }
}

impl Sandbox {
    /// A broker that keeps its accounts on `store`.
    pub fn new(config: SandboxConfig, clock: Arc<dyn Clock>, store: Arc<dyn SandboxStore>) -> Self {
        Self { config, clock, store }
    }

    /// Opens an account. The same `key` finds the account it opened before, whatever the application says
    /// now.
    ///
    /// # Errors
    /// [`BrokerError::Invalid`], [`BrokerError::EmailTaken`], [`BrokerError::Unavailable`].
    pub async fn open(&self, key: Uuid, application: &Application) -> Result<Account, BrokerError> {
        let now = self.clock.now();
        let id = SandboxAccount::id_of(key);
        if let Some(first) = self.store.get(id).await? {
            return first.account(now);
        }
        let opened = SandboxAccount::open(key, application, now, &self.config)?;
        let account = opened.account(now)?;
        match self.store.put(opened).await? {
            PutOutcome::Stored => Ok(account),
            PutOutcome::EmailTaken => Err(BrokerError::EmailTaken),
            // The same opening, at the same time, on another node.
            PutOutcome::Conflict => self.account(id).await,
        }
    }

    /// The account `id`.
    ///
    /// # Errors
    /// [`BrokerError::NotFound`], [`BrokerError::Unavailable`].
    pub async fn account(&self, id: Uuid) -> Result<Account, BrokerError> {
        self.kept(id).await?.account(self.clock.now())
    }

    /// The account opened with this e-mail address, if any.
    ///
    /// # Errors
    /// [`BrokerError::Unavailable`].
    pub async fn find_by_email(&self, email: &str) -> Result<Vec<Account>, BrokerError> {
        let found = self.store.find(&email_key(email)).await?;
        found.iter().map(|account| account.account(self.clock.now())).collect()
    }

    /// Adds documents to the account `id`; an account that waits for them goes on.
    ///
    /// # Errors
    /// [`BrokerError::Invalid`], [`BrokerError::NotFound`], [`BrokerError::Unavailable`].
    pub async fn upload(&self, id: Uuid, documents: &[Document]) -> Result<(), BrokerError> {
        for _ in 0..MAX_RACES {
            let mut account = self.kept(id).await?;
            account.upload(documents, self.clock.now(), &self.config)?;
            match self.store.put(account).await? {
                PutOutcome::Stored => return Ok(()),
                PutOutcome::Conflict | PutOutcome::EmailTaken => {}
            }
        }
        Err(out_of_reach(TookEffect::No))
    }

    /// The money side of the account `id`: nothing yet, for nothing can be paid in.
    ///
    /// # Errors
    /// [`BrokerError::NotFound`], [`BrokerError::Unavailable`].
    pub async fn trading(&self, id: Uuid) -> Result<TradingAccount, BrokerError> {
        self.kept(id).await?.trading(self.clock.now())
    }

    /// The changes of all accounts after the event `since`, or all of them, oldest first.
    ///
    /// # Errors
    /// [`BrokerError::Unavailable`].
    pub async fn events(&self, since: Option<&str>) -> Result<Vec<AccountEvent>, BrokerError> {
        let told_until = self.clock.now().minus(SETTLED_AFTER);
        // Its first digits are an instant: what happened before it is not looked at.
        let begin = since.and_then(account::instant_of).unwrap_or_default();
        let accounts = self.store.changing_since(begin).await?;
        let mut events: Vec<AccountEvent> = accounts
            .iter()
            .flat_map(|account| account.events(told_until))
            .filter(|event| event.ulid.as_deref().is_some_and(|ulid| since.is_none_or(|since| ulid > since)))
            .collect();
        events.sort_by(|left, right| left.ulid.cmp(&right.ulid));
        Ok(events)
    }

    async fn kept(&self, id: Uuid) -> Result<SandboxAccount, BrokerError> {
        self.store.get(id).await?.ok_or(BrokerError::NotFound)
    }
}

impl From<SandboxStoreFailed> for BrokerError {
    fn from(_: SandboxStoreFailed) -> Self {
        // Openings find their first attempt by its key, and a document kept twice does no harm, but callers
        // treat both brokers alike.
        out_of_reach(TookEffect::Maybe)
    }
}

const fn out_of_reach(took_effect: TookEffect) -> BrokerError {
    BrokerError::Unavailable { trouble: Trouble::Storage, took_effect, retry_after: None }
}

/// `at` as the broker writes instants.
fn written(at: Timestamp) -> String {
    at.iso_micros()
}
