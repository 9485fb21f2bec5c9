//! The attacks. Each is asked of every source and every caller under a policy, and must give what an engine without a policy gives over a
//! copy of what the caller may see: the same rows, or an error where that has one.

use datafusion::arrow::record_batch::RecordBatch;
use datafusion::prelude::SessionContext;

use super::fixture::{self, Caller, Fixture};
use super::{Engine, ask, engine, leaks, plain, rows, text};

/// What is wrong with an answer, if anything is.
pub(super) async fn find(
    engine: &Engine,
    fixture: &Fixture,
    caller: Caller,
    sql: &str,
    plain: Option<&SessionContext>,
) -> Option<String> {
    let answer = ask(engine, fixture, caller, sql).await;
    if let Some(leak) = leaks(&text(&answer)) {
        return Some(format!("{} {caller:?}: {sql}: shows {leak}: {}", fixture.name, text(&answer)));
    }
    let expected = plain::answer(plain?, sql).await;
    let same = match (&answer, &expected) {
        (Ok(answer), Ok(expected)) => rows(answer, true) == rows(expected, true),
        (Err(_), Err(())) => true,
        _ => false,
    };
    let expected = expected.map(|batches| rows(&batches, true));
    (!same).then(|| {
        format!("{} {caller:?}: {sql}:\n  {}\n  instead of {expected:?}", fixture.name, text(&answer))
    })
}

/// Asks everything of everybody. `alike`: whether an engine without policies can be asked, too.
async fn all(queries: &[&str], alike: bool) {
    let engine = engine();
    let mut found = Vec::new();
    for fixture in fixture::all().await {
        for caller in Caller::UNDER_POLICY {
            let copy = plain::copy(&fixture, caller).await;
            found.extend(of(&engine, &fixture, caller, &copy, queries, alike).await);
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// What one caller finds at one source, given a copy of what they may see.
pub(super) async fn of(
    engine: &Engine,
    fixture: &Fixture,
    caller: Caller,
    copy: &[RecordBatch],
    queries: &[&str],
    alike: bool,
) -> Vec<String> {
    let plain = plain::session(copy);
    let mut found = Vec::new();
    for sql in queries {
        if !fixture.has_struct() && sql.contains("s['") {
            continue;
        }
        found.extend(find(engine, fixture, caller, sql, alike.then_some(&plain)).await);
    }
    found
}

macro_rules! attacks {
    ($($name:ident: [$($sql:expr),+ $(,)?];)+) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                all(&[$($sql),+], true).await;
            }
        )+

        /// All of them, for tests that take protections away.
        pub(super) const ATTACKS: &[&str] = &[$($($sql),+),+];
    };
}

attacks! {
    rows_in_every_place_of_a_query_are_visible_ones: [
        "select id, region, dept, salary, ssn, note, hired from emp",
        "select * from emp order by id limit 3",
        "with e as (select * from emp) select id, ssn from e",
        "select id, ssn from emp union select id, note from emp",
        "select id, ssn from emp union all select id, note from emp",
        "select id from emp intersect select id from emp where dept = 'lab'",
        "select id from emp except select id from emp where dept = 'lab'",
        "select * from (select id, ssn, note from emp) x where id > 2",
        "select a.id, b.ssn from emp a, lateral (select ssn from emp b where b.id = a.id) b",
        "with recursive r as (select id, note from emp where id = 1 union all select r.id + 1, e.note from r join emp e on e.id = r.id + 1) select * from r",
        "with recursive r(n) as (select 1 union all select n + 1 from r where n < 20) select n, e.note from r left join emp e on e.id = r.n",
        "select id, unnest(array[ssn, note]) from emp",
        "select e.id, x.ssn from emp e cross join (select max(ssn) ssn from emp) x",
    ];
    masks_stay_on_whatever_is_made_of_a_column: [
        "select ssn, x['a'] from (select ssn, named_struct('a', id) x from emp)",
        "select x['a'] from (select named_struct('a', ssn, 'b', salary) x from emp)",
        "select map(['k'], [ssn])['k'] from emp",
        "select s['b'], ssn from emp",
        "select x['b'] from (select s x from emp)",
        "select max(s['b']) from emp where ssn is not null",
        "select max(x['a']) from (select named_struct('a', ssn) x from emp)",
        "select array_agg(ssn order by id) from emp",
        "select string_agg(ssn, ',' order by id) from emp",
        "select first_value(ssn order by id), last_value(hired order by id) from emp",
        "select substr(ssn, 1, 3), reverse(ssn), length(ssn), upper(ssn) from emp",
        "select ssn || note, concat(ssn, '-', note) from emp",
        "select case when ssn like '1%' then 'raw' else ssn end from emp",
        "select coalesce(salary, -1), salary + 1, cast(salary as varchar) from emp",
        "select extract(month from hired) from emp where hired is not null and arrow_typeof(hired) = 'Date32'",
        "select regexp_replace(ssn, '[*]', '', 'g') from emp",
        "select to_hex(ascii(ssn)), md from (select translate(ssn, '*', 'x') md, ssn from emp)",
    ];
    expressions_do_not_fail_on_hidden_rows: [
        "select id from emp where cast(note as int) > 0",
        "select id from emp where cast(note as int) >= 0 and dept = 'lab'",
        "select id from emp where dept = 'lab' and cast(note as int) >= 0",
        "select id from emp where cast(note as bigint) + 0 = 10",
        "select id, 10 / (id - 2) from emp where 10 / (id - 2) is not null",
        "select id from emp where 1 / (id - 4) > -5",
        "select id from emp where id % (id - 6) >= 0",
        "select id from emp where 1 / (salary - 100) > 5",
        "select a.id from emp a join emp b on cast(a.note as int) = cast(b.note as int)",
        "select a.id from emp a left join emp b on a.id = b.id and cast(b.note as int) > 0",
        "select id from emp order by cast(note as int)",
        "select dept, max(cast(note as int)) from emp group by dept having max(cast(note as int)) > 0",
        "select sum(cast(note as int)) filter (where cast(note as int) > 10) from emp",
        "select id, case when cast(note as int) > 30 then 'many' else 'few' end from emp",
        "select id, row_number() over (order by cast(note as int)) from emp",
        "select id, sum(cast(note as int)) over (partition by dept order by id) from emp",
        "select id from emp where cast(note as int) in (10, 30)",
        "select id from emp where cast(note as int) between 10 and 50",
        "select id from emp where not (cast(note as int) = 10)",
        "select id from emp where exists (select 1 from emp e where cast(e.note as int) = emp.id * 10)",
        "select id from emp where cast(note as int) = (select max(cast(note as int)) from emp)",
        "select id from emp where id = cast(note as bigint)",
        "select id from emp where id <> cast(note as bigint) and id in (1, cast(note as bigint))",
        "select id from emp where try_cast(note as int) is null",
        "select id from emp where repeat(note, 2) like '%SECRET%'",
        "select id from emp where array_element(make_array(1, 2), id) is null and cast(note as int) > 0",
        "select id from emp where date_bin(interval '1 day', cast(hired as timestamp)) is not null",
        "select id from emp where to_timestamp(note) is null",
    ];
    conditions_without_columns_tell_nothing: [
        "select id from emp where 1 / 0 = 1",
        "select count(*) from emp where 1 / 0 = 1",
        "select id from emp where cast('x' as int) = 1",
        "select id from emp where (select count(*) from emp) > 8",
        "select id from emp where (select max(note) from emp) like 'SECRET%'",
        "select 1 where exists (select 1 from emp where note like 'SECRET%')",
        "select id from emp where id > 1 / 0",
        "select id from emp where id = cast('x' as bigint)",
        "select id from emp where id in (1, 1 / 0)",
        "select id from emp where id between 1 and 1 / 0",
    ];
    masked_columns_are_compared_as_masked: [
        "select id from emp where ssn = '101-11-7001'",
        "select id from emp where ssn like '101%'",
        "select id from emp where ssn in ('101-11-7001', '*******7001')",
        "select id from emp where ssn between '1' and '2'",
        "select id from emp where ssn > '1'",
        "select id from emp where salary = 10007 or salary = 100",
        "select id from emp where salary > 0",
        "select id from emp where salary is null",
        "select id from emp where salary is not null",
        "select id from emp where not (salary > 100)",
        "select id from emp where hired = date '2011-02-01' and arrow_typeof(hired) = 'Date32'",
        "select id from emp order by ssn, id",
        "select id from emp order by salary nulls first, id limit 2",
        "select ssn, count(*) from emp group by ssn",
        "select count(distinct salary), count(distinct ssn) from emp",
        "select distinct hired from emp",
        "select min(ssn), max(ssn), min(salary), max(salary), min(hired), max(hired) from emp",
        "select id, row_number() over (order by ssn, id), rank() over (order by salary) from emp",
        "select e.id from emp e join (values ('101-11-7001'), ('*******7003')) v(n) on e.ssn = v.n",
        "select e.id from (values (10007), (100)) v(n) join emp e on e.salary = v.n",
        "select a.id, b.id from emp a join emp b on a.ssn = b.ssn",
        "select a.id from emp a join emp b on a.salary = b.salary",
        "select id from emp order by ssn limit 1",
        "select id from emp order by hired, id limit 4",
    ];
    subqueries_see_what_the_query_sees: [
        "select id from emp where id not in (select id from emp where dept = 'lab')",
        "select id from emp e where exists (select 1 from emp x where x.id = e.id + 2)",
        "select id, (select count(*) from emp) from emp",
        "select id from emp where ssn in (select ssn from emp where dept = 'it')",
        "select a.id, b.id from emp a left join emp b on a.id + 1 = b.id",
        "select a.id, b.note from emp a full join emp b on a.id = b.id + 1",
        "select a.id from emp a where a.salary > all (select salary from emp)",
    ];
    counts_and_sums_are_of_visible_rows: [
        "select count(*) from emp",
        "select count(1), count(id), count(region), count(salary) from emp",
        "select sum(salary), avg(salary), min(id), max(id) from emp",
        "select count(*) from emp where note like 'SECRET%'",
        "select region, count(*) from emp group by region",
        "select approx_distinct(id), median(id), stddev(id) from emp",
        "select dept, grouping(dept), count(*) from emp group by rollup (dept)",
        "select min(note), max(note) from emp",
    ];
    limits_are_above_the_filter: [
        "select count(*) from (select id from emp limit 5)",
        "select count(*) from (select id from emp limit 100)",
        "select id from emp order by id desc limit 1",
        "select id from emp where dept = 'lab' order by id limit 2 offset 1",
        "select count(*) from (select * from emp where id > 0 limit 7)",
    ];
    whatever_may_cross_gives_what_it_gives_elsewhere: [
        "select id from emp where id = 3",
        "select id from emp where 3 = id",
        "select id from emp where id <> 3 and id < 9 and id >= 2",
        "select id from emp where id in (1, 2, 3, 4, 101)",
        "select id from emp where id not in (1, 2, 3)",
        "select id from emp where id between 2 and 9",
        "select id from emp where id not between 2 and 9",
        "select id from emp where note is null or dept = 'it'",
        "select id from emp where not (dept = 'lab' or id > 10)",
        "select id from emp where region = 'US'",
        "select id from emp where region is null",
        "select id from emp where region <> 'EU'",
        "select id from emp where region is distinct from 'EU'",
        "select a.id from emp a join emp b on a.id = b.id where b.dept = 'lab'",
        "select a.id from emp a where a.id in (select b.id from emp b where b.dept = 'lab')",
        "select e.id, x.id from emp e right join emp x on e.id = x.id where not (((e.id is null or e.dept like '***%') or upper(e.note) like 'SECRET%'))",
        "select e.id, x.id from emp e full join emp x on e.dept = x.dept and e.id not between 3 and 15 where e.id is not null",
        "select id from emp order by id limit 2",
        "select id from emp where note = '10' or note = 'SECRET-2'",
    ];
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_condition_says_the_same_whether_hidden_rows_exist_or_not() {
    let engine = engine();
    for fixture in fixture::all().await {
        says_nothing_of_hidden_rows(&engine, &fixture).await;
    }
}

pub(super) async fn says_nothing_of_hidden_rows(engine: &Engine, fixture: &Fixture) {
    for sql in [
        "select id from emp where 1 / 0 = 1",
        "select id from emp where id = 1 / 0",
        "select id from emp where cast(note as int) > 0",
    ] {
        let answer = ask(engine, fixture, Caller::Nobody, sql).await;
        let context = plain::session(&plain::copy(fixture, Caller::Nobody).await);
        let expected = plain::answer(&context, sql).await;
        assert_eq!(answer.is_ok(), expected.is_ok(), "{} {sql}: {answer:?}", fixture.name);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_under_no_policy_sees_everything() {
    let engine = engine();
    for fixture in fixture::all().await {
        shows_everything_without_a_policy(&engine, &fixture).await;
    }
}

pub(super) async fn shows_everything_without_a_policy(engine: &Engine, fixture: &Fixture) {
    let answer =
        ask(engine, fixture, Caller::Everybody, "select count(*), max(note), max(salary) from emp").await;
    assert_eq!(rows(&answer.unwrap(), false), [["18", "SECRET-8", "10105"]], "{}", fixture.name);
}

/// Structures within structures. They are asked for what they show alone.
pub(super) const STRUCTURES: &[&str] = &[
    "select id from emp where s = named_struct('b', 'b1') or s is null",
    "select named_struct('a', named_struct('b', ssn))['a']['b'] from emp",
    "select x['a']['b'] from (select named_struct('a', named_struct('b', ssn)) x from emp) where x['a']['b'] like '%7%'",
    "select count(*), max(x['a']) from (select struct(ssn) x, map(['a'], [ssn])  m from emp) t, (select named_struct('a', ssn) x from emp) u where u.x['a'] > '0'",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wide_or_deep_use_of_structures_shows_no_masked_column() {
    all(STRUCTURES, false).await;
}
