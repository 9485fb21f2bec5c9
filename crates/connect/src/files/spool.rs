//! The bytes of a source's file, in a file of this machine.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::disk::{self, DiskBudget, ReservedDisk, TemporaryFile};
use crate::error::{ErrorCode, SourceError};
use crate::registry::SourceType;
use crate::settings::{FileContent, Settings};

/// The schema that files are in.
pub(crate) const SCHEMA: &str = "main";

/// Bytes of a file at most.
const LARGEST: u64 = 1 << 30;
const CHUNK: u64 = 4 << 20;

/// A file that can be read again and again; a temporary one is gone when this is.
#[derive(Debug)]
pub(crate) struct Spooled {
    file: File,
    /// What its one table is called.
    pub(crate) table: String,
    pub(crate) size: u64,
    /// Whether it is a copy of this process's own, without a name: what was read of it once is read of it again.
    pub(crate) is_own: bool,
    /// Whether nobody waits for what is read of it.
    stop: Arc<AtomicBool>,
    /// What it has of the disk, if it is a copy.
    reserved: ReservedDisk,
}

/// Ends all reading of a file when it is dropped, unless it is kept: a thread that reads cannot be stopped otherwise, and one that
/// unpacks what unpacks to gigabytes would be busy long after its time.
#[derive(Debug)]
pub(crate) struct StopReading(Arc<AtomicBool>);

impl StopReading {
    /// The file is read on.
    pub(crate) fn keep(mut self) {
        self.0 = Arc::default();
    }
}

impl Drop for StopReading {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Spooled {
    /// Opens the file of a source, or copies it.
    pub(crate) async fn fetch(settings: &Settings) -> Result<Self, SourceError> {
        let Some(source) = &settings.file else {
            return Err(SourceError::new(ErrorCode::FileNotFound, "The data source has no file."));
        };
        let (file, is_own, reserved) = match &source.content {
            FileContent::Local(path) => {
                // Readers of Parquet look at a file once, and then believe what they saw.
                let (path, copy) = (path.clone(), settings.kind == SourceType::Parquet);
                let reserved = settings.disk.reservation();
                let opened = super::blocking(move || {
                    let file = File::open(path).map_err(not_found)?;
                    if copy { own_copy(file, reserved) } else { Ok((file, false, reserved)) }
                });
                opened.await?
            }
            FileContent::Remote(bytes) => {
                let (file, reserved) = copied(bytes.as_ref(), &settings.disk).await?.into_parts();
                (file, true, reserved)
            }
        };
        let metadata = file.metadata().map_err(not_found)?;
        if !metadata.is_file() {
            return Err(SourceError::new(ErrorCode::FileNotFound, "The data source's file is not a file."));
        }
        let checked = Self::checked(file, &source.name, metadata.len())?;
        Ok(Self { is_own, reserved, ..checked })
    }

    /// A file that was written here.
    pub(crate) fn of(file: File, table: String) -> Result<Self, SourceError> {
        let size = file.metadata().map_err(broken)?.len();
        let reserved = ReservedDisk::default();
        Ok(Self { file, table, size, is_own: true, stop: Arc::default(), reserved })
    }

    /// The same of one whose bytes were reserved.
    pub(crate) fn written(file: TemporaryFile, table: String) -> Result<Self, SourceError> {
        let (file, reserved) = file.into_parts();
        Ok(Self { reserved, ..Self::of(file, table)? })
    }

    fn checked(file: File, name: &str, size: u64) -> Result<Self, SourceError> {
        if size > LARGEST {
            return Err(SourceError::query(format!("The file is larger than {LARGEST} bytes.")));
        }
        let reserved = ReservedDisk::default();
        Ok(Self { file, table: table_name(name), size, is_own: false, stop: Arc::default(), reserved })
    }

    /// The file again, at its start. Each reader has a handle of its own, whose position is nobody else's.
    pub(crate) fn reader(&self) -> Result<Positioned, SourceError> {
        let file = self.file.try_clone().map_err(broken)?;
        Ok(Positioned { file, at: 0, size: self.size, stop: Arc::clone(&self.stop) })
    }

    /// What ends all reading of it, by readers that there are and will be.
    pub(crate) fn stop_reading(&self) -> StopReading {
        StopReading(Arc::clone(&self.stop))
    }

    /// Disk for other bytes of the same table.
    pub(crate) fn more_disk(&self) -> ReservedDisk {
        self.reserved.another()
    }

    /// The same table out of other bytes, such as decoded ones.
    pub(crate) fn replaced(&self, file: File, reserved: ReservedDisk) -> Result<Self, SourceError> {
        let size = file.metadata().map_err(broken)?.len();
        let (table, stop) = (self.table.clone(), Arc::clone(&self.stop));
        Ok(Self { file, table, size, is_own: true, stop, reserved })
    }
}

async fn copied(
    bytes: &dyn crate::settings::FileBytes,
    disk: &DiskBudget,
) -> Result<TemporaryFile, SourceError> {
    let size = bytes.size().await.map_err(not_found)?;
    if size > LARGEST {
        return Err(SourceError::query(format!("The file is larger than {LARGEST} bytes.")));
    }
    let mut file = TemporaryFile::new(disk.reservation()).map_err(broken)?;
    let mut at = 0;
    while at < size {
        let end = (at + CHUNK).min(size);
        let chunk = bytes.read(at..end).await.map_err(not_found)?;
        if chunk.is_empty() {
            return Err(SourceError::query("The file ended before its end."));
        }
        at += chunk.len() as u64;
        file = super::briefly(move || file.write_all(&chunk).map(|()| file).map_err(broken)).await?;
    }
    Ok(file)
}

/// A file as a copy of this process's own. What is refused anyway is not copied.
fn own_copy(file: File, reserved: ReservedDisk) -> Result<(File, bool, ReservedDisk), SourceError> {
    let metadata = file.metadata().map_err(not_found)?;
    if !metadata.is_file() || metadata.len() > LARGEST {
        return Ok((file, false, reserved));
    }
    let mut copy = TemporaryFile::new(reserved).map_err(broken)?;
    io::copy(&mut file.take(LARGEST), &mut copy).map_err(broken)?;
    let (copy, reserved) = copy.into_parts();
    Ok((copy, true, reserved))
}

fn not_found(error: io::Error) -> SourceError {
    let known = match error.kind() {
        io::ErrorKind::NotFound => {
            SourceError::new(ErrorCode::FileNotFound, "The data source's file does not exist.")
        }
        _ => SourceError::connection("The data source's file cannot be fetched."),
    };
    known.with_detail(error)
}

pub(crate) fn broken(error: io::Error) -> SourceError {
    match disk::own(&error) {
        Some(ours) => ours,
        // Nothing that is read alone says so.
        None if disk::is_full(&error) => disk::refused(&error),
        None => SourceError::query("The file cannot be read.").with_detail(error),
    }
}

/// The name without folders and ending.
fn table_name(name: &str) -> String {
    let base = name.rsplit(['/', '\\']).next().unwrap_or(name);
    let stem = base.rsplit_once('.').map_or(base, |(stem, _)| stem);
    let stem: String = stem.chars().filter(|c| !c.is_control()).take(200).collect();
    if stem.trim().is_empty() { "data".to_owned() } else { stem }
}

/// A file that has a path, for libraries that open files themselves.
pub(crate) enum NamedFile {
    Own(std::path::PathBuf),
    Copy { file: tempfile::NamedTempFile, _reserved: ReservedDisk },
}

impl NamedFile {
    /// The file of a source where it is, or a copy that is gone with this.
    pub(crate) async fn fetch(settings: &Settings) -> Result<Self, SourceError> {
        let spooled = Spooled::fetch(settings).await?;
        match settings.file.as_ref().map(|file| &file.content) {
            Some(FileContent::Local(path)) => Ok(Self::Own(path.clone())),
            _ => {
                super::blocking(move || {
                    let mut reserved = spooled.more_disk();
                    reserved.grow_to(spooled.size)?;
                    let mut file = tempfile::NamedTempFile::new().map_err(|error| disk::refused(&error))?;
                    io::copy(&mut spooled.reader()?, &mut file).map_err(broken)?;
                    Ok(Self::Copy { file, _reserved: reserved })
                })
                .await
            }
        }
    }

    pub(crate) fn path(&self) -> &std::path::Path {
        match self {
            Self::Own(path) => path,
            Self::Copy { file, .. } => file.path(),
        }
    }
}

/// A reader with a position of its own over a shared handle.
#[derive(Debug)]
pub(crate) struct Positioned {
    file: File,
    at: u64,
    size: u64,
    stop: Arc<AtomicBool>,
}

impl Read for Positioned {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.stop.load(Ordering::Relaxed) {
            return Err(io::Error::other("nobody waits for it any more"));
        }
        let read = std::os::unix::fs::FileExt::read_at(&self.file, buffer, self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

impl Seek for Positioned {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.size.checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = at.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        Ok(self.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spooled() -> Spooled {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"abc").unwrap();
        Spooled::of(file, "x".to_owned()).unwrap()
    }

    #[test]
    fn reading_ends_when_nobody_waits_for_it() {
        let file = spooled();
        let stop = file.stop_reading();
        let mut reader = file.reader().unwrap();
        let decoded = file.replaced(tempfile::tempfile().unwrap(), file.more_disk()).unwrap();
        let mut byte = [0];
        reader.read_exact(&mut byte).unwrap();
        drop(stop);
        assert!(reader.read_exact(&mut byte).is_err());
        assert!(file.reader().unwrap().read(&mut byte).is_err());
        assert!(decoded.reader().unwrap().read(&mut byte).is_err(), "what was decoded of it, too");
    }

    #[test]
    fn a_full_disk_is_told_from_a_file_that_cannot_be_read() {
        let full = broken(io::ErrorKind::StorageFull.into());
        assert!(full.message.contains("cannot write its temporary files"), "{full:?}");
        assert_eq!(broken(io::ErrorKind::InvalidData.into()).message, "The file cannot be read.");
    }

    #[test]
    fn a_file_that_is_kept_is_read_on() {
        let file = spooled();
        file.stop_reading().keep();
        let mut text = String::new();
        file.reader().unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, "abc");
    }
}
