//! Packets of TDS, and TLS inside of them: the handshake travels in packets, what follows does not.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};

use super::token::{self, Column, Token};
use crate::error::SourceError;
use crate::network::dial;
use crate::network::tls::{self, Tls};
use crate::wire::broken;

/// Kinds of packets that a client sends.
pub(super) const BATCH: u8 = 1;
pub(super) const RPC: u8 = 3;
const ATTENTION: u8 = 6;
pub(super) const LOGIN: u8 = 16;
pub(super) const PRELOGIN: u8 = 18;

/// Bytes before the payload of a packet.
const HEADER: usize = 8;
/// Bytes of a packet until the server says otherwise.
const PACKET: usize = 4_096;
/// Bytes of one token, and so of a row, at most.
const LONGEST: usize = 128 << 20;
/// Bytes of a handshake message that wait to be sent.
const WAITING: usize = 256 << 10;

pub(super) fn garbled() -> SourceError {
    SourceError::foreign("SQL Server")
}

/// A connection.
pub(super) struct Wire {
    stream: Box<dyn dial::Wire>,
    buffer: Vec<u8>,
    read: usize,
    last: bool,
    packet: usize,
}

impl Wire {
    pub(super) fn new(stream: Box<dyn dial::Wire>) -> Self {
        Self { stream, buffer: Vec::new(), read: 0, last: true, packet: PACKET }
    }

    /// Goes on inside TLS.
    pub(super) async fn secured(self, tls: &Tls) -> Result<Self, SourceError> {
        let inside = Enveloped::new(self.stream);
        let mut stream = tls.connector.connect(tls.name.clone(), inside).await.map_err(tls::failed)?;
        stream.get_mut().0.active = false;
        Ok(Self::new(Box::new(stream)))
    }

    /// The size of packets that the server agreed to.
    pub(super) fn set_packet(&mut self, bytes: usize) {
        self.packet = bytes.clamp(512, 32_767);
    }

    /// Sends a message. What was still to be read of an earlier answer is forgotten.
    pub(super) async fn send(&mut self, kind: u8, message: &[u8]) -> Result<(), SourceError> {
        self.buffer.clear();
        self.read = 0;
        self.last = false;
        let packets = packets(kind, message, self.packet);
        self.stream.write_all(&packets).await.map_err(broken)?;
        self.stream.flush().await.map_err(broken)
    }

    /// Asks the server to stop, and reads until it says that it did.
    pub(super) async fn attention(&mut self) -> Result<(), SourceError> {
        self.stream.write_all(&packets(ATTENTION, &[], self.packet)).await.map_err(broken)?;
        self.stream.flush().await.map_err(broken)?;
        // The answer is the end of a message; the one that was being read may end before.
        for _ in 0..2 {
            self.last = false;
            while !self.last {
                self.buffer.clear();
                self.read = 0;
                self.packet().await?;
            }
            let (_, end) = self.buffer.split_at(self.buffer.len().saturating_sub(token::DONE_LENGTH));
            if token::is_attention(end) {
                return Ok(());
            }
        }
        Ok(())
    }

    /// The whole message that answers to a prelogin.
    pub(super) async fn message(&mut self) -> Result<&[u8], SourceError> {
        while !self.last {
            self.packet().await?;
            if self.buffer.len() > PACKET {
                return Err(garbled());
            }
        }
        Ok(&self.buffer)
    }

    /// The next token of an answer, none at its end. A row is the bytes of its values, which hold until the next call.
    pub(super) async fn token(
        &mut self,
        columns: &[Column],
    ) -> Result<Option<(Token, std::ops::Range<usize>)>, SourceError> {
        loop {
            let rest = self.buffer.get(self.read..).unwrap_or_default();
            if rest.is_empty() && self.last {
                return Ok(None);
            }
            match token::next(rest, columns) {
                Err(token::Wrong) => return Err(garbled()),
                Ok(Some((token, length))) => {
                    let from = self.read;
                    self.read += length;
                    return Ok(Some((token, from..self.read)));
                }
                Ok(None) if self.last => return Err(garbled()),
                Ok(None) => {
                    if rest.len() > LONGEST {
                        return Err(SourceError::query(format!("A row is larger than {LONGEST} bytes.")));
                    }
                    self.buffer.drain(..self.read);
                    self.read = 0;
                    self.packet().await?;
                }
            }
        }
    }

    /// Bytes that a token was read from.
    pub(super) fn bytes(&self, range: std::ops::Range<usize>) -> &[u8] {
        self.buffer.get(range).unwrap_or_default()
    }

    /// Appends the payload of the next packet.
    async fn packet(&mut self) -> Result<(), SourceError> {
        let mut header = [0; HEADER];
        self.stream.read_exact(&mut header).await.map_err(broken)?;
        let [kind, status, high, low, ..] = header;
        let length = usize::from(u16::from_be_bytes([high, low]));
        // Answers are "tabular results"; those to a prelogin of some servers repeat the kind of the question.
        let length =
            length.checked_sub(HEADER).filter(|_| kind == 4 || kind == PRELOGIN).ok_or_else(garbled)?;
        let before = self.buffer.len();
        self.buffer.resize(before + length, 0);
        let place = self.buffer.get_mut(before..).unwrap_or_default();
        self.stream.read_exact(place).await.map_err(broken)?;
        self.last = status & 1 == 1;
        Ok(())
    }
}

/// A message in packets.
fn packets(kind: u8, message: &[u8], size: usize) -> Vec<u8> {
    let room = size.saturating_sub(HEADER).max(1);
    let mut all = Vec::with_capacity(message.len() + HEADER * (message.len() / room + 1));
    let mut rest = message;
    let mut number = 1_u8;
    loop {
        let (part, after) = rest.split_at(rest.len().min(room));
        rest = after;
        let length = u16::try_from(part.len() + HEADER).unwrap_or(u16::MAX);
        let [high, low] = length.to_be_bytes();
        all.extend([kind, u8::from(rest.is_empty()), high, low, 0, 0, number, 0]);
        all.extend(part);
        number = number.wrapping_add(1);
        if rest.is_empty() {
            return all;
        }
    }
}

/// A stream whose bytes travel in packets as long as it is active.
struct Enveloped {
    stream: Box<dyn dial::Wire>,
    active: bool,
    waiting: Vec<u8>,
    sending: Vec<u8>,
    sent: usize,
    header: Vec<u8>,
    left: usize,
}

impl Enveloped {
    fn new(stream: Box<dyn dial::Wire>) -> Self {
        let (waiting, sending, header) = (Vec::new(), Vec::new(), Vec::new());
        Self { stream, active: true, waiting, sending, sent: 0, header, left: 0 }
    }

    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        loop {
            while self.sent < self.sending.len() {
                let rest = self.sending.get(self.sent..).unwrap_or_default();
                let written = ready!(Pin::new(&mut self.stream).poll_write(cx, rest))?;
                if written == 0 {
                    return Poll::Ready(Err(std::io::ErrorKind::WriteZero.into()));
                }
                self.sent += written;
            }
            self.sent = 0;
            self.sending.clear();
            if self.waiting.is_empty() {
                return Pin::new(&mut self.stream).poll_flush(cx);
            }
            self.sending = packets(PRELOGIN, &self.waiting, PACKET);
            self.waiting.clear();
        }
    }

    /// Reads into a small buffer, at most so many bytes.
    fn poll_some(&mut self, cx: &mut Context<'_>, most: usize) -> Poll<std::io::Result<Vec<u8>>> {
        let mut space = [0_u8; PACKET];
        let mut some = ReadBuf::new(space.get_mut(..most.min(PACKET)).unwrap_or_default());
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut some))?;
        Poll::Ready(Ok(some.filled().to_vec()))
    }
}

impl AsyncRead for Enveloped {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let this = &mut *self;
        if !this.active {
            return Pin::new(&mut this.stream).poll_read(cx, buf);
        }
        ready!(this.poll_send(cx))?;
        while this.left == 0 {
            let some = ready!(this.poll_some(cx, HEADER - this.header.len()))?;
            if some.is_empty() {
                return Poll::Ready(Ok(()));
            }
            this.header.extend(some);
            if let [_, _, high, low, _, _, _, _] = *this.header.as_slice() {
                this.header.clear();
                this.left = usize::from(u16::from_be_bytes([high, low]))
                    .checked_sub(HEADER)
                    .ok_or(std::io::ErrorKind::InvalidData)?;
            }
        }
        let some = ready!(this.poll_some(cx, this.left.min(buf.remaining())))?;
        this.left -= some.len();
        buf.put_slice(&some);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Enveloped {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        let this = &mut *self;
        if !this.active {
            return Pin::new(&mut this.stream).poll_write(cx, bytes);
        }
        if this.waiting.len() > WAITING {
            ready!(this.poll_send(cx))?;
        }
        this.waiting.extend(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        let this = &mut *self;
        if this.active { this.poll_send(cx) } else { Pin::new(&mut this.stream).poll_flush(cx) }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_cut_into_packets() {
        assert_eq!(packets(BATCH, b"", 512), [1, 1, 0, 8, 0, 0, 1, 0]);
        let two = packets(RPC, &[7; 505], 512);
        assert_eq!(&two[..8], [3, 0, 2, 0, 0, 0, 1, 0]);
        assert_eq!(&two[512..], [3, 1, 0, 9, 0, 0, 2, 0, 7]);
    }

    #[tokio::test]
    async fn a_handshake_travels_in_packets_and_what_follows_does_not() {
        let (near, mut far) = tokio::io::duplex(1 << 16);
        let mut stream = Enveloped::new(Box::new(near));
        stream.write_all(b"hello").await.unwrap();
        stream.flush().await.unwrap();
        let mut got = [0; 13];
        far.read_exact(&mut got).await.unwrap();
        assert_eq!(&got, b"\x12\x01\x00\x0d\x00\x00\x01\x00hello");
        far.write_all(b"\x12\x00\x00\x0a\x00\x00\x01\x00ab\x12\x01\x00\x09\x00\x00\x02\x00c").await.unwrap();
        let mut back = [0; 3];
        stream.read_exact(&mut back).await.unwrap();
        assert_eq!(&back, b"abc");
        stream.active = false;
        stream.write_all(b"raw").await.unwrap();
        let mut raw = [0; 3];
        far.read_exact(&mut raw).await.unwrap();
        assert_eq!(&raw, b"raw");
        far.write_all(b"\x12\x01\x00\x01\x00\x00\x01\x00").await.unwrap();
        stream.active = true;
        assert!(stream.read_exact(&mut raw).await.is_err());
    }
}
