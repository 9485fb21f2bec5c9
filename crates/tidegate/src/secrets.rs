//! The master key, and its file in the data directory.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use tidegate_crypto::{
    KeyError, KeyId, MasterKey, MasterKeyError, SigningAlgorithm, SigningKey, SystemEntropy, Vault,
    VaultError,
};
use tidegate_database::{DatabaseUrl, Denial, Store};
use tidegate_domain::Timestamp;
use tidegate_kernel::KernelTables;
use tidegate_kernel::tables::keys::StoredKey;

use crate::config::Config;
use crate::failure::Failure;
use crate::program::shell_word;

/// What to do about something that is no master key: where the right one may be, and how a new one is made in the form that is accepted.
pub(crate) const MAKE_MASTER_KEY: &str = "put back the copy of it: BACKUP.key beside a backup that was made while it was there, or that of another \
     node. An installation that has data needs the key it had: a new one opens nothing that was sealed with it. For an installation without \
     data, a new one is made with `echo tgmk1_$(openssl rand -base64 32 | tr '+/' '-_' | tr -d '=')`";

/// What it means that an installation has no signing key any more.
pub(crate) const LOST_SIGNING_KEYS: &str = "access tokens and ID tokens of before are refused, and refresh tokens go on. If nobody took the keys away \
     on purpose, see what else is missing: they are in your backup";

/// What is left where nobody has a copy of the key.
const LOST_MASTER_KEY: &str = "Where no copy is left, accounts and passwords go on without it: docs/operations.md, \"A lost master key\", says what is \
     lost, and the way";

/// Where the key of a server may be that commands lack.
const ELSEWHERE: &str = "the server may have the key from a variable or a file that this command was not given, such as TIDEGATE_MASTER_KEY in the \
     EnvironmentFile of its service: give it the same";

/// Permissions of others.
const OTHERS: u32 = 0o077;

/// The master key's file in a data directory.
pub(crate) fn key_file(data_dir: &Path) -> PathBuf {
    data_dir.join("master.key")
}

/// What others may do with a file or directory they should not reach; none when they may not.
pub(crate) fn open_to_others(path: &Path) -> io::Result<Option<u32>> {
    let mode = fs::metadata(path)?.permissions().mode() & 0o7777;
    Ok((mode & OTHERS != 0).then_some(mode))
}

/// The configured keys, or the one in the data directory.
///
/// # Errors
/// When a key is missing, unreadable or readable by others.
pub(crate) fn open_vault(config: &Config, may_create: MayCreate) -> Result<Vault, Failure> {
    vault_with(config, master_key(config, may_create)?)
}

/// The configured earlier keys, with another one in place of the present.
///
/// # Errors
/// When an earlier key cannot be read.
pub(crate) fn vault_with(config: &Config, current: MasterKey) -> Result<Vault, Failure> {
    let mut previous = Vec::new();
    for text in &config.previous_master_keys {
        previous.push(parse(text.expose(), "previous_master_keys")?);
    }
    Vault::new(current, previous).map_err(|error| Failure::internal(error.to_string()))
}

/// The name of the key that would be used, without making one.
///
/// # Errors
/// Those of [`open_vault`].
pub(crate) fn key_id(config: &Config) -> Result<Option<KeyId>, Failure> {
    let key = match &config.master_key {
        Some(_) => Some(master_key(config, MayCreate::No)?),
        None => read_key(&key_file(&config.data_dir))?,
    };
    Ok(key.map(|key| key.id()))
}

/// The key in the data directory; none if the configuration has one.
///
/// # Errors
/// When it is missing, unreadable or readable by others.
pub(crate) fn key_of_data_dir(config: &Config) -> Result<Option<MasterKey>, Failure> {
    match config.master_key {
        Some(_) => Ok(None),
        None => master_key(config, MayCreate::No).map(Some),
    }
}

/// The key in a file, if the file is there.
///
/// # Errors
/// When it is unreadable or readable by others.
pub(crate) fn key_in(path: &Path) -> Result<Option<MasterKey>, Failure> {
    read_key(path)
}

/// Writes a key to a file that is not there yet.
///
/// # Errors
/// Names the file.
pub(crate) fn write_key(path: &Path, key: &MasterKey) -> Result<(), Failure> {
    write_new(path, &format!("{}\n", key.to_text().expose()))
        .map_err(|error| failure(path, &format!("cannot be written: {error}")))
}

/// Whether a missing key may be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MayCreate {
    /// Nothing was sealed yet.
    Yes,
    /// Something was: a new key would not open it.
    No,
}

fn master_key(config: &Config, may_create: MayCreate) -> Result<MasterKey, Failure> {
    if let Some(text) = &config.master_key {
        return parse(text.expose(), &format!("master_key (in {})", config.master_key_place));
    }
    let path = key_file(&config.data_dir);
    match read_key(&path)? {
        Some(key) => Ok(key),
        None if may_create == MayCreate::Yes => create_key(&path),
        None => Err(failure(&path, "is missing, but the database has data sealed with it").advise(format!(
            "{}{ELSEWHERE}. Otherwise put the key there that the installation had ({}), or set master_key to it. {LOST_MASTER_KEY}",
            doubt_about_database(config),
            where_keys_are_kept(config)
        ))),
    }
}

fn read_key(path: &Path) -> Result<Option<MasterKey>, Failure> {
    let read = open_to_others(path).and_then(|others| Ok((others, fs::read_to_string(path)?)));
    match read {
        Ok((Some(mode), _)) => {
            let what = format!("is accessible to other users (mode {mode:04o})");
            Err(failure(path, &what).advise(chmod("600", path)))
        }
        Ok((None, text)) => parse(&text, &format!("the file {}", path.display())).map(Some),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            let denial = Denial::of(path);
            let what = format!("may not be read by this user{}", denial.reason());
            Err(failure(path, &what).advise(denial.advice()))
        }
        Err(error) => Err(failure(path, &format!("cannot be read: {error}"))),
    }
}

/// Creates a key. Of several processes that start together, one creates it and all use it.
fn create_key(path: &Path) -> Result<MasterKey, Failure> {
    let key = MasterKey::generate(&SystemEntropy);
    match write_new(path, &format!("{}\n", key.to_text().expose())) {
        Ok(()) => Ok(key),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            read_key(path)?.ok_or_else(|| failure(path, "was deleted while it was read"))
        }
        Err(error) => Err(failure(path, &format!("cannot be written: {error}"))),
    }
}

/// Writes a file that is not there yet, whole or not at all, and durably: nothing sealed with a lost key opens again.
fn write_new(path: &Path, text: &str) -> io::Result<()> {
    let draft = path.with_extension(format!("key.{}", std::process::id()));
    // Left behind by a process of the same number that was killed half-way.
    let _ = fs::remove_file(&draft);
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&draft)
        .and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()))
        // A link, unlike a rename, fails where another process was first.
        .and_then(|()| fs::hard_link(&draft, path));
    let _ = fs::remove_file(&draft);
    written?;
    sync_directory_of(path)
}

/// Makes a new name in a directory durable.
///
/// # Errors
/// Those of the file system.
pub(crate) fn sync_directory_of(file: &Path) -> io::Result<()> {
    let directory = file.parent().filter(|directory| !directory.as_os_str().is_empty());
    File::open(directory.unwrap_or(Path::new(".")))?.sync_all()
}

fn parse(text: &str, place: &str) -> Result<MasterKey, Failure> {
    text.parse().map_err(|error: MasterKeyError| {
        Failure::advised("master_key", format!("{place} is no master key: {error}"), MAKE_MASTER_KEY)
    })
}

/// The command that keeps others away from a file or directory.
pub(crate) fn chmod(mode: &str, path: &Path) -> String {
    format!("run `chmod {mode} {}`", shell_word(&path.display().to_string()))
}

/// Warns where the database has no signing key, and was an installation before: the one that is made now makes nobody's tokens good.
///
/// # Errors
/// Those of the database.
pub(crate) async fn warn_of_lost_signing_keys(store: &Store) -> Result<(), Failure> {
    if store.read().await?.account_cards().any().await? {
        tracing::warn!(
            "the database has accounts and had no signing key: a new one is made; {LOST_SIGNING_KEYS}"
        );
    }
    Ok(())
}

/// Whether the master key opens the signing keys of a database.
///
/// # Errors
/// Says which key is wrong, where it comes from, which one is needed, and where it may be.
pub(crate) fn check_opens(config: &Config, vault: &Vault, keys: &[StoredKey]) -> Result<(), Failure> {
    for key in keys {
        let algorithm = SigningAlgorithm::from_name(&key.algorithm).unwrap_or_default();
        let created_at = Timestamp::from_micros(key.created_at);
        match SigningKey::open(vault, &key.kid, algorithm, created_at, &key.sealed) {
            Ok(_) => {}
            Err(KeyError::Vault(VaultError::UnknownKey { id })) => return Err(wrong_key(config, id)),
            Err(error) => {
                let what = format!("the signing key {} in the database cannot be opened: {error}", key.kid);
                return Err(Failure::advised("master_key", what, "restore the last backup that was whole"));
            }
        }
    }
    Ok(())
}

/// What to say where the database was sealed with another key than the configured ones.
fn wrong_key(config: &Config, needed: KeyId) -> Failure {
    let file = key_file(&config.data_dir);
    let of_file = read_key(&file).ok().flatten().map(|key| key.id());
    let shown = file.display();
    let (id, place, put_there) = match &config.master_key {
        Some(text) => {
            let place = &config.master_key_place;
            let correct = if of_file == Some(needed) {
                format!(
                    "remove it there: the key that is needed is in {shown}, which is read when none is configured"
                )
            } else {
                format!("set master_key to {needed} in {place}")
            };
            (
                text.expose().parse::<MasterKey>().ok().map(|key| key.id()),
                format!("master_key in {place}"),
                correct,
            )
        }
        None => (of_file, format!("the file {shown}"), format!("put the key {needed} into {shown}")),
    };
    let id = id.map(|id| id.to_string()).unwrap_or_default();
    Failure::advised(
        "master_key",
        format!(
            "the master key {id} ({place}) is not the one of this database, which was sealed with the master key {needed}"
        ),
        format!(
            "{doubt}{put_there} ({kept}). To use both, keep {id} and list {needed} in previous_master_keys. These names are the first \
             eight digits of the SHA-256 of the keys. {LOST_MASTER_KEY}",
            doubt = doubt_about_database(config),
            kept = where_keys_are_kept(config)
        ),
    )
}

/// What to look at before the key: a database that was chosen apart from the data directory may be that of another installation.
fn doubt_about_database(config: &Config) -> String {
    let Some(database) = &config.database else { return String::new() };
    let place = &config.database_place;
    format!(
        "see first whether the database is the one that is meant: it is {}, from {place}. If it is, ",
        database.0
    )
}

/// Where to look for the key of an installation: only SQLite is backed up together with it.
fn where_keys_are_kept(config: &Config) -> &'static str {
    match config.database_url() {
        DatabaseUrl::Sqlite(_) => "it is in BACKUP.key beside a backup that was made while it was there",
        DatabaseUrl::Postgres(_) => "every other node of this database has it; a dump of PostgreSQL does not",
    }
}

fn failure(path: &Path, what: &str) -> Failure {
    Failure::new("master_key", format!("the master key {} {what}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processes_that_start_together_agree_on_one_key() {
        let directory = tempfile::tempdir().unwrap();
        let path = key_file(directory.path());
        let first = create_key(&path).unwrap();
        let second = create_key(&path).unwrap();
        assert_eq!(first.id(), second.id());
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
        assert_eq!(open_to_others(&path).unwrap(), None);
    }

    #[test]
    fn a_key_that_others_can_read_is_refused_with_the_command_that_helps() {
        let directory = tempfile::tempdir().unwrap();
        let path = key_file(directory.path());
        create_key(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let refusal = read_key(&path).unwrap_err();
        assert!(
            refusal.message().contains("mode 0640") && refusal.message().contains("chmod 600"),
            "{}",
            refusal.message()
        );
    }
}
