//! Delimited text.

use std::io::{BufRead, Read};

use csv_core::{ReadRecordResult, Reader, ReaderBuilder};
use serde::de::IgnoredAny;

use super::commas::{self, Commas};
use super::infer::{self, Inferred, Kind};
use super::other::markup;
use super::spool::{Spooled, broken};
use super::text::Text;
use super::{FileTable, Format, LONGEST_ROW, MOST_COLUMNS, Sink, check_names};
use crate::error::SourceError;
use crate::rows::Cell;
use crate::settings::Settings;

/// Bytes from which the delimiter is guessed, and whether it is JSON.
const SAMPLE: u64 = 64 << 10;
/// Longest value that is told, in characters.
const LONGEST_TOLD: usize = 40;
/// In the order in which a tie is settled.
const DELIMITERS: [u8; 4] = [b',', b';', b'\t', b'|'];

/// A delimited file: its shape, and the kind of each column.
pub(super) struct Csv {
    text: Text,
    dialect: Dialect,
    kinds: Vec<Kind>,
    tables: Vec<FileTable>,
    warning: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Dialect {
    delimiter: u8,
    quote: u8,
    header: bool,
}

impl Dialect {
    fn of(settings: &Settings, text: &Text) -> Result<Self, SourceError> {
        let byte = |name: &str| match settings.option(name)? {
            None => Ok(None),
            Some("\\t" | "tab") => Ok(Some(b'\t')),
            Some(text) => match text.as_bytes() {
                [byte] if byte.is_ascii() && !matches!(byte, b'\r' | b'\n') => Ok(Some(*byte)),
                _ => Err(SourceError::query(format!("metadata.{name} must be one ASCII character."))),
            },
        };
        let quote = byte("quote")?.unwrap_or(b'"');
        let delimiter = match byte("delimiter")? {
            Some(delimiter) => delimiter,
            None => sniff(text, quote)?,
        };
        Ok(Self { delimiter, quote, header: settings.flag("header", true)? })
    }

    fn reader(self) -> Reader {
        ReaderBuilder::new().delimiter(self.delimiter).quote(self.quote).build()
    }
}

/// The delimiter by which most lines of the start have the same number of fields, more than one.
fn sniff(text: &Text, quote: u8) -> Result<u8, SourceError> {
    let mut sample = Vec::new();
    text.reader()?.take(SAMPLE).read_to_end(&mut sample).map_err(broken)?;
    let whole = (sample.len() as u64) < SAMPLE;
    let mut best = (0, b',');
    for delimiter in DELIMITERS {
        let mut widths = Vec::new();
        let mut records = Records::new(Dialect { delimiter, quote, header: false }, sample.as_slice());
        while records.next()? && widths.len() < 200 {
            widths.push(records.len());
        }
        if !whole {
            widths.pop(); // cut
        }
        let Some(first) = widths.first().copied().filter(|width| *width > 1) else { continue };
        let same = widths.iter().filter(|width| **width == first).count();
        let score = same * 1_000 / widths.len().max(1) * 1_000 + first.min(999);
        if score > best.0 {
            best = (score, delimiter);
        }
    }
    Ok(best.1)
}

/// Whether the start of a text is JSON: an array, or objects one after the other.
fn is_json(sample: &[u8]) -> bool {
    if !matches!(sample.trim_ascii_start().first(), Some(b'{' | b'[')) {
        return false;
    }
    let mut values = serde_json::Deserializer::from_slice(sample).into_iter::<IgnoredAny>();
    // The last one may be cut.
    values.all(|value| match value {
        Ok(_) => true,
        Err(error) => error.is_eof(),
    })
}

/// Records whose fields are not as many as those of the header, or of the first record where there is none.
#[derive(Clone, Copy, Debug, Default)]
struct Ragged {
    width: Option<usize>,
    shorter: u64,
    longer: u64,
}

impl Ragged {
    fn count(&mut self, fields: usize) {
        let width = *self.width.get_or_insert(fields);
        self.shorter += u64::from(fields < width);
        self.longer += u64::from(fields > width);
    }

    fn told(self, header: bool) -> Option<String> {
        let records = |count: u64| match count {
            1 => "1 record has".to_owned(),
            count => format!("{count} records have"),
        };
        let (shorter, longer) = (self.shorter, self.longer);
        let differ = match (shorter, longer) {
            (0, 0) => return None,
            (_, 0) => format!("{} fewer fields", records(shorter)),
            (0, _) => format!("{} more fields", records(longer)),
            _ => format!("{} fewer and {} more fields", records(shorter), records(longer)),
        };
        let first = if header { "header" } else { "first record" };
        let missing = (shorter > 0).then_some("what is missing is NULL");
        let more = (longer > 0).then_some("what is more is in columns of its own");
        let read: Vec<&str> = missing.into_iter().chain(more).collect();
        Some(format!("{differ} than the {first}: {}", read.join(", ")))
    }
}

/// What is read, and probably not meant. `unclosed` is the number of a record whose quotation has no end.
fn not_meant(
    text: &Text,
    unclosed: Option<i64>,
    ragged: Option<String>,
) -> Result<Option<String>, SourceError> {
    let mut sample = Vec::new();
    text.reader()?.take(SAMPLE).read_to_end(&mut sample).map_err(broken)?;
    if is_json(&sample) {
        return Ok(Some("the content is JSON: a data source of the type json reads it as that".to_owned()));
    }
    if let Some(content) = markup(&sample) {
        return Ok(Some(content.told()));
    }
    let unclosed = unclosed.map(|record| {
        format!("a quotation in record {record}, the header counted, is never closed: all that follows is in its value")
    });
    Ok(unclosed.or(ragged))
}

/// What a header has that looks like a row: values of the kinds that its columns have, one of them at least no text. Years are names, too.
fn like_a_row(names: &[String], kinds: &[Kind]) -> Option<String> {
    let mut found = None;
    for (name, kind) in names.iter().zip(kinds).filter(|(name, _)| !name.is_empty()) {
        match kind {
            Kind::Unknown | Kind::Text | Kind::Json => {}
            kind if Kind::of_text(name).and(*kind) == Kind::Text => return None,
            _ if name.parse::<u16>().is_ok_and(|year| (1_900..=2_100).contains(&year)) => {}
            _ => found = found.or(Some(name)),
        }
    }
    let value: String = found?.chars().take(LONGEST_TOLD).collect();
    Some(format!(
        "the first record is the header and looks like a row, with {value}: set metadata.header to false if it is one"
    ))
}

/// The records of a reader, one after the other in one buffer.
struct Records<R> {
    input: R,
    reader: Reader,
    output: Vec<u8>,
    ends: Vec<usize>,
    count: usize,
    line: u64,
    /// Whether the end of the text was read.
    ended: bool,
    /// Whether the last record ends within a quotation.
    unclosed: bool,
}

impl<R: BufRead> Records<R> {
    fn new(dialect: Dialect, input: R) -> Self {
        Self {
            input,
            reader: dialect.reader(),
            output: vec![0; 4096],
            ends: vec![0; 64],
            count: 0,
            line: 1,
            ended: false,
            unclosed: false,
        }
    }

    /// Reads the next record; false at the end. Empty lines are none.
    fn next(&mut self) -> Result<bool, SourceError> {
        let (mut written, mut ended) = (0, 0);
        self.line = self.reader.line();
        loop {
            let input = self.input.fill_buf().map_err(broken)?;
            // The end of a text is the end of a line. Within a quotation that is a part of the value.
            let is_end = input.is_empty() && !self.ended;
            let input = if is_end { b"\n".as_slice() } else { input };
            let output = self.output.get_mut(written..).unwrap_or_default();
            let ends = self.ends.get_mut(ended..).unwrap_or_default();
            let (result, read, wrote, fields) = self.reader.read_record(input, output, ends);
            if is_end {
                (self.ended, self.unclosed) = (read > 0, wrote > 0);
            } else {
                self.input.consume(read);
            }
            written += wrote;
            ended += fields;
            match result {
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::OutputFull if self.output.len() < LONGEST_ROW => {
                    self.output.resize(self.output.len() * 2, 0);
                }
                ReadRecordResult::OutputFull => {
                    let line = self.line;
                    return Err(SourceError::query(format!(
                        "The record at line {line} is longer than {LONGEST_ROW} bytes; a quotation may not be closed."
                    )));
                }
                ReadRecordResult::OutputEndsFull if self.ends.len() <= MOST_COLUMNS => {
                    self.ends.resize(self.ends.len() * 2, 0);
                }
                ReadRecordResult::OutputEndsFull => {
                    let line = self.line;
                    return Err(SourceError::query(format!(
                        "The record at line {line} has more than {MOST_COLUMNS} fields."
                    )));
                }
                ReadRecordResult::Record => {
                    if self.unclosed
                        && let Some(end) = ended.checked_sub(1).and_then(|last| self.ends.get_mut(last))
                    {
                        // Without the end of the text.
                        *end = end.saturating_sub(1);
                    }
                    self.count = ended;
                    return Ok(true);
                }
                ReadRecordResult::End => return Ok(false),
            }
        }
    }

    fn len(&self) -> usize {
        self.count
    }

    /// A field of the present record; empty where the record has fewer.
    fn field(&self, index: usize) -> Result<&str, SourceError> {
        if index >= self.count {
            return Ok("");
        }
        let from = index.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or(0);
        let to = self.ends.get(index).copied().unwrap_or(from);
        std::str::from_utf8(self.output.get(from..to).unwrap_or_default()).map_err(|_| {
            SourceError::query(format!(
                "The record at line {} is not in the encoding of the file.",
                self.line
            ))
        })
    }
}

impl Csv {
    pub(super) fn inspect(settings: &Settings, file: Spooled) -> Result<Self, SourceError> {
        let text = Text::of(Some(settings), file)?;
        let dialect = Dialect::of(settings, &text)?;
        let mut records = Records::new(dialect, text.reader()?);
        let mut names = Vec::new();
        if dialect.header && records.next()? {
            for index in 0..records.len() {
                names.push(records.field(index)?.trim().to_owned());
            }
        }
        let mut columns = vec![Inferred::default(); names.len()];
        let mut commas = vec![Commas::default(); names.len()];
        let mut ragged = Ragged { width: dialect.header.then_some(names.len()), ..Ragged::default() };
        let mut rows = 0;
        while records.next()? {
            ragged.count(records.len());
            // Records with more fields than the header have columns of their own: nothing is dropped.
            if records.len() > columns.len() {
                columns.resize(records.len(), Inferred::default());
                commas.resize(records.len(), Commas::default());
            }
            let both = columns.iter_mut().zip(&mut commas);
            for (index, (column, commas)) in both.enumerate().take(records.len()) {
                let field = records.field(index)?;
                column.add_text(field);
                commas.add(field);
            }
            rows += 1;
        }
        if columns.len() > MOST_COLUMNS {
            return Err(SourceError::query(format!("The file has more than {MOST_COLUMNS} columns.")));
        }
        if columns.is_empty() {
            return Err(SourceError::query("The file is empty: it has no header."));
        }
        names.resize(columns.len(), String::new());
        check_names(names.iter().map(String::len).sum())?;
        let kinds: Vec<Kind> = columns.iter().map(|column| column.kind).collect();
        let no_header = if dialect.header { like_a_row(&names, &kinds) } else { None };
        let schema = infer::schema(names.into_iter().zip(kinds.iter().copied()));
        let last = rows + i64::from(dialect.header);
        let warning = not_meant(&text, records.unclosed.then_some(last), ragged.told(dialect.header))?;
        let names = schema.fields().iter().map(|field| field.name().as_str());
        let warning = warning.or(no_header).or_else(|| commas::told(names, &commas));
        let table = FileTable { name: text.file.table.clone(), schema, rows: Some(rows) };
        Ok(Self { text, dialect, kinds, tables: vec![table], warning })
    }
}

impl Format for Csv {
    fn describe(&self) -> String {
        let delimiter = match self.dialect.delimiter {
            b'\t' => "tab".to_owned(),
            byte => format!("'{}'", char::from(byte)),
        };
        format!("CSV, delimiter {delimiter}, {}", self.text.encoding)
    }

    fn tables(&self) -> &[FileTable] {
        &self.tables
    }

    fn warning(&self) -> Option<&str> {
        self.warning.as_deref()
    }

    fn kinds(&self, _: usize) -> Option<&[Kind]> {
        Some(&self.kinds)
    }

    fn widen(&mut self, _: usize, kinds: &[Kind]) {
        self.kinds = kinds.to_vec();
        for table in &mut self.tables {
            table.schema = infer::widened(&table.schema, kinds);
        }
    }

    fn read(&self, _: usize, columns: &[usize], sink: &mut Sink) -> Result<(), SourceError> {
        let mut records = Records::new(self.dialect, self.text.reader()?);
        if self.dialect.header {
            records.next()?;
        }
        while records.next()? {
            let more = sink.row(columns.len(), |at| {
                let Some((index, kind)) =
                    columns.get(at).and_then(|index| Some((*index, *self.kinds.get(*index)?)))
                else {
                    return Ok(Cell::Null);
                };
                kind.cell(records.field(index)?)
            })?;
            if !more {
                break;
            }
        }
        Ok(())
    }
}
