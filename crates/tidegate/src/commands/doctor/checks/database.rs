//! The database: whether it answers, is whole, and can be written, and what of it other checks look at.

use std::fs;

use indicatif::{HumanBytes, ProgressBar};
use tidegate_database::{Refusal, Store};
use tidegate_identity::IdentityTables;
use tidegate_kernel::KernelTables;
use tidegate_kernel::tables::installation_facts::PUBLIC_URL;
use tidegate_kernel::tables::keys::StoredKey;
use tidegate_objects::Expected;

use super::super::Finding;
use super::super::Verdict::{Fine, Warning};
use super::outbox;
use crate::clock::stopwatch;
use crate::commands::lost_files::looked_for;
use crate::config::Config;
use crate::copied::look_for_copy;
use crate::failure::Failure;
use crate::installation::{Traces, refuse_missing_file};
use crate::opening::{MissingStore, few_connections, look_at_place, open_store, wanted_connections};
use crate::output::tell;
use crate::peppers::missing;
use crate::schema::{APPLIED, refuse_lost_columns, refuse_lost_tables, tables};

/// From this size on, reading a database takes so long that it is announced.
const LONG_READ: u64 = 1024 * 1024 * 1024;

/// What is said of a database without an installation, which may be another one than the operator thinks of.
const EMPTY: &str = "is empty: it has no tables of Tidegate. The first start makes them";
const IF_ACCOUNTS_ARE_EXPECTED: &str = "if accounts were expected there, this is another database: check `database` in the \
     configuration, TIDEGATE_DATABASE and --database";

/// What the database has that other checks look at.
#[derive(Default)]
pub(super) struct Kept {
    pub(super) keys: Vec<StoredKey>,
    pub(super) has_accounts: bool,
    /// At which the installation was served last.
    pub(super) public_url: Option<String>,
    /// The files that are to be in the store.
    pub(super) files: Vec<Expected>,
    /// Messages that were tried and not sent.
    pub(super) unsent: Option<Vec<(String, String, i64)>>,
    /// Peppers that passwords need and the configuration has not.
    pub(super) peppers: Option<String>,
    /// Why a start is refused: it was copied elsewhere.
    pub(super) copied: Option<Failure>,
    /// That there can be fewer connections than are configured.
    pub(super) connections: Option<Finding>,
}

/// The database, and what of it other checks look at.
pub(super) async fn look(config: &Config, bar: &ProgressBar) -> (Finding, Kept) {
    let url = config.database_url();
    let traces = Traces::find(config);
    // In the order of a start.
    if let Err(failure) = look_at_place(config).and_then(|()| traces.refuse_lost_file(config)) {
        let (what, advice) = failure.parts();
        return (Finding::wrong("database", what, advice.unwrap_or_default()), Kept::default());
    }
    if let Err(missing) = refuse_missing_file(config) {
        let finding = Finding::new("database", Warning, format!("{url} is created at the first start"));
        // As every other command says it: this may be the wrong directory.
        return (finding.advised(missing.parts().1.unwrap_or_default()), Kept::default());
    }
    match look_into_database(config, &traces, bar).await {
        Ok(seen) => seen,
        Err(failure) => {
            let (what, advice) = failure.parts();
            let advice = advice.unwrap_or("see the log of the database");
            (Finding::wrong("database", format!("{url}: {what}"), advice), Kept::default())
        }
    }
}

async fn look_into_database(
    config: &Config,
    traces: &Traces,
    bar: &ProgressBar,
) -> Result<(Finding, Kept), Failure> {
    let url = config.database_url();
    let finding = |verdict, state: &str| Finding::new("database", verdict, format!("{url}: {state}"));
    let store = open_store(config, MissingStore::Refuse).await?;
    let seen = async {
        store.ping().await?;
        let whole = check_pages(config, &store, bar).await?;
        traces.refuse_lost_tables(config, &store).await?;
        let refused =
            |refusal: Refusal| Finding::wrong("database", format!("{url}: {}", refusal.what), refusal.advice);
        if !store.is_begun().await? {
            let empty = finding(Warning, EMPTY).advised(IF_ACCOUNTS_ARE_EXPECTED);
            return Ok((why_not_begun(&store).await?.map_or(empty, refused), Kept::default()));
        }
        let copied = look_for_copy(config, &store).await?;
        let connections = few_connections(wanted_connections(config), &store).await?.map(|few| {
            let (what, advice) = few.parts();
            Finding::new("connections", Warning, what).advised(advice.unwrap_or_default())
        });
        let pending = store.pending_migrations().await?;
        let (seen, kept) = match pending {
            0 => {
                refuse_lost_tables(&store).await?;
                refuse_lost_columns(&store).await?;
                let kept = keep(config, &store).await?;
                (finding(Fine, &format!("answers, its schema is up to date{whole}")), kept)
            }
            pending => {
                let state = format!("answers; {pending} migration(s) are applied by the next start{whole}");
                (finding(Warning, &state), Kept::default())
            }
        };
        let seen = why_not_written(&store, pending > 0).await?.map_or(seen, refused);
        // It is served all the same.
        let seen = match store.why_misencoded().await? {
            Some(lacks) => seen.and(Finding::new("database", Warning, lacks.what).advised(lacks.advice)),
            None => seen,
        };
        Ok((seen, Kept { copied, connections, ..kept }))
    }
    .await;
    store.close().await;
    seen
}

/// What keeps the first start from making the tables.
async fn why_not_begun(store: &Store) -> Result<Option<Refusal>, Failure> {
    let found = match store.why_misencoded().await? {
        None => store.why_read_only().await?,
        found => found,
    };
    match found {
        None => Ok(store.why_not_made().await?),
        found => Ok(found),
    }
}

/// What keeps a server from writing to the tables, or a start that `migrates` from changing them.
async fn why_not_written(store: &Store, migrates: bool) -> Result<Option<Refusal>, Failure> {
    // Only a migration writes to the list of them.
    let ours: Vec<&str> = tables().chain(migrates.then_some(APPLIED)).collect();
    let found = match store.why_read_only().await? {
        None => store.why_denied(&ours, migrates).await?,
        found => found,
    };
    let found = match found {
        None => store.why_keys_are_taken(&ours).await?,
        found => found,
    };
    match found {
        None if migrates => Ok(store.why_not_made().await?),
        found => Ok(found),
    }
}

/// What of a database with the present schema other checks look at.
async fn keep(config: &Config, store: &Store) -> Result<Kept, Failure> {
    let mut unit = store.read().await?;
    Ok(Kept {
        keys: unit.keys().all().await?,
        has_accounts: unit.account_cards().any().await?,
        public_url: unit.installation_facts().find(PUBLIC_URL).await?,
        files: looked_for(&mut unit, config.storage.backend).await?,
        peppers: missing(config, &unit.accounts().password_schemes().await?),
        unsent: Some(unit.outbox().unsent(outbox::ASKED_FOR).await?),
        copied: None,
        connections: None,
    })
}

/// Reads all pages of a SQLite file; answers what to say of it.
async fn check_pages(config: &Config, store: &Store, bar: &ProgressBar) -> Result<String, Failure> {
    let Some(file) = config.database_file() else { return Ok(String::new()) };
    let bytes = fs::metadata(&file).map_or(0, |found| found.len());
    let size = HumanBytes(bytes);
    bar.set_message(format!("reading all {size} of the database"));
    if bytes > LONG_READ {
        tell(&format!("reading all {size} of the database: this can take minutes"));
    }
    let started = stopwatch();
    store.check_pages().await?;
    bar.set_message("checking");
    Ok(format!("; all its {size} are whole ({:.1} s)", started.elapsed().as_secs_f64()))
}
