//! The stub: packets and tokens after MS-TDS.

use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::servers::Certificates;
use crate::stubs::{self, PASSWORD, Seen, Stream, bytes};

fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

fn from_utf16(bytes: &[u8]) -> String {
    let units: Vec<u16> = bytes.chunks(2).map(|unit| u16::from_le_bytes([unit[0], unit[1]])).collect();
    String::from_utf16(&units).unwrap()
}

async fn message(stream: &mut Box<dyn Stream>) -> Option<(u8, Vec<u8>)> {
    let mut all = Vec::new();
    loop {
        let header = bytes(stream, 8).await?;
        let length = usize::from(u16::from_be_bytes([header[2], header[3]]));
        all.extend(bytes(stream, length - 8).await?);
        if header[1] & 1 == 1 {
            return Some((header[0], all));
        }
    }
}

/// Sends tokens in packets of few bytes, so that values are cut.
async fn answer(stream: &mut Box<dyn Stream>, tokens: &[u8]) -> Option<()> {
    let mut chunks = tokens.chunks(100).peekable();
    while let Some(chunk) = chunks.next() {
        let length = u16::try_from(chunk.len() + 8).unwrap().to_be_bytes();
        let last = u8::from(chunks.peek().is_none());
        stream.write_all(&[&[4, last, length[0], length[1], 0, 0, 1, 0], chunk].concat()).await.ok()?;
    }
    stream.flush().await.ok()
}

fn done(status: u16) -> Vec<u8> {
    [&[0xFD][..], &status.to_le_bytes(), &[0; 10]].concat()
}

fn error(number: i32, text: &str) -> Vec<u8> {
    let words = utf16(text);
    let mut body = number.to_le_bytes().to_vec();
    body.extend([1, 14]);
    body.extend(u16::try_from(words.len() / 2).unwrap().to_le_bytes());
    body.extend(words);
    body.extend([0, 0, 0, 0, 0, 0]);
    [&[0xAA][..], &u16::try_from(body.len()).unwrap().to_le_bytes(), &body, &done(2)].concat()
}

/// Describes columns by their types.
fn described(types: &[&[u8]]) -> Vec<u8> {
    let mut all = vec![0x81];
    all.extend(u16::try_from(types.len()).unwrap().to_le_bytes());
    for kind in types {
        all.extend([0, 0, 0, 0, 9, 0]);
        all.extend(*kind);
        all.extend([1, b'c', 0]);
    }
    all
}

const SHORT_TEXT: &[u8] = &[0xE7, 0x40, 0x1F, 9, 4, 0xD0, 0, 0x34];
const LONG_TEXT: &[u8] = &[0xE7, 0xFF, 0xFF, 9, 4, 0xD0, 0, 0x34];

/// Rows of texts.
fn texts(rows: &[Vec<Option<&str>>]) -> Vec<u8> {
    let width = rows.first().map_or(1, Vec::len);
    let mut all = described(&vec![SHORT_TEXT; width]);
    for row in rows {
        all.push(0xD1);
        for cell in row {
            match cell {
                None => all.extend([0xFF, 0xFF]),
                Some(text) => {
                    let words = utf16(text);
                    all.extend(u16::try_from(words.len()).unwrap().to_le_bytes());
                    all.extend(words);
                }
            }
        }
    }
    all.extend(done(0x10));
    all
}

/// A value in chunks.
fn chunks(parts: &[&[u8]]) -> Vec<u8> {
    let mut all = 0xFFFF_FFFF_FFFF_FFFE_u64.to_le_bytes().to_vec();
    for part in parts {
        all.extend(u32::try_from(part.len()).unwrap().to_le_bytes());
        all.extend(*part);
    }
    all.extend([0; 4]);
    all
}

/// Statement and parameters of a request.
fn statement(kind: u8, body: &[u8]) -> (String, Vec<String>) {
    assert_eq!(body[..4], [22, 0, 0, 0]);
    if kind == 1 {
        return (from_utf16(&body[22..]), Vec::new());
    }
    assert_eq!((kind, &body[22..28]), (3, &[0xFF, 0xFF, 10, 0, 0, 0][..]));
    let mut rest = &body[28..];
    let mut values = Vec::new();
    while !rest.is_empty() {
        let name = usize::from(rest[0]) * 2;
        rest = &rest[1 + name + 1 + 8..];
        let length = usize::try_from(u64::from_le_bytes(rest[..8].try_into().unwrap())).unwrap();
        rest = &rest[8..];
        if length > 0 {
            assert_eq!(u32::from_le_bytes(rest[..4].try_into().unwrap()) as usize, length);
            values.push(from_utf16(&rest[4..4 + length]));
            rest = &rest[4 + length..];
        } else {
            values.push(String::new());
        }
        rest = &rest[4..];
    }
    (values.remove(0), values.split_off(1))
}

/// Bytes between a socket and TLS: in packets until the first byte of an application's record.
pub(crate) fn enveloped(mut socket: Box<dyn Stream>) -> Box<dyn Stream> {
    let (near, mut far) = tokio::io::duplex(1 << 16);
    tokio::spawn(async move {
        let mut buffer = [0; 4_000];
        loop {
            tokio::select! {
                first = socket.read_u8() => match first.ok()? {
                    0x12 => {
                        let header = bytes(&mut socket, 7).await?;
                        let length = usize::from(u16::from_be_bytes([header[1], header[2]]));
                        far.write_all(&bytes(&mut socket, length - 8).await?).await.ok()?;
                    }
                    raw => {
                        far.write_u8(raw).await.ok()?;
                        break;
                    }
                },
                read = far.read(&mut buffer) => {
                    let read = read.ok().filter(|read| *read > 0)?;
                    let length = u16::try_from(read + 8).unwrap().to_be_bytes();
                    let packet = [&[0x12, 1, length[0], length[1], 0, 0, 1, 0], &buffer[..read]].concat();
                    socket.write_all(&packet).await.ok()?;
                }
            }
        }
        tokio::io::copy_bidirectional(&mut socket, &mut far).await.ok().map(|_| ())
    });
    Box::new(near)
}

const COLUMNS: [[Option<&str>; 10]; 10] = {
    const fn column(name: &'static str, kind: &'static str) -> [Option<&'static str>; 10] {
        [Some("dbo"), Some("t"), Some(name), Some(kind), Some("YES"), None, None, None, None, None]
    }
    let mut amount = column("amount", "decimal");
    amount[5] = Some("10");
    amount[6] = Some("2");
    let mut at = column("at", "datetime2");
    at[7] = Some("3");
    let mut fine = column("fine", "datetime2");
    fine[7] = Some("7");
    [
        column("id", "bigint"),
        column("small", "tinyint"),
        column("yes", "bit"),
        amount,
        column("day", "date"),
        at,
        fine,
        column("name", "nvarchar"),
        column("blob", "varbinary"),
        column("ratio", "float"),
    ]
};

/// Two rows of every type, the second of NULLs.
fn rows() -> Vec<u8> {
    let mut all = described(&[
        &[0x26, 8],
        &[0x26, 1],
        &[0x68, 1],
        &[0x6A, 9, 10, 2],
        &[0x28],
        &[0x2A, 3],
        SHORT_TEXT,
        LONG_TEXT,
        &[0xA5, 0xFF, 0xFF],
        &[0x6D, 8],
    ]);
    all.extend([0xD1, 8]);
    all.extend((-5_i64).to_le_bytes());
    all.extend([1, 200, 1, 1]);
    // -12.34, 1970-01-02, 1970-01-01T00:00:01.5.
    all.extend([5, 0, 0xD2, 0x04, 0, 0]);
    all.extend([3]);
    all.extend(&719_163_u32.to_le_bytes()[..3]);
    all.extend([7]);
    all.extend(&1_500_u32.to_le_bytes());
    all.extend(&719_162_u32.to_le_bytes()[..3]);
    let fine = utf16("1970-01-01 00:00:00.0000001");
    all.extend(u16::try_from(fine.len()).unwrap().to_le_bytes());
    all.extend(fine);
    let name = utf16("Zoë 🙂");
    all.extend(chunks(&[&name[..3], &name[3..]]));
    all.extend(chunks(&[&[0xDE, 0xAD]]));
    all.push(8);
    all.extend(0.5_f64.to_le_bytes());
    // All NULL, by the bitmap.
    all.extend([0xD2, 0xFF, 0x03]);
    all.extend(done(0x10));
    all
}

fn reply(query: &str, parameters: &[String]) -> Vec<u8> {
    if query.contains("INFORMATION_SCHEMA.COLUMNS") {
        assert_eq!(parameters.len(), 2);
        let rows: Vec<Vec<Option<&str>>> = COLUMNS.iter().map(|row| row.to_vec()).collect();
        return if parameters[1] == "gone" { texts(&[]) } else { texts(&rows) };
    }
    if query.contains("FROM sys.objects") {
        return texts(&[vec![Some("dbo"), Some("t"), Some("U "), Some("2"), Some("a table")]]);
    }
    if query.contains("KEY_COLUMN_USAGE") {
        return texts(&[vec![Some("dbo"), Some("t"), Some("id")]]);
    }
    if query.contains("foreign_key") {
        return texts(&[["dbo", "t", "small", "dbo", "other", "id"].map(Some).to_vec()]);
    }
    if query.contains("extended_properties") {
        return texts(&[["dbo", "t", "name", "who"].map(Some).to_vec()]);
    }
    match query {
        "SELECT 1" => [described(&[&[0x38]]), vec![0xD1, 1, 0, 0, 0], done(0x10)].concat(),
        "SELECT secret FROM denied" => error(229, &format!("{PASSWORD} may not")),
        "SET IMPLICIT_TRANSACTIONS ON" => done(0),
        query if query.contains("CAST([name] AS nvarchar(max)) FROM") => {
            [described(&[LONG_TEXT]), vec![0xD1], chunks(&[&utf16("Zoë")]), done(0x10)].concat()
        }
        query if query.contains("FROM [dbo].[t]") => rows(),
        _ => error(208, "Invalid object name"),
    }
}

/// What the stub is like.
#[derive(Clone, Default)]
pub(super) struct Manner {
    pub(super) tls: Option<Arc<Certificates>>,
    /// Closes in the middle of the rows.
    pub(super) drops: bool,
    /// Sends rows for ever.
    pub(super) endless: bool,
    /// Closes instead of saying that it still lives.
    pub(super) short: bool,
    /// Sends on to the address of a cloud's metadata.
    pub(super) routes: bool,
}

/// A prelogin that says a version, and something about encryption.
fn prelogin(says: u8) -> [u8; 18] {
    [0, 0, 11, 0, 6, 1, 0, 17, 0, 1, 0xFF, 16, 0, 0, 0, 0, 0, says]
}

/// Answers to a client's prelogin, and gives what that says about encryption.
pub(crate) async fn settled(stream: &mut Box<dyn Stream>, says: u8) -> Option<u8> {
    let (kind, sent) = message(stream).await?;
    assert_eq!(kind, 18);
    assert_eq!(sent[0], 0, "the version comes first");
    answer(stream, &prelogin(says)).await?;
    Some(sent[sent.len() - 2])
}

/// Begins a connection as a client that has no encryption.
pub(crate) async fn without_tls(stream: &mut Box<dyn Stream>) -> Option<()> {
    let packet = [&[18, 1, 0, 27, 0, 0, 1, 0][..], &prelogin(2), &[0]].concat();
    stream.write_all(&packet).await.ok()?;
    message(stream).await.map(drop)
}

async fn converse(mut stream: Box<dyn Stream>, manner: Manner, seen: Seen) -> Option<()> {
    let wants = settled(&mut stream, if manner.tls.is_some() { 1 } else { 2 }).await?;
    seen.say(format!("encryption {wants}"));
    if let Some(certificates) = &manner.tls {
        stream = Box::new(stubs::acceptor(certificates).accept(enveloped(stream)).await.ok()?);
    } else if wants == 1 {
        return None;
    }
    let (kind, login) = message(&mut stream).await?;
    assert_eq!(kind, 16);
    let field = |at: usize| {
        let from = usize::from(u16::from_le_bytes([login[at], login[at + 1]]));
        let length = usize::from(u16::from_le_bytes([login[at + 2], login[at + 3]]));
        &login[from..from + 2 * length]
    };
    let password: Vec<u8> = field(44).iter().map(|byte| (byte ^ 0xA5).rotate_left(4)).collect();
    seen.say(format!("database {}", from_utf16(field(68))));
    if from_utf16(&password) != PASSWORD || from_utf16(field(40)) != "me" {
        answer(&mut stream, &error(18456, "Login failed for user 'me'.")).await?;
        return None;
    }
    if manner.routes {
        let host = utf16("169.254.169.254");
        let count = u16::try_from(host.len() / 2).unwrap().to_le_bytes();
        let data = [&[0, 0x99, 0x05][..], &count, &host].concat();
        let length = u16::try_from(data.len()).unwrap().to_le_bytes();
        let body = [&[20][..], &length, &data, &[0, 0]].concat();
        let length = u16::try_from(body.len()).unwrap().to_le_bytes();
        return answer(&mut stream, &[&[0xE3][..], &length, &body, &done(0)].concat()).await;
    }
    let product = utf16("Microsoft SQL Server");
    let mut ack = vec![1, 0x74, 0, 0, 4, 20];
    ack.extend(product);
    ack.extend([16, 0, 0x03, 0xE8]);
    let ack = [&[0xAD][..], &u16::try_from(ack.len()).unwrap().to_le_bytes(), &ack, &done(0)].concat();
    answer(&mut stream, &ack).await?;
    for turn in 0.. {
        let (kind, body) = message(&mut stream).await?;
        if kind == 6 {
            seen.say("attention");
            answer(&mut stream, &done(0x20)).await?;
            continue;
        }
        let (query, parameters) = statement(kind, &body);
        seen.say(format!("{query} {parameters:?}"));
        if manner.short && turn > 0 && query == "SELECT 1" {
            return None;
        }
        let reads = query.contains("FROM [dbo].[t]");
        if reads && manner.drops {
            let tokens = rows();
            stream
                .write_all(&[&[4, 0, 0x7F, 0xFF, 0, 0, 1, 0], &tokens[..tokens.len() - 20]].concat())
                .await
                .ok()?;
            return None;
        }
        if reads && manner.endless {
            endless(&mut stream, &seen).await?;
            continue;
        }
        answer(&mut stream, &reply(&query, &parameters)).await?;
    }
    None
}

/// Rows until an attention comes.
async fn endless(stream: &mut Box<dyn Stream>, seen: &Seen) -> Option<()> {
    let row = [&[0xD1, 8][..], &7_i64.to_le_bytes()].concat().repeat(3_000);
    let packet = |last: u8, bytes: &[u8]| {
        let length = u16::try_from(bytes.len() + 8).unwrap().to_be_bytes();
        [&[4, last, length[0], length[1], 0, 0, 1, 0], bytes].concat()
    };
    stream.write_all(&packet(0, &described(&[&[0x26, 8]]))).await.ok()?;
    let mut header = [0; 8];
    let (mut from, mut to) = tokio::io::split(stream);
    let came = from.read_exact(&mut header);
    tokio::pin!(came);
    loop {
        let packet = packet(0, &row);
        tokio::select! {
            biased;
            read = &mut came => {
                read.ok()?;
                break;
            }
            written = to.write_all(&packet) => written.ok()?,
        }
    }
    assert_eq!(header[0], 6);
    seen.say("attention");
    to.write_all(&packet(1, &done(0x20))).await.ok()
}

pub(super) async fn serve(manner: Manner) -> (u16, Seen) {
    let seen = Seen::default();
    let kept = seen.clone();
    let port = stubs::listen(None, &seen, move |stream| converse(stream, manner.clone(), kept.clone())).await;
    (port, seen)
}
