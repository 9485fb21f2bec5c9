//! Requests to one provider: bounded in time and size, to admitted addresses only, without redirects.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{ACCEPT, HeaderValue};
use reqwest::{Client, Request, RequestBuilder, Response, StatusCode, redirect};
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;
use tokio::time::Instant;
use url::Url;

use crate::breaker::Breaker;
use crate::error::FederationError;
use crate::reach::{Reach, Resolver};

/// Longest answer that is read. Discovery documents, keys and profiles of large providers have less than 20 KiB.
const MAX_ANSWER: usize = 256 * 1024;
/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(5);
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// A client of one provider.
#[derive(Debug)]
pub(crate) struct Outgoing {
    client: Client,
    reach: Reach,
    breaker: Option<Breaker>,
}

/// What a provider answered.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    body: Vec<u8>,
}

impl Outgoing {
    /// Prepares requests; connects to nothing yet.
    pub(crate) fn new(reach: Reach, timeout: Duration) -> Result<Self, String> {
        let broken = |error: &dyn Error| format!("TLS cannot be set up: {error}");
        let authorities = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| broken(&error))?
            .with_root_certificates(authorities)
            .with_no_client_auth();
        let client = Client::builder()
            .tls_backend_preconfigured(tls)
            .dns_resolver(Arc::new(Resolver(reach)))
            .connect_timeout(CONNECT.min(timeout))
            .timeout(timeout)
            // Secrets and codes go to the address they are for.
            .redirect(redirect::Policy::none())
            .no_proxy()
            .retry(reqwest::retry::never())
            .user_agent(concat!("Tidegate/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| broken(&error))?;
        Ok(Self { client, reach, breaker: None })
    }

    /// The same with a bound on what is asked at a time, and in vain.
    pub(crate) fn bounded_by(self, breaker: Breaker) -> Self {
        Self { breaker: Some(breaker), ..self }
    }

    pub(crate) fn get(&self, url: &Url) -> RequestBuilder {
        self.client.get(url.clone()).header(ACCEPT, JSON)
    }

    pub(crate) fn post(&self, url: &Url) -> RequestBuilder {
        self.client.post(url.clone()).header(ACCEPT, JSON)
    }

    /// Refuses an address that people are sent to, where it is none that may be asked: it is the provider's, too.
    pub(crate) fn require_admitted(&self, what: &str, url: &Url) -> Result<(), FederationError> {
        if self.reach.admits(url) { Ok(()) } else { Err(misaddressed(what)) }
    }

    /// Sends a request and reads the answer, whatever its status. `what` names it in logs.
    pub(crate) async fn ask(&self, what: &str, request: RequestBuilder) -> Result<Answer, FederationError> {
        let request = request.build().map_err(|_| misaddressed(what))?;
        if !self.reach.admits(request.url()) {
            return Err(misaddressed(what));
        }
        let Some(breaker) = &self.breaker else { return self.execute(what, request).await };
        let _under_way = breaker.enter(what, Instant::now())?;
        let answer = self.execute(what, request).await;
        breaker.note(!answer.as_ref().is_err_and(FederationError::is_temporary), Instant::now());
        answer
    }

    /// Sends a request and answers before the body is read, whatever the status is.
    pub(crate) async fn open(
        &self,
        what: &str,
        request: RequestBuilder,
    ) -> Result<Response, FederationError> {
        let request = request.build().map_err(|_| misaddressed(what))?;
        if !self.reach.admits(request.url()) {
            return Err(misaddressed(what));
        }
        self.client.execute(request).await.map_err(|error| lost(what, error))
    }

    async fn execute(&self, what: &str, request: Request) -> Result<Answer, FederationError> {
        let response = self.client.execute(request).await.map_err(|error| lost(what, error))?;
        let status = response.status();
        if status.is_server_error() || matches!(status.as_u16(), 408 | 425 | 429) {
            return Err(FederationError::Unavailable(format!("{what}: the provider answers {status}")));
        }
        read(what, response).await
    }
}

/// Reads an answer to its end.
pub(crate) async fn read(what: &str, mut response: Response) -> Result<Answer, FederationError> {
    let status = response.status();
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| lost(what, error))? {
        if body.len() + chunk.len() > MAX_ANSWER {
            return Err(unreadable(what, "an answer of more than 256 KiB"));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Answer { status, body })
}

impl Answer {
    /// The body of an answer that says yes.
    pub(crate) fn bytes(self, what: &str) -> Result<Vec<u8>, FederationError> {
        if self.status == StatusCode::OK { Ok(self.body) } else { Err(unreadable(what, self.status)) }
    }

    /// The JSON object in the body, whatever the status.
    pub(crate) fn object(&self) -> Option<serde_json::Map<String, Value>> {
        serde_json::from_slice(&self.body).ok()
    }

    /// The JSON value in the body.
    pub(crate) fn value(&self) -> Option<Value> {
        serde_json::from_slice(&self.body).ok()
    }
}

pub(crate) fn unreadable(what: &str, got: impl std::fmt::Display) -> FederationError {
    FederationError::Unreadable(format!("{what}: the provider answers {got}"))
}

fn misaddressed(what: &str) -> FederationError {
    let text = "the address is not https, or not one that may be called; private_network admits private ones";
    FederationError::Misconfigured(format!("{what}: {text}"))
}

pub(crate) fn lost(what: &str, error: reqwest::Error) -> FederationError {
    if error.is_timeout() {
        return FederationError::Unavailable(format!("{what}: the provider does not answer in time"));
    }
    // An address may hold what is secret; what went wrong on the way there does not.
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    FederationError::Unavailable(format!("{what}: the provider cannot be reached ({text})"))
}
