//! A query whose rows are handed on as they come: for clients of a protocol of rows, to which a preview and a download would be two
//! queries. It is an execution as any other: in the history, within the limits of policies, and called off by its number.

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use tidegate_domain::Permission;
use tidegate_kernel::fault::{Fault, Outcome, Refused, refuse};
use tidegate_kernel::{Actor, Call, Reader};
use tokio::runtime::Handle;
use tokio::time::{Instant, sleep_until};

use super::execution::{ExecutionError, ExecutionStatus, PartStatus};
use super::finish::Ended;
use super::format::columns_of;
use super::live::{Place, Running};
use super::repository::Progress;
use super::run::{Task, millis_since};
use super::start::{Asked, NewExecution, RETRY_AFTER};
use crate::ports::{
    Purpose, QueryAnswer, QueryCode, QueryFailure, QueryRequest, QueryShape, Relation, SourceName, Watch,
};
use crate::work::Person;
use crate::{PromptRefusal, PromptTables, Prompts};

/// What a caller may ask.
#[derive(Clone, Debug)]
pub struct Queryable {
    /// The data sources that they see, by their workspaces and names in SQL.
    pub sources: Vec<SourceName>,
    /// The number of the workspace they land in; none where they belong to none.
    pub workspace: Option<i64>,
}

/// Rows on their way. Dropping it ends its query, which is cancelled then.
pub struct QueryStream {
    /// The number of its execution.
    pub number: i64,
    /// The columns.
    pub schema: SchemaRef,
    batches: BoxStream<'static, Result<RecordBatch, QueryFailure>>,
    watch: Option<Arc<dyn Watch>>,
    rows: i64,
    deadline: Instant,
    too_late: QueryFailure,
    held: Held,
}

/// An execution that is under way. Its end is written once, also where the one who asked is gone: it was cancelled then.
struct Held {
    begun: Instant,
    inner: Option<Inner>,
}

struct Inner {
    prompts: Arc<Prompts>,
    running: Running,
    work: Task,
    place: Place,
    ended: Ended,
}

/// A refusal in the words of queries.
fn in_words_of_queries(refused: Refused<PromptRefusal>) -> Refused<QueryFailure> {
    let rule = match refused {
        Refused::Fault(fault) => return Refused::Fault(fault),
        Refused::Rule(rule) => rule,
    };
    let code = match &rule {
        PromptRefusal::Busy { .. } => QueryCode::LimitConcurrency,
        PromptRefusal::Query { code, .. } => *code,
        _ => QueryCode::UnknownRelation,
    };
    let message = match rule {
        PromptRefusal::Query { message, .. } => message,
        other => format!("Not possible: {other}."),
    };
    Refused::Rule(QueryFailure::new(code, message))
}

/// A query took longer than any may.
pub(super) fn too_late(longest: std::time::Duration) -> QueryFailure {
    QueryFailure::new(QueryCode::LimitTime, format!("It was not done within {} s.", longest.as_secs()))
}

fn called_off() -> QueryFailure {
    QueryFailure::new(QueryCode::Cancelled, "The query was cancelled.")
}

impl Prompts {
    /// What the caller may ask.
    ///
    /// Source: extension "PostgreSQL wire".
    ///
    /// # Errors
    /// Only faults.
    pub async fn queryable(&self, actor: &Actor) -> Result<Queryable, Fault> {
        let (mut unit, grant) = self.read_as(actor, Permission::QueryData).await?;
        let mut sources = self.ports.sources.seen(&mut unit, grant).await?;
        sources.sort_by(|a, b| (a.workspace, &a.slug).cmp(&(b.workspace, &b.slug)));
        let sees_all = grant.allows(Permission::AdministerDataSources);
        let landing = unit.prompts().workspace(Person::of(grant), sees_all, None).await?;
        Ok(Queryable { sources, workspace: landing.map(|(_, number)| number) })
    }

    /// The relations of data sources that the caller may see in the workspace of that number, without those that a policy denies and
    /// columns that it hides.
    ///
    /// # Errors
    /// [`QueryFailure`].
    pub async fn relations_seen(
        &self,
        actor: &Actor,
        workspace: Option<i64>,
        sources: &[i64],
    ) -> Outcome<Vec<Relation>, QueryFailure> {
        drop(self.read_as(actor, Permission::QueryData).await?);
        self.ports.queries.relations(actor, workspace, sources, &[]).await.map_err(Refused::Rule)
    }

    /// The columns of a query and the types of its parameters. Nothing runs, and it is no execution.
    ///
    /// # Errors
    /// [`QueryFailure`].
    pub async fn query_shape(&self, actor: &Actor, new: &NewExecution) -> Outcome<QueryShape, QueryFailure> {
        drop(self.read_as(actor, Permission::QueryData).await?);
        let request = QueryRequest {
            purpose: Purpose::Shape,
            workspace: new.workspace,
            reader: Reader::Caller(actor.clone()),
            sources: new.sources.clone(),
            schemas: new.schemas.clone(),
            sql: new.text().to_owned(),
            parameters: Vec::new(),
        };
        self.ports.queries.shape(&request).await.map_err(Refused::Rule)
    }

    /// Runs a query in SQL; answers its rows as they come.
    ///
    /// Source: extension "PostgreSQL wire".
    ///
    /// # Errors
    /// [`QueryFailure`]: every code there is.
    pub async fn stream(
        self: &Arc<Self>,
        call: &Call,
        actor: &Actor,
        new: NewExecution,
    ) -> Outcome<QueryStream, QueryFailure> {
        let mut held = self.accept_stream(call, actor, new).await.map_err(in_words_of_queries)?;
        let deadline = held.begun + self.settings.longest;
        let started = match &held.inner {
            Some(inner) => self.begin_stream(inner, deadline).await,
            None => Err(called_off()),
        };
        match started {
            // Nothing of it is kept.
            Ok(QueryAnswer { schema, batches, watch, .. }) => {
                let number = held.inner.as_ref().map_or(0, |inner| inner.running.number);
                if let Some(inner) = &mut held.inner {
                    inner.ended.columns = columns_of(&schema);
                }
                Ok(QueryStream {
                    number,
                    schema,
                    batches,
                    watch,
                    rows: 0,
                    deadline,
                    too_late: self.too_late(),
                    held,
                })
            }
            Err(failure) => {
                held.end(Err(failure.clone())).await;
                refuse(failure)
            }
        }
    }

    /// Has the engine begin, unless it is called off or late before.
    async fn begin_stream(&self, inner: &Inner, deadline: Instant) -> Result<QueryAnswer, QueryFailure> {
        let (sql, parameters) = match &inner.work.new.asked {
            Asked::Sql(sql, parameters) => (sql.clone(), parameters.clone()),
            Asked::Words(_) => {
                return Err(QueryFailure::new(QueryCode::Syntax, "The text is not a valid SQL query."));
            }
        };
        tokio::select! {
            biased;
            () = inner.running.cancelled() => Err(called_off()),
            () = sleep_until(deadline) => Err(self.too_late()),
            answer = self.ports.queries.run(inner.work.request(sql, parameters)) => answer,
        }
    }

    /// Accepts it as an execution, which runs from now on.
    async fn accept_stream(
        self: &Arc<Self>,
        call: &Call,
        actor: &Actor,
        new: NewExecution,
    ) -> Outcome<Held, PromptRefusal> {
        self.ensure_seen(actor, Permission::QueryData, &new.sources).await?;
        let mut work = self.begin_as(call, actor, Permission::QueryData).await?;
        let Some(place) = self.live.place() else {
            return refuse(PromptRefusal::Busy { retry_after: RETRY_AFTER });
        };
        let person = work.person();
        let added = work.add(&new).await?;
        // Its place among those of its person, which limits of policies count: not when it was asked, which may be before theirs.
        let (number, started_at) = (added.number, added.began);
        work.commit().await?;
        let new = NewExecution { workspace: Some(added.workspace), ..new };
        let progress =
            Progress { percent: 70, ai: PartStatus::Completed, query: Some(PartStatus::InProgress) };
        let running = Running::begin(self, number, progress);
        let ended = Ended::new(&new.asked);
        let work = Task {
            number,
            person,
            account: added.account,
            actor: actor.clone(),
            new,
            chain: Vec::new(),
            prompt: added.prompt,
            // SQL is in none.
            language: None,
            started_at,
            ip: call.ip,
            // Rows may wait for the client long after the query is over.
            records: None,
        };
        let inner = Inner { prompts: Arc::clone(self), running, work, place, ended };
        Ok(Held { begun: Instant::now(), inner: Some(inner) })
    }

    fn too_late(&self) -> QueryFailure {
        too_late(self.settings.longest)
    }
}

impl QueryStream {
    /// When it ends at the latest. Until it is dropped it has one of this node's places for executions, also if nobody asks for rows.
    pub const fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Looks whether rows that were taken before may still be shown, where some of them waited for the client. If not, it is over, which
    /// is written by then.
    ///
    /// # Errors
    /// [`QueryFailure`]: they may not.
    pub async fn holds(&mut self) -> Result<(), QueryFailure> {
        let Some(watch) = self.watch.clone() else { return Ok(()) };
        let Err(failure) = watch.holds().await else { return Ok(()) };
        self.batches = futures_util::stream::empty().boxed();
        self.held.end(Err(failure.clone())).await;
        Err(failure)
    }

    /// The next rows; none at the end, which is written by then. Being dropped while it waits loses no rows.
    ///
    /// # Errors
    /// [`QueryFailure`]: there are no more rows.
    pub async fn next(&mut self) -> Result<Option<RecordBatch>, QueryFailure> {
        let Some(inner) = &self.held.inner else { return Ok(None) };
        let turn = tokio::select! {
            biased;
            () = inner.running.cancelled() => Err(called_off()),
            () = sleep_until(self.deadline) => Err(self.too_late.clone()),
            batch = self.batches.next() => batch.transpose(),
        };
        let outcome = match turn {
            Ok(Some(batch)) => {
                self.rows = self.rows.saturating_add(i64::try_from(batch.num_rows()).unwrap_or(i64::MAX));
                return Ok(Some(batch));
            }
            Ok(None) => Ok(self.rows),
            Err(failure) => Err(failure),
        };
        self.batches = futures_util::stream::empty().boxed();
        self.held.end(outcome.clone()).await;
        outcome.map(|_| None)
    }
}

impl Held {
    /// Writes the end and lets go of everything.
    async fn end(&mut self, outcome: Result<i64, QueryFailure>) {
        if let Some(inner) = self.inner.take() {
            inner.end(self.begun, outcome).await;
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let Some(inner) = self.inner.take() else { return };
        // Without a runtime the process is ending: the execution is found to be lost later.
        let Ok(runtime) = Handle::try_current() else { return };
        let begun = self.begun;
        runtime.spawn(async move { inner.end(begun, Err(called_off())).await });
    }
}

impl Inner {
    async fn end(self, begun: Instant, outcome: Result<i64, QueryFailure>) {
        let Self { prompts, running, work, place, mut ended } = self;
        ended.total_ms = Some(millis_since(begun));
        ended.query_ms = ended.total_ms;
        ended.query_status = Some(PartStatus::InProgress);
        match outcome {
            Ok(rows) => {
                ended.rows_returned = Some(rows);
                ended.status = ExecutionStatus::Completed;
                ended.query_status = Some(PartStatus::Completed);
            }
            Err(failure) => ended.fail(ExecutionError::from(failure)),
        }
        // Before: whoever sees the end may begin the next one.
        drop(place);
        prompts.finish(running.number, &work, ended).await;
        drop(running);
    }
}
