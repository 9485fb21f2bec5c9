//! Being told to stop while there is work.

use std::io::{Read, Write};
use std::net::TcpStream;

use rustix::process::Signal;
use tidegate_testkit::eventually;

use crate::sockets::Socket;
use crate::support::{Installation, Server};

const BODY: &str = r#"{"email":"nobody@example.com","password":"Wrong1horse"}"#;

/// A request the server has begun to answer: it asked for the body, which is yet to be sent.
fn request_under_way(server: &Server) -> Socket {
    let address = server.base.trim_start_matches("http://");
    let mut connection = Socket::of(server);
    write!(
        connection,
        "POST /api/v2/auth/login HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\n\
         content-length: {}\r\nexpect: 100-continue\r\n\r\n",
        BODY.len()
    )
    .unwrap();
    let mut asked = [0; 25];
    connection.read_exact(&mut asked).unwrap();
    assert_eq!(&asked, b"HTTP/1.1 100 Continue\r\n\r\n");
    connection
}

async fn no_longer_accepts(server: &Server) {
    let address = server.base.trim_start_matches("http://");
    eventually("the port is closed", async || TcpStream::connect(address).is_err().then_some(())).await;
}

#[tokio::test]
async fn what_was_accepted_is_answered_before_it_ends() {
    let here = Installation::new();
    let mut server = here.serve(&[]);
    let mut connection = request_under_way(&server);
    server.signal(Signal::TERM);
    no_longer_accepts(&server).await;

    connection.write_all(BODY.as_bytes()).unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
    assert_eq!(server.wait(), Some(0));
    server.logs("\"message\":\"stopped\"");
}

/// logrotate, or a terminal that is closed.
#[tokio::test]
async fn a_hangup_leaves_what_is_under_way_alone() {
    let here = Installation::new();
    let mut server = here.serve(&[]);
    let mut connection = request_under_way(&server);
    server.signal(Signal::HUP);
    eventually("the signal is logged", async || server.log().contains("SIGHUP").then_some(())).await;
    connection.write_all(BODY.as_bytes()).unwrap();
    let mut head = [0; 13];
    connection.read_exact(&mut head).unwrap();
    assert_eq!(&head, b"HTTP/1.1 401 ");
    assert_eq!(server.get("/healthz").await.0, 200);
    drop(connection);
    server.signal(Signal::TERM);
    assert_eq!(server.wait(), Some(0));
}

#[tokio::test]
async fn told_twice_it_ends_at_once() {
    let here = Installation::new();
    let mut server = here.serve(&[]);
    let _never_finished = request_under_way(&server);
    server.signal(Signal::INT);
    no_longer_accepts(&server).await;
    server.signal(Signal::INT);
    assert_eq!(server.wait(), Some(1));
}

#[tokio::test]
async fn a_connection_on_which_nothing_is_asked_is_closed() {
    let here = Installation::new();
    let server = here.serve_with(&[], |command| {
        command.env("TIDEGATE_HTTP__IDLE_TIMEOUT", "1");
    });
    let address = server.base.trim_start_matches("http://");
    let head = format!("GET /healthz HTTP/1.1\r\nhost: {address}\r\n");
    let whole = format!("{head}\r\n");
    // Not a word; the beginning of HTTP/2, or of a request, and no more; an answered request with no other after it.
    for asked in ["", "PRI * HT", &head, &whole] {
        let mut connection = Socket::of(&server);
        connection.write_all(asked.as_bytes()).unwrap();
        let mut answer = String::new();
        connection.read_to_string(&mut answer).unwrap();
        assert_eq!(answer.starts_with("HTTP/1.1 200 OK"), asked == whole, "{asked:?}: {answer}");
    }
    server.stop();
}
