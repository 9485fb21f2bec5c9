//! Rows that do not fit into memory, on the disk of the server.
//!
//! What is written there crossed a barrier before: a leaf has no operator that spills. It is rows of people all the same, so that a file has
//! no name from the moment it is made. It is gone with its last handle, when the query ends, and with the process, however that ends.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use bytes::Bytes;
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::spill_file::{SpillFile, SpillWriter, TempFileFactory};
use futures_util::{Stream, stream};

use crate::error::{Carried, QueryError};
use crate::pool::{LEFT_TO_SMALL, SMALL};

/// The directory in the one that the operator names. It is emptied, so that nothing but the server may write to it.
const OWN: &str = "tidegate-spill";

/// Files of one query at once: each is an open file of the process.
pub(crate) const MOST_FILES: usize = 256;

/// Files that are merged at once. More take more memory, fewer more passes.
const MERGED_AT_ONCE: usize = 8;

/// Bytes that are read at once.
const CHUNK: usize = 128 << 10;

/// The disk that all queries may use.
#[derive(Debug)]
pub(crate) struct ServerDisk {
    directory: Option<PathBuf>,
    used: AtomicU64,
    limit: u64,
}

impl ServerDisk {
    /// Below the directory that the operator named. Without one, nothing spills.
    pub(crate) fn new(parent: Option<&Path>, limit: u64) -> Arc<Self> {
        let directory = parent.map(spill_directory_in);
        Arc::new(Self { directory, used: AtomicU64::new(0), limit })
    }

    /// Whether queries may spill at all.
    pub(crate) const fn is_there(&self) -> bool {
        self.directory.is_some() && self.limit > 0
    }

    /// Bytes that queries keep there now.
    pub(crate) fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// What all may use together for a query that uses so much to use more: see [`crate::pool::ServerMemory`].
    fn limit_for(&self, uses: u64, of_query: u64) -> u64 {
        if uses <= self.limit / SMALL as u64 {
            return self.limit;
        }
        self.limit - (self.limit / LEFT_TO_SMALL as u64).min(self.limit.saturating_sub(of_query))
    }

    /// Makes the directory, for this user alone, and removes what is in it: what a process left behind that was killed between the making
    /// of a file and the removal of its name, where the file system cannot make files without one.
    ///
    /// # Errors
    ///
    /// When it cannot be used.
    pub(crate) fn prepare(&self) -> io::Result<()> {
        let Some(directory) = &self.directory else { return Ok(()) };
        private(directory)?;
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            // Of a link the link is removed, not what it points to.
            let removed = match entry.file_type()?.is_dir() {
                true => fs::remove_dir_all(entry.path()),
                false => fs::remove_file(entry.path()),
            };
            match removed {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        self.file().map(drop)
    }

    /// What gives the operators of one query their files.
    pub(crate) fn of_query(self: &Arc<Self>, limit: u64) -> DiskManagerBuilder {
        let mode = match limit.min(self.limit) {
            0 => DiskManagerMode::Disabled,
            _ if self.directory.is_none() => DiskManagerMode::Disabled,
            _ => {
                let server = Arc::clone(self);
                let disk = QueryDisk { server, limit, used: AtomicU64::new(0), files: AtomicUsize::new(0) };
                DiskManagerMode::Custom(Arc::new(Files(Arc::new(disk))))
            }
        };
        DiskManagerBuilder::default()
            .with_mode(mode)
            .with_max_temp_directory_size(limit)
            .with_max_spill_merge_fan_in(MERGED_AT_ONCE)
    }

    /// What the operating system said, and where, is for the operator.
    fn unusable(&self, error: &io::Error) -> QueryError {
        let directory = self.directory.as_deref().unwrap_or(Path::new("")).display();
        tracing::error!(
            %directory,
            %error,
            "queries cannot use the disk: free space there, or name another directory in data.queries.spill_directory"
        );
        QueryError::too_big(
            "The query needs the server's disk, which is full or cannot be used at the moment. Its operator can correct that.",
        )
    }

    /// A file without a name.
    fn file(&self) -> io::Result<File> {
        let directory = self.directory.as_ref().ok_or(ErrorKind::NotFound)?;
        // Again for each file: what tidies up directories may have removed this one.
        private(directory)?;
        tempfile::tempfile_in(directory)
    }
}

/// The directory below it that is for queries alone.
pub fn spill_directory_in(parent: &Path) -> PathBuf {
    parent.join(OWN)
}

/// Whether queries may use the disk below a directory: what a start would refuse, told beforehand. It is not made if it is not there, and
/// nothing in it is changed.
///
/// # Errors
///
/// Why they may not.
pub fn check_spill_directory(parent: &Path) -> io::Result<()> {
    if !fs::metadata(parent)?.is_dir() {
        return Err(ErrorKind::NotADirectory.into());
    }
    let own = spill_directory_in(parent);
    let place = match fs::symlink_metadata(&own) {
        Ok(found) if found.is_dir() => own.as_path(),
        Ok(_) => return Err(ErrorKind::NotADirectory.into()),
        Err(error) if error.kind() == ErrorKind::NotFound => parent,
        Err(error) => return Err(error),
    };
    tempfile::tempfile_in(place).map(drop)
}

/// Makes a directory that this user alone reads and writes.
fn private(directory: &Path) -> io::Result<()> {
    match fs::symlink_metadata(directory) {
        Ok(found) if found.is_dir() => {}
        Ok(_) => return Err(ErrorKind::NotADirectory.into()),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        }
        Err(error) => return Err(error),
    }
    // Refused where the directory is somebody else's.
    fs::set_permissions(directory, Permissions::from_mode(0o700))
}

/// What one query has there.
struct QueryDisk {
    server: Arc<ServerDisk>,
    limit: u64,
    used: AtomicU64,
    files: AtomicUsize,
}

impl QueryDisk {
    /// Counts bytes before they are written.
    fn take(&self, more: u64) -> Result<(), QueryError> {
        if !take(&self.used, more, self.limit) {
            return Err(too_much());
        }
        let most = self.server.limit_for(self.used.load(Ordering::Relaxed), self.limit);
        if !take(&self.server.used, more, most) {
            self.used.fetch_sub(more, Ordering::Relaxed);
            return Err(QueryError::too_big(
                "Queries use all the disk space that there is for them. Try again later.",
            ));
        }
        Ok(())
    }

    fn give_back(&self, less: u64) {
        self.used.fetch_sub(less, Ordering::Relaxed);
        self.server.used.fetch_sub(less, Ordering::Relaxed);
    }
}

fn too_much() -> QueryError {
    QueryError::too_big("The query needs more disk space than it may use.")
}

fn take(used: &AtomicU64, more: u64, limit: u64) -> bool {
    used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
        used.checked_add(more).filter(|sum| *sum <= limit)
    })
    .is_ok()
}

/// Makes files of one query.
struct Files(Arc<QueryDisk>);

impl TempFileFactory for Files {
    fn create_temp_file(&self, _: &str) -> Result<Arc<dyn SpillFile>> {
        let disk = &self.0;
        if disk.files.fetch_add(1, Ordering::Relaxed) >= MOST_FILES {
            disk.files.fetch_sub(1, Ordering::Relaxed);
            return Err(too_much().into());
        }
        match disk.server.file() {
            Ok(file) => {
                let written = Written { file, size: AtomicU64::new(0), disk: Arc::clone(disk) };
                Ok(Arc::new(Spilled(Arc::new(written))))
            }
            Err(error) => {
                disk.files.fetch_sub(1, Ordering::Relaxed);
                Err(disk.server.unusable(&error).into())
            }
        }
    }
}

/// A file, and what of it is counted.
struct Written {
    file: File,
    size: AtomicU64,
    disk: Arc<QueryDisk>,
}

impl Written {
    /// What is at that place, independently of who else reads or writes; nothing at the end.
    fn read(&self, at: u64) -> io::Result<Bytes> {
        let mut chunk = vec![0; CHUNK];
        let read = loop {
            match self.file.read_at(&mut chunk, at) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                read => break read?,
            }
        };
        chunk.truncate(read);
        Ok(chunk.into())
    }
}

impl Drop for Written {
    fn drop(&mut self) {
        self.disk.give_back(*self.size.get_mut());
        self.disk.files.fetch_sub(1, Ordering::Relaxed);
    }
}

struct Spilled(Arc<Written>);

impl SpillFile for Spilled {
    fn size(&self) -> Option<u64> {
        Some(self.0.size.load(Ordering::Relaxed))
    }

    fn read_stream(&self) -> Result<Pin<Box<dyn Stream<Item = Result<Bytes>> + Send>>> {
        let start = (Arc::clone(&self.0), 0_u64);
        Ok(Box::pin(stream::try_unfold(start, |(written, at)| async move {
            let reading = Arc::clone(&written);
            let chunk = tokio::task::spawn_blocking(move || reading.read(at)).await;
            let chunk = chunk.map_err(|_| DataFusionError::from(QueryError::cancelled()))?;
            let unusable = |error: io::Error| DataFusionError::from(written.disk.server.unusable(&error));
            let chunk = chunk.map_err(unusable)?;
            let next = at + chunk.len() as u64;
            Ok::<_, DataFusionError>((!chunk.is_empty()).then_some((chunk, (written, next))))
        })))
    }

    fn open_writer(&self) -> Result<Box<dyn SpillWriter>> {
        Ok(Box::new(Writer(Arc::clone(&self.0))))
    }
}

struct Writer(Arc<Written>);

impl Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let more = bytes.len() as u64;
        self.0.disk.take(more).map_err(|error| io::Error::other(Carried(error)))?;
        self.0.size.fetch_add(more, Ordering::Relaxed);
        let written = (&self.0.file).write_all(bytes);
        written.map_err(|error| io::Error::other(Carried(self.0.disk.server.unusable(&error))))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl SpillWriter for Writer {
    fn finish(&mut self) -> Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_query(server: &Arc<ServerDisk>) -> QueryDisk {
        QueryDisk {
            server: Arc::clone(server),
            limit: 800,
            used: AtomicU64::new(0),
            files: AtomicUsize::new(0),
        }
    }

    #[test]
    fn big_queries_leave_a_part_of_the_disk_to_small_ones() {
        let server = ServerDisk::new(None, 3_200);
        let big: Vec<QueryDisk> = (0..4).map(|_| of_query(&server)).collect();
        for one in &big[..3] {
            assert!(one.take(800).is_ok());
        }
        assert!(big[3].take(101).is_err(), "the last quarter is not for them");
        let small = of_query(&server);
        assert!(small.take(100).is_ok() && small.take(1).is_err());
        assert_eq!(server.used(), 2_500);
    }
}
