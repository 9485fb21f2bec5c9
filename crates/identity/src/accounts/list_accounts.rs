//! Lists the accounts of an organization, for its managers.

use std::collections::HashMap;

use tidegate_domain::Permission;
use tidegate_domain::id::{AccountId, MembershipId};
use tidegate_kernel::Actor;
use tidegate_kernel::fault::Fault;

use crate::accounts::members_repository::Listed;
use crate::{Identity, IdentityTables};

pub use crate::accounts::members_repository::Member;
pub use crate::credentials::service_keys_repository::ServiceKey;

/// People read at a time.
const PEOPLE_AT_ONCE: i64 = 1_000;

/// The same of programs, which have up to 50 keys each, with a document of 64 KiB each.
const PROGRAMS_AT_ONCE: i64 = 20;

/// Where a listing goes on.
#[derive(Clone, Copy, Debug)]
pub struct Cursor(MembershipId);

/// Some of an organization's accounts.
#[derive(Clone, Debug)]
pub struct Accounts<T> {
    /// In the order they came to the organization.
    pub accounts: Vec<T>,
    /// Where to go on; none at the end.
    pub next: Option<Cursor>,
}

/// A program and its keys.
#[derive(Clone, Debug)]
pub struct Program {
    /// The account.
    pub member: Member,
    /// Its keys, oldest first, expired ones included.
    pub keys: Vec<ServiceKey>,
}

impl Identity {
    /// The people of the actor's organization, from the first or from where the last call ended.
    ///
    /// Source: Crossing Minds "organizations/current/accounts".
    ///
    /// # Errors
    /// Only faults.
    pub async fn list_individuals(
        &self,
        actor: &Actor,
        from: Option<Cursor>,
    ) -> Result<Accounts<Member>, Fault> {
        let (mut unit, grant) = self.read_as(actor, Permission::ReadMembers).await?;
        let (organization, after) = (grant.organization(), from.map(|cursor| cursor.0));
        let (accounts, goes_on) =
            unit.members().page(organization, Listed::Individuals, after, PEOPLE_AT_ONCE).await?;
        let next = next(&accounts, goes_on);
        Ok(Accounts { accounts, next })
    }

    /// The programs of the actor's organization, likewise.
    ///
    /// Source: Crossing Minds "organizations/current/accounts".
    ///
    /// # Errors
    /// Only faults.
    pub async fn list_programs(
        &self,
        actor: &Actor,
        from: Option<Cursor>,
    ) -> Result<Accounts<Program>, Fault> {
        let (mut unit, grant) = self.read_as(actor, Permission::ReadMembers).await?;
        let (organization, after) = (grant.organization(), from.map(|cursor| cursor.0));
        let (members, goes_on) =
            unit.members().page(organization, Listed::Services, after, PROGRAMS_AT_ONCE).await?;
        let next = next(&members, goes_on);
        let mut keys: HashMap<AccountId, Vec<ServiceKey>> = HashMap::new();
        if let (Some(first), Some(last)) = (members.first(), members.last()) {
            let (first, last) = (first.membership, last.membership);
            for key in unit.service_keys().of_members(organization, first, last).await? {
                keys.entry(key.account).or_default().push(key);
            }
        }
        let programs = members.into_iter().map(|member| {
            let keys = keys.remove(&member.account).unwrap_or_default();
            Program { member, keys }
        });
        Ok(Accounts { accounts: programs.collect(), next })
    }
}

fn next(page: &[Member], goes_on: bool) -> Option<Cursor> {
    page.last().filter(|_| goes_on).map(|last| Cursor(last.membership))
}
