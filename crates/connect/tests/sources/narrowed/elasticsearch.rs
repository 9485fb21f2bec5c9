//! Elasticsearch, as a stub that indexes documents in the ways that the reference documents: fractions are cut off, long words and words
//! of fields that are younger than the document are left out, and of an array every element is found.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tidegate_connect::{Filter, Literal, Operator, Relation, Scan, Source, SourceType, open};

use super::{asked_both_ways, compare, comparisons, paired, sent, text};
use crate::cells::{row, rows};
use crate::http::{Log, serve, settings};
use crate::servers::{here, secret};

/// Words of this field that are longer are not indexed.
const IGNORE_ABOVE: usize = 5;

fn mapping() -> Value {
    let raw = json!({ "type": "keyword", "ignore_above": 256 });
    json!({ "t": { "mappings": { "properties": {
        "n": { "type": "long" },
        "tag": { "type": "keyword", "ignore_above": IGNORE_ABOVE },
        "title": { "type": "text", "fields": { "raw": raw } },
        "flag": { "type": "boolean" },
        "late": { "type": "keyword" },
        "lists": { "type": "keyword" },
        "lower": { "type": "keyword", "normalizer": "lowercase" },
        "filled": { "type": "long", "null_value": 1 },
        "price": { "type": "scaled_float", "scaling_factor": 0.3 },
        "day": { "type": "date" },
        "computed": { "type": "keyword" },
        "hidden": { "type": "keyword", "index": false },
    }, "runtime": { "computed": { "type": "keyword" } } } } })
}

/// Fields that may be asked about.
const ASKED: [&str; 5] = ["n", "tag", "title.raw", "flag", "late"];

fn documents() -> Vec<(&'static str, &'static str)> {
    vec![
        (
            "a",
            r#"{"n": 1, "tag": "x", "title": "One two", "flag": true, "late": "q", "lists": "x", "lower": "Ab", "price": 1.10}"#,
        ),
        (
            "b",
            r#"{"n": -7, "tag": "longer than that", "title": "one", "flag": false, "lists": ["x", "y"], "lower": "ab"}"#,
        ),
        (
            "c",
            r#"{"n": 9007199254740993, "tag": "é", "title": "", "late": "r", "lists": [], "filled": null, "day": "2024-01-02T00:00+02:00"}"#,
        ),
        (
            "d",
            r#"{"n": null, "tag": null, "title": "x", "flag": null, "filled": 1, "computed": "x", "hidden": "x"}"#,
        ),
        ("e", r#"{"deep": {"n":  1.10}, "day": "2024-01-01T23:00Z", "price": 2}"#),
        ("f", r#"{"n": 5, "tag": "Abc", "title": "zz", "flag": true, "lower": "AB", "filled": 2}"#),
    ]
}

/// What the index has of a field.
fn indexed(field: &str, document: &Value) -> Vec<Value> {
    assert!(ASKED.contains(&field), "{field} was asked about");
    let value = match &document[field.split('.').next().unwrap()] {
        Value::Array(all) => all.clone(),
        one => vec![one.clone()],
    };
    let one = |value: Value| match (field, value) {
        (_, Value::Null) | ("late", _) => None,
        ("n", Value::String(text)) => text.parse::<i64>().ok().map(Value::from),
        ("n", number) => {
            number.as_i64().or_else(|| number.as_f64().map(|n| n.trunc() as i64)).map(Value::from)
        }
        ("tag", Value::String(text)) if text.chars().count() > IGNORE_ABOVE => None,
        (_, value) => Some(value),
    };
    value.into_iter().filter_map(one).collect()
}

fn in_range(value: &Value, ends: &Value) -> bool {
    let compared = |end: &Value| match (value, end) {
        (Value::String(value), Value::String(end)) => value.cmp(end),
        _ => value.as_i64().unwrap().cmp(&end.as_i64().unwrap()),
    };
    assert!(ends.as_object().unwrap().keys().all(|end| end == "gte" || end == "lte"), "{ends}");
    ends.get("gte").is_none_or(|low| compared(low).is_ge())
        && ends.get("lte").is_none_or(|high| compared(high).is_le())
}

fn matches(query: &Value, id: &str, document: &Value) -> bool {
    let (word, about) = query.as_object().unwrap().iter().next().unwrap();
    let field = || about.as_object().unwrap().iter().next().unwrap();
    match word.as_str() {
        "bool" => {
            let of = |name: &str| about.get(name).and_then(Value::as_array).cloned();
            let holds = |part: &Value| matches(part, id, document);
            of("filter").is_none_or(|all| all.iter().all(holds))
                && of("should").is_none_or(|any| any.iter().any(holds))
                && of("must_not").is_none_or(|none| !none.iter().any(holds))
        }
        "ids" => about["values"].as_array().unwrap().contains(&json!(id)),
        "exists" => !indexed(about["field"].as_str().unwrap(), document).is_empty(),
        "terms" => {
            indexed(field().0, document).iter().any(|value| field().1.as_array().unwrap().contains(value))
        }
        "range" => indexed(field().0, document).iter().any(|value| in_range(value, field().1)),
        other => panic!("{other} is not known"),
    }
}

/// A document as it is sent: as it was written, or what is wanted of it, written anew.
fn hit(id: &str, source: &str, wanted: Option<&Value>) -> String {
    let document: Value = serde_json::from_str(source).unwrap();
    let source = match wanted {
        None => format!(r#", "_source": {source}"#),
        Some(Value::Bool(false)) => String::new(),
        Some(members) => {
            let mut document = document.as_object().unwrap().clone();
            document.retain(|name, _| members.as_array().unwrap().contains(&json!(name)));
            format!(r#", "_source": {}"#, Value::Object(document))
        }
    };
    format!(r#"{{"_index": "t", "_id": "{id}"{source}}}"#)
}

type Documents = Arc<Mutex<Vec<(&'static str, &'static str)>>>;

async fn cluster(documents: Documents) -> (u16, Log) {
    serve(move |asked| {
        let path = asked.target.split('?').next().unwrap();
        let found = match (asked.method.as_str(), path) {
            ("GET", "/t/_mapping") => return (200, vec![], mapping().to_string()),
            ("POST", "/t/_search") => {
                let body: Value = serde_json::from_str(&asked.body).unwrap();
                let documents = documents.lock().unwrap();
                let found = documents.iter().filter(|(id, source)| {
                    let document = serde_json::from_str(source).unwrap();
                    body.get("query").is_none_or(|query| matches(query, id, &document))
                });
                let size = usize::try_from(body["size"].as_u64().unwrap()).unwrap();
                found.take(size).map(|(id, source)| hit(id, source, body.get("_source"))).collect::<Vec<_>>()
            }
            ("POST", "/_search/scroll") => Vec::new(),
            ("DELETE", "/_search/scroll") => return (200, vec![], "{}".to_owned()),
            _ => return (404, vec![], "{}".to_owned()),
        };
        (200, vec![], format!(r#"{{"_scroll_id": "s", "hits": {{"hits": [{}]}}}}"#, found.join(",")))
    })
    .await
}

async fn source(port: u16, metadata: Value) -> Arc<dyn Source> {
    let mut settings = settings(SourceType::Elasticsearch, metadata);
    settings.host = Some("127.0.0.1".to_owned());
    settings.port = Some(port);
    settings.credentials.api_key = secret("abc");
    open(settings, &here()).await.unwrap()
}

fn all_documents() -> Documents {
    Arc::new(Mutex::new(documents()))
}

#[tokio::test]
async fn elasticsearch_leaves_out_no_document_that_is_selected() {
    let (port, _) = cluster(all_documents()).await;
    let source = source(port, json!({ "tls": false, "cache_seconds": 0 })).await;
    let mut filters =
        comparisons("n", &[Literal::Int(1), Literal::Int(5), Literal::Int(9_007_199_254_740_992)]);
    filters.extend(comparisons("tag", &[text("x"), text("longer than that"), text("Abc")]));
    filters.extend(comparisons("title", &[text("one"), text(""), text("One two")]));
    filters.extend(comparisons("flag", &[Literal::Boolean(true)]));
    filters.extend(comparisons("late", &[text("q")]));
    filters.extend(comparisons("lists", &[text("x"), text("[\"x\", \"y\"]"), text("[]")]));
    filters.extend(comparisons("lower", &[text("ab"), text("B")]));
    filters.extend(comparisons("filled", &[Literal::Int(1)]));
    filters.extend(comparisons("day", &[text("2024-01-01T23:30Z")]));
    filters.extend(comparisons("computed", &[text("x")]));
    filters.extend(comparisons("hidden", &[text("x")]));
    filters.extend(comparisons("_id", &[text("b"), text("d")]));
    let spared = asked_both_ways(source.as_ref(), &Relation::new("main", "t"), &paired(&filters)).await;
    assert!(spared > 100, "{spared} of {}", filters.len());
}

#[tokio::test]
async fn elasticsearch_is_asked_for_what_a_query_needs() {
    let (port, log) = cluster(all_documents()).await;
    let source = source(port, json!({ "tls": false, "cache_seconds": 0 })).await;
    let relation = Relation::new("main", "t");
    source.schema(&relation).await.unwrap();
    let searched = || {
        let asked = std::mem::take(&mut *log.lock().unwrap());
        let search = asked.iter().find(|asked| asked.target.starts_with("/t/_search")).unwrap();
        serde_json::from_str::<Value>(&search.body).unwrap()
    };
    assert_eq!(searched(), json!({ "size": 1000, "sort": ["_doc"] }));
    let n = || compare("n", Operator::Gt, Literal::Int(4));
    let unknown = json!({ "bool": { "must_not": [{ "exists": { "field": "n" } }] } });
    let range = json!({ "range": { "n": { "gte": 4 } } });
    let query = json!({ "bool": { "filter": [{ "bool": { "should": [range, unknown], "minimum_should_match": 1 } }] } });
    // Of the documents found, `d` and `e` have no such number: the engine leaves them out.
    let found = sent(source.as_ref(), &relation, Some(&["_id", "n"]), vec![n()]).await;
    assert_eq!(
        found,
        [row(["c", "9007199254740993"]), row(["d", "NULL"]), row(["e", "NULL"]), row(["f", "5"])]
    );
    assert_eq!(searched(), json!({ "size": 1000, "sort": ["_doc"], "query": query, "_source": ["n"] }));
    // No column is wanted, only how many rows there are.
    assert_eq!(sent(source.as_ref(), &relation, Some(&[]), vec![n()]).await.len(), 4);
    assert_eq!(searched()["_source"], json!(false));
    // Of these something would be written otherwise: blanks in JSON, digits in what is text beside numbers.
    let deep = sent(source.as_ref(), &relation, Some(&["deep"]), vec![n()]).await;
    assert!(deep.contains(&row([r#"{"n":  1.10}"#])), "{deep:?}");
    assert_eq!(searched().get("_source"), None);
    // A limit is one only where no filter is.
    let limited = |filters: Vec<Filter>| Scan { filters, limit: Some(2), ..Scan::all(relation.clone()) };
    let stream = source.scan(limited(Vec::new())).await.unwrap();
    assert!(stream.limited);
    assert_eq!(rows(stream).await.unwrap().len(), 2);
    assert_eq!(searched(), json!({ "size": 2, "sort": ["_doc"] }));
    let stream = source.scan(limited(vec![n()])).await.unwrap();
    assert!(!stream.limited);
    assert_eq!(rows(stream).await.unwrap().len(), 4);
    assert_eq!(searched()["size"], json!(1000));
    // Nothing can be said of a field that a normalizer changes.
    let lower = compare("lower", Operator::Eq, text("ab"));
    assert_eq!(sent(source.as_ref(), &relation, None, vec![lower]).await.len(), documents().len());
    assert_eq!(searched().get("query"), None);
}

// Columns are known for a while. What is found by a condition, and does not fit them, has them learned again.
#[tokio::test]
async fn documents_that_changed_are_not_read_as_they_were() {
    let documents = all_documents();
    let (port, _) = cluster(Arc::clone(&documents)).await;
    let source = source(port, json!({ "tls": false, "cache_seconds": 0 })).await;
    let relation = Relation::new("main", "t");
    let kind = async || {
        source.schema(&relation).await.unwrap().field_with_name("n").unwrap().data_type().to_string()
    };
    assert_eq!(kind().await, "Int64");
    let five = || vec![compare("n", Operator::Eq, Literal::Int(5))];
    let ids = async || {
        let found = sent(source.as_ref(), &relation, Some(&["_id"]), five()).await;
        found.into_iter().flatten().flatten().collect::<String>()
    };
    assert_eq!(ids().await, "def");
    documents.lock().unwrap().push(("g", r#"{"n": [5, 6]}"#));
    assert_eq!(ids().await, "defg", "the column itself is not asked for");
    let changed = Scan { filters: five(), ..Scan::all(relation.clone()) };
    let wanted = Some(vec!["n".to_owned()]);
    let refused = source.scan(Scan { projection: wanted, ..changed }).await.map(drop).unwrap_err();
    assert!(refused.message.contains("another type"), "{refused}");
    assert_eq!(kind().await, "Utf8");
}
