//! BigQuery, against a stub that answers as its documentation says.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use tidegate_connect::{ErrorCode, Filter, Literal, Operator, Relation, Scan, Settings, SourceType, open};
use tokio::sync::Notify;

use crate::cells::{read, row, rows};
use crate::http::{Answer, Asked, Log, serve, serve_bytes, settings};
use crate::servers::{Certificates, here, rsa_key, secret};

const COLUMNS: [(&str, &str); 13] = [
    ("id", "INT64"),
    ("price", "NUMERIC"),
    ("wide", "BIGNUMERIC"),
    ("name", "STRING"),
    ("f", "FLOAT64"),
    ("ok", "BOOL"),
    ("bin", "BYTES"),
    ("d", "DATE"),
    ("t", "TIME"),
    ("at", "DATETIME"),
    ("at_utc", "TIMESTAMP"),
    ("record", "STRUCT<a INT64, b STRING>"),
    ("repeated", "ARRAY<INT64>"),
];

fn ok(body: &Value) -> Answer<String> {
    (200, vec![("content-type", "application/json".to_owned())], body.to_string())
}

fn refused(status: u16, reason: &str) -> Answer<String> {
    let errors = json!([{ "reason": reason, "message": "no secret-row here" }]);
    (status, vec![], json!({ "error": { "code": status, "errors": errors } }).to_string())
}

/// `[["a", null]]` as BigQuery writes rows.
fn table(rows: &Value) -> Value {
    let row = |row: &Value| {
        let cells: Vec<Value> = row.as_array().unwrap().iter().map(|cell| json!({ "v": cell })).collect();
        json!({ "f": cells })
    };
    Value::Array(rows.as_array().unwrap().iter().map(row).collect())
}

fn job(id: &str, rows: &Value, token: Option<&str>) -> Value {
    let reference = json!({ "projectId": "p", "jobId": id, "location": "EU" });
    json!({ "jobReference": reference, "jobComplete": true, "rows": table(rows), "pageToken": token })
}

fn catalog() -> Value {
    let mut all = Vec::new();
    for name in ["broken", "denied", "endless", "t"] {
        for (column, kind) in COLUMNS {
            all.push(json!(["d", name, "T", null, null, column, kind, null, null, "YES", "why", null, null]));
        }
    }
    json!(all)
}

fn first_row() -> Value {
    json!([
        "9007199254740993",
        "1.000000001",
        "12345678901234567890123456789.5",
        "Zoë",
        "-Infinity",
        "true",
        "AP8=",
        "2024-01-31",
        "12:30:00.000001",
        "2024-01-31T12:30:00.123456",
        "1500000",
        "{\"a\":1,\"b\":\"x\"}",
        "[1,2]"
    ])
}

fn answered(asked: &Asked, cancelled: &Notify) -> Answer<String> {
    let url = url::Url::parse(&format!("http://x{}", asked.target)).unwrap();
    if asked.authorization.as_deref() == Some("Bearer wrong") {
        return refused(401, "authError");
    }
    let waiting = json!({ "jobReference": { "projectId": "p", "jobId": "slow", "location": "EU" }, "jobComplete": false });
    let token = url.query_pairs().find(|(name, _)| name == "pageToken").map(|(_, token)| token.into_owned());
    match (asked.method.as_str(), url.path().strip_prefix("/bigquery/v2/projects/p").unwrap()) {
        ("GET", "/datasets") => ok(&json!({ "datasets": [{ "datasetReference": { "datasetId": "d" } }] })),
        ("GET", "/queries/rows") => match token.as_deref() {
            Some("more") => ok(&job("rows", &json!([vec![Value::Null; 13]]), None)),
            other => panic!("{other:?}"),
        },
        ("GET", "/queries/slow") => ok(&waiting),
        ("POST", "/jobs/slow/cancel") => {
            assert_eq!(url.query(), Some("location=EU"));
            cancelled.notify_one();
            ok(&json!({ "kind": "bigquery#jobCancelResponse" }))
        }
        ("POST", "/queries") => {
            let body: Value = serde_json::from_str(&asked.body).unwrap();
            assert_eq!(
                (&body["useLegacySql"], &body["formatOptions"]["useInt64Timestamp"]),
                (&json!(false), &json!(true))
            );
            match body["query"].as_str().unwrap() {
                "SELECT 1" => ok(&job("one", &json!([["1"]]), None)),
                text if text.contains("INFORMATION_SCHEMA") => ok(&job("catalog", &catalog(), None)),
                text if text.contains("`broken`") => refused(400, "invalidQuery"),
                text if text.contains("`denied`") => refused(403, "accessDenied"),
                text if text.contains("`endless`") => ok(&waiting),
                text if text.starts_with("SELECT `id` AS C0 FROM") => {
                    ok(&job("narrow", &json!([["1"]]), None))
                }
                _ => ok(&job("rows", &json!([first_row()]), Some("more"))),
            }
        }
        other => panic!("{other:?}"),
    }
}

async fn project() -> (u16, Log, Arc<Notify>) {
    let cancelled = Arc::new(Notify::new());
    let notified = Arc::clone(&cancelled);
    let (port, log) = serve(move |asked| answered(asked, &notified)).await;
    (port, log, cancelled)
}

fn at(port: u16) -> Settings {
    let metadata = json!({ "project": "p", "endpoint": format!("http://127.0.0.1:{port}/"), "maximum_bytes_billed": 1000 });
    let mut settings = settings(SourceType::Bigquery, metadata);
    settings.credentials.oauth_token = secret("t0ken");
    settings
}

fn queries(log: &Log) -> Vec<Value> {
    let log = log.lock().unwrap();
    let sent = log.iter().filter(|asked| asked.method == "POST" && asked.target.ends_with("/queries"));
    sent.map(|asked| serde_json::from_str(&asked.body).unwrap()).collect()
}

#[tokio::test]
async fn values_have_their_types_through_all_pages() {
    let (port, log, _) = project().await;
    let source = open(at(port), &here()).await.unwrap();
    assert_eq!(source.test(None, Duration::from_secs(2)).await.unwrap().result.as_deref(), Some("1"));
    let found = source.discover(None).await.unwrap();
    assert_eq!(found.schemas[0].tables.len(), 4);
    let column = &found.schemas[0].tables[3].columns[1];
    assert_eq!((column.type_name.as_str(), column.comment.as_deref()), ("NUMERIC", Some("why")));
    let all = read(source.as_ref(), Relation::new("d", "t")).await.unwrap();
    let first = row([
        "9007199254740993",
        "1.000000001",
        "12345678901234567890123456789.50000000000000000000000000000000000000",
        "Zoë",
        "-inf",
        "true",
        "[00, ff]",
        "2024-01-31",
        "45000000001",
        "2024-01-31T12:30:00.123456",
        "1970-01-01T00:00:01.5Z",
        "{\"a\":1,\"b\":\"x\"}",
        "[1,2]",
    ]);
    assert_eq!(all, [first, vec![None; 13]]);
    let last = queries(&log).pop().unwrap();
    let text = last["query"].as_str().unwrap();
    assert!(
        text.contains("TO_JSON_STRING(`record`) AS C11, TO_JSON_STRING(`repeated`) AS C12 FROM `p`.`d`.`t`"),
        "{text}"
    );
    assert_eq!(last["maximumBytesBilled"], "1000");
}

#[tokio::test]
async fn columns_filters_and_limits_reach_the_server_as_parameters() {
    let (port, log, _) = project().await;
    let source = open(at(port), &here()).await.unwrap();
    let filters = vec![
        Filter::In {
            column: "name".into(),
            values: vec![Literal::Utf8("a`'\\".into()), Literal::Utf8("b".into())],
            negated: false,
        },
        Filter::Compare {
            column: "price".into(),
            operator: Operator::GtEq,
            value: Literal::Decimal { unscaled: 150, scale: 2 },
        },
    ];
    let scan = Scan {
        relation: Relation::new("d", "t"),
        projection: Some(vec!["id".into()]),
        filters,
        order: vec![],
        limit: Some(7),
    };
    let stream = source.scan(scan).await.unwrap();
    assert_eq!((stream.filtered.as_slice(), stream.limited), (&[true, true][..], true));
    assert_eq!(rows(stream).await.unwrap(), [row(["1"])]);
    let last = queries(&log).pop().unwrap();
    assert_eq!(
        last["query"],
        "SELECT `id` AS C0 FROM `p`.`d`.`t` WHERE (`name` IN (?, ?)) AND (`price` >= CAST(? AS BIGNUMERIC)) LIMIT 7"
    );
    let values: Vec<&Value> = last["queryParameters"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["parameterValue"]["value"])
        .collect();
    assert_eq!(values, ["a`'\\", "b", "1.50"]);
    let nested = Filter::IsNull { column: "repeated".into(), negated: false };
    let schema = source.schema(&Relation::new("d", "t")).await.unwrap();
    assert!(!source.evaluates(&schema, &nested), "an array that is absent is an empty one there");
}

#[tokio::test]
async fn jobs_are_waited_for_and_cancelled() {
    let (port, _, cancelled) = project().await;
    let source = open(at(port), &here()).await.unwrap();
    drop(source.scan(Scan::all(Relation::new("d", "endless"))).await.unwrap());
    tokio::time::timeout(Duration::from_secs(5), cancelled.notified()).await.unwrap();
}

#[tokio::test]
async fn refusals_have_their_codes() {
    let (port, _, _) = project().await;
    let source = open(at(port), &here()).await.unwrap();
    for (name, code) in [("broken", ErrorCode::Query), ("denied", ErrorCode::Authentication)] {
        let error = read(source.as_ref(), Relation::new("d", name)).await.unwrap_err();
        assert_eq!(error.code, code, "{name}");
        assert!(!error.message.contains("secret-row"), "{error}");
    }
    let mut wrong = at(port);
    wrong.credentials.oauth_token = secret("wrong");
    let wrong = open(wrong, &here()).await.unwrap();
    assert_eq!(wrong.test(None, Duration::from_secs(2)).await.unwrap_err().code, ErrorCode::Authentication);
    let inside = open(at(port), &Default::default()).await.unwrap();
    assert_eq!(inside.test(None, Duration::from_secs(2)).await.unwrap_err().code, ErrorCode::Connection);
}

fn segment(token: &str, index: usize) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(token.split('.').nth(index).unwrap()).unwrap()
}

#[tokio::test]
async fn a_service_account_is_exchanged_for_a_token_once_over_tls() {
    let certificates = Certificates::make();
    let (pem, public) = rsa_key();
    let cancelled = Arc::new(Notify::new());
    let (port, log) = serve_bytes(Some(certificates.acceptor()), move |asked: &Asked| {
        let (status, headers, body) = if asked.target == "/token" {
            ok(&json!({ "access_token": "fresh", "expires_in": 3600 }))
        } else {
            assert_eq!(asked.authorization.as_deref(), Some("Bearer fresh"));
            answered(asked, &cancelled)
        };
        (status, headers, body.into_bytes())
    })
    .await;
    let key = json!({
        "type": "service_account", "project_id": "p", "private_key_id": "k1", "private_key": pem,
        "client_email": "reader@p.iam", "token_uri": format!("https://127.0.0.1:{port}/token"),
    });
    let metadata =
        json!({ "endpoint": format!("https://127.0.0.1:{port}/"), "ssl_ca": certificates.pem("ca.pem") });
    let mut by_key = settings(SourceType::Bigquery, metadata);
    by_key.credentials.api_key = secret(&key.to_string());
    let source = open(by_key, &here()).await.unwrap();
    source.test(None, Duration::from_secs(2)).await.unwrap();
    source.test(None, Duration::from_secs(2)).await.unwrap();
    let asked: Vec<Asked> = log.lock().unwrap().clone();
    let exchanges: Vec<&Asked> = asked.iter().filter(|asked| asked.target == "/token").collect();
    assert_eq!(exchanges.len(), 1, "a token that holds is used again");
    let form: Vec<(String, String)> =
        url::form_urlencoded::parse(exchanges[0].body.as_bytes()).into_owned().collect();
    assert_eq!(form[0].1, "urn:ietf:params:oauth:grant-type:jwt-bearer");
    let token = &form[1].1;
    let claims: Value = serde_json::from_slice(&segment(token, 1)).unwrap();
    assert_eq!(
        (&claims["iss"], &claims["scope"]),
        (&json!("reader@p.iam"), &json!("https://www.googleapis.com/auth/bigquery"))
    );
    let header: Value = serde_json::from_slice(&segment(token, 0)).unwrap();
    assert_eq!(header, json!({ "alg": "RS256", "typ": "JWT", "kid": "k1" }));
    let (signed, _) = token.rsplit_once('.').unwrap();
    let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &public);
    key.verify(signed.as_bytes(), &segment(token, 2)).unwrap();
    for bad in ["", "{}", "{\"type\": \"authorized_user\"}"] {
        let mut broken = at(port);
        broken.credentials.oauth_token = None;
        broken.credentials.api_key = secret(bad);
        assert_eq!(open(broken, &here()).await.map(drop).unwrap_err().code, ErrorCode::Authentication);
    }
}
