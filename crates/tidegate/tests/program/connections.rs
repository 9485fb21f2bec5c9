//! Connections that are kept, and those that are not: told to the client either way.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::time::Duration;

use crate::sockets::Socket;
use crate::support::Installation;

/// The head of the next answer.
pub(crate) fn head(stream: &mut Socket) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.extend(byte);
    }
    String::from_utf8(head).unwrap().to_lowercase()
}

/// The same; its body is read and forgotten.
pub(crate) fn head_of_answer(stream: &mut Socket) -> String {
    let head = head(stream);
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
    stream.read_exact(&mut vec![0; length.parse().unwrap()]).unwrap();
    head
}

#[test]
fn an_answer_that_needs_no_body_does_not_cost_the_connection_of_a_client_that_sends_one_late() {
    let here = Installation::new();
    let server = here.serve(&["--dev"]);
    let mut stream = Socket::of(&server);
    for (request, status) in [
        ("PUT /api/v2/auth/login", "405"),
        ("POST /api/v1/auth/logout", "401"),
        ("POST /v1/nowhere/", "404"),
        ("POST /nowhere", "404"),
    ] {
        write!(
            stream,
            "{request} HTTP/1.1\r\nhost: x\r\ncontent-type: text/plain\r\ncontent-length: 10\r\n\r\n"
        )
        .unwrap();
        // Head and body in packets of their own, as many clients send them.
        std::thread::sleep(Duration::from_millis(50));
        stream.write_all(b"0123456789").unwrap();
        let head = head_of_answer(&mut stream);
        assert!(
            head.starts_with(&format!("http/1.1 {status}")) && !head.contains("connection: close"),
            "{head}"
        );
    }
    stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    assert!(head_of_answer(&mut stream).starts_with("http/1.1 200"));
    server.stop();
}

#[test]
fn a_connection_that_ends_with_an_answer_says_so() {
    let here = Installation::new();
    let server = here.serve(&["--dev"]);
    for body in ["content-length: 1000000", "transfer-encoding: chunked"] {
        let mut stream = Socket::of(&server);
        write!(
            stream,
            "POST /v1/login/root/ HTTP/1.1\r\nhost: x\r\ncontent-type: text/plain\r\n{body}\r\n\r\n"
        )
        .unwrap();
        let head = head_of_answer(&mut stream);
        assert!(head.starts_with("http/1.1 415") && head.contains("connection: close"), "{head}");
    }
    server.stop();
}

#[test]
fn answers_are_the_same_whatever_the_path_ends_with_and_have_what_every_answer_has() {
    let here = Installation::new();
    let server = here.serve(&["--dev"]);
    let mut stream = Socket::of(&server);
    let mut ids = BTreeSet::new();
    for (request, status, says) in [
        ("GET /healthz", "200", "content-type: application/json\r\n"),
        ("GET /healthz/", "200", "content-length: 15\r\n"),
        // Without its body: the next answer would begin with it.
        ("HEAD /healthz", "200", "content-length: 15\r\n"),
        ("PUT /healthz/", "405", "allow: get,head\r\n"),
        ("GET /api/v2/auth/login/", "405", "allow: post\r\n"),
        ("GET //healthz", "404", ""),
        ("GET /v1/nowhere/", "404", ""),
    ] {
        write!(stream, "{request} HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
        let is_head = request.starts_with("HEAD");
        let head = if is_head { head(&mut stream) } else { head_of_answer(&mut stream) };
        assert!(head.starts_with(&format!("http/1.1 {status}")) && head.contains(says), "{request}: {head}");
        assert!(head.contains("x-content-type-options: nosniff\r\n"), "{request}: {head}");
        let id = head.lines().find_map(|line| line.strip_prefix("x-request-id: ")).unwrap().to_owned();
        assert!(id.len() == 32 && ids.insert(id), "{request}: {head}");
    }
    server.stop();
}

#[test]
fn a_body_that_does_not_come_is_waited_for_however_its_length_is_told() {
    let here = Installation::new();
    let server = here.serve_with(&["--dev"], |command| {
        command.env("TIDEGATE_HTTP__DEADLINE", "2");
    });
    for (length, begun, is_awaited) in [
        ("content-length: 10", "{", true),
        ("transfer-encoding: chunked", "1\r\n{\r\n", true),
        ("transfer-encoding: chunked", "", true),
        ("transfer-encoding: chunked", "0\r\n\r\n", false),
        ("content-length: 0", "", false),
        ("x-length: none", "", false),
    ] {
        let mut stream = Socket::of(&server);
        write!(
            stream,
            "POST /api/v2/auth/login HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n{length}\r\n\r\n{begun}"
        )
        .unwrap();
        let head = head_of_answer(&mut stream);
        // 408 is said of a body that takes from the budget; the handler's own delay would be a 503.
        assert!(head.starts_with("http/1.1 4"), "{length} {begun:?}: {head}");
        assert_eq!(head.starts_with("http/1.1 408"), is_awaited, "{length} {begun:?}: {head}");
    }
    server.stop();
}

#[test]
fn what_begins_with_no_request_and_what_is_too_long_is_told_in_the_log() {
    let here = Installation::new();
    let server = here.serve(&["--dev"]);
    for (bytes, told) in [
        (
            &b"PROXY TCP4 198.51.100.1 127.0.0.1 51000 80\r\nGET / HTTP/1.1\r\nhost: x\r\n\r\n"[..],
            "speaks the PROXY protocol",
        ),
        (&b"\x16\x03\x01\x00\x2f\x01\x00\x00\x2b\x03\x03\r\n\r\n"[..], "begins with TLS"),
    ] {
        let mut stream = Socket::of(&server);
        stream.write_all(bytes).unwrap();
        assert!(head(&mut stream).starts_with("http/1.1 400"), "{told}");
        server.logs(told);
    }
    let mut stream = Socket::of(&server);
    let cookies = "a=1;".repeat(20_000);
    // Before all of it is sent it may be answered.
    drop(write!(stream, "GET /healthz HTTP/1.1\r\nhost: x\r\ncookie: {cookies}\r\n\r\n"));
    server.logs("is answered with 431");
    server.stop();
}
