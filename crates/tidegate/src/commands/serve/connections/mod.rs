//! Connections: accepted, answered on, and closed.
//!
//! `axum::serve` would do, but for its lack of limits: silent connections, clients that read no answer, and one client
//! with thousands of connections would keep all others out.

mod activity;
mod answer;
mod beginning;
mod paced;

use std::error::Error;
use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
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
use tidegate_http::Surface;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};
use tower::Service;

use self::activity::Activity;
use self::beginning::Beginnings;
use self::paced::PacedStream;
use super::places::{Guest, Idle, Place, Places, Share};
use crate::config::Http;

/// How long to wait when the system has no descriptor left for another connection.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(100);
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
    most: usize,
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
            most: http.connections,
            per_network: http.connections_per_network,
            trusted_proxies: http.trusted_proxies.clone().into(),
        }
    }
}

impl ConnectionLimits {
    /// No more connections than a process of so many descriptors can have: a quarter is left to files, to the database and to other servers. Where
    /// they run out first, nothing is accepted, and nobody gives way.
    pub(super) fn within(self, descriptors: Option<u64>) -> Self {
        let Some(descriptors) = descriptors else { return self };
        let most = usize::try_from(descriptors / 4 * 3).unwrap_or(usize::MAX).max(1);
        if most < self.most {
            tracing::warn!(
                descriptors,
                connections = most,
                "there are fewer connections than http.connections says: the system allows this process too few open files. \
                 Raise its limit (LimitNOFILE, or ulimit -n)"
            );
        }
        Self { most: self.most.min(most), ..self }
    }
}

/// HTTP, and what is said of those who begin otherwise.
struct Protocol {
    http: auto::Builder<TokioExecutor>,
    beginnings: Beginnings,
}

/// Answers requests with the surface.
pub(super) struct Connections {
    places: Arc<Places>,
    warned: AtomicBool,
    surface: Surface,
    protocol: Arc<Protocol>,
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
            places: Places::new(limits.most),
            warned: AtomicBool::new(false),
            surface,
            protocol: Arc::new(Protocol { http: protocol, beginnings: Beginnings::default() }),
            limits,
            stop: watch::Sender::new(false),
        }
    }

    /// Accepts connections until `stop`.
    pub(super) async fn accept(&self, listener: TcpListener, stop: impl Future<Output = ()>) {
        let mut stop = pin!(stop);
        loop {
            let accepted = tokio::select! {
                () = &mut stop => return,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => {
                    // Before anybody gives way for it.
                    let Some(client) = self.admit(peer) else { continue };
                    // The others wait in the system's own queue meanwhile.
                    let place = tokio::select! {
                        () = &mut stop => return,
                        place = self.places.wait() => place,
                    };
                    self.answer(stream, peer, client, place);
                }
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

    /// Who connects; none where its network has its share already.
    fn admit(&self, peer: SocketAddr) -> Option<Client> {
        let ip = peer.ip().to_canonical();
        if self.limits.trusted_proxies.iter().any(|net| net.contains(&ip)) {
            return Some(Client { ip: None, _share: None });
        }
        let whole = self.limits.per_network;
        let now = self.places.scarce(whole);
        if let Some(share) = self.places.share(ip, now) {
            return Some(Client { ip: Some(ip), _share: Some(share) });
        }
        if now < whole {
            count_closed("scarce");
            return None;
        }
        count_closed("share");
        if !self.warned.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                %peer,
                most = whole,
                "a client has as many connections as http.connections_per_network allows; more are closed. If it is \
                 a proxy, name it in http.trusted_proxies. This is logged once"
            );
        }
        None
    }

    /// Answers on a connection.
    fn answer(&self, stream: TcpStream, peer: SocketAddr, client: Client, place: Place) {
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
            Seat { places: Arc::clone(&self.places), ip: client.ip },
            self.stop.subscribe(),
        );
        tokio::spawn(async move {
            connection.await;
            drop((place, client));
        });
    }
}

/// Who is connected. A trusted proxy is many clients: it has no address here, and takes no network's share.
struct Client {
    ip: Option<IpAddr>,
    _share: Option<Share>,
}

/// Where a connection is when it gives way.
struct Seat {
    places: Arc<Places>,
    ip: Option<IpAddr>,
}

impl Seat {
    /// Ends when the connection is idle and its place is wanted.
    async fn wanted(&self, activity: &Arc<Activity>) -> Guest {
        loop {
            let idle = Arc::clone(activity) as Arc<dyn Idle>;
            let (guest, mut sent_away) = self.places.enter(self.ip, idle);
            sent_away.told().await;
            // A request may have begun meanwhile.
            if activity.idle_since().is_some() {
                return guest;
            }
            guest.stays();
        }
    }
}

fn count_closed(reason: &'static str) {
    metrics::counter!("tidegate_connections_closed_total", "reason" => reason).increment(1);
}

async fn converse(
    stream: TcpStream,
    peer: SocketAddr,
    surface: Surface,
    protocol: Arc<Protocol>,
    limits: ConnectionLimits,
    seat: Seat,
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
    let mut connection = pin!(protocol.http.serve_connection(TokioIo::new(stream), service));
    let mut wanted = pin!(seat.wanted(&activity));
    tokio::select! {
        // In this order: a request that has come by now is begun before anybody asks whether the connection is idle.
        biased;
        ended = connection.as_mut() => return log_end(ended, peer, &protocol, &activity),
        guest = wanted.as_mut() => {
            // Over HTTP/2 the client is told. Whether it has heard it is not waited for.
            connection.as_mut().graceful_shutdown();
            let ended = poll_fn(|context| Poll::Ready(connection.as_mut().poll(context))).await;
            if ended.is_ready() || activity.idle_since().is_some() {
                return count_closed("crowded_out");
            }
            guest.stays();
            wanted.set(seat.wanted(&activity));
        }
        () = until_over(&activity, &limits, &mut stop) => connection.as_mut().graceful_shutdown(),
    }
    // Requests under way are finished, and have their own deadline. Whatever else keeps the connection open, such as an
    // HTTP/2 client that takes no more of an answer, does not.
    tokio::select! {
        biased;
        ended = connection.as_mut() => log_end(ended, peer, &protocol, &activity),
        _guest = wanted.as_mut() => count_closed("crowded_out"),
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

fn log_end(
    ended: Result<(), Box<dyn Error + Send + Sync>>,
    peer: SocketAddr,
    protocol: &Protocol,
    activity: &Activity,
) {
    if let Err(error) = ended {
        protocol.beginnings.note(error.as_ref(), activity.foreign(), peer);
        tracing::debug!(%error, %peer, "a connection ended early");
    }
}

fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

/// Lets this process have as many connections as the system allows it: the usual first limit, 1024, is for programs that
/// cannot do with more. Answers how many descriptors it may have; none where there is no limit.
pub(super) fn raise_descriptor_limit() -> Option<u64> {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(error) => {
            tracing::debug!(%error, "the limit on open files stays as it is");
            limit.current
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quarter_of_the_descriptors_is_left_to_others() {
        let most = |descriptors| ConnectionLimits::from(&Http::default()).within(descriptors).most;
        assert_eq!(most(None), 4_096);
        assert_eq!((most(Some(1 << 20)), most(Some(1_024)), most(Some(0))), (4_096, 768, 1));
    }
}
