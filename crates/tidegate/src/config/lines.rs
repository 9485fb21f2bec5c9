//! In which line of the configuration file a key stands.

use std::collections::BTreeMap;
use std::iter;
use std::ops::Range;

use toml_edit::{ImDocument, Item, Key, TableLike, Value};

/// The lines of all keys, by their names with those of their tables.
#[derive(Debug, Default)]
pub(super) struct Lines(BTreeMap<String, usize>);

impl Lines {
    /// Those of a file's text; none where it is no TOML.
    pub(super) fn of(text: &str) -> Self {
        let mut lines = Self::default();
        if let Ok(document) = ImDocument::parse(text) {
            lines.note_table(text, "", document.as_table());
        }
        lines
    }

    /// The line of a key, or else of the table it would stand in.
    pub(super) fn find(&self, key: &str) -> Option<usize> {
        let mut places = iter::successors(Some(key), |key| key.rsplit_once('.').map(|(table, _)| table));
        places.find_map(|key| self.0.get(key).copied())
    }

    fn note_table(&mut self, text: &str, at: &str, table: &dyn TableLike) {
        for (name, item) in table.iter() {
            let path = below(at, name);
            self.note(text, &path, table.key(name).and_then(Key::span));
            match item {
                Item::Value(value) => self.note_value(text, &path, value),
                Item::Table(table) => self.note_table(text, &path, table),
                Item::ArrayOfTables(tables) => {
                    for (place, table) in tables.iter().enumerate() {
                        // Keys that are not there are told without the place of their table.
                        self.note_table(text, &path, table);
                        let path = below(&path, &place.to_string());
                        self.note(text, &path, table.span());
                        self.note_table(text, &path, table);
                    }
                }
                Item::None => {}
            }
        }
    }

    fn note_value(&mut self, text: &str, path: &str, value: &Value) {
        match value {
            Value::InlineTable(table) => self.note_table(text, path, table),
            Value::Array(items) => {
                for (place, item) in items.iter().enumerate() {
                    let path = below(path, &place.to_string());
                    self.note(text, &path, item.span());
                    self.note_value(text, &path, item);
                }
            }
            _ => {}
        }
    }

    fn note(&mut self, text: &str, path: &str, span: Option<Range<usize>>) {
        if let Some(line) = span.and_then(|span| line_at(text, span.start)) {
            self.0.entry(path.to_owned()).or_insert(line);
        }
    }
}

/// The number of the line that a place in a text is in.
pub(super) fn line_at(text: &str, place: usize) -> Option<usize> {
    text.get(..place).map(|before| before.matches('\n').count() + 1)
}

fn below(at: &str, name: &str) -> String {
    if at.is_empty() { name.to_owned() } else { format!("{at}.{name}") }
}
