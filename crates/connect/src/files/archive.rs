//! The list of an archive's parts, measured before a library makes room for it.
//!
//! The library holds a few hundred bytes for each part, and makes room for as many as the end of an archive announces, if the file has 46
//! bytes for each: a file of a hundred megabytes would take most of the memory that there is. It looks at every place that may be an end,
//! from the last one back, so all of them are looked at here.
//!
//! Source: PKWARE, "APPNOTE.TXT", sections 4.3.14 to 4.3.16.

use std::cell::Cell;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::rc::Rc;

use zip::ZipArchive;

use super::cells::Rationed;
use super::excel::{failed, too_large};
use super::spool::{Positioned, Spooled, broken};
use crate::error::SourceError;

/// Parts of a workbook at most.
const PARTS: u64 = 20_000;
/// Bytes of the list of them, as often as the library reads it: each has names and comments of its own.
const LIST: usize = 16 << 20;

/// Bytes of the end, without the comment behind it, which has as many as two bytes can say.
const END: usize = 22;
const COMMENT: u64 = u16::MAX as u64;
const END_MARK: &[u8] = b"PK\x05\x06";
/// The end of archives with more than two bytes can say: its own, and where that is.
const LONG_END: usize = 56;
const LONG_END_MARK: &[u8] = b"PK\x06\x06";
const LOCATOR: usize = 20;
const LOCATOR_MARK: &[u8] = b"PK\x06\x07";

/// An archive that is being read.
pub(super) type Archive = ZipArchive<Rationed<BufReader<Positioned>>>;

/// Opens an archive whose list is no larger than can be held.
pub(super) fn open(file: &Spooled) -> Result<Archive, SourceError> {
    measure(file)?;
    let left = Rc::new(Cell::new(LIST));
    // What the library asks for is counted, not what is buffered for it.
    let input = Rationed { input: BufReader::new(file.reader()?), left: Rc::clone(&left) };
    let archive = match ZipArchive::new(input) {
        Ok(archive) => archive,
        Err(_) if left.get() == 0 => return Err(too_large()),
        Err(error) => return Err(failed(error)),
    };
    // The parts are counted as they are unpacked.
    left.set(usize::MAX);
    Ok(archive)
}

/// Refuses an archive of which any end announces more parts than are read.
fn measure(file: &Spooled) -> Result<(), SourceError> {
    let long = (END + LOCATOR + LONG_END) as u64;
    let start = file.size.saturating_sub(COMMENT + long);
    let mut reader = file.reader()?;
    reader.seek(SeekFrom::Start(start)).map_err(broken)?;
    let mut tail = Vec::new();
    reader.take(COMMENT + long).read_to_end(&mut tail).map_err(broken)?;
    for at in places(&tail, END_MARK) {
        // What is cut off is no end.
        if let Some(end) = tail.get(at..at + END) {
            check(&tail, at, end, start)?;
        }
    }
    Ok(())
}

/// Looks at one end. Where there is a long one besides, it must be directly before its locator: the library would search for it.
fn check(tail: &[u8], at: usize, end: &[u8], start: u64) -> Result<(), SourceError> {
    let parts = number(end, 8, 2).max(number(end, 10, 2));
    let locator = at.checked_sub(LOCATOR).and_then(|from| tail.get(from..at));
    let is_long = number(end, 10, 2) == 0xffff
        || number(end, 12, 4) == 0xffff_ffff
        || number(end, 16, 4) == 0xffff_ffff;
    let Some(locator) = locator.filter(|locator| is_long && locator.starts_with(LOCATOR_MARK)) else {
        return if parts > PARTS { Err(too_large()) } else { Ok(()) };
    };
    let from = at.checked_sub(LOCATOR + LONG_END);
    let Some((from, long)) = from.and_then(|from| Some((from, tail.get(from..at - LOCATOR)?))) else {
        return Err(failed("the end of the archive has no room for what it says"));
    };
    let is_there = number(locator, 8, 8) == start + from as u64;
    if !is_there
        || !long.starts_with(LONG_END_MARK)
        || places(tail.get(from..at).unwrap_or_default(), LONG_END_MARK).count() > 1
    {
        return Err(failed("the end of the archive is not where it is said to be"));
    }
    if number(long, 24, 8).max(number(long, 32, 8)) > PARTS { Err(too_large()) } else { Ok(()) }
}

/// Where a mark stands.
fn places<'a>(bytes: &'a [u8], mark: &'a [u8]) -> impl Iterator<Item = usize> + 'a {
    bytes.windows(mark.len()).enumerate().filter(move |(_, found)| *found == mark).map(|(at, _)| at)
}

/// A number of some bytes, the lowest first.
fn number(bytes: &[u8], at: usize, length: usize) -> u64 {
    let bytes = bytes.get(at..at + length).unwrap_or_default();
    bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use zip::write::SimpleFileOptions;

    use super::*;

    fn spooled(bytes: &[u8]) -> Spooled {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        Spooled::of(file, "x".to_owned()).unwrap()
    }

    fn archive(parts: usize) -> Vec<u8> {
        let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        for part in 0..parts {
            archive
                .start_file(format!("xl/worksheets/sheet{part}.xml"), SimpleFileOptions::default())
                .unwrap();
        }
        archive.finish().unwrap().into_inner()
    }

    fn refused(bytes: &[u8]) -> String {
        open(&spooled(bytes)).map(drop).unwrap_err().message
    }

    /// The archive with another end: of a long one, which says that there are so many parts.
    fn announcing(parts: u64, mut bytes: Vec<u8>) -> Vec<u8> {
        let end = bytes.split_off(bytes.len() - END);
        let place = bytes.len() as u64;
        let mut long = [LONG_END_MARK, &44_u64.to_le_bytes(), &[45, 0, 45, 0], &[0; 8]].concat();
        long.extend([parts, parts, number(&end, 12, 4), number(&end, 16, 4)].map(u64::to_le_bytes).concat());
        let locator = [LOCATOR_MARK, &[0; 4], &place.to_le_bytes(), &[1, 0, 0, 0]].concat();
        let short = [END_MARK, &[0; 4], &[255; 12], &[0; 2]].concat();
        [bytes, long, locator, short].concat()
    }

    #[test]
    fn archives_of_any_form_are_opened() {
        assert_eq!(open(&spooled(&archive(3))).unwrap().len(), 3);
        assert_eq!(open(&spooled(&announcing(3, archive(3)))).unwrap().len(), 3);
        let mut commented = archive(1);
        let length = commented.len();
        commented[length - 2..].copy_from_slice(&5_u16.to_le_bytes());
        commented.extend(b"hello");
        assert_eq!(open(&spooled(&commented)).unwrap().len(), 1);
        for garbage in [&b""[..], b"hello", b"PK\x05\x06", b"PK\x03\x04"] {
            assert!(refused(garbage).contains("broken"), "{garbage:?}");
        }
    }

    // Room for what is announced would be made at once.
    #[test]
    fn archives_that_announce_more_parts_than_are_read_are_refused() {
        assert!(refused(&announcing(1 << 40, archive(2))).contains("too large"));
        assert!(refused(&announcing(30_000, archive(2))).contains("too large"));
        let mut many = archive(1);
        let at = many.len() - END;
        many[at + 8..at + 12].copy_from_slice(&[0x50, 0xc3, 0x50, 0xc3]);
        assert!(refused(&many).contains("too large"));
        // An end before the last one, which the library tries when that is none.
        let mut two = many.clone();
        two.extend([END_MARK, &[0; 16], &[9, 9]].concat());
        assert!(refused(&two).contains("too large"));
        // A long end somewhere else.
        let mut moved = announcing(3, archive(3));
        let at = moved.len() - END - LOCATOR + 8;
        moved[at] = moved[at].wrapping_sub(1);
        assert!(refused(&moved).contains("broken"));
    }

    #[test]
    fn names_and_comments_of_parts_have_an_end_together() {
        let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        for part in 0..300 {
            let name = format!("{part}{}", "a".repeat(60_000));
            archive.start_file(name, SimpleFileOptions::default()).unwrap();
        }
        let bytes = archive.finish().unwrap().into_inner();
        assert!(refused(&bytes).contains("too large"));
    }
}
