//! Connections: accepted, answered on, and closed.
//!
//! `axum::serve` would do, but for its lack of limits: silent connections, clients that read no answer, and one client
//! with thousands of connections would keep all others out.

mod activity;
mod paced;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::Body;
use axum::extract::ConnectInfo;
use hyper::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use ipnet::IpNet;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tidegate_http::{Shares, Surface};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Instant, sleep, timeout};
use tower::Service;

use self::activity::Activity;
use self::paced::PacedStream;
use crate::config::Http;

/// How long to wait when the system has no descriptor left for another connection.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(100);
/// Most connections at a time: each may hold a request's head and body in memory.
const MOST: usize = 4_096;
/// Largest head of an HTTP/1.1 request, in bytes.
const HEAD: usize = 64 * 1024;
/// Most requests at a time on one HTTP/2 connection.
const STREAMS: u32 = 32;
/// Bytes that a client may send on one HTTP/2 stream before they are read.
const STREAM_WINDOW: u32 = 64 * 1024;
/// The same for all streams of a connection: what it may hold in memory outside of the upload budget.
const CONNECTION_WINDOW: u32 = 128 * 1024;

/// What one connection, and one network, may use.
#[derive(Clone)]
pub(super) struct ConnectionLimits {
    silence: Duration,
    write_timeout: Duration,
    age: Duration,
    per_network: usize,
    /// Their connections are those of many clients.
    trusted_proxies: Arc<[IpNet]>,
}

impl From<&Http> for ConnectionLimits {
    fn from(http: &Http) -> Self {
        Self {
            silence: http.idle_timeout,
            write_timeout: http.write_timeout,
            age: http.connection_age,
            per_network: http.connections_per_network,
            trusted_proxies: http.trusted_proxies.clone().into(),
        }
    }
}

/// Answers requests with the surface.
pub(super) struct Connections {
    room: Arc<Semaphore>,
    shares: Arc<Mutex<Shares>>,
    warned: AtomicBool,
    surface: Surface,
    protocol: Arc<auto::Builder<TokioExecutor>>,
    limits: ConnectionLimits,
    /// Each open connection holds a receiver.
    stop: watch::Sender<bool>,
}

impl Connections {
    /// Answers within these limits.
    pub(super) fn new(surface: Surface, limits: ConnectionLimits) -> Self {
        let silence = limits.silence;
        let mut protocol = auto::Builder::new(TokioExecutor::new());
        // Until a request's head is complete, the first as well as the next.
        protocol.http1().timer(TokioTimer::new()).header_read_timeout(silence).max_buf_size(HEAD);
        protocol
            .http2()
            .timer(TokioTimer::new())
            .keep_alive_interval(silence)
            .keep_alive_timeout(silence)
            .max_concurrent_streams(STREAMS)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW);
        Self {
            room: Arc::new(Semaphore::new(MOST)),
            shares: Arc::default(),
            warned: AtomicBool::new(false),
            surface,
            protocol: Arc::new(protocol),
            limits,
            stop: watch::Sender::new(false),
        }
    }

    /// Accepts connections until `stop`.
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
                Ok(((stream, peer), room)) => self.admit(stream, peer, room),
                // The client's doing, and over with its connection.
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    tracing::error!(%error, "no connection can be accepted; trying again");
                    sleep(ACCEPT_BACKOFF).await;
                }
            }
        }
    }

    /// Finishes the requests under way, at most for `patience`; says whether all of them finished.
    pub(super) async fn finish(self, patience: Duration) -> bool {
        self.stop.send_replace(true);
        timeout(patience, self.stop.closed()).await.is_ok()
    }

    /// Answers on a connection, or closes it when its network has its share already.
    fn admit(&self, stream: TcpStream, peer: SocketAddr, room: OwnedSemaphorePermit) {
        let Some(share) = self.share_of(peer.ip().to_canonical()) else {
            count_closed("share");
            if !self.warned.swap(true, Ordering::Relaxed) {
                tracing::warn!(
                    %peer,
                    most = self.limits.per_network,
                    "a client has as many connections as http.connections_per_network allows; more are closed. If it is \
                     a proxy, name it in http.trusted_proxies. This is logged once"
                );
            }
            return;
        };
        // Answers are small and complete: waiting to fill a packet would only delay them.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY could not be set");
        }
        let connection = converse(
            stream,
            peer,
            self.surface.clone(),
            Arc::clone(&self.protocol),
            self.limits.clone(),
            self.stop.subscribe(),
        );
        tokio::spawn(async move {
            connection.await;
            drop((room, share));
        });
    }

    fn share_of(&self, ip: IpAddr) -> Option<Share> {
        if self.limits.trusted_proxies.iter().any(|net| net.contains(&ip)) {
            return Some(Share(None));
        }
        let is_taken = locked(&self.shares).take(ip, 1, self.limits.per_network);
        is_taken.then(|| Share(Some((Arc::clone(&self.shares), ip))))
    }
}

/// A connection's part of its network's share, until dropped. A trusted proxy takes none.
struct Share(Option<(Arc<Mutex<Shares>>, IpAddr)>);

impl Drop for Share {
    fn drop(&mut self) {
        if let Some((shares, ip)) = &self.0 {
            locked(shares).give_back(*ip, 1);
        }
    }
}

fn locked(shares: &Mutex<Shares>) -> std::sync::MutexGuard<'_, Shares> {
    shares.lock().unwrap_or_else(PoisonError::into_inner)
}

fn count_closed(reason: &'static str) {
    metrics::counter!("tidegate_connections_closed_total", "reason" => reason).increment(1);
}

async fn converse(
    stream: TcpStream,
    peer: SocketAddr,
    surface: Surface,
    protocol: Arc<auto::Builder<TokioExecutor>>,
    limits: ConnectionLimits,
    mut stop: watch::Receiver<bool>,
) {
    let activity = Arc::new(Activity::new());
    let service = service_fn(|mut request: Request<Incoming>| {
        let under_way = activity.begin(request.version());
        request.extensions_mut().insert(ConnectInfo(peer));
        let answer = surface.clone().call(request.map(Body::new));
        async move { answer.await.map(|answer| under_way.end(answer)) }
    });
    let stream = PacedStream::new(stream, limits.write_timeout, Arc::clone(&activity));
    let mut connection = std::pin::pin!(protocol.serve_connection(TokioIo::new(stream), service));
    tokio::select! {
        ended = connection.as_mut() => return log_end(ended, peer),
        () = until_over(&activity, &limits, &mut stop) => connection.as_mut().graceful_shutdown(),
    }
    // Requests under way are finished, and have their own deadline. Whatever else keeps the connection open, such as an
    // HTTP/2 client that takes no more of an answer, does not.
    tokio::select! {
        ended = connection.as_mut() => log_end(ended, peer),
        () = activity.finished_for(limits.write_timeout, Instant::now()) => count_closed("unfinished"),
    }
}

/// Waits until no more requests are wanted on a connection: it is silent or old, or the program stops.
async fn until_over(activity: &Activity, limits: &ConnectionLimits, stop: &mut watch::Receiver<bool>) {
    tokio::select! {
        () = activity.quiet_for(limits.silence) => return,
        _ = stop.wait_for(|stop| *stop) => return,
        () = sleep(limits.age) => {}
    }
    // HTTP/2 notifies the client, which loses no request. HTTP/1.1 can only say so with an answer: closed between two of
    // them, the next request might be on its way already.
    if activity.is_http2() {
        return;
    }
    activity.close_with_next_answer();
    tokio::select! {
        () = activity.quiet_for(limits.silence) => {}
        _ = stop.wait_for(|stop| *stop) => {}
        () = sleep(limits.silence) => {}
    }
}

fn log_end<E: std::fmt::Display + ?Sized>(ended: Result<(), Box<E>>, peer: SocketAddr) {
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
