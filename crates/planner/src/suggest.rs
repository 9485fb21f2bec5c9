//! Questions near one that was refused. Each has been planned: none is offered that would be refused in turn.

use crate::Planner;
use crate::draft::Why;
use crate::items::{Item, Mark};
use crate::read::is_additive;
use crate::schema::ColumnId;
use crate::words::{self, Word};

/// Most readings that are offered.
const MOST: usize = 3;
/// Tables, the first ones of the schema, of which examples are made.
const MOST_TABLES: usize = 8;

impl Planner<'_> {
    /// Up to three questions near this one that have an answer.
    pub(crate) fn readings(&self, words: &[Word], why: &Why) -> Vec<String> {
        let items = self.items(words);
        let mut candidates = Vec::new();
        if let Why::Ambiguous(phrase) = why {
            candidates.extend(self.alternatives(&items, phrase));
        }
        if let Why::Undated(phrase, dates) = why {
            candidates.extend(self.dated(&items, phrase, dates));
        }
        if let Why::Unfit(phrase) = why
            && phrase == "top"
        {
            candidates.extend(self.ranked(&items));
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
            let say = |english| self.vocabulary.say(english);
            candidates.push(format!("{} {name}", say("number of")));
            candidates.push(format!("{} {name} {}", say("number of"), say("per month")));
            candidates.push(format!("{} {name}", say("list")));
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

    /// Questions of the schema that have an answer, whatever was asked: as many as leave up to three with the readings.
    pub(crate) fn examples(&self, readings: &[String]) -> Vec<String> {
        let say = |english| self.vocabulary.say(english);
        let (count, list) = (say("number of"), say("list"));
        let tables = self.request.schema.tables.len().min(MOST_TABLES);
        let names: Vec<String> = (0..tables).map(|table| self.table_words(table)).collect();
        let counts = names.iter().map(|name| format!("{count} {name}"));
        let lists = names.iter().map(|name| format!("{list} {name}"));
        let months = names.iter().map(|name| format!("{count} {name} {}", say("per month")));
        let mut examples: Vec<String> = Vec::new();
        for candidate in counts.chain(lists).chain(months) {
            if readings.len() + examples.len() >= MOST {
                break;
            }
            if !readings.contains(&candidate) && !examples.contains(&candidate) && self.answers(&candidate) {
                examples.push(candidate);
            }
        }
        examples
    }

    fn answers(&self, question: &str) -> bool {
        let words = words::question(question, self.vocabulary);
        words.len() <= crate::MOST_WORDS && self.attempt(&words).is_ok()
    }

    fn table_words(&self, table: usize) -> String {
        self.request.schema.table(table).map(|table| words::name(table.name()).join(" ")).unwrap_or_default()
    }

    /// The question with each of the dates that its period or span may be of.
    fn dated(&self, items: &[Item], phrase: &str, dates: &[ColumnId]) -> Vec<String> {
        let found = items.iter().enumerate().find_map(|(place, item)| match &item.mark {
            Some(Mark::Period(unit)) if unit.name() == phrase => Some((place, false)),
            Some(Mark::Span(_)) if item.text == phrase => Some((place, true)),
            _ => None,
        });
        let texts: Vec<&str> = items.iter().map(|item| item.text.as_str()).collect();
        // "Tickets created last week": the word that is no date of theirs gives way.
        if let Some(verb) = items.iter().position(|item| item.mark.is_none() && item.text == phrase) {
            let (before, behind) =
                (texts.get(..verb).unwrap_or_default(), texts.get(verb + 1..).unwrap_or_default());
            let with = |name: String| format!("{} {name} {}", before.join(" "), behind.join(" "));
            return dates.iter().filter_map(|id| self.column_words(*id)).map(with).collect();
        }
        let Some((place, is_span)) = found else { return Vec::new() };
        let (of, by) = (self.vocabulary.say("of"), self.vocabulary.say("by"));
        let with = |name: String| {
            let (before, behind) = texts.split_at(place + usize::from(!is_span));
            match (is_span, behind.is_empty()) {
                (true, _) => format!("{} {name} {}", before.join(" "), behind.join(" ")).trim().to_owned(),
                (false, true) => format!("{} {of} {name}", before.join(" ")),
                (false, false) => format!("{} {by} {name}", texts.join(" ")),
            }
        };
        dates.iter().filter_map(|id| self.column_words(*id)).map(with).collect()
    }

    /// "Largest order by total": the question with each amount that its table has.
    fn ranked(&self, items: &[Item]) -> Vec<String> {
        let first = items.iter().find_map(|item| item.tables.first());
        let Some((at, table)) =
            first.and_then(|named| Some((named.table, self.request.schema.table(named.table)?)))
        else {
            return Vec::new();
        };
        let asked = items.iter().map(|item| item.text.as_str()).collect::<Vec<_>>().join(" ");
        let columns = table.columns.iter().enumerate();
        let adds_up = |name: &str| is_additive(self.vocabulary, &words::name(name).join(" "));
        columns
            .filter(|(_, column)| {
                column.kind.is_number() && !table.is_key(&column.name) && adds_up(&column.name)
            })
            .filter_map(|(column, _)| self.column_words(ColumnId { table: at, column }))
            .map(|name| format!("{asked} {} {name}", self.vocabulary.say("by")))
            .collect()
    }

    /// A column's name as a question may have it: as it is, where its words are found in it.
    fn column_words(&self, id: ColumnId) -> Option<String> {
        let name = &self.request.schema.column(id)?.name;
        let parts = words::name(name);
        let split: Vec<String> = words::split(name).iter().map(|word| word.to_lowercase()).collect();
        Some(if split == parts { name.clone() } else { parts.join(" ") })
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
        let (total, average) = (self.vocabulary.say("total"), self.vocabulary.say("average"));
        let mut all = Vec::new();
        for named in item.columns.iter().take(4) {
            if let Some(column) = self.request.schema.column(named.column) {
                let name = format!(
                    "{} {}",
                    self.table_words(named.column.table),
                    words::name(&column.name).join(" ")
                );
                all.push(with(&name));
                all.push(format!("{total} {name}"));
            }
        }
        all.extend([with(&format!("{total} {phrase}")), with(&format!("{average} {phrase}"))]);
        all
    }
}
