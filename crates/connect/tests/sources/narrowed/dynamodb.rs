//! DynamoDB, as moto speaks it.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tidegate_connect::{Filter, Literal, Operator, Relation, Scan, Source, SourceType, open};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::{asked_both_ways, compare, comparisons, paired, sent, text};
use crate::cells::{read, row, rows};
use crate::emulators::{Emulator, amazon};
use crate::servers::here;

/// Passes on what is sent to a port, and keeps it.
async fn recorded(port: u16) -> (u16, Arc<Mutex<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let here = listener.local_addr().unwrap().port();
    let log: Arc<Mutex<String>> = Arc::default();
    let kept = Arc::clone(&log);
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            tokio::spawn(passed_on(client, port, Arc::clone(&kept)));
        }
    });
    (here, log)
}

async fn passed_on(client: TcpStream, port: u16, log: Arc<Mutex<String>>) {
    let server = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let (mut questions, mut answered) = client.into_split();
    let (mut answers, mut asked) = server.into_split();
    let back = tokio::spawn(async move { tokio::io::copy(&mut answers, &mut answered).await });
    let mut buffer = vec![0; 64 << 10];
    while let Ok(read @ 1..) = questions.read(&mut buffer).await {
        log.lock().unwrap().push_str(&String::from_utf8_lossy(&buffer[..read]));
        if asked.write_all(&buffer[..read]).await.is_err() {
            break;
        }
    }
    drop(asked);
    drop(back.await);
}

/// A table with keys of both kinds, and attributes of one type and of several.
async fn filled(emulator: &Emulator, items: &[Value]) {
    let dynamodb = async |operation: &str, body: Value| {
        emulator.call("dynamodb", &format!("DynamoDB_20120810.{operation}"), &body).await;
    };
    let table = json!({
        "TableName": "t", "BillingMode": "PAY_PER_REQUEST",
        "KeySchema": [{ "AttributeName": "id", "KeyType": "HASH" }, { "AttributeName": "at", "KeyType": "RANGE" }],
        "AttributeDefinitions": [
            { "AttributeName": "id", "AttributeType": "N" }, { "AttributeName": "at", "AttributeType": "S" },
        ],
    });
    dynamodb("CreateTable", table).await;
    for item in items {
        dynamodb("PutItem", json!({ "TableName": "t", "Item": item })).await;
    }
}

fn items() -> Vec<Value> {
    let digits = "12345678901234567890123456789012345678";
    let mixed = [
        json!({ "S": "x" }),
        json!({ "S": "5" }),
        json!({ "N": "5" }),
        json!({ "N": digits }),
        json!({ "NULL": true }),
        json!({ "SS": ["5", "x"] }),
        json!({ "BOOL": true }),
        json!({ "S": "zé" }),
        json!({ "B": "AP8=" }),
        json!({ "L": [{ "S": "x" }] }),
        json!({ "M": { "x": { "N": "5" } } }),
    ];
    let mut items: Vec<Value> = Vec::new();
    for (at, mixed) in mixed.into_iter().enumerate() {
        let place = ["a", "m", "é"][at % 3];
        let mut item = json!({ "id": { "N": (at % 4).to_string() }, "at": { "S": format!("{place}{at}") }, "mixed": mixed });
        if at % 3 > 0 {
            item["n"] = json!({ "N": (at as i64 - 5).to_string() });
            let words = ["Ab", "ab", "b\"#:v0", "~"];
            item["word"] = json!({ "S": words[at % words.len()] });
        }
        if at % 2 > 0 {
            item["flag"] = json!({ "BOOL": at > 3 });
        }
        items.push(item);
    }
    items.push(json!({ "id": { "N": "9" }, "at": { "S": "z" } }));
    items.push(
        json!({ "id": { "N": "-9" }, "at": { "S": "z" }, "n": { "NULL": true }, "word": { "NULL": true } }),
    );
    items
}

async fn source(port: u16, metadata: &[(&str, Value)]) -> Arc<dyn Source> {
    let mut settings = amazon(SourceType::Dynamodb, port);
    for (name, value) in metadata {
        settings.metadata.insert((*name).to_owned(), value.clone());
    }
    open(settings, &here()).await.unwrap()
}

#[tokio::test]
async fn dynamodb_leaves_out_no_item_that_is_selected() {
    let emulator = Emulator::amazon().await;
    filled(&emulator, &items()).await;
    let source = source(emulator.port, &[("cache_seconds", json!(0))]).await;
    let mut filters = comparisons("n", &[Literal::Int(-4), Literal::Int(2)]);
    filters.extend(comparisons("id", &[Literal::Int(1), Literal::Int(i64::MAX)]));
    filters.extend(comparisons("at", &[text("m1"), text("é")]));
    filters.extend(comparisons("word", &[text("ab"), text("b\"#:v0")]));
    filters.extend(comparisons("mixed", &[text("5"), text("[\"5\",\"x\"]")]));
    filters.extend(comparisons("flag", &[Literal::Boolean(true)]));
    filters.extend(["mixed", "word"].map(|column| compare(column, Operator::LtEq, text(""))));
    let spared = asked_both_ways(source.as_ref(), &Relation::new("main", "t"), &paired(&filters)).await;
    assert!(spared > filters.len(), "{spared} of {}", filters.len());
}

#[tokio::test]
async fn dynamodb_is_asked_for_what_a_query_needs() {
    let emulator = Emulator::amazon().await;
    filled(&emulator, &items()).await;
    let (port, log) = recorded(emulator.port).await;
    let source = source(port, &[("cache_seconds", json!(0))]).await;
    let relation = Relation::new("main", "t");
    source.schema(&relation).await.unwrap();
    let asked = || std::mem::take(&mut *log.lock().unwrap());
    let has = |asked: &str, words: &[&str]| words.iter().all(|word| asked.contains(word));
    assert!(has(&asked(), &["DynamoDB_20120810.Scan"]));
    // A partition, of it the items after one, and of these one column and the keys.
    let key = Filter::And(vec![
        compare("id", Operator::Eq, Literal::Int(1)),
        compare("at", Operator::Gt, text("m")),
    ]);
    let word = compare("word", Operator::NotEq, text("~"));
    let found = sent(source.as_ref(), &relation, Some(&["n", "word"]), vec![key, word]).await;
    assert_eq!(found, [row(["-4", "ab"]), row(["0", "ab"])]);
    let told = asked();
    assert!(
        has(&told, &["20120810.Query", "KeyConditionExpression", "FilterExpression", "ProjectionExpression"]),
        "{told}"
    );
    assert!(!told.contains("20120810.Scan"), "{told}");
    // Without a key the table is scanned, and sends what holds.
    let n = compare("n", Operator::GtEq, Literal::Int(5));
    assert_eq!(sent(source.as_ref(), &relation, Some(&["n"]), vec![n]).await, [row(["5"])]);
    let told = asked();
    assert!(has(&told, &["20120810.Scan", "FilterExpression"]) && !told.contains("Limit"), "{told}");
    // Nothing can be said: it is read as a whole.
    let mixed = compare("mixed", Operator::Eq, text(""));
    assert_eq!(sent(source.as_ref(), &relation, None, vec![mixed]).await.len(), items().len());
    assert!(!asked().contains("Expression"));
    // A limit is one only where no filter is.
    let limited = |filters: Vec<Filter>| Scan { filters, limit: Some(2), ..Scan::all(relation.clone()) };
    let stream = source.scan(limited(Vec::new())).await.unwrap();
    assert!(stream.limited);
    assert_eq!(rows(stream).await.unwrap().len(), 2);
    assert!(has(&asked(), &["\"Limit\":2"]));
    let flag = compare("flag", Operator::Eq, Literal::Boolean(true));
    let stream = source.scan(limited(vec![flag])).await.unwrap();
    assert!(!stream.limited);
    assert_eq!(rows(stream).await.unwrap().len(), 3);
    assert!(!asked().contains("Limit"));
}

#[tokio::test]
async fn what_is_kept_is_not_asked_for_again() {
    let emulator = Emulator::amazon().await;
    filled(&emulator, &items()).await;
    let (port, log) = recorded(emulator.port).await;
    let source = source(port, &[]).await;
    let relation = Relation::new("main", "t");
    source.schema(&relation).await.unwrap();
    log.lock().unwrap().clear();
    let n = compare("n", Operator::Eq, Literal::Int(5));
    assert_eq!(sent(source.as_ref(), &relation, None, vec![n]).await.len(), items().len());
    assert!(log.lock().unwrap().is_empty());
}

// A table that is too large to be read for its columns.
#[tokio::test]
async fn the_first_items_tell_the_columns_where_that_is_wanted() {
    let emulator = Emulator::amazon().await;
    let item = |id: usize| {
        let name = if id == 15 { json!({ "S": "x" }) } else { json!({ "N": id.to_string() }) };
        json!({ "id": { "N": "1" }, "at": { "S": format!("{id:02}") }, "n": name })
    };
    filled(&emulator, &(0..20).map(item).collect::<Vec<_>>()).await;
    let port = emulator.port;
    let sampled = async |rows: u64| source(port, &[("sample_size", json!(rows))]).await;
    let relation = Relation::new("main", "t");
    let kind = async |source: &dyn Source| {
        source.schema(&relation).await.unwrap().field_with_name("n").unwrap().data_type().to_string()
    };
    // There are no more than that: all of them tell the columns, and are kept.
    let whole = sampled(21).await;
    assert_eq!(kind(whole.as_ref()).await, "Utf8");
    assert_eq!(read(whole.as_ref(), relation.clone()).await.unwrap().len(), 20);
    let few = sampled(10).await;
    assert_eq!(kind(few.as_ref()).await, "Int64");
    let early = compare("at", Operator::Lt, text("05"));
    assert_eq!(sent(few.as_ref(), &relation, Some(&["at", "n"]), vec![early]).await.len(), 5);
    // Columns that are not asked for do no harm; a value that does not fit is told, and not left out.
    assert_eq!(sent(few.as_ref(), &relation, Some(&["at"]), Vec::new()).await.len(), 20);
    let n = compare("n", Operator::Eq, Literal::Int(3));
    let scan = Scan { filters: vec![n], ..Scan::all(relation.clone()) };
    let refused = few.scan(scan).await.map(drop).unwrap_err();
    assert!(refused.message.contains("sample_size"), "{refused}");
}
