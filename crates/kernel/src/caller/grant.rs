//! What a caller may do: decided when their token is accepted, and again in the unit of work that acts.

use std::sync::Arc;

use tidegate_domain::flexible_id::FlexibleId;
use tidegate_domain::id::{AccountId, DatabaseId, OrganizationId};
use tidegate_domain::{AccessClaims, Permission, PermissionSet, Role, Scope, Scopes};

use crate::fault::Forbidden;
use crate::tables::audit::Subject;
use crate::tables::sessions::SessionRecord;

/// What a token is bound to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binding {
    /// Nothing.
    Unbound,
    /// A database of the organization.
    Database(DatabaseId),
    /// A database, and the token is in the hands of one of its end users.
    EndUser(DatabaseId),
}

/// A caller's permissions, and for whom and where they hold. The permissions are those that the role, the scopes of the token and
/// of its session, its binding and the contract that issued it all allow; what none of them names is denied.
#[derive(Clone, Debug)]
pub struct Grant {
    session: Arc<SessionRecord>,
    claims: Arc<AccessClaims>,
    role: Role,
    binding: Binding,
    /// What tokens reach at most of the contract that issued it.
    powers: PermissionSet,
    /// What its token can carry, whatever the role.
    limit: PermissionSet,
    permissions: PermissionSet,
}

/// What a role may do with a token of those scopes and that binding, issued by a contract of those powers.
pub fn permissions(role: Role, scopes: &Scopes, binding: Binding, powers: PermissionSet) -> PermissionSet {
    let by_role = match binding {
        Binding::EndUser(_) => role.permissions().intersection(PermissionSet::END_USER),
        Binding::Unbound | Binding::Database(_) => role.permissions(),
    };
    by_role.intersection(scopes.permissions()).intersection(powers)
}

impl Grant {
    /// The grant of a session's token, issued by a contract of those powers.
    pub(crate) fn new(session: Arc<SessionRecord>, claims: Arc<AccessClaims>, powers: PermissionSet) -> Self {
        // A token that speaks for an end user stays one, whatever becomes of the account that it was issued to.
        let speaks_for_user = claims.fuid.is_some() || claims.fsid.is_some();
        let role = if speaks_for_user { Role::Frontend } else { session.role };
        let binding = match (role, claims.db) {
            (_, None) => Binding::Unbound,
            (Role::Frontend, Some(database)) => Binding::EndUser(database),
            (_, Some(database)) => Binding::Database(database),
        };
        let limit = claims.scope.permissions().intersection(powers).intersection(session.permissions());
        let permissions = permissions(role, &claims.scope, binding, powers).intersection(limit);
        Self { session, claims, role, binding, powers, limit, permissions }
    }

    /// The same caller's grant in one of their organizations, by their role there. None where the token acts in its own
    /// organization alone, and that is another one: a personal access token does, one of an application, and what is bound to a database
    /// or an end user.
    pub fn in_organization(&self, organization: OrganizationId, role: Role) -> Option<Self> {
        if organization == self.organization() {
            return Some(self.clone());
        }
        let stays = self.session.access_token.is_some()
            || self.session.application.is_some()
            || self.binding != Binding::Unbound
            || self.role == Role::Frontend;
        if stays {
            return None;
        }
        let session = Arc::new(SessionRecord { organization, role, ..SessionRecord::clone(&self.session) });
        let permissions = role.permissions().intersection(self.limit);
        Some(Self { session, claims: Arc::clone(&self.claims), role, permissions, ..*self })
    }

    /// Refuses what its token cannot carry, whatever the role.
    pub(crate) fn require_within_limit(&self, permission: Permission) -> Result<(), Forbidden> {
        if self.limit.contains(permission) { Ok(()) } else { Err(self.refusal_by_token(permission)) }
    }

    /// Whether it allows this.
    pub fn allows(&self, permission: Permission) -> bool {
        self.permissions.contains(permission)
    }

    /// Refuses what it does not allow.
    ///
    /// # Errors
    /// [`Forbidden`], which says what it takes.
    pub fn require(&self, permission: Permission) -> Result<(), Forbidden> {
        if self.allows(permission) { Ok(()) } else { Err(self.refusal_of(permission)) }
    }

    /// Why it does not allow this: what no other token of the contract could do comes before the role, which the owner of the account
    /// cannot change, and that before the scopes, which they chose.
    pub(crate) fn refusal_of(&self, permission: Permission) -> Forbidden {
        let role = self.role;
        if self.powers.contains(permission) && !role.permissions().contains(permission) {
            return Forbidden::Role { role, permission };
        }
        self.refusal_by_token(permission)
    }

    /// Why its token cannot carry this, whatever the role.
    fn refusal_by_token(&self, permission: Permission) -> Forbidden {
        if !self.powers.contains(permission) {
            return Forbidden::Contract { issuer: self.claims.contract };
        }
        // A personal access token keeps the role that its owner had when they made it.
        let when_made = self.session.access_token.map(|token| token.role);
        if let Some(role) = when_made.filter(|role| !role.permissions().contains(permission)) {
            return Forbidden::Role { role, permission };
        }
        let mut scopes = [&self.claims.scope, &self.session.scopes].into_iter();
        match scopes.find(|scopes| !scopes.permissions().contains(permission)) {
            Some(held) => Forbidden::Scope {
                needed: Scope::giving(permission),
                held: held.clone(),
                asks_owner: permission == Permission::ReadOwnAccount
                    && self.session.application.is_some_and(|application| !application.in_own_name),
            },
            None => Forbidden::Unsaid,
        }
    }

    /// All that it allows.
    pub fn permissions(&self) -> PermissionSet {
        self.permissions
    }

    /// The account that acts.
    pub fn account(&self) -> AccountId {
        self.session.account
    }

    /// The organization in which it acts.
    pub fn organization(&self) -> OrganizationId {
        self.session.organization
    }

    /// Its role there, that of a frontend where the token speaks for an end user.
    pub fn role(&self) -> Role {
        self.role
    }

    /// What the token is bound to.
    pub fn binding(&self) -> Binding {
        self.binding
    }

    /// The database that the token is bound to.
    pub fn database(&self) -> Option<DatabaseId> {
        match self.binding {
            Binding::Unbound => None,
            Binding::Database(database) | Binding::EndUser(database) => Some(database),
        }
    }

    /// The end user that the token is bound to.
    pub fn end_user(&self) -> Option<&FlexibleId> {
        self.claims.fuid.as_ref()
    }

    /// The end user's anonymous session that the token is bound to.
    pub fn end_user_session(&self) -> Option<&FlexibleId> {
        self.claims.fsid.as_ref()
    }

    /// Whether it allows all that another one does.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        self.permissions.contains_all(other.permissions)
    }

    /// What the token says, to be kept.
    pub(crate) fn shared_claims(&self) -> Arc<AccessClaims> {
        Arc::clone(&self.claims)
    }

    /// The session.
    pub fn session(&self) -> &SessionRecord {
        &self.session
    }

    /// What the token says.
    pub fn claims(&self) -> &AccessClaims {
        &self.claims
    }

    /// What an audit event of this caller is about.
    pub fn subject(&self) -> Subject {
        Subject {
            account: Some(self.session.account),
            organization: Some(self.session.organization),
            session: Some(self.session.id),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: PermissionSet = PermissionSet::ALL;

    #[test]
    fn every_part_of_a_grant_only_takes_away() {
        let database = Binding::Database(DatabaseId(uuid::Uuid::nil()));
        for role in Role::ALL {
            assert_eq!(permissions(role, &Scopes::Full, database, ALL), role.permissions());
            assert_eq!(permissions(role, &Scopes::NONE, database, ALL), PermissionSet::NONE);
            assert_eq!(permissions(role, &Scopes::Full, database, PermissionSet::NONE), PermissionSet::NONE);
            for name in Scope::known() {
                let scopes = Scopes::requested([name]).unwrap();
                let granted = permissions(role, &scopes, database, ALL);
                assert!(role.permissions().contains_all(granted), "{role:?} {name}");
                assert!(scopes.permissions().contains_all(granted), "{role:?} {name}");
            }
        }
    }

    #[test]
    fn a_token_in_an_end_users_hands_reaches_its_database_and_nothing_else() {
        let binding = Binding::EndUser(DatabaseId(uuid::Uuid::nil()));
        assert_eq!(permissions(Role::Frontend, &Scopes::Full, binding, ALL), PermissionSet::END_USER);
    }
}
