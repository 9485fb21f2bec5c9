//! What the operator writes about the mail server, and the mistakes in it.

use std::net::IpAddr;
use std::path::PathBuf;

use lettre::message::Mailbox;
use lettre::transport::smtp::client::{Certificate, CertificateStore, TlsParameters};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tidegate_domain::secret::hidden;
use tidegate_domain::{EmailAddress, Secret};

/// How the connection to the mail server is encrypted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TlsMode {
    /// Begins in the clear and must be upgraded before any other command (RFC 3207). Port 587.
    #[default]
    StartTls,
    /// TLS from the first byte (RFC 8314). Port 465.
    Implicit,
    /// Not at all: for a relay on this machine or a trusted network. Port 25.
    None,
}

impl TlsMode {
    pub(super) const fn default_port(self) -> u16 {
        match self {
            Self::StartTls => 587,
            Self::Implicit => 465,
            Self::None => 25,
        }
    }
}

/// The password of the mail account, as configuration gives it.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema)]
pub struct MailPassword(#[schemars(with = "String")] pub Secret);

impl Serialize for MailPassword {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        hidden(self, serializer)
    }
}

impl<'de> Deserialize<'de> for MailPassword {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Secret::deserialize(deserializer).map(Self)
    }
}

/// The mail server and the account to use on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SmtpConfig {
    /// Name or IP address of the mail server.
    #[schemars(example = &"smtp.example.com")]
    pub host: String,
    /// Its port. The default depends on `tls`: 587, 465 or 25.
    #[serde(default)]
    #[schemars(example = 587)]
    pub port: Option<u16>,
    /// "starttls", "implicit" or "none".
    #[serde(default)]
    #[schemars(example = &"starttls")]
    pub tls: TlsMode,
    /// The account to sign in with. Without it, for a relay that asks for none.
    #[serde(default)]
    #[schemars(example = &"tidegate")]
    pub username: Option<String>,
    /// Its password.
    #[serde(default)]
    #[schemars(example = &"better set as TIDEGATE_MAIL__SMTP__PASSWORD")]
    pub password: Option<MailPassword>,
    /// Who the mail is from.
    #[schemars(example = &"Tidegate <no-reply@example.com>")]
    pub from: String,
    /// Seconds any single answer of the server may take.
    #[serde(default = "default_timeout")]
    #[schemars(example = 30)]
    pub timeout_seconds: u64,
    /// PEM file of the authorities to trust in place of the public ones.
    #[serde(default)]
    #[schemars(example = &"/etc/tidegate/mail-ca.pem")]
    pub ca_file: Option<PathBuf>,
}

const fn default_timeout() -> u64 {
    30
}

/// A mistake in an [`SmtpConfig`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// No name or address, or one with a scheme, port or account attached.
    #[error("host must be the name or IP address of the mail server alone, not {0:?}")]
    Host(String),
    /// Not one mailbox.
    #[error("from must be one address such as `Tidegate <no-reply@example.com>`, not {0:?}")]
    From(String),
    /// Half of the credentials.
    #[error("username and password must be given together")]
    Credentials,
    /// None that a server could have.
    #[error("port must be from 1 to 65535")]
    Port,
    /// No time at all.
    #[error("timeout_seconds must be at least 1")]
    Timeout,
    /// The file of authorities is of no use.
    #[error("ca_file {path}: {reason}", path = path.display())]
    CaFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// TLS cannot be set up.
    #[error("TLS cannot be set up: {0}")]
    Tls(String),
}

/// Refuses the usual slips: an empty name, a URL, `name:port`, `user@name`.
pub(super) fn host(host: &str) -> Result<String, ConfigError> {
    let is_literal = host.parse::<IpAddr>().is_ok();
    let is_name =
        !host.is_empty() && host.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '.' | '_'));
    if is_literal || is_name { Ok(host.to_owned()) } else { Err(ConfigError::Host(host.to_owned())) }
}

pub(super) fn sender(from: &str) -> Result<Mailbox, ConfigError> {
    let refused = || ConfigError::From(from.to_owned());
    if from.chars().any(char::is_control) {
        return Err(refused());
    }
    let mut mailbox: Mailbox = from.parse().map_err(|_| refused())?;
    let address: &str = mailbox.email.as_ref();
    // The parser stops where it stops understanding; what follows must not be dropped silently.
    if !from.trim_end().trim_end_matches('>').ends_with(address) {
        return Err(refused());
    }
    // An international domain is sent in its ASCII form. Nothing else would pass every server on the way.
    if !address.is_ascii() {
        let normal = EmailAddress::parse(address).map_err(|_| refused())?;
        mailbox.email = normal.as_str().parse().map_err(|_| refused())?;
    }
    let address: &str = mailbox.email.as_ref();
    if address.is_ascii() { Ok(mailbox) } else { Err(refused()) }
}

pub(super) fn tls(host: &str, config: &SmtpConfig) -> Result<TlsParameters, ConfigError> {
    let mut builder = TlsParameters::builder(host.to_owned());
    if let Some(path) = &config.ca_file {
        let unusable = |reason: String| ConfigError::CaFile { path: path.clone(), reason };
        let pem = std::fs::read_to_string(path).map_err(|error| unusable(error.to_string()))?;
        if !pem.contains("-----BEGIN CERTIFICATE-----") {
            return Err(unusable("holds no PEM certificate".to_owned()));
        }
        let authorities =
            Certificate::from_pem(pem.as_bytes()).map_err(|error| unusable(error.to_string()))?;
        builder = builder.certificate_store(CertificateStore::None).add_root_certificate(authorities);
    }
    builder.build().map_err(|error| ConfigError::Tls(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Smtp;

    fn config(json: &str) -> SmtpConfig {
        serde_json::from_str(json).unwrap()
    }

    fn smallest() -> SmtpConfig {
        config(r#"{"host": "smtp.example.com", "from": "Tidegate <no-reply@example.com>"}"#)
    }

    #[test]
    fn the_smallest_configuration_is_encrypted_and_knows_its_port() {
        let config = smallest();
        assert_eq!((config.tls, config.timeout_seconds), (TlsMode::StartTls, 30));
        for (tls, port) in [(TlsMode::StartTls, 587), (TlsMode::Implicit, 465), (TlsMode::None, 25)] {
            let smtp = Smtp::new(&SmtpConfig { tls, ..config.clone() }).unwrap();
            assert!(format!("{smtp:?}").contains(&format!("port: {port}")), "{smtp:?}");
        }
        let moved = Smtp::new(&SmtpConfig { port: Some(2_525), ..config }).unwrap();
        assert!(format!("{moved:?}").contains("port: 2525"), "{moved:?}");
    }

    #[test]
    fn a_mistyped_setting_is_an_error() {
        let mistyped = r#"{"host": "a", "from": "a@b.cd", "user": "x"}"#;
        assert!(serde_json::from_str::<SmtpConfig>(mistyped).is_err());
        let unknown = r#"{"host": "a", "from": "a@b.cd", "tls": "ssl"}"#;
        assert!(serde_json::from_str::<SmtpConfig>(unknown).is_err());
    }

    #[test]
    fn mistakes_are_found_before_the_first_mail_and_named() {
        let refusal = |change: fn(&mut SmtpConfig)| {
            let mut config = smallest();
            change(&mut config);
            Smtp::new(&config).unwrap_err()
        };
        for host in ["", "smtp://mail", "mail:587", "a@mail", "ma il"] {
            let error = Smtp::new(&SmtpConfig { host: host.to_owned(), ..smallest() }).unwrap_err();
            assert_eq!(error, ConfigError::Host(host.to_owned()));
        }
        for from in [
            "",
            "Tidegate",
            "Tidegate <a@b.cd",
            "A <a@b.cd>, B <b@b.cd>",
            "A\r\nBcc: e@f.gh <a@b.cd>",
            "ä@b.cd",
        ] {
            let error = Smtp::new(&SmtpConfig { from: from.to_owned(), ..smallest() }).unwrap_err();
            assert_eq!(error, ConfigError::From(from.to_owned()));
        }
        assert_eq!(refusal(|c| c.username = Some("ada".to_owned())), ConfigError::Credentials);
        assert_eq!(refusal(|c| c.password = Some(MailPassword(Secret::new("x")))), ConfigError::Credentials);
        assert_eq!(refusal(|c| c.timeout_seconds = 0), ConfigError::Timeout);
        assert_eq!(refusal(|c| c.port = Some(0)), ConfigError::Port);
        let missing = refusal(|c| c.ca_file = Some(PathBuf::from("/nowhere/ca.pem"))).to_string();
        assert!(missing.starts_with("ca_file /nowhere/ca.pem: "), "{missing}");
        let empty = refusal(|c| c.ca_file = Some(PathBuf::from("/dev/null"))).to_string();
        assert_eq!(empty, "ca_file /dev/null: holds no PEM certificate");
    }

    #[test]
    fn an_international_sender_domain_becomes_ascii() {
        let mailbox = sender("Büro <post@bücher.example>").unwrap();
        assert_eq!(mailbox.email.to_string(), "post@xn--bcher-kva.example");
        assert_eq!(mailbox.name.as_deref(), Some("Büro"));
    }

    #[test]
    fn a_sender_needs_no_name_and_no_public_domain() {
        for from in ["no-reply@localhost", "<no-reply@example.com>", "\"Acme, Inc.\" <no-reply@example.com> "]
        {
            assert!(sender(from).is_ok(), "{from}");
        }
    }

    #[test]
    fn the_password_is_neither_shown_nor_written() {
        let config = config(
            r#"{"host": "a", "from": "a@b.cd", "username": "ada", "password": "hunter2", "tls": "implicit"}"#,
        );
        let smtp = Smtp::new(&config).unwrap();
        let shown = format!("{config:?} {smtp:?} {}", serde_json::to_string(&config).unwrap());
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}
