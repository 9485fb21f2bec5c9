//! What a store holds, past the application.

use std::sync::Arc;

use futures_util::TryStreamExt;
use tidegate_domain::Secret;
use tidegate_objects::{Backend, ObjectKey, Objects, StorageConfig, StorageSecret};

use super::{BUCKET, Cloud, CloudStore};
use crate::WallClock;

impl CloudStore {
    /// The configuration of an application that keeps its files there.
    pub fn config(&self) -> StorageConfig {
        let backend = match self.cloud() {
            Cloud::S3 => Backend::S3,
            Cloud::Azure => Backend::Azure,
            Cloud::Gcs => Backend::Gcs,
        };
        StorageConfig {
            backend,
            bucket: BUCKET.to_owned(),
            endpoint: Some(self.endpoint()),
            access_key_id: Some(self.cloud().access_key_id().to_owned()),
            secret_access_key: Some(StorageSecret(Secret::new(self.cloud().secret_access_key()))),
            ..StorageConfig::default()
        }
    }

    /// Puts an object into it.
    pub async fn put(&self, key: &str, content: &[u8]) {
        let directory = tempfile::tempdir().expect("a directory");
        let objects = self.objects(directory.path());
        let mut staged = objects.stage("put".to_owned()).await.expect("a file");
        staged.write(content).await.expect("a file");
        objects.publish(staged, &key_of(key)).await.expect("an object");
    }

    /// Removes an object from it.
    pub async fn remove(&self, key: &str) {
        let directory = tempfile::tempdir().expect("a directory");
        assert!(self.objects(directory.path()).remove(&key_of(key)).await.expect("an answer"), "{key}");
    }

    /// The keys of all its objects, in order.
    pub async fn keys(&self) -> Vec<String> {
        let directory = tempfile::tempdir().expect("a directory");
        let listed = self.objects(directory.path()).list("").map_ok(|stored| stored.key);
        let mut keys: Vec<String> = listed.try_collect().await.expect("a list");
        keys.sort();
        keys
    }

    fn objects(&self, directory: &std::path::Path) -> Objects {
        Objects::open(&self.config(), directory, Arc::new(WallClock)).expect("a store")
    }
}

fn key_of(key: &str) -> ObjectKey {
    ObjectKey::parse(key).expect("a key")
}
