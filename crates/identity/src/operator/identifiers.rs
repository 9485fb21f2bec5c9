//! Removes an identifier of an account for an operator: a phone or address that is not the account owner's any more.

use serde_json::json;
use tidegate_domain::account::{LoginName, ServiceName};
use tidegate_domain::audit::Action;
use tidegate_domain::session::EndReason;
use tidegate_domain::{EmailAddress, PhoneNumber};
use tidegate_kernel::KernelTables;
use tidegate_kernel::fault::{Outcome, refuse};

use super::repository::Identifier;
use super::{AccountName, Operator, OperatorError};
use crate::{Identity, IdentityTables};

impl Identity {
    /// Removes an identifier, and ends the account's sessions: they may have been opened with it.
    ///
    /// Source: `tidegate user remove-identifier`.
    ///
    /// # Errors
    /// [`OperatorError`].
    pub async fn remove_identifier(
        &self,
        operator: &Operator,
        name: &AccountName,
        login: &LoginName,
    ) -> Outcome<(), OperatorError> {
        let mut work = self.begin_for(operator).await?;
        let account = work.lock_named(name).await?.id;
        let identifiers = work.unit.installation().identifiers(account).await?;
        let found =
            identifiers.iter().find(|known| known.kind == login.kind() && known.value == login.as_str());
        let Some(found) = found else {
            return refuse(OperatorError::NoSuchIdentifier);
        };
        if identifiers.len() == 1 {
            return refuse(OperatorError::LastIdentifier);
        }
        work.unit.installation().remove_identifier(account, found).await?;
        work.unit.sessions().end_all(account, EndReason::EndedByOperator, work.now).await?;
        work.audit(Action::IdentifierRemoved, account, json!({ "kind": found.kind })).await?;
        Ok(work.commit().await?)
    }
}

/// The names that identifiers sign in with.
pub(super) fn logins(identifiers: &[Identifier]) -> Vec<LoginName> {
    identifiers.iter().filter_map(login).collect()
}

fn login(identifier: &Identifier) -> Option<LoginName> {
    let value = identifier.value.clone();
    match identifier.kind.as_str() {
        "email" => Some(EmailAddress::from_stored(value).into()),
        "phone" => Some(PhoneNumber::from_stored(value).into()),
        "service_name" => Some(ServiceName::from_stored(value).into()),
        _ => None,
    }
}
