//! The write-ahead log beside a SQLite file, looked at without SQLite (sqlite.org/fileformat2.html, section 4).

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// What a log begins with. The last bit says in which order of bytes its checksums are made.
const MAGIC: u32 = 0x377f_0682;
const LARGEST_PAGE: u32 = 65_536;

/// Where SQLite keeps a file that belongs to a database: beside the file itself, not beside a link to it.
pub(super) fn beside(database: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(fs::canonicalize(database).unwrap_or_else(|_| database.to_owned()));
    name.push(suffix);
    name.into()
}

/// Whether SQLite would find anything in a log: it reads one up to the first frame that does not verify.
pub(crate) fn has_frames(log: &Path) -> bool {
    first_frame_verifies(log).unwrap_or(false)
}

fn first_frame_verifies(log: &Path) -> io::Result<bool> {
    let mut file = File::open(log)?;
    let mut head = [0; 32];
    file.read_exact(&mut head)?;
    let [[magic, _], [page_size, _], salts, sums] = pairs(&head);
    let is_big_endian = magic & 1 == 1;
    let (summed, _) = head.split_at(24);
    let is_log = magic & !1 == MAGIC && page_size.is_power_of_two() && page_size <= LARGEST_PAGE;
    if !is_log || add_up([0, 0], summed, is_big_endian) != sums {
        return Ok(false);
    }
    let mut frame = [0; 24];
    file.read_exact(&mut frame)?;
    let mut page = Vec::new();
    file.take(page_size.into()).read_to_end(&mut page)?;
    let [_, salts_of_frame, sums_of_frame] = pairs(&frame);
    let (summed, _) = frame.split_at(8);
    let added_up = add_up(add_up(sums, summed, is_big_endian), &page, is_big_endian);
    Ok(salts_of_frame == salts && added_up == sums_of_frame)
}

/// The first words, two by two.
fn pairs<const N: usize>(bytes: &[u8]) -> [[u32; 2]; N] {
    let mut pairs = [[0; 2]; N];
    for (pair, [one, two]) in pairs.iter_mut().zip(bytes.as_chunks::<4>().0.as_chunks::<2>().0) {
        *pair = [u32::from_be_bytes(*one), u32::from_be_bytes(*two)];
    }
    pairs
}

/// The checksum of what came before, and of these words (section 4.2).
fn add_up(before: [u32; 2], bytes: &[u8], is_big_endian: bool) -> [u32; 2] {
    let word = |four: [u8; 4]| {
        if is_big_endian { u32::from_be_bytes(four) } else { u32::from_le_bytes(four) }
    };
    let [mut left, mut right] = before;
    for [one, two] in bytes.as_chunks::<4>().0.as_chunks::<2>().0 {
        left = left.wrapping_add(word(*one)).wrapping_add(right);
        right = right.wrapping_add(word(*two)).wrapping_add(left);
    }
    [left, right]
}

#[cfg(test)]
mod tests {
    use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode};
    use sqlx::{Connection as _, SqliteConnection};

    use super::*;

    #[tokio::test]
    async fn a_log_has_something_in_it_where_its_first_frame_is_whole() {
        let directory = tempfile::tempdir().unwrap();
        let (path, copy) = (directory.path().join("a.db"), directory.path().join("copy"));
        let log = || beside(&path, "-wal");
        assert!(!has_frames(&log()), "there is none");
        let options = SqliteConnectOptions::new().filename(&path).create_if_missing(true);
        let options = options.journal_mode(SqliteJournalMode::Wal);
        let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
        sqlx::query("create table notes (text text)").execute(&mut connection).await.unwrap();
        let whole = fs::read(log()).unwrap();
        assert!(has_frames(&log()));
        std::os::unix::fs::symlink(&path, directory.path().join("link.db")).unwrap();
        assert!(has_frames(&beside(&directory.path().join("link.db"), "-wal")), "by whatever name");

        let has = |content: &[u8]| {
            fs::write(&copy, content).unwrap();
            has_frames(&copy)
        };
        let one_frame = 32 + 24 + 4096;
        for (length, expected) in
            [(0, false), (31, false), (32, false), (56, false), (one_frame - 1, false), (one_frame, true)]
        {
            assert_eq!(has(&whole[..length]), expected, "{length}");
        }
        // In the head, its checksum, the frame's head, its salts, and its page.
        for place in [0, 12, 16, 24, 35, 40, one_frame - 1] {
            let mut changed = whole.clone();
            changed[place] ^= 0x40;
            assert!(!has(&changed), "{place}");
        }
        sqlx::query("pragma wal_checkpoint(truncate)").execute(&mut connection).await.unwrap();
        assert!(!has_frames(&log()), "all of it is in the database");
    }
}
