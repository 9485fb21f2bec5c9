//! The data directory: what keeps it from being made or used.

use std::fs::{self, DirBuilder};
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use rustix::process::geteuid;
use tidegate_database::{Denial, user};

use crate::failure::Failure;
use crate::program::shell_word;
use crate::secrets::sync_directory_of;

/// How to name another one.
const NAME_ANOTHER: &str = "name a directory with --data-dir, TIDEGATE_DATA_DIR or data_dir in tidegate.toml";

/// Makes the data directory, for its owner alone, unless it is there.
///
/// # Errors
/// Names the directory, and what to do.
pub(crate) fn create_data_dir(path: &Path) -> Result<(), Failure> {
    refuse_other_than_directory(path)?;
    let missing: Vec<&Path> = path.ancestors().take_while(|place| !place.exists()).collect();
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|error| match error.kind() {
        ErrorKind::PermissionDenied => not_allowed(path),
        _ => {
            let what = format!("the data directory {} cannot be created: {error}", path.display());
            failure(what, "choose another with --data-dir")
        }
    })?;
    for made in missing {
        // The keys in it must outlast a power cut. One above that may be entered but not read cannot be synced.
        let _ = sync_directory_of(made);
    }
    Ok(())
}

/// Refuses a file, a device, a link to nowhere or the like where the directory or one above it is to be.
///
/// # Errors
/// Names it.
pub(crate) fn refuse_other_than_directory(path: &Path) -> Result<(), Failure> {
    let is_there = |place: &&Path| fs::symlink_metadata(place).is_ok();
    let Some(place) = path.ancestors().find(is_there) else { return Ok(()) };
    let shown = path.display();
    match (fs::metadata(place), fs::read_link(place)) {
        (Err(error), Ok(target)) if error.kind() == ErrorKind::NotFound => {
            let (place, target) = (place.display(), target.display());
            let what = format!(
                "the data directory {shown} cannot be there: {place} is a link to {target}, which does not exist"
            );
            Err(failure(what, &format!("mount the disk that it is on, or create it, or {NAME_ANOTHER}")))
        }
        (Ok(found), _) if !found.is_dir() => {
            let what = if place == path {
                format!("the data directory {shown} is not a directory")
            } else {
                format!("the data directory {shown} cannot be there: {} is not a directory", place.display())
            };
            Err(failure(what, NAME_ANOTHER))
        }
        _ => Ok(()),
    }
}

fn not_allowed(path: &Path) -> Failure {
    let reason = Denial::of(path).reason();
    let what = format!("the data directory {} may not be created by this user{reason}", path.display());
    let directory = shell_word(&path.display().to_string());
    let advice = format!(
        "create it for this user, with `sudo install -d -m 700 -o {} {directory}`, or choose another with --data-dir",
        user(geteuid().as_raw()).split(',').next().unwrap_or_default()
    );
    failure(what, &advice)
}

fn failure(what: String, advice: &str) -> Failure {
    Failure::advised("data_directory", what, advice)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_to_nowhere_is_told_with_what_it_leads_to() {
        let here = tempfile::tempdir().unwrap();
        let link = here.path().join("data");
        std::os::unix::fs::symlink("/nowhere/disk", &link).unwrap();
        for path in [link.clone(), link.join("tidegate")] {
            let failure = create_data_dir(&path).unwrap_err();
            let said = "data is a link to /nowhere/disk, which does not exist; mount the disk";
            assert!(failure.message().contains(said), "{}", failure.message());
        }
        // One that leads to a directory is as good as it.
        fs::create_dir(here.path().join("disk")).unwrap();
        std::os::unix::fs::symlink(here.path().join("disk"), here.path().join("other")).unwrap();
        create_data_dir(&here.path().join("other/tidegate")).unwrap();
    }

    #[test]
    fn what_is_no_directory_is_told_by_its_name() {
        let here = tempfile::tempdir().unwrap();
        let file = here.path().join("file");
        fs::write(&file, "").unwrap();
        for (path, said) in [
            (file.clone(), "is not a directory"),
            (file.join("below/it"), "file is not a directory"),
            ("/dev/null".into(), "the data directory /dev/null is not a directory"),
        ] {
            let failure = create_data_dir(&path).unwrap_err();
            assert!(failure.message().contains(said), "{}", failure.message());
            assert!(failure.message().contains("--data-dir"), "{}", failure.message());
        }
        create_data_dir(&here.path().join("new/one")).unwrap();
        create_data_dir(&here.path().join("new/one")).unwrap();
    }
}
