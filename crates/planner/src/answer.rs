//! What the planner answers.

use serde::{Deserialize, Serialize};

/// A value bound to a mark of the statement, so that no text of a question is ever part of SQL.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", content = "value", rename_all = "snake_case")]
pub enum Parameter {
    Text(String),
    Integer(i64),
    /// A number with digits after the point, as it was written.
    Decimal(String),
    /// ISO 8601, a day.
    Date(String),
    /// ISO 8601, without a zone.
    Timestamp(String),
    /// RFC 3339, in UTC.
    Instant(String),
}

/// How a question was understood, in words.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reading {
    /// One sentence.
    pub summary: String,
    pub tables: Vec<String>,
    pub columns: Vec<String>,
    pub joins: Vec<String>,
    pub filters: Vec<String>,
    pub assumptions: Vec<String>,
}

/// A statement that answers the question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// One SELECT in standard SQL, as DataFusion reads it: names quoted, values as `$1`, `$2`.
    pub sql: String,
    /// The value of `$1` first.
    pub parameters: Vec<Parameter>,
    pub reading: Reading,
}

/// Why there is no statement, and what could be asked instead.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    pub reason: Reason,
    /// Words of the question: those that were not understood, or do not fit where they stand.
    pub not_understood: Vec<String>,
    /// Columns that these words may mean, where they mean several.
    #[serde(default)]
    pub meanings: Vec<String>,
    /// Up to three questions near this one that have an answer.
    pub readings: Vec<String>,
    /// Other questions of the schema that have an answer: with `readings` up to three.
    #[serde(default)]
    pub examples: Vec<String>,
}

/// The kind of a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Longer than 2,000 bytes or 80 words.
    TooLong,
    /// No words.
    Empty,
    /// Words that neither the language nor the schema nor its values know.
    UnknownWords,
    /// More than one reading.
    Ambiguous,
    /// The words are known, the way they are put together is not.
    NotSupported,
}

/// The answer to a question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Answer {
    Plan(Plan),
    Refusal(Refusal),
}
