//! The contracts answered, and what differs between them: data, never code.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::PasswordRule;
use crate::challenge::Purpose;
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
    /// Crossing Minds account API, `/v1` and `/`.
    CrossingMinds,
    /// Riven phone and account-opening API, `/api/v1`.
    Riven,
}

impl Dialect {
    /// Every contract answered.
    pub const ALL: [Self; 4] = [Self::Rivergen, Self::Ingestiq, Self::CrossingMinds, Self::Riven];

    /// Its name in claims, rows, configuration and on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rivergen => "rivergen",
            Self::Ingestiq => "ingestiq",
            Self::CrossingMinds => "crossing_minds",
            Self::Riven => "riven",
        }
    }

    /// The contract of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|dialect| dialect.as_str() == name)
    }
}

/// What becomes of somebody with the right password whose e-mail address is not verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unverified {
    /// They are let in.
    Admitted,
    /// They are sent a code and let in with it.
    SentCode,
    /// They are turned away.
    Refused,
}

/// How long what is sent to an address can be sent back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CodeLifetimes {
    /// Codes and links that verify the address of an account; codes texted to a phone.
    #[serde(with = "seconds")]
    pub verify_email: Duration,
    /// Codes and links that verify the address an account is to have.
    #[serde(with = "seconds")]
    pub change_email: Duration,
    /// Links with which a password is set anew.
    #[serde(with = "seconds")]
    pub reset_password: Duration,
}

impl CodeLifetimes {
    /// How long an answer for that purpose is accepted.
    pub const fn of(&self, purpose: Purpose) -> Duration {
        match purpose {
            Purpose::VerifyEmail | Purpose::RegisterPhone | Purpose::SignInByPhone => self.verify_email,
            Purpose::ChangeEmail | Purpose::AddEmail => self.change_email,
            Purpose::ResetPassword => self.reset_password,
        }
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
    /// Rule for new passwords of people.
    pub password: PasswordRule,
    /// Rule for new passwords of programs, on a contract that knows any. Without one, programs are kept out: its answers
    /// have no place for an account without an e-mail address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub program_password: Option<PasswordRule>,
    /// Lifetime of an access token.
    #[serde(with = "seconds")]
    pub access_token_lifetime: Duration,
    /// Lifetimes of sessions.
    pub session: SessionPolicy,
    /// Lifetime and rotation of refresh tokens.
    pub refresh: RefreshPolicy,
    /// How long codes and links are accepted.
    pub codes: CodeLifetimes,
    /// What becomes of people whose e-mail address is not verified. Not configurable: the contract's answers follow from
    /// it.
    #[serde(skip, default = "admitted")]
    pub unverified: Unverified,
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
    /// Mails to one address that somebody else can cause: with codes, invitations, and news of a password they set.
    pub mails_by_email: Option<Limit>,
    /// All requests without a valid access token, by client address.
    pub anonymous_requests: Option<Limit>,
    /// All requests with one, by account.
    pub authenticated_requests: Option<Limit>,
    /// All requests with one, by organization.
    pub requests_by_organization: Option<Limit>,
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
            program_password: None,
            access_token_lifetime: Duration::from_secs(3_600),
            session: SessionPolicy {
                lifetime: Duration::from_secs(24 * 3_600),
                remembered_lifetime: Duration::from_secs(30 * 24 * 3_600),
                sliding_up_to: None,
            },
            refresh: RefreshPolicy {
                lifetime: Duration::from_secs(30 * 24 * 3_600),
                grace: Duration::from_secs(30),
                renewed_within: None,
            },
            codes: CodeLifetimes {
                verify_email: Duration::from_secs(600),
                change_email: Duration::from_secs(600),
                reset_password: Duration::from_secs(3_600),
            },
            unverified: Unverified::SentCode,
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
            Dialect::CrossingMinds => Self::crossing_minds(),
            Dialect::Riven => Self::riven(),
        }
    }

    /// A profile read from configuration, as one of `dialect`: what is no matter of configuration is the contract's.
    #[must_use]
    pub fn configured(self, dialect: Dialect) -> Self {
        Self { dialect, unverified: Self::of(dialect).unverified, ..self }
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
            program_password: None,
            access_token_lifetime: Duration::from_secs(900),
            session: SessionPolicy {
                lifetime: Duration::from_secs(7 * 24 * 3_600),
                remembered_lifetime: Duration::from_secs(7 * 24 * 3_600),
                sliding_up_to: Some(Duration::from_secs(30 * 24 * 3_600)),
            },
            refresh: RefreshPolicy {
                lifetime: Duration::from_secs(7 * 24 * 3_600),
                grace: Duration::from_secs(30),
                renewed_within: None,
            },
            codes: CodeLifetimes {
                verify_email: Duration::from_secs(600),
                change_email: Duration::from_secs(600),
                reset_password: Duration::from_secs(3_600),
            },
            unverified: Unverified::Admitted,
            limits: Limits {
                failed_sign_in: Some(Limit::new(10, 900)),
                anonymous_requests: Some(Limit::new(100, 60)),
                authenticated_requests: Some(Limit::new(1_000, 60)),
                ..Limits::default()
            },
        }
    }

    /// Crossing Minds' numbers: sections 5, 6 and 7 of its contract.
    pub fn crossing_minds() -> Self {
        let password = PasswordRule {
            min_length: 10,
            max_length: 1024,
            upper: true,
            lower: true,
            digit: true,
            symbol: true,
        };
        Self {
            dialect: Dialect::CrossingMinds,
            program_password: Some(PasswordRule { min_length: 12, symbol: false, ..password.clone() }),
            password,
            access_token_lifetime: Duration::from_secs(3_600),
            session: SessionPolicy {
                lifetime: Duration::from_secs(60 * 24 * 3_600),
                remembered_lifetime: Duration::from_secs(60 * 24 * 3_600),
                sliding_up_to: Some(Duration::from_secs(365 * 24 * 3_600)),
            },
            refresh: RefreshPolicy {
                lifetime: Duration::from_secs(60 * 24 * 3_600),
                grace: Duration::ZERO,
                renewed_within: Some(Duration::from_secs(7 * 24 * 3_600)),
            },
            codes: CodeLifetimes {
                verify_email: Duration::from_secs(24 * 3_600),
                change_email: Duration::from_secs(24 * 3_600),
                reset_password: Duration::from_secs(24 * 3_600),
            },
            unverified: Unverified::Refused,
            limits: Limits {
                sign_in_by_ip: Some(Limit::new(30, 60)),
                failed_sign_in: Some(Limit::new(10, 300)),
                forgot_password_by_email: Some(Limit::new(5, 3_600)),
                resend_by_account: Some(Limit::new(1, 60)),
                mails_by_email: Some(Limit::new(5, 3_600)),
                anonymous_requests: Some(Limit::new(300, 60)),
                requests_by_organization: Some(Limit::new(600, 60)),
                ..Limits::default()
            },
        }
    }

    /// Riven's numbers: section 1 of its contract. Nobody has a password there: of what is sent out, codes alone; of
    /// tokens, one that lasts as long as its session.
    pub fn riven() -> Self {
        let lifetime = Duration::from_secs(30 * 24 * 3_600);
        Self {
            dialect: Dialect::Riven,
            access_token_lifetime: lifetime,
            session: SessionPolicy { lifetime, remembered_lifetime: lifetime, sliding_up_to: None },
            codes: CodeLifetimes {
                verify_email: Duration::from_secs(600),
                change_email: Duration::from_secs(24 * 3_600),
                reset_password: Duration::from_secs(3_600),
            },
            unverified: Unverified::Admitted,
            limits: Limits {
                mails_by_email: Some(Limit::new(5, 3_600)),
                anonymous_requests: Some(Limit::new(300, 60)),
                authenticated_requests: Some(Limit::new(120, 60)),
                ..Limits::default()
            },
            ..Self::rivergen()
        }
    }
}

/// Configuration does not say which contract a profile is for: its section's name does.
fn unset() -> Dialect {
    Dialect::Rivergen
}

/// Nor what follows from the contract.
fn admitted() -> Unverified {
    Unverified::Admitted
}
