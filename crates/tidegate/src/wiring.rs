//! Everything put together.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tidegate_brokerage::Brokerage;
use tidegate_crypto::{HashPool, PoolSize, SystemEntropy};
use tidegate_database::{Migration, Store, StoreOptions};
use tidegate_delivery::SmsProviders;
use tidegate_http::Features;
use tidegate_identity::Identity;
use tidegate_kernel::{Kernel, KernelTables, Parts};
use tidegate_oauth::Oauth;

use crate::clock::SystemClock;
use crate::config::Config;
use crate::data_dir::{create_data_dir, refuse_other_than_directory};
use crate::failure::Failure;
use crate::installation::{ServingLock, Traces, place, refuse_foreign, refuse_missing, refuse_missing_file};
use crate::output::{progress, tell};
use crate::secrets::{MayCreate, key_id, open_vault};

/// The migrations of all crates.
const MIGRATIONS: &[&[Migration]] =
    &[tidegate_kernel::MIGRATIONS, tidegate_identity::MIGRATIONS, tidegate_oauth::MIGRATIONS];

/// How long a server waits for a PostgreSQL that starts beside it. Commands do not.
const PATIENCE: Duration = Duration::from_secs(15);

/// What an application is opened for.
#[derive(Clone, Debug)]
pub(crate) enum Purpose {
    /// To serve.
    Serve {
        /// At this address.
        url: String,
        /// Whether a new installation may take the place of one that is lost.
        new: bool,
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
    store: Store,
}

impl Opened {
    /// Its use cases, for the HTTP surface.
    pub(crate) fn features(&self) -> Features {
        Features {
            kernel: Arc::clone(&self.kernel),
            identity: Arc::clone(&self.identity),
            brokerage: Arc::clone(&self.brokerage),
            oauth: Arc::clone(&self.oauth),
        }
    }

    /// Waits for what is under way in the database and lets go of it.
    pub(crate) async fn close(self) {
        self.store.close().await;
    }
}

/// Opens the application.
///
/// # Errors
/// What is missing or wrong, and what to do about it.
pub(crate) async fn open(config: &Config, purpose: &Purpose) -> Result<Opened, Failure> {
    let traces = Traces::find(config);
    let may_replace = !matches!(purpose, Purpose::Serve { new: false, .. });
    if !may_replace {
        traces.refuse_lost_file(config)?;
    }
    let store = match purpose {
        Purpose::Serve { .. } => open_waiting(config, MissingStore::Create, PATIENCE).await?,
        Purpose::Begin => open_store(config, MissingStore::Create).await?,
        Purpose::Existing => open_store(config, MissingStore::Refuse).await?,
    };
    let started = async {
        match purpose {
            Purpose::Serve { .. } | Purpose::Begin => {
                if !may_replace {
                    traces.refuse_lost_tables(config, &store).await?;
                }
                begin(config, &store).await?;
            }
            Purpose::Existing => {
                refuse_missing(config, &store).await?;
                refuse_outdated(&store).await?;
            }
        }
        start(config, purpose, store.clone()).await
    };
    match started.await {
        Ok(opened) => Ok(opened),
        Err(failure) => {
            store.close().await;
            Err(failure)
        }
    }
}

/// Brings the schema up to date, and says so where there was none; answers how many migrations that took.
///
/// # Errors
/// Those of [`migrate`].
pub(crate) async fn begin(config: &Config, store: &Store) -> Result<usize, Failure> {
    let is_new = !store.is_begun().await?;
    let applied = migrate(store).await?;
    // Of nodes that start together, one begins it.
    if is_new && applied > 0 {
        let line = format!("new installation in {}", place(config));
        if tracing::enabled!(tracing::Level::INFO) { tracing::info!("{line}") } else { tell(&line) }
    }
    Ok(applied)
}

/// Keeps a second server from the same SQLite file, where there is a directory for it: what is wrong with the directory is told before
/// anything else is taken.
///
/// # Errors
/// When it is served already, or cannot be used.
pub(crate) fn lock_existing(config: &Config) -> Result<Option<ServingLock>, Failure> {
    if config.uses_data_dir() {
        refuse_other_than_directory(&config.data_dir)?;
    }
    let file = config.database_file();
    let directory = file.as_deref().and_then(Path::parent).filter(|path| !path.as_os_str().is_empty());
    match directory.map(Path::try_exists) {
        Some(Ok(false)) => Ok(None),
        _ => lock(config),
    }
}

/// Keeps a second server from the same SQLite file, and makes its directory.
///
/// # Errors
/// As above.
pub(crate) fn lock(config: &Config) -> Result<Option<ServingLock>, Failure> {
    let Some(path) = config.database_file() else { return Ok(None) };
    if config.uses_data_dir() {
        create_data_dir(&config.data_dir)?;
    }
    Store::look_at(&config.database_url())?;
    ServingLock::take(&path).map(Some)
}

/// What to do about a database file that is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MissingStore {
    /// Make it, and the data directory.
    Create,
    /// Say so: an empty one would only hide a mistyped path.
    Refuse,
}

/// Opens the store without migrating it.
///
/// # Errors
/// When it cannot be reached, or is not there and must be.
pub(crate) async fn open_store(config: &Config, missing: MissingStore) -> Result<Store, Failure> {
    open_waiting(config, missing, Duration::ZERO).await
}

async fn open_waiting(config: &Config, missing: MissingStore, patience: Duration) -> Result<Store, Failure> {
    match missing {
        MissingStore::Create if config.uses_data_dir() => create_data_dir(&config.data_dir)?,
        MissingStore::Create => {}
        MissingStore::Refuse => refuse_missing_file(config)?,
    }
    let options = StoreOptions { patience, ..config.store_options() };
    let store = Store::open(&options, MIGRATIONS).await?;
    match refuse_foreign(config, &store).await {
        Ok(()) => Ok(store),
        Err(failure) => {
            store.close().await;
            Err(failure)
        }
    }
}

/// Brings the schema up to date; answers how many migrations that took.
///
/// # Errors
/// When the schema is of a newer version, or the database fails.
pub(crate) async fn migrate(store: &Store) -> Result<usize, Failure> {
    if store.pending_migrations().await? == 0 {
        return Ok(0);
    }
    let bar = progress("migrating the database's schema");
    let applied = store.migrate().await;
    bar.finish_and_clear();
    Ok(applied?)
}

async fn refuse_outdated(store: &Store) -> Result<(), Failure> {
    match store.pending_migrations().await? {
        0 => Ok(()),
        pending => Err(Failure::new(
            "database_schema",
            format!("the database's schema needs {pending} migration(s): run `tidegate migrate`"),
        )),
    }
}

async fn start(config: &Config, purpose: &Purpose, store: Store) -> Result<Opened, Failure> {
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
    let sealed = !store.read().await?.keys().all().await?.is_empty();
    let may_create = if sealed { MayCreate::No } else { MayCreate::Yes };
    if !sealed && matches!(purpose, Purpose::Existing) && key_id(config)?.is_none() {
        return Err(Failure::advised(
            "master_key",
            format!(
                "the database has a schema, but no keys yet, and there is no master key in {}",
                config.data_dir.display()
            ),
            "start `tidegate serve` once, which makes them, or set master_key",
        ));
    }
    let entropy = Arc::new(SystemEntropy);
    let passwords = HashPool::start(config.password_hasher()?, entropy.clone(), pool).map_err(|error| {
        Failure::internal(format!("the threads for password hashing cannot start: {error}"))
    })?;
    let broker = config.broker_choice(Arc::new(SystemClock))?;
    let parts = Parts {
        store: store.clone(),
        clock: Arc::new(SystemClock),
        entropy,
        vault: open_vault(config, may_create)?,
        mail,
        sms,
        receipts: config.sms_receipts()?,
        templates: config.templates()?,
        retry: config.mail.retry,
        settings: config.identity_settings(&served_at)?,
    };
    let about = |fault| Failure::from(fault).about("tidegate cannot start");
    let kernel = Kernel::start(parts).await.map_err(about)?;
    let identity = Identity::start(Arc::clone(&kernel), passwords);
    if matches!(purpose, Purpose::Serve { .. }) {
        // Before the first sign-in: unknown names are to cost what known ones do.
        identity.count_password_schemes().await.map_err(about)?;
    }
    let brokerage = Brokerage::start(Arc::clone(&kernel), broker);
    let oauth = Oauth::start(Arc::clone(&kernel));
    Ok(Opened { kernel, identity, brokerage, oauth, store })
}
