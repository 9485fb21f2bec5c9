//! The whole result of an execution: its query runs again, governed as it is now.

use std::sync::Arc;
use std::time::Duration;

use arrow_array::RecordBatch;
use arrow_schema::ArrowError;
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use tidegate_domain::Permission;
use tidegate_kernel::fault::{Fault, Outcome, Refused, refuse};
use tidegate_kernel::{Actor, Reader};
use tokio::time::timeout;

use super::execution::ExecutionStatus;
use super::format::{Encoder, ResultFormat};
use super::live::Place;
use crate::ports::{Purpose, QueryAnswer, QueryCode, QueryFailure, QueryRequest};
use crate::work::Person;
use crate::{PromptRefusal, PromptTables, Prompts};

/// Seconds after which somebody who found no place asks again.
pub(super) const RETRY_AFTER: u64 = 5;

impl From<QueryFailure> for PromptRefusal {
    fn from(failure: QueryFailure) -> Self {
        Self::Query { code: failure.code, message: failure.into_text() }
    }
}

/// A result on its way. Dropping it cancels its query.
pub struct Download {
    encoder: Option<Encoder>,
    batches: BoxStream<'static, Result<RecordBatch, QueryFailure>>,
    _place: Place,
}

/// A result cannot be written to its end. What happened is in the log.
#[derive(Debug, thiserror::Error)]
#[error("the result ends early")]
pub struct Interrupted {
    /// Why its query ended; none where it is this server's doing.
    pub failure: Option<QueryFailure>,
}

impl Prompts {
    /// The result of a completed execution of the caller's, in full. Its query runs anew under the policies that hold now, so it may
    /// have other rows than were shown; and it counts as another query of theirs.
    ///
    /// Source: extension "prompts/executions/{execution_id}/result", "queries/{query_id}/result".
    ///
    /// # Errors
    /// [`PromptRefusal::ExecutionNotFound`], [`PromptRefusal::NotCompleted`], [`PromptRefusal::Query`].
    pub async fn execution_result(
        self: &Arc<Self>,
        actor: &Actor,
        number: i64,
        format: ResultFormat,
    ) -> Outcome<Download, PromptRefusal> {
        let (mut unit, grant) = self.read_as(actor, Permission::QueryData).await?;
        let person = Person::of(grant);
        let found = unit.prompt_executions().own(person, number).await?;
        drop(unit);
        let Some(execution) = found else { return refuse(PromptRefusal::ExecutionNotFound) };
        let (ExecutionStatus::Completed, Some(sql)) = (execution.status, execution.sql) else {
            return refuse(PromptRefusal::NotCompleted(execution.status.as_str()));
        };
        let Some(place) = self.live.place() else {
            return Err(Fault::Busy { retry_after: RETRY_AFTER }.into());
        };
        // Before it runs: it is among those that are counted. A note, as of the use of a token: nothing of the caller's changes.
        let mut unit = self.kernel.store.begin().await?;
        unit.prompt_executions().lock(person.organization).await?;
        let began = unit.prompt_executions().begins(person, self.kernel.now()).await?;
        unit.prompt_executions().note_download(person, began).await?;
        unit.commit().await?;
        let request = QueryRequest {
            purpose: Purpose::Answer { began },
            workspace: Some(execution.workspace_number),
            reader: Reader::Caller(actor.clone()),
            sources: execution.sources,
            schemas: execution.schemas,
            sql,
            parameters: execution.parameters,
        };
        let failed = |failure: QueryFailure| Refused::Rule(PromptRefusal::from(failure));
        let answer = self.ports.queries.run(request).await.map_err(failed)?;
        let answer = with_first_rows(answer, self.settings.answer_within).await.map_err(failed)?;
        Download::new(format, answer, place)
    }
}

/// The answer with its first rows at hand. A query that fails before them is refused with its reason; later, when a part of the file is
/// written, its result can only end early. One that takes longer than requests wait goes on without.
async fn with_first_rows(answer: QueryAnswer, longest: Duration) -> Result<QueryAnswer, QueryFailure> {
    let QueryAnswer { schema, batches } = answer;
    let mut batches = batches.fuse();
    let first = match timeout(longest, batches.next()).await {
        Ok(first) => first.transpose()?,
        Err(_) => None,
    };
    Ok(QueryAnswer { schema, batches: stream::iter(first.map(Ok)).chain(batches).boxed() })
}

impl Download {
    /// The answer of a query, to be written.
    pub(super) fn new(
        format: ResultFormat,
        answer: QueryAnswer,
        place: Place,
    ) -> Outcome<Self, PromptRefusal> {
        let encoder = Encoder::new(format, &answer.schema).map_err(|error| {
            tracing::info!(%error, format = format.as_str(), "a result has no such format");
            let message = format!("The result has columns that {} cannot hold.", format.as_str());
            Refused::Rule(PromptRefusal::Query { code: QueryCode::TypeMismatch, message })
        })?;
        Ok(Self { encoder: Some(encoder), batches: answer.batches, _place: place })
    }

    /// The next bytes; none at the end.
    ///
    /// # Errors
    /// [`Interrupted`]: what was written until then is no whole result.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Interrupted> {
        loop {
            let Some(encoder) = &mut self.encoder else { return Ok(None) };
            let bytes = match self.batches.next().await {
                Some(Ok(batch)) => encoder.write(&batch),
                Some(Err(failure)) => {
                    self.encoder = None;
                    tracing::info!(code = failure.code.as_str(), "a result ends early");
                    return Err(Interrupted { failure: Some(failure) });
                }
                None => match self.encoder.take() {
                    Some(encoder) => encoder.finish(),
                    None => return Ok(None),
                },
            };
            match bytes {
                Ok(bytes) if bytes.is_empty() && self.encoder.is_some() => {}
                Ok(bytes) => return Ok(Some(bytes)),
                Err(error) => return Err(self.unwritable(&error)),
            }
        }
    }

    fn unwritable(&mut self, error: &ArrowError) -> Interrupted {
        self.encoder = None;
        tracing::error!(%error, "rows of a result cannot be written");
        Interrupted { failure: None }
    }
}
