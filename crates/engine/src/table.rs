//! A governed relation for the planner: columns the person may see, and nothing to look behind.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::Result;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use tidegate_policy::Decision;

use crate::barrier::{Crossing, SecureBarrierExec};
use crate::compact::outside;
use crate::decision::Tally;
use crate::error::QueryError;
use crate::governance;
use crate::leakproof::{self, Columns};
use crate::mutation::{Protection, Without};
use crate::relation::{GovernedRelation, RelationName};
use crate::session::runtime_of;
use crate::source::Wanted;

/// Says which session and relation a barrier is of. Nobody else can make one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seal {
    /// The session.
    pub(crate) session: u64,
    /// The place of the relation in it.
    pub(crate) relation: usize,
}

/// A relation of a session.
#[derive(Debug)]
pub(crate) struct GovernedTable {
    pub(crate) name: RelationName,
    pub(crate) governed: GovernedRelation,
    pub(crate) seal: Seal,
    pub(crate) tally: Arc<Tally>,
    /// Visible columns, without any metadata of the source.
    schema: SchemaRef,
    /// Where each of them is in the source.
    places: Vec<usize>,
    /// The policy's filter over the source's columns.
    filter: Option<Expr>,
    row_estimates: bool,
    without: Without,
}

impl GovernedTable {
    /// Fails where the policies do not fit the source any more.
    pub(crate) fn new(
        name: RelationName,
        governed: GovernedRelation,
        seal: Seal,
        row_estimates: bool,
        without: Without,
    ) -> Result<Self, QueryError> {
        let resolved = &governed.resolved;
        if resolved.decision != Decision::Allowed {
            return Err(QueryError::denied());
        }
        let source = governed.rows.schema();
        let mut places = Vec::new();
        let mut fields = Vec::new();
        for (place, field) in source.fields().iter().enumerate() {
            if resolved.hidden.contains_key(field.name()) {
                continue;
            }
            let nullable = field.is_nullable() || resolved.masks.contains_key(field.name());
            places.push(place);
            fields.push(Field::new(field.name(), outside(field.data_type()), nullable));
        }
        let unknown = resolved.masks.keys().any(|name| source.field_with_name(name).is_err());
        let filter = match &resolved.filter {
            Some(filter) => Some(governance::row_filter(filter, &source).map_err(|_| QueryError::denied())?),
            None => None,
        };
        // A mask whose column is gone may be the mask of what has its place now.
        if unknown || has_twins(&source) {
            return Err(QueryError::denied());
        }
        let schema = Arc::new(Schema::new(fields));
        Ok(Self {
            name,
            governed,
            seal,
            tally: Arc::default(),
            schema,
            places,
            filter,
            row_estimates,
            without,
        })
    }

    fn is_masked(&self, name: &str) -> bool {
        self.governed.resolved.masks.contains_key(name)
    }

    /// Columns, by their places in the source, of which nothing is hidden from the person: they may ask for the least and the largest of
    /// their values. None where rows are hidden, or where the server's owner keeps all such numbers from plans.
    fn told(&self) -> Option<Vec<usize>> {
        if !self.row_estimates || !self.governed.rows.tells() || self.governed.resolved.filter.is_some() {
            return None;
        }
        let shown = self.schema.fields().iter().zip(&self.places);
        let shown = shown.filter(|(field, _)| !self.is_masked(field.name()));
        Some(shown.map(|(_, place)| *place).collect())
    }

    /// Places in the source of what is to be read: what is wanted, and what conditions read.
    fn needed(&self, outputs: &[usize], conditions: &[Expr]) -> Result<Vec<usize>> {
        let source = self.governed.rows.schema();
        let mut needed: BTreeSet<usize> =
            outputs.iter().filter_map(|output| self.places.get(*output).copied()).collect();
        for condition in conditions {
            for column in condition.column_refs() {
                needed.insert(source.index_of(&column.name)?);
            }
        }
        Ok(needed.into_iter().collect())
    }
}

/// Two columns of one name cannot be told apart by a policy.
fn has_twins(schema: &Schema) -> bool {
    let mut names = BTreeSet::new();
    schema.fields().iter().any(|field| !names.insert(field.name()))
}

impl Columns for GovernedTable {
    fn unmasked(&self, name: &str) -> Option<&DataType> {
        // Nested types may differ inside and outside, and then cannot be compared.
        self.visible(name).filter(|kind| !kind.is_nested() && !self.is_masked(name))
    }

    fn visible(&self, name: &str) -> Option<&DataType> {
        self.schema.field_with_name(name).ok().map(Field::data_type)
    }
}

#[async_trait]
impl TableProvider for GovernedTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(filters
            .iter()
            .map(|filter| match leakproof::is_leak_proof(filter, self, &self.without) {
                true => TableProviderFilterPushDown::Exact,
                false => TableProviderFilterPushDown::Unsupported,
            })
            .collect())
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        // The planner promised to bring nothing else. Promises are not enough.
        if !filters.iter().all(|filter| leakproof::is_leak_proof(filter, self, &self.without)) {
            return Err(QueryError::denied().into());
        }
        let outputs: Vec<usize> = projection.cloned().unwrap_or_else(|| (0..self.places.len()).collect());
        let policy = self.filter.iter().filter(|_| !self.without.is(Protection::RowFilter));
        // What holds for every row takes none away, and keeps no limit above it.
        let asked = filters.iter().filter(|filter| !leakproof::is_true(filter));
        let conditions: Vec<Expr> = policy.chain(asked).cloned().collect();
        let columns = self.needed(&outputs, &conditions)?;
        let wanted = Wanted {
            columns: columns.clone(),
            conditions: &conditions,
            limit: limit.filter(|_| conditions.is_empty() || self.without.is(Protection::LimitAboveFilter)),
            first: limit,
            partitions: state.config().target_partitions(),
            told: self.told(),
            memory: Arc::clone(&runtime_of(state.config())?.memory_pool),
        };
        let leaf = self.governed.rows.scan(wanted.clone(), state.config_options()).await?;
        let reading = self.tally.planned(self.governed.rows.pushed(&wanted));
        let predicate = match conjunction(conditions) {
            Some(all) => Some(governance::physical(&all, &leaf.schema())?),
            None => None,
        };
        let mut crossing = Crossing::default();
        for output in outputs {
            let place = self.places.get(output).copied().ok_or_else(QueryError::denied)?;
            let inner = columns.binary_search(&place).map_err(|_| QueryError::denied())?;
            let field = self.schema.field(output);
            let mask = self.governed.resolved.masks.get(field.name()).cloned();
            crossing.add(field.clone(), inner, mask);
        }
        let estimate = self.governed.rows.estimate().filter(|_| self.row_estimates);
        let barrier = SecureBarrierExec::new(
            self.seal.clone(),
            leaf,
            predicate,
            crossing,
            SecureBarrierExec::settings(limit, estimate, &self.governed.hash, &self.tally, &self.without)
                .told(self.told().is_some())
                .reading(reading),
            state.config_options(),
        )?;
        if self.without.is(Protection::Barrier) {
            return barrier.taken_away();
        }
        Ok(Arc::new(barrier))
    }
}
