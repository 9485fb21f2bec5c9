//! What a refusal is about: words of the question, never others, and the columns that they may mean.

use crate::Planner;
use crate::draft::Why;
use crate::items::{Item, Mark};
use crate::schema::ColumnId;
use crate::words::{self, Word};

/// Most meanings that are told.
const MOST: usize = 5;

impl Planner<'_> {
    /// The words of the question that it was refused for.
    pub(crate) fn asked(&self, words: &[Word], why: &Why) -> Vec<String> {
        let items = self.items(words);
        why.words().iter().filter_map(|phrase| self.heard(words, &items, phrase)).collect()
    }

    /// The columns that ambiguous words may mean, with their tables where these differ; none where it is no matter of columns.
    pub(crate) fn meanings(&self, words: &[Word], why: &Why) -> Vec<String> {
        let columns: Vec<ColumnId> = match why {
            Why::Undated(_, dates) => dates.clone(),
            Why::Ambiguous(phrase) => self
                .items(words)
                .into_iter()
                .find(|item| item.text == *phrase)
                .map(|item| item.columns.iter().map(|named| named.column).collect())
                .unwrap_or_default(),
            Why::Unknown(_) | Why::Unfit(_) | Why::Nothing => Vec::new(),
        };
        let one_table = columns.windows(2).all(|two| matches!(two, [one, other] if one.table == other.table));
        let name = |id: &ColumnId| {
            let column = self.request.schema.column(*id)?;
            let table = self.request.schema.table(id.table)?;
            Some(if one_table { column.name.clone() } else { format!("{}.{}", table.name(), column.name) })
        };
        columns.iter().filter_map(name).take(MOST).collect()
    }

    /// The words of the question that a phrase stands for. A phrase may be a list, a name of the schema, or what the planner calls a word.
    fn heard(&self, words: &[Word], items: &[Item], phrase: &str) -> Option<String> {
        let lower = |words: Vec<String>| words.iter().map(|word| word.to_lowercase()).collect::<Vec<_>>();
        let found = [lower(words::split(phrase)), words::name(phrase)].iter().find_map(|wanted| {
            let lemmas: Vec<String> = wanted.iter().map(|word| self.vocabulary.singular(word)).collect();
            find(words, wanted, |word| &word.plain).or_else(|| find(words, &lemmas, |word| &word.lemma))
        });
        if found.is_some() {
            return found;
        }
        if phrase.contains(", ") {
            let parts = phrase.split(", ").map(|part| self.heard(words, items, part));
            return parts.collect::<Option<Vec<_>>>().map(|parts| parts.join(", "));
        }
        let stands = |item: &&Item| item.mark.as_ref().is_some_and(|mark| is_called(mark, phrase));
        items.iter().find(stands).map(|item| item.text.clone())
    }
}

/// Words that stand in the question one after another, as they were written.
fn find(words: &[Word], wanted: &[String], form: impl Fn(&Word) -> &String) -> Option<String> {
    if wanted.is_empty() {
        return None;
    }
    let is_found = |part: &&[Word]| part.iter().map(&form).eq(wanted.iter());
    let found = words.windows(wanted.len()).find(is_found)?;
    Some(found.iter().map(|word| word.written.as_str()).collect::<Vec<_>>().join(" "))
}

/// Whether the planner calls a word of the language so.
fn is_called(mark: &Mark, phrase: &str) -> bool {
    match mark {
        Mark::Period(unit) => unit.name() == phrase,
        Mark::Measured(_, names) | Mark::Compare(_, names) => {
            [" ", " or "].iter().any(|between| names.join(between) == phrase)
                || phrase == "most recent" && names.iter().any(|name| name == "@date")
        }
        Mark::Top(_) | Mark::Superlative(_) => matches!(phrase, "top" | "top of groups"),
        Mark::Most(_) => phrase == "most",
        Mark::Share => phrase == "share",
        Mark::New => phrase == "new",
        Mark::Not => phrase == "without",
        Mark::By | Mark::Each => matches!(phrase, "by" | "per"),
        Mark::Count | Mark::CountAfter => phrase == "number of",
        Mark::CountDistinct => phrase == "different",
        Mark::Aggregate(_) => phrase == "of what",
        _ => false,
    }
}
