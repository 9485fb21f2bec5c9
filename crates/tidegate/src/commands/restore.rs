//! `tidegate restore`

use std::fs::{self, File, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::json;
use tidegate_crypto::MasterKey;
use tidegate_database::{DatabaseUrl, Denial, Store};
use tidegate_kernel::KernelTables;
use tidegate_objects::{Copied, Expected, Objects};

use super::backup::{files_of, key_file_of};
use super::lost_files::{Missed, looked_for, missed};
use super::no_backup::told;
use crate::cli::Restore;
use crate::config::{Config, Database};
use crate::data_dir::create_data_dir;
use crate::failure::Failure;
use crate::installation::{absence, restore_draft, take_lock_left, with_suffix};
use crate::opening::{MissingStore, open_store};
use crate::output::{Answer, progress};
use crate::program::shell_word;
use crate::secrets::{
    MayCreate, check_opens, key_file, key_in, open_vault, sync_directory_of, vault_with, write_key,
};
use crate::wiring::objects;

pub(super) async fn run(config: &Config, command: &Restore) -> Result<Answer, Failure> {
    let place = match config.database_url() {
        DatabaseUrl::Sqlite(path) => path,
        url @ DatabaseUrl::Postgres(_) => {
            return Err(failure(format!(
                "{url} is restored by PostgreSQL's own programs: `pg_restore --clean --if-exists --no-owner --dbname=ADDRESS FILE`. \
                 To move a backup there: `tidegate copy --from {} --to {}`",
                shell_word(&format!("sqlite:{}", command.file.display())),
                shell_word(&url.to_string())
            )));
        }
    };
    // What the file is comes first: a key is of no use to what is no backup.
    refuse_other_than_backup(&command.file)?;
    let origin = Origin::of(&command.file);
    // Held to the end: no server starts meanwhile.
    let _lock = take_lock_left(&place)?;
    if place.exists() && absence(&place).is_none() {
        return Err(failure(format!(
            "there is a database at {} already: move it away, or choose another --data-dir",
            place.display()
        )));
    }
    refuse_beside_a_log(&place)?;
    let objects = objects(config)?;
    let had_directory = config.data_dir.exists();
    create_data_dir(&config.data_dir)?;
    let draft = restore_draft(&place);
    // Of a restore that was cut off: SQLite would take its log for one of this backup's.
    remove(&draft, &DRAFT_FILES);
    let bar = progress("restoring the backup");
    let prepared = prepare(config, &command.file, origin, &draft).await;
    bar.finish_and_clear();
    let prepared = prepared.inspect_err(|_| {
        remove(&draft, &DRAFT_FILES);
        if !had_directory {
            drop(fs::remove_dir(&config.data_dir));
        }
    })?;
    // Before the database has its name: a restore that is cut off or fails here leaves its draft, which `serve` and `doctor` tell.
    let copied = restore_files(&objects, &files_of(&command.file))?;
    fs::rename(&draft, &place)
        .and_then(|()| sync_directory_of(&place))
        .map_err(|error| not_written(config, &draft, &error))?;
    let missed = missed(&objects, &prepared.looked_for);
    let answer = origin.told(answer(config, &place, prepared.wrote_key, copied, &missed), &command.file);
    if missed.is_empty() {
        return Ok(answer);
    }
    let told = tell_missed(&missed, &objects, &files_of(&command.file), &place);
    // Not all that the database names is back.
    Ok(Answer { text: format!("{}{told}", answer.text), good: false, ..answer })
}

/// Where a file comes from that is restored.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// `tidegate backup` wrote it, and nobody opened it since as a database: all is in it.
    Backup,
    /// Somebody copied the file of a database, most likely. What was written last may be in its log, if that was copied, too.
    Copy { has_log: bool },
}

impl Origin {
    fn of(file: &Path) -> Self {
        if !Store::has_log_mode(file) {
            return Self::Backup;
        }
        Self::Copy { has_log: Store::has_log_content(&with_suffix(file, "-wal")) }
    }

    /// The answer, with what is not known of a copy.
    fn told(self, answer: Answer, file: &Path) -> Answer {
        let shown = file.display();
        match self {
            Self::Backup => answer,
            Self::Copy { has_log: true } => {
                let text = format!(
                    "{}\n{shown} is a copy of a database, and no backup: {shown}-wal was read with it. Where a server ran while they were copied, \
                     they may be of different moments: make backups with `tidegate backup FILE`.",
                    answer.text
                );
                Answer { text, ..answer }
            }
            Self::Copy { has_log: false } => {
                let text = format!(
                    "{}\nWarning: {shown} is a copy of a database, or a backup that was opened as one since, and there is no {shown}-wal with anything in it: if a \
                     server ran while it was copied, what was written last is in that alone, and is not restored. Make backups with \
                     `tidegate backup FILE`, or copy both while no server runs.",
                    answer.text
                );
                Answer { text, good: false, ..answer }
            }
        }
    }
}

fn answer(
    config: &Config,
    place: &Path,
    wrote_key: WroteKey,
    copied: Option<Copied>,
    missed: &Missed,
) -> Answer {
    let key_file = (wrote_key == WroteKey::Yes).then(|| key_file(&config.data_dir).display().to_string());
    let text = format!(
        "The database is at {}. Sessions are as they were when the backup was made, and messages that waited then are sent \
         again. Look with `tidegate doctor`, then start `tidegate serve`.",
        place.display()
    );
    let mut json = json!({ "database": place.display().to_string(), "key_file": key_file });
    let files_text = copied.map_or(String::new(), |copied| {
        tidegate_domain::text::merge(
            &mut json,
            &json!({ "files": copied.files, "files_bytes": copied.bytes }),
        );
        match copied.files {
            0 if missed.lost.is_some() => String::new(),
            // They stayed where the database was lost, or there were none.
            0 => " No uploaded file was missing.".to_owned(),
            files => format!(" {files} uploaded files are back."),
        }
    });
    tidegate_domain::text::merge(&mut json, &missed.json());
    Answer::new(text + &files_text, json)
}

/// What is missing or is not as it was uploaded, where it was looked for, and what to do: a line for each.
fn tell_missed(missed: &Missed, objects: &Objects, files: &Path, place: &Path) -> String {
    let (directory, shown, mut told) = (objects.directory().display(), files.display(), String::new());
    match &missed.lost {
        Some((lost, _)) if files.is_dir() => {
            told += &format!("\nWarning: {lost}: they are neither in {directory} nor in {shown}.");
        }
        Some((lost, _)) => {
            told += &format!(
                "\nWarning: {lost}: they are not in {directory}, and there is no {shown}. Put it beside the backup, move {} away and restore \
                 again.",
                place.display()
            );
        }
        None => {}
    }
    if let Some((changed, _)) = &missed.changed {
        told += &format!(
            "\nWarning: {changed}: they were so in the backup, or in {directory} before. Copy them from FILE.files of a backup that has them \
             as they were."
        );
    }
    told
}

/// SQLite would take the log of a lost database for one of the backup's.
fn refuse_beside_a_log(place: &Path) -> Result<(), Failure> {
    for suffix in ["-wal", "-journal"] {
        let log = with_suffix(place, suffix);
        if log.exists() {
            let what = format!("there is {} of an earlier database", log.display());
            return Err(failure(what).advise("move it away; with it goes what was written last"));
        }
    }
    Ok(())
}

/// Copies the uploaded files of the backup back; none where it has none.
fn restore_files(objects: &Objects, files: &Path) -> Result<Option<Copied>, Failure> {
    if !files.is_dir() {
        return Ok(None);
    }
    let not_copied = |error| {
        let (shown, directory) = (files.display(), objects.directory().display());
        failure(format!(
            "the restore did not finish: the uploaded files in {shown} cannot be copied to {directory}: {error}"
        ))
        .advise(format!(
            "correct that and restore again: what is copied stays. Without the files it is restored once {shown} is moved away"
        ))
    };
    let bar = progress("restoring the uploaded files");
    let copied = objects.copy_from(files).map_err(not_copied);
    bar.finish_and_clear();
    copied.map(Some)
}

/// What SQLite keeps beside an open database.
const BESIDE: [&str; 3] = ["-wal", "-shm", "-journal"];
/// A draft and what is beside it.
const DRAFT_FILES: [&str; 4] = ["", "-wal", "-shm", "-journal"];

fn remove(draft: &Path, suffixes: &[&str]) {
    for suffix in suffixes {
        drop(fs::remove_file(with_suffix(draft, suffix)));
    }
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
    let advice = "give the file that a backup wrote; FILE.key beside it is its master key. If this is it, it was cut off or overwritten: \
                  take another one";
    let what = match File::open(file) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let advice = "check the path, which starts at the working directory: a backup is the file that was named when it was made, \
                          and FILE.key beside it is its master key";
            return Err(failure(format!("there is no backup at {shown}")).advise(advice));
        }
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            let denial = Denial::of(file);
            let what = format!("the backup {shown} may not be read by this user{}", denial.reason());
            return Err(failure(what).advise(denial.advice()));
        }
        Err(error) => return Err(failure(format!("{shown} cannot be read: {error}"))),
        Ok(_) if file.is_dir() => format!("{shown} is a directory, and no backup"),
        Ok(_) if absence(file).is_some() => format!("{shown} is no backup: it is empty"),
        Ok(_) if !Store::is_sqlite_file(file) => match told(file) {
            Some((what, advice)) => {
                return Err(failure(format!("{shown} is no backup: {what}")).advise(advice));
            }
            None => format!("{shown} is no backup: it is no SQLite database"),
        },
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

/// A backup that is whole and opened by its key, and is in the draft.
struct Prepared {
    wrote_key: WroteKey,
    /// The files that are to be in the store.
    looked_for: Vec<Expected>,
}

fn not_written(config: &Config, draft: &Path, error: &std::io::Error) -> Failure {
    let what = failure(format!("{} cannot be written: {error}", draft.display()));
    let directory = config.data_dir.display();
    what.advise(format!(
        "see whether {directory} can be written by this user and has space: `df -h {directory}`"
    ))
}

/// Copies a backup, or a database with its log: SQLite reads it as it opens the draft.
fn copy_to_draft(backup: &Path, origin: Origin, draft: &Path) -> std::io::Result<()> {
    let suffixes: &[&str] = if origin == (Origin::Copy { has_log: true }) { &["-wal", ""] } else { &[""] };
    for suffix in suffixes {
        let to = with_suffix(draft, suffix);
        fs::copy(with_suffix(backup, suffix), &to)?;
        fs::set_permissions(&to, Permissions::from_mode(0o600))?;
    }
    Ok(())
}

async fn prepare(
    config: &Config,
    backup: &Path,
    origin: Origin,
    draft: &PathBuf,
) -> Result<Prepared, Failure> {
    let about = |error: std::io::Error| not_written(config, draft, &error);
    copy_to_draft(backup, origin, draft).map_err(about)?;
    let of_draft = Config { database: Some(Database(DatabaseUrl::Sqlite(draft.clone()))), ..config.clone() };
    // What is said about keys is about the backup, and not about the database in whose place it is put.
    let of_backup = Config { database: None, ..config.clone() };
    let unusable = |failure| unusable(&failure, backup, origin, draft);
    let store = open_store(&of_draft, MissingStore::Refuse).await.map_err(unusable)?;
    let checked = async {
        let pending = check_data(&store).await.map_err(unusable)?;
        let key = key_to_write(config, backup)?;
        let vault = match &key {
            Some(key) => vault_with(config, key.clone())?,
            None => open_vault(config, MayCreate::No)?,
        };
        let mut unit = store.read().await?;
        let keys = unit.keys().all_of_any_version().await?;
        check_opens(&of_backup, &vault, &keys).map_err(|failure| match &key {
            // It is about the key beside the backup.
            Some(key) => wrong_key_beside(backup, key),
            None => failure,
        })?;
        // An earlier version may have no table of files.
        let looked_for =
            if pending == 0 { looked_for(&mut unit, config.storage.backend).await? } else { Vec::new() };
        Ok((key, looked_for))
    };
    let checked: Result<(Option<MasterKey>, Vec<Expected>), Failure> = checked.await;
    store.close().await;
    let (key, looked_for) = checked?;
    let with_log = Origin::Copy { has_log: true };
    if origin == with_log && Origin::of(draft) == with_log {
        return Err(failure(format!("the log of {} was not read to its end", backup.display()))
            .advise("restore it again; nothing was changed"));
    }
    File::open(draft).and_then(|file| file.sync_all()).map_err(about)?;
    if let Some(key) = &key {
        write_key(&key_file(&config.data_dir), key)?;
    }
    // Their content is in the draft since it was closed.
    remove(draft, &BESIDE);
    let wrote_key = if key.is_some() { WroteKey::Yes } else { WroteKey::No };
    Ok(Prepared { wrote_key, looked_for })
}

/// Whether it is an installation, whole, and of a version that this one knows; answers how many migrations it lacks.
async fn check_data(store: &Store) -> Result<usize, Failure> {
    store.check_integrity().await?;
    if !store.is_begun().await? {
        return Err(Failure::new("database_missing", "it has no tables of Tidegate"));
    }
    Ok(store.pending_migrations().await?)
}

/// What to say of a backup that is no database, or not a whole one. The draft's name tells nobody anything.
fn unusable(failure: &Failure, backup: &Path, origin: Origin, draft: &Path) -> Failure {
    let (shown, draft) = (backup.display().to_string(), draft.display().to_string());
    let what = failure.parts().0.replace(&draft, &shown);
    if matches!(failure.code(), "database_damaged" | "database_not_sqlite" | "database") {
        return Failure::advised(
            "backup_damaged",
            format!("the backup {shown} is damaged, and nothing was changed: {what}"),
            "take another one: a copy of it that was kept elsewhere, or an earlier backup",
        );
    }
    if failure.code() == "database_foreign_log" {
        return Failure::advised(
            "restore",
            format!("{shown}-wal is not the log of {shown} as it is, and nothing was changed"),
            "the two are of different moments, or of different databases: copy both again while nothing writes, or make a backup with \
             `tidegate backup FILE`",
        );
    }
    let advice = match failure.code() {
        // A server that was not restarted since it began may have copied nothing out of its log.
        "database_missing" if origin == (Origin::Copy { has_log: false }) => Some(format!(
            "it is a copy of a database, whose tables may be in {shown}-wal alone: copy that, too, from beside the database, or make a backup \
             with `tidegate backup FILE`"
        )),
        _ => failure.parts().1.map(str::to_owned),
    };
    let failure = Failure::new(
        "restore",
        format!("the backup {shown} cannot be used, and nothing was changed: {what}"),
    );
    match advice {
        Some(advice) => failure.advise(advice),
        None => failure,
    }
}

fn wrong_key_beside(backup: &Path, key: &MasterKey) -> Failure {
    let place = key_file_of(backup);
    let what = format!(
        "the master key {} ({}) is not the one that {} was sealed with, and nothing was changed",
        key.id(),
        place.display(),
        backup.display()
    );
    let advice = "put the key of that backup there, or move the file away and set master_key";
    Failure::advised("master_key", what, advice)
}

fn failure(message: String) -> Failure {
    Failure::new("restore", message)
}
