//! Sockets of bytes alone. One that waits in vain says after what, instead of holding up all tests until they are cut off without a word.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream, ToSocketAddrs};
use std::time::Duration;

use tokio::net::TcpSocket;

use crate::support::{GUARD, Server};

/// Bytes that were sent last, of which is told.
const TOLD: usize = 300;

/// A connection whose reads end, one way or the other.
pub(crate) struct Socket {
    stream: TcpStream,
    sent: Vec<u8>,
}

impl Socket {
    /// Connects.
    pub(crate) fn to(address: impl ToSocketAddrs) -> Self {
        Self::over(TcpStream::connect(address).unwrap())
    }

    fn over(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(GUARD)).unwrap();
        Self { stream, sent: Vec::new() }
    }

    /// The same, to where a server answers HTTP, from `127.0.0.CLIENT`: a client of its own.
    pub(crate) async fn of_client(server: &Server, client: u8) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::from((Ipv4Addr::new(127, 0, 0, client), 0))).unwrap();
        let address = server.base.trim_start_matches("http://").parse().unwrap();
        let stream = socket.connect(address).await.unwrap().into_std().unwrap();
        stream.set_nonblocking(false).unwrap();
        Self::over(stream)
    }

    /// The same, to where a server answers HTTP.
    pub(crate) fn of(server: &Server) -> Self {
        Self::to(server.base.trim_start_matches("http://"))
    }

    /// Whether there is something to read within a moment.
    pub(crate) fn has_answer(&self) -> bool {
        match self.peek() {
            Ok(count) => count > 0,
            Err(error) if is_late(&error) => false,
            Err(error) => panic!("{error}"),
        }
    }

    /// Whether the other end closes it within a moment.
    pub(crate) fn has_ended(&self) -> bool {
        match self.peek() {
            Ok(count) => count == 0,
            Err(error) => error.kind() == ErrorKind::ConnectionReset,
        }
    }

    fn peek(&self) -> io::Result<usize> {
        self.stream.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        let found = self.stream.peek(&mut [0]);
        self.stream.set_read_timeout(Some(GUARD)).unwrap();
        found
    }

    /// Whether the other end closes it before it says anything more.
    pub(crate) fn is_closed(&mut self) -> bool {
        match self.read(&mut [0]) {
            Ok(read) => read == 0,
            Err(error) => error.kind() == ErrorKind::ConnectionReset,
        }
    }
}

fn is_late(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

impl Read for Socket {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self.stream.read(into) {
            Err(error) if is_late(&error) => {
                panic!("nothing more came within {GUARD:?} after this was sent: {}", self.sent.escape_ascii())
            }
            read => read,
        }
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.stream.write(bytes)?;
        self.sent.extend(&bytes[written.saturating_sub(TOLD)..written]);
        let over = self.sent.len().saturating_sub(TOLD);
        self.sent.drain(..over);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}
