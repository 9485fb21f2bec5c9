//! A file that is being uploaded: it has no key yet, and goes away unless it gets one.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use bytes::Bytes;
use tidegate_crypto::ContentDigest;

use super::tree::Tree;
use crate::ObjectsError;

/// Bytes that are gathered before they are written.
const BUFFER: usize = 256 * 1024;

/// A file without a key. It is removed when it is dropped.
#[derive(Debug)]
pub struct Staged {
    tree: Arc<Tree>,
    name: String,
    /// None while it is being written to.
    content: Option<Content>,
    buffer: Vec<u8>,
    size: u64,
}

struct Content {
    file: File,
    digest: ContentDigest,
}

impl std::fmt::Debug for Content {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.file.fmt(f)
    }
}

impl Staged {
    pub(super) fn create(tree: Arc<Tree>, name: String) -> Result<Self, ObjectsError> {
        let file = tree.create_staged(&name)?;
        let content = Content { file, digest: ContentDigest::default() };
        Ok(Self { tree, name, content: Some(content), buffer: Vec::with_capacity(BUFFER), size: 0 })
    }

    /// How many bytes it has.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Adds bytes at its end.
    ///
    /// # Errors
    /// [`ObjectsError::Unavailable`]: the disk is full, or broken.
    pub async fn write(&mut self, mut bytes: &[u8]) -> Result<(), ObjectsError> {
        self.size = self.size.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(BUFFER.saturating_sub(self.buffer.len())));
            self.buffer.extend_from_slice(now);
            bytes = later;
            if self.buffer.len() >= BUFFER {
                self.flush().await?;
            }
        }
        Ok(())
    }

    /// Writes what was gathered.
    pub(crate) async fn flush(&mut self) -> Result<(), ObjectsError> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let mut content = self.content.take().ok_or_else(lost)?;
        let mut buffer = std::mem::take(&mut self.buffer);
        let written = tokio::task::spawn_blocking(move || {
            content.digest.update(&buffer);
            let written = content.file.write_all(&buffer);
            buffer.clear();
            (content, buffer, written)
        });
        let (content, buffer, written) = written.await?;
        (self.content, self.buffer) = (Some(content), buffer);
        Ok(written?)
    }

    /// Up to `length` bytes from `offset`, of what was written.
    ///
    /// # Errors
    /// As [`Staged::write`].
    pub async fn read(&mut self, offset: u64, length: usize) -> Result<Bytes, ObjectsError> {
        self.flush().await?;
        let content = self.content.take().ok_or_else(lost)?;
        let reading = tokio::task::spawn_blocking(move || {
            let read = read_at(&content.file, offset, length);
            (content, read)
        });
        let (content, read) = reading.await?;
        self.content = Some(content);
        Ok(read?.into())
    }

    /// SHA-256 of what was written, in hexadecimal.
    pub fn digest(&self) -> String {
        let digest = self.content.as_ref().map(|content| content.digest.clone());
        let mut digest = digest.unwrap_or_default();
        digest.update(&self.buffer);
        digest.finish()
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Makes its content durable.
    pub(super) fn sync(&self) -> Result<(), ObjectsError> {
        let content = self.content.as_ref().ok_or_else(lost)?;
        Ok(content.file.sync_all()?)
    }
}

/// Up to `length` bytes from `offset`; fewer at the end.
pub(super) fn read_at(file: &File, offset: u64, length: usize) -> std::io::Result<Vec<u8>> {
    let mut read = vec![0; length];
    let mut filled = 0;
    while let Some(rest) = read.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        let at = offset.saturating_add(u64::try_from(filled).unwrap_or(u64::MAX));
        match file.read_at(rest, at) {
            Ok(0) => break,
            Ok(more) => filled += more,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    read.truncate(filled);
    Ok(read)
}

/// A write to it was cut off: what it holds is not known.
fn lost() -> ObjectsError {
    ObjectsError::Unavailable("an upload was cut off while it was written".to_owned())
}

impl Drop for Staged {
    fn drop(&mut self) {
        if let Err(error) = self.tree.unlink_staged(&self.name) {
            tracing::debug!(%error, "a staged file is gone already");
        }
    }
}
