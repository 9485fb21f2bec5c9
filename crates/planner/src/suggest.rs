//! Questions near one that was refused. Each has been planned: none is offered that would be refused in turn.

use crate::Planner;
use crate::draft::Why;
use crate::items::Item;
use crate::words::{self, Word};

/// Most readings that are offered.
const MOST: usize = 3;

impl Planner<'_> {
    /// Up to three questions near this one that have an answer.
    pub(crate) fn readings(&self, words: &[Word], why: &Why) -> Vec<String> {
        let items = self.items(words);
        let mut candidates = Vec::new();
        if let Why::Ambiguous(phrase) = why {
            candidates.extend(self.alternatives(&items, phrase));
        }
        if let Why::Unknown(unknown) = why {
            candidates.push(
                items
                    .iter()
                    .filter(|item| !unknown.contains(&item.text))
                    .map(|item| item.text.as_str())
                    .collect::<Vec<_>>()
                    .join(" "),
            );
        }
        let named = |item: &Item| item.tables.first().map(|table| table.table);
        let mut tables: Vec<usize> = items.iter().filter_map(named).collect();
        tables.dedup();
        for table in tables.iter().take(2) {
            let name = self.table_words(*table);
            candidates.push(format!("number of {name}"));
            candidates.push(format!("number of {name} per month"));
            candidates.push(format!("list {name}"));
        }
        let asked = words.iter().map(|word| word.plain.as_str()).collect::<Vec<_>>().join(" ");
        let mut readings: Vec<String> = Vec::new();
        for candidate in candidates {
            if readings.len() < MOST
                && candidate != asked
                && !readings.contains(&candidate)
                && self.answers(&candidate)
            {
                readings.push(candidate);
            }
        }
        readings
    }

    fn answers(&self, question: &str) -> bool {
        let words = words::question(question, self.vocabulary);
        words.len() <= crate::MOST_WORDS && self.attempt(&words).is_ok()
    }

    fn table_words(&self, table: usize) -> String {
        self.request.schema.table(table).map(|table| words::name(table.name()).join(" ")).unwrap_or_default()
    }

    /// The question with the ambiguous phrase replaced by each full name of what it may mean, and by sums and averages of it.
    fn alternatives(&self, items: &[Item], phrase: &str) -> Vec<String> {
        let Some(at) = items.iter().position(|item| item.text == phrase) else { return Vec::new() };
        let Some(item) = items.get(at) else { return Vec::new() };
        let with = |words: &str| {
            let parts: Vec<&str> = items
                .iter()
                .enumerate()
                .map(|(place, other)| if place == at { words } else { other.text.as_str() })
                .collect();
            parts.join(" ")
        };
        let mut all = Vec::new();
        for named in item.columns.iter().take(4) {
            if let Some(column) = self.request.schema.column(named.column) {
                let name = format!(
                    "{} {}",
                    self.table_words(named.column.table),
                    words::name(&column.name).join(" ")
                );
                all.push(with(&name));
                all.push(format!("total {name}"));
            }
        }
        all.extend([with(&format!("total {phrase}")), with(&format!("average {phrase}"))]);
        all
    }
}
