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

/// Accounts read at a time. Each may have a document of 64 KiB, and a program 50 keys with one each.
const PAGE: i64 = 20;

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
        let accounts = unit.members().page(organization, Listed::Individuals, after, PAGE).await?;
        let next = next(&accounts);
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
        let members = unit.members().page(organization, Listed::Services, after, PAGE).await?;
        let next = next(&members);
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

fn next(page: &[Member]) -> Option<Cursor> {
    let is_full = i64::try_from(page.len()).is_ok_and(|length| length == PAGE);
    page.last().filter(|_| is_full).map(|last| Cursor(last.membership))
}
