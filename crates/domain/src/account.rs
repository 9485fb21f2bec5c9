//! Accounts and what belongs to them.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::id::{AccountId, OrganizationId, SessionId, WorkspaceId};
use crate::{EmailAddress, Role, Timestamp};

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
    pub profile: Value,
    /// What only the application may change.
    pub user_metadata: Value,
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
