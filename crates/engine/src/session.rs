//! A session for one query, and its plan.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use datafusion::arrow::datatypes::{DataType, SchemaRef};
use datafusion::catalog::TableProvider;
use datafusion::common::TableReference;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::execution::context::{SQLOptions, SessionState};
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::{GreedyMemoryPool, MemoryPool};
use datafusion::execution::object_store::ObjectStoreRegistry;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::execution::{SessionStateBuilder, TaskContext};
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::object_store::ObjectStore;
use datafusion::optimizer::Analyzer;
use datafusion::optimizer::Optimizer;
use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::prelude::SessionConfig;
use datafusion::sql::parser::Statement;
use url::Url;

use crate::barrier::SecureBarrierExec;
use crate::catalog::{INNER, QueryCatalog};
use crate::checker::{self, Expected};
use crate::error::{Phase, QueryError, classify};
use crate::explain::{self, Asked, Titles};
use crate::functions::Functions;
use crate::joins::{self, Joins};
use crate::mutation::{Protection, Without};
use crate::options::{Options, SizeLimits};
use crate::parameters::{self, Parameters};
use crate::pool::{Ended, QueryMemory};
use crate::rules;
use crate::spill::ServerDisk;
use crate::table::GovernedTable;

/// Memory of a query for each stream that it is computed in: what a stream needs to sort by spilling.
const STREAM_BYTES: usize = 16 << 20;

/// Sessions that are kept for the next queries, at most. Each is hundreds of functions by their names.
const KEPT: usize = 8;

/// What all sessions begin with, made once: hundreds of functions, and the rules. It knows no relation and nothing of any query, and can
/// neither hold memory nor read anything.
pub(crate) struct Common {
    in_memory: Sessions,
    on_disk: Sessions,
    /// The last configuration, with the memory and the threads that it is for. What a query may use is in none.
    config: Mutex<Option<((usize, usize), SessionConfig)>>,
}

/// Sessions with the same functions and rules. A query has one for as long as it is planned.
struct Sessions {
    /// Of no query, ever.
    first: SessionState,
    /// Copies of it that had one. There is nothing left of that in them.
    kept: Mutex<Vec<SessionState>>,
}

impl Sessions {
    fn new(first: SessionState) -> Self {
        Self { first, kept: Mutex::default() }
    }

    fn take(&self) -> SessionState {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner).pop();
        kept.unwrap_or_else(|| self.first.clone())
    }

    /// Takes everything out of a session that its query put into it: its relations, and its configuration, in which are its memory, its
    /// disk and its stores. The next one has it then.
    fn give_back(&self, mut state: SessionState) {
        *state.config_mut() = self.first.config().clone();
        state.register_catalog_list(Arc::clone(self.first.catalog_list()));
        state.mark_start_execution();
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < KEPT {
            kept.push(state);
        }
    }
}

impl Common {
    pub(crate) fn new(functions: &Functions) -> datafusion::common::Result<Self> {
        let disk = DiskManagerBuilder::default().with_mode(DiskManagerMode::Disabled);
        let runtime = RuntimeEnvBuilder::new()
            .with_memory_pool(Arc::new(GreedyMemoryPool::new(0)))
            .with_disk_manager_builder(disk)
            .with_object_store_registry(Arc::new(Stores(Vec::new())))
            .build_arc()?;
        let sessions = |joins| {
            let first = SessionStateBuilder::new()
                .with_session_id(String::new())
                .with_config(SessionConfig::new().with_create_default_catalog_and_schema(false))
                .with_runtime_env(Arc::clone(&runtime))
                .with_catalog_list(Arc::new(QueryCatalog::default()))
                .with_analyzer_rules(Analyzer::with_rules(rules::analyzer()).rules)
                .with_optimizer_rules(Optimizer::with_rules(rules::logical()).rules)
                .with_physical_optimizer_rules(PhysicalOptimizer::with_rules(rules::physical(joins)).rules)
                .with_scalar_functions(functions.scalars.clone())
                .with_aggregate_functions(functions.aggregates.clone())
                .with_window_functions(functions.windows.clone())
                .with_table_function_list(functions.tables.clone())
                .with_expr_planners(Functions::planners())
                .build();
            Sessions::new(first)
        };
        let (in_memory, on_disk) = (sessions(Joins::InMemory), sessions(Joins::OnDisk));
        Ok(Self { in_memory, on_disk, config: Mutex::default() })
    }

    fn sessions(&self, joins: Joins) -> &Sessions {
        match joins {
            Joins::InMemory => &self.in_memory,
            Joins::OnDisk => &self.on_disk,
        }
    }

    /// The configuration of queries with so many bytes of memory, on so many threads: nearly always that of the query before.
    fn config(&self, limit: usize, threads: usize) -> SessionConfig {
        let is_for = (limit, threads);
        let mut last = self.config.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, config)) = last.as_ref().filter(|(other, _)| *other == is_for) {
            return config.clone();
        }
        let config = configured(limit, threads);
        *last = Some((is_for, config.clone()));
        config
    }
}

/// A configuration that nothing can be used with.
fn configured(limit: usize, threads: usize) -> SessionConfig {
    let streams = threads.min(limit / STREAM_BYTES).max(1);
    let mut config = SessionConfig::new()
        .with_target_partitions(streams)
        .with_information_schema(false)
        .with_create_default_catalog_and_schema(false)
        .with_default_catalog_and_schema(INNER, INNER);
    let options = config.options_mut();
    options.optimizer.enable_leaf_expression_pushdown = false;
    options.optimizer.skip_failed_rules = false;
    options.explain.show_statistics = false;
    // What a sort keeps free to merge what it has spilled. Most of what that takes is left free by the pool.
    options.execution.sort_spill_reservation_bytes = (limit / 16 / streams).min(10 << 20);
    config
}

/// What a query is planned with.
pub(crate) struct Planning<'p> {
    pub(crate) options: &'p Options,
    pub(crate) functions: &'p Functions,
    pub(crate) common: &'p Common,
    pub(crate) threads: usize,
    pub(crate) session: u64,
    pub(crate) sql: &'p str,
    pub(crate) tables: Vec<(TableReference, Arc<GovernedTable>)>,
    pub(crate) parameters: Parameters,
    pub(crate) memory: Arc<QueryMemory>,
    pub(crate) joins: Joins,
    pub(crate) disk: &'p Arc<ServerDisk>,
    pub(crate) without: Without,
}

/// A plan that was checked.
pub(crate) struct Planned {
    pub(crate) plan: Arc<dyn ExecutionPlan>,
    pub(crate) context: Arc<TaskContext>,
    /// The columns of the answer, under their titles.
    pub(crate) schema: SchemaRef,
    /// A sentence about the first part that cannot be computed, or not of every text, told if rows fail.
    pub(crate) constant: Option<String>,
    /// Relations and columns of them that are masked in what is read.
    pub(crate) masked: Vec<(usize, String)>,
    /// Whether there are joins in it that could be on the disk instead.
    pub(crate) joins: bool,
    /// The end of its memory.
    pub(crate) ended: Ended,
}

/// What a query would answer with.
#[derive(Clone, Debug, PartialEq)]
pub struct Shape {
    /// The columns.
    pub schema: SchemaRef,
    /// Types of `$1`, `$2`, … as far as the statement says them.
    pub parameters: Vec<Option<DataType>>,
}

impl Planning<'_> {
    /// Plans one statement. What fails here failed without a row having been read.
    pub(crate) async fn plan(self, statement: Statement) -> Result<Planned, QueryError> {
        let sessions = self.common.sessions(self.joins);
        let state = self.state(sessions.take()).map_err(|error| classify(&error, Phase::Planning))?;
        let planned = self.plan_in(&state, statement).await;
        sessions.give_back(state);
        planned
    }

    async fn plan_in(self, state: &SessionState, statement: Statement) -> Result<Planned, QueryError> {
        let failed = |error| classify(&error, Phase::Planning);
        checker::check_rules(state)?;
        let titles = Titles::of(&statement);
        let logical = self.logical(state, statement).await?;
        let asked = Asked { sql: self.sql, tables: &self.tables, functions: self.functions };
        let logical = self.parameters.bind(logical)?;
        let tables: Vec<_> = self.tables.iter().map(|(_, table)| Arc::clone(table)).collect();
        let expected = Expected { session: self.session, tables };
        let values = values_of(&logical);
        // What `SessionState::optimize` does, looked at between its two steps.
        let settled = state.analyzer().execute_and_check(logical, state.config_options(), |_, _| {});
        let settled = settled.map_err(|error| explain::explained(&error, &asked))?;
        let constant = explain::failing(&settled, self.functions);
        let told = |error: QueryError| explain::told(error, constant.as_deref());
        let logical = state.optimizer().optimize(settled, state, |_, _| {});
        let logical = logical.map_err(|error| told(explain::explained(&error, &asked)))?;
        let checked = !self.without.is(Protection::Checker);
        if checked {
            checker::check_logical(&logical, &expected)?;
        }
        // What policies put into the plan comes now: errors are told by their codes alone.
        let plan = state.query_planner().create_physical_plan(&logical, state).await;
        let plan = plan.map_err(|error| told(failed(error)))?;
        if checked {
            checker::check_physical(&plan, &expected, &values)?;
        }
        let (masked, joins) = (masked(&plan), joins::any(&plan));
        let schema = titles.over(&plan.schema());
        let ended = self.memory.ended();
        let context = Arc::new(task_context(state)?);
        Ok(Planned { plan, context, schema, constant, masked, joins, ended })
    }

    /// The columns of one statement, and the types of its parameters: what a plan has once its types are settled. Nothing is optimized
    /// and nothing is made that could run.
    pub(crate) async fn shape(self, statement: Statement) -> Result<Shape, QueryError> {
        let sessions = self.common.sessions(self.joins);
        let state = self.state(sessions.take()).map_err(|error| classify(&error, Phase::Planning))?;
        let shape = self.shape_in(&state, statement).await;
        sessions.give_back(state);
        shape
    }

    async fn shape_in(self, state: &SessionState, statement: Statement) -> Result<Shape, QueryError> {
        let titles = Titles::of(&statement);
        let logical = self.logical(state, statement).await?;
        let parameters = parameters::types(&logical)?;
        // Placeholders of no type are text, as whoever sends the values would send them.
        let logical = parameters::without_values(logical, &parameters)?;
        let settled = state.analyzer().execute_and_check(logical, state.config_options(), |_, _| {});
        let asked = Asked { sql: self.sql, tables: &self.tables, functions: self.functions };
        let settled = settled.map_err(|error| explain::explained(&error, &asked))?;
        Ok(Shape { schema: titles.over(settled.schema().inner()), parameters })
    }

    /// A statement as a plan: a query that reads, and no bigger than it may be.
    async fn logical(&self, state: &SessionState, statement: Statement) -> Result<LogicalPlan, QueryError> {
        let asked = Asked { sql: self.sql, tables: &self.tables, functions: self.functions };
        let logical = state.statement_to_plan(statement).await;
        let logical = logical.map_err(|error| explain::explained(&error, &asked))?;
        let only_reads =
            SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
        only_reads.verify_plan(&logical).map_err(|_| {
            QueryError::not_allowed("Only a query that reads may be run: SELECT, WITH or VALUES.")
        })?;
        within(&logical, &self.options.size)?;
        Ok(logical)
    }

    /// A session of these relations, with what the query may use.
    fn state(&self, mut state: SessionState) -> datafusion::common::Result<SessionState> {
        let providers = self
            .tables
            .iter()
            .map(|(name, table)| (name.clone(), Arc::clone(table) as Arc<dyn TableProvider>))
            .collect();
        let config = self.common.config(self.memory.limit(), self.threads).with_extension(self.runtime()?);
        *state.config_mut() = config;
        state.register_catalog_list(Arc::new(QueryCatalog::new(providers)));
        state.mark_start_execution();
        Ok(state)
    }

    fn runtime(&self) -> datafusion::common::Result<Arc<RuntimeEnv>> {
        let disk = self.disk.of_query(self.options.spill_bytes);
        let stores = self.tables.iter().filter_map(|(_, table)| table.governed.rows.store());
        let stores = stores.map(|(url, store)| (AsRef::<Url>::as_ref(&url).clone(), store)).collect();
        RuntimeEnvBuilder::new()
            .with_memory_pool(Arc::clone(&self.memory) as Arc<dyn MemoryPool>)
            .with_disk_manager_builder(disk)
            .with_object_store_registry(Arc::new(Stores(stores)))
            .build_arc()
    }
}

/// What the query of a session may use, which is in its configuration.
pub(crate) fn runtime_of(config: &SessionConfig) -> Result<Arc<RuntimeEnv>, QueryError> {
    config.get_extension::<RuntimeEnv>().ok_or_else(QueryError::denied)
}

/// What a plan runs with. It has its functions in it, so that a list of all there are need not be copied for each query.
fn task_context(state: &SessionState) -> Result<TaskContext, QueryError> {
    Ok(TaskContext::new(
        None,
        String::new(),
        state.config().clone(),
        HashMap::new(),
        HashMap::new(),
        HashMap::new(),
        HashMap::new(),
        runtime_of(state.config())?,
    ))
}

/// The stores of the relations of one query, and no other: not even the local disk.
#[derive(Debug)]
struct Stores(Vec<(Url, Arc<dyn ObjectStore>)>);

impl ObjectStoreRegistry for Stores {
    fn register_store(&self, _: &Url, _: Arc<dyn ObjectStore>) -> Option<Arc<dyn ObjectStore>> {
        None
    }

    fn get_store(&self, url: &Url) -> datafusion::common::Result<Arc<dyn ObjectStore>> {
        let same = |other: &Url| other.scheme() == url.scheme() && other.host_str() == url.host_str();
        let found = self.0.iter().find(|(other, _)| same(other)).map(|(_, store)| Arc::clone(store));
        found.ok_or_else(|| QueryError::unavailable().into())
    }
}

/// Refuses plans that grew while names were written out: common table expressions in each other, stars of joins.
fn within(plan: &LogicalPlan, limits: &SizeLimits) -> Result<(), QueryError> {
    let mut nodes = 0;
    let mut broken = None;
    let walked = plan.apply_with_subqueries(|node| {
        nodes += 1;
        if nodes > limits.plan_nodes {
            broken = Some(QueryError::too_big("The plan of the query is too big."));
        } else if node.schema().fields().len() > limits.plan_columns {
            broken = Some(QueryError::too_big(format!(
                "A part of the query has more than {} columns.",
                limits.plan_columns
            )));
        }
        Ok(if broken.is_some() { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    });
    match (broken, walked) {
        (Some(error), _) => Err(error),
        (None, Ok(_)) => Ok(()),
        (None, Err(error)) => Err(classify(&error, Phase::Planning)),
    }
}

/// Columns of each `VALUES` of the query itself.
fn values_of(plan: &LogicalPlan) -> HashSet<Vec<String>> {
    let mut found = HashSet::new();
    // Walking a plan that was walked before does not fail.
    let _ = plan.apply_with_subqueries(|node| {
        if let LogicalPlan::Values(values) = node {
            found.insert(values.schema.fields().iter().map(|field| field.name().clone()).collect());
        }
        Ok(TreeNodeRecursion::Continue)
    });
    found
}

/// Masked columns that cross barriers.
fn masked(plan: &Arc<dyn ExecutionPlan>) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut rest = vec![Arc::clone(plan)];
    while let Some(node) = rest.pop() {
        if let Some(barrier) = node.downcast_ref::<SecureBarrierExec>() {
            let outputs = barrier.outputs().iter().filter(|output| output.mask.is_some());
            found.extend(outputs.map(|output| (barrier.seal().relation, output.field.name().clone())));
        }
        rest.extend(node.children().into_iter().map(Arc::clone));
    }
    found.sort();
    found.dedup();
    found
}

/// Whether a plan still has parameters without a value, and the first of them.
pub(crate) fn unbound(plan: &LogicalPlan) -> Option<String> {
    let mut first = None;
    let _ = plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expr| {
            expr.apply(|part| {
                if let Expr::Placeholder(placeholder) = part {
                    first.get_or_insert_with(|| placeholder.id.clone());
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    });
    first
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::datatypes::Schema;
    use datafusion::datasource::empty::EmptyTable;

    use super::*;

    #[test]
    fn a_session_that_the_next_query_has_has_nothing_of_the_one_before() {
        let common = Common::new(&Functions::new()).unwrap();
        let sessions = common.sessions(Joins::InMemory);
        let runtime = RuntimeEnvBuilder::new().build_arc().unwrap();
        let table: Arc<dyn TableProvider> = Arc::new(EmptyTable::new(Arc::new(Schema::empty())));
        let mut state = sessions.take();
        *state.config_mut() = common.config(STREAM_BYTES, 1).with_extension(Arc::clone(&runtime));
        let tables = vec![(TableReference::bare("emp"), Arc::clone(&table))];
        state.register_catalog_list(Arc::new(QueryCatalog::new(tables)));
        state.mark_start_execution();
        sessions.give_back(state);
        assert_eq!((Arc::strong_count(&runtime), Arc::strong_count(&table)), (1, 1));
        let state = sessions.take();
        assert!(sessions.kept.lock().unwrap().is_empty(), "it is the same one");
        assert!(runtime_of(state.config()).is_err());
        assert!(state.catalog_list().catalog_names().is_empty());
        assert!(checker::check_rules(&state).is_ok());
    }

    #[test]
    fn a_configuration_is_one_for_the_memory_of_its_query() {
        let common = Common::new(&Functions::new()).unwrap();
        for (limit, streams) in
            [(STREAM_BYTES, 1), (2 * STREAM_BYTES, 2), (2 * STREAM_BYTES, 2), (STREAM_BYTES, 1)]
        {
            let config = common.config(limit, 4);
            assert_eq!(config.target_partitions(), streams);
            assert!(runtime_of(&config).is_err());
        }
    }
}
