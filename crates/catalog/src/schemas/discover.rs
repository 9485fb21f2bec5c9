//! The tables of a source are discovered.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use tidegate_connect::{ErrorCode, SourceError};
use tidegate_database::Unit;
use tidegate_domain::id::DataSourceId;
use tidegate_domain::{Permission, Timestamp};
use tidegate_kernel::fault::{Fault, Outcome, Refused, refuse};
use tidegate_kernel::{Actor, Grant};
use tokio::time::timeout;
use uuid::Uuid;

use super::gone::{Gone, said_of_gone};
use super::keep::Keeper;
use super::nothing::is_nothing;
use super::repository::SchemaSummary;
use crate::life::breaker::Breaker;
use crate::life::open::NotOpen;
use crate::life::slots::Slot;
use crate::life::testing::{BUSY_FOR, TestReport, WAIT_FOR_PLACE, out_of_time, tells_of_connection};
use crate::sources::find::seen;
use crate::sources::{DataSource, SourceRefusal};
use crate::{Catalog, CatalogTables};

/// The longest time for a discovery.
pub(crate) const LIMIT: Duration = Duration::from_secs(600);
/// After that a discovery makes room for what others run.
const LONG: Duration = Duration::from_secs(60);
/// When a client is asked to come back whose discovery takes longer than a request may.
const RUNNING_FOR: u64 = 10;

/// What a discovery found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Discovery {
    /// The source's number.
    pub number: i64,
    /// Its schemas.
    pub schemas: Vec<SchemaSummary>,
    /// When.
    pub discovered_at: Timestamp,
    /// How long it took, in milliseconds: to ask, and to write down what was found.
    pub duration_ms: i64,
    /// That it found nothing, or what it did not find any more, to whom no policy hides anything; and which policies do not fit its tables,
    /// where who asks writes policies.
    pub warnings: Vec<String>,
    /// Tables and columns that the last one had found.
    pub(crate) gone: Gone,
}

impl Discovery {
    /// Tables of all schemas, without views.
    pub fn tables(&self) -> i64 {
        self.schemas.iter().map(|schema| schema.tables).sum()
    }

    /// Columns of all schemas.
    pub fn columns(&self) -> i64 {
        self.schemas.iter().map(|schema| schema.columns).sum()
    }
}

/// Why a discovery came to nothing. Several may wait for one.
#[derive(Clone, Debug)]
pub(crate) enum Failure {
    /// The source's doing.
    Source(SourceError),
    /// The source was changed or deleted meanwhile.
    Outdated,
    /// Ours; for the log.
    Fault(String),
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault.to_string())
    }
}

type Found = Result<Arc<Discovery>, Failure>;

/// Which discovery: of that version of a source, and of one schema if one is named.
type Key = (DataSourceId, i64, Option<String>);

/// Discoveries that requests wait for: who asks for one that runs waits for that.
#[derive(Default)]
pub(crate) struct Running(Mutex<HashMap<Key, Shared<BoxFuture<'static, Found>>>>);

/// What is known of a source already, or of its schema of that name; none where that is nothing.
async fn known(
    unit: &mut Unit,
    source: &DataSource,
    schema: Option<&str>,
) -> Result<Option<Discovery>, Fault> {
    let schemas = unit.data_schemas().of(source.id, schema).await?;
    // One that is not known may be new; and to know one is not to know all.
    let discovered_at = match schema {
        Some(_) => schemas.first().map(|schema| schema.discovered_at),
        None => source.schema_discovered_at,
    };
    let duration_ms = schemas.iter().map(|schema| schema.duration_ms).max().unwrap_or(0);
    let number = source.number;
    let (warnings, gone) = (Vec::new(), Gone::default());
    Ok(discovered_at.map(|discovered_at| Discovery {
        number,
        schemas,
        discovered_at,
        duration_ms,
        warnings,
        gone,
    }))
}

impl Catalog {
    /// Discovers the tables of a data source of the caller's organization; of one schema, if it is named. Without `refresh`, what is
    /// known already is answered, unless a query on this node has shown that it is not so any more. One that named a relation that is not known
    /// may have been a slip: where the source cannot be asked then, what is known is answered. Counts are of what the caller may know of, as
    /// in the list of tables.
    ///
    /// Source: RiverGen "data-sources/{data_source_id}/discover-schema".
    ///
    /// # Errors
    /// [`SourceRefusal`]: not found, failed, busy, left alone by its circuit breaker, or still running.
    pub async fn discover_schema(
        self: &Arc<Self>,
        actor: &Actor,
        number: i64,
        schema: Option<String>,
        refresh: bool,
    ) -> Outcome<Discovery, SourceRefusal> {
        let (mut unit, grant) = self.read_as(actor, Permission::ManageDataSources).await?;
        let source = seen(&mut unit, grant, number).await?;
        let asks = refresh || self.outdated.has_changed(number);
        let known = if asks { None } else { known(&mut unit, &source, schema.as_deref()).await? };
        drop(unit);
        let wanted = schema.as_deref();
        let doubted = match known {
            Some(known) if self.outdated.is_doubted(number, known.discovered_at) => Some(known),
            Some(known) => match self.known_seen(known, grant, &source, wanted).await? {
                Some(seen) => return Ok(seen),
                None => None,
            },
            None => None,
        };
        let found = self.discovered(source.clone(), schema.clone(), Some(self.settings.longest_wait)).await;
        let refusal = match found {
            Ok(found) => return Ok(self.as_seen(found, grant, &source, (wanted, true)).await?),
            Err(Refused::Rule(refusal)) if refusal != SourceRefusal::NotFound => refusal,
            Err(refused) => return Err(refused),
        };
        if let Some(known) = doubted
            && let Some(seen) = self.known_seen(known, grant, &source, wanted).await?
        {
            return Ok(seen);
        }
        refuse(refusal)
    }

    /// What is known of a source, or of one schema, as the caller may know of it. None of a schema of which they see nothing: since when it
    /// is known would tell them that there is one.
    async fn known_seen(
        self: &Arc<Self>,
        known: Discovery,
        grant: &Grant,
        source: &DataSource,
        schema: Option<&str>,
    ) -> Result<Option<Discovery>, Fault> {
        let seen = self.as_seen(known, grant, source, (schema, false)).await?;
        Ok(Some(seen).filter(|seen| schema.is_none() || !seen.schemas.is_empty()))
    }

    /// A discovery as the caller may know of it: a schema of which they know no table is none. That there is nothing at all, what is gone, and
    /// that they have uploaded a newer file, is said to whom no policy hides anything. It was of one schema, if one is named, and made just
    /// now, or not.
    async fn as_seen(
        self: &Arc<Self>,
        found: Discovery,
        grant: &Grant,
        source: &DataSource,
        (schema, is_new): (Option<&str>, bool),
    ) -> Result<Discovery, Fault> {
        let view = self.view(grant, source).await?;
        let is_nothing = view.is_none() && is_nothing(&found.schemas);
        let gone = if view.is_none() { said_of_gone(&found.gone) } else { None };
        let newer = if view.is_none() { self.said_of_newer(grant, source).await? } else { None };
        let seen = match view {
            Some(view) => Discovery { schemas: self.counted(found.schemas, view).await?, ..found },
            None => found,
        };
        let mut warnings = self.misfits(grant, source, &seen.schemas).await?;
        if is_nothing {
            warnings.push(self.said_of_nothing(source, schema, is_new).await);
        }
        warnings.extend(gone.into_iter().chain(newer));
        Ok(Discovery { warnings, ..seen })
    }

    /// Discovers the tables of a source, or joins who does, for as long as that may take, the wait for a place included.
    #[expect(
        clippy::disallowed_methods,
        reason = "what is left of the time is told by no clock that stands still"
    )]
    pub(crate) async fn discovered(
        self: &Arc<Self>,
        source: DataSource,
        schema: Option<String>,
        wait: Option<Duration>,
    ) -> Outcome<Discovery, SourceRefusal> {
        let breaker = Breaker::of(&source, &self.settings, self.kernel.now());
        breaker.admit(&source).map_err(Refused::Rule)?;
        let begun = Instant::now();
        let Some(found) = self.join(source, schema).await else {
            return refuse(SourceRefusal::Busy { retry_after: BUSY_FOR });
        };
        let found = match wait {
            Some(wait) => timeout(wait.saturating_sub(begun.elapsed()), found).await,
            None => Ok(found.await),
        };
        match found {
            Err(_elapsed) => refuse(SourceRefusal::StillRunning { retry_after: RUNNING_FOR }),
            Ok(Ok(discovery)) => Ok(Discovery::clone(&discovery)),
            Ok(Err(Failure::Source(SourceError { code, message, detail, .. }))) => {
                refuse(SourceRefusal::Failed { code, message, detail })
            }
            Ok(Err(Failure::Outdated)) => refuse(SourceRefusal::NotFound),
            Ok(Err(Failure::Fault(text))) => Err(Fault::Internal(text).into()),
        }
    }

    /// The discovery that runs, or a new one; none where the organization has as much running as it may.
    async fn join(
        self: &Arc<Self>,
        source: DataSource,
        schema: Option<String>,
    ) -> Option<Shared<BoxFuture<'static, Found>>> {
        let key = (source.id, source.version, schema.clone());
        if let Some(running) = self.running.find(&key) {
            return Some(running);
        }
        let slot = self.slots.take(source.organization, WAIT_FOR_PLACE).await?;
        let (catalog, done) = (Arc::clone(self), key.clone());
        let start = move || {
            // In a task of its own: it goes on when nobody waits any more.
            let task = tokio::spawn(async move {
                let ending = Ending(catalog, done);
                ending.0.discover(&source, schema.as_deref(), slot).await
            });
            let found = async move {
                match task.await {
                    Ok(found) => found,
                    Err(error) => Err(Failure::Fault(format!("a discovery ended early: {error}"))),
                }
            };
            found.boxed().shared()
        };
        Some(self.running.begin(key, start))
    }

    /// Discovers the tables of a source and keeps them.
    pub(super) async fn discover(&self, source: &DataSource, schema: Option<&str>, slot: Slot) -> Found {
        let mut keeper = Keeper::new(self, source.id);
        let found = self.keep(source, schema, slot, &mut keeper).await;
        if found.is_err() {
            keeper.give_up().await;
        }
        found
    }

    #[expect(clippy::disallowed_methods, reason = "how long it took is told, not decided upon")]
    async fn keep(
        &self,
        source: &DataSource,
        schema: Option<&str>,
        slot: Slot,
        keeper: &mut Keeper<'_>,
    ) -> Found {
        self.outdated.forget_doubt(source.number);
        let started = Instant::now();
        let asked = self.asked(source, schema, slot, keeper).await;
        if let Some(failure) = keeper.failure() {
            return Err(failure);
        }
        match asked {
            Ok(()) => {}
            Err(NotOpen::Fault(fault)) => return Err(fault.into()),
            Err(NotOpen::Source(error)) => return Err(self.not_discovered(source, error).await?),
        }
        let duration_ms = i64::try_from(started.elapsed().as_millis()).unwrap_or(i64::MAX);
        let (generation, discovered_at, schemas) = keeper.finish(duration_ms).await?;
        let mut unit = self.kernel.store.read().await.map_err(Fault::from)?;
        let gone = unit.data_schemas().gone(source.id, generation, schema).await.map_err(Fault::from)?;
        drop(unit);
        let (number, warnings) = (source.number, Vec::new());
        let found = Discovery { number, schemas, discovered_at, duration_ms, warnings, gone };
        self.replace(source, generation, &found, schema).await?;
        if schema.is_none() {
            self.outdated.forget_changed(number);
        }
        Ok(Arc::new(found))
    }

    /// Has a source say what there is, for as long as it and who takes it may take. The place is given back then.
    async fn asked(
        &self,
        source: &DataSource,
        schema: Option<&str>,
        mut slot: Slot,
        keeper: &mut Keeper<'_>,
    ) -> Result<(), NotOpen> {
        let answer = {
            let mut ask = pin!(async {
                self.ensure_kept(source).await?;
                let open = self.opened(source).await?;
                Ok::<_, NotOpen>(open.discover_into(schema, &mut *keeper).await?)
            });
            match timeout(LONG, &mut ask).await {
                Err(_elapsed) if slot.make_room() => {
                    timeout(LIMIT.saturating_sub(LONG), &mut ask).await.map_err(|_elapsed| out_of_time(LIMIT))
                }
                answer => answer.map_err(|_elapsed| out_of_time(LONG)),
            }
        };
        let answer = answer.unwrap_or_else(|error| Err(error.into()));
        let is_late = matches!(&answer, Err(NotOpen::Source(error)) if error.code == ErrorCode::Timeout);
        self.slots.note(source.organization, is_late && !keeper.has_failed());
        answer
    }

    /// Notes that a source failed, unless that says nothing of whether it can be reached.
    async fn not_discovered(&self, source: &DataSource, error: SourceError) -> Result<Failure, Failure> {
        tracing::info!(
            data_source = source.number,
            code = error.code.as_str(),
            detail = error.detail,
            "the tables of a data source could not be discovered: {}",
            error.message
        );
        if tells_of_connection(error.code) {
            self.pools.drop_source(source.id).await;
            let report = TestReport {
                number: source.number,
                tested_at: self.kernel.now(),
                outcome: Err(error.clone()),
                warnings: Vec::new(),
            };
            self.record(source, &report, None).await?;
        }
        Ok(Failure::Source(error))
    }

    async fn replace(
        &self,
        source: &DataSource,
        generation: Uuid,
        found: &Discovery,
        only: Option<&str>,
    ) -> Result<(), Failure> {
        let interval = Duration::from_secs(source.schema_refresh_interval.into());
        let next = source.schema_auto_refresh.then(|| found.discovered_at.plus(interval));
        let mut unit = self.kernel.store.begin().await.map_err(Fault::from)?;
        let kept = unit.data_schemas().put(source, generation, found, only, next).await;
        if !kept.map_err(Fault::from)? {
            return Err(Failure::Outdated);
        }
        Ok(unit.commit().await.map_err(Fault::from)?)
    }
}

/// Takes a discovery out of those that run, however it ends.
struct Ending(Arc<Catalog>, Key);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.running.end(&self.1);
    }
}

impl Running {
    fn map(&self) -> std::sync::MutexGuard<'_, HashMap<Key, Shared<BoxFuture<'static, Found>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find(&self, key: &Key) -> Option<Shared<BoxFuture<'static, Found>>> {
        self.map().get(key).cloned()
    }

    /// The one that runs by now, or the one that `start` starts.
    fn begin(
        &self,
        key: Key,
        start: impl FnOnce() -> Shared<BoxFuture<'static, Found>>,
    ) -> Shared<BoxFuture<'static, Found>> {
        self.map().entry(key).or_insert_with(start).clone()
    }

    fn end(&self, key: &Key) {
        self.map().remove(key);
    }
}
