//! The built-in planner: questions in words become one SELECT, without a model and without a network.
//!
//! It answers only what it reads in one way. Every word must be known: to the language (`vocabulary/english.txt`, `swahili.txt`), to the schema, to the
//! index of values, or to the calendar; and every word must have a place in the statement. Anything else is refused, with the words
//! that were not understood and up to three questions that have an answer: near it, or of any table.
//!
//! The planner reads nothing but its input and has no clock: the same input has the same answer. It sees the schema and values that the
//! person may see, so it cannot name others. Text of a question never becomes SQL: names come from the schema, values are bound.

#![expect(missing_docs, reason = "fields and variants whose names say it all")]

mod answer;
mod asked;
pub mod chart;
mod dates;
mod draft;
mod items;
mod joins;
mod lexicon;
mod read;
mod schema;
mod shape;
mod statement;
mod suggest;
mod values;
mod vocabulary;
mod words;

pub use answer::{Answer, Parameter, Plan, Reading, Reason, Refusal};
pub use schema::{Column, ColumnId, ForeignKey, Kind, Schema, Table, Term};
pub use values::{Hit, MemoryValues, ValueIndex};
pub use vocabulary::LANGUAGES;
pub use words::normalize;

use draft::Why;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use vocabulary::Vocabulary;

/// Longest question that is read, in bytes.
pub const LONGEST_QUESTION: usize = 2_000;
/// Most words of a question that are read.
pub const MOST_WORDS: usize = 80;

/// What a question is planned with.
pub struct Request<'a> {
    /// What the person may see.
    pub schema: &'a Schema,
    /// Values the person may see.
    pub values: &'a dyn ValueIndex,
    /// The person's day.
    pub today: Date,
    /// The person's zone: where columns are points in time, days begin in it.
    pub zone: &'a TimeZone,
    /// The tag of the language that the person prefers ("sw", "en-gb"). English is understood beside it, and alone where it is not known.
    pub language: &'a str,
    pub question: &'a str,
}

/// Plans a question. Never fails: what cannot be answered is a refusal.
pub fn plan(request: &Request<'_>) -> Answer {
    let english = Vocabulary::english();
    let Some(own) = Vocabulary::of(request.language).filter(|own| !std::ptr::eq(*own, english)) else {
        return plan_in(request, english);
    };
    // Whoever prefers another language may write English all the same: no question is read in both at once.
    match plan_in(request, own) {
        Answer::Refusal(refusal) => match plan_in(request, english) {
            Answer::Refusal(other) => Answer::Refusal(nearer(refusal, other)),
            plan => plan,
        },
        plan => plan,
    }
}

/// The refusal of the language in which more was understood; the first where it is the same.
fn nearer(own: Refusal, english: Refusal) -> Refusal {
    let unknown = |refusal: &Refusal| match refusal.reason {
        Reason::UnknownWords => refusal.not_understood.len().max(1),
        _ => 0,
    };
    if unknown(&english) < unknown(&own) { english } else { own }
}

/// Plans a question in one language.
fn plan_in(request: &Request<'_>, vocabulary: &Vocabulary) -> Answer {
    let lexicon = lexicon::Lexicon::new(request.schema, vocabulary);
    let planner = Planner { request, vocabulary, lexicon: &lexicon };
    let refusal = |reason| {
        let (not_understood, meanings, readings) = (Vec::new(), Vec::new(), Vec::new());
        let examples = planner.examples(&[]);
        Answer::Refusal(Refusal { reason, not_understood, meanings, readings, examples })
    };
    if request.question.len() > LONGEST_QUESTION {
        return refusal(Reason::TooLong);
    }
    let words = words::question(request.question, vocabulary);
    if words.len() > MOST_WORDS {
        return refusal(Reason::TooLong);
    }
    if words.is_empty() {
        return refusal(Reason::Empty);
    }
    match planner.attempt(&words) {
        Ok(plan) => Answer::Plan(plan),
        Err(why) => {
            let readings = planner.readings(&words, &why);
            Answer::Refusal(Refusal {
                reason: match why {
                    Why::Unknown(_) => Reason::UnknownWords,
                    Why::Ambiguous(_) | Why::Undated(..) => Reason::Ambiguous,
                    Why::Unfit(_) | Why::Nothing => Reason::NotSupported,
                },
                not_understood: planner.asked(&words, &why),
                meanings: planner.meanings(&words, &why),
                examples: planner.examples(&readings),
                readings,
            })
        }
    }
}

/// A request with what was made of its schema.
struct Planner<'a> {
    request: &'a Request<'a>,
    vocabulary: &'a Vocabulary,
    lexicon: &'a lexicon::Lexicon,
}

impl Planner<'_> {
    fn items(&self, words: &[words::Word]) -> Vec<items::Item> {
        let finder = items::Finder {
            schema: self.request.schema,
            vocabulary: self.vocabulary,
            lexicon: self.lexicon,
            values: self.request.values,
            calendar: dates::Calendar::new(self.vocabulary, self.request.today),
        };
        finder.items(words)
    }

    fn attempt(&self, words: &[words::Word]) -> Result<Plan, Why> {
        let items = self.items(words);
        let draft = read::Reader::new(self.request.schema, self.vocabulary, self.lexicon, &items).read()?;
        let context = shape::Context {
            schema: self.request.schema,
            vocabulary: self.vocabulary,
            lexicon: self.lexicon,
            zone: self.request.zone,
            today: self.request.today,
        };
        shape::shape(context, &draft)
    }
}
