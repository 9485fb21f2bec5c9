//! `tidegate client registration-token`

use std::time::Duration;

use serde_json::{Value, json};
use tidegate_oauth::registration::InitialToken;

use super::client::call;
use super::org::find;
use crate::cli::{RegistrationToken, RegistrationTokenCreate};
use crate::failure::Failure;
use crate::output::{Answer, table};
use crate::wiring::Opened;

const DAY: u64 = 24 * 3_600;

pub(super) async fn run(opened: &Opened, command: RegistrationToken) -> Result<Answer, Failure> {
    match command {
        RegistrationToken::Create(command) => create(opened, command).await,
        RegistrationToken::List => list(opened).await,
        RegistrationToken::Delete(command) => {
            if !opened.oauth.delete_initial_token(&call(opened), command.id).await? {
                return Err(Failure::advised(
                    "not_found",
                    "there is no such registration token",
                    "`tidegate client registration-token list` lists those that can still be used",
                ));
            }
            let text = format!("{} is removed. Applications that it registered stay.", command.id);
            Ok(Answer::new(text, json!({ "id": command.id, "deleted": true })))
        }
    }
}

async fn create(opened: &Opened, command: RegistrationTokenCreate) -> Result<Answer, Failure> {
    let organization = find(opened, command.organization).await?;
    let lifetime = Duration::from_secs(u64::from(command.days) * DAY);
    let (made, token) =
        opened.oauth.create_initial_token(&call(opened), organization, command.uses, lifetime).await?;
    let mode = if opened.kernel.settings().oauth.rules.registration.is_on() {
        ""
    } else {
        "\n\nApplications cannot register themselves yet: set mode in [oauth.registration]."
    };
    let text = format!(
        "token      {}\nid         {}\nuses left  {}\nexpires    {}\n\nKeep it: it is not shown again.{mode}",
        token.expose(),
        made.id,
        made.uses_left,
        made.expires_at.iso_seconds()
    );
    let mut json = described(&made);
    if let Value::Object(fields) = &mut json {
        fields.insert("token".to_owned(), json!(token.expose()));
    }
    Ok(Answer::new(text, json))
}

async fn list(opened: &Opened) -> Result<Answer, Failure> {
    let tokens = opened.oauth.list_initial_tokens().await?;
    let json = tokens.iter().map(described).collect();
    if tokens.is_empty() {
        return Ok(Answer::new("There is no registration token that can still be used.", json));
    }
    let rows: Vec<[String; 4]> = tokens
        .iter()
        .map(|token| {
            let uses = token.uses_left.to_string();
            [token.id.to_string(), token.organization.to_string(), uses, token.expires_at.iso_seconds()]
        })
        .collect();
    Ok(Answer::new(table(["ID", "ORGANIZATION", "USES LEFT", "EXPIRES"], &rows), json))
}

fn described(token: &InitialToken) -> Value {
    json!({
        "id": token.id,
        "organization_id": token.organization,
        "uses_left": token.uses_left,
        "created_at": token.created_at.iso_seconds(),
        "expires_at": token.expires_at.iso_seconds(),
    })
}
