//! The kernel: everything a use case of any feature needs, wired once.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tidegate_crypto::{KeyRing, Vault};
use tidegate_database::Store;
use tidegate_delivery::sms::Receipts;
use tidegate_delivery::{MailProvider, RetryPolicy, SmsProviders, Templates};
use tidegate_domain::{Clock, Entropy, Timestamp};
use uuid::Uuid;

use crate::cache::Stamp;
use crate::context::hooks::AccountHooks;
use crate::context::pruning::Pruning;
use crate::fault::Fault;
use crate::jobs::Job;
use crate::jobs::registry::RegisteredJob;
use crate::node::counting::Counting;
use crate::node::keys::{KeyNames, Keys, first_ring};
use crate::node::memory::{KEY_RING, Memory};
use crate::node::meter::Meter;
use crate::node::once_per_window::OncePerWindow;
use crate::node::pace::Pace;
use crate::node::readiness::{NotReady, Readiness};
use crate::settings::Settings;

/// What a kernel is made of.
pub struct Parts {
    /// The account store.
    pub store: Store,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
    /// Secrets at rest.
    pub vault: Vault,
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
    /// The operator's settings.
    pub settings: Settings,
}

/// What every feature uses.
pub struct Kernel {
    /// The store.
    pub store: Store,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
    /// Secrets at rest.
    pub vault: Arc<Vault>,
    /// The operator's settings.
    pub settings: Settings,
    pub(crate) mail: Option<MailProvider>,
    pub(crate) sms: SmsProviders,
    pub(crate) receipts: Receipts,
    pub(crate) templates: Templates,
    pub(crate) retry: RetryPolicy,
    pub(crate) meter: Meter,
    pub(crate) counting: Counting,
    pub(crate) pace: Pace,
    pub(crate) wrong_codes_warned: OncePerWindow,
    /// Notices that were to be mailed, and could not be.
    pub(crate) unsent_notices: AtomicUsize,
    pub(crate) readiness: Readiness,
    pub(crate) memory: Arc<Memory>,
    pub(crate) key_rows: Mutex<KeyNames>,
    /// When the keys were last read because of a token. Held while they are read, so that other tasks wait for the result.
    pub(crate) keys_sought: tokio::sync::Mutex<Option<Timestamp>>,
    /// Held while a key of ID tokens is made: for RS256 it takes long.
    pub(crate) key_making: tokio::sync::Mutex<()>,
    keys: Mutex<Keys>,
    registered: Mutex<Registered>,
}

/// What features have registered.
struct Registered {
    hooks: Vec<Arc<dyn AccountHooks>>,
    prunings: Vec<Pruning>,
    jobs: Vec<RegisteredJob>,
}

impl Kernel {
    /// Wires a kernel on a migrated store, making the first signing key where there is none.
    ///
    /// # Errors
    /// When the store does not answer or a signing key cannot be opened.
    pub async fn start(parts: Parts) -> Result<Arc<Self>, Fault> {
        let memory = Arc::new(Memory::new());
        let vault = Arc::new(parts.vault);
        let (ring, names) =
            first_ring(&parts.store, &vault, parts.entropy.as_ref(), &parts.settings, parts.clock.now())
                .await?;
        let kernel = Arc::new(Self {
            counting: Counting::new(parts.store.clone()),
            store: parts.store,
            clock: parts.clock,
            entropy: parts.entropy,
            vault,
            mail: parts.mail,
            sms: parts.sms,
            receipts: parts.receipts,
            templates: parts.templates,
            retry: parts.retry,
            settings: parts.settings,
            meter: Meter::new(),
            pace: Pace::default(),
            wrong_codes_warned: OncePerWindow::default(),
            unsent_notices: AtomicUsize::new(0),
            readiness: Readiness::default(),
            memory: Arc::clone(&memory),
            key_rows: Mutex::new(names),
            keys_sought: tokio::sync::Mutex::new(None),
            key_making: tokio::sync::Mutex::new(()),
            keys: Mutex::new(ring.into()),
            registered: Mutex::new(Registered { hooks: Vec::new(), prunings: Vec::new(), jobs: Vec::new() }),
        });
        kernel.register_own_jobs();
        kernel.store.listen(memory);
        Ok(kernel)
    }

    /// The operator's settings.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The present instant.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// How many notices were not sent so far, because no mail provider is configured.
    pub fn unsent_notices(&self) -> usize {
        self.unsent_notices.load(Ordering::Relaxed)
    }

    /// A new row key.
    pub fn new_uuid(&self) -> Uuid {
        self.entropy.uuid(self.now())
    }

    /// Counts the changes of `things`, to tell later whether what was read of them still holds: see
    /// [`crate::cache::ReadCache`]. Take it **before** reading: then a change that happens while reading shows.
    pub fn stamp(&self, things: &[Uuid]) -> Stamp {
        self.memory.changes.stamp(things)
    }

    /// Has a feature's hooks called from now on.
    pub fn register_hooks(&self, hooks: Arc<dyn AccountHooks>) {
        self.registered.lock().unwrap_or_else(PoisonError::into_inner).hooks.push(hooks);
    }

    /// Has what a feature no longer needs removed from now on.
    pub fn register_pruning(&self, pruning: Pruning) {
        self.registered.lock().unwrap_or_else(PoisonError::into_inner).prunings.push(pruning);
    }

    /// Has a feature's job run from now on, where the kernel's jobs are run. The feature is not kept alive by it.
    pub fn register_job<F: Send + Sync + 'static>(&self, feature: &Arc<F>, job: Job<F>) {
        let job = RegisteredJob::new(feature, job);
        self.registered.lock().unwrap_or_else(PoisonError::into_inner).jobs.push(job);
    }

    pub(crate) fn jobs(&self) -> Vec<RegisteredJob> {
        self.registered.lock().unwrap_or_else(PoisonError::into_inner).jobs.clone()
    }

    pub(crate) fn hooks(&self) -> Vec<Arc<dyn AccountHooks>> {
        self.registered.lock().unwrap_or_else(PoisonError::into_inner).hooks.clone()
    }

    pub(crate) fn prunings(&self) -> Vec<Pruning> {
        self.registered.lock().unwrap_or_else(PoisonError::into_inner).prunings.clone()
    }

    /// Proves that the database answers, and that it can be written: without that nobody can sign in. A write is tried once
    /// in two seconds at most, however many ask.
    ///
    /// # Errors
    /// [`NotReady`].
    pub async fn ready(&self) -> Result<(), NotReady> {
        self.readiness.check(&self.store, self.now()).await
    }

    /// Looks whether the database's files are still there; the log tells if they are not. Asked now and then where nothing is written.
    pub fn look_at_files(&self) {
        // What is wrong is logged by the store, and keeps nothing else waiting.
        drop(self.store.check_files());
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
