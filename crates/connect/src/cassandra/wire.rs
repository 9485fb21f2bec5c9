//! Frames of CQL, version 4.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::types::{self, Type};
use crate::error::{ErrorCode, SourceError};
use crate::network::dial;
use crate::settings::Credentials;
use crate::wire::{Bytes, broken, not_signed_in};

const REQUEST: u8 = 0x04;
const ANSWER: u8 = 0x84;
/// Bytes of an answer at most: what the server's own limit is.
const LONGEST: usize = 256 << 20;
/// Columns of a result at most.
const MOST_COLUMNS: i32 = 10_000;

pub(super) const ERROR: u8 = 0;
pub(super) const STARTUP: u8 = 1;
pub(super) const READY: u8 = 2;
pub(super) const AUTHENTICATE: u8 = 3;
pub(super) const OPTIONS: u8 = 5;
pub(super) const SUPPORTED: u8 = 6;
const QUERY: u8 = 7;
const RESULT: u8 = 8;
pub(super) const AUTH_CHALLENGE: u8 = 14;
pub(super) const AUTH_RESPONSE: u8 = 15;
pub(super) const AUTH_SUCCESS: u8 = 16;

pub(super) fn garbled() -> SourceError {
    SourceError::foreign("Cassandra")
}

/// A connection.
pub(crate) struct Wire(pub(super) Box<dyn dial::Wire>);

/// A result of a query.
pub(super) struct Rows {
    body: Vec<u8>,
    from: usize,
    count: usize,
    pub(super) columns: Vec<(String, Type)>,
    /// Where the next page begins.
    pub(super) next: Option<Vec<u8>>,
}

impl Rows {
    /// Gives the values of each row.
    pub(super) fn rows(&self) -> impl Iterator<Item = Result<Vec<Option<&[u8]>>, SourceError>> {
        let mut rest = Bytes(self.body.get(self.from..).unwrap_or_default());
        (0..self.count)
            .map(move |_| self.columns.iter().map(|_| types::value(&mut rest).ok_or_else(garbled)).collect())
    }
}

impl Wire {
    /// Sends a request and gives the kind and the body of its answer.
    pub(super) async fn ask(&mut self, kind: u8, body: &[u8]) -> Result<(u8, Vec<u8>), SourceError> {
        let length = u32::try_from(body.len()).map_err(|_| garbled())?;
        let mut frame = vec![REQUEST, 0, 0, 0, kind];
        frame.extend(length.to_be_bytes());
        frame.extend(body);
        self.0.write_all(&frame).await.map_err(broken)?;
        self.0.flush().await.map_err(broken)?;
        loop {
            let mut header = [0; 9];
            self.0.read_exact(&mut header).await.map_err(broken)?;
            let [version, flags, high, low, kind, length @ ..] = header;
            let length = usize::try_from(u32::from_be_bytes(length)).map_err(|_| garbled())?;
            if version & 0x80 == 0 || length > LONGEST {
                return Err(garbled());
            }
            let mut body = Vec::new();
            let read = (&mut self.0).take(length as u64).read_to_end(&mut body).await.map_err(broken)?;
            if read < length {
                return Err(broken(std::io::ErrorKind::UnexpectedEof.into()));
            }
            // Servers that do not speak this version say so in their own.
            if version != ANSWER && kind != ERROR {
                return Err(garbled());
            }
            // What was not asked for, such as events, has another stream.
            if (high, low) == (0, 0) {
                let body = without_extras(flags, &body).ok_or_else(garbled)?.to_vec();
                return Ok((kind, body));
            }
        }
    }

    /// Runs a query with bound values, from a page on.
    pub(super) async fn query(
        &mut self,
        query: &str,
        values: &[Vec<u8>],
        page: (i32, Option<&[u8]>),
        credentials: &Credentials,
    ) -> Result<Rows, SourceError> {
        let body = query_body(query, values, page.0, page.1).ok_or_else(garbled)?;
        match self.ask(QUERY, &body).await? {
            (RESULT, body) => result(body).ok_or_else(garbled),
            (ERROR, body) => Err(error(&body, credentials)),
            _ => Err(garbled()),
        }
    }
}

/// A query's body: consistency LOCAL_ONE, values, size of a page, where it begins.
fn query_body(query: &str, values: &[Vec<u8>], size: i32, page: Option<&[u8]>) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    body.extend(u32::try_from(query.len()).ok()?.to_be_bytes());
    body.extend(query.as_bytes());
    body.extend(0x000A_u16.to_be_bytes());
    let flags = 0x04 | if values.is_empty() { 0 } else { 0x01 } | if page.is_some() { 0x08 } else { 0 };
    body.push(flags);
    if !values.is_empty() {
        body.extend(u16::try_from(values.len()).ok()?.to_be_bytes());
        for value in values {
            body.extend(u32::try_from(value.len()).ok()?.to_be_bytes());
            body.extend(value);
        }
    }
    body.extend(size.to_be_bytes());
    if let Some(page) = page {
        body.extend(u32::try_from(page.len()).ok()?.to_be_bytes());
        body.extend(page);
    }
    Some(body)
}

/// A body without the tracing id, warnings and payload that flags announce. Compression was not asked for.
fn without_extras(flags: u8, body: &[u8]) -> Option<&[u8]> {
    let mut rest = Bytes(body);
    if flags & 0x01 != 0 {
        return None;
    }
    if flags & 0x02 != 0 {
        rest.take(16)?;
    }
    if flags & 0x08 != 0 {
        for _ in 0..rest.u16_be()? {
            text(&mut rest)?;
        }
    }
    if flags & 0x04 != 0 {
        for _ in 0..rest.u16_be()? {
            text(&mut rest)?;
            types::value(&mut rest)?;
        }
    }
    Some(rest.0)
}

/// Text with a length of two bytes.
pub(super) fn text<'a>(rest: &mut Bytes<'a>) -> Option<&'a str> {
    let length = rest.u16_be()?;
    std::str::from_utf8(rest.take(length.into())?).ok()
}

fn result(body: Vec<u8>) -> Option<Rows> {
    let mut rest = Bytes(&body);
    if rest.i32_be()? != 2 {
        return Some(Rows { body: Vec::new(), from: 0, count: 0, columns: Vec::new(), next: None });
    }
    let flags = rest.i32_be()?;
    let count = rest.i32_be().filter(|count| (0..=MOST_COLUMNS).contains(count))?;
    let next = if flags & 2 != 0 { types::value(&mut rest)?.map(<[u8]>::to_vec) } else { None };
    let mut columns = Vec::new();
    if flags & 4 == 0 {
        if flags & 1 != 0 {
            text(&mut rest)?;
            text(&mut rest)?;
        }
        for _ in 0..count {
            if flags & 1 == 0 {
                text(&mut rest)?;
                text(&mut rest)?;
            }
            let name = text(&mut rest)?.to_owned();
            columns.push((name, types::read(&mut rest, 0)?));
        }
    }
    let rows = usize::try_from(rest.i32_be()?).ok()?;
    // A value takes four bytes at least, so that nobody promises more rows than there are bytes.
    let possible = if columns.is_empty() { 0 } else { rest.len() / (4 * columns.len()) };
    let from = body.len() - rest.len();
    (rows <= possible).then_some(())?;
    Some(Rows { from, count: rows, columns, next, body })
}

/// The contract's code for an error of the server. Only the error's number is told.
pub(super) fn error(body: &[u8], credentials: &Credentials) -> SourceError {
    let mut rest = Bytes(body);
    let (Some(code), Some(message)) = (rest.i32_be(), text(&mut rest)) else { return garbled() };
    let known = match code {
        0x0100 => not_signed_in(),
        0x2100 => SourceError::forbidden("The user may not read this (error 0x2100)."),
        0x1000..=0x1003 => SourceError::connection("The server cannot serve at the moment."),
        0x1200 | 0x1300 => SourceError::new(ErrorCode::Timeout, "The query took too long at the server."),
        0x000A => SourceError::connection("The server does not speak version 4 of the protocol."),
        _ => SourceError::refused(format!("The server refused the query (error {code:#06x}).")),
    };
    known.with_detail(credentials.redact(message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_promises_more_than_there_is() {
        let mut body: Vec<u8> = [2, 1, 1].into_iter().flat_map(i32::to_be_bytes).collect();
        for name in ["k", "t", "c"] {
            body.extend([0, 1]);
            body.extend(name.bytes());
        }
        body.extend([0, 9]);
        let good = [body.clone(), 1_i32.to_be_bytes().to_vec(), vec![0, 0, 0, 4, 0, 0, 0, 7]].concat();
        let rows = result(good).unwrap();
        assert_eq!(rows.columns, [("c".to_owned(), Type::Int)]);
        let values: Vec<_> = rows.rows().collect::<Result<_, _>>().unwrap();
        assert_eq!(values, [[Some(&[0, 0, 0, 7][..])]]);
        let bad = [body, i32::MAX.to_be_bytes().to_vec(), vec![0; 8]].concat();
        assert!(result(bad).is_none());
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_are_a_panic(bytes: Vec<u8>, flags: u8) {
            let _ = without_extras(flags, &bytes);
            let _ = error(&bytes, &Credentials::default());
            let body = [2_i32.to_be_bytes().to_vec(), bytes].concat();
            if let Some(rows) = result(body) {
                for row in rows.rows() {
                    for (value, (_, kind)) in row.into_iter().flatten().zip(&rows.columns) {
                        let _ = value.map(|value| types::json(&mut String::new(), kind, value, 0));
                    }
                }
            }
        }
    }
}
