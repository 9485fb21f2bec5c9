//! Connections to servers that speak MySQL's protocol.

use std::net::IpAddr;
use std::pin::pin;
use std::time::Duration;

use futures_util::{Stream, StreamExt, stream};
use mysql_async::prelude::Queryable;
use mysql_async::{
    ClientIdentity, Conn, DriverError, Error, IoError, Opts, OptsBuilder, Params, Row, SslOpts,
};
use tokio::io::AsyncReadExt;
use tokio::time::timeout;

use crate::error::{ErrorCode, SourceError, no_tls_offered, quoted, within};
use crate::network::NetworkPolicy;
use crate::network::tls::{self, Refusal, Tls, TlsMode};
use crate::settings::Settings;
use crate::wire::Endpoint;

/// The name under which the driver asks for any name. Where the name is not to be checked it forgives an error whose text has the word
/// it begins with, and the text has the name that was asked for; the errors of `rustls` themselves have the word no more.
const ANY_NAME: &str = "NotValidForName.invalid";
/// Bytes of a packet, and so of a row, at most.
const PACKET: usize = 128 << 20;

/// How long is waited for a server to greet until it is looked whether it is one.
const GREETING: Duration = Duration::from_secs(5);
/// How long the other connection is waited for, too: a server that looks up the name of its client, and finds no name server, greets after
/// 10 s where its resolver has the defaults of resolv.conf(5).
const OTHER_GREETING: Duration = Duration::from_secs(12);
const SILENT: &str = "What listens there did not greet, as MySQL does before it is asked anything: is it another kind of server, or another port?";

/// What the driver says where packets have senseless lengths and numbers.
const NO_PACKETS: [&str; 2] = ["Packet is larger than max_allowed_packet", "Packets out of sync"];

/// How to connect to one server.
pub(crate) struct Connector {
    pub(crate) endpoint: Endpoint,
    pub(crate) database: String,
    mode: TlsMode,
    checks_name: bool,
    tls: SslOpts,
}

impl Connector {
    pub(crate) async fn new(settings: &Settings, policy: &NetworkPolicy) -> Result<Self, SourceError> {
        // The driver takes the process's provider; whoever comes first sets it, and all set this one.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let endpoint = Endpoint::open(settings, policy).await?;
        let database = endpoint.database.clone();
        let database = database.ok_or_else(|| SourceError::connection("database_name is missing."))?;
        let word = endpoint.options.get("ssl-mode").or_else(|| endpoint.options.get("sslmode"));
        let default = word.map_or(Ok(TlsMode::Prefer), |word| TlsMode::parse(word))?;
        // Read as for every other driver: this one's tells nobody which of the settings is wrong.
        let mode = Tls::of(settings, &endpoint.host, default)?.mode;
        let checks_name = mode.checks_name(settings.option("ssl_ca")?.is_some());
        Ok(Self { tls: tls(settings, mode, &endpoint.host)?, endpoint, database, mode, checks_name })
    }

    /// A new connection for reading queries and no others, each of at most so long.
    pub(crate) async fn connect(&self, queries: Duration) -> Result<Conn, SourceError> {
        let mut conn = self.signed_in().await?;
        let version: Option<String> =
            conn.query_first("SELECT VERSION()").await.map_err(|error| self.error(&error))?;
        let seconds = queries.as_secs().max(1);
        let bound = match version {
            Some(version) if version.contains("MariaDB") => {
                format!("SET SESSION max_statement_time = {seconds}")
            }
            Some(version) if version.starts_with(['8', '9']) => {
                format!(
                    "SET SESSION max_execution_time = {}",
                    seconds.saturating_mul(1_000).min(u32::MAX.into())
                )
            }
            // Others that speak the protocol may know neither; the deadline here ends their queries.
            _ => return Ok(conn),
        };
        conn.query_drop(bound).await.map_err(|error| self.error(&error))?;
        Ok(conn)
    }

    /// A connection, or why there is none; soon where what listens is no server of this protocol, which greets before it is asked anything.
    async fn signed_in(&self) -> Result<Conn, SourceError> {
        let share = self.endpoint.limit * 2 / 5;
        let mut signing_in = pin!(self.sign_in());
        if let Ok(ended) = timeout(GREETING.min(share), &mut signing_in).await {
            return ended;
        }
        let foreign = tokio::select! {
            ended = &mut signing_in => return ended,
            foreign = self.foreign(OTHER_GREETING.min(share)) => foreign,
        };
        match foreign {
            Some(error) => Err(error),
            None => signing_in.await,
        }
    }

    /// What shows that no server of this protocol listens there: what another connection is greeted with. A server that is slow greets it.
    async fn foreign(&self, patience: Duration) -> Option<SourceError> {
        let Endpoint { dialer, host, port, .. } = &self.endpoint;
        let mut stream = timeout(patience, dialer.dial(host, *port)).await.ok()?.ok()?;
        let mut head = [0; 5];
        match timeout(patience, stream.read_exact(&mut head)).await {
            Err(_elapsed) => Some(SourceError::new(ErrorCode::Timeout, SILENT)),
            // The length of the first packet, its number, and the version of the protocol, or that it is an error.
            Ok(Ok(_)) if !matches!(head, [_, _, 0, 0, 9 | 10 | 0xff]) => Some(SourceError::foreign("MySQL")),
            Ok(_) => None,
        }
    }

    /// A connection with TLS, or without, as it is asked for.
    async fn sign_in(&self) -> Result<Conn, SourceError> {
        let tls = (self.mode != TlsMode::Disable).then(|| self.tls.clone());
        let (addresses, port) = self.addresses().await?;
        let error = match self.attempt(&addresses, port, tls).await {
            Ok(conn) => return Ok(conn),
            Err(error) => error,
        };
        let has_no_tls = matches!(error, Error::Driver(DriverError::NoClientSslFlagFromServer));
        let other = if has_no_tls && self.mode == TlsMode::Prefer {
            None
        } else if !self.checks_name && tls::refusal(&error) == Some(Refusal::Name) {
            // The authority was found to be right before the name was looked at.
            Some(self.tls.clone().with_danger_tls_hostname_override(Some(ANY_NAME)))
        } else {
            return Err(self.not_signed_in(&error));
        };
        self.attempt(&addresses, port, other).await.map_err(|error| self.not_signed_in(&error))
    }

    /// Why signing in failed. What is no packet then was sent by another kind of server: nothing large is expected yet. A database that is
    /// refused then is that of the settings; a query may name another one.
    fn not_signed_in(&self, error: &Error) -> SourceError {
        let known = self.error(error);
        let database = quoted(&self.database);
        let told = match error {
            Error::Io(IoError::Io(cause)) if NO_PACKETS.iter().any(|said| cause.to_string() == *said) => {
                SourceError::foreign("MySQL")
            }
            // MariaDB says so of a database that is not there, too.
            Error::Server(server) if server.code == 1044 => SourceError::new(
                ErrorCode::Authentication,
                format!(
                    "There is no database {database}, or the user may not use it (error 1044): correct its name, or grant select on its tables to that user."
                ),
            ),
            Error::Server(server) if server.code == 1049 => {
                SourceError::connection(format!("The database {database} does not exist."))
            }
            Error::Server(server) if matches!(server.code, 1045 | 1129 | 1130) => {
                of_address(server.code, &known.message)
            }
            _ => return known,
        };
        told.with_detail(known.detail)
    }

    async fn attempt(&self, addresses: &[IpAddr], port: u16, tls: Option<SslOpts>) -> Result<Conn, Error> {
        let endpoint = &self.endpoint;
        let password = endpoint.credentials.password.as_ref().map(|secret| secret.expose().to_owned());
        let opts: Opts = OptsBuilder::default()
            .ip_or_hostname(addresses.first().map_or_else(|| endpoint.host.clone(), IpAddr::to_string))
            .resolved_ips(Some(addresses.to_vec()))
            .tcp_port(port)
            .user(endpoint.username.clone())
            .pass(password)
            .db_name(Some(self.database.clone()))
            // A server on this machine would otherwise be asked for its socket, whatever it says that is.
            .prefer_socket(false)
            .tcp_nodelay(true)
            .stmt_cache_size(8)
            .max_allowed_packet(Some(PACKET))
            .ssl_opts(tls)
            // Said again after the handshake, which servers may ignore: a narrower character set turns letters into question marks.
            .setup(vec![
                "SET NAMES utf8mb4",
                "SET SESSION TRANSACTION READ ONLY",
                "SET SESSION time_zone = '+00:00'",
            ])
            .into();
        Conn::new(opts).await
    }

    /// Where the driver connects to: the checked addresses, or the near end of the tunnel.
    async fn addresses(&self) -> Result<(Vec<IpAddr>, u16), SourceError> {
        let Endpoint { dialer, host, port, .. } = &self.endpoint;
        if let Some(tunnel) = dialer.tunnel() {
            let near = tunnel.listen(host, *port).await?;
            return Ok((vec![near.ip()], near.port()));
        }
        let found = dialer.policy().resolve(host, *port).await?;
        Ok((found.into_iter().map(|address| address.ip()).collect(), *port))
    }

    /// Ends what a connection is doing, by another one.
    pub(crate) async fn kill(&self, id: u32) {
        let killed = within(Duration::from_secs(5), "Cancelling", async {
            let mut conn = self.connect(Duration::from_secs(5)).await?;
            conn.query_drop(format!("KILL QUERY {id}")).await.map_err(|error| self.error(&error))?;
            conn.disconnect().await.map_err(|error| self.error(&error))
        });
        if let Err(error) = killed.await {
            tracing::debug!(detail = error.detail, "a query of a data source could not be cancelled");
        }
    }

    /// The contract's code for an error of the driver. Only the error's number is told.
    pub(crate) fn error(&self, error: &Error) -> SourceError {
        let detail = self.endpoint.credentials.redact(&error.to_string());
        if let Some(refusal) = tls::refusal(error) {
            return SourceError::connection(refusal.message()).with_detail(detail);
        }
        let known = match error {
            Error::Server(server) => match server.code {
                1045 | 1698 | 1862 | 1820 | 4151 => SourceError::new(
                    ErrorCode::Authentication,
                    "The server refused the user name or the password.",
                ),
                1044 | 1142 | 1143 | 1227 => {
                    SourceError::forbidden(format!("The user may not read this (error {}).", server.code))
                }
                1049 | 1054 | 1146 => SourceError::changed(format!(
                    "A database, table or column does not exist (error {}).",
                    server.code
                )),
                1040 | 1203 | 1226 => SourceError::connection("The server has no free connection."),
                1317 | 1969 | 3024 => {
                    SourceError::new(ErrorCode::Timeout, "The query took too long, or was cancelled.")
                }
                1792 => SourceError::refused("The query writes; only reads are allowed (error 1792)."),
                code => SourceError::refused(format!("The server refused the query (error {code}).")),
            },
            Error::Io(IoError::Tls(_)) => SourceError::connection(Refusal::Other.message()),
            Error::Driver(DriverError::NoClientSslFlagFromServer) => no_tls_offered(self.mode),
            Error::Driver(DriverError::UnknownAuthPlugin { .. } | DriverError::CleartextPluginDisabled) => {
                SourceError::new(
                    ErrorCode::Authentication,
                    "The server asks for a way to sign in that is not known.",
                )
            }
            Error::Driver(DriverError::PacketTooLarge) => {
                SourceError::query(format!("A row is larger than {PACKET} bytes."))
            }
            Error::Io(_) | Error::Driver(DriverError::ConnectionClosed) => {
                SourceError::connection("The connection to the server failed or ended.")
            }
            _ => SourceError::foreign("MySQL"),
        };
        known.with_detail(detail)
    }
}

/// Why nobody is let in who comes from here, as far as the error's number says so. A user is of a host: its address is a part of it.
fn of_address(code: u16, known: &str) -> SourceError {
    match code {
        1129 => SourceError::connection(
            "The server has blocked the address from which it was asked, after many connections that failed (error 1129): FLUSH HOSTS there, \
             or in MySQL TRUNCATE TABLE performance_schema.host_cache, lets it in again.",
        ),
        1130 => SourceError::new(
            ErrorCode::Authentication,
            "The server has no user who may come from the address from which it was asked (error 1130): 'reader'@'%' may come from anywhere.",
        ),
        _ => SourceError::new(
            ErrorCode::Authentication,
            format!(
                "{known} A user there is of a host, too: 'reader'@'localhost' is none who comes from elsewhere, 'reader'@'%' is."
            ),
        ),
    }
}

/// The rows of a query, which is prepared and so is one statement. Without a result there are none.
pub(crate) async fn rows<'a>(
    conn: &'a mut Conn,
    query: &str,
    parameters: Params,
) -> Result<impl Stream<Item = Result<Row, Error>> + Unpin + use<'a>, Error> {
    let result = conn.exec_iter(query.to_owned(), parameters).await?;
    let rows = result.stream_and_drop::<Row>().await?;
    Ok(stream::iter(rows).flatten())
}

fn tls(settings: &Settings, mode: TlsMode, host: &str) -> Result<SslOpts, SourceError> {
    let own = settings.option("ssl_ca")?;
    let name = settings.option("ssl_server_name")?.unwrap_or(host);
    let unverified = match mode {
        TlsMode::Disable | TlsMode::Prefer => true,
        TlsMode::Require => own.is_none(),
        TlsMode::VerifyCa | TlsMode::VerifyFull => false,
    };
    let mut tls = SslOpts::default()
        .with_danger_accept_invalid_certs(unverified)
        .with_danger_skip_domain_validation(!mode.checks_name(own.is_some()))
        .with_danger_tls_hostname_override(Some(name.trim_matches(['[', ']']).to_owned()));
    if let Some(pem) = own.filter(|_| !unverified) {
        tls = tls.with_root_certs(vec![pem.as_bytes().to_vec().into()]).with_disable_built_in_roots(true);
    }
    if let Some(chain) = settings.option("ssl_cert")? {
        let key = settings.credentials.client_key().unwrap_or_default().as_bytes().to_vec();
        tls =
            tls.with_client_identity(Some(ClientIdentity::new(chain.as_bytes().to_vec().into(), key.into())));
    }
    Ok(tls)
}

#[cfg(test)]
mod tests {
    use mysql_async::ServerError;
    use serde_json::json;

    use super::*;
    use crate::registry::SourceType;

    #[tokio::test]
    async fn a_database_that_is_refused_is_the_settings_own_at_sign_in_alone() {
        let mut settings = Settings::new(SourceType::Mysql);
        settings.host = Some("db.example.com".to_owned());
        settings.database_name = Some("shop".to_owned());
        let connector = Connector::new(&settings, &NetworkPolicy::default()).await.unwrap();
        for (code, expected) in [(1044, ErrorCode::Authentication), (1049, ErrorCode::Connection)] {
            let said = ServerError { code, message: "about shop".to_owned(), state: "42000".to_owned() };
            let error = Error::Server(said);
            let told = connector.not_signed_in(&error);
            assert_eq!(told.code, expected, "{told}");
            assert!(told.message.contains("database \"shop\""), "{told}");
            assert!(told.detail.contains("about shop"), "{}", told.detail);
            // A query may name another one: a member's own says nothing of the source.
            let told = connector.error(&error);
            assert_eq!(told.code, ErrorCode::Query, "{told}");
            assert!(!told.message.contains("shop"), "{told}");
        }
    }

    #[tokio::test]
    async fn who_may_not_come_from_here_is_told_that_users_are_of_a_host() {
        let mut settings = Settings::new(SourceType::Mysql);
        settings.host = Some("db.example.com".to_owned());
        settings.database_name = Some("shop".to_owned());
        let connector = Connector::new(&settings, &NetworkPolicy::default()).await.unwrap();
        for (code, expected, part) in [
            (
                1045,
                ErrorCode::Authentication,
                "the password. A user there is of a host, too: 'reader'@'localhost'",
            ),
            (1129, ErrorCode::Connection, "TRUNCATE TABLE performance_schema.host_cache"),
            (1130, ErrorCode::Authentication, "'reader'@'%'"),
        ] {
            let said = ServerError { code, message: "Host 'h' is not".to_owned(), state: "HY000".to_owned() };
            let told = connector.not_signed_in(&Error::Server(said));
            assert_eq!(told.code, expected, "{told}");
            assert!(told.message.contains(part), "{told}");
            assert!(told.detail.contains("Host 'h' is not"), "{}", told.detail);
        }
    }

    #[tokio::test]
    async fn a_server_without_tls_is_told_apart_from_one_whose_certificate_is_refused() {
        for mode in ["require", "verify-full"] {
            let mut settings = Settings::new(SourceType::Mysql);
            settings.host = Some("db.example.com".to_owned());
            settings.database_name = Some("shop".to_owned());
            settings.metadata.insert("ssl_mode".to_owned(), json!(mode));
            let connector = Connector::new(&settings, &NetworkPolicy::default()).await.unwrap();
            let told = connector.error(&Error::Driver(DriverError::NoClientSslFlagFromServer));
            assert_eq!(told.message, format!("The server does not offer TLS, and ssl_mode is {mode}."));
        }
    }
}
