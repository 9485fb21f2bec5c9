//! The end of an execution is written, once, with the sums that it adds to.

use std::time::Duration;

use serde_json::Value;
use tidegate_domain::Timestamp;
use tidegate_kernel::Fault;
use tokio::time::sleep;

use super::ending::is_one_statement;
use super::execution::{AiMetadata, Execution, ExecutionError, ExecutionStatus, PartStatus};
use super::run::Task;
use super::start::Asked;
use crate::analytics::repository::Run;
use crate::models::ask::Made;
use crate::ports::{QueryRequest, RecordSlot, Records, ResultColumn};
use crate::work::Person;
use crate::{PromptTables, Prompts};

/// How often the end is written anew when the database does not answer.
const ATTEMPTS: u32 = 3;
/// How long after that.
const PAUSE: Duration = Duration::from_millis(500);
/// Characters of a question that analytics show.
const SHOWN: usize = 200;

/// What an execution came to.
pub(crate) struct Ended {
    pub(super) status: ExecutionStatus,
    pub(super) ai_status: PartStatus,
    pub(super) query_status: Option<PartStatus>,
    pub(super) sql: Option<String>,
    pub(super) parameters: Vec<Value>,
    pub(super) ai_model_used: Option<String>,
    pub(super) ai_request_id: Option<String>,
    pub(super) ai_metadata: Option<AiMetadata>,
    pub(super) rows_returned: Option<i64>,
    pub(super) columns: Vec<ResultColumn>,
    pub(super) preview_text: Option<String>,
    pub(super) preview_key: Option<String>,
    /// Sealed, with its key.
    pub(super) preview: Option<(Vec<u8>, String)>,
    pub(super) ai_ms: Option<i64>,
    pub(super) query_ms: Option<i64>,
    pub(super) total_ms: Option<i64>,
    pub(super) error: Option<ExecutionError>,
}

/// An end as it was written.
pub(super) struct Written {
    pub(super) ended: Ended,
    /// The first rows, where they are kept, and what they were seen under.
    pub(super) first_rows: Option<(String, String)>,
    pub(super) at: Timestamp,
}

impl Ended {
    pub(super) fn new(asked: &Asked) -> Self {
        let (ai_status, sql, parameters) = match asked {
            Asked::Words(_) => (PartStatus::InProgress, None, Vec::new()),
            Asked::Sql(sql, parameters) => (PartStatus::Completed, Some(sql.clone()), parameters.clone()),
        };
        Self {
            status: ExecutionStatus::Processing,
            ai_status,
            query_status: None,
            sql,
            parameters,
            ai_model_used: None,
            ai_request_id: None,
            ai_metadata: None,
            rows_returned: None,
            columns: Vec::new(),
            preview_text: None,
            preview_key: None,
            preview: None,
            ai_ms: None,
            query_ms: None,
            total_ms: None,
            error: None,
        }
    }

    /// There is SQL.
    pub(super) fn made(&mut self, made: Made) -> QueryRequest {
        self.ai_status = PartStatus::Completed;
        self.query_status = Some(PartStatus::Pending);
        self.sql = Some(made.request.sql.clone());
        self.parameters = made.request.parameters.clone();
        self.ai_model_used = made.model;
        self.ai_request_id = made.request_id;
        self.ai_metadata = made.metadata;
        made.request
    }

    /// There is no result.
    pub(super) fn fail(&mut self, error: ExecutionError) {
        let is_cancelled = error.code == "cancelled";
        self.status = if is_cancelled { ExecutionStatus::Cancelled } else { ExecutionStatus::Failed };
        if self.ai_status != PartStatus::Completed {
            self.ai_status = PartStatus::Failed;
        }
        self.query_status = self.query_status.map(|_| PartStatus::Failed);
        self.rows_returned = None;
        self.columns = Vec::new();
        self.preview_text = None;
        self.error = Some(error);
    }

    pub(super) fn parameters_json(&self) -> String {
        Value::from(self.parameters.clone()).to_string()
    }

    pub(super) fn ai_metadata_json(&self) -> Option<String> {
        self.ai_metadata.as_ref().and_then(|metadata| serde_json::to_string(metadata).ok())
    }

    pub(super) fn columns_json(&self) -> Option<String> {
        serde_json::to_string(&self.columns).ok()
    }
}

/// What a preview is sealed for.
pub(super) fn purpose(number: i64) -> String {
    format!("prompt preview {number}")
}

/// The beginning of a question, as analytics show it.
fn shown(question: &str) -> String {
    question.chars().take(SHOWN).collect()
}

impl Prompts {
    /// What one question is known by, however long it is.
    fn question_key(&self, question: &str) -> Vec<u8> {
        self.kernel.vault.mac("prompt question", question.as_bytes()).to_vec()
    }

    /// What an execution adds to the sums that did not come to its end.
    pub(super) fn stopped<'e>(
        &self,
        execution: &'e Execution,
        person: Person,
        status: ExecutionStatus,
        now: Timestamp,
    ) -> Run<'e> {
        let lasted = now.since(execution.started_at);
        Run {
            person,
            prompt: execution.prompt.unwrap_or(0),
            sources: &execution.sources,
            status,
            ai_ms: 0,
            query_ms: 0,
            total_ms: i64::try_from(lasted.as_millis()).unwrap_or(i64::MAX),
            question_key: self.question_key(&execution.question),
            preview: shown(&execution.question),
            started_at: execution.started_at,
        }
    }

    /// Writes the end; answers what was written. None where somebody else has ended it. Where that is not possible, the execution is found to be
    /// lost later.
    pub(super) async fn finish(&self, number: i64, task: &Task, mut ended: Ended) -> Option<Written> {
        let mut first_rows = None;
        if let (Some(text), Some(key)) = (ended.preview_text.take(), ended.preview_key.take()) {
            let sealed =
                self.kernel.vault.seal(&purpose(number), text.as_bytes(), self.kernel.entropy.as_ref());
            match sealed {
                Ok(sealed) => {
                    ended.preview = Some((sealed, key.clone()));
                    first_rows = Some((text, key));
                }
                Err(error) => tracing::error!(%error, "the preview of an execution cannot be sealed"),
            }
        }
        let mut records = task.records.as_ref().and_then(RecordSlot::take);
        for attempt in 1..=ATTEMPTS {
            match self.write_end(number, task, &ended, records.as_deref()).await {
                Ok(at) => {
                    if let Some(records) = records {
                        records.written();
                    }
                    return at.map(|at| Written { ended, first_rows, at });
                }
                Err(fault) if attempt == ATTEMPTS => {
                    tracing::error!(error = %fault, execution = number, "the end of an execution cannot be written");
                }
                Err(_) => {
                    // What failed may be about the records, which are written by themselves now.
                    records = None;
                    sleep(PAUSE).await;
                }
            }
        }
        None
    }

    /// Writes the end with the records of the query; answers when, unless the execution was over: then the records alone are written.
    async fn write_end(
        &self,
        number: i64,
        task: &Task,
        ended: &Ended,
        records: Option<&dyn Records>,
    ) -> Result<Option<Timestamp>, Fault> {
        let question = task.new.text();
        let run = Run {
            person: task.person,
            prompt: task.prompt.unwrap_or(0),
            sources: &task.new.sources,
            status: ended.status,
            ai_ms: ended.ai_ms.unwrap_or(0),
            query_ms: ended.query_ms.unwrap_or(0),
            total_ms: ended.total_ms.unwrap_or(0),
            question_key: self.question_key(question),
            preview: shown(question),
            started_at: task.started_at,
        };
        let (now, store) = (self.kernel.now(), &self.kernel.store);
        let is_one = is_one_statement(&run) && records.is_none_or(|records| records.is_one_statement());
        let mut unit = if is_one { store.begin_single().await? } else { store.begin().await? };
        if let Some(records) = records {
            records.put_off(&mut unit).await?;
        }
        let is_first = unit.prompt_executions().end(number, ended, &run, now).await?;
        if let Some(prompt) = task.prompt.filter(|_| is_first) {
            unit.prompts().end(prompt, number, ended.status, run.total_ms).await?;
        }
        unit.commit().await?;
        Ok(is_first.then_some(now))
    }
}
