//! Looking at what the application did, past the application.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tidegate_testkit::{Engine, TestApp};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// Every table of the database.
pub(crate) async fn tables(app: &TestApp) -> BTreeSet<String> {
    columns(app).await.into_iter().map(|(table, _)| table).collect()
}

/// Every column of the database.
pub(crate) async fn columns(app: &TestApp) -> BTreeSet<(String, String)> {
    let schema = app.store().schema().await.unwrap();
    let columns = schema.iter().filter_map(|line| line.split_once(' ')?.0.split_once('.'));
    columns.map(|(table, column)| (table.to_owned(), column.to_owned())).collect()
}

/// How many rows every table has, as one line: equal lines mean that nothing was added or removed.
pub(crate) async fn row_counts(app: &TestApp) -> String {
    let counts: Vec<String> = tables(app)
        .await
        .iter()
        .map(|table| format!("'{table} ' || cast((select count(*) from {table}) as text)"))
        .collect();
    app.database.sql_texts(&format!("select {}", counts.join(" || ', ' || "))).await.remove(0)
}

/// Every row of every table, sorted: equal contents mean that nothing was added, changed or removed.
pub(crate) async fn content(app: &TestApp) -> Vec<String> {
    let mut columns_of: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (table, column) in columns(app).await {
        columns_of.entry(table).or_default().push(format!("quote(\"{column}\")"));
    }
    let rows = columns_of.iter().map(|(table, columns)| match app.database.engine() {
        Engine::Sqlite => format!("select '{table} ' || {} from {table}", columns.join(" || ',' || ")),
        Engine::Postgres => format!("select '{table} ' || cast(t as text) from {table} t"),
    });
    let mut rows = app.database.sql_texts(&rows.collect::<Vec<_>>().join(" union all ")).await;
    rows.sort();
    rows
}

/// Everything that is logged at whatever level by whichever crate, from now on and for the whole process: hence one test
/// a process, which is how nextest runs them.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    /// Starts to listen.
    pub(crate) fn listen() -> Self {
        let log = Self::default();
        tracing::subscriber::set_global_default(log.clone()).expect("one listener a process: use nextest");
        log
    }

    /// What was said so far, a line each.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    /// The line of the request that was answered last.
    pub(crate) fn last_answer(&self) -> String {
        let lines = self.lines();
        lines.iter().rfind(|line| line.contains(" message=answered")).expect("a request was answered").clone()
    }

    fn say(&self, line: String) {
        self.0.lock().unwrap().push(line);
    }
}

/// Fields as `name=value` behind the name of their event or span.
struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        use std::fmt::Write;
        write!(self.0, " {}={value:?}", field.name()).unwrap();
    }
}

impl Line {
    fn of(metadata: &Metadata<'_>) -> Self {
        Self(format!("{} {} {}", metadata.level(), metadata.target(), metadata.name()))
    }
}

impl Subscriber for Log {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        static NEXT: AtomicUsize = AtomicUsize::new(1);
        let mut line = Line::of(span.metadata());
        span.record(&mut line);
        self.say(line.0);
        Id::from_u64(NEXT.fetch_add(1, Ordering::Relaxed) as u64)
    }

    fn record(&self, _: &Id, values: &Record<'_>) {
        let mut line = Line("recorded".to_owned());
        values.record(&mut line);
        self.say(line.0);
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line::of(event.metadata());
        event.record(&mut line);
        self.say(line.0);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// Counts the SQL statements run from now on.
pub(crate) struct Statements {
    log: Log,
    part: &'static str,
}

impl Statements {
    /// Those in which `part` stands.
    pub(crate) fn containing(part: &'static str) -> Self {
        Self { log: Log::listen(), part }
    }

    /// How many there were.
    pub(crate) fn seen(&self) -> usize {
        let lines = self.log.lines();
        lines.iter().filter(|line| line.contains("sqlx::query") && line.contains(self.part)).count()
    }
}

/// How often the threads that hash passwords went to sleep: once at least for each hash they were woken for.
pub(crate) fn hash_thread_switches() -> u64 {
    let tasks = std::fs::read_dir("/proc/self/task").expect("tests run on Linux");
    let of_thread = |task: std::fs::DirEntry| {
        let read = |name: &str| std::fs::read_to_string(task.path().join(name)).ok();
        let status = read("comm")?.starts_with("password-hash").then(|| read("status"))??;
        let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))?;
        line.trim().parse::<u64>().ok()
    };
    tasks.filter_map(|task| of_thread(task.ok()?)).sum()
}
