//! Connections to servers that speak PostgreSQL's protocol.

use std::error::Error as _;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio_postgres::config::SslMode;
use tokio_postgres::error::{DbError, Severity};
use tokio_postgres::tls::{ChannelBinding, TlsConnect, TlsStream};
use tokio_postgres::{CancelToken, Client, Config};
use tokio_rustls::client;

use super::framed::{Dialed, FOREIGN, Framed, LARGEST, Messages};
use crate::error::{ErrorCode, SourceError, no_tls_offered, quoted, within};
use crate::network::NetworkPolicy;
use crate::network::tls::{self, Refusal, Tls, TlsMode};
use crate::registry::SourceType;
use crate::settings::Settings;
use crate::wire::Endpoint;

/// How to connect to one database.
pub(crate) struct Connector {
    pub(crate) kind: SourceType,
    pub(crate) endpoint: Endpoint,
    config: Config,
    tls: Tls,
    /// Whether a connection ended because of a row that is too large.
    oversized: Arc<AtomicBool>,
}

/// What the driver says where the server answers that it has no TLS.
const NO_TLS: &str = "server does not support TLS";

impl Connector {
    pub(crate) async fn new(settings: &Settings, policy: &NetworkPolicy) -> Result<Self, SourceError> {
        let endpoint = Endpoint::open(settings, policy).await?;
        let database = endpoint.database.as_deref();
        let database = database.ok_or_else(|| SourceError::connection("database_name is missing."))?;
        let default = match endpoint.options.get("sslmode") {
            Some(word) => TlsMode::parse(word)?,
            None => TlsMode::Prefer,
        };
        let tls = Tls::of(settings, &endpoint.host, default)?;
        let mut config = Config::new();
        config.dbname(database).application_name("tidegate").ssl_mode(match tls.mode {
            TlsMode::Disable => SslMode::Disable,
            TlsMode::Prefer => SslMode::Prefer,
            TlsMode::Require | TlsMode::VerifyCa | TlsMode::VerifyFull => SslMode::Require,
        });
        // Without one the driver would tell the server as whom this program runs.
        config.user(endpoint.username.as_deref().unwrap_or_default());
        if let Some(password) = &endpoint.credentials.password {
            config.password(password.expose());
        }
        Ok(Self { kind: settings.kind, endpoint, config, tls, oversized: Arc::default() })
    }

    /// A new connection, ready for reading queries and no others, each of at most so long.
    pub(crate) async fn connect(&self, queries: Duration) -> Result<Client, SourceError> {
        let stream = self.stream().await?;
        let (client, connection) =
            self.config.connect_raw(stream, self.handshake()).await.map_err(|error| self.error(&error))?;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection to a data source ended");
            }
        });
        let milliseconds = queries.as_millis().clamp(1, i32::MAX as u128);
        // Redshift knows few of PostgreSQL's settings; its transactions are made read-only one by one.
        let setup = match self.kind {
            SourceType::Redshift => format!("SET statement_timeout TO {milliseconds}"),
            _ => format!(
                "SET statement_timeout = {milliseconds}; SET default_transaction_read_only = on; \
                 SET standard_conforming_strings = on; SET IntervalStyle = 'iso_8601'; SET DateStyle = 'ISO, YMD'; \
                 SET TimeZone = 'UTC'"
            ),
        };
        client.batch_execute(&setup).await.map_err(|error| self.error(&error))?;
        Ok(client)
    }

    /// Asks the server to stop what a connection is doing, by a connection of its own as the protocol has it.
    pub(crate) async fn cancel(&self, token: CancelToken) {
        let asked = within(Duration::from_secs(5), "Cancelling", async {
            let stream = self.stream().await?;
            token.cancel_query_raw(stream, self.handshake()).await.map_err(|error| self.error(&error))
        });
        if let Err(error) = asked.await {
            tracing::debug!(detail = error.detail, "a query of a data source could not be cancelled");
        }
    }

    async fn stream(&self) -> Result<Plain, SourceError> {
        // A server that is asked for TLS says in one byte whether it has it.
        let before = usize::from(self.tls.mode != TlsMode::Disable);
        let messages = Some(Messages::new(before, &self.oversized));
        let Endpoint { dialer, host, port, .. } = &self.endpoint;
        Ok(Framed { stream: Dialed(dialer.dial(host, *port).await?), messages })
    }

    fn handshake(&self) -> Handshake {
        Handshake { tls: self.tls.clone(), oversized: Arc::clone(&self.oversized) }
    }

    /// The contract's code for an error of the driver. Only the SQLSTATE is told.
    pub(crate) fn error(&self, error: &tokio_postgres::Error) -> SourceError {
        let detail = self.endpoint.credentials.redact(&chain(error));
        let Some(server) = error.as_db_error() else {
            let text = error.to_string();
            // The driver tells what is missing in the cause only.
            let cause = error.source().map(ToString::to_string).unwrap_or_default();
            let shakes_hands = text.starts_with("error performing TLS handshake");
            let refused = tls::refusal(error).or(shakes_hands.then_some(Refusal::Ended));
            let known = if self.oversized.swap(false, Ordering::Relaxed) {
                SourceError::query(format!("A row is larger than {LARGEST} bytes."))
            } else if cause.starts_with(FOREIGN) {
                SourceError::foreign("PostgreSQL")
            } else if shakes_hands && cause == NO_TLS {
                no_tls_offered(self.tls.mode)
            } else if let Some(refusal) = refused {
                SourceError::connection(refusal.message())
            } else if cause == "password missing" || text.starts_with("authentication") {
                SourceError::new(
                    ErrorCode::Authentication,
                    "The server asks for a password, or for a way to sign in that is not known.",
                )
            } else if text.starts_with("db error") || text.contains("deserializing") {
                SourceError::query("The answer of the server cannot be read.")
            } else {
                SourceError::connection("The connection to the server failed or ended.")
            };
            return known.with_detail(detail);
        };
        self.said(server).with_detail(detail)
    }

    /// The same for what the server says.
    fn said(&self, server: &DbError) -> SourceError {
        let state = server.code().code();
        match (state, state.get(..2).unwrap_or_default()) {
            // PostgreSQL itself has 28P01 for passwords; others have this for them, too.
            ("28000", _) if self.kind == SourceType::Postgresql => SourceError::new(
                ErrorCode::Authentication,
                "The server does not let the user in, whatever the password is (SQLSTATE 28000): its pg_hba.conf must have a line for this \
                 user, database and address, with TLS or without as metadata.ssl_mode has it, and credentials.username be one that is there \
                 and may log in (alter role ... login).",
            ),
            (_, "28") => SourceError::new(
                ErrorCode::Authentication,
                "The server refused the user name or the password.",
            ),
            ("3D000", _) => {
                let database = quoted(self.endpoint.database.as_deref().unwrap_or_default());
                SourceError::connection(format!("The database {database} does not exist."))
            }
            ("57014", _) => {
                SourceError::new(ErrorCode::Timeout, "The query took too long, or was cancelled.")
            }
            ("53300", _) => SourceError::connection("The server has no free connection."),
            // Statements end with an error, connections with a fatal one.
            ("42501", _) if server.parsed_severity() == Some(Severity::Fatal) => {
                let database = quoted(self.endpoint.database.as_deref().unwrap_or_default());
                SourceError::new(
                    ErrorCode::Authentication,
                    format!(
                        "The user may not connect to the database {database} (SQLSTATE 42501): grant connect on database {database} to it."
                    ),
                )
            }
            ("42501", _) => SourceError::forbidden("The user may not read this (SQLSTATE 42501)."),
            ("42P01" | "3F000", _) => {
                SourceError::changed(format!("The relation does not exist (SQLSTATE {state})."))
            }
            // A column is not there, or is of a type for which there is no such comparison or cast.
            ("42703" | "42804" | "42846" | "42883", _) => {
                SourceError::changed(format!("A column has changed (SQLSTATE {state})."))
            }
            ("25006", _) => {
                SourceError::refused("The query writes; only reads are allowed (SQLSTATE 25006).")
            }
            (_, "08" | "57" | "53") => {
                SourceError::connection(format!("The server cannot serve (SQLSTATE {state})."))
            }
            _ => SourceError::refused(format!("The server refused the query (SQLSTATE {state}).")),
        }
    }
}

/// An error with its causes.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

/// A stream before TLS, or without it.
type Plain = Framed<Dialed>;
type Encrypted = Framed<client::TlsStream<Plain>>;

struct Handshake {
    tls: Tls,
    oversized: Arc<AtomicBool>,
}

impl TlsConnect<Plain> for Handshake {
    type Stream = Encrypted;
    type Error = io::Error;
    type Future = BoxFuture<'static, io::Result<Encrypted>>;

    fn connect(self, mut stream: Plain) -> Self::Future {
        // From here on it carries records of TLS, and these carry the messages.
        stream.messages = None;
        Box::pin(async move {
            let stream = self.tls.connector.connect(self.tls.name, stream).await?;
            Ok(Framed { stream, messages: Some(Messages::new(0, &self.oversized)) })
        })
    }
}

impl TlsStream for Encrypted {
    fn channel_binding(&self) -> ChannelBinding {
        ChannelBinding::none()
    }
}
