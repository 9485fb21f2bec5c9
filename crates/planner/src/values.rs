//! Which values stand in which columns, as far as the person may see them.

use crate::schema::ColumnId;
use crate::words::normalize;
use std::collections::BTreeMap;

/// A value found by its words.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hit {
    pub column: ColumnId,
    /// As the column has it.
    pub value: String,
}

/// An index of the distinct values of text columns. It must hold only what the person may see: what it answers ends up in explanations.
pub trait ValueIndex {
    /// The values that are `phrase` when written as [`normalize`] does.
    fn find(&self, phrase: &str) -> Vec<Hit>;
}

/// An index in memory.
#[derive(Debug, Clone, Default)]
pub struct MemoryValues {
    by_phrase: BTreeMap<String, Vec<Hit>>,
}

impl MemoryValues {
    /// Adds a value of a column. Values of more than 100 bytes are not what people type, and are left out.
    pub fn add(&mut self, column: ColumnId, value: &str) {
        let phrase = normalize(value);
        if phrase.is_empty() || value.len() > 100 {
            return;
        }
        let hits = self.by_phrase.entry(phrase).or_default();
        let hit = Hit { column, value: value.to_owned() };
        if !hits.contains(&hit) {
            hits.push(hit);
        }
    }
}

impl ValueIndex for MemoryValues {
    fn find(&self, phrase: &str) -> Vec<Hit> {
        let mut found = self.by_phrase.get(phrase).cloned().unwrap_or_default();
        found.sort();
        found
    }
}
