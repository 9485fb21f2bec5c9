//! Free documents that applications keep beside what is theirs, and an organization's own.

use serde_json::json;
use tidegate_domain::audit::Action;
use tidegate_domain::document::DocumentError;
use tidegate_domain::{Document, Permission};
use tidegate_kernel::fault::{Fault, Outcome};
use tidegate_kernel::{Actor, Call, Refused};

use crate::{Identity, IdentityTables};

/// A change of a free document.
#[derive(Clone, Debug)]
pub struct Patch {
    /// What to change.
    pub change: Document,
    /// Whether everything that is there stays, and arrays grow; merged as RFC 7396 says otherwise.
    pub preserve: bool,
}

/// The document would be too large.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("would be larger than 64 KiB")]
pub struct TooLarge;

impl Patch {
    /// The changed document.
    pub(crate) fn apply(&self, document: &Document) -> Outcome<Document, TooLarge> {
        changed(document, &self.change, self.preserve)
    }
}

/// A free document with a change merged into it.
pub(crate) fn changed(document: &Document, change: &Document, preserve: bool) -> Outcome<Document, TooLarge> {
    document.changed(change, preserve).map_err(|error| match error {
        DocumentError::TooLarge => Refused::Rule(TooLarge),
        other => Refused::Fault(Fault::Internal(format!("a stored document {other}"))),
    })
}

impl Identity {
    /// The free document of the actor's organization.
    ///
    /// Source: Crossing Minds "organizations/current", `GET`.
    ///
    /// # Errors
    /// Only faults.
    pub async fn organization_metadata(&self, actor: &Actor) -> Result<Document, Fault> {
        let (mut unit, grant) = self.read_as(actor, Permission::ReadOrganization).await?;
        let found = unit.organizations().metadata(grant.organization()).await?;
        found.ok_or_else(|| Fault::Internal("a session in an organization that does not exist".to_owned()))
    }

    /// Changes it.
    ///
    /// Source: Crossing Minds "organizations/current", `PATCH`.
    ///
    /// # Errors
    /// [`TooLarge`].
    pub async fn change_organization_metadata(
        &self,
        call: &Call,
        actor: &Actor,
        patch: Patch,
    ) -> Outcome<(), TooLarge> {
        let mut work = self.begin_as(call, actor, Permission::ManageOrganization).await?;
        let organization = work.grant.organization();
        work.unit.organizations().lock(organization).await?;
        let before = work.unit.organizations().metadata(organization).await?.unwrap_or_default();
        let metadata = patch.apply(&before)?;
        work.unit.organizations().set_metadata(organization, &metadata, work.now).await?;
        work.audit(Action::OrganizationUpdated, work.grant.subject(), json!({})).await?;
        work.require_room_for(organization, &before, &metadata).await?;
        Ok(work.commit().await?)
    }
}
