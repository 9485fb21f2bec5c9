//! URLs at which a file is answered to whoever has the URL, until it expires.
//!
//! The store's own, where it signs URLs. For a local directory ours: `/storage/{key}` with the instant of its end and an HMAC over both.
//! It is not bound to a session: ending one does not end it, removing the file does.

use std::time::Duration;

use tidegate_domain::Permission;
use tidegate_kernel::Actor;
use tidegate_kernel::fault::{Outcome, refuse};
use tidegate_objects::ObjectKey;

use super::file::TrackedFile;
use super::find::FileError;
use crate::work::own_folder;
use crate::{Storage, StorageTables};

/// What the signature is for: a key made of the master key for nothing else.
const PURPOSE: &str = "storage url";
/// Names in the query.
pub const EXPIRES: &str = "X-Tidegate-Expires";
/// The signature's.
pub const SIGNATURE: &str = "X-Tidegate-Signature";

/// The URL does not open the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignedUrlError {
    /// Not ours, altered, or expired.
    #[error("the URL is invalid or has expired; ask for a new one")]
    Refused,
    /// The file is removed, or is not in the store as it was uploaded.
    #[error("there is no such file")]
    NotFound,
}

impl Storage {
    /// A URL of one of the caller's files that lives so long.
    ///
    /// Source: RiverGen "storage/objects/{object_name}/presigned-url".
    ///
    /// # Errors
    /// [`FileError`].
    pub async fn sign_url(
        &self,
        actor: &Actor,
        object_name: &str,
        lives: Duration,
    ) -> Outcome<String, FileError> {
        let (mut unit, grant) = self.read_as(actor, Permission::ReadOwnFiles).await?;
        let Ok(key) = own_folder(&mut unit, grant).await?.admit(object_name) else {
            return refuse(FileError::Outside);
        };
        match unit.files().stored(key.as_str()).await? {
            Some(file) => Ok(self.url_of(&file, lives)),
            None => refuse(FileError::NotFound),
        }
    }

    /// A URL of a file that lives so long. Who may have it, the caller has found out.
    pub fn url_of(&self, file: &TrackedFile, lives: Duration) -> String {
        let remote = ObjectKey::parse(&file.object_name)
            .ok()
            .and_then(|key| self.objects.presign(&key, &file.file_name, lives));
        remote.unwrap_or_else(|| {
            let expires = self.kernel.now().plus(lives).seconds();
            let signature = self.kernel.vault.mac(PURPOSE, signed(&file.object_name, expires).as_bytes());
            let (base, key, signature) =
                (&self.kernel.settings.public_url, encoded(&file.object_name), hex::encode(signature));
            format!("{base}/storage/{key}?{EXPIRES}={expires}&{SIGNATURE}={signature}")
        })
    }

    /// The file that a URL of ours opens.
    ///
    /// # Errors
    /// [`SignedUrlError`].
    pub async fn file_of_url(
        &self,
        object_name: &str,
        expires: &str,
        signature: &str,
    ) -> Outcome<TrackedFile, SignedUrlError> {
        // One spelling of it: a URL has no twins.
        let expires: Option<i64> = expires.parse().ok().filter(|number: &i64| number.to_string() == expires);
        let expires = expires.filter(|expires| *expires > self.kernel.now().seconds());
        let (Some(expires), Ok(signature)) = (expires, hex::decode(signature)) else {
            return refuse(SignedUrlError::Refused);
        };
        if !self.kernel.vault.verify_mac(PURPOSE, signed(object_name, expires).as_bytes(), &signature) {
            return refuse(SignedUrlError::Refused);
        }
        let mut unit = self.kernel.store.read().await?;
        match unit.files().stored(object_name).await? {
            Some(file) => Ok(file),
            None => refuse(SignedUrlError::NotFound),
        }
    }
}

/// What is signed. A key has no line break.
fn signed(object_name: &str, expires: i64) -> String {
    format!("{object_name}\n{expires}")
}

/// A key in a path: what is not of ASCII is percent-encoded.
fn encoded(object_name: &str) -> String {
    let mut encoded = String::with_capacity(object_name.len());
    for byte in object_name.bytes() {
        match byte {
            b'/' | b'-' | b'_' | b'.' => encoded.push(char::from(byte)),
            _ if byte.is_ascii_alphanumeric() => encoded.push(char::from(byte)),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}
