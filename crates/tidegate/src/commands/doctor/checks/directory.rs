//! The data directory and the disk it is on.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use indicatif::HumanBytes;
use rustix::fs::statvfs;
use rustix::process::geteuid;
use tidegate_database::{Denial, user};

use super::super::Finding;
use super::super::Verdict::{Fine, Warning};
use crate::clock::stopwatch;
use crate::config::Config;
use crate::data_dir::refuse_other_than_directory;
use crate::secrets::{chmod, open_to_others};

/// What is written to see that the disk takes it: as much as a busy minute's log of the database.
const TEST_SIZE: usize = 4 * 1024 * 1024;
static CHUNK: [u8; 64 * 1024] = [0xa5; 64 * 1024];
/// What to do about a directory for temporary files that takes none.
const NAME_TEMPORARY_DIRECTORY: &str =
    "free space there, or name a directory that is there, on a disk, in TMPDIR: for the server, too";
/// Less free space than this is soon used up.
const LITTLE: u64 = 512 * 1024 * 1024;

/// Whose the data directory is, and who may use it.
pub(super) fn data_dir(config: &Config) -> Finding {
    let name = "data directory";
    if !config.uses_data_dir() {
        return Finding::new(name, Fine, "not needed");
    }
    let path = &config.data_dir;
    let shown = path.display();
    if let Err(failure) = refuse_other_than_directory(path) {
        let (what, advice) = failure.parts();
        return Finding::wrong(name, what, advice.unwrap_or_default());
    }
    match fs::metadata(path) {
        Ok(found) if found.uid() != geteuid().as_raw() => another_users(path, &found),
        Ok(found) if found.mode() & 0o700 != 0o700 => denied(path),
        Ok(_) => match open_to_others(path) {
            Ok(Some(mode)) => {
                let what = format!("{shown} is accessible to other users (mode {mode:04o})");
                Finding::new(name, Warning, format!("{what}: {}", chmod("700", path)))
            }
            _ => Finding::new(name, Fine, format!("{shown}")),
        },
        Err(error) if error.kind() == ErrorKind::NotFound => {
            Finding::new(name, Warning, format!("{shown} is created at the first start"))
        }
        Err(error) if error.kind() == ErrorKind::PermissionDenied => denied(path),
        Err(error) => Finding::wrong(
            name,
            format!("{shown} cannot be used: {error}"),
            "run this as the user that serves, or name another directory with --data-dir",
        ),
    }
}

fn denied(path: &Path) -> Finding {
    let denial = Denial::of(path);
    let what = format!("{} may not be used by this user{}", path.display(), denial.reason());
    Finding::wrong("data directory", what, denial.advice())
}

/// What another user sees is not what the server sees.
fn another_users(path: &Path, found: &fs::Metadata) -> Finding {
    let (owner, ours) = (found.uid(), geteuid());
    let what = format!(
        "{} belongs to user {}, with mode {:04o}, and this is user {}",
        path.display(),
        user(owner),
        found.mode() & 0o7777,
        user(ours.as_raw())
    );
    let name = user(owner).split_once(',').map_or_else(|| format!("'#{owner}'"), |(name, _)| name.to_owned());
    let advice = match owner {
        0 => Denial::of(path).advice(),
        _ => format!("run it as the user that owns the directory: `sudo -u {name} tidegate doctor`"),
    };
    if ours.is_root() {
        let what = format!("{what}, whom permissions do not keep out. To see what the server sees, {advice}");
        return Finding::new("data directory", Warning, what);
    }
    let what = format!("{what}: these checks tell what this user sees, not what the server sees");
    Finding::wrong("data directory", what, advice)
}

/// Whether the disk takes what is written, and how much more.
pub(super) fn disk(config: &Config) -> Finding {
    let mut places: Vec<PathBuf> = Vec::new();
    if config.uses_data_dir() {
        places.push(config.data_dir.clone());
    }
    if let Some(directory) = config.database_file().as_deref().and_then(Path::parent) {
        let directory = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
        if !places.iter().any(|place| place == directory) {
            places.push(directory.to_owned());
        }
    }
    places.retain(|place| place.is_dir());
    if places.is_empty() {
        return Finding::new("disk", Fine, "nothing is written on this machine yet");
    }
    let mut told = Vec::new();
    let mut verdict = Fine;
    for place in &places {
        match write_and_remove(place) {
            Ok(milliseconds) => {
                let free = free_bytes(place);
                if free.is_some_and(|free| free < LITTLE) {
                    verdict = Warning;
                }
                let free = free.map_or_else(String::new, |free| format!("; {} are free", HumanBytes(free)));
                told.push(format!(
                    "{} took {} in {milliseconds:.0} ms{free}",
                    place.display(),
                    HumanBytes(TEST_SIZE as u64)
                ));
            }
            Err(error) => return unwritable(place, &error),
        }
    }
    Finding::new("disk", verdict, told.join("\n"))
}

/// Whether there is room for what is read of data sources.
pub(super) fn temporary_files() -> Finding {
    temporary_files_in(&std::env::temp_dir())
}

fn temporary_files_in(place: &Path) -> Finding {
    let name = "temporary files";
    let shown = place.display();
    let free = free_bytes(place);
    let verdict = if free.is_some_and(|free| free < LITTLE) { Warning } else { Fine };
    let free = free.map_or_else(String::new, |free| format!("; {} are free", HumanBytes(free)));
    match write_and_remove(place) {
        Ok(_) => Finding::new(name, verdict, format!("{shown}{free}")),
        Err(error) => {
            let size = HumanBytes(TEST_SIZE as u64);
            let what = format!(
                "{shown}: a file of {size} cannot be written there: {error}{free}. Files and rows of data sources are copied there while they \
                 are read"
            );
            Finding::wrong(name, what, NAME_TEMPORARY_DIRECTORY)
        }
    }
}

fn unwritable(place: &Path, error: &io::Error) -> Finding {
    let free = free_bytes(place).map_or_else(String::new, |free| format!("; {} are free", HumanBytes(free)));
    let size = HumanBytes(TEST_SIZE as u64);
    let what = format!("{}: a file of {size} cannot be written there: {error}{free}", place.display());
    Finding::wrong("disk", what, advice(place, error))
}

fn advice(place: &Path, error: &io::Error) -> String {
    let shown = place.display();
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => format!(
            "free space, or make the disk larger: `df -h {shown}` and `df -i {shown}` show its state. Until then every change is \
             answered with 503"
        ),
        ErrorKind::FileTooLarge => {
            "raise the limit on the size of files: `ulimit -f`, or LimitFSIZE of systemd".to_owned()
        }
        ErrorKind::ReadOnlyFilesystem => "mount the disk writable".to_owned(),
        ErrorKind::PermissionDenied => Denial::of(place).advice(),
        _ => "see the system's log: the disk may fail".to_owned(),
    }
}

/// Writes a file durably and removes it; answers how many milliseconds that took.
fn write_and_remove(directory: &Path) -> io::Result<f64> {
    let path = directory.join(format!(".tidegate-doctor-{}", std::process::id()));
    let started = stopwatch();
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
    let written = fill(&mut file);
    let removed = fs::remove_file(&path);
    written?;
    removed?;
    Ok(started.elapsed().as_secs_f64() * 1_000.0)
}

fn fill(file: &mut File) -> io::Result<()> {
    for _ in 0..TEST_SIZE / CHUNK.len() {
        file.write_all(&CHUNK)?;
    }
    file.sync_all()
}

fn free_bytes(path: &Path) -> Option<u64> {
    statvfs(path).ok().map(|found| found.f_bavail.saturating_mul(found.f_frsize))
}

#[cfg(test)]
mod tests {
    use super::super::super::Verdict::Wrong;
    use super::*;

    #[test]
    fn a_full_disk_is_noticed_by_writing_and_told_with_what_to_do() {
        let mut full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let error = fill(&mut full).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::StorageFull);
        let finding = unwritable(Path::new("/dev"), &error);
        assert_eq!(finding.verdict, Wrong);
        assert!(
            finding.detail.contains("No space left on device; ") && finding.detail.ends_with("are free"),
            "{finding:?}"
        );
        assert!(finding.advice.unwrap().contains("`df -h /dev`"));
    }

    #[test]
    fn a_directory_for_temporary_files_is_there_and_takes_one() {
        let here = tempfile::tempdir().unwrap();
        assert_ne!(temporary_files_in(here.path()).verdict, Wrong);
        let finding = temporary_files_in(&here.path().join("mistyped"));
        assert_eq!(finding.verdict, Wrong);
        assert!(finding.detail.contains("mistyped: a file of 4.00 MiB cannot be written"), "{finding:?}");
        assert!(finding.advice.unwrap().contains("TMPDIR"));
    }

    #[test]
    fn what_was_written_to_try_the_disk_is_gone_afterwards() {
        let directory = tempfile::tempdir().unwrap();
        write_and_remove(directory.path()).unwrap();
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
        assert!(free_bytes(directory.path()).is_some());
    }
}
