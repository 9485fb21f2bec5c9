//! Sources without columns: what they hold is fetched as JSON, kept for a while in a temporary file, and read from there like any JSON
//! file, with the types that hold every value.
//!
//! Where a server can select rows, what a query does not ask for is left there. For that the columns must be known before: from a reading
//! of everything, or from the first rows, where `metadata.sample_size` says how many tell them.

use std::collections::HashMap;
use std::io::{BufWriter, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arrow_schema::{Schema, SchemaRef};
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Either, select};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, oneshot};
use tokio::time::Instant;

use crate::discovered::{Column, Discovered, Schema as Place, Table, TableKind};
use crate::disk::{DiskBudget, TemporaryFile};
use crate::error::{ErrorCode, SourceError, within};
use crate::files::{self, Format, Known, spool::Spooled};
use crate::filter::Filter;
use crate::gate;
use crate::settings::Settings;
use crate::source::{BatchStream, Relation, Scan, Source, Tested};
use crate::turns::Turns;

mod narrowed;

/// Bytes of one relation at most.
const LARGEST: u64 = 1 << 30;
/// Rows from which discovery learns the columns.
const SAMPLE: usize = 1_000;
/// Relations that discovery looks into; of others it tells the name.
const LOOKED_INTO: usize = 200;
/// Relations kept at once, and bytes of all of them. One that is larger is kept alone.
const KEPT: usize = 50;
const KEPT_BYTES: u64 = 2 << 30;

/// What a query asks of a relation whose columns are known.
pub(crate) struct Asked {
    pub(crate) table: String,
    /// Columns wanted; all if absent.
    pub(crate) columns: Option<Vec<String>>,
    /// All of them hold for every row that is wanted.
    pub(crate) filters: Vec<Filter>,
    /// Rows wanted at most; none where there are filters, which the engine applies first.
    pub(crate) limit: Option<usize>,
    pub(crate) known: Arc<Known>,
}

/// How a server took what was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Narrowed {
    /// It can leave nothing out. No row was written.
    No,
    Yes,
    /// It left out members of rows, and wrote the others anew: numbers and strings are the same, but not how they are written.
    Rewritten,
}

/// Fetches what a server holds.
#[async_trait::async_trait]
pub(crate) trait Fetcher: Send + Sync {
    /// Version and first result, for a test.
    async fn probe(&self, query: Option<&str>) -> Result<(Option<String>, Option<String>), SourceError>;
    /// The relations there are: schema, name, rows if known.
    async fn relations(&self) -> Result<Vec<(String, String, Option<i64>)>, SourceError>;
    /// Writes rows of a relation, at least as many as wanted if there are as many. It runs on a thread that may block.
    async fn rows(
        &self,
        schema: &str,
        table: &str,
        wanted: usize,
        out: &mut Lines,
    ) -> Result<(), SourceError>;
    /// Whether [`Fetcher::narrowed`] can leave anything out.
    fn narrows(&self) -> bool {
        false
    }
    /// Writes at least the rows for which the filters hold, or so many as the limit says, and of each at least the columns wanted.
    async fn narrowed(&self, _: &Asked, _: &mut Lines) -> Result<Narrowed, SourceError> {
        Ok(Narrowed::No)
    }
    /// Whether a tunnel is used.
    fn tunnel(&self) -> Option<&crate::ssh::Tunnel>;
}

/// What is fetched of a relation.
enum Job {
    Rows { schema: String, table: String, wanted: usize },
    Asked(Asked),
}

impl Job {
    fn run<'a, F: Fetcher>(
        &'a self,
        fetcher: &'a F,
        out: &'a mut Lines,
    ) -> BoxFuture<'a, Result<Narrowed, SourceError>> {
        Box::pin(async move {
            match self {
                Self::Rows { schema, table, wanted } => {
                    fetcher.rows(schema, table, *wanted, out).await.map(|()| Narrowed::Yes)
                }
                Self::Asked(asked) => fetcher.narrowed(asked, out).await,
            }
        })
    }
}

/// Rows, written one JSON value after the other.
pub(crate) struct Lines {
    file: BufWriter<TemporaryFile>,
    bytes: u64,
    pub(crate) rows: usize,
}

impl Lines {
    fn new(disk: &DiskBudget) -> Result<Self, SourceError> {
        let file = TemporaryFile::new(disk.reservation()).map_err(files::spool::broken)?;
        Ok(Self { file: BufWriter::with_capacity(256 << 10, file), bytes: 0, rows: 0 })
    }

    /// Writes a row that is JSON text. It may wait for the disk: it is called on a thread that may block.
    pub(crate) fn write(&mut self, json: &str) -> Result<(), SourceError> {
        self.bytes += json.len() as u64 + 1;
        if self.bytes > LARGEST {
            return Err(SourceError::query(format!("The relation has more than {LARGEST} bytes.")));
        }
        self.file
            .write_all(json.as_bytes())
            .and_then(|()| self.file.write_all(b"\n"))
            .map_err(files::spool::broken)?;
        self.rows += 1;
        Ok(())
    }

    async fn fetched(self, table: &str) -> Result<Fetched, SourceError> {
        let table = table.to_owned();
        let (rows, bytes) = (self.rows, self.bytes);
        files::blocking(move || {
            let (format, known) = files::json_lines(self.spooled(table)?, rows == 0)?;
            Ok(Fetched { format, known, rows, bytes })
        })
        .await
    }

    /// The rows with columns that are known; none if these do not hold them.
    async fn with(
        self,
        table: &str,
        known: Arc<Known>,
        rewritten: bool,
    ) -> Result<Option<Arc<dyn Format>>, SourceError> {
        let table = table.to_owned();
        let empty = self.rows == 0;
        files::blocking(move || files::json_lines_of(self.spooled(table)?, empty, &known, rewritten)).await
    }

    fn spooled(self, table: String) -> Result<Spooled, SourceError> {
        let file = self.file.into_inner().map_err(|error| files::spool::broken(error.into_error()))?;
        Spooled::written(file, table)
    }
}

/// Rows that were fetched, and their columns.
struct Fetched {
    format: Arc<dyn Format>,
    known: Known,
    rows: usize,
    bytes: u64,
}

/// Schema and name of a relation.
type Key = (String, String);

/// A relation, when it was fetched, and its bytes.
struct Kept {
    format: Arc<dyn Format>,
    since: Instant,
    bytes: u64,
}

/// Forgets relations that are old, and others until there is room for so many bytes more: the oldest first.
fn make_room(kept: &mut HashMap<Key, Kept>, life: Duration, bytes: u64) {
    kept.retain(|_, kept| kept.since.elapsed() < life);
    loop {
        let held: u64 = kept.values().map(|kept| kept.bytes).sum();
        if kept.len() < KEPT && held.saturating_add(bytes) <= KEPT_BYTES {
            return;
        }
        let oldest = kept.iter().min_by_key(|(_, kept)| kept.since).map(|(key, _)| key.clone());
        let Some(oldest) = oldest else { return };
        kept.remove(&oldest);
    }
}

/// A source whose relations are fetched.
pub(crate) struct Snapshots<F> {
    fetcher: Arc<F>,
    kept: Mutex<HashMap<Key, Kept>>,
    columns: Mutex<HashMap<Key, (Arc<Known>, Instant)>>,
    turns: Turns<Key>,
    /// Fetches that may be under way at once, all of a relation or a part of it: for each there is a connection.
    places: Semaphore,
    life: Duration,
    limit: Duration,
    disk: DiskBudget,
    /// So many rows tell the columns; all if absent.
    sample: Option<usize>,
    default_schema: String,
}

impl<F: Fetcher + 'static> Snapshots<F> {
    pub(crate) fn new(settings: &Settings, fetcher: F, default_schema: &str) -> Result<Self, SourceError> {
        let life = match settings.metadata.get("cache_seconds") {
            None => 60,
            Some(value) => value.as_u64().filter(|seconds| *seconds <= 86_400).ok_or_else(|| {
                SourceError::connection("metadata.cache_seconds must be a whole number up to 86400.")
            })?,
        };
        let sample = match settings.metadata.get("sample_size").filter(|_| fetcher.narrows()) {
            None => None,
            Some(value) => {
                let rows = value.as_u64().filter(|rows| (1..=100_000).contains(rows));
                Some(rows.and_then(|rows| usize::try_from(rows).ok()).ok_or_else(|| {
                    SourceError::connection("metadata.sample_size must be a whole number from 1 to 100000.")
                })?)
            }
        };
        Ok(Self {
            fetcher: Arc::new(fetcher),
            kept: Mutex::default(),
            columns: Mutex::default(),
            turns: Turns::default(),
            places: Semaphore::new(settings.pool_size.clamp(1, 1_000) as usize),
            life: Duration::from_secs(life),
            limit: settings.query_timeout,
            disk: settings.disk.clone(),
            sample,
            default_schema: default_schema.to_owned(),
        })
    }

    fn key(&self, relation: &Relation) -> Key {
        let schema = relation.schema.as_deref().unwrap_or(&self.default_schema);
        (schema.to_owned(), relation.table.clone())
    }

    fn kept(&self) -> MutexGuard<'_, HashMap<Key, Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The rows of a relation, where they are here.
    fn here(&self, key: &Key) -> Option<Arc<dyn Format>> {
        let kept = self.kept();
        let found = kept.get(key).filter(|found| found.since.elapsed() < self.life)?;
        Some(Arc::clone(&found.format))
    }

    /// The relation as it was fetched at most `life` ago. Of those who ask at the same time one fetches; who asks for another relation does
    /// not wait for them, for one may never come.
    async fn snapshot(&self, relation: &Relation) -> Result<Arc<dyn Format>, SourceError> {
        let key = self.key(relation);
        if let Some(here) = self.here(&key) {
            return Ok(here);
        }
        let _turn = self.turns.of(key.clone()).await;
        if let Some(here) = self.here(&key) {
            return Ok(here);
        }
        {
            let mut kept = self.kept();
            kept.remove(&key);
            make_room(&mut kept, self.life, 0);
        }
        let fetched = self.fetched(&key.0, &key.1, usize::MAX).await?;
        Ok(self.keep(key, fetched))
    }

    /// Keeps all rows of a relation.
    fn keep(&self, key: Key, fetched: Fetched) -> Arc<dyn Format> {
        let Fetched { format, known, rows, bytes } = fetched;
        let mut kept = self.kept();
        make_room(&mut kept, self.life, bytes);
        // What has no rows yet has no columns yet.
        match rows {
            0 => self.forget(&key),
            _ => self.learn(&key, known),
        }
        kept.insert(key, Kept { format: Arc::clone(&format), since: Instant::now(), bytes });
        format
    }

    /// The rows in a file, and how the server took what was asked. Writing them waits for the disk, so a thread that may block drives the
    /// fetching; it ends when nobody waits.
    async fn lines(&self, job: Job) -> Result<(Lines, Narrowed), SourceError> {
        let closed = |_| SourceError::connection("The data source was closed.");
        let _place = self.places.acquire().await.map_err(closed)?;
        let (fetcher, limit, runtime) = (Arc::clone(&self.fetcher), self.limit, Handle::current());
        let disk = self.disk.clone();
        let (waiting, nobody_waits) = oneshot::channel::<()>();
        let lines = files::blocking(move || {
            let mut lines = Lines::new(&disk)?;
            let narrowed = runtime.block_on(async {
                let rows = job.run(fetcher.as_ref(), &mut lines);
                match within(limit, "Fetching the rows", select(rows, nobody_waits).map(Ok)).await? {
                    Either::Left((fetched, _)) => fetched,
                    Either::Right(_) => Err(SourceError::query("Nobody waits for the rows any more.")),
                }
            })?;
            Ok((lines, narrowed))
        })
        .await;
        drop(waiting);
        lines
    }

    async fn fetched(&self, schema: &str, table: &str, wanted: usize) -> Result<Fetched, SourceError> {
        let job = Job::Rows { schema: schema.to_owned(), table: table.to_owned(), wanted };
        self.lines(job).await?.0.fetched(table).await
    }
}

#[async_trait::async_trait]
impl<F: Fetcher + 'static> Source for Snapshots<F> {
    async fn test(&self, query: Option<&str>, timeout: Duration) -> Result<Tested, SourceError> {
        let began = Instant::now();
        let (version, result) = within(timeout, "The test", self.fetcher.probe(query)).await?;
        let result = result.map(|text| gate::bounded(&text));
        Ok(Tested { version, result, tunnel: self.fetcher.tunnel().is_some(), elapsed: began.elapsed() })
    }

    async fn discover(&self, schema: Option<&str>) -> Result<Discovered, SourceError> {
        let relations = within(self.limit, "Discovery", self.fetcher.relations()).await?;
        let mut found = Discovered::default();
        for (at, (place, name, row_count)) in relations.into_iter().enumerate() {
            if schema.is_some_and(|schema| schema != place) {
                continue;
            }
            let mut columns = Vec::new();
            if at < LOOKED_INTO {
                let sample = match self.fetched(&place, &name, SAMPLE).await {
                    Ok(sample) => Some(sample.format),
                    // One that may not be read, or has rows that cannot be, is there all the same, and so are the others.
                    Err(error)
                        if matches!(
                            error.code,
                            ErrorCode::Query | ErrorCode::Authentication | ErrorCode::LocalDisk
                        ) =>
                    {
                        tracing::debug!(
                            detail = error.detail,
                            "a relation could not be looked into: {error}"
                        );
                        None
                    }
                    Err(error) => return Err(error),
                };
                for table in sample.iter().flat_map(|sample| sample.tables()) {
                    for (index, field) in table.schema.fields().iter().enumerate() {
                        columns.push(Column::plain(field.name(), files::type_name(field), index + 1));
                    }
                }
            }
            let table = Table { name, kind: TableKind::Collection, row_count, comment: None, columns };
            match found.schemas.iter_mut().find(|known| known.name == place) {
                Some(known) => known.tables.push(table),
                None => found.schemas.push(Place { name: place, tables: vec![table] }),
            }
        }
        Ok(found)
    }

    async fn schema(&self, relation: &Relation) -> Result<SchemaRef, SourceError> {
        self.columns(relation).await
    }

    fn evaluates(&self, _: &Schema, _: &Filter) -> bool {
        false
    }

    fn skips(&self) -> bool {
        self.fetcher.narrows()
    }

    async fn scan(&self, scan: Scan) -> Result<BatchStream, SourceError> {
        let format = match self.fetcher.narrows() {
            true => self.narrowed(&scan).await?,
            false => None,
        };
        let format = match format {
            Some(format) => format,
            None => self.whole(&scan).await?,
        };
        files::scan(format, 0, &scan, self.limit)
    }

    async fn close(&self) {
        self.kept().clear();
        self.columns.lock().unwrap_or_else(PoisonError::into_inner).clear();
        if let Some(tunnel) = self.fetcher.tunnel() {
            tunnel.close().await;
        }
    }

    fn host_key(&self) -> Option<String> {
        self.fetcher.tunnel().map(|tunnel| tunnel.host_key().to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Nothing;

    impl Format for Nothing {
        fn describe(&self) -> String {
            String::new()
        }

        fn tables(&self) -> &[files::FileTable] {
            &[]
        }

        fn read(&self, _: usize, _: &[usize], _: &mut files::Sink) -> Result<(), SourceError> {
            Ok(())
        }
    }

    /// Tells on which thread it writes.
    struct Slow(std::sync::mpsc::Sender<std::thread::ThreadId>);

    #[async_trait::async_trait]
    impl Fetcher for Slow {
        async fn probe(&self, _: Option<&str>) -> Result<(Option<String>, Option<String>), SourceError> {
            Ok((None, None))
        }

        async fn relations(&self) -> Result<Vec<(String, String, Option<i64>)>, SourceError> {
            Ok(Vec::new())
        }

        async fn rows(&self, _: &str, table: &str, _: usize, out: &mut Lines) -> Result<(), SourceError> {
            out.write("{\"n\": 1}")?;
            self.0.send(std::thread::current().id()).unwrap();
            if table == "endless" {
                std::future::pending::<()>().await;
            }
            Ok(())
        }

        fn tunnel(&self) -> Option<&crate::ssh::Tunnel> {
            None
        }
    }

    // A disk that is slow held up everything else that ran on the thread.
    #[tokio::test]
    async fn rows_are_written_where_a_thread_may_block() {
        let (sender, threads) = std::sync::mpsc::channel();
        let settings = Settings::new(crate::SourceType::RestApi);
        let source = Snapshots::new(&settings, Slow(sender), "main").unwrap();
        let fetched = source.fetched("main", "t", usize::MAX).await.unwrap();
        assert_eq!((fetched.format.tables()[0].rows, fetched.bytes), (Some(1), 9));
        assert_ne!(threads.recv().unwrap(), std::thread::current().id());
    }

    #[tokio::test]
    async fn fetching_ends_when_nobody_waits_for_it() {
        let (sender, threads) = std::sync::mpsc::channel();
        let settings = Settings::new(crate::SourceType::RestApi);
        let source = Snapshots::new(&settings, Slow(sender), "main").unwrap();
        let fetcher = Arc::clone(&source.fetcher);
        let waiting =
            tokio::time::timeout(Duration::from_millis(200), source.fetched("main", "endless", usize::MAX));
        assert!(waiting.await.is_err());
        threads.recv().unwrap();
        drop(source);
        // The thread that fetched has the other one.
        for _ in 0..500 {
            if Arc::strong_count(&fetcher) == 1 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("it is still fetched");
    }

    // Whoever asked for a relation that never came kept all others of its source from everybody, those that were kept included.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_relation_that_does_not_come_keeps_no_other_one_away() {
        let (sender, threads) = std::sync::mpsc::channel();
        let settings = Settings::new(crate::SourceType::RestApi);
        let source = Arc::new(Snapshots::new(&settings, Slow(sender), "main").unwrap());
        let named = |table: &str| Relation::new("main", table);
        let (waiting, endless) = (Arc::clone(&source), named("endless"));
        let waiting = tokio::spawn(async move { waiting.snapshot(&endless).await.map(drop) });
        threads.recv().unwrap();
        let fetched = source.snapshot(&named("t")).await.unwrap();
        let kept = source.snapshot(&named("t")).await.unwrap();
        assert!(Arc::ptr_eq(&fetched, &kept));
        assert!(!waiting.is_finished());
        waiting.abort();
        assert!(waiting.await.unwrap_err().is_cancelled());
        // Who went away keeps no turn.
        let turn = source.turns.of(("main".to_owned(), "endless".to_owned()));
        drop(turn.await);
    }

    #[test]
    fn what_is_kept_fits_on_a_disk() {
        let mut kept = HashMap::new();
        let life = Duration::from_secs(3_600);
        let mut since = Instant::now();
        let mut keep = |name: &str, bytes: u64| {
            make_room(&mut kept, life, bytes);
            kept.insert(("s".to_owned(), name.to_owned()), Kept { format: Arc::new(Nothing), since, bytes });
            since += Duration::from_secs(1);
            let mut names: Vec<String> = kept.keys().map(|(_, name)| name.clone()).collect();
            names.sort();
            names
        };
        keep("a", 1 << 30);
        assert_eq!(keep("b", 1 << 30), ["a", "b"]);
        assert_eq!(keep("c", 1), ["b", "c"], "the oldest goes");
        assert_eq!(keep("d", 3 << 30), ["d"]);
    }
}
