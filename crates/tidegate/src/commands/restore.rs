//! `tidegate restore`

use std::fs::{self, File, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::json;
use tidegate_crypto::{MasterKey, SigningAlgorithm, SigningKey, Vault};
use tidegate_database::{DatabaseUrl, Denial, Store};
use tidegate_domain::Timestamp;
use tidegate_kernel::KernelTables;

use super::backup::{key_file_of, with_suffix};
use crate::cli::Restore;
use crate::config::{Config, Database};
use crate::data_dir::create_data_dir;
use crate::failure::Failure;
use crate::installation::absence;
use crate::output::{Answer, progress};
use crate::secrets::{MayCreate, key_file, key_in, open_vault, sync_directory_of, vault_with, write_key};
use crate::wiring::{MissingStore, open_store};

pub(super) async fn run(config: &Config, command: &Restore) -> Result<Answer, Failure> {
    let place = match config.database_url() {
        DatabaseUrl::Sqlite(path) => path,
        url @ DatabaseUrl::Postgres(_) => {
            return Err(failure(format!(
                "{url} is restored by PostgreSQL's own programs (pg_restore). To move a backup there: tidegate copy \
                 --from sqlite:{} --to ADDRESS",
                command.file.display()
            )));
        }
    };
    // What the file is comes first: a key is of no use to what is no backup.
    refuse_other_than_backup(&command.file)?;
    if place.exists() && absence(&place).is_none() {
        return Err(failure(format!(
            "there is a database at {} already: move it away, or choose another --data-dir",
            place.display()
        )));
    }
    // SQLite would take the log of a lost database for one of the backup's.
    for suffix in ["-wal", "-journal"] {
        let log = with_suffix(&place, suffix);
        if log.exists() {
            let what = format!("there is {} of an earlier database", log.display());
            return Err(failure(what).advise("move it away; with it goes what was written last"));
        }
    }
    let had_directory = config.data_dir.exists();
    create_data_dir(&config.data_dir)?;
    let draft = with_suffix(&place, ".restoring");
    let bar = progress("restoring the backup");
    let restored = restore(config, &command.file, &draft, &place).await;
    bar.finish_and_clear();
    let restored = restored.inspect_err(|_| {
        for suffix in ["", "-wal", "-shm"] {
            drop(fs::remove_file(with_suffix(&draft, suffix)));
        }
        if !had_directory {
            drop(fs::remove_dir(&config.data_dir));
        }
    });
    let key_file = (restored? == WroteKey::Yes).then(|| key_file(&config.data_dir).display().to_string());
    let text = format!(
        "The database is at {}. Sessions are as they were when the backup was made, and messages that waited then are sent \
         again. Look with `tidegate doctor`, then start `tidegate serve`.",
        place.display()
    );
    Ok(Answer::new(text, json!({ "database": place.display().to_string(), "key_file": key_file })))
}

/// Whether restoring wrote the backup's master key to the data directory.
#[derive(Clone, Copy, PartialEq, Eq)]
enum WroteKey {
    Yes,
    No,
}

/// Refuses a file that cannot be a backup, by its first bytes.
fn refuse_other_than_backup(file: &Path) -> Result<(), Failure> {
    let shown = file.display();
    let advice = "give the file that `tidegate backup` wrote; FILE.key beside it is its master key";
    let what = match File::open(file) {
        Err(error) if error.kind() == ErrorKind::NotFound => format!("there is no backup at {shown}"),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            let denial = Denial::of(file);
            let what = format!("the backup {shown} may not be read by this user{}", denial.reason());
            return Err(failure(what).advise(denial.advice()));
        }
        Err(error) => return Err(failure(format!("{shown} cannot be read: {error}"))),
        Ok(_) if file.is_dir() => format!("{shown} is a directory, and no backup"),
        Ok(_) if absence(file).is_some() => format!("{shown} is no backup: it is empty"),
        Ok(_) if !Store::is_sqlite_file(file) => format!("{shown} is no backup: it is no SQLite database"),
        Ok(_) => return Ok(()),
    };
    Err(failure(what).advise(advice))
}

/// The backup's key, if it has to be written: unless the configuration has one, or the data directory the same.
fn key_to_write(config: &Config, backup: &Path) -> Result<Option<MasterKey>, Failure> {
    let of_backup = key_in(&key_file_of(backup))?;
    if config.master_key.is_some() {
        return Ok(None);
    }
    let place = key_file(&config.data_dir);
    match (of_backup, key_in(&place)?) {
        (Some(key), None) => Ok(Some(key)),
        (None, Some(_)) => Ok(None),
        (Some(key), Some(present)) if key.id() == present.id() => Ok(None),
        (Some(_), Some(_)) => Err(failure(format!(
            "{} is another key than that of the backup: move it away, or choose another --data-dir",
            place.display()
        ))),
        (None, None) => Err(failure(format!(
            "there is no master key: put it into {} or {}, or set master_key",
            key_file_of(backup).display(),
            place.display()
        ))),
    }
}

async fn restore(config: &Config, backup: &Path, draft: &PathBuf, place: &Path) -> Result<WroteKey, Failure> {
    let about = |error| failure(format!("{} cannot be written: {error}", draft.display()));
    fs::copy(backup, draft).map_err(about)?;
    fs::set_permissions(draft, Permissions::from_mode(0o600)).map_err(about)?;
    let of_draft = Config { database: Some(Database(DatabaseUrl::Sqlite(draft.clone()))), ..config.clone() };
    let unusable = |failure: Failure| failure.about("the backup cannot be used");
    let store = open_store(&of_draft, MissingStore::Refuse).await.map_err(unusable)?;
    let checked = async {
        check_data(&store).await.map_err(unusable)?;
        let key = key_to_write(config, backup)?;
        let vault = match &key {
            Some(key) => vault_with(config, key.clone())?,
            None => open_vault(config, MayCreate::No)?,
        };
        check_keys(&store, &vault).await.map_err(unusable)?;
        Ok(key)
    };
    let checked: Result<Option<MasterKey>, Failure> = checked.await;
    store.close().await;
    let key = checked?;
    File::open(draft).and_then(|file| file.sync_all()).map_err(about)?;
    if let Some(key) = &key {
        write_key(&key_file(&config.data_dir), key)?;
    }
    fs::rename(draft, place).and_then(|()| sync_directory_of(place)).map_err(about)?;
    Ok(if key.is_some() { WroteKey::Yes } else { WroteKey::No })
}

/// Whether it is an installation, whole, and of a version that this one knows.
async fn check_data(store: &Store) -> Result<(), Failure> {
    store.check_integrity().await?;
    if !store.is_begun().await? {
        return Err(failure("it has no tables of Tidegate".to_owned()));
    }
    store.pending_migrations().await?;
    Ok(())
}

/// Whether the master key opens it.
async fn check_keys(store: &Store, vault: &Vault) -> Result<(), Failure> {
    for key in store.read().await?.keys().all().await? {
        let algorithm = SigningAlgorithm::from_name(&key.algorithm).unwrap_or_default();
        let created_at = Timestamp::from_micros(key.created_at);
        SigningKey::open(vault, &key.kid, algorithm, created_at, &key.sealed).map_err(|_| {
            failure("the master key is not the one that the data were sealed with".to_owned())
        })?;
    }
    Ok(())
}

fn failure(message: String) -> Failure {
    Failure::new("restore", message)
}
