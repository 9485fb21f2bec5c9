//! Cassandra, against a stub after the specification of CQL's binary protocol, version 4.

use std::time::Duration;

use futures_util::StreamExt;
use serde_json::json;
use tidegate_connect::{ErrorCode, Filter, Literal, Operator, Relation, Scan, SourceType, open};
use tokio::io::AsyncWriteExt;

use crate::cells::{read, row, select};
use crate::servers::{Certificates, here, secret};
use crate::stubs::{self, PASSWORD, Seen, Stream, bytes};

/// What the stub is like.
#[derive(Clone, Copy, Default)]
struct Manner {
    /// There is always another page.
    endless: bool,
    /// Closes instead of giving another page.
    drops: bool,
    /// Closes instead of saying that it still lives.
    short: bool,
}

fn text(text: &str) -> Vec<u8> {
    [&u16::try_from(text.len()).unwrap().to_be_bytes()[..], text.as_bytes()].concat()
}

fn value(bytes: Option<&[u8]>) -> Vec<u8> {
    match bytes {
        None => (-1_i32).to_be_bytes().to_vec(),
        Some(bytes) => [&i32::try_from(bytes.len()).unwrap().to_be_bytes()[..], bytes].concat(),
    }
}

/// A result: types of the columns, rows, and whether there is another page.
fn result(types: &[&[u8]], rows: &[Vec<Option<Vec<u8>>>], more: bool) -> Vec<u8> {
    let mut all: Vec<u8> = Vec::new();
    let flags = 1 | if more { 2 } else { 0 };
    for number in [2, flags, i32::try_from(types.len()).unwrap()] {
        all.extend(number.to_be_bytes());
    }
    if more {
        all.extend(value(Some(b"page")));
    }
    all.extend([text("shop"), text("t")].concat());
    for kind in types {
        all.extend(text("c"));
        all.extend(*kind);
    }
    all.extend(i32::try_from(rows.len()).unwrap().to_be_bytes());
    for row in rows {
        for cell in row {
            all.extend(value(cell.as_deref()));
        }
    }
    all
}

fn texts(rows: &[&[&str]]) -> Vec<u8> {
    let width = rows.first().map_or(1, |row| row.len());
    let rows: Vec<_> =
        rows.iter().map(|row| row.iter().map(|cell| Some(cell.as_bytes().to_vec())).collect()).collect();
    result(&vec![&[0, 0x0D][..]; width], &rows, false)
}

const TYPES: [(&str, &str, &[u8]); 10] = [
    ("id", "partition_key", &[0, 9]),
    ("at", "clustering", &[0, 0x0B]),
    ("big", "regular", &[0, 0x0E]),
    ("blob", "regular", &[0, 3]),
    ("day", "regular", &[0, 0x11]),
    ("ip", "regular", &[0, 0x10]),
    ("name", "regular", &[0, 0x0D]),
    ("price", "regular", &[0, 6]),
    ("tags", "regular", &[0, 0x22, 0, 0x0D]),
    ("uid", "regular", &[0, 0x0C]),
];

const NAMES: [&str; 10] =
    ["int", "timestamp", "varint", "blob", "date", "inet", "text", "decimal", "set<text>", "uuid"];

fn columns() -> Vec<u8> {
    let rows: Vec<Vec<Option<Vec<u8>>>> = TYPES
        .iter()
        .zip(NAMES)
        .map(|((name, kind, _), type_name)| {
            let position = if *kind == "regular" { -1_i32 } else { 0 };
            let text = |text: &str| Some(text.as_bytes().to_vec());
            vec![text("t"), text(name), text(kind), Some(position.to_be_bytes().to_vec()), text(type_name)]
        })
        .collect();
    let text = &[0, 0x0D][..];
    result(&[text, text, text, &[0, 9], text], &rows, false)
}

fn whole_row(id: i32) -> Vec<Option<Vec<u8>>> {
    vec![
        Some(id.to_be_bytes().to_vec()),
        Some(1_500_i64.to_be_bytes().to_vec()),
        Some(vec![1, 0, 0, 0, 0, 0, 0, 0, 0]),
        Some(vec![0xDE, 0xAD]),
        Some(0x8000_0001_u32.to_be_bytes().to_vec()),
        Some(vec![127, 0, 0, 1]),
        Some("Zoë".as_bytes().to_vec()),
        Some(vec![0, 0, 0, 2, 0x04, 0xCE]),
        Some([&1_i32.to_be_bytes()[..], &value(Some(b"a"))].concat()),
        Some(vec![0xAB; 16]),
    ]
}

fn rows(query: &str, second: bool, more: bool) -> Vec<u8> {
    if query.starts_with("SELECT \"name\"") {
        return result(&[&[0, 0x0D]], &[vec![Some(b"Zoe".to_vec())]], false);
    }
    let types: Vec<&[u8]> = TYPES.iter().map(|(_, _, kind)| *kind).collect();
    let mut empty = vec![None; 10];
    empty[0] = Some(2_i32.to_be_bytes().to_vec());
    empty[1] = Some(0_i64.to_be_bytes().to_vec());
    result(
        &types,
        &if second { vec![empty] } else { vec![whole_row(1); if more { 3_000 } else { 1 }] },
        more || !second,
    )
}

/// Query, values as hexadecimal digits, and whether a page is asked for.
fn query(body: &[u8]) -> (String, String, bool) {
    let length = usize::try_from(u32::from_be_bytes(body[..4].try_into().unwrap())).unwrap();
    let query = String::from_utf8(body[4..4 + length].to_vec()).unwrap();
    let mut rest = &body[4 + length + 2..];
    let flags = rest[0];
    rest = &rest[1..];
    let mut values = Vec::new();
    if flags & 1 == 1 {
        let count = u16::from_be_bytes([rest[0], rest[1]]);
        rest = &rest[2..];
        for _ in 0..count {
            let length = usize::try_from(u32::from_be_bytes(rest[..4].try_into().unwrap())).unwrap();
            values.push(hex::encode(&rest[4..4 + length]));
            rest = &rest[4 + length..];
        }
    }
    assert_eq!(flags & 4, 4, "a size of pages");
    (query, values.join(","), flags & 8 == 8)
}

fn failed(code: i32, message: &str) -> (u8, Vec<u8>) {
    (0, [&code.to_be_bytes()[..], &text(message)].concat())
}

async fn converse(mut stream: Box<dyn Stream>, manner: Manner, seen: Seen) -> Option<()> {
    loop {
        let header = bytes(&mut stream, 9).await?;
        assert_eq!(header[..4], [4, 0, 0, 0]);
        let length = u32::from_be_bytes(header[5..].try_into().unwrap());
        let body = bytes(&mut stream, length as usize).await?;
        let (kind, body) = match header[4] {
            1 => (3, text("org.apache.cassandra.auth.PasswordAuthenticator")),
            15 if body[4..] == *format!("\0me\0{PASSWORD}").as_bytes() => (16, value(None)),
            15 => failed(0x0100, "Provided username me and/or password are incorrect"),
            5 if manner.short => return None,
            5 => (6, vec![0, 0]),
            _ => {
                let (query, values, paged) = query(&body);
                seen.say(format!("{query} [{values}]"));
                match query.as_str() {
                    "SELECT release_version FROM system.local" => (8, texts(&[&["4.1.3"]])),
                    text if text.contains("system_schema.keyspaces") => (8, texts(&[&["system"], &["shop"]])),
                    text if text.contains("system_schema.tables") => (8, texts(&[&["t", "a table"]])),
                    text if text.contains("system_schema.views") => (8, texts(&[])),
                    text if text.contains("system_schema.columns") => (8, columns()),
                    text if text.contains("\"denied\"") => failed(0x2100, &format!("{PASSWORD} may not")),
                    _ if paged && manner.drops => return None,
                    text => (8, rows(text, paged && !manner.endless, manner.endless)),
                }
            }
        };
        // A warning, which is passed over.
        let body = [&[0, 1][..], &text("slow"), &body].concat();
        let length = u32::try_from(body.len()).unwrap().to_be_bytes();
        stream.write_all(&[&[0x84, 8, 0, 0, kind][..], &length, &body].concat()).await.ok()?;
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
    let port = stubs::listen(certificates, &seen, move |stream| converse(stream, manner, kept.clone())).await;
    (port, seen)
}

fn table() -> Relation {
    Relation::new("shop", "t")
}

#[tokio::test]
async fn every_type_is_read_page_by_page_and_keys_are_conditions() {
    let (port, seen) = serve(Manner::default(), None).await;
    let source = open(stubs::settings(SourceType::Cassandra, port), &here()).await.unwrap();
    let tested = source.test(None, Duration::from_secs(5)).await.unwrap();
    assert_eq!(
        (tested.version.as_deref(), tested.result.as_deref()),
        (Some("Cassandra 4.1.3"), Some("4.1.3"))
    );
    let first = [
        "1",
        "1970-01-01T00:00:01.5Z",
        "18446744073709551616",
        "[de, ad]",
        "1970-01-02",
        "127.0.0.1",
        "Zoë",
        "12.30",
        "[\"a\"]",
        "abababab-abab-abab-abab-abababababab",
    ];
    let mut second = ["NULL"; 10];
    (second[0], second[1]) = ("2", "1970-01-01T00:00:00Z");
    assert_eq!(read(source.as_ref(), table()).await.unwrap(), [row(first), row(second)]);
    let equal =
        |column: &str, value| Filter::Compare { column: column.to_owned(), operator: Operator::Eq, value };
    let (found, applied) =
        select(source.as_ref(), table(), &["name"], equal("id", Literal::Int(7))).await.unwrap();
    assert_eq!((found, applied), (vec![row(["Zoe"])], true));
    assert!(seen.said("SELECT \"name\" FROM \"shop\".\"t\" WHERE \"id\" = ? [00000007]"));
    let other = equal("name", Literal::Utf8("x".to_owned()));
    assert!(!select(source.as_ref(), table(), &["name"], other).await.unwrap().1);
    let scan = Scan { projection: Some(vec!["name".to_owned()]), limit: Some(5), ..Scan::all(table()) };
    assert!(source.scan(scan).await.unwrap().limited);
    assert!(seen.said("FROM \"shop\".\"t\" LIMIT 5"));
}

#[tokio::test]
async fn tables_are_discovered_with_their_keys() {
    let (port, _) = serve(Manner::default(), None).await;
    let source = open(stubs::settings(SourceType::Cassandra, port), &here()).await.unwrap();
    let found = source.discover(None).await.unwrap();
    let table = &found.schemas[0].tables[0];
    assert_eq!((table.name.as_str(), table.comment.as_deref()), ("t", Some("a table")));
    let keys: Vec<_> =
        table.columns.iter().filter(|column| column.primary_key).map(|c| c.name.as_str()).collect();
    assert_eq!(keys, ["id", "at"]);
    assert_eq!(table.columns[8].type_name, "set<text>");
}

#[tokio::test]
async fn a_read_nobody_wants_ends_its_connection() {
    let (port, seen) = serve(Manner { endless: true, ..Manner::default() }, None).await;
    let source = open(stubs::settings(SourceType::Cassandra, port), &here()).await.unwrap();
    let mut stream = source.scan(Scan::all(table())).await.unwrap();
    stream.next().await.unwrap().unwrap();
    drop(stream);
    assert!(seen.ended(1).await);
}

#[tokio::test]
async fn errors_have_the_contracts_codes_and_no_secrets() {
    let (port, _) = serve(Manner::default(), None).await;
    let mut settings = stubs::settings(SourceType::Cassandra, port);
    let source = open(settings.clone(), &here()).await.unwrap();
    let query = Some("SELECT a FROM \"denied\"");
    let denied = source.test(query, Duration::from_secs(5)).await.unwrap_err();
    assert_eq!((denied.code, denied.detail.as_str()), (ErrorCode::Query, "*** may not"));
    for password in [secret("wrong"), None] {
        settings.credentials.password = password;
        let source = open(settings.clone(), &here()).await.unwrap();
        let wrong = source.test(None, Duration::from_secs(5)).await.unwrap_err();
        assert_eq!(wrong.code, ErrorCode::Authentication);
    }
    let (port, _) = serve(Manner { drops: true, ..Manner::default() }, None).await;
    let source = open(stubs::settings(SourceType::Cassandra, port), &here()).await.unwrap();
    assert_eq!(read(source.as_ref(), table()).await.unwrap_err().code, ErrorCode::Connection);
}

#[tokio::test]
async fn a_connection_that_was_closed_is_opened_again() {
    let (port, seen) = serve(Manner { short: true, ..Manner::default() }, None).await;
    let source = open(stubs::settings(SourceType::Cassandra, port), &here()).await.unwrap();
    for _ in 0..3 {
        assert_eq!(read(source.as_ref(), table()).await.unwrap().len(), 2);
    }
    assert!(seen.opened() > 2);
}

#[tokio::test]
async fn tls_is_verified() {
    let certificates = Certificates::make();
    let (port, _) = serve(Manner::default(), Some(&certificates)).await;
    let mut settings = stubs::settings(SourceType::Cassandra, port);
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
    stubs::a_client_certificate_is_shown(SourceType::Cassandra, port, &certificates).await;
}
