//! The database: opened, looked at and brought up to date.

use std::path::{Path, absolute};
use std::time::Duration;

use tidegate_database::{ConnectionLimit, Migration, Store, StoreOptions};

use crate::cli::Lifted;
use crate::config::Config;
use crate::copied::refuse_copied;
use crate::data_dir::{create_data_dir, refuse_other_than_directory};
use crate::failure::{Failure, refuse};
use crate::installation::{
    ServingLock, naming_the_server, place, refuse_foreign, refuse_missing_file, refuse_replaced,
    refuse_unfinished_copy,
};
use crate::output::{progress, tell};
use crate::schema::WHOLE_SCHEMA;

/// The migrations of all crates.
pub(crate) const MIGRATIONS: &[&[Migration]] = &[
    tidegate_kernel::MIGRATIONS,
    tidegate_identity::MIGRATIONS,
    tidegate_oauth::MIGRATIONS,
    tidegate_storage::MIGRATIONS,
    tidegate_catalog::MIGRATIONS,
    tidegate_policies::MIGRATIONS,
    tidegate_prompts::MIGRATIONS,
];

/// How long a server waits for a PostgreSQL that starts beside it. Commands do not.
const PATIENCE: Duration = Duration::from_secs(15);

/// Brings the schema up to date, and says so where there was none; answers how many migrations that took.
///
/// # Errors
/// Those of [`migrate`].
pub(crate) async fn begin(config: &Config, store: &Store) -> Result<usize, Failure> {
    let is_new = !store.is_begun().await?;
    if is_new {
        refuse(store.why_not_made().await?)?;
    }
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

/// Keeps a second server from the same SQLite file, and makes the data directory where that is where the file is to be.
///
/// # Errors
/// As above.
pub(crate) fn lock(config: &Config) -> Result<Option<ServingLock>, Failure> {
    let Some(path) = config.database_file() else { return Ok(None) };
    if has_database_in_data_dir(config) {
        create_data_dir(&config.data_dir)?;
    }
    Store::look_at(&config.database_url())?;
    ServingLock::take(&path).map(Some)
}

/// What to do about a database file that is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MissingStore {
    /// Make it, and the data directory where it is in there.
    Create,
    /// Say so: an empty one would only hide a mistyped path.
    Refuse,
}

/// Opens the store without migrating it.
///
/// # Errors
/// When it cannot be reached, or is not there and must be.
pub(crate) async fn open_store(config: &Config, missing: MissingStore) -> Result<Store, Failure> {
    let store = open_waiting(config, missing, Duration::ZERO).await?;
    let looked = look_before_use(config, &store, missing).await;
    unless_refused(store, looked).await
}

/// Commands go on with what is there already.
async fn look_before_use(config: &Config, store: &Store, missing: MissingStore) -> Result<(), Failure> {
    if missing == MissingStore::Create {
        refuse_misencoded(store).await?;
    }
    refuse_unfinished_copy(config, store).await
}

/// The same of one that rows are copied into, also where an earlier copy was cut off.
///
/// # Errors
/// When it cannot be reached.
pub(crate) async fn open_copy_target(config: &Config) -> Result<Store, Failure> {
    let store = open_waiting(config, MissingStore::Create, Duration::ZERO).await?;
    let looked = refuse_misencoded(&store).await;
    unless_refused(store, looked).await
}

/// The same for a server. A new installation may also begin where a copy was cut off, and one that was copied elsewhere go on.
pub(crate) async fn open_to_serve(config: &Config, lifted: Lifted) -> Result<Store, Failure> {
    let store = open_waiting(config, MissingStore::Create, PATIENCE).await?;
    let looked = look_before_serving(config, &store, lifted).await;
    unless_refused(store, looked).await
}

async fn look_before_serving(config: &Config, store: &Store, lifted: Lifted) -> Result<(), Failure> {
    look_at_encoding(store, lifted.new).await?;
    look_at_copies(config, store, lifted).await
}

/// Refuses to begin where not every name can be kept. An installation that is there goes on, and has to be moved.
async fn look_at_encoding(store: &Store, new: bool) -> Result<(), Failure> {
    let Some(found) = store.why_misencoded().await? else { return Ok(()) };
    if new || !store.is_begun().await? {
        return refuse(Some(found));
    }
    tracing::warn!("{found}");
    Ok(())
}

async fn refuse_misencoded(store: &Store) -> Result<(), Failure> {
    refuse(store.why_misencoded().await?)
}

async fn look_at_copies(config: &Config, store: &Store, lifted: Lifted) -> Result<(), Failure> {
    if lifted.new {
        store.forget_copy().await?;
    } else {
        refuse_unfinished_copy(config, store).await?;
    }
    if !lifted.despite_copy {
        return refuse_copied(config, store).await;
    }
    if store.forget_finished_copy().await? {
        tracing::warn!(
            "this database was copied to another one, and goes on: what is written from now on is not there"
        );
    }
    Ok(())
}

/// The store, closed where it is refused.
async fn unless_refused(store: Store, looked: Result<(), Failure>) -> Result<Store, Failure> {
    match looked {
        Ok(()) => Ok(store),
        Err(failure) => {
            store.close().await;
            Err(failure)
        }
    }
}

/// All opening of the database goes through here.
async fn open_waiting(config: &Config, missing: MissingStore, patience: Duration) -> Result<Store, Failure> {
    refuse_replaced(config).await?;
    match missing {
        MissingStore::Create if has_database_in_data_dir(config) => create_data_dir(&config.data_dir)?,
        MissingStore::Create => {}
        MissingStore::Refuse => refuse_missing_file(config)?,
    }
    let options = StoreOptions { patience, ..config.store_options() };
    let store =
        Store::open(&options, MIGRATIONS).await.map_err(|error| naming_the_server(config, error.into()))?;
    let looked = refuse_foreign(config, &store).await;
    unless_refused(store, looked).await
}

/// Looks whether the database can be made where it is to be, and makes nothing.
///
/// # Errors
/// Those of a start.
pub(crate) fn look_at_place(config: &Config) -> Result<(), Failure> {
    // It is made with the database.
    if has_database_in_data_dir(config) && !config.data_dir.exists() {
        return Ok(());
    }
    Ok(Store::look_at(&config.database_url())?)
}

/// Whether the database is a file in the data directory: only then is the directory needed before the database was looked at.
fn has_database_in_data_dir(config: &Config) -> bool {
    let directory = config.database_file().and_then(|file| file.parent().map(Path::to_owned));
    let is_there = |directory: &Path| match (absolute(directory), absolute(&config.data_dir)) {
        (Ok(directory), Ok(data_dir)) => directory == data_dir,
        _ => false,
    };
    config.uses_data_dir() && (config.database.is_none() || directory.as_deref().is_some_and(is_there))
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
    let applied = store.make_or_migrate(&WHOLE_SCHEMA).await;
    bar.finish_and_clear();
    Ok(applied?)
}

pub(crate) async fn refuse_outdated(store: &Store) -> Result<(), Failure> {
    match store.pending_migrations().await? {
        0 => Ok(()),
        pending => Err(Failure::new(
            "database_schema",
            format!("the database's schema needs {pending} migration(s): run `tidegate migrate`"),
        )),
    }
}

/// How many connections this node is configured to have at most; none behind a pooler, which `database_listen` goes past: those are not
/// PostgreSQL's own.
pub(crate) fn wanted_connections(config: &Config) -> Option<u32> {
    config.database_listen.is_none().then(|| config.store_options().connections())
}

/// What to say where PostgreSQL allows fewer than are wanted, or none beside them.
///
/// # Errors
/// Those of the database.
pub(crate) async fn few_connections(wanted: Option<u32>, store: &Store) -> Result<Option<Failure>, Failure> {
    let (Some(wanted), Some(limit)) = (wanted, store.connection_limit().await?) else { return Ok(None) };
    let (most, fewest) = (limit.most, i64::from(StoreOptions::FEWEST_ON_POSTGRES));
    let beside = i64::from(StoreOptions::BESIDE_ON_POSTGRES);
    if most >= i64::from(wanted) + beside {
        return Ok(None);
    }
    let left = most - beside;
    let advice = if left >= fewest {
        format!(
            "{}, or lower database_connections to {left} or less, divided by the number of nodes",
            limit.raise
        )
    } else {
        format!("{}; {}", limit.raise, ConnectionLimit::fewest())
    };
    Ok(Some(Failure::advised(
        "database_connections",
        format!(
            "database_connections is {wanted} for each node, and all of them together can have {most}: {}. A node opens one more when it begins \
             to listen to the others, and a `tidegate` command needs up to three: where there is no room, requests wait for one another and are \
             answered with 503 where that takes too long, nodes hear of one another's changes later, and commands are refused",
            limit.what
        ),
        advice,
    )))
}
