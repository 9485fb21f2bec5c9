//! What a source is opened with.

use std::fmt;
use std::io;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};
use url::form_urlencoded::byte_serialize;
use zeroize::Zeroizing;

use crate::disk::DiskBudget;
use crate::error::{SourceError, quoted};
use crate::registry::SourceType;

/// Everything needed to open one source.
#[derive(Clone, Debug)]
pub struct Settings {
    pub kind: SourceType,
    pub host: Option<String>,
    pub port: Option<u16>,
    pub database_name: Option<String>,
    pub schema_name: Option<String>,
    /// Takes the place of host, port and database; its user and password hold where the credentials have none.
    pub connection_string: Option<ConnectionString>,
    pub file: Option<FileSource>,
    pub ssh: Option<SshSettings>,
    pub connection_timeout: Duration,
    pub query_timeout: Duration,
    /// Connections held at once; at least one is.
    pub pool_size: u32,
    /// Options of the type, by the names in `docs/sources.md`.
    pub metadata: Map<String, Value>,
    pub credentials: Credentials,
    /// What its temporary files may have together with those of others.
    pub disk: DiskBudget,
}

impl Settings {
    /// Settings of a type with the contract's defaults and nothing else.
    pub fn new(kind: SourceType) -> Self {
        Self {
            kind,
            host: None,
            port: None,
            database_name: None,
            schema_name: None,
            connection_string: None,
            file: None,
            ssh: None,
            connection_timeout: Duration::from_secs(30),
            query_timeout: Duration::from_secs(300),
            pool_size: 5,
            metadata: Map::new(),
            credentials: Credentials::default(),
            disk: DiskBudget::default(),
        }
    }

    /// An option of the type that is text.
    pub(crate) fn option(&self, name: &str) -> Result<Option<&str>, SourceError> {
        match self.metadata.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(SourceError::connection(format!("metadata.{name} must be text."))),
        }
    }

    /// An option of the type that is one of several words; the first is the default.
    pub(crate) fn choice(&self, name: &str, words: &[&'static str]) -> Result<&'static str, SourceError> {
        let given = self.option(name)?;
        match given {
            None => Ok(words.first().copied().unwrap_or_default()),
            Some(given) => words.iter().copied().find(|word| *word == given).ok_or_else(|| {
                SourceError::connection(format!(
                    "metadata.{name} is {}; it must be one of: {}.",
                    quoted(given),
                    words.join(", ")
                ))
            }),
        }
    }

    /// A switch of the type.
    pub(crate) fn flag(&self, name: &str, default: bool) -> Result<bool, SourceError> {
        match self.metadata.get(name) {
            None | Some(Value::Null) => Ok(default),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(_) => Err(SourceError::connection(format!("metadata.{name} must be true or false."))),
        }
    }
}

/// A connection string; its debugging form has the password masked.
#[derive(Clone)]
pub struct ConnectionString(Zeroizing<String>);

impl ConnectionString {
    /// Keeps the text as given; it is parsed when the source is opened.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ConnectionString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&crate::address::mask_password(&self.0))
    }
}

/// A secret that is wiped when it goes, and that no debugging output shows.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes the secret over.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// The secret itself, for the driver.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// The contract's credentials of a source.
#[derive(Clone, Debug, Default)]
pub struct Credentials {
    pub username: Option<Secret>,
    pub password: Option<Secret>,
    pub api_key: Option<Secret>,
    /// The secret of the client `metadata.client_id`, which fetches tokens.
    pub client_secret: Option<Secret>,
    pub oauth_token: Option<Secret>,
    pub ssh_private_key: Option<Secret>,
    pub ssh_passphrase: Option<Secret>,
    /// The private key, in PEM, of the client's certificate in `metadata.ssl_cert`.
    pub ssl_key: Option<Secret>,
    pub warehouse: Option<Secret>,
    pub role: Option<Secret>,
}

impl Credentials {
    /// The private key of the client's certificate. `api_key` was its place before it had one of its own.
    pub(crate) fn client_key(&self) -> Option<&str> {
        self.ssl_key.as_ref().or(self.api_key.as_ref()).map(Secret::expose)
    }

    /// Replaces every secret in a text a driver wrote, also as it stands in a form, in JSON, and in the header of HTTP's Basic scheme: servers
    /// repeat what they were sent. The user's name stays: operators need it, and it is no secret.
    pub(crate) fn redact(&self, text: &str) -> String {
        let secrets = [
            &self.password,
            &self.api_key,
            &self.oauth_token,
            &self.ssh_private_key,
            &self.ssh_passphrase,
            &self.ssl_key,
        ];
        let mut clean = text.to_owned();
        if let (Some(name), Some(password)) = (&self.username, &self.password) {
            let pair = Zeroizing::new(format!("{}:{}", name.expose(), password.expose()));
            clean = clean.replace(&STANDARD.encode(pair.as_bytes()), "***");
        }
        for secret in secrets.into_iter().chain([&self.client_secret]).flatten() {
            let plain = secret.expose();
            if !plain.is_empty() {
                let encoded: String = byte_serialize(plain.as_bytes()).collect();
                clean = clean.replace(plain, "***").replace(&encoded, "***");
                let written = Zeroizing::new(Value::from(plain).to_string());
                clean = clean.replace(written.trim_matches('"'), "***");
            }
        }
        clean
    }
}

/// The file of a source.
#[derive(Clone)]
pub struct FileSource {
    /// What people call it; the relation is named after it.
    pub name: String,
    pub content: FileContent,
}

impl fmt::Debug for FileSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileSource").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Where the bytes of a file are.
#[derive(Clone)]
pub enum FileContent {
    /// In a file of this machine, whose path the caller has checked.
    Local(PathBuf),
    /// Elsewhere. They are copied into a temporary file when the source is opened.
    Remote(Arc<dyn FileBytes>),
}

/// Bytes that are not in a file of this machine.
#[async_trait::async_trait]
pub trait FileBytes: Send + Sync {
    /// How many there are.
    async fn size(&self) -> io::Result<u64>;
    /// Those in a range; fewer only at the end.
    async fn read(&self, range: Range<u64>) -> io::Result<Vec<u8>>;
}

/// The server a tunnel goes through. Key, passphrase and password are in the credentials.
#[derive(Clone, Debug)]
pub struct SshSettings {
    pub host: String,
    pub port: u16,
    pub username: String,
    /// The port of this machine that the tunnel listens at, where a driver needs one; a free one if absent.
    pub local_port: Option<u16>,
    /// The password for the SSH server; without it and without a key, the password of the source is tried.
    pub password: Option<Secret>,
    /// The server's key as first seen (`ssh-ed25519 AAAA...`). Another key is refused; absent: the first one is accepted.
    pub pinned_host_key: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_found_however_they_were_sent() {
        let secret = |text: &str| Some(Secret::new(text));
        let credentials = Credentials {
            username: secret("ada"),
            password: secret("pass:w\u{f6}rd"),
            client_secret: secret("a+b/c d"),
            oauth_token: secret("t\\o\"k\ten"),
            ..Credentials::default()
        };
        let basic = STANDARD.encode("ada:pass:w\u{f6}rd");
        for text in [
            "pass:w\u{f6}rd".to_owned(),
            "client_id=x&client_secret=a%2Bb%2Fc+d".to_owned(),
            "the secret is a+b/c d".to_owned(),
            "{\"token\":\"t\\\\o\\\"k\\ten\"}".to_owned(),
            format!("authorization: Basic {basic}"),
        ] {
            let clean = credentials.redact(&text);
            assert!(clean.contains("***"), "{clean}");
            assert!(!clean.contains("w\u{f6}rd") && !clean.contains(&basic), "{clean}");
            assert!(!clean.contains("a+b") && !clean.contains("a%2Bb"), "{clean}");
            assert!(!clean.contains("ten"), "{clean}");
        }
        assert_eq!(credentials.redact("ada"), "ada");
        assert_eq!(Credentials::default().redact("as it is"), "as it is");
    }
}
