//! Sessions: one sign-in each, and how long it lasts.

use std::fmt;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::Timestamp;
use crate::time::{optional_seconds, seconds};

/// How long a contract's sessions last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SessionPolicy {
    /// Lifetime of a session.
    #[serde(with = "seconds")]
    #[schemars(with = "u64")]
    pub lifetime: Duration,
    /// Lifetime with "remember me".
    #[serde(with = "seconds")]
    #[schemars(with = "u64")]
    pub remembered_lifetime: Duration,
    /// Each refresh extends the session by its lifetime, up to this long after its start. 0: sessions are not
    /// extended.
    #[serde(with = "optional_seconds", default)]
    #[schemars(with = "Option<u64>")]
    pub sliding_up_to: Option<Duration>,
}

/// When a session ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionTimes {
    /// When it ends unless it is refreshed before.
    pub expires_at: Timestamp,
    /// When it ends however often it is refreshed.
    pub ends_at: Timestamp,
}

impl SessionTimes {
    /// These times, none of them after `end`.
    #[must_use]
    pub fn ending_by(self, end: Option<Timestamp>) -> Self {
        match end {
            Some(end) => Self { expires_at: self.expires_at.min(end), ends_at: self.ends_at.min(end) },
            None => self,
        }
    }
}

impl SessionPolicy {
    /// The times of a session that begins `now`.
    pub fn open(&self, now: Timestamp, remember_me: bool) -> SessionTimes {
        let lifetime = if remember_me { self.remembered_lifetime } else { self.lifetime };
        let expires_at = now.plus(lifetime);
        let ends_at = self.sliding_up_to.map_or(expires_at, |cap| now.plus(cap));
        SessionTimes { expires_at: expires_at.min(ends_at), ends_at }
    }

    /// When a session that is refreshed `now` expires.
    pub fn extended(&self, now: Timestamp, times: SessionTimes) -> Timestamp {
        if self.sliding_up_to.is_some() {
            times.expires_at.max(now.plus(self.lifetime)).min(times.ends_at)
        } else {
            times.expires_at
        }
    }
}

/// How an account's owner proved who they are. Values of the `amr` claim (RFC 8176) where one exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Amr {
    /// A password.
    Password,
    /// A one-time code or a link, sent to a verified or to-be-verified address.
    OneTimeCode,
    /// A program's key.
    ServiceKey,
    /// A second factor of the account, shown beside the first. Whatever verified it adds its own value.
    MultiFactor,
    /// The private key of a passkey that stays in one device.
    HardwareKey,
    /// The private key of a passkey that may be synchronized to other devices.
    SoftwareKey,
    /// The person's presence, tested by their authenticator.
    UserPresence,
    /// The word of another identity provider. No value of RFC 8176 says so.
    Federated,
}

impl Amr {
    /// All of them, in the order in which they are written.
    pub const ALL: [Self; 8] = [
        Self::Password,
        Self::OneTimeCode,
        Self::ServiceKey,
        Self::MultiFactor,
        Self::HardwareKey,
        Self::SoftwareKey,
        Self::UserPresence,
        Self::Federated,
    ];

    /// The value in the claim and in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Password => "pwd",
            Self::OneTimeCode => "otp",
            Self::ServiceKey => "key",
            Self::MultiFactor => "mfa",
            Self::HardwareKey => "hwk",
            Self::SoftwareKey => "swk",
            Self::UserPresence => "user",
            Self::Federated => "fed",
        }
    }

    const fn bit(self) -> u8 {
        match self {
            Self::Password => 1,
            Self::OneTimeCode => 2,
            Self::ServiceKey => 4,
            Self::MultiFactor => 8,
            Self::HardwareKey => 16,
            Self::SoftwareKey => 32,
            Self::UserPresence => 64,
            Self::Federated => 128,
        }
    }
}

/// All that an account's owner showed at one sign-in: the `amr` claim, an array of text (OpenID Connect Core section 2).
/// Stored as words with a space between them, so that a row with one word reads as a set of one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AmrSet(u8);

impl AmrSet {
    /// This one and no other.
    pub const fn of(amr: Amr) -> Self {
        Self(amr.bit())
    }

    /// What is in either set.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The set with one more.
    #[must_use]
    pub const fn with(self, amr: Amr) -> Self {
        Self(self.0 | amr.bit())
    }

    /// Whether it is among them.
    pub const fn contains(self, amr: Amr) -> bool {
        self.0 & amr.bit() != 0
    }

    /// Whether nothing is known.
    pub const fn is_empty(&self) -> bool {
        self.0 == 0
    }

    /// All that are among them.
    pub fn iter(self) -> impl Iterator<Item = Amr> {
        Amr::ALL.into_iter().filter(move |amr| self.contains(*amr))
    }

    /// The set of these words. A word of a later version is left out: knowing less of a sign-in never gives more rights.
    pub fn from_words<'a>(words: impl IntoIterator<Item = &'a str>) -> Self {
        words
            .into_iter()
            .filter_map(|word| Amr::ALL.into_iter().find(|amr| amr.as_str() == word))
            .fold(Self::default(), Self::with)
    }

    /// The set as it was stored.
    pub fn from_stored(text: &str) -> Self {
        Self::from_words(text.split_ascii_whitespace())
    }
}

impl fmt::Display for AmrSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, amr) in self.iter().enumerate() {
            let gap = if at == 0 { "" } else { " " };
            write!(f, "{gap}{}", amr.as_str())?;
        }
        Ok(())
    }
}

impl Serialize for AmrSet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter().map(Amr::as_str))
    }
}

impl<'de> Deserialize<'de> for AmrSet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let words = Vec::<String>::deserialize(deserializer)?;
        Ok(Self::from_words(words.iter().map(String::as_str)))
    }
}

/// Why a session ended before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndReason {
    /// The person signed out of it.
    SignedOut,
    /// The person signed out of a browser: what it gave applications ends with it, unless they may go on without the person.
    LoggedOut,
    /// The person ended it from another session, or all at once.
    Revoked,
    /// The password was changed or reset.
    PasswordChanged,
    /// A replaced refresh token was replayed: an attacker may hold it.
    RefreshTokenReplayed,
    /// The account was deleted.
    AccountDeleted,
    /// The role became another one.
    RoleChanged,
    /// The key it was opened with was deleted.
    KeyDeleted,
    /// The owner followed the link in a security notice.
    AccountSecured,
    /// An operator removed the account's second factors.
    FactorsReset,
    /// The account's mailbox was proven for the first time: the session was opened by a caller who had not shown it.
    MailboxProven,
    /// An operator disabled the account.
    AccountDisabled,
    /// An operator ended it.
    EndedByOperator,
    /// The application it was opened for was revoked or deleted, or got another secret.
    ApplicationRevoked,
    /// Its owner took the application's access away.
    ConsentRevoked,
    /// The authorization code it was opened with was presented again: an attacker may hold it.
    CodeReplayed,
    /// The application it was opened for gave it up.
    RevokedByApplication,
    /// The application opened newer ones than it may have of one account.
    Superseded,
}

impl EndReason {
    /// Whether all sessions of applications end with the one that gave them access: where somebody else may have held it. Who signs out of
    /// a program goes on using applications; who signs out of a browser leaves them as far as they are used there.
    pub const fn ends_delegated(self) -> bool {
        !matches!(self, Self::SignedOut | Self::LoggedOut)
    }

    /// Whether the application, or its organization, ended what it had, or made room for more of it: it is not told.
    pub const fn is_applications_own(self) -> bool {
        matches!(self, Self::RevokedByApplication | Self::ApplicationRevoked | Self::Superseded)
    }

    /// The stored value.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SignedOut => "signed_out",
            Self::LoggedOut => "logged_out",
            Self::Revoked => "revoked",
            Self::PasswordChanged => "password_changed",
            Self::RefreshTokenReplayed => "refresh_token_replayed",
            Self::AccountDeleted => "account_deleted",
            Self::RoleChanged => "role_changed",
            Self::KeyDeleted => "key_deleted",
            Self::MailboxProven => "mailbox_proven",
            Self::AccountDisabled => "account_disabled",
            Self::EndedByOperator => "ended_by_operator",
            Self::ApplicationRevoked => "application_revoked",
            Self::ConsentRevoked => "consent_revoked",
            Self::CodeReplayed => "code_replayed",
            Self::RevokedByApplication => "revoked_by_application",
            Self::Superseded => "superseded",
            Self::AccountSecured => "account_secured",
            Self::FactorsReset => "factors_reset",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 24 * 3_600;

    fn day(number: u64) -> Timestamp {
        Timestamp::default().plus(Duration::from_secs(number * DAY))
    }

    #[test]
    fn a_session_that_does_not_slide_ends_when_it_was_going_to_however_often_it_is_refreshed() {
        let policy = SessionPolicy {
            lifetime: Duration::from_secs(DAY),
            remembered_lifetime: Duration::from_secs(30 * DAY),
            sliding_up_to: None,
        };
        let times = policy.open(day(0), false);
        assert_eq!((times.expires_at, times.ends_at), (day(1), day(1)));
        assert_eq!(policy.extended(day(0), times), day(1));
        assert_eq!(policy.open(day(0), true).expires_at, day(30));
    }

    #[test]
    fn a_sliding_session_slides_by_a_week_up_to_thirty_days() {
        let policy = SessionPolicy {
            lifetime: Duration::from_secs(7 * DAY),
            remembered_lifetime: Duration::from_secs(7 * DAY),
            sliding_up_to: Some(Duration::from_secs(30 * DAY)),
        };
        let times = policy.open(day(0), false);
        assert_eq!((times.expires_at, times.ends_at), (day(7), day(30)));
        assert_eq!(policy.extended(day(5), times), day(12));
        assert_eq!(policy.extended(day(29), SessionTimes { expires_at: day(29), ..times }), day(30));
    }

    #[test]
    fn a_set_of_methods_is_read_as_it_was_stored_and_a_row_of_one_word_as_one_method() {
        let both = AmrSet::of(Amr::MultiFactor).with(Amr::Password);
        assert_eq!(both.to_string(), "pwd mfa");
        assert_eq!(AmrSet::from_stored("pwd mfa"), both);
        assert_eq!(AmrSet::from_stored("otp"), AmrSet::of(Amr::OneTimeCode));
        assert_eq!(AmrSet::from_stored("pwd retina"), AmrSet::of(Amr::Password), "a word of a later version");
        assert_eq!(serde_json::to_string(&both).unwrap(), r#"["pwd","mfa"]"#);
        assert_eq!(serde_json::from_str::<AmrSet>(r#"["mfa","pwd"]"#).unwrap(), both);
        assert!(AmrSet::from_stored("").is_empty());
        let passkey = AmrSet::of(Amr::SoftwareKey).with(Amr::UserPresence).with(Amr::MultiFactor);
        assert_eq!(AmrSet::from_stored(&passkey.to_string()), passkey);
    }
}
