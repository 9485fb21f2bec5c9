//! Forwarding from a port of this machine.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use russh::Channel;
use russh::client::{Handle, Msg};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::{Keeper, failed};
use crate::error::SourceError;

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
        let task = tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                let session = Arc::clone(&session);
                let there = there.clone();
                tokio::spawn(async move {
                    match channel(&session, &there, port).await {
                        Ok(channel) => {
                            let _ =
                                tokio::io::copy_bidirectional(&mut near, &mut channel.into_stream()).await;
                        }
                        Err(error) => tracing::debug!(detail = error.detail, "a tunnel did not open"),
                    }
                });
            }
        });
        Ok(Self { address, host: host.to_owned(), port, task })
    }

    pub(super) fn leads_to(&self, host: &str, port: u16) -> bool {
        self.host == host && self.port == port
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.task.abort();
    }
}
