//! The secrets of a data source, in the vault.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use tidegate_domain::Secret;
use tidegate_domain::id::DataSourceId;
use tidegate_kernel::{Fault, Kernel};
use zeroize::Zeroizing;

/// What credentials have (contract D2, and `client_secret` and `ssl_key` besides). All are texts.
pub const CREDENTIALS: [&str; 10] = [
    "username",
    "password",
    "api_key",
    "client_secret",
    "oauth_token",
    "ssh_private_key",
    "ssh_passphrase",
    "ssl_key",
    "warehouse",
    "role",
];

/// Credentials by their names; those of [`CREDENTIALS`] and no others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Credentials(BTreeMap<&'static str, Secret>);

impl Credentials {
    /// Sets one; what is empty is none. A name that is not of [`CREDENTIALS`] is ignored.
    pub fn set(&mut self, name: &str, secret: Option<Secret>) {
        let Some(name) = CREDENTIALS.into_iter().find(|known| *known == name) else { return };
        match secret.filter(|secret| !secret.expose().is_empty()) {
            Some(secret) => self.0.insert(name, secret),
            None => self.0.remove(name),
        };
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Secret> {
        self.0.get(name)
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// What a box is sealed for: one column of one row.
fn purpose(what: &str, id: DataSourceId) -> String {
    format!("data source {id} {what}")
}

/// Seals the credentials of a source; none where it has none.
pub(super) fn seal_credentials(
    kernel: &Kernel,
    id: DataSourceId,
    credentials: &Credentials,
) -> Result<Option<Vec<u8>>, Fault> {
    if credentials.is_empty() {
        return Ok(None);
    }
    let fields: BTreeMap<&str, &str> =
        credentials.0.iter().map(|(name, secret)| (*name, secret.expose())).collect();
    let text = Zeroizing::new(serde_json::to_vec(&fields)?);
    Ok(Some(kernel.vault.seal(&purpose("credentials", id), &text, kernel.entropy.as_ref())?))
}

/// Opens them.
pub(crate) fn open_credentials(
    kernel: &Kernel,
    id: DataSourceId,
    sealed: Option<&[u8]>,
) -> Result<Credentials, Fault> {
    let mut credentials = Credentials::default();
    let Some(sealed) = sealed else { return Ok(credentials) };
    let text = kernel.vault.open(&purpose("credentials", id), sealed)?;
    let fields: Map<String, Value> = serde_json::from_slice(&text)?;
    for (name, value) in fields {
        if let Value::String(text) = value {
            credentials.set(&name, Some(Secret::new(text)));
        }
    }
    Ok(credentials)
}

/// Seals a connection string, which may hold a password.
pub(super) fn seal_string(kernel: &Kernel, id: DataSourceId, text: &Secret) -> Result<Vec<u8>, Fault> {
    let purpose = purpose("connection string", id);
    Ok(kernel.vault.seal(&purpose, text.expose().as_bytes(), kernel.entropy.as_ref())?)
}

/// Opens it.
pub(crate) fn open_string(
    kernel: &Kernel,
    id: DataSourceId,
    sealed: Option<&[u8]>,
) -> Result<Option<Secret>, Fault> {
    let Some(sealed) = sealed else { return Ok(None) };
    let opened = kernel.vault.open(&purpose("connection string", id), sealed)?;
    let text =
        str::from_utf8(&opened).map_err(|_| Fault::Internal("a connection string is no text".to_owned()))?;
    Ok(Some(Secret::new(text)))
}
