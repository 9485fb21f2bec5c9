//! OpenDocument spreadsheets, measured before they are read.
//!
//! Cells, rows and blanks say how often they repeat, so a line of text can stand for more than the machine has. The library that
//! reads them holds all of it, and looks at how much that is when it is too late.

use std::io::{BufReader, Read};

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use super::excel::{failed, too_large};
use crate::error::SourceError;

/// Cells of a sheet from its first row to its last one with a value.
const CELLS: u64 = 6 << 20;
/// Bytes of all cells, as often as they repeat.
const BYTES: u64 = 256 << 20;
/// What a cell costs besides its text.
const CELL: u64 = 64;
/// More of them than a sheet has are none.
const ROWS: u64 = 1 << 20;
const COLUMNS: u64 = 1 << 14;

/// A cell that is being read.
struct Cell {
    repeats: u64,
    has_value: bool,
    begins: u64,
    blanks: u64,
}

#[derive(Default)]
struct Measure {
    bytes: u64,
    /// Tables inside of one another.
    depth: u32,
    rows: u64,
    widest: u64,
    row_repeats: u64,
    column: u64,
    filled: u64,
    open: Vec<Cell>,
}

/// How often something repeats.
fn repeats(start: &BytesStart<'_>, name: &str, most: u64) -> u64 {
    let mut attributes = start.attributes();
    let found = attributes.with_checks(false).flatten().find(|attribute| attribute.key.0 == name);
    found.map_or(1, |attribute| attribute.value.trim().parse().unwrap_or(most)).min(most)
}

fn has_value(start: &BytesStart<'_>) -> bool {
    let mut attributes = start.attributes();
    attributes.with_checks(false).flatten().any(|attribute| {
        let name = attribute.key.0;
        name == "table:formula" || name.starts_with("office:") || name.starts_with("calcext:")
    })
}

impl Measure {
    fn start(&mut self, start: &BytesStart<'_>, place: u64) -> Result<(), SourceError> {
        match start.name().0 {
            "table:table" => {
                self.depth += 1;
                if self.depth == 1 {
                    (self.rows, self.widest) = (0, 0);
                }
            }
            "table:table-row" => {
                self.row_repeats = repeats(start, "table:number-rows-repeated", ROWS);
                (self.column, self.filled) = (0, 0);
            }
            "table:table-cell" | "table:covered-table-cell" => {
                if self.open.len() >= 64 {
                    return Err(too_large());
                }
                let repeats = repeats(start, "table:number-columns-repeated", COLUMNS);
                self.open.push(Cell { repeats, has_value: has_value(start), begins: place, blanks: 0 });
            }
            "text:s" => {
                let blanks = repeats(start, "text:c", BYTES);
                if let Some(cell) = self.open.last_mut() {
                    cell.blanks = cell.blanks.saturating_add(blanks);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn end(&mut self, name: &str, place: u64) -> Result<(), SourceError> {
        match name {
            "table:table" => self.depth = self.depth.saturating_sub(1),
            "table:table-cell" | "table:covered-table-cell" => {
                let Some(cell) = self.open.pop() else { return Ok(()) };
                self.column = self.column.saturating_add(cell.repeats).min(COLUMNS);
                if cell.has_value {
                    let text = place.saturating_sub(cell.begins).saturating_add(cell.blanks);
                    let all = cell.repeats.saturating_mul(self.row_repeats).saturating_mul(CELL + text);
                    let between = (self.column - self.filled.min(self.column)) * CELL;
                    self.bytes = self.bytes.saturating_add(all).saturating_add(between);
                    self.filled = self.column;
                    self.widest = self.widest.max(self.column);
                }
            }
            "table:table-row" => {
                self.rows = self.rows.saturating_add(self.row_repeats).min(ROWS);
                if self.filled > 0 && self.rows * self.widest > CELLS {
                    return Err(too_large());
                }
            }
            _ => {}
        }
        if self.bytes > BYTES { Err(too_large()) } else { Ok(()) }
    }
}

/// Refuses a spreadsheet whose cells, as often as they repeat, are more than can be read.
pub(super) fn measure(content: impl Read) -> Result<(), SourceError> {
    let mut reader = Reader::from_reader(BufReader::new(content));
    let config = reader.config_mut();
    config.check_end_names = false;
    config.check_comments = false;
    config.expand_empty_elements = true;
    let mut buffer = Vec::new();
    let mut measure = Measure::default();
    loop {
        buffer.clear();
        // A value may stand in the mark itself, as an attribute: it counts from where that begins.
        let before = reader.buffer_position();
        let event = reader.read_event_into(&mut buffer).map_err(failed)?;
        let place = reader.buffer_position();
        match event {
            Event::Start(start) => measure.start(&start, before)?,
            Event::End(end) => measure.end(end.name().0, place)?,
            Event::Eof => return Ok(()),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sheet(rows: &str) -> String {
        format!("<office:spreadsheet><table:table>{rows}</table:table></office:spreadsheet>")
    }

    const VALUE: &str = "office:value-type=\"string\"";

    #[test]
    fn usual_sheets_are_read() {
        let filler = "<table:table-row table:number-rows-repeated=\"1048000\"><table:table-cell \
            table:number-columns-repeated=\"16384\"/></table:table-row>";
        let row = format!(
            "<table:table-row><table:table-cell {VALUE}><text:p>a<text:s text:c=\"3\"/>b</text:p></table:table-cell>\
             <table:table-cell table:number-columns-repeated=\"16383\"/></table:table-row>"
        );
        assert!(measure(sheet(&format!("{row}{filler}")).as_bytes()).is_ok());
        let two = sheet(&format!("{row}{filler}</table:table><table:table>{row}{filler}"));
        assert!(measure(two.as_bytes()).is_ok());
    }

    #[test]
    fn what_repeats_too_often_is_refused() {
        let wide = format!(
            "<table:table-row><table:table-cell {VALUE} table:number-columns-repeated=\"16384\"><text:p>a</text:p>\
             </table:table-cell></table:table-row>"
        );
        let tall = format!(
            "<table:table-row table:number-rows-repeated=\"1048576\"><table:table-cell {VALUE}><text:p>aaaaaaaaaaaa\
             aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\
             aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\
             </text:p></table:table-cell></table:table-row>"
        );
        let far = format!(
            "<table:table-row><table:table-cell table:number-columns-repeated=\"16383\"/><table:table-cell {VALUE}/>\
             </table:table-row><table:table-row table:number-rows-repeated=\"1000000\"/>\
             <table:table-row><table:table-cell {VALUE}/></table:table-row>"
        );
        let blank = format!(
            "<table:table-row><table:table-cell {VALUE}><text:p><text:s text:c=\"9999999999\"/></text:p>\
             </table:table-cell></table:table-row>"
        );
        let attribute = |name: &str| {
            format!(
                "<table:table-row><table:table-cell {VALUE} {name}=\"{}\" table:number-columns-repeated=\"16384\"/></table:table-row>",
                "a".repeat(20_000)
            )
        };
        let [value, formula] = ["office:string-value", "table:formula"].map(attribute);
        for rows in [wide.repeat(500), tall, far, blank, value, formula] {
            let error = measure(sheet(&rows).as_bytes()).unwrap_err();
            assert!(error.message.contains("too large"), "{}", error.message);
        }
    }
}
