//! Queries made by chance: governed here, and by DuckDB over a copy that plain Python has filtered and masked. Two engines, two
//! implementations of policies, and no code in common: rows, and whether there is an error, must be the same.
//!
//! Python is one process that gets the raw relations and the policies once, writes the queries, and then says of each answer whether it
//! is DuckDB's. `TIDEGATE_FUZZ_QUERIES`, `TIDEGATE_FUZZ_SEED` and `TIDEGATE_FUZZ_FIRST` (the number of the first query) make it longer
//! and other. Each query depends on the seed and its number alone, so that one that failed is asked again by `QUERIES=1` and its number.

#![expect(clippy::disallowed_methods, reason = "starts Python, and whoever runs it says how long")]

mod world;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;

use serde_json::{Value, json};

use super::differential::setting;
use super::{engine, options};
use crate::mutation::Protection;
use crate::{Code, Engine, Options};
use world::{Source, World};

/// Queries that go to Python at once.
const BATCH: u64 = 250;
/// After how many queries it is told how far it is.
const STEP: u64 = 1_000;
/// Fewer queries say nothing by themselves of how many find rows.
const ENOUGH: u64 = 5_000;
/// Differences that are enough to end a run.
const MANY: usize = 10;
const DOCUMENTATION: &str = include_str!("../../../../../docs/governance.md");

/// The process that knows the right answers. Ends with the test.
struct Oracle {
    process: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Oracle {
    fn start() -> Self {
        let python = std::env::var("TIDEGATE_TEST_PYTHON")
            .expect("TIDEGATE_TEST_PYTHON must name a Python with duckdb: run scripts/test");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/tests/oracle/oracle.py");
        let mut process = Command::new(python)
            .arg(script)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("Python starts");
        let (input, output) = (process.stdin.take().unwrap(), process.stdout.take().unwrap());
        Self { process, input, output: BufReader::new(output) }
    }

    fn tell(&mut self, message: &Value) {
        writeln!(self.input, "{message}").expect("Python takes a line; see above why it ended");
        self.input.flush().unwrap();
    }

    fn hear(&mut self) -> Value {
        let mut line = String::new();
        let bytes = self.output.read_line(&mut line).unwrap();
        assert!(bytes > 0, "Python ended; see above why");
        serde_json::from_str(&line).unwrap()
    }

    fn ask(&mut self, message: &Value) -> Value {
        self.tell(message);
        self.hear()
    }
}

impl Drop for Oracle {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What came out.
struct Report {
    seed: u64,
    same: BTreeMap<String, u64>,
    different: usize,
}

impl Report {
    /// What is different is shown at once: a long run has long to go.
    fn take(&mut self, verdicts: &Value) {
        for verdict in verdicts.as_array().unwrap() {
            if let Some(what) = verdict["same"].as_str() {
                *self.same.entry(what.to_owned()).or_default() += 1;
                continue;
            }
            let told = verdict["different"].as_str().unwrap();
            let number = verdict["number"].as_u64().unwrap();
            println!("{told}\n again: scripts/fuzz-governance 1 {} {number}\n", self.seed);
            self.different += 1;
        }
    }

    fn of(&self, what: &str) -> u64 {
        self.same.get(what).copied().unwrap_or_default()
    }
}

/// Both sides, with the same relations and policies.
struct Comparison {
    oracle: Oracle,
    worlds: Vec<World>,
    /// Their files are there as long as these.
    _sources: Vec<Source>,
}

impl Comparison {
    async fn start() -> Self {
        let (engine, sources) = (engine(), world::sources().await);
        let policies: Value = serde_json::from_str(include_str!("policies.json")).unwrap();
        let mut raw = Vec::new();
        for source in &sources {
            raw.push(source.raw(&engine).await);
        }
        let worlds = world::all(&sources, &policies);
        let mut oracle = Oracle::start();
        let loaded = oracle.ask(&json!({ "load": { "sources": raw, "policies": policies } }));
        assert_eq!(loaded["worlds"].as_array().unwrap().len(), worlds.len());
        for difference in ["avoided", "listed"].iter().flat_map(|list| loaded[*list].as_array().unwrap()) {
            let name = difference.as_str().unwrap();
            assert!(DOCUMENTATION.contains(name), "docs/governance.md does not tell that {name} differs");
        }
        Self { oracle, worlds, _sources: sources }
    }

    /// Asks so many queries, from this number on. Ends early where much is different.
    async fn run(&mut self, engine: &Engine, count: u64, seed: u64, first: u64) -> Report {
        let mut report = Report { seed, same: BTreeMap::new(), different: 0 };
        let write = |done: u64| {
            let next = BATCH.min(count.saturating_sub(done));
            json!({ "write": { "seed": seed, "first": first + done, "count": next } })
        };
        let mut queries = self.oracle.ask(&write(0));
        let mut done = 0;
        while done < count {
            let answers = answered(engine, &self.worlds, queries).await;
            // Python has been looking at the batch before.
            if done > 0 {
                report.take(&self.oracle.hear());
            }
            done += BATCH.min(count - done);
            queries = self.oracle.ask(&write(done));
            self.oracle.tell(&json!({ "check": answers }));
            if done.is_multiple_of(STEP) {
                println!(
                    "seed {seed}: {done} of {count} queries from {first} on, {} differences",
                    report.different
                );
            }
            if report.different >= MANY {
                break;
            }
        }
        report.take(&self.oracle.hear());
        println!("seed {seed}: {:?}, {} differences", report.same, report.different);
        report
    }
}

/// Each query with what is answered to it.
async fn answered(engine: &Engine, worlds: &[World], mut queries: Value) -> Value {
    for query in queries.as_array_mut().unwrap() {
        let world = &worlds[query["world"].as_u64().unwrap() as usize];
        let sql = query["sql"].as_str().unwrap().to_owned();
        match world.ask(engine, &sql).await {
            Ok(batches) => {
                query["kinds"] = json!(batches.first().map(world::kinds).unwrap_or_default());
                query["rows"] = json!(world::cells(&batches));
            }
            Err(error) => {
                // A plan that the checker refuses is never excused.
                let refused = error.code != Code::PolicyDenied && world.refuses(engine, &sql).await;
                query["refused"] = json!(refused);
                query["error"] = json!(format!("{error:?}"));
            }
        }
    }
    queries
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn governed_answers_are_those_of_another_engine() {
    let (count, seed) = (setting("TIDEGATE_FUZZ_QUERIES", 5_000).max(1), setting("TIDEGATE_FUZZ_SEED", 14));
    let first = setting("TIDEGATE_FUZZ_FIRST", 0);
    // Joins of joins are sorted, too.
    let directory = tempfile::tempdir().unwrap();
    let spill_directory = Some(directory.path().to_owned());
    let engine = Engine::new(Options { spill_directory, ..options() });
    let report = Comparison::start().await.run(&engine, count, seed, first).await;
    assert_eq!(report.different, 0, "seed {seed}: the differences are shown above");
    if count >= ENOUGH {
        assert!(report.of("rows") * 2 > count, "too few queries find rows: {:?}", report.same);
        assert!(report.of("error") * 100 > count, "too few queries fail: {:?}", report.same);
        let listed = report.same.iter().filter(|(what, _)| what.starts_with("listed"));
        let listed: u64 = listed.map(|(_, times)| times).sum();
        assert!(listed * 100 < count, "too many queries differ as it is written down: {:?}", report.same);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_are_not_filtered_are_found() {
    let these = vec![Protection::RowFilter, Protection::Checker];
    let without = Engine::new(Options { mutations: Arc::new(these), ..options() });
    let report = Comparison::start().await.run(&without, BATCH, 14, 0).await;
    assert!(report.different >= MANY, "{:?}", report.same);
}
