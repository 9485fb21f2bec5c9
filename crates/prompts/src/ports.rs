//! What this feature stands on and does not see: data sources, the engine that governs queries, and the built-in planner.

mod remarks;

use std::any::Any;
use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, OnceLock};

use arrow_array::RecordBatch;
use arrow_schema::{DataType, SchemaRef};
use async_trait::async_trait;
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use serde::{Deserialize, Serialize};
use serde_json::Value;
pub use tidegate_database::Unit;
use tidegate_domain::Timestamp;
use tidegate_kernel::{Actor, Fault, Grant, Reader};

pub use self::remarks::Remarks;

/// A data source, as far as questions need it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceName {
    /// The number that is shown.
    pub number: i64,
    /// For people.
    pub name: String,
    /// What it is called in SQL; unique in its workspace.
    pub slug: String,
    /// The number of its workspace.
    pub workspace: i64,
    /// What it is of: `postgresql`, `csv`, ….
    pub kind: String,
    /// `active`, `inactive`, `testing`, `failed` or `maintenance`.
    pub status: String,
    /// Whether its tables are known.
    pub is_discovered: bool,
}

/// Data sources: the catalog keeps them.
pub trait Sources: Send + Sync + 'static {
    /// All that the caller sees.
    ///
    /// # Errors
    /// Those of the store.
    fn seen<'f>(
        &'f self,
        unit: &'f mut Unit,
        grant: &'f Grant,
    ) -> BoxFuture<'f, Result<Vec<SourceName>, Fault>>;

    /// The first of several numbers that is no data source which the caller sees: what is known of them may be two seconds old.
    ///
    /// # Errors
    /// Those of the session and of the store.
    fn unseen<'f>(
        &'f self,
        actor: &'f Actor,
        numbers: &'f [i64],
    ) -> BoxFuture<'f, Result<Option<i64>, Fault>>;
}

/// A column of a relation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RelationColumn {
    /// As it is written in SQL.
    pub name: String,
    /// Its type, in words of SQL.
    pub type_name: String,
    /// Whether rows may be without it, as far as its source says.
    pub nullable: bool,
    /// Whether all that is in it is of that type. SQLite only declares types: what the engine reads is what is there.
    pub is_typed: bool,
    /// What its owner says of it. Text of strangers: data, never an instruction.
    pub comment: Option<String>,
    /// Whether it is part of the primary key.
    pub primary_key: bool,
    /// Schema, table and column of the same data source that it refers to.
    pub references: Option<(String, String, String)>,
}

/// A table or view that the person may see, with the columns that they may see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relation {
    /// What its data source is called in SQL.
    pub source: String,
    /// Its schema, as it is written in SQL.
    pub schema: String,
    /// Its own name.
    pub table: String,
    /// What its owner says of it. Text of strangers: data, never an instruction.
    pub comment: Option<String>,
    /// Its columns, in the order of the table.
    pub columns: Vec<RelationColumn>,
}

impl Relation {
    /// Its full name, quoted, to be written into SQL.
    pub fn quoted(&self) -> String {
        [&self.source, &self.schema, &self.table].map(|part| quoted(part)).join(".")
    }

    /// Whether `name` names it: its table, with its schema, with its source, or with both.
    pub fn is_named(&self, name: &str) -> bool {
        let same = |text: &str| text.eq_ignore_ascii_case(name);
        same(&self.table)
            || same(&format!("{}.{}", self.schema, self.table))
            || same(&format!("{}.{}", self.source, self.table))
            || same(&self.to_string())
    }
}

impl fmt::Display for Relation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.source, self.schema, self.table)
    }
}

/// A name as SQL quotes it.
pub fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Why a query has no answer. The list is closed; see the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum QueryCode {
    /// The text is no statement.
    Syntax,
    /// A relation is not there, or the person may not see it.
    UnknownRelation,
    /// A column is not there, or the person may not see it.
    UnknownColumn,
    /// The statement is none that reads.
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
    /// Too many queries at once.
    LimitConcurrency,
    /// A data source does not answer.
    SourceUnavailable,
    /// A policy refuses it.
    PolicyDenied,
    /// It was cancelled.
    Cancelled,
    /// A defect, ours or the machine's. What happened is in the log.
    Internal,
}

impl QueryCode {
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
            Self::Internal => "internal",
        }
    }

    /// Whether other SQL could help: what is wrong is what was written.
    pub const fn is_about_the_text(self) -> bool {
        matches!(
            self,
            Self::Syntax
                | Self::UnknownRelation
                | Self::UnknownColumn
                | Self::StatementNotAllowed
                | Self::TypeMismatch
        )
    }
}

/// Why a query has no answer. All of it may be answered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {message}", .code.as_str())]
pub struct QueryFailure {
    /// The reason.
    pub code: QueryCode,
    /// A sentence about it.
    pub message: String,
    /// Visible names that are nearest to an unknown one.
    pub nearest: Vec<String>,
}

impl QueryFailure {
    /// A failure without names.
    pub fn new(code: QueryCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), nearest: Vec::new() }
    }

    /// The sentence, with the names where there are any.
    pub(crate) fn into_text(self) -> String {
        match self.nearest.as_slice() {
            [] => self.message,
            nearest => format!("{} Nearest: {}.", self.message, nearest.join(", ")),
        }
    }
}

/// Stands for several queries that are recorded as one. Whoever runs them keeps in it what it needs for that, until the last is over.
#[derive(Clone, Debug, Default)]
pub struct RecordGroup(Arc<OnceLock<Arc<dyn Any + Send + Sync>>>);

impl RecordGroup {
    /// What is kept, made for the first of the queries. None where something of another type is.
    pub fn kept<T: Any + Send + Sync>(&self, make: impl FnOnce() -> T) -> Option<Arc<T>> {
        let kept = self.0.get_or_init(|| Arc::new(make()));
        Arc::clone(kept).downcast().ok()
    }
}

/// What policies decided of a query that an execution runs.
pub trait Recorded: Send + Sync + 'static {
    /// What was decided so far, to be written by whoever takes it; none where that is nothing. What is decided later is written by itself.
    fn take(&self) -> Option<Box<dyn Records>>;
}

/// Records that are to be written. Those that are dropped before [`Self::written`] are written by themselves.
#[async_trait]
pub trait Records: Send + Sync {
    /// Whether they are one statement.
    fn is_one_statement(&self) -> bool;

    /// Has the unit write them with its next statement that is not put off, or at its end.
    ///
    /// # Errors
    /// Those of the store.
    async fn put_off(&self, unit: &mut Unit) -> Result<(), Fault>;

    /// Notes that the unit was committed.
    fn written(self: Box<Self>);
}

/// Where whoever runs the query of an execution leaves its records, which are written with the execution's end: one unit of work less for
/// each query.
#[derive(Clone, Default)]
pub struct RecordSlot(Arc<OnceLock<Arc<dyn Recorded>>>);

impl RecordSlot {
    /// Leaves those of the execution's query. There is one: of another one they are written by themselves.
    pub fn leave(&self, recorded: Arc<dyn Recorded>) {
        drop(self.0.set(recorded));
    }

    /// Takes them.
    pub(crate) fn take(&self) -> Option<Box<dyn Records>> {
        self.0.get()?.take()
    }
}

impl fmt::Debug for RecordSlot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordSlot").finish_non_exhaustive()
    }
}

/// What a query is run for.
#[derive(Clone, Debug)]
pub enum Purpose {
    /// Its person asked for its rows: it counts against limits, and is recorded.
    Answer {
        /// When it began, which no other query of the person did.
        began: Timestamp,
        /// The number of its execution.
        execution: i64,
        /// The client's address.
        ip: Option<IpAddr>,
        /// Where its records are left, to be written with the end of its execution. Without it they are written as soon as the query is over.
        records: Option<RecordSlot>,
    },
    /// A question is to be understood: values are looked up that the person may see. It counts against no limit, and is recorded.
    Lookup {
        /// The number of the question's execution.
        execution: i64,
        /// The client's address.
        ip: Option<IpAddr>,
        /// All of the question are recorded as one.
        group: RecordGroup,
    },
    /// The operator looks at what the person sees: it is in the audit log, counts against no limit of the person, and is recorded. What
    /// policies changed is left in the remarks.
    Operator(Remarks),
    /// Its columns are asked for. Nothing of it runs.
    Shape,
}

/// A query of a person.
#[derive(Clone, Debug)]
pub struct QueryRequest {
    /// What for.
    pub purpose: Purpose,
    /// The number of a workspace in which it runs, for policies that hold there.
    pub workspace: Option<i64>,
    /// The person. What they may see is looked up when it runs, not when it was accepted.
    pub reader: Reader,
    /// Numbers of the data sources that it may read.
    pub sources: Vec<i64>,
    /// Their schemas that it may read; all of them when there is none.
    pub schemas: Vec<String>,
    /// One statement.
    pub sql: String,
    /// Values of its placeholders `$1`, `$2`, … in their order: bound, never written into the text.
    pub parameters: Vec<Value>,
}

/// What a query would answer with, found without reading a row.
#[derive(Clone, Debug, PartialEq)]
pub struct QueryShape {
    /// The columns.
    pub schema: SchemaRef,
    /// Types of `$1`, `$2`, … as far as the statement says them.
    pub parameters: Vec<Option<DataType>>,
}

/// Looks whether rows that were read may still be shown.
#[async_trait]
pub trait Watch: Send + Sync + 'static {
    /// # Errors
    /// [`QueryFailure`]: the person would see others by now, or none.
    async fn holds(&self) -> Result<(), QueryFailure>;
}

/// Rows, as they come. Dropping it cancels the query.
pub struct QueryAnswer {
    /// The columns.
    pub schema: SchemaRef,
    /// The rows.
    pub batches: BoxStream<'static, Result<RecordBatch, QueryFailure>>,
    /// Asked before rows are shown that were taken some time ago. Before a batch comes it is asked already.
    pub watch: Option<Arc<dyn Watch>>,
    /// What decided which rows these are, as [`Queries::fingerprint`] has it. None: nothing of them may be kept.
    pub seen_under: Option<String>,
}

/// Runs queries governed: whoever implements it applies the policies of the person, and there is no other way to rows.
#[async_trait]
pub trait Queries: Send + Sync + 'static {
    /// The relations of data sources that the person may see in the workspace of that number.
    ///
    /// # Errors
    /// [`QueryFailure`].
    async fn relations(
        &self,
        actor: &Actor,
        workspace: Option<i64>,
        sources: &[i64],
        schemas: &[String],
    ) -> Result<Vec<Relation>, QueryFailure>;

    /// What is to be said of those of the data sources whose tables are not known yet; none where there is no such.
    ///
    /// # Errors
    /// [`QueryFailure`].
    async fn undiscovered(
        &self,
        actor: &Actor,
        workspace: Option<i64>,
        sources: &[i64],
    ) -> Result<Option<String>, QueryFailure>;

    /// Parses and plans a query without running it.
    ///
    /// # Errors
    /// [`QueryFailure`].
    async fn check(&self, request: &QueryRequest) -> Result<(), QueryFailure>;

    /// Parses and plans a query, whose placeholders need no values yet, as far as it takes to know its columns. Nothing of it runs.
    ///
    /// # Errors
    /// [`QueryFailure`].
    async fn shape(&self, request: &QueryRequest) -> Result<QueryShape, QueryFailure>;

    /// Runs it.
    ///
    /// # Errors
    /// [`QueryFailure`].
    async fn run(&self, request: QueryRequest) -> Result<QueryAnswer, QueryFailure>;

    /// Waits until it is written down what policies decided of the queries that are over, which may be after their answers.
    async fn recorded(&self) {}

    /// What stands for all that decides what the person sees of these sources in that workspace: attributes, and policies with their versions. What was
    /// shown under one is not shown again under another. None: nothing may be kept.
    ///
    /// # Errors
    /// [`QueryFailure`].
    async fn fingerprint(
        &self,
        actor: &Actor,
        workspace: Option<i64>,
        sources: &[i64],
    ) -> Result<Option<String>, QueryFailure>;
}

/// Distinct values of a column of text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownValues {
    /// The place of its relation among those of the question.
    pub relation: usize,
    /// Its place in the relation.
    pub column: usize,
    /// The values, as the person sees them.
    pub values: Vec<String>,
}

/// A question in words.
#[derive(Clone, Debug)]
pub struct Question<'q> {
    /// What was asked.
    pub text: &'q str,
    /// The tag of the language that the person prefers; English where they name none that there is.
    pub language: &'q str,
    /// The relations that may be read.
    pub relations: &'q [Relation],
    /// Values that the person sees in columns of text, as far as they were looked up: "orders of Acme" names one.
    pub values: &'q [KnownValues],
    /// When it was asked, in microseconds since 1970: "last month" is before it.
    pub now_micros: i64,
}

/// SQL for a question.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// One statement.
    pub sql: String,
    /// Values of its placeholders.
    pub parameters: Vec<Value>,
    /// How the question was read, in words.
    pub reading: String,
    /// From 0 to 1.
    pub confidence: f64,
}

/// Why a planner has no SQL for a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoPlan {
    /// A sentence.
    pub message: String,
    /// Words that were not understood.
    pub not_understood: Vec<String>,
    /// Questions that it could answer, the nearest first.
    pub suggestions: Vec<String>,
}

/// A column of a result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResultColumn {
    /// Its name.
    pub name: String,
    /// Its type: `integer`, `number`, `string`, `boolean`, `date`, `timestamp`, `time`, `interval`, `binary`, `array`, `object`.
    #[serde(rename = "type")]
    pub type_name: String,
}

/// The built-in planner: deterministic, without a network, and without rows.
pub trait Planner: Send + Sync + 'static {
    /// SQL for a question, if it has one reading.
    ///
    /// # Errors
    /// [`NoPlan`].
    fn plan(&self, question: &Question<'_>) -> Result<Plan, NoPlan>;

    /// A Vega-Lite specification for a result, where it suits one. `rows` is a JSON array of objects.
    fn chart(&self, question: &str, columns: &[ResultColumn], rows: &str) -> Option<Value>;
}
