//! The built-in roles, and what each may do.

use serde::{Deserialize, Serialize};

use crate::permission::Permission as P;
use crate::permission::PermissionSet;

/// A member's role in an organization: a set of permissions. Roles have no order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
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

/// What every person may do with their own account, whatever their role; the frontend role is not given to be used by
/// its owner.
const OWN: PermissionSet = PermissionSet::of(&[
    P::ReadOwnToken,
    P::ReadOwnAccount,
    P::ChangeOwnProfile,
    P::DeleteOwnAccount,
    P::ChangeOwnPassword,
    P::ChangeOwnEmail,
    P::ReadOwnSessions,
    P::EndOwnSessions,
    P::ReadOwnFactors,
    P::ManageOwnFactors,
    P::StepUp,
    P::AuthorizeApplications,
    P::ReadOwnClaims,
    P::ReadOwnTokens,
    P::ManageOwnTokens,
    P::ReadBrokerageAccount,
    P::OpenBrokerageAccount,
    P::SubmitBrokerageDocuments,
]);

const FRONTEND: PermissionSet = PermissionSet::END_USER.union(PermissionSet::of(&[P::DeleteOwnAccount]));

const VIEWER: PermissionSet = OWN.union(PermissionSet::of(&[
    P::UseBoundDatabase,
    P::ReadOwnFiles,
    P::ReadDataSources,
    P::QueryData,
    P::ReadPrompts,
    P::ManagePrompts,
]));

const DEVELOPER: PermissionSet = VIEWER.union(PermissionSet::of(&[
    P::ReadDatabases,
    P::ChangeBoundDatabase,
    P::ResolveOwnSession,
    P::ResolveSessions,
    P::ManageOwnFiles,
    P::ManageDataSources,
]));

const ADMIN: PermissionSet = DEVELOPER.union(PermissionSet::of(&[
    P::SetOwnPassword,
    P::ReadMembers,
    P::ManageMembers,
    P::ManagePrograms,
    P::ManageProgramKeys,
    P::ReadOrganizationTokens,
    P::RevokeOrganizationTokens,
    P::ReadOrganization,
    P::ManageOrganization,
    P::ManageDatabases,
    P::ReadApplications,
    P::ManageApplications,
    P::AdministerDataSources,
    P::ReadPolicies,
    P::ManagePolicies,
    P::AdministerPrompts,
]));

/// Every role: its name in the store and in token claims, and its permissions. The owner differs from an admin in
/// whom they may act on: only the owner changes the owner's account.
const ROLES: [(Role, &str, PermissionSet); 5] = [
    (Role::Owner, "owner", ADMIN),
    (Role::Admin, "admin", ADMIN),
    (Role::Developer, "developer", DEVELOPER),
    (Role::Viewer, "viewer", VIEWER),
    (Role::Frontend, "frontend", FRONTEND),
];

impl Role {
    /// Every role.
    pub const ALL: [Self; 5] = [Self::Owner, Self::Admin, Self::Developer, Self::Viewer, Self::Frontend];

    /// The roles that a new organization lists for its members, under the names RiverGen's contract gives them.
    pub const LISTED: [(Self, &'static str); 3] =
        [(Self::Admin, "Admin"), (Self::Developer, "Developer"), (Self::Viewer, "Viewer")];

    /// The role's name in the store and in token claims.
    pub const fn as_str(self) -> &'static str {
        self.entry().0
    }

    /// Those who have the role, as a sentence begins with them.
    pub const fn people(self) -> &'static str {
        match self {
            Self::Owner => "Owners",
            Self::Admin => "Admins",
            Self::Developer => "Developers",
            Self::Viewer => "Viewers",
            Self::Frontend => "Frontend tokens",
        }
    }

    /// One who has the role.
    pub const fn person(self) -> &'static str {
        match self {
            Self::Owner => "an owner",
            Self::Admin => "an admin",
            Self::Developer => "a developer",
            Self::Viewer => "a viewer",
            Self::Frontend => "a frontend token",
        }
    }

    /// The role of a person that may do this and least else. The owner's and the admin's are alike: the admin is named.
    pub fn least_with(permission: P) -> Option<Self> {
        let of_people = [Self::Viewer, Self::Developer, Self::Admin, Self::Owner];
        of_people.into_iter().find(|role| role.permissions().contains(permission))
    }

    /// What the role may do.
    pub const fn permissions(self) -> PermissionSet {
        self.entry().1
    }

    /// The role of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        ROLES.iter().find(|(_, known, _)| *known == name).map(|(role, ..)| *role)
    }

    /// The role's number, by which policies are assigned to it. It is stored: it never changes.
    pub const fn number(self) -> i64 {
        match self {
            Self::Owner => 1,
            Self::Admin => 2,
            Self::Developer => 3,
            Self::Viewer => 4,
            Self::Frontend => 5,
        }
    }

    /// The role of that number.
    pub fn from_number(number: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.number() == number)
    }

    /// Whether the role administers its organization (RiverGen `is_admin`).
    pub const fn is_admin(self) -> bool {
        self.permissions().contains(P::ManageMembers)
    }

    const fn entry(self) -> (&'static str, PermissionSet) {
        let [owner, admin, developer, viewer, frontend] = ROLES;
        let (_, name, permissions) = match self {
            Self::Owner => owner,
            Self::Admin => admin,
            Self::Developer => developer,
            Self::Viewer => viewer,
            Self::Frontend => frontend,
        };
        (name, permissions)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_role_has_a_row_of_its_own() {
        for (role, (known, name, permissions)) in Role::ALL.into_iter().zip(ROLES) {
            assert_eq!((role, role.as_str(), role.permissions()), (known, name, permissions));
            assert_eq!(Role::from_name(name), Some(role));
        }
        assert_eq!(Role::ALL.map(Role::number), [1, 2, 3, 4, 5]);
        assert_eq!((Role::from_number(2), Role::from_number(6)), (Some(Role::Admin), None));
        assert_eq!(Role::from_name("root"), None);
        for (role, listed) in Role::LISTED {
            assert_eq!(Role::from_name(&listed.to_ascii_lowercase()), Some(role));
        }
    }

    #[test]
    fn what_a_frontend_token_may_do_is_listed_and_nothing_else() {
        let frontend: Vec<&str> = Role::Frontend.permissions().iter().map(P::as_str).collect();
        assert_eq!(
            frontend,
            ["own_token.read", "own_account.delete", "bound_database.use", "own_end_user_session.resolve"]
        );
        assert!(!PermissionSet::END_USER.contains(P::DeleteOwnAccount));
    }

    #[test]
    fn the_least_role_is_named_for_what_others_may_not_do() {
        for (permission, least) in [
            (P::ReadDataSources, Role::Viewer),
            (P::ManageDataSources, Role::Developer),
            (P::ManagePolicies, Role::Admin),
        ] {
            assert_eq!(Role::least_with(permission), Some(least), "{permission:?}");
        }
    }

    #[test]
    fn developers_touch_no_account_but_their_own() {
        for permission in [P::ReadMembers, P::ManageMembers, P::ManagePrograms, P::ManageProgramKeys] {
            for role in [Role::Developer, Role::Viewer, Role::Frontend] {
                assert!(!role.permissions().contains(permission), "{role:?} {permission:?}");
            }
        }
    }
}
