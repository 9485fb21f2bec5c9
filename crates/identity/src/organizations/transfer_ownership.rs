//! An operator gives an organization another owner.

use std::collections::BTreeSet;

use serde_json::json;
use tidegate_domain::account::LoginName;
use tidegate_domain::audit::Action;
use tidegate_domain::id::OrganizationId;
use tidegate_domain::session::EndReason;
use tidegate_domain::{EmailAddress, Role};
use tidegate_kernel::fault::{Outcome, refuse};
use tidegate_kernel::work::Subject;
use tidegate_kernel::{Call, KernelTables};

use crate::{Identity, IdentityTables};

/// Why ownership was not transferred.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransferError {
    /// No such organization.
    #[error("there is no such organization")]
    UnknownOrganization,
    /// No member has that address.
    #[error("no member of the organization has this e-mail address; create the account there first")]
    NotAMember,
    /// They own it.
    #[error("this account owns the organization already")]
    AlreadyOwner,
    /// An owner signs in; this address cannot.
    #[error("this account's e-mail address is not verified; verify it first")]
    NotVerified,
}

impl Identity {
    /// Makes a member of an organization its owner, and its owner an admin. The sessions of both end: their tokens say
    /// another role.
    ///
    /// Source: ADR 7, `tidegate org transfer`.
    ///
    /// # Errors
    /// [`TransferError`].
    pub async fn transfer_ownership(
        &self,
        call: &Call,
        organization: OrganizationId,
        to: &EmailAddress,
    ) -> Outcome<(), TransferError> {
        let mut work = self.begin(call).await?;
        if !work.unit.organizations().lock(organization).await? {
            return refuse(TransferError::UnknownOrganization);
        }
        let login = LoginName::Email(to.clone());
        let Some(member) = work.unit.members().find(organization, &login).await? else {
            return refuse(TransferError::NotAMember);
        };
        if member.role == Role::Owner {
            return refuse(TransferError::AlreadyOwner);
        }
        if !member.verified {
            return refuse(TransferError::NotVerified);
        }
        // None where the owner's account was deleted by the managers who had made it.
        let owner = work.unit.organizations().owner(organization).await?;
        // In one order, so that no two transfers wait for each other.
        for account in BTreeSet::from_iter([Some(member.account), owner].into_iter().flatten()) {
            work.lock(account).await?;
            work.unit.sessions().end_all(account, EndReason::RoleChanged, work.now).await?;
        }
        // Again: they may have been deleted while this unit waited.
        if work
            .unit
            .members()
            .find(organization, &login)
            .await?
            .is_none_or(|now| now.account != member.account)
        {
            return refuse(TransferError::NotAMember);
        }
        // First no owner, then the new one: the store refuses two owners.
        if let Some(owner) = owner {
            work.unit.members().set_role(organization, owner, Role::Admin).await?;
        }
        work.unit.members().set_role(organization, member.account, Role::Owner).await?;
        let subject =
            Subject { account: Some(member.account), organization: Some(organization), session: None };
        let metadata =
            json!({ "from": owner.map(|owner| owner.to_string()), "to": member.account.to_string() });
        work.audit(Action::OwnershipTransferred, subject, metadata).await?;
        Ok(work.commit().await?)
    }
}
