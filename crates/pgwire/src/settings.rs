//! What an operator decides about the listener.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use smart_default::SmartDefault;
use tidegate_domain::time::seconds;

/// The listener for PostgreSQL's protocol.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema, SmartDefault)]
#[serde(deny_unknown_fields, default)]
pub struct PgwireSettings {
    /// Address and port to listen on, usually port 5432. Without it nothing listens.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "tidegate_domain::listen::optional")]
    #[schemars(with = "Option<String>", example = &"0.0.0.0:5432")]
    pub listen: Option<SocketAddr>,
    /// File with the certificate of the host, and those that vouch for it, in PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"/etc/tidegate/fullchain.pem")]
    pub tls_cert: Option<PathBuf>,
    /// File with its private key, in PEM. Both are read at start.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"/etc/tidegate/privkey.pem")]
    pub tls_key: Option<PathBuf>,
    /// Whether clients on this machine may connect without TLS. Access tokens are sent as they are: from anywhere else they are refused
    /// without it.
    pub allow_plain_on_loopback: bool,
    /// Most connections at the same time.
    #[default(512)]
    pub connections: usize,
    /// Most connections of one network (an IPv4 address, or an IPv6 /64) at the same time.
    #[default(64)]
    pub connections_per_network: usize,
    /// Most connections of one account at the same time, on each node.
    #[default(32)]
    pub connections_per_account: usize,
    /// Seconds in which a client must have signed in.
    #[serde(with = "seconds")]
    #[schemars(with = "u64")]
    #[default(Duration::from_secs(15))]
    pub sign_in_timeout: Duration,
    /// Seconds after which a connection on which nothing is asked is closed.
    #[serde(with = "seconds")]
    #[schemars(with = "u64")]
    #[default(Duration::from_secs(1_800))]
    pub idle_timeout: Duration,
    /// Seconds within which a client must take some of an answer.
    #[serde(with = "seconds")]
    #[schemars(with = "u64")]
    #[default(Duration::from_secs(60))]
    pub write_timeout: Duration,
}

impl PgwireSettings {
    /// Refuses what makes no sense.
    ///
    /// # Errors
    /// Says which key it is, and why.
    pub fn check(&self) -> Result<(), String> {
        if self.tls_cert.is_some() != self.tls_key.is_some() {
            return Err("tls_cert and tls_key are set together".to_owned());
        }
        if let Some(listen) = self.listen
            && self.tls_cert.is_none()
        {
            if !self.allow_plain_on_loopback {
                let without = match listen.ip().to_canonical().is_loopback() {
                    true => ", or set pgwire.allow_plain_on_loopback = true to do without on this machine",
                    false => "",
                };
                return Err(format!("tls_cert and tls_key are needed: tokens cross the network{without}"));
            }
            if !listen.ip().to_canonical().is_loopback() {
                return Err(format!("tls_cert and tls_key are needed: {listen} is not on loopback"));
            }
        }
        let counts = [
            ("connections", self.connections),
            ("connections_per_network", self.connections_per_network),
            ("connections_per_account", self.connections_per_account),
        ];
        if let Some((key, _)) = counts.into_iter().find(|(_, count)| *count == 0) {
            return Err(format!("{key} must be at least 1"));
        }
        let durations = [
            ("sign_in_timeout", self.sign_in_timeout),
            ("idle_timeout", self.idle_timeout),
            ("write_timeout", self.write_timeout),
        ];
        match durations.into_iter().find(|(_, duration)| duration.is_zero()) {
            Some((key, _)) => Err(format!("{key} must be at least 1 second")),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_connections_are_for_this_machine_alone() {
        let on = |listen: &str| PgwireSettings {
            listen: Some(listen.parse().unwrap()),
            ..PgwireSettings::default()
        };
        assert_eq!(PgwireSettings::default().check(), Ok(()));
        assert_eq!(
            on("127.0.0.1:5432").check().unwrap_err(),
            "tls_cert and tls_key are needed: tokens cross the network, or set pgwire.allow_plain_on_loopback = true to do without on \
             this machine"
        );
        assert!(!on("0.0.0.0:5432").check().unwrap_err().contains("allow_plain_on_loopback"));
        let plain = |listen| PgwireSettings { allow_plain_on_loopback: true, ..on(listen) };
        assert_eq!(plain("127.0.0.1:5432").check(), Ok(()));
        assert_eq!(plain("[::1]:5432").check(), Ok(()));
        assert!(plain("0.0.0.0:5432").check().unwrap_err().contains("loopback"));
        let half = PgwireSettings { tls_cert: Some("a.pem".into()), ..on("0.0.0.0:5432") };
        assert!(half.check().unwrap_err().contains("together"));
        let whole = PgwireSettings { tls_key: Some("a.key".into()), ..half };
        assert_eq!(whole.check(), Ok(()));
        let nobody = PgwireSettings { connections_per_account: 0, ..whole.clone() };
        assert!(nobody.check().unwrap_err().starts_with("connections_per_account"));
        let never = PgwireSettings { idle_timeout: Duration::ZERO, ..whole };
        assert!(never.check().unwrap_err().starts_with("idle_timeout"));
    }
}
