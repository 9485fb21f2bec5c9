//! What every handler can reach.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use axum::body::Bytes;
use ipnet::IpNet;
use metrics_exporter_prometheus::PrometheusHandle;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidegate_brokerage::Brokerage;
use tidegate_catalog::Catalog;
use tidegate_crypto::SigningAlgorithm;
use tidegate_identity::Identity;
use tidegate_kernel::Kernel;
use tidegate_oauth::Oauth;
use tidegate_policies::Policies;
use tidegate_prompts::Prompts;
use tidegate_storage::Storage;

use crate::wire::hourly::Hourly;
use crate::wire::refusals::RefusalLog;
use crate::wire::refused_origins::RefusedOrigins;
use crate::wire::request_ids::RequestIds;
use crate::wire::request_metrics::RequestMetrics;
use crate::wire::unread_forwarding::UnreadForwarding;
use crate::wire::upload::UploadBudget;

/// How proxies say whom they serve.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ForwardedHeader {
    /// `X-Forwarded-For`, a list of addresses.
    #[default]
    XForwardedFor,
    /// `Forwarded` (RFC 7239).
    Forwarded,
}

/// Who may look at what operators look at.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OpsSettings {
    /// Networks from which `/metrics` is answered, and `/dev/outbox` where it exists.
    pub allow: Vec<IpNet>,
    /// Names by which operators ask for them, besides addresses and `localhost`.
    pub hosts: Vec<String>,
}

impl Default for OpsSettings {
    fn default() -> Self {
        let loopback = ["127.0.0.0/8", "::1/128"];
        Self { allow: loopback.iter().filter_map(|net| net.parse().ok()).collect(), hosts: Vec::new() }
    }
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
    /// Bytes that all request bodies under way may take together.
    pub uploads: usize,
    /// Origins whose scripts may call the APIs; `*` for any.
    pub cors_origins: Vec<String>,
    /// Whether scripts of pages of this machine may call, too: in development.
    pub cors_this_machine: bool,
    /// Request headers that they may send, besides those every contract needs; `*` for any.
    pub cors_headers: Vec<String>,
    /// Operations.
    pub ops: OpsSettings,
    /// Whether `/dev/outbox` is served where messages are kept. Only where the listener is on loopback: a container's
    /// network may make every client look like this machine.
    pub serves_outbox: bool,
    /// Whether cookies go over plain HTTP: in development, where there is no TLS.
    pub plain_cookies: bool,
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
            cors_this_machine: false,
            cors_headers: Vec::new(),
            ops: OpsSettings::default(),
            serves_outbox: true,
            plain_cookies: false,
        }
    }
}

/// The use cases.
#[derive(Clone)]
pub struct Features {
    /// What every feature uses: time, settings, tokens, limits, messages.
    pub kernel: Arc<Kernel>,
    /// Accounts and how they are reached.
    pub identity: Arc<Identity>,
    /// Brokerage accounts.
    pub brokerage: Arc<Brokerage>,
    /// Applications, what people allow them, and their tokens.
    pub oauth: Arc<Oauth>,
    /// Files.
    pub storage: Arc<Storage>,
    /// Data sources.
    pub catalog: Arc<Catalog>,
    /// Policies.
    pub policies: Arc<Policies>,
    /// Questions and queries over them.
    pub prompts: Arc<Prompts>,
}

/// The application and its HTTP settings. Cheap to clone.
#[derive(Clone)]
pub struct App(Arc<Inner>);

struct Inner {
    features: Features,
    settings: HttpSettings,
    metrics: OnceLock<PrometheusHandle>,
    upload_budget: UploadBudget,
    request_ids: RequestIds,
    request_metrics: RequestMetrics,
    refusals: RefusalLog,
    refused_origins: RefusedOrigins,
    ignored_fields: Hourly,
    unread_forwarding: UnreadForwarding,
    reference: OnceLock<Bytes>,
    discovery: Mutex<Option<(SigningAlgorithm, Bytes)>>,
}

impl App {
    /// Wires them. Where there are no `metrics` yet, see [`App::show_metrics`].
    pub fn new(features: Features, settings: HttpSettings, metrics: Option<PrometheusHandle>) -> Self {
        let upload_budget = UploadBudget::of(settings.uploads);
        let request_ids = RequestIds::new(features.kernel.new_uuid());
        Self(Arc::new(Inner {
            features,
            settings,
            metrics: metrics.map_or_else(OnceLock::new, OnceLock::from),
            upload_budget,
            request_ids,
            request_metrics: RequestMetrics::default(),
            refusals: RefusalLog::default(),
            refused_origins: RefusedOrigins::default(),
            ignored_fields: Hourly::default(),
            unread_forwarding: UnreadForwarding::default(),
            reference: OnceLock::new(),
            discovery: Mutex::default(),
        }))
    }

    /// What every feature uses: time, settings, tokens, limits, messages.
    pub(crate) fn kernel(&self) -> &Kernel {
        &self.0.features.kernel
    }

    /// Accounts and how they are reached.
    pub(crate) fn identity(&self) -> &Identity {
        &self.0.features.identity
    }

    /// Brokerage accounts; shared, for use cases that go on when the request is gone.
    pub(crate) fn brokerage(&self) -> &Arc<Brokerage> {
        &self.0.features.brokerage
    }

    /// Applications, what people allow them, and their tokens.
    pub(crate) fn oauth(&self) -> &Oauth {
        &self.0.features.oauth
    }

    /// Files; shared, for use cases that go on when the request is gone.
    pub(crate) fn storage(&self) -> &Arc<Storage> {
        &self.0.features.storage
    }

    /// Data sources; shared, for use cases that go on when the request is gone.
    pub(crate) fn catalog(&self) -> &Arc<Catalog> {
        &self.0.features.catalog
    }

    /// Policies.
    pub(crate) fn policies(&self) -> &Policies {
        &self.0.features.policies
    }

    /// Questions and queries; shared, for use cases that go on when the request is gone.
    pub(crate) fn prompts(&self) -> &Arc<Prompts> {
        &self.0.features.prompts
    }

    pub(crate) fn upload_budget(&self) -> &UploadBudget {
        &self.0.upload_budget
    }

    pub(crate) fn request_ids(&self) -> &RequestIds {
        &self.0.request_ids
    }

    pub(crate) fn request_metrics(&self) -> &RequestMetrics {
        &self.0.request_metrics
    }

    pub(crate) fn refusals(&self) -> &RefusalLog {
        &self.0.refusals
    }

    pub(crate) fn refused_origins(&self) -> &RefusedOrigins {
        &self.0.refused_origins
    }

    /// Endpoints, and which fields of their bodies the log has said to be ignored.
    pub(crate) fn ignored_fields(&self) -> &Hourly {
        &self.0.ignored_fields
    }

    pub(crate) fn unread_forwarding(&self) -> &UnreadForwarding {
        &self.0.unread_forwarding
    }

    /// The document that the API documentation is drawn from, made once.
    pub(crate) fn reference(&self, make: impl FnOnce() -> String) -> Bytes {
        self.0.reference.get_or_init(|| make().into()).clone()
    }

    /// The provider's document, made once for the algorithm that tokens are signed with.
    pub(crate) fn discovery(&self, make: impl FnOnce(SigningAlgorithm) -> Bytes) -> Bytes {
        let signed_with = self.kernel().signing_algorithm();
        let mut kept = self.0.discovery.lock().unwrap_or_else(PoisonError::into_inner);
        match &*kept {
            Some((algorithm, document)) if *algorithm == signed_with => document.clone(),
            _ => kept.insert((signed_with, make(signed_with))).1.clone(),
        }
    }

    pub(crate) fn http(&self) -> &HttpSettings {
        &self.0.settings
    }

    /// Shows these metrics to operators from now on, where there were none.
    pub fn show_metrics(&self, metrics: PrometheusHandle) {
        // The first ones stay.
        let _ = self.0.metrics.set(metrics);
    }

    pub(crate) fn metrics(&self) -> Option<&PrometheusHandle> {
        self.0.metrics.get()
    }
}
