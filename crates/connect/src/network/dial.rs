//! Streams to a server: direct or through a tunnel, with TLS or without.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};

use super::NetworkPolicy;
use crate::error::SourceError;
use crate::settings::Settings;
use crate::ssh::Tunnel;

/// A stream of bytes both ways.
pub(crate) trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}

/// Opens streams to the servers of one source.
#[derive(Clone)]
pub(crate) struct Dialer {
    policy: NetworkPolicy,
    tunnel: Option<Arc<Tunnel>>,
    limit: Duration,
}

impl Dialer {
    /// Opens the tunnel, if there is to be one.
    pub(crate) async fn open(settings: &Settings, policy: &NetworkPolicy) -> Result<Self, SourceError> {
        let limit = settings.connection_timeout;
        let tunnel = match &settings.ssh {
            None => None,
            Some(ssh) => Some(Arc::new(Tunnel::open(ssh, &settings.credentials, policy, limit).await?)),
        };
        Ok(Self { policy: policy.clone(), tunnel, limit })
    }

    /// A stream to a server of the source. Behind a tunnel the name is the SSH server's to look up.
    pub(crate) async fn dial(&self, host: &str, port: u16) -> Result<Box<dyn Wire>, SourceError> {
        match &self.tunnel {
            None => Ok(Box::new(self.policy.connect(host, port, self.limit).await?)),
            Some(tunnel) => tunnel.stream(host, port, self.limit).await,
        }
    }

    /// The tunnel of the source.
    pub(crate) fn tunnel(&self) -> Option<&Arc<Tunnel>> {
        self.tunnel.as_ref()
    }

    /// The policy of the source.
    pub(crate) fn policy(&self) -> &NetworkPolicy {
        &self.policy
    }
}
