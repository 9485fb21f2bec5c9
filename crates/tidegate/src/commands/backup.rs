//! `tidegate backup`

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};
use rustix::io::Errno;
use serde_json::json;
use tidegate_database::{DatabaseUrl, Denial, Store, StoreError};
use tidegate_kernel::KernelTables;
use tidegate_objects::{Copied, Objects};

use super::lost_files::{Missed, missed_meanwhile};
use crate::cli::Backup;
use crate::config::Config;
use crate::copied::tell_of_copy;
use crate::failure::Failure;
use crate::installation::{refuse_missing_file, with_suffix};
use crate::opening::{MissingStore, open_store};
use crate::output::{Answer, progress};
use crate::secrets::{MayCreate, check_opens, key_of_data_dir, open_vault, sync_directory_of, write_key};
use crate::wiring::objects;

/// What a backup is called by until it is whole. What a cut-off one leaves, the next of that name replaces.
const PART: &str = ".part";

pub(super) async fn run(config: &Config, command: &Backup) -> Result<Answer, Failure> {
    let file = &command.file;
    if let url @ DatabaseUrl::Postgres(_) = config.database_url() {
        return Err(failure(format!(
            "{url} is backed up by PostgreSQL's own programs: pg_dump --format=custom --file={} ADDRESS. Keep the master key as well",
            file.display()
        )));
    }
    let (key_file, files) = (key_file_of(file), files_of(file));
    refuse_present(file, &[key_file.as_path(), files.as_path()])?;
    refuse_unfit_directory(file)?;
    // First: where there is no database, no key is missing either.
    refuse_missing_file(config)?;
    let key = if command.without_key { None } else { key_of_data_dir(config)? };
    let objects = objects(config)?;
    let store = open_store(config, MissingStore::Refuse).await?;
    let written = async {
        tell_of_copy(config, &store).await?;
        if !command.without_key {
            refuse_wrong_key(config, &store).await?;
        }
        // Told at the end: a backup without them is better than none.
        let missed = missed_meanwhile(&store, &objects).await?;
        Ok((write(&store, file).await?, missed))
    };
    let written: Result<(PathBuf, Missed), Failure> = written.await;
    store.close().await;
    let (draft, missed) = written?;
    // Files that are removed between the two are missing in it; ones that are new are in it without a row, and get one.
    let files_draft = with_suffix(&files, PART);
    let copied = copy_files(&objects, &files_draft).inspect_err(|_| {
        drop(fs::remove_file(&draft));
        drop(fs::remove_dir_all(&files_draft));
    })?;
    let not_named = |error| failure(format!("{} cannot be written: {error}", file.display()));
    if copied.is_some() {
        fs::rename(&files_draft, &files).map_err(not_named)?;
    }
    // The database last: a backup without its files or its key would look complete.
    if let Some(key) = &key {
        write_key(&key_file, key)?;
    }
    publish(&draft, file).map_err(not_named)?;

    let answer = answer(file, key.is_some(), copied);
    Ok(if missed.is_empty() { answer } else { with_missed(answer, &missed, &objects) })
}

/// Refuses a master key that does not open the database, as a start does: a restore would refuse the backup with it.
async fn refuse_wrong_key(config: &Config, store: &Store) -> Result<(), Failure> {
    if !store.is_begun().await? {
        return Ok(());
    }
    let keys = store.read().await?.keys().all_of_any_version().await?;
    check_opens(config, &open_vault(config, MayCreate::No)?, &keys).map_err(|failure| {
        let (what, advice) = failure.parts();
        Failure::advised(
            failure.code(),
            format!("no backup was made: {what}"),
            format!(
                "{}. `tidegate backup --without-key` makes one without a key",
                advice.unwrap_or_default()
            ),
        )
    })
}

fn answer(file: &Path, has_key: bool, copied: Option<Copied>) -> Answer {
    let (key_file, files) = (key_file_of(file), files_of(file));
    let bytes = fs::metadata(file).map_or(0, |metadata| metadata.len());
    let key_text = if has_key {
        format!(
            "The master key is in {}: keep it apart from the database, because together they open everything.",
            key_file.display()
        )
    } else {
        "The master key is not in it: keep a copy of it elsewhere, because nothing can be restored without it.".to_owned()
    };
    let files_text = match &copied {
        Some(copied) => {
            format!(" {} uploaded files ({} bytes) are in {}.", copied.files, copied.bytes, files.display())
        }
        None => String::new(),
    };
    let text = format!("Wrote {} ({bytes} bytes).{files_text} {key_text}", file.display());
    let key_file = has_key.then(|| key_file.display().to_string());
    let mut json = json!({ "file": file.display().to_string(), "bytes": bytes, "key_file": key_file });
    if let Some(copied) = copied {
        let of_files = json!({
            "files_directory": files.display().to_string(), "files": copied.files, "files_bytes": copied.bytes,
        });
        tidegate_domain::text::merge(&mut json, &of_files);
    }
    Answer::new(text, json)
}

/// The same with what a backup cannot have, and where it may still be.
fn with_missed(answer: Answer, missed: &Missed, objects: &Objects) -> Answer {
    let (directory, Answer { mut text, mut json, .. }) = (objects.directory().display(), answer);
    if let Some((lost, _)) = &missed.lost {
        text += &format!(
            "\nWarning: {lost}: they are not in {directory}, and not in this backup, which has everything else. Keep the earlier backups: \
             copy what is in FILE.files of one that has them there, as it is."
        );
    }
    if let Some((changed, _)) = &missed.changed {
        text += &format!(
            "\nWarning: {changed}: they are so in {directory}, and in this backup. Keep the earlier backups: copy them from FILE.files of one \
             that has them as they were."
        );
    }
    tidegate_domain::text::merge(&mut json, &missed.json());
    // As a restore of it ends.
    Answer { text, json, good: false }
}

/// Where the master key of a backup is.
pub(super) fn key_file_of(file: &Path) -> PathBuf {
    with_suffix(file, ".key")
}

/// Where the uploaded files of a backup are, if they are kept in a local directory.
pub(super) fn files_of(file: &Path) -> PathBuf {
    with_suffix(file, ".files")
}

/// Refuses to write over what is there.
fn refuse_present(file: &Path, beside: &[&Path]) -> Result<(), Failure> {
    let shown = file.display();
    if file.is_dir() {
        let what = format!("{shown} is a directory");
        return Err(
            failure(what).advise(format!("name a file in it: {}", file.join("tidegate.backup").display()))
        );
    }
    if file.exists() {
        return Err(failure(format!("{shown} exists already: choose another name")));
    }
    match beside.iter().find(|path| path.exists()) {
        Some(path) => Err(failure(format!(
            "{} exists already, and {shown} does not: that backup did not finish, or its file was moved away; remove what is left of it, or \
             choose another name",
            path.display()
        ))),
        None => Ok(()),
    }
}

/// Copies the uploaded files; none where there are none, or a remote store keeps them.
fn copy_files(objects: &Objects, files: &Path) -> Result<Option<Copied>, Failure> {
    // Of a backup that was cut off.
    match fs::remove_dir_all(files) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(failure(format!("{} cannot be removed: {error}", files.display())));
        }
        _ => {}
    }
    let not_copied =
        |error| failure(format!("the uploaded files cannot be copied to {}: {error}", files.display()));
    let bar = progress("copying the uploaded files");
    let copied = objects.copy_to(files).map_err(not_copied);
    bar.finish_and_clear();
    copied
}

/// Writes the database to a draft beside the file; answers where.
async fn write(store: &Store, file: &Path) -> Result<PathBuf, Failure> {
    let draft = with_suffix(file, PART);
    // Of a backup that was cut off.
    match fs::remove_file(&draft) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(failure(format!("{} cannot be removed: {error}", draft.display())));
        }
        _ => {}
    }
    let bar = progress("writing the backup");
    let written = store.write_copy(&draft).await;
    bar.finish_and_clear();
    if let Err(error) = written {
        drop(fs::remove_file(&draft));
        return Err(not_written(file, error));
    }
    Ok(draft)
}

/// SQLite would say of its database that it cannot be opened.
fn refuse_unfit_directory(file: &Path) -> Result<(), Failure> {
    let directory = directory_of(file);
    let shown = directory.display();
    // What is in a directory that may not be entered is not seen.
    let is_denied = match fs::metadata(directory) {
        Ok(found) if found.is_dir() => {
            access(directory, Access::WRITE_OK | Access::EXEC_OK) == Err(Errno::ACCESS)
        }
        Err(error) => error.kind() == io::ErrorKind::PermissionDenied,
        Ok(_) => false,
    };
    if is_denied {
        let reason = Denial::of(directory).reason();
        let what =
            format!("the directory {shown} of the backup may not be entered or written by this user{reason}");
        return Err(failure(what)
            .advise("name a file in another directory, or have its owner let this user write there"));
    }
    if directory.is_dir() {
        return Ok(());
    }
    let what = format!("the directory {shown} of the backup does not exist");
    Err(failure(what).advise("create it, or choose another"))
}

/// The directory that a file is in, or is to be in.
fn directory_of(file: &Path) -> &Path {
    let directory = file.parent().filter(|directory| !directory.as_os_str().is_empty());
    directory.unwrap_or(Path::new("."))
}

/// What the database says may be about the file that it writes.
fn not_written(file: &Path, error: StoreError) -> Failure {
    let shown = file.display();
    match error {
        StoreError::Unavailable(reason) => {
            let directory = directory_of(file).display();
            failure(format!("the backup {shown} was not written: {reason}")).advise(format!(
                "see whether {directory} can be written by this user and has space (`df -h {directory}`): the backup needs as much \
                 as the database"
            ))
        }
        error => Failure::from(error).about(&format!("the backup {shown} was not written")),
    }
}

/// Gives the draft its name, durably.
fn publish(draft: &Path, file: &Path) -> io::Result<()> {
    File::open(draft)?.sync_all()?;
    // A link, unlike a rename, replaces nothing.
    fs::hard_link(draft, file)?;
    fs::remove_file(draft)?;
    sync_directory_of(file)
}

fn failure(message: String) -> Failure {
    Failure::new("backup", message)
}
