//! Snowflake's SQL interface, against a stub that answers as its documentation says.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use aws_lc_rs::digest;
use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use futures_util::StreamExt;
use serde_json::{Value, json};
use tidegate_connect::{
    ErrorCode, Filter, Literal, Operator, Relation, Scan, Settings, Source, SourceType, open,
};
use tokio::sync::Notify;

use crate::cells::{read, row, rows, select};
use crate::http::{Answer, Asked, Log, serve_bytes, settings};
use crate::servers::{Certificates, here, rsa_key, secret};

/// Columns of the tables: name, type, precision, scale.
const COLUMNS: [(&str, &str, Option<&str>, Option<&str>); 12] = [
    ("ID", "NUMBER", Some("18"), Some("0")),
    ("AMOUNT", "NUMBER", Some("20"), Some("2")),
    ("BIG", "NUMBER", Some("38"), Some("0")),
    ("NAME", "TEXT", None, None),
    ("F", "FLOAT", None, None),
    ("OK", "BOOLEAN", None, None),
    ("BIN", "BINARY", None, None),
    ("D", "DATE", None, None),
    ("T", "TIME", None, None),
    ("AT", "TIMESTAMP_NTZ", None, None),
    ("AT_TZ", "TIMESTAMP_TZ", None, None),
    ("V", "VARIANT", None, None),
];

fn answer(status: u16, body: &Value) -> Answer<Vec<u8>> {
    (status, vec![("content-type", "application/json".to_owned())], body.to_string().into_bytes())
}

fn done(rows: &Value, partitions: usize) -> Answer<Vec<u8>> {
    let partitions: Vec<Value> = (0..partitions).map(|_| json!({ "rowCount": 1 })).collect();
    let metadata = json!({ "format": "jsonv2", "partitionInfo": partitions });
    answer(200, &json!({ "code": "090001", "resultSetMetaData": metadata, "data": rows }))
}

fn zipped(rows: &Value) -> Answer<Vec<u8>> {
    let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    writer.write_all(json!({ "data": rows }).to_string().as_bytes()).unwrap();
    let (status, mut headers, _) = answer(200, &json!({}));
    headers.push(("content-encoding", "gzip".to_owned()));
    (status, headers, writer.finish().unwrap())
}

fn catalog() -> Value {
    let mut rows = Vec::new();
    for table in ["BROKEN", "ENDLESS", "T"] {
        for (name, kind, precision, scale) in COLUMNS {
            rows.push(json!([
                "PUBLIC", table, "T", "2", "a table", name, kind, precision, scale, "YES", null, null, null
            ]));
        }
    }
    json!(rows)
}

fn first_row() -> Value {
    json!([
        "1",
        "12.50",
        "99999999999999999999",
        "Zoë",
        "1.5",
        "true",
        "00FF",
        "2024-01-31",
        "12:30:00.000001000",
        "2024-01-31 12:30:00.123456000",
        "2024-01-31 11:30:00.000000000",
        "{\"a\":1}"
    ])
}

/// An account with a database. Statements are named after what they select.
struct Account {
    polls: AtomicUsize,
    cancelled: Notify,
    /// Whether `SELECT 1` never ends.
    stuck: AtomicBool,
}

impl Account {
    fn new() -> Arc<Self> {
        Arc::new(Self { polls: AtomicUsize::new(0), cancelled: Notify::new(), stuck: AtomicBool::new(false) })
    }
}

impl Account {
    fn answer(&self, asked: &Asked) -> Answer<Vec<u8>> {
        if asked.authorization.as_deref() == Some("Bearer wrong") {
            return answer(401, &json!({ "code": "390303", "message": "Invalid OAuth access token." }));
        }
        let (path, query) = asked.target.split_once('?').unwrap_or((&asked.target, ""));
        let rest = path.strip_prefix("/api/v2/statements").unwrap();
        match (asked.method.as_str(), rest) {
            ("POST", "") => self.submitted(asked, query),
            ("POST", cancel) if cancel.ends_with("/cancel") => {
                self.cancelled.notify_one();
                answer(200, &json!({ "code": "000604" }))
            }
            ("GET", "/catalog") => done(&catalog(), 1),
            ("GET", "/version") => done(&json!([["9.1.0"]]), 1),
            ("GET", "/one") if !self.stuck.load(Ordering::SeqCst) => done(&json!([["1"]]), 1),
            ("GET", "/broken") => answer(422, &json!({ "code": "002003", "message": "no secret-row here" })),
            ("GET", "/rows") if query == "partition=1" => zipped(&json!([vec![Value::Null; 12]])),
            ("GET", "/rows") if self.polls.fetch_add(1, Ordering::SeqCst) > 0 => {
                done(&json!([first_row()]), 2)
            }
            ("GET", "/narrow") => done(&json!([["1"], ["2"], ["3"]]), 1),
            ("GET", handle) => answer(202, &json!({ "code": "333333", "statementHandle": handle })),
            other => panic!("{other:?}"),
        }
    }

    fn submitted(&self, asked: &Asked, query: &str) -> Answer<Vec<u8>> {
        assert_eq!(query, "async=true");
        assert_eq!(asked.header("accept").as_deref(), Some("application/json"));
        let body: Value = serde_json::from_str(&asked.body).unwrap();
        assert_eq!(
            (&body["database"], &body["warehouse"], &body["role"]),
            (&json!("D"), &json!("W"), &json!("R"))
        );
        let handle = match body["statement"].as_str().unwrap() {
            "SELECT 1" => "one",
            text if text.contains("CURRENT_VERSION") => "version",
            text if text.contains("INFORMATION_SCHEMA") => "catalog",
            text if text.contains("\"BROKEN\"") => "broken",
            text if text.contains("\"ENDLESS\"") => "endless",
            text if text.starts_with("SELECT \"ID\" AS C0 FROM") => "narrow",
            _ => "rows",
        };
        answer(202, &json!({ "code": "333334", "statementHandle": handle }))
    }
}

async fn account() -> (Arc<Account>, u16, Log) {
    let account = Account::new();
    let answering = Arc::clone(&account);
    let (port, log) = serve_bytes(None, move |asked: &Asked| answering.answer(asked)).await;
    (account, port, log)
}

fn at(port: u16, metadata: Value) -> Settings {
    let mut settings = settings(SourceType::Snowflake, metadata);
    settings.host = Some("127.0.0.1".to_owned());
    settings.port = Some(port);
    settings.database_name = Some("D".to_owned());
    settings.credentials.oauth_token = secret("t0ken");
    settings.credentials.warehouse = secret("W");
    settings.credentials.role = secret("R");
    settings
}

fn table(name: &str) -> Relation {
    Relation::new("PUBLIC", name)
}

fn statements(log: &Log) -> Vec<Value> {
    let log = log.lock().unwrap();
    let sent = log.iter().filter(|asked| asked.target.ends_with("?async=true"));
    sent.map(|asked| serde_json::from_str(&asked.body).unwrap()).collect()
}

#[tokio::test]
async fn values_have_their_types_through_all_partitions() {
    let (_, port, log) = account().await;
    let source = open(at(port, json!({ "tls": false })), &here()).await.unwrap();
    let tested = source.test(None, Duration::from_secs(2)).await.unwrap();
    assert_eq!((tested.version.as_deref(), tested.result.as_deref()), (Some("Snowflake 9.1.0"), Some("1")));
    let found = source.discover(None).await.unwrap();
    let tables: Vec<_> =
        found.schemas[0].tables.iter().map(|table| (table.name.as_str(), table.row_count)).collect();
    assert_eq!(tables, [("BROKEN", Some(2)), ("ENDLESS", Some(2)), ("T", Some(2))]);
    assert_eq!(found.schemas[0].tables[2].columns[1].type_name, "NUMBER(20,2)");
    let all = read(source.as_ref(), table("T")).await.unwrap();
    let first = row([
        "1",
        "12.50",
        "99999999999999999999",
        "Zoë",
        "1.5",
        "true",
        "[00, ff]",
        "2024-01-31",
        "45000000001",
        "2024-01-31T12:30:00.123456",
        "2024-01-31T11:30:00Z",
        "{\"a\":1}",
    ]);
    assert_eq!(all, [first, vec![None; 12]]);
    let last = statements(&log).pop().unwrap();
    assert!(last["statement"].as_str().unwrap().contains("HEX_ENCODE(\"BIN\") AS C6"), "{last}");
    let asked = log.lock().unwrap().pop().unwrap();
    assert_eq!(asked.authorization.as_deref(), Some("Bearer t0ken"));
    assert_eq!(asked.header("x-snowflake-authorization-token-type").as_deref(), Some("OAUTH"));
}

#[tokio::test]
async fn columns_filters_and_limits_reach_the_warehouse_as_values_apart() {
    let (_, port, log) = account().await;
    let source = open(at(port, json!({ "tls": false })), &here()).await.unwrap();
    let name = Filter::Compare {
        column: "NAME".into(),
        operator: Operator::Eq,
        value: Literal::Utf8("O'Brien\\ \" ;".into()),
    };
    let moment = Filter::Compare {
        column: "AT_TZ".into(),
        operator: Operator::Lt,
        value: Literal::Timestamp(1_500_000),
    };
    let scan = Scan {
        relation: table("T"),
        projection: Some(vec!["ID".into()]),
        filters: vec![name.clone(), moment],
        order: vec![],
        limit: Some(2),
    };
    let stream = source.scan(scan).await.unwrap();
    assert_eq!((stream.filtered.as_slice(), stream.limited), (&[true, true][..], true));
    assert_eq!(
        rows(stream).await.unwrap(),
        [row(["1"]), row(["2"])],
        "no more than the limit, whatever comes"
    );
    let last = statements(&log).pop().unwrap();
    assert_eq!(
        last["statement"],
        "SELECT \"ID\" AS C0 FROM \"D\".\"PUBLIC\".\"T\" WHERE (\"NAME\" = ?) AND \
         (\"AT_TZ\" < TO_TIMESTAMP_TZ(?, 'YYYY-MM-DD HH24:MI:SS.FF6 TZH:TZM')) LIMIT 2"
    );
    assert_eq!(last["bindings"]["1"], json!({ "type": "TEXT", "value": "O'Brien\\ \" ;" }));
    assert_eq!(last["bindings"]["2"]["value"], "1970-01-01 00:00:01.500000 +00:00");
    let schema = source.schema(&table("T")).await.unwrap();
    assert!(source.evaluates(&schema, &name));
    // NaN and infinity are ordered otherwise there.
    let float = Filter::Compare { column: "F".into(), operator: Operator::Lt, value: Literal::Int(1) };
    let (_, applied) = select(source.as_ref(), table("T"), &["ID"], float).await.unwrap();
    assert!(!applied);
    assert!(!statements(&log).pop().unwrap()["statement"].as_str().unwrap().contains("WHERE"));
}

#[tokio::test]
async fn a_reader_that_goes_away_cancels_the_statement() {
    let (account, port, log) = account().await;
    let source = open(at(port, json!({ "tls": false })), &here()).await.unwrap();
    let stream = source.scan(Scan::all(table("ENDLESS"))).await.unwrap();
    drop(stream);
    tokio::time::timeout(Duration::from_secs(5), account.cancelled.notified()).await.unwrap();
    assert!(log.lock().unwrap().iter().any(|asked| asked.target.ends_with("/endless/cancel")));
    // A test that is given up does as well.
    account.stuck.store(true, Ordering::SeqCst);
    let source = open(at(port, json!({ "tls": false })), &here()).await.unwrap();
    assert_eq!(source.test(None, Duration::from_millis(300)).await.unwrap_err().code, ErrorCode::Timeout);
    tokio::time::timeout(Duration::from_secs(5), account.cancelled.notified()).await.unwrap();
    account.stuck.store(false, Ordering::SeqCst);
    // And so does the end of its time.
    let mut hurried = at(port, json!({ "tls": false }));
    hurried.query_timeout = Duration::from_secs(1);
    let source = open(hurried, &here()).await.unwrap();
    let mut stream = source.scan(Scan::all(table("ENDLESS"))).await.unwrap();
    assert_eq!(stream.next().await.unwrap().unwrap_err().code, ErrorCode::Timeout);
    tokio::time::timeout(Duration::from_secs(5), account.cancelled.notified()).await.unwrap();
}

#[tokio::test]
async fn refusals_have_their_codes_and_show_no_rows() {
    let (_, port, _) = account().await;
    let source = open(at(port, json!({ "tls": false })), &here()).await.unwrap();
    let error = read(source.as_ref(), table("BROKEN")).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::Query);
    assert!(!error.message.contains("secret-row"), "{error}");
    assert!(read(source.as_ref(), table("ABSENT")).await.is_err());
    assert!(source.test(Some("DROP TABLE T"), Duration::from_secs(1)).await.is_err());
    let mut wrong = at(port, json!({ "tls": false }));
    wrong.credentials.oauth_token = secret("wrong");
    let wrong = open(wrong, &here()).await.unwrap();
    assert_eq!(wrong.test(None, Duration::from_secs(2)).await.unwrap_err().code, ErrorCode::Authentication);
    let mut without = at(port, json!({ "tls": false }));
    without.credentials.oauth_token = None;
    assert_eq!(open(without, &here()).await.map(drop).unwrap_err().code, ErrorCode::Authentication);
}

fn segment(token: &str, index: usize) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(token.split('.').nth(index).unwrap()).unwrap()
}

#[tokio::test]
async fn a_key_pair_signs_tokens_that_name_its_public_key() {
    let (pem, public) = rsa_key();
    let (_, port, log) = account().await;
    let mut by_key = at(port, json!({ "tls": false, "account": "acme-prod" }));
    by_key.credentials.oauth_token = None;
    by_key.credentials.username = secret("reader");
    by_key.credentials.api_key = secret(&pem);
    let source = open(by_key, &here()).await.unwrap();
    source.test(None, Duration::from_secs(2)).await.unwrap();
    let asked = log.lock().unwrap().pop().unwrap();
    assert_eq!(asked.header("x-snowflake-authorization-token-type").as_deref(), Some("KEYPAIR_JWT"));
    let token = asked.authorization.unwrap().strip_prefix("Bearer ").unwrap().to_owned();
    let claims: Value = serde_json::from_slice(&segment(&token, 1)).unwrap();
    let fingerprint = STANDARD.encode(digest::digest(&digest::SHA256, &public));
    assert_eq!(claims["iss"], format!("ACME-PROD.READER.SHA256:{fingerprint}"));
    assert_eq!(claims["sub"], "ACME-PROD.READER");
    assert!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap() <= 3_600);
    let (signed, _) = token.rsplit_once('.').unwrap();
    let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &public);
    key.verify(signed.as_bytes(), &segment(&token, 2)).unwrap();
    for bad in
        ["nonsense", "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAA==\n-----END ENCRYPTED PRIVATE KEY-----\n"]
    {
        let mut broken = at(port, json!({ "tls": false }));
        broken.credentials.oauth_token = None;
        broken.credentials.username = secret("reader");
        broken.credentials.api_key = secret(bad);
        let error = open(broken, &here()).await.map(drop).unwrap_err();
        assert_eq!(error.code, ErrorCode::Authentication, "{bad}");
    }
}

#[tokio::test]
async fn tls_is_verified_and_a_server_that_comes_back_is_read_again() {
    let certificates = Certificates::make();
    let account = Account::new();
    let failures = Arc::new(AtomicUsize::new(1));
    let (port, log) = serve_bytes(Some(certificates.acceptor()), move |asked: &Asked| {
        if failures.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok() {
            return answer(503, &json!({}));
        }
        account.answer(asked)
    })
    .await;
    let source = open(at(port, json!({ "ssl_ca": certificates.pem("ca.pem") })), &here()).await.unwrap();
    let down = source.test(None, Duration::from_secs(2)).await.unwrap_err();
    assert_eq!(down.code, ErrorCode::Connection);
    source.test(None, Duration::from_secs(2)).await.unwrap();
    let asked = log.lock().unwrap().len();
    let distrusting: Arc<dyn Source> = open(at(port, json!({})), &here()).await.unwrap();
    let refused = distrusting.test(None, Duration::from_secs(2)).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::Connection);
    assert_eq!(log.lock().unwrap().len(), asked, "a token went to a server that was not verified");
}
