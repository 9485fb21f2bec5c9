//! Permissions: what a caller may do. Roles and contracts are sets of them.

use std::fmt;

macro_rules! permissions {
    ($($(#[doc = $doc:literal])+ $name:ident = $text:literal, $does:literal,)+) => {
        /// One thing that a caller may do. Each use case names the one that it requires.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Permission {
            $($(#[doc = $doc])+ $name,)+
        }

        impl Permission {
            /// All permissions.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// The permission's name.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text),+ }
            }

            /// What it lets a caller do, to be read behind "may not": `make or change policies`.
            pub const fn does(self) -> &'static str {
                match self { $(Self::$name => $does),+ }
            }
        }
    };
}

permissions! {
    /// Read what one's own access token says.
    ReadOwnToken = "own_token.read", "read what their token says",
    /// Read one's own account.
    ReadOwnAccount = "own_account.read", "read their account",
    /// Change how one's own account is shown.
    ChangeOwnProfile = "own_profile.change", "change their profile",
    /// Delete one's own account.
    DeleteOwnAccount = "own_account.delete", "delete their account",
    /// Change one's own password by proving the current one.
    ChangeOwnPassword = "own_password.change", "change their password",
    /// Set one's own password without proving the current one.
    SetOwnPassword = "own_password.set", "set their password without the current one",
    /// Change one's own e-mail address by proving the new one.
    ChangeOwnEmail = "own_email.change", "change their e-mail address",
    /// Read one's own sessions and sign-ins.
    ReadOwnSessions = "own_sessions.read", "read their sessions",
    /// End one's own sessions, the current one included.
    EndOwnSessions = "own_sessions.end", "end their sessions",
    /// Read one's own second factors and trusted devices.
    ReadOwnFactors = "own_factors.read", "read their second factors",
    /// Add and remove one's own second factors and trusted devices.
    ManageOwnFactors = "own_factors.manage", "change their second factors",
    /// Prove anew who one is.
    StepUp = "own_session.step_up", "prove anew who they are",
    /// Read one's own personal access tokens.
    ReadOwnTokens = "own_tokens.read", "read their personal access tokens",
    /// Make, change and revoke one's own personal access tokens.
    ManageOwnTokens = "own_tokens.manage", "make or revoke personal access tokens",
    /// Read the tokens that members made for the organization.
    ReadOrganizationTokens = "organization_tokens.read", "read the tokens of the organization",
    /// Revoke tokens that others made for the organization.
    RevokeOrganizationTokens = "organization_tokens.revoke", "revoke tokens of others",
    /// Read the accounts of the organization.
    ReadMembers = "members.read", "read the accounts of the organization",
    /// Create, change and delete accounts of people in the organization.
    ManageMembers = "members.manage", "make or change accounts of people",
    /// Create, change and delete accounts of programs in the organization.
    ManagePrograms = "programs.manage", "make or change accounts of programs",
    /// Create and delete the keys of those programs.
    ManageProgramKeys = "program_keys.manage", "make or delete keys of programs",
    /// Read the organization.
    ReadOrganization = "organization.read", "read the organization",
    /// Change the organization.
    ManageOrganization = "organization.manage", "change the organization",
    /// List the databases of the organization.
    ReadDatabases = "databases.read", "list databases",
    /// Create and delete databases.
    ManageDatabases = "databases.manage", "make or delete databases",
    /// Read the database that the token is bound to.
    UseBoundDatabase = "bound_database.use", "read the database",
    /// Change the description of the database that the token is bound to.
    ChangeBoundDatabase = "bound_database.change", "change the database",
    /// Resolve the anonymous session that the token is bound to.
    ResolveOwnSession = "own_end_user_session.resolve", "resolve a session of an end user",
    /// Resolve and list all anonymous sessions of the database that the token is bound to.
    ResolveSessions = "end_user_sessions.resolve", "resolve sessions of all end users",
    /// Read the applications of the organization that sign people in.
    ReadApplications = "applications.read", "read applications",
    /// Create, change, revoke and delete those applications.
    ManageApplications = "applications.manage", "make or change applications",
    /// Give applications access in one's own name, and take it away.
    AuthorizeApplications = "own_consents.manage", "give applications access",
    /// Read what one's scopes tell an application of oneself.
    ReadOwnClaims = "own_claims.read", "be told who they are",
    /// Read and download one's own files, and what the organization keeps.
    ReadOwnFiles = "own_files.read", "read files",
    /// Upload and remove one's own files.
    ManageOwnFiles = "own_files.manage", "upload or remove files",
    /// Read the data sources of one's workspaces in the organization.
    ReadDataSources = "data_sources.read", "read data sources",
    /// Create, change, test and discover data sources.
    ManageDataSources = "data_sources.manage", "make or change data sources",
    /// See the data sources of all workspaces, and delete them.
    AdministerDataSources = "data_sources.administer", "administer data sources of all workspaces",
    /// Read the policies of the organization, and what they decided.
    ReadPolicies = "policies.read", "read policies",
    /// Create, change, assign, simulate and delete those policies.
    ManagePolicies = "policies.manage", "make or change policies",
    /// Ask questions and run queries of one's own over data sources that one sees.
    QueryData = "data.query", "query data",
    /// Read one's own questions, what became of them, and templates.
    ReadPrompts = "prompts.read", "read prompts and templates",
    /// Change and delete one's own questions and templates.
    ManagePrompts = "prompts.manage", "change prompts and templates",
    /// Read and clear other members' histories.
    AdministerPrompts = "prompts.administer", "read or clear prompts and templates of others",
    /// Read one's own brokerage account.
    ReadBrokerageAccount = "brokerage_account.read", "read a brokerage account",
    /// Open one's own brokerage account.
    OpenBrokerageAccount = "brokerage_account.open", "open a brokerage account",
    /// Submit documents for one's own brokerage account.
    SubmitBrokerageDocuments = "brokerage_documents.submit", "submit documents for a brokerage account",
}

impl Permission {
    /// Whether what it allows changes one's own account. The account is locked before the session is read again, so that
    /// a concurrent password reset comes either before both or after both.
    pub const fn changes_own_account(self) -> bool {
        OWN_CHANGES.contains(self)
    }

    const fn bit(self) -> u64 {
        1 << self as u64
    }
}

const _: () = assert!(Permission::ALL.len() <= u64::BITS as usize, "a permission is one bit of a set");

const OWN_CHANGES: PermissionSet = PermissionSet::of(&[
    Permission::ChangeOwnProfile,
    Permission::DeleteOwnAccount,
    Permission::ChangeOwnPassword,
    Permission::ChangeOwnEmail,
    Permission::EndOwnSessions,
    Permission::ManageOwnFactors,
    Permission::StepUp,
    Permission::ManageOwnTokens,
    Permission::OpenBrokerageAccount,
    Permission::SubmitBrokerageDocuments,
]);

/// A set of permissions.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct PermissionSet(u64);

impl PermissionSet {
    /// No permission.
    pub const NONE: Self = Self(0);

    /// Every permission.
    pub const ALL: Self = Self::of(Permission::ALL);

    /// What a token that is in an end user's hands may do: read itself, the database it is bound to, and resolve the one
    /// session it is bound to.
    pub const END_USER: Self =
        Self::of(&[Permission::ReadOwnToken, Permission::UseBoundDatabase, Permission::ResolveOwnSession]);

    /// What a token of any contract may do in every other one: read who it speaks for, take access away, and what needs
    /// a proof besides the token.
    pub const ANY_CONTRACT: Self = Self::of(&[
        Permission::ReadOwnToken,
        Permission::ReadOwnAccount,
        Permission::EndOwnSessions,
        Permission::ChangeOwnPassword,
        Permission::StepUp,
    ]);

    /// What an application may do in its own name (RFC 6749 section 4.4): nothing. No use case is made for a caller who is no
    /// account; its tokens are for the APIs that they are shown to.
    pub const APPLICATION: Self = Self::NONE;

    /// What a token has that an application was given, whatever the contract through which it was given: to be told who its owner is
    /// (OpenID Connect Core section 5.3), as far as its scopes say.
    pub const ANY_DELEGATED: Self = Self::of(&[Permission::ReadOwnClaims]);

    /// What only a session has that the account's owner signed in to, whatever the scopes of another token: to make access for
    /// others or beyond the token's own life (members, programs, keys, tokens), to change what signs in, to end sessions, to
    /// delete the account, and to act at a broker.
    pub const FULL_SCOPE_ONLY: Self = Self::of(&[
        Permission::DeleteOwnAccount,
        Permission::ChangeOwnPassword,
        Permission::SetOwnPassword,
        Permission::ChangeOwnEmail,
        Permission::EndOwnSessions,
        Permission::ManageOwnFactors,
        Permission::StepUp,
        Permission::ManageOwnTokens,
        Permission::RevokeOrganizationTokens,
        Permission::ManageMembers,
        Permission::ManagePrograms,
        Permission::ManageProgramKeys,
        Permission::ReadApplications,
        Permission::ManageApplications,
        Permission::AuthorizeApplications,
        Permission::OpenBrokerageAccount,
        Permission::SubmitBrokerageDocuments,
    ]);

    /// The set of these permissions.
    pub const fn of(permissions: &[Permission]) -> Self {
        let mut set = 0;
        let mut rest = permissions;
        while let Some((first, others)) = rest.split_first() {
            set |= first.bit();
            rest = others;
        }
        Self(set)
    }

    /// The permissions of either set.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The permissions of both sets.
    #[must_use]
    pub const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// The permissions of this set that are not in the other.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether the permission is in the set.
    pub const fn contains(self, permission: Permission) -> bool {
        self.0 & permission.bit() != 0
    }

    /// Whether every permission of `other` is in the set.
    pub const fn contains_all(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Its permissions, in the order of [`Permission::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Permission> {
        Permission::ALL.iter().copied().filter(move |permission| self.contains(*permission))
    }
}

impl fmt::Debug for PermissionSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_permission_has_a_name_and_a_place_of_its_own() {
        let names: BTreeSet<&str> = Permission::ALL.iter().map(|permission| permission.as_str()).collect();
        assert_eq!(names.len(), Permission::ALL.len());
        assert_eq!(PermissionSet::ALL.iter().count(), Permission::ALL.len());
        let said: BTreeSet<&str> = Permission::ALL.iter().map(|permission| permission.does()).collect();
        assert_eq!(said.len(), Permission::ALL.len());
    }

    #[test]
    fn sets_hold_what_they_were_made_of() {
        let one = PermissionSet::of(&[Permission::ReadMembers]);
        let both = one.union(PermissionSet::of(&[Permission::ManageMembers]));
        assert!(both.contains(Permission::ReadMembers) && !one.contains(Permission::ManageMembers));
        assert!(both.contains_all(one) && !one.contains_all(both) && one.contains_all(PermissionSet::NONE));
        assert_eq!(both.intersection(one), one);
        assert_eq!(both.without(one), PermissionSet::of(&[Permission::ManageMembers]));
        assert_eq!(format!("{one:?}"), "{ReadMembers}");
    }
}
