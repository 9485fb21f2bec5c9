//! Spreadsheets: Excel's formats and OpenDocument's. Every sheet is a table, whose first row that is not empty names the columns.

use std::io::{BufReader, Read};

use calamine::{Cell as Found, Data, DataRef, ExcelDateTime, Ods, Reader, SheetType, Xls, Xlsb, Xlsx};
use quick_xml::events::Event;

use super::infer::{self, Inferred, Kind};
use super::spool::{Positioned, Spooled, broken};
use super::{FileTable, Format, LONGEST_ROW, MOST_COLUMNS, Sink, archive, check_names};
use crate::error::SourceError;
use crate::rows::Cell;
use crate::settings::Settings;

/// Bytes that the parts of a workbook may have together when unpacked.
const UNPACKED: u64 = 512 << 20;
/// Columns of all sheets at most.
const ALL_COLUMNS: usize = 100_000;
/// Bytes of a workbook whose sheets are read as a whole, and of parts that are: texts, styles, relations.
pub(super) const WHOLE: u64 = 64 << 20;
/// Texts that a workbook may announce whatever its size, and bytes that each further one has at least.
const FEW_TEXTS: u64 = 10_000;
const TEXT: u64 = 8;

/// A workbook.
pub(super) struct Excel {
    file: Spooled,
    form: Form,
    header: bool,
    kinds: Vec<Vec<Kind>>,
    /// Bytes of the names of all columns.
    names: usize,
    /// The sheets' own names; the tables' may differ.
    sheets: Vec<String>,
    tables: Vec<FileTable>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Xlsx,
    Xlsb,
    Xls,
    Ods,
}

/// A cell with a value.
#[derive(Clone, Debug, PartialEq)]
enum Value {
    Empty,
    Boolean(bool),
    Number(f64),
    Text(String),
    /// Microseconds since 1970-01-01, and whether it is midnight.
    Moment(i64, bool),
}

impl Value {
    fn of(data: DataRef<'_>) -> Self {
        match data {
            DataRef::Empty => Self::Empty,
            #[expect(clippy::cast_precision_loss, reason = "integers of spreadsheets have 53 bits at most")]
            DataRef::Int(number) => Self::Number(number as f64),
            DataRef::Float(number) => Self::Number(number),
            DataRef::String(text) | DataRef::DateTimeIso(text) | DataRef::DurationIso(text) => {
                Self::text(text)
            }
            DataRef::SharedString(text) => Self::text(text.to_owned()),
            DataRef::Bool(value) => Self::Boolean(value),
            DataRef::DateTime(moment) => Self::moment(moment),
            DataRef::Error(error) => Self::Text(error.to_string()),
        }
    }

    fn of_data(data: &Data) -> Self {
        match data {
            Data::Empty => Self::Empty,
            #[expect(clippy::cast_precision_loss, reason = "integers of spreadsheets have 53 bits at most")]
            Data::Int(number) => Self::Number(*number as f64),
            Data::Float(number) => Self::Number(*number),
            Data::String(text) | Data::DateTimeIso(text) | Data::DurationIso(text) => {
                Self::text(text.clone())
            }
            Data::Bool(value) => Self::Boolean(*value),
            Data::DateTime(moment) => Self::moment(*moment),
            Data::Error(error) => Self::Text(error.to_string()),
        }
    }

    fn text(text: String) -> Self {
        if text.is_empty() { Self::Empty } else { Self::Text(text) }
    }

    /// A date and time; times of day and durations are text, for they are neither.
    fn moment(serial: ExcelDateTime) -> Self {
        let number = serial.as_f64();
        if serial.is_duration() || !(1.0..2_958_466.0).contains(&number) {
            let seconds = (number * 86_400.0).round();
            if !(0.0..1e12).contains(&seconds) {
                return Self::Number(number);
            }
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "its range was just checked"
            )]
            let seconds = seconds as u64;
            return Self::Text(format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60));
        }
        let (year, month, day, hour, minute, second, millisecond) = serial.to_ymd_hms_milli();
        let narrow = |part: u8| i8::try_from(part).unwrap_or(-1);
        let moment = i16::try_from(year).ok().and_then(|year| {
            let nanosecond = i32::from(millisecond) * 1_000_000;
            let date = (year, narrow(month), narrow(day));
            let time = (narrow(hour), narrow(minute), narrow(second), nanosecond);
            jiff::civil::DateTime::new(date.0, date.1, date.2, time.0, time.1, time.2, time.3).ok()
        });
        match moment.and_then(infer::microseconds) {
            Some(microseconds) => Self::Moment(microseconds, microseconds % 86_400_000_000 == 0),
            None => Self::Number(number),
        }
    }

    fn kind(&self) -> Kind {
        match self {
            Self::Empty => Kind::Unknown,
            Self::Boolean(_) => Kind::Boolean,
            Self::Number(number) if number.fract() == 0.0 && number.abs() <= 9_007_199_254_740_992.0 => {
                Kind::Int
            }
            Self::Number(_) => Kind::Float,
            Self::Text(_) => Kind::Text,
            Self::Moment(_, true) => Kind::Date,
            Self::Moment(_, false) => Kind::Timestamp,
        }
    }

    /// How it is written in a column of text, and as a name.
    fn written(&self) -> String {
        match self {
            Self::Empty => String::new(),
            Self::Boolean(value) => value.to_string(),
            Self::Number(number) => number.to_string(),
            Self::Text(text) => text.clone(),
            Self::Moment(microseconds, midnight) => {
                let moment = jiff::Timestamp::from_microsecond(*microseconds).unwrap_or_default();
                let form = if *midnight { "%Y-%m-%d" } else { "%Y-%m-%d %H:%M:%S%.f" };
                moment.strftime(form).to_string()
            }
        }
    }

    #[expect(clippy::cast_possible_truncation, reason = "the column's kind says that it is a whole number")]
    fn cell<'a>(&'a self, kind: Kind, written: &'a str) -> Cell<'a> {
        match (self, kind) {
            (Self::Empty, _) => Cell::Null,
            (Self::Boolean(value), Kind::Boolean) => Cell::Boolean(*value),
            (Self::Number(number), Kind::Int) => Cell::Int(*number as i64),
            (Self::Number(number), Kind::Float) => Cell::Float(*number),
            (Self::Moment(moment, _), Kind::Date) => {
                Cell::Date(i32::try_from(moment.div_euclid(86_400_000_000)).unwrap_or_default())
            }
            (Self::Moment(moment, _), Kind::Timestamp) => Cell::Timestamp(*moment),
            _ => Cell::Text(written),
        }
    }
}

pub(super) fn failed(error: impl std::fmt::Display) -> SourceError {
    SourceError::query("The workbook is broken, protected by a password, or of an unknown form.")
        .with_detail(error)
}

/// Tells the form of a workbook and unpacks it once, counting: what an archive claims of itself is not believed.
fn examine(file: &Spooled) -> Result<Form, SourceError> {
    let mut head = [0; 8];
    let read = file.reader()?.read(&mut head).map_err(broken)?;
    if read == 8 && head == [0xd0, 0xcf, 0x11, 0xe0, 0xa1, 0xb1, 0x1a, 0xe1] {
        return if file.size <= WHOLE { Ok(Form::Xls) } else { Err(too_large()) };
    }
    let mut archive = archive::open(file)?;
    let mut form = None;
    let (mut left, mut whole) = (UNPACKED, WHOLE);
    for index in 0..archive.len() {
        let part = archive.by_index(index).map_err(failed)?;
        let name = part.name().map_err(failed)?.replace('\\', "/").to_ascii_lowercase();
        form = match name.as_str() {
            "xl/workbook.xml" | "/xl/workbook.xml" => Some(Form::Xlsx),
            "xl/workbook.bin" => Some(Form::Xlsb),
            "content.xml" => form.or(Some(Form::Ods)),
            _ => form,
        };
        let unpacked = std::io::copy(&mut part.take(left + 1), &mut std::io::sink()).map_err(failed)?;
        left = left.checked_sub(unpacked).ok_or_else(too_large)?;
        let base = name.rsplit('/').next().unwrap_or_default();
        if base.ends_with(".rels")
            || ["sharedstrings.", "styles.", "workbook."].iter().any(|one| base.starts_with(one))
        {
            whole = whole.checked_sub(unpacked).ok_or_else(too_large)?;
        }
        match base {
            "sharedstrings.xml" => announced(archive.by_index(index).map_err(failed)?, unpacked)?,
            "content.xml" if unpacked > WHOLE => return Err(too_large()),
            "content.xml" => super::ods::measure(archive.by_index(index).map_err(failed)?)?,
            _ => {}
        }
    }
    let form = form.ok_or_else(|| failed("no workbook inside"))?;
    if form == Form::Xlsx {
        super::cells::measure(&mut archive)?;
    }
    if form == Form::Ods && UNPACKED - left > WHOLE {
        return Err(too_large());
    }
    Ok(form)
}

/// Refuses texts that announce more of themselves than there can be: the library makes room for as many.
fn announced(texts: impl Read, unpacked: u64) -> Result<(), SourceError> {
    let mut reader = quick_xml::Reader::from_reader(BufReader::new(texts));
    let config = reader.config_mut();
    config.check_end_names = false;
    config.check_comments = false;
    config.expand_empty_elements = true;
    let mut buffer = Vec::new();
    loop {
        buffer.clear();
        match reader.read_event_into(&mut buffer).map_err(failed)? {
            Event::Start(start) if start.local_name().as_ref() == "sst" => {
                let mut attributes = start.attributes();
                let mut counts =
                    attributes.with_checks(false).flatten().filter(|one| one.key.0 == "uniqueCount");
                let is_too_much = |text: &str| {
                    let most = FEW_TEXTS.max(unpacked / TEXT);
                    text.trim().parse::<u64>().map_or(text.len() > 5, |count| count > most)
                };
                return if counts.any(|one| is_too_much(&one.value)) { Err(too_large()) } else { Ok(()) };
            }
            Event::Eof => return Ok(()),
            _ => {}
        }
    }
}

pub(super) fn too_large() -> SourceError {
    SourceError::query("The workbook is too large when it is unpacked.")
}

type Input = BufReader<Positioned>;

/// Those with cells: sheets of charts, dialogs and macros have none.
fn worksheets(book: &impl Reader<Input>) -> Vec<String> {
    let sheets = book.sheets_metadata().iter().filter(|sheet| sheet.typ == SheetType::WorkSheet);
    sheets.map(|sheet| sheet.name.clone()).collect()
}

impl Excel {
    pub(super) fn inspect(settings: &Settings, file: Spooled) -> Result<Self, SourceError> {
        let form = examine(&file)?;
        let file = if form == Form::Xls { super::xls::repacked(&file)? } else { file };
        let header = settings.flag("header", true)?;
        let (kinds, sheets, tables) = (Vec::new(), Vec::new(), Vec::new());
        let mut excel = Self { file, form, header, kinds, names: 0, sheets, tables };
        for sheet in excel.sheet_names()? {
            excel.add(sheet)?;
        }
        Ok(excel)
    }

    fn input(&self) -> Result<Input, SourceError> {
        Ok(BufReader::new(self.file.reader()?))
    }

    fn sheet_names(&self) -> Result<Vec<String>, SourceError> {
        let input = self.input()?;
        let mut names = match self.form {
            Form::Xlsx => worksheets(&Xlsx::new(input).map_err(failed)?),
            Form::Xlsb => worksheets(&Xlsb::new(input).map_err(failed)?),
            Form::Xls => worksheets(&Xls::new(input).map_err(failed)?),
            Form::Ods => worksheets(&Ods::new(input).map_err(failed)?),
        };
        names.truncate(1_000);
        Ok(names)
    }

    /// Learns the columns of a sheet. A sheet that holds a chart, or nothing, is no table.
    fn add(&mut self, sheet: String) -> Result<(), SourceError> {
        let mut names: Option<Vec<String>> = (!self.header).then(Vec::new);
        let mut columns: Vec<Inferred> = Vec::new();
        let mut rows = 0;
        let read = self.rows(&sheet, &mut |row| {
            columns.resize(columns.len().max(row.len()), Inferred::default());
            if names.is_none() {
                names = Some(row.iter().map(|value| value.written().trim().to_owned()).collect());
                return Ok(true);
            }
            for (column, value) in columns.iter_mut().zip(row) {
                column.add(value.kind());
            }
            rows += 1;
            Ok(columns.len() <= MOST_COLUMNS)
        });
        match read {
            Err(error)
                if error.detail.contains("Unrecognized sheet type") || error.detail.contains("Chart") =>
            {
                return Ok(());
            }
            read => read?,
        }
        if columns.is_empty() {
            return Ok(());
        }
        if columns.len() > MOST_COLUMNS {
            return Err(SourceError::query(format!("A sheet has more than {MOST_COLUMNS} columns.")));
        }
        let mut names = names.unwrap_or_default();
        names.resize(columns.len(), String::new());
        self.names += names.iter().map(String::len).sum::<usize>();
        check_names(self.names)?;
        if self.kinds.iter().map(Vec::len).sum::<usize>() + columns.len() > ALL_COLUMNS {
            return Err(too_large());
        }
        let kinds: Vec<Kind> = columns.iter().map(|column| column.kind).collect();
        let schema = infer::schema(names.into_iter().zip(kinds.iter().copied()));
        self.tables.push(FileTable { name: sheet.clone(), schema, rows: Some(rows) });
        self.kinds.push(kinds);
        self.sheets.push(sheet);
        Ok(())
    }

    /// Gives the rows of a sheet that have a value to a function, until it has enough.
    fn rows(
        &self,
        sheet: &str,
        each: &mut dyn FnMut(&[Value]) -> Result<bool, SourceError>,
    ) -> Result<(), SourceError> {
        let input = self.input()?;
        let range = match self.form {
            Form::Xlsx => {
                let mut book = Xlsx::new(input).map_err(failed)?;
                let mut cells = book.worksheet_cells_reader(sheet).map_err(failed)?;
                return streamed(|| cells.next_cell().map_err(failed), each);
            }
            Form::Xlsb => {
                let mut book = Xlsb::new(input).map_err(failed)?;
                let mut cells = book.worksheet_cells_reader(sheet).map_err(failed)?;
                return streamed(|| cells.next_cell().map_err(failed), each);
            }
            Form::Xls => Xls::new(input).map_err(failed)?.worksheet_range(sheet).map_err(failed)?,
            Form::Ods => Ods::new(input).map_err(failed)?.worksheet_range(sheet).map_err(failed)?,
        };
        let before = range.start().map_or(0, |(_, column)| column as usize);
        for row in range.rows() {
            let mut values = vec![Value::Empty; before];
            values.extend(row.iter().map(Value::of_data));
            while values.last() == Some(&Value::Empty) {
                values.pop();
            }
            if !values.is_empty() && !each(&values)? {
                break;
            }
        }
        Ok(())
    }
}

/// Reads a sheet cell by cell: a sheet with two cells far apart is as small as they are.
fn streamed<'a>(
    mut next: impl FnMut() -> Result<Option<Found<DataRef<'a>>>, SourceError>,
    each: &mut dyn FnMut(&[Value]) -> Result<bool, SourceError>,
) -> Result<(), SourceError> {
    let mut row: Vec<Value> = Vec::new();
    let (mut at, mut size) = (None, 0);
    while let Some(cell) = next()? {
        let (line, column) = cell.get_position();
        let value = Value::of(cell.get_value().clone());
        if value == Value::Empty {
            continue;
        }
        if at.is_some_and(|at| line < at) {
            return Err(failed("rows are out of order"));
        }
        if at != Some(line) {
            if !row.is_empty() && !each(&row)? {
                return Ok(());
            }
            row.clear();
            (at, size) = (Some(line), 0);
        }
        // Cells refer to texts that are in the file once.
        size += if let Value::Text(text) = &value { text.len() } else { 0 };
        if size > LONGEST_ROW {
            return Err(SourceError::query(format!("A row of the sheet has more than {LONGEST_ROW} bytes.")));
        }
        let column = column as usize;
        if column >= MOST_COLUMNS {
            return Err(SourceError::query(format!("A sheet has more than {MOST_COLUMNS} columns.")));
        }
        row.resize(row.len().max(column + 1), Value::Empty);
        if let Some(place) = row.get_mut(column) {
            *place = value;
        }
    }
    if !row.is_empty() {
        each(&row)?;
    }
    Ok(())
}

impl Format for Excel {
    fn describe(&self) -> String {
        match self.form {
            Form::Xlsx => "Excel workbook (xlsx)",
            Form::Xlsb => "Excel binary workbook (xlsb)",
            Form::Xls => "Excel 97-2003 workbook (xls)",
            Form::Ods => "OpenDocument spreadsheet (ods)",
        }
        .to_owned()
    }

    fn tables(&self) -> &[FileTable] {
        &self.tables
    }

    fn kinds(&self, table: usize) -> Option<&[Kind]> {
        self.kinds.get(table).map(Vec::as_slice)
    }

    fn widen(&mut self, table: usize, kinds: &[Kind]) {
        if let (Some(known), Some(table)) = (self.kinds.get_mut(table), self.tables.get_mut(table)) {
            *known = kinds.to_vec();
            table.schema = infer::widened(&table.schema, kinds);
        }
    }

    fn read(&self, table: usize, columns: &[usize], sink: &mut Sink) -> Result<(), SourceError> {
        let (Some(sheet), Some(kinds)) = (self.sheets.get(table), self.kinds.get(table)) else {
            return Ok(());
        };
        let mut named = !self.header;
        self.rows(sheet, &mut |row| {
            if !named {
                named = true;
                return Ok(true);
            }
            let empty = Value::Empty;
            let values: Vec<&Value> = columns.iter().map(|index| row.get(*index).unwrap_or(&empty)).collect();
            let written: Vec<String> = values
                .iter()
                .zip(columns)
                .map(|(value, index)| match kinds.get(*index) {
                    Some(Kind::Text) => value.written(),
                    _ => String::new(),
                })
                .collect();
            sink.row(columns.len(), |at| {
                let kind = columns.get(at).and_then(|index| kinds.get(*index)).copied().unwrap_or_default();
                Ok(match (values.get(at), written.get(at)) {
                    (Some(value), Some(written)) => value.cell(kind, written),
                    _ => Cell::Null,
                })
            })
        })
    }
}
