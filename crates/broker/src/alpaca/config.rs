//! What the operator writes about the broker, and the mistakes in it.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use reqwest::Url;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tidegate_domain::Secret;
use tidegate_domain::secret::hidden;

use crate::retry::RetryPolicy;

/// Which of the broker's two installations to talk to. Each has its own keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Environment {
    /// For trying out: no money moves.
    #[default]
    Sandbox,
    /// Real accounts of real people.
    Production,
}

impl Environment {
    const fn base_url(self) -> &'static str {
        match self {
            Self::Sandbox => "https://broker-api.sandbox.alpaca.markets",
            Self::Production => "https://broker-api.alpaca.markets",
        }
    }
}

/// The secret half of the broker's credentials, as configuration gives it.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema)]
pub struct AlpacaSecret(#[schemars(with = "String")] pub Secret);

impl Serialize for AlpacaSecret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        hidden(self, serializer)
    }
}

impl<'de> Deserialize<'de> for AlpacaSecret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Secret::deserialize(deserializer).map(Self)
    }
}

/// How to reach the broker, and as whom.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AlpacaConfig {
    /// "sandbox", where no money moves, or "production".
    #[serde(default)]
    #[schemars(example = &"sandbox")]
    pub environment: Environment,
    /// Base URL of the API. Default: that of the environment. Must be https, unless it is on this machine.
    #[serde(default)]
    #[schemars(example = &"https://broker-api.sandbox.alpaca.markets")]
    pub base_url: Option<String>,
    /// The API key.
    #[serde(serialize_with = "hidden")]
    #[schemars(example = &"better set as TIDEGATE_BROKER__ALPACA__KEY")]
    pub key: String,
    /// Its secret.
    #[schemars(example = &"better set as TIDEGATE_BROKER__ALPACA__SECRET")]
    pub secret: AlpacaSecret,
    /// Seconds a connection may take.
    #[serde(default = "ten_seconds", with = "tidegate_domain::time::seconds")]
    #[schemars(with = "u64", example = 10)]
    pub connect_timeout: Duration,
    /// Seconds a call may take in total.
    #[serde(default = "twenty_seconds", with = "tidegate_domain::time::seconds")]
    #[schemars(with = "u64", example = 20)]
    pub timeout: Duration,
    /// Seconds the event stream may be silent before it is reopened.
    #[serde(default = "two_minutes", with = "tidegate_domain::time::seconds")]
    #[schemars(with = "u64", example = 120)]
    pub event_timeout: Duration,
    /// When a call is tried again: after 429, and for reading calls also after 504. An opening is only tried again
    /// when it is known that no account exists.
    #[serde(default)]
    pub retry: RetryPolicy,
}

const fn ten_seconds() -> Duration {
    Duration::from_secs(10)
}

const fn twenty_seconds() -> Duration {
    Duration::from_secs(20)
}

const fn two_minutes() -> Duration {
    Duration::from_secs(120)
}

impl fmt::Debug for AlpacaConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AlpacaConfig").field("environment", &self.environment).finish_non_exhaustive()
    }
}

/// A mistake in an [`AlpacaConfig`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// Not an address to talk to, or one with an account, query or fragment attached.
    #[error("base_url must be an address such as https://broker-api.sandbox.alpaca.markets")]
    BaseUrl,
    /// Credentials and tax numbers would cross a network unencrypted.
    #[error("base_url must be https unless it is on this machine")]
    Unencrypted,
    /// Half of the credentials, or what cannot be sent as them.
    #[error("key and secret must be given, in visible ASCII characters, the key without a colon")]
    Credentials,
    /// No time at all.
    #[error("connect_timeout, timeout and event_timeout must be at least 1 second")]
    Timeout,
    /// TLS cannot be set up.
    #[error("TLS cannot be set up")]
    Tls,
}

impl AlpacaConfig {
    /// The installation `environment`, as `key` with `secret`; the rest as by default.
    pub fn new(environment: Environment, key: impl Into<String>, secret: Secret) -> Self {
        Self {
            environment,
            base_url: None,
            key: key.into(),
            secret: AlpacaSecret(secret),
            connect_timeout: ten_seconds(),
            timeout: twenty_seconds(),
            event_timeout: two_minutes(),
            retry: RetryPolicy::default(),
        }
    }

    /// Finds the mistakes that need no network.
    ///
    /// # Errors
    /// Names the setting that is wrong.
    pub fn check(&self) -> Result<(), ConfigError> {
        let visible = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic());
        if !visible(&self.key) || !visible(self.secret.0.expose()) || self.key.contains(':') {
            return Err(ConfigError::Credentials);
        }
        if self.connect_timeout.is_zero() || self.timeout.is_zero() || self.event_timeout.is_zero() {
            return Err(ConfigError::Timeout);
        }
        self.base().map(|_| ())
    }

    pub(super) fn base(&self) -> Result<Url, ConfigError> {
        let text = self.base_url.as_deref().unwrap_or(self.environment.base_url());
        let url = Url::parse(text).map_err(|_| ConfigError::BaseUrl)?;
        let host = url.host_str().ok_or(ConfigError::BaseUrl)?;
        let is_plain = url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none();
        match url.scheme() {
            "https" if is_plain => Ok(url),
            "http" if is_plain && is_this_machine(host) => Ok(url),
            "http" if is_plain => Err(ConfigError::Unencrypted),
            _ => Err(ConfigError::BaseUrl),
        }
    }
}

fn is_this_machine(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || address.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(base_url: Option<&str>) -> AlpacaConfig {
        let config = AlpacaConfig::new(Environment::Production, "CKEY", Secret::new("s3cret-half"));
        AlpacaConfig { base_url: base_url.map(str::to_owned), ..config }
    }

    #[test]
    fn credentials_never_cross_a_network_in_the_clear() {
        assert_eq!(at(None).base().unwrap().as_str(), "https://broker-api.alpaca.markets/");
        for fine in
            ["https://proxy.example/alpaca", "http://127.0.0.1:8000", "http://[::1]:1", "http://localhost"]
        {
            assert_eq!(at(Some(fine)).check(), Ok(()), "{fine}");
        }
        assert_eq!(at(Some("http://broker-api.alpaca.markets")).check(), Err(ConfigError::Unencrypted));
        for wrong in ["", "broker", "ftp://x", "https://a:b@x", "https://x?y", "https://x#y", "data:,x"] {
            assert_eq!(at(Some(wrong)).check(), Err(ConfigError::BaseUrl), "{wrong}");
        }
    }

    #[test]
    fn a_slip_is_named() {
        let key = AlpacaConfig { key: "a:b".to_owned(), ..at(None) };
        assert_eq!(key.check(), Err(ConfigError::Credentials));
        let secret = AlpacaConfig { secret: AlpacaSecret(Secret::new("a\nb")), ..at(None) };
        assert_eq!(secret.check(), Err(ConfigError::Credentials));
        let timeout = AlpacaConfig { timeout: Duration::ZERO, ..at(None) };
        assert_eq!(timeout.check(), Err(ConfigError::Timeout));
        let config = r#"{"key": "K", "secret": "s3cret-half", "timeout": 5, "retry": {"max_attempts": 1}}"#;
        let config: AlpacaConfig = serde_json::from_str(config).unwrap();
        assert_eq!((config.timeout.as_secs(), config.environment), (5, Environment::Sandbox));
        assert!(serde_json::from_str::<AlpacaConfig>(r#"{"key": "K", "secret": "s", "timout": 5}"#).is_err());
    }

    #[test]
    fn the_secret_is_neither_shown_nor_written_back() {
        let config = at(Some("https://proxy.example"));
        let shown = format!("{config:?} {}", serde_json::to_string(&config).unwrap());
        assert!(!shown.contains("s3cret-half") && !shown.contains("CKEY"), "{shown}");
    }
}
