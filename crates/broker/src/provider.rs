//! Where accounts are opened.

use std::collections::VecDeque;

use uuid::Uuid;

use crate::account::{Account, TradingAccount};
use crate::alpaca::{Alpaca, Environment, EventStream};
use crate::application::{Application, Document};
use crate::error::BrokerError;
use crate::event::AccountEvent;
use crate::sandbox::Sandbox;

/// The one broker of this installation.
#[derive(Debug)]
pub enum Broker {
    /// Accounts of no bank, kept here. The default.
    Sandbox(Sandbox),
    /// Alpaca's Broker API.
    Alpaca(Alpaca),
}

impl Broker {
    /// What it is called in logs, and where its accounts are kept apart from those of others. The vendor's own sandbox is
    /// another broker: it knows none of the production's accounts.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Sandbox(_) => "sandbox",
            Self::Alpaca(alpaca) => match alpaca.environment() {
                Environment::Sandbox => "alpaca_sandbox",
                Environment::Production => "alpaca",
            },
        }
    }

    /// Whether none of its accounts is real because it is the embedded one.
    pub const fn is_sandbox(&self) -> bool {
        matches!(self, Self::Sandbox(_))
    }

    /// Whether it is worth asking for [`events`](Self::events) after the event `since`: who can be asked cheaply is.
    ///
    /// # Errors
    /// [`BrokerError`].
    pub async fn may_have_news(&self, since: Option<&str>) -> Result<bool, BrokerError> {
        match self {
            Self::Sandbox(sandbox) => Ok(!sandbox.events(since).await?.is_empty()),
            Self::Alpaca(_) => Ok(true),
        }
    }

    /// Opens an account. `key` names this opening, the same however often it is tried. Only the sandbox goes
    /// by it: Alpaca knows nothing of the kind, and there the e-mail address must do.
    ///
    /// # Errors
    /// [`BrokerError`]. One that [may have taken effect](BrokerError::may_have_taken_effect), and
    /// [`EmailTaken`](BrokerError::EmailTaken) after one, must be followed by
    /// [`find_by_email`](Self::find_by_email).
    pub async fn open(&self, key: Uuid, application: &Application) -> Result<Account, BrokerError> {
        match self {
            Self::Sandbox(sandbox) => sandbox.open(key, application).await,
            Self::Alpaca(alpaca) => alpaca.open(application).await,
        }
    }

    /// The account `id`.
    ///
    /// # Errors
    /// [`BrokerError`].
    pub async fn account(&self, id: Uuid) -> Result<Account, BrokerError> {
        match self {
            Self::Sandbox(sandbox) => sandbox.account(id).await,
            Self::Alpaca(alpaca) => alpaca.account(id).await,
        }
    }

    /// The accounts opened with exactly this e-mail address, whatever its case: one or none.
    ///
    /// # Errors
    /// [`BrokerError`].
    pub async fn find_by_email(&self, email: &str) -> Result<Vec<Account>, BrokerError> {
        match self {
            Self::Sandbox(sandbox) => sandbox.find_by_email(email).await,
            Self::Alpaca(alpaca) => alpaca.find_by_email(email).await,
        }
    }

    /// Adds documents to the account `id`.
    ///
    /// # Errors
    /// [`BrokerError`].
    pub async fn upload(&self, id: Uuid, documents: &[Document]) -> Result<(), BrokerError> {
        match self {
            Self::Sandbox(sandbox) => sandbox.upload(id, documents).await,
            Self::Alpaca(alpaca) => alpaca.upload(id, documents).await,
        }
    }

    /// The money side of the account `id`.
    ///
    /// # Errors
    /// [`BrokerError`].
    pub async fn trading(&self, id: Uuid) -> Result<TradingAccount, BrokerError> {
        match self {
            Self::Sandbox(sandbox) => sandbox.trading(id).await,
            Self::Alpaca(alpaca) => alpaca.trading(id).await,
        }
    }

    /// The changes of all accounts after the event `since`. Without one Alpaca sends those from now on, the
    /// sandbox all. The same event may come twice.
    ///
    /// # Errors
    /// [`BrokerError`].
    pub async fn events(&self, since: Option<&str>) -> Result<Events, BrokerError> {
        match self {
            Self::Sandbox(sandbox) => sandbox.events(since).await.map(|events| Events::Known(events.into())),
            Self::Alpaca(alpaca) => alpaca.events(since).await.map(Events::Stream),
        }
    }
}

/// Changes of accounts, one after another.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "a process holds one")]
pub enum Events {
    /// Those that have happened; ask again later.
    Known(VecDeque<AccountEvent>),
    /// As they happen.
    Stream(EventStream),
}

impl Events {
    /// The next one; `None` when there are no more, and it is time to wait a little and ask again from the
    /// last.
    ///
    /// # Errors
    /// Those of [`EventStream::next`].
    pub async fn next(&mut self) -> Result<Option<AccountEvent>, BrokerError> {
        match self {
            Self::Known(events) => Ok(events.pop_front()),
            Self::Stream(stream) => stream.next().await,
        }
    }
}
