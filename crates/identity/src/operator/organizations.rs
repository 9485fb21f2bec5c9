//! Lists and shows organizations for an operator.

use tidegate_domain::account::Workspace;
use tidegate_domain::id::OrganizationId;
use tidegate_kernel::Fault;

use super::Operator;
use super::repository::{MemberSummary, OrganizationSummary};
use crate::{Identity, IdentityTables};

/// Members shown of an organization.
pub const SHOWN_MEMBERS: i64 = 200;

/// An organization as its operator sees it.
#[derive(Clone, Debug)]
pub struct OrganizationDetails {
    /// The organization.
    pub summary: OrganizationSummary,
    /// Its members, at most [`SHOWN_MEMBERS`], in the order they came.
    pub members: Vec<MemberSummary>,
    /// Its workspaces.
    pub workspaces: Vec<Workspace>,
    /// Domains whose accounts it manages without asking their owners.
    pub managed_domains: Vec<String>,
}

impl Identity {
    /// Up to `limit` organizations with numbers beyond `after`.
    ///
    /// Source: `tidegate org list`.
    ///
    /// # Errors
    /// Only faults.
    pub async fn list_organizations(
        &self,
        _: &Operator,
        search: &str,
        shared_only: bool,
        after: i64,
        limit: i64,
    ) -> Result<Vec<OrganizationSummary>, Fault> {
        let mut unit = self.kernel.store.read().await?;
        Ok(unit.installation().organizations(search, shared_only, after, limit).await?)
    }

    /// All an operator may know of an organization. None when there is no such one.
    ///
    /// Source: `tidegate org show`.
    ///
    /// # Errors
    /// Only faults.
    pub async fn show_organization(
        &self,
        _: &Operator,
        id: OrganizationId,
    ) -> Result<Option<OrganizationDetails>, Fault> {
        let mut unit = self.kernel.store.read().await?;
        let Some(summary) = unit.installation().organization(id).await? else {
            return Ok(None);
        };
        Ok(Some(OrganizationDetails {
            summary,
            members: unit.installation().members(id, SHOWN_MEMBERS).await?,
            workspaces: unit.organizations().workspaces(id).await?,
            managed_domains: unit.installation().managed_domains(id).await?,
        }))
    }

    /// The organization of that number.
    ///
    /// # Errors
    /// Only faults.
    pub async fn organization_numbered(
        &self,
        _: &Operator,
        number: i64,
    ) -> Result<Option<OrganizationId>, Fault> {
        Ok(self.kernel.store.read().await?.installation().organization_numbered(number).await?)
    }
}
