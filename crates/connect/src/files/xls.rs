//! Workbooks of Excel 97 to 2003, measured before they are read.
//!
//! The library that reads them takes memory for what a sheet claims to be, and for every cell between two that are far apart: a
//! workbook of a kilobyte can ask for more than the machine has, which ends the process. So the records are counted first, and the
//! library is given a container that holds nothing but the stream that was counted.

use std::io::{Read, Write};

use super::excel::{WHOLE, failed, too_large};
use super::spool::{Spooled, broken};
use crate::error::SourceError;

/// Cells of all sheets together, with those between that are empty.
const CELLS: u64 = 6 << 20;
/// Cells that one sheet may claim: as many as Excel 97 has.
const CLAIMED: u64 = 65_536 * 256;
/// Sheets, and records that are looked at: sheets may share theirs.
const SHEETS: usize = 1_000;
const RECORDS: u64 = 50_000_000;

const BOF: u16 = 0x0809;
const EOF: u16 = 0x000a;
/// The records behind it are encrypted.
const FILE_PASS: u16 = 0x002f;
const BOUND_SHEET: u16 = 0x0085;
const DIMENSIONS: u16 = 0x0200;
const MUL_RK: u16 = 0x00bd;
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
    let container = tempfile::tempfile().map_err(broken)?;
    // The version that these workbooks have: the library takes one of version 4 without small streams for empty.
    let mut container =
        cfb::CompoundFile::create_with_version(cfb::Version::V3, container).map_err(broken)?;
    let mut into = container.create_stream(name).map_err(broken)?;
    into.write_all(&stream).and_then(|()| into.flush()).map_err(broken)?;
    drop(into);
    container.flush().map_err(broken)?;
    file.replaced(container.into_inner())
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
    for record in records(stream, 0) {
        match counted(&record)? {
            EOF => break,
            FILE_PASS => return Err(failed("it is encrypted")),
            BOUND_SHEET => sheets.extend(long(record.1, 0)),
            _ => {}
        }
    }
    if sheets.len() > SHEETS {
        return Err(too_large());
    }
    let mut cells = 0;
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
                _ => extent.take(&record)?,
            }
        }
        cells += extent.cells();
        if cells > CELLS {
            return Err(too_large());
        }
    }
    Ok(())
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
