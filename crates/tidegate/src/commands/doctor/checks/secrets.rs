//! Files with secrets in them, and who may read them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::super::Finding;
use super::super::Verdict::{Fine, Warning};
use crate::commands::backup::with_suffix;
use crate::config::{Config, Loaded};
use crate::secrets::chmod;

/// The group and all others; all others alone. A group may be made for a server to read its configuration.
const GROUP_AND_OTHERS: u32 = 0o077;
const OTHERS: u32 = 0o007;

/// Whether files with secrets are kept from others: keys and databases in the data directory, and a configuration file that has
/// secrets in it.
pub(super) fn secret_files(loaded: &Loaded) -> Finding {
    let mut open = Vec::new();
    for path in kept(&loaded.config) {
        open.extend(open_to(&path, GROUP_AND_OTHERS));
    }
    for path in loaded.files_with_secrets() {
        open.extend(open_to(&path, OTHERS));
    }
    if open.is_empty() {
        return Finding::new("secret files", Fine, "no other user may read them");
    }
    Finding::new("secret files", Warning, open.join("\n"))
}

/// What to say of a file that may be read or written by others.
fn open_to(path: &Path, others: u32) -> Option<String> {
    let mode = fs::metadata(path).ok()?.permissions().mode() & 0o7777;
    let kept = if others == OTHERS { "o=" } else { "600" };
    let advice = chmod(kept, path);
    (mode & others != 0)
        .then(|| format!("{} is accessible to other users (mode {mode:04o}): {advice}", path.display()))
}

/// Keys, the database and backups in the data directory, and the database where it is elsewhere.
fn kept(config: &Config) -> Vec<PathBuf> {
    let entries = fs::read_dir(&config.data_dir).into_iter().flatten().flatten().map(|entry| entry.path());
    let is_secret = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.ends_with(".key") || name.ends_with(".db") || name.ends_with("-wal")
    };
    let mut kept: Vec<PathBuf> = entries.filter(is_secret).collect();
    if let Some(database) = config.database_file() {
        let log = with_suffix(&database, "-wal");
        kept.extend([database, log].into_iter().filter(|path| path.parent() != Some(&config.data_dir)));
    }
    kept.sort();
    kept
}
