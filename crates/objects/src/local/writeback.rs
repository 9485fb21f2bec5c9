//! Has what was written reach the disk while more comes.

use std::fs::File;

/// Bytes after which the disk begins with them. By measurement, from 2 to 16 MiB make no difference.
const STEP: u64 = 4 * 1024 * 1024;

/// How far a file is written from its beginning, and how much of that the disk was given.
///
/// This makes nothing durable. It leaves less to wait for to the `fsync` that does, which also finds what could not be written.
#[derive(Debug, Default)]
pub(super) struct Writeback {
    written: u64,
    begun: u64,
}

impl Writeback {
    /// So many bytes more were written at the end of a file.
    pub(super) fn wrote(&mut self, file: &File, bytes: usize) {
        self.written = self.written.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
        let since = self.written.saturating_sub(self.begun);
        if since >= STEP {
            begin(file, self.begun, since);
            self.begun = self.written;
        }
    }
}

/// Linux begins to write out what is said to be needed no more, and waits for nothing. It drops from memory what is on the disk already:
/// of bytes written just now, next to none.
#[cfg(target_os = "linux")]
fn begin(file: &File, from: u64, bytes: u64) {
    use std::num::NonZeroU64;

    use rustix::fs::{Advice, fadvise};

    if let Err(error) = fadvise(file, from, NonZeroU64::new(bytes), Advice::DontNeed) {
        tracing::debug!(%error, "the file system takes no advice; all is written when a file is stored");
    }
}

#[cfg(not(target_os = "linux"))]
fn begin(_: &File, _: u64, _: u64) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_disk_begins_step_by_step_and_with_each_byte_once() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(3 * STEP).unwrap();
        let (mut writeback, piece) = (Writeback::default(), usize::try_from(STEP / 4 * 3).unwrap());
        let begun: Vec<u64> = (0..4)
            .map(|_| {
                writeback.wrote(&file, piece);
                writeback.begun
            })
            .collect();
        assert_eq!(begun, [0, STEP / 4 * 6, STEP / 4 * 6, 3 * STEP]);
    }
}
