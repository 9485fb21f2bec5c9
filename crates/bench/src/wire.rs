//! One HTTP/1.1 connection, cheap enough that the server under it is what is measured.
//!
//! Requests are bytes made beforehand, and of an answer only what measuring needs is read. A whole HTTP client would use
//! as much of the two cores as the server does.

use std::net::SocketAddr;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::Result;

/// Longest answer expected; more than that is read in several steps.
const INBOX: usize = 16 * 1024;
const MAX_HEADERS: usize = 32;

/// A connection that is kept open.
pub(crate) struct Connection {
    stream: TcpStream,
    inbox: Vec<u8>,
}

/// An answer, as long as the next is not read.
pub(crate) struct Answer<'c> {
    pub(crate) status: u16,
    head: &'c [u8],
    pub(crate) body: &'c [u8],
}

impl Answer<'_> {
    /// The body as JSON, of an answer with `status`.
    pub(crate) fn json(&self, status: u16) -> Result<Value> {
        self.expect(status)?;
        Ok(serde_json::from_slice(self.body)?)
    }

    /// Refuses an answer with another status.
    pub(crate) fn expect(&self, status: u16) -> Result<()> {
        if self.status == status {
            return Ok(());
        }
        let body: String = String::from_utf8_lossy(self.body).chars().take(300).collect();
        Err(format!("answered {} instead of {status}: {body}", self.status).into())
    }

    /// The cookies that it sets, as a browser would send them back.
    pub(crate) fn cookies(&self) -> Result<String> {
        let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut answer = httparse::Response::new(&mut headers);
        answer.parse(self.head)?;
        let set = answer.headers.iter().filter(|header| header.name.eq_ignore_ascii_case("set-cookie"));
        let mut cookies = Vec::new();
        for header in set {
            let cookie = std::str::from_utf8(header.value)?;
            cookies.push(cookie.split(';').next().unwrap_or_default().trim());
        }
        Ok(cookies.join("; "))
    }
}

impl Connection {
    pub(crate) async fn open(to: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(to).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, inbox: Vec::with_capacity(INBOX) })
    }

    /// Sends a request and reads its answer.
    pub(crate) async fn call(&mut self, request: &[u8]) -> Result<Answer<'_>> {
        self.stream.write_all(request).await?;
        self.inbox.clear();
        loop {
            if self.stream.read_buf(&mut self.inbox).await? == 0 {
                return Err("the server closed the connection".into());
            }
            let Some((status, head, length)) = head_of(&self.inbox)? else { continue };
            let end = loop {
                let read = self.inbox.get(head..).unwrap_or_default();
                let end = match length {
                    Length::Known(length) => Some(length).filter(|length| *length <= read.len()),
                    Length::Chunked => end_of_chunks(read)?,
                };
                match end {
                    Some(end) => break head + end,
                    None if self.stream.read_buf(&mut self.inbox).await? == 0 => {
                        return Err("the server closed the connection in the middle of an answer".into());
                    }
                    None => {}
                }
            };
            let (head, body) = (self.inbox.get(..head), self.inbox.get(head..end));
            return Ok(Answer { status, head: head.unwrap_or_default(), body: body.unwrap_or_default() });
        }
    }
}

impl Connection {
    /// Sends a request, and waits until the body of its answer has these bytes. The rest is not read, so that the connection is of no use
    /// after it.
    pub(crate) async fn call_until(&mut self, request: &[u8], status: u16, mark: &[u8]) -> Result<()> {
        self.stream.write_all(request).await?;
        self.inbox.clear();
        loop {
            if self.stream.read_buf(&mut self.inbox).await? == 0 {
                return Err("the server closed the connection".into());
            }
            let Some((answered, head, _)) = head_of(&self.inbox)? else { continue };
            let body = self.inbox.get(head..).unwrap_or_default();
            Answer { status: answered, head: &[], body }.expect(status)?;
            if body.windows(mark.len()).any(|part| part == mark) {
                return Ok(());
            }
        }
    }
}

/// How long a body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Length {
    Known(usize),
    /// In chunks (RFC 9112 section 7.1), whose sizes stay in the body: what is measured is not read.
    Chunked,
}

/// Where a body in chunks ends, once it does.
fn end_of_chunks(bytes: &[u8]) -> Result<Option<usize>> {
    let mut at = 0;
    loop {
        let rest = bytes.get(at..).unwrap_or_default();
        let size = httparse::parse_chunk_size(rest).map_err(|_| "a chunk of no size")?;
        let httparse::Status::Complete((head, size)) = size else {
            return Ok(None);
        };
        // Each chunk ends with a line's end; so does the empty one, as there are no trailers.
        at += head + usize::try_from(size)? + 2;
        if bytes.len() < at {
            return Ok(None);
        }
        if size == 0 {
            return Ok(Some(at));
        }
    }
}

/// Status, length of the head and length of the body, once the head is complete.
fn head_of(bytes: &[u8]) -> Result<Option<(u16, usize, Length)>> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut answer = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(head) = answer.parse(bytes)? else {
        return Ok(None);
    };
    let status = answer.code.unwrap_or_default();
    let named = |name: &str| answer.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
    let body = match named("content-length") {
        Some(length) => Length::Known(std::str::from_utf8(length.value)?.trim().parse()?),
        None if status == 204 => Length::Known(0),
        None if named("transfer-encoding").is_some() => Length::Chunked,
        None => return Err("an answer without a length cannot be measured here".into()),
    };
    Ok(Some((status, head, body)))
}

/// A request without a body.
pub(crate) fn get(path: &str, token: Option<&str>) -> Vec<u8> {
    let authorization = token.map(|token| format!("authorization: Bearer {token}\r\n")).unwrap_or_default();
    get_with(path, &authorization)
}

/// The same with these headers, each with its end.
pub(crate) fn get_with(path: &str, headers: &str) -> Vec<u8> {
    format!(
        "GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nuser-agent: tidegate-bench\r\naccept: application/json\r\n\
         {headers}\r\n"
    )
    .into_bytes()
}

/// A request with these headers, each with its end, and a body as it is.
pub(crate) fn request_with(method: &str, path: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nuser-agent: tidegate-bench\r\naccept: application/json\r\n\
         {headers}content-length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

/// A request with a form of values that need no encoding, and these headers.
pub(crate) fn form_with(path: &str, headers: &str, fields: &[(&str, &str)]) -> Vec<u8> {
    let pairs: Vec<String> = fields.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let body = pairs.join("&");
    format!(
        "POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nuser-agent: tidegate-bench\r\naccept: application/json\r\n\
         {headers}content-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// A request with a JSON body.
pub(crate) fn post(path: &str, body: &Value) -> Vec<u8> {
    post_with(path, "", body)
}

/// The same by a caller with an access token.
pub(crate) fn post_as(path: &str, token: &str, body: &Value) -> Vec<u8> {
    post_with(path, &format!("authorization: Bearer {token}\r\n"), body)
}

fn post_with(path: &str, headers: &str, body: &Value) -> Vec<u8> {
    let body = body.to_string();
    format!(
        "POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nuser-agent: tidegate-bench\r\naccept: application/json\r\n\
         {headers}content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_once_its_head_is_complete() {
        let whole = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
        assert_eq!(head_of(whole).unwrap(), Some((200, whole.len() - 2, Length::Known(2))));
        assert_eq!(head_of(&whole[..20]).unwrap(), None);
        assert_eq!(head_of(b"HTTP/1.1 204 No Content\r\n\r\n").unwrap(), Some((204, 27, Length::Known(0))));
        let chunked = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
        assert_eq!(head_of(chunked).unwrap(), Some((200, chunked.len(), Length::Chunked)));
        assert!(head_of(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
    }

    #[test]
    fn cookies_are_sent_back_without_their_attributes() {
        let head =
            b"HTTP/1.1 200 OK\r\nSet-Cookie: a=1%3D; Path=/; HttpOnly\r\nx: y\r\nset-cookie: b=2\r\n\r\n";
        let answer = Answer { status: 200, head, body: b"" };
        assert_eq!(answer.cookies().unwrap(), "a=1%3D; b=2");
    }

    #[test]
    fn a_body_in_chunks_ends_with_the_empty_one() {
        let whole = b"3\r\nabc\r\n10\r\n0123456789abcdef\r\n0\r\n\r\n";
        assert_eq!(end_of_chunks(whole).unwrap(), Some(whole.len()));
        for length in 0..whole.len() {
            assert_eq!(end_of_chunks(&whole[..length]).unwrap(), None, "{length}");
        }
        assert!(end_of_chunks(b"x\r\n").is_err());
    }
}
