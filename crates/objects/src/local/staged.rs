//! A file that is being uploaded: it has no key yet, and goes away unless it gets one.

use std::fs::File;
use std::io::{self, Write};
use std::mem;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use bytes::Bytes;
use tidegate_crypto::ContentDigest;
use tokio::task::{JoinHandle, spawn_blocking};

use super::tree::Tree;
use super::writeback::Writeback;
use crate::ObjectsError;

/// Bytes that are gathered before they are written. As many again are held while they are.
const BUFFER: usize = 256 * 1024;

/// A file without a key. It is removed when it is dropped.
#[derive(Debug)]
pub struct Staged {
    tree: Arc<Tree>,
    name: String,
    /// None while it is being written to, and when that failed.
    content: Option<Content>,
    /// The write under way. More is gathered meanwhile: hashing and writing take as long as receiving does.
    writing: Option<JoinHandle<io::Result<Content>>>,
    buffer: Vec<u8>,
    size: u64,
}

struct Content {
    file: File,
    digest: ContentDigest,
    writeback: Writeback,
    /// What is gathered into next.
    spare: Vec<u8>,
}

impl std::fmt::Debug for Content {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.file.fmt(f)
    }
}

impl Content {
    /// With a piece at its end. Blocks.
    fn with(mut self, mut piece: Vec<u8>) -> io::Result<Self> {
        self.digest.update(&piece);
        self.file.write_all(&piece)?;
        self.writeback.wrote(&self.file, piece.len());
        piece.clear();
        self.spare = piece;
        Ok(self)
    }
}

impl Staged {
    pub(super) fn create(tree: Arc<Tree>, name: String) -> Result<Self, ObjectsError> {
        let content = Content {
            file: tree.create_staged(&name)?,
            digest: ContentDigest::default(),
            writeback: Writeback::default(),
            spare: Vec::with_capacity(BUFFER),
        };
        let buffer = Vec::with_capacity(BUFFER);
        Ok(Self { tree, name, content: Some(content), writing: None, buffer, size: 0 })
    }

    /// How many bytes it has.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Adds bytes at its end. That they could not be written may show at the next call only.
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
                self.begin_write().await?;
            }
        }
        Ok(())
    }

    /// Begins to write what was gathered, when what was begun before is written.
    async fn begin_write(&mut self) -> Result<(), ObjectsError> {
        let mut content = self.written().await?;
        let piece = mem::replace(&mut self.buffer, mem::take(&mut content.spare));
        self.writing = Some(spawn_blocking(move || content.with(piece)));
        Ok(())
    }

    /// Takes the content, when what was begun is written. It is gone where that failed.
    async fn written(&mut self) -> Result<Content, ObjectsError> {
        if let Some(writing) = &mut self.writing {
            let written = writing.await;
            self.writing = None;
            self.content = Some(written??);
        }
        self.content.take().ok_or_else(lost)
    }

    /// Writes what was gathered.
    async fn flush(&mut self) -> Result<(), ObjectsError> {
        if !self.buffer.is_empty() {
            self.begin_write().await?;
        }
        let content = self.written().await?;
        self.content = Some(content);
        Ok(())
    }

    /// Up to `length` bytes from `offset`, of what was written.
    ///
    /// # Errors
    /// As [`Staged::write`].
    pub async fn read(&mut self, offset: u64, length: usize) -> Result<Bytes, ObjectsError> {
        self.flush().await?;
        let content = self.written().await?;
        let reading = spawn_blocking(move || {
            let read = read_at(&content.file, offset, length);
            (content, read)
        });
        let (content, read) = reading.await?;
        self.content = Some(content);
        Ok(read?.into())
    }

    /// SHA-256 of what was written, in hexadecimal.
    ///
    /// # Errors
    /// As [`Staged::write`].
    pub async fn digest(&mut self) -> Result<String, ObjectsError> {
        self.flush().await?;
        let content = self.content.as_ref().ok_or_else(lost)?;
        Ok(content.digest.clone().finish())
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Makes its content durable, all of which was written; answers the file.
    pub(super) fn sync(&self) -> Result<&File, ObjectsError> {
        let content = self.content.as_ref().ok_or_else(lost)?;
        content.file.sync_all()?;
        Ok(&content.file)
    }
}

/// Up to `length` bytes from `offset`; fewer at the end.
pub(super) fn read_at(file: &File, offset: u64, length: usize) -> io::Result<Vec<u8>> {
    let mut read = vec![0; length];
    let mut filled = 0;
    while let Some(rest) = read.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        let at = offset.saturating_add(u64::try_from(filled).unwrap_or(u64::MAX));
        match file.read_at(rest, at) {
            Ok(0) => break,
            Ok(more) => filled += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
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

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use futures_util::FutureExt;

    use super::*;

    /// A runtime whose one thread for what blocks is busy until something is sent.
    fn busy() -> (tokio::runtime::Runtime, mpsc::Sender<()>) {
        let runtime = tokio::runtime::Builder::new_current_thread().max_blocking_threads(1).build().unwrap();
        let (release, released) = mpsc::channel();
        runtime.spawn_blocking(move || released.recv());
        (runtime, release)
    }

    #[test]
    fn more_is_gathered_while_a_piece_is_written_and_no_more_than_one_piece() {
        let here = tempfile::tempdir().unwrap();
        let tree = Arc::new(Tree::open(&here.path().join("files")).unwrap());
        let (runtime, release) = busy();
        let _inside = runtime.enter();
        let mut staged = Staged::create(tree, "staged".to_owned()).unwrap();
        let content: Vec<u8> = (0..2 * BUFFER + 5).map(|byte| u8::try_from(byte % 251).unwrap()).collect();
        let (first, rest) = content.split_at(2 * BUFFER - 1);
        staged.write(first).now_or_never().expect("nothing is waited for").unwrap();
        assert!(staged.write(&rest[..1]).now_or_never().is_none(), "a third piece has to wait for the first");
        release.send(()).unwrap();
        runtime.block_on(async {
            staged.write(&rest[1..]).await.unwrap();
            assert_eq!(staged.size(), content.len() as u64);
            assert_eq!(staged.digest().await.unwrap(), ContentDigest::of(&content));
            assert!(staged.read(0, content.len() + 1).await.unwrap() == content, "all of it, in order");
        });
    }

    #[test]
    fn what_could_not_be_written_is_told_and_nothing_is_made_of_it() {
        let here = tempfile::tempdir().unwrap();
        let tree = Arc::new(Tree::open(&here.path().join("files")).unwrap());
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut staged = Staged::create(Arc::clone(&tree), "staged".to_owned()).unwrap();
            // Open to be read alone: every write to it fails.
            let content = staged.content.as_mut().unwrap();
            content.file = File::open(here.path().join("files/.incoming/staged")).unwrap();
            staged.write(&vec![0; BUFFER]).await.unwrap();
            assert!(staged.write(&vec![0; BUFFER]).await.is_err(), "that of the first piece");
            assert!(staged.digest().await.is_err() && staged.read(0, 1).await.is_err());
            assert!(staged.flush().await.is_err() && staged.sync().is_err());
        });
    }
}
