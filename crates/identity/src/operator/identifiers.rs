//! Removes an identifier of an account for an operator: a phone or address that is not the account owner's any more.

use serde_json::json;
use tidegate_domain::account::{LoginName, ServiceName};
use tidegate_domain::audit::Action;
use tidegate_domain::challenge::Purpose;
use tidegate_domain::session::EndReason;
use tidegate_domain::{EmailAddress, PhoneNumber};
use tidegate_kernel::KernelTables;
use tidegate_kernel::fault::{Outcome, refuse};

use super::repository::Identifier;
use super::{AccountName, Operator, OperatorError};
use crate::credentials::factors::phone_gone::PhoneFactor;
use crate::{Identity, IdentityTables};

/// The kind of addresses.
const EMAIL: &str = "email";

/// An identifier was removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentifierRemoved {
    /// Which one signs in in its place.
    pub promoted: Option<String>,
    /// What became of codes by text message, where they are a second factor.
    pub phone_factor: PhoneFactor,
}

impl Identity {
    /// Removes an identifier, and ends the account's sessions: they may have been opened with it. `successor` says which, where several verified ones could.
    ///
    /// Where it was the primary one, the password and everything that was sent to other addresses goes, too: whoever made
    /// it primary may have set them. The owner chooses another password by a reset.
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
        successor: Option<&LoginName>,
    ) -> Outcome<IdentifierRemoved, OperatorError> {
        let mut work = self.begin_for(operator).await?;
        let account = work.lock_named(name).await?.id;
        let identifiers = work.unit.installation().identifiers(account).await?;
        let Some(found) = identifiers.iter().find(|known| is(known, login)) else {
            return refuse(OperatorError::NoSuchIdentifier);
        };
        if identifiers.len() == 1 {
            return refuse(OperatorError::LastIdentifier);
        }
        let successor = match successor_of(&identifiers, found, successor) {
            Ok(successor) => successor,
            Err(refusal) => return refuse(refusal),
        };
        work.unit.installation().remove_identifier(account, found, successor).await?;
        if found.kind == EMAIL {
            let gone = EmailAddress::from_stored(found.value.clone());
            work.unit.social_accounts().disconnect_address(account, &gone, work.now).await?;
        }
        if found.is_primary && found.kind == EMAIL {
            work.unit.claims().drop_password(account).await?;
            work.remove_footholds(account, EndReason::EndedByOperator).await?;
            work.unit.challenges().remove(Purpose::RestoreEmail, account).await?;
            work.withdraw_factor_resets(account).await?;
        }
        let phone_factor = work.settle_phone_factor(account).await?;
        work.unit.sessions().end_all(account, EndReason::EndedByOperator, work.now).await?;
        // Those sessions may have made them.
        work.unit.access_tokens().remove_all(account).await?;
        work.audit(Action::IdentifierRemoved, account, json!({ "kind": found.kind })).await?;
        let promoted = successor.map(Identifier::shown);
        work.commit().await?;
        Ok(IdentifierRemoved { promoted, phone_factor })
    }
}

fn is(known: &Identifier, login: &LoginName) -> bool {
    known.kind == login.kind() && known.value == login.as_str()
}

/// Which identifier signs in once `gone` is removed: a verified one of its kind, named where there are several. None where
/// none has to.
fn successor_of<'a>(
    identifiers: &'a [Identifier],
    gone: &Identifier,
    named: Option<&LoginName>,
) -> Result<Option<&'a Identifier>, OperatorError> {
    if !gone.is_primary {
        return Ok(None);
    }
    let able =
        |known: &&Identifier| known.id != gone.id && known.kind == gone.kind && known.verified_at.is_some();
    let mut able = identifiers.iter().filter(able);
    match named {
        Some(named) => able.find(|known| is(known, named)).map(Some).ok_or(OperatorError::NoSuchIdentifier),
        None => match (able.next(), able.count()) {
            (successor, 0) => Ok(successor),
            (_, more) => Err(OperatorError::SeveralCouldSignIn(more + 1)),
        },
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
