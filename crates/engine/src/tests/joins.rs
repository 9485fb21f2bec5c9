//! Joins in memory and on the disk: the same rows, and where neither holds, the same end.

use std::path::Path;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use futures_util::StreamExt;
use tidegate_policy::Resolved;

use super::fixture::{self, Caller};
use super::limits::{quiet, run};
use super::{People, ask, attacks, engine, options, plain, request, rows, spill};
use crate::joins::Joins;
use crate::{Code, Decision, Decisions, Engine, GovernedRelation, InMemory, Limits, Options, Request};

/// Has its joins on the disk from the start.
pub(super) fn on_disk(directory: &Path) -> Engine {
    let directory = Some(directory.to_owned());
    Engine::new(Options { joins: Joins::OnDisk, spill_directory: directory, ..options() })
}

fn spilling(directory: &Path) -> Engine {
    Engine::new(Options { spill_directory: Some(directory.to_owned()), ..options() })
}

/// Every kind of join, with and without conditions besides the keys, with keys that are NULL, masked, texts, dates and structures.
const EVERY_KIND: &[&str] = &[
    "select a.id, b.id from emp a join emp b on a.dept = b.dept",
    "select a.id, b.id from emp a join emp b on a.region = b.region and a.id < b.id",
    "select a.id, b.id from emp a left join emp b on a.id = b.id + 1",
    "select a.id, b.id from emp a left join emp b on a.dept = b.dept and a.id > b.id",
    "select a.id, b.id from emp a left join emp b on a.dept = b.dept and a.dept = 'lab'",
    "select a.id, b.id from emp a right join emp b on a.dept = b.dept and a.id > b.id + 3",
    "select a.id, b.id from emp a full join emp b on a.id = b.id * 2",
    "select a.id, b.id from emp a full join emp b on a.dept = b.dept and a.id < b.id and a.note <> b.note",
    "select a.id, b.id from emp a full join emp b on a.dept = b.dept and a.id > b.id + 1000",
    "select a.id, b.id from emp a join emp b on a.region is not distinct from b.region",
    "select a.id, b.id from emp a full join emp b on a.salary is not distinct from b.salary and a.id <= b.id",
    "select a.id, b.id from emp a join emp b on a.salary = b.salary",
    "select a.id, b.id from emp a full join emp b on nullif(a.id % 3, 0) = nullif(b.id % 3, 0)",
    "select a.id, b.ssn from emp a join emp b on a.ssn = b.ssn",
    "select a.id, b.id from emp a join emp b on a.hired = b.hired and a.dept = b.dept",
    "select a.id, b.id from emp a join emp b on named_struct('x', a.dept) = named_struct('x', b.dept)",
    "select a.id, b.id from emp a join emp b on a.id * 1.5 = b.id * 1.5",
    "select a.id, b.id from emp a join emp b on a.id * -0.0 = b.id * 0.0 where a.id < b.id",
    "select id from emp a where exists (select 1 from emp b where b.id = a.id + 1)",
    "select id from emp a where exists (select 1 from emp b where b.dept = a.dept and b.id > a.id)",
    "select id from emp a where not exists (select 1 from emp b where b.id = a.id + 1)",
    "select id from emp a where not exists (select 1 from emp b where b.dept = a.dept and b.id > a.id)",
    "select id from emp a where a.id < 5 or exists (select 1 from emp b where b.dept = a.dept and b.id > a.id)",
    "select id from emp a where a.id in (select b.id + 1 from emp b)",
    "select id from emp a where a.id not in (select b.id + 1 from emp b)",
    "select id from emp a where a.salary not in (select b.salary from emp b)",
    "select a.id, (select max(b.id) from emp b where b.dept = a.dept) from emp a",
    "select a.id, b.id, c.id from emp a join emp b on a.dept = b.dept left join emp c on b.id = c.id + 1",
    "select dept, count(*) from emp a join emp b using (dept) group by dept order by dept",
    "select a.id, row_number() over (partition by a.dept order by b.id, a.id) from emp a join emp b on a.dept = b.dept",
    "select * from (select a.id x, b.id y from emp a join emp b on a.dept = b.dept order by x, y limit 4) t order by x, y",
    "select a.id from (select * from emp order by id) a join emp b on a.dept = b.dept order by a.id, b.id",
    "select a.id from emp a join emp b on a.dept = b.dept where cast(a.note as int) > 0",
    "select a.id from emp a join emp b on a.dept = b.dept and 1 / (b.id - 2) >= 0",
    "with recursive r(n) as (select 2 union all select e.id + 2 from r join emp e on e.id = r.n) select n from r",
];

#[tokio::test]
async fn both_joins_answer_alike() {
    let here = tempfile::tempdir().unwrap();
    let engine = on_disk(here.path());
    let mut found = Vec::new();
    for fixture in [fixture::memory(), fixture::parquet(true).await, fixture::csv().await] {
        for caller in Caller::UNDER_POLICY {
            let copy = plain::copy(&fixture, caller).await;
            found.extend(attacks::of(&engine, &fixture, caller, &copy, EVERY_KIND, true).await);
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
    quiet(&engine).await;
    assert_eq!(engine.load().spilled_bytes, 0);
}

/// Columns with one name in one place, where a filter that a join or a TopK makes has to find its own.
const TWINS: &[&str] = &[
    "select s.id, t.x, t.y from emp s join (select a.id x, b.id y from emp a left join emp b on a.id = b.id + 2 \
     where coalesce(b.id, 7) + a.id > 0) t on s.id = t.y where s.dept = 'lab'",
    "select s.id, t.x, t.y from (select a.id x, b.id y from emp a left join emp b on a.id = b.id + 2 \
     where coalesce(b.id, 7) + a.id > 0) t join emp s on s.id = t.y where s.dept = 'lab'",
    "select s.id, t.x, t.y from emp s join (select a.id x, b.id y from emp a left join emp b on a.id = b.id + 2 \
     group by a.id, b.id) t on s.id = t.y where s.dept = 'lab'",
    "select a.id, b.id from emp a join emp b on a.dept = b.dept and a.id <> b.id order by b.id desc, a.id limit 1",
    "select s.id, t.a from emp s join (select id a, id * 2 b from emp union all select id * 2 b, id a from emp) t on s.id = t.a \
     where s.dept = 'lab'",
    "select s.id, a.id from emp s join emp a on s.id = a.id where s.dept = 'lab' and exists \
     (select 1 from emp b where b.id = a.id + 2 and b.dept <> a.note)",
];

#[tokio::test]
async fn filters_of_joins_find_their_own_column() {
    let engine = engine();
    let mut found = Vec::new();
    for fixture in [fixture::parquet(true).await, fixture::parquet(false).await] {
        for caller in Caller::UNDER_POLICY {
            let copy = plain::copy(&fixture, caller).await;
            found.extend(attacks::of(&engine, &fixture, caller, &copy, TWINS, true).await);
        }
        // Without a policy, against a source that takes no filters.
        for sql in TWINS {
            let answer = ask(&engine, &fixture, Caller::Everybody, sql).await.unwrap();
            let wanted = ask(&engine, &fixture::memory(), Caller::Everybody, sql).await.unwrap();
            assert_eq!(rows(&answer, true), rows(&wanted, true), "{}: {sql}", fixture.name);
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// `emp(id, k, n, t)` with wide rows: two keys of five are NULL, and the others have up to three rows each.
fn wide(count: i64, bytes: usize) -> Arc<People> {
    let batch = |from: i64| {
        let ids = from..(from + 1_024).min(count);
        let keys = ids.clone().map(|id| (id % 5 > 1).then_some(id * 7 % (count / 3)));
        let texts = ids.clone().map(|id| Some(format!("{id:0bytes$}")));
        let columns: [(&str, ArrayRef); 4] = [
            ("id", Arc::new(ids.clone().collect::<Int64Array>())),
            ("k", Arc::new(keys.collect::<Int64Array>())),
            ("n", Arc::new(ids.map(|id| id * 31 % 1_009).collect::<Int64Array>())),
            ("t", Arc::new(texts.collect::<StringArray>())),
        ];
        RecordBatch::try_from_iter_with_nullable(columns.map(|(name, column)| (name, column, true))).unwrap()
    };
    let batches: Vec<RecordBatch> = (0..count).step_by(1_024).map(batch).collect();
    let emp = GovernedRelation {
        rows: Arc::new(InMemory::new(batches[0].schema(), batches)),
        resolved: Arc::new(Resolved::open()),
        hash: Arc::new(fixture::hash),
    };
    Arc::new(People { secret: emp.clone(), emp })
}

/// Some 25 MB.
fn rows_of_25_mb() -> Arc<People> {
    wide(40_000, 600)
}

const SMALL: usize = 16 << 20;
const LARGE: usize = 512 << 20;

fn asked(people: &Arc<People>, sql: &str, memory_bytes: usize) -> Request {
    let mut request = request(&fixture::memory(), Caller::Eu, sql);
    request.relations = Arc::clone(people) as _;
    request.limits = Limits { memory_bytes, ..Limits::default() };
    request
}

const SUMS: &str = "select count(*), count(a.id), count(b.id), sum(a.id), sum(b.n), max(length(a.t)), max(length(b.t)), \
     max(a.t), min(b.t) from emp a";

/// Joins whose sides are both too wide for the memory.
fn too_wide() -> Vec<String> {
    let one = "select count(*), sum(a.id), sum(a.n), max(length(a.t)) from emp a where";
    vec![
        format!("{SUMS} join emp b on a.k = b.k"),
        format!("{SUMS} join emp b on a.k = b.k and a.n < b.n"),
        format!("{SUMS} left join emp b on a.k = b.k"),
        format!("{SUMS} left join emp b on a.k = b.k and a.n < b.n"),
        format!("{SUMS} right join emp b on a.k = b.k and a.t > b.t"),
        format!("{SUMS} full join emp b on a.k = b.k"),
        format!("{SUMS} full join emp b on a.k = b.k and a.n < b.n and a.t <> b.t"),
        format!("{SUMS} join emp b on a.t = b.t"),
        format!("{one} exists (select 1 from emp b where b.k = a.k and b.t > a.t)"),
        format!("{one} not exists (select 1 from emp b where b.k = a.k and b.t > a.t)"),
        format!("{one} a.n < 7 or exists (select 1 from emp b where b.k = a.k and b.t > a.t)"),
        "select a.id, b.id, length(a.t), length(b.t) from emp a join emp b on a.k = b.k and a.n < b.n order by a.id, b.id"
            .to_owned(),
    ]
}

#[tokio::test]
async fn a_join_larger_than_its_memory_gives_what_it_gives_in_memory() {
    let here = tempfile::tempdir().unwrap();
    let (fits, without, with) = (Engine::new(options()), Engine::new(options()), spilling(here.path()));
    let people = rows_of_25_mb();
    for sql in too_wide() {
        let wanted = run(&fits, asked(&people, &sql, LARGE)).await.unwrap();
        // Not by another way: where nothing may be written it ends.
        let error = run(&without, asked(&people, &sql, SMALL)).await.unwrap_err();
        assert_eq!(error.code, Code::LimitMemory, "{sql}: {error:?}");
        let answered = run(&with, asked(&people, &sql, SMALL)).await;
        let answered = answered.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
        assert!(rows(&answered, false) == rows(&wanted, false), "{sql}");
        quiet(&with).await;
        assert_eq!(with.load().spilled_bytes, 0, "{sql}");
    }
}

#[tokio::test]
async fn streams_side_by_side_are_joined_on_the_disk() {
    let here = tempfile::tempdir().unwrap();
    let sql = format!("{SUMS} full join emp b on a.k = b.k and a.n < b.n");
    // Two streams.
    let people = wide(100_000, 600);
    let request = |memory| asked(&people, &sql, memory);
    let wanted = run(&Engine::new(options()), request(LARGE)).await.unwrap();
    let error = run(&Engine::new(options()), request(36 << 20)).await.unwrap_err();
    assert_eq!(error.code, Code::LimitMemory);
    let answered = run(&spilling(here.path()), request(36 << 20)).await.unwrap();
    assert_eq!(rows(&answered, false), rows(&wanted, false));
}

#[tokio::test]
async fn what_fits_nowhere_ends_as_before_and_others_are_served() {
    let here = tempfile::tempdir().unwrap();
    let engine = spilling(here.path());
    let (people, few) = (rows_of_25_mb(), wide(10, 4));
    for sql in [
        // One key for all.
        format!("{SUMS} join emp b on a.id / 1000000 = b.id / 1000000"),
        // Whether there is a NULL on the other side: no bucket knows.
        "select count(*), max(length(a.t)) from emp a where a.k not in (select b.n from emp b)".to_owned(),
        // Not the join.
        "select array_agg(a.t || b.t) from emp a join emp b on a.k = b.k".to_owned(),
    ] {
        let error = run(&engine, asked(&people, &sql, SMALL)).await.unwrap_err();
        assert_eq!(error.code, Code::LimitMemory, "{sql}: {error:?}");
        quiet(&engine).await;
        assert_eq!(engine.load().spilled_bytes, 0, "{sql}");
        let other = run(&engine, asked(&few, "select count(*) from emp", SMALL)).await;
        assert_eq!(rows(&other.unwrap(), false), [["10"]]);
    }
    let full = Options { spill_bytes: 4 << 20, spill_directory: Some(here.path().to_owned()), ..options() };
    let sql = format!("{SUMS} join emp b on a.k = b.k");
    let error = run(&Engine::new(full), asked(&people, &sql, SMALL)).await.unwrap_err();
    assert_eq!(error.code, Code::LimitMemory);
    assert!(error.message.contains("more disk space than it may use"), "{error:?}");
}

#[derive(Default)]
struct Kept(std::sync::Mutex<Vec<Vec<Decision>>>);

impl Decisions for Kept {
    fn keep(&self, decisions: Vec<Decision>) {
        self.0.lock().unwrap().push(decisions);
    }
}

#[tokio::test]
async fn a_query_that_was_planned_twice_is_recorded_once_with_all_that_it_read() {
    let here = tempfile::tempdir().unwrap();
    let (engine, kept) = (spilling(here.path()), Arc::new(Kept::default()));
    let mut query = asked(&rows_of_25_mb(), &format!("{SUMS} join emp b on a.k = b.k"), SMALL);
    query.decisions = Some(Arc::clone(&kept) as _);
    run(&engine, query).await.unwrap();
    quiet(&engine).await;
    let kept = kept.0.lock().unwrap();
    assert_eq!(kept.len(), 1, "one record of the query");
    let [decision] = kept[0].as_slice() else { panic!("{:?}", kept[0]) };
    assert!(decision.scans > 2, "both plans read: {}", decision.scans);
    // The second plan alone reads the 24,000 rows with a key for either side.
    assert!(decision.rows > 48_000, "{} rows", decision.rows);
}

#[tokio::test]
async fn a_query_that_is_stopped_while_it_is_planned_again_ends_and_leaves_nothing() {
    let here = tempfile::tempdir().unwrap();
    let engine = spilling(here.path());
    let query = asked(&rows_of_25_mb(), &format!("{SUMS} join emp b on a.k = b.k"), SMALL);
    let cancel = query.cancel.clone();
    let mut answer = engine.query(query).await.unwrap();
    let cancelled = async {
        // The disk is used by the second plan alone.
        while engine.load().spilled_bytes == 0 && engine.load().running > 0 {
            tokio::task::yield_now().await;
        }
        cancel.cancel();
    };
    let (end, ()) = tokio::join!(answer.next(), cancelled);
    // It may have been done before.
    if let Some(Err(error)) = end {
        assert_eq!(error.code, Code::Cancelled);
    }
    drop(answer);
    quiet(&engine).await;
    assert_eq!(engine.load().spilled_bytes, 0);
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn hidden_rows_are_in_no_bucket() {
    let here = tempfile::tempdir().unwrap();
    let engine = on_disk(here.path());
    let sql = "select a.t, b.id from emp a join emp b on a.id = b.id";
    let mut query = spill::half_hidden(sql);
    query.limits = Limits::default();
    let mut answer = engine.query(query).await.unwrap();
    answer.next().await.unwrap().unwrap();
    let held = spill::held(here.path());
    let count = |word: &[u8]| held.windows(word.len()).filter(|part| *part == word).count();
    assert!(count(b"SEEN") > 1_000, "{} bytes", held.len());
    assert_eq!(count(b"HIDDEN"), 0);
}

/// What a name of the outer query is, is decided after the inner query has been read.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_inner_query_compares_with_what_the_outer_one_has_in_the_end() {
    let directory = tempfile::tempdir().unwrap();
    let words = "select id, case when id % 2 = 0 then replace('lab', 'q', '-') else cast(id > 2 as varchar) end as v from emp";
    let numbers = "select id, case when id % 2 = 0 then 2 else id * 0.5 end as v from emp";
    for (outer, key) in [(words, "dept"), (numbers, "id")] {
        for (correlated, alone) in [
            ("exists (select 1 from emp e where e.KEY = o.v)", "o.v in (select KEY from emp)"),
            (
                "not exists (select 1 from emp e where o.v = e.KEY)",
                "(o.v in (select KEY from emp)) is not true",
            ),
            (
                "exists (select 1 from emp e where e.KEY > o.v and e.id < o.id)",
                "o.id in (select p.id from (OUTER) p join emp e on e.KEY > p.v and e.id < p.id)",
            ),
            (
                "(select count(*) from emp e where e.KEY = o.v) > 1",
                "o.v in (select KEY from emp group by 1 having count(*) > 1)",
            ),
        ] {
            let sql = |condition: &str| {
                let condition = condition.replace("OUTER", outer).replace("KEY", key);
                format!("select o.id from ({outer}) o where {condition} order by 1")
            };
            for fixture in [fixture::memory(), fixture::sqlite().await] {
                for engine in [engine(), on_disk(directory.path())] {
                    let expected = ask(&engine, &fixture, Caller::Eu, &sql(alone)).await.unwrap();
                    let found = ask(&engine, &fixture, Caller::Eu, &sql(correlated)).await;
                    let found = found.unwrap_or_else(|error| panic!("{}: {error:?}", sql(correlated)));
                    assert_eq!(rows(&found, false), rows(&expected, false), "{}", sql(correlated));
                }
            }
        }
    }
}

/// Columns of one name on both sides of a join are not mistaken for one another.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_condition_on_both_sides_of_a_join_with_itself_is_on_both() {
    let directory = tempfile::tempdir().unwrap();
    for fixture in [fixture::memory(), fixture::sqlite().await] {
        for engine in [engine(), on_disk(directory.path())] {
            let asked = async |sql: &str| {
                let found = ask(&engine, &fixture, Caller::Everybody, sql).await;
                rows(&found.unwrap_or_else(|error| panic!("{sql}: {error:?}")), false)
            };
            let found = "select b.id, a.id from emp a full join emp b on a.region = b.dept \
                where b.region like '_U%' and (a.id + b.id) is null order by 1";
            let expected = "select id, cast(null as bigint) from emp where region like '_U%' order by 1";
            let expected = asked(expected).await;
            assert!(expected.len() > 1, "{expected:?}");
            assert_eq!(asked(found).await, expected);
        }
    }
}
