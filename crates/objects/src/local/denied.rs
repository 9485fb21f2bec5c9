//! What of the directory of files this user may not use: a piece of it that another user restored, for example.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{Access, access};
use rustix::io::Errno;
use rustix::process::geteuid;

/// The first directory on the way to a file, or the file, that this user may not use; what to do is behind "; ". None where nothing on the way
/// is denied.
pub(crate) fn denied(place: &Path, below: &str) -> Option<String> {
    let mut at = place.to_owned();
    for part in below.split('/') {
        at.push(part);
        // What is not there is denied by nobody: what is above it was looked at.
        let found = fs::symlink_metadata(&at).ok()?;
        let wanted = if found.is_dir() {
            Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK
        } else {
            Access::READ_OK
        };
        if !matches!(access(at.as_path(), wanted), Err(Errno::ACCESS)) {
            continue;
        }
        let (owner, us) = (found.uid(), geteuid().as_raw());
        return Some(format!(
            "{} may not be used by this user ({us}): it belongs to user {owner}, with mode {:04o}; {}",
            at.display(),
            found.mode() & 0o7777,
            advice(place, owner, us)
        ));
    }
    None
}

/// What to do about it. Who runs a command need not be who serves: given to the one, the files would be taken from the other.
fn advice(place: &Path, owner: u32, us: u32) -> String {
    let place = place.display();
    if owner == us {
        format!("run `chmod -R u+rwX {place}`")
    } else {
        format!(
            "run this as the user that owns it, or, if the server is to run as this one, give it the files: `sudo chown -R {us} {place}`"
        )
    }
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn what_another_user_owns_is_only_given_to_the_one_that_serves() {
        assert_eq!(advice(Path::new("/srv/files"), 7, 7), "run `chmod -R u+rwX /srv/files`");
        let of_another = advice(Path::new("/srv/files"), 0, 7);
        let expected = "if the server is to run as this one, give it the files: `sudo chown -R 7 /srv/files`";
        assert!(of_another.ends_with(expected), "{of_another}");
    }

    #[test]
    fn the_first_that_is_denied_is_named() {
        let here = tempfile::tempdir().unwrap();
        let inner = here.path().join("organizations/1");
        fs::create_dir_all(&inner).unwrap();
        fs::write(inner.join("a.csv"), "id\n").unwrap();
        for key in ["organizations/1/a.csv", "organizations/1/none/b.csv"] {
            assert_eq!(denied(here.path(), key), None, "{key}");
        }
        // Root may use any.
        if geteuid().is_root() {
            return;
        }
        for (place, mode, key) in [
            ("organizations/1/a.csv", 0o000, "organizations/1/a.csv"),
            ("organizations/1", 0o500, "organizations/1/new.csv"),
            ("organizations", 0o000, "organizations/1/a.csv"),
        ] {
            let closed = here.path().join(place);
            let before = fs::metadata(&closed).unwrap().permissions();
            fs::set_permissions(&closed, Permissions::from_mode(mode)).unwrap();
            let said = denied(here.path(), key).expect(place);
            fs::set_permissions(&closed, before).unwrap();
            let begins = format!("{} may not be used by this user (", closed.display());
            assert!(said.starts_with(&begins), "{said}");
            assert!(said.ends_with(&format!("; run `chmod -R u+rwX {}`", here.path().display())), "{said}");
        }
    }
}
