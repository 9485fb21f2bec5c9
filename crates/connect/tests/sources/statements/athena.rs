//! Athena, whose queries have all values in them.

use std::time::Duration;

use serde_json::{Value, json};
use tidegate_connect::{ErrorCode, Filter, Literal, Operator, Relation, Scan, SourceType, open};

use super::{DAY, HOSTILE, MOMENT, among, compare, eventually_asked, hostile, narrowed};
use crate::cells::{read, row};
use crate::http::{Answer, Asked, Log, serve};
use crate::servers::here;
use crate::vendors::{amazon, ok, pair, tables};

const ATHENA: [(&str, &str); 7] = [
    ("id", "bigint"),
    ("name", "varchar"),
    ("price", "decimal(10,2)"),
    ("day", "date"),
    ("at", "timestamp(3)"),
    ("zoned", "timestamp(6) with time zone"),
    ("tags", "array(varchar)"),
];

/// A result: a row of names, and rows of texts or NULL.
fn athena_result(
    columns: &[&str],
    rows: &[Vec<Option<&str>>],
    token: Option<&str>,
    is_first: bool,
) -> Answer<String> {
    let cell = |text: Option<&str>| text.map_or_else(|| json!({}), |text| json!({ "VarCharValue": text }));
    let data = |cells: Vec<Value>| json!({ "Data": cells });
    let names = data(columns.iter().map(|name| cell(Some(*name))).collect());
    let rows = rows.iter().map(|row| data(row.iter().map(|text| cell(*text)).collect()));
    let rows: Vec<Value> = is_first.then_some(names).into_iter().chain(rows).collect();
    let about: Vec<Value> = columns.iter().map(|name| json!({ "Name": name, "Type": "varchar" })).collect();
    ok(
        &json!({ "ResultSet": { "Rows": rows, "ResultSetMetadata": { "ColumnInfo": about } }, "NextToken": token }),
    )
}

fn athena_rows(query: &str, body: &Value) -> Answer<String> {
    match query {
        "SELECT 1" => athena_result(&["_col0"], &[vec![Some("1")]], None, true),
        text if text.contains("information_schema") => {
            let rows: Vec<Vec<Option<&str>>> = ["broken", "endless", "hits"]
                .into_iter()
                .flat_map(|table| {
                    ATHENA.map(|(name, kind)| {
                        ["logs", table, "T", "", "", name, kind, "", "", "YES", "", "", ""].map(Some).to_vec()
                    })
                })
                .collect();
            athena_result(
                &["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m"],
                &rows,
                None,
                true,
            )
        }
        text if text.starts_with("SELECT \"id\" AS C0 FROM") => {
            athena_result(&["c0"], &[vec![Some("7")]], None, true)
        }
        _ => {
            let names = ["c0", "c1", "c2", "c3", "c4", "c5", "c6"];
            let first = [
                "1",
                "007",
                "12.50",
                "2024-01-31",
                "2024-01-31 12:30:00.123",
                "2024-01-31 11:30:00.123456",
                "[a, b]",
            ];
            match body["NextToken"].as_str() {
                None => athena_result(&names, &[first.map(Some).to_vec()], Some("more"), true),
                Some("more") => athena_result(&names, &[vec![None; 7]], None, false),
                other => panic!("{other:?}"),
            }
        }
    }
}

async fn athena() -> (u16, Log) {
    serve(|asked| {
        let body: Value = serde_json::from_str(&asked.body).unwrap();
        // The id of a query is the query.
        let id = || body["QueryExecutionId"].as_str().unwrap();
        match asked.header("x-amz-target").unwrap().as_str() {
            "AmazonAthena.ListDatabases" => ok(&json!({ "DatabaseList": [{ "Name": "logs" }] })),
            "AmazonAthena.StartQueryExecution" => {
                assert_eq!(body["QueryExecutionContext"]["Catalog"], "AwsDataCatalog");
                ok(&json!({ "QueryExecutionId": body["QueryString"] }))
            }
            "AmazonAthena.GetQueryExecution" => {
                let state = match id() {
                    id if id.contains("\"broken\"") => "FAILED",
                    id if id.contains("\"endless\"") => "RUNNING",
                    _ => "SUCCEEDED",
                };
                ok(&json!({ "QueryExecution": { "Status": { "State": state, "StateChangeReason": "why" } } }))
            }
            "AmazonAthena.StopQueryExecution" => ok(&json!({})),
            _ => athena_rows(id(), &body),
        }
    })
    .await
}

#[tokio::test]
async fn athena_is_waited_for_and_read_page_by_page() {
    let (port, _) = athena().await;
    let source = open(amazon(SourceType::Athena, port), &here()).await.unwrap();
    assert_eq!(source.test(None, Duration::from_secs(2)).await.unwrap().result.as_deref(), Some("1"));
    assert_eq!(
        tables(source.as_ref()).await,
        [pair("logs", "broken"), pair("logs", "endless"), pair("logs", "hits")]
    );
    let all = read(source.as_ref(), Relation::new("logs", "hits")).await.unwrap();
    let first = row([
        "1",
        "007",
        "12.50",
        "2024-01-31",
        "2024-01-31T12:30:00.123",
        "2024-01-31T11:30:00.123456Z",
        "[a, b]",
    ]);
    assert_eq!(all, [first, vec![None; 7]]);
    let broken = read(source.as_ref(), Relation::new("logs", "broken")).await.unwrap_err();
    assert_eq!((broken.code, broken.detail.as_str()), (ErrorCode::Query, "why"));
    assert!(source.test(Some("UNLOAD (SELECT 1) TO 's3://x'"), Duration::from_secs(1)).await.is_err());
}

#[tokio::test]
async fn athena_is_told_columns_filters_and_limit() {
    let (port, log) = athena().await;
    let source = open(amazon(SourceType::Athena, port), &here()).await.unwrap();
    let relation = || Relation::new("logs", "hits");
    let filters = vec![
        compare("id", Operator::Eq, Literal::Int(i64::MIN)),
        among("name", hostile()),
        compare("price", Operator::Gt, Literal::Decimal { unscaled: 150, scale: 2 }),
        compare("day", Operator::LtEq, Literal::Date(DAY)),
        compare("at", Operator::Lt, Literal::Timestamp(MOMENT)),
        compare("zoned", Operator::Lt, Literal::Timestamp(MOMENT + 1)),
        Filter::IsNull { column: "tags".into(), negated: true },
    ];
    let applied = narrowed(source.as_ref(), relation(), "id", filters).await;
    assert_eq!(applied, (vec![true; 7], true));
    let started = |log: &Log| {
        let log = log.lock().unwrap();
        let last =
            log.iter().rfind(|asked| asked.header("x-amz-target").unwrap().ends_with(".StartQueryExecution"));
        let body: Value = serde_json::from_str(&last.unwrap().body).unwrap();
        body["QueryString"].as_str().unwrap().to_owned()
    };
    let texts: Vec<String> = HOSTILE.iter().map(|text| format!("'{}'", text.replace('\'', "''"))).collect();
    assert_eq!(
        started(&log),
        format!(
            "SELECT \"id\" AS C0 FROM \"logs\".\"hits\" WHERE (\"id\" = BIGINT '-9223372036854775808') AND (\"name\" IN ({})) AND \
             (\"price\" > CAST('1.50' AS decimal(10, 2))) AND (\"day\" <= DATE '2024-01-31') AND \
             (\"at\" < TIMESTAMP '2024-01-31 12:30:00.000000') AND (\"zoned\" < TIMESTAMP '2024-01-31 12:30:00.000001 UTC') AND \
             (\"tags\" IS NOT NULL) LIMIT 7",
            texts.join(", ")
        )
    );
    let schema = source.schema(&relation()).await.unwrap();
    for filter in [
        compare("at", Operator::Lt, Literal::Timestamp(MOMENT + 1)),
        compare("tags", Operator::Eq, Literal::Utf8("[a]".into())),
        // A query is not as long as that.
        among("id", vec![Literal::Int(7); 10_000]),
    ] {
        assert!(!source.evaluates(&schema, &filter));
    }
}

// It goes on, and costs, else.
#[tokio::test]
async fn athena_stops_a_query_that_nobody_waits_for() {
    let (port, log) = athena().await;
    let is = |operation: &'static str| {
        move |asked: &Asked| {
            asked.header("x-amz-target").unwrap().ends_with(operation) && asked.body.contains("endless")
        }
    };
    let source = open(amazon(SourceType::Athena, port), &here()).await.unwrap();
    let stream = source.scan(Scan::all(Relation::new("logs", "endless"))).await.unwrap();
    eventually_asked(&log, is(".GetQueryExecution")).await;
    drop(stream);
    eventually_asked(&log, is(".StopQueryExecution")).await;
}
