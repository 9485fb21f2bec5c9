//! What an execution is.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use tidegate_domain::Timestamp;

use super::live::Drafted;
use crate::ports::ResultColumn;

/// Longest question, in characters.
pub const MAX_QUESTION: usize = 20_000;
/// Longest statement, in bytes.
pub const MAX_SQL: usize = 48 * 1024;
/// Most data sources of one question.
pub const MAX_SOURCES: usize = 20;
/// Most schemas that it can be narrowed to.
pub const MAX_SCHEMAS: usize = 100;
/// Most parameters of one statement.
pub const MAX_PARAMETERS: usize = 100;
/// Rows that are shown with an execution.
pub const PREVIEW_ROWS: usize = 100;
/// Most bytes of those rows, as JSON. Fewer rows are shown where they are longer.
pub const PREVIEW_BYTES: usize = 256 * 1024;

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$one:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$one])* $variant,)+
        }

        impl $name {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// As it is stored and sent.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }

            /// The one of that name.
            pub fn from_name(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|one| one.as_str() == name)
            }
        }
    };
}
pub(crate) use words;

words! {
    /// How it began.
    ExecutionKind {
        /// A question in words.
        Prompt = "prompt",
        /// A template.
        Template = "template",
        /// SQL that a person wrote.
        Sql = "sql",
    }
}

words! {
    /// Where it is.
    ExecutionStatus {
        /// It was accepted.
        Pending = "pending",
        /// It is under way.
        Processing = "processing",
        /// It has a result.
        Completed = "completed",
        /// It has none, and why is known.
        Failed = "failed",
        /// Its person called it off.
        Cancelled = "cancelled",
    }
}

impl ExecutionStatus {
    /// Whether it stays as it is.
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Cancelled)
    }
}

words! {
    /// Where one of its two parts is: making SQL, and running it.
    PartStatus {
        /// Not begun.
        Pending = "pending",
        /// Under way.
        InProgress = "in_progress",
        /// Done.
        Completed = "completed",
        /// It did not work.
        Failed = "failed",
    }
}

/// What answered a question said besides SQL.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AiMetadata {
    /// What answered.
    pub model: String,
    /// From 0 to 1.
    pub confidence: f64,
    /// Of the question and the answer, all attempts together.
    pub tokens_used: u64,
    /// How the question was read.
    pub explanation: Option<String>,
    /// Words that were not understood.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_understood: Vec<String>,
    /// Questions that it could answer instead.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub suggestions: Vec<String>,
}

/// Why an execution failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExecutionError {
    /// A code of [`crate::ports::QueryCode`], or one of `not_understood`, `model_unavailable`, `model_refused`, `spend_limit`,
    /// `interrupted`.
    pub code: String,
    /// A sentence.
    pub message: String,
}

/// A question or query, and what became of it.
#[derive(Clone, Debug)]
pub struct Execution {
    /// The integer that is shown.
    pub number: i64,
    /// How it began.
    pub kind: ExecutionKind,
    /// The saved question.
    pub prompt: Option<i64>,
    /// The template.
    pub template: Option<i64>,
    /// The workspace's number.
    pub workspace_number: i64,
    /// The number of the person's account.
    pub account_number: i64,
    /// What the person is called, where it is known.
    pub account_name: Option<String>,
    /// In words or in SQL.
    pub question: String,
    /// What was run.
    pub sql: Option<String>,
    /// Values of its placeholders.
    pub parameters: Vec<Value>,
    /// Numbers of data sources.
    pub sources: Vec<i64>,
    /// Schemas that it was narrowed to.
    pub schemas: Vec<String>,
    /// What made the SQL.
    pub ai_model_used: Option<String>,
    /// The provider's name of that.
    pub ai_request_id: Option<String>,
    /// What else it said.
    pub ai_metadata: Option<AiMetadata>,
    /// Where it is.
    pub status: ExecutionStatus,
    /// Where the making of SQL is.
    pub ai_status: PartStatus,
    /// Where the query is; none while there is no SQL.
    pub query_status: Option<PartStatus>,
    /// Percent.
    pub progress: i64,
    /// All rows of the result.
    pub rows_returned: Option<i64>,
    /// Its columns.
    pub columns: Vec<ResultColumn>,
    /// Its first rows, a JSON array of objects. None where there is no result, and where the person may see other rows by now.
    pub preview: Option<Box<RawValue>>,
    /// A Vega-Lite specification.
    pub chart: Option<Value>,
    /// Making SQL took so long, in milliseconds.
    pub ai_ms: Option<i64>,
    /// Running it.
    pub query_ms: Option<i64>,
    /// All of it.
    pub total_ms: Option<i64>,
    /// Why it failed.
    pub error: Option<ExecutionError>,
    /// It was accepted.
    pub started_at: Timestamp,
    /// It was over.
    pub completed_at: Option<Timestamp>,
    pub(crate) sealed_preview: Option<(Vec<u8>, String)>,
    /// What a model has explained of an answer that it is writing, as the node that runs it said last.
    pub(crate) draft: Option<Drafted>,
}
