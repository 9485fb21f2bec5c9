//! An operator provisions an organization and its owner.

use serde_json::json;
use tidegate_domain::account::Account;
use tidegate_domain::audit::Action;
use tidegate_domain::id::{AccountId, OrganizationId};
use tidegate_domain::password::WeakPassword;
use tidegate_domain::{EmailAddress, Password};
use tidegate_kernel::Call;
use tidegate_kernel::fault::{Outcome, refuse};
use tidegate_kernel::work::Subject;

use crate::accounts::people::{BegunPerson, NotProvisioned, Person, ProvisionedPerson};
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
    /// The account that had the owner's address without having proven it, and has lost it.
    pub evicted: Option<AccountId>,
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
        let Provision { name, owner_email, owner_password, managed_domains } = claim;
        let new = ProvisionedPerson { email: owner_email, display_name: &name, password: owner_password };
        let BegunPerson { mut work, person, evicted } = match self.begin_provisioned(call, new).await? {
            Ok(begun) => begun,
            Err(NotProvisioned::EmailTaken) => return refuse(ProvisionError::EmailTaken),
            Err(NotProvisioned::WeakPassword(weak)) => return refuse(ProvisionError::WeakPassword(weak)),
        };
        let Person { account, sign_in_target } = person;
        for domain in managed_domains {
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
        Ok(Provisioned { organization: sign_in_target.organization, owner: account, evicted })
    }
}
