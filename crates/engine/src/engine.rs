//! The engine: it starts when the first query comes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use datafusion::common::TableReference;
use datafusion::sql::parser::Statement;
use datafusion::sql::resolve::resolve_table_references;
use tidegate_policy::Decision as Access;
use tokio::runtime::Handle;
use tokio::sync::OnceCell;

use crate::admission::{Admission, OnProgress, Person, Place, Progress};
use crate::answer::{self, Again, Answer, Records};
use crate::cancel::{Cancel, Stop};
use crate::catalog::{self, Meaning};
use crate::decision::{Decision, Decisions};
use crate::error::QueryError;
use crate::gate;
use crate::information;
use crate::joins::Joins;
use crate::mutation::Without;
use crate::options::{Limits, Options};
use crate::parameters::Parameters;
use crate::parsed::{Parsed, Statements};
use crate::pool::{QueryMemory, ServerMemory};
use crate::relation::{RelationName, Relations};
use crate::session::{Planned, Planning, Shape};
use crate::spill::ServerDisk;
use crate::started::Started;
use crate::table::{GovernedTable, Seal};

/// A query of a person.
#[derive(Clone)]
pub struct Request {
    /// Who asks.
    pub person: Person,
    /// The relations that the person may use, with what the policies say.
    pub relations: Arc<dyn Relations>,
    /// The query.
    pub sql: String,
    /// Values of its parameters.
    pub parameters: Parameters,
    /// What it may use.
    pub limits: Limits,
    /// By which it is cancelled.
    pub cancel: Cancel,
    /// Told where it is.
    pub progress: Option<OnProgress>,
    /// Who keeps what was decided.
    pub decisions: Option<Arc<dyn Decisions>>,
}

/// Runs governed queries. Clones are the same engine.
#[derive(Clone)]
pub struct Engine {
    inner: Arc<Inner>,
}

struct Inner {
    options: Options,
    started: OnceCell<Started>,
    admission: Admission,
    memory: Arc<ServerMemory>,
    disk: Arc<ServerDisk>,
    sessions: AtomicU64,
    statements: Statements,
}

/// What is running, and what waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load {
    /// Queries that run.
    pub running: usize,
    /// Queries that wait for a place.
    pub waiting: usize,
    /// Bytes that running queries hold.
    pub memory_bytes: usize,
    /// Bytes that running queries keep on the disk.
    pub spilled_bytes: u64,
}

impl Engine {
    /// An engine that does nothing yet.
    pub fn new(options: Options) -> Self {
        let admission = Admission::new(options.concurrency);
        let memory = ServerMemory::new(options.memory_bytes);
        let disk = ServerDisk::new(options.spill_directory.as_deref(), options.spill_bytes_of_all);
        Self {
            inner: Arc::new(Inner {
                options,
                started: OnceCell::new(),
                admission,
                memory,
                disk,
                sessions: AtomicU64::new(1),
                statements: Statements::default(),
            }),
        }
    }

    /// What is running now.
    pub fn load(&self) -> Load {
        let (running, waiting) = self.inner.admission.counts();
        let (memory_bytes, spilled_bytes) = (self.inner.memory.used(), self.inner.disk.used());
        Load { running, waiting, memory_bytes, spilled_bytes }
    }

    /// Makes the directory to which queries spill, for this user alone, and removes what an earlier process left there. For servers: other
    /// processes may use the same directory, and need not call this.
    ///
    /// # Errors
    ///
    /// When the directory cannot be used.
    pub fn prepare_spilling(&self) -> std::io::Result<()> {
        self.inner.disk.prepare()
    }

    /// Whether a query has come yet.
    pub fn has_started(&self) -> bool {
        self.inner.started.get().is_some()
    }

    /// Plans a query and starts it. Its rows come by the answer; when that is dropped, the query ends.
    ///
    /// # Errors
    ///
    /// Every code there is; see [`Code`](crate::Code).
    pub async fn query(&self, request: Request) -> Result<Answer, QueryError> {
        let Begun { started, stop, prepared, policy_limits } = self.begin(request).await?;
        let request = &prepared.request;
        let tables = || prepared.tables.iter().map(|(_, table)| table);
        let names: Vec<RelationName> = tables().map(|table| table.name.clone()).collect();
        let records = Records::new(tables().map(Arc::clone).collect(), request.decisions.clone());
        let records = Arc::new(records);
        if let Err(error) = stop.before(request.relations.admit(&policy_limits)).await? {
            records.refuse();
            return Err(error);
        }
        let planned = stop.before(prepared.plan(joins(&self.inner.options))).await??;
        report(request, Progress::Running);
        let masked = planned
            .masked
            .iter()
            .filter_map(|(relation, column)| Some((names.get(*relation)?.clone(), column.clone())))
            .collect();
        let (limits, place) = (prepared.limits, Arc::clone(&prepared.place));
        let can_spill = planned.joins && self.inner.options.spill_bytes > 0 && self.inner.disk.is_there();
        let Planned { plan, context, schema, constant, ended, .. } = planned;
        let again = can_spill.then_some(Again { prepared, ended });
        let rows = answer::Rows { plan, context, schema, constant, again, records, place };
        Ok(Answer::start(self.clone(), &started.handle, rows, masked, limits, stop))
    }

    /// What a query would answer with, and the types of its parameters as far as the statement says them. It is planned in the
    /// person's session; its parameters need no values, nothing of it runs, and it counts against no number of queries.
    ///
    /// # Errors
    ///
    /// As [`Engine::query`], but for those of rows.
    pub async fn shape(&self, request: Request) -> Result<Shape, QueryError> {
        let Begun { stop, prepared, .. } = self.begin(request).await?;
        stop.before(prepared.shape()).await?
    }

    /// Waits for a place, reads the text and opens what it names.
    #[expect(clippy::disallowed_methods, reason = "how long a query takes is measured, not told")]
    async fn begin(&self, request: Request) -> Result<Begun<'_>, QueryError> {
        let mut stop = Stop::new(request.cancel.clone(), Instant::now(), request.limits.time);
        let entered = self.inner.admission.enter(&request.person, request.progress.clone());
        let place = Arc::new(stop.before(entered).await??);
        let started = stop.before(self.started()).await??;
        report(&request, Progress::Planning);
        let (statement, references, own) = stop.before(self.parse(started, &request, &place)).await??;
        let opened = stop.before(self.open(&request, references, &own)).await??;
        let Opened { tables, policy_limits, .. } = opened;
        let limits = smaller(request.limits, &policy_limits);
        stop.sooner(limits.time);
        let prepared = Prepared { engine: self.clone(), request, statement, tables, limits, place };
        Ok(Begun { started, stop, prepared, policy_limits })
    }

    async fn started(&self) -> Result<&Started, QueryError> {
        self.inner.started.get_or_try_init(|| Started::new(&self.inner.options)).await
    }

    async fn parse(
        &self,
        started: &Started,
        request: &Request,
        place: &Arc<Place>,
    ) -> Result<Parsed, QueryError> {
        let person = &request.person.id;
        if let Some(parsed) = self.inner.statements.find(person, &request.sql) {
            return Ok(parsed);
        }
        let (inner, sql, cancel) = (Arc::clone(&self.inner), request.sql.clone(), request.cancel.clone());
        let parsed = started
            .on_thread(place, move || {
                let Some(started) = inner.started.get() else { return Err(QueryError::cancelled()) };
                cancel.check()?;
                let statement = gate::parse(&sql, &inner.options.size, &started.functions)?;
                let (references, own) =
                    resolve_table_references(&statement, true).map_err(|_| QueryError::syntax())?;
                Ok((Arc::new(statement), references, own))
            })
            .await?;
        self.inner.statements.keep(person, &request.sql, &parsed);
        Ok(parsed)
    }

    /// Opens what a query names, beside common table expressions of its own. What is denied is not there.
    async fn open(
        &self,
        request: &Request,
        references: Vec<TableReference>,
        own: &[TableReference],
    ) -> Result<Opened, QueryError> {
        let with_own = |error: QueryError, reference: &TableReference| {
            error.or_own(reference.table(), own.iter().map(TableReference::table))
        };
        let visible = if references.is_empty() { Vec::new() } else { request.relations.visible().await? };
        let mut opened = Opened::new(self.inner.sessions.fetch_add(1, Ordering::Relaxed));
        for reference in references {
            let meaning = match catalog::meaning(&reference, &visible) {
                // Rows that are counted up, `range(10)`: the planner asks for them by another way.
                Err(_) if self.is_function(&reference) => continue,
                Err(error) => {
                    keep_denied(request, &reference).await;
                    return Err(with_own(error, &reference));
                }
                Ok(meaning) => meaning,
            };
            let (name, governed) = match meaning {
                Meaning::Relation(name) => {
                    let governed = request.relations.open(&name).await?;
                    let governed = governed.filter(|governed| governed.resolved.decision == Access::Allowed);
                    let Some(governed) = governed else {
                        keep_denied(request, &reference).await;
                        let others: Vec<_> =
                            visible.iter().filter(|other| **other != name).cloned().collect();
                        // As if it were not listed.
                        let error = catalog::meaning(&reference, &others).err();
                        return Err(error.map_or_else(QueryError::denied, |it| with_own(it, &reference)));
                    };
                    (name, governed)
                }
                Meaning::Information { source, table } => {
                    let governed =
                        information::open(table, source.as_deref(), &visible, request.relations.as_ref())
                            .await?;
                    let source = source.unwrap_or_default();
                    (RelationName::new(source, Some(catalog::INFORMATION_SCHEMA), table), governed)
                }
            };
            opened.policy_limits = opened.policy_limits.smallest(governed.resolved.limits);
            let seal = Seal { session: opened.session, relation: opened.tables.len() };
            let options = &self.inner.options;
            let table = GovernedTable::new(name, governed, seal, options.row_estimates, without(options))?;
            opened.tables.push((reference, Arc::new(table)));
        }
        Ok(opened)
    }

    fn is_function(&self, reference: &TableReference) -> bool {
        let functions = self.inner.started.get().map(|started| &started.functions);
        matches!(reference, TableReference::Bare { .. })
            && functions.is_some_and(|all| all.has_table(reference.table()))
    }
}

/// Has it kept that a query named what is denied its person.
async fn keep_denied(request: &Request, reference: &TableReference) {
    /// A name may be that of relations of several sources.
    const MOST: usize = 8;
    let Some(keeper) = &request.decisions else { return };
    let denied = request.relations.denied(reference.table()).await;
    let meant = denied.into_iter().filter(|(name, _)| catalog::is_called(name, reference)).take(MOST);
    let decisions: Vec<Decision> = meant.map(|(name, resolved)| Decision::denied(name, resolved)).collect();
    if !decisions.is_empty() {
        keeper.keep(decisions);
    }
}

/// What queries and shapes begin with.
struct Begun<'e> {
    started: &'e Started,
    stop: Stop,
    prepared: Prepared,
    policy_limits: tidegate_policy::Limits,
}

/// A query that can be planned, more than once if need be: its text was read, and what it names was opened.
pub(crate) struct Prepared {
    engine: Engine,
    request: Request,
    statement: Arc<Statement>,
    tables: Vec<(TableReference, Arc<GovernedTable>)>,
    limits: Limits,
    place: Arc<Place>,
}

impl Prepared {
    /// A plan that was checked.
    pub(crate) async fn plan(&self, joins: Joins) -> Result<Planned, QueryError> {
        let statement = Arc::clone(&self.statement);
        self.on_planner(joins, move |handle, planning| {
            handle.block_on(planning.plan(Statement::clone(&statement)))
        })
        .await
    }

    async fn shape(&self) -> Result<Shape, QueryError> {
        let statement = Arc::clone(&self.statement);
        self.on_planner(Joins::default(), move |handle, planning| {
            handle.block_on(planning.shape(Statement::clone(&statement)))
        })
        .await
    }

    /// Gives `work` a planner of the query's own session, on a thread with a deep stack.
    async fn on_planner<T: Send + 'static>(
        &self,
        joins: Joins,
        work: impl FnOnce(&Handle, Planning<'_>) -> Result<T, QueryError> + Send + 'static,
    ) -> Result<T, QueryError> {
        let (inner, sql) = (Arc::clone(&self.engine.inner), self.request.sql.clone());
        let (cancel, parameters) = (self.request.cancel.clone(), self.request.parameters.clone());
        let (tables, memory) = (self.tables.clone(), self.limits.memory_bytes);
        let session = tables.first().map_or(0, |(_, table)| table.seal.session);
        let started = self.engine.started().await?;
        let handle = started.handle.clone();
        started
            .on_thread(&self.place, move || {
                let Some(started) = inner.started.get() else { return Err(QueryError::cancelled()) };
                cancel.check()?;
                let planning = Planning {
                    options: &inner.options,
                    functions: &started.functions,
                    common: &started.common,
                    threads: started.threads,
                    session,
                    sql: &sql,
                    tables,
                    parameters,
                    memory: QueryMemory::new(memory, &inner.memory),
                    joins,
                    disk: &inner.disk,
                    without: without(&inner.options),
                };
                work(&handle, planning)
            })
            .await
    }
}

/// Where joins are at first.
#[cfg(test)]
fn joins(options: &Options) -> Joins {
    options.joins
}

#[cfg(not(test))]
fn joins(_: &Options) -> Joins {
    Joins::default()
}

/// Which protections a test took away.
#[cfg(test)]
fn without(options: &Options) -> Without {
    Without { these: Arc::clone(&options.mutations) }
}

#[cfg(not(test))]
fn without(_: &Options) -> Without {
    Without::default()
}

fn report(request: &Request, progress: Progress) {
    if let Some(told) = &request.progress {
        told(progress);
    }
}

/// The relations of one query.
struct Opened {
    session: u64,
    tables: Vec<(TableReference, Arc<GovernedTable>)>,
    policy_limits: tidegate_policy::Limits,
}

impl Opened {
    fn new(session: u64) -> Self {
        Self { session, tables: Vec::new(), policy_limits: tidegate_policy::Limits::default() }
    }
}

/// The smaller of what was asked for and what the policies allow.
fn smaller(asked: Limits, policies: &tidegate_policy::Limits) -> Limits {
    let mut limits = asked;
    if let Some(rows) = policies.max_rows {
        limits.rows = limits.rows.min(rows.value);
    }
    if let Some(seconds) = policies.max_execution_time_seconds {
        limits.time = limits.time.min(std::time::Duration::from_secs(seconds.value));
    }
    limits
}
