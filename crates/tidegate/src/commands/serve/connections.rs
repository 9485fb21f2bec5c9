//! Connections: taken, answered on, and closed.
//!
//! `axum::serve` would do, but for one thing: it lets a silent connection stay for ever, and a few thousand of those
//! keep everybody else out.

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
use tokio::time::{sleep, timeout};
use tower::Service;

/// How long to wait when the system has no descriptor left for another connection.
const BREATH: Duration = Duration::from_millis(100);

/// Answers requests with a router.
pub(super) struct Connections {
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
        protocol.http1().timer(TokioTimer::new()).header_read_timeout(silence);
        protocol.http2().timer(TokioTimer::new()).keep_alive_interval(silence).keep_alive_timeout(silence);
        Self { router, protocol: Arc::new(protocol), silence, open: GracefulShutdown::new() }
    }

    /// Takes connections until `stop`.
    pub(super) async fn accept(&self, listener: TcpListener, stop: impl Future<Output = ()>) {
        let mut stop = std::pin::pin!(stop);
        loop {
            let accepted = tokio::select! {
                () = &mut stop => return,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => self.spawn(stream, peer),
                // The client's doing, and over with its connection.
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    tracing::error!(%error, "no connection can be accepted; trying again");
                    sleep(BREATH).await;
                }
            }
        }
    }

    /// Finishes the requests under way, at most for `patience`; says whether all of them finished.
    pub(super) async fn finish(self, patience: Duration) -> bool {
        timeout(patience, self.open.shutdown()).await.is_ok()
    }

    fn spawn(&self, stream: TcpStream, peer: SocketAddr) {
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
        tokio::spawn(connection);
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
        tracing::debug!(%error, "the limit on open files stays as it is");
    }
}
