//! Emulators, which check what stubs take on trust: moto for S3, DynamoDB, Kinesis and Athena, azurite for Azure. They are where
//! `scripts/test` says.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::body::Bytes;
use hyper::http::request::Builder;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tempfile::TempDir;
use tidegate_connect::{ErrorCode, Filter, Literal, Operator, Relation, Settings, Source, SourceType, open};
use tokio::net::TcpStream;

use crate::buckets::files;
use crate::cells::{read, row, select};
use crate::http::settings;
use crate::servers::{free_port, here, secret};

/// The account that azurite documents, and its key.
const ACCOUNT: &str = "devstoreaccount1";
const KEY: &str = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";
const REGION: &str = "eu-north-1";
const BUCKET: &str = "tidegate-data";

/// An emulator; stopped when dropped.
pub(crate) struct Emulator {
    process: Child,
    pub(crate) port: u16,
    _directory: TempDir,
}

impl Drop for Emulator {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

fn variable(name: &str) -> String {
    std::env::var(name)
        .unwrap_or_else(|_| panic!("{name} must say where the emulators are: run scripts/test"))
}

impl Emulator {
    async fn start(command: &mut Command, port: u16) -> Self {
        let directory = tempfile::tempdir().unwrap();
        command
            .current_dir(directory.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let mut emulator = Self { process: command.spawn().unwrap(), port, _directory: directory };
        for _ in 0..600 {
            assert!(emulator.process.try_wait().unwrap().is_none(), "the emulator ended");
            if TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
                return emulator;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("the emulator does not answer at {port}");
    }

    /// Amazon's services. It takes whatever is put into it unsigned, and is asked with signatures.
    pub(crate) async fn amazon() -> Self {
        let port = free_port();
        let mut command = Command::new(variable("TIDEGATE_TEST_EMULATORS_PYTHON"));
        command.args(["-m", "moto.server", "-H", "127.0.0.1", "-p", &port.to_string()]);
        Self::start(&mut command, port).await
    }

    /// S3 with files.
    async fn moto() -> Self {
        let emulator = Self::amazon().await;
        emulator.put(&format!("/{BUCKET}"), &[], Vec::new()).await;
        for (key, content) in files() {
            emulator.put(&format!("/{BUCKET}/{}", escaped(&key)), &[], content).await;
        }
        emulator
    }

    /// Azure Blob Storage.
    async fn azurite() -> Self {
        let port = free_port();
        let modules = variable("TIDEGATE_TEST_EMULATORS_NODE_MODULES");
        let mut command = Command::new("node");
        command.arg(format!("{modules}/azurite/dist/src/blob/main.js"));
        command.args(["--blobHost", "127.0.0.1", "--blobPort", &port.to_string()]);
        command.args(["--inMemoryPersistence", "--silent"]);
        let emulator = Self::start(&mut command, port).await;
        emulator.signed_put(&format!("/{ACCOUNT}/{BUCKET}"), true, Vec::new()).await;
        for (key, content) in files() {
            emulator.signed_put(&format!("/{ACCOUNT}/{BUCKET}/{}", escaped(&key)), false, content).await;
        }
        emulator
    }

    /// Puts something to azurite, signed by hand: what is tested signs no writes.
    async fn signed_put(&self, path: &str, is_container: bool, content: Vec<u8>) {
        let now = jiff::Timestamp::now();
        let date = now.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
        let length = if content.is_empty() { String::new() } else { content.len().to_string() };
        let (kind, kind_line) =
            if is_container { ("", "") } else { ("BlockBlob", "x-ms-blob-type:BlockBlob\n") };
        let query = if is_container { "\nrestype:container" } else { "" };
        let to_sign = format!(
            "PUT\n\n\n{length}\n\n\n\n\n\n\n\n\n{kind_line}x-ms-date:{date}\nx-ms-version:2021-08-06\n/{ACCOUNT}{path}{query}"
        );
        let key = hmac::Key::new(hmac::HMAC_SHA256, &STANDARD.decode(KEY).unwrap());
        let signature = STANDARD.encode(hmac::sign(&key, to_sign.as_bytes()));
        let authorization = format!("SharedKey {ACCOUNT}:{signature}");
        let mut headers = vec![
            ("x-ms-date", date.as_str()),
            ("x-ms-version", "2021-08-06"),
            ("authorization", &authorization),
        ];
        if !kind.is_empty() {
            headers.push(("x-ms-blob-type", kind));
        }
        let target = if is_container { format!("{path}?restype=container") } else { path.to_owned() };
        self.put(&target, &headers, content).await;
    }

    /// Calls an operation of a service, to put something into it.
    pub(crate) async fn call(&self, service: &str, operation: &str, body: &Value) {
        let scope = format!("AWS4-HMAC-SHA256 Credential=AKID/20260101/{REGION}/{service}/aws4_request");
        let authorization = format!("{scope}, SignedHeaders=host, Signature=0");
        let headers = [
            ("content-type", "application/x-amz-json-1.1"),
            ("x-amz-target", operation),
            ("authorization", &authorization),
        ];
        self.send(Request::post("/"), &headers, body.to_string().into_bytes()).await;
    }

    async fn put(&self, target: &str, headers: &[(&str, &str)], content: Vec<u8>) {
        self.send(Request::put(target), headers, content).await;
    }

    async fn send(&self, request: Builder, headers: &[(&str, &str)], content: Vec<u8>) {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).await.unwrap();
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        let mut request = request
            .header("host", format!("127.0.0.1:{}", self.port))
            .header("content-length", content.len());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer =
            sender.send_request(request.body(Full::new(Bytes::from(content))).unwrap()).await.unwrap();
        let status = answer.status();
        let said = answer.into_body().collect().await.unwrap().to_bytes();
        assert!(status.is_success(), "{headers:?}: {status} {}", String::from_utf8_lossy(&said));
    }
}

fn escaped(key: &str) -> String {
    key.replace('=', "%3D")
}

fn at(kind: SourceType, endpoint: String, id: &str, key: &str) -> Settings {
    let mut settings = settings(kind, json!({ "endpoint": endpoint, "prefix": "lake/" }));
    settings.database_name = Some(BUCKET.to_owned());
    settings.query_timeout = Duration::from_secs(60);
    settings.credentials.username = secret(id);
    settings.credentials.password = secret(key);
    settings
}

/// One story for every store.
async fn story(source: &dyn Source) {
    let main = |table: &str| Relation::new("main", table);
    assert!(source.test(None, Duration::from_secs(10)).await.unwrap().version.is_some());
    let found = source.discover(None).await.unwrap();
    let names: Vec<&str> = found.schemas[0].tables.iter().map(|table| table.name.as_str()).collect();
    assert_eq!(names, ["books", "events", "people", "sales", "zipped"]);
    let sales = read(source, main("sales")).await.unwrap();
    assert_eq!((sales.len(), sales[3].clone()), (4, row(["4", "3", "007", "NULL"])));
    assert_eq!(read(source, main("people")).await.unwrap(), [row(["Zoë"]), row(["NULL"])]);
    let day = Filter::Compare { column: "day".into(), operator: Operator::Gt, value: Literal::Date(19_724) };
    let (rows, applied) = select(source, main("events"), &["narrow"], day).await.unwrap();
    assert_eq!((rows.len(), rows[0].clone(), applied), (400_000, row(["3000000"]), true));
}

#[tokio::test]
async fn moto_is_read_as_s3() {
    let emulator = Emulator::moto().await;
    let endpoint = format!("http://127.0.0.1:{}", emulator.port);
    let source = open(at(SourceType::S3, endpoint.clone(), "AKID", "hunter2"), &here()).await.unwrap();
    story(source.as_ref()).await;
    let mut absent = at(SourceType::S3, endpoint, "AKID", "hunter2");
    absent.database_name = Some("absent".to_owned());
    let error = open(absent, &here()).await.unwrap().test(None, Duration::from_secs(10)).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::FileNotFound);
}

#[tokio::test]
async fn azurite_is_read_as_azure() {
    let emulator = Emulator::azurite().await;
    let endpoint = format!("http://127.0.0.1:{}/{ACCOUNT}", emulator.port);
    let source = open(at(SourceType::AzureBlob, endpoint.clone(), ACCOUNT, KEY), &here()).await.unwrap();
    story(source.as_ref()).await;
    let wrong = at(SourceType::AzureBlob, endpoint, ACCOUNT, "aHVudGVyMg==");
    let error = open(wrong, &here()).await.unwrap().test(None, Duration::from_secs(10)).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::Authentication);
}

/// A service of moto's, at a port.
pub(crate) fn amazon(kind: SourceType, port: u16) -> Settings {
    let endpoint = format!("http://127.0.0.1:{port}/");
    let mut settings = settings(kind, json!({ "region": REGION, "endpoint": endpoint }));
    settings.query_timeout = Duration::from_secs(60);
    settings.credentials.username = secret("AKID");
    settings.credentials.password = secret("hunter2");
    settings
}

async fn tables(source: &dyn Source) -> Vec<String> {
    let found = source.discover(None).await.unwrap();
    found.schemas.into_iter().flat_map(|schema| schema.tables).map(|table| table.name).collect()
}

#[tokio::test]
async fn moto_is_read_as_dynamodb() {
    let emulator = Emulator::amazon().await;
    let dynamodb = async |operation: &str, body: Value| {
        emulator.call("dynamodb", &format!("DynamoDB_20120810.{operation}"), &body).await;
    };
    for name in ["users", "empty"] {
        let key = json!([{ "AttributeName": "id", "KeyType": "HASH" }]);
        let attributes = json!([{ "AttributeName": "id", "AttributeType": "N" }]);
        let table = json!({
            "TableName": name, "KeySchema": key, "AttributeDefinitions": attributes, "BillingMode": "PAY_PER_REQUEST",
        });
        dynamodb("CreateTable", table).await;
    }
    // Beyond a megabyte a scan answers in pages.
    let long = "x".repeat(300_000);
    for id in 1..=5 {
        let item = json!({
            "id": { "N": id.to_string() }, "long": { "S": long }, "tags": { "SS": ["a"] },
            "deep": { "M": { "n": { "N": "1.10" }, "none": { "NULL": true } } },
        });
        dynamodb("PutItem", json!({ "TableName": "users", "Item": item })).await;
    }
    let source = open(amazon(SourceType::Dynamodb, emulator.port), &here()).await.unwrap();
    assert!(source.test(None, Duration::from_secs(10)).await.unwrap().version.is_some());
    let mut names = tables(source.as_ref()).await;
    names.sort();
    assert_eq!(names, ["empty", "users"]);
    let mut rows = read(source.as_ref(), Relation::new("main", "users")).await.unwrap();
    rows.sort();
    assert_eq!(rows.len(), 5);
    for (row, id) in rows.iter().zip(["1", "2", "3", "4", "5"]) {
        assert!(row.contains(&Some(id.to_owned())) && row.contains(&Some(long.clone())), "{id}");
        let tells = |text: &str| row.iter().flatten().any(|cell| cell.replace(' ', "") == text);
        assert!(tells("[\"a\"]") && tells("{\"n\":1.10,\"none\":null}"), "{id}");
    }
    assert!(read(source.as_ref(), Relation::new("main", "empty")).await.unwrap().is_empty());
    let absent = read(source.as_ref(), Relation::new("main", "absent")).await.unwrap_err();
    assert_eq!(absent.code, ErrorCode::Query);
}

#[tokio::test]
async fn moto_is_read_as_kinesis() {
    let emulator = Emulator::amazon().await;
    let kinesis = async |operation: &str, body: Value| {
        emulator.call("kinesis", &format!("Kinesis_20131202.{operation}"), &body).await;
    };
    kinesis("CreateStream", json!({ "StreamName": "clicks", "ShardCount": 2 })).await;
    for key in ["a", "k", "b"] {
        let data = STANDARD.encode(json!({ "n": 1, "key": key }).to_string());
        kinesis("PutRecord", json!({ "StreamName": "clicks", "PartitionKey": key, "Data": data })).await;
    }
    kinesis(
        "PutRecord",
        json!({ "StreamName": "clicks", "PartitionKey": "z", "Data": STANDARD.encode("plain") }),
    )
    .await;
    let source = open(amazon(SourceType::Kinesis, emulator.port), &here()).await.unwrap();
    assert!(source.test(None, Duration::from_secs(10)).await.unwrap().version.is_some());
    assert_eq!(tables(source.as_ref()).await, ["clicks"]);
    let rows = read(source.as_ref(), Relation::new("main", "clicks")).await.unwrap();
    assert_eq!(rows.len(), 4);
    // Of both shards; each record says where it was.
    for text in ["a", "k", "b", "plain", "shardId-000000000000", "shardId-000000000001"] {
        assert!(rows.iter().flatten().any(|cell| cell.as_deref() == Some(text)), "{text}: {rows:?}");
    }
    let absent = read(source.as_ref(), Relation::new("main", "absent")).await.unwrap_err();
    assert_eq!(absent.code, ErrorCode::Query);
}

// It runs no query: what it answers, in the order of the questions, was put there.
#[tokio::test]
async fn moto_is_read_as_athena() {
    let emulator = Emulator::amazon().await;
    let column = |name: &str, kind: &str| json!({ "Name": name, "Type": kind });
    let row_of = |cells: Value| json!({ "Data": cells });
    let text = |text: &str| json!({ "VarCharValue": text });
    let results = json!([
        {
            "rows": [row_of(json!([text("_col0")])), row_of(json!([text("1")]))],
            "column_info": [column("_col0", "integer")],
        },
        {
            "rows": [
                row_of(json!([text("table_schema"), text("table_name"), text("_col2"), text("column_name"), text("data_type")])),
                row_of(json!([text("logs"), text("hits"), text("T"), text(""), text(""), text("id"), text("bigint")])),
                row_of(json!([text("logs"), text("hits"), text("T"), text(""), text(""), text("name"), text("varchar")])),
            ],
            "column_info": [
                column("table_schema", "varchar"), column("table_name", "varchar"), column("_col2", "varchar"),
                column("column_name", "varchar"), column("data_type", "varchar"),
            ],
        },
        {
            "rows": [
                row_of(json!([text("id"), text("name")])), row_of(json!([text("1"), text("007")])), row_of(json!([text("2"), {}])),
            ],
            "column_info": [column("id", "bigint"), column("name", "varchar")],
        },
    ]);
    let body = json!({ "region": REGION, "results": results }).to_string().into_bytes();
    let request = Request::post("/moto-api/static/athena/query-results");
    emulator.send(request, &[("content-type", "application/json")], body).await;
    let source = open(amazon(SourceType::Athena, emulator.port), &here()).await.unwrap();
    let tested = source.test(None, Duration::from_secs(10)).await.unwrap();
    assert_eq!(tested.result.as_deref(), Some("1"));
    let rows = read(source.as_ref(), Relation::new("logs", "hits")).await.unwrap();
    assert_eq!(rows, [row(["1", "007"]), row(["2", "NULL"])]);
}
