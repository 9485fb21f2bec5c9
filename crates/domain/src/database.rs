//! Databases: what a token can be bound to.

use crate::Timestamp;
use crate::flexible_id::{FlexibleId, IdType};
use crate::id::{DatabaseId, OrganizationId};

/// A database of an organization, with the types of its identifiers.
///
/// Source: Crossing Minds sections 4 and 6.
#[derive(Clone, Debug)]
pub struct Database {
    /// Key.
    pub id: DatabaseId,
    /// Whose.
    pub organization: OrganizationId,
    /// Name, unique in the organization.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// Type of its items' identifiers.
    pub item_id_type: IdType,
    /// Type of its users' identifiers.
    pub user_id_type: IdType,
    /// Type of its anonymous sessions' identifiers.
    pub session_id_type: IdType,
    /// Made.
    pub created_at: Timestamp,
    /// When it stops being prepared.
    pub ready_at: Timestamp,
}

/// The status of a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Being prepared.
    Pending,
    /// Usable.
    Ready,
}

impl Status {
    /// Its name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Ready => "ready",
        }
    }
}

impl Database {
    /// The status `now`.
    pub fn status(&self, now: Timestamp) -> Status {
        if self.ready_at <= now { Status::Ready } else { Status::Pending }
    }
}

/// An anonymous session that turned out to be a user's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolvedSession {
    /// The session.
    pub session: FlexibleId,
    /// The user.
    pub user: FlexibleId,
    /// When.
    pub at: Timestamp,
}

/// What a session is bound to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// The database.
    pub database: DatabaseId,
    /// The one end user its tokens speak for.
    pub user: Option<FlexibleId>,
    /// That user's anonymous session.
    pub session: Option<FlexibleId>,
}
