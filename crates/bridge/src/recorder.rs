//! What policies decided of a query is written down.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use serde_json::{Map, Value, json};
use tidegate_domain::Timestamp;
use tidegate_engine::{Decision, Decisions, Pushed, RelationName};
use tidegate_kernel::Member;
use tidegate_policies::Policies;
use tidegate_policies::evaluations::record::Evaluated;
use tidegate_policy::Decision as Access;
use tokio::runtime::Handle;

/// What a query is known by whose decisions are recorded.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Recorded {
    /// When it began.
    pub(crate) began: Timestamp,
    /// The number of its execution.
    pub(crate) execution: i64,
    /// The client's address.
    pub(crate) ip: Option<IpAddr>,
}

/// What was left to the source, for the record of what policies decided: administrators read it, and nobody else.
fn left_to_source(decision: &Decision) -> Map<String, Value> {
    let readings = decision.pushed.iter().map(|pushed| {
        let Pushed { columns, filters, order, limit } = pushed;
        json!({ "columns": columns, "filters": filters, "order": order, "limit": limit })
    });
    let readings: Vec<Value> = readings.collect();
    Map::from_iter([("pushed_down".to_owned(), Value::from(readings))])
}

/// Whether a query got so far that it could have read a relation.
fn was_read(decision: &Decision) -> bool {
    decision.resolved.decision == Access::Allowed && !decision.refused
}

/// Writes what was decided down.
pub(crate) struct Recorder {
    policies: Arc<Policies>,
    who: Member,
    recorded: Recorded,
    /// Numbers of data sources by what they are called in the query.
    sources: HashMap<String, i64>,
    handle: Handle,
}

impl Recorder {
    /// For a person's query. `sources` are the numbers of data sources by what they are called in it.
    pub(crate) fn new(
        policies: &Arc<Policies>,
        who: Member,
        recorded: Recorded,
        sources: HashMap<String, i64>,
    ) -> Self {
        Self { policies: Arc::clone(policies), who, recorded, sources, handle: Handle::current() }
    }
}

impl Decisions for Recorder {
    fn keep(&self, decisions: Vec<Decision>) {
        let (policies, who, sources) = (Arc::clone(&self.policies), self.who, self.sources.clone());
        let Recorded { execution, ip, .. } = self.recorded;
        let ip = ip.map(|ip| ip.to_string()).unwrap_or_default();
        self.handle.spawn(async move {
            let relation = |decision: &Decision| tidegate_policy::Relation {
                source: sources.get(&decision.relation.source).copied().unwrap_or_default(),
                schema: Some(decision.relation.schema.clone())
                    .filter(|schema| schema != RelationName::NO_SCHEMA),
                table: decision.relation.table.clone(),
                columns: Vec::new(),
            };
            let relations: Vec<tidegate_policy::Relation> = decisions.iter().map(relation).collect();
            let evaluated: Vec<Evaluated<'_>> = decisions
                .iter()
                .zip(&relations)
                .map(|(decision, relation)| Evaluated {
                    organization: who.organization,
                    user: who.number,
                    query: Some(execution),
                    relation,
                    resolved: &decision.resolved,
                    rows_returned: Some(decision.rows).filter(|_| was_read(decision)),
                    is_refused: decision.refused,
                    rows_filtered: None,
                    ip: &ip,
                    metadata: left_to_source(decision),
                })
                .collect();
            if let Err(error) = policies.record(&evaluated).await {
                tracing::error!(%error, "what policies decided cannot be written");
            }
        });
    }
}
