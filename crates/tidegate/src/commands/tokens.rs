//! `tidegate user tokens`, `tidegate org tokens` and `tidegate org token-lifetime`

use serde_json::{Value, json};
use tidegate_domain::Timestamp;
use tidegate_identity::operator::Operator;
use tidegate_identity::operator::access_tokens::OrganizationTokensError;
use tidegate_kernel::Refused;
use tidegate_kernel::tables::access_tokens::AccessToken;

use super::org;
use super::user::refusal;
use crate::cli::{OrgTokenLifetime, OrgTokens, UserTokens};
use crate::failure::Failure;
use crate::output::{Answer, table};
use crate::wiring::Opened;

/// Lists an account's tokens, or revokes them.
pub(super) async fn of_account(
    opened: &Opened,
    operator: &Operator,
    command: UserTokens,
) -> Result<Answer, Failure> {
    let (name, revoking) = (&command.named.account, command.revoking);
    if revoking.revoke_all || revoking.revoke.is_some() {
        let outcome = opened.identity.revoke_account_tokens(operator, name, revoking.revoke).await;
        return Ok(revoked(outcome.map_err(refusal)?));
    }
    let tokens = opened.identity.account_tokens(operator, name).await.map_err(refusal)?;
    Ok(listed(&tokens, "The account has no access token."))
}

/// Lists the tokens of an organization, or revokes them.
pub(super) async fn of_organization(
    opened: &Opened,
    operator: &Operator,
    command: OrgTokens,
) -> Result<Answer, Failure> {
    let organization = org::find(opened, command.organization).await?;
    let revoking = command.revoking;
    if revoking.revoke_all || revoking.revoke.is_some() {
        let outcome =
            opened.identity.revoke_organization_tokens(operator, organization, revoking.revoke).await;
        return Ok(revoked(outcome.map_err(organization_refusal)?));
    }
    let tokens = opened.identity.organization_tokens(operator, organization).await?;
    Ok(listed(&tokens, "No access token was made for the organization."))
}

/// Sets for how long tokens of an organization live.
pub(super) async fn lifetime(
    opened: &Opened,
    operator: &Operator,
    command: OrgTokenLifetime,
) -> Result<Answer, Failure> {
    let organization = org::find(opened, command.organization).await?;
    let minutes = (command.minutes > 0).then_some(i64::from(command.minutes));
    let outcome = opened.identity.set_token_lifetime(operator, organization, minutes).await;
    outcome.map_err(organization_refusal)?;
    let text = match minutes {
        Some(minutes) => {
            format!(
                "Access tokens for organization {organization} live {minutes} minute(s) at most from now on."
            )
        }
        None => format!("Access tokens for organization {organization} live as long as their makers like."),
    };
    let json = json!({ "organization_id": organization.0, "access_token_expire_minutes": minutes });
    Ok(Answer::new(text, json))
}

fn organization_refusal(refused: Refused<OrganizationTokensError>) -> Failure {
    let rule = match refused {
        Refused::Rule(rule) => rule,
        Refused::Fault(fault) => return fault.into(),
    };
    let (code, advice) = match rule {
        OrganizationTokensError::UnknownOrganization => ("not_found", "; see `tidegate org list`"),
        OrganizationTokensError::NoSuchToken => ("no_such_token", "; see `tidegate org tokens`"),
    };
    Failure::new(code, format!("{rule}{advice}"))
}

fn revoked(count: usize) -> Answer {
    Answer::new(format!("{count} access token(s) revoked."), json!({ "revoked_tokens": count }))
}

fn listed(tokens: &[AccessToken], none: &str) -> Answer {
    let json = tokens.iter().map(shown).collect();
    if tokens.is_empty() {
        return Answer::new(none, json);
    }
    let rows: Vec<[String; 7]> = tokens
        .iter()
        .map(|token| {
            [
                token.number.to_string(),
                token.account_number.to_string(),
                token.organization_number.map(|number| number.to_string()).unwrap_or_default(),
                token.name.clone(),
                token.scopes.to_string(),
                token.expires_at.map_or("never".to_owned(), Timestamp::iso_seconds),
                token.last_used_at.map_or("never".to_owned(), Timestamp::iso_seconds),
            ]
        })
        .collect();
    let head = ["TOKEN", "ACCOUNT", "ORGANIZATION", "NAME", "SCOPES", "EXPIRES", "LAST USED"];
    Answer::new(table(head, &rows), json)
}

fn shown(token: &AccessToken) -> Value {
    json!({
        "number": token.number,
        "account": token.account_number,
        "organization": token.organization_number,
        "name": token.name,
        "scopes": token.scopes.names().collect::<Vec<_>>(),
        "created_at": token.created_at.iso_seconds(),
        "expires_at": token.expires_at.map(Timestamp::iso_seconds),
        "last_used_at": token.last_used_at.map(Timestamp::iso_seconds),
    })
}
