//! What a provider publishes about itself (OpenID Connect Discovery 1.0): read when it is needed, and remembered.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::Deserialize;
use tidegate_crypto::IssuerKeys;
use tidegate_domain::Timestamp;
use url::Url;

use crate::error::FederationError;
use crate::kind::{Kind, TENANT};
use crate::outgoing::{Outgoing, unreadable};

/// Where an issuer has its document (section 4): an address that other programs are configured with.
pub(crate) const DOCUMENT: &str = "/.well-known/openid-configuration";

/// How long what was read is used without looking again.
const FRESH: Duration = Duration::from_secs(3_600);
/// How long it is used while the provider cannot be reached.
const STALE: Duration = Duration::from_secs(24 * 3_600);
/// How long nobody asks again after it failed, or after new keys were looked for: callers must not make this server ask as often as
/// they like, nor wait in a line for a provider that does not answer.
const PAUSE: Duration = Duration::from_secs(5);

/// What a discovery document says, as far as it is needed.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Document {
    pub(crate) issuer: String,
    pub(crate) authorization_endpoint: Url,
    pub(crate) token_endpoint: Url,
    jwks_uri: Option<Url>,
    pub(crate) userinfo_endpoint: Option<Url>,
    #[serde(default)]
    pub(crate) code_challenge_methods_supported: Vec<String>,
    pub(crate) token_endpoint_auth_methods_supported: Option<Vec<String>>,
    #[serde(default)]
    pub(crate) authorization_response_iss_parameter_supported: bool,
}

/// What is known of a provider.
#[derive(Clone, Debug)]
pub(crate) struct Metadata {
    pub(crate) document: Document,
    pub(crate) keys: IssuerKeys,
    read_at: Timestamp,
}

/// Reads and remembers a provider's metadata.
#[derive(Debug)]
pub(crate) struct Discovery {
    issuer: String,
    kind: Kind,
    known: Mutex<Known>,
    /// One task asks at a time; the others use what it finds.
    asking: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct Known {
    metadata: Option<Metadata>,
    tried_at: Option<Timestamp>,
    failure: Option<FederationError>,
}

impl Discovery {
    pub(crate) fn new(issuer: &str, kind: Kind) -> Self {
        Self {
            issuer: issuer.to_owned(),
            kind,
            known: Mutex::default(),
            asking: tokio::sync::Mutex::default(),
        }
    }

    /// As it is configured.
    pub(crate) fn issuer(&self) -> &str {
        &self.issuer
    }

    /// What the provider publishes.
    pub(crate) async fn metadata(
        &self,
        outgoing: &Outgoing,
        now: Timestamp,
    ) -> Result<Metadata, FederationError> {
        if let Some(known) = self.known_since(now.minus(FRESH)) {
            return Ok(known);
        }
        let _asking = self.asking.lock().await;
        if let Some(known) = self.known_since(now.minus(FRESH)) {
            return Ok(known);
        }
        if let Some(failure) = self.recent_failure(now) {
            return self.known_since(now.minus(STALE)).ok_or(failure);
        }
        self.ask(outgoing, now).await
    }

    /// The same, read again: a token is signed with a key that was not there.
    pub(crate) async fn with_new_keys(
        &self,
        outgoing: &Outgoing,
        than: &Metadata,
        now: Timestamp,
    ) -> Result<Metadata, FederationError> {
        let _asking = self.asking.lock().await;
        let known = self.known_since(now.minus(STALE));
        if let Some(newer) = known.filter(|known| known.read_at > than.read_at) {
            return Ok(newer);
        }
        let tried = self.lock().tried_at;
        if tried.is_some_and(|tried| now < tried.plus(PAUSE)) {
            return Ok(than.clone());
        }
        self.ask(outgoing, now).await
    }

    async fn ask(&self, outgoing: &Outgoing, now: Timestamp) -> Result<Metadata, FederationError> {
        let read = self.read(outgoing, now).await;
        let mut known = self.lock();
        known.tried_at = Some(now);
        match read {
            Ok(metadata) => {
                known.failure = None;
                known.metadata = Some(metadata.clone());
                Ok(metadata)
            }
            Err(failure) => {
                known.failure = Some(failure.clone());
                let stale = known.metadata.clone().filter(|known| known.read_at >= now.minus(STALE));
                stale.ok_or(failure)
            }
        }
    }

    async fn read(&self, outgoing: &Outgoing, now: Timestamp) -> Result<Metadata, FederationError> {
        const WHAT: &str = "discovery";
        let address = format!("{}{DOCUMENT}", self.issuer.trim_end_matches('/'));
        let address = Url::parse(&address).map_err(|_| unreadable(WHAT, "an address that is none"))?;
        let body = outgoing.ask(WHAT, outgoing.get(&address)).await?.bytes(WHAT)?;
        let document: Document =
            serde_json::from_slice(&body).map_err(|_| unreadable(WHAT, "no discovery document"))?;
        if !self.is_own(&document.issuer) {
            // Section 4.3: "MUST exactly match".
            let text =
                format!("discovery: the document is of {:?}, not of the configured issuer", document.issuer);
            return Err(FederationError::Misconfigured(text));
        }
        outgoing.require_admitted("authorization endpoint", &document.authorization_endpoint)?;
        let jwks = document.jwks_uri.as_ref().ok_or_else(|| unreadable(WHAT, "no jwks_uri"))?;
        let body = outgoing.ask("keys", outgoing.get(jwks)).await?.bytes("keys")?;
        let keys =
            IssuerKeys::parse(&body).map_err(|error| FederationError::Unreadable(error.to_string()))?;
        Ok(Metadata { document, keys, read_at: now })
    }

    /// Whether the document's issuer is the one asked. Microsoft's names tenants in its own way.
    fn is_own(&self, issuer: &str) -> bool {
        let of_tenants = || {
            let (base, rest) = self.issuer.rsplit_once("/v2.0").unwrap_or((&self.issuer, ""));
            let host = base.rsplit_once('/').map_or(base, |(host, _)| host);
            let named = issuer.strip_prefix(host).and_then(|rest| rest.strip_prefix('/'));
            rest.is_empty()
                && named
                    .and_then(|named| named.strip_suffix("/v2.0"))
                    .is_some_and(|named| named == TENANT || !named.contains('/'))
        };
        issuer == self.issuer || (self.kind == Kind::Microsoft && of_tenants())
    }

    fn known_since(&self, since: Timestamp) -> Option<Metadata> {
        self.lock().metadata.clone().filter(|known| known.read_at > since)
    }

    fn recent_failure(&self, now: Timestamp) -> Option<FederationError> {
        let known = self.lock();
        known.failure.clone().filter(|_| known.tried_at.is_some_and(|tried| now < tried.plus(PAUSE)))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
