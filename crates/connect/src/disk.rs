//! Disk for temporary files: copies of files, and rows that are fetched.
//!
//! Each has an end of its own, and there may be any number of them: what those of one owner have together, and those of all owners, has an
//! end, too.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::SourceError;

/// Bytes that are reserved at once.
const STEP: u64 = 1 << 20;

/// Bytes of disk that temporary files may have together. A clone is the same budget; the default has no end.
#[derive(Clone, Debug, Default)]
pub struct DiskBudget(Option<Arc<Share>>);

#[derive(Debug)]
struct Share {
    most: u64,
    taken: AtomicU64,
    /// What this is a part of.
    whole: DiskBudget,
}

impl DiskBudget {
    /// So many bytes.
    pub fn of(most: u64) -> Self {
        Self::default().part(most)
    }

    /// A part of this one, of so many bytes at most.
    pub fn part(&self, most: u64) -> Self {
        Self(Some(Arc::new(Share { most, taken: AtomicU64::new(0), whole: self.clone() })))
    }

    /// Bytes that files have now.
    pub fn taken(&self) -> u64 {
        self.0.as_ref().map_or(0, |share| share.taken.load(Ordering::Relaxed))
    }

    /// Nothing of it yet.
    pub(crate) fn reservation(&self) -> ReservedDisk {
        ReservedDisk { budget: self.clone(), bytes: 0 }
    }

    fn take(&self, bytes: u64) -> bool {
        let Some(share) = &self.0 else { return true };
        let fits = |taken: u64| taken.checked_add(bytes).filter(|sum| *sum <= share.most);
        if share.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).is_err() {
            return false;
        }
        let is_taken = share.whole.take(bytes);
        if !is_taken {
            share.taken.fetch_sub(bytes, Ordering::Relaxed);
        }
        is_taken
    }

    fn give_back(&self, bytes: u64) {
        if let Some(share) = &self.0 {
            share.taken.fetch_sub(bytes, Ordering::Relaxed);
            share.whole.give_back(bytes);
        }
    }
}

/// What a file has of a budget, until this is dropped.
#[derive(Debug, Default)]
pub(crate) struct ReservedDisk {
    budget: DiskBudget,
    bytes: u64,
}

impl ReservedDisk {
    /// Nothing yet, of the same budget.
    pub(crate) fn another(&self) -> Self {
        self.budget.reservation()
    }

    /// Takes more, so that these are so many bytes at least.
    pub(crate) fn grow_to(&mut self, bytes: u64) -> Result<(), SourceError> {
        let more = bytes.saturating_sub(self.bytes);
        if more > 0 && !self.budget.take(more) {
            return Err(SourceError::local_disk(
                "This server has no room for more copies of files and rows of the organization's data sources. Try again when fewer of \
                 them are read.",
            ));
        }
        self.bytes += more;
        Ok(())
    }
}

impl Drop for ReservedDisk {
    fn drop(&mut self) {
        self.budget.give_back(self.bytes);
    }
}

/// A file without a name, whose bytes are reserved before they are written.
#[derive(Debug)]
pub(crate) struct TemporaryFile {
    file: File,
    reserved: ReservedDisk,
    bytes: u64,
}

impl TemporaryFile {
    pub(crate) fn new(reserved: ReservedDisk) -> io::Result<Self> {
        Self::within(&std::env::temp_dir(), reserved)
    }

    fn within(directory: &Path, reserved: ReservedDisk) -> io::Result<Self> {
        let file = tempfile::tempfile_in(directory).map_err(|error| io::Error::other(refused(&error)))?;
        Ok(Self { file, reserved, bytes: 0 })
    }

    /// The file, and what it has.
    pub(crate) fn into_parts(self) -> (File, ReservedDisk) {
        (self.file, self.reserved)
    }
}

impl Write for TemporaryFile {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let length = u64::try_from(buffer.len()).unwrap_or(u64::MAX);
        let wanted = self.bytes.saturating_add(length).checked_next_multiple_of(STEP).unwrap_or(u64::MAX);
        self.reserved.grow_to(wanted).map_err(io::Error::other)?;
        let written = self.file.write(buffer).map_err(|error| match error.kind() {
            // It is tried again.
            io::ErrorKind::Interrupted => error,
            _ => io::Error::other(refused(&error)),
        })?;
        self.bytes = self.bytes.saturating_add(u64::try_from(written).unwrap_or(u64::MAX));
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// What is answered where this machine does not take a temporary file. Its operator is told why, and where.
pub(crate) fn refused(error: &io::Error) -> SourceError {
    let directory = std::env::temp_dir();
    let directory = directory.display();
    tracing::error!(
        %directory,
        %error,
        "temporary files cannot be written, so that data sources cannot be read: free space there, or name another directory in TMPDIR"
    );
    SourceError::local_disk(
        "This server cannot write its temporary files: their directory is full, or cannot be used. Its operator can correct that.",
    )
    .with_detail(format!("{directory}: {error}"))
}

/// Whether an error is that a disk takes no more.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// The error of ours inside of one of a file, if there is one.
pub(crate) fn own(error: &io::Error) -> Option<SourceError> {
    error.get_ref()?.downcast_ref::<SourceError>().cloned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_that_takes_no_file_is_no_fault_of_the_source() {
        let error = TemporaryFile::within(Path::new("/nowhere"), ReservedDisk::default()).unwrap_err();
        let told = own(&error).unwrap();
        assert!(told.message.contains("cannot write its temporary files"), "{told:?}");
        assert_eq!(told.code, crate::ErrorCode::LocalDisk);
        assert!(told.detail.contains("No such file or directory"), "{told:?}");

        let file = File::options().write(true).open("/dev/full").unwrap();
        let mut full = TemporaryFile { file, reserved: ReservedDisk::default(), bytes: 0 };
        let error = full.write_all(b"x").unwrap_err();
        assert!(own(&error).unwrap().detail.contains("No space left on device"), "{error:?}");
    }

    #[test]
    fn files_have_what_there_is_and_give_it_back() {
        let all = DiskBudget::of(3 * STEP);
        let [one, other] = [all.part(2 * STEP), all.part(2 * STEP)];
        let mut first = TemporaryFile::new(one.reservation()).unwrap();
        first.write_all(&[1; 10]).unwrap();
        assert_eq!((one.taken(), all.taken()), (STEP, STEP));
        first.write_all(&vec![1; usize::try_from(STEP).unwrap()]).unwrap();
        assert_eq!((one.taken(), all.taken()), (2 * STEP, 2 * STEP));
        let error = first.write_all(&vec![1; usize::try_from(STEP).unwrap()]).unwrap_err();
        assert!(own(&error).unwrap().message.contains("no room"));
        // The part of the other has room, and the whole has one piece.
        let mut second = TemporaryFile::new(other.reservation()).unwrap();
        second.write_all(&[1; 10]).unwrap();
        let mut third = TemporaryFile::new(other.reservation()).unwrap();
        assert!(third.write_all(&[1; 10]).is_err());
        assert_eq!((other.taken(), all.taken()), (STEP, 3 * STEP));
        let (_file, reserved) = first.into_parts();
        drop((second, third));
        assert_eq!((one.taken(), other.taken(), all.taken()), (2 * STEP, 0, 2 * STEP));
        drop(reserved);
        assert_eq!((one.taken(), all.taken()), (0, 0));
        assert!(TemporaryFile::new(ReservedDisk::default()).unwrap().write_all(&[1; 10]).is_ok());
    }
}
