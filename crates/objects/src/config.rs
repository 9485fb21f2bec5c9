//! Where files are kept, as an operator decides it.

use std::path::PathBuf;

use crate::remote::check as check_remote;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use smart_default::SmartDefault;
use tidegate_domain::Secret;
use tidegate_domain::secret::{hidden, without_final_line_breaks};

/// Which kind of store keeps the files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Backend {
    /// A directory of this machine.
    #[default]
    Local,
    /// Amazon S3, or what speaks its protocol: MinIO, Ceph, R2.
    S3,
    /// Google Cloud Storage, with an HMAC key.
    Gcs,
    /// Azure Blob Storage.
    Azure,
}

/// Where uploaded files are kept.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema, SmartDefault)]
#[serde(deny_unknown_fields, default)]
pub struct StorageConfig {
    /// "local", "s3" (also MinIO and the like), "gcs" or "azure".
    pub backend: Backend,
    /// Directory of the files; with another backend, of uploads under way. Nodes that share a database share it if backend is
    /// "local". Default: files in data_dir.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"/srv/tidegate/files")]
    pub directory: Option<PathBuf>,
    /// Name of the bucket, or of the container in Azure. With "local" it is only shown.
    #[default("tidegate-files".to_owned())]
    pub bucket: String,
    /// Address of the store. Default: that of Amazon, Google or Microsoft. MinIO: http://HOST:9000. An address of Azure that does not
    /// begin with the account ends with it: http://HOST:10000/ACCOUNT.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"https://minio.internal:9000")]
    pub endpoint: Option<String>,
    /// Address of the store as clients reach it, in signed URLs. Default: endpoint.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"https://files.example.com")]
    pub public_endpoint: Option<String>,
    /// Region of the bucket. "azure" has none.
    #[default("us-east-1".to_owned())]
    pub region: String,
    /// Access key ID (for "gcs", of an HMAC key), or name of the account in Azure.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"AKIAIOSFODNN7EXAMPLE")]
    pub access_key_id: Option<String>,
    /// Secret access key, or key of the account in Azure.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"better set as TIDEGATE_STORAGE__SECRET_ACCESS_KEY")]
    pub secret_access_key: Option<StorageSecret>,
    /// A file with the secret access key.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"/etc/tidegate/storage-key")]
    pub secret_access_key_file: Option<PathBuf>,
}

/// A secret access key, as configuration gives it.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema)]
pub struct StorageSecret(#[schemars(with = "String")] pub Secret);

impl Serialize for StorageSecret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        hidden(self, serializer)
    }
}

impl<'de> Deserialize<'de> for StorageSecret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Secret::deserialize(deserializer).map(Self)
    }
}

impl StorageConfig {
    /// Whether a store can be reached by it, as far as can be said without asking it.
    ///
    /// # Errors
    /// What is missing or wrong.
    pub fn check(&self) -> Result<(), String> {
        if self.bucket.is_empty()
            || !self.bucket.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
        {
            return Err("storage.bucket must have letters, digits, -, _ and . alone".to_owned());
        }
        check_remote(self)
    }

    /// The settings of a store that is reached over the network, where none is: they do nothing.
    pub fn in_vain(&self) -> Vec<&'static str> {
        if self.backend != Backend::Local {
            return Vec::new();
        }
        [
            ("storage.endpoint", self.endpoint.is_some()),
            ("storage.public_endpoint", self.public_endpoint.is_some()),
            ("storage.access_key_id", self.access_key_id.is_some()),
            ("storage.secret_access_key", self.secret_access_key.is_some()),
            ("storage.secret_access_key_file", self.secret_access_key_file.is_some()),
        ]
        .into_iter()
        .filter_map(|(name, is_set)| is_set.then_some(name))
        .collect()
    }

    /// The secret access key, from wherever it is given.
    ///
    /// # Errors
    /// What is missing, by the name of its key.
    pub(crate) fn secret(&self) -> Result<Secret, String> {
        match (&self.secret_access_key, &self.secret_access_key_file) {
            (Some(_), Some(_)) => {
                Err("set storage.secret_access_key or storage.secret_access_key_file, not both".to_owned())
            }
            (Some(secret), None) => Ok(secret.0.clone()),
            (None, Some(path)) => {
                let text = std::fs::read_to_string(path).map_err(|error| {
                    format!("storage.secret_access_key_file: {}: {error}", path.display())
                })?;
                Ok(Secret::new(without_final_line_breaks(&text)))
            }
            (None, None) => Err("storage.secret_access_key is missing".to_owned()),
        }
    }

    /// The access key ID, or the name of the account.
    pub(crate) fn key_id(&self) -> Result<&str, String> {
        let id = self.access_key_id.as_deref().filter(|id| !id.is_empty());
        id.ok_or_else(|| "storage.access_key_id is missing".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remote(backend: Backend) -> StorageConfig {
        StorageConfig {
            backend,
            access_key_id: Some("acct".to_owned()),
            secret_access_key: Some(StorageSecret(Secret::new("aHVudGVyMg=="))),
            ..StorageConfig::default()
        }
    }

    #[test]
    fn a_wrong_setting_is_told_by_its_name() {
        let address = || Some("minio.internal".to_owned());
        for backend in [Backend::S3, Backend::Gcs, Backend::Azure] {
            assert_eq!(remote(backend).check(), Ok(()), "{backend:?}");
            for (config, told) in [
                (StorageConfig { bucket: "a/b".to_owned(), ..remote(backend) }, "storage.bucket must"),
                (StorageConfig { bucket: String::new(), ..remote(backend) }, "storage.bucket must"),
                (
                    StorageConfig { access_key_id: None, ..remote(backend) },
                    "storage.access_key_id is missing",
                ),
                (
                    StorageConfig { access_key_id: Some(String::new()), ..remote(backend) },
                    "storage.access_key_id is missing",
                ),
                (
                    StorageConfig { secret_access_key: None, ..remote(backend) },
                    "storage.secret_access_key is missing",
                ),
                (StorageConfig { endpoint: address(), ..remote(backend) }, "storage.endpoint is no address"),
                (
                    StorageConfig { public_endpoint: address(), ..remote(backend) },
                    "storage.public_endpoint is no address",
                ),
                (
                    StorageConfig { public_endpoint: Some("ftp://a".to_owned()), ..remote(backend) },
                    "storage.public_endpoint must be http",
                ),
            ] {
                let said = config.check().unwrap_err();
                assert!(said.starts_with(told), "{backend:?}: {said}");
            }
        }
        let no_key = StorageConfig {
            secret_access_key: Some(StorageSecret(Secret::new("no base64"))),
            ..remote(Backend::Azure)
        };
        let said = no_key.check().unwrap_err();
        assert!(said.starts_with("storage.secret_access_key: ") && !said.contains("no base64"), "{said}");
    }

    #[test]
    fn settings_of_a_store_that_is_not_used_are_named() {
        assert_eq!(remote(Backend::S3).in_vain(), Vec::<&str>::new());
        assert_eq!(remote(Backend::Local).in_vain(), ["storage.access_key_id", "storage.secret_access_key"]);
        assert_eq!(StorageConfig::default().in_vain(), Vec::<&str>::new());
    }
}
