//! Names of relations and functions.

use datafusion::execution::SessionStateDefaults;

use super::fixture::{self, Caller};
use super::{ask, engine, rows};
use crate::Code;
use crate::functions::{AGGREGATES, REFUSED, SCALARS, WINDOWS};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relation_is_found_by_each_of_its_names() {
    let (engine, fixture) = (engine(), fixture::memory());
    for name in ["emp", "main.emp", "hr.emp", "hr.main.emp", "EMP", "\"EMP\"", "Hr.MAIN.Emp"] {
        let answer = ask(&engine, &fixture, Caller::Eu, &format!("select count(*) from {name}")).await;
        assert_eq!(rows(&answer.unwrap(), false), [["8"]], "{name}");
    }
    for name in ["emq", "hr.emq", "x.main.emp", "hr.public.emp", "a.b.c.emp"] {
        let error =
            ask(&engine, &fixture, Caller::Eu, &format!("select count(*) from {name}")).await.unwrap_err();
        assert!(matches!(error.code, Code::UnknownRelation | Code::Syntax), "{name}: {error:?}");
    }
    let error = ask(&engine, &fixture, Caller::Eu, "select * from empl").await.unwrap_err();
    assert_eq!(error.nearest.first().map(String::as_str), Some("emp"));
    let error = ask(&engine, &fixture, Caller::Eu, "select detp from emp").await.unwrap_err();
    assert_eq!((error.code, error.nearest.first().map(String::as_str)), (Code::UnknownColumn, Some("dept")));
}

#[test]
fn every_function_of_the_engine_is_allowed_or_refused_by_name() {
    let mut unknown = Vec::new();
    for function in SessionStateDefaults::default_scalar_functions() {
        let known = SCALARS.contains(&function.name()) || REFUSED.contains(&function.name());
        unknown.extend((!known).then(|| function.name().to_owned()));
    }
    for function in SessionStateDefaults::default_aggregate_functions() {
        unknown.extend((!AGGREGATES.contains(&function.name())).then(|| function.name().to_owned()));
    }
    for function in SessionStateDefaults::default_window_functions() {
        unknown.extend((!WINDOWS.contains(&function.name())).then(|| function.name().to_owned()));
    }
    assert!(unknown.is_empty(), "decide about {unknown:?}");
    let names: Vec<_> = SessionStateDefaults::default_scalar_functions()
        .iter()
        .map(|function| function.name().to_owned())
        .collect();
    let gone: Vec<_> = SCALARS.iter().filter(|name| !names.iter().any(|known| known == *name)).collect();
    assert!(gone.is_empty(), "no longer there: {gone:?}");
}

/// The page for people lists the functions that there are: no more, and no less.
#[test]
fn the_page_about_sql_lists_every_function() {
    let page = include_str!("../../../../docs/guides/sql.md");
    let (_, rest) = page.split_once("<!-- functions -->").unwrap();
    let (table, _) = rest.split_once("<!-- /functions -->").unwrap();
    let mut listed: Vec<_> = table.split('`').skip(1).step_by(2).collect();
    let mut allowed: Vec<_> = SCALARS.iter().chain(AGGREGATES).chain(WINDOWS).copied().collect();
    listed.sort_unstable();
    allowed.sort_unstable();
    assert_eq!(listed, allowed);
}
