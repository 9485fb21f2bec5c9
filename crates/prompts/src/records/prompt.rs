//! What a saved question is.

use tidegate_domain::{Document, Timestamp};

use crate::executions::execution::words;

/// Longest name, in characters.
pub const MAX_NAME: usize = 255;
/// Most tags.
pub const MAX_TAGS: usize = 50;
/// Longest tag, in characters.
pub const MAX_TAG: usize = 64;
/// Most bytes of metadata.
pub const MAX_METADATA: usize = 16 * 1024;

words! {
    /// What became of a saved question: what its latest execution is.
    PromptStatus {
        /// It was never asked.
        Draft = "draft",
        /// It is under way.
        Processing = "processing",
        /// It has a result.
        Completed = "completed",
        /// It has none.
        Failed = "failed",
    }
}

/// A saved question.
#[derive(Clone, Debug)]
pub struct Prompt {
    /// The integer that is shown.
    pub number: i64,
    /// The organization's number.
    pub organization_number: i64,
    /// The workspace's number.
    pub workspace_number: i64,
    /// For people.
    pub name: Option<String>,
    /// What was asked.
    pub text: String,
    /// Numbers of data sources.
    pub sources: Vec<i64>,
    /// Their schemas; all of them when there is none.
    pub schemas: Vec<String>,
    /// The client's own.
    pub tags: Vec<String>,
    /// The client's own.
    pub metadata: Document,
    /// What became of it.
    pub status: PromptStatus,
    /// Its latest execution.
    pub last_execution: Option<i64>,
    /// How long that took, in milliseconds.
    pub last_ms: Option<i64>,
    /// When it began.
    pub last_run_at: Timestamp,
    /// The number of the account that saved it.
    pub created_by: i64,
    /// Saved.
    pub created_at: Timestamp,
    /// Changed.
    pub updated_at: Timestamp,
}
