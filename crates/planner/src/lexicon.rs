//! What the words of a schema mean: names of tables and columns, their endings cut, other names from comments and the glossary.

use crate::schema::{ColumnId, Schema, Table};
use crate::vocabulary::Vocabulary;
use crate::words;
use std::collections::{BTreeSet, HashMap};

/// How sure a phrase is of what it names: a name or synonym, a part of a name, a word of a comment.
pub(crate) const NAME: u32 = 0;
pub(crate) const PART: u32 = 1;
pub(crate) const COMMENT: u32 = 2;

/// Lists of other names that are read of a comment.
const LISTS: usize = 4;

/// A table that a phrase names, perhaps in a role that one foreign key gives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TableRef {
    pub(crate) table: usize,
    /// The table that refers to it, and which of its foreign keys does.
    pub(crate) via: Option<(usize, usize)>,
    pub(crate) weight: u32,
}

/// A column that a phrase names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ColumnRef {
    pub(crate) column: ColumnId,
    pub(crate) weight: u32,
}

/// What one phrase names.
#[derive(Debug, Clone, Default)]
pub(crate) struct Names {
    pub(crate) tables: Vec<TableRef>,
    pub(crate) columns: Vec<ColumnRef>,
}

/// Phrases, in singular, and what they name.
pub(crate) struct Lexicon {
    phrases: HashMap<String, Names>,
    /// Columns by the unit at the end of their name.
    units: HashMap<String, Vec<ColumnId>>,
    words: BTreeSet<String>,
}

impl Lexicon {
    /// The words of a schema.
    pub(crate) fn new(schema: &Schema, vocabulary: &Vocabulary) -> Self {
        let mut lexicon = Self { phrases: HashMap::new(), units: HashMap::new(), words: BTreeSet::new() };
        for (at, table) in schema.tables.iter().enumerate() {
            lexicon.add_table(at, table, vocabulary);
            for (place, column) in table.columns.iter().enumerate() {
                if !table.is_key(&column.name) {
                    lexicon.add_column(ColumnId { table: at, column: place }, table, vocabulary);
                }
            }
        }
        lexicon.add_roles(schema, vocabulary);
        lexicon.add_glossary(schema, vocabulary);
        lexicon
    }

    /// What a phrase in singular names.
    pub(crate) fn find(&self, phrase: &str) -> Option<&Names> {
        self.phrases.get(phrase)
    }

    /// Columns whose names end with a unit.
    pub(crate) fn of_unit(&self, unit: &str) -> &[ColumnId] {
        self.units.get(unit).map_or(&[], Vec::as_slice)
    }

    /// Whether a column's name or comment says in which unit it counts.
    pub(crate) fn has_unit(&self, column: ColumnId) -> bool {
        self.units.values().any(|columns| columns.contains(&column))
    }

    /// The only word of the schema that differs from this one in one letter, not the first; of five letters at least.
    pub(crate) fn nearest(&self, word: &str) -> Option<&str> {
        if word.chars().count() < 5 || word.chars().count() > 40 {
            return None;
        }
        let mut near = self.words.iter().filter(|known| {
            known.chars().count() >= 5
                // "Height" is no slip of "weight".
                && known.chars().next() == word.chars().next()
                && known.chars().count().abs_diff(word.chars().count()) <= 1
                && strsim::osa_distance(known, word) == 1
        });
        let found = near.next()?;
        near.next().is_none().then_some(found)
    }

    fn add_table(&mut self, at: usize, table: &Table, vocabulary: &Vocabulary) {
        let lemmas = words::name_lemmas(table.name(), vocabulary);
        let named = |weight| TableRef { table: at, via: None, weight };
        self.table(&lemmas, named(NAME));
        if let (Some(last), true) = (lemmas.last(), lemmas.len() > 1) {
            self.table(std::slice::from_ref(last), named(PART));
        }
        for synonym in synonyms(table.comment.as_deref(), vocabulary).0 {
            self.table(&lemmas_of(&synonym, vocabulary), named(NAME));
        }
    }

    fn add_column(&mut self, id: ColumnId, table: &Table, vocabulary: &Vocabulary) {
        let Some(column) = table.columns.get(id.column) else { return };
        let mut lemmas = words::name_lemmas(&column.name, vocabulary);
        self.column(&lemmas, id, NAME);
        if let Some(unit) = words::name(&column.name).last().filter(|_| lemmas.len() > 1)
            && vocabulary.has("column unit", unit)
        {
            lemmas.pop();
            self.column(&lemmas, id, NAME);
            let unit = vocabulary.meaning("unit", unit).unwrap_or(unit);
            self.units.entry(unit.to_owned()).or_default().push(id);
        }
        let (synonyms, rest) = synonyms(column.comment.as_deref(), vocabulary);
        self.add_measures(id, table, &rest, vocabulary);
        if column.kind.is_time() {
            while lemmas.len() > 1 && lemmas.last().is_some_and(|last| vocabulary.has("column ending", last))
            {
                lemmas.pop();
            }
            self.column(&lemmas, id, NAME);
        }
        let own = words::name_lemmas(table.name(), vocabulary);
        if let Some(stripped) = lemmas.strip_prefix(own.as_slice()).filter(|rest| !rest.is_empty()) {
            self.column(stripped, id, PART);
        }
        let year = column.kind.is_number() && lemmas.first().is_some_and(|first| first == "year");
        if let (Some(last), true) = (lemmas.last(), lemmas.len() > 1)
            && (year || !vocabulary.has("column ending", last) && last != "name" && last != "type")
        {
            self.column(std::slice::from_ref(last), id, PART);
        }
        for synonym in synonyms {
            self.column(&lemmas_of(&synonym, vocabulary), id, NAME);
        }
    }

    /// Units that a comment names, and the words of a comment on a number.
    fn add_measures(&mut self, id: ColumnId, table: &Table, comment: &str, vocabulary: &Vocabulary) {
        let Some(column) = table.columns.get(id.column).filter(|column| column.kind.is_number()) else {
            return;
        };
        for word in words::split(comment).iter().map(|word| word.to_lowercase()) {
            if let Some(unit) = vocabulary.meaning("unit", &word) {
                let list = self.units.entry(unit.to_owned()).or_default();
                if !list.contains(&id) {
                    list.push(id);
                }
            } else if word.chars().count() > 3 && !vocabulary.has("ignore", &word) && column.kind.is_number()
            {
                self.column(&[vocabulary.singular(&word)], id, COMMENT);
            }
        }
    }

    /// "origin warehouse" names the table that `origin_warehouse_id` refers to.
    fn add_roles(&mut self, schema: &Schema, vocabulary: &Vocabulary) {
        for (owner, table) in schema.tables.iter().enumerate() {
            for (place, key) in table.foreign_keys.iter().enumerate() {
                let (Some(target), [column]) = (schema.find(&key.table), key.columns.as_slice()) else {
                    continue;
                };
                let mut lemmas = words::name_lemmas(column, vocabulary);
                if lemmas.len() > 1 && lemmas.last().is_some_and(|last| vocabulary.has("column ending", last))
                {
                    lemmas.pop();
                }
                let via = Some((owner, place));
                if !self
                    .phrases
                    .get(&lemmas.join(" "))
                    .is_some_and(|names| names.tables.iter().any(|each| each.table == target))
                {
                    self.table(&lemmas, TableRef { table: target, via, weight: NAME });
                }
            }
        }
    }

    fn add_glossary(&mut self, schema: &Schema, vocabulary: &Vocabulary) {
        for term in &schema.glossary {
            let Some(table) = schema.find(&term.table) else { continue };
            let lemmas = lemmas_of(&term.phrase, vocabulary);
            match &term.column {
                None => self.table(&lemmas, TableRef { table, via: None, weight: NAME }),
                Some(name) => {
                    if let Some(column) = schema.table(table).and_then(|found| found.position(name)) {
                        self.column(&lemmas, ColumnId { table, column }, NAME);
                    }
                }
            }
        }
    }

    fn entry(&mut self, lemmas: &[String]) -> Option<&mut Names> {
        if lemmas.is_empty() || lemmas.len() > 6 {
            return None;
        }
        self.words.extend(lemmas.iter().cloned());
        Some(self.phrases.entry(lemmas.join(" ")).or_default())
    }

    fn table(&mut self, lemmas: &[String], named: TableRef) {
        if let Some(names) = self.entry(lemmas)
            && !names.tables.iter().any(|each| each.table == named.table && each.via == named.via)
        {
            names.tables.push(named);
        }
    }

    fn column(&mut self, lemmas: &[String], column: ColumnId, weight: u32) {
        let Some(names) = self.entry(lemmas) else { return };
        match names.columns.iter_mut().find(|each| each.column == column) {
            Some(known) => known.weight = known.weight.min(weight),
            None => names.columns.push(ColumnRef { column, weight }),
        }
    }
}

/// The words of a phrase, each singular.
fn lemmas_of(phrase: &str, vocabulary: &Vocabulary) -> Vec<String> {
    words::split(phrase).iter().map(|word| vocabulary.singular(&word.to_lowercase())).collect()
}

/// The other names that a comment gives, wherever it gives some, and the rest of the comment.
fn synonyms(comment: Option<&str>, vocabulary: &Vocabulary) -> (Vec<String>, String) {
    let marks = vocabulary.phrases("also called");
    let mut names = Vec::new();
    let mut rest: String = comment.unwrap_or_default().chars().take(1000).collect();
    for _ in 0..LISTS {
        // Only ASCII letters change here, so places in one text are places in the other.
        let lower = rest.to_ascii_lowercase();
        let found = marks.iter().find_map(|mark| lower.find(mark.as_str()).map(|at| (at, at + mark.len())));
        let Some((start, end)) = found.filter(|(start, end)| start < end) else { break };
        let (before, after) = (rest.get(..start).unwrap_or(""), rest.get(end..).unwrap_or(""));
        let (list, tail) = after.split_once('.').unwrap_or((after, ""));
        let list = list.split([',', ';']).map(|name| name.trim().to_owned());
        names.extend(list.filter(|name| !name.is_empty()));
        rest = format!("{before} {tail}");
    }
    (names, rest)
}
