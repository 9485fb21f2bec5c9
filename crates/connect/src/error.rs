//! Why a source did not answer, in the words of the contract.

use std::fmt;

/// The `error_code` of a connection test (contract D8).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorCode {
    /// The server cannot be reached, is not allowed, does not speak the protocol, or has no database or schema of the name that the settings have.
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
    /// This server has no room for a temporary file, or nowhere to write it: nothing of the source.
    LocalDisk,
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
            Self::LocalDisk => "LOCAL_DISK",
        }
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why what was asked for rows has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refused {
    /// The user of the data source may not read it.
    Permission,
    /// A table or column is not there any more, or has changed.
    Changed,
    /// The server refuses it for another reason.
    Statement,
    /// A value is none of the type that its column had: who asks again has what it has by then.
    Type,
}

/// Names that are told at most where one is not there.
const MOST_NAMES: usize = 10;

/// A failure of a source.
///
/// `message` may be answered: this crate wrote it, and what it quotes is a name or a number. `detail` is the driver's own text
/// for the operator's log, with the secrets of the source replaced; it may quote rows and must not be answered. `names` may be answered to
/// whom no policy hides names.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{code}: {message}")]
pub struct SourceError {
    pub code: ErrorCode,
    pub message: String,
    pub detail: String,
    /// What there is, where what the settings name is not there: the nearest first, few of many.
    pub names: Vec<String>,
    /// Why the query has no rows, where that is one of these reasons.
    pub refused: Option<Refused>,
}

impl SourceError {
    /// An error with nothing more to say to the operator.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), detail: String::new(), names: Vec::new(), refused: None }
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

    /// There is nothing of that name where it was looked for among these.
    pub(crate) fn no_such(what: &str, name: &str, there: Vec<String>) -> Self {
        let message =
            format!("There is no {what} {} that the user of the data source may use.", quoted(name));
        Self::connection(message).with_names(name, there)
    }

    /// Adds what there is where that name is not.
    pub(crate) fn with_names(self, name: &str, there: Vec<String>) -> Self {
        let mut near: Vec<(f64, String)> =
            there.into_iter().map(|one| (strsim::jaro_winkler(name, &one), one)).collect();
        near.sort_by(|one, other| other.0.total_cmp(&one.0));
        let names: Vec<String> = near.into_iter().take(MOST_NAMES).map(|(_, one)| cut(&one)).collect();
        let told = self.with_detail(format!("there are: {}", names.join(", ")));
        Self { names, ..told }
    }

    /// The driver's text as far as it quotes no values of rows: names of tables and columns, and what is said of a connection.
    pub fn detail_without_values(&self) -> &str {
        let is_of_names = matches!(self.refused, Some(Refused::Permission | Refused::Changed));
        if self.code == ErrorCode::Query && !is_of_names { "" } else { &self.detail }
    }

    /// What was asked for is not there any more, or is something else by now.
    pub fn changed(message: impl Into<String>) -> Self {
        Self { refused: Some(Refused::Changed), ..Self::query(message) }
    }

    /// There is no such relation for the user of the data source: catalogs show nobody what they may not read.
    pub(crate) fn no_relation(name: &str) -> Self {
        Self::changed(format!("The relation {} does not exist or may not be read.", quoted(name)))
    }

    /// The user of the data source may not read it.
    pub(crate) fn forbidden(message: impl Into<String>) -> Self {
        Self { refused: Some(Refused::Permission), ..Self::query(message) }
    }

    /// The server refused the query, for a reason of its own.
    pub(crate) fn refused(message: impl Into<String>) -> Self {
        Self { refused: Some(Refused::Statement), ..Self::query(message) }
    }

    /// A value is none of the type that its column had.
    pub(crate) fn mistyped(message: impl Into<String>) -> Self {
        Self { refused: Some(Refused::Type), ..Self::query(message) }
    }

    /// The same of what a server sent.
    pub(crate) fn sent_mistyped(column: &str) -> Self {
        let column = quoted(column);
        Self::mistyped(format!("The server sent a value of the column {column} that is none of its type."))
    }

    pub(crate) fn query(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::Query, message)
    }

    pub(crate) fn unsupported(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::UnsupportedType, message)
    }

    pub(crate) fn local_disk(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::LocalDisk, message)
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
    format!("\"{}\"", cut(name))
}

/// The same without quotes.
fn cut(name: &str) -> String {
    name.chars().filter(|c| !c.is_control()).take(80).collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_says_of_values_is_not_among_what_is_told() {
        let said = |error: SourceError| error.with_detail("SECRET-1").detail_without_values().to_owned();
        assert_eq!(said(SourceError::refused("no")), "");
        assert_eq!(said(SourceError::query("A value does not fit.")), "");
        for error in [SourceError::forbidden("no"), SourceError::changed("no"), SourceError::connection("no")]
        {
            assert_eq!(said(error), "SECRET-1");
        }
    }

    #[test]
    fn where_a_name_is_not_there_the_nearest_are_told_and_not_all() {
        let there: Vec<String> =
            (0..100).map(|number| format!("tenant_{number}")).chain(["sales".to_owned()]).collect();
        let told = SourceError::no_such("schema", "sale\n", there);
        assert_eq!(told.code, ErrorCode::Connection);
        assert_eq!(told.message, "There is no schema \"sale\" that the user of the data source may use.");
        assert_eq!((told.names.len(), told.names[0].as_str()), (MOST_NAMES, "sales"));
        assert!(told.detail.starts_with("there are: sales, "), "{}", told.detail);
        assert!(SourceError::no_such("schema", "x", Vec::new()).names.is_empty());
    }
}
