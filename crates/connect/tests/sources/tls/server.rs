//! A server that writes down every byte it gets, before TLS and inside of it. It comes to TLS as the protocol of the client has it.

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};

use futures_util::FutureExt;
use tidegate_connect::SourceType;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

use crate::stubs::{Stream, bytes};
use crate::tds;

/// What both sides say before the handshake of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Opening {
    /// Nothing.
    None,
    /// `SSLRequest`, and one letter.
    Postgres,
    /// The server's greeting, and the client's `SSLRequest`.
    Mysql,
    /// Two preludes; the handshake travels in packets.
    Tds,
}

impl Opening {
    pub(super) fn of(kind: SourceType) -> Self {
        match kind {
            SourceType::Postgresql | SourceType::Cockroachdb | SourceType::Redshift => Self::Postgres,
            SourceType::Mysql | SourceType::Mariadb => Self::Mysql,
            SourceType::Sqlserver | SourceType::Synapse => Self::Tds,
            _ => Self::None,
        }
    }
}

/// What a server does about TLS.
#[derive(Clone)]
pub(super) enum Manner {
    /// It has none, and says so; in a protocol that has no words for it, it answers these bytes and hangs up.
    Without(&'static [u8]),
    /// It has TLS, and answers so to what it gets first inside of it.
    With(TlsAcceptor, Vec<u8>),
    /// It has TLS, and passes on to a server without.
    Before(TlsAcceptor, u16),
    /// It says that it has TLS, and answers something else.
    Lies(&'static [u8]),
}

impl Manner {
    fn has_tls(&self) -> bool {
        !matches!(self, Self::Without(_))
    }
}

/// What came on one connection.
#[derive(Clone, Debug, Default)]
pub(super) struct Got {
    /// On the wire: what is said in the clear, and TLS as whoever listens sees it.
    pub(super) outside: Vec<u8>,
    /// Inside of TLS.
    pub(super) inside: Vec<u8>,
}

type Tape = Arc<Mutex<Vec<u8>>>;

/// A server that runs until it is asked what it got.
pub(super) struct Recorder {
    pub(super) port: u16,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<Vec<Got>>,
}

impl Recorder {
    pub(super) async fn start(opening: Opening, manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (stop, mut stopped) = oneshot::channel();
        let serving = tokio::spawn(async move {
            let mut all = JoinSet::new();
            loop {
                tokio::select! {
                    accepted = listener.accept() => {
                        all.spawn(recorded(accepted.unwrap().0, opening, manner.clone()));
                    }
                    _ = &mut stopped => break,
                }
            }
            // Those that are connected and were not accepted yet.
            while let Some(Ok((socket, _))) = listener.accept().now_or_never() {
                all.spawn(recorded(socket, opening, manner.clone()));
            }
            all.join_all().await
        });
        Self { port, stop, serving }
    }

    /// What came on each connection, when all of them have ended. The clients must be gone.
    pub(super) async fn got(self) -> Vec<Got> {
        let _ = self.stop.send(());
        self.serving.await.unwrap()
    }
}

async fn recorded(socket: TcpStream, opening: Opening, manner: Manner) -> Got {
    let (outside, inside) = (Tape::default(), Tape::default());
    let stream: Box<dyn Stream> = Box::new(Tap { stream: socket, tape: Arc::clone(&outside) });
    // It ends where a side has nothing more to say.
    let _ = converse(stream, opening, manner, Arc::clone(&inside)).await;
    let (outside, inside) = (outside.lock().unwrap().clone(), inside.lock().unwrap().clone());
    Got { outside, inside }
}

async fn converse(mut stream: Box<dyn Stream>, opening: Opening, manner: Manner, tape: Tape) -> Option<()> {
    let goes_on_in_tls = open(&mut stream, opening, &manner).await?;
    let (acceptor, then) = match manner {
        Manner::With(acceptor, answer) if goes_on_in_tls => (acceptor, Ok(answer)),
        Manner::Before(acceptor, port) if goes_on_in_tls => (acceptor, Err(port)),
        Manner::Without(answer) | Manner::Lies(answer) => {
            once(&mut stream).await?;
            return stream.write_all(answer).await.ok();
        }
        _ => return once(&mut stream).await.map(drop),
    };
    let stream = if opening == Opening::Tds { tds::enveloped(stream) } else { stream };
    let stream = acceptor.accept(stream).await.ok()?;
    let mut stream: Box<dyn Stream> = Box::new(Tap { stream, tape });
    match then {
        Ok(answer) => {
            once(&mut stream).await?;
            stream.write_all(&answer).await.ok()?;
            stream.shutdown().await.ok()
        }
        Err(port) => {
            let mut behind: Box<dyn Stream> = Box::new(TcpStream::connect(("127.0.0.1", port)).await.ok()?);
            if opening == Opening::Tds {
                tds::without_tls(&mut behind).await?;
            }
            tokio::io::copy_bidirectional(&mut stream, &mut behind).await.ok().map(|_| ())
        }
    }
}

/// Reads what comes next.
async fn once(stream: &mut Box<dyn Stream>) -> Option<Vec<u8>> {
    let mut buffer = vec![0; 16 << 10];
    let read = stream.read(&mut buffer).await.ok()?;
    buffer.truncate(read);
    Some(buffer)
}

/// Settles whether there is TLS. Says whether it begins now.
async fn open(stream: &mut Box<dyn Stream>, opening: Opening, manner: &Manner) -> Option<bool> {
    match opening {
        Opening::None => Some(manner.has_tls()),
        Opening::Postgres => {
            let asks = bytes(stream, 8).await? == [0, 0, 0, 8, 4, 210, 22, 47];
            if asks {
                stream.write_all(if manner.has_tls() { b"S" } else { b"N" }).await.ok()?;
            }
            Some(asks && manner.has_tls())
        }
        Opening::Mysql => {
            stream.write_all(&greeting(manner.has_tls())).await.ok()?;
            let header = bytes(stream, 4).await?;
            let length = usize::from(u16::from_le_bytes([header[0], header[1]]));
            bytes(stream, length).await?;
            // What asks for TLS ends where the user's name would begin; who goes on without waits for an answer.
            (length == 32).then_some(true)
        }
        Opening::Tds => {
            let wanted = tds::settled(stream, if manner.has_tls() { 1 } else { 2 }).await?;
            Some(wanted == 1 && manner.has_tls())
        }
    }
}

/// The first packet of a MySQL server: version, a salt, and what it can, among which is TLS or not.
fn greeting(has_tls: bool) -> Vec<u8> {
    let low: u16 = if has_tls { 0xAA0F } else { 0xA20F };
    let mut body = b"\x0a8.0.36\0\x07\0\0\0saltsalt\0".to_vec();
    body.extend(low.to_le_bytes());
    body.extend([45, 2, 0, 0x2B, 0, 21]);
    body.extend([0; 10]);
    body.extend(b"saltsaltsalt\0mysql_native_password\0");
    [&[u8::try_from(body.len()).unwrap(), 0, 0, 0][..], &body].concat()
}

/// What a MySQL server says to a wrong password inside of TLS.
pub(super) fn mysql_refuses() -> Vec<u8> {
    let body = b"\xff\x15\x04#28000Access denied";
    [&[u8::try_from(body.len()).unwrap(), 0, 0, 3][..], body].concat()
}

/// A stream that keeps what was read from it.
struct Tap<S> {
    stream: S,
    tape: Tape,
}

impl<S: AsyncRead + Unpin> AsyncRead for Tap<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        self.tape.lock().unwrap().extend_from_slice(&buf.filled()[before..]);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Tap<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
