//! The one set of roles, and what each may do.

use serde::{Deserialize, Serialize};

/// What a member may do in an organization. Ordered: a greater role may all that a lesser one may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// One end user of one database.
    Frontend,
    /// Reads.
    Viewer,
    /// Data resources, no accounts.
    Developer,
    /// Everything but touching the owner.
    Admin,
    /// Everything; exactly one per organization.
    Owner,
}

impl Role {
    /// The role's name in the store and in token claims.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Admin => "admin",
            Self::Developer => "developer",
            Self::Viewer => "viewer",
            Self::Frontend => "frontend",
        }
    }

    /// The role of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Owner, Self::Admin, Self::Developer, Self::Viewer, Self::Frontend]
            .into_iter()
            .find(|role| role.as_str() == name)
    }

    /// Whether the role administers its organization (RiverGen `is_admin`).
    pub const fn is_admin(self) -> bool {
        matches!(self, Self::Owner | Self::Admin)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip_and_rank_as_the_design_says() {
        for role in [Role::Owner, Role::Admin, Role::Developer, Role::Viewer, Role::Frontend] {
            assert_eq!(Role::from_name(role.as_str()), Some(role));
        }
        assert_eq!(Role::from_name("root"), None);
        assert!(Role::Owner > Role::Admin && Role::Admin > Role::Developer);
        assert!(Role::Developer > Role::Viewer && Role::Viewer > Role::Frontend);
    }
}
