//! The server's side of a connection, watched: a message that says that it is huge ends the connection before room is made for it.
//!
//! The driver takes a message as a whole. Its length is the server's word, and may be two gigabytes.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::network::dial::Wire;

/// Bytes of one message, and so of one row, at most.
pub(super) const LARGEST: usize = 64 << 20;

/// What is said first where somebody answers who does not speak the protocol.
pub(super) const FOREIGN: &str = "no answer of PostgreSQL's protocol";

/// Bytes before a message's content: its type, and its length with the length's own four bytes.
const HEAD: usize = 5;

/// Finds the lengths of messages in what a server sends.
#[derive(Debug)]
pub(super) struct Messages {
    /// Bytes before the first message.
    before: usize,
    head: [u8; HEAD],
    known: usize,
    /// Bytes of the present message that are still to come.
    left: usize,
    /// Set when a row is too large.
    oversized: Arc<AtomicBool>,
}

impl Messages {
    /// Messages after so many bytes. `oversized` hears of rows that are too large.
    pub(super) fn new(before: usize, oversized: &Arc<AtomicBool>) -> Self {
        Self { before, head: [0; HEAD], known: 0, left: 0, oversized: Arc::clone(oversized) }
    }

    /// The next bytes that came.
    fn pass(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while let Some((byte, rest)) = bytes.split_first() {
            // To the question for TLS: yes, no, or an error. A web server, or one that greets before it is asked, says anything else.
            if self.before > 0 && !matches!(*byte, b'S' | b'N' | b'E') {
                return Err(foreign(&format!("{byte:#04x} to the question for TLS")));
            }
            let skipped = if self.before > 0 { &mut self.before } else { &mut self.left };
            if *skipped > 0 {
                let passed = bytes.len().min(*skipped);
                *skipped -= passed;
                bytes = bytes.get(passed..).unwrap_or_default();
                continue;
            }
            if let Some(place) = self.head.get_mut(self.known) {
                *place = *byte;
            }
            self.known += 1;
            bytes = rest;
            if self.known == HEAD {
                self.known = 0;
                self.left = self.length()?;
            }
        }
        Ok(())
    }

    fn length(&self) -> io::Result<usize> {
        let [kind, a, b, c, d] = self.head;
        let length = u32::from_be_bytes([a, b, c, d]);
        let content = usize::try_from(length).ok().and_then(|length| length.checked_sub(4));
        if let Some(content) = content.filter(|content| *content <= LARGEST) {
            return Ok(content);
        }
        // DataRow. Others are this long only where nobody speaks the protocol.
        if kind == b'D' {
            self.oversized.store(true, Ordering::Relaxed);
        }
        Err(foreign(&format!("a message of {length} bytes")))
    }
}

fn foreign(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("{FOREIGN}: {what}"))
}

/// A stream whose messages are watched, if it carries any itself.
pub(super) struct Framed<S> {
    pub(super) stream: S,
    pub(super) messages: Option<Messages>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Framed<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        let came = buf.filled().get(before..).unwrap_or_default();
        Poll::Ready(self.messages.as_mut().map_or(Ok(()), |messages| messages.pass(came)))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Framed<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// What was dialed: a type of its own, because a boxed trait could have any lifetime.
pub(super) struct Dialed(pub(super) Box<dyn Wire>);

impl AsyncRead for Dialed {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Dialed {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u8, content: &[u8]) -> Vec<u8> {
        let length = u32::try_from(content.len() + 4).unwrap();
        [&[kind][..], &length.to_be_bytes(), content].concat()
    }

    #[test]
    fn messages_pass_however_they_are_cut() {
        let oversized = Arc::default();
        let sent =
            [&b"N"[..], &message(b'R', &[0; 4]), &message(b'D', &[7; 300]), &message(b'Z', b"I")].concat();
        for step in [1, 2, 3, 5, 7, 64, sent.len()] {
            let mut messages = Messages::new(1, &oversized);
            sent.chunks(step).for_each(|chunk| messages.pass(chunk).unwrap());
            assert_eq!((messages.known, messages.left), (0, 0), "{step}");
        }
        assert!(!oversized.load(Ordering::Relaxed));
    }

    #[test]
    fn who_answers_the_question_for_tls_in_another_protocol_is_told_at_once() {
        let oversized = Arc::default();
        for said in [&b"HTTP/1.1 400 Bad Request"[..], b"J\0\0\0\x0a8.0.36\0", b"-ERR unknown command", b"\0"]
        {
            let refused = Messages::new(1, &oversized).pass(said).unwrap_err();
            assert!(refused.to_string().starts_with(FOREIGN), "{refused}");
        }
        for said in [&b"S"[..], b"N", b"E"] {
            Messages::new(1, &oversized).pass(said).unwrap();
        }
    }

    #[test]
    fn a_row_that_is_too_large_is_refused_by_its_head() {
        let oversized = Arc::default();
        let largest = u32::try_from(LARGEST + 4).unwrap();
        let head = |kind: u8, length: u32| [&[kind][..], &length.to_be_bytes()].concat();
        Messages::new(0, &oversized).pass(&head(b'D', largest)).unwrap();
        for length in [0, 3, u32::MAX] {
            assert!(Messages::new(0, &oversized).pass(&head(b'R', length)).is_err(), "{length}");
        }
        assert!(!oversized.load(Ordering::Relaxed));
        for length in [largest + 1, 0x7fff_ffff, u32::MAX] {
            assert!(Messages::new(0, &oversized).pass(&head(b'D', length)).is_err(), "{length}");
            assert!(oversized.swap(false, Ordering::Relaxed));
        }
    }
}
