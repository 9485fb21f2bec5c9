//! The files of an installation.

use std::fs;
use std::future::ready;
use std::io::ErrorKind;
use std::ops::Range;
use std::path::{Path as FilePath, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, BoxStream};
use futures_util::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{GetOptions, GetRange, ObjectMeta, ObjectStore, ObjectStoreExt, PutPayload};
use tidegate_domain::{Clock, Timestamp};

use crate::local::LocalObjects;
use crate::local::backup::Copied;
use crate::local::denied::denied;
use crate::remote::Remote;
use crate::{Amiss, Backend, Expected, ObjectKey, ObjectsError, Staged, StorageConfig};

/// Where files are in the data directory, unless it is configured.
const DIRECTORY: &str = "files";
/// Bytes that are sent to a remote store at once. S3 takes no smaller parts of a file than 5 MiB.
const PART: usize = 8 * 1024 * 1024;

/// Files that a store is asked for at once.
const ASKED_AT_ONCE: usize = 8;

/// Below what files are that only try a store out. No file of an organization is there.
const TRIALS: &str = "tidegate-doctor";
const TRIAL: &[u8] = b"Whether this file can be written, read and removed.\n";

/// The files of an installation, wherever they are kept.
#[derive(Clone, Debug)]
pub struct Objects {
    bucket: Arc<str>,
    local: Arc<Directory>,
    /// None: the files are in the local directory.
    remote: Option<Arc<Remote>>,
}

/// The local directory, which is made and opened when it is needed: many installations keep no files, and some have no disk.
#[derive(Debug)]
struct Directory {
    place: PathBuf,
    opened: OnceLock<LocalObjects>,
}

impl Directory {
    fn open(&self) -> Result<&LocalObjects, ObjectsError> {
        if let Some(opened) = self.opened.get() {
            return Ok(opened);
        }
        let opened = LocalObjects::open(&self.place)?;
        Ok(self.opened.get_or_init(|| opened))
    }
}

/// What is known of a stored file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Its key.
    pub key: String,
    /// Its bytes.
    pub size: u64,
    /// Written.
    pub last_modified: Timestamp,
    /// Its entity tag, with quotes.
    pub etag: String,
}

/// A file, or a part of one, that is being read.
pub struct Reading {
    /// The file.
    pub file: Stored,
    /// Its bytes, piece by piece.
    pub content: BoxStream<'static, Result<Bytes, ObjectsError>>,
}

impl Objects {
    /// Prepares the store that is configured. Nothing is made, and none is asked, before it is used.
    ///
    /// # Errors
    /// [`ObjectsError::Misconfigured`].
    pub fn open(
        config: &StorageConfig,
        data_dir: &FilePath,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, ObjectsError> {
        let remote = match config.backend {
            Backend::Local => None,
            _ => Some(Arc::new(Remote::new(config, clock).map_err(ObjectsError::Misconfigured)?)),
        };
        let place = config.directory.clone().unwrap_or_else(|| data_dir.join(DIRECTORY));
        let local = Arc::new(Directory { place, opened: OnceLock::new() });
        Ok(Self { bucket: config.bucket.as_str().into(), local, remote })
    }

    /// The name of the bucket.
    pub fn bucket(&self) -> &str {
        &self.bucket
    }

    /// Whether the files are in a directory of this machine.
    pub fn is_local(&self) -> bool {
        self.remote.is_none()
    }

    /// Begins a file that has no key yet. `name` is one that no other upload has.
    ///
    /// # Errors
    /// [`ObjectsError::Unavailable`].
    pub async fn stage(&self, name: String) -> Result<Staged, ObjectsError> {
        self.local.open()?.stage(name).await
    }

    /// Stores a staged file under a key. When this answers, it is durable, and whole.
    ///
    /// # Errors
    /// [`ObjectsError::Exists`] where the store can tell; those of the store.
    pub async fn publish(&self, staged: Staged, key: &ObjectKey) -> Result<(), ObjectsError> {
        match &self.remote {
            None => self.local.open()?.publish(staged, key).await.map(|_| ()),
            Some(remote) => send(remote, staged, &key.path()).await,
        }
    }

    /// A file, or a part of one.
    ///
    /// # Errors
    /// [`ObjectsError::NotFound`]; those of the store, also while it is read.
    pub async fn read(&self, key: &ObjectKey, range: Option<Range<u64>>) -> Result<Reading, ObjectsError> {
        let options = GetOptions { range: range.map(GetRange::Bounded), ..GetOptions::default() };
        let got = self.object_store()?.get_opts(&key.path(), options).await?;
        let file = Stored::from(got.meta.clone());
        Ok(Reading { file, content: got.into_stream().map_err(ObjectsError::from).boxed() })
    }

    /// What is known of a file; none where there is none.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn find(&self, key: &ObjectKey) -> Result<Option<Stored>, ObjectsError> {
        match self.object_store()?.head(&key.path()).await.map_err(ObjectsError::from) {
            Ok(meta) => Ok(Some(meta.into())),
            Err(ObjectsError::NotFound) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Removes a file, durably. False where there was none, as far as the store tells.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn remove(&self, key: &ObjectKey) -> Result<bool, ObjectsError> {
        match self.object_store()?.delete(&key.path()).await.map_err(ObjectsError::from) {
            Ok(()) => Ok(true),
            Err(ObjectsError::NotFound) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// All files below a part of the keys, such as `organizations`.
    pub fn list(&self, below: &str) -> BoxStream<'static, Result<Stored, ObjectsError>> {
        match self.object_store() {
            Ok(store) => {
                let listed = store.list(Some(&Path::from(below)));
                listed.map_ok(Stored::from).map_err(ObjectsError::from).boxed()
            }
            Err(error) => stream::once(ready(Err(error))).boxed(),
        }
    }

    /// Whether the store answers, and has its bucket or directory.
    ///
    /// # Errors
    /// That it does not.
    pub async fn check(&self) -> Result<(), ObjectsError> {
        let store = self.object_store()?;
        let listed = match self.is_local() {
            true => store.list_with_delimiter(None).await.map(|_| ()),
            // Of a bucket with other things in it, no more than one page.
            false => store.list(Some(&Path::from(TRIALS))).try_next().await.map(|_| ()),
        };
        match listed.map_err(ObjectsError::from) {
            Err(ObjectsError::NotFound) => {
                let what = "the bucket does not exist; check storage.bucket and storage.endpoint";
                Err(ObjectsError::Misconfigured(what.to_owned()))
            }
            checked => checked,
        }
    }

    /// Whether the store lets a file be listed, written, read and removed: tries it with a small one, whose name no other has.
    ///
    /// # Errors
    /// What it does not let be done.
    pub async fn try_out(&self, name: &str) -> Result<(), ObjectsError> {
        self.check().await?;
        if self.is_local() {
            return Ok(());
        }
        let (store, path) = (self.object_store()?, Path::from(format!("{TRIALS}/{name}")));
        store.put(&path, PutPayload::from_static(TRIAL)).await?;
        let read = store.get(&path).await;
        // Also where it cannot be read.
        store.delete(&path).await?;
        read.map(|_| ()).map_err(ObjectsError::from)
    }

    /// A URL at which the store itself answers a file to whoever has the URL; none where the files are in a local directory.
    pub fn presign(&self, key: &ObjectKey, file_name: &str, lives: Duration) -> Option<String> {
        self.remote.as_ref().map(|remote| remote.presign(key, file_name, lives))
    }

    /// Removes what uploads left behind that were cut off so long ago; answers how many files.
    ///
    /// # Errors
    /// Those of the directory.
    pub async fn remove_abandoned(&self, age: Duration) -> Result<u64, ObjectsError> {
        if self.is_begun() { self.local.open()?.remove_abandoned(age).await } else { Ok(0) }
    }

    /// Copies every file into a directory that must not be there yet: for backups. None where a remote store keeps the files, or there are
    /// none yet. Blocks.
    ///
    /// # Errors
    /// Those of both directories.
    pub fn copy_to(&self, target: &FilePath) -> Result<Option<Copied>, ObjectsError> {
        if self.remote.is_some() || !self.is_begun() {
            return Ok(None);
        }
        self.local.open()?.copy_to(target).map(Some)
    }

    /// Copies every file of such a directory back. A file that is here already stays as it is. Blocks.
    ///
    /// # Errors
    /// Those of both directories.
    pub fn copy_from(&self, source: &FilePath) -> Result<Copied, ObjectsError> {
        self.local.open()?.copy_from(source)
    }

    /// Those of these files that the local directory has not as they were uploaded; nothing is made or changed in it. None where a remote
    /// store keeps them. Blocks.
    pub fn find_amiss(&self, files: &[Expected]) -> Option<Vec<Amiss>> {
        let look = |file: &Expected| {
            let key = ObjectKey::parse(&file.key).ok()?;
            match fs::symlink_metadata(self.local.place.join(key.as_str())) {
                Ok(found) if found.is_file() => file.compare(Some(found.len())),
                Err(error) if error.kind() == ErrorKind::NotFound => file.compare(None),
                // What cannot be seen may be there.
                _ => None,
            }
        };
        self.is_local().then(|| files.iter().filter_map(look).collect())
    }

    /// What on the way to these files in the local directory this user may not use, and behind "; " what to do. None where a remote store keeps
    /// them. Blocks.
    pub fn find_denied(&self, files: &[Expected]) -> Option<String> {
        let look = |file: &Expected| {
            let key = ObjectKey::parse(&file.key).ok()?;
            denied(&self.local.place, key.as_str())
        };
        if self.is_local() { files.iter().find_map(look) } else { None }
    }

    /// Those of these files that a store over the network has not as they were uploaded, which is asked for each.
    ///
    /// # Errors
    /// The first of the store: what it does not answer is not lost.
    pub async fn ask_for_amiss(&self, files: &[Expected]) -> Result<Vec<Amiss>, ObjectsError> {
        let parsed = |file: &Expected| Some((ObjectKey::parse(&file.key).ok()?, file.clone()));
        let files: Vec<(ObjectKey, Expected)> = files.iter().filter_map(parsed).collect();
        let asked = stream::iter(files).map(|(key, file)| {
            let objects = self.clone();
            async move {
                let found = objects.find(&key).await?;
                Ok::<_, ObjectsError>(file.compare(found.map(|found| found.size)))
            }
        });
        let amiss: Vec<Option<Amiss>> = asked.buffered(ASKED_AT_ONCE).try_collect().await?;
        Ok(amiss.into_iter().flatten().collect())
    }

    /// The local directory: of the files, or of uploads under way.
    pub fn directory(&self) -> &FilePath {
        &self.local.place
    }

    /// Looks whether that directory can be used, or made where there is none, and makes nothing. False where there is none yet.
    ///
    /// # Errors
    /// [`ObjectsError::Unusable`] and [`ObjectsError::Denied`], with what is wrong.
    pub fn look_at_directory(&self) -> Result<bool, ObjectsError> {
        LocalObjects::look_at_directory(&self.local.place)
    }

    /// Whether the directory was made already, for files or for uploads under way.
    pub fn is_begun(&self) -> bool {
        self.local.place.exists()
    }

    /// The store, as query engines read from it.
    ///
    /// # Errors
    /// [`ObjectsError::Unusable`] and [`ObjectsError::Denied`] when the directory cannot be used.
    pub fn object_store(&self) -> Result<Arc<dyn ObjectStore>, ObjectsError> {
        match &self.remote {
            None => Ok(Arc::new(self.local.open()?.clone())),
            Some(remote) => Ok(Arc::clone(remote.store())),
        }
    }
}

/// Sends a staged file to a store: at once if it is small, else part by part. A transfer that fails leaves nothing there.
async fn send(remote: &Remote, mut staged: Staged, path: &Path) -> Result<(), ObjectsError> {
    let (store, size) = (remote.store(), staged.size());
    let part = u64::try_from(PART).unwrap_or(u64::MAX);
    if size <= part {
        let _room = remote.piece().await?;
        let content = staged.read(0, PART).await?;
        store.put(path, PutPayload::from_bytes(content)).await?;
        return Ok(());
    }
    let mut upload = store.put_multipart(path).await?;
    let sent = async {
        let mut offset = 0;
        while offset < size {
            let _room = remote.piece().await?;
            let content = staged.read(offset, PART).await?;
            upload.put_part(PutPayload::from_bytes(content)).await?;
            offset += part;
        }
        upload.complete().await?;
        Ok::<(), ObjectsError>(())
    };
    let sent = sent.await;
    if sent.is_err()
        && let Err(error) = upload.abort().await
    {
        tracing::warn!(%error, "an upload to the object store could not be called off; its parts stay there");
    }
    sent
}

impl From<ObjectMeta> for Stored {
    fn from(meta: ObjectMeta) -> Self {
        Self {
            key: meta.location.to_string(),
            size: meta.size,
            last_modified: Timestamp::from_micros(meta.last_modified.timestamp_micros()),
            etag: meta.e_tag.unwrap_or_default(),
        }
    }
}
