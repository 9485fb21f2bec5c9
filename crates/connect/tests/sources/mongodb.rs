//! MongoDB, against a stub after its documentation: OP_MSG, hello, SCRAM-SHA-256, find, getMore, killCursors.

use std::time::Duration;

use bson::{Bson, Document, doc};
use futures_util::StreamExt;
use serde_json::json;
use tidegate_connect::{ErrorCode, Filter, Literal, Operator, Relation, Scan, SourceType, open};
use tokio::io::AsyncWriteExt;

use crate::cells::{read, row, select};
use crate::servers::{Certificates, here, secret};
use crate::stubs::{self, PASSWORD, ScramServer, Seen, Stream, bytes};

/// What the stub is like.
#[derive(Clone, Copy, Default)]
struct Manner {
    /// The cursor never ends.
    endless: bool,
    /// Closes instead of giving more.
    drops: bool,
    /// Closes instead of answering a ping.
    short: bool,
    /// Later documents do not look like the first ones.
    changes: bool,
}

async fn command(stream: &mut Box<dyn Stream>) -> Option<(i32, Document)> {
    let header = bytes(stream, 16).await?;
    let number = |at: usize| i32::from_le_bytes(header[at..at + 4].try_into().unwrap());
    assert_eq!(number(12), 2013);
    let body = bytes(stream, usize::try_from(number(0)).unwrap() - 16).await?;
    assert_eq!(body[..5], [0; 5]);
    Some((number(4), Document::from_reader(&body[5..]).unwrap()))
}

async fn answer(stream: &mut Box<dyn Stream>, to: i32, document: &Document) -> Option<()> {
    let body = document.to_vec().unwrap();
    let mut all = Vec::new();
    for number in [i32::try_from(body.len() + 21).unwrap(), 1, to, 2013, 0] {
        all.extend(number.to_le_bytes());
    }
    all.push(0);
    all.extend(body);
    stream.write_all(&all).await.ok()?;
    stream.flush().await.ok()
}

fn refused(code: i32, text: &str) -> Document {
    doc! { "ok": 0.0, "code": code, "errmsg": text }
}

fn payload(command: &Document) -> Vec<u8> {
    command.get_binary_generic("payload").unwrap().clone()
}

fn binary(bytes: &[u8]) -> Bson {
    Bson::Binary(bson::Binary { subtype: bson::spec::BinarySubtype::Generic, bytes: bytes.to_vec() })
}

fn people() -> Vec<Document> {
    vec![
        doc! {
            "_id": bson::oid::ObjectId::from_bytes([0xAB; 12]), "name": "Zoë", "age": 7, "big": 1_i64 << 60, "ratio": 0.5,
            "ok": true, "at": bson::DateTime::from_millis(1_500), "raw": binary(&[1, 2]), "tags": ["a", { "b": 1 }],
            "price": "12.30".parse::<bson::Decimal128>().unwrap(),
        },
        doc! { "_id": bson::oid::ObjectId::from_bytes([0xCD; 12]), "name": Bson::Null, "age": 8_i64, "ratio": 2 },
    ]
}

async fn converse(mut stream: Box<dyn Stream>, manner: Manner, seen: Seen) -> Option<()> {
    let mut scram: Option<ScramServer> = None;
    let mut signed_in = false;
    loop {
        let (number, asked) = command(&mut stream).await?;
        let name = asked.keys().next().unwrap().clone();
        seen.say(format!("{name} {asked}"));
        let reply = match name.as_str() {
            "hello" => doc! { "ok": 1, "maxWireVersion": 21 },
            "saslStart" => {
                assert_eq!(asked.get_str("mechanism").unwrap(), "SCRAM-SHA-256");
                let server = ScramServer::new(false, &payload(&asked));
                let reply =
                    doc! { "ok": 1, "conversationId": 1, "done": false, "payload": binary(server.first()) };
                scram = Some(server);
                reply
            }
            "saslContinue" => match scram.as_ref().unwrap().last(&payload(&asked)) {
                Some(verdict) => {
                    signed_in = true;
                    doc! { "ok": 1, "conversationId": 1, "done": true, "payload": binary(&verdict) }
                }
                None => refused(18, "Authentication failed."),
            },
            "ping" if manner.short => return None,
            "ping" => doc! { "ok": 1.0 },
            _ if !signed_in => refused(13, "command requires authentication"),
            "buildInfo" => doc! { "ok": 1, "version": "7.0.5" },
            "count" => doc! { "ok": 1, "n": 2 },
            "listCollections" => {
                let view = doc! { "name": "seen", "type": "view" };
                let list = vec![
                    doc! { "name": "people", "type": "collection" },
                    doc! { "name": "system.views" },
                    view,
                ];
                doc! { "ok": 1, "cursor": { "id": 0_i64, "ns": "shop.$cmd.listCollections", "firstBatch": list } }
            }
            "find" if asked.get_str("find").unwrap() == "denied" => {
                refused(13, &format!("{PASSWORD} may not"))
            }
            "find" => {
                let sampling = asked.contains_key("limit") && !asked.contains_key("projection");
                let id = if sampling && !manner.endless { 0_i64 } else { 99 };
                let first = if sampling { people() } else { people()[..1].to_vec() };
                let id = if asked.contains_key("limit") { 0 } else { id };
                doc! { "ok": 1, "cursor": { "id": id, "ns": "shop.people", "firstBatch": first } }
            }
            "getMore" if manner.drops => return None,
            "getMore" => {
                assert_eq!(asked.get_i64("getMore").unwrap(), 99);
                assert_eq!(asked.get_str("collection").unwrap(), "people");
                let mut next = people()[1..].to_vec();
                if manner.changes {
                    next[0].insert("age", "eight");
                }
                next[0].insert("later", doc! { "x": 1 });
                if manner.endless {
                    next = vec![next[0].clone(); 500];
                }
                let id = if manner.endless { 99_i64 } else { 0 };
                doc! { "ok": 1, "cursor": { "id": id, "ns": "shop.people", "nextBatch": next } }
            }
            "killCursors" => doc! { "ok": 1 },
            other => refused(59, other),
        };
        answer(&mut stream, number, &reply).await?;
    }
}

/// A stub that does what it should.
pub(crate) async fn served() -> u16 {
    serve(Manner::default(), None).await.0
}

async fn serve(manner: Manner, certificates: Option<&Certificates>) -> (u16, Seen) {
    let seen = Seen::default();
    let kept = seen.clone();
    let port = stubs::listen(certificates, &seen, move |stream| converse(stream, manner, kept.clone())).await;
    (port, seen)
}

fn people_of() -> Relation {
    Relation::new("shop", "people")
}

#[tokio::test]
async fn documents_are_rows_and_what_the_sample_did_not_show_is_kept() {
    let (port, seen) = serve(Manner::default(), None).await;
    let source = open(stubs::settings(SourceType::Mongodb, port), &here()).await.unwrap();
    let tested = source.test(None, Duration::from_secs(5)).await.unwrap();
    assert_eq!((tested.version.as_deref(), tested.result.as_deref()), (Some("MongoDB 7.0.5"), Some("ok")));
    let rows = read(source.as_ref(), people_of()).await.unwrap();
    let first = [
        "abababababababababababab",
        "Zoë",
        "7",
        "1152921504606846976",
        "0.5",
        "true",
        "1970-01-01T00:00:01.5Z",
        "[01, 02]",
        "[\"a\",{\"b\":1}]",
        "12.30",
        "NULL",
    ];
    let second = [
        "cdcdcdcdcdcdcdcdcdcdcdcd",
        "NULL",
        "8",
        "NULL",
        "2",
        "NULL",
        "NULL",
        "NULL",
        "NULL",
        "NULL",
        "{\"later\":{\"x\":1}}",
    ];
    assert_eq!(rows, [row(first), row(second)]);
    let adults =
        Filter::Compare { column: "age".to_owned(), operator: Operator::GtEq, value: Literal::Int(7) };
    let (found, applied) = select(source.as_ref(), people_of(), &["name", "age"], adults).await.unwrap();
    assert_eq!((found, applied), (vec![row(["Zoë", "7"]), row(["NULL", "8"])], true));
    assert!(seen.said("\"$gte\": [\"$age\", { \"$literal\": 7 }]"));
    assert!(seen.said("\"projection\": { \"_id\": 0, \"name\": 1, \"age\": 1 }"));
    let scan = Scan { projection: Some(vec!["age".to_owned()]), limit: Some(1), ..Scan::all(people_of()) };
    assert!(source.scan(scan).await.unwrap().limited);
    assert!(seen.said("\"limit\": 1,") || seen.said("\"limit\": 1 "));
}

#[tokio::test]
async fn a_value_of_another_type_is_refused_by_name_or_null() {
    let (port, _) = serve(Manner { changes: true, ..Manner::default() }, None).await;
    let mut settings = stubs::settings(SourceType::Mongodb, port);
    let source = open(settings.clone(), &here()).await.unwrap();
    let refused = read(source.as_ref(), people_of()).await.unwrap_err();
    assert!(refused.code == ErrorCode::Query && refused.message.contains("\"age\""), "{refused}");
    settings.metadata.insert("unfit_values".to_owned(), json!("null"));
    let source = open(settings, &here()).await.unwrap();
    assert_eq!(read(source.as_ref(), people_of()).await.unwrap()[1][2], None);
}

#[tokio::test]
async fn collections_and_their_fields_are_discovered() {
    let (port, _) = serve(Manner::default(), None).await;
    let source = open(stubs::settings(SourceType::Mongodb, port), &here()).await.unwrap();
    let found = source.discover(None).await.unwrap();
    let tables: Vec<_> = found.schemas[0]
        .tables
        .iter()
        .map(|table| (table.name.as_str(), table.kind.as_str(), table.row_count))
        .collect();
    assert_eq!(tables, [("people", "COLLECTION", Some(2)), ("seen", "VIEW", None)]);
    let columns = &found.schemas[0].tables[0].columns;
    assert_eq!((columns[0].type_name.as_str(), columns[0].primary_key), ("objectId", true));
    assert_eq!(columns.last().unwrap().name, "_other");
}

#[tokio::test]
async fn a_read_nobody_wants_has_its_cursor_killed() {
    let (port, seen) = serve(Manner { endless: true, ..Manner::default() }, None).await;
    let source = open(stubs::settings(SourceType::Mongodb, port), &here()).await.unwrap();
    let mut stream = source.scan(Scan::all(people_of())).await.unwrap();
    stream.next().await.unwrap().unwrap();
    drop(stream);
    assert!(seen.heard("\"cursors\": [99]").await);
}

#[tokio::test]
async fn errors_have_the_contracts_codes_and_no_secrets() {
    let (port, _) = serve(Manner::default(), None).await;
    let mut settings = stubs::settings(SourceType::Mongodb, port);
    let source = open(settings.clone(), &here()).await.unwrap();
    let denied = read(source.as_ref(), Relation::new("shop", "denied")).await.unwrap_err();
    assert_eq!((denied.code, denied.detail.as_str()), (ErrorCode::Query, "*** may not"));
    for password in [secret("wrong"), None] {
        settings.credentials.password = password;
        let source = open(settings.clone(), &here()).await.unwrap();
        let wrong = source.test(None, Duration::from_secs(5)).await.unwrap_err();
        assert_eq!(wrong.code, ErrorCode::Authentication, "{wrong}");
    }
    let (port, _) = serve(Manner { drops: true, ..Manner::default() }, None).await;
    let source = open(stubs::settings(SourceType::Mongodb, port), &here()).await.unwrap();
    assert_eq!(read(source.as_ref(), people_of()).await.unwrap_err().code, ErrorCode::Connection);
}

#[tokio::test]
async fn a_connection_that_was_closed_is_opened_again() {
    let (port, seen) = serve(Manner { short: true, ..Manner::default() }, None).await;
    let source = open(stubs::settings(SourceType::Mongodb, port), &here()).await.unwrap();
    for _ in 0..3 {
        assert_eq!(read(source.as_ref(), people_of()).await.unwrap().len(), 2);
    }
    assert!(seen.opened() > 2);
}

#[tokio::test]
async fn tls_is_verified() {
    let certificates = Certificates::make();
    let (port, _) = serve(Manner::default(), Some(&certificates)).await;
    let mut settings = stubs::settings(SourceType::Mongodb, port);
    for (ca, good) in [(certificates.pem("ca.pem"), true), (Certificates::make().pem("ca.pem"), false)] {
        settings.metadata.insert("ssl_mode".to_owned(), json!("verify-full"));
        settings.metadata.insert("ssl_ca".to_owned(), json!(ca));
        let source = open(settings.clone(), &here()).await.unwrap();
        let outcome = source.test(None, Duration::from_secs(5)).await;
        assert_eq!(outcome.err().map(|error| error.code), (!good).then_some(ErrorCode::Connection));
    }
}

#[tokio::test]
async fn a_client_certificate_signs_in() {
    let certificates = Certificates::asking();
    let (port, _) = serve(Manner::default(), Some(&certificates)).await;
    stubs::a_client_certificate_is_shown(SourceType::Mongodb, port, &certificates).await;
}

#[tokio::test]
async fn a_url_with_a_password_of_any_characters_signs_in() {
    let (port, _) = serve(Manner::default(), None).await;
    stubs::a_url_says_it_all(SourceType::Mongodb, "mongodb", port).await;
}
