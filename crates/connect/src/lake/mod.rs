//! Files in a bucket as relations: S3 and what speaks its protocol, Google Cloud Storage, Azure Blob Storage.
//!
//! The list of the bucket says which relations there are ([`layout`]). Their columns are learned from some of their files, or all where
//! there are few. A scan leaves out the files whose folders say that no row of theirs is selected ([`prune`]), then reads one after the
//! other: of Parquet the columns that are asked for, by ranges; of other formats the file as a whole, in a temporary copy of it.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arrow_array::RecordBatch;
use arrow_schema::{Schema, SchemaRef};
use futures_util::{StreamExt, stream};
use serde_json::Value;
use tokio::time::Instant;

use crate::discovered::{Column, Discovered, Schema as Place, Table, TableKind};
use crate::error::{ErrorCode, SourceError, quoted, within};
use crate::files::{self, Format};
use crate::filter::Filter;
use crate::network::NetworkPolicy;
use crate::registry::{SourceType, TypeInfo};
use crate::settings::Settings;
use crate::source::{BatchStream, Relation as Named, Scan, Source, Tested};
use crate::turns::Turns;

mod layout;
mod prune;
mod ranges;
mod schema;
mod store;

use layout::{PartOf, Relation, Rules};
use ranges::RemoteFile;
use schema::{Columns, Merging, conformed};
use store::{MOST_FILES, Store};

/// Files from which the columns of a relation are learned, unless `metadata.sample_files` says otherwise.
const SAMPLE: u64 = 20;
/// Relations whose columns discovery learns; of others it tells the name.
const LOOKED_INTO: usize = 100;
/// Pages of a list that a test looks at, and that there can be at most: even a store that gives one file a page ends.
const PAGES: usize = MOST_FILES;

/// What is known of a relation, and since when.
type Known = HashMap<String, (Arc<Columns>, Instant)>;

/// The relations of a bucket, and when they were listed.
type Listed = (Arc<Vec<Arc<Relation>>>, Instant);

/// A bucket as a source.
pub(crate) struct Lake {
    inner: Arc<Inner>,
    relations: tokio::sync::Mutex<Option<Listed>>,
    columns: Mutex<Known>,
    turns: Turns<String>,
    /// The relations whose columns were given out, for [`Source::evaluates`].
    given: Mutex<HashMap<String, (SchemaRef, Arc<Relation>)>>,
    rules: Rules,
    sample: usize,
    life: Duration,
}

/// What scans need that go on by themselves.
struct Inner {
    store: Arc<Store>,
    settings: Settings,
    sheet: Option<String>,
    limit: Duration,
}

impl Lake {
    pub(crate) async fn open(settings: &Settings, policy: &NetworkPolicy) -> Result<Self, SourceError> {
        let number = |name: &str, default: u64, most: u64| match settings.metadata.get(name) {
            None | Some(Value::Null) => Ok(default),
            Some(value) => value.as_u64().filter(|number| *number <= most).ok_or_else(|| {
                SourceError::connection(format!("metadata.{name} must be a whole number up to {most}."))
            }),
        };
        let words = ["auto", "csv", "json", "parquet", "excel", "xml"];
        let format = match settings.choice("format", &words)? {
            "auto" => None,
            word => word.parse().ok(),
        };
        let prefix = settings.option("prefix")?.unwrap_or_default().trim_start_matches('/').to_owned();
        let table = settings.option("table_name")?.filter(|name| !name.is_empty()).map(str::to_owned);
        let sample = number("sample_files", SAMPLE, MOST_FILES as u64)?.max(1);
        let life = Duration::from_secs(number("cache_seconds", 60, 86_400)?);
        let inner = Inner {
            store: Arc::new(Store::open(settings, policy).await?),
            settings: settings.clone(),
            sheet: settings.option("sheet")?.map(str::to_owned),
            limit: settings.query_timeout,
        };
        Ok(Self {
            inner: Arc::new(inner),
            relations: tokio::sync::Mutex::default(),
            columns: Mutex::default(),
            turns: Turns::default(),
            given: Mutex::default(),
            rules: Rules { prefix, format, table },
            sample: usize::try_from(sample).unwrap_or(usize::MAX),
            life,
        })
    }

    /// The relations as they were listed at most `life` ago.
    async fn relations(&self) -> Result<Arc<Vec<Arc<Relation>>>, SourceError> {
        let mut kept = self.relations.lock().await;
        if let Some((relations, _)) = kept.as_ref().filter(|(_, since)| since.elapsed() < self.life) {
            return Ok(Arc::clone(relations));
        }
        let listing = self.inner.store.list(&self.rules.prefix, PAGES);
        let (files, _) = within(self.inner.limit, "Listing the files", listing).await?;
        let relations: Vec<Arc<Relation>> =
            layout::relations(files, &self.rules).into_iter().map(Arc::new).collect();
        let relations = Arc::new(relations);
        *kept = Some((Arc::clone(&relations), Instant::now()));
        Ok(relations)
    }

    async fn relation(&self, named: &Named) -> Result<Arc<Relation>, SourceError> {
        let relations = self.relations().await?;
        let here = named.schema.as_deref().is_none_or(|schema| schema == files::spool::SCHEMA);
        let found = relations.iter().find(|relation| here && relation.name == named.table);
        found.cloned().ok_or_else(|| {
            SourceError::changed(format!("There is no relation {} in the bucket.", quoted(&named.table)))
        })
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.columns.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn known_columns(&self, relation: &Relation) -> Option<Arc<Columns>> {
        let mut known = self.known();
        known.retain(|_, (_, since)| since.elapsed() < self.life);
        known.get(&relation.name).map(|(columns, _)| Arc::clone(columns))
    }

    /// The columns of a relation as they were learned at most `life` ago. Of those who ask at the same time one reads its files; who asks
    /// for another relation does not wait for them.
    async fn columns(&self, relation: &Arc<Relation>) -> Result<Arc<Columns>, SourceError> {
        if let Some(columns) = self.known_columns(relation) {
            return Ok(columns);
        }
        let _turn = self.turns.of(relation.name.clone()).await;
        if let Some(columns) = self.known_columns(relation) {
            return Ok(columns);
        }
        let mut merging = Merging::default();
        for file in sampled(&relation.files, self.sample) {
            let reading = self.inner.file(relation, file);
            let (format, table) = within(self.inner.limit, "Reading a file", reading).await?;
            merging.add(format.as_ref(), table, &file.file.key)?;
        }
        let columns = Arc::new(merging.columns(relation));
        self.known().insert(relation.name.clone(), (Arc::clone(&columns), Instant::now()));
        let mut given = self.given.lock().unwrap_or_else(PoisonError::into_inner);
        given.insert(relation.name.clone(), (SchemaRef::clone(&columns.schema), Arc::clone(relation)));
        Ok(columns)
    }
}

/// So many files, the first and the last among them.
fn sampled(files: &[PartOf], most: usize) -> Vec<&PartOf> {
    if files.len() <= most || most < 2 {
        return files.iter().take(most).collect();
    }
    let last = files.len() - 1;
    (0..most).filter_map(|index| files.get(index * last / (most - 1))).collect()
}

impl Inner {
    /// A file whose tables are known, and which of them it is.
    async fn file(
        &self,
        relation: &Relation,
        part: &PartOf,
    ) -> Result<(Arc<dyn Format>, usize), SourceError> {
        let file = part.file.clone();
        let format = if relation.format == SourceType::Parquet {
            let ranges = Arc::new(RemoteFile::new(Arc::clone(&self.store), file));
            files::blocking(move || files::remote_parquet("data".to_owned(), ranges)).await?
        } else {
            let spooled = self.store.spool(&file).await?;
            let (settings, kind) = (self.settings.clone(), relation.format);
            // The thread ends with whoever waits for it.
            let stop = spooled.stop_reading();
            let format = files::blocking(move || files::inspect(&settings, kind, spooled)).await?;
            stop.keep();
            format
        };
        let table = match &self.sheet {
            Some(sheet) if relation.format == SourceType::Excel => {
                format.tables().iter().position(|table| table.name == *sheet)
            }
            _ => Some(0).filter(|_| !format.tables().is_empty()),
        };
        let table = table.ok_or_else(|| {
            SourceError::query(format!("The file {} has no such table.", quoted(&part.file.key)))
        })?;
        Ok((format, table))
    }
}

/// What is the same for all files of a scan.
struct Wanted {
    inner: Arc<Inner>,
    relation: Arc<Relation>,
    columns: Arc<Columns>,
    schema: SchemaRef,
    /// Those that folders do not decide.
    filters: Vec<Filter>,
    deadline: Instant,
}

impl Wanted {
    /// Begins to read a file, of which so many rows are wanted at most.
    async fn begin(&self, part: &PartOf, most: usize) -> Result<BatchStream, SourceError> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(SourceError::timeout("The query", self.inner.limit));
        }
        let opening = self.inner.file(&self.relation, part);
        let (mut format, table) = within(left, "Reading a file", opening).await?;
        self.columns.adapt(&mut format, table, &self.relation, &part.file.key)?;
        let projection = match format.tables().get(table) {
            Some(table) => Columns::read_of(&table.schema, &self.schema, &self.relation),
            None => Vec::new(),
        };
        let scan = Scan {
            relation: Named { schema: None, table: self.relation.name.clone() },
            projection: Some(projection),
            filters: self.filters.clone(),
            order: Vec::new(),
            limit: Some(most).filter(|most| *most < usize::MAX),
        };
        files::scan(format, table, &scan, left)
    }
}

/// A scan that goes from file to file.
struct Reading {
    wanted: Wanted,
    files: VecDeque<PartOf>,
    /// The file that is being read.
    current: Option<(BatchStream, PartOf)>,
    /// Rows still wanted.
    left: usize,
}

impl Reading {
    /// The next rows; none at the end.
    async fn next(&mut self) -> Result<Option<RecordBatch>, SourceError> {
        while self.left > 0 {
            let (mut rows, part) = match self.current.take() {
                Some(current) => current,
                None => {
                    let Some(part) = self.files.pop_front() else { return Ok(None) };
                    (self.wanted.begin(&part, self.left).await?, part)
                }
            };
            let Some(batch) = rows.next().await else { continue };
            let batch = conformed(&batch?, &self.wanted.schema, &self.wanted.relation, &part)?;
            let batch = if batch.num_rows() > self.left { batch.slice(0, self.left) } else { batch };
            self.left -= batch.num_rows();
            self.current = Some((rows, part));
            return Ok(Some(batch));
        }
        Ok(None)
    }
}

#[async_trait::async_trait]
impl Source for Lake {
    async fn test(&self, query: Option<&str>, timeout: Duration) -> Result<Tested, SourceError> {
        if query.is_some() {
            return Err(SourceError::query("A bucket runs no query of its own; test it without one."));
        }
        let began = Instant::now();
        let (files, all) = within(timeout, "The test", self.inner.store.list(&self.rules.prefix, 1)).await?;
        let more = if all { "" } else { "more than " };
        Ok(Tested {
            version: Some(TypeInfo::of(self.inner.settings.kind).title.to_owned()),
            result: Some(format!("{more}{} files", files.len())),
            tunnel: self.inner.store.client.dialer.tunnel().is_some(),
            elapsed: began.elapsed(),
        })
    }

    async fn discover(&self, schema: Option<&str>) -> Result<Discovered, SourceError> {
        if schema.is_some_and(|schema| schema != files::spool::SCHEMA) {
            return Ok(Discovered::default());
        }
        let mut tables = Vec::new();
        for (at, relation) in self.relations().await?.iter().enumerate() {
            let mut columns = Vec::new();
            let count = relation.files.len();
            let mut comment = (count > 1).then(|| format!("{count} files"));
            if at < LOOKED_INTO {
                match self.columns(relation).await {
                    Ok(known) => {
                        for (index, field) in known.schema.fields().iter().enumerate() {
                            columns.push(Column::plain(field.name(), files::type_name(field), index + 1));
                        }
                    }
                    // One broken file hides no other one.
                    Err(error) if matches!(error.code, ErrorCode::Query | ErrorCode::LocalDisk) => {
                        comment = Some(error.message);
                    }
                    Err(error) => return Err(error),
                }
            }
            let name = relation.name.clone();
            tables.push(Table { name, kind: TableKind::File, row_count: None, comment, columns });
        }
        Ok(Discovered { schemas: vec![Place { name: files::spool::SCHEMA.to_owned(), tables }] })
    }

    async fn schema(&self, relation: &Named) -> Result<SchemaRef, SourceError> {
        let relation = self.relation(relation).await?;
        Ok(SchemaRef::clone(&self.columns(&relation).await?.schema))
    }

    /// Filters on the folders' columns alone: the files that are read are those for which they hold.
    fn evaluates(&self, schema: &Schema, filter: &Filter) -> bool {
        let given = self.given.lock().unwrap_or_else(PoisonError::into_inner);
        // Of relations that look the same, a column may be a folder's in one and a file's in another.
        let mut same = given.values().filter(|(known, _)| **known == *schema).peekable();
        same.peek().is_some() && same.all(|(_, relation)| prune::is_decided(relation, filter))
    }

    fn skips(&self) -> bool {
        true
    }

    async fn scan(&self, scan: Scan) -> Result<BatchStream, SourceError> {
        let deadline = Instant::now() + self.inner.limit;
        let relation = self.relation(&scan.relation).await?;
        let columns = self.columns(&relation).await?;
        let indices = files::project(&columns.schema, scan.projection.as_deref())?;
        let wanted = columns
            .schema
            .project(&indices)
            .map_err(|error| SourceError::changed("No such columns.").with_detail(error))?;
        let wanted = Arc::new(wanted);
        let filtered: Vec<bool> =
            scan.filters.iter().map(|filter| prune::is_decided(&relation, filter)).collect();
        let limited = scan.limit_of_any().is_some() && filtered.iter().all(|decided| *decided);
        let selected = relation.files.iter().filter(|part| prune::may_have(&relation, part, &scan.filters));
        let files = selected.cloned().collect();
        let left = scan.limit.filter(|_| limited).unwrap_or(usize::MAX);
        let schema = SchemaRef::clone(&wanted);
        let inner = Arc::clone(&self.inner);
        let filters = scan.filters.iter().zip(&filtered).filter(|(_, decided)| !**decided);
        let filters = filters.map(|(filter, _)| filter.clone()).collect();
        let fixed = Wanted { inner, relation: Arc::clone(&relation), columns, schema, filters, deadline };
        let reading = Reading { wanted: fixed, files, current: None, left };
        let batches = stream::try_unfold(reading, |mut reading| async move {
            Ok(reading.next().await?.map(|batch| (batch, reading)))
        });
        Ok(BatchStream::new(wanted, filtered, limited, Box::pin(batches)))
    }

    async fn close(&self) {
        // Whoever lists them now keeps the list to the end; nobody waits for that.
        if let Ok(mut relations) = self.relations.try_lock() {
            *relations = None;
        }
        self.known().clear();
        if let Some(tunnel) = self.inner.store.client.dialer.tunnel() {
            tunnel.close().await;
        }
    }

    fn host_key(&self) -> Option<String> {
        self.inner.store.client.dialer.tunnel().map(|tunnel| tunnel.host_key().to_owned())
    }
}
