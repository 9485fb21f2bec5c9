//! What every handler can reach.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use metrics_exporter_prometheus::PrometheusHandle;
use serde::{Deserialize, Serialize};
use tidegate_identity::Identity;

use crate::ops::OpsSettings;
use crate::wire::upload::Room;

/// How proxies say whom they serve.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ForwardedHeader {
    /// `X-Forwarded-For`, a list of addresses.
    #[default]
    XForwardedFor,
    /// `Forwarded` (RFC 7239).
    Forwarded,
}

/// What an operator decides about HTTP.
#[derive(Clone, Debug)]
pub struct HttpSettings {
    /// Proxies whose header is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// The header in which they say whom they serve. Only one is read: proxies write one and pass the other on as the
    /// client sent it.
    pub forwarded_header: ForwardedHeader,
    /// How long a request may take.
    pub deadline: Duration,
    /// Most bytes of a request body that may carry a free document. Bodies that need no more are at most 64 KiB, those with a
    /// picture inside 3 MiB, applications 15 MiB.
    pub max_body: usize,
    /// Bytes that all large bodies under way may take together: applications and documents.
    pub uploads: usize,
    /// Origins whose scripts may call the APIs; `*` for any.
    pub cors_origins: Vec<String>,
    /// Operations.
    pub ops: OpsSettings,
}

impl Default for HttpSettings {
    fn default() -> Self {
        Self {
            trusted_proxies: Vec::new(),
            forwarded_header: ForwardedHeader::default(),
            deadline: Duration::from_secs(30),
            max_body: 1024 * 1024,
            uploads: 64 * 1024 * 1024,
            cors_origins: Vec::new(),
            ops: OpsSettings::default(),
        }
    }
}

/// The application and its HTTP settings. Cheap to clone.
#[derive(Clone)]
pub struct App(Arc<Inner>);

struct Inner {
    identity: Arc<Identity>,
    settings: HttpSettings,
    metrics: Option<PrometheusHandle>,
    room: Room,
}

impl App {
    /// Wires them.
    pub fn new(identity: Arc<Identity>, settings: HttpSettings, metrics: Option<PrometheusHandle>) -> Self {
        let room = Room::of(settings.uploads);
        Self(Arc::new(Inner { identity, settings, metrics, room }))
    }

    /// The use cases, for those that go on when the request is gone.
    pub(crate) fn identity(&self) -> &Arc<Identity> {
        &self.0.identity
    }

    pub(crate) fn room(&self) -> &Room {
        &self.0.room
    }

    pub(crate) fn http(&self) -> &HttpSettings {
        &self.0.settings
    }

    pub(crate) fn metrics(&self) -> Option<&PrometheusHandle> {
        self.0.metrics.as_ref()
    }
}

impl Deref for App {
    type Target = Identity;

    fn deref(&self) -> &Identity {
        &self.0.identity
    }
}
