//! Forwarding from a port of this machine.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use russh::Channel;
use russh::client::{Handle, Msg};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::{Keeper, failed};
use crate::error::{SourceError, within};

/// How long the SSH server may take to open a channel for a connection of the near port.
const OPENING: Duration = Duration::from_secs(60);
/// How long to wait when the system has no descriptor left for another connection.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(100);

/// A channel to a server that the SSH server reaches.
pub(super) async fn channel(
    session: &Handle<Keeper>,
    host: &str,
    port: u16,
) -> Result<Channel<Msg>, SourceError> {
    session.channel_open_direct_tcpip(host, port.into(), "127.0.0.1", 0).await.map_err(|error| {
        failed("The SSH server cannot reach the data source, or does not forward to it.").with_detail(error)
    })
}

/// A port of the loopback interface whose connections go through the tunnel, until this is dropped.
pub(super) struct Listener {
    pub(super) address: SocketAddr,
    host: String,
    port: u16,
    task: JoinHandle<()>,
}

impl Listener {
    pub(super) async fn open(
        session: Arc<Handle<Keeper>>,
        host: &str,
        port: u16,
        local_port: u16,
    ) -> Result<Self, SourceError> {
        let busy =
            |error: std::io::Error| failed("The local port of the tunnel is not free.").with_detail(error);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, local_port)).await.map_err(busy)?;
        let address = listener.local_addr().map_err(busy)?;
        let there = host.to_owned();
        let task = tokio::spawn(accept(listener, session, there, port));
        Ok(Self { address, host: host.to_owned(), port, task })
    }

    pub(super) fn leads_to(&self, host: &str, port: u16) -> bool {
        self.host == host && self.port == port
    }
}

/// Forwards every connection. One that cannot be accepted is no end of the others: the port is the tunnel's for as long as that is open.
async fn accept(listener: TcpListener, session: Arc<Handle<Keeper>>, host: String, port: u16) {
    loop {
        match listener.accept().await {
            Ok((near, _)) => drop(tokio::spawn(forward(near, Arc::clone(&session), host.clone(), port))),
            Err(error) => {
                tracing::debug!(%error, "a tunnel takes no connection; trying again");
                sleep(ACCEPT_BACKOFF).await;
            }
        }
    }
}

async fn forward(mut near: TcpStream, session: Arc<Handle<Keeper>>, host: String, port: u16) {
    // Whoever connected has a time limit of its own; what waits for the SSH server here is not told of it.
    match within(OPENING, "Connecting through the tunnel", channel(&session, &host, port)).await {
        Ok(channel) => {
            let _ = tokio::io::copy_bidirectional(&mut near, &mut channel.into_stream()).await;
        }
        Err(error) => tracing::debug!(detail = error.detail, "a tunnel did not open"),
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.task.abort();
    }
}
