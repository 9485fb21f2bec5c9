//! Creates an individual for an operator.

use serde_json::json;
use tidegate_domain::account::{Account, LoginName};
use tidegate_domain::audit::Action;
use tidegate_domain::password::WeakPassword;
use tidegate_domain::{EmailAddress, Password};
use tidegate_kernel::fault::{Outcome, refuse};

use super::Operator;
use crate::Identity;
use crate::accounts::people::{NewPerson, Person};

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
    ) -> Outcome<Account, CreateIndividualError> {
        let call = &operator.call;
        if let Err(weak) = call.profile.password.check(&claim.password) {
            return refuse(CreateIndividualError::WeakPassword(weak));
        }
        let hash = self.passwords.hash(self.requester(call, None), claim.password).await?;
        let mut work = self.begin_for(operator).await?;
        work.yield_invitation(&claim.email).await?;
        work.evict_unproven(&claim.email).await?;
        let login = LoginName::Email(claim.email);
        let new = NewPerson {
            login: &login,
            verified_at: Some(work.now),
            display_name: &claim.display_name,
            password_hash: Some(&hash),
            agreed_to_terms: false,
            terms_version: None,
            source: "provisioned",
            is_at_home: true,
        };
        let Some(Person { account, .. }) = work.create_person(&new).await? else {
            return refuse(CreateIndividualError::EmailTaken);
        };
        work.audit(Action::AccountCreated, account.id, json!({})).await?;
        work.commit().await?;
        Ok(account)
    }
}
