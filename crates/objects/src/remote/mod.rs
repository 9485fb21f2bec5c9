//! Files in a store that is reached over HTTP.
//!
//! The requests are made here: the clients of `object_store` bring a second provider of cryptography. See `docs/adr/0015-storage.md`.

mod azure;
pub(crate) mod failure;
mod http;
mod interface;
mod protocol;
pub(crate) mod requests;
mod s3;
mod upload;

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use object_store::ObjectStore;
use tidegate_domain::Clock;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::{Backend, ObjectKey, ObjectsError, StorageConfig};

use azure::Azure;
use http::Http;
use interface::RemoteStore;
use protocol::Protocol;
use s3::S3;

/// Pieces of files that are sent at one time. Each is in memory until the store has answered, which nobody waits for whose client is gone.
const PIECES: usize = 6;

/// A store that is reached over HTTP.
pub(crate) struct Remote {
    pieces: Semaphore,
    store: Arc<dyn ObjectStore>,
    /// The same protocol, at the address that clients reach.
    public: Arc<dyn Protocol>,
    clock: Arc<dyn Clock>,
}

impl Debug for Remote {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.store.fmt(f)
    }
}

impl Remote {
    /// Prepares requests; connects to nothing yet.
    ///
    /// # Errors
    /// What is missing or wrong in the configuration.
    pub(crate) fn new(config: &StorageConfig, clock: Arc<dyn Clock>) -> Result<Self, String> {
        let own = protocol(config, config.endpoint.as_deref())?;
        let public = config.public_endpoint.as_deref().or(config.endpoint.as_deref());
        let public = protocol(config, public)?;
        let http = Http::new()?;
        let store = Arc::new(RemoteStore::new(own, http, Arc::clone(&clock)));
        Ok(Self { pieces: Semaphore::new(PIECES), store, public, clock })
    }

    /// Room for a piece of a file, from before it is read until the store has answered. Whoever comes first gets it first, piece by piece: a
    /// large file does not keep small ones waiting.
    ///
    /// # Errors
    /// None that happens: the room is never closed.
    pub(crate) async fn piece(&self) -> Result<SemaphorePermit<'_>, ObjectsError> {
        self.pieces.acquire().await.map_err(|error| ObjectsError::Unavailable(error.to_string()))
    }

    pub(crate) fn store(&self) -> &Arc<dyn ObjectStore> {
        &self.store
    }

    /// A URL at which the store answers a file, as one to be saved under that name.
    pub(crate) fn presign(&self, key: &ObjectKey, file_name: &str, lives: Duration) -> String {
        self.public.presign(key.as_str(), file_name, lives, self.clock.now()).into()
    }
}

fn protocol(config: &StorageConfig, endpoint: Option<&str>) -> Result<Arc<dyn Protocol>, String> {
    Ok(match config.backend {
        Backend::Azure => Arc::new(Azure::new(config, endpoint)?),
        Backend::Local | Backend::S3 | Backend::Gcs => Arc::new(S3::new(config, endpoint)?),
    })
}

/// Whether the configuration names a store that can be asked.
///
/// # Errors
/// What is missing or wrong.
pub(crate) fn check(config: &StorageConfig) -> Result<(), String> {
    if config.backend == Backend::Local {
        return Ok(());
    }
    protocol(config, config.endpoint.as_deref())?;
    if let Some(address) = &config.public_endpoint {
        protocol(config, Some(address))
            .map_err(|wrong| wrong.replace("storage.endpoint", "storage.public_endpoint"))?;
    }
    Ok(())
}
