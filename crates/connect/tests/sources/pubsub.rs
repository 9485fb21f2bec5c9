//! Pub/Sub, against a stub that leases messages as its documentation says.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tidegate_connect::{ErrorCode, Relation, Settings, SourceType, open};

use crate::cells::read;
use crate::http::{Answer, Asked, Log, serve, settings};
use crate::servers::{here, secret};

/// What a subscription holds: messages by their number, and those that are leased.
#[derive(Default)]
struct Held {
    messages: BTreeMap<usize, Vec<u8>>,
    leased: BTreeSet<usize>,
}

fn ok(body: &Value) -> Answer<String> {
    (200, vec![], body.to_string())
}

fn answered(asked: &Asked, held: &Mutex<Held>) -> Answer<String> {
    if asked.authorization.as_deref() == Some("Bearer wrong") {
        return (401, vec![], "{}".to_owned());
    }
    let path = asked.target.split('?').next().unwrap();
    let place = path.strip_prefix("/v1/projects/p/subscriptions").unwrap();
    let named =
        |name: &str| json!({ "name": format!("projects/p/subscriptions/{name}"), "ackDeadlineSeconds": 10 });
    let body: Value = serde_json::from_str(&asked.body).unwrap_or_default();
    match (asked.method.as_str(), place) {
        ("GET", "") => {
            let mut pushed = named("pushed");
            pushed["pushConfig"] = json!({ "pushEndpoint": "https://example.com" });
            let mut dead = named("dead");
            dead["deadLetterPolicy"] = json!({ "deadLetterTopic": "projects/p/topics/t" });
            ok(&json!({ "subscriptions": [named("orders"), pushed, dead] }))
        }
        ("GET", "/orders") => ok(&named("orders")),
        ("GET", "/dead") => ok(&json!({ "name": "dead", "deadLetterPolicy": {} })),
        ("POST", "/orders:pull") => {
            let mut held = held.lock().unwrap();
            // Three at most, as a server may.
            let most = usize::try_from(body["maxMessages"].as_u64().unwrap()).unwrap().min(3);
            let free: Vec<usize> =
                held.messages.keys().copied().filter(|id| !held.leased.contains(id)).collect();
            let given: Vec<usize> = free.into_iter().take(most).collect();
            held.leased.extend(&given);
            let message = |id: &usize| {
                let data = STANDARD.encode(&held.messages[id]);
                let message = json!({ "data": data, "messageId": id.to_string(), "publishTime": "2024-01-31T12:30:00Z" });
                json!({ "ackId": format!("lease-{id}"), "message": message })
            };
            let received: Vec<Value> = given.iter().map(message).collect();
            ok(&if received.is_empty() { json!({}) } else { json!({ "receivedMessages": received }) })
        }
        ("POST", "/orders:modifyAckDeadline") => {
            assert_eq!(body["ackDeadlineSeconds"], 0);
            let mut held = held.lock().unwrap();
            for lease in body["ackIds"].as_array().unwrap() {
                let id: usize = lease.as_str().unwrap().strip_prefix("lease-").unwrap().parse().unwrap();
                assert!(held.leased.remove(&id), "{id} was not leased");
            }
            ok(&json!({}))
        }
        other => panic!("{other:?}"),
    }
}

async fn project() -> (u16, Log, Arc<Mutex<Held>>) {
    let held: Arc<Mutex<Held>> = Arc::default();
    held.lock().unwrap().messages = (0..7)
        .map(|id| (id, if id == 6 { b"plain".to_vec() } else { json!({ "n": id }).to_string().into_bytes() }))
        .collect();
    let answering = Arc::clone(&held);
    let (port, log) = serve(move |asked| answered(asked, &answering)).await;
    (port, log, held)
}

fn at(port: u16, more: &Value) -> Settings {
    let mut metadata =
        json!({ "project": "p", "endpoint": format!("http://127.0.0.1:{port}/"), "cache_seconds": 0 });
    metadata.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let mut settings = settings(SourceType::Pubsub, metadata);
    settings.credentials.oauth_token = secret("t0ken");
    settings
}

#[tokio::test]
async fn messages_are_read_and_all_of_them_given_back() {
    let (port, log, held) = project().await;
    let source = open(at(port, &json!({})), &here()).await.unwrap();
    assert_eq!(
        source.test(None, Duration::from_secs(2)).await.unwrap().result.as_deref(),
        Some("3 subscriptions seen")
    );
    for _ in 0..2 {
        let rows = read(source.as_ref(), Relation::new("main", "orders")).await.unwrap();
        assert_eq!(rows.len(), 7);
        assert!(rows.iter().any(|row| row.contains(&Some("plain".to_owned()))), "{rows:?}");
        let held = held.lock().unwrap();
        assert!(held.leased.is_empty(), "{:?} stay leased", held.leased);
        assert_eq!(held.messages.len(), 7);
    }
    assert!(!log.lock().unwrap().iter().any(|asked| asked.target.ends_with(":acknowledge")));
    let found = source.discover(None).await.unwrap();
    let names: Vec<&str> = found.schemas[0].tables.iter().map(|table| table.name.as_str()).collect();
    assert_eq!(names, ["orders"], "those that push, and those that count readings, are none");
    assert!(found.schemas[0].tables[0].columns.iter().any(|column| column.name == "publish_time"));
}

#[tokio::test]
async fn readings_are_bounded_and_refusals_have_their_codes() {
    let (port, _, held) = project().await;
    let source = open(at(port, &json!({ "max_records": 4 })), &here()).await.unwrap();
    assert_eq!(read(source.as_ref(), Relation::new("main", "orders")).await.unwrap().len(), 4);
    assert!(held.lock().unwrap().leased.is_empty());
    let dead = read(source.as_ref(), Relation::new("main", "dead")).await.unwrap_err();
    assert_eq!(dead.code, ErrorCode::Query);
    assert!(dead.message.contains("dead-letter"), "{dead}");
    for name in ["", "../orders", "orders:acknowledge", "a/b", "a?b", "a b"] {
        let error = read(source.as_ref(), Relation::new("main", name)).await.unwrap_err();
        assert_eq!(error.code, ErrorCode::Query, "{name}");
    }
    let mut wrong = at(port, &json!({}));
    wrong.credentials.oauth_token = secret("wrong");
    let wrong = open(wrong, &here()).await.unwrap();
    assert_eq!(wrong.test(None, Duration::from_secs(2)).await.unwrap_err().code, ErrorCode::Authentication);
    for bad in [json!({ "max_records": 0 }), json!({ "max_seconds": "x" })] {
        assert!(open(at(port, &bad), &here()).await.is_err(), "{bad}");
    }
}
