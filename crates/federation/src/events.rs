//! Server-sent events of a service (HTML Living Standard section 9.2), read one after the other: bounded in size and in silence.

use std::collections::VecDeque;
use std::time::Duration;

use reqwest::Response;
use tokio::time::timeout;

use crate::error::FederationError;
use crate::outgoing::{lost, unreadable};

/// Longest line, and longest data of one event.
const MAX_EVENT: usize = 64 * 1024;

/// How much of events is waited for.
#[derive(Clone, Copy, Debug)]
pub struct EventLimits {
    /// Longest time without a byte.
    pub silence: Duration,
    /// Most bytes of all events together.
    pub bytes: usize,
}

/// Events as a service sends them. The connection is closed when this is dropped before their end.
#[derive(Debug)]
pub struct ServerEvents {
    what: String,
    request_id: Option<String>,
    response: Response,
    silence: Duration,
    /// Bytes that may still come.
    left: usize,
    reader: Reader,
}

impl ServerEvents {
    pub(crate) fn new(
        what: &str,
        request_id: Option<String>,
        response: Response,
        limits: EventLimits,
    ) -> Self {
        let EventLimits { silence, bytes } = limits;
        Self { what: what.to_owned(), request_id, response, silence, left: bytes, reader: Reader::default() }
    }

    /// What the service calls the request (`x-request-id`).
    pub fn request_id(&self) -> Option<&str> {
        self.request_id.as_deref()
    }

    /// The data of the next event; none at the end. An event that the end cuts off is none.
    ///
    /// # Errors
    /// [`FederationError::Unavailable`] where the service falls silent or the connection breaks, [`FederationError::Unreadable`] where it
    /// sends more than it may.
    pub async fn next(&mut self) -> Result<Option<String>, FederationError> {
        loop {
            if let Some(data) = self.reader.ready.pop_front() {
                return Ok(Some(data));
            }
            let bytes = match timeout(self.silence, self.response.chunk()).await {
                Ok(Ok(Some(bytes))) => bytes,
                Ok(Ok(None)) => return Ok(None),
                Ok(Err(error)) => return Err(lost(&self.what, error)),
                Err(_) => {
                    let text = format!("{}: the provider falls silent midway", self.what);
                    return Err(FederationError::Unavailable(text));
                }
            };
            match self.left.checked_sub(bytes.len()) {
                Some(left) => self.left = left,
                None => return Err(unreadable(&self.what, "events without an end")),
            }
            self.reader
                .read(&bytes)
                .map_err(|TooLong| unreadable(&self.what, "an event of more than 64 KiB"))?;
        }
    }
}

/// A line or an event is longer than it may be.
#[derive(Debug, PartialEq)]
struct TooLong;

/// Makes events of bytes, however they are cut into pieces.
#[derive(Debug, Default)]
struct Reader {
    /// The beginning of a line.
    line: Vec<u8>,
    /// A carriage return was last: a line feed after it ends no further line.
    is_after_return: bool,
    /// Data of an event that is not over.
    data: Option<String>,
    ready: VecDeque<String>,
}

impl Reader {
    fn read(&mut self, bytes: &[u8]) -> Result<(), TooLong> {
        for &byte in bytes {
            let is_second = std::mem::replace(&mut self.is_after_return, byte == b'\r') && byte == b'\n';
            match byte {
                _ if is_second => {}
                b'\r' | b'\n' => self.end_line()?,
                _ if self.line.len() >= MAX_EVENT => return Err(TooLong),
                _ => self.line.push(byte),
            }
        }
        Ok(())
    }

    fn end_line(&mut self) -> Result<(), TooLong> {
        if self.line.is_empty() {
            self.ready.extend(self.data.take());
            return Ok(());
        }
        let line = String::from_utf8_lossy(&self.line).into_owned();
        self.line.clear();
        let line = line.strip_prefix('\u{feff}').unwrap_or(&line);
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        // Comments have no name; names, numbers and pauses of events mean nothing here.
        if field != "data" {
            return Ok(());
        }
        let value = value.strip_prefix(' ').unwrap_or(value);
        let data = match &mut self.data {
            // In place: an event may have as many lines as it has bytes.
            Some(data) => {
                data.push('\n');
                data.push_str(value);
                data
            }
            None => self.data.insert(value.to_owned()),
        };
        if data.len() > MAX_EVENT { Err(TooLong) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The events of a text that comes in pieces of that size.
    fn read(text: &[u8], size: usize) -> Vec<String> {
        let mut reader = Reader::default();
        text.chunks(size).for_each(|piece| reader.read(piece).unwrap());
        reader.ready.into()
    }

    #[test]
    fn events_are_the_same_however_they_are_cut() {
        let text = "\u{feff}data: {\"a\": \"ä\"}\n\n: still here\r\n\r\nevent: x\rdata:b\rdata:  c\r\rid: 5\ndata\n\n\n\ndata: half"
            .as_bytes();
        for size in 1..=text.len() {
            assert_eq!(read(text, size), ["{\"a\": \"ä\"}", "b\n c", ""], "{size}");
        }
    }

    #[test]
    fn a_line_and_an_event_have_an_end() {
        let mut reader = Reader::default();
        let long = vec![b'x'; MAX_EVENT];
        assert_eq!(reader.read(&long), Ok(()));
        assert_eq!(reader.read(b"x"), Err(TooLong));
        let mut reader = Reader::default();
        let line = [b"data:".as_slice(), &vec![b'x'; MAX_EVENT / 2], b"\n"].concat();
        assert_eq!(reader.read(&line), Ok(()));
        assert_eq!(reader.read(&line), Err(TooLong));
    }

    #[test]
    fn bytes_that_are_no_text_are_no_panic() {
        assert_eq!(read(b"data: \xff\xfe\n\n\0\xc3\n\n", 1), ["\u{fffd}\u{fffd}"]);
    }
}
