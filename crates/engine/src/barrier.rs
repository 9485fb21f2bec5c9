//! The barrier: to everything above it a relation without insides. It has no children, so that no rule can move anything into it or
//! out of it, and what crosses it crosses by the code of this file.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use datafusion::arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::common::stats::Precision;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{ColumnStatistics, Result, Statistics};
use datafusion::config::ConfigOptions;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::expressions::{Column, DynamicFilterPhysicalExpr};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr, PhysicalSortExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::filter::FilterExecBuilder;
use datafusion::physical_plan::filter_pushdown::{
    ChildPushdownResult, FilterPushdownPhase, FilterPushdownPropagation, PushedDown,
};
use datafusion::physical_plan::limit::LocalLimitExec;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, PlanProperties,
    ReplaceChildrenOptions, StatisticsArgs, StatisticsContext, apply_expression_roots,
};
use tidegate_connect::Order;
use tidegate_policy::MaskedBy;

use crate::crossed::{Crossed, Output};
use crate::decision::{Reading, Tally};
use crate::error::QueryError;
use crate::mask::Hasher;
use crate::mutation::{Protection, Without};
use crate::shown::shown;
use crate::source::ConnectedExec;
use crate::table::Seal;

/// The columns that leave the barrier, in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Crossing(Vec<Output>);

impl Crossing {
    pub(crate) fn add(&mut self, field: Field, inner: usize, mask: Option<MaskedBy>) {
        self.0.push(Output { field, inner, mask });
    }

    /// The places inside of what leaves, each once, in order.
    fn kept(&self) -> Vec<usize> {
        self.0.iter().map(|output| output.inner).collect::<BTreeSet<_>>().into_iter().collect()
    }

    fn schema(&self) -> SchemaRef {
        Arc::new(Schema::new(self.0.iter().map(|output| output.field.clone()).collect::<Vec<_>>()))
    }
}

/// What a barrier is made with, besides rows.
#[derive(Clone)]
pub(crate) struct Settings {
    limit: Option<usize>,
    /// Rows of the source, rounded up.
    estimate: Option<usize>,
    /// Whether no row is hidden, and the optimizer may know what the source says of unmasked columns.
    is_told: bool,
    hash: Hasher,
    tally: Arc<Tally>,
    /// Which reading of the tally it is.
    reading: Option<Reading>,
    without: Without,
}

impl Settings {
    /// Whose record it is.
    pub(crate) fn reading(self, reading: Option<Reading>) -> Self {
        Self { reading, ..self }
    }

    /// Whether no row is hidden, and the optimizer may know what the source says of unmasked columns.
    pub(crate) fn told(self, is_told: bool) -> Self {
        Self { is_told, ..self }
    }
}

/// A governed relation in a physical plan.
pub(crate) struct SecureBarrierExec {
    seal: Seal,
    /// What reads the source.
    leaf: Arc<dyn ExecutionPlan>,
    /// The same before it took dynamic filters.
    unfiltered: Arc<dyn ExecutionPlan>,
    /// Dynamic filters that `leaf` took, on its columns.
    dynamic: Vec<Arc<dyn PhysicalExpr>>,
    /// The policy's filter and leak-proof conditions, on the columns of `leaf`.
    predicate: Option<Arc<dyn PhysicalExpr>>,
    /// What is run: `leaf`, filtered, without what conditions alone read.
    inner: Arc<dyn ExecutionPlan>,
    /// Where in `inner` each column is that leaves.
    places: Vec<usize>,
    crossing: Crossing,
    settings: Settings,
    properties: Arc<PlanProperties>,
}

impl SecureBarrierExec {
    pub(crate) fn settings(
        limit: Option<usize>,
        estimate: Option<u64>,
        hash: &Hasher,
        tally: &Arc<Tally>,
        without: &Without,
    ) -> Settings {
        let estimate = estimate.and_then(|rows| {
            if without.is(Protection::Statistics) {
                return usize::try_from(rows).ok();
            }
            rows.max(1).checked_next_power_of_two().and_then(|rows| usize::try_from(rows).ok())
        });
        Settings {
            limit,
            estimate,
            is_told: false,
            hash: Arc::clone(hash),
            tally: Arc::clone(tally),
            reading: None,
            without: without.clone(),
        }
    }

    pub(crate) fn new(
        seal: Seal,
        leaf: Arc<dyn ExecutionPlan>,
        predicate: Option<Arc<dyn PhysicalExpr>>,
        crossing: Crossing,
        settings: Settings,
        config: &ConfigOptions,
    ) -> Result<Self> {
        let leaf = match &predicate {
            Some(predicate) => shown(&leaf, predicate, FilterPushdownPhase::Pre, config)?,
            None => leaf,
        };
        Self::build(seal, leaf, Vec::new(), predicate, crossing, settings)
    }

    fn build(
        seal: Seal,
        leaf: Arc<dyn ExecutionPlan>,
        dynamic: Vec<Arc<dyn PhysicalExpr>>,
        predicate: Option<Arc<dyn PhysicalExpr>>,
        crossing: Crossing,
        settings: Settings,
    ) -> Result<Self> {
        let mut inner = Arc::clone(&leaf);
        if let Some(limit) = settings.limit.filter(|_| settings.without.is(Protection::LimitAboveFilter)) {
            inner = Arc::new(LocalLimitExec::new(inner, limit));
        }
        let mut places: Vec<usize> = crossing.0.iter().map(|output| output.inner).collect();
        if let Some(predicate) = &predicate {
            let mut filter = FilterExecBuilder::new(Arc::clone(predicate), inner);
            // Rows without columns have those that conditions read.
            let kept = crossing.kept();
            if !kept.is_empty() {
                for place in &mut places {
                    *place = kept.binary_search(place).map_err(|_| QueryError::denied())?;
                }
                filter = filter.apply_projection(Some(kept))?;
            }
            inner = Arc::new(filter.build()?);
        }
        let properties = PlanProperties::new(
            EquivalenceProperties::new(crossing.schema()),
            inner.output_partitioning().clone(),
            EmissionType::Incremental,
            Boundedness::Bounded,
        )
        .with_partitioning(datafusion::physical_plan::Partitioning::UnknownPartitioning(
            inner.output_partitioning().partition_count(),
        ));
        Ok(Self {
            seal,
            unfiltered: Arc::clone(&leaf),
            leaf,
            dynamic,
            predicate,
            inner,
            places,
            crossing,
            settings,
            properties: Arc::new(properties),
        })
    }

    /// The session and relation it is of.
    pub(crate) fn seal(&self) -> &Seal {
        &self.seal
    }

    /// What reads the source.
    pub(crate) fn leaf(&self) -> &Arc<dyn ExecutionPlan> {
        &self.leaf
    }

    /// What is run inside.
    pub(crate) fn inner(&self) -> &Arc<dyn ExecutionPlan> {
        &self.inner
    }

    /// The columns that leave it.
    pub(crate) fn outputs(&self) -> &[Output] {
        &self.crossing.0
    }

    /// The place of each of them in what is run inside.
    pub(crate) fn places(&self) -> &[usize] {
        &self.places
    }

    /// For a test: what would run without a barrier, raw.
    pub(crate) fn taken_away(&self) -> Result<Arc<dyn ExecutionPlan>> {
        let columns = self.crossing.0.iter().zip(&self.places).map(|(output, place)| {
            let column: Arc<dyn PhysicalExpr> = Arc::new(Column::new(output.field.name(), *place));
            (column, output.field.name().clone())
        });
        Ok(Arc::new(ProjectionExec::try_new(columns.collect::<Vec<_>>(), Arc::clone(&self.inner))?))
    }

    /// What the source says of the rows that leave, where none is hidden: after the person's own conditions, and nothing of what is
    /// masked. It is an estimate: no answer is made of it. None where the source says nothing.
    fn told(&self) -> Option<Statistics> {
        if !self.settings.is_told {
            return None;
        }
        // The context that asks does not go into a barrier.
        let inside = StatisticsContext::new().compute(self.inner.as_ref(), &StatisticsArgs::new());
        let inside = inside.ok().filter(|inside| inside.num_rows != Precision::Absent)?;
        let outputs = self.crossing.0.iter().zip(&self.places);
        let columns = outputs.map(|(output, place)| match &output.mask {
            None => inside.column_statistics.get(*place).cloned().unwrap_or_default(),
            Some(_) => ColumnStatistics::new_unknown(),
        });
        let (num_rows, total_byte_size) = (inside.num_rows, inside.total_byte_size);
        let told = Statistics { num_rows, total_byte_size, column_statistics: columns.collect() };
        Some(told.to_inexact())
    }

    /// The same relation, of whose source no more than the first rows in an order are wanted, with the policy's filter and all conditions
    /// applied before. None where the order must not cross, or is not the source's: then all rows come, as without.
    pub(crate) fn first(&self, order: &[PhysicalSortExpr], rows: usize) -> Option<Self> {
        let leaf = self.leaf.downcast_ref::<ConnectedExec>()?;
        // Some rows, of which the first are wanted, are not the first of all.
        if self.settings.limit.is_some() {
            return None;
        }
        let order: Vec<Order> = order.iter().map(|key| self.key(key)).collect::<Option<_>>()?;
        let leaf: Arc<dyn ExecutionPlan> = Arc::new(leaf.first(&order, rows)?);
        let (seal, settings) = (self.seal.clone(), self.settings.clone());
        let (predicate, crossing) = (self.predicate.clone(), self.crossing.clone());
        let barrier = Self::build(seal, leaf, Vec::new(), predicate, crossing, settings).ok()?;
        self.settings.tally.first(self.settings.reading, &order, rows);
        Some(barrier)
    }

    /// An order by a column that leaves as it is.
    fn key(&self, key: &PhysicalSortExpr) -> Option<Order> {
        let column = key.expr.downcast_ref::<Column>()?;
        let output = self.crossing.0.get(column.index())?;
        let bare = output.mask.is_none() || self.settings.without.is(Protection::OrderUnmasked);
        let inside = self.leaf.schema();
        let same = inside.fields().get(output.inner)?.data_type() == output.field.data_type();
        (bare && same && output.field.name() == column.name()).then(|| Order {
            column: output.field.name().clone(),
            descending: key.options.descending,
            nulls_first: key.options.nulls_first,
        })
    }

    /// A dynamic filter of a join or a TopK, on the columns inside; none where it must not cross.
    fn crossed(&self, filter: &Arc<dyn PhysicalExpr>) -> Result<Option<Arc<dyn PhysicalExpr>>> {
        let Some(dynamic) = filter.downcast_ref::<DynamicFilterPhysicalExpr>() else { return Ok(None) };
        let bare = dynamic.children().iter().all(|child| {
            child.downcast_ref::<Column>().is_some_and(|column| {
                self.crossing.0.get(column.index()).is_some_and(|output| {
                    output.field.name() == column.name()
                        && (output.mask.is_none() || self.settings.without.is(Protection::DynamicUnmasked))
                })
            })
        });
        if !bare {
            return Ok(None);
        }
        let inside = self.leaf.schema();
        let mut lost = false;
        let moved = Arc::clone(filter)
            .transform_up(|expr| {
                let Some(column) = expr.downcast_ref::<Column>() else { return Ok(Transformed::no(expr)) };
                let found = self.crossing.0.get(column.index()).and_then(|output| {
                    let field = inside.fields().get(output.inner)?;
                    // What has another type inside cannot be compared there.
                    (field.data_type() == output.field.data_type()).then_some((output.inner, field))
                });
                match found {
                    Some((place, field)) => {
                        let column: Arc<dyn PhysicalExpr> = Arc::new(Column::new(field.name(), place));
                        Ok(Transformed::yes(column))
                    }
                    None => {
                        lost = true;
                        Ok(Transformed::no(expr))
                    }
                }
            })
            .data()?;
        Ok(Some(moved).filter(|_| !lost))
    }
}

impl fmt::Debug for SecureBarrierExec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecureBarrierExec").field("seal", &self.seal).finish_non_exhaustive()
    }
}

impl DisplayAs for SecureBarrierExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecureBarrierExec")
    }
}

impl ExecutionPlan for SecureBarrierExec {
    fn name(&self) -> &'static str {
        "SecureBarrierExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn replace_children(
        self: Arc<Self>,
        _: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn with_new_children(self: Arc<Self>, _: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    /// A recursive query runs it anew in each of its steps. A file is shared out once among the streams of its reader, and a filter of one
    /// step says nothing of the next.
    fn reset_state(self: Arc<Self>) -> Result<Arc<dyn ExecutionPlan>> {
        let barrier = Self::build(
            self.seal.clone(),
            Arc::clone(&self.unfiltered).reset_state()?,
            Vec::new(),
            self.predicate.clone(),
            self.crossing.clone(),
            self.settings.clone(),
        )?;
        Ok(Arc::new(Self { properties: Arc::clone(&self.properties), ..barrier }))
    }

    /// Shows the dynamic filters that crossed, and nothing of the policy. A join fills its filter only if it finds it here.
    fn apply_expressions(
        &self,
        visit: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        apply_expression_roots(&self.dynamic, visit)
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let masked = self.crossing.0.iter().filter(|output| output.mask.is_some());
        if partition == 0 {
            self.settings.tally.scanned(masked.map(|output| output.field.name().as_str()));
        }
        Ok(Box::pin(Crossed {
            rows: self.inner.execute(partition, context)?,
            hides: self.predicate.is_some() && !self.settings.without.is(Protection::OwnValues),
            outputs: self.crossing.0.clone(),
            places: self.places.clone(),
            schema: self.schema(),
            hash: Arc::clone(&self.settings.hash),
            tally: Arc::clone(&self.settings.tally),
            left: self.settings.limit,
        }))
    }

    fn statistics_from_inputs(
        &self,
        _: &[Arc<Statistics>],
        args: &StatisticsArgs,
    ) -> Result<Arc<Statistics>> {
        let unknown = Statistics::new_unknown(&self.schema());
        Ok(Arc::new(match (self.settings.estimate, args.partition()) {
            (Some(rows), None) if self.settings.without.is(Protection::Statistics) => {
                unknown.with_num_rows(Precision::Exact(rows))
            }
            (Some(rows), None) => match self.told() {
                Some(told) => told,
                None => unknown.with_num_rows(Precision::Inexact(rows)),
            },
            _ => unknown,
        }))
    }

    fn handle_child_pushdown_result(
        &self,
        phase: FilterPushdownPhase,
        asked: ChildPushdownResult,
        config: &ConfigOptions,
    ) -> Result<FilterPushdownPropagation<Arc<dyn ExecutionPlan>>> {
        // Whatever crosses is applied above, too.
        let answer = FilterPushdownPropagation::with_parent_pushdown_result(vec![
            PushedDown::No;
            asked.parent_filters.len()
        ]);
        if phase != FilterPushdownPhase::Post {
            return Ok(answer);
        }
        let mut leaf = Arc::clone(&self.leaf);
        let mut dynamic = self.dynamic.clone();
        for filter in &asked.parent_filters {
            let Some(inside) = self.crossed(&filter.filter)? else { continue };
            let after = shown(&leaf, &inside, phase, config)?;
            // Who makes a filter that no leaf took would fill it for nothing.
            if !Arc::ptr_eq(&after, &leaf) {
                leaf = after;
                dynamic.push(inside);
            }
        }
        if dynamic.len() == self.dynamic.len() {
            return Ok(answer);
        }
        let barrier = Self::build(
            self.seal.clone(),
            leaf,
            dynamic,
            self.predicate.clone(),
            self.crossing.clone(),
            self.settings.clone(),
        )?;
        let barrier = Self { unfiltered: Arc::clone(&self.unfiltered), ..barrier };
        Ok(answer.with_updated_node(Arc::new(barrier)))
    }
}
