//! The first rows in an order: which of them a source chooses, that no others cross the barrier then, and that the answer is the one that the
//! engine finds by itself.

use std::sync::Arc;

use super::fixture::{self, Caller, Fixture};
use super::limits::{Kept, quiet, run};
use super::{Engine, ask, engine, request, rows};
use crate::Pushed;

/// The answer, what was left to the source, and how many rows crossed.
async fn asked(
    engine: &Engine,
    fixture: &Fixture,
    caller: Caller,
    sql: &str,
) -> (Vec<Vec<String>>, Pushed, u64) {
    let kept = Arc::new(Kept::default());
    let mut query = request(fixture, caller, sql);
    query.decisions = Some(Arc::clone(&kept) as _);
    let answer = run(engine, query).await;
    let answer = rows(&answer.unwrap_or_else(|error| panic!("{caller:?}: {sql}: {error:?}")), false);
    quiet(engine).await;
    let kept = kept.0.lock().unwrap();
    (answer, kept[0].pushed[0].clone(), kept[0].rows)
}

/// What the engine answers without anybody's help.
async fn alone(engine: &Engine, caller: Caller, sql: &str) -> Vec<Vec<String>> {
    rows(&ask(engine, &fixture::memory(), caller, sql).await.unwrap(), false)
}

#[tokio::test]
async fn a_source_sends_the_first_rows_and_no_others_with_a_policy_and_without() {
    let (engine, fixture) = (engine(), fixture::sqlite().await);
    for (sql, order, limit) in [
        ("select id, dept from emp order by id desc limit 3", &["id desc"][..], 3),
        ("select id from emp order by dept, id limit 2", &["dept asc", "id asc"], 2),
        ("select note, ssn from emp order by note desc limit 2", &["note desc"], 2),
        ("select id from emp order by region desc nulls last, id limit 4", &["region desc", "id asc"], 4),
        ("select id from emp order by region desc, id desc limit 4", &["region desc", "id desc"], 4),
        ("select id from emp order by region, id limit 3 offset 2", &["region asc", "id asc"], 5),
        (
            "select id from emp where id > 3 and dept <> 'it' order by note, id limit 2",
            &["note asc", "id asc"],
            2,
        ),
        ("select id from emp where note is not null order by note desc limit 1", &["note desc"], 1),
        ("select id as n, 'x' from emp order by n limit 1", &["id asc"], 1),
        (
            "select x.n from (select id as n, dept as id from emp) x order by id, n limit 3",
            &["dept asc", "id asc"],
            3,
        ),
        ("select max(id) from (select id from emp order by id limit 3) x", &["id asc"], 3),
    ] {
        for caller in [Caller::Everybody, Caller::Eu, Caller::Nobody] {
            let (answer, pushed, crossed) = asked(&engine, &fixture, caller, sql).await;
            assert_eq!(answer, alone(&engine, caller, sql).await, "{caller:?}: {sql}");
            assert_eq!((pushed.order.join(", "), pushed.limit), (order.join(", "), Some(limit)), "{sql}");
            assert!(crossed <= limit as u64, "{caller:?}: {sql}: {crossed} rows crossed");
        }
    }
}

#[tokio::test]
async fn rows_are_chosen_here_by_what_is_masked_computed_or_not_in_all_rows() {
    let (engine, fixture) = (engine(), fixture::sqlite().await);
    // By masked values, who is under a policy; by raw ones, who is not.
    let masked = "select id from emp order by salary desc, id limit 3";
    let (answer, pushed, _) = asked(&engine, &fixture, Caller::Everybody, masked).await;
    assert_eq!(
        (pushed.order, answer),
        (
            vec!["salary desc".to_owned(), "id asc".to_owned()],
            alone(&engine, Caller::Everybody, masked).await
        )
    );
    let (answer, pushed, _) = asked(&engine, &fixture, Caller::Eu, masked).await;
    assert_eq!((pushed.order, pushed.limit), (Vec::new(), None));
    assert_eq!(answer, [["1"], ["3"], ["5"]]);
    for sql in [
        "select id from emp order by ssn desc, id limit 2",
        "select id from emp order by id, salary limit 2",
        "select id from emp where upper(dept) = 'LAB' order by id limit 1",
        "select id from emp where ssn like '%7' order by id limit 1",
        "select id from emp order by length(note), id limit 2",
        // It fails, if it does, for each row that is seen, whoever chooses.
        "select id, 10 / (id + 1) from emp order by id limit 2",
        "select id from emp order by id",
        "select id from emp order by id limit 20000",
        "select dept, count(*) from emp group by dept order by dept limit 2",
        "select distinct dept from emp order by dept limit 2",
        "select id from (select id, row_number() over (order by dept, id) n from emp) x where n > 2 order by id limit 2",
    ] {
        let (answer, pushed, _) = asked(&engine, &fixture, Caller::Eu, sql).await;
        assert_eq!(answer, alone(&engine, Caller::Eu, sql).await, "{sql}");
        assert_eq!((pushed.order, pushed.limit), (Vec::new(), None), "{sql}");
    }
    // The first of some rows.
    let some = "select id from (select id from emp limit 5) x order by id desc limit 2";
    let (_, pushed, crossed) = asked(&engine, &fixture, Caller::Eu, some).await;
    assert_eq!((pushed.order, pushed.limit, crossed), (Vec::new(), Some(5), 5));
}

#[tokio::test]
async fn no_row_is_chosen_before_the_filter_of_a_policy() {
    let (engine, fixture) = (engine(), fixture::sqlite().await);
    for sql in [
        "select id from emp order by id desc limit 2",
        "select id from emp where id > 2 order by id limit 2",
        "select id from emp where id > 2 order by note limit 1",
    ] {
        // Policies that the file's library does not evaluate.
        for caller in [Caller::Like, Caller::Called, Caller::Unknown] {
            let (answer, pushed, _) = asked(&engine, &fixture, caller, sql).await;
            assert_eq!(answer, alone(&engine, caller, sql).await, "{caller:?}: {sql}");
            assert_eq!((pushed.order, pushed.limit), (Vec::new(), None), "{caller:?}: {sql}");
        }
    }
    // A limit without an order.
    for (caller, limit) in [(Caller::Everybody, Some(2)), (Caller::Eu, Some(2)), (Caller::Like, None)] {
        let sql = "select id from emp where dept = 'lab' limit 2";
        let (answer, pushed, crossed) = asked(&engine, &fixture, caller, sql).await;
        assert_eq!((answer.len(), pushed.limit, crossed), (2, limit, 2), "{caller:?}");
    }
}

#[tokio::test]
async fn each_step_of_a_recursive_query_has_its_first_rows() {
    let (engine, fixture) = (engine(), fixture::sqlite().await);
    let sql = "with recursive r(n) as (select 0 union all select n + 1 from r cross join (select id from emp order by id limit 1) e \
               where n < 4) select count(*) from r";
    for caller in [Caller::Everybody, Caller::Eu] {
        let answer = rows(&ask(&engine, &fixture, caller, sql).await.unwrap(), false);
        assert_eq!(answer, [["5"]], "{caller:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_of_one_part_of_a_union_keep_no_earlier_ones_of_another_out() {
    let (engine, fixture) = (engine(), fixture::memory());
    // The first part waits for its join, so that the other one has its rows before.
    let sql = "select date '2012-03-20' as day, a.id as n from emp a
               where not exists (select 1 from emp b where b.id = a.id and b.dept = 'nowhere')
               union all select date '2020-06-29' as day, -id as n from emp
               order by 1, 2 limit 3";
    let first = ask(&engine, &fixture, Caller::Everybody, "select id from emp order by id limit 3").await;
    let first = rows(&first.unwrap(), false);
    let expected: Vec<_> = first.iter().map(|row| vec!["2012-03-20".to_owned(), row[0].clone()]).collect();
    for _ in 0..20 {
        let answer = ask(&engine, &fixture, Caller::Everybody, sql).await.unwrap();
        assert_eq!(rows(&answer, false), expected);
    }
}
