//! What does not fit into memory: it is computed all the same, and nothing of it stays.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use futures_util::StreamExt;
use tidegate_policy::{ColumnType, Expr, Resolved};

use super::fixture::{self, Caller};
use super::limits::{big, quiet, run};
use super::{People, options, request, rows};
use crate::{Code, Engine, GovernedRelation, InMemory, Limits, Options, Request};

const ROWS: i64 = 200_000;

fn spilling(directory: &Path, change: impl FnOnce(&mut Options)) -> Engine {
    let mut options = Options { spill_directory: Some(directory.to_owned()), ..options() };
    change(&mut options);
    Engine::new(options)
}

/// Less than half of what sorting the rows takes.
fn small() -> Limits {
    Limits { memory_bytes: 8 << 20, ..Limits::default() }
}

fn text(id: i64) -> String {
    format!("text {}", id * 7_919 % 10_007)
}

/// The names of what is in the directory of queries.
fn there(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory.join("tidegate-spill")).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[tokio::test]
async fn a_sort_larger_than_its_memory_spills_and_leaves_nothing() {
    let here = tempfile::tempdir().unwrap();
    let engine = spilling(here.path(), |_| {});
    let mut wanted: Vec<(String, i64)> = (0..ROWS).map(|id| (text(id), id)).collect();
    wanted.sort();
    let sort = "select t, id from emp order by t, id";
    let mut answer = engine.query(big(ROWS, sort, small())).await.unwrap();
    let mut sorted = vec![answer.next().await.unwrap().unwrap()];
    assert!(engine.load().spilled_bytes > 1 << 20, "{:?}", engine.load());
    assert!(
        there(here.path()).is_empty(),
        "what is on the disk has no name, so that no end of the process leaves it"
    );
    while let Some(batch) = answer.next().await {
        sorted.push(batch.unwrap());
    }
    let sorted = rows(&sorted, false);
    let wanted: Vec<Vec<String>> = wanted.into_iter().map(|(text, id)| vec![text, id.to_string()]).collect();
    assert!(sorted == wanted, "{} of {ROWS} rows", sorted.len());
    drop(answer);
    quiet(&engine).await;
    assert_eq!(engine.load().spilled_bytes, 0);
    assert!(there(here.path()).is_empty());
    // It does not fit: where nothing may spill, it ends.
    let error = run(&Engine::new(options()), big(ROWS, sort, small())).await.unwrap_err();
    assert_eq!(error.code, Code::LimitMemory);
}

#[tokio::test]
async fn groups_and_windows_spill() {
    let here = tempfile::tempdir().unwrap();
    let engine = spilling(here.path(), |_| {});
    for (sql, answer) in [
        (
            "select count(*), min(c), max(c) from (select id, t, count(*) c from emp group by id, t)",
            "200000,1,1",
        ),
        ("select count(distinct id) from emp", "200000"),
        (
            "select count(*), sum(n) from (select row_number() over (partition by t order by id) n, id from emp)",
            "200000,2098670",
        ),
        ("select max(n) from (select row_number() over (order by t desc, id) n from emp)", "200000"),
        ("select count(*) from (select id from emp union select id + 100000 from emp)", "300000"),
    ] {
        let answered = run(&engine, big(ROWS, sql, small())).await;
        assert_eq!(rows(&answered.unwrap(), false).concat().join(","), answer, "{sql}");
        quiet(&engine).await;
        assert_eq!(engine.load().spilled_bytes, 0, "{sql}");
    }
    assert!(there(here.path()).is_empty());
}

#[tokio::test]
async fn a_join_without_keys_answers_right_or_not_at_all() {
    // More than its memory, which is of two streams.
    const WIDE: i64 = 45 * 1_024;
    let batch = |from: i64| {
        let ids: ArrayRef = Arc::new((from..from + 1_024).collect::<Int64Array>());
        let texts = (from..from + 1_024).map(|id| Some(format!("{id:01000}")));
        let texts: ArrayRef = Arc::new(texts.collect::<StringArray>());
        RecordBatch::try_from_iter([("id", ids), ("t", texts)]).unwrap()
    };
    let batches: Vec<RecordBatch> = (0..45).map(|number| batch(number * 1_024)).collect();
    let emp = GovernedRelation {
        rows: Arc::new(InMemory::new(batches[0].schema(), batches)),
        resolved: Arc::new(Resolved::open()),
        hash: Arc::new(fixture::hash),
    };
    let relations = Arc::new(People { secret: emp.clone(), emp });
    let here = tempfile::tempdir().unwrap();
    let engine = spilling(here.path(), |_| {});
    let partners = |id: i64| [100, 20_000].into_iter().filter(|other| id > *other).count();
    let matched: usize = (0..WIDE).map(partners).sum();
    let with: usize = (0..WIDE).filter(|id| partners(*id) > 0).count();
    let all = usize::try_from(WIDE).unwrap();
    let few = "(select id from emp where id = 100 or id = 20000)";
    for (sql, answer) in [
        (
            format!(
                "select count(*), count(b.id), max(length(a.t)) from emp a left join {few} b on a.id > b.id"
            ),
            format!("{},{matched},1000", matched + all - with),
        ),
        (
            format!(
                "select count(*), max(length(a.t)) from emp a where exists (select 1 from {few} b where a.id > b.id)"
            ),
            format!("{with},1000"),
        ),
        (
            format!(
                "select count(*), max(length(a.t)) from emp a where not exists (select 1 from {few} b where a.id > b.id)"
            ),
            format!("{},1000", all - with),
        ),
        (
            format!(
                "select count(*), count(b.id), max(length(a.t)) from emp a full join {few} b on a.id > b.id"
            ),
            format!("{},{matched},1000", matched + all - with),
        ),
    ] {
        let mut query = request(&fixture::memory(), Caller::Eu, &sql);
        query.relations = Arc::clone(&relations) as _;
        query.limits = Limits { memory_bytes: 32 << 20, ..Limits::default() };
        // Which side has to fit is the planner's choice.
        match run(&engine, query.clone()).await {
            Ok(answered) => assert_eq!(rows(&answered, false).concat().join(","), answer, "{sql}"),
            Err(error) => assert_eq!(error.code, Code::LimitMemory, "{sql}: {error:?}"),
        }
        query.limits = Limits { memory_bytes: 256 << 20, ..Limits::default() };
        let fits = run(&engine, query).await;
        assert_eq!(rows(&fits.unwrap(), false).concat().join(","), answer, "{sql}");
        quiet(&engine).await;
        assert_eq!(engine.load().spilled_bytes, 0, "{sql}");
    }
}

#[tokio::test]
async fn a_query_over_its_disk_space_ends_alone_and_says_so() {
    let here = tempfile::tempdir().unwrap();
    let sort = "select t, id from emp order by t, id";
    for (engine, said) in [
        (spilling(here.path(), |options| options.spill_bytes = 1 << 20), "more disk space than it may use"),
        (
            spilling(here.path(), |options| options.spill_bytes_of_all = 1 << 20),
            "all the disk space that there is",
        ),
    ] {
        let error = run(&engine, big(ROWS, sort, small())).await.unwrap_err();
        assert_eq!(error.code, Code::LimitMemory, "{error:?}");
        assert!(error.message.contains(said), "{error:?}");
        quiet(&engine).await;
        assert_eq!(engine.load().spilled_bytes, 0);
        assert!(there(here.path()).is_empty());
        let other = run(&engine, big(10, "select count(*) from emp", small())).await;
        assert_eq!(rows(&other.unwrap(), false), [["10"]]);
    }
}

#[tokio::test]
async fn a_query_that_is_dropped_or_cancelled_leaves_nothing() {
    let here = tempfile::tempdir().unwrap();
    let engine = spilling(here.path(), |_| {});
    let sort = || big(ROWS, "select t, id from emp order by t, id", small());
    let mut answer = engine.query(sort()).await.unwrap();
    answer.next().await.unwrap().unwrap();
    assert!(engine.load().spilled_bytes > 0);
    drop(answer);
    quiet(&engine).await;
    assert_eq!(engine.load().spilled_bytes, 0);
    let request = sort();
    let cancel = request.cancel.clone();
    let mut answer = engine.query(request).await.unwrap();
    answer.next().await.unwrap().unwrap();
    cancel.cancel();
    while let Some(batch) = answer.next().await {
        if let Err(error) = batch {
            assert_eq!(error.code, Code::Cancelled);
        }
    }
    quiet(&engine).await;
    assert_eq!(engine.load().spilled_bytes, 0);
}

/// `emp(id, t)`, of which every other row is hidden, and says so.
pub(super) fn half_hidden(sql: &str) -> Request {
    let batch = |from: i64| {
        let ids: ArrayRef = Arc::new((from..from + 8_192).collect::<Int64Array>());
        let shown = |id: i64| if id % 2 == 0 { format!("SEEN {id}") } else { format!("HIDDEN {id}") };
        let texts: ArrayRef =
            Arc::new((from..from + 8_192).map(|id| Some(shown(id))).collect::<StringArray>());
        RecordBatch::try_from_iter([("id", ids), ("t", texts)]).unwrap()
    };
    let batches: Vec<RecordBatch> = (0..60).map(|number| batch(number * 8_192)).collect();
    let mut resolved = Resolved::open();
    resolved.filter = Some(Expr::Like {
        value: Box::new(Expr::Column { name: "t".into(), kind: ColumnType::Text }),
        pattern: "SEEN%".into(),
        negated: false,
    });
    let emp = GovernedRelation {
        rows: Arc::new(InMemory::new(batches[0].schema(), batches)),
        resolved: Arc::new(resolved),
        hash: Arc::new(fixture::hash),
    };
    let mut request = request(&fixture::memory(), Caller::Eu, sql);
    request.relations = Arc::new(People { secret: emp.clone(), emp });
    request.limits = small();
    request
}

/// What files without a name in that directory hold, by the handles that this process has.
#[cfg(target_os = "linux")]
pub(super) fn held(directory: &Path) -> Vec<u8> {
    let directory = directory.canonicalize().unwrap();
    let handles = fs::read_dir("/proc/self/fd").unwrap().flatten().map(|entry| entry.path());
    let of_queries =
        |handle: &std::path::PathBuf| fs::read_link(handle).is_ok_and(|to| to.starts_with(&directory));
    handles.filter(of_queries).flat_map(|handle| fs::read(handle).unwrap_or_default()).collect()
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn hidden_rows_are_never_on_the_disk() {
    let here = tempfile::tempdir().unwrap();
    let engine = spilling(here.path(), |_| {});
    let mut answer = engine.query(half_hidden("select t, id from emp order by t, id")).await.unwrap();
    answer.next().await.unwrap().unwrap();
    let held = held(here.path());
    let count = |word: &[u8]| held.windows(word.len()).filter(|part| *part == word).count();
    assert!(count(b"SEEN") > 1_000, "{} bytes", held.len());
    assert_eq!(count(b"HIDDEN"), 0);
}

#[test]
fn a_start_removes_what_another_process_left_and_nothing_else() {
    let here = tempfile::tempdir().unwrap();
    let engine = spilling(here.path(), |_| {});
    engine.prepare_spilling().unwrap();
    let own = here.path().join("tidegate-spill");
    let mode = || fs::metadata(&own).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(), 0o700);
    fs::write(here.path().join("kept"), "of the operator").unwrap();
    fs::write(own.join(".tmp1234"), "rows").unwrap();
    fs::create_dir_all(own.join("datafusion-1/2")).unwrap();
    fs::write(own.join("datafusion-1/2/.tmp5"), "rows").unwrap();
    symlink(here.path().join("kept"), own.join("link")).unwrap();
    fs::set_permissions(&own, fs::Permissions::from_mode(0o755)).unwrap();
    engine.prepare_spilling().unwrap();
    assert!(there(here.path()).is_empty());
    assert_eq!(mode(), 0o700);
    assert_eq!(fs::read_to_string(here.path().join("kept")).unwrap(), "of the operator");
}

#[tokio::test]
async fn a_directory_that_cannot_be_used_is_told_at_the_start_and_ends_only_what_spills() {
    let here = tempfile::tempdir().unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    symlink(elsewhere.path(), here.path().join("tidegate-spill")).unwrap();
    fs::write(elsewhere.path().join("kept"), "of somebody else").unwrap();
    let engine = spilling(here.path(), |_| {});
    assert!(engine.prepare_spilling().is_err(), "a link is not followed");
    assert!(elsewhere.path().join("kept").exists());
    let fits = run(&engine, big(10, "select count(*) from emp", small())).await;
    assert_eq!(rows(&fits.unwrap(), false), [["10"]]);
    let error = run(&engine, big(ROWS, "select t, id from emp order by t, id", small())).await.unwrap_err();
    assert_eq!(error.code, Code::LimitMemory);
    assert!(error.message.contains("is full or cannot be used at the moment"), "{error:?}");
    quiet(&engine).await;
}
