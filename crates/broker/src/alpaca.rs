//! Alpaca's Broker API over HTTP.
//!
//! A call is repeated only when that cannot do anything twice: reading after 429 and 504, anything after 429,
//! which says that nothing was done. Every other error is returned to the caller, with whether it may have
//! taken effect.

mod config;
mod stream;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap};
use reqwest::{Client, Method, Response, StatusCode, Url};
use serde_json::Value;
use tidegate_domain::{Clock, Secret};
use uuid::Uuid;

use crate::account::{Account, TradingAccount};
use crate::application::{Application, Document};
use crate::error::{BrokerError, Refusal, TookEffect, Trouble};
use crate::retry::{RetryPolicy, Sleep, Wait, asked_delay};

pub use config::{AlpacaConfig, AlpacaSecret, ConfigError, Environment};
pub use stream::EventStream;

/// Longest answer that is read: a thousand accounts, the most a list holds, are about 5 MB.
const MAX_ANSWER: usize = 16 * 1024 * 1024;
/// Longest refusal that is read.
const MAX_REFUSAL: usize = 64 * 1024;
/// How long an unused connection is kept. Shorter than the broker's side keeps it: an opening that meets a
/// connection just being closed would have to be looked up, because it is unknown whether it took effect.
const KEPT_FOR: Duration = Duration::from_secs(15);

/// A client of Alpaca's Broker API. Shared by all tasks.
pub struct Alpaca {
    environment: Environment,
    http: Client,
    base: Url,
    key: String,
    secret: Secret,
    timeout: Duration,
    event_timeout: Duration,
    retry: RetryPolicy,
    clock: Arc<dyn Clock>,
    wait: Arc<dyn Wait>,
}

/// One request, and what is known about it before it is made.
struct Call<'a> {
    /// What it is called in logs.
    name: &'static str,
    method: Method,
    url: Url,
    accept: &'static str,
    body: Option<Vec<u8>>,
    /// What the broker's words must not repeat.
    secrets: &'a [Secret],
    effect: Effect,
    /// Whether it is about one account, which may not exist.
    is_about_one: bool,
}

/// What happens when a call is carried out twice.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Effect {
    /// Nothing: it reads.
    None,
    /// The e-mail address is taken the second time.
    Opens,
    /// The same document is kept twice.
    Adds,
}

/// Why one attempt failed, and whether another one is in order.
struct Failure {
    error: BrokerError,
    may_repeat: bool,
}

impl fmt::Debug for Alpaca {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Alpaca").field("host", &self.base.host_str()).finish_non_exhaustive()
    }
}

impl Alpaca {
    /// Prepares calls as `config` says; connects to nothing yet.
    ///
    /// # Errors
    /// Names the setting that is wrong.
    pub fn new(config: &AlpacaConfig, clock: Arc<dyn Clock>) -> Result<Self, ConfigError> {
        config.check()?;
        let http = Client::builder()
            .tls_backend_preconfigured(tls()?)
            .connect_timeout(config.connect_timeout)
            .pool_idle_timeout(KEPT_FOR)
            // A redirect would take the tax number to wherever it says.
            .redirect(reqwest::redirect::Policy::none())
            // No proxy from environment variables: set one as base_url.
            .no_proxy()
            .retry(reqwest::retry::never())
            .user_agent(concat!("tidegate/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|_| ConfigError::Tls)?;
        Ok(Self {
            environment: config.environment,
            http,
            base: config.base()?,
            key: config.key.clone(),
            secret: config.secret.0.clone(),
            timeout: config.timeout,
            event_timeout: config.event_timeout,
            retry: config.retry,
            clock,
            wait: Arc::new(Sleep),
        })
    }

    /// Which installation it talks to.
    pub const fn environment(&self) -> Environment {
        self.environment
    }

    /// Waits between attempts by `wait` in place of the timer.
    #[must_use]
    pub fn with_wait(mut self, wait: Arc<dyn Wait>) -> Self {
        self.wait = wait;
        self
    }

    /// Opens an account. Never repeated where it may have been carried out.
    ///
    /// # Errors
    /// [`BrokerError`]. When it [may have taken effect](BrokerError::may_have_taken_effect), look the
    /// account up by e-mail before anything else.
    pub async fn open(&self, application: &Application) -> Result<Account, BrokerError> {
        let secrets = application.secrets();
        let call = Call {
            method: Method::POST,
            body: Some(application.wire().to_string().into_bytes()),
            secrets: &secrets,
            effect: Effect::Opens,
            ..self.reading("open account", "/v1/accounts")
        };
        // No account in an answer that says yes: there is one all the same.
        Account::read(self.json(&call).await?)
            .ok_or(BrokerError::Unreadable { took_effect: TookEffect::Maybe })
    }

    /// The account `id`.
    ///
    /// # Errors
    /// [`BrokerError`].
    pub async fn account(&self, id: Uuid) -> Result<Account, BrokerError> {
        let call = Call { is_about_one: true, ..self.reading("get account", &format!("/v1/accounts/{id}")) };
        Account::read(self.json(&call).await?).ok_or(SENSELESS)
    }

    /// The accounts opened with this e-mail address: one or none.
    ///
    /// The broker's search also finds what only resembles it; that is left out here.
    ///
    /// # Errors
    /// [`BrokerError`].
    pub async fn find_by_email(&self, email: &str) -> Result<Vec<Account>, BrokerError> {
        let mut call = self.reading("find account", "/v1/accounts");
        call.url
            .query_pairs_mut()
            .append_pair("query", email.trim())
            .append_pair("entities", "contact,identity");
        let Value::Array(found) = self.json(&call).await? else { return Err(SENSELESS) };
        let accounts: Option<Vec<Account>> = found.into_iter().map(Account::read).collect();
        // One that cannot be read may be the one that is looked for.
        let mut accounts = accounts.ok_or(SENSELESS)?;
        accounts.retain(|account| account.has_email(email));
        Ok(accounts)
    }

    /// Adds documents to the account `id`.
    ///
    /// # Errors
    /// [`BrokerError`]. Carried out twice, the broker keeps a document twice: harmless.
    pub async fn upload(&self, id: Uuid, documents: &[Document]) -> Result<(), BrokerError> {
        let secrets = Document::secrets(documents);
        let body = Value::from_iter(documents.iter().map(Document::wire));
        let call = Call {
            method: Method::POST,
            body: Some(body.to_string().into_bytes()),
            secrets: &secrets,
            effect: Effect::Adds,
            is_about_one: true,
            ..self.reading("upload documents", &format!("/v1/accounts/{id}/documents/upload"))
        };
        self.answer(&call).await.map(|_| ())
    }

    /// The money side of the account `id`.
    ///
    /// # Errors
    /// [`BrokerError`].
    pub async fn trading(&self, id: Uuid) -> Result<TradingAccount, BrokerError> {
        let path = format!("/v1/trading/accounts/{id}/account");
        let call = Call { is_about_one: true, ..self.reading("get trading account", &path) };
        TradingAccount::read(self.json(&call).await?).ok_or(SENSELESS)
    }

    /// Follows the changes of all accounts: those after the event `since`, or from now on.
    ///
    /// # Errors
    /// [`BrokerError`].
    pub async fn events(&self, since: Option<&str>) -> Result<EventStream, BrokerError> {
        let path = "/v1/events/accounts/status";
        let mut call = Call { accept: "text/event-stream", ..self.reading("follow events", path) };
        if let Some(ulid) = since {
            call.url.query_pairs_mut().append_pair("since_ulid", ulid);
        }
        let response = self.repeating(&call, || self.subscribe(&call)).await?;
        Ok(EventStream::new(response, self.event_timeout))
    }

    fn reading(&self, name: &'static str, path: &str) -> Call<'static> {
        let mut url = self.base.clone();
        url.set_path(&format!("{}{path}", self.base.path().trim_end_matches('/')));
        Call {
            name,
            method: Method::GET,
            url,
            accept: "application/json",
            body: None,
            secrets: &[],
            effect: Effect::None,
            is_about_one: false,
        }
    }

    async fn json(&self, call: &Call<'_>) -> Result<Value, BrokerError> {
        let body = self.answer(call).await?;
        serde_json::from_slice(&body).map_err(|_| BrokerError::Unreadable { took_effect: call.once_sent() })
    }

    async fn answer(&self, call: &Call<'_>) -> Result<Vec<u8>, BrokerError> {
        self.repeating(call, || self.attempt(call)).await
    }

    /// Makes attempts until one succeeds or another is out of order.
    async fn repeating<T, F>(&self, call: &Call<'_>, attempt: impl Fn() -> F) -> Result<T, BrokerError>
    where
        F: Future<Output = Result<T, Failure>>,
    {
        let mut attempts = 0;
        loop {
            let failure = match attempt().await {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            attempts += 1;
            let asked = match failure.error {
                BrokerError::Unavailable { retry_after, .. } => retry_after,
                _ => None,
            };
            match self.retry.next(attempts, asked).filter(|_| failure.may_repeat) {
                Some(delay) => {
                    let (call, error, seconds) = (call.name, &failure.error, delay.as_secs());
                    tracing::debug!(call, %error, seconds, "the broker is asked again");
                    self.wait.wait(delay).await;
                }
                None => {
                    if !matches!(failure.error, BrokerError::Invalid(_) | BrokerError::NotFound) {
                        let (call, error) = (call.name, &failure.error);
                        tracing::warn!(call, %error, attempts, "a call to the broker failed");
                    }
                    return Err(failure.error);
                }
            }
        }
    }

    fn request(&self, call: &Call<'_>) -> reqwest::RequestBuilder {
        let request = self
            .http
            .request(call.method.clone(), call.url.clone())
            .basic_auth(&self.key, Some(self.secret.expose()))
            .header(ACCEPT, call.accept);
        match &call.body {
            Some(body) => request.header(CONTENT_TYPE, "application/json").body(body.clone()),
            None => request,
        }
    }

    async fn attempt(&self, call: &Call<'_>) -> Result<Vec<u8>, Failure> {
        let sent = self.request(call).timeout(self.timeout).send().await;
        let mut response = sent.map_err(|error| call.broken(&error))?;
        if !response.status().is_success() {
            return Err(self.refused(call, response).await);
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| call.broken(&error))? {
            if body.len() + chunk.len() > MAX_ANSWER {
                return Err(Failure::last(BrokerError::Unreadable { took_effect: call.once_sent() }));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    async fn subscribe(&self, call: &Call<'_>) -> Result<Response, Failure> {
        // No deadline for the whole: it is meant to last.
        let sent = tokio::time::timeout(self.timeout, self.request(call).send()).await;
        let sent = sent.map_err(|_| call.unavailable(Trouble::Timeout, TookEffect::No, None))?;
        let response = sent.map_err(|error| call.broken(&error))?;
        if !response.status().is_success() {
            let refused = tokio::time::timeout(self.timeout, self.refused(call, response)).await;
            return Err(refused.unwrap_or_else(|_| call.unavailable(Trouble::Timeout, TookEffect::No, None)));
        }
        let content_type = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        // A page that says 200 in place of a stream would look like a stream in which nothing happens.
        if content_type
            .is_some_and(|text| text.trim_start().to_ascii_lowercase().starts_with("text/event-stream"))
        {
            Ok(response)
        } else {
            Err(Failure::last(SENSELESS))
        }
    }

    /// What an answer means that does not say yes.
    async fn refused(&self, call: &Call<'_>, mut response: Response) -> Failure {
        let status = response.status();
        let asked = asked_delay(response.headers(), self.clock.now());
        // The status says enough where the body breaks off.
        let mut body = Vec::new();
        while let Ok(Some(chunk)) = response.chunk().await {
            let room = MAX_REFUSAL - body.len();
            body.extend(chunk.iter().take(room));
            if chunk.len() >= room {
                break;
            }
        }
        match status {
            StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY | StatusCode::PAYLOAD_TOO_LARGE => {
                Failure::last(BrokerError::Invalid(Refusal::read(&body, call.secrets)))
            }
            StatusCode::CONFLICT if call.effect == Effect::Opens => Failure::last(BrokerError::EmailTaken),
            StatusCode::NOT_FOUND if call.is_about_one => Failure::last(BrokerError::NotFound),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Failure::last(BrokerError::Unauthorized),
            StatusCode::TOO_MANY_REQUESTS => {
                Failure { may_repeat: true, ..call.unavailable(Trouble::RateLimited, TookEffect::No, asked) }
            }
            status if status.is_server_error() => Failure {
                may_repeat: status == StatusCode::GATEWAY_TIMEOUT && call.effect == Effect::None,
                ..call.unavailable(
                    Trouble::Status(status.as_u16()),
                    call.once_sent(),
                    asked.filter(|_| asks_explicitly(response.headers())),
                )
            },
            // Redirects, and refusals no documentation lists. They say no, so nothing was done.
            _ => Failure::last(SENSELESS),
        }
    }
}

/// An answer to a question that makes no sense.
const SENSELESS: BrokerError = BrokerError::Unreadable { took_effect: TookEffect::No };

/// The rate limit's reset time comes with every answer; only next to a 429 is it a request to wait.
fn asks_explicitly(headers: &HeaderMap) -> bool {
    headers.contains_key(reqwest::header::RETRY_AFTER)
}

impl Call<'_> {
    /// Whether it may have taken effect once it is sent.
    fn once_sent(&self) -> TookEffect {
        if self.effect == Effect::None { TookEffect::No } else { TookEffect::Maybe }
    }

    fn unavailable(
        &self,
        trouble: Trouble,
        took_effect: TookEffect,
        retry_after: Option<Duration>,
    ) -> Failure {
        Failure::last(BrokerError::Unavailable { trouble, took_effect, retry_after })
    }

    fn broken(&self, error: &reqwest::Error) -> Failure {
        match (error.is_connect(), error.is_timeout()) {
            (true, _) => self.unavailable(Trouble::Connect, TookEffect::No, None),
            (false, true) => self.unavailable(Trouble::Timeout, self.once_sent(), None),
            (false, false) => self.unavailable(Trouble::Broken, self.once_sent(), None),
        }
    }
}

impl Failure {
    /// One after which no other attempt is made.
    fn last(error: BrokerError) -> Self {
        Self { error, may_repeat: false }
    }
}

fn tls() -> Result<rustls::ClientConfig, ConfigError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let roots = rustls::RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    Ok(rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|_| ConfigError::Tls)?
        .with_root_certificates(roots)
        .with_no_client_auth())
}
