//! Calls of functions with values that they do not take, and names that are nearly right: what is said instead.

use super::fixture::{self, Caller};
use super::{ask, engine, leaks};
use crate::Code;
use crate::functions::{AGGREGATES, SCALARS, WINDOWS};

/// Functions of which no call is refused for its values.
const TAKE_ANYTHING: &[(&str, &str)] = &[
    ("count", "counts rows without a value, and values of any type and in any number"),
    ("struct", "takes values of any type and in any number; without one, the text is no SQL"),
];

/// What each function is called with: nothing, a structure, values of two types, more than there are arguments.
const VALUES: [&str; 4] = ["", "s", "id, s", "s, s, s, s, s, s, s, s, s"];

/// Words of the engine that mean nothing to people.
const INTERNAL: [&str; 11] = [
    "Utf8",
    "Int32",
    "Int64",
    "Float64",
    "Struct(",
    "List(",
    "Signature",
    "Coercible",
    "UserDefined",
    "NullAry",
    "DataFusion",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_function_says_how_it_is_written() {
    let (engine, fixture) = (engine(), fixture::memory());
    let rows = SCALARS.iter().chain(AGGREGATES).map(|name| (*name, ""));
    let windows = WINDOWS.iter().map(|name| (*name, " over ()"));
    for (name, over) in rows.chain(windows) {
        let mut told = Vec::new();
        for values in VALUES {
            let is_told = told.iter().any(|message: &String| message.contains(&format!("{name}(")));
            if is_told && values != "s" {
                break;
            }
            let sql = format!("select {name}({values}){over} from emp");
            let Err(error) = ask(&engine, &fixture, Caller::Eu, &sql).await else { continue };
            let internal = INTERNAL.iter().find(|word| error.message.contains(**word));
            assert_eq!(internal, None, "{sql}: {error:?}");
            assert_eq!(leaks(&error.to_string()), None, "{sql}: {error:?}");
            told.push(error.message);
        }
        let is_told = told.iter().any(|message| message.contains(&format!("{name}(")));
        let is_exempt = TAKE_ANYTHING.iter().any(|(exempt, _)| *exempt == name);
        assert_ne!(is_told, is_exempt, "{name}{over}: {told:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_is_told_which_forms_there_are() {
    let (engine, fixture) = (engine(), fixture::memory());
    for (sql, message) in [
        (
            "select lower(id, dept) from emp",
            "lower does not take these 2 values: a whole number, text; it is written lower(text).",
        ),
        // By the name that was written.
        ("select length(s) from emp", "length does not take a structure; it is written length(text)."),
        ("select chr(s) from emp", "chr does not take a structure; it is written chr(whole number)."),
        ("select pi(id) from emp", "pi does not take a whole number; it is written pi()."),
        (
            "select power(id) from emp",
            "power does not take a whole number; it is written power(number, number).",
        ),
        (
            "select round() from emp",
            "round needs a value; it is written round(number) or round(number, whole number).",
        ),
        (
            "select array_has(id) from emp",
            "array_has does not take a whole number; it is written array_has(list, value).",
        ),
        // What the engine would refuse without its name, or only when there are rows.
        (
            "select named_struct('a') from emp",
            "named_struct does not take these values; it is written named_struct('name', value).",
        ),
        ("select unnest() from emp", "unnest does not take these values; it is written unnest(list)."),
        (
            "select first_value() over () from emp",
            "first_value needs a value; it is written first_value(value).",
        ),
        (
            "select nth_value(id) over () from emp",
            "nth_value needs 2 values; it is written nth_value(value, 2).",
        ),
        ("select array_concat()", "array_concat needs a value; it is written array_concat(list, list)."),
    ] {
        let error = ask(&engine, &fixture, Caller::Eu, sql).await.unwrap_err();
        assert_eq!((error.code, error.message.as_str()), (Code::TypeMismatch, message), "{sql}");
    }
    let error = ask(&engine, &fixture, Caller::Eu, "select rank() from emp").await.unwrap_err();
    assert_eq!(error.message, "rank is of a window: write rank() OVER (ORDER BY column).");
    let error = ask(&engine, &fixture, Caller::Eu, "select to_date(s) from emp").await.unwrap_err();
    assert_eq!(
        (error.code, error.message.as_str()),
        (
            Code::EvaluationFailed,
            "to_date does not take a structure; it is written to_date(text) or to_date(text, '%Y-%m-%d')."
        )
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_is_nearly_right_is_told_the_nearest() {
    let (engine, fixture) = (engine(), fixture::memory());
    for (sql, code, message, nearest) in [
        ("select detp from emp", Code::UnknownColumn, "There is no column \"detp\".", "dept"),
        ("select e.detp from emp e", Code::UnknownColumn, "There is no column \"detp\".", "dept"),
        (
            "select x.dept from emp e",
            Code::UnknownColumn,
            "There is no column \"x.dept\" at this place.",
            "e.dept",
        ),
        (
            "select emp.dept from emp e",
            Code::UnknownColumn,
            "There is no column \"emp.dept\" at this place.",
            "e.dept",
        ),
        ("select s['bb'] from emp", Code::UnknownColumn, "There is no field \"bb\" in the structure.", "b"),
        ("select * from empl", Code::UnknownRelation, "There is no relation \"empl\".", "emp"),
        (
            "with totals as (select id from emp) select * from total",
            Code::UnknownRelation,
            "There is no relation \"total\".",
            "totals",
        ),
        (
            "select * from information_schema.colums",
            Code::UnknownRelation,
            "There is no relation \"information_schema.colums\".",
            "information_schema.columns",
        ),
        ("select uper(dept) from emp", Code::StatementNotAllowed, "There is no function \"uper\".", "upper"),
    ] {
        let error = ask(&engine, &fixture, Caller::Eu, sql).await.unwrap_err();
        assert_eq!((error.code, error.message.as_str()), (code, message), "{sql}");
        assert_eq!(error.nearest.first().map(String::as_str), Some(nearest), "{sql}: {error:?}");
    }
    // What other databases call otherwise has no nearest name, but its own here.
    for (sql, message) in [
        ("select Year(id) from emp", "There is no function \"Year\": write extract(year from d)."),
        (
            "select group_concat(dept) from emp",
            "There is no function \"group_concat\": write string_agg(s, ', ').",
        ),
    ] {
        let error = ask(&engine, &fixture, Caller::Eu, sql).await.unwrap_err();
        assert_eq!((error.code, error.message.as_str()), (Code::StatementNotAllowed, message), "{sql}");
        assert!(error.nearest.is_empty(), "{sql}: {error:?}");
    }
    let error = ask(&engine, &fixture, Caller::Eu, "select emp.* from emp e").await.unwrap_err();
    assert_eq!(error.message, "No relation in FROM is called \"emp\": where it has an alias, write that.");
    // A relation that is denied is nobody's nearest.
    for sql in
        ["select * from secre", "with emq as (select 1) select * from secrets", "select secret.* from emp"]
    {
        let error = ask(&engine, &fixture, Caller::Eu, sql).await.unwrap_err();
        assert!(error.nearest.iter().all(|name| !name.contains("secret")), "{sql}: {error:?}");
    }
}
