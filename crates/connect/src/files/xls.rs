//! Workbooks of Excel 97 to 2003, measured before they are read.
//!
//! The library that reads them takes memory for what a sheet claims to be, and for every cell between two that are far apart: a
//! workbook of a kilobyte can ask for more than the machine has, which ends the process. So the records are counted first, and the
//! library is given a container that holds nothing but the stream that was counted.

use std::io::{Read, Write};

use super::excel::{WHOLE, failed, too_large};
use super::spool::{Spooled, broken};
use crate::disk;
use crate::error::SourceError;

/// Cells of all sheets together, with those between that are empty.
const CELLS: u64 = 6 << 20;
/// Cells that one sheet may claim: as many as Excel 97 has.
const CLAIMED: u64 = 65_536 * 256;
/// Sheets, and records that are looked at: sheets may share theirs.
const SHEETS: usize = 1_000;
const RECORDS: u64 = 50_000_000;

/// Bytes of the texts and formulas of all cells, each as often as it is referred to.
const BYTES: u64 = 256 << 20;

const BOF: u16 = 0x0809;
const EOF: u16 = 0x000a;
/// The records behind it are encrypted.
const FILE_PASS: u16 = 0x002f;
const BOUND_SHEET: u16 = 0x0085;
const DIMENSIONS: u16 = 0x0200;
const MUL_RK: u16 = 0x00bd;
/// Texts that cells refer to, and what does not fit into one record.
const SHARED: u16 = 0x00fc;
const CONTINUE: u16 = 0x003c;
/// A cell that refers to one of them.
const SHARED_LABEL: u16 = 0x00fd;
/// A name for a formula.
const NAME: u16 = 0x0018;
/// Number, label, text with runs, boolean or error, RK, shared label, formula.
const CELL: [u16; 7] = [0x0203, 0x0204, 0x00d6, 0x0205, 0x027e, 0x00fd, 0x0006];

/// The workbook in a container of its own, if its sheets are no larger than can be read.
pub(super) fn repacked(file: &Spooled) -> Result<Spooled, SourceError> {
    let mut book = cfb::CompoundFile::open(file.reader()?).map_err(failed)?;
    let name = ["/Workbook", "/Book"].into_iter().find(|name| book.is_stream(name));
    let name = name.ok_or_else(|| failed("no workbook inside"))?;
    let mut stream = Vec::new();
    book.open_stream(name).map_err(failed)?.take(WHOLE).read_to_end(&mut stream).map_err(failed)?;
    measure(&stream)?;
    let mut reserved = file.more_disk();
    reserved.grow_to(stream.len() as u64)?;
    let container = tempfile::tempfile().map_err(|error| disk::refused(&error))?;
    // The version that these workbooks have: the library takes one of version 4 without small streams for empty.
    let mut container =
        cfb::CompoundFile::create_with_version(cfb::Version::V3, container).map_err(broken)?;
    let mut into = container.create_stream(name).map_err(broken)?;
    into.write_all(&stream).and_then(|()| into.flush()).map_err(broken)?;
    drop(into);
    container.flush().map_err(broken)?;
    file.replaced(container.into_inner(), reserved)
}

/// A record: what it is, and what it holds.
type Record<'a> = (u16, &'a [u8]);

/// The records from a place on; they end where the stream does, or where one is cut off.
fn records(stream: &[u8], from: usize) -> impl Iterator<Item = Record<'_>> {
    let mut rest = stream.get(from..).unwrap_or_default();
    std::iter::from_fn(move || {
        let (kind, length) = (number(rest, 0)?, number(rest, 2)?);
        let end = 4 + usize::from(length);
        let data = rest.get(4..end)?;
        rest = rest.get(end..)?;
        Some((kind, data))
    })
}

fn number(data: &[u8], at: usize) -> Option<u16> {
    data.get(at..at + 2).and_then(|pair| pair.try_into().ok()).map(u16::from_le_bytes)
}

fn long(data: &[u8], at: usize) -> Option<u32> {
    data.get(at..at + 4).and_then(|four| four.try_into().ok()).map(u32::from_le_bytes)
}

/// Refuses a workbook whose sheets are too large, as they claim or as they are.
fn measure(stream: &[u8]) -> Result<(), SourceError> {
    let mut left = RECORDS;
    let mut counted = |record: &Record<'_>| {
        left = left.checked_sub(1).ok_or_else(too_large)?;
        Ok::<_, SourceError>(record.0)
    };
    let mut sheets = Vec::new();
    let mut weights = Weights::default();
    for record in records(stream, 0) {
        match counted(&record)? {
            EOF => break,
            FILE_PASS => return Err(failed("it is encrypted")),
            BOUND_SHEET => {
                sheets.extend(long(record.1, 0));
                weights.name(record.1.get(6));
            }
            NAME => weights.name(record.1.get(3)),
            _ => {}
        }
    }
    if sheets.len() > SHEETS {
        return Err(too_large());
    }
    weights.texts = shared_texts(stream)?;
    let (mut cells, mut bytes) = (0, 0_u64);
    for place in sheets {
        let mut extent = Extent::default();
        // Charts and macros inside of a sheet begin and end as it does.
        let (mut is_begun, mut depth) = (false, 0_u32);
        for record in records(stream, usize::try_from(place).unwrap_or(usize::MAX)) {
            match counted(&record)? {
                BOF if is_begun => depth += 1,
                BOF => is_begun = true,
                EOF if depth == 0 => break,
                EOF => depth -= 1,
                _ if depth > 0 => {}
                _ => {
                    extent.take(&record)?;
                    bytes = bytes.saturating_add(weights.of(&record));
                }
            }
            if bytes > BYTES {
                return Err(too_large());
            }
        }
        cells += extent.cells();
        if cells > CELLS {
            return Err(too_large());
        }
    }
    Ok(())
}

/// What cells cost that are no more than a reference in the file.
#[derive(Default)]
struct Weights {
    /// Bytes of each text.
    texts: Vec<u32>,
    /// Characters of the longest name that a formula may refer to.
    name: u64,
}

impl Weights {
    fn name(&mut self, length: Option<&u8>) {
        self.name = self.name.max(length.copied().unwrap_or_default().into());
    }

    /// Bytes that the library makes of a record. It holds those of all sheets at once, and several may share theirs.
    fn of(&self, (kind, data): &Record<'_>) -> u64 {
        let length = data.len() as u64;
        // Room is made for as many characters as are announced.
        let announced = |at: usize| number(data, at).map_or(length, |count| length.max(count.into()));
        match *kind {
            SHARED_LABEL => {
                let text = long(data, 6).and_then(|index| self.texts.get(usize::try_from(index).ok()?));
                text.copied().unwrap_or_default().into()
            }
            0x0204 | 0x00d6 => announced(6),
            0x0207 => announced(0),
            // A reference to a name has five bytes.
            0x0006 => length * (self.name / 5 + 2),
            _ => 0,
        }
    }
}

/// How many bytes each of the texts has that cells refer to; of several lists the last holds. Ends where the library refuses the list.
fn shared_texts(stream: &[u8]) -> Result<Vec<u32>, SourceError> {
    let mut texts = Vec::new();
    let mut parts: Vec<&[u8]> = Vec::new();
    for (kind, data) in records(stream, 0) {
        match kind {
            SHARED => parts = vec![data],
            CONTINUE if !parts.is_empty() => parts.push(data),
            _ if !parts.is_empty() => {
                texts = Parts::of(&parts).texts()?;
                parts.clear();
            }
            _ => {}
        }
        if kind == EOF {
            break;
        }
    }
    if parts.is_empty() { Ok(texts) } else { Parts::of(&parts).texts() }
}

/// A list of texts in several records.
struct Parts<'a> {
    data: &'a [u8],
    rest: std::slice::Iter<'a, &'a [u8]>,
}

impl<'a> Parts<'a> {
    fn of(parts: &'a [&'a [u8]]) -> Self {
        let mut rest = parts.iter();
        let first = rest.next().copied().unwrap_or_default();
        // How many there are is not believed.
        Self { data: first.get(8..).unwrap_or_default(), rest }
    }

    fn texts(mut self) -> Result<Vec<u32>, SourceError> {
        let mut texts = Vec::new();
        while !self.data.is_empty() || self.advance().is_some() {
            let Some(bytes) = self.text() else { break };
            texts.push(bytes);
            if texts.len() as u64 > CELLS {
                return Err(too_large());
            }
        }
        Ok(texts)
    }

    fn advance(&mut self) -> Option<()> {
        self.data = self.rest.next()?;
        Some(())
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.data.split_at_checked(length)?;
        self.data = rest;
        Some(taken)
    }

    fn skip(&mut self, mut length: usize) -> Option<()> {
        while length > 0 {
            if self.data.is_empty() {
                self.advance()?;
            }
            let skipped = length.min(self.data.len());
            self.take(skipped)?;
            length -= skipped;
        }
        Some(())
    }

    /// The bytes of the next text (MS-XLS 2.5.293); none where the library refuses it.
    fn text(&mut self) -> Option<u32> {
        if self.data.is_empty() {
            return Some(0);
        }
        let head = self.take(3)?;
        let (mut left, flags) = (usize::from(number(head, 0)?), *head.get(2)?);
        let runs = if flags & 8 == 0 { 0 } else { usize::from(number(self.take(2)?, 0)?) };
        let more = if flags & 4 == 0 { 0 } else { usize::try_from(long(self.take(4)?, 0)?).ok()? };
        let (mut width, mut bytes) = (1 + usize::from(flags & 1), 0);
        while left > 0 {
            let here = left.min(self.data.len() / width);
            self.take(here * width)?;
            bytes += here * width;
            left -= here;
            if left > 0 {
                self.advance()?;
                width = 1 + usize::from(self.take(1)?.first()? & 1);
            }
        }
        self.skip(runs * 4)?;
        self.skip(more)?;
        u32::try_from(bytes).ok()
    }
}

/// The cells that a sheet has values in: the first and last row, and the first and last column.
#[derive(Default)]
struct Extent(Option<[u16; 4]>);

impl Extent {
    fn take(&mut self, (kind, data): &Record<'_>) -> Result<(), SourceError> {
        if *kind == DIMENSIONS {
            return if claimed(data) > CLAIMED { Err(too_large()) } else { Ok(()) };
        }
        if !CELL.contains(kind) && *kind != MUL_RK {
            return Ok(());
        }
        // What is too short for a cell, the library refuses.
        let (Some(row), Some(first)) = (number(data, 0), number(data, 2)) else { return Ok(()) };
        let last = match *kind {
            MUL_RK => data.len().checked_sub(2).and_then(|at| number(data, at)).unwrap_or(first),
            _ => first,
        };
        let (first, last) = (first.min(last), first.max(last));
        let [top, bottom, left, right] = self.0.unwrap_or([row, row, first, last]);
        self.0 = Some([top.min(row), bottom.max(row), left.min(first), right.max(last)]);
        Ok(())
    }

    fn cells(&self) -> u64 {
        let Some([top, bottom, left, right]) = self.0 else { return 0 };
        (u64::from(bottom - top) + 1) * (u64::from(right - left) + 1)
    }
}

/// How many cells a sheet says that it has: from the first row to the one behind the last, and the same of columns.
/// What ends before it begins counts as endless: the library subtracts one from the other.
fn claimed(data: &[u8]) -> u64 {
    let wide = data.len() >= 14;
    let row = |at: usize| if wide { long(data, at * 2) } else { number(data, at).map(u32::from) };
    let columns = if wide { 8 } else { 4 };
    let parts = (row(0), row(2), number(data, columns), number(data, columns + 2));
    // What is too short, the library refuses.
    let (Some(top), Some(bottom), Some(left), Some(right)) = parts else { return 0 };
    // Columns that cannot be begin at the first one.
    let left = if left > 0xff || right < left { 0 } else { left };
    if bottom == 0 || right == 0 {
        return 0;
    }
    let rows = bottom.checked_sub(top).map_or(u64::MAX, u64::from);
    rows.saturating_mul(u64::from(right - left).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(kind: u16, data: &[u8]) -> Vec<u8> {
        let mut record = kind.to_le_bytes().to_vec();
        record.extend(u16::try_from(data.len()).unwrap().to_le_bytes());
        record.extend(data);
        record
    }

    fn cell(row: u16, column: u16) -> Vec<u8> {
        let mut data = [row.to_le_bytes(), column.to_le_bytes()].concat();
        data.extend([0; 10]);
        record(0x0203, &data)
    }

    /// A workbook of one sheet.
    fn book(sheet: &[Vec<u8>]) -> Vec<u8> {
        let bound =
            |place: u32| record(BOUND_SHEET, &[place.to_le_bytes().as_slice(), &[0, 0, 1, 0, b'a']].concat());
        let globals = |place| [record(BOF, &[0, 6, 5, 0]), bound(place), record(EOF, &[])].concat();
        let place = u32::try_from(globals(0).len()).unwrap();
        [globals(place), record(BOF, &[0, 6, 16, 0]), sheet.concat(), record(EOF, &[])].concat()
    }

    #[test]
    fn usual_sheets_are_read() {
        assert!(measure(&book(&[])).is_ok());
        assert!(measure(&book(&[cell(0, 0), cell(65_535, 9)])).is_ok());
        let whole = [0_u16, 0xffff, 0, 256, 0].map(u16::to_le_bytes).concat();
        assert!(measure(&book(&[record(DIMENSIONS, &whole), cell(0, 0)])).is_ok());
        assert!(measure(b"garbage").is_ok(), "the library says why");
    }

    /// A workbook with texts in records of their own, and sheets that are all in the same place.
    fn shared(texts: &[Vec<u8>], sheets: usize, cells: &[Vec<u8>]) -> Vec<u8> {
        let mut head = record(BOF, &[0, 6, 5, 0]);
        for (at, text) in texts.iter().enumerate() {
            let kind = if at == 0 { SHARED } else { CONTINUE };
            head.extend(record(kind, text));
        }
        let bound =
            |place: u32| record(BOUND_SHEET, &[place.to_le_bytes().as_slice(), &[0, 0, 1, 0, b'a']].concat());
        let length = head.len() + sheets * bound(0).len() + record(EOF, &[]).len();
        let place = u32::try_from(length).unwrap();
        let bounds: Vec<u8> = (0..sheets).flat_map(|_| bound(place)).collect();
        [head, bounds, record(EOF, &[]), record(BOF, &[0, 6, 16, 0]), cells.concat(), record(EOF, &[])]
            .concat()
    }

    /// A text of a byte for each character, as the first of a list.
    fn long_text(characters: u16) -> Vec<u8> {
        let mut text = vec![0; 8];
        text.extend(characters.to_le_bytes());
        text.push(0);
        text.resize(text.len() + usize::from(characters), b'a');
        text
    }

    fn label(row: u16, index: u32) -> Vec<u8> {
        let data = [&row.to_le_bytes()[..], &[0; 4], &index.to_le_bytes()].concat();
        record(SHARED_LABEL, &data)
    }

    #[test]
    fn texts_are_counted_as_often_as_cells_refer_to_them() {
        let labels: Vec<Vec<u8>> = (0..10_000).map(|row| label(row, 0)).collect();
        // 300 megabytes out of 180 kilobytes.
        let refused = measure(&shared(&[long_text(30_000)], 1, &labels)).unwrap_err();
        assert!(refused.message.contains("too large"), "{}", refused.message);
        assert!(measure(&shared(&[long_text(3_000)], 1, &labels)).is_ok());
        // The same sheet under many names.
        assert!(measure(&shared(&[long_text(3_000)], 10, &labels)).is_err());
        // Of which only the first text is long.
        let mut two = long_text(30_000);
        two.extend([1, 0, 0, b'b']);
        let others: Vec<Vec<u8>> = (0..10_000).map(|row| label(row, 1)).collect();
        assert!(measure(&shared(&[two], 1, &others)).is_ok());
        let endless: Vec<Vec<u8>> = (0..9_000)
            .map(|row: u16| record(0x0204, &[&row.to_le_bytes()[..], &[0; 4], &[255, 255, 0]].concat()))
            .collect();
        assert!(measure(&shared(&[], 1, &endless)).is_err(), "room is made for what is announced");
    }

    #[test]
    fn texts_go_on_in_the_next_record() {
        let mut first = long_text(3);
        // Five letters of two bytes, cut behind the second; with a run and something else behind it.
        first.extend([5, 0, 0b1101, 1, 0, 2, 0, 0, 0, b'a', 0, b'b', 0]);
        let second = [&[0_u8][..], b"cde", &[0; 4], &[0; 2], &[1, 0, 0, b'x']].concat();
        let stream = shared(&[first, second], 0, &[]);
        assert_eq!(shared_texts(&stream).unwrap(), [3, 7, 1]);
        assert_eq!(shared_texts(b"garbage").unwrap(), [0_u32; 0]);
        assert_eq!(shared_texts(&shared(&[vec![0; 8], vec![9, 0, 0, b'a']], 0, &[])).unwrap(), [0_u32; 0]);
    }

    #[test]
    fn sheets_that_ask_for_more_than_there_is_are_refused() {
        let refused = |sheet: &[Vec<u8>]| {
            let error = measure(&book(sheet)).unwrap_err();
            assert!(error.message.contains("too large"), "{}", error.message);
        };
        refused(&[cell(0, 0), cell(65_535, 65_535)]);
        let narrow = [0_u16, 0xffff, 0, 0xffff, 0].map(u16::to_le_bytes).concat();
        refused(&[record(DIMENSIONS, &narrow)]);
        let wide = [[0; 4], u32::MAX.to_le_bytes(), [0, 0, 255, 255], [0; 4]].concat();
        refused(&[record(DIMENSIONS, &wide[..14])]);
        let backwards = [9_u16, 3, 0, 2, 0].map(u16::to_le_bytes).concat();
        refused(&[record(DIMENSIONS, &backwards)]);
        // Behind a chart.
        refused(&[record(BOF, &[]), record(EOF, &[]), cell(0, 0), cell(65_535, 65_535)]);
        let row = [[0, 0], [0, 0], [255, 255]].concat();
        refused(&[record(MUL_RK, &row), cell(65_535, 0)]);
    }
}
