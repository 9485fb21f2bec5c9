//! Governed queries, for Prompt Studio: the engine runs them, on what the catalog knows and the policies leave.

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt};
use tidegate_catalog::Catalog;
use tidegate_catalog::hooks::sources_seen;
use tidegate_database::Unit;
use tidegate_engine::{Cancel, Code, Decisions, Engine, Limits, Parameters, QueryError, Request, Shape};
use tidegate_kernel::{Actor, Fault, Grant, Kernel, Reader, Refused};
use tidegate_policies::Policies;
use tidegate_prompts::ports::{
    Purpose, Queries, QueryAnswer, QueryCode, QueryFailure, QueryRequest, QueryShape, Relation, SourceName,
    Sources,
};

use crate::governed::{PersonRelations, authorized};
use crate::recorder::{Gathered, Held, Recorded, Told, Unwritten};
use crate::watched::{Watched, watched};

/// Data sources of the catalog.
pub(crate) struct CatalogSources(pub(crate) Arc<Catalog>);

impl Sources for CatalogSources {
    fn seen<'f>(
        &'f self,
        unit: &'f mut Unit,
        grant: &'f Grant,
    ) -> BoxFuture<'f, Result<Vec<SourceName>, Fault>> {
        async move {
            let seen = sources_seen(unit, grant).await?;
            let name = |source: tidegate_catalog::sources::DataSource| SourceName {
                number: source.number,
                name: source.name,
                slug: source.slug,
                workspace: source.workspace_number,
                kind: source.kind.as_str().to_owned(),
                status: source.status.as_str().to_owned(),
                is_discovered: source.schema_discovered_at.is_some(),
            };
            Ok(seen.into_iter().map(name).collect())
        }
        .boxed()
    }

    fn unseen<'f>(
        &'f self,
        actor: &'f Actor,
        numbers: &'f [i64],
    ) -> BoxFuture<'f, Result<Option<i64>, Fault>> {
        async move {
            let reader = Reader::Caller(actor.clone());
            for number in numbers {
                match self.0.data_source_to_query(&reader, *number).await {
                    Ok(_) => {}
                    Err(Refused::Rule(_)) => return Ok(Some(*number)),
                    Err(Refused::Fault(error)) => return Err(error),
                }
            }
            Ok(None)
        }
        .boxed()
    }
}

/// Runs queries of people.
pub(crate) struct GovernedQueries {
    pub(crate) engine: Engine,
    pub(crate) kernel: Arc<Kernel>,
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) policies: Arc<Policies>,
    pub(crate) limits: Limits,
    pub(crate) unwritten: Unwritten,
}

/// A failure of the engine, in the words of Prompt Studio: the codes are the same.
pub(crate) fn failure(error: QueryError) -> QueryFailure {
    let code = match error.code {
        Code::Syntax => QueryCode::Syntax,
        Code::UnknownRelation => QueryCode::UnknownRelation,
        Code::UnknownColumn => QueryCode::UnknownColumn,
        Code::StatementNotAllowed => QueryCode::StatementNotAllowed,
        Code::TypeMismatch => QueryCode::TypeMismatch,
        Code::EvaluationFailed => QueryCode::EvaluationFailed,
        Code::LimitRows => QueryCode::LimitRows,
        Code::LimitTime => QueryCode::LimitTime,
        Code::LimitMemory => QueryCode::LimitMemory,
        Code::LimitConcurrency => QueryCode::LimitConcurrency,
        Code::SourceUnavailable => QueryCode::SourceUnavailable,
        Code::PolicyDenied => QueryCode::PolicyDenied,
        Code::Cancelled => QueryCode::Cancelled,
    };
    QueryFailure { code, message: error.message, nearest: error.nearest }
}

/// Ours: what happened is for the log.
pub(crate) fn fault(fault: &Fault) -> QueryFailure {
    match fault {
        Fault::Forbidden(_) | Fault::SessionEnded => {
            QueryFailure::new(QueryCode::PolicyDenied, "The session has ended, or does not allow this.")
        }
        fault => {
            tracing::error!(error = %fault, "a query cannot be run");
            QueryFailure::new(QueryCode::Internal, "The query could not be run.")
        }
    }
}

impl GovernedQueries {
    /// What the person may see, as it is now.
    async fn person(
        &self,
        reader: &Reader,
        workspace: Option<i64>,
        sources: &[i64],
        schemas: &[String],
    ) -> Result<PersonRelations, QueryFailure> {
        let Self { kernel, catalog, policies, .. } = self;
        PersonRelations::new(kernel, catalog, policies, reader.clone(), workspace)
            .await?
            .over(sources, schemas)
            .await
    }

    /// What the engine is asked.
    fn query(&self, request: &QueryRequest, relations: Arc<PersonRelations>) -> Request {
        let parameters = match request.parameters.as_slice() {
            [] => Parameters::None,
            values => Parameters::Positional(values.to_vec()),
        };
        Request {
            person: relations.person(),
            relations,
            sql: request.sql.clone(),
            parameters,
            limits: self.limits,
            cancel: Cancel::default(),
            progress: None,
            decisions: None,
        }
    }

    /// Who keeps what is decided of a query.
    fn decisions(&self, relations: &PersonRelations, purpose: &Purpose) -> Option<Arc<dyn Decisions>> {
        let recorder = |execution, ip, what_for| {
            let recorded = Recorded { execution, ip, purpose: what_for };
            relations.recorder(&self.policies, recorded, self.unwritten.one())
        };
        let keeper: Arc<dyn Decisions> = match purpose {
            Purpose::Answer { execution, ip, records: None, .. } => {
                Arc::new(recorder(Some(*execution), *ip, None))
            }
            Purpose::Answer { execution, ip, records: Some(records), .. } => {
                let held = Arc::new(Held::new(recorder(Some(*execution), *ip, None)));
                records.leave(Arc::<Held>::clone(&held));
                held
            }
            Purpose::Lookup { execution, ip, group } => {
                group.kept(|| Gathered::new(recorder(Some(*execution), *ip, Some("value_lookup"))))?
            }
            Purpose::Operator(_) => Arc::new(recorder(None, None, Some("operator"))),
            Purpose::Shape => return None,
        };
        Some(keeper)
    }

    /// Nothing is recorded of a query that has no purpose. One that its person asked for counts against their limits, as begun when it was.
    async fn start(
        &self,
        request: &QueryRequest,
        purpose: Option<&Purpose>,
    ) -> Result<QueryAnswer, QueryFailure> {
        let QueryRequest { reader, workspace, sources, schemas, .. } = request;
        let who = authorized(reader)?;
        // Before anything is looked at: what changes meanwhile shows.
        let changes = self.kernel.stamp(&[who.account.0, who.organization.0]);
        let relations = self.person(reader, *workspace, sources, schemas).await?;
        let relations = Arc::new(match purpose {
            Some(Purpose::Answer { began, .. }) => relations.counted(*began),
            _ => relations,
        });
        // First rows are kept of answers alone.
        let seen_under = match purpose {
            Some(Purpose::Answer { .. }) => relations.fingerprint().await.map_err(|error| fault(&error))?,
            _ => None,
        };
        let decisions = purpose.and_then(|purpose| self.decisions(&relations, purpose));
        let told = match (purpose, decisions.clone()) {
            (Some(Purpose::Operator(remarks)), Some(keeper)) => {
                Some(Arc::new(Told::new(keeper, remarks.clone(), self.kernel.now())))
            }
            _ => None,
        };
        let is_operators = told.is_some();
        let decisions = told.clone().map(|told| told as Arc<dyn Decisions>).or(decisions);
        let watch = Watched::new(&self.kernel, &self.policies, Arc::clone(&relations), changes);
        let watch = Arc::new(watch);
        let (person, asked, limits) = (Arc::clone(&relations), Arc::clone(&relations), self.limits);
        let failed = move |error| match asked.failed(error) {
            failed if is_operators => asked.explained(failed, &limits),
            failed => failed,
        };
        let query = Request { decisions, ..self.query(request, relations) };
        let answer = match self.engine.query(query).await {
            Ok(answer) => answer,
            Err(error) => {
                let failure = person.with_discoveries(failed(error), purpose).await;
                return Err(match &told {
                    Some(told) => told.explain(failure),
                    None => failure,
                });
            }
        };
        let schema = Arc::clone(&answer.schema);
        let batches = answer.map(move |batch| batch.map_err(&failed)).boxed();
        let batches = watched(batches, Arc::clone(&watch));
        Ok(QueryAnswer { schema, batches, watch: Some(watch), seen_under })
    }
}

#[async_trait]
impl Queries for GovernedQueries {
    async fn relations(
        &self,
        actor: &Actor,
        workspace: Option<i64>,
        sources: &[i64],
        schemas: &[String],
    ) -> Result<Vec<Relation>, QueryFailure> {
        let relations = self.person(&Reader::Caller(actor.clone()), workspace, sources, schemas).await?;
        Ok(relations.described().await?)
    }

    async fn undiscovered(
        &self,
        actor: &Actor,
        workspace: Option<i64>,
        sources: &[i64],
    ) -> Result<Option<String>, QueryFailure> {
        let relations = self.person(&Reader::Caller(actor.clone()), workspace, sources, &[]).await?;
        Ok(relations.undiscovered().await)
    }

    /// The engine plans it and begins; nobody takes its rows, which ends it.
    async fn check(&self, request: &QueryRequest) -> Result<(), QueryFailure> {
        self.start(request, None).await.map(drop)
    }

    async fn shape(&self, request: &QueryRequest) -> Result<QueryShape, QueryFailure> {
        let QueryRequest { reader, workspace, sources, schemas, .. } = request;
        let relations = Arc::new(self.person(reader, *workspace, sources, schemas).await?);
        let shape = self.engine.shape(self.query(request, Arc::clone(&relations))).await;
        let Shape { schema, parameters } = match shape {
            Ok(shape) => shape,
            Err(error) => {
                let failure = relations.failed(error);
                return Err(relations.with_discoveries(failure, Some(&request.purpose)).await);
            }
        };
        Ok(QueryShape { schema, parameters })
    }

    async fn run(&self, request: QueryRequest) -> Result<QueryAnswer, QueryFailure> {
        self.start(&request, Some(&request.purpose)).await
    }

    async fn recorded(&self) {
        self.unwritten.none().await;
    }

    async fn fingerprint(
        &self,
        actor: &Actor,
        workspace: Option<i64>,
        sources: &[i64],
    ) -> Result<Option<String>, QueryFailure> {
        let relations = self.person(&Reader::Caller(actor.clone()), workspace, sources, &[]).await?;
        relations.fingerprint().await.map_err(|error| fault(&error))
    }
}
