//! Oracle (ORDS) and Db2 (its REST service), which answer page by page with a statement each, against stubs that answer as their
//! documentation says.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tidegate_connect::{ErrorCode, Filter, Literal, Operator, Relation, Scan, Settings, SourceType, open};

use crate::cells::{read, row, rows, select};
use crate::http::{Answer, Asked, Log, serve, serve_bytes, settings};
use crate::servers::{Certificates, here, secret};

/// Rows of a window of either driver.
const WINDOW: usize = 5_000;

fn ok(body: &Value) -> Answer<String> {
    (200, vec![("content-type", "application/json".to_owned())], body.to_string())
}

fn body(asked: &Asked) -> Value {
    serde_json::from_str(&asked.body).unwrap()
}

fn at(kind: SourceType, port: u16) -> Settings {
    let mut settings = settings(kind, json!({ "tls": false }));
    settings.host = Some("127.0.0.1".to_owned());
    settings.port = Some(port);
    settings.database_name = Some("hr".to_owned());
    settings.credentials.username = secret("hr");
    settings.credentials.password = secret("hunter2");
    settings
}

fn eq(column: &str, value: Literal) -> Filter {
    Filter::Compare { column: column.into(), operator: Operator::Eq, value }
}

// Oracle

const ORACLE: [(&str, &str); 9] = [
    ("ID", "NUMBER"),
    ("EMPNO", "NUMBER"),
    ("PAY", "NUMBER"),
    ("NAME", "VARCHAR2"),
    ("HIRED", "DATE"),
    ("SEEN", "TIMESTAMP(6) WITH TIME ZONE"),
    ("RATIO", "BINARY_DOUBLE"),
    ("BIN", "RAW"),
    ("PICTURE", "BLOB"),
];

/// Items of a result set: `{"c0": …}`.
fn set(columns: usize, rows: &[Vec<Value>], more: bool) -> Answer<String> {
    let metadata: Vec<Value> = (0..columns)
        .map(|at| json!({ "columnName": format!("C{at}"), "jsonColumnName": format!("c{at}") }))
        .collect();
    let item = |row: &Vec<Value>| {
        let members = row.iter().enumerate().map(|(at, cell)| (format!("c{at}"), cell.clone()));
        Value::Object(members.collect())
    };
    let items: Vec<Value> = rows.iter().map(item).collect();
    let set = json!({ "metadata": metadata, "items": items, "hasMore": more, "count": items.len() });
    ok(&json!({ "items": [{ "statementId": 1, "statementType": "query", "resultSet": set, "result": 0 }] }))
}

fn oracle_catalog() -> Answer<String> {
    let mut all = Vec::new();
    for (table, kind) in [("EMP", "T"), ("EMP_VIEW", "V"), ("GONE", "T")] {
        for (name, native) in ORACLE {
            let (precision, scale) = match name {
                "EMPNO" => (json!(4), json!(0)),
                "PAY" => (json!(10), json!(2)),
                _ => (Value::Null, Value::Null),
            };
            let row =
                [json!("HR"), json!(table), json!(kind), json!(14), Value::Null, json!(name), json!(native)];
            let mut row = row.to_vec();
            row.extend([precision, scale, json!("Y"), Value::Null, Value::Null, Value::Null]);
            all.push(row);
        }
    }
    set(13, &all, false)
}

fn oracle(asked: &Asked) -> Answer<String> {
    assert_eq!(asked.target, "/ords/hr/_/sql");
    if asked.authorization.as_deref() != Some("Basic aHI6aHVudGVyMg==") {
        return (401, vec![], "{}".to_owned());
    }
    let body = body(asked);
    let text = body["statementText"].as_str().unwrap();
    let offset = usize::try_from(body["offset"].as_u64().unwrap()).unwrap();
    if text.contains("all_tab_columns") {
        return oracle_catalog();
    }
    if text.contains("\"GONE\"") {
        let why = "ORA-00942: table or view \"secret-row\" does not exist";
        return ok(
            &json!({ "items": [{ "statementId": 1, "errorCode": 942, "errorDetails": why, "result": 1 }] }),
        );
    }
    if text.contains("product_component_version") {
        return set(1, &[vec![json!("19.3.0.0.0")]], false);
    }
    if text == "SELECT 1 FROM dual" {
        return set(1, &[vec![json!(1)]], false);
    }
    if text.starts_with("SELECT TO_CHAR(\"EMPNO\"") {
        // Two windows: 5,000 rows and one.
        let count = if offset == 0 { WINDOW } else { 1 };
        let rows: Vec<Vec<Value>> = (0..count).map(|at| vec![json!((offset + at).to_string())]).collect();
        return set(1, &rows, offset == 0);
    }
    let first = [
        "1E-100",
        "7",
        "12.5",
        "Zoë",
        " 2024-01-31 12:30:00",
        " 2024-01-31 11:30:00.123456000",
        "Nan",
        "00FF",
    ];
    set(8, &[first.map(|cell| json!(cell)).to_vec(), vec![Value::Null; 8]], false)
}

fn statements(log: &Log, member: &str) -> Vec<String> {
    let log = log.lock().unwrap();
    let sent = log.iter().filter(|asked| asked.body.contains(member));
    sent.map(|asked| body(asked)[member].as_str().unwrap().to_owned()).collect()
}

fn read_of(columns: &[&str], relation: Relation) -> Scan {
    let projection = Some(columns.iter().map(|&name| name.to_owned()).collect());
    Scan { relation, projection, filters: vec![], order: vec![], limit: None }
}

#[tokio::test]
async fn oracle_gives_values_of_every_type_and_refuses_blobs_by_name() {
    let (port, _) = serve(oracle).await;
    let source = open(at(SourceType::Oracle, port), &here()).await.unwrap();
    let tested = source.test(None, Duration::from_secs(2)).await.unwrap();
    assert_eq!(
        (tested.version.as_deref(), tested.result.as_deref()),
        (Some("Oracle Database 19.3.0.0.0"), Some("1"))
    );
    let found = source.discover(None).await.unwrap();
    let names: Vec<&str> = found.schemas[0].tables.iter().map(|table| table.name.as_str()).collect();
    assert_eq!(names, ["EMP", "EMP_VIEW", "GONE"]);
    let columns = ["ID", "EMPNO", "PAY", "NAME", "HIRED", "SEEN", "RATIO", "BIN"];
    let stream = source.scan(read_of(&columns, Relation::new("HR", "EMP"))).await.unwrap();
    let first = row([
        "1E-100",
        "7",
        "12.50",
        "Zoë",
        "2024-01-31T12:30:00",
        "2024-01-31T11:30:00.123456Z",
        "NaN",
        "[00, ff]",
    ]);
    assert_eq!(rows(stream).await.unwrap(), [first, vec![None; 8]]);
    let blob = read(source.as_ref(), Relation::new("HR", "EMP")).await.unwrap_err();
    assert!(blob.message.contains("\"PICTURE\""), "{blob}");
    let gone = source.scan(read_of(&["ID"], Relation::new("HR", "GONE"))).await.unwrap();
    let gone = rows(gone).await.unwrap_err();
    assert_eq!(gone.code, ErrorCode::Query);
    assert!(gone.message.contains("ORA-00942") && !gone.message.contains("secret-row"), "{gone}");
}

#[tokio::test]
async fn oracle_is_read_in_ordered_windows_with_filters_and_limits() {
    let (port, log) = serve(oracle).await;
    let source = open(at(SourceType::Oracle, port), &here()).await.unwrap();
    let stream = source.scan(read_of(&["EMPNO"], Relation::new("HR", "EMP"))).await.unwrap();
    assert_eq!(rows(stream).await.unwrap().len(), WINDOW + 1);
    let sent = statements(&log, "statementText");
    assert!(sent[sent.len() - 1].ends_with("FROM \"HR\".\"EMP\" ORDER BY ROWID"), "{sent:?}");
    assert_eq!(sent[sent.len() - 1], sent[sent.len() - 2]);
    let stream = source.scan(read_of(&["EMPNO"], Relation::new("HR", "EMP_VIEW"))).await.unwrap();
    rows(stream).await.unwrap();
    let last = statements(&log, "statementText").pop().unwrap();
    assert!(last.contains(" ORDER BY \"ID\", \"EMPNO\"") && !last.contains(", \"PICTURE\""), "{last}");
    let scan = Scan {
        relation: Relation::new("HR", "EMP"),
        projection: Some(vec!["EMPNO".into()]),
        filters: vec![
            eq("HIRED", Literal::Timestamp(0)),
            eq("PAY", Literal::Decimal { unscaled: -150, scale: 2 }),
        ],
        order: vec![],
        limit: Some(3),
    };
    let stream = source.scan(scan).await.unwrap();
    assert_eq!((stream.filtered.as_slice(), stream.limited), (&[true, true][..], true));
    assert_eq!(rows(stream).await.unwrap().len(), 3);
    let last = statements(&log, "statementText").pop().unwrap();
    assert!(
        last.ends_with(
            "WHERE (\"HIRED\" = TIMESTAMP '1970-01-01 00:00:00.000000') AND (\"PAY\" = -1.50) FETCH FIRST 3 ROWS ONLY"
        ),
        "{last}"
    );
    let (_, applied) = select(
        source.as_ref(),
        Relation::new("HR", "EMP"),
        &["EMPNO"],
        eq("NAME", Literal::Utf8("x".into())),
    )
    .await
    .unwrap();
    assert!(!applied, "texts are compared otherwise there");
}

#[tokio::test]
async fn a_reader_that_goes_away_asks_oracle_for_no_further_window() {
    let (port, log) = serve(|asked: &Asked| {
        let text = body(asked)["statementText"].as_str().unwrap().to_owned();
        if text.contains("all_tab_columns") {
            return oracle_catalog();
        }
        let rows: Vec<Vec<Value>> = (0..WINDOW).map(|at| vec![json!(at.to_string())]).collect();
        set(1, &rows, true)
    })
    .await;
    let source = open(at(SourceType::Oracle, port), &here()).await.unwrap();
    let stream = source.scan(read_of(&["EMPNO"], Relation::new("HR", "EMP"))).await.unwrap();
    drop(stream);
    let mut seen = usize::MAX;
    for _ in 0..50 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let now = log.lock().unwrap().len();
        if now == seen {
            break;
        }
        seen = now;
    }
    assert!(seen < 10, "{seen} windows of an endless table were fetched for nobody");
}

#[tokio::test]
async fn oracle_over_tls_refuses_wrong_passwords() {
    let certificates = Certificates::make();
    let (port, log) = serve_bytes(Some(certificates.acceptor()), |asked: &Asked| {
        let (status, headers, body) = oracle(asked);
        (status, headers, body.into_bytes())
    })
    .await;
    let mut trusted = at(SourceType::Oracle, port);
    trusted.metadata = json!({ "ssl_ca": certificates.pem("ca.pem") }).as_object().unwrap().clone();
    let mut wrong = trusted.clone();
    let source = open(trusted, &here()).await.unwrap();
    source.test(None, Duration::from_secs(2)).await.unwrap();
    wrong.credentials.password = secret("hunter3");
    let refused = open(wrong, &here()).await.unwrap().test(None, Duration::from_secs(2)).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::Authentication);
    assert!(!format!("{refused:?}").contains("hunter3"));
    let asked = log.lock().unwrap().len();
    let mut distrusting = at(SourceType::Oracle, port);
    distrusting.metadata.clear();
    let error =
        open(distrusting, &here()).await.unwrap().test(None, Duration::from_secs(2)).await.unwrap_err();
    assert_eq!((error.code, log.lock().unwrap().len()), (ErrorCode::Connection, asked));
}

// Db2

const DB2: [(&str, &str, &str, &str); 8] = [
    ("ID", "INTEGER", "4", "0"),
    ("PAY", "DECIMAL", "9", "2"),
    ("NAME", "VARCHAR", "20", "0"),
    ("D", "DATE", "4", "0"),
    ("T", "TIME", "3", "0"),
    ("AT", "TIMESTAMP", "10", "6"),
    ("F", "DOUBLE", "8", "0"),
    ("BIN", "VARBINARY", "8", "0"),
];

fn named(cells: &[Value]) -> Value {
    Value::Object(cells.iter().enumerate().map(|(at, cell)| (format!("C{at}"), cell.clone())).collect())
}

fn result(rows: &[Value]) -> Answer<String> {
    let done = json!({ "jobStatus": 4, "jobStatusDescription": "Job is complete", "resultSet": rows, "rowCount": rows.len() });
    ok(&done)
}

fn db2_catalog() -> Answer<String> {
    let mut all = Vec::new();
    for table in ["EMP", "GONE"] {
        for (name, kind, length, scale) in DB2 {
            all.push(named(&[
                json!("HR"),
                json!(table),
                json!("T"),
                json!("-1"),
                Value::Null,
                json!(name),
                json!(kind),
                json!(length),
                json!(scale),
                json!("Y"),
                Value::Null,
                Value::Null,
                Value::Null,
            ]));
        }
    }
    result(&all)
}

fn db2(asked: &Asked, signed_in: &AtomicUsize) -> Answer<String> {
    let body = body(asked);
    if asked.target == "/v1/auth" {
        if body["dbParms"]["password"] != "hunter2" {
            let why = "Connection authorization failure. ERRORCODE=-4214, SQLSTATE=28000";
            return (400, vec![], json!({ "errors": [{ "code": "db_error", "message": why }] }).to_string());
        }
        let count = signed_in.fetch_add(1, Ordering::SeqCst);
        assert_eq!((&body["dbParms"]["dbName"], &body["dbParms"]["dbPort"]), (&json!("hr"), &json!(50_000)));
        return ok(&json!({ "token": format!("token-{count}") }));
    }
    assert_eq!(
        (asked.target.as_str(), &body["sync"], &body["isQuery"]),
        ("/v1/services/execsql", &json!(true), &json!(true))
    );
    // The first token is forgotten, as when the service is started again.
    if asked.authorization.as_deref() == Some("token-0") {
        return (401, vec![], json!({ "errors": [{ "code": "unauthorized" }] }).to_string());
    }
    let text = body["sqlStatement"].as_str().unwrap();
    if text.contains("syscat.columns") {
        return db2_catalog();
    }
    if text.contains("\"GONE\"") {
        let why = "\"secret-row\" is an undefined name. SQLCODE=-204, SQLSTATE=42704";
        return (500, vec![], json!({ "errors": [{ "message": why }] }).to_string());
    }
    if text.contains("sysdummy1") {
        return result(&[json!({ "1": 1 })]);
    }
    if text.contains("env_get_inst_info") {
        return result(&[json!({ "C0": "DB2 v11.5.8.0" })]);
    }
    if text.starts_with("SELECT VARCHAR(\"ID\") AS C0 FROM") {
        let (_, window) = text.split_once("OFFSET ").unwrap();
        let numbers: Vec<usize> = window.split(' ').filter_map(|word| word.parse().ok()).collect();
        let count = if numbers[0] == 0 { numbers[1] } else { 2.min(numbers[1]) };
        return result(
            &(0..count).map(|at| named(&[json!((numbers[0] + at).to_string())])).collect::<Vec<_>>(),
        );
    }
    let first =
        ["7", "12.50", "Zoë", "2024-01-31", "12:30:00", "2024-01-31 12:30:00.123456000000", "1.5E0", "00FF"];
    result(&[named(&first.map(|cell| json!(cell))), json!({ "C0": "8" })])
}

async fn db2_service() -> (u16, Log) {
    let signed_in = Arc::new(AtomicUsize::new(0));
    serve(move |asked| db2(asked, &signed_in)).await
}

#[tokio::test]
async fn db2_gives_values_of_every_type_and_signs_in_again_when_it_must() {
    let (port, log) = db2_service().await;
    let source = open(at(SourceType::Db2, port), &here()).await.unwrap();
    let tested = source.test(None, Duration::from_secs(2)).await.unwrap();
    assert_eq!(
        (tested.version.as_deref(), tested.result.as_deref()),
        (Some("Db2 (DB2 v11.5.8.0)"), Some("1"))
    );
    assert_eq!(log.lock().unwrap().iter().filter(|asked| asked.target == "/v1/auth").count(), 2);
    assert_eq!(source.discover(Some("HR")).await.unwrap().schemas[0].tables[0].row_count, None);
    let mut second = vec![None; 8];
    second[0] = Some("8".to_owned());
    let first = row([
        "7",
        "12.50",
        "Zoë",
        "2024-01-31",
        "45000000000",
        "2024-01-31T12:30:00.123456",
        "1.5",
        "[00, ff]",
    ]);
    assert_eq!(read(source.as_ref(), Relation::new("HR", "EMP")).await.unwrap(), [first, second]);
    let gone = read(source.as_ref(), Relation::new("HR", "GONE")).await.unwrap_err();
    assert_eq!(gone.code, ErrorCode::Query);
    assert!(!gone.message.contains("secret-row"));
    let mut wrong = at(SourceType::Db2, port);
    wrong.credentials.password = secret("hunter3");
    let refused = open(wrong, &here()).await.unwrap().test(None, Duration::from_secs(2)).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::Authentication);
    assert!(!format!("{refused:?}").contains("hunter3"));
}

/// Db2 on Cloud: jobs, whose rows come in parts.
fn console(asked: &Asked, polls: &AtomicUsize) -> Answer<String> {
    assert_eq!(asked.header("x-deployment-id").as_deref(), Some("crn:v1"));
    if asked.target == "/dbapi/v4/auth/tokens" {
        assert_eq!(body(asked), json!({ "userid": "hr", "password": "hunter2" }));
        return ok(&json!({ "token": "t0ken" }));
    }
    assert_eq!(asked.authorization.as_deref(), Some("Bearer t0ken"));
    let rows = |rows: Value| json!([{ "columns": ["C0"], "rows": rows }]);
    match (asked.method.as_str(), asked.target.strip_prefix("/dbapi/v4/sql_jobs").unwrap()) {
        ("POST", "") => {
            let sent = body(asked);
            let text = sent["commands"].as_str().unwrap();
            assert!(!text.contains(sent["separator"].as_str().unwrap()));
            let id = if text.contains("syscat.columns") {
                "catalog"
            } else if text.contains("\"GONE\"") {
                "gone"
            } else {
                "rows"
            };
            ok(&json!({ "id": id }))
        }
        ("GET", "/catalog") => {
            let columns = json!([
                ["HR", "EMP", "T", null, null, "ID", "INTEGER", "4", "0", "N", null, null, "1"],
                ["HR", "GONE", "T", null, null, "ID", "INTEGER", "4", "0", "N", null, null, "1"]
            ]);
            ok(&json!({ "status": "completed", "results": rows(columns) }))
        }
        ("GET", "/gone") => {
            let why = "\"secret-row\" is an undefined name. SQLCODE=-204";
            ok(&json!({ "status": "failed", "results": [{ "error": why }] }))
        }
        // Each part comes once.
        ("GET", "/rows") => match polls.fetch_add(1, Ordering::SeqCst) {
            0 => ok(&json!({ "status": "running", "results": [] })),
            1 => ok(&json!({ "status": "running", "results": rows(json!([["1"], ["2"]])) })),
            _ => ok(&json!({ "status": "completed", "results": rows(json!([["3"]])) })),
        },
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn db2_on_cloud_runs_jobs_whose_rows_come_in_parts() {
    let polls = Arc::new(AtomicUsize::new(0));
    let (port, log) = serve(move |asked| console(asked, &polls)).await;
    let mut settings = at(SourceType::Db2, port);
    let more = json!({ "tls": false, "api": "console", "deployment_id": "crn:v1" });
    settings.metadata = more.as_object().unwrap().clone();
    let source = open(settings, &here()).await.unwrap();
    let found = source.discover(None).await.unwrap();
    assert!(found.schemas[0].tables[0].columns[0].primary_key);
    let all = read(source.as_ref(), Relation::new("HR", "EMP")).await.unwrap();
    assert_eq!(all, [row(["1"]), row(["2"]), row(["3"])]);
    let catalog = statements(&log, "commands")
        .into_iter()
        .find(|text| text.contains("syscat") && text.contains("'EMP'"));
    assert!(catalog.unwrap().contains("c.tabschema = CAST('HR' AS VARCHAR(128))"));
    let gone = read(source.as_ref(), Relation::new("HR", "GONE")).await.unwrap_err();
    assert_eq!(gone.code, ErrorCode::Query);
    assert!(!gone.message.contains("secret-row"));
}

#[tokio::test]
async fn db2_is_read_in_ordered_windows_with_filters_and_limits() {
    let (port, log) = db2_service().await;
    let source = open(at(SourceType::Db2, port), &here()).await.unwrap();
    let scan = read_of(&["ID"], Relation::new("HR", "EMP"));
    let all = rows(source.scan(scan.clone()).await.unwrap()).await.unwrap();
    assert_eq!((all.len(), all[WINDOW + 1].clone()), (WINDOW + 2, row([(WINDOW + 1).to_string().as_str()])));
    let last = statements(&log, "sqlStatement").pop().unwrap();
    assert!(
        last.contains(" ORDER BY \"ID\", \"PAY\"")
            && last.ends_with("OFFSET 5000 ROWS FETCH NEXT 5000 ROWS ONLY"),
        "{last}"
    );
    let limited = Scan { limit: Some(3), filters: vec![eq("D", Literal::Date(0))], ..scan };
    let stream = source.scan(limited).await.unwrap();
    assert!(stream.limited);
    assert_eq!(rows(stream).await.unwrap().len(), 3);
    let last = statements(&log, "sqlStatement").pop().unwrap();
    assert!(
        last.ends_with("WHERE (\"D\" = DATE '1970-01-01') OFFSET 0 ROWS FETCH NEXT 3 ROWS ONLY"),
        "{last}"
    );
    let text = eq("NAME", Literal::Utf8("x".into()));
    let (_, applied) = select(source.as_ref(), Relation::new("HR", "EMP"), &["ID"], text).await.unwrap();
    assert!(!applied, "blanks at the end are no difference there");
}
