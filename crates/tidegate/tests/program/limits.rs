//! What one client may use up of what all clients share: connections, time, memory for bodies.

use std::cell::RefCell;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr};
use std::process::Command;

use serde_json::json;
use tidegate_testkit::eventually;

use crate::connections::{head, head_of_answer};
use crate::sockets::Socket;
use crate::support::{Installation, Server};

fn serve(here: &Installation, variables: &[(&str, &str)]) -> Server {
    here.serve_with(&["--dev"], |command: &mut Command| {
        command.envs(variables.iter().map(|(name, value)| (format!("TIDEGATE_HTTP__{name}"), *value)));
    })
}

/// A client at another address of this machine.
pub(crate) fn elsewhere() -> reqwest::Client {
    let address = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));
    reqwest::Client::builder().local_address(address).build().unwrap()
}

async fn status(client: &reqwest::Client, server: &Server, path: &str) -> u16 {
    client.get(format!("{}{path}", server.base)).send().await.unwrap().status().as_u16()
}

/// Asks whether the server is alive; answers the answer's head, or nothing when the connection was closed.
fn ask(stream: &mut Socket) -> Option<String> {
    stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n").ok()?;
    let (mut answer, mut byte) = (Vec::new(), [0]);
    while !answer.ends_with(b"{\"status\":\"ok\"}") {
        if stream.read(&mut byte).ok()? == 0 {
            return None;
        }
        answer.extend(byte);
    }
    Some(String::from_utf8(answer).unwrap().to_lowercase())
}

#[tokio::test]
async fn a_client_has_a_share_of_the_connections_and_others_have_theirs() {
    let here = Installation::new();
    let server = serve(&here, &[("CONNECTIONS_PER_NETWORK", "4")]);
    let mut silent: Vec<Socket> = (0..4).map(|_| Socket::of(&server)).collect();
    assert!(Socket::of(&server).is_closed(), "a fifth connection was kept");
    assert_eq!(status(&elsewhere(), &server, "/healthz").await, 200);
    // What was given back can be taken again.
    silent.pop();
    eventually("there is room again", async || ask(&mut Socket::of(&server))).await;
    drop(silent);
    eventually("all is given back", async || {
        let mut four: Vec<Socket> = (0..4).map(|_| Socket::of(&server)).collect();
        four.iter_mut().all(|one| ask(one).is_some()).then_some(())
    })
    .await;
    eventually("it is counted", async || {
        let answer =
            elsewhere().get(format!("{}/metrics", server.base)).send().await.ok()?.text().await.ok()?;
        answer.contains("tidegate_connections_closed_total{reason=\"share\"}").then_some(())
    })
    .await;
    server.stop();
}

/// Begins a request whose answer waits for the last byte of its body. It is under way when this returns.
fn begin(stream: &mut Socket) {
    let asked = "POST /api/v2/auth/login HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\
                expect: 100-continue\r\n\r\n";
    stream.write_all(asked.as_bytes()).unwrap();
    let begun = head(stream);
    assert!(begun.starts_with("http/1.1 100"), "{begun}");
    stream.write_all(b"{").unwrap();
}

/// Sends the last byte, and takes the answer.
fn end(stream: &mut Socket) {
    stream.write_all(b"}").unwrap();
    let head = head_of_answer(stream);
    assert!(head.starts_with("http/1.1 4"), "{head}");
}

/// A client that has asked for something, and is idle since.
async fn idle(server: &Server, client: u8) -> Socket {
    let mut stream = Socket::of_client(server, client).await;
    assert!(ask(&mut stream).is_some(), "127.0.0.{client} is not let in");
    stream
}

#[tokio::test]
async fn where_all_places_are_taken_idle_connections_give_way_and_busy_ones_stay() {
    let here = Installation::new();
    let server = serve(&here, &[("CONNECTIONS", "6"), ("DEADLINE", "600"), ("IDLE_TIMEOUT", "3600")]);
    let mut half = Socket::of_client(&server, 3).await;
    half.write_all(b"GET /healthz HTTP/1.1\r\nhost: local").unwrap();
    let mut busy = idle(&server, 4).await;
    begin(&mut busy);
    let mut crowd = [idle(&server, 5).await, idle(&server, 5).await];
    let mut others = vec![idle(&server, 6).await, idle(&server, 7).await];

    // Of the client that has most of them. Which of the two is idle for longer is up to the server: a client may have its answer before the
    // server counts it as ended.
    others.push(idle(&server, 8).await);
    eventually("one of the crowd gives way", async || crowd.iter().any(Socket::has_ended).then_some(()))
        .await;
    assert_eq!(crowd.iter().filter(|one| one.has_ended()).count(), 1);
    // One of each is left: the longest idle. A head that is half read is nothing.
    others.push(idle(&server, 9).await);
    assert!(half.is_closed());
    for client in 10..20 {
        others.push(idle(&server, client).await);
    }
    assert!(crowd.iter_mut().all(Socket::is_closed) && others[0].is_closed());
    end(&mut busy);
    let newest = others.last_mut().unwrap();
    assert!(ask(newest).is_some(), "who came last is still there");
    let closed = server.metric("tidegate_connections_closed_total{reason=\"crowded_out\"}").await;
    assert!(closed >= 12.0, "{closed}");
    server.stop();
}

#[tokio::test]
async fn where_all_connections_are_busy_the_next_has_the_place_of_the_first_that_is_not() {
    let here = Installation::new();
    let server = serve(&here, &[("CONNECTIONS", "2"), ("DEADLINE", "600"), ("IDLE_TIMEOUT", "3600")]);
    let mut busy = [idle(&server, 3).await, idle(&server, 4).await];
    busy.iter_mut().for_each(begin);
    let mut next = Socket::of_client(&server, 5).await;
    next.write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
    assert!(!next.has_answer());
    end(&mut busy[0]);
    assert!(head_of_answer(&mut next).starts_with("http/1.1 200"));
    assert!(busy[0].is_closed());
    end(&mut busy[1]);
    server.stop();
}

#[tokio::test]
async fn a_share_shrinks_when_more_than_half_of_all_connections_are_taken() {
    let here = Installation::new();
    let variables = [("CONNECTIONS", "20"), ("CONNECTIONS_PER_NETWORK", "16"), ("IDLE_TIMEOUT", "3600")];
    let server = serve(&here, &variables);
    let mut kept = Vec::new();
    for _ in 0..16 {
        let mut stream = Socket::of_client(&server, 3).await;
        if ask(&mut stream).is_some() {
            kept.push(stream);
        }
    }
    // The 13th finds 8 of 20 left, which are worth 12 of 16.
    assert_eq!(kept.len(), 12);
    // However few are left, a client may have as many as a browser needs.
    for _ in 0..8 {
        kept.push(idle(&server, 4).await);
    }
    // All are taken.
    drop(idle(&server, 5).await);
    assert!(kept[0].is_closed());
    assert!(server.metric("tidegate_connections_closed_total{reason=\"scarce\"}").await >= 4.0);
    server.stop();
}

#[tokio::test]
async fn a_trusted_proxy_has_no_share_but_all() {
    let here = Installation::new();
    let variables = [("CONNECTIONS_PER_NETWORK", "2"), ("TRUSTED_PROXIES", "[127.0.0.1/32]")];
    let server = serve(&here, &variables);
    let mut many: Vec<Socket> = (0..10).map(|_| Socket::of(&server)).collect();
    assert!(many.iter_mut().all(|one| ask(one).is_some()));
    drop(many);
    server.stop();
}

#[tokio::test]
async fn a_client_that_takes_nothing_of_its_answers_is_let_go() {
    let here = Installation::new();
    let server = serve(&here, &[("WRITE_TIMEOUT", "1")]);
    let mut greedy = Socket::of(&server);
    // More than the buffers between the two hold.
    greedy.write_all("GET /openapi.json HTTP/1.1\r\nhost: localhost\r\n\r\n".repeat(500).as_bytes()).unwrap();
    let closed = "tidegate_connections_closed_total{reason=\"write_timeout\"}";
    eventually("it is let go", async || (server.metric(closed).await == 1.0).then_some(())).await;
    assert_eq!(server.get("/healthz").await.0, 200);
    drop(greedy);
    server.stop();
}

#[tokio::test]
async fn an_old_connection_is_closed_and_says_so_with_an_answer() {
    let here = Installation::new();
    let server = serve(&here, &[("CONNECTION_AGE", "1")]);
    let mut stream = Socket::of(&server);
    eventually("the connection is old", || {
        let head = ask(&mut stream).expect("no connection ends without a word");
        std::future::ready(head.contains("connection: close").then_some(()))
    })
    .await;
    assert!(stream.is_closed());
    server.stop();
}

#[tokio::test]
async fn bodies_of_one_client_leave_room_for_those_of_others() {
    const LARGEST: usize = 64 * 1024;
    let here = Installation::new();
    let server =
        serve(&here, &[("UPLOADS", "33554432"), ("DEADLINE", "600"), ("CONNECTIONS_PER_NETWORK", "1000")]);
    let head = format!(
        "POST /api/v1/auth/login HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         content-length: {LARGEST}\r\n\r\n"
    );
    let short_of_a_byte = vec![b' '; LARGEST - 1];
    let held: RefCell<Vec<Socket>> = RefCell::default();
    for _ in 0..256 {
        let mut stream = Socket::of(&server);
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(&short_of_a_byte).unwrap();
        held.borrow_mut().push(stream);
    }
    let refused = "tidegate_upload_budget_refusals_total";
    // Its share is used up once the server has read what was sent.
    eventually("its bodies are refused", async || {
        let mut stream = Socket::of(&server);
        stream.write_all(head.as_bytes()).unwrap();
        drop(stream.write_all(&short_of_a_byte));
        held.borrow_mut().push(stream);
        let at = format!("{}/metrics", server.base);
        let text = elsewhere().get(at).send().await.unwrap().text().await.unwrap();
        text.lines().any(|line| line.starts_with(refused)).then_some(())
    })
    .await;
    let body = json!({ "email": "nobody@example.com", "password": "Wrong1horse!" });
    let login = format!("{}/api/v2/auth/login", server.base);
    let answer = elsewhere().post(&login).json(&body).send().await.unwrap();
    assert_eq!(answer.status(), 401);
    // Nor do they keep out small ones of the client itself.
    assert_eq!(server.sign_in("nobody@example.com", "Wrong1horse!").await.0, 401);
    // What was held is given back with the connections.
    held.borrow_mut().clear();
    let large = body.to_string() + &" ".repeat(60_000);
    eventually("there is room again", async || {
        let request = server.http.post(&login).header("content-type", "application/json").body(large.clone());
        (request.send().await.ok()?.status() == 401).then_some(())
    })
    .await;
    server.stop();
}

#[tokio::test]
async fn a_body_that_does_not_come_is_the_clients_fault_in_answer_and_log() {
    let here = Installation::new();
    let server = serve(&here, &[("DEADLINE", "1")]);
    let mut stream = Socket::of(&server);
    stream
        .write_all(
            b"POST /api/v2/auth/login HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
              content-length: 9\r\n\r\n{",
        )
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 408 ") && answer.contains("REQUEST_TIMEOUT"), "{answer}");
    assert!(answer.to_lowercase().contains("connection: close"), "{answer}");
    let told = server.stop_and_tell();
    assert!(told.contains("\"status\":408") && !told.contains("\"level\":\"ERROR\""), "{told}");
}

#[tokio::test]
async fn a_request_names_one_host() {
    let here = Installation::new();
    let server = serve(&here, &[]);
    for (version, hosts, status) in [
        ("1.1", "host: localhost\r\n", "200"),
        ("1.0", "", "200"),
        ("1.1", "", "400"),
        ("1.1", "host: localhost\r\nhost: localhost\r\n", "400"),
        ("1.0", "host: localhost\r\nhost: evil.example\r\n", "400"),
        ("1.1", "host: local host\r\n", "400"),
    ] {
        let mut stream = Socket::of(&server);
        write!(stream, "GET /healthz HTTP/{version}\r\n{hosts}connection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with(&format!("HTTP/{version} {status} ")), "{version} {hosts:?}: {answer}");
        assert!(answer.contains("x-content-type-options: nosniff"), "{answer}");
    }
    server.stop();
}

#[tokio::test]
async fn on_another_listener_than_loopback_messages_are_read_by_command_alone() {
    let here = Installation::new();
    let server = here.serve(&["--dev"]);
    assert_eq!(server.get("/dev/outbox").await.0, 200);
    let told = server.stop_and_tell();
    assert!(told.contains("/dev/outbox"), "the warning names the page: {told}");

    let here = Installation::new();
    let server = here.serve(&["--dev", "--listen", "0.0.0.0:0"]);
    let local = server.base.replace("0.0.0.0", "127.0.0.1");
    let answer = server.http.get(format!("{local}/dev/outbox")).send().await.unwrap();
    assert_eq!(answer.status(), 404);
    let told = server.stop_and_tell();
    let warned: String = told.lines().filter(|line| line.contains("development mode")).collect();
    assert!(warned.contains("tidegate outbox") && !warned.contains("/dev/outbox"), "{told}");
}
