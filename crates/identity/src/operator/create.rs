//! Creates an individual for an operator.

use serde_json::json;
use tidegate_domain::account::Account;
use tidegate_domain::audit::Action;
use tidegate_domain::id::AccountId;
use tidegate_domain::password::WeakPassword;
use tidegate_domain::{EmailAddress, Password};
use tidegate_kernel::fault::{Outcome, refuse};

use super::Operator;
use crate::Identity;
use crate::accounts::people::{BegunPerson, NotProvisioned, ProvisionedPerson};

/// An individual to create.
#[derive(Clone, Debug)]
pub struct NewIndividual {
    /// The address, taken as verified on the operator's word.
    pub email: EmailAddress,
    /// Name shown to people; empty when not given.
    pub display_name: String,
    /// The password.
    pub password: Password,
}

/// An individual that was created.
#[derive(Clone, Debug)]
pub struct CreatedIndividual {
    /// The account.
    pub account: Account,
    /// The account that had the address without having proven it, and has lost it.
    pub evicted: Option<AccountId>,
}

/// Why not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CreateIndividualError {
    /// Another account has that address.
    #[error("an account with this e-mail address exists already; see `tidegate user show`")]
    EmailTaken,
    /// The strictest contract's password rule.
    #[error("the password {0}")]
    WeakPassword(WeakPassword),
}

impl Identity {
    /// Creates an individual, with an organization of their own.
    ///
    /// Source: `tidegate user create`.
    ///
    /// # Errors
    /// [`CreateIndividualError`].
    pub async fn provision_individual(
        &self,
        operator: &Operator,
        claim: NewIndividual,
    ) -> Outcome<CreatedIndividual, CreateIndividualError> {
        let call = &operator.call;
        let NewIndividual { email, display_name, password } = claim;
        let new = ProvisionedPerson { email, display_name: &display_name, password };
        let BegunPerson { mut work, person, evicted } = match self.begin_provisioned(call, new).await? {
            Ok(begun) => begun,
            Err(NotProvisioned::EmailTaken) => return refuse(CreateIndividualError::EmailTaken),
            Err(NotProvisioned::WeakPassword(weak)) => {
                return refuse(CreateIndividualError::WeakPassword(weak));
            }
        };
        let account = person.account;
        work.audit(Action::AccountCreated, account.id, json!({})).await?;
        work.commit().await?;
        Ok(CreatedIndividual { account, evicted })
    }
}
