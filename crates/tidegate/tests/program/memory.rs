//! What requests cost in memory, measured on the program itself.

use std::io::Write;
use std::net::TcpStream;
use std::process::Command;

use axum::body::Bytes;
use serde_json::{Value, json};
use tidegate_testkit::{concurrently, eventually, on_both_engines};

use crate::http2::{begin_sign_in, connect};
use crate::limits::elsewhere;
use crate::support::{Installation, Server};

/// Most memory the program may ever take in these stories, in KiB. Without bounds on what a body or a document becomes, they
/// took 900 to 2,800 MiB.
const MOST_KIB: u64 = 200 * 1024;

fn serve(here: &Installation) -> Server {
    here.serve_with(&[], |command: &mut Command| {
        command.env("TIDEGATE_LOG__FILTER", "error");
        for limit in ["ANONYMOUS_REQUESTS", "SIGN_IN_BY_IP"] {
            command.env(format!("TIDEGATE_CROSSING_MINDS__LIMITS__{limit}__ATTEMPTS"), "0");
        }
    })
}

/// Asserts that the program never took more than it may.
#[track_caller]
fn assert_modest(server: &Server, story: &str) {
    let peak = server.peak_memory_kib();
    assert!(peak < MOST_KIB, "{story}: {} MiB", peak / 1024);
}

/// A body whose field is an array of the values that take the most memory for their length.
fn dense(field: &str, values: usize) -> String {
    format!(
        "{{\"email\":\"ada@example.com\",\"password\":\"x\",\"{field}\":[{}0]}}",
        "{\"\":0},".repeat(values)
    )
}

/// Sends the body 30 times at once. The program answers, or closes the connection on a body it does not read.
async fn send_thirty(server: &Server, path: &str, body: &str) {
    let url = format!("{}{path}", server.base);
    let statuses = concurrently(30, |_| {
        let request = server.http.post(&url).header("content-type", "application/json").body(body.to_owned());
        async move { request.send().await.ok().map(|answer| answer.status().as_u16()) }
    })
    .await;
    let refused = |status: &u16| matches!(status, 400 | 401 | 403 | 413 | 422 | 429 | 503);
    assert!(statuses.iter().flatten().all(refused), "{path}: {statuses:?}");
}

/// The most that a body without a free document may have, in bytes.
const LARGEST: usize = 64 * 1024;
/// How many of them are begun: in all 94 MiB, of which a server that kept them all held 1,638.
const HELD: usize = 1_500;

/// Begins a sign-in with a body that is short of its last byte; the connection, which is held.
fn short_of_a_byte(server: &Server) -> Option<TcpStream> {
    let mut stream = TcpStream::connect(server.base.trim_start_matches("http://")).ok()?;
    write!(
        stream,
        "POST /api/v1/auth/login HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         content-length: {LARGEST}\r\n\r\n"
    )
    .ok()?;
    // The server may refuse it before all of it is sent.
    drop(stream.write_all(&vec![b' '; LARGEST - 1]));
    Some(stream)
}

/// Serves with the default budget for bodies, and connections enough for one client to use it up.
fn serve_many(here: &Installation) -> Server {
    here.serve_with(&["--dev"], |command: &mut Command| {
        command.env("TIDEGATE_HTTP__CONNECTIONS_PER_NETWORK", "2000").env("TIDEGATE_HTTP__DEADLINE", "600");
    })
}

/// Sees that bodies were refused, and that the server is alive and modest.
async fn assert_refused_and_modest(server: &Server, story: &str) {
    let refused = "tidegate_upload_budget_refusals_total";
    eventually("bodies are refused", async || {
        let answer = elsewhere().get(format!("{}/metrics", server.base)).send().await.unwrap();
        let text = answer.text().await.unwrap();
        text.lines().any(|line| line.starts_with(refused)).then_some(())
    })
    .await;
    let answer = elsewhere().get(format!("{}/healthz", server.base)).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_modest(server, story);
}

#[tokio::test]
async fn bodies_that_are_held_short_of_their_end_take_little_memory() {
    let here = Installation::new();
    let server = serve_many(&here);
    let held: Vec<TcpStream> = (0..HELD).filter_map(|_| short_of_a_byte(&server)).collect();
    assert!(held.len() > HELD / 2, "{} connections", held.len());
    assert_refused_and_modest(&server, "HTTP/1.1").await;
    drop(held);
    server.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn so_do_those_of_many_streams_of_one_connection() {
    let here = Installation::new();
    let server = serve_many(&here);
    let mut held = Vec::new();
    while held.len() < HELD {
        let client = connect(&server).await;
        for _ in 0..30 {
            let body = Bytes::from(vec![b' '; LARGEST - 1]);
            held.push(begin_sign_in(&server, &client, body).await);
        }
    }
    assert_refused_and_modest(&server, "HTTP/2").await;
    drop(held);
    server.stop();
}

on_both_engines! {
    async fn thirty_anonymous_bodies_of_a_mebibyte_take_little_memory(here: Installation) {
        let server = serve(&here);
        for (path, field) in [
            ("/v1/login/individual/", "frontend_user_id"),
            ("/v1/login/individual/", "email"),
            ("/v1/login/service/", "frontend_session_id"),
            ("/api/v1/auth/login", "workspace_id"),
            ("/api/v1/auth/signup", "unknown"),
            ("/api/v2/auth/login", "password2"),
            ("/api/v1/auth/enter-phone", "phone"),
        ] {
            // A mebibyte; as many bytes as are read; as many values as are read.
            for values in [149_000, 9_300, 2_700] {
                send_thirty(&server, path, &dense(field, values)).await;
                assert_modest(&server, &format!("{path} {field} {values}"));
            }
        }
        server.stop();
    }

    async fn lists_of_large_documents_take_little_memory(here: Installation) {
        let made = here.json(&["org", "create", "--new", "--name", "Acme", "--root-email", "root@acme.example"]);
        let server = serve(&here);
        let credentials = json!({"email": "root@acme.example", "password": made["password"]});
        let (status, answer) = server.post("/v1/login/individual/", credentials).await;
        assert_eq!(status, 200, "{answer}");
        let token = answer["token"].as_str().unwrap();
        let nodes: Value = (0..2_500).map(|_| json!({"": 0})).collect();
        let metadata = json!({"dense": nodes, "long": "x".repeat(47_000)});
        assert!((60_000..65_536).contains(&metadata.to_string().len()));
        for number in 0..60 {
            let program = json!({"name": format!("export {number}"), "role": "backend", "metadata": metadata});
            let database = json!({
                "name": format!("films {number}"), "description": "", "item_id_type": "uuid", "user_id_type": "uuid",
                "metadata": metadata,
            });
            for (path, body) in [("accounts/service/", program), ("databases/", database)] {
                let request = server.http.post(format!("{}/v1/{path}", server.base)).bearer_auth(token).json(&body);
                let answer = request.send().await.unwrap();
                assert_eq!(answer.status(), 200, "{}", answer.text().await.unwrap());
            }
        }
        for (path, expected) in [("organizations/current/accounts/", 3_700_000), ("databases/?amt=256", 5_000)] {
            let url = format!("{}/v1/{path}", server.base);
            let lengths = concurrently(8, |_| {
                let request = server.http.get(&url).bearer_auth(token);
                async move { request.send().await.unwrap().bytes().await.unwrap().len() }
            })
            .await;
            assert!(lengths.iter().all(|length| *length > expected), "{path}: {lengths:?} {}", server.log());
            assert_modest(&server, path);
        }
        server.stop();
    }
}
