//! Why a query has no answer: a closed list of codes. Text of the engine and of sources is never answered, for it may quote rows. What is said
//! instead of a mistake in the text of a query is in `explain`.

use std::fmt;

use datafusion::arrow::error::ArrowError;
use datafusion::common::{Column, DataFusionError, SchemaError, TableReference};
use datafusion::parquet::errors::ParquetError;

/// The reasons there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Code {
    /// The text is no statement.
    Syntax,
    /// A relation is not there, or the person may not see it.
    UnknownRelation,
    /// A column is not there, or the person may not see it.
    UnknownColumn,
    /// The statement reads nothing, or asks for what queries may not ask for.
    StatementNotAllowed,
    /// Types do not fit together.
    TypeMismatch,
    /// A value of a visible row could not be computed.
    EvaluationFailed,
    /// More rows than the person may have.
    LimitRows,
    /// Not done in time.
    LimitTime,
    /// More memory, disk or size than a query may use.
    LimitMemory,
    /// Too many queries at once, and none ended in time.
    LimitConcurrency,
    /// A data source does not answer.
    SourceUnavailable,
    /// The query was refused to keep a policy.
    PolicyDenied,
    /// It was cancelled.
    Cancelled,
}

/// What is said of a data source that does not answer while it is read: which one, who knows their names says.
pub const SOURCE_AWAY: &str = "A data source of the query does not answer.";

impl Code {
    /// Every code, as answers write it.
    pub const ALL: [Self; 13] = [
        Self::Syntax,
        Self::UnknownRelation,
        Self::UnknownColumn,
        Self::StatementNotAllowed,
        Self::TypeMismatch,
        Self::EvaluationFailed,
        Self::LimitRows,
        Self::LimitTime,
        Self::LimitMemory,
        Self::LimitConcurrency,
        Self::SourceUnavailable,
        Self::PolicyDenied,
        Self::Cancelled,
    ];

    /// As answers write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Syntax => "syntax",
            Self::UnknownRelation => "unknown_relation",
            Self::UnknownColumn => "unknown_column",
            Self::StatementNotAllowed => "statement_not_allowed",
            Self::TypeMismatch => "type_mismatch",
            Self::EvaluationFailed => "evaluation_failed",
            Self::LimitRows => "limit_rows",
            Self::LimitTime => "limit_time",
            Self::LimitMemory => "limit_memory",
            Self::LimitConcurrency => "limit_concurrency",
            Self::SourceUnavailable => "source_unavailable",
            Self::PolicyDenied => "policy_denied",
            Self::Cancelled => "cancelled",
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a query has no answer. All of it may be answered: the message is ours, and names in it are the person's own or visible ones.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct QueryError {
    /// The reason.
    pub code: Code,
    /// A sentence about it.
    pub message: String,
    /// Visible names nearest to one that is unknown.
    pub nearest: Vec<String>,
}

impl QueryError {
    /// An error without names.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), nearest: Vec::new() }
    }

    pub(crate) fn not_allowed(message: impl Into<String>) -> Self {
        Self::new(Code::StatementNotAllowed, message)
    }

    pub(crate) fn too_big(message: impl Into<String>) -> Self {
        Self::new(Code::LimitMemory, message)
    }

    pub(crate) fn syntax() -> Self {
        Self::new(Code::Syntax, "The text is not a valid SQL query.")
    }

    pub(crate) fn time() -> Self {
        Self::new(Code::LimitTime, "The query was not done in time.")
    }

    pub(crate) fn cancelled() -> Self {
        Self::new(Code::Cancelled, "The query was cancelled.")
    }

    pub(crate) fn denied() -> Self {
        Self::new(Code::PolicyDenied, "The query cannot be answered within the policies that hold for you.")
    }

    pub(crate) fn unavailable() -> Self {
        Self::new(Code::SourceUnavailable, SOURCE_AWAY)
    }

    /// The same for what is not there and what must not be seen.
    pub(crate) fn unknown_relation(name: &str, visible: &[String]) -> Self {
        let nearest = nearest(name, visible.iter().map(String::as_str));
        Self {
            code: Code::UnknownRelation,
            message: format!("There is no relation {}.", quoted(name)),
            nearest,
        }
    }

    /// The same, with names near it that the query itself gives: those of its common table expressions.
    pub(crate) fn or_own<'a>(mut self, name: &str, own: impl Iterator<Item = &'a str>) -> Self {
        let mut all = nearest(name, own.filter(|own| !own.eq_ignore_ascii_case(name)));
        self.nearest.retain(|visible| !all.contains(visible));
        all.append(&mut self.nearest);
        all.truncate(3);
        self.nearest = all;
        self
    }

    /// The same for what is not there and what must not be seen.
    pub(crate) fn unknown_column<'a>(name: &str, visible: impl Iterator<Item = &'a str>) -> Self {
        let nearest = nearest(name, visible);
        let same = nearest.first().filter(|near| *near != name && near.to_lowercase() == name.to_lowercase());
        let hint = match same {
            Some(same) => format!(" Write {}, in double quotes.", quoted(same)),
            None if nearest.is_empty() && is_in_quotes(name) => {
                " Double quotes are for names: a text is in single quotes.".to_owned()
            }
            None => String::new(),
        };
        Self {
            code: Code::UnknownColumn,
            message: format!("There is no column {}.{hint}", quoted(name)),
            nearest,
        }
    }
}

/// A name with that of a relation before it, which is not among those of its place.
fn unknown_qualified(relation: &str, name: &str, valid: &[Column]) -> QueryError {
    let written = |column: &Column| match &column.relation {
        Some(relation) => format!("{}.{}", relation.table(), column.name),
        None => column.name.clone(),
    };
    let (name, visible) = (format!("{relation}.{name}"), valid.iter().map(written).collect::<Vec<_>>());
    QueryError {
        code: Code::UnknownColumn,
        message: format!("There is no column {} at this place.", quoted(&name)),
        nearest: nearest(&name, visible.iter().map(String::as_str)),
    }
}

/// Whether the query has a name in double quotes, as far as the name says it: without them it has small letters, digits and few signs. What the
/// engine computes has brackets.
fn is_in_quotes(name: &str) -> bool {
    let is_plain = |c: char| "_@#$.".contains(c) || (c.is_alphanumeric() && !c.is_uppercase());
    !name.chars().all(is_plain) && !name.contains('(')
}

/// A name as a message shows it: without control characters, cut to 80 characters.
pub(crate) fn quoted(name: &str) -> String {
    let clean: String = name.chars().filter(|c| !c.is_control()).take(80).collect();
    format!("\"{clean}\"")
}

/// The three nearest names, the nearest first.
pub(crate) fn nearest<'a>(name: &str, all: impl Iterator<Item = &'a str>) -> Vec<String> {
    const MOST_LOOKED_AT: usize = 10_000;
    let wanted: String = name.chars().take(200).collect::<String>().to_lowercase();
    let mut found: Vec<(f64, &str)> = all
        .take(MOST_LOOKED_AT)
        .map(|name| (strsim::jaro_winkler(&wanted, &name.to_lowercase()), name))
        .filter(|(likeness, _)| *likeness >= 0.7)
        .collect();
    found.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(b.1)));
    found.dedup_by(|a, b| a.1 == b.1);
    found.into_iter().take(3).map(|(_, name)| name.to_owned()).collect()
}

/// A failure of ours on its way through the engine.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Carried(pub(crate) QueryError);

impl From<QueryError> for DataFusionError {
    fn from(error: QueryError) -> Self {
        Self::External(Box::new(Carried(error)))
    }
}

/// When an error came up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Before a row was read.
    Planning,
    /// While rows came.
    Running,
}

/// The code of an error of the engine. Its text decides at most which code it is, and is answered in no case.
pub(crate) fn classify(error: &DataFusionError, phase: Phase) -> QueryError {
    if let Some(own) = carried(error) {
        return own;
    }
    tracing::debug!(phase = ?phase, kind = kind(error), "a query failed");
    match error {
        DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner) => classify(inner, phase),
        DataFusionError::Shared(inner) => classify(inner, phase),
        DataFusionError::Collection(all) => {
            all.first().map_or_else(QueryError::syntax, |first| classify(first, phase))
        }
        DataFusionError::SQL(..) => QueryError::syntax(),
        DataFusionError::SchemaError(error, _) => schema(error),
        DataFusionError::NotImplemented(_) => {
            QueryError::not_allowed("The query asks for something that is not supported.")
        }
        DataFusionError::ResourcesExhausted(_) => {
            QueryError::too_big("The query needs more memory than it may use.")
        }
        DataFusionError::Plan(text) => planned(text),
        DataFusionError::External(_) | DataFusionError::ObjectStore(_) | DataFusionError::ParquetError(_) => {
            QueryError::unavailable()
        }
        DataFusionError::IoError(_) => QueryError::unavailable(),
        DataFusionError::ArrowError(error, _) => arrow(error),
        _ => failed(),
    }
}

/// Whether no memory was left, and not some other limit that has the same code.
pub(crate) fn is_out_of_memory(error: &DataFusionError) -> bool {
    carried(error).is_none() && matches!(error.find_root(), DataFusionError::ResourcesExhausted(_))
}

/// What is told of a value of a row that could not be computed.
pub(crate) const NOT_COMPUTED: &str = "A value could not be computed from a row that you see.";

fn failed() -> QueryError {
    QueryError::new(Code::EvaluationFailed, NOT_COMPUTED)
}

/// An error of ours inside others.
fn carried(error: &DataFusionError) -> Option<QueryError> {
    match error {
        DataFusionError::External(inner) => boxed(inner.as_ref()),
        DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner) => carried(inner),
        DataFusionError::Shared(inner) => carried(inner),
        DataFusionError::Collection(all) => all.iter().find_map(carried),
        DataFusionError::ArrowError(inner, _) => match inner.as_ref() {
            ArrowError::ExternalError(inner) => boxed(inner.as_ref()),
            ArrowError::IoError(_, inner) => inner.get_ref().and_then(boxed),
            _ => None,
        },
        DataFusionError::IoError(inner) => inner.get_ref().and_then(boxed),
        DataFusionError::ParquetError(inner) => match inner.as_ref() {
            ParquetError::External(inner) => boxed(inner.as_ref()),
            _ => None,
        },
        _ => None,
    }
}

fn boxed(error: &(dyn std::error::Error + Send + Sync + 'static)) -> Option<QueryError> {
    if let Some(Carried(own)) = error.downcast_ref::<Carried>() {
        return Some(own.clone());
    }
    if let Some(ArrowError::ExternalError(inner)) = error.downcast_ref::<ArrowError>() {
        return boxed(inner.as_ref());
    }
    error.downcast_ref::<DataFusionError>().and_then(carried)
}

fn arrow(error: &ArrowError) -> QueryError {
    match error {
        ArrowError::IoError(..) | ArrowError::ParquetError(_) => QueryError::unavailable(),
        ArrowError::ExternalError(inner) => match inner.downcast_ref::<DataFusionError>() {
            Some(error) => classify(error, Phase::Running),
            None => QueryError::unavailable(),
        },
        ArrowError::MemoryError(_) => QueryError::too_big("The query needs more memory than it may use."),
        _ => failed(),
    }
}

fn schema(error: &SchemaError) -> QueryError {
    match error {
        SchemaError::FieldNotFound { field, valid_fields } => {
            let is_of = |relation: &str, column: &Column| {
                column.relation.as_ref().is_some_and(|own| own.table() == relation)
            };
            if let Some(relation) = field.relation.as_ref().map(TableReference::table)
                && !valid_fields.iter().any(|column| is_of(relation, column))
            {
                return unknown_qualified(relation, &field.name, valid_fields);
            }
            QueryError::unknown_column(&field.name, valid_fields.iter().map(|field| field.name.as_str()))
        }
        SchemaError::AmbiguousReference { field } => QueryError::new(
            Code::UnknownColumn,
            format!("The column {} is in several relations; name the one you mean.", quoted(&field.name)),
        ),
        SchemaError::DuplicateQualifiedField { name, .. }
        | SchemaError::DuplicateUnqualifiedField { name } => {
            QueryError::new(Code::Syntax, format!("The name {} is there twice.", quoted(name)))
        }
    }
}

/// Words of the engine about types. What they miss is a statement it does not take.
const ABOUT_TYPES: &[&str] = &[
    "coerce",
    "coercion",
    "cast",
    "data type",
    "datatype",
    "signature",
    "operand",
    "type",
    "numeric",
    "comparison",
    "inferred",
    "boolean",
];

fn planned(text: &str) -> QueryError {
    let text = text.to_lowercase();
    if text.contains("not supported") || text.contains("unsupported") || text.contains("not implemented") {
        return QueryError::not_allowed("The query asks for something that is not supported.");
    }
    if ABOUT_TYPES.iter().any(|word| text.contains(word)) {
        return QueryError::new(Code::TypeMismatch, "Types of the query do not fit together.");
    }
    QueryError::new(Code::Syntax, "The query is not valid.")
}

/// What kind of error it is, for the operator's log: its text may hold rows.
fn kind(error: &DataFusionError) -> &'static str {
    match error {
        DataFusionError::ArrowError(..) => "arrow",
        DataFusionError::Plan(_) => "plan",
        DataFusionError::SchemaError(..) => "schema",
        DataFusionError::Execution(_) => "execution",
        DataFusionError::ResourcesExhausted(_) => "resources",
        DataFusionError::Internal(_) => "internal",
        DataFusionError::NotImplemented(_) => "not implemented",
        DataFusionError::External(_) => "external",
        DataFusionError::SQL(..) => "sql",
        _ => "other",
    }
}
