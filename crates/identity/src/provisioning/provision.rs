//! An operator provisions an organization and its owner.

use serde_json::json;
use tidegate_domain::account::{Account, LoginName};
use tidegate_domain::audit::Action;
use tidegate_domain::id::OrganizationId;
use tidegate_domain::password::WeakPassword;
use tidegate_domain::{EmailAddress, Password};
use tidegate_kernel::Call;
use tidegate_kernel::fault::{Outcome, refuse};
use tidegate_kernel::work::Subject;

use crate::accounts::people::{NewPerson, Person};
use crate::{Identity, IdentityTables};

/// What is provisioned.
#[derive(Clone, Debug)]
pub struct Provision {
    /// The organization's name.
    pub name: String,
    /// Its owner's address, taken as verified on the operator's word.
    pub owner_email: EmailAddress,
    /// Its owner's password.
    pub owner_password: Password,
    /// Domains, in lower case, whose accounts the organization manages without asking their owners.
    pub managed_domains: Vec<String>,
}

/// What was.
#[derive(Clone, Debug)]
pub struct Provisioned {
    /// The organization.
    pub organization: OrganizationId,
    /// Its owner.
    pub owner: Account,
}

/// Why nothing was created.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProvisionError {
    /// The address is taken.
    #[error("an account with this e-mail address exists already; choose another address")]
    EmailTaken,
    /// Another organization manages that domain.
    #[error("another organization manages {0} already")]
    DomainTaken(String),
    /// The strictest contract's password rule.
    #[error("the password {0}")]
    WeakPassword(WeakPassword),
}

impl Identity {
    /// Makes an organization with its owner.
    ///
    /// Source: design section 6, `tidegate org create`.
    ///
    /// # Errors
    /// [`ProvisionError`].
    pub async fn provision(&self, call: &Call, claim: Provision) -> Outcome<Provisioned, ProvisionError> {
        if let Err(weak) = call.profile.password.check(&claim.owner_password) {
            return refuse(ProvisionError::WeakPassword(weak));
        }
        let hash = self.passwords.hash(self.requester(call, None), claim.owner_password).await?;
        let mut work = self.begin(call).await?;
        let login = LoginName::Email(claim.owner_email);
        if let Some(email) = login.email() {
            work.yield_invitation(email).await?;
            // Verified on the operator's word, which an unproven claim yields to as to any proof.
            work.evict_unproven(email).await?;
        }
        let new = NewPerson {
            login: &login,
            verified_at: Some(work.now),
            display_name: &claim.name,
            password_hash: Some(&hash),
            agreed_to_terms: false,
            terms_version: None,
            source: "provisioned",
            is_at_home: true,
        };
        let Some(Person { account, sign_in_target }) = work.create_person(&new).await? else {
            return refuse(ProvisionError::EmailTaken);
        };
        for domain in claim.managed_domains {
            if !work.unit.claims().add_managed_domain(sign_in_target.organization, &domain, work.now).await? {
                return refuse(ProvisionError::DomainTaken(domain));
            }
        }
        let subject = Subject {
            account: Some(account.id),
            organization: Some(sign_in_target.organization),
            session: None,
        };
        work.audit(Action::OrganizationProvisioned, subject, json!({})).await?;
        work.commit().await?;
        Ok(Provisioned { organization: sign_in_target.organization, owner: account })
    }
}
