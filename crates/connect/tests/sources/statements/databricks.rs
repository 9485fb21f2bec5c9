//! Databricks, whose statements have parameters with names.

use std::time::Duration;

use serde_json::{Value, json};
use tidegate_connect::{ErrorCode, Filter, Literal, Operator, Relation, Scan, Settings, SourceType, open};

use super::{DAY, HOSTILE, MOMENT, among, compare, eventually_asked, hostile, narrowed};
use crate::cells::{read, row};
use crate::http::{Answer, Asked, Log, serve};
use crate::servers::{here, secret};
use crate::vendors::{ok, pair, server, tables};

const STATEMENTS: &str = "/api/2.0/sql/statements";
const DATABRICKS: [(&str, &str); 9] = [
    ("id", "bigint"),
    ("name", "string"),
    ("nice", "string collate UNICODE_CI"),
    ("price", "decimal(10,2)"),
    ("day", "date"),
    ("at", "timestamp"),
    ("local", "timestamp_ntz"),
    ("bin", "binary"),
    ("f", "double"),
];

fn databricks_answers(asked: &Asked) -> Answer<String> {
    let done = |rows: Value, next: Value| {
        let result = json!({ "data_array": rows, "next_chunk_internal_link": next });
        ok(&json!({ "statement_id": "s1", "status": { "state": "SUCCEEDED" }, "result": result }))
    };
    if asked.method == "GET" {
        return match asked.target.strip_prefix(STATEMENTS).unwrap() {
            "/s1" => {
                let first = json!([[
                    "7",
                    "Zoë",
                    "x",
                    "12.50",
                    "2024-01-31",
                    "1500000",
                    "2024-01-31 12:30:00.123456",
                    "00FF",
                    "NaN"
                ]]);
                done(first, json!(format!("{STATEMENTS}/s1/result/chunks/1")))
            }
            "/s1/result/chunks/1" => ok(&json!({ "data_array": [vec![Value::Null; 9]] })),
            "/away" => done(json!([]), json!("https://elsewhere.example/chunk")),
            "/endless" => ok(&json!({ "statement_id": "endless", "status": { "state": "RUNNING" } })),
            other => panic!("{other}"),
        };
    }
    if asked.target.ends_with("/cancel") {
        return ok(&json!({}));
    }
    let body: Value = serde_json::from_str(&asked.body).unwrap();
    // The id has to be known early, for cancelling.
    assert_eq!((&body["wait_timeout"], &body["catalog"]), (&json!("0s"), &json!("d")));
    let pending = |id: &str| ok(&json!({ "statement_id": id, "status": { "state": "PENDING" } }));
    match body["statement"].as_str().unwrap() {
        "SELECT 1" => done(json!([["1"]]), Value::Null),
        text if text.contains("current_version()") => done(json!([["2024.50"]]), Value::Null),
        text if text.contains("information_schema") => {
            let of = |table: &str| {
                let table = table.to_owned();
                DATABRICKS.map(move |(name, kind)| {
                    json!(["s", table, "T", null, "why", name, kind, null, null, "YES", null, null, null])
                })
            };
            let all = [of("away"), of("broken"), of("endless"), of("t")].concat();
            done(json!(all), Value::Null)
        }
        text if text.contains("`broken`") => ok(
            &json!({ "statement_id": "s2", "status": { "state": "FAILED", "error": { "message": "why" } } }),
        ),
        text if text.contains("`endless`") => pending("endless"),
        text if text.contains("`away`") => pending("away"),
        text if text.starts_with("SELECT `id` AS C0 FROM") => done(json!([["7"]]), Value::Null),
        _ => pending("s1"),
    }
}

async fn databricks() -> (Settings, Log) {
    let (port, log) = serve(databricks_answers).await;
    let mut settings = server(SourceType::Databricks, port);
    settings.credentials.oauth_token = secret("t0ken");
    (settings, log)
}

#[tokio::test]
async fn databricks_is_waited_for_and_read_chunk_by_chunk() {
    let (settings, log) = databricks().await;
    let source = open(settings, &here()).await.unwrap();
    let tested = source.test(None, Duration::from_secs(2)).await.unwrap();
    assert_eq!(
        (tested.version.as_deref(), tested.result.as_deref()),
        (Some("Databricks SQL 2024.50"), Some("1"))
    );
    assert_eq!(tables(source.as_ref()).await[3], pair("s", "t"));
    let all = read(source.as_ref(), Relation::new("s", "t")).await.unwrap();
    let first = row([
        "7",
        "Zoë",
        "x",
        "12.50",
        "2024-01-31",
        "1970-01-01T00:00:01.5Z",
        "2024-01-31T12:30:00.123456",
        "[00, ff]",
        "NaN",
    ]);
    assert_eq!(all, [first, vec![None; 9]]);
    assert_eq!(log.lock().unwrap().last().unwrap().authorization.as_deref(), Some("Bearer t0ken"));
    let broken = read(source.as_ref(), Relation::new("s", "broken")).await.unwrap_err();
    assert_eq!((broken.code, broken.detail.as_str()), (ErrorCode::Query, "why"));
    let away = read(source.as_ref(), Relation::new("s", "away")).await.unwrap_err();
    assert_eq!(away.code, ErrorCode::Connection, "the token would go there: {away}");
    assert!(source.test(Some("SELECT * FROM read_files('/x')"), Duration::from_secs(1)).await.is_err());
}

#[tokio::test]
async fn databricks_is_told_columns_filters_and_limit() {
    let (settings, log) = databricks().await;
    let source = open(settings, &here()).await.unwrap();
    let filters = vec![
        compare("id", Operator::Eq, Literal::Int(i64::MIN)),
        among("name", hostile()),
        compare("price", Operator::Gt, Literal::Decimal { unscaled: -150, scale: 2 }),
        compare("day", Operator::LtEq, Literal::Date(DAY)),
        compare("at", Operator::Lt, Literal::Timestamp(MOMENT)),
        compare("local", Operator::Lt, Literal::Timestamp(MOMENT + 1)),
        compare("bin", Operator::Eq, Literal::Binary(vec![0, 0xff])),
        Filter::IsNull { column: "nice".into(), negated: false },
    ];
    let applied = narrowed(source.as_ref(), Relation::new("s", "t"), "id", filters).await;
    assert_eq!(applied, (vec![true; 8], true));
    let last: Value = serde_json::from_str(&log.lock().unwrap().pop().unwrap().body).unwrap();
    let places: Vec<String> = (0..HOSTILE.len()).map(|index| format!(":p{index}")).collect();
    assert_eq!(
        last["statement"].as_str().unwrap(),
        format!(
            "SELECT `id` AS C0 FROM `s`.`t` WHERE (`id` = -9223372036854775808L) AND (`name` IN ({})) AND \
             (`price` > CAST('-1.50' AS DECIMAL(10, 2))) AND (`day` <= DATE'2024-01-31') AND \
             (`at` < timestamp_micros({MOMENT}L)) AND (`local` < TIMESTAMP_NTZ'2024-01-31 12:30:00.000001') AND (`bin` = X'00ff') AND \
             (`nice` IS NULL) LIMIT 7",
            places.join(", ")
        )
    );
    let parameters = last["parameters"].as_array().unwrap();
    for (index, (parameter, text)) in parameters.iter().zip(HOSTILE).enumerate() {
        assert_eq!(*parameter, json!({ "name": format!("p{index}"), "value": text, "type": "STRING" }));
    }
    assert_eq!(parameters.len(), HOSTILE.len());
    let schema = source.schema(&Relation::new("s", "t")).await.unwrap();
    // Letters of another case are equal under its collation.
    assert!(!source.evaluates(&schema, &compare("nice", Operator::Eq, Literal::Utf8("a".into()))));
}

#[tokio::test]
async fn databricks_cancels_a_statement_that_nobody_waits_for() {
    let (settings, log) = databricks().await;
    let source = open(settings, &here()).await.unwrap();
    let stream = source.scan(Scan::all(Relation::new("s", "endless"))).await.unwrap();
    let path = format!("{STATEMENTS}/endless");
    eventually_asked(&log, |asked| asked.method == "GET" && asked.target == path).await;
    drop(stream);
    eventually_asked(&log, |asked| asked.method == "POST" && asked.target == format!("{path}/cancel")).await;
}
