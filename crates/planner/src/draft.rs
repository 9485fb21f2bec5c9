//! What a question asks for, before it is known which tables answer it.

use crate::dates::{Range, Unit};
use crate::items::{Aggregate, Direction};
use crate::lexicon::{ColumnRef, TableRef};
use crate::schema::ColumnId;

/// Columns that a phrase may mean.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Slot {
    pub(crate) columns: Vec<ColumnRef>,
    pub(crate) words: String,
}

/// What a filter asks of a column.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Test {
    /// One of these values; per column, since a phrase may be a value of several.
    Values(Vec<(ColumnId, String)>),
    Compare(String, String),
    Between(String, String),
    True,
    False,
    Null,
    NotNull,
}

/// A condition on rows.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Filter {
    pub(crate) slot: Slot,
    pub(crate) test: Test,
    pub(crate) negated: bool,
    /// After "that are" and the like: of a share, the part.
    pub(crate) part: bool,
    /// A value in the plural ("trucks"): it may stand for the rows that have it.
    pub(crate) noun: bool,
}

/// A span of time, perhaps of a named column.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Span {
    pub(crate) range: Range,
    pub(crate) slot: Option<Slot>,
    pub(crate) part: bool,
    pub(crate) words: String,
}

/// What rows are grouped by.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Dimension {
    Table(TableRef),
    Column(Slot),
    Period(Unit),
}

/// What rows are ranked by.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Metric {
    CountOf(TableRef),
    Aggregate(Aggregate, Slot),
    /// A column alone, after "by": its value where it is the subject's own, else its sum.
    By(Slot),
    /// A column alone, after "highest": its value where it is the subject's own, else its extreme if it does not add up.
    Extreme(Slot),
    /// The names of the measure ("heaviest").
    Named(Vec<String>),
}

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ask {
    Rows,
    Count,
    Distinct,
    Share,
}

/// A question, read.
#[derive(Debug, Clone)]
pub(crate) struct Draft {
    pub(crate) ask: Ask,
    pub(crate) aggregate: Option<Aggregate>,
    pub(crate) measure: Option<Slot>,
    pub(crate) tables: Vec<TableRef>,
    /// Columns named without a use so far.
    pub(crate) free: Vec<Slot>,
    pub(crate) dimensions: Vec<Dimension>,
    pub(crate) filters: Vec<Filter>,
    pub(crate) spans: Vec<Span>,
    /// The date that periods and spans are of ("per month of placed_on").
    pub(crate) dated: Option<Slot>,
    pub(crate) ids: Vec<(TableRef, String)>,
    pub(crate) having: Option<(String, String, TableRef)>,
    pub(crate) without: Vec<TableRef>,
    pub(crate) metric: Option<(Metric, Direction)>,
    pub(crate) top: Option<Direction>,
    /// The top is one of size ("largest"), which an amount may tell.
    pub(crate) sized: bool,
    pub(crate) limit: Option<u32>,
    /// "New customers": only with a span or a period.
    pub(crate) new: bool,
    /// The subject was named in the plural.
    pub(crate) plural: bool,
    /// The question began with "which" or "who".
    pub(crate) which: bool,
    pub(crate) units: Vec<String>,
    pub(crate) assumptions: Vec<String>,
}

impl Default for Draft {
    fn default() -> Self {
        Self {
            ask: Ask::Rows,
            aggregate: None,
            measure: None,
            tables: Vec::new(),
            free: Vec::new(),
            dimensions: Vec::new(),
            filters: Vec::new(),
            spans: Vec::new(),
            dated: None,
            ids: Vec::new(),
            having: None,
            without: Vec::new(),
            metric: None,
            top: None,
            sized: false,
            limit: None,
            new: false,
            plural: false,
            which: false,
            units: Vec::new(),
            assumptions: Vec::new(),
        }
    }
}

/// Why a question is not answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Why {
    /// Words that nothing knows.
    Unknown(Vec<String>),
    /// Words that may mean several things.
    Ambiguous(String),
    /// Words of time, and the dates that they may be of.
    Undated(String, Vec<ColumnId>),
    /// Words that are known, but not in this place.
    Unfit(String),
    /// No table is asked about.
    Nothing,
}

impl Why {
    /// The words it is about.
    pub(crate) fn words(&self) -> Vec<String> {
        match self {
            Self::Unknown(words) => words.clone(),
            Self::Ambiguous(words) | Self::Undated(words, _) | Self::Unfit(words) => vec![words.clone()],
            Self::Nothing => Vec::new(),
        }
    }
}
