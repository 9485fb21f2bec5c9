//! `tidegate user consents`

use serde_json::{Value, json};
use tidegate_identity::operator::Operator;
use tidegate_kernel::{Call, Refused};

use super::user::refusal;
use crate::cli::UserConsents;
use crate::failure::Failure;
use crate::output::{Answer, table};
use crate::wiring::Opened;

/// Lists the applications that have access to an account, or takes it from one.
pub(super) async fn run(
    opened: &Opened,
    operator: &Operator,
    command: UserConsents,
) -> Result<Answer, Failure> {
    let found = opened.identity.show_account(operator, &command.named.account).await.map_err(refusal)?;
    let account = found.summary.id;
    if let Some(client) = command.revoke {
        let call = Call::from_cli(opened.kernel.settings().contracts.of_installation());
        let revoked = opened.oauth.revoke_consent_for_operator(&call, account, client).await;
        return match revoked {
            Ok(()) => Ok(Answer::new(
                "The application has no access any more: its sessions have ended.",
                json!({ "client_id": client, "revoked": true }),
            )),
            Err(Refused::Rule(rule)) => {
                Err(Failure::new("no_such_consent", format!("{rule}; see `tidegate user consents`")))
            }
            Err(Refused::Fault(fault)) => Err(fault.into()),
        };
    }
    let consents = opened.oauth.consents_for_operator(account).await?;
    let json: Value = consents
        .iter()
        .map(|consent| {
            json!({
                "client_id": consent.application,
                "name": consent.name,
                "organization": consent.organization,
                "given_through": consent.given_through,
                "scopes": consent.scopes.names().collect::<Vec<_>>(),
                "created_at": consent.created_at.iso_seconds(),
                "updated_at": consent.updated_at.iso_seconds(),
            })
        })
        .collect();
    if consents.is_empty() {
        return Ok(Answer::new("No application has access to the account.", json));
    }
    let rows: Vec<[String; 6]> = consents
        .into_iter()
        .map(|consent| {
            [
                consent.application.to_string(),
                consent.name,
                consent.organization,
                consent.given_through,
                consent.scopes.to_string(),
                consent.updated_at.iso_seconds(),
            ]
        })
        .collect();
    let head = ["CLIENT ID", "NAME", "ORGANIZATION", "THROUGH", "SCOPES", "SINCE"];
    Ok(Answer::new(table(head, &rows), json))
}
