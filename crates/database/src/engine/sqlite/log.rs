//! The write-ahead log beside a SQLite file, looked at without SQLite (sqlite.org/fileformat2.html, section 4).

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, BufReader, ErrorKind, Read};
use std::path::{Path, PathBuf};

/// What a log begins with. The last bit says in which order of bytes its checksums are made.
const MAGIC: u32 = 0x377f_0682;
const LARGEST_PAGE: u32 = 65_536;
/// Bytes that are read at once: some frames of pages of the usual size.
const READ_AT_ONCE: usize = 64 * 1024;
/// The page of a database with this byte is for locks alone (section 1.5).
const LOCK_BYTE: u64 = 0x4000_0000;

/// Where SQLite keeps a file that belongs to a database: beside the file itself, not beside a link to it.
pub(super) fn beside(database: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(fs::canonicalize(database).unwrap_or_else(|_| database.to_owned()));
    name.push(suffix);
    name.into()
}

/// Whether SQLite would find anything in a log: it reads one up to the first frame that does not verify.
pub(crate) fn has_frames(log: &Path) -> bool {
    Log::begin(log).is_some()
}

/// A log with something in it, as far as it was read. Not more is read of it at once: what is behind may be written meanwhile.
pub(super) struct Log {
    path: PathBuf,
    /// Without a buffer until the database was read: frames that were read before it would be older than what it has.
    file: BufReader<File>,
    head: [u8; 32],
    page_size: u32,
    is_big_endian: bool,
    salts: [u32; 2],
    /// Of all that was read.
    sums: [u32; 2],
    /// The pages that were read.
    pages: BTreeSet<u64>,
    /// How many pages the database has after the last transaction that was read.
    database_pages: u64,
    /// The least and the greatest change counter of the first page, where that was read.
    counters: Option<(u32, u32)>,
}

impl Log {
    /// Reads the first frame. Nothing where SQLite would find nothing.
    pub(super) fn begin(path: &Path) -> Option<Self> {
        let mut log = Self::open(path).ok().flatten()?;
        log.read_frame().unwrap_or(false).then_some(log)
    }

    fn open(path: &Path) -> io::Result<Option<Self>> {
        let mut file = File::open(path)?;
        let mut head = [0; 32];
        file.read_exact(&mut head)?;
        let [[magic, _], [page_size, _], salts, sums] = pairs(&head);
        let is_big_endian = magic & 1 == 1;
        let (summed, _) = head.split_at(24);
        let is_log = magic & !1 == MAGIC && page_size.is_power_of_two() && page_size <= LARGEST_PAGE;
        if !is_log || add_up([0, 0], summed, is_big_endian) != sums {
            return Ok(None);
        }
        Ok(Some(Self {
            path: path.to_owned(),
            file: BufReader::with_capacity(0, file),
            head,
            page_size,
            is_big_endian,
            salts,
            sums,
            pages: BTreeSet::new(),
            database_pages: 0,
            counters: None,
        }))
    }

    /// Whether there was another frame that verifies.
    fn read_frame(&mut self) -> io::Result<bool> {
        let (mut head, mut page) = ([0; 24], Vec::with_capacity(4096));
        match self.file.read_exact(&mut head) {
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(false),
            read => read?,
        }
        (&mut self.file).take(self.page_size.into()).read_to_end(&mut page)?;
        let [[number, database_pages], salts, sums] = pairs(&head);
        let (summed, _) = head.split_at(8);
        let added_up = add_up(add_up(self.sums, summed, self.is_big_endian), &page, self.is_big_endian);
        if salts != self.salts || added_up != sums {
            return Ok(false);
        }
        self.sums = sums;
        self.pages.insert(number.into());
        // The last frame of a transaction has it.
        if database_pages > 0 {
            self.database_pages = database_pages.into();
        }
        if number == 1 {
            let counter = change_counter(&page);
            let (least, greatest) = self.counters.unwrap_or((counter, counter));
            self.counters = Some((least.min(counter), greatest.max(counter)));
        }
        Ok(true)
    }

    /// Whether a database can be the one that this log was begun beside. Where it is, a kill or a loss of power at any moment leaves both so:
    ///
    /// - A page that the database has after the last transaction is in the file or in the log. SQLite begins a log anew only after all
    ///   that was in it is in the file and on the disk.
    /// - Whenever SQLite writes the first page into the log, its change counter is one more than where that connection read it. So the
    ///   counter in the file is the one before the log, which is the least in the log or one less, or it is one that the log has.
    ///
    /// An older copy, or another database, that agrees in both is not told apart.
    ///
    /// # Errors
    /// Those of the system.
    pub(super) fn can_be_of(self, database: &Path) -> io::Result<bool> {
        // Another process may write meanwhile: what it copies into the file until here is in the log that is read after it.
        let mut file = File::open(database)?;
        let mut head = [0; 32];
        file.read_exact(&mut head)?;
        let counter = change_counter(&head);
        let page_size = u64::from(self.page_size);
        let pages_of_file = file.metadata()?.len() / page_size;
        let mut log = Self { file: BufReader::with_capacity(READ_AT_ONCE, self.file.into_inner()), ..self };
        while log.read_frame()? {}
        let counter_fits = log
            .counters
            .is_none_or(|(least, greatest)| (least.saturating_sub(1)..=greatest).contains(&counter));
        let never_written = LOCK_BYTE / page_size + 1;
        let is_whole = (pages_of_file + 1..=log.database_pages)
            .all(|page| page == never_written || log.pages.contains(&page));
        // Where the log was begun anew or removed meanwhile, the file was read beside another one.
        Ok((counter_fits && is_whole) || Self::begin(&log.path).is_none_or(|now| now.head != log.head))
    }
}

/// In the head of a database, which is the begin of its first page (section 1.3.7).
fn change_counter(page: &[u8]) -> u32 {
    let [_, _, _, [counter, _]] = pairs(page);
    counter
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
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode};
    use sqlx::{Connection as _, SqliteConnection};

    use super::*;

    async fn open(path: &Path) -> SqliteConnection {
        let options = SqliteConnectOptions::new().filename(path).create_if_missing(true);
        SqliteConnection::connect_with(&options.journal_mode(SqliteJournalMode::Wal)).await.unwrap()
    }

    async fn run(connection: &mut SqliteConnection, statement: &'static str) {
        sqlx::query(statement).execute(connection).await.unwrap();
    }

    const COPY_ALL: &str = "pragma wal_checkpoint(truncate)";

    /// Whether a log can be of a database, as a kill leaves them.
    fn fits(log: &[u8], database: &[u8]) -> bool {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("b.db");
        fs::write(&path, database).unwrap();
        fs::write(beside(&path, "-wal"), log).unwrap();
        Log::begin(&beside(&path, "-wal")).unwrap().can_be_of(&path).unwrap()
    }

    #[tokio::test]
    async fn a_log_is_not_of_a_copy_that_lacks_pages_which_were_written_before_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.db");
        let (log, database) = (|| fs::read(beside(&path, "-wal")).unwrap(), || fs::read(&path).unwrap());
        let mut connection = open(&path).await;
        run(&mut connection, "create table notes (text blob)").await;
        assert!(fits(&log(), &database()), "all of it is in the log");
        run(&mut connection, COPY_ALL).await;
        let old = database();
        for statement in
            ["insert into notes values ('first')", "insert into notes values (randomblob(100000))"]
        {
            run(&mut connection, statement).await;
            assert!(fits(&log(), &old), "the log has what the copy lacks: {statement}");
        }
        run(&mut connection, "pragma wal_checkpoint(passive)").await;
        assert!(fits(&log(), &database()) && fits(&log(), &old), "it was begun beside both");
        run(&mut connection, COPY_ALL).await;
        run(&mut connection, "insert into notes values ('last')").await;
        assert!(fits(&log(), &database()));
        assert!(!fits(&log(), &old));
    }

    #[tokio::test]
    async fn a_log_is_not_of_a_copy_with_another_change_counter() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.db");
        let (log, database) = (|| fs::read(beside(&path, "-wal")).unwrap(), || fs::read(&path).unwrap());
        let (mut copies, mut logs) = (Vec::new(), Vec::new());
        // Each is written to the first page alone.
        for statement in [
            "pragma user_version = 1",
            "pragma user_version = 2",
            "pragma user_version = 3",
            "pragma user_version = 4",
        ] {
            let mut connection = open(&path).await;
            run(&mut connection, statement).await;
            copies.push(database());
            logs.push(log());
            // Copies the log, as the last one.
            connection.close().await.unwrap();
        }
        for (of_log, log) in logs.iter().enumerate() {
            for (of_copy, copy) in copies.iter().enumerate() {
                // The one after has in it what this log has.
                let expected = of_copy == of_log || of_copy == of_log + 1;
                assert_eq!(fits(log, copy), expected, "log {of_log}, copy {of_copy}");
            }
        }
    }

    #[tokio::test]
    async fn a_log_is_of_its_database_at_any_moment_also_while_it_is_begun_anew() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.db");
        let (mut one, mut other) = (open(&path).await, open(&path).await);
        for connection in [&mut one, &mut other] {
            run(connection, "pragma synchronous = off").await;
            run(connection, "pragma wal_autocheckpoint = 5").await;
        }
        run(&mut one, "create table notes (text blob)").await;
        let written = Arc::new(AtomicBool::new(false));
        let is_written = Arc::clone(&written);
        let looks = std::thread::spawn(move || {
            while !is_written.load(Ordering::SeqCst) {
                if let Some(log) = Log::begin(&beside(&path, "-wal")) {
                    assert!(log.can_be_of(&path).unwrap());
                }
            }
        });
        for _ in 0..200 {
            for connection in [&mut one, &mut other] {
                run(connection, "insert into notes values (randomblob(5000))").await;
            }
        }
        written.store(true, Ordering::SeqCst);
        looks.join().unwrap();
    }

    #[tokio::test]
    async fn what_is_written_after_a_log_was_begun_is_read_after_the_database() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.db");
        let length = || fs::metadata(beside(&path, "-wal")).unwrap().len();
        let (copy, mut one) = ("pragma wal_checkpoint(passive)", open(&path).await);
        for statement in ["pragma user_version = 1", "pragma user_version = 2", copy] {
            run(&mut one, statement).await;
        }
        let before = length();
        run(&mut one, "pragma user_version = 3").await;
        assert_eq!(length(), before, "it is begun anew, with an old frame behind the first");
        let log = Log::begin(&beside(&path, "-wal")).unwrap();
        // Another connection raises the change counter.
        let mut other = open(&path).await;
        for statement in ["pragma user_version = 4", copy] {
            run(&mut other, statement).await;
        }
        assert!(log.can_be_of(&path).unwrap());
    }

    #[tokio::test]
    async fn a_log_has_something_in_it_where_its_first_frame_is_whole() {
        let directory = tempfile::tempdir().unwrap();
        let (path, copy) = (directory.path().join("a.db"), directory.path().join("copy"));
        let log = || beside(&path, "-wal");
        assert!(!has_frames(&log()), "there is none");
        let mut connection = open(&path).await;
        run(&mut connection, "create table notes (text text)").await;
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
        run(&mut connection, COPY_ALL).await;
        assert!(!has_frames(&log()), "all of it is in the database");
    }
}
