//! Which of an organization's data sources a caller sees.

use tidegate_domain::Permission;
use tidegate_domain::id::{AccountId, OrganizationId};
use tidegate_kernel::{Grant, Member};

/// Whose sources are looked at. Those of other organizations do not exist; those of workspaces that the caller does not belong to, for
/// administrators alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Viewer {
    pub(crate) organization: OrganizationId,
    pub(crate) account: AccountId,
    /// Whether all workspaces are the caller's to see.
    pub(crate) sees_all: bool,
}

impl Viewer {
    pub(crate) fn of(grant: &Grant) -> Self {
        Self {
            organization: grant.organization(),
            account: grant.account(),
            sees_all: grant.allows(Permission::AdministerDataSources),
        }
    }

    /// A member by their role alone.
    pub(crate) fn of_member(member: Member) -> Self {
        Self {
            organization: member.organization,
            account: member.account,
            sees_all: member.role.permissions().contains(Permission::AdministerDataSources),
        }
    }
}
