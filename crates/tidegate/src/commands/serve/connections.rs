//! Connections: taken, answered on, and closed.
//!
//! `axum::serve` would do, but for one thing: it lets a silent connection stay for ever, and a few thousand of those
//! keep all other clients out.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use hyper::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};
use tower::Service;

/// How long to wait when the system has no descriptor left for another connection.
const BREATH: Duration = Duration::from_millis(100);

/// Most connections at a time: each may hold a request's head and body in memory.
const MOST: usize = 4_096;
/// Largest head of a request, in bytes.
const HEAD: usize = 64 * 1024;
/// Most requests at a time on one HTTP/2 connection.
const STREAMS: u32 = 32;

/// Answers requests with a router.
pub(super) struct Connections {
    room: Arc<Semaphore>,
    router: Router,
    protocol: Arc<auto::Builder<TokioExecutor>>,
    silence: Duration,
    open: GracefulShutdown,
}

impl Connections {
    /// Closes connections on which nothing is asked for `silence`.
    pub(super) fn new(router: Router, silence: Duration) -> Self {
        let mut protocol = auto::Builder::new(TokioExecutor::new());
        // Until a request's head is complete, the first as well as the next.
        protocol.http1().timer(TokioTimer::new()).header_read_timeout(silence).max_buf_size(HEAD);
        protocol
            .http2()
            .timer(TokioTimer::new())
            .keep_alive_interval(silence)
            .keep_alive_timeout(silence)
            .max_concurrent_streams(STREAMS);
        let room = Arc::new(Semaphore::new(MOST));
        Self { room, router, protocol: Arc::new(protocol), silence, open: GracefulShutdown::new() }
    }

    /// Takes connections until `stop`.
    pub(super) async fn accept(&self, listener: TcpListener, stop: impl Future<Output = ()>) {
        let mut stop = std::pin::pin!(stop);
        loop {
            let accepted = async {
                // Waiting for room, with the others waiting in the system's own queue.
                let room = Arc::clone(&self.room).acquire_owned().await.map_err(io::Error::other)?;
                Ok((listener.accept().await?, room))
            };
            let accepted: io::Result<_> = tokio::select! {
                () = &mut stop => return,
                accepted = accepted => accepted,
            };
            match accepted {
                Ok(((stream, peer), room)) => self.spawn(stream, peer, room),
                // The client's doing, and over with its connection.
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    tracing::error!(%error, "a connection could not be accepted; trying again");
                    sleep(BREATH).await;
                }
            }
        }
    }

    /// Finishes the requests under way, at most for `patience`; says whether all of them finished.
    pub(super) async fn finish(self, patience: Duration) -> bool {
        timeout(patience, self.open.shutdown()).await.is_ok()
    }

    fn spawn(&self, stream: TcpStream, peer: SocketAddr, room: OwnedSemaphorePermit) {
        // Answers are small and complete: waiting to fill a packet would only delay them.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY could not be set");
        }
        let connection = converse(
            stream,
            peer,
            self.router.clone(),
            Arc::clone(&self.protocol),
            self.silence,
            self.open.watcher(),
        );
        tokio::spawn(async move {
            connection.await;
            drop(room);
        });
    }
}

async fn converse(
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
    protocol: Arc<auto::Builder<TokioExecutor>>,
    silence: Duration,
    watcher: Watcher,
) {
    let asked = AtomicBool::new(false);
    let service = service_fn(|mut request: Request<Incoming>| {
        asked.store(true, Ordering::Relaxed);
        request.extensions_mut().insert(ConnectInfo(peer));
        router.clone().call(request.map(Body::new))
    });
    let mut connection =
        std::pin::pin!(watcher.watch(protocol.serve_connection(TokioIo::new(stream), service)));
    // Which protocol it speaks is found out before any of the protocol's own limits begin.
    let ended = match timeout(silence, &mut connection).await {
        Ok(ended) => ended,
        Err(_) if asked.load(Ordering::Relaxed) => connection.await,
        Err(_) => return,
    };
    if let Err(error) = ended {
        tracing::debug!(%error, %peer, "a connection ended early");
    }
}

fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

/// Lets this process have as many connections as the system allows it: the usual first limit, 1024, is for programs that
/// cannot do with more.
pub(super) fn raise_descriptor_limit() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::debug!(%error, "the limit on open files could not be raised");
    }
}
