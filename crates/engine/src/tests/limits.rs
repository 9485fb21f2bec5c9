//! What a query may use, and that others do not notice.

#![expect(clippy::disallowed_methods, reason = "how long queries take is measured")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use datafusion::arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use futures_util::StreamExt;
use tidegate_policy::Resolved;

use super::fixture::{self, Caller, Fixture};
use super::{People, ask, engine, options, request, rows};
use crate::{
    Code, Concurrency, Decision, Decisions, Engine, GovernedRelation, InMemory, Limits, Options, Progress,
    QueryError, Request,
};

/// A query on `emp(id, t)` of so many rows, without a policy.
pub(super) fn big(count: i64, sql: &str, limits: Limits) -> Request {
    // Each batch has memory of its own: slices of one are counted as often as there are slices.
    let batch = |from: i64| {
        let until = (from + 8_192).min(count);
        let ids: ArrayRef = Arc::new((from..until).collect::<Int64Array>());
        let texts = (from..until).map(|id| Some(format!("text {}", id * 7_919 % 10_007)));
        let texts: ArrayRef = Arc::new(texts.collect::<StringArray>());
        RecordBatch::try_from_iter([("id", ids), ("t", texts)]).unwrap()
    };
    let batches: Vec<_> = (0..count).step_by(8_192).map(batch).collect();
    let rows = InMemory::new(batches[0].schema(), batches);
    let emp = GovernedRelation {
        rows: Arc::new(rows),
        resolved: Arc::new(Resolved::open()),
        hash: Arc::new(fixture::hash),
    };
    let mut request = request(&fixture::memory(), Caller::Eu, sql);
    request.relations = Arc::new(People { secret: emp.clone(), emp });
    request.limits = limits;
    request
}

pub(super) async fn run(engine: &Engine, request: Request) -> Result<Vec<RecordBatch>, QueryError> {
    engine.query(request).await?.collect().await
}

pub(super) fn seconds(seconds: u64) -> Limits {
    Limits { time: Duration::from_secs(seconds), ..Limits::default() }
}

/// Waits until nothing runs any more.
pub(super) async fn quiet(engine: &Engine) {
    for _ in 0..600 {
        if engine.load().running == 0 && engine.load().memory_bytes == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("still running: {:?}", engine.load());
}

#[tokio::test]
async fn a_join_of_everything_with_everything_ends_and_others_are_served() {
    let engine = Engine::new(Options {
        concurrency: Concurrency { server: 8, organization: 8, person: 8, ..Concurrency::default() },
        ..options()
    });
    for sql in [
        "select count(*) from emp a, emp b, emp c, emp d, emp e",
        "select count(*) from emp a, emp b, emp c where a.id + b.id + c.id < -1",
        "select count(*) from emp a join emp b on a.id + b.id < 100000000 join emp c on a.t < c.t || b.t",
        "select a.id from emp a, emp b, emp c, emp d order by a.id + d.id limit 3",
        "select count(*) from emp a join emp b on a.id % 1 = b.id % 1 join emp c on a.id % 1 = c.id % 1",
    ] {
        let began = Instant::now();
        let heavy = tokio::spawn({
            let engine = engine.clone();
            async move { run(&engine, big(3_000, sql, seconds(2))).await }
        });
        let mut served = 0;
        while !heavy.is_finished() {
            let light = run(&engine, big(10, "select count(*) from emp", seconds(5))).await;
            assert_eq!(rows(&light.unwrap(), false), [["10"]]);
            served += 1;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let error = heavy.await.unwrap().unwrap_err();
        assert!(matches!(error.code, Code::LimitTime | Code::LimitMemory), "{sql}: {error:?}");
        assert!(began.elapsed() < Duration::from_secs(10), "{sql}: {:?}", began.elapsed());
        if error.code == Code::LimitTime {
            assert!(served >= 3, "{sql}: {served} served");
        }
    }
    quiet(&engine).await;
}

#[tokio::test]
async fn recursion_without_an_end_ends() {
    let engine = engine();
    for sql in [
        "with recursive r(n) as (select 1 union all select n + 1 from r) select * from r",
        "with recursive r(n) as (select 1 union all select n + 1 from r) select count(*) from r",
    ] {
        let began = Instant::now();
        let error = run(&engine, big(10, sql, seconds(2))).await.unwrap_err();
        assert!(
            matches!(
                error.code,
                Code::LimitTime | Code::LimitRows | Code::LimitMemory | Code::StatementNotAllowed
            ),
            "{sql}: {error:?}"
        );
        assert!(began.elapsed() < Duration::from_secs(6), "{sql}: {:?}", began.elapsed());
    }
    quiet(&engine).await;
}

#[tokio::test]
async fn a_query_over_its_memory_ends_alone() {
    let engine = engine();
    let small = Limits { memory_bytes: 4 << 20, time: Duration::from_secs(30), ..Limits::default() };
    for sql in [
        "select array_agg(a.t) from emp a, emp b",
        "select count(distinct a.id * 100000 + b.id) from emp a, emp b where b.id < 100",
        "select a.t, count(*) from emp a join emp b on a.id % 10 = b.id group by a.t, a.id order by 2",
    ] {
        let answer = run(&engine, big(50_000, sql, small)).await;
        if let Err(error) = answer {
            assert_eq!(error.code, Code::LimitMemory, "{sql}: {error:?}");
        }
        let other = run(&engine, big(10, "select count(*) from emp", small)).await;
        assert_eq!(rows(&other.unwrap(), false), [["10"]]);
    }
    let error =
        run(&engine, big(50_000, "select array_agg(a.t) from emp a, emp b", small)).await.unwrap_err();
    assert_eq!(error.code, Code::LimitMemory);
    quiet(&engine).await;
}

#[tokio::test]
async fn functions_that_make_much_out_of_little_are_bounded() {
    let (engine, fixture) = (engine(), fixture::memory());
    let mut nested =
        "(select t || t || t || t || t || t || t || t x from (select 'aaaaaaaaaaaaaaaa' t) a0)".to_owned();
    for level in 1..12 {
        nested = format!("(select x || x || x || x || x || x || x || x x from {nested} a{level})");
    }
    let nested = format!("select length(x) from {nested} z");
    for sql in [
        "select length(repeat('x', 1000000000))",
        "select length(repeat(dept, 1000000000)) from emp",
        "select length(lpad('x', 2000000000, 'y'))",
        "select length(rpad(dept, 2000000000, 'y')) from emp",
        "select array_length(range(1000000000))",
        "select array_length(range(1, 9000000000000000000, 1))",
        "select array_length(generate_series(1, 1000000000))",
        "select array_length(generate_series(timestamp '2000-01-01', timestamp '2020-01-01', interval '1 second'))",
        "select array_length(array_repeat(1, 1000000000))",
        "select array_length(array_repeat(repeat('x', 1000), 1000000))",
        "select array_length(array_resize([1], 1000000000, 0))",
        "select length(replace(repeat('a', 1000000), 'a', repeat('b', 1000000)))",
        "select length(regexp_replace(repeat('a', 1000000), 'a', repeat('b', 1000000), 'g'))",
        "select count(*) from generate_series(1, 1000000000000)",
        "select count(*) from range(1000000000000)",
        &nested,
    ] {
        let error = ask(&engine, &fixture, Caller::Eu, sql).await.unwrap_err();
        assert_eq!(error.code, Code::LimitMemory, "{sql}: {error:?}");
    }
    for (sql, answer) in [
        ("select length(repeat('ab', 1000))", "2000"),
        ("select lpad('x', 3, 'ab')", "abx"),
        ("select array_length(range(1000))", "1000"),
        ("select array_length(array_repeat(1, 5))", "5"),
        ("select replace('aXa', 'X', 'b')", "aba"),
        ("select 'a' || 'b' || 1", "ab1"),
        ("select ('a' || null) is null", "true"),
        ("select array_to_string([1] || [2], ',')", "1,2"),
        ("select count(*) from generate_series(1, 1000)", "1000"),
        (
            "select array_length(generate_series(date '2024-01-01', date '2024-02-01', interval '1 day'))",
            "32",
        ),
    ] {
        let answered = ask(&engine, &fixture, Caller::Eu, sql).await;
        assert_eq!(rows(&answered.unwrap(), false), [[answer]], "{sql}");
    }
}

#[tokio::test]
async fn sizes_are_looked_at_before_anything_recurses() {
    let (engine, fixture) = (engine(), fixture::memory());
    let many = |count: usize, part: &str, between: &str| vec![part; count].join(between);
    let mut doubled = "with c0 as (select 1 x)".to_owned();
    for level in 1..40 {
        doubled += &format!(", c{level} as (select a.* from c{} a, c{} b)", level - 1, level - 1);
    }
    doubled += " select * from c39";
    for sql in [
        format!("select 1 where {}", many(3_000, "1 = 1", " and ")),
        format!("select 1 where {}", many(5_000, "1 = 1", " or ")),
        format!("select {}", many(100_000, "1", " + ")),
        format!("select {}1", "- ".repeat(100_000)),
        format!("select {} true", "not ".repeat(100_000)),
        format!("select {}1{}", "(".repeat(100_000), ")".repeat(100_000)),
        format!("select {}1{}", "(".repeat(50), ")".repeat(50)),
        format!("select {}", many(10_000, "1", ", ")),
        format!("select 1 where 1 in ({})", many(100_000, "1", ", ")),
        format!("select [{}]", many(10_000, "1", ", ")),
        many(1_000, "select 1", " union all "),
        many(1_000, "select 1", " intersect "),
        format!("select 1 from {}", many(500, "emp", ", ")),
        format!("select 1 from {}", many(500, "emp", " cross join ")),
        format!("select {}1{}", "case when true then ".repeat(2_000), " end".repeat(2_000)),
        format!("select a{}", ".a".repeat(1_000)),
        format!("select 1{}", "::int".repeat(5_000)),
        format!("select [1]{}", "[1]".repeat(5_000)),
        format!("select '{}'", "x".repeat(300_000)),
        format!("select {} 1", "interval ".repeat(5_000)),
        format!("values {}", many(100_000, "(1)", ", ")),
        format!("select 1 --{}", " \n".repeat(200_000)),
        format!("select {}1{}", "upper(".repeat(5_000), ")".repeat(5_000)),
        format!("select {}1{}", "exists (select ".repeat(5_000), ")".repeat(5_000)),
        doubled,
    ] {
        let began = Instant::now();
        let error = ask(&engine, &fixture, Caller::Eu, &sql).await.unwrap_err();
        let start: String = sql.chars().take(60).collect();
        assert!(matches!(error.code, Code::LimitMemory | Code::Syntax), "{start}: {error:?}");
        assert!(began.elapsed() < Duration::from_secs(3), "{start}: {:?}", began.elapsed());
    }
}

#[tokio::test]
async fn what_is_just_not_too_big_is_planned() {
    let (engine, fixture) = (engine(), fixture::memory());
    let many = |count: usize, part: &str, between: &str| vec![part; count].join(between);
    let conditions: Vec<String> = (0..240).map(|number| format!("id <> {}", 1_000 + number)).collect();
    let parts: Vec<String> = (0..150).map(|number| format!("cast(id as varchar) like '{number}%'")).collect();
    for sql in [
        format!("select count(*) from emp where {}", conditions.join(" and ")),
        format!("select count(*) from emp where {}", conditions.join(" or ")),
        format!("select count(*) from emp where {}", parts.join(" or ")),
        format!("select {} from emp", many(480, "id", " + ")),
        format!(
            "select {} from emp",
            (0..990).map(|n| format!("id + {n} c{n}")).collect::<Vec<_>>().join(", ")
        ),
        format!(
            "select count(*) from emp where id in ({})",
            (0..1_900).map(|n| n.to_string()).collect::<Vec<_>>().join(", ")
        ),
        many(40, "select id from emp", " union all "),
        format!("select {}id{} from emp", "(".repeat(30), ")".repeat(30)),
        format!("select {}id{} from emp", "abs(".repeat(30), ")".repeat(30)),
    ] {
        let began = Instant::now();
        let start: String = sql.chars().take(60).collect();
        let answer = ask(&engine, &fixture, Caller::Eu, &sql).await;
        assert!(answer.is_ok(), "{start}: {answer:?}");
        assert!(began.elapsed() < Duration::from_secs(20), "{start}: {:?}", began.elapsed());
    }
}

#[tokio::test]
async fn expressions_that_explode_elsewhere_are_linear_here() {
    let engine = engine();
    for sql in [
        "select count(*) from emp where regexp_like(repeat('a', 20000), '^(a+)+$')",
        "select count(*) from emp where regexp_like(t, '((((x{50}){50}){50}){50})')",
        "select count(*) from emp where t similar to '(((a*)*)*)*b'",
    ] {
        let began = Instant::now();
        let answer = run(&engine, big(100, sql, seconds(5))).await;
        assert!(began.elapsed() < Duration::from_secs(8), "{sql}: {:?} {answer:?}", began.elapsed());
    }
}

#[tokio::test]
async fn rows_over_the_limit_are_an_error_or_cut() {
    let (engine, fixture) = (engine(), fixture::memory());
    let mut few = request(&fixture, Caller::Eu, "select id from emp");
    few.limits.rows = 5;
    let error = run(&engine, few.clone()).await.unwrap_err();
    let told = "The answer has more rows than the 5 that you may have: add LIMIT, or group.";
    assert_eq!((error.code, error.message.as_str()), (Code::LimitRows, told));
    few.limits.cut = true;
    let mut answer = engine.query(few).await.unwrap();
    let mut count = 0;
    while let Some(batch) = answer.next().await {
        count += batch.unwrap().num_rows();
    }
    assert_eq!((count, answer.is_cut()), (5, true));
    let mut exact = request(&fixture, Caller::Eu, "select id from emp");
    exact.limits.rows = 8;
    let answer = run(&engine, exact).await.unwrap();
    assert_eq!(rows(&answer, true).len(), 8);
}

#[tokio::test]
async fn the_policies_limits_hold() {
    let (engine, fixture) = (engine(), fixture::memory());
    let mut emp = fixture.governed(Caller::Eu);
    let mut resolved = (*emp.resolved).clone();
    let limit = |value| Some(tidegate_policy::Limited { value, policy: fixture::POLICY, rule: 1 });
    resolved.limits.max_rows = limit(3);
    resolved.limits.max_execution_time_seconds = limit(1);
    emp.resolved = Arc::new(resolved);
    let relations = Arc::new(People { secret: emp.clone(), emp });
    let mut query = request(&fixture, Caller::Eu, "select id from emp");
    query.relations = Arc::clone(&relations) as _;
    assert_eq!(run(&engine, query.clone()).await.unwrap_err().code, Code::LimitRows);
    query.sql = "select count(*) from emp, range(1000000) a, range(1000000) b, range(1000000) c".to_owned();
    let began = Instant::now();
    assert_eq!(run(&engine, query).await.unwrap_err().code, Code::LimitTime);
    assert!(began.elapsed() < Duration::from_secs(4));
}

fn narrow() -> Engine {
    let concurrency = Concurrency { server: 2, organization: 2, person: 1, waiting: 3, waiting_of_person: 2 };
    Engine::new(Options { concurrency, ..options() })
}

fn endless(limits: Limits) -> Request {
    big(3_000, "select count(*) from emp a, emp b, emp c, emp d", limits)
}

#[tokio::test]
async fn queries_wait_for_a_place_and_are_told() {
    let engine = narrow();
    let first = engine.query(endless(seconds(30))).await.unwrap();
    let seen = Arc::new(std::sync::Mutex::new(Vec::new()));
    let mut second = big(10, "select count(*) from emp", seconds(30));
    let told = Arc::clone(&seen);
    second.progress = Some(Arc::new(move |progress| told.lock().unwrap().push(progress)));
    let second = tokio::spawn({
        let engine = engine.clone();
        async move { run(&engine, second).await }
    });
    while engine.load().waiting == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // Another person of the same organization is not held up.
    let mut other = big(10, "select count(*) from emp", seconds(30));
    other.person.id = "bob".to_owned();
    assert!(run(&engine, other).await.is_ok());
    assert!(!second.is_finished());
    drop(first);
    assert!(second.await.unwrap().is_ok());
    assert_eq!(
        *seen.lock().unwrap(),
        [Progress::Waiting { before: 0 }, Progress::Planning, Progress::Running]
    );
    quiet(&engine).await;
}

#[tokio::test]
async fn too_many_that_wait_are_refused_and_waiting_costs_time() {
    let engine = narrow();
    let first = engine.query(endless(seconds(30))).await.unwrap();
    let waiting: Vec<_> = (0..2)
        .map(|_| {
            let engine = engine.clone();
            tokio::spawn(async move { run(&engine, big(10, "select 1", seconds(1))).await })
        })
        .collect();
    while engine.load().waiting < 2 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let refused = run(&engine, big(10, "select 1", seconds(1))).await.unwrap_err();
    assert_eq!(refused.code, Code::LimitConcurrency);
    for waiting in waiting {
        assert_eq!(waiting.await.unwrap().unwrap_err().code, Code::LimitTime);
    }
    drop(first);
    assert!(run(&engine, big(10, "select 1", seconds(10))).await.is_ok());
    quiet(&engine).await;
}

// Whoever took no rows kept a place for as long as their connection lived, and a few of them all of the places.
#[tokio::test]
async fn who_takes_no_rows_keeps_no_place_beyond_the_time_of_a_query() {
    let engine = Engine::new(options());
    // More batches than wait for whoever takes them.
    let mut answer = engine.query(big(400_000, "select id from emp", seconds(4))).await.unwrap();
    quiet(&engine).await;
    let ended = answer.next().await.unwrap().unwrap_err();
    assert_eq!(ended.code, Code::LimitTime, "and not as if that were all");
    assert!(answer.next().await.is_none());
}

#[tokio::test]
async fn a_query_is_cancelled_wherever_it_is() {
    let engine = narrow();
    let running = endless(seconds(30));
    let cancel = running.cancel.clone();
    let answer = tokio::spawn({
        let engine = engine.clone();
        async move { run(&engine, running).await }
    });
    while engine.load().running == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let waiting = big(10, "select 1", seconds(30));
    let other = waiting.cancel.clone();
    let waiting = tokio::spawn({
        let engine = engine.clone();
        async move { run(&engine, waiting).await }
    });
    while engine.load().waiting == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    other.cancel();
    assert_eq!(waiting.await.unwrap().unwrap_err().code, Code::Cancelled);
    cancel.cancel();
    assert_eq!(answer.await.unwrap().unwrap_err().code, Code::Cancelled);
    assert!(cancel.is_cancelled());
    let before = big(10, "select 1", seconds(30));
    before.cancel.cancel();
    assert_eq!(run(&engine, before).await.unwrap_err().code, Code::Cancelled);
    quiet(&engine).await;
}

#[derive(Default)]
pub(super) struct Kept(pub(super) std::sync::Mutex<Vec<Decision>>);

impl Decisions for Kept {
    fn keep(&self, decisions: Vec<Decision>) {
        self.0.lock().unwrap().extend(decisions);
    }
}

#[tokio::test]
async fn what_was_decided_is_kept_for_each_relation() {
    let engine = engine();
    let fixture: Fixture = fixture::parquet(true).await;
    let kept = Arc::new(Kept::default());
    let mut query = request(&fixture, Caller::Eu, "select ssn, id from emp where dept = 'lab'");
    query.decisions = Some(Arc::clone(&kept) as _);
    let answer = engine.query(query.clone()).await.unwrap();
    assert_eq!(answer.masked, [(crate::RelationName::new("hr", None, "emp"), "ssn".to_owned())]);
    assert_eq!(rows(&answer.collect().await.unwrap(), true).len(), 2);
    quiet(&engine).await;
    // One that fails has its records, too.
    query.sql = "select cast(dept as int) from emp".to_owned();
    assert!(run(&engine, query.clone()).await.is_err());
    quiet(&engine).await;
    query.sql = "select nothing from emp".to_owned();
    assert!(run(&engine, query).await.is_err());
    quiet(&engine).await;
    let kept = kept.0.lock().unwrap();
    assert_eq!(kept.len(), 3);
    assert_eq!(
        (kept[0].rows, kept[0].scans, kept[0].masked.as_slice()),
        (2, 1, ["ssn".to_owned()].as_slice())
    );
    assert_eq!(kept[0].policies[0].0, fixture::POLICY);
    assert_eq!((kept[2].rows, kept[2].scans), (0, 0));
}

#[tokio::test]
async fn what_was_left_to_a_source_is_kept_without_values() {
    let engine = engine();
    let fixture: Fixture = fixture::sqlite().await;
    let kept = Arc::new(Kept::default());
    let mut query =
        request(&fixture, Caller::Eu, "select dept from emp where id > 4711 and upper(dept) = 'LAB'");
    query.decisions = Some(Arc::clone(&kept) as _);
    assert!(run(&engine, query).await.is_ok());
    quiet(&engine).await;
    let kept = kept.0.lock().unwrap();
    let [pushed] = kept[0].pushed.as_slice() else { panic!("{:?}", kept[0].pushed) };
    assert_eq!(pushed.columns, ["id", "region", "dept"]);
    assert!(pushed.filters.contains(&"id > ?".to_owned()), "{pushed:?}");
    assert!(!format!("{pushed:?}").contains("4711"), "{pushed:?}");
    assert_eq!(pushed.limit, None, "rows are taken away above it");
}

#[tokio::test]
async fn a_join_reads_what_its_other_side_has_unless_that_is_compared_with_a_mask() {
    let engine = engine();
    let fixture: Fixture = fixture::parquet(true).await;
    for (sql, crossed) in [
        ("select e.id from (values (3)) v(n) join emp e on e.id = v.n", 1),
        ("select e.id from (values ('lab')) v(n) join emp e on e.dept = v.n", 2),
        // Nothing is skipped by raw values.
        ("select e.id from (values ('*******7003')) v(n) join emp e on e.ssn = v.n", 8),
        ("select e.id from (values ('lab')) v(n) join emp e on upper(e.dept) = upper(v.n)", 8),
    ] {
        let kept = Arc::new(Kept::default());
        let mut query = request(&fixture, Caller::Eu, sql);
        query.decisions = Some(Arc::clone(&kept) as _);
        assert!(run(&engine, query).await.is_ok(), "{sql}");
        quiet(&engine).await;
        assert_eq!(kept.0.lock().unwrap()[0].rows, crossed, "{sql}");
    }
}

#[tokio::test]
async fn nothing_starts_before_the_first_query() {
    let engine = engine();
    assert!(!engine.has_started());
    assert!(run(&engine, big(10, "select 1", seconds(10))).await.is_ok());
    assert!(engine.has_started());
}
