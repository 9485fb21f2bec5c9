//! HTTP/2 with prior knowledge (RFC 9113 section 3.3), as gateways speak it and as attackers do, over real sockets.
//!
//! Clients must be able to answer while a test waits for the server's end: each test has more threads than its own.

use std::collections::BTreeSet;
use std::io::{self, ErrorKind, Read, Write};
use std::process::Command;

use axum::body::Bytes;
use axum::http::Request;
use h2::SendStream;
use h2::client::{ResponseFuture, SendRequest};
use tidegate_testkit::eventually;

use crate::limits::elsewhere;
use crate::sockets::Socket;
use crate::support::{Installation, Server};

/// Streams that a client may have open at a time.
const STREAMS: u32 = 32;
/// Less than the program takes of memory whatever an attacker sends, in KiB.
const LITTLE_MEMORY: u64 = 200 * 1024;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
/// Of a PING frame.
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;
/// `REFUSED_STREAM`: the stream was not looked at, and may be tried again.
const REFUSED: u32 = 7;

fn serve(here: &Installation, variables: &[(&str, &str)]) -> Server {
    here.serve_with(&["--dev"], |command: &mut Command| {
        command.envs(variables.iter().map(|(name, value)| (format!("TIDEGATE_HTTP__{name}"), *value)));
    })
}

fn address(server: &Server) -> &str {
    server.base.trim_start_matches("http://")
}

/// A well-behaved client, such as a gateway.
pub(crate) async fn connect(server: &Server) -> SendRequest<Bytes> {
    let stream = tokio::net::TcpStream::connect(address(server)).await.unwrap();
    let (client, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    client
}

fn request(server: &Server, method: &str, path: &str) -> Request<()> {
    let request = Request::builder().method(method).uri(format!("{}{path}", server.base));
    request.header("content-type", "application/json").body(()).unwrap()
}

/// Begins a sign-in and sends no more of its body than this.
pub(crate) async fn begin_sign_in(
    server: &Server,
    client: &SendRequest<Bytes>,
    body: Bytes,
) -> (ResponseFuture, SendStream<Bytes>) {
    let mut client = client.clone().ready().await.unwrap();
    let request = request(server, "POST", "/api/v2/auth/login");
    let (answer, mut stream) = client.send_request(request, false).unwrap();
    stream.send_data(body, false).unwrap();
    (answer, stream)
}

/// A frame that was received.
struct Frame {
    kind: u8,
    stream: u32,
    payload: Vec<u8>,
}

impl Frame {
    /// The error of a RST_STREAM frame.
    fn error(&self) -> u32 {
        u32::from_be_bytes(self.payload[..4].try_into().unwrap())
    }
}

/// A client that keeps to no rule.
struct Attacker(Socket);

impl Attacker {
    fn connect(server: &Server) -> Self {
        let mut attacker = Self(Socket::of(server));
        attacker.0.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").unwrap();
        attacker.send(SETTINGS, 0, 0, &[]).unwrap();
        attacker
    }

    fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> io::Result<()> {
        self.0.write_all(&frame(kind, flags, stream, payload))
    }

    /// The next frame; none when the server closed the connection.
    fn next(&mut self) -> Option<Frame> {
        let mut head = [0; 9];
        self.read(&mut head)?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; length as usize];
        self.read(&mut payload)?;
        let stream = u32::from_be_bytes(head[5..].try_into().unwrap());
        Some(Frame { kind: head[3], stream, payload })
    }

    fn read(&mut self, into: &mut [u8]) -> Option<()> {
        match self.0.read_exact(into) {
            Ok(()) => Some(()),
            Err(error) if [ErrorKind::UnexpectedEof, ErrorKind::ConnectionReset].contains(&error.kind()) => {
                None
            }
            Err(error) => panic!("{error}"),
        }
    }

    /// Waits for the end of the connection.
    fn read_to_end(mut self) {
        while self.next().is_some() {}
    }
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = vec![length[1], length[2], length[3], kind, flags];
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// The fields of a request, as RFC 7541 writes them: `:method`, `:scheme`, `:path`, `:authority`, `content-type`.
fn fields(method: u8, path: &str) -> Vec<u8> {
    let mut fields = vec![method, 0x86];
    for (name, value) in [(0x44, path), (0x41, "localhost"), (0x5f, "application/json")] {
        fields.extend([name, u8::try_from(value.len()).unwrap()]);
        fields.extend(value.bytes());
    }
    fields
}

fn get(path: &str) -> Vec<u8> {
    fields(0x82, path)
}

fn post(path: &str) -> Vec<u8> {
    fields(0x83, path)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_sends_many_requests_over_one_connection() {
    let here = Installation::new();
    let server = serve(&here, &[]);
    let client = connect(&server).await;
    // Until the first answer, a client does not know how many streams it may open.
    let mut first = client.clone().ready().await.unwrap();
    let answer = first.send_request(request(&server, "GET", "/healthz"), true).unwrap().0;
    assert_eq!(answer.await.unwrap().status(), 200);
    let mut answers = Vec::new();
    for number in 0..200 {
        let mut client = client.clone().ready().await.unwrap();
        let path = if number % 2 == 0 { "/healthz" } else { "/api/v1/nowhere" };
        answers.push((number, client.send_request(request(&server, "GET", path), true).unwrap().0));
    }
    for (number, answer) in answers {
        let status = answer.await.unwrap().status();
        assert_eq!(status, if number % 2 == 0 { 200 } else { 404 });
    }
    assert_eq!(client.current_max_send_streams(), STREAMS as usize);
    let body = Bytes::from_static(br#"{"email":"nobody@example.com","password":"Wrong1horse!"}"#);
    let (answer, mut stream) = begin_sign_in(&server, &client, body).await;
    stream.send_data(Bytes::new(), true).unwrap();
    assert_eq!(answer.await.unwrap().status(), 401);
    drop(client);
    server.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_above_the_limit_are_refused_and_the_others_are_answered() {
    let here = Installation::new();
    let server = serve(&here, &[("DEADLINE", "600")]);
    let mut attacker = Attacker::connect(&server);
    let stream = |number: u32| 2 * number + 1;
    for number in 0..STREAMS + 8 {
        attacker.send(HEADERS, END_HEADERS, stream(number), &post("/api/v2/auth/login")).unwrap();
    }
    let mut refused = BTreeSet::new();
    while refused.len() < 8 {
        let frame = attacker.next().expect("the connection stays");
        if frame.kind == RST_STREAM {
            assert_eq!(frame.error(), REFUSED);
            refused.insert(frame.stream);
        }
    }
    assert_eq!(refused, (STREAMS..STREAMS + 8).map(stream).collect());
    attacker.send(DATA, END_STREAM, stream(0), b"{}").unwrap();
    let answered = std::iter::from_fn(|| attacker.next()).find(|frame| frame.kind == HEADERS).unwrap();
    assert_eq!(answered.stream, stream(0));
    drop(attacker);
    server.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_that_are_reset_at_once_end_the_connection_and_cost_others_nothing() {
    let here = Installation::new();
    let server = serve(&here, &[]);
    let mut attacker = Attacker::connect(&server);
    let burst: Vec<u8> = (0..20_000)
        .flat_map(|number| {
            let stream = 2 * number + 1;
            let mut frames = frame(HEADERS, END_HEADERS | END_STREAM, stream, &get("/openapi.json"));
            frames.extend(frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes()));
            frames
        })
        .collect();
    // The server may close before it has read all of it.
    drop(attacker.0.write_all(&burst));
    attacker.read_to_end();
    assert_eq!(server.get("/healthz").await.0, 200);
    assert!(server.peak_memory_kib() < LITTLE_MEMORY, "{} KiB", server.peak_memory_kib());
    server.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_head_without_end_ends_the_connection() {
    let here = Installation::new();
    let server = serve(&here, &[]);
    let mut attacker = Attacker::connect(&server);
    let mut head = get("/healthz");
    // `x: ` and then 256 MiB.
    head.extend([0x40, 1, b'x', 0x7f, 0xff, 0xff, 0xff, 0x7f]);
    attacker.send(HEADERS, END_STREAM, 1, &head).unwrap();
    let more = vec![b'x'; 16 * 1024];
    let sent = (0..16 * 1024).take_while(|_| attacker.send(CONTINUATION, 0, 1, &more).is_ok()).count();
    assert!(sent < 16 * 1024, "all of it was read");
    attacker.read_to_end();
    assert_eq!(server.get("/healthz").await.0, 200);
    assert!(server.peak_memory_kib() < LITTLE_MEMORY, "{} KiB", server.peak_memory_kib());
    server.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fields_that_unpack_to_many_times_their_length_are_not_unpacked() {
    let here = Installation::new();
    let server = serve(&here, &[]);
    let mut attacker = Attacker::connect(&server);
    for number in 0..64 {
        let mut head = get("/healthz");
        // `x: 3,000 letters` enters the table of the connection; each byte after it stands for all of it again.
        head.extend([0x40, 1, b'x', 0x7f, 0xb9, 0x16]);
        head.extend([b'a'; 3_000]);
        head.extend([0xbe; 12_000]);
        if attacker.send(HEADERS, END_HEADERS | END_STREAM, 2 * number + 1, &head).is_err() {
            break;
        }
    }
    // Refused with an answer, or the connection ends.
    let refusal =
        std::iter::from_fn(|| attacker.next()).find(|f| [HEADERS, RST_STREAM, GOAWAY].contains(&f.kind));
    // Not `:status: 200`, which is one byte (RFC 7541, appendix A).
    assert!(refusal.is_none_or(|frame| frame.kind != HEADERS || frame.payload[0] != 0x88));
    drop(attacker);
    assert_eq!(server.get("/healthz").await.0, 200);
    assert!(server.peak_memory_kib() < LITTLE_MEMORY, "{} KiB", server.peak_memory_kib());
    server.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_that_do_not_come_are_timeouts_each_and_the_connection_stays() {
    let here = Installation::new();
    let server = serve(&here, &[("DEADLINE", "1")]);
    let client = connect(&server).await;
    let mut slow = Vec::new();
    for _ in 0..STREAMS {
        slow.push(begin_sign_in(&server, &client, Bytes::from_static(b"{")).await);
    }
    for (answer, _stream) in slow {
        assert_eq!(answer.await.unwrap().status(), 408);
    }
    let mut client = client.ready().await.unwrap();
    let answer = client.send_request(request(&server, "GET", "/healthz"), true).unwrap().0;
    assert_eq!(answer.await.unwrap().status(), 200);
    drop(client);
    server.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_over_http2_are_of_their_clients_share() {
    let here = Installation::new();
    let server = serve(&here, &[("CONNECTIONS_PER_NETWORK", "4")]);
    let four: Vec<Attacker> = (0..4)
        .map(|_| {
            let mut one = Attacker::connect(&server);
            assert_eq!(one.next().unwrap().kind, SETTINGS);
            one
        })
        .collect();
    let mut fifth = Socket::of(&server);
    drop(fifth.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"));
    assert!(fifth.is_closed(), "a fifth connection was kept");
    drop(four);
    eventually("there is room again", async || {
        let mut one = Attacker::connect(&server);
        one.next().filter(|frame| frame.kind == SETTINGS)
    })
    .await;
    server.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_on_many_streams_leave_room_for_those_of_others() {
    let here = Installation::new();
    let server = serve(&here, &[("UPLOADS", "33554432"), ("DEADLINE", "600")]);
    let almost = Bytes::from(vec![b' '; 64 * 1024 - 1]);
    let mut held = Vec::new();
    // One connection more than the client's share of the budget takes: 16 MiB of 32.
    for _ in 0..9 {
        let client = connect(&server).await;
        for _ in 0..STREAMS {
            held.push(begin_sign_in(&server, &client, almost.clone()).await);
        }
    }
    let elsewhere = elsewhere();
    eventually("its bodies are refused", async || {
        let answer =
            elsewhere.get(format!("{}/metrics", server.base)).send().await.ok()?.text().await.ok()?;
        answer.contains("tidegate_upload_budget_refusals_total").then_some(())
    })
    .await;
    let body = serde_json::json!({ "email": "nobody@example.com", "password": "Wrong1horse!" });
    let answer =
        elsewhere.post(format!("{}/api/v2/auth/login", server.base)).json(&body).send().await.unwrap();
    assert_eq!(answer.status(), 401);
    assert!(server.peak_memory_kib() < LITTLE_MEMORY, "{} KiB", server.peak_memory_kib());
    drop(held);
    eventually("there is room again", async || {
        (server.sign_in("nobody@example.com", "Wrong1horse!").await.0 == 401).then_some(())
    })
    .await;
    server.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_connection_gives_way_to_the_next_client_and_is_told() {
    let here = Installation::new();
    let server = serve(&here, &[("CONNECTIONS", "1"), ("IDLE_TIMEOUT", "3600")]);
    let mut idle = Attacker::connect(&server);
    while idle.next().expect("it is let in").kind != SETTINGS {}
    // Another client: this one has its share.
    let answered = elsewhere().get(format!("{}/healthz", server.base)).send().await.unwrap();
    assert_eq!(answered.status(), 200);
    let mut kinds = Vec::new();
    while let Some(frame) = idle.next() {
        kinds.push(frame.kind);
    }
    assert!(kinds.contains(&GOAWAY), "{kinds:?}");
    server.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_opens_no_window_for_its_answers_is_let_go() {
    let here = Installation::new();
    let server = serve(&here, &[("IDLE_TIMEOUT", "1"), ("WRITE_TIMEOUT", "1")]);
    let mut attacker = Attacker::connect(&server);
    // SETTINGS_INITIAL_WINDOW_SIZE = 0
    attacker.send(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0]).unwrap();
    attacker.send(HEADERS, END_HEADERS | END_STREAM, 1, &get("/openapi.json")).unwrap();
    // It says that it is there as often as it is asked.
    while let Some(frame) = attacker.next() {
        if frame.kind == PING && attacker.send(PING, ACK, 0, &frame.payload).is_err() {
            break;
        }
    }
    assert_eq!(server.get("/healthz").await.0, 200);
    server.stop();
}
