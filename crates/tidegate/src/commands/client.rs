//! `tidegate client`

use serde_json::{Value, json};
use tidegate_crypto::PlainToken;
use tidegate_domain::logout::BackchannelUri;
use tidegate_domain::oauth::{AccessLevel, ClientAuthentication};
use tidegate_domain::{RedirectUri, Timestamp};
use tidegate_kernel::{Call, Refused};
use tidegate_oauth::applications::create::Registered;
use tidegate_oauth::applications::{
    Application, ApplicationChange, ApplicationError, ApplicationRule, ApplicationRules, ClientMetadata,
    NewApplication, RulesError,
};

use super::org::find;
use crate::cli::{
    Client, ClientChange, ClientCreate, ClientDelete, ClientList, ClientLogout, ClientSet, NamedClient,
};
use crate::config::Config;
use crate::failure::Failure;
use crate::installation::place;
use crate::output::{Answer, table};
use crate::wiring::{Opened, Purpose, open};

/// When a change of an application holds: servers remember them for so long.
const HOLDS: &str = "\nA running server acts on it within two seconds.";

pub(super) async fn run(config: &Config, command: Client) -> Result<Answer, Failure> {
    if let Client::Delete(ClientDelete { client, yes: false }) = &command {
        return Err(Failure::usage(format!("add --yes to delete {client}: it cannot be undone")));
    }
    let is_change = !matches!(
        command,
        Client::List(_) | Client::Show(_) | Client::Create(_) | Client::RegistrationToken(_)
    );
    let opened = open(config, &Purpose::Existing).await?;
    let answer = match command {
        Client::List(command) => list(config, &opened, &command).await,
        Client::Show(command) => show(&opened, &command).await,
        Client::Create(command) => create(&opened, command).await,
        Client::Logout(command) => logout(&opened, command).await,
        Client::Change(command) => change(&opened, command).await,
        Client::RegistrationToken(command) => super::registration_token::run(&opened, command).await,
        Client::RotateSecret(command) => rotate_secret(&opened, &command).await,
        Client::Suspend(command) => suspend(&opened, &command).await,
        Client::Resume(command) => resume(&opened, &command).await,
        Client::Set(command) => set(&opened, &command).await,
        Client::Delete(command) => delete(&opened, &command).await,
    };
    opened.close().await;
    let mut answer = answer?;
    if is_change {
        answer.text += HOLDS;
    }
    Ok(answer)
}

pub(super) fn call(opened: &Opened) -> Call {
    Call::from_cli(opened.kernel.settings().contracts.of_installation())
}

fn refused(refused: Refused<ApplicationError>) -> Failure {
    match refused {
        Refused::Rule(error @ ApplicationError::NotFound) => Failure::advised(
            "not_found",
            error.to_string().replace(" in this organization", ""),
            "`tidegate client list` lists all of them",
        ),
        Refused::Rule(error @ ApplicationError::NameTaken) => Failure::advised(
            "client_refused",
            error.to_string(),
            "`tidegate client list` shows the one there is",
        ),
        Refused::Rule(ApplicationError::Rule(rule)) => broken(rule),
        Refused::Rule(error) => Failure::new("client_refused", error.to_string()),
        Refused::Fault(fault) => fault.into(),
    }
}

/// With the flag that is missing, or one too many.
fn broken(rule: ApplicationRule) -> Failure {
    let advice = match rule {
        ApplicationRule::NoRedirectUri => "name one with --redirect-uri",
        ApplicationRule::PublicClientCredentials => {
            "leave out --grant client_credentials, or let it have a secret or a key (--auth-method)"
        }
        ApplicationRule::OwnScheme => "add --auth-method none",
        ApplicationRule::Metadata(_) => return Failure::new("client_refused", rule.to_string()),
    };
    Failure::advised("client_refused", rule.to_string(), advice)
}

async fn list(config: &Config, opened: &Opened, command: &ClientList) -> Result<Answer, Failure> {
    let organization = match command.organization {
        Some(name) => Some(find(opened, name).await?),
        None => None,
    };
    let limit = i64::from(command.limit);
    let listed = opened.oauth.applications_for_operator(organization, command.after, limit).await?;
    let json = listed.iter().map(described).collect();
    if listed.is_empty() {
        let place = place(config);
        let text = if organization.is_none() && command.after == 0 {
            format!("There is no application yet in {place}: `tidegate client create` registers one.")
        } else {
            format!("There is no such application in {place}.")
        };
        return Ok(Answer::new(text, json));
    }
    // First what the other commands take; the number is for `--after` alone.
    let rows: Vec<[String; 6]> = listed
        .iter()
        .map(|found| {
            [
                found.id.to_string(),
                found.name.clone(),
                found.organization.to_string(),
                status(found).to_owned(),
                found.last_used_at.map(Timestamp::iso_seconds).unwrap_or_default(),
                found.number.to_string(),
            ]
        })
        .collect();
    Ok(Answer::new(
        table(["CLIENT ID", "NAME", "ORGANIZATION", "STATUS", "LAST USED", "NUMBER"], &rows),
        json,
    ))
}

async fn show(opened: &Opened, command: &NamedClient) -> Result<Answer, Failure> {
    let found = opened.oauth.application_for_operator(command.client).await.map_err(refused)?;
    Ok(Answer::new(shown(&found), described(&found)))
}

async fn create(opened: &Opened, command: ClientCreate) -> Result<Answer, Failure> {
    let organization = find(opened, command.organization).await?;
    let mut metadata = ClientMetadata::default();
    let keys = command.metadata.keys().map_err(Failure::usage)?;
    let (grant_types, authentication) = (command.grant_types(), command.authentication());
    // Without a word about people, a program may be meant, and the grant was only left out.
    let may_be_program = command.grants.is_empty()
        && authentication != ClientAuthentication::None
        && !command.scope.contains("openid");
    command.metadata.apply(keys, &mut metadata);
    let new = NewApplication {
        grant_types,
        authentication,
        metadata,
        name: command.name,
        description: command.description,
        redirect_uris: command.redirect_uris,
        scopes: command.scope,
        access_level: AccessLevel::default(),
        logout: command.leaving.settings(),
    };
    let created = opened.oauth.create_application_for_operator(&call(opened), organization, &new).await;
    let Registered { application, secret } = created.map_err(|why| match why {
        Refused::Rule(ApplicationError::Rule(rule @ ApplicationRule::NoRedirectUri)) if may_be_program => {
            let advice = "add --grant client_credentials for such a program, or --redirect-uri URI for an application that signs \
                          people in";
            Failure::advised("client_refused", rule.to_string(), advice)
        }
        why => refused(why),
    })?;
    Ok(with_secret(&application, secret.as_ref()))
}

async fn change(opened: &Opened, command: ClientChange) -> Result<Answer, Failure> {
    let some = |list: Vec<_>| Some(list).filter(|list| !list.is_empty());
    let change = ApplicationChange {
        name: command.name,
        description: command.description,
        grant_types: Some(command.grants).filter(|grants| !grants.is_empty()),
        redirect_uris: some(command.redirect_uris),
        scopes: command.scope,
        ..ApplicationChange::default()
    };
    let method = command.metadata.auth_method;
    let keys = command.metadata.keys().map_err(Failure::usage)?;
    let edit = |metadata: &mut ClientMetadata| command.metadata.apply(keys, metadata);
    let (oauth, call) = (&opened.oauth, call(opened));
    let changed = oauth.change_application_for_operator(&call, command.client, change, method, edit).await;
    let changed = changed.map_err(refused)?;
    Ok(with_secret(&changed.application, changed.secret.as_ref()))
}

/// An application, and its secret where it is new.
fn with_secret(application: &Application, secret: Option<&PlainToken>) -> Answer {
    let mut text = shown(application);
    let mut json = described(application);
    let secret = secret.map(PlainToken::expose);
    if let Some(secret) = secret {
        text += &format!("\nclient_secret    {secret}\n\nKeep the secret: it is not shown again.");
    }
    if let Value::Object(fields) = &mut json {
        fields.insert("client_secret".to_owned(), json!(secret));
    }
    Answer::new(text, json)
}

async fn logout(opened: &Opened, command: ClientLogout) -> Result<Answer, Failure> {
    let settings = command.leaving.settings();
    let changed = opened.oauth.set_logout_for_operator(&call(opened), command.client, settings).await;
    let changed = changed.map_err(refused)?;
    Ok(Answer::new(shown(&changed), described(&changed)))
}

async fn rotate_secret(opened: &Opened, command: &NamedClient) -> Result<Answer, Failure> {
    let secret = opened.oauth.rotate_secret_for_operator(&call(opened), command.client).await;
    let secret = secret.map_err(refused)?;
    let text = format!(
        "client_secret    {}\n\nKeep it: it is not shown again. The application's tokens have ended.",
        secret.expose()
    );
    Ok(Answer::new(text, json!({ "client_id": command.client, "client_secret": secret.expose() })))
}

async fn suspend(opened: &Opened, command: &NamedClient) -> Result<Answer, Failure> {
    let suspended = opened.oauth.suspend_application(&call(opened), command.client).await;
    let suspended = suspended.map_err(refused)?;
    let text = format!(
        "{} is suspended: its tokens have ended, and its organization cannot enable it again.",
        suspended.name
    );
    Ok(Answer::new(text, described(&suspended)))
}

async fn resume(opened: &Opened, command: &NamedClient) -> Result<Answer, Failure> {
    let resumed = opened.oauth.resume_application(&call(opened), command.client).await;
    let resumed = resumed.map_err(refused)?;
    let text = format!("{} is {} now.", resumed.name, status(&resumed));
    Ok(Answer::new(text, described(&resumed)))
}

async fn set(opened: &Opened, command: &ClientSet) -> Result<Answer, Failure> {
    let set = opened.oauth.set_application_rules(&call(opened), command.client, command.change()).await;
    let set = set.map_err(|refused| match refused {
        Refused::Rule(error @ RulesError::NotFound) => {
            Failure::advised("not_found", error.to_string(), "`tidegate client list` lists all of them")
        }
        Refused::Rule(error) => Failure::new("client_refused", error.to_string()),
        Refused::Fault(fault) => fault.into(),
    })?;
    Ok(Answer::new(shown(&set), described(&set)))
}

fn status(application: &Application) -> &'static str {
    if application.is_suspended { "suspended" } else { application.status.as_str() }
}

async fn delete(opened: &Opened, command: &ClientDelete) -> Result<Answer, Failure> {
    let deleted = opened.oauth.delete_application_for_operator(&call(opened), command.client).await;
    let deleted = deleted.map_err(refused)?;
    let text = format!("{} is deleted, and its tokens have ended.", deleted.name);
    Ok(Answer::new(text, json!({ "client_id": deleted.id, "deleted": true })))
}

fn described(application: &Application) -> Value {
    json!({
        "number": application.number,
        "client_id": application.id,
        "organization_id": application.organization,
        "name": application.name,
        "description": application.description,
        "grant_types": application.grant_types.iter().map(|one| one.as_str()).collect::<Vec<_>>(),
        "redirect_uris": application.redirect_uris.iter().map(RedirectUri::as_str).collect::<Vec<_>>(),
        "scopes": application.scopes.names().collect::<Vec<_>>(),
        "access_level": application.access_level.as_str(),
        "token_endpoint_auth_method": application.authentication.as_str(),
        "post_logout_redirect_uris":
            application.logout.post_logout_redirect_uris.iter().map(RedirectUri::as_str).collect::<Vec<_>>(),
        "backchannel_logout_uri": told(application),
        "backchannel_logout_session_required": application.logout.session_required,
        "metadata": application.metadata.as_ref(),
        "registered_itself": application.is_self_registered(),
        "status": status(application),
        "dpop_bound_access_tokens": application.is_dpop_bound(),
        "userinfo_signed": application.gets_userinfo_signed(),
        "subject_type": if application.pairwise_sector().is_some() { "pairwise" } else { "public" },
        "sector": application.pairwise_sector(),
        "exchange_from": application.rules.exchange_from,
        "exchange_to": application.rules.exchange_to,
        "created_at": application.created_at.iso_seconds(),
        "last_used_at": application.last_used_at.map(Timestamp::iso_seconds),
    })
}

fn told(application: &Application) -> Option<&str> {
    application.logout.backchannel_uri.as_ref().map(BackchannelUri::as_str)
}

fn shown(application: &Application) -> String {
    let grants: Vec<&str> = application.grant_types.iter().map(|one| one.as_str()).collect();
    let uris: Vec<&str> = application.redirect_uris.iter().map(RedirectUri::as_str).collect();
    let left: Vec<&str> =
        application.logout.post_logout_redirect_uris.iter().map(RedirectUri::as_str).collect();
    let lines = [
        ("name", application.name.clone()),
        ("client_id", application.id.to_string()),
        ("organization", application.organization.to_string()),
        ("status", status(application).to_owned()),
        ("authentication", application.authentication.as_str().to_owned()),
        ("grants", grants.join(" ")),
        ("redirect URIs", uris.join(" ")),
        ("scopes", application.scopes.to_string()),
        ("after sign-out", left.join(" ")),
        ("back-channel URI", told(application).unwrap_or_default().to_owned()),
        ("rules", rules(&application.rules)),
        ("metadata", serde_json::to_string(application.metadata.as_ref()).unwrap_or_default()),
        ("created", application.created_at.iso_seconds()),
        ("last used", application.last_used_at.map_or_else(|| "never".to_owned(), Timestamp::iso_seconds)),
    ];
    lines.map(|(name, value)| format!("{name:<17}{value}")).join("\n")
}

/// What an operator decided.
fn rules(rules: &ApplicationRules) -> String {
    let exchange = (!rules.exchange_from.is_empty())
        .then(|| format!("exchanges {} for {}", rules.exchange_from.join(" "), rules.exchange_to.join(" ")));
    let all = [
        rules.dpop_bound.then(|| "DPoP only".to_owned()),
        rules.pairwise_sector.as_ref().map(|sector| format!("pairwise names of {sector}")),
        rules.userinfo_signed.then(|| "signed userinfo".to_owned()),
        exchange,
    ];
    let all: Vec<String> = all.into_iter().flatten().collect();
    if all.is_empty() { "none".to_owned() } else { all.join(", ") }
}
