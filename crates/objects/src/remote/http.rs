//! Requests to a store: bounded in time, repeated where that is safe.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use object_store::path::Path;
use object_store::{Error, Result};
use reqwest::{Client, Response, StatusCode, redirect};
use rustls::{ClientConfig, RootCertStore};
use tidegate_domain::Clock;

use super::failure::StoreFailure;
use super::protocol::{Draft, Protocol};

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(5);
/// How long the store may send nothing. A part of a file has 8 MiB.
const SILENCE: Duration = Duration::from_secs(60);
/// How often a request is sent at most, and how long after the first failure it is sent again; twice as long after each further one.
const ATTEMPTS: u32 = 4;
const PAUSE: Duration = Duration::from_millis(100);
/// Longest answer that is read as text: a page of a list has 1,000 to 5,000 keys.
const MAX_ANSWER: usize = 16 * 1024 * 1024;
/// Where Azure names an error.
const AZURE_CODE: &str = "x-ms-error-code";
/// The name in errors.
pub(super) const STORE: &str = "object store";

/// Sends requests.
#[derive(Clone, Debug)]
pub(super) struct Http(Client);

impl Http {
    pub(super) fn new() -> Result<Self, String> {
        let authorities = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| format!("TLS cannot be set up: {error}"))?
            .with_root_certificates(authorities)
            .with_no_client_auth();
        let client = Client::builder()
            .tls_backend_preconfigured(tls)
            .connect_timeout(CONNECT)
            .read_timeout(SILENCE)
            // A signature is for the address that it was made for.
            .redirect(redirect::Policy::none())
            .no_proxy()
            .retry(reqwest::retry::never())
            .user_agent(concat!("Tidegate/", env!("CARGO_PKG_VERSION")))
            .build();
        client.map(Self).map_err(|error| format!("TLS cannot be set up: {error}"))
    }

    /// Sends a request, signed anew each time, until the store answers with something else than that it is overloaded.
    pub(super) async fn send(
        &self,
        protocol: &dyn Protocol,
        clock: &dyn Clock,
        draft: &Draft,
    ) -> Result<Response> {
        let mut pause = PAUSE;
        let mut attempt = 1;
        loop {
            let sent = self.send_once(protocol, clock, draft).await;
            let is_worth_it = match &sent {
                Ok(response) => is_passing(response.status()),
                Err(_) => true,
            };
            if !is_worth_it || attempt == ATTEMPTS {
                return sent;
            }
            attempt += 1;
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
    }

    async fn send_once(&self, protocol: &dyn Protocol, clock: &dyn Clock, draft: &Draft) -> Result<Response> {
        let mut draft = draft.clone();
        protocol.sign(&mut draft, clock.now());
        let Draft { method, url, headers, body } = draft;
        let request = self.0.request(method, url).headers(headers).body(body);
        // Without the address, which may be signed.
        request.send().await.map_err(silent)
    }
}

fn is_passing(status: StatusCode) -> bool {
    status.is_server_error() || matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS)
}

/// The answer, if it is no error.
pub(super) async fn checked(response: Response, path: &Path) -> Result<Response> {
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let header = response.headers().get(AZURE_CODE).and_then(|code| code.to_str().ok()).map(str::to_owned);
    let said = text(response).await.unwrap_or_default();
    let failure = StoreFailure::refused(status, header.as_deref(), &said);
    let lacks_bucket = failure.lacks_bucket();
    let (path, source) = (path.to_string(), Box::new(failure));
    Err(match status {
        // Not that the bucket is missing: that is no answer about a file.
        StatusCode::NOT_FOUND if !lacks_bucket => Error::NotFound { path, source },
        StatusCode::FORBIDDEN => Error::PermissionDenied { path, source },
        StatusCode::UNAUTHORIZED => Error::Unauthenticated { path, source },
        StatusCode::CONFLICT | StatusCode::PRECONDITION_FAILED => Error::Precondition { path, source },
        _ => Error::Generic { store: STORE, source },
    })
}

/// The body as text.
pub(super) async fn text(mut response: Response) -> Result<String> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(silent)? {
        if body.len() + chunk.len() > MAX_ANSWER {
            return Err(generic("an answer of more than 16 MiB"));
        }
        body.extend_from_slice(&chunk);
    }
    String::from_utf8(body).map_err(generic)
}

/// The bytes of a payload as one piece.
pub(super) fn joined(payload: object_store::PutPayload) -> Bytes {
    payload.into()
}

/// That nothing more came. The address is left out, which may be signed; what went wrong below is told.
pub(super) fn silent(error: reqwest::Error) -> Error {
    let error = error.without_url();
    let mut said = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(below) = cause {
        said = format!("{said}: {below}");
        cause = below.source();
    }
    generic(StoreFailure::Silent(said))
}

pub(super) fn generic(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::Generic { store: STORE, source: error.into() }
}
