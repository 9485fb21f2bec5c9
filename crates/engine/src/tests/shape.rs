//! What a query would answer with, without running it.

use datafusion::arrow::datatypes::Schema;

use super::fixture::{self, Caller};
use super::{engine, leaks, request};
use crate::Code;

fn columns(schema: &Schema) -> Vec<(String, String)> {
    schema.fields().iter().map(|field| (field.name().clone(), field.data_type().to_string())).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shape_is_that_of_the_answer() {
    let (engine, fixture) = (engine(), fixture::memory());
    for sql in [
        "select * from emp",
        "select id + 1 as n, upper(region) from emp",
        "select ssn, count(*) from emp group by 1",
        "select a.id from emp a join emp b on a.id = b.id union all select id from emp",
    ] {
        let shape = engine.shape(request(&fixture, Caller::Eu, sql)).await.unwrap();
        let answer = engine.query(request(&fixture, Caller::Eu, sql)).await.unwrap();
        assert_eq!(columns(&shape.schema), columns(&answer.schema), "{sql}");
        assert!(shape.parameters.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parameters_need_no_values() {
    let (engine, fixture) = (engine(), fixture::memory());
    let sql = "select id, $4 from emp where id = $1 and region = $2 limit $3";
    let shape = engine.shape(request(&fixture, Caller::Eu, sql)).await.unwrap();
    assert_eq!(shape.parameters.iter().map(Option::is_some).collect::<Vec<_>>(), [true, true, true, false]);
    assert_eq!(shape.schema.fields().len(), 2);
    let named = engine.shape(request(&fixture, Caller::Eu, "select $name")).await.unwrap_err();
    assert_eq!(named.code, Code::StatementNotAllowed);
    let many = engine.shape(request(&fixture, Caller::Eu, "select $1000000000")).await.unwrap_err();
    assert_eq!(many.code, Code::LimitMemory);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shape_is_refused_where_the_query_is() {
    let (engine, fixture) = (engine(), fixture::memory());
    for sql in [
        "select * from secret",
        "select * from nowhere",
        "select payroll from emp",
        "drop table emp",
        "explain select * from emp",
        "select 1; select 2",
        "select input_file_name() from emp",
        "select * from '/etc/passwd'",
        "selec 1",
    ] {
        let shape = engine.shape(request(&fixture, Caller::Eu, sql)).await.unwrap_err();
        let query = engine.query(request(&fixture, Caller::Eu, sql)).await.unwrap_err();
        assert_eq!(shape, query, "{sql}");
        assert_eq!(leaks(&shape.to_string()), None);
    }
    // What fails on rows alone fails on none.
    let sql = "select cast(note as int) from emp where 1 / 0 = 1";
    assert!(engine.shape(request(&fixture, Caller::Nobody, sql)).await.is_ok());
}
