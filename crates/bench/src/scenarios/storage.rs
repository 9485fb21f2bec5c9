//! Files of 100 MB: uploaded and downloaded, against a bare server that writes and reads the same bytes.

use std::net::SocketAddr;
use std::time::Instant;

use serde_json::Value;

use super::{Bench, FEW, LOW_COST, SQLITE, sign_in};
use crate::clients::Contract;
use crate::load::with_connection;
use crate::machine::median;
use crate::report::{Budget, Row};
use crate::server::Server;
use crate::wire::{Answer, get, request_with};
use crate::{Result, progress};

const BYTES: usize = 100_000_000;
/// Measured in turns, so that what else the machine and the disk do hits both alike.
const TURNS: usize = 7;
const DIRECTORY: &str = "directory";

/// Seconds of each turn.
#[derive(Default)]
struct Times {
    upload: Vec<f64>,
    download: Vec<f64>,
}

pub(super) fn measure(bench: &Bench) -> Result<Vec<Row>> {
    let setup = bench.seeded("storage", SQLITE, LOW_COST, FEW)?;
    let server = setup.start()?;
    server.time_to_first_answer()?;
    let bare = Server::bare_file(&setup.dir)?;
    let (token, _) = sign_in(server.address, Contract::Rivergen, &[0])?.pop().ok_or("nobody is signed in")?;
    let content = content();
    let upload = upload(&token, "large.csv", &content);
    let put = request_with("PUT", "/file", "", &content);
    let (idle, _) = server.memory()?;
    let (mut ours, mut others) = (Times::default(), Times::default());
    for turn in 0..TURNS {
        progress(&format!("{} MB, turn {} of {TURNS}", BYTES / 1_000_000, turn + 1));
        let (seconds, ()) = timed(bare.address, &put, |answer| answer.expect(201))?;
        others.upload.push(seconds);
        let (seconds, object) = timed(server.address, &upload, object_of)?;
        ours.upload.push(seconds);
        others.download.push(downloaded(bare.address, "/file", &content)?);
        let path = signed(server.address, &token, &object)?;
        ours.download.push(downloaded(server.address, &path, &content)?);
        let path = format!("/api/v1/storage/objects/{object}");
        let remove = request_with("DELETE", &path, &bearer(&token), &[]);
        timed(server.address, &remove, |answer| answer.expect(200))?;
    }
    let (_, most) = server.memory()?;
    Ok(vec![
        row("upload", ours.upload, others.upload),
        row("download", ours.download, others.download),
        Row::new("memory, most while 100 MB go up and down", DIRECTORY, most, "MB")
            .budget(Budget::AtMost(60.0))
            .note(format!("{idle:.0} MB before")),
    ])
}

fn row(what: &str, ours: Vec<f64>, others: Vec<f64>) -> Row {
    let (ours, others) = (median(ours), median(others));
    let speed = |seconds: f64| BYTES as f64 / 1e6 / seconds;
    Row::new(format!("{what} of 100 MB, of a bare server's"), DIRECTORY, others / ours, "x")
        .budget(Budget::AtLeast(0.8))
        .note(format!("{:.0} MB/s of {:.0} MB/s, medians of {TURNS}", speed(ours), speed(others)))
}

/// Lines of a CSV file.
fn content() -> Vec<u8> {
    let mut content = Vec::with_capacity(BYTES);
    let line = b"1234567,a name of some length,2026-01-02T03:04:05Z,1234.56,true\n";
    while content.len() + line.len() <= BYTES {
        content.extend_from_slice(line);
    }
    content.resize(BYTES, b'\n');
    content
}

pub(super) fn bearer(token: &str) -> String {
    format!("authorization: Bearer {token}\r\n")
}

/// A request that uploads a file of that name.
pub(super) fn upload(token: &str, name: &str, content: &[u8]) -> Vec<u8> {
    let head = format!("--b\r\ncontent-disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\r\n");
    let form = [head.as_bytes(), content, b"\r\n--b--\r\n"].concat();
    let headers = format!("{}content-type: multipart/form-data; boundary=b\r\n", bearer(token));
    request_with("POST", "/api/v1/storage/upload", &headers, &form)
}

/// The name of the object that an upload made.
pub(super) fn object_of(answer: &Answer<'_>) -> Result<String> {
    text(&answer.json(201)?, "/data/file_path")
}

fn text(answer: &Value, pointer: &str) -> Result<String> {
    let text = answer.pointer(pointer).and_then(Value::as_str);
    Ok(text.ok_or_else(|| format!("no {pointer} in {answer}"))?.to_owned())
}

/// One request on a connection of its own: how many seconds it took, and what the answer says.
pub(super) fn timed<T>(
    server: SocketAddr,
    request: &[u8],
    read: impl FnOnce(&Answer<'_>) -> Result<T>,
) -> Result<(f64, T)> {
    with_connection(server, async |connection| {
        let begun = Instant::now();
        let answer = connection.call(request).await?;
        let seconds = begun.elapsed().as_secs_f64();
        Ok((seconds, read(&answer)?))
    })
}

/// The path of a signed URL of an object.
fn signed(server: SocketAddr, token: &str, object: &str) -> Result<String> {
    let path = format!("/api/v1/storage/objects/{object}/presigned-url");
    let (_, url) = timed(server, &get(&path, Some(token)), |answer| text(&answer.json(200)?, "/data/url"))?;
    let path = url.find("/storage/").and_then(|at| url.get(at..));
    Ok(path.ok_or_else(|| format!("{url} is no URL of a file"))?.to_owned())
}

/// A download that must be what was uploaded.
fn downloaded(server: SocketAddr, path: &str, content: &[u8]) -> Result<f64> {
    let (seconds, ()) = timed(server, &get(path, None), |answer| {
        answer.expect(200)?;
        if answer.body == content { Ok(()) } else { Err("a download is not what was uploaded".into()) }
    })?;
    Ok(seconds)
}
