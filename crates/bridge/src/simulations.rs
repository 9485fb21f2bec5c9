//! Queries of simulations: an administrator looks at what somebody would see.

use std::sync::{Arc, Weak};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tidegate_catalog::Catalog;
use tidegate_domain::Permission;
use tidegate_engine::{Cancel, Decision, Decisions, Engine, Limits, Parameters, Request};
use tidegate_kernel::{Fault, Kernel, Reader};
use tidegate_policies::hooks::{SimulatedQueries, SimulatedQuery, SimulatedResult, SimulationFailure};
use tidegate_prompts::executions::format::{columns_of, json_rows};
use tidegate_prompts::ports::{QueryCode, QueryFailure, Remarks};

use crate::governed::PersonRelations;
use crate::queries::failure;
use crate::recorder::Told;

/// Records nothing of what is decided.
struct Unrecorded;

impl Decisions for Unrecorded {
    fn keep(&self, _: Vec<Decision>) {}
}

/// Runs them. They count against nobody's limits, and are no evaluations of policies: nobody was shown anything by them but who looked,
/// which the audit log says.
pub(crate) struct Simulations {
    pub(crate) engine: Engine,
    pub(crate) kernel: Arc<Kernel>,
    /// Not held: it asks the policies, which hold this.
    pub(crate) catalog: Weak<Catalog>,
    pub(crate) limits: Limits,
}

impl Simulations {
    async fn first_rows(
        &self,
        catalog: &Arc<Catalog>,
        query: SimulatedQuery,
    ) -> Result<SimulatedResult, QueryFailure> {
        let SimulatedQuery { governance, actor, sql, sources, max_rows } = query;
        let relations = PersonRelations::under(&self.kernel, catalog, governance, Reader::Caller(actor))?;
        let relations = Arc::new(relations.over(&sources, &[]).await?);
        let told = Told::new(Arc::new(Unrecorded), Remarks::default(), self.kernel.now());
        let told = Arc::new(told);
        let rows = u64::try_from(max_rows).unwrap_or(u64::MAX).min(self.limits.rows);
        let request = Request {
            person: relations.person(),
            relations: Arc::<PersonRelations>::clone(&relations),
            sql,
            parameters: Parameters::None,
            limits: Limits { rows, cut: true, ..self.limits },
            cancel: Cancel::default(),
            progress: None,
            decisions: Some(Arc::<Told>::clone(&told)),
        };
        let answer = match self.engine.query(request).await {
            Ok(answer) => answer,
            Err(error) => {
                // Who writes policies is told which of them denies what the query names, and what is not known yet.
                return Err(told.explain(relations.with_discoveries(failure(error), None).await));
            }
        };
        let columns = columns_of(&answer.schema);
        let batches = answer.collect().await.map_err(failure)?;
        let unwritable = |error: String| {
            tracing::error!(error, "rows of a simulation cannot be written");
            QueryFailure::new(QueryCode::Internal, "The rows of the result cannot be written.")
        };
        let text = json_rows(&batches).map_err(|error| unwritable(error.to_string()))?;
        let rows = serde_json::from_str(&text).map_err(|error| unwritable(error.to_string()))?;
        let columns = columns.into_iter().map(|column| (column.name, column.type_name)).collect();
        let (policies, attributes) = relations.applied();
        Ok(SimulatedResult { columns, rows, policies, attributes })
    }
}

impl SimulatedQueries for Simulations {
    fn run(
        &self,
        query: SimulatedQuery,
    ) -> BoxFuture<'_, Result<Result<SimulatedResult, SimulationFailure>, Fault>> {
        async move {
            // Whose token reads no rows is shown none of others either.
            query.actor.authorize(Permission::QueryData)?;
            let Some(catalog) = self.catalog.upgrade() else {
                return Err(Fault::Internal("the catalog is gone".to_owned()));
            };
            match self.first_rows(&catalog, query).await {
                Ok(result) => Ok(Ok(result)),
                Err(QueryFailure { code: QueryCode::Internal, message, .. }) => Err(Fault::Internal(message)),
                Err(failure) => {
                    Ok(Err(SimulationFailure { code: failure.code.as_str(), message: failure.message }))
                }
            }
        }
        .boxed()
    }
}
