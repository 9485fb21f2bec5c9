//! Takes protections away, one by one, and sees that the attacks then succeed: tests that cannot fail protect nothing.

use std::sync::Arc;

use datafusion::common::{Column, ScalarValue};
use datafusion::logical_expr::{Expr, cast, col, lit};

use super::attacks::{ATTACKS, find};
use super::fixture::{self, Caller, Fixture};
use super::{Engine, Options, ask, options, plain};
use crate::Code;
use crate::leakproof::{Columns, is_leak_proof};
use crate::mutation::{Protection, Without};

fn without(these: &[Protection]) -> Engine {
    Engine::new(Options { mutations: Arc::new(these.to_vec()), ..options() })
}

/// What the attacks find on an engine.
async fn found(engine: &Engine, callers: &[Caller]) -> Vec<String> {
    let mut found = Vec::new();
    for fixture in [fixture::memory(), fixture::parquet(true).await] {
        for caller in callers {
            let plain = plain::session(&plain::copy(&fixture, *caller).await);
            for sql in ATTACKS {
                found.extend(find(engine, &fixture, *caller, sql, Some(&plain)).await);
                if found.len() > 2 {
                    return found;
                }
            }
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_barrier_attacks_succeed() {
    let engine = without(&[Protection::Barrier, Protection::Checker]);
    assert!(!found(&engine, &[Caller::Eu]).await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_row_filter_attacks_succeed() {
    let engine = without(&[Protection::RowFilter, Protection::Checker]);
    assert!(!found(&engine, &[Caller::Eu]).await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_barrier_or_its_filter_the_checker_refuses() {
    for gone in [Protection::Barrier, Protection::RowFilter] {
        let engine = without(&[gone]);
        for fixture in [fixture::memory(), fixture::parquet(false).await] {
            for sql in [
                "select id from emp",
                "select count(*) from emp",
                "select max(ssn) from emp where id > 1",
                "select 1 from (select id from emp limit 1)",
            ] {
                let error = ask(&engine, &fixture, Caller::Eu, sql).await.unwrap_err();
                assert_eq!(error.code, Code::PolicyDenied, "{gone:?} {sql}");
            }
            // What reads no relation is not refused.
            assert!(ask(&engine, &fixture, Caller::Eu, "select 1").await.is_ok());
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_condition_of_what_is_leak_proof_is_needed() {
    for (gone, callers) in [
        (Protection::UnmaskedOnly, [Caller::Eu, Caller::Like].as_slice()),
        (Protection::BareColumn, &[Caller::Eu, Caller::Like]),
        (Protection::LiteralOnly, &[Caller::Eu, Caller::Like]),
        (Protection::SafeOperator, &[Caller::Eu, Caller::Like]),
        (Protection::LimitAboveFilter, &[Caller::Eu]),
    ] {
        let engine = without(&[gone, Protection::Checker]);
        assert!(!found(&engine, callers).await.is_empty(), "without {gone:?} no attack succeeds");
    }
}

/// Where an attack is made.
#[derive(Clone, Copy, Debug)]
enum Place {
    Memory,
    Dictionary,
    Parquet,
    Sqlite,
}

impl Place {
    async fn fixture(self) -> Fixture {
        match self {
            Self::Memory => fixture::memory(),
            Self::Dictionary => fixture::dictionary(),
            Self::Parquet => fixture::parquet(true).await,
            Self::Sqlite => fixture::sqlite().await,
        }
    }
}

/// What succeeds without one protection, and not with it.
struct Attack {
    gone: Protection,
    /// Taken away besides: the checker, or what only the checker makes up for.
    besides: Protection,
    /// Whether the checker alone stops it.
    checked: bool,
    caller: Caller,
    place: Place,
    sql: &'static str,
}

macro_rules! attack_of_each {
    ($($gone:ident besides $besides:ident, checked $checked:literal, $caller:ident in $place:ident: $sql:literal;)+) => {
        const ATTACK_OF_EACH: &[Attack] = &[$(
            Attack {
                gone: Protection::$gone,
                besides: Protection::$besides,
                checked: $checked,
                caller: Caller::$caller,
                place: Place::$place,
                sql: $sql,
            }
        ),+];

        /// Does not compile where a protection has no attack.
        fn name(protection: Protection) -> &'static str {
            match protection {
                $(Protection::$gone => stringify!($gone)),+
            }
        }
    };
}

attack_of_each! {
    Barrier besides Checker, checked true, Eu in Memory: "select ssn from emp";
    Checker besides UnmaskedOnly, checked true, Eu in Memory: "select id from emp where ssn in ('101-11-7001', 'x')";
    RowFilter besides Checker, checked true, Eu in Memory: "select id from emp";
    UnmaskedOnly besides Checker, checked true, Eu in Memory: "select id from emp where ssn = '101-11-7001'";
    BareColumn besides Checker, checked true, Eu in Memory: "select id from emp where cast(note as int) > 0";
    LiteralOnly besides Checker, checked true, Eu in Memory: "select id from emp where id <= cast(note as bigint)";
    SafeOperator besides Checker, checked true, Eu in Memory: "select id from emp where cast(note as int) is distinct from 10";
    // The optimizer makes an equality of it, and leaves the text of a type that cannot be compared with the dictionary: it fails on any
    // row, so that who sees none learns that there are some.
    SameType besides Checker, checked false, Nobody in Dictionary: "select id from emp where dept like arrow_cast('lab', 'LargeUtf8')";
    LimitAboveFilter besides Checker, checked true, Eu in Memory: "select count(*) from (select id from emp limit 8)";
    // A guess at the raw number of a row whose mask is known: the row is there only if the guess is right.
    DynamicUnmasked besides Checker, checked false, Eu in Parquet:
        "select e.id from (values ('*******7003'), ('103-13-7004')) v(n) join emp e on e.ssn = v.n";
    // Who earns most is told, where nobody may see what they earn.
    OrderUnmasked besides Checker, checked true, Eu in Sqlite: "select id from emp order by salary desc, id limit 3";
    Statistics besides Checker, checked false, Eu in Memory: "select count(*) from emp";
    // A dictionary is cast as a whole, with the words of hidden rows.
    OwnValues besides Checker, checked false, Eu in Dictionary: "select id from emp where cast(note as int) > 0";
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_protection_stops_an_attack_of_its_own() {
    for attack in ATTACK_OF_EACH {
        let Attack { gone, besides, checked, caller, place, sql } = attack;
        let fixture = place.fixture().await;
        let plain = plain::session(&plain::copy(&fixture, *caller).await);
        let name = name(*gone);
        let stopped = find(&super::engine(), &fixture, *caller, sql, Some(&plain)).await;
        assert_eq!(stopped, None, "with {name}");
        let found = find(&without(&[*gone, *besides]), &fixture, *caller, sql, Some(&plain)).await;
        assert!(found.is_some(), "without {name} this does not succeed: {sql}");

        // The checker is there when another protection fails.
        let failed = if *gone == Protection::Checker { *besides } else { *gone };
        let answer = ask(&without(&[failed]), &fixture, *caller, sql).await;
        let refused = answer.is_err_and(|error| error.code == Code::PolicyDenied);
        assert_eq!(refused, *checked, "without {name}, but with the checker");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conditions_that_are_not_leak_proof_are_refused_by_the_checker() {
    let fixture = fixture::memory();
    for (gone, sql) in [
        (Protection::UnmaskedOnly, "select id from emp where ssn = '101-11-7001'"),
        (Protection::BareColumn, "select id from emp where cast(note as int) > 0"),
        (Protection::SafeOperator, "select id from emp where note like 'SECRET%'"),
    ] {
        let error = ask(&without(&[gone]), &fixture, Caller::Eu, sql).await.unwrap_err();
        assert_eq!(error.code, Code::PolicyDenied, "{gone:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exact_statistics_would_tell_how_many_rows_are_hidden() {
    let fixture = fixture::memory();
    let engine = without(&[Protection::Statistics, Protection::Checker]);
    let answer = ask(&engine, &fixture, Caller::Eu, "select count(*) from emp").await.unwrap();
    assert_eq!(
        super::rows(&answer, false),
        [["18"]],
        "without the rule for statistics hidden rows are counted"
    );
    let answer = ask(&super::engine(), &fixture, Caller::Eu, "select count(*) from emp").await.unwrap();
    assert_eq!(super::rows(&answer, false), [["8"]]);
}

struct Known;

impl Columns for Known {
    fn unmasked(&self, name: &str) -> Option<&datafusion::arrow::datatypes::DataType> {
        (name != "ssn").then_some(self.visible(name)).flatten()
    }

    fn visible(&self, name: &str) -> Option<&datafusion::arrow::datatypes::DataType> {
        match name {
            "id" => Some(&datafusion::arrow::datatypes::DataType::Int64),
            "ssn" | "note" => Some(&datafusion::arrow::datatypes::DataType::Utf8),
            _ => None,
        }
    }
}

#[test]
fn only_comparisons_of_an_unmasked_column_with_a_value_of_its_type_are_leak_proof() {
    let proof = |expr: &Expr| is_leak_proof(expr, &Known, &Without::default());
    let id = || Expr::Column(Column::from_name("id"));
    for expr in [
        id().eq(lit(1_i64)),
        lit(1_i64).lt(id()),
        id().gt_eq(lit(1_i64)).and(col("note").not_eq(lit("x"))),
        id().between(lit(1_i64), lit(5_i64)),
        id().in_list(vec![lit(1_i64), lit(2_i64)], true),
        id().is_null().or(col("note").is_not_null()),
        Expr::Not(Box::new(id().eq(lit(1_i64)))),
        lit(true),
        id().eq(lit(1_i64)).or(lit(false)),
    ] {
        assert!(proof(&expr), "{expr}");
    }
    for expr in [
        id().eq(lit(1_i32)),
        id().eq(lit(1.0)),
        id().eq(Expr::Literal(ScalarValue::Null, None)),
        id().eq(id()),
        id().eq(col("note")),
        col("ssn").eq(lit("x")),
        col("ssn").is_null(),
        col("nothing").eq(lit("x")),
        cast(id(), datafusion::arrow::datatypes::DataType::Utf8).eq(lit("x")),
        (id() + lit(1_i64)).eq(lit(2_i64)),
        col("note").like(lit("x%")),
        lit(1_i64).eq(lit(1_i64)),
        id().eq(lit(1_i64)).and(col("ssn").eq(lit("x"))),
        Expr::Not(Box::new(col("ssn").eq(lit("x")))),
        id().in_list(vec![lit(1_i64), lit(2_i32)], false),
        id().in_list(vec![lit(1_i64), id()], false),
        id().between(lit(1_i64), id()),
        Expr::IsTrue(Box::new(id().eq(lit(1_i64)))),
        datafusion::functions::expr_fn::upper(col("note")).eq(lit("x")),
    ] {
        assert!(!proof(&expr), "{expr}");
    }
    let loose = Without { these: Arc::new(vec![Protection::SameType]) };
    assert!(is_leak_proof(&id().eq(lit(1_i32)), &Known, &loose), "the condition on types decides");
}
