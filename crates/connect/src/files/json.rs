//! JSON: an array of objects, lines of objects, or one object.

use std::collections::HashMap;
use std::fmt;
use std::io::{BufRead, BufReader, Read};
use std::rc::Rc;

use serde::de::{Deserializer as _, MapAccess, SeqAccess, Visitor};
use serde_json::Deserializer;
use serde_json::value::RawValue;

use super::cells::Rationed;
use super::infer::{self, Inferred, Kind};
use super::known::{Known, Seen};
use super::spool::{Spooled, broken};
use super::text::Text;
use super::{FileTable, Format, LONGEST_ROW, MOST_COLUMNS, Sink, check_names};
use crate::error::SourceError;
use crate::rows::Cell;

/// The column of values that are no objects.
const VALUE: &str = "value";

/// A JSON file.
pub(super) struct Json {
    text: Text,
    array: bool,
    names: Vec<String>,
    kinds: Vec<Kind>,
    tables: Vec<FileTable>,
}

/// The members of an object as they are written. Of members with the same name the last holds.
struct Row(Vec<(String, Box<RawValue>)>);

impl<'de> serde::Deserialize<'de> for Row {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        if !raw.get().starts_with('{') {
            return Ok(Self(vec![(VALUE.to_owned(), raw)]));
        }
        let mut members = Deserializer::from_str(raw.get());
        members.deserialize_map(Members).map_err(serde::de::Error::custom)
    }
}

struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Row;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Row, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            // Each costs a hundred bytes here, and may be written with six.
            if members.len() >= MOST_COLUMNS {
                return Err(serde::de::Error::custom("an object has too many members"));
            }
            members.push(member);
        }
        Ok(Row(members))
    }
}

/// Gives each element of an array to a function, one at a time, until it has enough or fails.
struct Elements<'a, F> {
    each: &'a mut F,
    failure: &'a mut Option<SourceError>,
}

impl<'de, F: FnMut(Row) -> Result<bool, SourceError>> Visitor<'de> for Elements<'_, F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        while let Some(row) = elements.next_element()? {
            match (self.each)(row) {
                Ok(true) => {}
                // The rest is left unread, which serde_json takes for an error.
                Ok(false) => return Err(serde::de::Error::custom("enough")),
                Err(error) => {
                    *self.failure = Some(error);
                    return Err(serde::de::Error::custom("failed"));
                }
            }
        }
        Ok(())
    }
}

impl Json {
    /// A table without rows, and so without columns.
    pub(super) fn empty(file: Spooled) -> Result<Self, SourceError> {
        let text = Text::of(None, file)?;
        let table = FileTable { name: text.file.table.clone(), schema: infer::schema([]), rows: Some(0) };
        Ok(Self { text, array: false, names: Vec::new(), kinds: Vec::new(), tables: vec![table] })
    }

    pub(super) fn inspect(file: Spooled) -> Result<Self, SourceError> {
        Ok(Self::learned(file)?.0)
    }

    /// The file, and what else it says of its columns.
    pub(super) fn learned(file: Spooled) -> Result<(Self, Known), SourceError> {
        let text = Text::of(None, file)?;
        let array = starts_with_bracket(&text)?;
        let (seen, rows) = seen(&text, array)?;
        let known = Known::of(seen);
        let json = Self::with(text, array, &known, rows);
        Ok((json, known))
    }

    /// Lines with the columns of another reading of the same relation; none if those do not hold what is in the lines. `rewritten` is
    /// as in [`Known::holds`].
    pub(super) fn of_known(
        file: Spooled,
        empty: bool,
        known: &Known,
        rewritten: bool,
    ) -> Result<Option<Self>, SourceError> {
        let text = Text::of(None, file)?;
        let (seen, rows) = if empty { (Vec::new(), 0) } else { seen(&text, false)? };
        Ok(known.holds(&seen, rewritten).then(|| Self::with(text, false, known, rows)))
    }

    fn with(text: Text, array: bool, known: &Known, rows: i64) -> Self {
        let name = text.file.table.clone();
        let table = FileTable { name, schema: known.schema(), rows: Some(rows) };
        let (names, kinds) = (known.names.clone(), known.kinds.clone());
        Self { text, array, names, kinds, tables: vec![table] }
    }
}

/// What is in each column, and how many rows there are.
fn seen(text: &Text, array: bool) -> Result<(Vec<Seen>, i64), SourceError> {
    let mut columns: Vec<Seen> = Vec::new();
    let mut places: HashMap<String, usize> = HashMap::new();
    let (mut rows, mut names) = (0, 0);
    each(text, array, |row| {
        for (name, raw) in row.0 {
            let index = match places.get(&name) {
                Some(index) => *index,
                None => {
                    // Each may be as long as a row.
                    names += name.len();
                    check_names(names)?;
                    places.insert(name.clone(), columns.len());
                    columns.push(Seen::new(name));
                    columns.len() - 1
                }
            };
            if let Some(column) = columns.get_mut(index) {
                column.is_strings &= matches!(raw.get().as_bytes().first(), Some(b'"' | b'n'));
                add(&mut column.values, raw.get());
            }
        }
        rows += 1;
        if columns.len() > MOST_COLUMNS {
            return Err(SourceError::query(format!(
                "The objects have more than {MOST_COLUMNS} different members."
            )));
        }
        Ok(true)
    })?;
    Ok((columns, rows))
}

fn starts_with_bracket(text: &Text) -> Result<bool, SourceError> {
    let mut reader = text.reader()?;
    loop {
        let buffer = reader.fill_buf().map_err(broken)?;
        if buffer.is_empty() {
            return Err(SourceError::query("The file is empty."));
        }
        if let Some(first) = buffer.iter().find(|byte| !byte.is_ascii_whitespace()) {
            return Ok(*first == b'[');
        }
        let length = buffer.len();
        reader.consume(length);
    }
}

/// Gives each row to a function, until it has enough.
fn each(
    text: &Text,
    array: bool,
    mut each: impl FnMut(Row) -> Result<bool, SourceError>,
) -> Result<(), SourceError> {
    // A row is held as a whole, several times. What is buffered comes on top.
    let left = Rc::new(std::cell::Cell::new(LONGEST_ROW));
    let reader = BufReader::new(Rationed { input: text.reader()?, left: Rc::clone(&left) });
    let mut next = |row| {
        left.set(LONGEST_ROW);
        each(row)
    };
    if !array {
        return each_line(reader, next).map_err(|error| if left.get() == 0 { too_long() } else { error });
    }
    let mut enough = false;
    let mut failure = None;
    let mut wanted = |row| {
        let more = next(row)?;
        enough = !more;
        Ok(more)
    };
    let mut deserializer = Deserializer::from_reader(reader);
    let read = deserializer.deserialize_seq(Elements { each: &mut wanted, failure: &mut failure });
    match (failure, read) {
        (Some(error), _) => Err(error),
        (None, Err(_)) if left.get() == 0 => Err(too_long()),
        (None, Err(error)) if !enough => Err(no_json(&error)),
        (None, Err(_)) => Ok(()),
        (None, Ok(())) if enough => Ok(()),
        (None, Ok(())) => deserializer.end().map_err(|error| no_json(&error)),
    }
}

fn each_line(
    reader: impl Read,
    mut each: impl FnMut(Row) -> Result<bool, SourceError>,
) -> Result<(), SourceError> {
    for row in Deserializer::from_reader(reader).into_iter::<Row>() {
        if !each(row.map_err(|error| no_json(&error))?)? {
            break;
        }
    }
    Ok(())
}

fn too_long() -> SourceError {
    SourceError::query(format!("A value of the file is longer than {LONGEST_ROW} bytes."))
}

fn no_json(error: &serde_json::Error) -> SourceError {
    SourceError::query(format!("The file is no JSON at line {}, column {}.", error.line(), error.column()))
        .with_detail(error)
}

/// Counts a value in, by how it is written. Strings stay text, whatever is in them.
fn add(column: &mut Inferred, raw: &str) {
    match raw.as_bytes().first() {
        Some(b'n') | None => {}
        Some(b't' | b'f') => column.add(Kind::Boolean),
        Some(b'{' | b'[') => column.add(Kind::Json),
        Some(b'"') => column.add(Kind::Text),
        Some(_) => column.add_text(raw),
    }
}

impl Format for Json {
    fn describe(&self) -> String {
        let form = if self.array { "an array" } else { "lines" };
        format!("JSON, {form}, {}", self.text.encoding)
    }

    fn tables(&self) -> &[FileTable] {
        &self.tables
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
        let wanted: HashMap<&str, usize> = columns
            .iter()
            .enumerate()
            .filter_map(|(at, index)| Some((self.names.get(*index)?.as_str(), at)))
            .collect();
        let kinds: Vec<Kind> = columns.iter().filter_map(|index| self.kinds.get(*index).copied()).collect();
        each(&self.text, self.array, |row| {
            let mut values: Vec<Option<String>> = vec![None; kinds.len()];
            for (name, raw) in &row.0 {
                if let Some(value) = wanted.get(name.as_str()).and_then(|at| values.get_mut(*at)) {
                    *value = written(raw.get())?;
                }
            }
            sink.row(kinds.len(), |at| match (values.get(at), kinds.get(at)) {
                (Some(Some(value)), Some(Kind::Text)) => Ok(Cell::Text(value)),
                (Some(Some(value)), Some(kind)) => kind.cell(value),
                _ => Ok(Cell::Null),
            })
        })
    }
}

/// A value as text: strings without quotes, all else as it is written.
fn written(raw: &str) -> Result<Option<String>, SourceError> {
    match raw.as_bytes().first() {
        Some(b'n') | None => Ok(None),
        Some(b'"') => serde_json::from_str(raw).map(Some).map_err(|error| no_json(&error)),
        Some(_) => Ok(Some(raw.to_owned())),
    }
}
