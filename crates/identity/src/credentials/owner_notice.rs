//! Notifies the owner of an organization of a new program or key: either one outlives a change of password.

use serde_json::json;
use tidegate_delivery::Template;
use tidegate_domain::account::LoginName;
use tidegate_domain::id::OrganizationId;
use tidegate_kernel::fault::Fault;
use tidegate_kernel::message::Mail;
use tidegate_kernel::throttle::Counted;

use crate::IdentityTables;
use crate::work::Work;

/// What was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Credential {
    Program,
    Key,
}

impl<G> Work<'_, G> {
    /// Mails the owner. Beyond as many notices as mails may go to one address, and where no mail can be sent, the credential is made all the same.
    pub(crate) async fn tell_owner(
        &mut self,
        organization: OrganizationId,
        made: Credential,
        program: &LoginName,
    ) -> Result<(), Fault> {
        let Some(owner) = self.unit.organizations().owner(organization).await? else {
            return Ok(());
        };
        let Some(email) = self.proven_address(owner).await? else {
            return Ok(());
        };
        let limit = self.call.profile.limits.mails_by_email;
        if self.count(Counted::NoticesByAccount(owner), limit).await?.is_some() {
            return Ok(());
        }
        let made = match made {
            Credential::Program => "program",
            Credential::Key => "key",
        };
        self.notify(Mail {
            template: Template::CredentialMade,
            to: &email,
            display_name: "",
            cause: self.app.kernel.entropy.uuid(self.now),
            values: json!({
                "made": made,
                "program": program.as_str(),
                "when": self.now.iso_seconds(),
                "ip": self.call.ip_text(),
            }),
            deliverable: true,
        })
        .await
    }
}
