//! The attacks that the release depends on, asked over the wire and over HTTP, of data sources of several kinds: both must answer alike,
//! and neither with anything of hidden rows or of what masks cover. That the answers are right, the engine's own tests say. What MariaDB says
//! it was asked is looked at, too.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow_array::types::Int32Type;
use arrow_array::{ArrayRef, DictionaryArray, Int64Array, RecordBatch, StringArray};
use parquet::arrow::ArrowWriter;
use serde_json::{Value, json};
use tidegate_testkit::{Engine, TestDatabase, on_both_engines};

use super::{port, serve, tokens};
use crate::member::{ADA, post, upload};
use crate::support::{Installation, Said, Server};
use mariadbd::Mariadb;

#[path = "../../../../connect/tests/sources/mariadbd.rs"]
#[expect(clippy::disallowed_methods, reason = "this test starts the server it asks")]
mod mariadbd;

const CSV: &str = "id,region,dept,ssn,salary,note
1,EU,lab,101-11-7001,10007,10
2,US,lab,987-65-4321,100,SECRET-2
3,EU,it,111-22-3333,20008,30
4,US,it,987-65-9999,100,SECRET-4
";

/// What must be in no answer: of hidden rows, and of values under masks.
const HIDDEN: [&str; 6] = ["SECRET", "987-65", "101-11", "111-22", "10007", "20008"];

/// Answered alike, whatever the answer is. `EMP` is the table.
const ALIKE: &[&str] = &[
    "select id, region, dept, ssn, salary, note from EMP",
    "select * from EMP order by id limit 3",
    "with e as (select * from EMP) select id, ssn from e",
    "select id, ssn from EMP union select id, note from EMP",
    "select id from EMP except select id from EMP where dept = 'lab'",
    "select * from (select id, ssn, note from EMP) x where id > 2",
    "select a.id, b.ssn from EMP a, lateral (select ssn from EMP b where b.id = a.id) b",
    "with recursive r(n) as (select 1 union all select n + 1 from r where n < 20) select n, e.note from r left join EMP e on e.id = r.n",
    "select ssn, input_file_name() as f from EMP",
    "select ssn, file_row_index() as f from EMP",
    "select ssn, x['a'] as a from (select ssn, named_struct('a', id) x from EMP) y",
    "select max(x['a']) as m from (select named_struct('a', ssn) x from EMP) y",
    "select string_agg(ssn, ',' order by id) as s from EMP",
    "select substr(ssn, 1, 3) as a, reverse(ssn) as b, length(ssn) as c from EMP",
    "select case when ssn like '1%' then 'raw' else ssn end as c from EMP",
    "select coalesce(salary, -1) as c, cast(salary as varchar) as d from EMP",
    "select id from EMP where cast(note as int) > 0",
    "select id from EMP where cast(note as int) >= 0 and dept = 'lab'",
    "select id from EMP where 1 / (salary - 100) > 5",
    "select id from EMP where 1 / (id - 2) > -5",
    "select a.id from EMP a join EMP b on cast(a.note as int) = cast(b.note as int)",
    "select id from EMP order by cast(note as int)",
    "select dept, max(cast(note as int)) as m from EMP group by dept having max(cast(note as int)) > 0",
    "select sum(cast(note as int)) filter (where cast(note as int) > 10) as s from EMP",
    "select id, case when cast(note as int) > 20 then 'many' else 'few' end as c from EMP",
    "select id, row_number() over (order by cast(note as int)) as n from EMP",
    "select id from EMP where 1 / 0 = 1",
    "select count(*) as n from EMP where 1 / 0 = 1",
    "select id from EMP where id > 1 / 0",
    "select id from EMP where cast('x' as int) = 1",
    "select id from EMP where (select max(note) from EMP) like 'SECRET%'",
    "select 1 as one where exists (select 1 from EMP where note like 'SECRET%')",
    "select id from EMP where ssn = '101-11-7001' or ssn = '987-65-4321'",
    "select id from EMP where ssn like '101%'",
    "select id from EMP where ssn in ('101-11-7001', '*******7001')",
    "select id from EMP where ssn between '1' and '2'",
    "select id from EMP where salary > 0",
    "select id from EMP where salary is not null",
    "select id from EMP order by ssn, id",
    "select ssn, count(*) as n from EMP group by ssn",
    "select min(ssn) as a, max(ssn) as b, max(salary) as c from EMP",
    "select id, row_number() over (order by ssn, id) as n from EMP",
    "select e.id from EMP e join (values ('101-11-7001'), ('*******3333')) v(n) on e.ssn = v.n",
    "select a.id as a, b.id as b from EMP a join EMP b on a.ssn = b.ssn",
    "select id from EMP where id not in (select id from EMP where dept = 'lab')",
    "select id from EMP e where exists (select 1 from EMP x where x.id = e.id + 2)",
    "select id, (select count(*) from EMP) as n from EMP",
    "select count(*) as n from EMP",
    "select sum(salary) as s, min(id) as a, max(id) as b from EMP",
    "select region, count(*) as n from EMP group by region",
    "select count(*) as n from (select id from EMP where id > 0 limit 1) x",
    "select * from payroll",
    "select * from nowhere.payroll",
    "select payroll from EMP",
    "select EMP.region, no_such from EMP",
    "explain select * from EMP",
    "explain analyze verbose select * from EMP",
    "describe EMP",
    "drop table EMP",
    "insert into EMP (id) values (9)",
    "update EMP set ssn = 'x'",
    "delete from EMP",
    "create table x (y int)",
    "create external table x stored as csv location '/etc/passwd'",
    "copy EMP to '/tmp/x.csv'",
    "select * into x from EMP",
    "prepare x as select * from EMP",
    "set role postgres",
    "select * from '/etc/passwd'",
    "select * from 's3://bucket/x.parquet'",
    "select * from read_csv('/etc/passwd')",
    "select pg_read_file('/etc/passwd') from EMP",
    "select repeat('x', 1000000000) as x",
    "select count(*) as n from EMP, pg_class",
    "select (select max(note) from EMP) as m from pg_class",
    "select id from EMP where note ~ '(a+)+$'",
    "selec 1",
    "select 'a' as a, $1 from EMP",
];

/// Refused here and there, though not in the same words: texts of several statements.
const REFUSED: &[&str] = &[
    "select id from EMP; drop table EMP",
    "select id from EMP; select note from EMP",
    "select id from EMP /* ; */ ; delete from EMP",
];

/// The code of the wire for one of HTTP's.
fn state(code: &str) -> &'static str {
    match code {
        "syntax" => "42601",
        "unknown_relation" => "42P01",
        "unknown_column" => "42703",
        "statement_not_allowed" => "0A000",
        "type_mismatch" => "42804",
        "evaluation_failed" => "22000",
        "limit_rows" => "54000",
        "limit_time" | "cancelled" => "57014",
        "limit_memory" => "53200",
        "limit_concurrency" => "53300",
        "source_unavailable" => "58000",
        "policy_denied" => "42501",
        other => panic!("{other}"),
    }
}

fn parquet() -> Vec<u8> {
    let lines: Vec<Vec<&str>> = CSV.lines().skip(1).map(|line| line.split(',').collect()).collect();
    let text = |at: usize| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(lines.iter().map(|line| line[at])))
    };
    let number = |at: usize| -> ArrayRef {
        Arc::new(Int64Array::from_iter_values(lines.iter().map(|line| line[at].parse::<i64>().unwrap())))
    };
    // As a data frame writes categories: words of all rows in one place.
    let notes = lines.iter().map(|line| line[5]).collect::<DictionaryArray<Int32Type>>();
    let notes: ArrayRef = Arc::new(notes);
    let columns = [
        ("id", number(0)),
        ("region", text(1)),
        ("dept", text(2)),
        ("ssn", text(3)),
        ("salary", number(4)),
        ("note", notes),
    ];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.into_inner().unwrap()
}

/// The table and its rows, as SQL of any engine. `text` is its type for texts.
fn statements(text: &str) -> String {
    let rows: Vec<String> = CSV
        .lines()
        .skip(1)
        .map(|line| format!("('{}')", line.split(',').collect::<Vec<_>>().join("', '")))
        .collect();
    format!(
        "create table emp (id bigint primary key, region {text}, dept {text}, ssn {text}, salary bigint, note {text}); \
         insert into emp values {}",
        rows.join(", ")
    )
}

/// What MariaDB is told or asked by its superuser.
fn in_mariadb(here: &Installation, mariadb: &Mariadb, sql: &str) -> String {
    let mut client = here.command_of("mariadb");
    let port = mariadb.port.to_string();
    client.args([
        "--no-defaults",
        "--skip-ssl",
        "--host=127.0.0.1",
        "--user=root",
        "--batch",
        "--skip-column-names",
        "--raw",
    ]);
    let said = Said::of(client.args(["--port", &port, "--execute", sql]));
    assert_eq!(said.code, 0, "{sql}: {said:?}");
    said.out
}

/// Statements on the table that MariaDB was sent, by its own log.
fn sent_to_mariadb(here: &Installation, mariadb: &Mariadb) -> Vec<String> {
    let read = "select replace(convert(argument using utf8mb4), '\\n', ' ') from mysql.general_log \
                where user_host like 'reader%' and argument like '%from `hr`.`emp`%' order by event_time";
    in_mariadb(here, mariadb, read).lines().map(str::to_owned).collect()
}

/// What is wrong with a statement that reached MariaDB: it has to have the policy first, and no masked column, function or pattern of the
/// person's after it.
fn too_much(statement: &str) -> Option<&'static str> {
    let Some((_, condition)) = statement.split_once(" WHERE ") else { return Some("no condition") };
    if !condition.starts_with("(CAST(CONVERT(`region` USING utf8mb4) AS BINARY) = CAST(") {
        return Some("another condition before the policy");
    }
    // Of the rows that the policy leaves, as many may be asked for as are wanted: the first in the order of a column that is shown as it is.
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let condition = match condition.rsplit_once(" LIMIT ") {
        Some((rows, most)) if is_number(most) => rows.trim_end_matches(" ORDER BY `emp`.`id` ASC"),
        _ => condition,
    };
    let words = [
        "`ssn`", "`salary`", " LIKE ", " LIMIT ", "SIGNED", " / ", " ORDER ", " GROUP ", "COUNT(", "SUM(",
        "MAX(", "UPPER(", "SELECT ", "REGEXP",
    ];
    words.into_iter().find(|word| condition.contains(word))
}

/// A data source that was discovered.
struct Source {
    number: i64,
    database: String,
    /// The table, quoted.
    table: String,
}

async fn source(here: &Installation, server: &Server, session: &str, body: &Value) -> Source {
    let made = post(server, session, "data-sources", body).await;
    let number = made["id"].as_i64().unwrap();
    let mut discover = here.command(&["source", "discover", &number.to_string(), "--json"]);
    let discovered = Said::of(discover.env("TIDEGATE_DATA__ALLOW_PRIVATE_NETWORKS", "true")).json();
    assert_eq!(discovered["tables"], 1, "{body}: {discovered}");
    let database = here.json(&["source", "show", &number.to_string()])["slug"].as_str().unwrap().to_owned();
    let tables = over_http(server, session, number, "select table_name from information_schema.tables").await;
    let table = tables["rows"][0]["table_name"].as_str().unwrap_or_else(|| panic!("{tables}"));
    Source { number, database, table: format!("\"{table}\"") }
}

/// What HTTP answers: rows as texts by their columns, or the code of the wire.
async fn over_http(server: &Server, session: &str, source: i64, sql: &str) -> Value {
    let body = json!({ "sql": sql, "selected_data_source_ids": [source] });
    let data = post(server, session, "queries/execute", &body).await;
    if data["status"] != "completed" {
        let code = data["error_code"].as_str().unwrap_or_else(|| panic!("{sql}: {data}"));
        return json!({ "state": state(code), "said": data["error_message"] });
    }
    let text = |value: &Value| match value {
        Value::Null | Value::String(_) => value.clone(),
        other => Value::String(other.to_string()),
    };
    let row = |row: &Value| -> Value {
        row.as_object().unwrap().iter().map(|(name, value)| (name.clone(), text(value))).collect()
    };
    json!({ "rows": data["result_preview"].as_array().unwrap().iter().map(row).collect::<Vec<_>>() })
}

/// An answer without its words, its rows in one order.
fn bare(answer: &Value) -> Value {
    match answer["rows"].as_array() {
        Some(rows) => {
            let mut rows: Vec<String> = rows.iter().map(Value::to_string).collect();
            rows.sort();
            json!(rows)
        }
        None => answer["state"].clone(),
    }
}

fn leaks(answer: &Value) -> Option<&'static str> {
    let told = answer.to_string();
    HIDDEN.into_iter().find(|hidden| told.contains(hidden))
}

async fn policies(server: &Server, session: &str) {
    for (name, kind, rule, config) in [
        ("rows", "row_level_security", "filter_rows", json!({ "table": "*", "condition": "region = 'EU'" })),
        (
            "ssn",
            "data_masking",
            "mask_column",
            json!({ "table": "*", "column": "ssn", "masking_type": "partial", "visible_suffix": 4 }),
        ),
        (
            "salary",
            "data_masking",
            "mask_column",
            json!({ "table": "*", "column": "salary", "masking_type": "null" }),
        ),
    ] {
        let rule = json!({ "rule_name": "r", "rule_type": rule, "rule_config": config });
        let body = json!({ "name": name, "type": kind, "role_ids": [1, 2, 3, 4], "rules": [rule] });
        post(server, session, "policies", &body).await;
    }
}

/// One data source of each kind.
async fn sources(
    here: &Installation,
    server: &Server,
    session: &str,
    postgres: &TestDatabase,
    mariadb: &Mariadb,
) -> Vec<Source> {
    let made = here.run_python("postgres/make_sqlite.py", &["attacks.sqlite"], &statements("text"));
    assert_eq!(made.code, 0, "{made:?}");
    let lite = std::fs::read(here.path().join("attacks.sqlite")).unwrap();
    postgres.sql(&statements("text")).await;
    let prepared = "create database hr character set utf8mb4; create user reader identified by 's3cret'; grant select on hr.* to reader";
    in_mariadb(here, mariadb, prepared);
    in_mariadb(here, mariadb, &format!("use hr; {}", statements("varchar(20)")));
    let mut all = Vec::new();
    for (kind, content) in [("csv", CSV.as_bytes().to_vec()), ("parquet", parquet()), ("sqlite", lite)] {
        let path = upload(server, session, &format!("emp.{kind}"), &content).await;
        let body = json!({ "name": format!("In {kind}"), "type": kind, "file_path": path });
        all.push(source(here, server, session, &body).await);
    }
    let address = postgres.postgres_url();
    let address = address.split('?').next().unwrap();
    let body = json!({
        "name": "In PostgreSQL", "type": "postgresql", "connection_string": format!("{address}?sslmode=disable"),
        "connection_timeout": 5, "max_retries": 0,
    });
    all.push(source(here, server, session, &body).await);
    let body = json!({
        "name": "In MariaDB", "type": "mariadb", "host": "127.0.0.1", "port": mariadb.port, "database_name": "hr",
        "credentials": { "username": "reader", "password": "s3cret" }, "connection_timeout": 5, "max_retries": 0,
    });
    all.push(source(here, server, session, &body).await);
    all
}

on_both_engines! {
    async fn the_wire_answers_what_http_answers(here: Installation) {
        let postgres = TestDatabase::empty(Engine::Postgres).await;
        let mariadb = Mariadb::start(&["--general-log=1".to_owned(), "--log-output=TABLE".to_owned()]);
        let server = serve(&here);
        let (session, token) = tokens(&here, &server).await;
        let sources = sources(&here, &server, &session, &postgres, &mariadb).await;
        policies(&server, &session).await;
        // Discovery and the questions of what there is are before the policies.
        let before = sent_to_mariadb(&here, &mariadb).len();

        let mut asked = Vec::new();
        for source in &sources {
            for sql in ALIKE.iter().chain(REFUSED) {
                asked.push((source, *sql, sql.replace("EMP", &source.table)));
            }
        }
        let questions: Vec<(&str, &str)> = asked.iter().map(|(source, _, sql)| (source.database.as_str(), sql.as_str())).collect();
        let arguments = [port(&server).to_string(), ADA.to_owned(), token];
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let said = here.run_python("postgres/ask.py", &arguments, &json!(questions).to_string());
        assert_eq!(said.code, 0, "{said:?} {}", server.log());
        let wire: Vec<[Value; 2]> = serde_json::from_str(&said.out).unwrap();
        assert_eq!(wire.len(), asked.len());
        // What the wire alone let through to the server, by the server's own log.
        let sent = sent_to_mariadb(&here, &mariadb);
        let sent = sent.get(before..).unwrap_or_default();
        assert!(sent.len() > ALIKE.len() / 2, "{} statements are too few", sent.len());
        let much: Vec<_> = sent.iter().filter_map(|statement| Some((too_much(statement)?, statement))).collect();
        assert!(much.is_empty(), "{much:?}");
        assert!(sent.iter().any(|statement| statement.contains(") AND (")), "no condition of a person crossed: {sent:?}");

        let mut wrong = Vec::new();
        let mut seen = BTreeSet::new();
        for ((source, sql, written), [text, binary]) in asked.iter().zip(&wire) {
            let http = over_http(&server, &session, source.number, written).await;
            for answer in [&http, text, binary] {
                seen.insert(bare(answer).to_string());
                wrong.extend(leaks(answer).map(|leak| format!("{}: {sql}: shows {leak}: {answer}", source.database)));
            }
            let are_alike = match REFUSED.contains(sql) {
                true => [&http, text, binary].iter().all(|answer| answer["state"].is_string()),
                false => bare(text) == bare(&http) && bare(binary) == bare(&http),
            };
            if !are_alike {
                wrong.push(format!("{}: {sql}:\n  HTTP {http}\n  text {text}\n  binary {binary}", source.database));
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
        // Bytes of a file that are the value of no row: a dictionary has words of other ones.
        let parquet = sources.iter().find(|source| source.database.contains("parquet")).unwrap();
        let body = json!({ "sql": format!("select * from {}", parquet.table), "selected_data_source_ids": [parquet.number] });
        let number = post(&server, &session, "queries/execute", &body).await["execution_id"].clone();
        let address = format!("{}/api/v1/queries/{number}/result?format=arrow", server.base);
        let file = server.http.get(&address).bearer_auth(&session).send().await.unwrap().bytes().await.unwrap();
        let file = String::from_utf8_lossy(&file);
        assert!(file.contains("EU"), "{file}");
        assert!(HIDDEN.iter().all(|hidden| !file.contains(hidden)), "{file}");
        // They were not all refused, and not all for one reason.
        assert!(seen.len() > 20, "{seen:?}");
        assert!(!server.log().contains("SECRET"), "{}", server.log());
        server.stop();
    }
}
