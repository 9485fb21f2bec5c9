//! The listener for PostgreSQL's protocol: connections are accepted here, within limits, and answered by `tidegate-pgwire`.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tidegate_http::Shares;
use tidegate_pgwire::{Metrics, Strangers, TlsProblem, Wire};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::bind;
use crate::config::Config;
use crate::failure::Failure;
use crate::wiring::Opened;

/// How long to wait when the system has no descriptor left for another connection.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(100);

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
            room: Arc::new(Semaphore::new(most)),
            shares: Arc::default(),
            strangers: Arc::default(),
            share,
            stop: stop.subscribe(),
        };
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
    room: Arc<Semaphore>,
    shares: Arc<Mutex<Shares>>,
    strangers: Arc<Strangers>,
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
                    // Closed when its network has its share already: before anybody makes room for it.
                    let Some(share) = self.share_of(peer.ip().to_canonical()) else {
                        metrics::counter!("tidegate_connections_closed_total", "reason" => "share")
                            .increment(1);
                        continue;
                    };
                    let Some(room) = self.room().await else { return };
                    self.answer(stream, peer, room, share);
                }
                Err(error) => {
                    tracing::debug!(%error, "no PostgreSQL client can be accepted; trying again");
                    sleep(ACCEPT_BACKOFF).await;
                }
            }
        }
    }

    /// Room for one that was accepted; others wait in the system's own queue. Who has signed in stays, who has not makes room. None where the
    /// server stops.
    async fn room(&mut self) -> Option<OwnedSemaphorePermit> {
        loop {
            if self.room.available_permits() == 0 {
                self.strangers.send_one_away();
            }
            let room = Arc::clone(&self.room);
            tokio::select! {
                _ = self.stop.wait_for(|stop| *stop) => return None,
                room = room.acquire_owned() => return room.ok(),
                // Its place was not given back: another makes room.
                () = self.strangers.one_stayed() => {}
            }
        }
    }

    /// Answers on a connection.
    fn answer(&self, stream: TcpStream, peer: SocketAddr, room: OwnedSemaphorePermit, share: Share) {
        let (wire, stop) = (Arc::clone(&self.wire), self.stop.clone());
        let stranger = self.strangers.enter(peer.ip());
        tokio::spawn(async move {
            wire.converse(stream, peer, stop, stranger).await;
            drop((room, share));
        });
    }

    fn share_of(&self, ip: IpAddr) -> Option<Share> {
        let is_taken = locked(&self.shares).take(ip, 1, self.share);
        is_taken.then(|| Share { shares: Arc::clone(&self.shares), ip })
    }
}

/// A connection's part of its network's share, until dropped.
struct Share {
    shares: Arc<Mutex<Shares>>,
    ip: IpAddr,
}

impl Drop for Share {
    fn drop(&mut self) {
        locked(&self.shares).give_back(self.ip, 1);
    }
}

fn locked(shares: &Mutex<Shares>) -> MutexGuard<'_, Shares> {
    shares.lock().unwrap_or_else(PoisonError::into_inner)
}
