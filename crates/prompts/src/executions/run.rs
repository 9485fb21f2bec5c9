//! An execution runs: SQL is made of the question, checked, and run for the person; its first rows are kept.

use std::net::IpAddr;
use std::sync::Arc;

use futures_util::StreamExt;
use tidegate_domain::{LanguageTag, Timestamp};
use tidegate_kernel::{Actor, Reader};
use tokio::time::{Instant, sleep};

use super::execution::{AiMetadata, Execution, ExecutionError, ExecutionStatus, PREVIEW_ROWS, PartStatus};
use super::finish::{Ended, Written};
use super::format::{columns_of, json_rows};
use super::live::{Place, Running};
use super::start::{Asked, NewExecution};
use crate::Prompts;
use crate::models::ask::Made;
use crate::ports::{
    NoPlan, Purpose, QueryAnswer, QueryCode, QueryFailure, QueryRequest, Question, RecordSlot, Relation,
};
use crate::settings::BUILT_IN;
use crate::work::Person;

/// What an execution is run with. Not a unit of work: it lasts longer than any.
pub(crate) struct Task {
    /// Of the execution.
    pub(crate) number: i64,
    pub(crate) person: Person,
    /// The number of the person's account, and what it is called.
    pub(crate) account: (i64, String),
    pub(crate) actor: Actor,
    /// With the workspace in which it runs.
    pub(crate) new: NewExecution,
    /// Models that are to answer, in their order; none: the built-in planner.
    pub(crate) chain: Vec<String>,
    pub(crate) prompt: Option<i64>,
    /// The language that the person prefers; none where they name none that there is.
    pub(crate) language: Option<LanguageTag>,
    pub(crate) started_at: Timestamp,
    /// The client's address.
    pub(crate) ip: Option<IpAddr>,
    /// Where what policies decide of its query is left for its end; none where its rows may wait for their reader meanwhile.
    pub(crate) records: Option<RecordSlot>,
}

/// An execution that is over, as it was written.
pub(super) struct Over {
    pub(super) execution: Execution,
    /// Its first rows, where they are kept, and what they were seen under.
    pub(super) first_rows: Option<(String, String)>,
}

/// Why there is no SQL, with what was said besides.
pub(crate) type NotMade = (ExecutionError, Option<Box<AiMetadata>>);

/// What a query came to.
struct Fetched {
    rows: i64,
    preview: String,
}

impl From<QueryFailure> for ExecutionError {
    fn from(failure: QueryFailure) -> Self {
        Self { code: failure.code.as_str().to_owned(), message: failure.into_text() }
    }
}

impl ExecutionError {
    pub(crate) fn new(code: &str, message: impl Into<String>) -> Self {
        Self { code: code.to_owned(), message: message.into() }
    }
}

/// Milliseconds since then.
pub(super) fn millis_since(begun: Instant) -> i64 {
    i64::try_from(begun.elapsed().as_millis()).unwrap_or(i64::MAX)
}

impl Prompts {
    /// Runs it to its end, which is written. It ends early when it is called off. None where somebody else has written the end.
    pub(super) async fn run(&self, running: &Running, task: Task, place: Place) -> Option<Box<Over>> {
        let begun = Instant::now();
        let mut ended = Ended::new(&task.new.asked);
        let outcome = tokio::select! {
            biased;
            () = running.cancelled() => Err(ExecutionError::new("cancelled", "The execution was cancelled.")),
            () = sleep(self.settings.longest) => Err(QueryFailure::new(
                QueryCode::LimitTime,
                format!("It was not done within {} s.", self.settings.longest.as_secs()),
            ).into()),
            outcome = self.stages(running, &task, &mut ended) => outcome,
        };
        ended.total_ms = Some(millis_since(begun));
        if let Err(error) = outcome {
            ended.fail(error);
        }
        // Before: whoever sees the end may begin the next one.
        drop(place);
        let written = self.finish(running.number, &task, ended).await?;
        Some(Box::new(task.over(written)))
    }

    /// One stage after the other.
    async fn stages(&self, running: &Running, task: &Task, ended: &mut Ended) -> Result<(), ExecutionError> {
        let begun = Instant::now();
        running.at(30, PartStatus::InProgress, None);
        let made = self.statement(running, task).await;
        if matches!(task.new.asked, Asked::Words(_)) {
            ended.ai_ms = Some(millis_since(begun));
        }
        let request = match made {
            Ok(made) => ended.made(made),
            Err((error, metadata)) => {
                ended.ai_status = PartStatus::Failed;
                ended.ai_metadata = metadata.map(|metadata| *metadata);
                return Err(error);
            }
        };
        running.at(50, PartStatus::Completed, Some(PartStatus::Pending));
        let begun = Instant::now();
        let fetched = self.fetch(running, task, request, ended).await;
        ended.query_ms = Some(millis_since(begun));
        let fetched = fetched?;
        running.at(90, PartStatus::Completed, Some(PartStatus::InProgress));
        ended.rows_returned = Some(fetched.rows);
        ended.preview_text = Some(fetched.preview);
        ended.status = ExecutionStatus::Completed;
        ended.query_status = Some(PartStatus::Completed);
        Ok(())
    }

    /// The query of a question, checked; or what was written.
    async fn statement(&self, running: &Running, task: &Task) -> Result<Made, NotMade> {
        let text = match &task.new.asked {
            Asked::Sql(sql, parameters) => {
                return Ok(Made::written(task.request(sql.clone(), parameters.clone())));
            }
            Asked::Words(text) => text,
        };
        let NewExecution { workspace, sources, schemas, .. } = &task.new;
        let relations = match self.ports.queries.relations(&task.actor, *workspace, sources, schemas).await {
            Ok(relations) => relations,
            Err(failure) => return Err((failure.into(), None)),
        };
        if relations.is_empty() {
            return Err((self.nothing_seen(task).await, None));
        }
        if task.chain.is_empty() {
            self.plan(task, text, relations).await
        } else {
            self.ask_models(running, task, text, &relations).await
        }
    }

    /// Why there is no table to ask about.
    async fn nothing_seen(&self, task: &Task) -> ExecutionError {
        let NewExecution { workspace, sources, .. } = &task.new;
        let nothing = "The data sources have no table that you may see";
        let message = match self.ports.queries.undiscovered(&task.actor, *workspace, sources).await {
            Ok(Some(undiscovered)) => format!("{nothing}. {undiscovered}"),
            Ok(None) => format!("{nothing}, or none was discovered yet."),
            Err(failure) => return failure.into(),
        };
        ExecutionError::new("unknown_relation", message)
    }

    /// What the built-in planner makes of a question.
    async fn plan(&self, task: &Task, text: &str, relations: Vec<Relation>) -> Result<Made, NotMade> {
        let (planner, text) = (Arc::clone(&self.ports.planner), text.to_owned());
        let now_micros = task.started_at.micros();
        let values = self.known_values(task, &relations).await;
        let language = task.language.clone();
        let planned = tokio::task::spawn_blocking(move || {
            let language = language.as_ref().map_or("en", LanguageTag::as_str);
            planner.plan(&Question {
                text: &text,
                language,
                relations: &relations,
                values: &values,
                now_micros,
            })
        });
        let metadata = |confidence, explanation, not_understood, suggestions| AiMetadata {
            model: BUILT_IN.to_owned(),
            confidence,
            tokens_used: 0,
            explanation,
            not_understood,
            suggestions,
        };
        let plan = match planned.await {
            Ok(Ok(plan)) => plan,
            Ok(Err(NoPlan { message, not_understood, suggestions })) => {
                let told = metadata(0.0, None, not_understood, suggestions);
                return Err((ExecutionError::new("not_understood", message), Some(Box::new(told))));
            }
            Err(error) => {
                tracing::error!(%error, "the built-in planner failed");
                return Err((ExecutionError::new("internal", "The question could not be read."), None));
            }
        };
        let told = metadata(plan.confidence, Some(plan.reading), Vec::new(), Vec::new());
        let request = task.request(plan.sql, plan.parameters);
        match self.ports.queries.check(&request).await {
            Ok(()) => {
                Ok(Made { request, model: Some(BUILT_IN.to_owned()), request_id: None, metadata: Some(told) })
            }
            Err(failure) => Err((failure.into(), Some(Box::new(told)))),
        }
    }

    /// Runs a query to its last row, and keeps the first ones.
    async fn fetch(
        &self,
        running: &Running,
        task: &Task,
        request: QueryRequest,
        ended: &mut Ended,
    ) -> Result<Fetched, ExecutionError> {
        running.at(70, PartStatus::Completed, Some(PartStatus::InProgress));
        ended.query_status = Some(PartStatus::InProgress);
        let (workspace, sources) = (task.new.workspace, &task.new.sources);
        let QueryAnswer { schema, mut batches, seen_under, .. } = self.ports.queries.run(request).await?;
        ended.columns = columns_of(&schema);
        let (mut rows, mut first) = (0_i64, Vec::new());
        while let Some(batch) = batches.next().await {
            let batch = batch?;
            let missing = PREVIEW_ROWS.saturating_sub(usize::try_from(rows).unwrap_or(usize::MAX));
            if missing > 0 {
                first.push(batch.slice(0, missing.min(batch.num_rows())));
            }
            rows = rows.saturating_add(i64::try_from(batch.num_rows()).unwrap_or(i64::MAX));
        }
        // Kept only if the person still sees what these rows are of.
        let now = self.ports.queries.fingerprint(&task.actor, workspace, sources).await?;
        ended.preview_key = seen_under.filter(|key| now.as_ref() == Some(key));
        let preview = json_rows(&first).map_err(|error| {
            tracing::error!(%error, "rows of a result cannot be written");
            ExecutionError::new("internal", "The rows of the result cannot be written.")
        })?;
        Ok(Fetched { rows, preview })
    }
}

impl Task {
    /// What is kept of it now that it is over.
    fn over(self, written: Written) -> Over {
        let Written { ended, first_rows, at } = written;
        let (account_number, account_name) = self.account;
        let execution = Execution {
            number: self.number,
            kind: self.new.kind,
            prompt: self.prompt,
            template: self.new.template,
            workspace_number: self.new.workspace.unwrap_or_default(),
            account_number,
            account_name: Some(account_name).filter(|name| !name.is_empty()),
            question: self.new.text().to_owned(),
            sql: ended.sql,
            parameters: ended.parameters,
            ai_model_used: ended.ai_model_used,
            ai_request_id: ended.ai_request_id,
            ai_metadata: ended.ai_metadata,
            status: ended.status,
            ai_status: ended.ai_status,
            query_status: ended.query_status,
            progress: 100,
            rows_returned: ended.rows_returned,
            columns: ended.columns,
            preview: None,
            chart: None,
            ai_ms: ended.ai_ms,
            query_ms: ended.query_ms,
            total_ms: ended.total_ms,
            error: ended.error,
            started_at: self.started_at,
            completed_at: Some(at),
            sealed_preview: None,
            draft: None,
            sources: self.new.sources,
            schemas: self.new.schemas,
        };
        Over { execution, first_rows }
    }

    /// A query of its person over its data sources.
    pub(crate) fn request(&self, sql: String, parameters: Vec<serde_json::Value>) -> QueryRequest {
        QueryRequest {
            purpose: Purpose::Answer {
                began: self.started_at,
                execution: self.number,
                ip: self.ip,
                records: self.records.clone(),
            },
            workspace: self.new.workspace,
            reader: Reader::Caller(self.actor.clone()),
            sources: self.new.sources.clone(),
            schemas: self.new.schemas.clone(),
            sql,
            parameters,
        }
    }
}
