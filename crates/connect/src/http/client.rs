//! One HTTP client for every source that speaks HTTP: checked addresses, tunnels, TLS always verified, no redirects, bounded answers.

use std::io::Read;

use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{
    AUTHORIZATION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderName, HeaderValue, USER_AGENT,
};
use hyper::{HeaderMap, Method, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use tokio::task::JoinHandle;
use url::Url;

use crate::error::{ErrorCode, SourceError, quoted, within};
use crate::network::dial::{Dialer, Wire};
use crate::network::tls::{self, Refusal, Tls, TlsMode};
use crate::settings::{Credentials, Settings};

/// Bytes of one answer at most.
pub(super) const LARGEST: usize = 64 << 20;
/// Characters of a refusal that the log is told, and those in which secrets are looked for: no secret is longer than the rest.
const TOLD: usize = 1_000;
const SEARCHED: usize = 64 << 10;

/// Sends requests of one source.
pub(crate) struct Client {
    pub(crate) dialer: Dialer,
    settings: Settings,
    headers: HeaderMap,
}

/// A request.
#[derive(Clone)]
pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) body: Option<(&'static str, Vec<u8>)>,
    pub(crate) headers: Vec<(&'static str, String)>,
}

impl Request {
    pub(crate) fn get(url: Url) -> Self {
        Self { method: Method::GET, url, body: None, headers: Vec::new() }
    }

    /// With a header more.
    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// A request with a JSON body.
    pub(crate) fn post(url: Url, body: &serde_json::Value) -> Self {
        let body = Some(("application/json", body.to_string().into_bytes()));
        Self { method: Method::POST, url, body, headers: Vec::new() }
    }
}

/// An answer; of [`Client::send`], one whose status says success.
pub(crate) struct Response {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Client {
    pub(crate) async fn open(
        settings: &Settings,
        policy: &crate::network::NetworkPolicy,
        headers: HeaderMap,
    ) -> Result<Self, SourceError> {
        Ok(Self { dialer: Dialer::open(settings, policy).await?, settings: settings.clone(), headers })
    }

    /// Sends a request and reads the answer as a whole.
    pub(crate) async fn send(&self, request: Request) -> Result<Response, SourceError> {
        self.send_for(request, LARGEST).await
    }

    /// The same for an answer of so many bytes at most.
    pub(crate) async fn send_for(&self, request: Request, most: usize) -> Result<Response, SourceError> {
        let answer = self.received(request, most).await?;
        self.checked(answer.status, &answer.body)?;
        Ok(answer)
    }

    /// The same, whatever the status says.
    pub(super) async fn received(&self, request: Request, most: usize) -> Result<Response, SourceError> {
        within(self.settings.query_timeout, "The request", async {
            let (answer, _driver) = self.answer(request).await?;
            let (parts, body) = answer.into_parts();
            let body =
                Limited::new(body, most).collect().await.map_err(|error| self.broken_off(&error))?.to_bytes();
            Ok(Response { status: parts.status, headers: parts.headers, body })
        })
        .await
    }

    /// A client for another server of the same source, which is told nothing of what signs in at this one.
    pub(super) fn for_another(&self) -> Self {
        let mut settings = self.settings.clone();
        settings.metadata.remove("ssl_server_name");
        Self { dialer: self.dialer.clone(), settings, headers: HeaderMap::new() }
    }

    /// Sends a request; the connection lasts as long as what comes with the answer.
    pub(super) async fn answer(
        &self,
        request: Request,
    ) -> Result<(hyper::Response<Incoming>, Driver), SourceError> {
        let url = &request.url;
        let host = url.host_str().ok_or_else(|| SourceError::connection("The URL names no host."))?;
        let stream = self.stream(url, host).await?;
        let failed = |error: hyper::Error| {
            let refused = tls::refusal(&error).map(Refusal::message);
            let message = refused.unwrap_or("The server does not answer as HTTP, or ended the connection.");
            SourceError::connection(message).with_detail(self.redacted(&error))
        };
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(failed)?;
        let driver = Driver(tokio::spawn(async move {
            let _ = connection.await;
        }));
        let answer = sender.send_request(self.built(&request, host)?).await.map_err(failed)?;
        Ok((answer, driver))
    }

    pub(super) fn broken_off(&self, error: &dyn std::fmt::Display) -> SourceError {
        SourceError::connection("The answer broke off, or is too large.").with_detail(self.redacted(error))
    }

    async fn stream(&self, url: &Url, host: &str) -> Result<Box<dyn Wire>, SourceError> {
        let tls = self.tls(url, host)?;
        let port = url.port_or_known_default().unwrap_or(443);
        let stream = self.dialer.dial(host, port).await?;
        match tls {
            None => Ok(stream),
            Some(tls) => within(self.settings.connection_timeout, "TLS", tls.secure(stream)).await,
        }
    }

    /// TLS as the address and the settings ask for it. Nobody is called where they contradict each other.
    fn tls(&self, url: &Url, host: &str) -> Result<Option<Tls>, SourceError> {
        if url.scheme() != "https" {
            let mode = self.settings.option("ssl_mode")?.map(TlsMode::parse).transpose()?;
            return match mode {
                None | Some(TlsMode::Disable | TlsMode::Prefer) => Ok(None),
                Some(mode) => Err(SourceError::connection(format!(
                    "metadata.ssl_mode is {}, and an address of this source has no TLS: it must begin with https://, and metadata.tls \
                     not be false.",
                    mode.as_str()
                ))),
            };
        }
        let tls = Tls::of(&self.settings, host, TlsMode::VerifyFull)?;
        // Tokens and passwords go with every request: nobody who happens to be between gets them.
        if !matches!(tls.mode, TlsMode::VerifyCa | TlsMode::VerifyFull) {
            return Err(SourceError::connection(
                "metadata.ssl_mode must be verify-full or verify-ca where HTTPS is spoken; an authority of your own is metadata.ssl_ca.",
            ));
        }
        Ok(Some(tls))
    }

    fn built(&self, request: &Request, host: &str) -> Result<hyper::Request<Full<Bytes>>, SourceError> {
        let url = &request.url;
        let bad = |_| SourceError::connection("The request has a header or a path that HTTP does not allow.");
        let path = match url.query() {
            Some(query) => format!("{}?{query}", url.path()),
            None => url.path().to_owned(),
        };
        let authority = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        let body = request.body.as_ref().map(|(_, body)| body.clone()).unwrap_or_default();
        let mut built = hyper::Request::new(Full::new(Bytes::from(body)));
        *built.method_mut() = request.method.clone();
        *built.uri_mut() = path.parse::<Uri>().map_err(|_| bad(()))?;
        let headers = built.headers_mut();
        headers.extend(self.headers.clone());
        headers.insert(HOST, HeaderValue::from_str(&authority).map_err(|_| bad(()))?);
        headers.insert(USER_AGENT, HeaderValue::from_static("tidegate"));
        if let Some((kind, body)) = &request.body {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
            headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
        }
        for (name, value) in &request.headers {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_str(value).map_err(|_| bad(()))?);
        }
        Ok(built)
    }

    pub(super) fn checked(&self, status: StatusCode, body: &[u8]) -> Result<(), SourceError> {
        self.checked_without(status, body, "")
    }

    /// The same, where the server was told one more secret.
    pub(super) fn checked_without(
        &self,
        status: StatusCode,
        body: &[u8],
        secret: &str,
    ) -> Result<(), SourceError> {
        let code = status.as_u16();
        let known = match code {
            200..=299 => return Ok(()),
            300..=399 => SourceError::connection(format!(
                "The server redirects (status {code}), which is not followed."
            )),
            401 | 403 => SourceError::new(
                ErrorCode::Authentication,
                format!("The server refused the credentials (status {code})."),
            ),
            408 | 504 => {
                SourceError::new(ErrorCode::Timeout, format!("The server took too long (status {code})."))
            }
            429 => SourceError::connection("The server asks for fewer requests (status 429)."),
            500..=599 => SourceError::connection(format!("The server failed (status {code}).")),
            _ => SourceError::refused(format!("The server refused the request (status {code}).")),
        };
        let start = body.get(..body.len().min(SEARCHED)).unwrap_or_default();
        Err(known.with_detail(self.told(&String::from_utf8_lossy(start), secret)))
    }

    /// What a server says, for the log. Cut when it is clean: of a secret that the cut goes through a part would be told.
    pub(super) fn told(&self, text: &str, secret: &str) -> String {
        let start: String = text.chars().take(SEARCHED).collect();
        let mut clean = self.redacted(&start);
        if !secret.is_empty() {
            clean = clean.replace(secret, "***");
        }
        clean.chars().take(TOLD).collect()
    }

    pub(super) fn redacted(&self, text: &dyn std::fmt::Display) -> String {
        self.settings.credentials.redact(&text.to_string())
    }
}

/// An answer without the compression that some servers use whether they are asked for it or not. It stays as bounded as one without.
pub(crate) fn unpacked(answer: Response) -> Result<Response, SourceError> {
    if answer.headers.get(CONTENT_ENCODING).is_none_or(|name| name.as_bytes() != b"gzip") {
        return Ok(answer);
    }
    let packed: &[u8] = answer.body.as_ref();
    let mut plain = Vec::new();
    let one_more = u64::try_from(LARGEST).unwrap_or(u64::MAX).saturating_add(1);
    MultiGzDecoder::new(packed)
        .take(one_more)
        .read_to_end(&mut plain)
        .map_err(|error| SourceError::query("The answer's compression is broken.").with_detail(error))?;
    if plain.len() > LARGEST {
        return Err(SourceError::query(format!("The answer is larger than {LARGEST} bytes.")));
    }
    Ok(Response { body: plain.into(), ..answer })
}

/// Drives a connection until it is dropped.
pub(super) struct Driver(JoinHandle<()>);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The headers that sign in: a token, a name with a password, or a key in a header of its own.
pub(crate) fn sign_in(credentials: &Credentials, key_header: Option<&str>) -> Result<HeaderMap, SourceError> {
    let mut headers = HeaderMap::new();
    let secret = |text: String| {
        let value = HeaderValue::from_str(&text).map_err(|_| {
            SourceError::new(
                ErrorCode::Authentication,
                "The credentials have characters that HTTP does not allow.",
            )
        });
        value.map(|mut value| {
            value.set_sensitive(true);
            value
        })
    };
    if let Some(token) = &credentials.oauth_token {
        headers.insert(AUTHORIZATION, secret(format!("Bearer {}", token.expose()))?);
    } else if let Some(name) = &credentials.username {
        use base64::Engine;
        let password = credentials.password.as_ref().map(|password| password.expose()).unwrap_or_default();
        let pair = base64::engine::general_purpose::STANDARD.encode(format!("{}:{password}", name.expose()));
        headers.insert(AUTHORIZATION, secret(format!("Basic {pair}"))?);
    }
    if let Some(key) = &credentials.api_key {
        let name = key_header.unwrap_or("x-api-key");
        let name = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| SourceError::connection(format!("{} is no name of a header.", quoted(name))))?;
        headers.insert(name, secret(key.expose().to_owned())?);
    }
    Ok(headers)
}

/// A URL of the settings: `http` or `https`, and nothing that belongs to the credentials.
pub(crate) fn url(text: &str) -> Result<Url, SourceError> {
    let url = Url::parse(text)
        .map_err(|error| SourceError::connection("The URL cannot be read.").with_detail(error))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(SourceError::connection("The URL must start with https:// or http://."));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(has_credentials());
    }
    Ok(url)
}

fn has_credentials() -> SourceError {
    SourceError::connection("The URL has a user name or a password; they belong to the credentials.")
}

/// The base URL of a server: the connection string, or host and port.
pub(crate) fn base(settings: &Settings, default_port: u16) -> Result<Url, SourceError> {
    if let Some(text) = &settings.connection_string {
        // A password with a `/`, `?` or `#` would end the host in its middle: what stands before it would be asked, and told the rest.
        return if text.as_str().contains('@') { Err(has_credentials()) } else { url(text.as_str()) };
    }
    let host = settings.host.as_deref().ok_or_else(|| SourceError::connection("host is missing."))?;
    let scheme = if settings.flag("tls", true)? { "https" } else { "http" };
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let host = if bare.contains(':') { format!("[{bare}]") } else { bare.to_owned() };
    url(&format!("{scheme}://{host}:{}/", settings.port.unwrap_or(default_port)))
}

/// A path below a base URL, each part escaped.
pub(crate) fn below(base: &Url, parts: &[&str]) -> Result<Url, SourceError> {
    let mut url = base.clone();
    let mut path =
        url.path_segments_mut().map_err(|()| SourceError::connection("The URL cannot have a path."))?;
    path.pop_if_empty().extend(parts);
    drop(path);
    Ok(url)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn packed(bytes: &[u8]) -> Response {
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        packed.write_all(bytes).unwrap();
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        Response { status: StatusCode::OK, headers, body: packed.finish().unwrap().into() }
    }

    // A kilobyte for each megabyte.
    #[test]
    fn an_answer_that_unpacks_to_more_than_one_may_have_is_refused() {
        assert_eq!(unpacked(packed(b"[1]")).unwrap().body, Bytes::from_static(b"[1]"));
        let bomb = packed(&vec![0; LARGEST + 1]);
        assert!(bomb.body.len() < LARGEST / 100);
        assert!(unpacked(bomb).err().unwrap().message.contains("larger than"));
        let mut broken = packed(b"[1]");
        broken.body = broken.body.slice(..8);
        assert!(unpacked(broken).err().unwrap().message.contains("broken"));
    }
}
