//! Mail over SMTP (RFC 5321), encrypted unless the operator says otherwise.
//!
//! The conversation is led command by command, because the same reply means different things at different points of
//! it: a 550 for the recipient is the end of that mail, a 550 for the sender is a mistake in the configuration.

mod config;
mod status;

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use lettre::message::{Mailbox, Message};
use lettre::transport::smtp::Error as SmtpError;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{AsyncSmtpConnection, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail, Noop, Rcpt};
use lettre::transport::smtp::extension::{ClientId, Extension, MailBodyParameter, MailParameter};
use tidegate_domain::Secret;
use tidegate_domain::certificate::CertificateOf;
use tokio::time::{Instant, timeout};

use crate::OutgoingMail;
use crate::message::compose;
use crate::redact::redacted;

use status::Concerns;

pub use config::{ConfigError, MailPassword, SmtpConfig, TlsMode};

/// Connections kept open for the next mail.
const MAX_PARKED: usize = 4;
/// How long one is kept: well below the five minutes a server must wait (RFC 5321 section 4.5.3.2.7), and below what
/// firewalls forget.
const PARKED_FOR: Duration = Duration::from_secs(60);
/// How long saying goodbye, or asking whether a kept connection is alive, may take.
const COURTESY: Duration = Duration::from_secs(2);

/// What the TLS library says of an answer in the clear.
const NO_TLS: &str = "corrupt message";
/// The server's certificate, and the settings about it.
const CERTIFICATE: CertificateOf = CertificateOf {
    file: "mail",
    given: "give it to the mail server",
    authority: "mail.smtp.ca_file (read at the start alone: restart the server after it changed)",
    host: "mail.smtp.host",
};
/// What the SMTP library says of a connection that was closed in an answer, or before one.
const CUT_OFF: &str = "incomplete response";
/// What is said where nobody is signed in to a server that may want it.
const NO_CREDENTIALS: &str = "no credentials are configured; set mail.smtp.username and mail.smtp.password";
/// What is said of a server that does not answer in time.
const SILENT: &str = "did not answer within";
/// The same of one that broke off in the middle, or has no time now: nothing more is known of these.
const BROKE_OFF: &str = "was lost";
const BUSY: &str = "is temporarily unavailable";

/// Why a mail was not delivered. The texts name settings to look at and never hold what the mail says or a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// Worth another attempt: the network, a busy server, or a setting the operator can correct meanwhile.
    #[error("{0}")]
    Transient(String),
    /// No later attempt can succeed: the recipient or the message itself is refused.
    #[error("{0}")]
    Permanent(String),
}

impl SendError {
    /// Whether the text ends with the settings to look at, or with whom to ask.
    pub fn has_advice(&self) -> bool {
        let Self::Transient(text) = self else { return false };
        match text.split_once(SILENT) {
            Some((_, rest)) => rest.contains(": "),
            None => ![BROKE_OFF, BUSY].iter().any(|words| text.contains(words)),
        }
    }
}

/// A mail server to deliver through. Shared by all workers; keeps a few connections open between mails.
pub struct Smtp {
    host: String,
    port: u16,
    security: Security,
    credentials: Option<Credentials>,
    /// What no message of ours may quote.
    secrets: Vec<Secret>,
    from: Mailbox,
    timeout: Duration,
    hello: ClientId,
    parked: Mutex<Vec<Parked>>,
}

enum Security {
    StartTls(TlsParameters),
    Implicit(TlsParameters),
    None,
}

struct Parked {
    connection: AsyncSmtpConnection,
    since: Instant,
}

/// Where in the conversation something went wrong.
#[derive(Clone, Copy)]
enum Stage {
    Greeting,
    Encryption,
    SignIn,
    Sender,
    Recipient,
    Content,
}

/// What went wrong there; no cause means no answer in time.
struct Trouble {
    stage: Stage,
    cause: Option<SmtpError>,
}

impl fmt::Debug for Smtp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Smtp").field("host", &self.host).field("port", &self.port).finish_non_exhaustive()
    }
}

impl Smtp {
    /// Prepares delivery as `config` says; connects to nothing yet.
    ///
    /// # Errors
    /// Names the setting that is wrong.
    pub fn new(config: &SmtpConfig) -> Result<Self, ConfigError> {
        let host = config::host(&config.host)?;
        if config.port == Some(0) {
            return Err(ConfigError::Port);
        }
        if config.timeout_seconds == 0 {
            return Err(ConfigError::Timeout);
        }
        let security = match config.tls {
            TlsMode::StartTls => Security::StartTls(config::tls(&host, config)?),
            TlsMode::Implicit => Security::Implicit(config::tls(&host, config)?),
            TlsMode::None => Security::None,
        };
        let (credentials, secrets) = match (&config.username, &config.password) {
            (Some(username), Some(MailPassword(password))) => {
                if config.tls == TlsMode::None {
                    tracing::warn!(
                        host,
                        "the mail password crosses the network unencrypted: set tls to starttls or implicit"
                    );
                }
                (
                    Some(Credentials::new(username.clone(), password.expose().to_owned())),
                    forms_of(username, password),
                )
            }
            (None, None) => (None, Vec::new()),
            _ => return Err(ConfigError::Credentials),
        };
        Ok(Self {
            host,
            port: config.port.unwrap_or(config.tls.default_port()),
            security,
            credentials,
            secrets,
            from: config::sender(&config.from)?,
            timeout: Duration::from_secs(config.timeout_seconds),
            hello: ClientId::default(),
            parked: Mutex::new(Vec::new()),
        })
    }

    /// Hands `mail` to the server. Success means the server has taken responsibility for it.
    ///
    /// An interrupted attempt may have delivered all the same; the next one carries the same `Message-ID`.
    ///
    /// # Errors
    /// [`SendError`], which says whether to try again.
    pub async fn send(&self, mail: &OutgoingMail) -> Result<(), SendError> {
        let message = compose(&self.from, mail)?;
        let mut connection = match self.unpark().await {
            Some(connection) => connection,
            None => self.open().await.map_err(|trouble| self.explain(&trouble, None))?,
        };
        if !is_ascii(&message) && !connection.server_info().supports_feature(Extension::SmtpUtfEight) {
            self.park(connection);
            return Err(SendError::Permanent(
                "the mail server does not support addresses outside ASCII (SMTPUTF8, RFC 6531)".to_owned(),
            ));
        }
        match self.transact(&mut connection, &message).await {
            Ok(()) => {
                self.park(connection);
                Ok(())
            }
            Err(trouble) => {
                let _ = timeout(COURTESY, connection.abort()).await;
                Err(self.explain(&trouble, Some(mail)))
            }
        }
    }

    /// Connects, encrypts and signs in as for a mail, then takes leave without sending one.
    ///
    /// # Errors
    /// As [`send`](Self::send) would meet them, all transient.
    pub async fn check(&self) -> Result<(), SendError> {
        let mut connection = self.open().await.map_err(|trouble| self.explain(&trouble, None))?;
        let alive = self.step(Stage::Greeting, connection.command(Noop)).await;
        let _ = timeout(COURTESY, connection.abort()).await;
        alive.map(|_| ()).map_err(|trouble| self.explain(&trouble, None))
    }

    async fn open(&self) -> Result<AsyncSmtpConnection, Trouble> {
        let (implicit, upgrade) = match &self.security {
            Security::StartTls(parameters) => (None, Some(parameters.clone())),
            Security::Implicit(parameters) => (Some(parameters.clone()), None),
            Security::None => (None, None),
        };
        let server = (self.host.as_str(), self.port);
        // A third of the time for each address, so that a dead IPv6 route leaves some for IPv4.
        let per_address = Some(self.timeout / 3);
        let connecting =
            AsyncSmtpConnection::connect_tokio1(server, per_address, &self.hello, implicit, None);
        let mut connection = self.step(Stage::Greeting, connecting).await?;
        if let Some(parameters) = upgrade {
            self.step(Stage::Encryption, connection.starttls(parameters, &self.hello)).await?;
        }
        if let Some(credentials) = &self.credentials {
            self.step(Stage::SignIn, connection.auth(DEFAULT_MECHANISMS, credentials)).await?;
        }
        Ok(connection)
    }

    /// One mail transaction (RFC 5321 section 3.3).
    async fn transact(&self, connection: &mut AsyncSmtpConnection, message: &Message) -> Result<(), Trouble> {
        let content = message.formatted();
        let envelope = message.envelope();
        let mut parameters = Vec::new();
        if !is_ascii(message) {
            parameters.push(MailParameter::SmtpUtfEight);
        }
        if !content.is_ascii() {
            parameters.push(MailParameter::Body(MailBodyParameter::EightBitMime));
        }
        let mail = Mail::new(envelope.from().cloned(), parameters);
        self.step(Stage::Sender, connection.command(mail)).await?;
        for recipient in envelope.to() {
            let rcpt = Rcpt::new(recipient.clone(), Vec::new());
            self.step(Stage::Recipient, connection.command(rcpt)).await?;
        }
        self.step(Stage::Content, connection.command(Data)).await?;
        self.step(Stage::Content, connection.message(&content)).await?;
        Ok(())
    }

    /// The library bounds only the TCP handshake; a server that falls silent later would hold a worker for ever.
    async fn step<T>(
        &self,
        stage: Stage,
        work: impl Future<Output = Result<T, SmtpError>>,
    ) -> Result<T, Trouble> {
        match timeout(self.timeout, work).await {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(cause)) => Err(Trouble { stage, cause: Some(cause) }),
            Err(_) => Err(Trouble { stage, cause: None }),
        }
    }

    /// Only a connection whose last command was answered is kept. One abandoned in the middle, by a timeout or because
    /// the caller went away, would give the next mail the answers meant for this one.
    fn park(&self, connection: AsyncSmtpConnection) {
        let mut parked = self.parked();
        if parked.len() < MAX_PARKED && !connection.has_broken() {
            parked.push(Parked { connection, since: Instant::now() });
        }
    }

    async fn unpark(&self) -> Option<AsyncSmtpConnection> {
        loop {
            let Parked { mut connection, since } = self.parked().pop()?;
            let fresh = since.elapsed() < PARKED_FOR;
            if fresh && timeout(COURTESY, connection.test_connected()).await == Ok(true) {
                return Some(connection);
            }
        }
    }

    fn parked(&self) -> MutexGuard<'_, Vec<Parked>> {
        self.parked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Turns trouble into what the worker does next and what the operator reads.
    fn explain(&self, trouble: &Trouble, mail: Option<&OutgoingMail>) -> SendError {
        let server = format!("mail server {}:{}", self.host, self.port);
        let Some(cause) = &trouble.cause else {
            let seconds = self.timeout.as_secs();
            let advice = self.advice_on_silence(trouble.stage);
            return SendError::Transient(format!("{server} {SILENT} {seconds} s{advice}"));
        };
        let code = cause.status().map(u16::from);
        let reply = match (code, std::error::Error::source(cause)) {
            (Some(code), Some(text)) => format!("{code} {text}"),
            _ => cause.to_string(),
        };
        let reply = redacted(&reply, &self.secrets, mail);
        let refused = code.is_some_and(|code| code >= 500);
        let text = match (trouble.stage, code) {
            (_, Some(530)) => {
                let advice = self.advice_on_demands();
                format!("{server} requires encryption or authentication ({reply}): {advice}")
            }
            (_, Some(534 | 535 | 538)) | (Stage::SignIn, _) if refused || cause.is_client() => {
                format!("{server} does not accept the credentials ({reply}): check username and password")
            }
            (stage @ (Stage::Recipient | Stage::Content), Some(code)) if refused => {
                let said = said(cause);
                return self.refusal(status::concerns(stage, code, &said), &said, &server, &reply);
            }
            (Stage::Sender, _) if refused => {
                let advice = self.advice_on_sender(&said(cause));
                format!("{server} refuses the sender {} ({reply}): {advice}check from", self.from.email)
            }
            (Stage::Greeting, _) if refused => {
                format!(
                    "{server} refuses connections from this machine ({reply}): ask its operator to allow it"
                )
            }
            (Stage::Encryption, _) if refused || cause.is_client() => {
                format!(
                    "{server} does not offer STARTTLS ({reply}): check port and tls, which may have to be implicit"
                )
            }
            _ if reply.contains("certificate") => distrusted(&server, &reply),
            (Stage::Greeting | Stage::Encryption, None) => self.unmet(cause, &server, &reply),
            (_, None) => format!("the connection to {server} {BROKE_OFF} ({reply})"),
            (_, Some(_)) if self.credentials.is_none() && status::asks_to_sign_in(&said(cause)) => {
                format!("{server} does not take this mail now ({reply}): {NO_CREDENTIALS}")
            }
            (_, Some(_)) => format!("{server} {BUSY} ({reply})"),
        };
        SendError::Transient(text)
    }

    /// What is said where no conversation began. `reply` is what the library says of it, or of what was read.
    fn unmet(&self, cause: &SmtpError, server: &str, reply: &str) -> String {
        if matches!(self.security, Security::Implicit(_)) && reply.contains(NO_TLS) {
            return format!(
                "{server} does not begin with TLS ({reply}): set tls to starttls, usual at port 587, or the port to one that begins with \
                 TLS, usually 465"
            );
        }
        if cause.is_response() && !reply.contains(CUT_OFF) {
            return format!("what answers at {server} is no mail server ({reply}): check host and port");
        }
        format!("{server} cannot be reached ({reply}): check host, port and tls")
    }

    /// What silence may come of. A server that begins with TLS waits for the client.
    const fn advice_on_silence(&self, stage: Stage) -> &'static str {
        match (stage, &self.security) {
            (Stage::Greeting, Security::StartTls(_) | Security::None) => {
                ": check host and port; a server that begins with TLS, usually at port 465, needs tls = \"implicit\""
            }
            _ => "",
        }
    }

    /// What to set where a server says that it wants more, and not what.
    fn advice_on_demands(&self) -> String {
        match (&self.credentials, &self.security) {
            (Some(_), _) => "check tls, username and password".to_owned(),
            (None, Security::None) => format!("{NO_CREDENTIALS}, and check tls"),
            (None, Security::StartTls(_) | Security::Implicit(_)) => NO_CREDENTIALS.to_owned(),
        }
    }

    /// What may be behind the refusal of a sender, before what else is to be checked: that nobody is signed in, or another account.
    fn advice_on_sender(&self, said: &str) -> String {
        match &self.credentials {
            _ if !status::may_be_about_sign_in(said) => String::new(),
            None => format!("{NO_CREDENTIALS} if it wants a sign-in; else "),
            Some(_) => format!(
                "it may not let the account of mail.smtp.username send from {}, or to this recipient; ",
                self.from.email
            ),
        }
    }

    /// A refused mail: given up only if no correction could help it. `said` is the reply as it came.
    fn refusal(&self, concerns: Concerns, said: &str, server: &str, reply: &str) -> SendError {
        match concerns {
            Concerns::Recipient => SendError::Permanent(format!("{server} refuses the recipient ({reply})")),
            Concerns::Message => SendError::Permanent(format!("{server} refuses the message ({reply})")),
            Concerns::Sender => {
                let advice = self.advice_on_sender(said);
                SendError::Transient(format!(
                    "{server} refuses mail from this sender ({reply}): {advice}check from, what the account may send, SPF and DKIM"
                ))
            }
            Concerns::Passing => {
                SendError::Transient(format!("{server} cannot deliver at the moment ({reply})"))
            }
        }
    }
}

/// What is said of a certificate that is not trusted. `reply` is what the TLS library says.
fn distrusted(server: &str, reply: &str) -> String {
    if let Some(fault) = CERTIFICATE.fault(reply) {
        return format!("the certificate of {server} {}: {}", fault.what, fault.advice);
    }
    format!(
        "{server} has an untrusted certificate ({reply}): check host, and ca_file for a private authority"
    )
}

/// The text of a server's reply, without its code.
fn said(cause: &SmtpError) -> String {
    std::error::Error::source(cause).map(ToString::to_string).unwrap_or_default()
}

/// The password in every form a server could quote it in: itself, and as SASL PLAIN and LOGIN send it.
fn forms_of(username: &str, password: &Secret) -> Vec<Secret> {
    let text = password.expose();
    if text.is_empty() {
        return Vec::new();
    }
    let plain = STANDARD.encode(format!("\0{username}\0{text}"));
    vec![Secret::new(text), Secret::new(STANDARD.encode(text)), Secret::new(plain)]
}

fn is_ascii(message: &Message) -> bool {
    let envelope = message.envelope();
    envelope.from().into_iter().chain(envelope.to()).all(|address| {
        let address: &str = address.as_ref();
        address.is_ascii()
    })
}
