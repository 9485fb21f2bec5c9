//! What answers connections.

use std::net::SocketAddr;
use std::sync::Arc;

use metrics::{Unit, counter, describe_counter, describe_gauge, gauge};
use tidegate_kernel::Kernel;
use tidegate_kernel::noted::{CredentialFault, noting};
use tidegate_prompts::Prompts;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsAcceptor;

use super::beginning::Beginnings;
use super::connection::Connection;
use super::opening::{self, Opened, Places, Session};
use crate::cancel::Cancels;
use crate::failures::{Counts, network};
use crate::listing;
use crate::seats::Seats;
use crate::settings::PgwireSettings;
use crate::tls::{TlsProblem, acceptor_of};

/// A stream in both directions, encrypted or not.
pub(crate) trait Duplex: AsyncRead + AsyncWrite + Send + Sync + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Sync + Unpin> Duplex for T {}

/// A connection's bytes.
pub(crate) type Io = Box<dyn Duplex>;

/// Answers of catalogs that are worked out at the same time.
const CATALOG_ANSWERS: usize = 2;

/// What answers connections, whoever accepts them.
pub struct Wire {
    pub(crate) kernel: Arc<Kernel>,
    pub(crate) prompts: Arc<Prompts>,
    pub(crate) settings: PgwireSettings,
    pub(crate) acceptor: Option<TlsAcceptor>,
    pub(crate) cancels: Arc<Cancels>,
    pub(crate) catalog_answers: Arc<Semaphore>,
    /// Room for answers about catalogs that wait for their clients.
    pub(crate) catalog_room: Arc<Semaphore>,
    pub(crate) seats: Arc<Seats>,
    pub(crate) failures: Counts,
    pub(crate) sign_ins: Counts,
    /// Refusals that the log was told of, by network.
    refusals: Counts,
    beginnings: Beginnings,
}

/// The names of metrics.
pub struct Metrics;

impl Metrics {
    const CONNECTIONS: &'static str = "tidegate_postgres_connections";
    const ENDED: &'static str = "tidegate_postgres_connections_total";
    const STATEMENTS: &'static str = "tidegate_postgres_statements_total";

    /// Says what each is.
    pub fn describe() {
        describe_gauge!(
            Self::CONNECTIONS,
            Unit::Count,
            "Connections of PostgreSQL clients that are signed in."
        );
        describe_counter!(
            Self::ENDED,
            "Connections of PostgreSQL clients, by what came of them: signed_in, refused, cancel, no_session, or crowded_out."
        );
        describe_counter!(
            Self::STATEMENTS,
            "Statements of PostgreSQL clients, by what they were (query, catalog or other) and by SQLSTATE; 00000 is success."
        );
    }

    pub(crate) fn ended(outcome: &'static str) {
        counter!(Self::ENDED, "outcome" => outcome).increment(1);
    }

    pub(crate) fn statement(kind: &'static str, state: &'static str) {
        counter!(Self::STATEMENTS, "kind" => kind, "state" => state).increment(1);
    }
}

/// Counts a connection that is signed in, until it is dropped.
struct Open;

impl Open {
    fn new() -> Self {
        gauge!(Metrics::CONNECTIONS).increment(1);
        Self
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        gauge!(Metrics::CONNECTIONS).decrement(1);
    }
}

impl Wire {
    /// What answers with these settings. Certificate and key are read now.
    ///
    /// # Errors
    /// [`TlsProblem`].
    pub fn new(
        kernel: Arc<Kernel>,
        prompts: Arc<Prompts>,
        settings: PgwireSettings,
    ) -> Result<Arc<Self>, TlsProblem> {
        let acceptor = acceptor_of(&settings)?;
        Ok(Arc::new(Self {
            kernel,
            prompts,
            settings,
            acceptor,
            cancels: Arc::default(),
            catalog_answers: Arc::new(Semaphore::new(CATALOG_ANSWERS)),
            catalog_room: Arc::new(Semaphore::new(listing::HELD)),
            seats: Arc::default(),
            failures: Counts::of_failures(),
            sign_ins: Counts::of_sign_ins(),
            refusals: Counts::of_failures(),
            beginnings: Beginnings::default(),
        }))
    }

    /// Answers on a connection until it ends, or until `stop` is true. Until its client has signed in, which is told to `signed_in`, it ends
    /// with `sent_away` as well.
    pub async fn converse(
        self: Arc<Self>,
        stream: TcpStream,
        peer: SocketAddr,
        stop: watch::Receiver<bool>,
        sent_away: impl Future<Output = ()> + Send,
        signed_in: impl FnOnce() + Send,
    ) {
        let Some(session) = self.open(stream, peer, stop.clone(), sent_away, Places::Left).await else {
            return;
        };
        signed_in();
        Metrics::ended("signed_in");
        let account = session.actor.session().account_number;
        let program = session.call.user_agent.clone();
        tracing::info!(%peer, account, program, "a PostgreSQL client signed in");
        let open = Open::new();
        let ended = Connection::new(self, *session, stop).run().await;
        drop(open);
        tracing::debug!(%peer, account, state = ended.state, "a PostgreSQL client is gone");
    }

    /// Says on a connection that there is no place for it, as soon as its client has asked for one. Requests to cancel are heard: who is
    /// signed in makes them on connections of their own.
    pub async fn turn_away(
        self: Arc<Self>,
        stream: TcpStream,
        peer: SocketAddr,
        stop: watch::Receiver<bool>,
        sent_away: impl Future<Output = ()> + Send,
    ) {
        let session = self.open(stream, peer, stop, sent_away, Places::Taken).await;
        debug_assert!(session.is_none(), "nobody signs in without a place");
    }

    /// Brings a connection to where statements can be asked. None: it is over.
    async fn open(
        self: &Arc<Self>,
        stream: TcpStream,
        peer: SocketAddr,
        mut stop: watch::Receiver<bool>,
        sent_away: impl Future<Output = ()> + Send,
        places: Places,
    ) -> Option<Box<Session>> {
        // Answers are written when they are complete: waiting to fill a packet would only delay them.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY could not be set");
        }
        let opened = async {
            let begins_with_tls = opening::begins_with_tls(&stream).await?;
            opening::open(self, Box::new(stream), peer, begins_with_tls, places).await
        };
        let opened = timeout_at(Instant::now() + self.settings.sign_in_timeout, noting(opened));
        let opened = tokio::select! {
            biased;
            opened = opened => opened,
            () = sent_away => {
                Metrics::ended("crowded_out");
                return None;
            }
            // Nobody waits for somebody who has not begun.
            _ = stop.wait_for(|stop| *stop) => {
                Metrics::ended("no_session");
                return None;
            }
        };
        match opened {
            Ok((Ok(Opened::Session(session)), _)) => return Some(session),
            Ok((Ok(Opened::Cancel), _)) => Metrics::ended("cancel"),
            Ok((Ok(Opened::Refused(state)), noted)) => {
                Metrics::ended("refused");
                self.log_refusal(peer, state, noted.refused.as_ref());
            }
            Ok((Err(error), _)) => {
                Metrics::ended("no_session");
                self.beginnings.note(&error, peer);
            }
            // Its time is over.
            Err(_) => Metrics::ended("no_session"),
        }
        None
    }

    /// Tells the operator, but not of as many as a network likes. What is wrong with the token is not told to the client.
    fn log_refusal(&self, peer: SocketAddr, state: &'static str, fault: Option<&CredentialFault>) {
        let refused = fault.map(ToString::to_string);
        let (network, now) = (network(peer.ip()).to_string(), self.kernel.now());
        if self.refusals.are_too_many(&network, now) {
            tracing::debug!(%peer, state, refused, "a PostgreSQL client was refused");
            return;
        }
        self.refusals.count(network, now);
        tracing::info!(%peer, state, refused, "a PostgreSQL client was refused");
    }
}
