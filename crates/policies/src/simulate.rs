//! What would this person see? Answered from policies and attributes alone for a table; for SQL by the engine, with the same governance.

use std::collections::HashSet;
use std::sync::Arc;

use serde_json::{Map, Value, json};
use tidegate_domain::audit::Action;
use tidegate_domain::{Permission, Role, Timestamp};
use tidegate_kernel::fault::{Outcome, refuse};
use tidegate_kernel::{Actor, Call};
use tidegate_policy::{Attribute, Attributes, Relation, Resolved, Subject};

use crate::governed::governance::{Asker, Governance};
use crate::hooks::{KnownRelation, SimulatedQuery, SimulatedResult};
use crate::records::PolicyRefusal;
use crate::records::checked::relations_called;
use crate::records::native::supposed;
use crate::work::Acting;
use crate::{Policies, PolicyTables};

/// Characters of a query that the audit log keeps.
const NOTED_SQL: usize = 1_000;
/// Rows that a simulation shows at most.
const MAX_ROWS: usize = 100;

/// For whom it is simulated.
#[derive(Clone, Debug)]
pub enum Whom {
    /// The member of that number.
    Member(i64),
    /// Somebody with these attributes, by their names without `current_user_`.
    Described(Map<String, Value>),
}

/// What is looked at.
#[derive(Clone, Debug)]
pub enum What {
    /// A table of a data source.
    Table {
        /// The number of the data source.
        data_source: i64,
        /// Its schema.
        schema: Option<String>,
        /// Its name.
        table: String,
    },
    /// A query.
    Query {
        /// SQL.
        sql: String,
        /// Numbers of the data sources it may read.
        data_sources: Vec<i64>,
    },
}

/// A simulation.
#[derive(Clone, Debug)]
pub struct Simulation {
    /// For whom.
    pub whom: Whom,
    /// In the workspace of that number.
    pub workspace: Option<i64>,
    /// What.
    pub what: What,
}

/// What somebody would see.
#[derive(Clone, Debug)]
pub enum Simulated {
    /// Of a table: what policies say.
    Table {
        /// The table, as it was discovered.
        relation: Relation,
        /// What is left of it.
        resolved: Box<Resolved>,
        /// When.
        at: Timestamp,
    },
    /// Of a query: its first rows.
    Query(SimulatedResult),
}

impl Policies {
    /// What a member of the caller's organization would see, or somebody with these attributes.
    ///
    /// Source: extension of RiverGen "policies/simulate".
    ///
    /// # Errors
    /// [`PolicyRefusal::TargetNotFound`], [`PolicyRefusal::RelationNotFound`], [`PolicyRefusal::Unanswerable`],
    /// [`PolicyRefusal::NoQueries`], [`PolicyRefusal::QueryFailed`].
    pub async fn simulate_policies(
        &self,
        call: &Call,
        actor: &Actor,
        simulation: Simulation,
    ) -> Outcome<Simulated, PolicyRefusal> {
        let mut work = self.begin_as(call, actor, Permission::ManagePolicies).await?;
        if matches!(simulation.what, What::Query { .. }) {
            // Its answer is rows: a token for policies alone is none for data.
            work.grant.require(Permission::ReadDataSources)?;
        }
        let account = match &simulation.whom {
            Whom::Member(number) => Some(work.member_of(*number).await?),
            Whom::Described(_) => None,
        };
        if let Some(number) = simulation.workspace {
            work.require_workspace(number).await?;
        }
        let table = work.table_of(&simulation.what).await?;
        let organization = work.grant.organization();
        let subject = work.grant.subject();
        work.audit(Action::PolicySimulated, subject, told(&simulation)).await?;
        // Before anything is shown: what is looked at is on record even if showing it fails.
        work.commit().await?;
        let governance = match (&simulation.whom, account) {
            (Whom::Described(attributes), _) => {
                let subject = described(attributes, simulation.workspace);
                self.governance_of(organization, subject).await?
            }
            (Whom::Member(_), Some(account)) => {
                // As for their own queries: a workspace that is not theirs counts as none.
                let workspace = simulation.workspace;
                let asker = Asker { account, organization, workspace, datasets: Vec::new(), query: None };
                match self.governance(&asker).await? {
                    Some(governance) => governance,
                    None => {
                        return refuse(PolicyRefusal::Unanswerable("the account of the user is disabled"));
                    }
                }
            }
            (Whom::Member(number), None) => {
                return refuse(PolicyRefusal::TargetNotFound { kind: "user", number: *number });
            }
        };
        match (table, simulation.what) {
            (Some((relation, workspace)), _) => {
                let at = self.kernel.now();
                let resolved = Box::new(governance.resolve(&relation, Some(workspace), at));
                Ok(Simulated::Table { relation, resolved, at })
            }
            (None, What::Query { sql, data_sources }) => {
                self.simulated_query(actor, governance, sql, data_sources).await
            }
            (None, What::Table { .. }) => refuse(PolicyRefusal::RelationNotFound),
        }
    }

    async fn simulated_query(
        &self,
        actor: &Actor,
        governance: Governance,
        sql: String,
        sources: Vec<i64>,
    ) -> Outcome<Simulated, PolicyRefusal> {
        let Some(queries) = self.queries.get() else { return refuse(PolicyRefusal::NoQueries) };
        let (governance, actor) = (Arc::new(governance), actor.clone());
        let query = SimulatedQuery { governance, actor, sql, sources, max_rows: MAX_ROWS };
        match queries.run(query).await? {
            Ok(result) => Ok(Simulated::Query(result)),
            Err(failure) => {
                refuse(PolicyRefusal::QueryFailed { code: failure.code, message: failure.message })
            }
        }
    }
}

/// What the audit log tells: who was looked at and what, not the answer.
fn told(simulation: &Simulation) -> Value {
    let whom = match &simulation.whom {
        Whom::Member(number) => json!({ "user": number }),
        Whom::Described(attributes) => {
            json!({ "attributes": attributes.keys().take(50).collect::<Vec<_>>() })
        }
    };
    let what = match &simulation.what {
        What::Table { data_source, schema, table } => {
            json!({ "data_source": data_source, "schema": schema, "table": table })
        }
        What::Query { sql, data_sources } => {
            let sql: String = sql.chars().take(NOTED_SQL).collect();
            json!({ "query_of": data_sources.iter().take(100).collect::<Vec<_>>(), "sql": sql })
        }
    };
    json!({ "whom": whom, "what": what })
}

/// Somebody who may not exist.
fn described(attributes: &Map<String, Value>, workspace: Option<i64>) -> Subject {
    let mut known = Attributes::new();
    for (name, value) in attributes {
        known.set_or_remove(name, Attribute::from_json(value));
    }
    if known.get("groups").is_none() {
        known.set("groups", Attribute::List(Vec::new()));
    }
    let number = |name: &str| match known.get(name) {
        Some(Attribute::Number(number)) => number.parse().ok(),
        _ => None,
    };
    let role = match known.get("role") {
        Some(Attribute::Text(name)) => Role::from_name(&name.to_lowercase()),
        _ => None,
    };
    let (user, workspace) = (number("id"), workspace.or_else(|| number("workspace_id")));
    known.set_or_remove("workspace_id", workspace.map(|number| Attribute::Number(number.to_string())));
    Subject {
        user,
        roles: role.map(Role::number).into_iter().collect(),
        workspace,
        attributes: known,
        ..Subject::default()
    }
}

impl Acting<'_> {
    async fn member_of(&mut self, number: i64) -> Outcome<tidegate_domain::id::AccountId, PolicyRefusal> {
        let organization = self.grant.organization();
        match self.unit.policies().member(organization, number).await? {
            Some(account) => Ok(account),
            None => refuse(PolicyRefusal::TargetNotFound { kind: "user", number }),
        }
    }

    async fn require_workspace(&mut self, number: i64) -> Outcome<(), PolicyRefusal> {
        let organization = self.grant.organization();
        match self.unit.policies().workspace(organization, number).await? {
            Some(_) => Ok(()),
            None => refuse(PolicyRefusal::TargetNotFound { kind: "workspace", number }),
        }
    }

    /// The table that is looked at, with its columns as far as discovery knows their types, with the number of the workspace of its data source; none for a query.
    async fn table_of(&mut self, what: &What) -> Outcome<Option<(Relation, i64)>, PolicyRefusal> {
        let organization = self.grant.organization();
        let known = self.app.sources.sources(&mut self.unit, organization).await?;
        let (source, schema, table) = match what {
            What::Table { data_source, schema, table } => (*data_source, schema.as_deref(), table.as_str()),
            What::Query { data_sources, .. } => {
                let numbers: HashSet<i64> = known.iter().map(|source| source.number).collect();
                return match data_sources.iter().find(|number| !numbers.contains(number)) {
                    Some(number) => {
                        refuse(PolicyRefusal::TargetNotFound { kind: "data source", number: *number })
                    }
                    None => Ok(None),
                };
            }
        };
        let Some(source) = known.into_iter().find(|known| known.number == source) else {
            return refuse(PolicyRefusal::TargetNotFound { kind: "data source", number: source });
        };
        let sources = self.app.sources.as_ref();
        let found = relations_called(&mut self.unit, sources, organization, table).await?;
        let is_meant = |relation: &&KnownRelation| {
            let full = relation.schema.as_ref().map(|schema| format!("{schema}.{}", relation.table));
            let named = relation.table.eq_ignore_ascii_case(table)
                || full.is_some_and(|full| full.eq_ignore_ascii_case(table));
            let in_schema = schema.is_none_or(|schema| relation.schema.as_deref() == Some(schema));
            relation.source == source.number && named && in_schema
        };
        // Of names that differ in capitals the one that is written so.
        let exact = found.iter().filter(is_meant).find(|relation| relation.table == table);
        match exact.or_else(|| found.iter().find(is_meant)) {
            Some(relation) => Ok(Some((supposed(relation), source.workspace))),
            None => refuse(PolicyRefusal::RelationNotFound),
        }
    }
}
