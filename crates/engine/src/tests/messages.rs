//! What messages say: enough to find a mistake, and nothing that is not the person's own or visible.

use std::sync::Arc;

use super::fixture::{self, Caller};
use super::{People, ask, engine, leaks, request, text};
use crate::{Code, QueryError};

/// What is said where the reason is a row.
const CLOSED: &str = "A value could not be computed from a row that you see.";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mistakes_are_named_with_their_place_or_cause() {
    let (engine, fixture) = (engine(), fixture::memory());
    for (sql, code, message) in [
        (
            "selct 1",
            Code::Syntax,
            "The text is not a valid SQL query: \"selct\" at character 1 was not expected.",
        ),
        (
            "select id\nfrom emp wher e",
            Code::Syntax,
            "The text is not a valid SQL query: \"e\" at character 25 was not expected.",
        ),
        (
            "select id from emp where dept = 'sales",
            Code::Syntax,
            "The text is not a valid SQL query: the text that begins at character 33 has no closing quote.",
        ),
        (
            "select \"id from emp",
            Code::Syntax,
            "The text is not a valid SQL query: the name that begins at character 8 has no closing quote.",
        ),
        ("select 1 /* a", Code::Syntax, "The text is not a valid SQL query: a comment has no end."),
        ("select id from emp where", Code::Syntax, "The text is not a valid SQL query: it ends too early."),
        ("select dept, sum(id) from emp", Code::Syntax, "dept is neither in GROUP BY nor in an aggregate."),
        ("select *, count(*) from emp", Code::Syntax, "id is neither in GROUP BY nor in an aggregate."),
        (
            "with x as (select id as n, dept from emp) select n, max(dept) from x",
            Code::Syntax,
            "n is neither in GROUP BY nor in an aggregate.",
        ),
        ("select id from emp limit 'a'", Code::TypeMismatch, "LIMIT needs a whole number."),
        ("select id from emp limit 1.5", Code::TypeMismatch, "LIMIT needs a whole number."),
        ("select id from emp offset -1", Code::TypeMismatch, "OFFSET needs a whole number."),
        (
            "select sum(region) from emp",
            Code::TypeMismatch,
            "sum takes numbers; region is text; it is written sum(number).",
        ),
        (
            "select sum(distinct e.region) from emp e",
            Code::TypeMismatch,
            "sum takes numbers; region is text; it is written sum(number).",
        ),
        (
            "select sum(lower(region)) from emp",
            Code::TypeMismatch,
            "sum takes numbers; its argument is text; it is written sum(number).",
        ),
        (
            "select date_part(hired) from emp",
            Code::TypeMismatch,
            "date_part does not take a date; it is written date_part('year', date).",
        ),
        (
            "select id + s from emp",
            Code::TypeMismatch,
            "+ does not fit between a whole number and a structure.",
        ),
        (
            "select id from emp where id similar to 'x'",
            Code::TypeMismatch,
            "SIMILAR TO does not fit between a whole number and text.",
        ),
        (
            "select id from emp where id between 1 and s",
            Code::TypeMismatch,
            "BETWEEN does not fit between a whole number and a structure.",
        ),
        (
            "select count(*) from emp group by 2",
            Code::Syntax,
            "The SELECT has no column 2: numbers in GROUP BY and ORDER BY count its columns from 1.",
        ),
        ("select 1 / 0", Code::EvaluationFailed, "Division by zero."),
        ("select id / 0 from emp", Code::EvaluationFailed, "Division by zero."),
        ("select id from emp where id % 0 = 1", Code::EvaluationFailed, "Division by zero."),
        ("select cast('x' as int)", Code::EvaluationFailed, "'x' is not a whole number."),
        ("select cast('2025-02-30' as date)", Code::EvaluationFailed, "'2025-02-30' is not a date."),
        (
            "select now() at time zone 'utc'",
            Code::EvaluationFailed,
            "'utc' is not a time zone; write 'UTC' or '+02:00'.",
        ),
        ("select id from emp where id > 'x'", Code::EvaluationFailed, "'x' is not a whole number."),
        (
            "select id from emp fetch first 5 rows only",
            Code::StatementNotAllowed,
            "FETCH is not supported: write LIMIT.",
        ),
        (
            "select top 5 id from emp",
            Code::StatementNotAllowed,
            "TOP is not supported: write LIMIT at the end.",
        ),
        (
            "select id from emp where dept = \"QX\"",
            Code::UnknownColumn,
            "There is no column \"QX\". Double quotes are for names: a text is in single quotes.",
        ),
        (
            "select id from emp where dept ilike \"%a%\"",
            Code::UnknownColumn,
            "There is no column \"%a%\". Double quotes are for names: a text is in single quotes.",
        ),
        (
            "select id from emp where hired > \"2024-01-31\"",
            Code::UnknownColumn,
            "There is no column \"2024-01-31\". Double quotes are for names: a text is in single quotes.",
        ),
        (
            "select sum(Betrag) from (select id as \"Betrag\" from emp) t",
            Code::UnknownColumn,
            "There is no column \"betrag\". Write \"Betrag\", in double quotes.",
        ),
        ("select note ->> 'a' from emp", Code::StatementNotAllowed, "The operator ->> is not supported."),
        (
            "select cast(note as jsonb) from emp",
            Code::StatementNotAllowed,
            "The type jsonb is not supported.",
        ),
        (
            "copy emp to stdout",
            Code::StatementNotAllowed,
            "COPY is not served; use psql --csv -c \"select …\", or download the result of a query.",
        ),
        (
            "select to_char(hired, 'YYYY-MM') from emp",
            Code::StatementNotAllowed,
            "to_char takes strftime patterns: '%Y-%m'.",
        ),
    ] {
        let error = ask(&engine, &fixture, Caller::Eu, sql).await.unwrap_err();
        assert_eq!((error.code, error.message.as_str()), (code, message), "{sql}");
    }
    assert!(ask(&engine, &fixture, Caller::Eu, "select to_char(hired, '%Y') from emp").await.is_ok());
    // As messages say that functions are written.
    for written in [
        "date_part('year', hired)",
        "date_trunc('month', hired)",
        "left(dept, 3)",
        "replace(dept, 'old', 'new')",
        "right(dept, 3)",
        "split_part(dept, '-', 1)",
        "substr(dept, 1, 3)",
    ] {
        let answer = ask(&engine, &fixture, Caller::Eu, &format!("select {written} from emp")).await;
        assert!(answer.is_ok(), "{written}: {answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn types_and_parts_of_dates_that_are_misspelt_have_near_ones() {
    let (engine, fixture) = (engine(), fixture::memory());
    for (sql, message, near) in [
        ("select cast(dept as integr) from emp", "There is no type \"integr\".", "integer"),
        ("select dept::varchr from emp", "There is no type \"varchr\".", "varchar"),
        ("select try_cast(dept as timestmp) from emp", "There is no type \"timestmp\".", "timestamp"),
        ("select date_part('yeer', hired) from emp", "There is no part \"yeer\" of a date.", "year"),
        ("select datepart('mnth', hired) from emp", "There is no part \"mnth\" of a date.", "month"),
        ("select date_trunc('quartr', hired) from emp", "There is no part \"quartr\" of a date.", "quarter"),
        ("select date_trunc('years', hired) from emp", "There is no part \"years\" of a date.", "year"),
        ("select extract(weak from hired) from emp", "There is no part \"weak\" of a date.", "week"),
    ] {
        let error = ask(&engine, &fixture, Caller::Eu, sql).await.unwrap_err();
        assert_eq!((error.code, error.message.as_str()), (Code::StatementNotAllowed, message), "{sql}");
        assert_eq!(error.nearest.first().map(String::as_str), Some(near), "{sql}: {error:?}");
    }
    for part in ["YEAR", "years", "mon", "qtr", "doy", "epoch"] {
        let sql = format!("select date_part('{part}', hired) from emp");
        let answer = ask(&engine, &fixture, Caller::Eu, &sql).await;
        assert!(answer.is_ok(), "{part}: {answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_row_makes_fail_is_told_by_its_code_and_what_not_every_text_is() {
    let (engine, fixture) = (engine(), fixture::memory());
    let number = " A text is not always a whole number: try_cast(… as bigint) gives NULL where it is not.";
    let double = " A text is not always a number: try_cast(… as double) gives NULL where it is not.";
    let date = " A text is not always a date: try_cast(… as date) gives NULL where it is not.";
    let timestamp = " A text is not always a timestamp: try_cast(… as timestamp) gives NULL where it is not.";
    for (sql, hint) in [
        ("select 1 / (id - id) from emp", ""),
        ("select 1 / (id - id) from emp where try_cast(dept as int) is null", ""),
        ("select cast(dept as int) from emp", number),
        ("select id from emp where region = 1", number),
        ("select id from emp where id in (select cast(dept as int) from emp)", number),
        ("select dept::double from emp", double),
        ("select region::date from emp", date),
        ("select date_trunc('month', region) from emp", timestamp),
        // The constants are never computed.
        ("select case when id < 0 then 1 / 0 end, cast(dept as int) from emp", number),
        ("select coalesce(id, 1 / 0), cast(dept as int) from emp", number),
        ("select try_cast('x' as int), cast(dept as int) from emp", number),
    ] {
        let error = ask(&engine, &fixture, Caller::Eu, sql).await.unwrap_err();
        let told = format!("{CLOSED}{hint}");
        assert_eq!((error.code, error.message), (Code::EvaluationFailed, told), "{sql}");
    }
    for kind in ["bigint", "double", "date", "timestamp"] {
        let answer =
            ask(&engine, &fixture, Caller::Eu, &format!("select try_cast(dept as {kind}) from emp")).await;
        assert!(answer.is_ok(), "{kind}: {answer:?}");
    }
}

/// Who sees no row has no error, as of a table without rows.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_division_by_a_zero_of_the_text_fails_for_visible_rows_alone() {
    let (engine, fixture) = (engine(), fixture::memory());
    for sql in ["select id / 0 from emp", "select id / 0 from emp where false"] {
        let answer = ask(&engine, &fixture, Caller::Nobody, sql).await;
        assert!(answer.is_ok(), "{sql}: {answer:?}");
    }
    let hidden = ask(&engine, &fixture, Caller::Eu, "select id / 0 from emp where region = 'US'").await;
    assert!(hidden.is_ok(), "{hidden:?}");
}

/// A sentence about a constant is about the text: whoever asks, it is the same, or there is no error.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sentences_about_constants_tell_nothing_of_hidden_rows() {
    let engine = engine();
    let (fixture, seen) = (fixture::memory(), [Caller::Eu, Caller::Unknown, Caller::Like, Caller::Called]);
    for sql in [
        "select id from emp where 1 / 0 = 1",
        "select id from emp where cast(note as int) > 0 and 1 / 0 = 1",
        "select id from emp where region = 'US' and 1 / 0 = 1",
        "select cast(ssn as int), 1 / 0 from emp",
        "select id from emp where note = 'SECRET-2' and cast('x' as int) = 1",
        "select 1 / (salary - 100), 1 % 0 from emp",
        "select cast(note as int), cast('x' as int) from emp order by 1 / 0",
    ] {
        let mut told = Vec::new();
        for caller in seen {
            let answer = ask(&engine, &fixture, caller, sql).await;
            assert!(!text(&answer).contains("100-10-7001"), "{sql}: {answer:?}");
            if let Err(error) = answer {
                assert_eq!(leaks(&error.to_string()), None, "{sql}: {error:?}");
                told.push(error);
            } else {
                told.push(QueryError::new(Code::Cancelled, "answered"));
            }
        }
        assert!(told.iter().all(|error| *error == told[0]), "{sql}: {told:?}");
    }
}

/// Messages of a relation with hidden columns, beside those of names that are nowhere.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_message_has_a_hidden_name_that_was_not_asked_for() {
    let (engine, fixture) = (engine(), fixture::memory());
    let mut asked = request(&fixture, Caller::Eu, "");
    let mut emp = fixture.governed(Caller::Eu);
    let mut resolved = (*emp.resolved).clone();
    for hidden in ["ssn", "region", "note"] {
        resolved.masks.remove(hidden);
        resolved.hidden.insert(hidden.to_owned(), Some(fixture::POLICY));
    }
    emp.resolved = Arc::new(resolved);
    asked.relations = Arc::new(People { secret: emp.clone(), emp });
    let fails = async |sql: &str| {
        let mut asked = asked.clone();
        asked.sql = sql.to_owned();
        let answer = match engine.query(asked).await {
            Ok(answer) => answer.collect().await,
            Err(error) => Err(error),
        };
        answer.unwrap_err()
    };
    for sql in [
        "select *, count(*) from emp",
        "select dept, sum(id) from emp",
        "select sum(dept) from emp",
        "select id + s from emp",
        "select upper(id, dept) from emp",
        "select * from emp where id > 'x'",
        "select id from emp where dept",
        "select id from emp order by",
        "select id ->> dept from emp",
        "select id from emp union select id, dept from emp",
        "select regi from emp",
        "select e.* from emp e having count(*) > 1",
    ] {
        let error = fails(sql).await;
        let told = format!("{error:?}");
        for hidden in ["ssn", "region", "note", "secret"] {
            assert!(!told.contains(hidden), "{sql}: {told}");
        }
        assert_eq!(leaks(&told), None, "{sql}");
    }
    for (hidden, absent) in [
        ("select sum(region) from emp", "select sum(regiox) from emp"),
        ("select region, sum(id) from emp", "select regiox, sum(id) from emp"),
        ("select ssn + s from emp", "select ssx + s from emp"),
        ("select cast(note as int), 1 / 0 from emp", "select cast(notx as int), 1 / 0 from emp"),
    ] {
        let (one, other) = (fails(hidden).await, fails(absent).await);
        let renamed = one.message.replace("region", "regiox").replace("ssn", "ssx").replace("note", "notx");
        assert_eq!((one.code, renamed), (other.code, other.message), "{hidden}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn columns_without_a_name_have_a_title_that_people_expect() {
    let (engine, fixture) = (engine(), fixture::memory());
    for (sql, titles) in [
        ("select sum(id), count(*), count(id) from emp", vec!["sum", "count", "count_2"]),
        ("select 'a' || 1, id * 2, -id from emp", vec!["'a' || 1", "id * 2", "-id"]),
        ("select region, upper(region), e.id from emp e", vec!["region", "upper", "id"]),
        ("select id, cast(dept as varchar(9)), cast(1 as int) from emp", vec!["id", "dept", "int"]),
        ("select dept, max(id) from emp group by dept order by max(id)", vec!["dept", "max"]),
        ("select a.id, b.id from emp a join emp b on a.id = b.id", vec!["id", "id"]),
        ("select count(*) from emp where id < 0 union all select 1", vec!["count"]),
    ] {
        let answer = engine.query(request(&fixture, Caller::Eu, sql)).await.unwrap();
        let named: Vec<_> = answer.schema.fields().iter().map(|field| field.name().clone()).collect();
        assert_eq!(named, titles, "{sql}");
        for batch in answer.collect().await.unwrap() {
            let schema = batch.schema();
            let named: Vec<_> = schema.fields().iter().map(|field| field.name().as_str()).collect();
            assert_eq!(named, titles, "{sql}");
        }
        let shape = engine.shape(request(&fixture, Caller::Eu, sql)).await.unwrap();
        let named: Vec<_> = shape.schema.fields().iter().map(|field| field.name().as_str()).collect();
        assert_eq!(named, titles, "{sql}");
    }
}
