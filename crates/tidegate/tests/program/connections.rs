//! Connections that are kept, and those that are not: told to the client either way.

use std::io::{Read, Write};
use std::time::Duration;

use crate::sockets::Socket;
use crate::support::Installation;

/// The head of the next answer; its body is read and forgotten.
fn head_of_answer(stream: &mut Socket) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.extend(byte);
    }
    let head = String::from_utf8(head).unwrap().to_lowercase();
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
