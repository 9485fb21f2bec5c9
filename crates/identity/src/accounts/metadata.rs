//! Free documents that applications keep beside what is theirs, and an organization's own.

use serde_json::{Value, json};
use tidegate_domain::audit::Action;
use tidegate_domain::text;
use tidegate_kernel::fault::{Fault, Outcome, refuse};
use tidegate_kernel::{Actor, Call};

use crate::{Identity, IdentityTables};

/// Most bytes of a free document.
pub const MAX_METADATA: usize = 64 * 1024;

/// A change of a free document.
#[derive(Clone, Debug)]
pub struct Patch {
    /// What to change.
    pub change: Value,
    /// Whether everything that is there stays, and arrays grow; merged as RFC 7396 says otherwise.
    pub preserve: bool,
}

/// The document would be too large.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("would be larger than 64 KiB")]
pub struct TooLarge;

impl Patch {
    pub(crate) fn apply(&self, document: &mut Value) -> Result<(), TooLarge> {
        if self.preserve {
            text::append(document, &self.change);
        } else {
            text::merge(document, &self.change);
        }
        if document.to_string().len() > MAX_METADATA { Err(TooLarge) } else { Ok(()) }
    }
}

impl Identity {
    /// The free document of the actor's organization.
    ///
    /// Source: Crossing Minds "organizations/current", `GET`.
    ///
    /// # Errors
    /// Only faults.
    pub async fn organization_metadata(&self, actor: &Actor) -> Result<Value, Fault> {
        let found =
            self.kernel.store.read().await?.organizations().metadata(actor.session.organization).await?;
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
        let organization = actor.session.organization;
        let mut work = self.begin(call).await?;
        work.still(actor).await?;
        work.unit.organizations().lock(organization).await?;
        let mut metadata = work.unit.organizations().metadata(organization).await?.unwrap_or_default();
        if let Err(too_large) = patch.apply(&mut metadata) {
            return refuse(too_large);
        }
        work.unit.organizations().set_metadata(organization, &metadata, work.now).await?;
        work.audit(Action::OrganizationUpdated, actor.subject(), json!({})).await?;
        Ok(work.commit().await?)
    }
}
