//! `tidegate copy`

use std::fs;
use std::path::{PathBuf, absolute};

use indicatif::HumanBytes;
use serde_json::json;
use tidegate_database::{CopiedTable, DatabaseUrl, FinishedCopy, Store, StoreError};
use tidegate_domain::Clock;
use tidegate_kernel::KernelTables;
use tidegate_objects::Backend;
use tidegate_storage::StorageTables;

use crate::cli::CopyDatabase;
use crate::clock::SystemClock;
use crate::config::{Config, Database};
use crate::copied::{finished_at, named};
use crate::failure::Failure;
use crate::installation::{ServingLock, refuse_empty_source, refuse_missing_source};
use crate::opening::{MissingStore, migrate, open_copy_target, open_store};
use crate::output::{Answer, progress, table};
use crate::program::shell_word;
use crate::schema::other_tables;
use crate::secrets::key_file;
use crate::wiring::objects;

/// How many tables of another program are named.
const NAMED: usize = 3;

pub(super) async fn run(config: &Config, command: CopyDatabase) -> Result<Answer, Failure> {
    let is_named = command.from.is_some();
    let from = command.from.unwrap_or_else(|| config.database_url());
    if is_same(&from, &command.to) {
        return Err(Failure::usage("--from and --to are the same database"));
    }
    let of_source = with_database(config, &from);
    if is_named {
        refuse_missing_source(&of_source)?;
    }
    // What a server wrote after the copy has begun would be lost.
    let _unserved = match of_source.database_file().filter(|path| path.exists()) {
        Some(path) => Some(ServingLock::take_or(&path, "stop that process first")?),
        None => None,
    };
    let source = open_store(&of_source, MissingStore::Refuse).await?;
    let copied = async {
        refuse_empty_source(&of_source, &source).await?;
        let (tables, files) = copy(config, &source, &command.to).await?;
        let mark = FinishedCopy { at: SystemClock.now().micros(), to: named(&command.to) };
        // All rows are there: a source that cannot be written is no reason to say anything else.
        let unmarked = source.mark_copied(&mark).await.err().map(Failure::from);
        Ok(answer(&tables, &command.to, &Outside::of(config, &from, files)?, unmarked.as_ref()))
    };
    let copied: Result<Answer, Failure> = copied.await;
    source.close().await;
    copied
}

/// Whether two addresses are of one database, as far as they say: of one file by two names, or of one with the password left out.
fn is_same(one: &DatabaseUrl, other: &DatabaseUrl) -> bool {
    let real = |url: &DatabaseUrl| url.file().and_then(|file| fs::canonicalize(file).ok());
    named(one) == named(other) || real(one).is_some_and(|file| real(other) == Some(file))
}

/// The configuration with another database.
fn with_database(config: &Config, url: &DatabaseUrl) -> Config {
    Config { database: Some(Database(url.clone())), database_listen: None, ..config.clone() }
}

/// Copies; answers what, and how many uploaded files with how many bytes the source names.
async fn copy(
    config: &Config,
    source: &Store,
    to: &DatabaseUrl,
) -> Result<(Vec<CopiedTable>, (i64, i64)), Failure> {
    if source.pending_migrations().await? > 0 {
        return Err(Failure::new(
            "database_schema",
            "the source has the schema of an earlier version: run `tidegate migrate` on it, then copy",
        ));
    }
    let files = source.read().await?.files().stored_in_all().await?;
    let target = open_copy_target(&with_database(config, to)).await?;
    let copied = async {
        refuse_others(&target, to).await?;
        // Before the tables: without rows they look like a new installation.
        if let Err(error) = target.mark_copy().await {
            return Err(not_begun(source, &target, to, error).await);
        }
        migrate(&target).await?;
        let bar = progress("copying");
        let copied = source
            .copy_to(&target, |table, rows| bar.set_message(format!("copying {table}: {rows} rows")))
            .await;
        bar.finish_and_clear();
        copied.map_err(not_copied)
    };
    let copied = copied.await;
    target.close().await;
    copied.map(|tables| (tables, files))
}

/// Refuses a target with tables that are not Tidegate's: a copy compares and counts all tables of a schema.
async fn refuse_others(target: &Store, to: &DatabaseUrl) -> Result<(), Failure> {
    let mut others = other_tables(target).await.map_err(not_copied)?;
    if others.is_empty() {
        return Ok(());
    }
    let more = others.len().saturating_sub(NAMED);
    others.truncate(NAMED);
    if more > 0 {
        others.push(format!("{more} more"));
    }
    let (to, others) = (named(to), others.join(", "));
    Err(Failure::advised(
        "database_foreign",
        format!("nothing was copied: the database {to} has tables that are not Tidegate's: {others}"),
        "give an empty database, or a schema of its own: ?options[search_path]=NAME after the address",
    ))
}

fn not_copied(error: StoreError) -> Failure {
    Failure::from(error).about("nothing was copied")
}

/// Why a target is not copied to. One that has accounts is an installation, or an earlier copy of the source.
async fn not_begun(source: &Store, target: &Store, to: &DatabaseUrl, error: StoreError) -> Failure {
    let accounts = match &error {
        // It has rows.
        StoreError::Address(_) => accounts(target).await.unwrap_or_default(),
        _ => 0,
    };
    if accounts == 0 {
        return not_copied(error);
    }
    let to = named(to);
    let earlier = source.finished_copy().await.ok().flatten().filter(|copy| copy.to == to);
    let holds = match &earlier {
        Some(copy) => format!("the copy of this database that was finished at {}", finished_at(copy)),
        None => "an installation".to_owned(),
    };
    let accounts = if accounts == 1 { "1 account".to_owned() } else { format!("{accounts} accounts") };
    Failure::advised(
        "database_address",
        format!("nothing was copied: {to} holds {holds} already, with {accounts}"),
        format!(
            "serve that one: `tidegate serve --database {}`; or copy to an empty database",
            shell_word(&to)
        ),
    )
}

async fn accounts(store: &Store) -> Result<i64, StoreError> {
    store.read().await?.account_cards().count().await
}

/// What of an installation is in no database.
struct Outside {
    data_dir: PathBuf,
    /// What it is and where, for people.
    parts: Vec<String>,
    files: i64,
    bytes: u64,
}

impl Outside {
    /// Of an installation whose database is `from`: its data directory is the one with the key beside the file, or else the configured one.
    fn of(config: &Config, from: &DatabaseUrl, (files, bytes): (i64, i64)) -> Result<Self, Failure> {
        let beside = from.file().and_then(|file| Some(absolute(file).ok()?.parent()?.to_owned()));
        let data_dir = match beside.filter(|directory| key_file(directory).exists()) {
            Some(directory) => directory,
            None => absolute(&config.data_dir).unwrap_or_else(|_| config.data_dir.clone()),
        };
        let (key, bytes) = (key_file(&data_dir), bytes.unsigned_abs());
        let mut parts = Vec::new();
        if config.master_key.is_none() && key.exists() {
            parts.push(format!("the master key ({})", key.display()));
        }
        if files > 0 && config.storage.backend == Backend::Local {
            let there = Config { data_dir: data_dir.clone(), ..config.clone() };
            let directory = objects(&there)?.directory().display().to_string();
            parts.push(format!("{files} uploaded file(s), {} ({directory})", HumanBytes(bytes)));
        }
        Ok(Self { data_dir, parts, files, bytes })
    }

    /// The flag that servers of the copy need, and what to say of it.
    fn told(&self) -> (String, String) {
        if self.parts.is_empty() {
            return (String::new(), String::new());
        }
        let flag = format!(" --data-dir {}", shell_word(&self.data_dir.display().to_string()));
        let told = format!(
            "\nNot in the database, and still where it was: {}. Servers of the copy need the same --data-dir, or this moved to their own.",
            self.parts.join(" and ")
        );
        (flag, told)
    }
}

fn answer(tables: &[CopiedTable], to: &DatabaseUrl, outside: &Outside, unmarked: Option<&Failure>) -> Answer {
    let rows: Vec<[String; 2]> =
        tables.iter().map(|table| [table.name.clone(), table.rows.to_string()]).collect();
    let total: u64 = tables.iter().map(|table| table.rows).sum();
    let (flag, told) = outside.told();
    let marked = match unmarked {
        None => {
            "The source is marked as copied: a server that is started on it by mistake says so, and ends."
                .to_owned()
        }
        Some(failure) => format!(
            "Warning: the source could not be marked as copied ({}): nothing keeps a server from it, which would write what is not in the copy.",
            failure.message()
        ),
    };
    let text = format!(
        "{}\n\nCopied {total} rows to {to}. Start the servers there with the same master key and the same public_url: `tidegate serve \
         --database {}{flag}`.{told}\n{marked}",
        table(["TABLE", "ROWS"], &rows),
        shell_word(&named(to))
    );
    let by_table: serde_json::Map<_, _> =
        tables.iter().map(|table| (table.name.clone(), json!(table.rows))).collect();
    let json = json!({
        "rows": total, "tables": by_table, "data_directory": outside.data_dir.display().to_string(), "files": outside.files,
        "files_bytes": outside.bytes, "source_marked": unmarked.is_none(),
    });
    Answer::new(text, json)
}
