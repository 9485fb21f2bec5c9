//! What crosses to and from other features.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use tidegate_database::Unit;
use tidegate_domain::id::{AccountId, OrganizationId};
use tidegate_kernel::hooks::AccountHooks;
use tidegate_kernel::{Actor, Fault, Work};
use tidegate_policy::{Applied, Attribute};

use crate::PolicyTables;
use crate::governed::governance::Governance;

/// A data source of an organization.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KnownSource {
    /// Its number.
    pub number: i64,
    /// The number of its workspace.
    pub workspace: i64,
    /// Whether its tables were discovered.
    pub is_discovered: bool,
}

/// What the type of a decimal without digits is called here whose values have any scale: there is no such type to compare or round in.
pub const OPEN_DECIMAL: &str = "numeric(any)";

/// A relation that was discovered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownRelation {
    /// The number of its data source.
    pub source: i64,
    /// The number of the workspace of that.
    pub workspace: i64,
    /// Its schema; none of sources without schemas.
    pub schema: Option<String>,
    /// Its name.
    pub table: String,
    /// Whether values are of the types that columns are declared with: SQLite's need not be.
    pub is_typed: bool,
    /// Its columns: their names, and what the source calls their types.
    pub columns: Vec<(String, String)>,
}

/// A relation that was found by the name of where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownPlace {
    /// The number of its data source.
    pub source: i64,
    /// What that is called in SQL.
    pub slug: String,
    /// What it is called for people.
    pub source_name: String,
    /// Its schema; empty for sources without schemas.
    pub schema: String,
    /// Its name; empty where no table of the data source is known.
    pub table: String,
}

/// Relations that were found by the name of where they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownPlaces {
    /// Of many the first.
    pub tables: Vec<KnownPlace>,
    /// Whether these are all.
    pub is_whole: bool,
}

/// What is known of data sources and their tables: the catalog knows it, which this feature does not see (see `tidegate-bridge`).
pub trait SourceRelations: Send + Sync + 'static {
    /// The data sources of an organization.
    fn sources<'u>(
        &'u self,
        unit: &'u mut Unit,
        organization: OrganizationId,
    ) -> BoxFuture<'u, Result<Vec<KnownSource>, Fault>>;

    /// Its discovered relations of that name, whatever their schema and source; capitals do not count.
    fn relations<'u>(
        &'u self,
        unit: &'u mut Unit,
        organization: OrganizationId,
        table: &'u str,
    ) -> BoxFuture<'u, Result<Vec<KnownRelation>, Fault>>;

    /// Names of its discovered relations, each once; the first of many.
    fn tables<'u>(
        &'u self,
        unit: &'u mut Unit,
        organization: OrganizationId,
    ) -> BoxFuture<'u, Result<Vec<String>, Fault>>;

    /// The discovered relations of the data source or the schema that is called so; capitals do not count.
    fn places<'u>(
        &'u self,
        unit: &'u mut Unit,
        organization: OrganizationId,
        place: &'u str,
    ) -> BoxFuture<'u, Result<KnownPlaces, Fault>>;
}

/// A query of a simulation.
#[derive(Clone)]
pub struct SimulatedQuery {
    /// What holds for whom it is simulated.
    pub governance: Arc<Governance>,
    /// Who looks: it reads no data source that they do not see.
    pub actor: Actor,
    /// The query.
    pub sql: String,
    /// Numbers of the data sources it may read.
    pub sources: Vec<i64>,
    /// Rows that are shown at most.
    pub max_rows: usize,
}

/// What a simulated query gives.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SimulatedResult {
    /// Names and types of its columns.
    pub columns: Vec<(String, String)>,
    /// Its first rows.
    pub rows: Vec<serde_json::Map<String, Value>>,
    /// Rules that had a part in what is left of its tables, each once.
    pub policies: Vec<Applied>,
    /// Attributes that they read, by their names without `current_user_`.
    pub attributes: BTreeMap<String, Attribute>,
}

/// Why a simulated query gave nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SimulationFailure {
    /// A code of the engine's closed list.
    pub code: &'static str,
    /// What it says of it.
    pub message: String,
}

/// Runs queries of simulations: the engine does, which this feature does not see.
pub trait SimulatedQueries: Send + Sync + 'static {
    /// Runs a query as somebody whom the governance is of. A failure of the machine is a fault; what the query itself is refused for,
    /// is not.
    fn run(
        &self,
        query: SimulatedQuery,
    ) -> BoxFuture<'_, Result<Result<SimulatedResult, SimulationFailure>, Fault>>;
}

pub(crate) struct PolicyHooks;

impl AccountHooks for PolicyHooks {
    /// The policies of organizations that end with it go for good, and what was decided for it. Those it made for others are theirs.
    fn account_deleted<'w>(
        &'w self,
        work: &'w mut Work<'_>,
        account: AccountId,
    ) -> BoxFuture<'w, Result<(), Fault>> {
        async move {
            for (id, organization) in work.unit.policies().of_owner(account).await? {
                work.unit.policies().remove(id).await?;
                work.unit.policies().touch(organization.into());
            }
            for organization in work.unit.policy_assignments().organizations_naming(account).await? {
                work.unit.policies().touch(organization);
            }
            work.unit.policy_assignments().forget(account).await?;
            work.unit.policy_evaluations().forget(account).await?;
            Ok(())
        }
        .boxed()
    }

    /// What policies decided for it.
    fn account_exported<'w>(
        &'w self,
        work: &'w mut Work<'_>,
        account: AccountId,
    ) -> BoxFuture<'w, Result<Option<(&'static str, Value)>, Fault>> {
        async move {
            let decided = work.unit.policy_evaluations().of_account(account).await?;
            if decided.is_empty() {
                return Ok(None);
            }
            let decided: Vec<Value> = decided
                .into_iter()
                .map(|(source, relation, result, at)| {
                    json!({
                        "data_source_id": source,
                        "relation": relation,
                        "result": result,
                        "evaluated_at": at.iso_seconds(),
                    })
                })
                .collect();
            Ok(Some(("policy_evaluations", json!(decided))))
        }
        .boxed()
    }
}
