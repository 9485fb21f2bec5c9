//! The application: everything a use case needs, wired once.

use std::sync::{Arc, Mutex, PoisonError};

use tidegate_broker::sandbox::SandboxConfig;
use tidegate_broker::{Alpaca, Broker, Sandbox};
use tidegate_crypto::{HashPool, KeyRing, Vault};
use tidegate_delivery::sms::Receipts;
use tidegate_delivery::{MailProvider, RetryPolicy, SmsProviders, Templates};
use tidegate_domain::id::{AccountId, SessionId};
use tidegate_domain::{AccessClaims, Clock, Entropy, Timestamp};
use tidegate_store::sessions::SessionRecord;
use tidegate_store::{Change, ChangeListener, Store};
use tokio::sync::Notify;
use uuid::Uuid;

use crate::accounts::overview::Overview;
use crate::brokerage::sandbox_shelf::StoreShelf;
use crate::kernel::cache::{Changes, ReadCache};
use crate::kernel::fault::Fault;
use crate::kernel::meter::Meter;
use crate::kernel::settings::Settings;
use crate::kernel::signing_keys::{KeyNames, first_ring};

/// Sessions, tokens and accounts remembered by a node; a few KiB each at most.
const REMEMBERED: usize = 16_384;

/// What an application is made of.
pub struct Parts {
    /// The account store.
    pub store: Store,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
    /// Secrets at rest.
    pub vault: Vault,
    /// Hashes passwords.
    pub passwords: HashPool,
    /// Sends mail; none refuses what needs one.
    pub mail: Option<MailProvider>,
    /// Sends text messages, through the first that takes them; none refuses what needs one.
    pub sms: SmsProviders,
    /// Reads what those providers report afterwards.
    pub receipts: Receipts,
    /// What mails and text messages say.
    pub templates: Templates,
    /// When they are tried again.
    pub retry: RetryPolicy,
    /// Where brokerage accounts are opened.
    pub broker: BrokerChoice,
    /// What the operator decided.
    pub settings: Settings,
}

/// Where brokerage accounts are opened.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "a process makes one")]
pub enum BrokerChoice {
    /// At the embedded sandbox, which keeps them in the store.
    Sandbox(SandboxConfig),
    /// At Alpaca's.
    Alpaca(Alpaca),
}

/// The application.
pub struct Identity {
    pub(crate) store: Store,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) vault: Arc<Vault>,
    pub(crate) passwords: HashPool,
    pub(crate) mail: Option<MailProvider>,
    pub(crate) sms: SmsProviders,
    pub(crate) receipts: Receipts,
    pub(crate) broker: Broker,
    pub(crate) templates: Templates,
    pub(crate) retry: RetryPolicy,
    pub(crate) settings: Settings,
    pub(crate) meter: Meter,
    pub(crate) memory: Arc<Memory>,
    pub(crate) key_rows: Mutex<KeyNames>,
    /// When the keys were last read because of a token. Held while they are read, so that others wait for the news.
    pub(crate) keys_sought: tokio::sync::Mutex<Option<Timestamp>>,
    keys: Mutex<Keys>,
}

/// The keys in use, and what is published of them: asked for by every relying party, and the same for months.
struct Keys {
    ring: KeyRing,
    published: Arc<str>,
}

impl From<KeyRing> for Keys {
    fn from(ring: KeyRing) -> Self {
        let published = ring.jwks().to_string().into();
        Self { ring, published }
    }
}

/// What a node remembers of the store, and how it hears that it must forget.
pub(crate) struct Memory {
    pub(crate) changes: Changes,
    pub(crate) claims: ReadCache<[u8; 32], Arc<AccessClaims>>,
    pub(crate) sessions: ReadCache<SessionId, Arc<SessionRecord>>,
    pub(crate) overviews: ReadCache<AccountId, Arc<Overview>>,
    pub(crate) mails: Notify,
    pub(crate) texts: Notify,
    pub(crate) keys: Notify,
}

impl Memory {
    fn wake_deliverers(&self) {
        self.mails.notify_one();
        self.texts.notify_one();
    }
}

/// Stands for the key ring among the things that change.
pub(crate) const KEY_RING: Uuid = Uuid::nil();

impl ChangeListener for Memory {
    fn changed(&self, change: Change) {
        match change {
            Change::Session(id) => self.changes.note(id.0),
            Change::Account(id) => self.changes.note(id.0),
            Change::Outbox => self.wake_deliverers(),
            Change::SigningKeys => self.keys.notify_one(),
            Change::Everything => {
                self.changes.note_everything();
                self.wake_deliverers();
                self.keys.notify_one();
            }
        }
    }
}

impl Identity {
    /// Wires an application on a migrated store, making the first signing key where there is none.
    ///
    /// # Errors
    /// When the store does not answer or a signing key cannot be opened.
    pub async fn start(parts: Parts) -> Result<Arc<Self>, Fault> {
        let memory = Arc::new(Memory {
            changes: Changes::new(),
            claims: ReadCache::new(REMEMBERED),
            sessions: ReadCache::new(REMEMBERED),
            overviews: ReadCache::new(REMEMBERED),
            mails: Notify::new(),
            texts: Notify::new(),
            keys: Notify::new(),
        });
        let vault = Arc::new(parts.vault);
        let (ring, names) =
            first_ring(&parts.store, &vault, parts.entropy.as_ref(), &parts.settings, parts.clock.now())
                .await?;
        let broker = match parts.broker {
            BrokerChoice::Alpaca(alpaca) => Broker::Alpaca(alpaca),
            BrokerChoice::Sandbox(config) => {
                let (store, entropy) = (parts.store.clone(), Arc::clone(&parts.entropy));
                let shelf = Arc::new(StoreShelf { store, vault: Arc::clone(&vault), entropy });
                Broker::Sandbox(Sandbox::new(config, Arc::clone(&parts.clock), shelf))
            }
        };
        let identity = Arc::new(Self {
            store: parts.store,
            clock: parts.clock,
            entropy: parts.entropy,
            vault,
            passwords: parts.passwords,
            mail: parts.mail,
            sms: parts.sms,
            receipts: parts.receipts,
            broker,
            templates: parts.templates,
            retry: parts.retry,
            settings: parts.settings,
            meter: Meter::new(),
            memory: Arc::clone(&memory),
            key_rows: Mutex::new(names),
            keys_sought: tokio::sync::Mutex::new(None),
            keys: Mutex::new(ring.into()),
        });
        identity.store.listen(memory);
        Ok(identity)
    }

    /// What the operator decided.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The present instant.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// A new row key.
    pub fn new_uuid(&self) -> Uuid {
        self.entropy.uuid(self.now())
    }

    /// Password hashes waiting or being computed.
    pub fn hash_queue_depth(&self) -> usize {
        self.passwords.depth()
    }

    /// Proves that the database answers.
    ///
    /// # Errors
    /// [`Fault::Unavailable`] when it does not.
    pub async fn ping(&self) -> Result<(), Fault> {
        Ok(self.store.ping().await?)
    }

    /// Public keys that verify this installation's access tokens, as JSON text (RFC 7517 section 5).
    pub fn jwks(&self) -> Arc<str> {
        Arc::clone(&self.keys.lock().unwrap_or_else(PoisonError::into_inner).published)
    }

    pub(crate) fn key_ring(&self) -> KeyRing {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner).ring.clone()
    }

    pub(crate) fn set_key_ring(&self, ring: KeyRing) {
        *self.keys.lock().unwrap_or_else(PoisonError::into_inner) = ring.into();
        // Tokens judged by a ring that no longer holds are judged again.
        self.memory.changes.note(KEY_RING);
    }
}
