//! Databases that are asked in SQL over HTTP: one way to plan, push down, page and cancel for all of them.
//!
//! A query selects each column as text of a form that [`plan::Kind`] names, so that every vendor's values are read by one piece of
//! code. Pages are fetched while the batches before them are consumed; at most two batches and one page are held.

use std::sync::Arc;
use std::time::Duration;

use arrow_array::RecordBatch;
use arrow_schema::{Schema, SchemaRef};
use futures_util::stream;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::discovered::{Column, Discovered, Schema as Place, Table, TableKind};
use crate::error::{SourceError, within};
use crate::filter::{Filter, to_sql};
use crate::gate;
use crate::plans::Plans;
use crate::rows::{Batch, Unfit};
use crate::settings::Settings;
use crate::source::{BatchStream, Relation, Scan, Source, Tested};

pub(crate) mod allowance;
pub(crate) mod plan;
pub(crate) mod values;
mod warehouse;

use plan::{Found, Plan, Projected};
pub(crate) use warehouse::{Statement, Texts, Warehouse};

/// Columns that discovery reads at most.
const MOST_COLUMNS: usize = 1_000_000;
/// How long is waited for the answer to a cancellation.
const CANCELLING: Duration = Duration::from_secs(10);

/// Such a database as a source.
pub(crate) struct Sql<W> {
    warehouse: Arc<W>,
    plans: Plans<Plan>,
    limit: Duration,
    unfit: Unfit,
}

impl<W: Warehouse> Sql<W> {
    pub(crate) fn new(settings: &Settings, warehouse: W) -> Result<Self, SourceError> {
        Ok(Self {
            warehouse: Arc::new(warehouse),
            plans: Plans::default(),
            limit: settings.query_timeout,
            unfit: Unfit::of(settings)?,
        })
    }

    async fn plan(&self, relation: &Relation) -> Result<Arc<Plan>, SourceError> {
        let schema = relation.schema.as_deref().unwrap_or_else(|| self.warehouse.default_schema());
        let named = Relation::new(schema, &relation.table);
        if let Some(plan) = self.plans.get(&named) {
            return Ok(plan);
        }
        let found = self.found(Some(schema), Some(&relation.table)).await?;
        let found: Vec<Found> = found
            .into_iter()
            .filter(|found| found.schema == schema && found.table == relation.table)
            .collect();
        let plan = Plan::of(&found, |column| self.warehouse.planned(column), self.unfit);
        let plan = plan.ok_or_else(|| SourceError::no_relation(&relation.table))?;
        Ok(self.plans.keep(&named, plan))
    }

    /// Columns out of the catalog.
    async fn found(&self, schema: Option<&str>, table: Option<&str>) -> Result<Vec<Found>, SourceError> {
        within(self.limit, "Reading the catalog", async {
            let mut all = Vec::new();
            for statement in self.warehouse.catalogs(schema, table).await? {
                let rows = self.rows(statement).await?;
                let found = rows.iter().filter_map(|row| Found::of(row));
                all.extend(
                    found.map(|found| Found { native: self.warehouse.type_name(found.native), ..found }),
                );
                if all.len() > MOST_COLUMNS {
                    return Err(SourceError::query(format!(
                        "The source has more than {MOST_COLUMNS} columns; name one schema."
                    )));
                }
            }
            Ok(all)
        })
        .await
    }

    /// All rows of a query whose answer is small. One that is given up is cancelled.
    async fn rows(&self, statement: Statement) -> Result<Vec<Texts>, SourceError> {
        let running = self.warehouse.begin(statement).await?;
        let mut held = Held { warehouse: Arc::clone(&self.warehouse), running: Some(running) };
        let mut rows = Vec::new();
        while let Some(running) = &mut held.running {
            let page = self.warehouse.page(running).await;
            match page {
                Ok(Some(page)) => rows.extend(page),
                Ok(None) => held.running = None,
                Err(error) => {
                    held.running = None;
                    return Err(error);
                }
            }
            if rows.len() > MOST_COLUMNS {
                return Err(SourceError::query(format!(
                    "The source has more than {MOST_COLUMNS} columns; name one schema."
                )));
            }
        }
        Ok(rows)
    }

    /// The query of a scan.
    fn statement(&self, plan: &Plan, projected: &Projected, scan: &Scan, filters: &[&Filter]) -> Statement {
        let warehouse = self.warehouse.as_ref();
        let list: Vec<String> = projected
            .columns
            .iter()
            .enumerate()
            .map(|(index, (_, column))| warehouse.selected(&column.expression, index))
            .collect();
        let list = if list.is_empty() { warehouse.selected("1", 0) } else { list.join(", ") };
        let schema = scan.relation.schema.as_deref().unwrap_or_else(|| warehouse.default_schema());
        let mut text = format!("SELECT {list} FROM {}", warehouse.relation(schema, &scan.relation.table));
        let mut parameters = Vec::new();
        let column = |name: &str, _: bool| {
            plan.columns.get(name).map_or_else(|| "NULL".to_owned(), |column| column.identifier.clone())
        };
        let mut conditions = Vec::new();
        for filter in filters {
            let filter = plan.with_lists(filter, warehouse.lists_know_null());
            conditions.push(to_sql(&filter, &column, &mut |name, literal| match plan.columns.get(name) {
                Some(column) => warehouse.literal(column, literal, &mut parameters),
                None => "NULL".to_owned(),
            }));
        }
        if !conditions.is_empty() {
            text.push_str(" WHERE ");
            text.push_str(&conditions.join(" AND "));
        }
        let (order, is_view) = (plan.sortable.clone(), plan.is_view);
        Statement {
            text,
            parameters,
            order,
            is_view,
            is_scan: true,
            width: projected.columns.len(),
            limit: None,
        }
    }
}

/// A query of the catalog, or of a test, that is cancelled when this is dropped while it runs.
struct Held<W: Warehouse> {
    warehouse: Arc<W>,
    running: Option<W::Running>,
}

impl<W: Warehouse> Drop for Held<W> {
    fn drop(&mut self) {
        let (Some(running), Ok(runtime)) = (self.running.take(), tokio::runtime::Handle::try_current())
        else {
            return;
        };
        let warehouse = Arc::clone(&self.warehouse);
        runtime.spawn(async move { cancelled(warehouse.as_ref(), &running).await });
    }
}

/// Cancels a query, in some time.
async fn cancelled<W: Warehouse>(warehouse: &W, running: &W::Running) {
    if tokio::time::timeout(CANCELLING, warehouse.cancel(running)).await.is_err() {
        tracing::debug!("a query was not cancelled in time");
    }
}

/// What a scan that has begun needs to go on.
struct Pump<W: Warehouse> {
    warehouse: Arc<W>,
    running: W::Running,
    projected: Projected,
    unfit: Unfit,
    sender: mpsc::Sender<Result<RecordBatch, SourceError>>,
    left: usize,
    limit: Duration,
    deadline: Instant,
}

impl<W: Warehouse> Pump<W> {
    /// Reads until the end, an error, or until nobody listens; then ends what still runs at the database.
    async fn run(mut self) {
        let sender = self.sender.clone();
        let left = self.deadline.saturating_duration_since(Instant::now());
        let limit = self.limit;
        let outcome = tokio::select! {
            () = sender.closed() => None,
            outcome = tokio::time::timeout(left, self.batches()) => {
                Some(outcome.unwrap_or_else(|_| Err(SourceError::timeout("The query", limit))))
            }
        };
        let ended = matches!(outcome, Some(Ok(true)));
        if let Some(Err(error)) = outcome {
            let _ = sender.send(Err(error)).await;
        }
        // Whoever reads need not wait for the cancellation.
        let Self { warehouse, running, sender: own, .. } = self;
        drop((own, sender));
        if !ended {
            cancelled(warehouse.as_ref(), &running).await;
        }
    }

    /// True if the query came to its end.
    async fn batches(&mut self) -> Result<bool, SourceError> {
        let mut batch = Batch::new(SchemaRef::clone(&self.projected.schema))?;
        while let Some(rows) = self.warehouse.page(&mut self.running).await? {
            for row in rows {
                if self.left == 0 {
                    break;
                }
                self.left -= 1;
                if self.projected.append(&mut batch, &row, self.unfit)?
                    && self.sender.send(Ok(batch.take()?)).await.is_err()
                {
                    return Ok(false);
                }
            }
            if self.left == 0 {
                break;
            }
        }
        if !batch.is_empty() {
            let _ = self.sender.send(Ok(batch.take()?)).await;
        }
        Ok(self.left > 0)
    }
}

#[async_trait::async_trait]
impl<W: Warehouse> Source for Sql<W> {
    async fn test(&self, query: Option<&str>, timeout: Duration) -> Result<Tested, SourceError> {
        let began = Instant::now();
        let (title, probe) = (self.warehouse.title(), self.warehouse.probe());
        // Functions of a query could read files and other servers, or write.
        if query.is_some_and(|query| query.trim().trim_end_matches(';') != probe) {
            return Err(SourceError::query(format!("{title} is tested with {probe} only.")));
        }
        let (version, rows) = within(timeout, "The test", async {
            let rows = self.rows(Statement::new(probe, Vec::new())).await?;
            Ok((self.warehouse.version().await?, rows))
        })
        .await?;
        let result = rows.into_iter().next().and_then(|row| row.into_iter().next().flatten());
        Ok(Tested {
            version: version.map(|version| gate::bounded(&version)),
            result: result.map(|text| gate::bounded(&text)),
            tunnel: self.warehouse.tunnel().is_some(),
            elapsed: began.elapsed(),
        })
    }

    async fn discover(&self, schema: Option<&str>) -> Result<Discovered, SourceError> {
        let mut found = Discovered::default();
        for column in self.found(schema, None).await? {
            if schema.is_some_and(|schema| schema != column.schema) {
                continue;
            }
            if found.schemas.last().is_none_or(|place| place.name != column.schema) {
                found.schemas.push(Place { name: column.schema.clone(), tables: Vec::new() });
            }
            let Some(place) = found.schemas.last_mut() else { continue };
            if place.tables.last().is_none_or(|table| table.name != column.table) {
                place.tables.push(Table {
                    name: column.table.clone(),
                    kind: if column.is_view { TableKind::View } else { TableKind::BaseTable },
                    row_count: column.rows,
                    comment: column.table_comment.clone(),
                    columns: Vec::new(),
                });
            }
            let Some(table) = place.tables.last_mut() else { continue };
            let mut plain = Column::plain(&column.name, column.type_name(), table.columns.len() + 1);
            plain.nullable = column.nullable;
            plain.primary_key = column.is_key;
            plain.comment = column.comment;
            table.columns.push(plain);
        }
        Ok(found)
    }

    async fn schema(&self, relation: &Relation) -> Result<SchemaRef, SourceError> {
        Ok(SchemaRef::clone(&self.plan(relation).await?.schema))
    }

    fn evaluates(&self, schema: &Schema, filter: &Filter) -> bool {
        let plan = self.plans.find(|plan| *plan.schema == *schema);
        plan.is_some_and(|plan| plan.evaluates(filter) && self.warehouse.allowance().take(filter))
    }

    async fn scan(&self, scan: Scan) -> Result<BatchStream, SourceError> {
        let deadline = Instant::now() + self.limit;
        let plan = self.plan(&scan.relation).await?;
        let projected = plan.project(scan.projection.as_deref())?;
        let mut allowance = self.warehouse.allowance();
        let filters = scan.filters.iter();
        let filtered: Vec<bool> =
            filters.map(|filter| plan.evaluates(filter) && allowance.take(filter)).collect();
        let pushed: Vec<&Filter> = scan
            .filters
            .iter()
            .zip(&filtered)
            .filter(|(_, exact)| **exact)
            .map(|(filter, _)| filter)
            .collect();
        let limited = scan.limit_of_any().is_some() && filtered.iter().all(|exact| *exact);
        let mut statement = self.statement(&plan, &projected, &scan, &pushed);
        statement.limit = scan.limit.filter(|_| limited);
        let left = statement.limit.unwrap_or(usize::MAX);
        let schema = SchemaRef::clone(&projected.schema);
        if left == 0 {
            return Ok(BatchStream::new(schema, filtered, limited, Box::pin(stream::empty())));
        }
        let running = within(self.limit, "The query", self.warehouse.begin(statement)).await?;
        let (sender, receiver) = mpsc::channel(2);
        let warehouse = Arc::clone(&self.warehouse);
        let (unfit, limit) = (self.unfit, self.limit);
        let pump = Pump { warehouse, running, projected, unfit, sender, left, limit, deadline };
        tokio::spawn(pump.run());
        let batches =
            stream::unfold(receiver, |mut receiver| async move { Some((receiver.recv().await?, receiver)) });
        Ok(BatchStream::new(schema, filtered, limited, Box::pin(batches)))
    }

    fn forget_columns(&self) {
        self.plans.clear();
    }

    async fn close(&self) {
        self.plans.clear();
        if let Some(tunnel) = self.warehouse.tunnel() {
            tunnel.close().await;
        }
    }

    fn host_key(&self) -> Option<String> {
        self.warehouse.tunnel().map(|tunnel| tunnel.host_key().to_owned())
    }
}

/// A date in SQL's own form.
pub(crate) fn date_text(days: i32) -> String {
    let date = jiff::civil::date(1970, 1, 1).checked_add(jiff::Span::new().days(days));
    date.map(|date| date.to_string()).unwrap_or_default()
}

/// A moment in SQL's own form, with six decimals.
pub(crate) fn moment_text(microseconds: i64) -> String {
    let moment = jiff::Timestamp::from_microsecond(microseconds).unwrap_or_default();
    moment.strftime("%Y-%m-%d %H:%M:%S.%6f").to_string()
}

/// A name in double quotes.
pub(crate) fn double_quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
