//! Files with secrets in them, and who may read them.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tidegate_database::DatabaseUrl;

use super::super::Finding;
use super::super::Verdict::{Fine, Warning};
use crate::config::{Config, Loaded};
use crate::installation::with_suffix;
use crate::secrets::chmod;

/// The group and all others; all others alone. A group may be made for a server to read its configuration.
const GROUP_AND_OTHERS: u32 = 0o077;
const OTHERS: u32 = 0o007;

/// Whether files with secrets are kept from others: keys and databases in the data directory, a configuration file that has secrets in it,
/// and files that it names.
pub(super) fn secret_files(loaded: &Loaded) -> Finding {
    let mut seen = Seen::default();
    for path in kept(&loaded.config, &mut seen) {
        seen.look_at(&path, GROUP_AND_OTHERS);
    }
    for path in loaded.files_with_secrets().into_iter().chain(named(&loaded.config)) {
        seen.look_at(&path, OTHERS);
    }
    seen.finding()
}

/// What was found out about files.
#[derive(Default)]
struct Seen {
    /// How many were looked at.
    count: usize,
    /// What is wrong with some.
    open: Vec<String>,
    /// What could not be looked at, and why.
    hidden: Vec<String>,
}

impl Seen {
    /// A file that is not there is nobody's to read.
    fn look_at(&mut self, path: &Path, others: u32) {
        match fs::metadata(path) {
            Ok(found) => {
                self.count += 1;
                let mode = found.permissions().mode() & 0o7777;
                if mode & others != 0 {
                    let advice = chmod(if others == OTHERS { "o=" } else { "600" }, path);
                    let shown = path.display();
                    self.open
                        .push(format!("{shown} is accessible to other users (mode {mode:04o}): {advice}"));
                }
            }
            Err(error) => self.missed(path, &error),
        }
    }

    fn missed(&mut self, path: &Path, error: &io::Error) {
        if error.kind() != ErrorKind::NotFound {
            self.hidden.push(format!("{} cannot be looked at by this user: {error}", path.display()));
        }
    }

    fn finding(self) -> Finding {
        let name = "secret files";
        if self.open.is_empty() && self.hidden.is_empty() {
            let detail = match self.count {
                0 => "there are none yet",
                _ => "no other user may read them",
            };
            return Finding::new(name, Fine, detail);
        }
        Finding::new(name, Warning, [self.open, self.hidden].concat().join("\n"))
    }
}

/// Keys, the database and backups in the data directory, and the database where it is elsewhere.
fn kept(config: &Config, seen: &mut Seen) -> Vec<PathBuf> {
    let entries = match fs::read_dir(&config.data_dir) {
        Ok(entries) => Some(entries),
        Err(error) => {
            seen.missed(&config.data_dir, &error);
            None
        }
    };
    let entries = entries.into_iter().flatten().flatten().map(|entry| entry.path());
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

/// Files of which the configuration says that a secret or a private key is in them. A group may be made to read them, too.
fn named(config: &Config) -> Vec<PathBuf> {
    let mut found = Vec::new();
    find_named(&config.view(), &mut found);
    let listened_to = config.database_listen.as_ref().map(|listen| listen.0.clone());
    let addresses = [Some(config.database_url()), listened_to];
    found.extend(addresses.iter().flatten().filter_map(DatabaseUrl::client_key));
    found.sort();
    found.dedup();
    found
}

fn find_named(view: &Value, found: &mut Vec<PathBuf>) {
    let Value::Object(fields) = view else { return };
    for (name, value) in fields {
        let holds_secret = name == "tls_key" || name.ends_with("secret_file") || name.ends_with("key_file");
        match value {
            Value::String(path) if holds_secret => found.push(PathBuf::from(path)),
            value => find_named(value, found),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_not_be_looked_at_is_not_said_to_be_safe() {
        let here = tempfile::tempdir().unwrap();
        let file = here.path().join("file");
        fs::write(&file, "").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        let looked = |paths: &[PathBuf]| {
            let mut seen = Seen::default();
            for path in paths {
                seen.look_at(path, GROUP_AND_OTHERS);
            }
            seen.finding()
        };
        assert_eq!(looked(&[]).detail, "there are none yet");
        assert_eq!(looked(&[here.path().join("absent")]).detail, "there are none yet");
        assert_eq!(looked(std::slice::from_ref(&file)).detail, "no other user may read them");
        // What is below a file cannot be looked at, by root neither.
        let hidden = looked(&[file.clone(), file.join("below")]);
        assert_eq!(hidden.verdict, Warning);
        assert!(hidden.detail.contains("cannot be looked at by this user: Not a directory"), "{hidden:?}");
    }

    #[test]
    fn files_that_the_configuration_names_are_found_where_a_secret_is_in_them() {
        let mut found = Vec::new();
        let view = serde_json::json!({
            "pgwire": {"tls_cert": "cert.pem", "tls_key": "key.pem"},
            "social": {"apple": {"private_key_file": "apple.p8"}, "github": {"client_secret_file": "github"}},
            "storage": {"secret_access_key_file": "storage", "directory": "files"},
            "sms": {"webhook": {"ca_file": "ca.pem", "secret": "[secret]"}},
            "mail": {"smtp": {"tls_key": null}},
        });
        find_named(&view, &mut found);
        found.sort();
        assert_eq!(found, ["apple.p8", "github", "key.pem", "storage"].map(PathBuf::from));
    }
}
