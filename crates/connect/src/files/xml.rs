//! XML: rows are the elements that repeat.
//!
//! Documents that declare entities are refused, as are references to any but the five that XML has, and nothing outside of the
//! file is ever read.

use std::cell::Cell as Ration;
use std::collections::HashMap;
use std::io::BufReader;
use std::rc::Rc;

use quick_xml::Reader;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesStart, Event};

use super::cells::Rationed;
use super::infer::{self, Inferred, Kind};
use super::spool::Spooled;
use super::text::Text;
use super::{FileTable, Format, LONGEST_ROW, MOST_COLUMNS, Sink};
use crate::error::{SourceError, quoted};
use crate::rows::Cell;
use crate::settings::Settings;

/// Elements inside one another at most.
const DEEPEST: usize = 64;
/// Different paths of elements that are counted to find the rows.
const PATHS: usize = 10_000;
/// Bytes of the names of elements inside one another, and of an attribute of the last, at most. Every name inside is kept with those around it:
/// a long one that is written once would be held as often as there are others in it.
const LONGEST_PATH: usize = 2_000;

/// What an element or an attribute costs besides its text, in bytes: an empty one is written with four.
const OVERHEAD: usize = 64;

/// An XML file.
pub(super) struct Xml {
    text: Text,
    /// The path of the elements that are rows.
    rows_at: Vec<String>,
    names: Vec<String>,
    kinds: Vec<Kind>,
    tables: Vec<FileTable>,
}

/// A row: names with dots for elements inside, and their texts.
type Fields = Vec<(String, Vec<String>)>;

impl Xml {
    pub(super) fn inspect(settings: &Settings, file: Spooled) -> Result<Self, SourceError> {
        let text = Text::of(Some(settings), file)?;
        let rows_at = rows_at(&text, settings.option("row_tag")?)?;
        let mut columns: Vec<(String, Inferred)> = Vec::new();
        let mut places: HashMap<String, usize> = HashMap::new();
        let mut rows = 0;
        each(&text, &rows_at, |fields| {
            for (name, values) in fields {
                let index = *places.entry(name.clone()).or_insert_with(|| {
                    columns.push((name, Inferred::default()));
                    columns.len() - 1
                });
                if let Some((_, column)) = columns.get_mut(index) {
                    match values.as_slice() {
                        [one] => column.add_text(one),
                        _ => column.add(Kind::Json),
                    }
                }
            }
            rows += 1;
            if columns.len() > MOST_COLUMNS {
                return Err(SourceError::query(format!(
                    "The rows have more than {MOST_COLUMNS} different elements."
                )));
            }
            Ok(true)
        })?;
        let (names, kinds): (Vec<String>, Vec<Kind>) =
            columns.into_iter().map(|(name, column)| (name, column.kind)).unzip();
        let schema = infer::schema(names.iter().cloned().zip(kinds.iter().copied()));
        let table = FileTable { name: text.file.table.clone(), schema, rows: Some(rows) };
        Ok(Self { text, rows_at, names, kinds, tables: vec![table] })
    }
}

/// Events of the file with the names of the elements around them.
fn walk(
    text: &Text,
    mut visit: impl FnMut(&[String], &Event<'_>) -> Result<bool, SourceError>,
) -> Result<(), SourceError> {
    // What stands between two marks is held as a whole, before it can be looked at.
    let left = Rc::new(Ration::new(LONGEST_ROW));
    let mut reader =
        Reader::from_reader(BufReader::new(Rationed { input: text.reader()?, left: Rc::clone(&left) }));
    reader.config_mut().expand_empty_elements = true;
    let mut buffer = Vec::new();
    let mut path: Vec<String> = Vec::new();
    loop {
        left.set(LONGEST_ROW);
        buffer.clear();
        let event = reader.read_event_into(&mut buffer).map_err(|error| match left.get() {
            0 => too_long(),
            _ => SourceError::query(format!("The file is no XML at byte {}.", reader.error_position()))
                .with_detail(error),
        })?;
        match &event {
            Event::DocType(declaration) if declaration.contains('[') => {
                return Err(SourceError::query(
                    "The XML file declares entities or a document type of its own.",
                ));
            }
            Event::Start(start) => {
                path.push(start.name().0.to_owned());
                if path.len() > DEEPEST {
                    return Err(SourceError::query(format!(
                        "The XML file is nested more than {DEEPEST} deep."
                    )));
                }
                if length_of(&path) > LONGEST_PATH {
                    return Err(long_names());
                }
            }
            Event::Eof if path.is_empty() => return Ok(()),
            Event::Eof => return Err(SourceError::query("The XML file ends before its elements do.")),
            _ => {}
        }
        let more = visit(&path, &event)?;
        if matches!(event, Event::End(_)) {
            path.pop();
        }
        if !more {
            return Ok(());
        }
    }
}

/// The path of the rows: that of the tag that is named, else the first of those nearest to the root that occurs twice, else
/// the root's only child, else the root.
fn rows_at(text: &Text, tag: Option<&str>) -> Result<Vec<String>, SourceError> {
    // By path: which one of them it is, and how often it occurs.
    let mut found: HashMap<Vec<String>, (usize, usize)> = HashMap::new();
    walk(text, |path, event| {
        if matches!(event, Event::Start(_)) {
            let place = found.len();
            match found.get_mut(path) {
                Some((_, count)) => *count += 1,
                None if place < PATHS => {
                    found.insert(path.to_vec(), (place, 1));
                }
                None => {}
            }
        }
        Ok(true)
    })?;
    let mut order: Vec<(Vec<String>, (usize, usize))> = found.into_iter().collect();
    order.sort_unstable_by_key(|(_, (place, _))| *place);
    let paths = || order.iter().map(|(path, _)| path);
    if let Some(tag) = tag {
        let named = paths().find(|path| path.last().is_some_and(|name| name == tag));
        return named
            .cloned()
            .ok_or_else(|| SourceError::query(format!("The file has no element {}.", quoted(tag))));
    }
    let repeated = order.iter().filter(|(_, (_, count))| *count > 1).map(|(path, _)| path);
    let nearest = repeated.min_by_key(|path| path.len());
    let children = || paths().filter(|path| path.len() == 2);
    let single =
        || children().next().filter(|_| children().count() == 1 && paths().any(|path| path.len() > 2));
    nearest
        .or_else(single)
        .or_else(|| paths().next())
        .cloned()
        .ok_or_else(|| SourceError::query("The file has no elements: it is no XML."))
}

/// Gives each row to a function, until it has enough.
fn each(
    text: &Text,
    rows_at: &[String],
    mut each: impl FnMut(Fields) -> Result<bool, SourceError>,
) -> Result<(), SourceError> {
    let mut row: Option<Row> = None;
    walk(text, |path, event| {
        match event {
            Event::Start(start) => {
                if row.is_none() && path == rows_at {
                    row = Some(Row::default());
                }
                if let Some(row) = &mut row {
                    row.open(path.get(rows_at.len()..).unwrap_or_default(), start)?;
                }
            }
            Event::End(_) => {
                let Some(open) = &mut row else { return Ok(true) };
                open.close(path.get(rows_at.len()..).unwrap_or_default())?;
                if path.len() == rows_at.len() {
                    return each(row.take().unwrap_or_default().fields);
                }
            }
            other => {
                if let Some(row) = &mut row {
                    row.add(other)?;
                }
            }
        }
        Ok(true)
    })
}

/// A row that is being read.
#[derive(Default)]
struct Row {
    fields: Fields,
    places: HashMap<String, usize>,
    /// The text so far of each open element, and whether it has elements inside.
    open: Vec<(String, bool)>,
    size: usize,
}

impl Row {
    fn put(&mut self, name: String, value: String) {
        let index = *self.places.entry(name.clone()).or_insert_with(|| {
            self.fields.push((name, Vec::new()));
            self.fields.len() - 1
        });
        if let Some((_, values)) = self.fields.get_mut(index) {
            values.push(value);
        }
    }

    fn open(&mut self, inside: &[String], start: &BytesStart<'_>) -> Result<(), SourceError> {
        if let Some((_, parent)) = self.open.last_mut() {
            *parent = true;
        }
        self.grow(OVERHEAD)?;
        self.open.push((String::new(), false));
        // Without looking for the same name twice, which takes the square of their number.
        for attribute in start.attributes().with_checks(false) {
            let attribute = attribute.map_err(|error| {
                SourceError::query("An attribute of the XML file is none.").with_detail(error)
            })?;
            let value = quick_xml::escape::unescape(&attribute.value)
                .map_err(|error| unknown_entity(&error))?
                .into_owned();
            if length_of(inside) + attribute.key.0.len() > LONGEST_PATH {
                return Err(long_names());
            }
            let mut name: Vec<String> = inside.to_vec();
            name.push(attribute.key.0.to_owned());
            let name = name.join(".");
            self.grow(name.len() + value.len() + OVERHEAD)?;
            self.put(name, value);
        }
        Ok(())
    }

    fn close(&mut self, inside: &[String]) -> Result<(), SourceError> {
        let Some((text, parent)) = self.open.pop() else { return Ok(()) };
        let text = text.trim();
        if text.is_empty() && (parent || inside.is_empty()) {
            return Ok(());
        }
        let name = if inside.is_empty() { "text".to_owned() } else { inside.join(".") };
        self.grow(name.len())?;
        self.put(name, text.to_owned());
        Ok(())
    }

    fn add(&mut self, event: &Event<'_>) -> Result<(), SourceError> {
        let text = match event {
            Event::Text(text) => text.to_string(),
            Event::CData(text) => text.to_string(),
            Event::GeneralRef(reference) => {
                let name = reference.to_string();
                match (resolve_predefined_entity(&name), reference.resolve_char_ref()) {
                    (Some(text), _) => text.to_owned(),
                    (None, Ok(Some(character))) => character.to_string(),
                    (None, _) => return Err(unknown_entity(&name)),
                }
            }
            _ => return Ok(()),
        };
        self.grow(text.len())?;
        if let Some((open, _)) = self.open.last_mut() {
            open.push_str(&text);
        }
        Ok(())
    }

    fn grow(&mut self, by: usize) -> Result<(), SourceError> {
        self.size += by;
        if self.size > LONGEST_ROW { Err(too_long()) } else { Ok(()) }
    }
}

/// Bytes of all names of a path.
fn length_of(path: &[String]) -> usize {
    path.iter().map(String::len).sum()
}

fn long_names() -> SourceError {
    SourceError::query(format!(
        "The names of elements inside one another have more than {LONGEST_PATH} bytes in the XML file."
    ))
}

fn too_long() -> SourceError {
    SourceError::query(format!("An element of the XML file has more than {LONGEST_ROW} bytes."))
}

fn unknown_entity(detail: &dyn std::fmt::Display) -> SourceError {
    SourceError::query("The XML file refers to an entity that XML does not have.").with_detail(detail)
}

impl Format for Xml {
    fn describe(&self) -> String {
        let rows = self.rows_at.join("/");
        crate::gate::bounded(&format!("XML, rows at /{rows}, {}", self.text.encoding))
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
        each(&self.text, &self.rows_at, |fields| {
            let mut values: Vec<Option<String>> = vec![None; kinds.len()];
            for (name, texts) in fields {
                if let Some(value) = wanted.get(name.as_str()).and_then(|at| values.get_mut(*at)) {
                    *value = Some(match texts.as_slice() {
                        [one] => one.clone(),
                        _ => serde_json::Value::from(texts).to_string(),
                    });
                }
            }
            sink.row(kinds.len(), |at| match (values.get(at), kinds.get(at)) {
                (Some(Some(value)), Some(kind)) => kind.cell(value),
                _ => Ok(Cell::Null),
            })
        })
    }
}
