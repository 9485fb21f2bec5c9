//! The protocol, message by message: what no driver does, and what drivers do out of sight.

use std::io::{Read, Write};
use std::process::Command;

use serde_json::{Value, json};
use tidegate_testkit::{eventually, on_both_engines};

use super::{people, port, psql, tokens};
use crate::member::{ADA, post, upload};
use crate::sockets::Socket;
use crate::support::{Installation, Server};

/// A client that knows bytes alone.
struct Raw {
    stream: Socket,
    /// By which it is cancelled.
    key: Vec<u8>,
}

fn message(kind: u8, parts: &[&[u8]]) -> Vec<u8> {
    let body = parts.concat();
    let length = u32::try_from(body.len() + 4).unwrap();
    [&[kind][..], &length.to_be_bytes(), &body].concat()
}

fn query(sql: &str) -> Vec<u8> {
    message(b'Q', &[sql.as_bytes(), b"\0"])
}

fn parse(sql: &str) -> Vec<u8> {
    message(b'P', &[b"\0", sql.as_bytes(), b"\0\0\0"])
}

/// Binds the unnamed statement to a portal, all results in the binary format.
fn bind(portal: &str) -> Vec<u8> {
    message(b'B', &[portal.as_bytes(), b"\0\0\0\0\0\0\0\x01\0\x01"])
}

fn execute(portal: &str, most: u32) -> Vec<u8> {
    message(b'E', &[portal.as_bytes(), b"\0", &most.to_be_bytes()])
}

fn sync() -> Vec<u8> {
    message(b'S', &[])
}

impl Raw {
    /// Signs in; the SQLSTATE where that is refused.
    fn sign_in(port: u16, token: &str) -> Result<Self, String> {
        let mut stream = Socket::to(("127.0.0.1", port));
        let named = format!("user\0{ADA}\0database\0people\0\0");
        let length = u32::try_from(named.len() + 8).unwrap();
        let start = [&length.to_be_bytes()[..], &196_608_u32.to_be_bytes(), named.as_bytes()].concat();
        stream.write_all(&start).unwrap();
        let mut raw = Self { stream, key: Vec::new() };
        match raw.next() {
            (b'E', body) => return Err(state(&body)),
            asked => assert_eq!(asked, (b'R', vec![0, 0, 0, 3])),
        }
        raw.send(&[message(b'p', &[token.as_bytes(), b"\0"])]);
        loop {
            match raw.next() {
                (b'E', body) => return Err(state(&body)),
                (b'K', key) => raw.key = key,
                (b'Z', _) => return Ok(raw),
                _ => {}
            }
        }
    }

    fn send(&mut self, messages: &[Vec<u8>]) {
        self.stream.write_all(&messages.concat()).unwrap();
    }

    /// The next message: its kind, and what it says.
    fn next(&mut self) -> (u8, Vec<u8>) {
        let mut head = [0; 5];
        self.stream.read_exact(&mut head).unwrap();
        let length = u32::from_be_bytes(head[1..].try_into().unwrap());
        let mut body = vec![0; usize::try_from(length).unwrap() - 4];
        self.stream.read_exact(&mut body).unwrap();
        (head[0], body)
    }

    /// All messages up to the next `ReadyForQuery`.
    fn answer(&mut self) -> Vec<(u8, Vec<u8>)> {
        let mut all = Vec::new();
        while all.last().is_none_or(|(kind, _)| *kind != b'Z') {
            all.push(self.next());
        }
        all
    }

    /// Their kinds, and the SQLSTATE of the first error.
    fn told(&mut self) -> (String, Option<String>) {
        let all = self.answer();
        let error = all.iter().find(|(kind, _)| *kind == b'E').map(|(_, body)| state(body));
        (all.iter().map(|(kind, _)| char::from(*kind)).collect(), error)
    }

    /// Whether there is something to read within a moment.
    fn has_answer(&self) -> bool {
        self.stream.has_answer()
    }
}

/// The field `C` of an error.
fn state(body: &[u8]) -> String {
    let found = body.split(|byte| *byte == 0).find_map(|field| field.strip_prefix(b"C"));
    String::from_utf8(found.unwrap().to_vec()).unwrap()
}

fn cancel(port: u16, key: &[u8]) {
    let mut stream = Socket::to(("127.0.0.1", port));
    let request = [&16_u32.to_be_bytes()[..], &80_877_102_u32.to_be_bytes(), key].concat();
    stream.write_all(&request).unwrap();
    // It is closed when the request was read.
    assert_eq!(stream.read(&mut [0; 1]).unwrap_or(0), 0, "a cancel request is never answered");
}

fn serve(here: &Installation) -> Server {
    serve_with(here, &[])
}

fn serve_with(here: &Installation, settings: &[(&str, &str)]) -> Server {
    here.serve_with(&["--dev"], |command: &mut Command| {
        command.env("TIDEGATE_PGWIRE__LISTEN", "127.0.0.1:0");
        command.env("TIDEGATE_PGWIRE__ALLOW_PLAIN_ON_LOOPBACK", "true");
        command.env("TIDEGATE_PGWIRE__CONNECTIONS_PER_ACCOUNT", "3");
        command.envs(settings.iter().copied());
    })
}

on_both_engines! {
    async fn messages_are_answered_as_the_protocol_says(here: Installation) {
        let server = serve(&here);
        let port = port(&server);
        let (session, token) = tokens(&here, &server).await;
        people(&here, &server, &session).await;
        let mut raw = Raw::sign_in(port, &token).unwrap();

        // Rows in parts, in the binary format. A tag counts the rows of its part.
        raw.send(&[parse("select id from emp order by id"), bind("p"), execute("p", 1), execute("p", 9), sync()]);
        let all = raw.answer();
        let kinds: String = all.iter().map(|(kind, _)| char::from(*kind)).collect();
        assert_eq!(kinds, "12DsDCZ");
        let row = |id: u8| vec![0, 1, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, id];
        assert_eq!((&all[2].1, &all[4].1), (&row(1), &row(3)));
        assert_eq!(all[5].1, b"SELECT 1\0");

        // After a mistake everything is skipped up to the end of the row of messages.
        raw.send(&[parse("select nothing from emp"), bind("q"), execute("q", 0), parse("select 1"), sync()]);
        assert_eq!(raw.told(), ("1EZ".to_owned(), Some("42703".to_owned())));
        // Portals end with their row of messages, where no transaction was begun.
        raw.send(&[execute("p", 0), sync()]);
        assert_eq!(raw.told(), ("EZ".to_owned(), Some("34000".to_owned())));
        // In one that is believed to be, they stay, and a mistake is told until its end.
        raw.send(&[query("begin")]);
        assert_eq!(raw.answer().last().unwrap().1, b"T");
        raw.send(&[parse("select id from emp order by id"), bind("p"), execute("p", 1), sync()]);
        assert_eq!(raw.told().0, "12DsZ");
        raw.send(&[execute("p", 0), sync()]);
        assert_eq!(raw.told().0, "DCZ");
        raw.send(&[query("select nothing from emp")]);
        assert_eq!(raw.told(), ("EZ".to_owned(), Some("42703".to_owned())));
        raw.send(&[query("select 1 from emp")]);
        assert_eq!(raw.told(), ("EZ".to_owned(), Some("25P02".to_owned())));
        raw.send(&[query("rollback")]);
        assert_eq!(raw.told().0, "CZ");

        // Data of a copy that nobody asked for is ignored, and so is an empty text answered.
        raw.send(&[message(b'd', &[b"x"]), query(" ; -- nothing")]);
        assert_eq!(raw.told().0, "IZ");
        // Names that only take room, and a statement with more parameters than there may be.
        raw.send(&[message(b'P', &[&[b'n'; 300], b"\0select 1\0\0\0"]), sync()]);
        assert_eq!(raw.told().1.as_deref(), Some("54000"));
        let types = [&2_000_u16.to_be_bytes()[..], &[0; 8_000]].concat();
        raw.send(&[message(b'P', &[b"\0select 1\0", &types]), sync()]);
        assert_eq!(raw.told().1.as_deref(), Some("54000"));
        // A message that is longer than any may be ends the connection.
        raw.send(&[[&b"Q"[..], &(2_u32 << 20).to_be_bytes()].concat()]);
        let (kind, body) = raw.next();
        assert_eq!((kind, state(&body).as_str()), (b'E', "08P01"));
        assert_eq!(raw.stream.read(&mut [0; 1]).unwrap_or(0), 0);
        server.stop();
    }

    async fn a_portal_that_waits_shows_no_row_that_a_policy_hides_by_now(here: Installation) {
        let server = serve(&here);
        let port = port(&server);
        let (session, token) = tokens(&here, &server).await;
        people(&here, &server, &session).await;
        let mut raw = Raw::sign_in(port, &token).unwrap();
        raw.send(&[query("begin")]);
        raw.answer();
        raw.send(&[parse("select id from emp order by id"), bind("p"), execute("p", 1), sync()]);
        assert_eq!(raw.told().0, "12DsZ");
        // The other row is at hand already.
        let rule = json!({ "rule_name": "r", "rule_type": "filter_rows", "rule_config": { "table": "emp", "condition": "id < 2" } });
        let body = json!({ "name": "Later", "type": "row_level_security", "role_ids": [1, 2, 3, 4], "rules": [rule] });
        post(&server, &session, "policies", &body).await;
        raw.send(&[execute("p", 0), sync()]);
        assert_eq!(raw.told(), ("EZ".to_owned(), Some("42501".to_owned())));
        server.stop();
    }

    async fn a_portal_that_waits_shows_no_row_of_a_file_that_was_removed(here: Installation) {
        let server = serve(&here);
        let port = port(&server);
        let (session, token) = tokens(&here, &server).await;
        people(&here, &server, &session).await;
        let mut raw = Raw::sign_in(port, &token).unwrap();
        raw.send(&[query("begin")]);
        raw.answer();
        raw.send(&[parse("select id from emp order by id"), bind("p"), execute("p", 1), sync()]);
        assert_eq!(raw.told().0, "12DsZ");
        let files = format!("{}/api/v1/storage/files", server.base);
        let files: Value = server.http.get(files).bearer_auth(&session).send().await.unwrap().json().await.unwrap();
        let object = files["data"]["items"][0]["object_name"].as_str().unwrap_or_else(|| panic!("{files}"));
        let removed = server.http.delete(format!("{}/api/v1/storage/objects/{object}", server.base)).bearer_auth(&session);
        assert_eq!(removed.send().await.unwrap().status(), 200);
        raw.send(&[execute("p", 0), sync()]);
        assert_eq!(raw.told(), ("EZ".to_owned(), Some("42501".to_owned())));
        // Nor does a new statement read it.
        raw.send(&[query("rollback")]);
        raw.answer();
        raw.send(&[parse("select id from emp"), bind("q"), execute("q", 0), sync()]);
        assert_eq!(raw.told().1.as_deref(), Some("58000"));
        server.stop();
    }

    async fn a_portal_that_waits_goes_on_where_a_file_was_removed_that_it_does_not_read(here: Installation) {
        let server = serve(&here);
        let port = port(&server);
        let (session, token) = tokens(&here, &server).await;
        people(&here, &server, &session).await;
        let other = upload(&server, &session, "other.csv", b"a\n1\n").await;
        let source = json!({ "name": "Other", "type": "csv", "file_path": other });
        post(&server, &session, "data-sources", &source).await;
        let mut raw = Raw::sign_in(port, &token).unwrap();
        raw.send(&[query("begin")]);
        raw.answer();
        raw.send(&[parse("select id from emp order by id"), bind("p"), execute("p", 1), sync()]);
        assert_eq!(raw.told().0, "12DsZ");
        let removed = server.http.delete(format!("{}/api/v1/storage/objects/{other}", server.base)).bearer_auth(&session);
        assert_eq!(removed.send().await.unwrap().status(), 200);
        raw.send(&[execute("p", 1), sync()]);
        assert!(raw.told().0.starts_with('D'));
        server.stop();
    }

    async fn who_asks_without_an_end_is_answered_meanwhile_and_keeps_little(here: Installation) {
        let server = serve(&here);
        let port = port(&server);
        let (session, token) = tokens(&here, &server).await;
        people(&here, &server, &session).await;
        let mut raw = Raw::sign_in(port, &token).unwrap();

        // More descriptions than wait to be sent, and no end of the row of messages.
        let describe = message(b'D', &[b"S\0"]);
        raw.send(&[parse("select id, region, note from emp"), describe.repeat(2_000)]);
        assert_eq!(raw.next().0, b'1');
        assert_eq!((raw.next().0, raw.next().0), (b't', b'T'), "before anybody says that this is all");
        raw.send(&[sync()]);
        assert_eq!(raw.told().1, None);

        // A statement that means no data is short: each of its portals has a copy of it.
        let long = "x".repeat(5_000);
        raw.send(&[parse(&format!("set application_name to '{long}'")), sync()]);
        assert_eq!(raw.told(), ("EZ".to_owned(), Some("54000".to_owned())));
        raw.send(&[parse(&format!("select '{}'", long.repeat(10))), sync()]);
        assert_eq!(raw.told(), ("EZ".to_owned(), Some("54000".to_owned())));
        raw.send(&[parse(&format!("select '{long}'")), sync()]);
        assert_eq!(raw.told(), ("1Z".to_owned(), None));
        server.stop();
    }

    async fn who_says_nothing_makes_room_and_who_has_signed_in_stays(here: Installation) {
        // Whoever waits for these to be given up waits for longer than a test does.
        let server = serve_with(&here, &[("TIDEGATE_PGWIRE__CONNECTIONS", "3"), ("TIDEGATE_PGWIRE__SIGN_IN_TIMEOUT", "3600")]);
        let port = port(&server);
        let (session, token) = tokens(&here, &server).await;
        people(&here, &server, &session).await;
        let connect = || Socket::to(("127.0.0.1", port));
        let mut silent: Vec<Socket> = (0..8).map(|_| connect()).collect();
        let mut raw = Raw::sign_in(port, &token).unwrap();
        assert_eq!(silent[0].read(&mut [0; 1]).unwrap_or(0), 0, "the one that waited longest is sent away");
        // One that asks for nothing but its key, and half a message.
        silent.extend((0..8).map(|_| connect()));
        for stream in &mut silent[8..] {
            // It may have been sent away by now.
            drop(stream.write_all(&[0, 0, 0x20]));
        }
        raw.send(&[query("select count(*) from emp")]);
        assert_eq!(raw.told().1, None);
        drop(Raw::sign_in(port, &token).unwrap());
        raw.send(&[query("select count(*) from emp")]);
        assert_eq!(raw.told().1, None);
        assert!(server.metric("tidegate_postgres_connections_total{outcome=\"crowded_out\"}").await >= 6.0);
        server.stop();
    }

    async fn where_all_places_are_held_by_clients_that_are_signed_in_the_next_is_told_so(here: Installation) {
        let server = serve_with(&here, &[("TIDEGATE_PGWIRE__CONNECTIONS", "2"), ("TIDEGATE_PGWIRE__SIGN_IN_TIMEOUT", "3600")]);
        let port = port(&server);
        let (session, token) = tokens(&here, &server).await;
        people(&here, &server, &session).await;
        let (mut one, other) = (Raw::sign_in(port, &token).unwrap(), Raw::sign_in(port, &token).unwrap());
        assert_eq!(Raw::sign_in(port, &token).err().as_deref(), Some("53300"));
        // Whoever says nothing keeps nobody from being told, however many do.
        let silent: Vec<Socket> = (0..40).map(|_| Socket::to(("127.0.0.1", port))).collect();
        assert_eq!(Raw::sign_in(port, &token).err().as_deref(), Some("53300"));
        let said = psql(&here, port, &token, "select 1");
        assert_eq!(said.code, 2, "{said:?}");
        assert!(said.err.contains("Too many clients are connected already."), "{said:?}");

        // Who has a place can still call off what it asked for.
        one.send(&[query("select count(*) from range(3000000) a join range(3000000) b on a.value * b.value < -1")]);
        while !one.has_answer() {
            cancel(port, &one.key);
        }
        cancel(port, &one.key);
        assert_eq!(one.told().1.as_deref(), Some("57014"));
        one.send(&[query("select count(*) from emp")]);
        assert_eq!(one.told().1, None);
        drop((other, silent));
        eventually("a place that was given back is taken", async || Raw::sign_in(port, &token).ok()).await;
        server.stop();
    }

    async fn only_its_own_key_cancels_a_query_and_an_account_has_its_share(here: Installation) {
        let server = serve(&here);
        let port = port(&server);
        let (session, token) = tokens(&here, &server).await;
        people(&here, &server, &session).await;
        let (mut one, mut other) = (Raw::sign_in(port, &token).unwrap(), Raw::sign_in(port, &token).unwrap());
        assert_ne!(one.key, other.key);

        // More pairs than can be looked at while anybody waits.
        one.send(&[query("select count(*) from range(3000000) a join range(3000000) b on a.value * b.value < -1")]);
        cancel(port, &[0; 8]);
        cancel(port, &other.key);
        other.send(&[query("select count(*) from emp")]);
        assert_eq!(other.told(), ("TDCZ".to_owned(), None), "what was called off before it began");
        while !one.has_answer() {
            cancel(port, &one.key);
        }
        // Its columns may have been told before.
        cancel(port, &one.key);
        let (told, code) = one.told();
        assert_eq!((told.trim_start_matches('T'), code.as_deref()), ("EZ", Some("57014")));
        one.send(&[query("select count(*) from emp")]);
        assert_eq!(one.told().1, None);

        let third = Raw::sign_in(port, &token).unwrap();
        assert_eq!(Raw::sign_in(port, &token).err().as_deref(), Some("53300"));
        drop(third);
        eventually("a connection that is gone makes room", async || Raw::sign_in(port, &token).ok()).await;
        server.stop();
    }
}
