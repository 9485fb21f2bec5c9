//! The listener for PostgreSQL's protocol: connections are accepted here, within limits, and answered by `tidegate-pgwire`.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tidegate_domain::Clock;
use tidegate_pgwire::{Metrics, TlsProblem, Wire};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use super::bind;
use super::places::{Guest, Place, Places, SentAway, Share};
use crate::clock::SystemClock;
use crate::config::Config;
use crate::failure::Failure;
use crate::wiring::Opened;

/// How long to wait when the system has no descriptor left for another connection.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(100);
/// Connections, besides those that have a place, that are told that there is none.
const TURNED_AWAY: usize = 32;

/// What to do where a certificate is not valid now.
pub(crate) const RENEW: &str = "clients that verify it do not connect: renew it, and start this server again; if it is valid, the \
     clock of this machine is wrong";

/// The listener, bound and not yet answering.
pub(super) struct Bound {
    listener: TcpListener,
    address: SocketAddr,
}

/// The listener, answering.
pub(super) struct Postgres {
    accepting: JoinHandle<()>,
    stop: watch::Sender<bool>,
}

impl Bound {
    /// Takes the address, where one is configured.
    ///
    /// # Errors
    /// When it cannot be listened on, or the certificate or its key cannot be used.
    pub(super) async fn new(config: &Config) -> Result<Option<Self>, Failure> {
        let Some(address) = config.pgwire.listen else { return Ok(None) };
        check_tls(config)?;
        let listener = bind(address).await?;
        let address = listener.local_addr().unwrap_or(address);
        Ok(Some(Self { listener, address }))
    }

    /// Begins to answer.
    ///
    /// # Errors
    /// When the certificate or its key cannot be used.
    pub(super) fn start(self, config: &Config, opened: &Opened) -> Result<Postgres, Failure> {
        Metrics::describe();
        let settings = config.pgwire.clone();
        let (most, share) = (settings.connections, settings.connections_per_network);
        let wire = Wire::new(Arc::clone(&opened.kernel), Arc::clone(&opened.prompts), settings)
            .map_err(|problem| unusable(&problem))?;
        let stop = watch::Sender::new(false);
        let accepting = Accepting {
            wire,
            places: Places::new(most),
            outside: Places::new(TURNED_AWAY),
            share,
            stop: stop.subscribe(),
        };
        if let Some(what) = untimely_certificate(config) {
            tracing::warn!("pgwire.tls_cert: {what}; {RENEW}");
        }
        tracing::info!(address = %self.address, tls = config.pgwire.tls_cert.is_some(), "PostgreSQL clients are served");
        Ok(Postgres { accepting: tokio::spawn(accepting.run(self.listener)), stop })
    }
}

/// Whether the certificate and its key can be used: known before anything is made, and to `tidegate doctor`.
///
/// # Errors
/// Names the file, and what it lacks.
pub(crate) fn check_tls(config: &Config) -> Result<(), Failure> {
    tidegate_pgwire::acceptor_of(&config.pgwire).map(drop).map_err(|problem| unusable(&problem))
}

/// What is wrong with the times of the certificate now, as far as it can be read.
pub(crate) fn untimely_certificate(config: &Config) -> Option<String> {
    tidegate_pgwire::untimely(&config.pgwire, SystemClock.now()).ok().flatten()
}

fn unusable(problem: &TlsProblem) -> Failure {
    let advice = "name the files of a certificate and of its own key, in PEM, which this user may read";
    Failure::configuration(format!("pgwire.{problem}")).advise(advice)
}

impl Postgres {
    /// Sends clients away and waits until they are gone, at most for `patience`.
    pub(super) async fn stop(self, patience: Duration) {
        self.stop.send_replace(true);
        let ended = async {
            drop(self.accepting.await);
            // Each connection holds a receiver.
            self.stop.closed().await;
        };
        if timeout(patience, ended).await.is_err() {
            tracing::warn!("some PostgreSQL clients did not finish in time and were cut off");
        }
    }
}

struct Accepting {
    wire: Arc<Wire>,
    places: Arc<Places>,
    /// Where those are who find no place.
    outside: Arc<Places>,
    share: usize,
    stop: watch::Receiver<bool>,
}

impl Accepting {
    async fn run(mut self, listener: TcpListener) {
        loop {
            let accepted = tokio::select! {
                _ = self.stop.wait_for(|stop| *stop) => return,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => {
                    // Closed when its network has its share already: before anybody gives way for it.
                    let Some(share) = self.places.share(peer.ip().to_canonical(), self.share) else {
                        metrics::counter!("tidegate_connections_closed_total", "reason" => "share")
                            .increment(1);
                        continue;
                    };
                    self.seat(stream, peer, share).await;
                }
                Err(error) => {
                    tracing::debug!(%error, "no PostgreSQL client can be accepted; trying again");
                    sleep(ACCEPT_BACKOFF).await;
                }
            }
        }
    }

    /// Gives a connection a place. Who has not signed in gives way for it; where all have, it is told so.
    async fn seat(&self, stream: TcpStream, peer: SocketAddr, share: Share) {
        if let Some(place) = self.places.take().await {
            self.answer(stream, peer, place, share);
        } else if let Some(place) = self.outside.take().await {
            self.turn_away(stream, peer, place, share);
        }
    }

    /// Answers on a connection.
    fn answer(&self, stream: TcpStream, peer: SocketAddr, place: Place, share: Share) {
        let (wire, stop) = (Arc::clone(&self.wire), self.stop.clone());
        let (guest, mut sent_away) = stranger(&self.places, peer);
        tokio::spawn(async move {
            wire.converse(stream, peer, stop, sent_away.told(), move || guest.stays()).await;
            drop((place, share));
        });
    }

    /// Says on a connection that there is no place for it.
    fn turn_away(&self, stream: TcpStream, peer: SocketAddr, place: Place, share: Share) {
        let (wire, stop) = (Arc::clone(&self.wire), self.stop.clone());
        let (guest, mut sent_away) = stranger(&self.outside, peer);
        tokio::spawn(async move {
            wire.turn_away(stream, peer, stop, sent_away.told()).await;
            drop((guest, place, share));
        });
    }
}

/// One who gives way until it has signed in.
fn stranger(places: &Arc<Places>, peer: SocketAddr) -> (Guest, SentAway) {
    places.enter(Some(peer.ip().to_canonical()), Arc::new(Instant::now()))
}
