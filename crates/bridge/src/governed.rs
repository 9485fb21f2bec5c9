//! What one person may see of data sources, for the engine.

use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tidegate_catalog::Catalog;
use tidegate_catalog::schemas::read::{StoredColumn, StoredTable};
use tidegate_catalog::sources::{DataSource, SourceRefusal};
use tidegate_connect::Source;
use tidegate_domain::{Permission, Timestamp};
use tidegate_engine::{
    Code, GovernedRelation, QueryError, RelationName, Relations, Rows, describe, open_rows,
};
use tidegate_kernel::cache::Stamp;
use tidegate_kernel::fault::Refused;
use tidegate_kernel::{Fault, Kernel, Member, Reader};
use tidegate_policies::Policies;
use tidegate_policies::governed::governance::{Asker, Governance};
use tidegate_policies::hooks::{KnownRelation, SourceRelations};
use tidegate_policy::{Applied, Attribute, Decision as Access, Limits, Resolved};
use tidegate_prompts::hooks::{free_again, place_since};
use tidegate_prompts::ports::{QueryCode, QueryFailure, Relation};
use tokio::sync::OnceCell;

use crate::described::described;
use crate::glossary;
use crate::queries::fault;
use crate::recorder::{Recorded, Recorder, Writing};
use crate::references::without_unseen;
use crate::relations::CatalogRelations;
use crate::side_doors::known_relation;

mod failed;

const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(24 * 3_600);

/// A relation that was opened, as policies look at it, with what is left of it.
#[derive(Clone)]
struct Opened {
    relation: tidegate_policy::Relation,
    /// The number of the workspace of its data source.
    workspace: i64,
    resolved: Arc<Resolved>,
}

/// A relation that is denied, with what was decided.
type Denied = (RelationName, Arc<Resolved>);

/// A discovered relation that the person may see.
struct Known {
    name: RelationName,
    relation: KnownRelation,
    table: StoredTable,
    resolved: Resolved,
}

/// What a person may see of some data sources, under the policies of one moment.
pub(crate) struct PersonRelations {
    kernel: Arc<Kernel>,
    catalog: Arc<Catalog>,
    governance: Arc<Governance>,
    reader: Reader,
    who: Member,
    /// Each with what it is called in this query.
    sources: Vec<(String, DataSource)>,
    schemas: Vec<String>,
    /// The number of the workspace in which the query runs.
    workspace: Option<i64>,
    /// When the query began, if it counts against the person's limits.
    began: Option<Timestamp>,
    known: OnceCell<Vec<Known>>,
    /// What was found to be denied when it was opened, by the columns that it has now.
    denied_late: Mutex<Vec<Denied>>,
    /// What was opened for the query.
    in_use: Mutex<Vec<Opened>>,
    /// Its data sources by their numbers, each opened once: a query that joins tables asks no more often for them than one that does not.
    open: HashMap<i64, OnceCell<Arc<dyn Source>>>,
    /// Why data sources did not open or could not be read, for the operator.
    why_away: Arc<Mutex<Vec<String>>>,
}

impl PersonRelations {
    /// As policies leave them for the reader, in the workspace of that number.
    pub(crate) async fn new(
        kernel: &Arc<Kernel>,
        catalog: &Arc<Catalog>,
        policies: &Policies,
        reader: Reader,
        workspace: Option<i64>,
    ) -> Result<Self, QueryFailure> {
        let who = authorized(&reader)?;
        let (account, organization) = (who.account, who.organization);
        let asker = Asker { account, organization, workspace, datasets: Vec::new(), query: None };
        let governance = policies.governance(&asker).await.map_err(|error| fault(&error))?;
        let Some(governance) = governance else {
            return Err(QueryFailure::new(QueryCode::PolicyDenied, "You are no member of the organization."));
        };
        Ok(Self { workspace, ..Self::under(kernel, catalog, Arc::new(governance), reader)? })
    }

    /// As somebody else would see them: what is read is what the reader reaches, and what is left of it what `governance` leaves.
    pub(crate) fn under(
        kernel: &Arc<Kernel>,
        catalog: &Arc<Catalog>,
        governance: Arc<Governance>,
        reader: Reader,
    ) -> Result<Self, QueryFailure> {
        let who = authorized(&reader)?;
        Ok(Self {
            kernel: Arc::clone(kernel),
            catalog: Arc::clone(catalog),
            governance,
            reader,
            who,
            sources: Vec::new(),
            schemas: Vec::new(),
            workspace: None,
            began: None,
            known: OnceCell::new(),
            denied_late: Mutex::new(Vec::new()),
            in_use: Mutex::new(Vec::new()),
            open: HashMap::new(),
            why_away: Arc::default(),
        })
    }

    /// Of these data sources and their schemas.
    pub(crate) async fn over(mut self, numbers: &[i64], schemas: &[String]) -> Result<Self, QueryFailure> {
        for number in numbers {
            let source = match self.catalog.data_source_to_query(&self.reader, *number).await {
                Ok(source) => source,
                Err(Refused::Rule(_)) => {
                    let text = format!("The data source {number} does not exist.");
                    return Err(QueryFailure::new(QueryCode::UnknownRelation, text));
                }
                Err(Refused::Fault(error)) => return Err(fault(&error)),
            };
            // Slugs are unique in a workspace, and another one may be called as this one is then.
            let mut slug = source.slug.clone();
            while self.sources.iter().any(|(taken, _)| *taken == slug) {
                slug = format!("{slug}_{number}");
            }
            self.open.insert(source.number, OnceCell::new());
            self.sources.push((slug, source));
        }
        self.schemas = schemas.to_vec();
        Ok(self)
    }

    /// The same for a query that counts against the person's limits.
    pub(crate) fn counted(self, began: Timestamp) -> Self {
        Self { began: Some(began), ..self }
    }

    pub(crate) fn person(&self) -> tidegate_engine::Person {
        tidegate_engine::Person {
            id: self.who.account.to_string(),
            organization: self.who.organization.to_string(),
        }
    }

    /// What stands for all that decides what the person is shown: the policies, of which files the rows are, and which of them are there.
    ///
    /// # Errors
    /// Only faults.
    pub(crate) async fn fingerprint(&self) -> Result<Option<String>, Fault> {
        let Some(policies) = self.governance.fingerprint() else { return Ok(None) };
        let of_files: Vec<&DataSource> = self
            .sources
            .iter()
            .map(|(_, source)| source)
            .filter(|source| source.connection.file_path.is_some())
            .collect();
        if of_files.is_empty() {
            return Ok(Some(policies));
        }
        let mut hasher = DefaultHasher::new();
        for (source, is_there) in of_files.iter().zip(self.catalog.have_their_files(&of_files).await?) {
            if let Some(file) = &source.connection.file_path {
                (file, is_there).hash(&mut hasher);
            }
        }
        Ok(Some(format!("{policies} {:016x}", hasher.finish())))
    }

    /// What is to be said of data sources of the query whose tables are not known yet, and why the first of them that failed did; none
    /// where there is no such. Reasons are told to whoever reads data sources, where they stand, too.
    pub(crate) async fn undiscovered(&self) -> Option<String> {
        let unknown = self.sources.iter().filter(|(_, source)| source.schema_discovered_at.is_none());
        let unknown: Vec<&(String, DataSource)> = unknown.collect();
        let (mut soon, mut not_soon) = (Vec::new(), Vec::new());
        for (slug, source) in unknown.iter().take(3) {
            let is_soon = self.catalog.is_being_discovered(source).await.unwrap_or_else(|error| {
                tracing::error!(%error, "whether a data source is being discovered cannot be read");
                false
            });
            if is_soon { soon.push(slug.as_str()) } else { not_soon.push(slug.as_str()) }
        }
        let said = |names: &[&str], what: &str| {
            let names = names.join(", ");
            (!names.is_empty())
                .then(|| format!("The tables of {names} are not known yet: its schema {what}."))
        };
        let failed = unknown.iter().find_map(|(slug, source)| Some((slug, source.failure_reason.as_ref()?)));
        let sees_reasons = self.reader.authorize(Permission::ReadDataSources).is_ok();
        let failed = failed.filter(|_| sees_reasons);
        let failed = failed.map(|(slug, reason)| format!("The data source {slug} failed: {reason}"));
        let told = said(&not_soon, "was not discovered").into_iter().chain(failed);
        let told: Vec<String> =
            told.chain(said(&soon, "is being discovered: ask again in a moment")).collect();
        (!told.is_empty()).then(|| told.join(" "))
    }

    /// The relations with their columns, those that the person may not see left out.
    pub(crate) async fn described(&self) -> Result<Vec<Relation>, QueryFailure> {
        let known = self.known().await.map_err(|error| fault(&error))?;
        let mut relations: Vec<Relation> = known.iter().map(Known::described).collect();
        for (slug, source) in &self.sources {
            glossary::add(slug, &source.metadata, &mut relations);
        }
        Ok(without_unseen(relations))
    }

    /// Who keeps what is decided: written by this runtime, whichever the engine's is.
    pub(crate) fn recorder(
        &self,
        policies: &Arc<Policies>,
        recorded: Recorded,
        writing: Writing,
    ) -> Recorder {
        let slugs = self.sources.iter().map(|(slug, source)| (slug.clone(), source.number));
        Recorder::new(policies, self.who, recorded, slugs.collect(), writing)
    }

    /// Whether the person would be shown the same rows now of what the query has opened: their token, their place, the data sources, their
    /// files and the policies are looked at again.
    pub(crate) async fn shows_the_same(&self, policies: &Policies) -> Result<bool, QueryFailure> {
        let mut open = Vec::new();
        for (_, source) in &self.sources {
            let source = match self.catalog.data_source_to_query(&self.reader, source.number).await {
                Ok(source) => source,
                Err(Refused::Rule(_)) => return Ok(false),
                Err(Refused::Fault(error)) => return Err(fault(&error)),
            };
            // Of a data source that the query did not open there are no rows.
            if self.open.get(&source.number).is_some_and(OnceCell::initialized) {
                open.push(source);
            }
        }
        let open: Vec<&DataSource> = open.iter().collect();
        let there = self.catalog.have_their_files(&open).await.map_err(|error| fault(&error))?;
        if there.contains(&false) {
            return Ok(false);
        }
        let Member { account, organization, .. } = self.who;
        let asker =
            Asker { account, organization, workspace: self.workspace, datasets: Vec::new(), query: None };
        let governance = policies.governance(&asker).await.map_err(|error| fault(&error))?;
        let Some(governance) = governance else { return Ok(false) };
        let (opened, now) = (self.in_use.lock().unwrap_or_else(PoisonError::into_inner), self.kernel.now());
        Ok(opened.iter().all(|Opened { relation, workspace, resolved }| {
            resolved.shows_as(&governance.resolve(relation, Some(*workspace), now))
        }))
    }

    /// The rules that had a part in what the query has opened, each once, and the attributes that they read. For administrators.
    pub(crate) fn applied(&self) -> (Vec<Applied>, BTreeMap<String, Attribute>) {
        let opened = self.in_use.lock().unwrap_or_else(PoisonError::into_inner);
        let attributes = opened.iter().flat_map(|one| one.resolved.attributes.clone()).collect();
        let mut rules: Vec<Applied> = Vec::new();
        for rule in opened.iter().flat_map(|one| &one.resolved.policies) {
            if !rules.contains(rule) {
                rules.push(rule.clone());
            }
        }
        (rules, attributes)
    }

    /// Changes of what decides what the person sees, as far as this node has heard of them.
    pub(crate) fn changes(&self) -> Stamp {
        self.kernel.stamp(&[self.who.account.0, self.who.organization.0])
    }

    /// All that was discovered and is not denied. Read once for a query.
    async fn known(&self) -> Result<&Vec<Known>, Fault> {
        self.known.get_or_try_init(|| self.discovered()).await
    }

    async fn discovered(&self) -> Result<Vec<Known>, Fault> {
        let mut all = Vec::new();
        for (slug, source) in &self.sources {
            let known = match self.catalog.schemas_to_query(&self.reader, source.number).await {
                Ok(known) => known,
                // It was deleted meanwhile.
                Err(Refused::Rule(_)) => continue,
                Err(Refused::Fault(error)) => return Err(error),
            };
            for schema in &known.schemas {
                if !self.schemas.is_empty() && !self.schemas.contains(&schema.name) {
                    continue;
                }
                let (pages, mut last) = (known.pages(), None);
                loop {
                    let tables = pages.next(schema, last).await?;
                    last = tables.last().map(|table| table.place);
                    let is_over = pages.ends(&tables) || last.is_none();
                    let seen = |table| self.seen(slug, source, &schema.name, table);
                    all.extend(tables.into_iter().filter_map(seen));
                    if is_over {
                        break;
                    }
                }
            }
        }
        Ok(all)
    }

    /// A table, if the person may see it.
    fn seen(&self, slug: &str, source: &DataSource, schema: &str, table: StoredTable) -> Option<Known> {
        let relation = known_relation(source.into(), schema, &table);
        let resolved = self.governance.resolve_known(&relation, self.kernel.now());
        if resolved.decision != Access::Allowed {
            return None;
        }
        let name = RelationName::new(slug, relation.schema.as_deref(), table.name.clone());
        Some(Known { name, relation, table, resolved })
    }

    /// Discovered relations of that name in the data sources of the query that the person may not see.
    async fn denied_called(&self, table: &str) -> Result<Vec<Denied>, Fault> {
        let mut unit = self.kernel.store.read().await?;
        let found = CatalogRelations.relations(&mut unit, self.who.organization, table).await?;
        drop(unit);
        let denied = found.into_iter().filter_map(|relation| {
            let (slug, _) = self.sources.iter().find(|(_, source)| source.number == relation.source)?;
            let schema = relation.schema.as_deref();
            if !self.schemas.is_empty() && !self.schemas.iter().any(|one| one == schema.unwrap_or_default()) {
                return None;
            }
            let name = RelationName::new(slug, schema, relation.table.clone());
            let resolved = self.governance.resolve_known(&relation, self.kernel.now());
            (resolved.decision != Access::Allowed).then(|| (name, Arc::new(resolved)))
        });
        Ok(denied.collect())
    }

    async fn opened_source(&self, number: i64) -> Result<Arc<dyn Source>, QueryError> {
        match self.catalog.open_data_source(&self.reader, number).await {
            Ok(open) => Ok(open),
            Err(Refused::Rule(SourceRefusal::NotFound)) => {
                Err(QueryError::new(Code::UnknownRelation, "A data source does not exist any more."))
            }
            Err(Refused::Rule(refusal)) => Err(self.away(number, Some(&refusal))),
            Err(Refused::Fault(error)) => {
                tracing::error!(%error, "a data source cannot be opened");
                Err(self.away(number, None))
            }
        }
    }

    async fn opened(&self, known: &Known) -> Result<Arc<dyn Rows>, QueryError> {
        let KnownRelation { source, schema, table, .. } = &known.relation;
        let once = self.open.get(source).ok_or_else(|| self.away(*source, None))?;
        let open = Arc::clone(once.get_or_try_init(|| self.opened_source(*source)).await?);
        let relation = tidegate_connect::Relation { schema: schema.clone(), table: table.clone() };
        let estimate = known.table.row_count.and_then(|count| u64::try_from(count).ok());
        open_rows(open, relation, estimate, self.on_failure(*source)).await
    }

    /// The same within the time that policies give a query. The engine learns of their limits only when a relation is open, and a source that
    /// does not answer is none then.
    async fn opened_in_time(&self, known: &Known) -> Result<Arc<dyn Rows>, QueryError> {
        let Some(seconds) = known.resolved.limits.max_execution_time_seconds else {
            return self.opened(known).await;
        };
        let opened = tokio::time::timeout(Duration::from_secs(seconds.value), self.opened(known));
        let too_late = || QueryError::new(Code::LimitTime, "The query was not done in time.");
        opened.await.unwrap_or_else(|_| Err(too_late()))
    }

    /// When the person may ask again, if a query is one beyond a number of a policy.
    async fn used_up_until(
        &self,
        began: Timestamp,
        most: u64,
        span: Duration,
    ) -> Result<Option<Timestamp>, Fault> {
        let mut unit = self.kernel.store.read().await?;
        let Member { organization, account, .. } = self.who;
        let place = place_since(&mut unit, organization, account, began.minus(span), began).await?;
        if u64::try_from(place).unwrap_or(0) <= most {
            return Ok(None);
        }
        free_again(&mut unit, organization, account, (most, span), began).await.map(Some)
    }

    /// Refuses a query beyond a number of a policy. Others may begin meanwhile, here and on other nodes: those that began before this one
    /// are counted, and it.
    async fn within(
        &self,
        began: Timestamp,
        most: u64,
        span: Duration,
        name: &str,
    ) -> Result<(), QueryError> {
        match self.used_up_until(began, most, span).await {
            Ok(None) => Ok(()),
            Ok(Some(again)) => {
                let again = again.plus(Duration::from_secs(1)).iso_seconds();
                let text = format!(
                    "You may run {most} queries within {name}, and those from before this limit and refused ones count: ask again at {again}."
                );
                Err(QueryError::new(Code::PolicyDenied, text))
            }
            Err(error) => {
                tracing::error!(%error, "queries cannot be counted");
                Err(QueryError::new(Code::PolicyDenied, "Queries cannot be counted at the moment."))
            }
        }
    }
}

/// Who reads, if they may.
pub(crate) fn authorized(reader: &Reader) -> Result<Member, QueryFailure> {
    reader.authorize(Permission::QueryData).map_err(|forbidden| fault(&forbidden.into()))
}

impl Known {
    fn described(&self) -> Relation {
        let is_seen = |column: &StoredColumn| !self.resolved.hidden.contains_key(&column.name);
        described(&self.name, &self.table, self.relation.is_typed, is_seen)
    }
}

#[async_trait]
impl Relations for PersonRelations {
    async fn visible(&self) -> Result<Vec<RelationName>, QueryError> {
        let known = self.known().await.map_err(|error| {
            tracing::error!(%error, "tables cannot be read");
            QueryError::new(Code::SourceUnavailable, "The tables cannot be read at the moment.")
        })?;
        Ok(known.iter().map(|known| known.name.clone()).collect())
    }

    async fn open(&self, name: &RelationName) -> Result<Option<GovernedRelation>, QueryError> {
        let known = self.known().await.ok();
        let Some(known) = known.and_then(|all| all.iter().find(|known| known.name == *name)) else {
            return Ok(None);
        };
        let rows = self.opened_in_time(known).await?;
        // With the columns and types that it has now.
        let schema = rows.schema();
        let KnownRelation { source, workspace, schema: schema_name, table, .. } = &known.relation;
        let relation = describe(*source, schema_name.as_deref(), table, &schema);
        let resolved = self.governance.resolve(&relation, Some(*workspace), self.kernel.now());
        let resolved = Arc::new(resolved);
        if resolved.decision != Access::Allowed {
            let mut late = self.denied_late.lock().unwrap_or_else(PoisonError::into_inner);
            late.push((name.clone(), resolved));
            return Ok(None);
        }
        let opened = Opened { relation, workspace: *workspace, resolved: Arc::clone(&resolved) };
        self.in_use.lock().unwrap_or_else(PoisonError::into_inner).push(opened);
        let governance = Arc::clone(&self.governance);
        Ok(Some(GovernedRelation {
            rows,
            resolved,
            hash: Arc::new(move |value: &[u8]| governance.hash(value)),
        }))
    }

    async fn denied(&self, table: &str) -> Vec<(RelationName, Arc<Resolved>)> {
        let late = self.denied_late.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match self.denied_called(table).await {
            Ok(denied) => late.into_iter().chain(denied).collect(),
            Err(error) => {
                tracing::error!(%error, "what was denied cannot be recorded");
                late
            }
        }
    }

    async fn admit(&self, limits: &Limits) -> Result<(), QueryError> {
        let Some(began) = self.began else { return Ok(()) };
        if let Some(limited) = limits.max_queries_per_hour {
            self.within(began, limited.value, HOUR, "an hour").await?;
        }
        if let Some(limited) = limits.max_queries_per_day {
            self.within(began, limited.value, DAY, "24 hours").await?;
        }
        Ok(())
    }
}
