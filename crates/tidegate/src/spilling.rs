//! The directory in which queries use the disk: what `serve` refuses and `doctor` tells before.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::process::geteuid;
use tidegate_bridge::QueryEngine;
use tidegate_database::Denial;
use tidegate_engine::spill_directory_in;

use crate::config::Config;
use crate::failure::Failure;
use crate::program::of_another_user;

const SET_ANOTHER: &str = "set data.queries.spill_directory, or data.queries.spill = 0";

/// What queries find.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Spilling {
    /// They may not use the disk.
    Off,
    /// The data directory is made later: at the first start, or by the first query that spills.
    Later(PathBuf),
    /// They may use the disk there.
    Ready { directory: PathBuf, is_memory: bool },
    /// They cannot, and nobody asked for it: most queries need no disk.
    Unusable { what: String, advice: String },
}

/// Where queries use the disk: the directory that the operator named, or the data directory.
pub(crate) fn directory(config: &Config) -> &Path {
    config.data.queries.spill_directory.as_ref().unwrap_or(&config.data_dir)
}

/// Looks at the directory; nothing is made or removed but for a file without a name.
///
/// # Errors
/// When it is one that an operator named, and cannot be used. It is not made: its name may be mistyped, or its disk not mounted.
pub(crate) fn check(config: &Config) -> Result<Spilling, Failure> {
    let queries = &config.data.queries;
    if queries.spill == 0 || queries.spill_per_query == 0 {
        return Ok(Spilling::Off);
    }
    let directory = directory(config);
    match tidegate_engine::check_spill_directory(directory) {
        Ok(()) => Ok(Spilling::Ready { directory: directory.to_owned(), is_memory: is_in_memory(directory) }),
        Err(error) if directory == config.data_dir => match error.kind() {
            ErrorKind::NotFound => Ok(Spilling::Later(directory.to_owned())),
            _ => {
                let (what, advice) = unusable(directory, &error, SET_ANOTHER);
                Ok(Spilling::Unusable { what, advice })
            }
        },
        Err(error) => Err(refused(directory, &error)),
    }
}

/// Makes the directory of the server's own and empties it. Only for a server: another command may run beside one.
///
/// # Errors
/// As [`check`].
pub(crate) fn prepare(config: &Config, engine: &QueryEngine) -> Result<(), Failure> {
    match check(config)? {
        Spilling::Off | Spilling::Later(_) => return Ok(()),
        Spilling::Unusable { what, advice } => {
            tracing::warn!("{what}: {advice}");
            return Ok(());
        }
        Spilling::Ready { directory, is_memory } => {
            if is_memory {
                tracing::warn!("{}", in_memory(&directory));
            }
        }
    }
    let directory = directory(config);
    match engine.prepare_spilling() {
        Ok(()) => Ok(()),
        Err(error) if directory == config.data_dir => {
            let (what, advice) = unusable(directory, &error, SET_ANOTHER);
            tracing::warn!("{what}: {advice}");
            Ok(())
        }
        Err(error) => Err(refused(directory, &error)),
    }
}

/// What to say of a directory that is no disk.
pub(crate) fn in_memory(directory: &Path) -> String {
    format!(
        "{} is in memory (tmpfs): what queries put there takes the memory that they are to be kept from taking; name a directory on a \
         disk in data.queries.spill_directory",
        directory.display()
    )
}

/// What is wrong with the directory, and what to do. What may not be used is named itself: it may be the directory in it that is for queries
/// alone, made by another user.
fn unusable(directory: &Path, error: &io::Error, otherwise: &str) -> (String, String) {
    if error.kind() != ErrorKind::PermissionDenied {
        let what = format!("queries cannot use the disk in {}: {error}", directory.display());
        return (what, otherwise.to_owned());
    }
    let own = spill_directory_in(directory);
    let us = geteuid().as_raw();
    let owner = fs::metadata(&own).map(|found| found.uid());
    let place = if owner.is_ok() { own.as_path() } else { directory };
    let (denial, shown) = (Denial::of(place), place.display());
    let what = format!(
        "queries cannot use the disk: {shown} may not be read and written by this user{}",
        denial.reason()
    );
    let advice = match owner {
        // Nothing in it outlasts the server.
        Ok(owner) if owner != us => of_another_user(place, us),
        _ => denial.advice(),
    };
    (what, format!("{advice}; or {otherwise}"))
}

fn refused(directory: &Path, error: &io::Error) -> Failure {
    let advice = match error.kind() {
        ErrorKind::NotFound => {
            "create it for the user that serves, or name another directory in data.queries.spill_directory, or set \
             data.queries.spill = 0"
        }
        _ => {
            "name a directory that this user may write to in data.queries.spill_directory, or set data.queries.spill = 0"
        }
    };
    let (what, advice) = unusable(directory, error, advice);
    Failure::advised("spill_directory", what, advice)
}

#[cfg(target_os = "linux")]
fn is_in_memory(directory: &Path) -> bool {
    // TMPFS_MAGIC of statfs(2).
    rustix::fs::statfs(directory).is_ok_and(|found| found.f_type == 0x0102_1994)
}

#[cfg(not(target_os = "linux"))]
fn is_in_memory(_: &Path) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(directory: &Path) -> Config {
        let mut config = Config::default();
        config.data.queries.spill_directory = Some(directory.to_owned());
        config
    }

    #[test]
    fn a_named_directory_is_there_and_can_be_written_to() {
        let here = tempfile::tempdir().unwrap();
        let found = check(&named(here.path())).unwrap();
        assert!(matches!(found, Spilling::Ready { .. }), "{found:?}");
        assert_eq!(fs::read_dir(here.path()).unwrap().count(), 0, "looking leaves nothing");
        let absent = here.path().join("mistyped");
        let refused = check(&named(&absent)).unwrap_err();
        assert!(refused.message().contains("mistyped: No such file or directory; create it"), "{refused:?}");
        assert!(!absent.exists());
        fs::write(here.path().join("file"), "").unwrap();
        assert!(check(&named(&here.path().join("file"))).is_err());
        // A link in the place of the server's own directory is somebody else's doing.
        std::os::unix::fs::symlink("/", here.path().join("tidegate-spill")).unwrap();
        assert!(check(&named(here.path())).is_err());
    }

    #[test]
    fn the_data_directory_may_come_later_and_no_disk_is_needed_for_nothing() {
        let here = tempfile::tempdir().unwrap();
        let mut config = Config { data_dir: here.path().join("new"), ..Config::default() };
        assert_eq!(check(&config).unwrap(), Spilling::Later(here.path().join("new")));
        config.data.queries.spill = 0;
        config.data.queries.spill_directory = Some("/nowhere".into());
        assert_eq!(check(&config).unwrap(), Spilling::Off);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn memory_is_no_disk() {
        assert!(!is_in_memory(Path::new("/proc")));
        assert!(!Path::new("/dev/shm").is_dir() || is_in_memory(Path::new("/dev/shm")));
    }
}
