//! Kafka, against a stub after its protocol guide: handshake and SASL, metadata, offsets, fetches of record batches.

use std::time::Duration;

use futures_util::StreamExt;
use serde_json::json;
use tidegate_connect::{ErrorCode, Filter, Literal, Operator, Refused, Relation, Scan, SourceType, open};
use tokio::io::AsyncWriteExt;

use crate::cells::{read, row, select};
use crate::servers::{Certificates, here, secret};
use crate::stubs::{self, PASSWORD, ScramServer, Seen, Stream, bytes};

/// What the stub is like.
#[derive(Clone, Copy, Default)]
struct Manner {
    /// The topic has messages without end.
    endless: bool,
    /// Closes instead of giving more messages.
    drops: bool,
    /// Closes instead of answering a second ping.
    short: bool,
    /// Has only PLAIN.
    plain: bool,
    /// Says that the leader is at the address of a cloud's metadata.
    elsewhere: bool,
}

fn text(text: &str) -> Vec<u8> {
    [&u16::try_from(text.len()).unwrap().to_be_bytes()[..], text.as_bytes()].concat()
}

fn number(number: i32) -> Vec<u8> {
    number.to_be_bytes().to_vec()
}

fn sized(bytes: &[u8]) -> Vec<u8> {
    [&number(i32::try_from(bytes.len()).unwrap())[..], bytes].concat()
}

/// A small number of variable length.
fn variable(number: i64) -> Vec<u8> {
    let mut rest = u64::try_from(if number < 0 { -2 * number - 1 } else { 2 * number }).unwrap();
    let mut all = Vec::new();
    while rest >= 0x80 {
        all.push(u8::try_from(rest & 0x7F).unwrap() | 0x80);
        rest >>= 7;
    }
    all.push(u8::try_from(rest).unwrap());
    all
}

fn part(bytes: Option<&[u8]>) -> Vec<u8> {
    match bytes {
        None => variable(-1),
        Some(bytes) => [variable(i64::try_from(bytes.len()).unwrap()), bytes.to_vec()].concat(),
    }
}

/// Key, value and header of a message.
type Sent<'a> = (Option<&'a [u8]>, Option<&'a [u8]>, Option<&'a str>);

/// A batch of messages, a second apart.
fn batch(base: i64, messages: &[Sent<'_>]) -> Vec<u8> {
    let mut records = Vec::new();
    for (at, (key, value, header)) in messages.iter().enumerate() {
        let at = i64::try_from(at).unwrap();
        let mut body = [vec![0], variable(at * 1_000), variable(at), part(*key), part(*value)].concat();
        match header {
            None => body.extend(variable(0)),
            Some(header) => {
                body.extend([variable(1), part(Some(b"h")), part(Some(header.as_bytes()))].concat())
            }
        }
        records.extend([variable(i64::try_from(body.len()).unwrap()), body].concat());
    }
    let count = i32::try_from(messages.len()).unwrap();
    let body = [
        number(0),
        vec![2],
        number(0),
        vec![0, 0],
        number(count - 1),
        1_000_i64.to_be_bytes().to_vec(),
        9_000_i64.to_be_bytes().to_vec(),
        (-1_i64).to_be_bytes().to_vec(),
        vec![0xFF, 0xFF],
        number(-1),
        number(count),
        records,
    ]
    .concat();
    [base.to_be_bytes().to_vec(), sized(&body)].concat()
}

/// Messages 3 to 5 of partition 0, and message 0 of partition 1.
fn messages(partition: i32) -> Vec<u8> {
    match partition {
        0 => batch(
            3,
            &[
                (Some(b"k"), Some("{\"name\":\"Zoë\",\"n\":1,\"x\":{\"y\":[1]}}".as_bytes()), Some("v")),
                (None, Some(b"{\"name\":null,\"n\":2.5}"), None),
                (Some(b"k"), None, None),
            ],
        ),
        _ => batch(0, &[(None, Some(b"{\"n\":-1}"), None)]),
    }
}

fn word(bytes: &[u8]) -> i32 {
    i32::from_be_bytes(bytes[..4].try_into().unwrap())
}

fn long(bytes: &[u8]) -> i64 {
    i64::from_be_bytes(bytes[..8].try_into().unwrap())
}

/// The topic of a request, and what follows it.
fn topic(bytes: &[u8]) -> (String, &[u8]) {
    let length = usize::from(u16::from_be_bytes([bytes[0], bytes[1]]));
    (String::from_utf8(bytes[2..2 + length].to_vec()).unwrap(), &bytes[2 + length..])
}

fn metadata(port: u16, manner: Manner, asked: Option<String>) -> Vec<u8> {
    let host = if manner.elsewhere { "169.254.169.254" } else { "127.0.0.1" };
    let error: i16 = match asked.as_deref() {
        None | Some("clicks") => 0,
        Some("denied") => 29,
        Some(_) => 3,
    };
    let broker = [number(7), text(host), number(port.into()), vec![0xFF, 0xFF]].concat();
    let partition =
        |index: i32| [vec![0, 0], number(index), number(7), number(1), number(7), number(0)].concat();
    let name = asked.clone().unwrap_or_else(|| "clicks".to_owned());
    let mut topics = [error.to_be_bytes().to_vec(), text(&name), vec![0]].concat();
    topics.extend(if error == 0 { [number(2), partition(0), partition(1)].concat() } else { number(0) });
    if asked.is_none() {
        topics.extend([vec![0, 0], text("__consumer_offsets"), vec![1], number(0)].concat());
    }
    let count = if asked.is_none() { 2 } else { 1 };
    [number(0), number(1), broker, vec![0xFF, 0xFF], number(7), number(count), topics].concat()
}

fn offsets(body: &[u8], endless: bool) -> Vec<u8> {
    assert_eq!(body[4], 1, "only what is committed");
    let (name, rest) = topic(&body[9..]);
    let count = word(rest);
    let mut all = [number(0), number(1), text(&name), number(count)].concat();
    for at in 0..usize::try_from(count).unwrap() {
        let (partition, time) = (word(&rest[4 + 12 * at..]), long(&rest[8 + 12 * at..]));
        let offset: i64 = match (partition, time) {
            (0, -2) => 3,
            (0, -1) if endless => i64::MAX - 1,
            (0, -1) => 6,
            (1, -2) => 0,
            (1, -1) => 1,
            // From the first message that is as late.
            (0, time) if time <= 3_000 => 3 + (time - 1_000).max(0) / 1_000,
            (1, time) if time <= 1_000 => 0,
            _ => -1,
        };
        all.extend([number(partition), vec![0, 0]].concat());
        all.extend([0_i64.to_be_bytes(), offset.to_be_bytes()].concat());
    }
    all
}

fn fetched(body: &[u8], manner: Manner) -> Option<Vec<u8>> {
    assert_eq!(body[16], 1, "only what is committed");
    let (name, rest) = topic(&body[21..]);
    let (partition, offset) = (word(&rest[4..]), long(&rest[8..]));
    let records = if manner.endless {
        let many = vec![(None, Some(&b"{\"n\":1}"[..]), None); 2_000];
        batch(offset, &many)
    } else {
        messages(partition)
    };
    let head =
        [number(0), number(1), text(&name), number(1), number(partition), vec![0, 0], vec![0; 16]].concat();
    (!manner.drops || partition == 0).then(|| [head, number(-1), sized(&records)].concat())
}

async fn converse(mut stream: Box<dyn Stream>, port: u16, manner: Manner, seen: Seen) -> Option<()> {
    let mut scram: Option<ScramServer> = None;
    let (mut mechanism, mut signed_in, mut pings) = (String::new(), false, 0);
    loop {
        let length = word(&bytes(&mut stream, 4).await?);
        let request = bytes(&mut stream, usize::try_from(length).unwrap()).await?;
        let (key, version) = (u16::from_be_bytes([request[0], request[1]]), request[3]);
        let (client, body) = topic(&request[8..]);
        assert_eq!(client, "tidegate");
        seen.say(format!("{key} v{version}"));
        let answer = match (key, version) {
            (17, 1) => {
                mechanism = topic(body).0;
                let known: &[&str] =
                    if manner.plain { &["PLAIN"] } else { &["SCRAM-SHA-256", "SCRAM-SHA-512"] };
                let names: Vec<u8> = known.iter().flat_map(|name| text(name)).collect();
                let error = if known.contains(&mechanism.as_str()) { 0 } else { 33 };
                [vec![0, error], number(i32::try_from(known.len()).unwrap()), names].concat()
            }
            (36, 0) => {
                let message = &body[4..];
                let reply = match (mechanism.as_str(), &scram) {
                    ("PLAIN", _) => (message == format!("\0me\0{PASSWORD}").as_bytes()).then(Vec::new),
                    (_, Some(server)) => server.last(message),
                    (name, None) => {
                        let server = ScramServer::new(name == "SCRAM-SHA-512", message);
                        let first = server.first().to_vec();
                        scram = Some(server);
                        Some(first)
                    }
                };
                let last =
                    mechanism == "PLAIN" || reply.as_ref().is_some_and(|reply| reply.starts_with(b"v="));
                signed_in |= reply.is_some() && last;
                match reply {
                    Some(reply) => [vec![0, 0, 0xFF, 0xFF], sized(&reply)].concat(),
                    None => [vec![0, 58], text(&format!("Authentication failed for {PASSWORD}")), number(0)]
                        .concat(),
                }
            }
            _ if !signed_in => return None,
            (18, 0) => {
                pings += 1;
                if manner.short && pings > 1 {
                    return None;
                }
                [vec![0, 0], number(0)].concat()
            }
            (3, 4) => metadata(port, manner, (word(body) >= 0).then(|| topic(&body[4..]).0)),
            (2, 2) => offsets(body, manner.endless),
            (1, 4) => fetched(body, manner)?,
            other => panic!("{other:?}"),
        };
        let all = [request[4..8].to_vec(), answer].concat();
        stream.write_all(&sized(&all)).await.ok()?;
        stream.flush().await.ok()?;
    }
}

/// A stub that does what it should.
pub(crate) async fn served() -> u16 {
    serve(Manner::default(), None).await.0
}

async fn serve(manner: Manner, certificates: Option<&Certificates>) -> (u16, Seen) {
    let seen = Seen::default();
    let kept = seen.clone();
    let place = std::sync::Arc::new(std::sync::atomic::AtomicU16::new(0));
    let own = std::sync::Arc::clone(&place);
    let port = stubs::listen(certificates, &seen, move |stream| {
        converse(stream, own.load(std::sync::atomic::Ordering::SeqCst), manner, kept.clone())
    })
    .await;
    place.store(port, std::sync::atomic::Ordering::SeqCst);
    (port, seen)
}

fn clicks() -> Relation {
    Relation::new("main", "clicks")
}

#[tokio::test]
async fn messages_are_rows_and_members_columns() {
    let (port, _) = serve(Manner::default(), None).await;
    let source = open(stubs::settings(SourceType::Kafka, port), &here()).await.unwrap();
    let tested = source.test(None, Duration::from_secs(5)).await.unwrap();
    assert_eq!(tested.result.as_deref(), Some("1 brokers, 1 topics"));
    let rows = read(source.as_ref(), clicks()).await.unwrap();
    let value = "{\"name\":\"Zoë\",\"n\":1,\"x\":{\"y\":[1]}}";
    let header = "[{\"name\":\"h\",\"value\":\"v\"}]";
    // Members stand in the order in which the sample's objects list them.
    let names: Vec<String> =
        source.schema(&clicks()).await.unwrap().fields().iter().map(|field| field.name().clone()).collect();
    assert_eq!(names[..6], ["_partition", "_offset", "_timestamp", "_key", "_value", "_headers"]);
    let at = |row: &[Option<String>], name: &str| {
        row[names.iter().position(|known| known == name).unwrap()].clone()
    };
    assert_eq!(rows[0][..6], row(["0", "3", "1970-01-01T00:00:01Z", "k", value, header]));
    assert_eq!(rows[1][..4], row(["0", "4", "1970-01-01T00:00:02Z", "NULL"]));
    assert_eq!(rows[2][3..6], row(["k", "NULL", "NULL"]));
    assert_eq!(rows[3][..2], row(["1", "0"]));
    let members: Vec<_> = rows.iter().map(|row| (at(row, "name"), at(row, "n"), at(row, "x"))).collect();
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(members[0], (some("Zoë"), some("1"), some("{\"y\":[1]}")));
    assert_eq!(members[1], (None, some("2.5"), None));
    assert_eq!(members[2], (None, None, None));
    assert_eq!(members[3], (None, some("-1"), None));
}

#[tokio::test]
async fn what_is_read_is_bounded_by_offsets_times_filters_and_limits() {
    let (port, _) = serve(Manner::default(), None).await;
    let mut settings = stubs::settings(SourceType::Kafka, port);
    let source = open(settings.clone(), &here()).await.unwrap();
    let later = Filter::And(vec![
        Filter::Compare { column: "_partition".to_owned(), operator: Operator::Eq, value: Literal::Int(0) },
        Filter::Compare { column: "_offset".to_owned(), operator: Operator::Gt, value: Literal::Int(3) },
    ]);
    let (found, applied) = select(source.as_ref(), clicks(), &["_offset"], later).await.unwrap();
    assert_eq!((found, applied), (vec![row(["4"]), row(["5"])], true));
    let unknown = Filter::IsNull { column: "n".to_owned(), negated: false };
    assert!(!select(source.as_ref(), clicks(), &["_offset"], unknown).await.unwrap().1);
    let scan = Scan { projection: Some(vec!["_offset".to_owned()]), limit: Some(2), ..Scan::all(clicks()) };
    let stream = source.scan(scan).await.unwrap();
    assert!(stream.limited);
    assert_eq!(crate::cells::rows(stream).await.unwrap(), [row(["3"]), row(["4"])]);
    settings.metadata.insert("start_time".to_owned(), json!("1970-01-01T00:00:02Z"));
    settings.metadata.insert("end_time".to_owned(), json!("1970-01-01T00:00:03Z"));
    let source = open(settings, &here()).await.unwrap();
    let rows = read(source.as_ref(), clicks()).await.unwrap();
    let offsets: Vec<_> = rows.iter().map(|row| row[1].as_deref()).collect();
    assert_eq!(offsets, [Some("4")]);
}

#[tokio::test]
async fn topics_are_discovered_without_those_of_the_broker() {
    let (port, _) = serve(Manner::default(), None).await;
    let source = open(stubs::settings(SourceType::Kafka, port), &here()).await.unwrap();
    let found = source.discover(None).await.unwrap();
    let tables = &found.schemas[0].tables;
    assert_eq!((tables.len(), tables[0].name.as_str(), tables[0].row_count), (1, "clicks", Some(4)));
    assert!(tables[0].columns.iter().any(|column| column.name == "name" && column.type_name == "Utf8"));
}

#[tokio::test]
async fn a_read_nobody_wants_ends_its_connections() {
    let (port, seen) = serve(Manner { endless: true, ..Manner::default() }, None).await;
    let source = open(stubs::settings(SourceType::Kafka, port), &here()).await.unwrap();
    let mut stream = source.scan(Scan::all(clicks())).await.unwrap();
    stream.next().await.unwrap().unwrap();
    drop(stream);
    assert!(seen.ended(2).await);
}

#[tokio::test]
async fn errors_have_the_contracts_codes_and_no_secrets() {
    for plain in [false, true] {
        let (port, _) = serve(Manner { plain, ..Manner::default() }, None).await;
        let mut settings = stubs::settings(SourceType::Kafka, port);
        if plain {
            // Without TLS anybody would hear the password: it is not sent unless it is said that it may be.
            let source = open(settings.clone(), &here()).await.unwrap();
            let refused = source.test(None, Duration::from_secs(5)).await.unwrap_err();
            assert_eq!(refused.code, ErrorCode::Authentication, "{refused:?}");
            settings.metadata.insert("sasl_mechanism".to_owned(), json!("PLAIN"));
        }
        let source = open(settings.clone(), &here()).await.unwrap();
        assert!(source.test(None, Duration::from_secs(5)).await.is_ok(), "plain: {plain}");
        for (topic, why) in [("denied", Refused::Permission), ("absent", Refused::Changed)] {
            let error = read(source.as_ref(), Relation::new("main", topic)).await.unwrap_err();
            assert_eq!((error.code, error.refused), (ErrorCode::Query, Some(why)), "{error:?}");
        }
        settings.credentials.password = secret("wrong");
        let source = open(settings, &here()).await.unwrap();
        let wrong = source.test(None, Duration::from_secs(5)).await.unwrap_err();
        assert_eq!(wrong.code, ErrorCode::Authentication);
        assert!(!format!("{wrong:?}").contains("wrong"));
    }
    let (port, _) = serve(Manner { drops: true, ..Manner::default() }, None).await;
    let source = open(stubs::settings(SourceType::Kafka, port), &here()).await.unwrap();
    assert_eq!(read(source.as_ref(), clicks()).await.unwrap_err().code, ErrorCode::Connection);
}

#[tokio::test]
async fn a_token_is_told_within_tls_unless_it_is_said_that_it_may_be() {
    let (port, seen) = serve(Manner::default(), None).await;
    let mut settings = stubs::settings(SourceType::Kafka, port);
    settings.credentials.oauth_token = secret("t0ken");
    let source = open(settings.clone(), &here()).await.unwrap();
    let refused = source.test(None, Duration::from_secs(5)).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::Authentication);
    assert!(refused.message.contains("sasl_mechanism"), "{refused}");
    assert_eq!(seen.opened(), 0, "nobody is asked");
    settings.metadata.insert("sasl_mechanism".to_owned(), json!("OAUTHBEARER"));
    let source = open(settings, &here()).await.unwrap();
    source.test(None, Duration::from_secs(5)).await.unwrap_err();
    assert!(seen.opened() > 0);
}

#[tokio::test]
async fn a_connection_that_was_closed_is_opened_again() {
    let (port, seen) = serve(Manner { short: true, ..Manner::default() }, None).await;
    let source = open(stubs::settings(SourceType::Kafka, port), &here()).await.unwrap();
    for _ in 0..3 {
        assert_eq!(read(source.as_ref(), clicks()).await.unwrap().len(), 4);
    }
    assert!(seen.opened() > 2);
}

#[tokio::test]
async fn a_broker_leads_nobody_to_an_address_that_is_closed() {
    let (port, seen) = serve(Manner { elsewhere: true, ..Manner::default() }, None).await;
    let source = open(stubs::settings(SourceType::Kafka, port), &here()).await.unwrap();
    let refused = read(source.as_ref(), clicks()).await.unwrap_err();
    assert!(refused.code == ErrorCode::Connection && refused.message.contains("may not be in"), "{refused}");
    let before = seen.opened();
    let strict = tidegate_connect::NetworkPolicy::default();
    let source = open(stubs::settings(SourceType::Kafka, port), &strict).await.unwrap();
    let refused = source.test(None, Duration::from_secs(5)).await.unwrap_err();
    assert!(refused.message.contains("may not be in"), "{refused}");
    assert_eq!(seen.opened(), before);
}

#[tokio::test]
async fn tls_is_verified() {
    let certificates = Certificates::make();
    let (port, _) = serve(Manner::default(), Some(&certificates)).await;
    let mut settings = stubs::settings(SourceType::Kafka, port);
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
    stubs::a_client_certificate_is_shown(SourceType::Kafka, port, &certificates).await;
}
