//! Accounts and what belongs to them.

use std::fmt;

use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;

use crate::id::{AccountId, OrganizationId, SessionId, WorkspaceId};
use crate::text::{TextError, is_invisible, line};
use crate::{Document, EmailAddress, PhoneNumber, Role, Timestamp};

/// What kind of principal an account is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AccountKind {
    /// A person.
    Individual,
    /// A program.
    Service,
}

impl AccountKind {
    /// The stored value.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Individual => "individual",
            Self::Service => "service",
        }
    }

    /// The kind of that stored value.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Individual, Self::Service].into_iter().find(|kind| kind.as_str() == name)
    }
}

/// Longest name of a program, in characters (Crossing Minds "accounts/service").
pub const MAX_SERVICE_NAME: usize = 128;

/// What a program signs in as. Composed (NFC) and without invisible characters, which would let one name look like another;
/// compared as it is written otherwise.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ServiceName(String);

impl ServiceName {
    /// Reads a name of 1 to 128 printable characters, white space around it ignored.
    ///
    /// # Errors
    /// Says which rule the text breaks.
    pub fn parse(text: &str) -> Result<Self, TextError> {
        let visible = text.trim().chars().filter(|c| !is_invisible(*c));
        let composed: String = visible.take(4 * MAX_SERVICE_NAME + 1).nfc().collect();
        line(&composed, MAX_SERVICE_NAME).map(Self)
    }

    /// A name read back from the store, where only normal forms are.
    pub fn from_stored(text: String) -> Self {
        Self(text)
    }
}

/// What an account signs in as.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum LoginName {
    /// A person's address.
    Email(EmailAddress),
    /// A person's phone.
    Phone(PhoneNumber),
    /// A program's name.
    Service(ServiceName),
}

impl LoginName {
    /// The kind of identifier, as it is stored.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Email(_) => "email",
            Self::Phone(_) => "phone",
            Self::Service(_) => "service_name",
        }
    }

    /// The address, number or name, as it is stored.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Email(email) => email.as_str(),
            Self::Phone(phone) => phone.expose(),
            Self::Service(name) => &name.0,
        }
    }

    /// An address or a number as it was stored, without its kind beside it: only addresses have an `@`.
    pub fn from_stored_address(text: String) -> Self {
        if text.contains('@') {
            Self::Email(EmailAddress::from_stored(text))
        } else {
            Self::Phone(PhoneNumber::from_stored(text))
        }
    }

    /// The address, if it is one.
    pub const fn email(&self) -> Option<&EmailAddress> {
        match self {
            Self::Email(email) => Some(email),
            Self::Phone(_) | Self::Service(_) => None,
        }
    }
}

impl From<EmailAddress> for LoginName {
    fn from(email: EmailAddress) -> Self {
        Self::Email(email)
    }
}

impl From<PhoneNumber> for LoginName {
    fn from(phone: PhoneNumber) -> Self {
        Self::Phone(phone)
    }
}

impl From<ServiceName> for LoginName {
    fn from(name: ServiceName) -> Self {
        Self::Service(name)
    }
}

/// As it may be shown to others: of a number, its end.
impl fmt::Display for LoginName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Phone(phone) => phone.fmt(f),
            Self::Email(email) => email.fmt(f),
            Self::Service(name) => f.write_str(&name.0),
        }
    }
}

/// An account.
#[derive(Clone, Debug)]
pub struct Account {
    /// Key.
    pub id: AccountId,
    /// The integer some contracts show.
    pub number: i64,
    /// Name shown to people; empty when none was given.
    pub display_name: String,
    /// `http(s)` URL or `data:` URI.
    pub profile_image_url: Option<String>,
    /// What the person may change.
    pub profile: Document,
    /// What only the application may change.
    pub user_metadata: Document,
    /// Administers the installation.
    pub is_system_admin: bool,
    /// Kept out since.
    pub disabled_at: Option<Timestamp>,
    /// Created.
    pub created_at: Timestamp,
    /// Last changed.
    pub updated_at: Timestamp,
}

/// An e-mail address of an account.
#[derive(Clone, Debug)]
pub struct AccountEmail {
    /// The address.
    pub email: EmailAddress,
    /// Since when it is known to be theirs.
    pub verified_at: Option<Timestamp>,
    /// Whether mails go there.
    pub is_primary: bool,
    /// Added.
    pub created_at: Timestamp,
}

/// An organization as one member sees it.
#[derive(Clone, Debug)]
pub struct MemberOrganization {
    /// Key.
    pub id: OrganizationId,
    /// The integer some contracts show.
    pub number: i64,
    /// Name.
    pub name: String,
    /// Domain part of the founder's e-mail address.
    pub domain: String,
    /// Plan.
    pub plan: String,
    /// The member's role.
    pub role: Role,
    /// When they joined.
    pub joined_at: Timestamp,
    /// How they joined: `signup`, `provisioned`.
    pub source: String,
}

/// A workspace.
#[derive(Clone, Debug)]
pub struct Workspace {
    /// Key.
    pub id: WorkspaceId,
    /// The integer some contracts show.
    pub number: i64,
    /// The organization it belongs to.
    pub organization: OrganizationId,
    /// Name.
    pub name: String,
    /// Name in URLs, unique in its organization.
    pub slug: String,
    /// Whether members land there.
    pub is_default: bool,
    /// Created.
    pub created_at: Timestamp,
}

/// A session.
#[derive(Clone, Debug)]
pub struct Session {
    /// Key.
    pub id: SessionId,
    /// The integer some contracts show.
    pub number: i64,
    /// Whose.
    pub account: AccountId,
    /// The organization signed in to.
    pub organization: OrganizationId,
    /// Address it was opened from.
    pub ip: String,
    /// Program it was opened with.
    pub user_agent: String,
    /// Opened.
    pub created_at: Timestamp,
    /// Last signed in or refreshed.
    pub last_activity_at: Timestamp,
    /// Ends unless refreshed before.
    pub expires_at: Timestamp,
    /// Ends however often refreshed.
    pub ends_at: Timestamp,
    /// Ended before its time.
    pub revoked_at: Option<Timestamp>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_name_is_one_printable_line_and_composed() {
        let of = |text: &str| ServiceName::parse(text).map(|name| name.0);
        assert_eq!(of("  nightly export "), Ok("nightly export".to_owned()));
        assert_eq!(of("e\u{301}"), Ok("\u{e9}".to_owned()));
        assert_eq!(of("   "), Err(TextError::Empty));
        assert_eq!(of("a\nb"), Err(TextError::Control));
        assert_eq!(of("\u{200b}\u{3164}"), Err(TextError::Empty));
        assert_eq!(of("store\u{202e}"), Err(TextError::Direction));
        assert_eq!(of(&"x".repeat(128)), Ok("x".repeat(128)));
        assert_eq!(of(&format!("{}abc{}", " ".repeat(1_000), " ".repeat(1_000))), Ok("abc".to_owned()));
        for alike in [
            "store\u{200b}",
            "\u{feff}st\u{2060}ore",
            "s\u{ad}tore",
            "st\u{3164}ore",
            "store\u{fe0f}",
            "e\u{200b}\u{301}",
        ] {
            let plain = alike.replace(is_invisible, "");
            assert_eq!(ServiceName::parse(alike), ServiceName::parse(&plain), "{alike:?}");
        }
        // Four characters that compose to one, as often as there is room for, and once more.
        let composing = "\u{3b1}\u{313}\u{300}\u{345}";
        assert_eq!(of(&composing.repeat(128)), Ok("\u{1f82}".repeat(128)));
        assert_eq!(of(&composing.repeat(129)), Err(TextError::TooLong(128)));
        for length in [129, 513, 100_000] {
            assert_eq!(of(&"x".repeat(length)), Err(TextError::TooLong(128)));
        }
    }
}
