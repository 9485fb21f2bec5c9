//! Typed row keys: an account's key cannot be passed where a session's is meant.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! row_keys {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl From<Uuid> for $name {
            fn from(key: Uuid) -> Self {
                Self(key)
            }
        }

        impl From<$name> for Uuid {
            fn from(key: $name) -> Self {
                key.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }
    )+};
}

row_keys! {
    /// Key of an account.
    AccountId,
    /// Key of an audit event.
    AuditEventId,
    /// Key of a challenge.
    ChallengeId,
    /// Key of an identifier.
    IdentifierId,
    /// Key of a membership.
    MembershipId,
    /// Key of an organization.
    OrganizationId,
    /// Key of an outbox message.
    OutboxMessageId,
    /// Key of a refresh token.
    RefreshTokenId,
    /// Key of a session.
    SessionId,
    /// Key of a workspace.
    WorkspaceId,
}
