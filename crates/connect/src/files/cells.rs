//! Cells of Excel's workbooks, measured before they are read: the library holds each as a whole, however long it is.

use std::cell::Cell;
use std::collections::HashSet;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::rc::Rc;

use quick_xml::Reader;
use quick_xml::events::Event;
use zip::ZipArchive;

use super::excel::{failed, too_large};
use crate::error::SourceError;

/// Bytes of a cell, or of whatever else stands between two marks, at most. Excel's own cells have 32,767 characters.
const CELL: usize = 16 << 20;

/// Reads so many bytes, and no more until it gets more.
pub(super) struct Rationed<R> {
    pub(super) input: R,
    pub(super) left: Rc<Cell<usize>>,
}

impl<R: Read> Read for Rationed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.left.get();
        if left == 0 {
            return Err(io::Error::other("what is held as a whole does not end"));
        }
        let most = buffer.len().min(left);
        let read = self.input.read(buffer.get_mut(..most).unwrap_or_default())?;
        self.left.set(left - read);
        Ok(read)
    }
}

impl<R: Seek> Seek for Rationed<R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.input.seek(to)
    }
}

/// Refuses a workbook with a cell that is too large, in any part that may be a sheet.
pub(super) fn measure<R: Read + Seek>(archive: &mut ZipArchive<R>) -> Result<(), SourceError> {
    let mut named = HashSet::new();
    for index in 0..archive.len() {
        let part = archive.by_index(index).map_err(failed)?;
        let name = part.name().map_err(failed)?.replace('\\', "/").to_ascii_lowercase();
        if name.ends_with("workbook.xml.rels") {
            targets(part, &mut named)?;
        }
    }
    for index in 0..archive.len() {
        let part = archive.by_index(index).map_err(failed)?;
        let name = part.name().map_err(failed)?.replace('\\', "/").to_ascii_lowercase();
        // A sheet may be called as it likes, if the workbook says so.
        let base = name.rsplit('/').next().unwrap_or_default();
        if name.ends_with(".xml") || named.contains(base) {
            cells(part)?;
        }
    }
    Ok(())
}

/// Adds the names, without folders, of the parts that a workbook refers to.
fn targets(part: impl Read, named: &mut HashSet<String>) -> Result<(), SourceError> {
    let mut found = |event: &Event<'_>| {
        let Event::Start(start) = event else { return };
        let mut attributes = start.attributes();
        for attribute in attributes.with_checks(false).flatten().filter(|one| one.key.0 == "Target") {
            let target = attribute.value.replace('\\', "/").to_ascii_lowercase();
            named.extend(target.rsplit('/').next().map(str::to_owned));
        }
    };
    events(part, &mut |event, _| {
        found(event);
        Ok(())
    })
}

fn cells(part: impl Read) -> Result<(), SourceError> {
    let mut inside: Option<usize> = None;
    events(part, &mut |event, bytes| {
        match event {
            Event::Start(start) if start.local_name().as_ref() == "c" => inside = Some(0),
            Event::End(end) if end.local_name().as_ref() == "c" => inside = None,
            _ => {}
        }
        // Formatted text is many pieces.
        if let Some(size) = &mut inside {
            *size = size.saturating_add(bytes);
        }
        if inside.is_some_and(|size| size > CELL) { Err(too_large()) } else { Ok(()) }
    })
}

/// Gives each event of a part to a function, with how many bytes it has. What is no XML ends where the library, which reads it in the
/// same way, ends too.
fn events(
    part: impl Read,
    each: &mut dyn FnMut(&Event<'_>, usize) -> Result<(), SourceError>,
) -> Result<(), SourceError> {
    let left = Rc::new(Cell::new(CELL));
    let mut reader = Reader::from_reader(BufReader::new(Rationed { input: part, left: Rc::clone(&left) }));
    let config = reader.config_mut();
    config.check_end_names = false;
    config.check_comments = false;
    config.expand_empty_elements = true;
    let mut buffer = Vec::new();
    loop {
        left.set(CELL);
        buffer.clear();
        let before = reader.buffer_position();
        let event = match reader.read_event_into(&mut buffer) {
            Ok(Event::Eof) => return Ok(()),
            Ok(event) => event,
            Err(_) if left.get() == 0 => return Err(too_large()),
            Err(_) => return Ok(()),
        };
        let bytes = usize::try_from(reader.buffer_position().saturating_sub(before)).unwrap_or(usize::MAX);
        each(&event, bytes)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A sheet that is made while it is read.
    fn sheet<'a>(piece: &'a [u8], pieces: u64) -> impl Read + 'a {
        let start: &[u8] = b"<worksheet><sheetData><row><c t=\"inlineStr\"><is>";
        let end: &[u8] = b"</is></c></row></sheetData></worksheet>";
        let middle = (0..pieces).map(move |_| piece);
        let parts: Vec<&[u8]> = std::iter::once(start).chain(middle).chain([end]).collect();
        Parts { parts: parts.into_iter(), rest: b"" }
    }

    struct Parts<'a> {
        parts: std::vec::IntoIter<&'a [u8]>,
        rest: &'a [u8],
    }

    impl Read for Parts<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            if self.rest.is_empty() {
                self.rest = self.parts.next().unwrap_or_default();
            }
            self.rest.read(buffer)
        }
    }

    #[test]
    fn a_cell_has_an_end() {
        assert!(cells(sheet(b"<t>a</t>", 1_000)).is_ok());
        // One text of 500 MB, formatted text of many pieces, and one that pretends to end.
        let piece = [b'a'; 4_096];
        assert!(cells(sheet(&piece, 125_000)).unwrap_err().message.contains("too large"));
        let formatted = [&b"<r><t>"[..], &piece[..2_000], b"</t></r>"].concat();
        assert!(cells(sheet(&formatted, 20_000)).unwrap_err().message.contains("too large"));
        let pretends = [&b"<![CDATA[</c>"[..], &piece[..2_000], b"]]>"].concat();
        assert!(cells(sheet(&pretends, 20_000)).unwrap_err().message.contains("too large"));
    }

    #[test]
    fn a_sheet_may_have_any_number_of_cells() {
        let row = [&b"<t/></is></c><c><is><t>"[..], &[b'a'; 3_000], b"</t>"].concat();
        assert!(cells(sheet(&row, 10_000)).is_ok());
    }
}
