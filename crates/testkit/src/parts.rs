//! What every node of an application under test is made of.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tempfile::TempDir;
use tidegate_broker::sandbox::SandboxConfig;
use tidegate_broker::{Alpaca, AlpacaConfig, Wait};
use tidegate_brokerage::BrokerChoice;
use tidegate_catalog::DataSettings;
use tidegate_catalog::hooks::SourceFiles;
use tidegate_crypto::{HashPool, MasterKey, PasswordHasher, PasswordScheme, PoolSize, Vault};
use tidegate_delivery::sms::Receipts;
use tidegate_delivery::{SmsConfig, SmsProvider, SmsProviders, Templates};
use tidegate_domain::{Clock, Entropy};
use tidegate_federation::{ClientDocuments, Federation, SocialConfig};
use tidegate_kernel::Settings;
use tidegate_oauth::Oauth;
use tidegate_objects::{Backend, StorageConfig};
use tidegate_prompts::PromptSettings;
use tidegate_prompts::prompts::Ports;
use tidegate_storage::{Objects, StorageLimits};

use crate::{FakeClock, SeededEntropy, WallClock};

/// The cheapest bcrypt there is: tests are about rules, not about the hash's strength.
const SCHEME: PasswordScheme = PasswordScheme::Bcrypt { cost: 4 };

/// Who is talked to beside mail servers, and how passwords are hashed; the same for every node.
#[derive(Clone)]
pub(crate) struct Outside {
    pub(crate) scheme: PasswordScheme,
    pub(crate) pool: PoolSize,
    /// Where salts come from, if not from where all chance comes from.
    pub(crate) salts: Option<Arc<dyn Entropy>>,
    pub(crate) sms: Option<SmsConfig>,
    pub(crate) broker: Option<AlpacaConfig>,
    pub(crate) social: SocialConfig,
    /// Seeds of the master key in use, and of those before it.
    pub(crate) master_keys: (u64, Vec<u64>),
    /// Whether clients publish their keys and documents on this machine, and not on the internet.
    pub(crate) local_clients: bool,
    /// Where files are, unless `storage` says otherwise.
    pub(crate) files: Arc<TempDir>,
    pub(crate) storage: StorageConfig,
    pub(crate) storage_limits: StorageLimits,
    pub(crate) data: DataSettings,
    /// Where data sources find their files, if not in the storage.
    pub(crate) source_files: Option<Arc<dyn SourceFiles>>,
    pub(crate) prompts: PromptSettings,
    /// What Prompt Studio stands on, if not on the engine.
    pub(crate) ports: Option<Ports>,
}

impl Default for Outside {
    fn default() -> Self {
        let pool = PoolSize { threads: 2, queue: 1_000 };
        Self {
            scheme: SCHEME,
            pool,
            salts: None,
            sms: None,
            broker: None,
            social: SocialConfig::default(),
            master_keys: (MASTER_KEY, Vec::new()),
            local_clients: false,
            files: Arc::new(tempfile::tempdir().expect("a temporary directory")),
            storage: StorageConfig::default(),
            storage_limits: StorageLimits::default(),
            data: DataSettings::default(),
            source_files: None,
            prompts: PromptSettings::default(),
            ports: None,
        }
    }
}

impl Outside {
    fn vault(&self) -> Vault {
        let (current, previous) = &self.master_keys;
        let previous = previous.iter().map(|seed| master_key(*seed)).collect();
        Vault::new(master_key(*current), previous).expect("a vault")
    }

    fn sms(&self) -> SmsProviders {
        match &self.sms {
            Some(config) => SmsProviders::from_config(config).expect("providers"),
            None => SmsProviders::new(vec![SmsProvider::Outbox]),
        }
    }

    fn receipts(&self) -> Receipts {
        Receipts::new(self.sms.as_ref().unwrap_or(&SmsConfig::default())).expect("receipts")
    }

    /// Stores that are asked over the network look at the real clock.
    fn objects(&self, clock: &Arc<FakeClock>) -> Objects {
        let clock: Arc<dyn Clock> = match self.storage.backend {
            Backend::Local => clock.clone(),
            Backend::S3 | Backend::Gcs | Backend::Azure => Arc::new(WallClock),
        };
        Objects::open(&self.storage, self.files.path(), clock).expect("a store of files")
    }

    fn broker(&self, clock: &Arc<FakeClock>) -> BrokerChoice {
        match &self.broker {
            Some(config) => {
                let alpaca = Alpaca::new(config, clock.clone()).expect("a broker");
                BrokerChoice::Alpaca(alpaca.with_wait(Arc::new(NoWait)))
            }
            None => BrokerChoice::Sandbox(SandboxConfig::default()),
        }
    }
}

/// Retries at once: the clock under test would not move meanwhile.
struct NoWait;

impl Wait for NoWait {
    fn wait(&self, _: Duration) -> BoxFuture<'_, ()> {
        std::future::ready(()).boxed()
    }
}

/// What every node of an installation has alike.
pub(crate) struct PartsToBe {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) vault: Vault,
    pub(crate) passwords: HashPool,
    pub(crate) sms: SmsProviders,
    pub(crate) receipts: Receipts,
    pub(crate) broker: BrokerChoice,
    pub(crate) federation: Federation,
    pub(crate) client_documents: ClientDocuments,
    pub(crate) templates: Templates,
    pub(crate) settings: Settings,
    pub(crate) objects: Objects,
    pub(crate) storage_limits: StorageLimits,
    pub(crate) data: DataSettings,
    pub(crate) source_files: Option<Arc<dyn SourceFiles>>,
    pub(crate) prompts: PromptSettings,
    /// What Prompt Studio stands on, if not on the engine.
    pub(crate) ports: Option<Ports>,
}

pub(crate) fn parts(
    clock: &Arc<FakeClock>,
    entropy: &Arc<SeededEntropy>,
    settings: &Settings,
    templates: Templates,
    outside: &Outside,
) -> PartsToBe {
    let hasher = PasswordHasher::new(outside.scheme, None, Vec::new()).expect("a hasher");
    PartsToBe {
        clock: clock.clone(),
        entropy: entropy.clone(),
        vault: outside.vault(),
        passwords: HashPool::start(hasher, outside.salts.clone().unwrap_or(entropy.clone()), outside.pool)
            .expect("a hash pool"),
        sms: outside.sms(),
        receipts: outside.receipts(),
        broker: outside.broker(clock),
        federation: Federation::new(&outside.social, clock.clone()).expect("providers"),
        client_documents: match outside.local_clients {
            true => ClientDocuments::of_this_machine(),
            false => Oauth::client_documents(&settings.oauth.rules),
        },
        templates,
        settings: settings.clone(),
        objects: outside.objects(clock),
        storage_limits: outside.storage_limits.clone(),
        data: outside.data.clone(),
        source_files: outside.source_files.clone(),
        prompts: outside.prompts.clone(),
        ports: outside.ports.clone(),
    }
}

/// The vault of every test: under a master key made from a seed of its own, so that all nodes have the same.
pub fn vault() -> Vault {
    Vault::new(master_key(MASTER_KEY), Vec::new()).expect("a vault")
}

/// The seed of the master key of every test.
const MASTER_KEY: u64 = 1;

fn master_key(seed: u64) -> MasterKey {
    MasterKey::generate(&SeededEntropy::new(seed))
}
