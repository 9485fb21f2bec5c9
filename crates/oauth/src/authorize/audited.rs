//! What the audit log says of an application that a person was asked about.

use serde_json::{Value, json};
use tidegate_kernel::Fault;

use crate::OauthTables;
use crate::applications::Application;
use crate::work::Work;

impl<G> Work<'_, G> {
    /// Who it is, under its own name, whose, and who made it: after it is gone, this is all that tells.
    pub(super) async fn audited(&mut self, application: &Application) -> Result<Value, Fault> {
        let made = self.unit.applications().origin(application.id).await?;
        let (organization, created_by) = made.map_or((None, None), |(name, by)| (Some(name), by));
        Ok(json!({
            "client_id": application.id,
            "name": application.name,
            "organization_id": application.organization,
            "organization": organization,
            "created_by": created_by,
        }))
    }
}
