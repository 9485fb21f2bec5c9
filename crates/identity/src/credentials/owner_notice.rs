//! Notifies the owner of an organization of a new program, key or application: each of them outlives a change of password.

use serde_json::json;
use tidegate_delivery::Template;
use tidegate_domain::account::LoginName;
use tidegate_domain::id::OrganizationId;
use tidegate_kernel::fault::Fault;
use tidegate_kernel::message::Mail;
use tidegate_kernel::throttle::Counted;

use crate::IdentityTables;
use crate::credentials::security_notice::proven_address;
use crate::work::Work;

/// What was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Credential {
    Program,
    Key,
    Application,
    ChangedApplication,
}

impl<G> Work<'_, G> {
    /// Mails the owner. Beyond as many notices as mails may go to one address, and where no mail can be sent, the credential is made all the same.
    pub(crate) async fn tell_owner(
        &mut self,
        organization: OrganizationId,
        made: Credential,
        program: &LoginName,
    ) -> Result<(), Fault> {
        tell_owner(&mut self.kernel(), organization, made, program.as_str()).await
    }
}

/// See [`Work::tell_owner`]; of what happens in another feature.
pub(crate) async fn tell_owner(
    work: &mut tidegate_kernel::Work<'_>,
    organization: OrganizationId,
    made: Credential,
    name: &str,
) -> Result<(), Fault> {
    let Some(owner) = work.unit.organizations().owner(organization).await? else {
        return Ok(());
    };
    let Some(email) = proven_address(work, owner).await? else {
        return Ok(());
    };
    let limit = work.call.profile.limits.mails_by_email;
    if work.count(Counted::NoticesByAccount(owner), limit).await?.is_some() {
        return Ok(());
    }
    let made = match made {
        Credential::Program => "program",
        Credential::Key => "key",
        Credential::Application => "application",
        Credential::ChangedApplication => "application_changed",
    };
    work.notify(Mail {
        template: Template::CredentialMade,
        to: &email,
        display_name: "",
        cause: work.kernel.entropy.uuid(work.now),
        values: json!({
            "made": made,
            "program": name,
            "when": work.now.iso_seconds(),
            "ip": work.call.ip_text(),
        }),
        deliverable: true,
    })
    .await
}
