//! Everything put together.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use rustix::process::geteuid;
use tidegate_bridge::QueryEngine;
use tidegate_brokerage::Brokerage;
use tidegate_catalog::{Catalog, DataSettings};
use tidegate_crypto::{HashPool, PoolSize, SystemEntropy};
use tidegate_database::{Denial, Store};
use tidegate_delivery::SmsProviders;
use tidegate_federation::Federation;
use tidegate_http::Features;
use tidegate_identity::Identity;
use tidegate_kernel::settings::DeliveryMode;
use tidegate_kernel::{Kernel, KernelTables, Parts};
use tidegate_oauth::Oauth;
use tidegate_objects::ObjectsError;
use tidegate_policies::Policies;
use tidegate_prompts::Prompts;
use tidegate_storage::{Objects, Storage};

use crate::cli::Lifted;
use crate::clock::SystemClock;
use crate::config::Config;
use crate::copied::tell_of_copy;
use crate::data_dir::create_data_dir;
use crate::failure::Failure;
use crate::installation::{Traces, is_served_in_development, refuse_missing};
use crate::opening::{
    MissingStore, begin, few_connections, open_store, open_to_serve, refuse_outdated, wanted_connections,
};
use crate::output::tell_afterwards;
use crate::peppers::warn_of_missing;
use crate::program::of_another_user;
use crate::schema::{refuse_lost_tables, refuse_taken_keys};
use crate::secrets::{MayCreate, check_opens, key_id, open_vault, warn_of_lost_signing_keys};
use crate::spilling;

/// How much nicer threads of queries are than those that answer requests. At more than this, other programs of the machine leave them next to
/// nothing.
const QUERIES_GIVE_WAY: i32 = 5;

/// What to do about a directory of files that cannot be used.
const NAME_FILE_DIRECTORY: &str =
    "create it for the user that serves, or name another directory in storage.directory";

/// What an application is opened for.
#[derive(Clone, Debug)]
pub(crate) enum Purpose {
    /// To serve.
    Serve {
        /// At this address.
        url: String,
        /// What is served all the same.
        lifted: Lifted,
    },
    /// For a command that was told to begin an installation.
    Begin,
    /// For a command about what is there.
    Existing,
}

impl Purpose {
    /// Of a command: with `--new` it may begin an installation.
    pub(crate) const fn of_command(new: bool) -> Self {
        if new { Self::Begin } else { Self::Existing }
    }
}

/// The application, and the store under it.
pub(crate) struct Opened {
    /// What every feature uses.
    pub(crate) kernel: Arc<Kernel>,
    /// Accounts and how they are reached.
    pub(crate) identity: Arc<Identity>,
    /// Brokerage accounts.
    pub(crate) brokerage: Arc<Brokerage>,
    /// Applications and their tokens.
    pub(crate) oauth: Arc<Oauth>,
    /// Files.
    pub(crate) storage: Arc<Storage>,
    /// Data sources.
    pub(crate) catalog: Arc<Catalog>,
    /// Policies.
    pub(crate) policies: Arc<Policies>,
    /// Questions and queries.
    pub(crate) prompts: Arc<Prompts>,
    /// What runs them.
    pub(crate) engine: QueryEngine,
    closing: Closing,
}

/// What is done at the end.
struct Closing {
    store: Store,
    /// Whether it ends a command, whose person is told what a server has in its log.
    is_command: bool,
    /// Whether a server for development runs beside the command. Nobody expects mails there, which it keeps.
    is_beside_development: bool,
}

impl Closing {
    fn new(config: &Config, purpose: &Purpose, store: Store) -> Self {
        let is_command = !matches!(purpose, Purpose::Serve { .. });
        Self { store, is_command, is_beside_development: is_command && is_served_in_development(config) }
    }
}

impl Opened {
    /// Its use cases, for the HTTP surface.
    pub(crate) fn features(&self) -> Features {
        Features {
            kernel: Arc::clone(&self.kernel),
            identity: Arc::clone(&self.identity),
            brokerage: Arc::clone(&self.brokerage),
            oauth: Arc::clone(&self.oauth),
            storage: Arc::clone(&self.storage),
            catalog: Arc::clone(&self.catalog),
            policies: Arc::clone(&self.policies),
            prompts: Arc::clone(&self.prompts),
        }
    }

    /// Logs what is wrong with the database and is no reason not to serve, while requests are answered already.
    pub(crate) fn look_at_database(&self, config: &Config) {
        let (kernel, store) = (Arc::clone(&self.kernel), self.closing.store.clone());
        let wanted = wanted_connections(config);
        tokio::spawn(async move {
            // What keeps it from being ready, which otherwise is logged when somebody asks /readyz.
            drop(kernel.ready().await);
            match few_connections(wanted, &store).await {
                Ok(None) => {}
                Ok(Some(few)) => tracing::warn!("{}", few.message()),
                Err(failure) => {
                    tracing::warn!("the limits of connections cannot be looked at: {}", failure.message());
                }
            }
        });
    }

    /// What becomes of mails of people who use this installation: a server for development keeps them where no provider is configured.
    pub(crate) fn mail_mode(&self) -> DeliveryMode {
        match self.kernel.settings().mail {
            DeliveryMode::Off if self.closing.is_beside_development => DeliveryMode::Keep,
            mode => mode,
        }
    }

    /// Waits for what is under way in the database and lets go of it.
    pub(crate) async fn close(self) {
        let Closing { store, is_command, is_beside_development } = self.closing;
        if is_command && !is_beside_development && self.kernel.unsent_notices() > 0 {
            tell_afterwards("No mail tells the owner of this: no mail provider is configured ([mail.smtp]).");
        }
        store.close().await;
    }
}

/// Opens the application.
///
/// # Errors
/// What is missing or wrong, and what to do about it.
pub(crate) async fn open(config: &Config, purpose: &Purpose) -> Result<Opened, Failure> {
    let traces = Traces::find(config);
    let may_replace = !matches!(purpose, Purpose::Serve { lifted: Lifted { new: false, .. }, .. });
    if !may_replace {
        traces.refuse_lost_file(config)?;
    }
    let store = match purpose {
        Purpose::Serve { lifted, .. } => open_to_serve(config, *lifted).await?,
        Purpose::Begin => open_store(config, MissingStore::Create).await?,
        Purpose::Existing => open_store(config, MissingStore::Refuse).await?,
    };
    let started = async {
        if !matches!(purpose, Purpose::Serve { .. }) {
            tell_of_copy(config, &store).await?;
        }
        match purpose {
            Purpose::Serve { .. } | Purpose::Begin => {
                if !may_replace {
                    traces.refuse_lost_tables(config, &store).await?;
                }
                refuse_taken_keys(&store).await?;
                // Only now: a database that is refused leaves no directory behind.
                if config.uses_data_dir() && !config.data_dir.is_dir() {
                    store.pending_migrations().await?;
                    create_data_dir(&config.data_dir)?;
                }
                begin(config, &store).await?;
                refuse_lost_tables(&store).await?;
            }
            Purpose::Existing => {
                refuse_missing(config, &store).await?;
                refuse_outdated(&store).await?;
            }
        }
        start(config, purpose, Closing::new(config, purpose, store.clone())).await
    };
    match started.await {
        Ok(opened) => Ok(opened),
        Err(failure) => {
            store.close().await;
            Err(failure)
        }
    }
}

async fn start(config: &Config, purpose: &Purpose, closing: Closing) -> Result<Opened, Failure> {
    let (served_at, mail, sms, pool) = match purpose {
        Purpose::Serve { url, .. } => {
            (url.clone(), config.mail_provider()?, config.sms_providers()?, config.pool_size())
        }
        // Commands send nothing and hash at most one password.
        Purpose::Begin | Purpose::Existing => {
            let served_at = format!("http://{}", config.listen);
            (served_at, None, SmsProviders::new(Vec::new()), PoolSize { threads: 1, queue: 1 })
        }
    };
    // Before the key file is read: it is created before the signing keys.
    let keys = closing.store.read().await?.keys().all().await?;
    let sealed = !keys.is_empty();
    let may_create = if sealed { MayCreate::No } else { MayCreate::Yes };
    if !sealed {
        look_at_lack_of_keys(config, purpose, &closing.store).await?;
    }
    let entropy = Arc::new(SystemEntropy);
    let passwords = HashPool::start(config.password_hasher()?, entropy.clone(), pool).map_err(|error| {
        Failure::internal(format!("the threads for password hashing cannot start: {error}"))
    })?;
    let broker = config.broker_choice(Arc::new(SystemClock))?;
    let vault = open_vault(config, may_create)?;
    // Told only if the start fails: keys of long ago may be sealed with a master key that is gone.
    let opens = check_opens(config, &vault, &keys);
    let federation = federation(config, purpose)?;
    let parts = Parts {
        store: closing.store.clone(),
        clock: Arc::new(SystemClock),
        entropy,
        vault,
        mail,
        sms,
        receipts: config.sms_receipts()?,
        templates: config.templates()?,
        retry: config.mail.retry,
        settings: config.identity_settings(&served_at)?,
    };
    let about = |fault| Failure::from(fault).about("tidegate cannot start");
    let kernel = match Kernel::start(parts).await {
        Ok(kernel) => kernel,
        Err(fault) => return Err(opens.err().unwrap_or_else(|| about(fault))),
    };
    let identity = Identity::start(Arc::clone(&kernel), passwords, federation);
    if matches!(purpose, Purpose::Serve { .. }) {
        // Before the first sign-in: unknown names are to cost what known ones do.
        warn_of_missing(config, &identity.count_password_schemes().await.map_err(about)?);
    }
    let (brokerage, oauth) =
        (Brokerage::start(Arc::clone(&kernel), broker), Oauth::start(Arc::clone(&kernel)));
    let storage = Storage::start(Arc::clone(&kernel), objects(config)?, config.storage_limits.clone());
    let files = tidegate_bridge::stored_files(&storage);
    let catalog = Catalog::start(Arc::clone(&kernel), data_settings(config), files);
    tidegate_bridge::name_sources(&storage);
    let policies = policies(config, &kernel, &catalog);
    let engine = query_engine(config, purpose)?;
    let prompts = prompts(config, &kernel, &catalog, &policies, &engine)?;
    Ok(Opened { kernel, identity, brokerage, oauth, storage, catalog, policies, prompts, engine, closing })
}

/// The other identity providers. Nobody signs in through a command, which may not have their secrets.
fn federation(config: &Config, purpose: &Purpose) -> Result<Federation, Failure> {
    match purpose {
        Purpose::Serve { .. } => config.federation(Arc::new(SystemClock)),
        Purpose::Begin | Purpose::Existing => Config::default().federation(Arc::new(SystemClock)),
    }
}

/// Data sources; in development whoever asks about one is the operator.
fn data_settings(config: &Config) -> DataSettings {
    DataSettings { names_refused: config.dev, ..config.data.clone() }
}

/// Policies, which the catalog asks.
fn policies(config: &Config, kernel: &Arc<Kernel>, catalog: &Catalog) -> Arc<Policies> {
    let settings = tidegate_bridge::policy_settings(&config.data);
    let policies = Policies::start(Arc::clone(kernel), settings, tidegate_bridge::known_relations());
    tidegate_bridge::govern_sources(kernel, catalog, &policies);
    policies
}

/// Questions and queries, on the engine; simulations of policies, too.
fn prompts(
    config: &Config,
    kernel: &Arc<Kernel>,
    catalog: &Arc<Catalog>,
    policies: &Arc<Policies>,
    engine: &QueryEngine,
) -> Result<Arc<Prompts>, Failure> {
    tidegate_bridge::simulate_queries(kernel, catalog, policies, engine);
    let ports = tidegate_bridge::prompt_ports(kernel, catalog, policies, engine);
    Prompts::start(Arc::clone(kernel), config.prompts.clone(), ports)
        .map_err(|why| Failure::configuration(format!("prompts: {why}")))
}

/// What runs queries: as many at once as executions, each for as long as one.
///
/// # Errors
/// When the directory that an operator named for queries cannot be used.
fn query_engine(config: &Config, purpose: &Purpose) -> Result<QueryEngine, Failure> {
    let settings = &config.data.queries;
    let concurrency = tidegate_engine::Concurrency {
        server: config.prompts.at_once,
        organization: settings.at_once_per_organization,
        person: settings.at_once_per_person,
        waiting: settings.waiting,
        waiting_of_person: settings.waiting_per_person,
    };
    let options = tidegate_engine::Options {
        threads: settings.threads,
        niceness: QUERIES_GIVE_WAY,
        memory_bytes: settings.memory,
        spill_directory: Some(spilling::directory(config).to_owned()),
        spill_bytes: settings.spill_per_query,
        spill_bytes_of_all: settings.spill,
        concurrency,
        ..Default::default()
    };
    let limits = tidegate_engine::Limits {
        time: config.prompts.longest,
        rows: settings.rows,
        memory_bytes: settings.memory_per_query,
        ..Default::default()
    };
    let engine = QueryEngine::new(options, limits);
    // Nodes that keep nothing on the disk need no data directory, and commands empty nothing: a server may run beside them.
    if matches!(purpose, Purpose::Serve { .. }) {
        spilling::prepare(config, &engine)?;
    }
    Ok(engine)
}

/// Refuses to make signing keys without a master key in a command, and warns where they were made before.
async fn look_at_lack_of_keys(config: &Config, purpose: &Purpose, store: &Store) -> Result<(), Failure> {
    if matches!(purpose, Purpose::Existing) {
        refuse_missing_key(config)?;
    }
    warn_of_lost_signing_keys(store).await
}

/// Refuses an installation whose keys were never made, where there is nothing to make them with.
fn refuse_missing_key(config: &Config) -> Result<(), Failure> {
    if key_id(config)?.is_none() {
        return Err(Failure::advised(
            "master_key",
            format!(
                "the database has a schema, but no keys yet, and there is no master key in {}",
                config.data_dir.display()
            ),
            "start `tidegate serve` once, which makes them, or set master_key",
        ));
    }
    Ok(())
}

/// Refuses a directory of files that an operator named and that can be neither used nor made. What keeps files from the data directory is
/// logged, and keeps nobody from signing in.
///
/// # Errors
/// Names the directory, and what to do.
pub(crate) fn refuse_unusable_directory(config: &Config) -> Result<(), Failure> {
    if config.storage.directory.is_none() {
        return Ok(());
    }
    let objects = objects(config)?;
    objects.look_at_directory().map(drop).map_err(|error| {
        let (what, advice) = wrong_with_directory(objects.directory(), &error);
        Failure::advised("storage_directory", what, advice)
    })
}

/// What is wrong with the directory of files, and what to do about it.
pub(crate) fn wrong_with_directory(directory: &Path, error: &ObjectsError) -> (String, String) {
    let said = error.to_string();
    let owner = fs::metadata(directory).map(|found| found.uid());
    match (error, owner) {
        (ObjectsError::Denied(_), Ok(owner)) => denied(directory, owner, geteuid().as_raw()),
        _ => match said.rsplit_once("; ") {
            Some((what, advice)) => (what.to_owned(), advice.to_owned()),
            None => (said, NAME_FILE_DIRECTORY.to_owned()),
        },
    }
}

/// The same of one that is there, and that this user may not use.
fn denied(directory: &Path, owner: u32, us: u32) -> (String, String) {
    let (denial, shown) = (Denial::of(directory), directory.display());
    let what =
        format!("storage.directory {shown} may not be read and written by this user{}", denial.reason());
    if owner == us {
        return (what, denial.advice());
    }
    (what, of_another_user(directory, us))
}

/// Where uploaded files are kept.
///
/// # Errors
/// When the store cannot be used as it is configured.
pub(crate) fn objects(config: &Config) -> Result<Objects, Failure> {
    let objects = Objects::open(&config.storage, &config.data_dir, Arc::new(SystemClock));
    objects.map_err(|error| Failure::configuration(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_of_files_of_another_user_is_told_with_what_gives_it_away() {
        let (what, advice) = denied(Path::new("/"), 0, 1_000);
        assert!(what.starts_with("storage.directory / may not be read and written by this user ("), "{what}");
        assert!(advice.ends_with("give it the files: `sudo chown -R 1000 /`"), "{advice}");
    }
}
