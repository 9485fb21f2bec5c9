//! The log never decides about a request, a start or a stop; nor does a signal meant for the log.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write, pipe};

use rustix::process::{Pid, Signal, kill_process};
use tidegate_testkit::eventually;

use crate::sockets::Socket;
use crate::support::{Installation, Server};

const DROPPED: &str = "tidegate_log_lines_dropped_total{reason=\"writer\"}";

/// Refused requests are answered, the loss is counted, and the end is an orderly one.
async fn assert_unharmed(mut server: Server) {
    assert_eq!(server.get("/api/v1/nothing").await.0, 404);
    assert_eq!(server.sign_in("nobody@example.com", "Wrong1horse!").await.0, 401);
    eventually("the loss is counted", async || (server.metric(DROPPED).await > 0.0).then_some(())).await;
    assert_eq!(server.get("/readyz").await.0, 200);
    server.signal(Signal::TERM);
    assert_eq!(server.wait(), Some(0));
}

#[tokio::test]
async fn with_the_logs_disk_full_it_starts_answers_and_stops() {
    for format in ["json", "text"] {
        let here = Installation::new();
        let server = here.serve_with(&["--dev"], |command| {
            command.env("TIDEGATE_LOG__FORMAT", format);
            command.stderr(OpenOptions::new().write(true).open("/dev/full").unwrap());
        });
        assert_unharmed(server).await;
    }
}

#[tokio::test]
async fn with_the_logs_reader_gone_it_answers_and_stops() {
    let here = Installation::new();
    let (reader, writer) = pipe().unwrap();
    let server = here.serve_with(&[], |command| {
        command.stderr(writer);
    });
    drop(reader);
    assert_unharmed(server).await;
}

/// The line that says that it is ready is for whoever started it: where nobody reads it, it serves all the same.
#[tokio::test]
async fn without_a_reader_of_its_standard_output_it_serves_and_stops() {
    for full in [true, false] {
        let here = Installation::new();
        let mut command = here.command(&["serve", "--dev", "--listen", "127.0.0.1:0"]);
        let log = here.path().join("log");
        command.stderr(File::create(&log).unwrap());
        if full {
            command.stdout(OpenOptions::new().write(true).open("/dev/full").unwrap());
        } else {
            let (reader, writer) = pipe().unwrap();
            drop(reader);
            command.stdout(writer);
        }
        let mut process = command.spawn().unwrap();
        let read = || std::fs::read_to_string(&log).unwrap();
        let port = eventually("it listens", || {
            assert_eq!(process.try_wait().unwrap(), None, "{}", read());
            std::future::ready(listening_port(process.id()))
        })
        .await;
        let base = format!("http://127.0.0.1:{port}");
        let answer = reqwest::get(format!("{base}/api/v1/nothing")).await.unwrap();
        assert_eq!(answer.status(), 404);
        kill_process(Pid::from_child(&process), Signal::TERM).unwrap();
        assert_eq!(process.wait().unwrap().code(), Some(0), "{}", read());
        assert!(!read().contains("panicked"), "{}", read());
    }
}

/// The port on which a process of this machine listens (proc(5), /proc/pid/net/tcp): of the sockets that are its own.
fn listening_port(process: u32) -> Option<u16> {
    let sockets = std::fs::read_dir(format!("/proc/{process}/fd")).ok()?;
    let own: Vec<String> = sockets
        .filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok()?.to_str().map(str::to_owned))
        .collect();
    let table = std::fs::read_to_string(format!("/proc/{process}/net/tcp")).ok()?;
    table.lines().skip(1).find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let is_own = own.contains(&format!("socket:[{}]", fields.get(9)?));
        // 0A: it listens.
        let is_listening = is_own && *fields.get(3)? == "0A";
        let port = fields.get(1)?.split_once(':')?.1;
        is_listening.then(|| u16::from_str_radix(port, 16).ok())?
    })
}

/// A command that cannot say what is wrong ends with the same code, and does what it was told.
#[tokio::test]
async fn a_command_with_nowhere_to_complain_ends_as_ever() {
    let here = Installation::new();
    here.begin();
    for (arguments, code) in [
        (&["user", "show", "nobody@example.com"][..], 1),
        (&["user", "list", "--nonsense"], 2),
        (&["user", "create", "--email", "ada@example.com"], 0),
    ] {
        let mut command = here.command(arguments);
        command.stderr(OpenOptions::new().write(true).open("/dev/full").unwrap());
        assert_eq!(command.output().unwrap().status.code(), Some(code), "{arguments:?}");
    }
    assert_eq!(here.json(&["user", "list", "--search", "ada@"])[0]["login"], "ada@example.com");
}

#[tokio::test]
async fn with_a_reader_that_does_not_read_it_answers_and_stops() {
    let here = Installation::new();
    let (reader, writer) = pipe().unwrap();
    let server = here.serve_with(&[], |command| {
        command.env("TIDEGATE_LOG__FILTER", "debug").stderr(writer);
    });
    // More lines than the pipe and the queue before it hold.
    let mut stream = Socket::of(&server);
    for _ in 0..100 {
        let requests = "GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n".repeat(100);
        stream.write_all(requests.as_bytes()).unwrap();
        let mut answers = 0;
        let mut seen = Vec::new();
        while answers < 100 {
            let mut bytes = [0; 16 * 1024];
            let read = stream.read(&mut bytes).unwrap();
            assert!(read > 0, "the connection was closed");
            seen.extend(&bytes[..read]);
            answers = String::from_utf8_lossy(&seen).matches("HTTP/1.1 200").count();
        }
    }
    drop(stream);
    assert_unharmed(server).await;
    drop(reader);
}

#[tokio::test]
async fn a_hangup_does_not_end_it() {
    let here = Installation::new();
    let mut server = here.serve(&[]);
    for _ in 0..2 {
        server.signal(Signal::HUP);
        eventually("the signal is logged", async || server.log().contains("SIGHUP").then_some(())).await;
        assert_eq!(server.get("/healthz").await.0, 200);
    }
    server.signal(Signal::TERM);
    assert_eq!(server.wait(), Some(0));
}

#[tokio::test]
async fn a_flood_of_refused_requests_is_no_flood_of_lines() {
    let here = Installation::new();
    let server = here.serve(&[]);
    for _ in 0..300 {
        assert_eq!(server.get("/nowhere").await.0, 404);
    }
    let left_out = server.metric("tidegate_log_lines_dropped_total{reason=\"limit\"}").await;
    let told = server.stop_and_tell();
    let lines = told.matches("\"message\":\"answered\"").count();
    // A minute may have turned meanwhile.
    assert!((60..=120).contains(&lines), "{lines} lines");
    assert_eq!(left_out as usize + lines, 300);
}

#[tokio::test]
async fn an_origin_that_is_refused_is_named_once_with_the_key_that_admits_it() {
    let here = Installation::new();
    let server = here.serve(&[]);
    let preflight = async |origin: &str| {
        let request =
            server.http.request(reqwest::Method::OPTIONS, format!("{}/api/v1/auth/login", server.base));
        let request = request.header("origin", origin).header("access-control-request-method", "POST");
        request.send().await.unwrap().status().as_u16()
    };
    for origin in
        ["https://app.example.com", "https://app.example.com", "http://localhost:3000", "null", "a b://c"]
    {
        assert_eq!(preflight(origin).await, 403, "{origin}");
    }
    let script =
        server.http.get(format!("{}/openapi.json", server.base)).header("origin", "https://other.example");
    script.header("sec-fetch-site", "cross-site").header("sec-fetch-mode", "cors").send().await.unwrap();
    // A page calls its own origin.
    let own = server.http.get(format!("{}/openapi.json", server.base)).header("origin", server.base.as_str());
    own.header("sec-fetch-site", "same-origin").header("sec-fetch-mode", "cors").send().await.unwrap();
    let told = server.stop_and_tell();
    let lines: Vec<&str> = told.lines().filter(|line| line.contains("http.cors_origins")).collect();
    assert_eq!(lines.len(), 3, "{told}");
    for origin in ["https://app.example.com", "http://localhost:3000", "https://other.example"] {
        let said = format!("origin {origin} refused: add it to http.cors_origins");
        assert!(lines.iter().any(|line| line.contains(&said)), "{origin}: {told}");
    }
}

#[tokio::test]
async fn in_development_a_page_of_this_machine_may_call() {
    let here = Installation::new();
    let server = here.serve(&["--dev"]);
    let request =
        server.http.get(format!("{}/openapi.json", server.base)).header("origin", "http://localhost:3000");
    let answer = request.send().await.unwrap();
    assert_eq!(answer.headers()["access-control-allow-origin"], "http://localhost:3000");
    server.stop();
}
