//! The folder that a person's files are in: nobody reaches others.

use tidegate_objects::{KeyError, ObjectKey};

/// Most folders inside one another that can be asked for.
const MAX_DEPTH: usize = 10;
/// Longest path that can be asked for, in bytes: so that a file's name has room in its key.
const MAX_PATH: usize = 500;

/// The folder of one person in one organization: `organizations/1/files/2`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnFolder(String);

/// A folder inside of it, as it was asked for: `sales/2026`; may be empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SubFolder(String);

/// The key is outside of the caller's folder. Whether there is such a file is not said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is outside of your folder")]
pub struct OutsideOfFolder;

/// A folder that cannot be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubFolderError {
    /// Not one of names.
    #[error("the path {0}")]
    Key(#[from] KeyError),
    /// Too many folders inside one another.
    #[error("the path has too many folders")]
    TooDeep,
}

impl OwnFolder {
    pub(crate) fn new(organization: i64, account: i64) -> Self {
        Self(format!("organizations/{organization}/files/{account}"))
    }

    /// Its text, with the slash at its end.
    pub fn prefix(&self) -> String {
        format!("{}/", self.0)
    }

    /// The key of a file in it.
    pub(crate) fn key(&self, sub: &SubFolder, unique_name: &str) -> Result<ObjectKey, KeyError> {
        let SubFolder(sub) = sub;
        if sub.is_empty() {
            ObjectKey::parse(&format!("{}/{unique_name}", self.0))
        } else {
            ObjectKey::parse(&format!("{}/{sub}/{unique_name}", self.0))
        }
    }

    /// A key that was asked for, if it is in the folder.
    ///
    /// # Errors
    /// [`OutsideOfFolder`], also for what is no key.
    pub(crate) fn admit(&self, object_name: &str) -> Result<ObjectKey, OutsideOfFolder> {
        let key = ObjectKey::parse(object_name).map_err(|_| OutsideOfFolder)?;
        if key.as_str().starts_with(&self.prefix()) { Ok(key) } else { Err(OutsideOfFolder) }
    }

    /// Whether keys that begin so are all in the folder: it has the whole of the folder's path before it, and goes nowhere else.
    pub(crate) fn admits_prefix(&self, prefix: &str) -> bool {
        let rest = if prefix == self.0 { Some("") } else { prefix.strip_prefix(&self.prefix()) };
        rest.is_some_and(|rest| {
            let rest = rest.strip_suffix('/').unwrap_or(rest);
            rest.is_empty() || ObjectKey::parse(rest.trim_end_matches('.')).is_ok()
        })
    }
}

impl SubFolder {
    /// Reads a folder; a slash at its end makes no difference.
    ///
    /// # Errors
    /// [`SubFolderError`].
    pub fn parse(text: &str) -> Result<Self, SubFolderError> {
        let path = text.strip_suffix('/').unwrap_or(text);
        if text.is_empty() {
            return Ok(Self::default());
        }
        if path.len() > MAX_PATH {
            return Err(KeyError::TooLong.into());
        }
        let key = ObjectKey::parse(path)?;
        if key.as_str().split('/').count() > MAX_DEPTH {
            return Err(SubFolderError::TooDeep);
        }
        Ok(Self(path.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_outside_of_the_folder_are_refused() {
        let own = OwnFolder::new(1, 2);
        assert!(own.admit("organizations/1/files/2/a.csv").is_ok());
        for foreign in [
            "organizations/1/files/3/a.csv",
            "organizations/1/files/22/a.csv",
            "organizations/2/files/2/a.csv",
            "organizations/1/files/2",
            "organizations/1/files/2/",
            "organizations/1/files/2/../3/a.csv",
            "organizations/1/files/2//a.csv",
            "/organizations/1/files/2/a.csv",
            "organizations/1/files/2/a\0.csv",
            "organizations/1/files/2/a\\..\\b",
            "ORGANIZATIONS/1/files/2/a.csv",
            "",
        ] {
            assert_eq!(own.admit(foreign), Err(OutsideOfFolder), "{foreign:?}");
        }
    }

    #[test]
    fn prefixes_begin_with_the_whole_folder() {
        let own = OwnFolder::new(1, 2);
        for inside in
            ["organizations/1/files/2", "organizations/1/files/2/", "organizations/1/files/2/sales/re"]
        {
            assert!(own.admits_prefix(inside), "{inside}");
        }
        for outside in
            ["", "organizations/1/files/", "organizations/1/files/22", "organizations/1/files/2/../3", "x"]
        {
            assert!(!own.admits_prefix(outside), "{outside}");
        }
    }

    #[test]
    fn folders_that_can_be_asked_for() {
        for (text, right) in [("", ""), ("data-sources/org-123/", "data-sources/org-123"), ("a", "a")] {
            assert_eq!(SubFolder::parse(text), Ok(SubFolder(right.to_owned())));
        }
        for wrong in [
            "/",
            "/a",
            "a//b",
            "../b",
            "a/../..",
            "a/.hidden",
            "a\\b",
            "nul",
            &"a/".repeat(11),
            &"a".repeat(501),
        ] {
            assert!(SubFolder::parse(wrong).is_err(), "{wrong}");
        }
    }
}
