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
use tidegate_kernel::{Actor, Call, Reader};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::execution::ExecutionStatus;
use super::format::{Encoder, ResultFormat};
use super::live::{NoPlace, Place};
use super::stream::too_late;
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

/// Pieces of a result that wait for whoever takes them.
const WAITING: usize = 1;

/// A result on its way. Dropping it cancels its query.
pub struct Download {
    pieces: mpsc::Receiver<Piece>,
    writing: Option<JoinHandle<()>>,
}

type Piece = Result<Bytes, Interrupted>;

/// A result that is written. Its place is one that others wait for: it is given back with the last piece, and when its time is over, whether
/// anybody takes the pieces or not.
struct Writing {
    encoder: Option<Encoder>,
    batches: BoxStream<'static, Result<RecordBatch, QueryFailure>>,
    /// Rows that came, and are written next.
    rest: Option<RecordBatch>,
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
    /// [`PromptRefusal::ExecutionNotFound`], [`PromptRefusal::NotCompleted`], [`PromptRefusal::Busy`], [`PromptRefusal::Query`].
    pub async fn execution_result(
        self: &Arc<Self>,
        call: &Call,
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
        let place = self.place_for_download(person)?;
        // Before it runs: it is among those that are counted. A note, as of the use of a token: nothing of the caller's changes.
        let mut unit = self.kernel.store.begin().await?;
        unit.prompt_executions().lock(person.organization).await?;
        let began = unit.prompt_executions().begins(person, self.kernel.now()).await?;
        unit.prompt_executions().note_download(person, began).await?;
        unit.commit().await?;
        let request = QueryRequest {
            purpose: Purpose::Answer { began, execution: number, ip: call.ip, records: None },
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
        Download::new(format, answer, place, self.settings.longest)
    }
}

impl Prompts {
    /// As many as executions: who has more asks again later.
    fn place_for_download(&self, person: Person) -> Outcome<Place, PromptRefusal> {
        let (all, own) = (self.settings.at_once_per_organization, self.settings.at_once_per_person);
        match self.live.place_for_download(person, all, own) {
            Ok(place) => Ok(place),
            Err(NoPlace::Full) => Err(Fault::Busy { retry_after: RETRY_AFTER }.into()),
            Err(NoPlace::Own) => refuse(PromptRefusal::Busy { retry_after: RETRY_AFTER }),
        }
    }
}

/// The answer with its first rows at hand. A query that fails before them is refused with its reason; later, when a part of the file is
/// written, its result can only end early. One that takes longer than requests wait goes on without.
async fn with_first_rows(answer: QueryAnswer, longest: Duration) -> Result<QueryAnswer, QueryFailure> {
    let QueryAnswer { schema, batches, watch, seen_under } = answer;
    let mut batches = batches.fuse();
    let first = match timeout(longest, batches.next()).await {
        Ok(first) => first.transpose()?,
        Err(_) => None,
    };
    let batches = stream::iter(first.map(Ok)).chain(batches).boxed();
    Ok(QueryAnswer { schema, batches, watch, seen_under })
}

impl Download {
    /// The answer of a query, which is written now and for so long at most.
    pub(super) fn new(
        format: ResultFormat,
        answer: QueryAnswer,
        place: Place,
        longest: Duration,
    ) -> Outcome<Self, PromptRefusal> {
        let encoder = Encoder::new(format, &answer.schema).map_err(|error| {
            tracing::info!(%error, format = format.as_str(), "a result has no such format");
            let message = format!("The result has columns that {} cannot hold.", format.as_str());
            Refused::Rule(PromptRefusal::Query { code: QueryCode::TypeMismatch, message })
        })?;
        let writing = Writing { encoder: Some(encoder), batches: answer.batches, rest: None, _place: place };
        let (give, pieces) = mpsc::channel(WAITING);
        let writing = tokio::spawn(write(writing, give, longest));
        Ok(Self { pieces, writing: Some(writing) })
    }

    /// The next bytes; none at the end.
    ///
    /// # Errors
    /// [`Interrupted`]: what was written until then is no whole result.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Interrupted> {
        if let Some(piece) = self.pieces.recv().await {
            return piece.map(Some);
        }
        let Some(writing) = self.writing.take() else { return Ok(None) };
        // One that panicked wrote no end.
        writing.await.map(|()| None).map_err(|error| {
            tracing::error!(%error, "a result was not written to its end");
            Interrupted { failure: None }
        })
    }
}

impl Drop for Download {
    fn drop(&mut self) {
        if let Some(writing) = &self.writing {
            writing.abort();
        }
    }
}

/// Gives a result piece by piece, for so long at most. What is told last waits for whoever takes it with nothing that others wait for.
async fn write(writing: Writing, give: mpsc::Sender<Piece>, longest: Duration) {
    let last = match timeout(longest, writing.given(&give)).await {
        Ok(last) => last.transpose(),
        Err(_elapsed) => {
            tracing::info!("a result ends early: its time is over");
            Some(Err(Interrupted { failure: Some(too_late(longest)) }))
        }
    };
    if let Some(last) = last {
        // Whoever is gone needs no end.
        drop(give.send(last).await);
    }
}

impl Writing {
    /// Gives all pieces but the last, which it answers: by then it holds nothing any more.
    async fn given(mut self, give: &mpsc::Sender<Piece>) -> Result<Option<Bytes>, Interrupted> {
        while let Some(piece) = self.next().await? {
            if self.encoder.is_none() {
                return Ok(Some(piece));
            }
            if give.send(Ok(piece)).await.is_err() {
                break;
            }
        }
        Ok(None)
    }

    /// The next bytes; none at the end.
    async fn next(&mut self) -> Result<Option<Bytes>, Interrupted> {
        loop {
            let Some(encoder) = &mut self.encoder else { return Ok(None) };
            let batch = match self.rest.take() {
                Some(rest) => Some(Ok(rest)),
                None => self.batches.next().await,
            };
            let bytes = match batch {
                Some(Ok(batch)) => encoder.write(batch).map(|(bytes, rest)| {
                    self.rest = rest;
                    bytes
                }),
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

#[cfg(test)]
mod tests {
    use arrow_array::{ArrayRef, Int64Array};

    use super::*;
    use crate::executions::live::Live;

    fn batch() -> RecordBatch {
        let ids: ArrayRef = Arc::new(Int64Array::from(vec![1]));
        RecordBatch::try_from_iter([("id", ids)]).unwrap()
    }

    fn download(live: &Live, batches: BoxStream<'static, Result<RecordBatch, QueryFailure>>) -> Download {
        download_for(Duration::from_secs(300), live, batches)
    }

    fn download_for(
        longest: Duration,
        live: &Live,
        batches: BoxStream<'static, Result<RecordBatch, QueryFailure>>,
    ) -> Download {
        let answer = QueryAnswer { schema: batch().schema(), batches, watch: None, seen_under: None };
        let place = live.place().unwrap();
        Download::new(ResultFormat::JsonLines, answer, place, longest).ok().unwrap()
    }

    // Whoever took nothing of a result kept a place of the node for as long as their connection lived.
    #[tokio::test]
    async fn who_takes_nothing_of_a_result_keeps_no_place_beyond_its_time() {
        let live = Live::new(1);
        let endless = stream::repeat_with(|| Ok(batch())).boxed();
        let mut result = download_for(Duration::from_millis(50), &live, endless);
        // Nothing of it is written before this test waits: both run on one thread.
        assert!(live.place().is_none());
        while live.place().is_none() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(result.next().await.unwrap().unwrap(), "{\"id\":1}\n", "what waited");
        let failure = result.next().await.unwrap_err().failure.unwrap();
        assert_eq!(failure.code, QueryCode::LimitTime, "and not as if that were all");
        assert!(result.next().await.unwrap().is_none());
    }

    #[tokio::test]
    async fn a_result_gives_its_place_back_with_its_end() {
        let live = Live::new(1);
        let mut result = download(&live, stream::iter([Ok(batch()), Ok(batch())]).boxed());
        let mut all = Vec::new();
        while let Some(piece) = result.next().await.unwrap() {
            all.extend_from_slice(&piece);
        }
        assert_eq!(all, b"{\"id\":1}\n{\"id\":1}\n");
        assert!(live.place().is_some());
        drop(result);
    }

    fn defect() -> Result<RecordBatch, QueryFailure> {
        panic!("a defect")
    }

    #[tokio::test]
    async fn a_result_whose_query_panics_is_no_whole_one() {
        let live = Live::new(1);
        let mut result = download(&live, stream::repeat_with(defect).boxed());
        assert!(result.next().await.unwrap_err().failure.is_none());
        assert!(live.place().is_some());
    }
}
