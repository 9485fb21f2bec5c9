//! Vendors' HTTP interfaces, against stubs that answer as their documentation says.

use std::time::Duration;

use serde_json::{Value, json};
use tidegate_connect::{ErrorCode, Relation, Settings, Source, SourceType, open};

use crate::cells::{read, row};
use crate::http::{Asked, serve, settings};
use crate::servers::{here, secret};

pub(crate) fn ok(body: &Value) -> (u16, Vec<(&'static str, String)>, String) {
    (200, vec![], body.to_string())
}

pub(crate) fn amazon(kind: SourceType, port: u16) -> Settings {
    let metadata = json!({ "region": "eu-north-1", "endpoint": format!("http://127.0.0.1:{port}/") });
    let mut settings = settings(kind, metadata);
    settings.credentials.username = secret("AKID");
    settings.credentials.password = secret("hunter2");
    settings.credentials.oauth_token = secret("session");
    settings
}

pub(crate) async fn tables(source: &dyn Source) -> Vec<(String, String)> {
    let found = source.discover(None).await.unwrap();
    let all = found.schemas.into_iter().flat_map(|schema| {
        schema.tables.into_iter().map(move |table| (schema.name.clone(), table.name)).collect::<Vec<_>>()
    });
    all.collect()
}

pub(crate) fn pair(schema: &str, table: &str) -> (String, String) {
    (schema.to_owned(), table.to_owned())
}

#[tokio::test]
async fn dynamodb_is_scanned_page_by_page() {
    let (port, log) = serve(|asked| {
        let body: Value = serde_json::from_str(&asked.body).unwrap();
        let operation = asked.header("x-amz-target").unwrap();
        match operation.as_str() {
            "DynamoDB_20120810.ListTables" => ok(&json!({ "TableNames": ["users"] })),
            "DynamoDB_20120810.DescribeTable" => ok(&json!({ "Table": { "ItemCount": 2 } })),
            "DynamoDB_20120810.Scan" if body["TableName"] == "denied" => {
                (400, vec![], json!({ "__type": "com.amazon.coral.service#UnrecognizedClientException" }).to_string())
            }
            "DynamoDB_20120810.Scan" if body.get("ExclusiveStartKey").is_some() => {
                ok(&json!({ "Items": [{ "id": { "N": "2" }, "tags": { "SS": ["a"] } }] }))
            }
            _ => ok(&json!({ "Items": [{ "id": { "N": "1" }, "name": { "S": "Zoë" } }], "LastEvaluatedKey": { "id": { "N": "1" } } })),
        }
    })
    .await;
    let source = open(amazon(SourceType::Dynamodb, port), &here()).await.unwrap();
    assert!(source.test(None, Duration::from_secs(2)).await.unwrap().version.is_some());
    assert_eq!(tables(source.as_ref()).await, [pair("main", "users")]);
    let rows = read(source.as_ref(), Relation::new("main", "users")).await.unwrap();
    assert_eq!(rows, [row(["1", "Zoë", "NULL"]), row(["2", "NULL", "[\"a\"]"])]);
    let denied = read(source.as_ref(), Relation::new("main", "denied")).await.unwrap_err();
    assert_eq!(denied.code, ErrorCode::Authentication);
    let last = log.lock().unwrap().pop().unwrap();
    let signature = last.authorization.unwrap();
    assert!(signature.starts_with("AWS4-HMAC-SHA256 Credential=AKID/2"), "{signature}");
    assert!(signature.contains(
        "SignedHeaders=content-type;host;x-amz-date;x-amz-security-token;x-amz-target, Signature="
    ));
    assert!(!signature.contains("hunter2"));
}

#[tokio::test]
async fn kinesis_is_read_to_its_present_end() {
    let (port, _) = serve(|asked| {
        let body: Value = serde_json::from_str(&asked.body).unwrap();
        let record = |number: u32, data: &str| json!({ "SequenceNumber": number.to_string(), "PartitionKey": "k", "Data": data });
        match asked.header("x-amz-target").unwrap().as_str() {
            "Kinesis_20131202.ListStreams" => ok(&json!({ "StreamNames": ["clicks"], "HasMoreStreams": false })),
            "Kinesis_20131202.ListShards" => ok(&json!({ "Shards": [{ "ShardId": "shard-0" }] })),
            "Kinesis_20131202.GetShardIterator" => ok(&json!({ "ShardIterator": "one" })),
            _ if body["ShardIterator"] == "one" => {
                // {"n":1}
                ok(&json!({ "Records": [record(1, "eyJuIjoxfQ==")], "NextShardIterator": "two", "MillisBehindLatest": 5 }))
            }
            // plain
            _ => ok(&json!({ "Records": [record(2, "cGxhaW4=")], "NextShardIterator": "three", "MillisBehindLatest": 0 })),
        }
    })
    .await;
    let source = open(amazon(SourceType::Kinesis, port), &here()).await.unwrap();
    assert_eq!(tables(source.as_ref()).await, [pair("main", "clicks")]);
    let rows = read(source.as_ref(), Relation::new("main", "clicks")).await.unwrap();
    assert_eq!(rows.len(), 2);
    assert!(
        rows[0].contains(&Some("1".to_owned())) && rows[1].contains(&Some("plain".to_owned())),
        "{rows:?}"
    );
}

pub(crate) fn server(kind: SourceType, port: u16) -> Settings {
    let mut settings = settings(kind, json!({ "tls": false }));
    settings.host = Some("127.0.0.1".to_owned());
    settings.port = Some(port);
    settings.database_name = Some("d".to_owned());
    settings.credentials.username = secret("me");
    settings.credentials.password = secret("hunter2");
    settings.credentials.warehouse = secret("w1");
    settings
}

#[tokio::test]
async fn couchbase_is_asked_read_only() {
    let (port, log) = serve(|asked: &Asked| {
        let body: Value = serde_json::from_str(&asked.body).unwrap();
        assert_eq!(body["readonly"], true);
        let results = match body["statement"].as_str().unwrap() {
            text if text.contains("version()") => json!(["7.6.0"]),
            text if text.contains("keyspaces") => {
                json!([{ "bucket": "d", "scope": "s", "name": "c" }, { "name": "d" }])
            }
            text if text.contains("`broken`") => {
                return ok(&json!({ "status": "errors", "errors": [{ "code": 12003 }] }));
            }
            _ => json!([{ "_id": "a", "n": 1 }]),
        };
        ok(&json!({ "status": "success", "results": results }))
    })
    .await;
    let source = open(server(SourceType::Couchbase, port), &here()).await.unwrap();
    assert_eq!(
        source.test(None, Duration::from_secs(1)).await.unwrap().version.as_deref(),
        Some("Couchbase 7.6.0")
    );
    assert_eq!(tables(source.as_ref()).await, [pair("_default", "_default"), pair("s", "c")]);
    assert_eq!(read(source.as_ref(), Relation::new("s", "c`x")).await.unwrap(), [row(["a", "1"])]);
    let last = log.lock().unwrap().pop().unwrap();
    assert!(last.body.contains("FROM `d`.`s`.`c``x` AS d"), "{}", last.body);
    assert_eq!(read(source.as_ref(), Relation::new("s", "broken")).await.unwrap_err().code, ErrorCode::Query);
}

#[tokio::test]
async fn neo4j_gives_the_properties_of_nodes() {
    let (port, log) = serve(|asked| {
        if asked.method == "GET" {
            return ok(&json!({ "neo4j_version": "5.20.0" }));
        }
        assert_eq!(asked.header("access-mode").as_deref(), Some("READ"));
        let data = |rows: Value| json!({ "results": [{ "columns": ["x"], "data": rows }], "errors": [] });
        match asked.body.as_str() {
            text if text.contains("db.labels") => ok(&data(json!([{ "row": ["Person"] }]))),
            text if text.contains("RETURN 1") => ok(&data(json!([{ "row": [1] }]))),
            text if text.contains("Broken") => {
                ok(&json!({ "results": [], "errors": [{ "code": "Neo.ClientError.Security.Forbidden" }] }))
            }
            _ => ok(&data(json!([{ "row": [{ "name": "Zoë", "age": 5 }] }]))),
        }
    })
    .await;
    let source = open(server(SourceType::Neo4j, port), &here()).await.unwrap();
    let tested = source.test(None, Duration::from_secs(1)).await.unwrap();
    assert_eq!((tested.version.as_deref(), tested.result.as_deref()), (Some("Neo4j 5.20.0"), Some("1")));
    assert_eq!(tables(source.as_ref()).await, [pair("d", "Person")]);
    let rows = read(source.as_ref(), Relation::new("d", "Person`)")).await.unwrap();
    assert_eq!(rows.len(), 1);
    assert!(log.lock().unwrap().pop().unwrap().body.contains("(n:`Person``)`)"));
    assert_eq!(
        read(source.as_ref(), Relation::new("d", "Broken")).await.unwrap_err().code,
        ErrorCode::Authentication
    );
    assert!(read(source.as_ref(), Relation::new("d", "\\u0060")).await.is_err());
}
