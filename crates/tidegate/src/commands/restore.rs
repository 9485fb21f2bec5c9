//! `tidegate restore`

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::json;
use tidegate_crypto::{MasterKey, SigningAlgorithm, SigningKey, Vault};
use tidegate_database::{DatabaseUrl, Store};
use tidegate_domain::Timestamp;
use tidegate_kernel::KernelTables;

use super::backup::{key_file_of, with_suffix};
use crate::cli::Restore;
use crate::config::{Config, Database};
use crate::failure::Failure;
use crate::output::{Answer, progress};
use crate::secrets::{
    MayCreate, create_data_dir, key_file, key_in, open_vault, sync_directory_of, vault_with, write_key,
};
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
    if !command.file.is_file() {
        return Err(failure(format!("there is no backup at {}", command.file.display())));
    }
    if place.exists() {
        return Err(failure(format!(
            "there is a database at {} already: move it away, or choose another --data-dir",
            place.display()
        )));
    }
    let key = key_to_write(config, &command.file)?;
    create_data_dir(&config.data_dir)?;
    let draft = with_suffix(&place, ".restoring");
    let bar = progress("restoring the backup");
    let restored = restore(config, &command.file, &draft, &place, key.as_ref()).await;
    bar.finish_and_clear();
    if let Err(error) = restored {
        for suffix in ["", "-wal", "-shm"] {
            drop(fs::remove_file(with_suffix(&draft, suffix)));
        }
        return Err(error);
    }
    let key_file = key.is_some().then(|| key_file(&config.data_dir).display().to_string());
    let text = format!(
        "The database is at {}. Sessions are as they were when the backup was made, and messages that waited then are sent \
         again. Look with `tidegate doctor`, then start `tidegate serve`.",
        place.display()
    );
    Ok(Answer::new(text, json!({ "database": place.display().to_string(), "key_file": key_file })))
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

async fn restore(
    config: &Config,
    backup: &Path,
    draft: &PathBuf,
    place: &Path,
    key: Option<&MasterKey>,
) -> Result<(), Failure> {
    let about = |error| failure(format!("{} cannot be written: {error}", draft.display()));
    fs::copy(backup, draft).map_err(about)?;
    fs::set_permissions(draft, Permissions::from_mode(0o600)).map_err(about)?;
    let of_draft = Config { database: Some(Database(DatabaseUrl::Sqlite(draft.clone()))), ..config.clone() };
    let vault = match key {
        Some(key) => vault_with(config, key.clone())?,
        None => open_vault(config, MayCreate::No)?,
    };
    let unusable = |failure: Failure| failure.about("the backup cannot be used");
    let store = open_store(&of_draft, MissingStore::Refuse).await.map_err(unusable)?;
    let checked = check(&store, &vault).await;
    store.close().await;
    checked.map_err(unusable)?;
    File::open(draft).and_then(|file| file.sync_all()).map_err(about)?;
    if let Some(key) = key {
        write_key(&key_file(&config.data_dir), key)?;
    }
    fs::rename(draft, place).and_then(|()| sync_directory_of(place)).map_err(about)
}

/// Whether it is whole, of a version that this one knows, and opened by the key.
async fn check(store: &Store, vault: &Vault) -> Result<(), Failure> {
    store.check_integrity().await?;
    store.pending_migrations().await?;
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
