//! A question as items: the longest phrases that the vocabulary, the schema, the values or the calendar know.

use crate::dates::{Calendar, Range, Unit};
use crate::lexicon::{COMMENT, ColumnRef, Lexicon, TableRef};
use crate::schema::Schema;
use crate::values::{Hit, ValueIndex};
use crate::vocabulary::Vocabulary;
use crate::words::Word;

/// Longest phrase of names, values and vocabulary, in words.
const LONGEST: usize = 6;

/// How rows become one number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Aggregate {
    Sum,
    Avg,
    Min,
    Max,
    Median,
}

/// Which end of an order is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    Desc,
    Asc,
}

/// What a phrase of the vocabulary does.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Mark {
    Count,
    /// The same, behind what is counted.
    CountAfter,
    CountDistinct,
    Share,
    Aggregate(Aggregate),
    Superlative(Direction),
    Most(Direction),
    Common(Direction),
    Top(Direction),
    /// Its order and the names of the measure.
    Measured(Direction, Vec<String>),
    /// The operator and, with "longer than", the names of the measure.
    Compare(String, Vec<String>),
    CompareAfter(String),
    By,
    Each,
    Not,
    Any,
    Or,
    And,
    With,
    Copula,
    Which,
    Did,
    New,
    Number(String),
    Unit(String),
    Period(Unit),
    Span(Range),
    /// Carries nothing.
    Ignore,
}

/// A phrase of the question.
#[derive(Debug, Clone, Default)]
pub(crate) struct Item {
    /// As it was written.
    pub(crate) text: String,
    pub(crate) mark: Option<Mark>,
    pub(crate) tables: Vec<TableRef>,
    pub(crate) columns: Vec<ColumnRef>,
    pub(crate) values: Vec<Hit>,
    /// "unpaid": the column's fact is denied.
    pub(crate) denied: bool,
    /// The word was not written as the schema has it; this is how it was read.
    pub(crate) corrected: Option<String>,
    /// The verb after "did", which may be no value.
    pub(crate) act: bool,
    /// It was written in the plural.
    pub(crate) plural: bool,
}

/// What items are found with.
pub(crate) struct Finder<'a> {
    pub(crate) schema: &'a Schema,
    pub(crate) vocabulary: &'a Vocabulary,
    pub(crate) lexicon: &'a Lexicon,
    pub(crate) values: &'a dyn ValueIndex,
    pub(crate) calendar: Calendar<'a>,
}

impl Item {
    /// Whether nothing is known of it.
    pub(crate) fn is_unknown(&self) -> bool {
        self.mark.is_none() && self.tables.is_empty() && self.columns.is_empty() && self.values.is_empty()
    }

    /// Whether it only ties others together.
    pub(crate) fn is_soft(&self) -> bool {
        use Mark::{Any, Copula, Did, Ignore, Which, With};
        matches!(self.mark, Some(Ignore | With | Copula | Which | Did | Any))
            && self.tables.is_empty()
            && self.columns.is_empty()
    }
}

impl Finder<'_> {
    /// The items of a question.
    pub(crate) fn items(&self, words: &[Word]) -> Vec<Item> {
        let mut items = Vec::new();
        let mut at = 0;
        let mut did = false;
        while let Some(rest) = words.get(at..).filter(|rest| !rest.is_empty()) {
            let (length, mut item) = self.longest(rest);
            item.text =
                rest.iter().take(length).map(|word| word.written.as_str()).collect::<Vec<_>>().join(" ");
            item.plural = rest.get(length.saturating_sub(1)).is_some_and(|last| last.plain != last.lemma);
            did |= matches!(item.mark, Some(Mark::Did));
            item.act = did
                && length == 1
                && rest.first().is_some_and(|word| self.vocabulary.has("acts", &word.plain));
            // "What does the kettle cost": the verb asks for the price, though a column may be called cost.
            if did
                && let [last] = rest
                && let Some(other) = self.vocabulary.meaning("last verb", &last.plain)
                && let Some(names) = self.lexicon.find(other).filter(|names| !names.columns.is_empty())
            {
                item.columns.clone_from(&names.columns);
            }
            items.push(item);
            at += length.max(1);
        }
        items
    }

    fn longest(&self, words: &[Word]) -> (usize, Item) {
        let span = self.calendar.span(words).filter(|(length, _)| !self.cuts(words, *length));
        for length in (1..=words.len().min(LONGEST).max(span.map_or(0, |(length, _)| length))).rev() {
            let Some(phrase) = words.get(..length) else { continue };
            let mut item = self.phrase(phrase);
            if let Some((_, range)) = span.filter(|(taken, _)| *taken == length)
                && item.values.is_empty()
                && item.columns.is_empty()
            {
                if range.is_unclear() {
                    return (length, Item::default());
                }
                item = Item { mark: Some(Mark::Span(range)), ..Item::default() };
            }
            if !item.is_unknown() {
                return (length, item);
            }
        }
        (1, words.first().map(|word| self.unknown(word)).unwrap_or_default())
    }

    /// Whether a span of this many words ends inside a value ("in 2025 spring") or takes a measured number ("from 2000 km").
    fn cuts(&self, words: &[Word], length: usize) -> bool {
        let measured = words.get(length).is_some_and(|after| {
            self.vocabulary.has("unit", &after.plain) && !self.vocabulary.has("unit of time", &after.plain)
        });
        let inside = |start: usize| {
            (length + 1..=words.len().min(start + LONGEST)).any(|end| {
                words
                    .get(start..end)
                    .is_some_and(|phrase| !self.values.find(&join(phrase, |word| &word.plain)).is_empty())
            })
        };
        measured || (1..length).any(inside)
    }

    /// Everything that a phrase may be.
    fn phrase(&self, words: &[Word]) -> Item {
        if words.len() > LONGEST {
            return Item::default();
        }
        let plain = join(words, |word| &word.plain);
        let mut item = Item { mark: self.mark(&plain), ..Item::default() };
        let firm = words.len() == 1 && self.vocabulary.has("ignore", &plain);
        if firm || matches!(item.mark, Some(Mark::Number(_))) {
            return item;
        }
        let lemma = join(words, |word| &word.lemma);
        let names = self.lexicon.find(&lemma).or_else(|| self.lexicon.find(&plain));
        if let Some(names) = names {
            item.tables.clone_from(&names.tables);
            item.columns.clone_from(&names.columns);
        } else if item.mark.is_none()
            && let Some(other) =
                self.vocabulary.meaning("rewrites", &plain).and_then(|other| self.lexicon.find(other))
        {
            item.columns.clone_from(&other.columns);
        } else if item.mark.is_none()
            && let Some(other) =
                self.vocabulary.meaning("names", &plain).and_then(|other| self.lexicon.find(other))
        {
            item.tables.clone_from(&other.tables);
            item.columns.clone_from(&other.columns);
        }
        item.values = self.find(words, &plain, &lemma);
        if item.mark.is_some() || !item.tables.is_empty() || !item.values.is_empty() {
            item.columns.retain(|column| column.weight < COMMENT);
        }
        if item.is_unknown() && words.len() == 1 {
            item = self.denied(&plain).unwrap_or(item);
        }
        if item.is_unknown() && self.vocabulary.has("neutral", &plain) {
            item.mark = Some(Mark::Ignore);
        }
        item
    }

    fn find(&self, words: &[Word], plain: &str, lemma: &str) -> Vec<Hit> {
        let mut found = self.values.find(plain);
        if let (true, Some((last, before))) = (found.is_empty(), words.split_last()) {
            let singular = before
                .iter()
                .map(|word| word.plain.as_str())
                .chain([last.lemma.as_str()])
                .collect::<Vec<_>>()
                .join(" ");
            found = self.values.find(&singular);
        }
        if found.is_empty() && words.len() == 1 {
            found = self
                .vocabulary
                .qualities(lemma)
                .iter()
                .flat_map(|quality| self.values.find(quality))
                .collect();
        }
        found
    }

    /// "unpaid", where a date says when it was paid.
    fn denied(&self, word: &str) -> Option<Item> {
        let names = self.lexicon.find(word.strip_prefix("un")?)?;
        let columns: Vec<ColumnRef> =
            names.columns.iter().filter(|each| self.is_fact(each)).cloned().collect();
        (!columns.is_empty()).then(|| Item { columns, denied: true, ..Item::default() })
    }

    fn is_fact(&self, named: &ColumnRef) -> bool {
        let column = self.schema.column(named.column);
        named.weight < COMMENT
            && column.is_some_and(|column| {
                column.kind.is_time() && column.nullable || column.kind == crate::schema::Kind::Boolean
            })
    }

    /// A word that nothing knows: perhaps a typing error in a name.
    fn unknown(&self, word: &Word) -> Item {
        let near = self.lexicon.nearest(&word.lemma).filter(|_| !self.vocabulary.knows(&word.plain));
        let Some((near, names)) = near.and_then(|near| Some((near, self.lexicon.find(near)?))) else {
            return Item::default();
        };
        Item {
            tables: names.tables.clone(),
            columns: names.columns.clone(),
            corrected: Some(near.to_owned()),
            ..Item::default()
        }
    }

    fn mark(&self, phrase: &str) -> Option<Mark> {
        let meaning = |section: &str| self.vocabulary.meaning(section, phrase);
        if phrase.parse::<f64>().is_ok_and(f64::is_finite)
            && phrase.len() <= 18
            && phrase.starts_with(|first: char| first.is_ascii_digit())
        {
            return Some(Mark::Number(phrase.to_owned()));
        }
        if let Some(number) = meaning("number") {
            return Some(Mark::Number(number.to_owned()));
        }
        if let Some(unit) = meaning("period") {
            return Unit::named(unit).map(Mark::Period);
        }
        self.measure(phrase).or_else(|| {
            let words = [
                ("not", Mark::Not),
                ("any", Mark::Any),
                ("by", Mark::By),
                ("each", Mark::Each),
                ("or", Mark::Or),
                ("and", Mark::And),
                ("with", Mark::With),
                ("which", Mark::Which),
                ("did", Mark::Did),
                ("copula", Mark::Copula),
                ("new", Mark::New),
                ("records", Mark::Ignore),
                ("ignore", Mark::Ignore),
            ];
            words.into_iter().find(|(section, _)| self.vocabulary.has(section, phrase)).map(|(_, mark)| mark)
        })
    }

    /// Marks that count, compare or order.
    fn measure(&self, phrase: &str) -> Option<Mark> {
        let meaning = |section: &str| self.vocabulary.meaning(section, phrase);
        if meaning("distinct").is_some() {
            return Some(Mark::CountDistinct);
        }
        if meaning("count").is_some() {
            return Some(Mark::Count);
        }
        if meaning("count after").is_some() {
            return Some(Mark::CountAfter);
        }
        if meaning("share").is_some() {
            return Some(Mark::Share);
        }
        for (section, mark) in [
            ("most", Mark::Most as fn(Direction) -> Mark),
            ("common", Mark::Common),
            ("top", Mark::Top),
            ("superlative", Mark::Superlative),
        ] {
            if let Some(meaning) = meaning(section) {
                return Some(mark(direction(meaning)));
            }
        }
        if let Some((order, names)) = meaning("measured").and_then(|meaning| meaning.split_once(' ')) {
            return Some(Mark::Measured(direction(order), names.split(' ').map(str::to_owned).collect()));
        }
        if let Some(operator) = meaning("compare") {
            return Some(Mark::Compare(operator.to_owned(), Vec::new()));
        }
        if let Some((operator, names)) =
            meaning("compare measured").and_then(|meaning| meaning.split_once(' '))
        {
            return Some(Mark::Compare(operator.to_owned(), names.split(' ').map(str::to_owned).collect()));
        }
        if let Some(operator) = meaning("compare after") {
            return Some(Mark::CompareAfter(operator.to_owned()));
        }
        if let Some(aggregate) = meaning("aggregate") {
            return aggregate_named(aggregate).map(Mark::Aggregate);
        }
        if matches!(phrase, ">" | "<" | "=") {
            return Some(Mark::Compare(phrase.to_owned(), Vec::new()));
        }
        if matches!(phrase, "> =" | "≥" | "< =" | "≤") {
            return Some(Mark::Compare(
                if phrase.starts_with(['>', '≥']) { ">=" } else { "<=" }.to_owned(),
                Vec::new(),
            ));
        }
        meaning("unit").map(|unit| Mark::Unit(unit.to_owned()))
    }
}

fn direction(meaning: &str) -> Direction {
    if meaning == "asc" { Direction::Asc } else { Direction::Desc }
}

fn aggregate_named(name: &str) -> Option<Aggregate> {
    Some(match name {
        "sum" => Aggregate::Sum,
        "avg" => Aggregate::Avg,
        "min" => Aggregate::Min,
        "max" => Aggregate::Max,
        "median" => Aggregate::Median,
        _ => return None,
    })
}

fn join(words: &[Word], form: impl Fn(&Word) -> &String) -> String {
    words.iter().map(|word| form(word).as_str()).collect::<Vec<_>>().join(" ")
}
