//! TPC-H on Parquet: against DuckDB and plain DataFusion, and under policies against the same written by hand.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::data::{Analyst, Answered, start};
use super::{Bench, FEW, LOW_COST, SQLITE};
use crate::machine::median;
use crate::report::{Budget, Row};
use crate::tpch::{self, Peers, RELATIONS};
use crate::{Result, progress};

/// Hot runs of each query on each engine, in turns; one more before them is not counted.
const TURNS: usize = 5;
const STORE: &str = "Parquet";
/// As the peers, which have no limit: a query that is held to less would write to the disk what they keep in memory.
const ROOM: &str = "prompts.answer_within = 25\ndata.queries.memory = 4294967296\ndata.queries.memory_per_query = 4294967296";

/// What runs a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    DuckDb,
    DataFusion,
    /// Tidegate, where no policy says anything.
    Open,
    /// The same with filter and masks written into the query.
    ByHand,
    /// Tidegate under a row filter and three masks.
    Governed,
}

const WAYS: [Way; 5] = [Way::DuckDb, Way::DataFusion, Way::Open, Way::ByHand, Way::Governed];

/// One run.
struct Run {
    /// By the engine's own clock.
    seconds: f64,
    /// From the request to its answer.
    whole: f64,
    rows: Option<u64>,
    /// The first rows, of Tidegate.
    preview: Value,
}

/// The runs of a query on one way, the first of them cold; or why there are none.
type Runs = Result<Vec<Run>, String>;

/// What a query took on each way, in the order of [`WAYS`]; none where it did not come to its end.
struct Times {
    own: [Option<f64>; WAYS.len()],
    whole: [Option<f64>; WAYS.len()],
}

/// The sources of somebody, and who that is.
struct Side {
    who: Analyst,
    sources: Vec<u64>,
}

/// The three engines.
struct Engines {
    peers: Peers,
    open: Side,
    governed: Side,
}

pub(super) fn measure(bench: &Bench) -> Result<Vec<Row>> {
    let python = bench.python.as_deref().ok_or("needs --python, which scripts/bench gives")?;
    let folder = bench.work.join("tpch");
    progress(&format!("making TPC-H data of scale factor {}", bench.scale));
    tpch::generate(python, bench.scale, &folder)?;
    let server = start(&bench.seeded("governed", SQLITE, LOW_COST, FEW)?, ROOM)?;
    let analysts = Analyst::several(server.address, 2)?;
    let [open, governed] = analysts.try_into().map_err(|_| "two people")?;
    progress("uploading it twice");
    let (open, governed) = (side(open, &folder)?, side(governed, &folder)?);
    make_policies(&governed)?;
    let (idle, _) = server.memory()?;
    let mut engines = Engines { peers: Peers::start(python, &folder)?, open, governed };
    let mut outcome = Outcome { times: Vec::new(), wrong: Vec::new() };
    for (place, query) in tpch::queries().iter().enumerate() {
        progress(&format!("query {}", place + 1));
        outcome.times.push(engines.times(place + 1, query, &mut outcome.wrong));
    }
    let (after, most) = server.memory()?;
    let against = |name: &str, other: Way| {
        let version = engines.peers.versions.pointer(&format!("/versions/{name}")).and_then(Value::as_str);
        let version = version.unwrap_or("of no version");
        outcome.row(format!("TPC-H SF{}, no policy, of {name} {version}", bench.scale), Way::Open, other)
    };
    let governed = format!("TPC-H SF{}, row filter and three masks, of the same by hand", bench.scale);
    let requests = |work: &str, one: Way, other: Way| {
        Row::new(format!("whole requests, {work}"), STORE, outcome.ratio(whole, one, other), "x")
    };
    Ok(vec![
        against("DuckDB", Way::DuckDb).budget(Budget::AtMost(1.0)),
        against("DataFusion", Way::DataFusion).budget(Budget::AtMost(1.03)),
        outcome.row(governed, Way::Governed, Way::ByHand).budget(Budget::AtMost(1.05)),
        requests("no policy, of DuckDB", Way::Open, Way::DuckDb).note("with HTTP, history and first rows"),
        requests("row filter and three masks, of the same by hand", Way::Governed, Way::ByHand),
        Row::new("memory, after TPC-H", STORE, after, "MB")
            .note(format!("{idle:.0} MB before; at most {most:.0} MB")),
    ])
}

/// Uploads the files, each as a data source.
fn side(who: Analyst, folder: &Path) -> Result<Side> {
    let mut sources = Vec::new();
    for relation in RELATIONS {
        let content = fs::read(folder.join(format!("{relation}.parquet")))?;
        sources.push(who.file(relation, "parquet", &content)?);
    }
    Ok(Side { who, sources })
}

fn make_policies(side: &Side) -> Result<()> {
    let source = |relation: &str| {
        let place = RELATIONS.iter().position(|name| *name == relation);
        place.and_then(|place| side.sources.get(place)).copied().ok_or("no such relation")
    };
    for (name, relation, rule, config) in [
        ("Rows", "lineitem", "filter_rows", json!({ "condition": "l_shipmode <> 'FOB'" })),
        (
            "Phones",
            "customer",
            "mask_column",
            json!({ "column": "c_phone", "masking_type": "partial", "visible_prefix": 2, "visible_suffix": 0, "mask_char": "*" }),
        ),
        (
            "Balances",
            "customer",
            "mask_column",
            json!({ "column": "c_acctbal", "masking_type": "rounding", "round_to": 100 }),
        ),
        (
            "Dates",
            "orders",
            "mask_column",
            json!({ "column": "o_orderdate", "masking_type": "date_truncation", "unit": "month" }),
        ),
    ] {
        let mut config = config;
        if let Some(config) = config.as_object_mut() {
            config.insert("table".to_owned(), json!(relation));
        }
        side.who.policy(source(relation)?, name, rule, &config)?;
    }
    Ok(())
}

/// What somebody would write who had no policies.
fn by_hand(relation: &str) -> String {
    let columns = match relation {
        "lineitem" => return "(select * from lineitem where l_shipmode <> 'FOB')".to_owned(),
        // A phone number of TPC-H has 15 characters.
        "customer" => {
            "c_custkey, c_name, c_address, c_nationkey, left(c_phone, 2) || '*************' as c_phone,
             cast(round(c_acctbal / 100) * 100 as decimal(15, 2)) as c_acctbal, c_mktsegment, c_comment"
        }
        "orders" => {
            "o_orderkey, o_custkey, o_orderstatus, o_totalprice,
             cast(date_trunc('month', o_orderdate) as date) as o_orderdate, o_orderpriority, o_clerk, o_shippriority,
             o_comment"
        }
        other => return other.to_owned(),
    };
    format!("(select {columns} from {relation})")
}

impl Engines {
    /// The median times of a query. What does not come to its end, or not to the same rows as elsewhere, is told in `wrong`.
    fn times(&mut self, number: usize, query: &str, wrong: &mut Vec<(Way, String)>) -> Times {
        let plain = tpch::over(query, str::to_owned);
        let hand = tpch::over(query, by_hand);
        let mut runs: [Runs; WAYS.len()] = WAYS.map(|_| Ok(Vec::new()));
        for _ in 0..=TURNS {
            for (way, runs) in WAYS.into_iter().zip(&mut runs) {
                let sql = if way == Way::ByHand { &hand } else { &plain };
                let Ok(done) = runs else { continue };
                match self.run(way, sql) {
                    Ok(run) => done.push(run),
                    Err(error) => *runs = Err(error.to_string()),
                }
            }
        }
        for (way, runs) in WAYS.into_iter().zip(&runs) {
            if let Err(error) = runs {
                wrong.push((way, format!("query {number}, {way:?}: {error}")));
            }
        }
        for (one, other) in
            [(Way::Open, Way::DuckDb), (Way::Open, Way::DataFusion), (Way::Governed, Way::ByHand)]
        {
            if let Some(why) = difference(runs.get(one as usize), runs.get(other as usize)) {
                wrong.push((one, format!("query {number}, {one:?} and {other:?}: {why}")));
            }
        }
        Times {
            own: runs.each_ref().map(|runs| middle(runs, |run| run.seconds)),
            whole: runs.each_ref().map(|runs| middle(runs, |run| run.whole)),
        }
    }

    fn run(&mut self, way: Way, sql: &str) -> Result<Run> {
        let side = match way {
            Way::DuckDb | Way::DataFusion => {
                let engine = if way == Way::DuckDb { "DuckDB" } else { "DataFusion" };
                let ran = self.peers.run(engine, sql)?;
                let (seconds, rows) = (ran.seconds, Some(ran.rows));
                return Ok(Run { seconds, whole: seconds, rows, preview: Value::Null });
            }
            Way::Open | Way::ByHand => &self.open,
            Way::Governed => &self.governed,
        };
        let answered: Answered = side.who.query(&side.sources, sql)?;
        Ok(Run {
            seconds: answered.query_seconds()?,
            whole: answered.seconds,
            rows: answered.rows(),
            preview: answered.data.get("result_preview").cloned().unwrap_or_default(),
        })
    }
}

/// How two ways did not come to the same, if both came to their end.
fn difference(one: Option<&Runs>, other: Option<&Runs>) -> Option<&'static str> {
    let (one, other) = (one?.as_ref().ok()?.last()?, other?.as_ref().ok()?.last()?);
    if one.rows != other.rows {
        return Some("not as many rows");
    }
    let both_shown = !one.preview.is_null() && !other.preview.is_null();
    (both_shown && one.preview != other.preview).then_some("other rows")
}

/// The median of the hot runs.
fn middle(runs: &Runs, read: impl Fn(&Run) -> f64) -> Option<f64> {
    let hot: Vec<f64> = runs.as_ref().ok()?.iter().skip(1).map(read).collect();
    Some(median(hot)).filter(|seconds| *seconds > 0.0)
}

fn at(seconds: &[Option<f64>], way: Way) -> Option<f64> {
    seconds.get(way as usize).copied().flatten()
}

fn own(query: &Times, way: Way) -> Option<f64> {
    at(&query.own, way)
}

fn whole(query: &Times, way: Way) -> Option<f64> {
    at(&query.whole, way)
}

/// The times of all queries.
struct Outcome {
    times: Vec<Times>,
    /// Which way did not do what it should, and what happened.
    wrong: Vec<(Way, String)>,
}

impl Outcome {
    /// The geometric mean of the ratios of all queries. Beyond every budget where a query is missing, or its answer differs.
    fn ratio(&self, read: impl Fn(&Times, Way) -> Option<f64>, one: Way, other: Way) -> f64 {
        if self.wrong_of(one, other).next().is_some() {
            return f64::INFINITY;
        }
        let logarithm = |query: &Times| Some((read(query, one)? / read(query, other)?).ln());
        let logarithms: Vec<f64> = self.times.iter().filter_map(logarithm).collect();
        (logarithms.iter().sum::<f64>() / logarithms.len() as f64).exp()
    }

    fn wrong_of(&self, one: Way, other: Way) -> impl Iterator<Item = &str> {
        let wrong = self.wrong.iter().filter(move |(way, _)| *way == one || *way == other);
        wrong.map(|(_, what)| what.as_str())
    }

    /// What went wrong; else the sums of all queries, and the one with the largest ratio.
    fn note(&self, one: Way, other: Way) -> String {
        let wrong: Vec<&str> = self.wrong_of(one, other).collect();
        if !wrong.is_empty() {
            return wrong.join("; ");
        }
        let sum = |way: Way| self.times.iter().filter_map(|query| own(query, way)).sum::<f64>();
        let ratio = |query: &Times| Some(own(query, one)? / own(query, other)?);
        let ratios =
            self.times.iter().enumerate().filter_map(|(place, query)| Some((place + 1, ratio(query)?)));
        let (number, most) = ratios.max_by(|one, other| one.1.total_cmp(&other.1)).unwrap_or_default();
        format!("all: {:.2} s of {:.2} s; query {number}: {most:.2} x", sum(one), sum(other))
    }

    /// A row of a ratio, by the clocks of the engines.
    fn row(&self, work: String, one: Way, other: Way) -> Row {
        Row::new(work, STORE, self.ratio(own, one, other), "x").note(self.note(one, other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(open: f64, duckdb: f64) -> Times {
        let own = WAYS.map(|way| match way {
            Way::Open => Some(open),
            Way::DuckDb => Some(duckdb),
            _ => None,
        });
        Times { own, whole: own }
    }

    fn run(rows: u64, preview: Value) -> Runs {
        Ok(vec![Run { seconds: 1.0, whole: 1.0, rows: Some(rows), preview }])
    }

    #[test]
    fn a_ratio_is_a_geometric_mean_of_queries_that_are_right() {
        let mut outcome = Outcome { times: vec![times(2.0, 1.0), times(1.0, 8.0)], wrong: Vec::new() };
        assert!((outcome.ratio(own, Way::Open, Way::DuckDb) - 0.5).abs() < 1e-9);
        assert!(outcome.note(Way::Open, Way::DuckDb).ends_with("query 1: 2.00 x"));
        outcome.wrong.push((Way::Governed, "query 1".to_owned()));
        assert!(outcome.ratio(own, Way::Open, Way::DuckDb).is_finite());
        outcome.wrong.push((Way::DuckDb, "query 2".to_owned()));
        assert!(outcome.ratio(own, Way::Open, Way::DuckDb).is_infinite());
        assert_eq!(outcome.note(Way::Open, Way::DuckDb), "query 2");
    }

    #[test]
    fn answers_are_compared_as_far_as_they_are_shown() {
        let (one, other) = (run(2, json!([1, 2])), run(2, json!([1, 3])));
        assert_eq!(difference(Some(&one), Some(&other)), Some("other rows"));
        assert_eq!(difference(Some(&one), Some(&run(3, Value::Null))), Some("not as many rows"));
        assert_eq!(difference(Some(&one), Some(&run(2, Value::Null))), None);
        assert_eq!(difference(Some(&one), Some(&Err("ended".to_owned()))), None);
    }

    #[test]
    fn every_relation_under_a_policy_is_written_by_hand() {
        let governed = RELATIONS.into_iter().filter(|relation| by_hand(relation) != *relation);
        assert_eq!(governed.collect::<Vec<_>>(), ["customer", "orders", "lineitem"]);
    }
}
