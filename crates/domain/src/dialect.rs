//! The contracts answered, and what differs between them: data, never code.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::PasswordRule;
use crate::limit::Limit;
use crate::refresh::RefreshPolicy;
use crate::session::SessionPolicy;
use crate::time::seconds;

/// A contract Tidegate answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dialect {
    /// RiverGen identity APIs, `/api/v1`.
    Rivergen,
    /// IngestIQ authentication API, `/api/v2`.
    Ingestiq,
}

impl Dialect {
    /// Every contract answered.
    pub const ALL: [Self; 2] = [Self::Rivergen, Self::Ingestiq];

    /// Its name in claims, rows, configuration and on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rivergen => "rivergen",
            Self::Ingestiq => "ingestiq",
        }
    }

    /// The contract of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|dialect| dialect.as_str() == name)
    }
}

/// Everything a use case needs to know about the contract it serves. Defaults are the contract's numbers; each may be
/// configured. Durations are configured in seconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DialectProfile {
    /// Which contract. Not configurable: see [`DialectProfile::configured`].
    #[serde(skip, default = "unset")]
    pub dialect: Dialect,
    /// Rule for new passwords.
    pub password: PasswordRule,
    /// Lifetime of an access token.
    #[serde(with = "seconds")]
    pub access_token_lifetime: Duration,
    /// Lifetimes of sessions.
    pub session: SessionPolicy,
    /// Lifetime and rotation of refresh tokens.
    pub refresh: RefreshPolicy,
    /// Whether an account whose e-mail address is unverified is kept out. Not configurable: the contract's answers
    /// follow from it.
    #[serde(skip)]
    pub verified_email_required: bool,
    /// Rate limits. One left out does not exist.
    pub limits: Limits,
}

/// Rate limits of a contract's account endpoints.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Sign-ups by client address.
    pub sign_up_by_ip: Option<Limit>,
    /// Sign-ins by client address.
    pub sign_in_by_ip: Option<Limit>,
    /// Sign-ins by e-mail address.
    pub sign_in_by_email: Option<Limit>,
    /// **Failed** sign-ins by e-mail address and client address together.
    pub failed_sign_in: Option<Limit>,
    /// Password-reset mails by client address.
    pub forgot_password_by_ip: Option<Limit>,
    /// Password-reset mails to one address. Beyond, the answer stays the same and nothing is sent.
    pub forgot_password_by_email: Option<Limit>,
    /// Codes sent again, by account.
    pub resend_by_account: Option<Limit>,
    /// All requests without a valid access token, by client address.
    pub anonymous_requests: Option<Limit>,
    /// All requests with one, by account.
    pub authenticated_requests: Option<Limit>,
}

impl DialectProfile {
    /// RiverGen's numbers: sections 1.4, 1.5 and 1.10 of its contract.
    pub fn rivergen() -> Self {
        Self {
            dialect: Dialect::Rivergen,
            password: PasswordRule {
                min_length: 8,
                max_length: 1024,
                upper: true,
                lower: true,
                digit: true,
                symbol: false,
            },
            access_token_lifetime: Duration::from_secs(3_600),
            session: SessionPolicy {
                lifetime: Duration::from_secs(24 * 3_600),
                remembered_lifetime: Duration::from_secs(30 * 24 * 3_600),
                sliding_up_to: None,
            },
            refresh: RefreshPolicy {
                lifetime: Duration::from_secs(30 * 24 * 3_600),
                grace: Duration::from_secs(30),
            },
            verified_email_required: true,
            limits: Limits {
                sign_up_by_ip: Some(Limit::new(3, 300)),
                sign_in_by_ip: Some(Limit::new(5, 900)),
                sign_in_by_email: Some(Limit::new(5, 900)),
                forgot_password_by_ip: Some(Limit::new(3, 3_600)),
                forgot_password_by_email: Some(Limit::new(5, 3_600)),
                resend_by_account: Some(Limit::new(3, 300)),
                ..Limits::default()
            },
        }
    }

    /// The contract's defaults.
    pub fn of(dialect: Dialect) -> Self {
        match dialect {
            Dialect::Rivergen => Self::rivergen(),
            Dialect::Ingestiq => Self::ingestiq(),
        }
    }

    /// A profile read from configuration, as one of `dialect`: what is no matter of configuration is the contract's.
    #[must_use]
    pub fn configured(self, dialect: Dialect) -> Self {
        let contract = Self::of(dialect);
        Self { dialect, verified_email_required: contract.verified_email_required, ..self }
    }

    /// IngestIQ's numbers: section 1 of its contract.
    pub fn ingestiq() -> Self {
        Self {
            dialect: Dialect::Ingestiq,
            password: PasswordRule {
                min_length: 8,
                max_length: 128,
                upper: false,
                lower: false,
                digit: false,
                symbol: false,
            },
            access_token_lifetime: Duration::from_secs(900),
            session: SessionPolicy {
                lifetime: Duration::from_secs(7 * 24 * 3_600),
                remembered_lifetime: Duration::from_secs(7 * 24 * 3_600),
                sliding_up_to: Some(Duration::from_secs(30 * 24 * 3_600)),
            },
            refresh: RefreshPolicy {
                lifetime: Duration::from_secs(7 * 24 * 3_600),
                grace: Duration::from_secs(30),
            },
            verified_email_required: false,
            limits: Limits {
                failed_sign_in: Some(Limit::new(10, 900)),
                anonymous_requests: Some(Limit::new(100, 60)),
                authenticated_requests: Some(Limit::new(1_000, 60)),
                ..Limits::default()
            },
        }
    }
}

/// Configuration does not say which contract a profile is for: its section's name does.
fn unset() -> Dialect {
    Dialect::Rivergen
}
