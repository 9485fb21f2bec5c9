//! What is not even planned.

use std::sync::Arc;

use super::fixture::{self, Caller, Fixture};
use super::limits::{Kept, quiet, run};
use super::{Engine, ask, engine, leaks, request, rows, text};
use crate::{Code, RelationName};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn statements_that_do_more_than_read_are_refused() {
    let (engine, fixture) = (engine(), fixture::memory());
    for sql in [
        "create table t as select * from emp",
        "create view v as select * from emp",
        "create external table t stored as csv location '/etc/passwd'",
        "create schema x",
        "create function f(int) returns int return $1",
        "drop table emp",
        "insert into emp values (1)",
        "update emp set salary = 1",
        "delete from emp",
        "truncate table emp",
        "merge into emp using emp e on true when matched then delete",
        "copy emp to '/tmp/x.csv'",
        "copy (select * from emp) to '/tmp/x.parquet'",
        "set datafusion.optimizer.enable_leaf_expression_pushdown = true",
        "set x = 1",
        "reset datafusion.optimizer.enable_leaf_expression_pushdown",
        "show all",
        "show tables",
        "show columns from emp",
        "describe emp",
        "prepare p as select * from emp",
        "execute p",
        "deallocate p",
        "begin",
        "commit",
        "explain select * from emp",
        "explain analyze select * from emp",
        "explain verbose select * from emp",
        "explain analyze verbose select ssn from emp",
        "explain format tree select * from emp",
        "select * into t from emp",
        "with x as (insert into emp values (1) returning *) select * from x",
        "with x as (delete from emp returning *) select * from x",
        "select * from emp for update",
        "table emp",
        "select 1; drop table emp",
        "select 1; select 2",
        "select 1 /* ; */ ; drop table emp --",
        "/* select 1 */ drop table emp",
        "-- select 1\ndrop table emp",
        "call f()",
        "grant select on emp to x",
        "use x",
        "kill 1",
        "vacuum",
        "analyze table emp compute statistics",
        "load data inpath '/x' into table emp",
        "select * from emp tablesample system (10)",
        "select * from emp tablesample bernoulli (100) repeatable (1)",
        "select * from emp sample (100)",
        "select * from emp with (nolock)",
        "select * from emp for system_time as of '2020-01-01T00:00:00'",
        "select * from emp partition (p0)",
        "select * from emp pivot (sum(id) for dept in ('lab', 'it'))",
        "select * from emp unpivot (v for n in (ssn, note))",
        "select * from emp match_recognize (order by id pattern (a) define a as true)",
        "select id from emp start with id = 1 connect by prior id = id + 1",
        "select * from emp lateral view explode(array(1)) t as x",
        "select ssn into outfile '/tmp/x' from emp",
        "select id from emp prewhere id > 0",
        "from emp |> select ssn",
    ] {
        let error = ask(&engine, &fixture, Caller::Eu, sql).await.unwrap_err();
        assert!(matches!(error.code, Code::StatementNotAllowed | Code::Syntax), "{sql}: {error:?}");
    }
    let error = ask(&engine, &fixture, Caller::Eu, "explain analyze select * from emp").await.unwrap_err();
    assert_eq!(error.code, Code::StatementNotAllowed);
    // Who asks for names is told what has them.
    for (sql, relation) in [
        ("show tables", "information_schema.tables"),
        ("show columns from emp", "information_schema.columns"),
        ("describe emp", "information_schema.columns"),
    ] {
        let error = ask(&engine, &fixture, Caller::Eu, sql).await.unwrap_err();
        assert!(error.message.ends_with(&format!(": write SELECT * FROM {relation}.")), "{sql}: {error:?}");
        let select = format!("select * from {relation}");
        assert!(ask(&engine, &fixture, Caller::Eu, &select).await.is_ok(), "{relation}");
    }
    assert_eq!(ask(&engine, &fixture, Caller::Eu, "").await.unwrap_err().code, Code::Syntax);
    assert_eq!(ask(&engine, &fixture, Caller::Eu, "selec 1").await.unwrap_err().code, Code::Syntax);
    assert!(ask(&engine, &fixture, Caller::Eu, "select 1;").await.is_ok(), "one statement may end");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn functions_that_tell_of_files_metadata_or_the_server_do_not_exist() {
    let (engine, fixture) = (engine(), fixture::parquet(false).await);
    for sql in [
        "select ssn, input_file_name() from emp",
        "select file_row_index() from emp",
        "select version()",
        "select arrow_metadata(ssn) from emp",
        "select with_metadata(ssn, 'a', 'b') from emp",
        "select pg_read_file('/etc/passwd')",
        "select current_setting('x')",
        "select load_file('/etc/passwd')",
        "select pg_sleep(10)",
        "select \"INPUT_FILE_NAME\"() from emp",
        "select main.input_file_name() from emp",
        "select array_transform([1, 2], x -> x + 1)",
    ] {
        let error = ask(&engine, &fixture, Caller::Eu, sql).await.unwrap_err();
        assert_eq!(error.code, Code::StatementNotAllowed, "{sql}: {error:?}");
        assert_eq!(leaks(&text(&Err(error))), None);
    }
    let near = ask(&engine, &fixture, Caller::Eu, "select uper(dept) from emp").await.unwrap_err();
    assert!(near.nearest.contains(&"upper".to_owned()), "{near:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_and_addresses_are_no_relations() {
    let (engine, fixture) = (engine(), fixture::memory());
    for sql in [
        "select * from '/etc/passwd'",
        "select * from \"/etc/passwd\"",
        "select * from '/etc/passwd.csv'",
        "select * from 's3://bucket/file.parquet'",
        "select * from 'file:///etc/passwd'",
        "select * from 'relation://files0'",
        "select * from pg_catalog.pg_class",
        "select * from information_schema.df_settings",
        "select * from information_schema.routines",
        "select * from \"\u{1}\".\"\u{1}\".nothing",
    ] {
        let error = ask(&engine, &fixture, Caller::Eu, sql).await.unwrap_err();
        assert!(matches!(error.code, Code::UnknownRelation | Code::Syntax), "{sql}: {error:?}");
    }
    for sql in [
        "select * from read_csv('/etc/passwd')",
        "select * from read_parquet('s3://x/y')",
        "select * from parquet_metadata('/x')",
        "select * from table(read_csv('/etc/passwd'))",
        "select * from glob('/*')",
    ] {
        let error = ask(&engine, &fixture, Caller::Eu, sql).await.unwrap_err();
        assert!(matches!(error.code, Code::StatementNotAllowed | Code::Syntax), "{sql}: {error:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_forbidden_and_what_is_not_there_look_the_same() {
    let (engine, fixture) = (engine(), fixture::memory());
    // `secret` exists and is denied; `secres` does not exist.
    for (forbidden, absent) in [
        ("select * from secret", "select * from secres"),
        ("select * from hr.main.secret", "select * from hr.main.secres"),
        ("select x from main.secret where 1 / 0 = 1", "select x from main.secres where 1 / 0 = 1"),
        // Under names of their own, and where nothing of them is asked for.
        (
            "with emp as (select * from secret) select * from emp",
            "with emp as (select * from secres) select * from emp",
        ),
        (
            "with x as (select * from secret) select id from emp",
            "with x as (select * from secres) select id from emp",
        ),
        (
            "with secret as (select * from secret) select * from secret",
            "with secres as (select * from secres) select * from secres",
        ),
        ("select emp.id from secret as emp", "select emp.id from secres as emp"),
        ("select * from \"SECRET\"", "select * from \"SECRES\""),
        (
            "select id from emp where exists (select 1 from secret)",
            "select id from emp where exists (select 1 from secres)",
        ),
        (
            "select id from emp, lateral (select * from secret s) x",
            "select id from emp, lateral (select * from secres s) x",
        ),
        (
            "select id from emp union all by name select * from secret",
            "select id from emp union all by name select * from secres",
        ),
        ("select id from emp natural join secret", "select id from emp natural join secres"),
    ] {
        let one = ask(&engine, &fixture, Caller::Eu, forbidden).await.unwrap_err();
        let other = ask(&engine, &fixture, Caller::Eu, absent).await.unwrap_err();
        assert_eq!(one.code, Code::UnknownRelation);
        let renamed = one.message.replace("secret", "secres").replace("SECRET", "SECRES");
        assert_eq!(renamed, other.message);
        assert_eq!(one.nearest, other.nearest);
    }
}

#[tokio::test]
async fn who_asks_for_what_is_forbidden_is_on_record() {
    let (engine, fixture) = (engine(), fixture::memory());
    for (sql, is_kept) in [
        ("select * from secret", true),
        ("select * from HR.Main.\"SECRET\"", true),
        ("select id from emp where exists (select 1 from secret)", true),
        ("select * from other.secret", false),
        ("select * from secres", false),
        ("select id from emp as secret", false),
    ] {
        let kept = Arc::new(Kept::default());
        let mut query = request(&fixture, Caller::Eu, sql);
        query.decisions = Some(Arc::clone(&kept) as _);
        drop(run(&engine, query).await);
        quiet(&engine).await;
        let kept = kept.0.lock().unwrap();
        let denied = kept.iter().filter(|one| one.resolved.decision != tidegate_policy::Decision::Allowed);
        let names: Vec<&str> = denied.map(|one| one.relation.table.as_str()).collect();
        assert_eq!(names, if is_kept { vec!["secret"] } else { Vec::new() }, "{sql}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hidden_columns_are_not_there() {
    let engine = engine();
    for fixture in fixture::all().await {
        has_no_hidden_column(&engine, &fixture).await;
    }
}

pub(super) async fn has_no_hidden_column(engine: &Engine, fixture: &Fixture) {
    let mut request = super::request(fixture, Caller::Eu, "");
    let mut emp = fixture.governed(Caller::Eu);
    let mut resolved = (*emp.resolved).clone();
    resolved.masks.remove("ssn");
    resolved.hidden.insert("ssn".to_owned(), Some(fixture::POLICY));
    // The filter reads a column that the person may not.
    resolved.hidden.insert("region".to_owned(), Some(fixture::POLICY));
    emp.resolved = std::sync::Arc::new(resolved);
    request.relations = std::sync::Arc::new(super::People { secret: emp.clone(), emp });
    let asked = async |sql: &str| {
        let mut request = request.clone();
        request.sql = sql.to_owned();
        match engine.query(request).await {
            Ok(answer) => answer.collect().await,
            Err(error) => Err(error),
        }
    };
    for (hidden, absent) in [
        ("select ssn from emp", "select ssx from emp"),
        ("select emp.ssn from emp", "select emp.ssx from emp"),
        ("select id from emp where ssn = 'x'", "select id from emp where ssx = 'x'"),
        ("select id from emp where region = 'EU'", "select id from emp where regiox = 'EU'"),
        ("select id from emp order by ssn", "select id from emp order by ssx"),
        ("select count(ssn) from emp group by region", "select count(ssx) from emp group by regiox"),
        ("select e.id from emp e join emp f using (ssn)", "select e.id from emp e join emp f using (ssx)"),
    ] {
        let one = asked(hidden).await.unwrap_err();
        let other = asked(absent).await.unwrap_err();
        assert_eq!(one.code, Code::UnknownColumn, "{hidden}");
        let renamed = one.message.replace("ssn", "ssx").replace("region", "regiox");
        assert_eq!(renamed, other.message, "{hidden}");
        assert!(one.nearest.iter().all(|name| name != "ssn" && name != "region"), "{one:?}");
    }
    let all = asked("select * from emp").await.unwrap();
    assert!(all[0].schema().fields().iter().all(|field| field.name() != "ssn" && field.name() != "region"));
    assert_eq!(rows(&asked("select count(*) from emp").await.unwrap(), false), [["8"]], "{}", fixture.name);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn information_schema_lists_what_the_person_sees() {
    let (engine, fixture) = (engine(), fixture::memory());
    let tables = ask(&engine, &fixture, Caller::Eu, "select * from information_schema.tables").await.unwrap();
    assert_eq!(rows(&tables, false), [["hr", "main", "emp", "BASE TABLE"]]);
    let columns = ask(
        &engine,
        &fixture,
        Caller::Eu,
        "select column_name, data_type, is_nullable from hr.information_schema.columns where table_name = 'emp' order by ordinal_position",
    )
    .await
    .unwrap();
    let columns = rows(&columns, false);
    assert_eq!(columns[0], ["id", "Int64", "NO"]);
    assert_eq!(columns[3], ["salary", "Int64", "YES"]);
    let schemata =
        ask(&engine, &fixture, Caller::Eu, "select * from information_schema.schemata").await.unwrap();
    assert_eq!(rows(&schemata, false), [["hr", "main"]]);
    assert_eq!(RelationName::new("hr", None, "emp").to_string(), "hr.main.emp");
}
