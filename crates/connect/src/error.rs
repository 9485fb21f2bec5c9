//! Why a source did not answer, in the words of the contract.

use std::fmt;

/// The `error_code` of a connection test (contract D8).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorCode {
    /// The server cannot be reached, is not allowed, or does not speak the protocol.
    Connection,
    /// The server refused the credentials.
    Authentication,
    /// Nothing came in time.
    Timeout,
    /// The tunnel could not be opened.
    SshTunnel,
    /// The server refused the query, or its answer cannot be represented.
    Query,
    /// The file is not there.
    FileNotFound,
    /// No driver for this type, or none for what was asked of it.
    UnsupportedType,
}

impl ErrorCode {
    /// As the contract writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Connection => "CONNECTION_ERROR",
            Self::Authentication => "AUTHENTICATION_ERROR",
            Self::Timeout => "TIMEOUT_ERROR",
            Self::SshTunnel => "SSH_TUNNEL_ERROR",
            Self::Query => "QUERY_ERROR",
            Self::FileNotFound => "FILE_NOT_FOUND",
            Self::UnsupportedType => "UNSUPPORTED_TYPE",
        }
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A failure of a source.
///
/// `message` may be answered: this crate wrote it, and what it quotes is a name or a number. `detail` is the driver's own text
/// for the operator's log, with the secrets of the source replaced; it may quote rows and must not be answered.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{code}: {message}")]
pub struct SourceError {
    pub code: ErrorCode,
    pub message: String,
    pub detail: String,
}

impl SourceError {
    /// An error with nothing more to say to the operator.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), detail: String::new() }
    }

    /// Adds the driver's text, cut to 2,000 characters. The caller has taken the secrets out of it.
    pub fn with_detail(mut self, detail: impl fmt::Display) -> Self {
        self.detail = detail.to_string().chars().take(2_000).collect();
        self
    }

    pub(crate) fn connection(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::Connection, message)
    }

    /// What answers does not speak the protocol of such a server.
    pub(crate) fn foreign(server: &str) -> Self {
        Self::connection(format!(
            "What listens there does not answer as {server} does: is it another kind of server, or another port?"
        ))
    }

    pub(crate) fn query(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::Query, message)
    }

    pub(crate) fn unsupported(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::UnsupportedType, message)
    }

    pub(crate) fn timeout(what: &str, limit: std::time::Duration) -> Self {
        Self::new(ErrorCode::Timeout, format!("{what} took longer than {} s.", limit.as_secs_f32()))
    }
}

/// The server offers no TLS, which the settings ask for.
pub(crate) fn no_tls_offered(mode: crate::network::tls::TlsMode) -> SourceError {
    SourceError::connection(format!("The server does not offer TLS, and ssl_mode is {}.", mode.as_str()))
}

/// A name in a message: quoted, without control characters, cut to 80 characters.
pub(crate) fn quoted(name: &str) -> String {
    let clean: String = name.chars().filter(|c| !c.is_control()).take(80).collect();
    format!("\"{clean}\"")
}

/// Runs an operation with a time limit.
pub(crate) async fn within<T>(
    limit: std::time::Duration,
    what: &str,
    work: impl Future<Output = Result<T, SourceError>>,
) -> Result<T, SourceError> {
    match tokio::time::timeout(limit, work).await {
        Ok(result) => result,
        Err(_) => Err(SourceError::timeout(what, limit)),
    }
}
