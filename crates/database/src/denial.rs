//! What keeps this process from a file or directory, and the command that helps.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::process::geteuid;

/// Why the system denies access to a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    /// The path, or the directory above it beyond which nothing is seen.
    place: PathBuf,
    /// Whether it is a directory above the path.
    is_above: bool,
    found: Option<Found>,
    ours: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Found {
    owner: u32,
    mode: u32,
    is_directory: bool,
}

impl From<&Metadata> for Found {
    fn from(found: &Metadata) -> Self {
        Self { owner: found.uid(), mode: found.mode() & 0o7777, is_directory: found.is_dir() }
    }
}

impl Denial {
    /// Looks at a path that could not be used.
    pub fn of(path: &Path) -> Self {
        let (place, found) = nearest(path);
        let is_above = place != path;
        Self { place, is_above, found: found.as_ref().map(Found::from), ours: geteuid().as_raw() }
    }

    /// Whose it is and which permission is missing: it follows "by this user".
    pub fn reason(&self) -> String {
        let (place, ours) = (self.place.display(), user(self.ours));
        match self.found {
            None => format!(" ({ours})"),
            Some(Found { owner, mode, .. }) if owner != self.ours => {
                format!(" ({ours}): {place} belongs to user {}, with mode {mode:04o}", user(owner))
            }
            Some(found) => {
                let missing = found.missing();
                let lacks = if missing.is_empty() {
                    String::new()
                } else {
                    format!(", which lacks the permission to {}", missing.join(" and to "))
                };
                format!(" ({ours}): {place} is this user's own, with mode {:04o}{lacks}", found.mode)
            }
        }
    }

    /// What to do about it.
    pub fn advice(&self) -> String {
        let place = self.place.display();
        match self.found {
            Some(found) if found.owner == self.ours && !found.missing().is_empty() => {
                let wanted = if found.is_directory { "u+rwx" } else { "u+rw" };
                format!("run `chmod {wanted} {place}`")
            }
            // What belongs to root may be a server's that runs as root: given to whoever ran a command, it would be taken from the server.
            Some(Found { owner: 0, is_directory, .. }) if self.ours != 0 => {
                let us = name_of(self.ours).unwrap_or_else(|| self.ours.to_string());
                let all = if is_directory { "-R " } else { "" };
                let only = if self.is_above { " and it holds nothing else" } else { "" };
                format!(
                    "run this as root, who owns it, with `sudo -u root`, or name another path. Only if the server is to run as {us}{only}: \
                     `sudo chown {all}{us} {place}`"
                )
            }
            Some(found) if found.owner != self.ours => {
                let owner = name_of(found.owner).unwrap_or_else(|| format!("'#{}'", found.owner));
                format!("run this as its owner, with `sudo -u {owner}`, or give another path")
            }
            _ => format!("see the permissions of {place} and of what is above it, or give another path"),
        }
    }
}

impl Found {
    /// What its owner may not do.
    fn missing(self) -> Vec<&'static str> {
        let enter = self.is_directory.then_some((0o100, "enter it (x)"));
        [Some((0o400, "read (r)")), Some((0o200, "write (w)")), enter]
            .into_iter()
            .flatten()
            .filter(|(bit, _)| self.mode & bit == 0)
            .map(|(_, what)| what)
            .collect()
    }
}

/// The path, or the directory above it that keeps us from seeing it.
fn nearest(path: &Path) -> (PathBuf, Option<Metadata>) {
    for place in
        path.ancestors().map(|place| if place.as_os_str().is_empty() { Path::new(".") } else { place })
    {
        if let Ok(found) = fs::metadata(place) {
            return (place.to_owned(), Some(found));
        }
    }
    (path.to_owned(), None)
}

/// A user by name and number, where this machine knows the name: `tidegate, 998`.
pub fn user(id: u32) -> String {
    name_of(id).map_or_else(|| id.to_string(), |name| format!("{name}, {id}"))
}

/// The name in the machine's own list of users.
fn name_of(id: u32) -> Option<String> {
    let list = fs::read_to_string("/etc/passwd").ok()?;
    list.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (name, number) = (fields.next()?, fields.nth(1)?);
        (number.parse() == Ok(id)).then(|| name.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn denial(owner: u32, mode: u32, is_directory: bool) -> (String, String) {
        let found = Some(Found { owner, mode, is_directory });
        let denial = Denial { place: "/srv/data".into(), is_above: false, found, ours: 54_321 };
        (denial.reason(), denial.advice())
    }

    #[test]
    fn of_ones_own_the_missing_permission_is_named_and_of_others_the_owner() {
        for (mode, is_directory, lacks, advice) in [
            (0o000, true, "lacks the permission to read (r) and to write (w) and to enter it (x)", "u+rwx"),
            (0o400, true, "lacks the permission to write (w) and to enter it (x)", "u+rwx"),
            (0o600, true, "lacks the permission to enter it (x)", "u+rwx"),
            (0o500, true, "lacks the permission to write (w)", "u+rwx"),
            (0o400, false, "lacks the permission to write (w)", "u+rw"),
        ] {
            let (reason, said) = denial(54_321, mode, is_directory);
            assert_eq!(
                reason,
                format!(" (54321): /srv/data is this user's own, with mode {mode:04o}, which {lacks}")
            );
            assert_eq!(said, format!("run `chmod {advice} /srv/data`"));
        }
        let (reason, said) = denial(12_345, 0o700, true);
        assert_eq!(reason, " (54321): /srv/data belongs to user 12345, with mode 0700");
        assert!(said.contains("`sudo -u '#12345'`"), "{said}");
        let (reason, said) = denial(54_321, 0o700, true);
        assert!(reason.ends_with("with mode 0700") && said.contains("above it"), "{reason} {said}");
        let (_, said) = denial(0, 0o700, true);
        assert_eq!(
            said,
            "run this as root, who owns it, with `sudo -u root`, or name another path. Only if the server is to run as 54321: \
             `sudo chown -R 54321 /srv/data`"
        );
        let (_, said) = denial(0, 0o600, false);
        assert!(said.contains("`sudo chown 54321 /srv/data`"), "{said}");
    }

    #[test]
    fn a_user_is_told_by_name_where_there_is_one() {
        assert_eq!((user(0).as_str(), user(54_321).as_str()), ("root, 0", "54321"));
    }

    #[test]
    fn what_cannot_be_seen_is_explained_by_what_is_above_it() {
        let directory = tempfile::tempdir().unwrap();
        let denial = Denial::of(&directory.path().join("no/such/file"));
        assert_eq!(denial.place, directory.path());
    }
}
