//! Redis: keys with the same prefix (before the first colon) are a relation, in a schema per database.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::Mutex;

use crate::address;
use crate::error::{ErrorCode, SourceError, quoted, within};
use crate::members::Members;
use crate::network::NetworkPolicy;
use crate::network::dial::Dialer;
use crate::network::tls::{Tls, TlsMode};
use crate::registry::TypeInfo;
use crate::settings::{Credentials, Settings};
use crate::snapshot::{Fetcher, Lines};

mod wire;

use wire::{Reply, Wire};

/// The relation of keys without a prefix.
const PLAIN: &str = "keys";
/// Keys asked for at a time.
const SCAN: &str = "1000";
/// Elements of one list, set or hash that are read.
const MOST_ELEMENTS: u64 = 100_000;

/// A Redis server.
pub(crate) struct Redis {
    dialer: Dialer,
    host: String,
    port: u16,
    database: u32,
    username: Option<String>,
    credentials: Credentials,
    tls: Option<Tls>,
    limit: Duration,
    idle: Mutex<Option<Wire>>,
}

impl Redis {
    pub(crate) async fn open(settings: &Settings, policy: &NetworkPolicy) -> Result<Self, SourceError> {
        let text = settings.connection_string.as_ref();
        let address = text.map(|text| address::parse(text.as_str())).transpose()?.unwrap_or_default();
        // The scheme is what TLS hangs on, and may be written in any letters.
        let scheme =
            text.and_then(|text| text.as_str().trim_start().split_once("://")).map(|(scheme, _)| scheme);
        let secure = scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case("rediss"));
        let host = settings
            .host
            .clone()
            .or(address.host)
            .ok_or_else(|| SourceError::connection("host is missing."))?;
        let database = settings.database_name.clone().or(address.database).unwrap_or_else(|| "0".to_owned());
        let database = database.parse().map_err(|_| {
            SourceError::connection(format!(
                "database_name is {}; of Redis it is a number.",
                quoted(&database)
            ))
        })?;
        let default = if secure { TlsMode::VerifyFull } else { TlsMode::Disable };
        let tls = Tls::from_the_start(settings, &host, default)?;
        let mut credentials = settings.credentials.clone();
        credentials.password = credentials.password.or(address.password);
        Ok(Self {
            dialer: Dialer::open(settings, policy).await?,
            port: settings.port.or(address.port).or(TypeInfo::of(settings.kind).default_port).unwrap_or(6379),
            host,
            database,
            username: credentials.username.as_ref().map(|name| name.expose().to_owned()).or(address.username),
            credentials,
            tls,
            limit: settings.connection_timeout,
            idle: Mutex::default(),
        })
    }

    async fn connect(&self) -> Result<Wire, SourceError> {
        within(self.limit, "Connecting", async {
            let stream = self.dialer.dial(&self.host, self.port).await?;
            let stream = match &self.tls {
                None => stream,
                Some(tls) => tls.secure(stream).await?,
            };
            let mut wire = Wire::new(stream);
            if let Some(password) = &self.credentials.password {
                let reply = match &self.username {
                    Some(name) => wire.call(&["AUTH", name, password.expose()]).await?,
                    None => wire.call(&["AUTH", password.expose()]).await?,
                };
                self.checked(reply)?;
            }
            let database = self.database.to_string();
            self.checked(wire.call(&["SELECT", &database]).await?)?;
            Ok(wire)
        })
        .await
    }

    /// Turns an error of the server into one of ours.
    fn checked(&self, reply: Reply) -> Result<Reply, SourceError> {
        let Reply::Error(text) = reply else { return Ok(reply) };
        let known = match text.split(' ').next().unwrap_or_default() {
            // Without one nothing was sent to sign in with, not even a name.
            "NOAUTH" if self.credentials.password.is_none() => SourceError::new(
                ErrorCode::Authentication,
                "The server asks for a password, and there is none: it is sent as credentials.password.",
            ),
            "NOAUTH" | "WRONGPASS" => SourceError::new(
                ErrorCode::Authentication,
                "The server refused the user name or the password.",
            ),
            "DENIED" => SourceError::connection(
                "The server answers nobody but its own machine (protected mode): it needs a password (requirepass), which is \
                 credentials.password.",
            ),
            "NOPERM" => SourceError::forbidden("The user may not run this command."),
            "LOADING" | "BUSY" | "MASTERDOWN" | "CLUSTERDOWN" => {
                SourceError::connection("The server cannot serve at the moment.")
            }
            _ if text.contains("without any password") => {
                SourceError::new(ErrorCode::Authentication, "The server has no password, and one was given.")
            }
            _ => SourceError::refused("The server refused the command."),
        };
        Err(known.with_detail(self.credentials.redact(&text)))
    }

    /// A connection: the idle one if it still answers.
    async fn take(&self) -> Result<Wire, SourceError> {
        let idle = self.idle.lock().await.take();
        if let Some(mut wire) = idle
            && let Ok(Reply::Text(_)) = wire.call(&["PING"]).await
        {
            return Ok(wire);
        }
        self.connect().await
    }

    /// Keeps a connection on which all went well.
    async fn put(&self, wire: Wire) {
        *self.idle.lock().await = Some(wire);
    }

    /// Some keys that match a pattern, and the cursor for more; it is "0" at the end, as it was at the start.
    async fn some_keys(
        &self,
        wire: &mut Wire,
        pattern: &str,
        cursor: &str,
    ) -> Result<(String, Vec<Vec<u8>>), SourceError> {
        let reply = self.checked(wire.call(&["SCAN", cursor, "MATCH", pattern, "COUNT", SCAN]).await?)?;
        let Reply::Array(parts) = reply else { return Err(wire::garbled()) };
        let Ok([next, Reply::Array(keys)]) = <[Reply; 2]>::try_from(parts) else {
            return Err(wire::garbled());
        };
        let next = next.text().ok_or_else(wire::garbled)?;
        Ok((next, keys.into_iter().filter_map(Reply::bytes).collect()))
    }

    /// A key as a row.
    async fn row(&self, wire: &mut Wire, key: &[u8]) -> Result<Option<String>, SourceError> {
        let kind = self.checked(wire.call(&[b"TYPE".as_slice(), key]).await?)?.text().unwrap_or_default();
        let life = match self.checked(wire.call(&[b"PTTL".as_slice(), key]).await?)? {
            Reply::Integer(life) if life >= 0 => json!(life),
            _ => Value::Null,
        };
        // One more, so that it is known when there are.
        let most = (MOST_ELEMENTS + 1).to_string();
        let last = MOST_ELEMENTS.to_string();
        let mut fields = Members::default();
        fields.add("key", shown(key));
        fields.add("type", kind.as_str());
        fields.add("expires_in_ms", life);
        let reply = match kind.as_str() {
            "string" => wire.call(&[b"GET".as_slice(), key]).await?,
            "hash" => wire.call(&[b"HGETALL".as_slice(), key]).await?,
            "list" => wire.call(&[b"LRANGE".as_slice(), key, b"0", last.as_bytes()]).await?,
            "set" => wire.call(&[b"SRANDMEMBER".as_slice(), key, most.as_bytes()]).await?,
            "zset" => wire.call(&[b"ZRANGE".as_slice(), key, b"0", last.as_bytes(), b"WITHSCORES"]).await?,
            "stream" => {
                wire.call(&[b"XRANGE".as_slice(), key, b"-", b"+", b"COUNT", most.as_bytes()]).await?
            }
            // Gone meanwhile.
            "none" => return Ok(None),
            _ => Reply::Nil,
        };
        let reply = self.checked(reply)?;
        if is_cut(&kind, &reply) {
            let name = String::from_utf8_lossy(key);
            return Err(SourceError::query(format!(
                "The {kind} {} has more than {MOST_ELEMENTS} elements, and is not read in part.",
                quoted(&name)
            )));
        }
        let value = match (kind.as_str(), reply) {
            ("hash" | "zset", Reply::Array(parts)) => pairs(parts, &mut fields, kind == "hash"),
            (_, reply) => reply.json().to_string(),
        };
        fields.add_json("value", &value);
        Ok(Some(fields.into_json()))
    }
}

/// Whether there are more elements than were asked for.
fn is_cut(kind: &str, reply: &Reply) -> bool {
    let Reply::Array(parts) = reply else { return false };
    let each = match kind {
        "list" | "set" | "stream" => 1,
        "zset" => 2,
        _ => return false,
    };
    (parts.len() / each) as u64 > MOST_ELEMENTS
}

/// Fields of a hash are columns of their own too, as far as their names are not taken.
fn pairs(parts: Vec<Reply>, fields: &mut Members, columns: bool) -> String {
    let mut all = Members::default();
    let mut parts = parts.into_iter();
    while let (Some(name), Some(value)) = (parts.next(), parts.next()) {
        // Names that are no text stay apart.
        let name = match name.json() {
            Value::String(name) => name,
            other => other.to_string(),
        };
        let value = value.json().to_string();
        if columns && !fields.has(&name) && name != "value" {
            fields.add_json(&name, &value);
        }
        all.add_json(&name, &value);
    }
    all.into_json()
}

/// Bytes as text; those that are no UTF-8 in hexadecimal digits after `\x`.
fn shown(bytes: &[u8]) -> Value {
    match std::str::from_utf8(bytes) {
        Ok(text) => json!(text),
        Err(_) => json!(format!("\\x{}", hex::encode(bytes))),
    }
}

/// What stands before the first colon. A prefix that is no text names no relation: its keys are among those without one.
fn prefix(key: &[u8]) -> String {
    let end = key.iter().position(|byte| *byte == b':');
    let prefix = end.and_then(|end| key.get(..end)).and_then(|prefix| std::str::from_utf8(prefix).ok());
    prefix.unwrap_or(PLAIN).to_owned()
}

/// A pattern that matches keys of a prefix and nothing by accident.
fn pattern(prefix: &str) -> String {
    let mut pattern = String::new();
    for c in prefix.chars() {
        if matches!(c, '*' | '?' | '[' | ']' | '\\' | '^') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern + ":*"
}

#[async_trait::async_trait]
impl Fetcher for Redis {
    async fn probe(&self, query: Option<&str>) -> Result<(Option<String>, Option<String>), SourceError> {
        if query.is_some_and(|query| !query.eq_ignore_ascii_case("ping")) {
            return Err(SourceError::query("The only test query of Redis is PING."));
        }
        let mut wire = self.connect().await?;
        let pong = self.checked(wire.call(&["PING"]).await?)?.text();
        let about = self.checked(wire.call(&["INFO", "server"]).await?)?.text().unwrap_or_default();
        let version = about.lines().find_map(|line| line.strip_prefix("redis_version:"));
        Ok((version.map(|version| format!("Redis {}", version.trim())), pong))
    }

    async fn relations(&self) -> Result<Vec<(String, String, Option<i64>)>, SourceError> {
        let mut counts: BTreeMap<String, i64> = BTreeMap::new();
        let mut wire = self.take().await?;
        let mut cursor = "0".to_owned();
        loop {
            let (next, keys) = self.some_keys(&mut wire, "*", &cursor).await?;
            for key in keys {
                let name = prefix(&key);
                if counts.len() < 10_000 || counts.contains_key(&name) {
                    *counts.entry(name).or_default() += 1;
                }
            }
            if next == "0" {
                break;
            }
            cursor = next;
        }
        self.put(wire).await;
        let schema = format!("db{}", self.database);
        Ok(counts.into_iter().map(|(name, count)| (schema.clone(), name, Some(count))).collect())
    }

    async fn rows(&self, _: &str, table: &str, wanted: usize, out: &mut Lines) -> Result<(), SourceError> {
        let plain = table == PLAIN;
        let pattern = if plain { "*".to_owned() } else { pattern(table) };
        let mut wire = self.take().await?;
        let mut cursor = "0".to_owned();
        // The server may give a key twice while it grows or shrinks its table.
        let mut seen = HashSet::new();
        loop {
            let (next, keys) = self.some_keys(&mut wire, &pattern, &cursor).await?;
            for key in keys {
                if (plain && prefix(&key) != PLAIN) || !seen.insert(key.clone()) {
                    continue;
                }
                if let Some(row) = self.row(&mut wire, &key).await? {
                    out.write(&row)?;
                }
            }
            if next == "0" || out.rows >= wanted {
                self.put(wire).await;
                return Ok(());
            }
            cursor = next;
        }
    }

    fn tunnel(&self) -> Option<&crate::ssh::Tunnel> {
        self.dialer.tunnel().map(AsRef::as_ref)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_cut_is_told() {
        let most = usize::try_from(MOST_ELEMENTS).unwrap();
        let of = |count: usize| Reply::Array(vec![Reply::Nil; count]);
        for kind in ["list", "set", "stream"] {
            assert!(is_cut(kind, &of(most + 1)) && !is_cut(kind, &of(most)), "{kind}");
        }
        assert!(is_cut("zset", &of(2 * most + 2)) && !is_cut("zset", &of(2 * most)));
        assert!(!is_cut("hash", &of(4 * most)) && !is_cut("string", &Reply::Nil));
    }

    #[test]
    fn names_that_are_no_text_stay_apart() {
        assert_eq!((prefix(b"user:1").as_str(), prefix(b"plain").as_str()), ("user", PLAIN));
        assert_eq!(prefix(b"\xff:1"), PLAIN);
        let parts = [&b"\xfe"[..], b"a", b"\xff", b"b"].map(|part| Reply::Bytes(part.to_vec()));
        let both = pairs(parts.into(), &mut Members::default(), false);
        assert_eq!(both, r#"{"\\xfe":"a","\\xff":"b"}"#);
    }
}
