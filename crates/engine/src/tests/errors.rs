//! Codes, and that nothing but codes is answered.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::arrow::error::ArrowError;
use datafusion::common::DataFusionError;
use serde_json::json;
use tidegate_connect::{
    BatchStream, Discovered, ErrorCode, Filter, Relation, Scan, Source, SourceError, Tested,
};
use tidegate_policy::Resolved;

use super::fixture::{self, Caller};
use super::{People, ask, engine, leaks, request, rows, text};
use crate::error::is_out_of_memory;
use crate::{Code, Connected, Engine, GovernedRelation, Parameters, QueryError};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_mistake_has_its_code() {
    let (engine, fixture) = (engine(), fixture::memory());
    for (sql, code) in [
        ("select", Code::Syntax),
        ("select 'a", Code::Syntax),
        ("select id from emp where", Code::Syntax),
        ("select id + s from emp", Code::TypeMismatch),
        ("select sum(dept) from emp where dept = make_array(1)", Code::TypeMismatch),
        ("select upper(id, id) from emp", Code::TypeMismatch),
        ("select nothing from emp", Code::UnknownColumn),
        ("select e.nothing from emp e", Code::UnknownColumn),
        ("select id from emp a, emp b", Code::UnknownColumn),
        ("select * from nothing", Code::UnknownRelation),
        ("select cast(dept as int) from emp", Code::EvaluationFailed),
        ("select 1 / 0", Code::EvaluationFailed),
        ("select 1 / (id - id) from emp", Code::EvaluationFailed),
        ("select $1", Code::TypeMismatch),
    ] {
        let error = ask(&engine, &fixture, Caller::Eu, sql).await.unwrap_err();
        assert_eq!(error.code, code, "{sql}: {error:?}");
        // Not even of visible rows: the message is one of ours.
        assert!(!error.message.contains("sales") && !error.message.contains("lab"), "{error:?}");
    }
    assert_eq!(Code::ALL.len(), 13);
}

// A text is read once. What it means for its caller is not remembered with it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_text_is_asked_anew_of_what_each_caller_sees() {
    let (engine, fixture) = (engine(), fixture::memory());
    let ask = async |caller: Caller, least: i64| -> Vec<Vec<String>> {
        let mut request = request(&fixture, caller, "select count(*) from emp where id > $1");
        request.parameters = Parameters::Positional(vec![json!(least)]);
        rows(&engine.query(request).await.unwrap().collect().await.unwrap(), true)
    };
    for _ in 0..2 {
        assert_eq!(ask(Caller::Eu, 0).await, [["8"]]);
        assert_eq!(ask(Caller::Eu, 5).await, [["5"]]);
        assert_eq!(ask(Caller::Nobody, 0).await, [["0"]]);
        assert_eq!(ask(Caller::Everybody, 0).await, [["18"]]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parameters_are_values() {
    let (engine, fixture) = (engine(), fixture::memory());
    let ask = async |sql: &str, parameters: serde_json::Value| -> Result<Vec<Vec<String>>, QueryError> {
        let mut request = request(&fixture, Caller::Eu, sql);
        request.parameters = Parameters::from_json(parameters)?;
        Ok(rows(&engine.query(request).await?.collect().await?, true))
    };
    assert_eq!(
        ask("select id from emp where dept = $1 and id > $2", json!(["sales", 5])).await.unwrap(),
        [["13"], ["7"]]
    );
    assert_eq!(
        ask("select id from emp where dept = $dept", json!({"dept": "lab"})).await.unwrap(),
        [["11"], ["5"]]
    );
    let tricks = ["' or 1 = 1 --", "O'Brien", "x'); drop table emp; --", "$2", "\u{0}"];
    for trick in tricks {
        assert_eq!(
            ask("select id from emp where dept = $1", json!([trick])).await.unwrap(),
            Vec::<Vec<String>>::new()
        );
        assert_eq!(ask("select $1", json!([trick])).await.unwrap(), [[trick]]);
    }
    assert_eq!(ask("select id from emp order by id limit $1", json!([2])).await.unwrap().len(), 2);
    assert_eq!(ask("select $1 is null", json!([null])).await.unwrap(), [["true"]]);
    assert_eq!(
        ask("select id from emp where dept = $2", json!(["a"])).await.unwrap_err().code,
        Code::TypeMismatch
    );
    for (sql, told) in [
        ("select id from emp where dept = $1", "There is no value for the parameter \"$1\"."),
        (
            "select id from emp where dept = ?",
            "There is no value for the parameter \"?\". Parameters are written $1, $2 and so on.",
        ),
        (
            "select id from emp where dept = :dept",
            "There is no value for the parameter \":dept\". Parameters are written $1, $2 and so on.",
        ),
    ] {
        assert_eq!(ask(sql, json!(null)).await.unwrap_err().message, told, "{sql}");
        if !told.contains("$1\"") {
            assert_eq!(ask(sql, json!(["lab"])).await.unwrap_err().message, told, "{sql}");
        }
    }
    assert_eq!(ask("select $1", json!([[1]])).await.unwrap_err().code, Code::TypeMismatch);
    assert_eq!(ask("select $1", json!("a")).await.unwrap_err().code, Code::TypeMismatch);
    assert_eq!(ask("select $1", json!(vec![1; 1_001])).await.unwrap_err().code, Code::LimitMemory);
    // A parameter is no name.
    assert!(ask("select * from $1", json!(["emp"])).await.is_err());
}

/// A source whose errors quote rows.
struct Talkative;

#[async_trait]
impl Source for Talkative {
    async fn test(&self, _: Option<&str>, _: Duration) -> Result<Tested, SourceError> {
        Err(SourceError::new(ErrorCode::Query, "no"))
    }

    async fn discover(&self, _: Option<&str>) -> Result<Discovered, SourceError> {
        Err(SourceError::new(ErrorCode::Query, "no"))
    }

    async fn schema(&self, _: &Relation) -> Result<SchemaRef, SourceError> {
        Ok(Arc::new(Schema::new(vec![Field::new("id", DataType::Int64, true)])))
    }

    fn evaluates(&self, _: &Schema, _: &Filter) -> bool {
        true
    }

    async fn scan(&self, _: Scan) -> Result<BatchStream, SourceError> {
        Err(SourceError::new(ErrorCode::Query, "SECRET-1 is no number")
            .with_detail("row SECRET-2: 100-10-7001"))
    }

    async fn close(&self) {}
}

async fn ask_talkative(
    engine: &Engine,
    sql: &str,
) -> Result<Vec<datafusion::arrow::array::RecordBatch>, QueryError> {
    let fixture = fixture::memory();
    let relation = Relation { schema: None, table: "emp".into() };
    let rows = Connected::open(Arc::new(Talkative), relation, None, fixture::unnamed()).await?;
    let emp = GovernedRelation {
        rows: Arc::new(rows),
        resolved: Arc::new(Resolved::open()),
        hash: Arc::new(fixture::hash),
    };
    let mut request = request(&fixture, Caller::Everybody, sql);
    request.relations = Arc::new(People { secret: emp.clone(), emp });
    engine.query(request).await?.collect().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_words_of_a_source_are_never_answered() {
    let engine = engine();
    for sql in [
        "select * from emp",
        "select count(*) from emp",
        "select e.id from emp e join emp f using (id)",
        "select id from emp where id in (select max(id) from emp)",
        "select (select max(id) from emp)",
        "select id from emp union all select 1",
    ] {
        let answer = ask_talkative(&engine, sql).await;
        assert_eq!(leaks(&text(&answer)), None);
        assert_eq!(answer.unwrap_err().code, Code::SourceUnavailable, "{sql}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn policies_that_do_not_fit_the_relation_deny() {
    let (engine, fixture) = (engine(), fixture::memory());
    let open = fixture.governed(Caller::Eu);
    let mut masked = (*open.resolved).clone();
    let mask = masked.masks["ssn"].clone();
    masked.masks.insert("gone".to_owned(), mask);
    let mut filtered = (*open.resolved).clone();
    filtered.filter = Some(tidegate_policy::Expr::IsNull {
        value: Box::new(tidegate_policy::Expr::Column {
            name: "gone".into(),
            kind: tidegate_policy::ColumnType::Text,
        }),
        negated: true,
    });
    for resolved in [masked, filtered] {
        let emp = GovernedRelation { resolved: Arc::new(resolved), ..open.clone() };
        let mut request = request(&fixture, Caller::Eu, "select 1 from emp");
        request.relations = Arc::new(People { secret: emp.clone(), emp });
        assert_eq!(engine.query(request).await.unwrap_err().code, Code::PolicyDenied);
    }
}

#[test]
fn a_want_of_memory_is_told_from_other_limits() {
    let none = || DataFusionError::ResourcesExhausted("queries hold all the memory there is".to_owned());
    let within = ArrowError::ExternalError(Box::new(none()));
    for error in [
        none(),
        none().context("a join"),
        DataFusionError::Shared(Arc::new(none())),
        DataFusionError::ArrowError(Box::new(within), None),
    ] {
        assert!(is_out_of_memory(&error), "{error:?}");
    }
    for error in [QueryError::too_big("disk").into(), DataFusionError::Execution("x".to_owned())] {
        assert!(!is_out_of_memory(&error), "{error:?}");
    }
}
