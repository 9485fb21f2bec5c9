//! A row of the table of executions.

use tidegate_database::{Result, StoreError};
use tidegate_domain::Timestamp;

use super::execution::{Execution, ExecutionError, ExecutionKind, ExecutionStatus, PartStatus};
use super::live::Drafted;

#[derive(sqlx::FromRow)]
pub(super) struct Row {
    number: i64,
    workspace_number: i64,
    account_number: i64,
    account_name: Option<String>,
    kind: String,
    prompt_number: Option<i64>,
    template_number: Option<i64>,
    question: String,
    sql: Option<String>,
    parameters: String,
    sources: String,
    schemas: String,
    ai_model_used: Option<String>,
    ai_request_id: Option<String>,
    ai_metadata: Option<String>,
    status: String,
    ai_status: String,
    query_status: Option<String>,
    progress: i64,
    rows_returned: Option<i64>,
    columns: Option<String>,
    preview: Option<Vec<u8>>,
    preview_key: Option<String>,
    draft: Option<String>,
    draft_attempt: Option<i64>,
    ai_ms: Option<i64>,
    query_ms: Option<i64>,
    total_ms: Option<i64>,
    error_code: Option<String>,
    error_message: Option<String>,
    started_at: i64,
    completed_at: Option<i64>,
}

/// An execution that is over, as far as it adds to sums.
#[derive(sqlx::FromRow)]
pub(crate) struct EndedRow {
    pub(crate) status: String,
    pub(crate) started_at: i64,
    pub(crate) sources: String,
    pub(crate) ai_ms: i64,
    pub(crate) query_ms: i64,
    pub(crate) total_ms: i64,
}

/// Selects whole rows.
macro_rules! select {
    ($rest:literal) => {
        concat!(
            "select e.number, w.number as workspace_number, e.account_number, a.display_name as account_name, e.kind,
                e.prompt_number, e.template_number, e.question, e.sql, e.parameters, e.sources, e.schemas, e.ai_model_used,
                e.ai_request_id, e.ai_metadata, e.status, e.ai_status, e.query_status, e.progress, e.rows_returned,
                e.columns, e.preview, e.preview_key, e.draft, e.draft_attempt, e.ai_ms, e.query_ms, e.total_ms,
                e.error_code, e.error_message, e.started_at, e.completed_at
             from prompt_executions e join workspaces w on w.id = e.workspace_id
                left join accounts a on a.id = e.account_id ",
            $rest
        )
    };
}
pub(super) use select;

/// Numbers as they are stored: `,3,5,`.
pub(crate) fn stored_numbers(numbers: &[i64]) -> String {
    let mut text = String::from(",");
    for number in numbers {
        text.push_str(&number.to_string());
        text.push(',');
    }
    text
}

/// Those of such a text.
pub(crate) fn read_numbers(text: &str) -> Vec<i64> {
    text.split(',').filter_map(|number| number.parse().ok()).collect()
}

/// JSON of a column.
pub(crate) fn read_json<T: serde::de::DeserializeOwned>(text: &str, column: &'static str) -> Result<T> {
    serde_json::from_str(text).map_err(|_| StoreError::Unreadable(column))
}

impl Row {
    pub(super) fn read(self) -> Result<Execution> {
        let unreadable = || StoreError::Unreadable("prompt_executions");
        let error = self.error_code.zip(self.error_message);
        Ok(Execution {
            number: self.number,
            kind: ExecutionKind::from_name(&self.kind).ok_or_else(unreadable)?,
            prompt: self.prompt_number,
            template: self.template_number,
            workspace_number: self.workspace_number,
            account_number: self.account_number,
            account_name: self.account_name.filter(|name| !name.is_empty()),
            question: self.question,
            sql: self.sql,
            parameters: read_json(&self.parameters, "prompt_executions.parameters")?,
            sources: read_numbers(&self.sources),
            schemas: read_json(&self.schemas, "prompt_executions.schemas")?,
            ai_model_used: self.ai_model_used,
            ai_request_id: self.ai_request_id,
            ai_metadata: self
                .ai_metadata
                .map(|text| read_json(&text, "prompt_executions.ai_metadata"))
                .transpose()?,
            status: ExecutionStatus::from_name(&self.status).ok_or_else(unreadable)?,
            ai_status: PartStatus::from_name(&self.ai_status).ok_or_else(unreadable)?,
            query_status: self
                .query_status
                .map(|name| PartStatus::from_name(&name).ok_or_else(unreadable))
                .transpose()?,
            progress: self.progress,
            rows_returned: self.rows_returned,
            columns: match self.columns {
                Some(text) => read_json(&text, "prompt_executions.columns")?,
                None => Vec::new(),
            },
            preview: None,
            chart: None,
            ai_ms: self.ai_ms,
            query_ms: self.query_ms,
            total_ms: self.total_ms,
            error: error.map(|(code, message)| ExecutionError { code, message }),
            started_at: Timestamp::from_micros(self.started_at),
            completed_at: self.completed_at.map(Timestamp::from_micros),
            sealed_preview: self.preview.zip(self.preview_key),
            draft: self
                .draft
                .zip(self.draft_attempt)
                .map(|(text, attempt)| Drafted { attempt: u32::try_from(attempt).unwrap_or(u32::MAX), text }),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_they_were_stored() {
        for numbers in [vec![], vec![7], vec![3, 12, 5]] {
            assert_eq!(read_numbers(&stored_numbers(&numbers)), numbers);
        }
        // What is looked for is `,3,`, which no other number has.
        assert!(!stored_numbers(&[13, 30]).contains(",3,"));
    }
}
