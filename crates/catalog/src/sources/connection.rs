//! How a data source is reached: everything but its secrets.

use std::net::IpAddr;

use tidegate_connect::TypeInfo;
use tidegate_domain::Secret;

use super::error::SourceRefusal;
use super::sealed::Credentials;

/// Longest timeouts and intervals, in seconds: a day, and a month.
pub const MAX_TIMEOUT: u32 = 86_400;
/// Longest interval between discoveries, in seconds.
pub const MAX_INTERVAL: u32 = 30 * 86_400;
/// Shortest one.
pub const MIN_INTERVAL: u32 = 60;
/// Most connections of one source.
pub const MAX_POOL: u32 = 100;
/// Most retries.
pub const MAX_RETRIES: u32 = 10;

/// How a data source is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    /// Name or address.
    pub host: Option<String>,
    /// Port; the type's usual one when none was given.
    pub port: Option<u16>,
    /// Database.
    pub database_name: Option<String>,
    /// Schema that queries begin in.
    pub schema_name: Option<String>,
    /// Name of an object of the storage.
    pub file_path: Option<String>,
    /// Whether through a tunnel.
    pub use_ssh_tunnel: bool,
    /// Its server.
    pub ssh_host: Option<String>,
    /// Its port.
    pub ssh_port: Option<u16>,
    /// Who signs in there.
    pub ssh_username: Option<String>,
    /// The tunnel's end on this machine; a free port when none is given.
    pub ssh_local_port: Option<u16>,
    /// Connections.
    pub pool_size: u32,
    /// Seconds.
    pub connection_timeout: u32,
    /// Seconds.
    pub query_timeout: u32,
    /// How often an attempt is repeated.
    pub max_retries: u32,
}

/// Refuses options that are misspelt: they would be kept, and nobody would read them.
pub(super) fn check_options(
    kind: &TypeInfo,
    metadata: Option<&serde_json::Value>,
    connection_string: Option<&Secret>,
) -> Result<(), SourceRefusal> {
    let mut names =
        metadata.and_then(serde_json::Value::as_object).into_iter().flat_map(|options| options.keys());
    let misspelt = names.find_map(|name| kind.misspelt(name));
    let misspelt =
        misspelt.or_else(|| connection_string.and_then(|text| kind.misspelt_in_string(text.expose())));
    misspelt.map_or(Ok(()), |said| Err(SourceRefusal::Misspelt(said)))
}

/// Whether a host is a name or an address, and nothing besides. The colons of an IPv6 address are its own.
fn is_alone(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let address = bare.split('%').next().unwrap_or_default();
    address.parse::<IpAddr>().is_ok() || !bare.contains([':', '/', '@', '?', '#'])
}

impl Default for Connection {
    /// The contract's numbers (D2).
    fn default() -> Self {
        Self {
            host: None,
            port: None,
            database_name: None,
            schema_name: None,
            file_path: None,
            use_ssh_tunnel: false,
            ssh_host: None,
            ssh_port: None,
            ssh_username: None,
            ssh_local_port: None,
            pool_size: 5,
            connection_timeout: 30,
            query_timeout: 300,
            max_retries: 3,
        }
    }
}

impl Connection {
    /// Refuses what lacks fields that its type needs, or has some that do not go together. A connection string stands for host, port
    /// and database.
    pub(super) fn check(
        &self,
        kind: &TypeInfo,
        has_string: bool,
        credentials: &Credentials,
        metadata: &serde_json::Value,
    ) -> Result<(), SourceRefusal> {
        let is_given = |field: &str| match field {
            "host" => self.host.is_some(),
            "port" => self.port.is_some(),
            "database_name" => self.database_name.is_some(),
            "connection_string" => has_string,
            "schema_name" => self.schema_name.is_some(),
            "file_path" => self.file_path.is_some(),
            other => match other.split_once('.') {
                Some(("credentials", name)) => credentials.has(name),
                Some(("metadata", name)) => metadata.get(name).is_some_and(|value| !value.is_null()),
                _ => false,
            },
        };
        let mut fields = kind.missing(is_given);
        if self.use_ssh_tunnel {
            fields.extend(self.ssh_host.is_none().then_some("ssh_host"));
            fields.extend(self.ssh_username.is_none().then_some("ssh_username"));
        }
        if !fields.is_empty() {
            return Err(SourceRefusal::Incomplete { kind: kind.kind.as_str(), fields });
        }
        if kind.is_file && has_string {
            return Err(SourceRefusal::Contradiction(
                "a data source of files has a file_path and no connection_string",
            ));
        }
        if !kind.is_file && self.file_path.is_some() {
            return Err(SourceRefusal::Contradiction("only data sources of files have a file_path"));
        }
        Ok(())
    }

    /// Refuses hosts and databases that are more than one: nothing would ever be found there. What was stored `before` keeps nobody from changing
    /// something else.
    pub(super) fn check_hosts(&self, before: Option<&Self>) -> Result<(), SourceRefusal> {
        let new =
            |field: fn(&Self) -> Option<&str>| field(self).filter(|new| before.and_then(field) != Some(*new));
        let is_wrong = |host: fn(&Self) -> Option<&str>| new(host).is_some_and(|new| !is_alone(new));
        if is_wrong(|connection| connection.host.as_deref()) {
            return Err(SourceRefusal::Contradiction(
                "the field host takes the host alone, without scheme, user, port and path: the port is sent as port, a whole address as connection_string",
            ));
        }
        if is_wrong(|connection| connection.ssh_host.as_deref()) {
            return Err(SourceRefusal::Contradiction(
                "the field ssh_host takes the host alone, without scheme, user and port: these are sent as ssh_username and ssh_port",
            ));
        }
        if new(|connection| connection.database_name.as_deref()).is_some_and(|name| name.contains("://")) {
            return Err(SourceRefusal::Contradiction(
                "the field database_name takes the name alone: a whole address is sent as connection_string, and of a bucket what is \
                 behind its name as metadata.prefix",
            ));
        }
        Ok(())
    }

    /// The port, where the type has a usual one and none was given.
    pub(super) fn with_usual_port(mut self, kind: &TypeInfo, has_string: bool) -> Self {
        if self.port.is_none() && !has_string {
            self.port = kind.default_port.filter(|_| self.host.is_some());
        }
        if self.use_ssh_tunnel && self.ssh_port.is_none() {
            self.ssh_port = Some(22);
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_a_name_or_an_address_and_nothing_besides() {
        for host in
            ["db.example.com", "localhost", "10.0.0.1", "::1", "[2001:db8::1]", "fe80::1%eth0", "db_1"]
        {
            assert!(is_alone(host), "{host}");
        }
        for host in [
            "postgres://127.0.0.1:19090",
            "http://db.example.com",
            "db.example.com:5432",
            "[2001:db8::1]:5432",
            "db.example.com/shop",
            "ada@db.example.com",
        ] {
            assert!(!is_alone(host), "{host}");
            let connection = |host: &str| Connection { host: Some(host.to_owned()), ..Connection::default() };
            let wrong = connection(host);
            assert!(wrong.check_hosts(None).is_err(), "{host}");
            assert!(wrong.check_hosts(Some(&connection("db"))).is_err(), "{host}");
            assert_eq!(wrong.check_hosts(Some(&wrong)), Ok(()), "it was stored before");
        }
    }
}
