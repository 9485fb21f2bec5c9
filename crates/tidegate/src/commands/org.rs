//! `tidegate org`

use serde_json::{Value, json};
use tidegate_crypto::SystemEntropy;
use tidegate_domain::Password;
use tidegate_domain::id::OrganizationId;
use tidegate_identity::operator::organizations::OrganizationDetails;
use tidegate_identity::operator::repository::OrganizationSummary;
use tidegate_identity::provisioning::provision::{Provision, ProvisionError};
use tidegate_kernel::{Call, Refused};

use crate::cli::{
    Elsewhere, Org, OrgCreate, OrgList, OrgSecondFactor, OrgTokenLifetime, OrgTokens, OrgTransfer,
    OrganizationName,
};
use crate::commands::org_storage;
use crate::commands::passwords::{how_to_hand_over, make_password, read_password, what_was_evicted};
use crate::commands::tokens;
use crate::commands::user::operator;
use crate::config::Config;
use crate::failure::Failure;
use crate::installation::place;
use crate::output::{Answer, table};
use crate::wiring::{Opened, Purpose, open};

pub(super) async fn run(config: &Config, command: Org) -> Result<Answer, Failure> {
    match command {
        Org::List(command) => list_in(config, &command).await,
        Org::Show(command) => show_in(config, command.organization).await,
        Org::Create(command) => create_in(config, command).await,
        Org::Transfer(command) => transfer_in(config, &command).await,
        Org::Tokens(command) => tokens_in(config, command).await,
        Org::TokenLifetime(command) => token_lifetime_in(config, command).await,
        Org::SecondFactor(command) => second_factor_in(config, &command).await,
        Org::Storage(command) => org_storage::run(config, &command).await,
    }
}

async fn create_in(config: &Config, command: OrgCreate) -> Result<Answer, Failure> {
    // Before the database is opened: a missing password is reported without waiting for it.
    let typed =
        if command.root_password_stdin { Some(read_password(std::io::stdin().lock())?) } else { None };
    let opened = open(config, &Purpose::of_command(command.new)).await?;
    let answer = create(&opened, command, typed).await;
    opened.close().await;
    answer
}

async fn transfer_in(config: &Config, command: &OrgTransfer) -> Result<Answer, Failure> {
    let opened = open(config, &Purpose::Existing).await?;
    let answer = transfer(&opened, command).await;
    opened.close().await;
    answer
}

async fn transfer(opened: &Opened, command: &OrgTransfer) -> Result<Answer, Failure> {
    let organization = find(opened, command.organization).await?;
    let to = &command.to;
    let call = Call::from_cli(opened.kernel.settings().contracts.of_installation());
    match opened.identity.transfer_ownership(&call, organization, to).await {
        Ok(()) => Ok(Answer::new(
            format!(
                "Organization {organization} is now owned by {to}. Its former owner is an admin; both were signed out."
            ),
            json!({
                "organization_id": organization.0,
                "org_id": organization.opaque(),
                "owner_email": to.to_string(),
            }),
        )),
        Err(Refused::Rule(rule)) => Err(Failure::new("transfer_refused", rule.to_string())),
        Err(Refused::Fault(fault)) => Err(fault.into()),
    }
}

/// The key of the organization of that name.
pub(super) async fn find(opened: &Opened, name: OrganizationName) -> Result<OrganizationId, Failure> {
    let number = match name {
        OrganizationName::Id(id) => return Ok(id),
        OrganizationName::Number(number) => number,
    };
    let found = opened.identity.organization_numbered(&operator(opened), number).await?;
    found.ok_or_else(|| not_found(number))
}

fn not_found(which: impl std::fmt::Display) -> Failure {
    Failure::new("not_found", format!("there is no organization {which}; see `tidegate org list`"))
}

async fn list_in(config: &Config, command: &OrgList) -> Result<Answer, Failure> {
    let opened = open(config, &Purpose::Existing).await?;
    let OrgList { search, shared, after, limit } = command;
    let operator = operator(&opened);
    let listed =
        opened.identity.list_organizations(&operator, search, *shared, *after, (*limit).into()).await;
    opened.close().await;
    let listed = listed?;
    let json = listed.iter().map(summary).collect();
    if listed.is_empty() {
        let place = place(config);
        let text = if search.is_empty() && !shared && *after == 0 {
            format!(
                "There is no organization yet in {place}: each account comes with one, and `tidegate org create` makes others."
            )
        } else {
            format!("There is no such organization in {place}.")
        };
        return Ok(Answer::new(text, json));
    }
    let rows: Vec<[String; 6]> = listed
        .iter()
        .map(|found| {
            [
                found.number.to_string(),
                found.id.to_string(),
                found.name.clone(),
                found.owner.clone().unwrap_or_default(),
                found.members.to_string(),
                found.created_at.iso_seconds(),
            ]
        })
        .collect();
    let mut text = table(["NUMBER", "ID", "NAME", "OWNER", "MEMBERS", "CREATED"], &rows);
    if let Some(last) = listed.last().filter(|_| u32::try_from(listed.len()) == Ok(*limit)) {
        text += &format!("\nThere may be more: add --after {}", last.number);
    }
    Ok(Answer::new(text, json))
}

fn summary(found: &OrganizationSummary) -> Value {
    json!({
        "number": found.number,
        "organization_id": found.id.0,
        "org_id": found.id.opaque(),
        "name": found.name,
        "plan": found.plan,
        "owner": found.owner,
        "members": found.members,
        "created_at": found.created_at.iso_seconds(),
    })
}

async fn show_in(config: &Config, name: OrganizationName) -> Result<Answer, Failure> {
    let opened = open(config, &Purpose::Existing).await?;
    let answer = show(&opened, name).await;
    opened.close().await;
    answer
}

async fn show(opened: &Opened, name: OrganizationName) -> Result<Answer, Failure> {
    let id = find(opened, name).await?;
    let found = opened.identity.show_organization(&operator(opened), id).await?;
    let OrganizationDetails { summary: found, members, workspaces, managed_domains } =
        found.ok_or_else(|| not_found(id))?;
    let rows: Vec<[String; 4]> = members
        .iter()
        .map(|member| {
            let state = match (member.is_home, member.accepted) {
                (_, false) => "invited",
                (true, true) => "managed here",
                (false, true) => "",
            };
            [
                member.login.clone().unwrap_or_default(),
                member.role.clone(),
                state.to_owned(),
                member.account.to_string(),
            ]
        })
        .collect();
    let names: Vec<&str> = workspaces.iter().map(|workspace| workspace.name.as_str()).collect();
    let text = format!(
        "{} (number {}, id {})\nOwner: {}\nPlan: {}\nCreated: {}\nWorkspaces: {}\nManaged domains: {}\nMembers: {}\n\n{}",
        found.name,
        found.number,
        found.id,
        found.owner.as_deref().unwrap_or("none"),
        found.plan,
        found.created_at.iso_seconds(),
        names.join(", "),
        if managed_domains.is_empty() { "none".to_owned() } else { managed_domains.join(", ") },
        found.members,
        table(["MEMBER", "ROLE", "STATE", "ACCOUNT"], &rows),
    );
    let mut json = summary(&found);
    tidegate_domain::text::merge(
        &mut json,
        &json!({
            "workspaces": workspaces.iter().map(|workspace| json!({
                "id": workspace.number, "name": workspace.name, "slug": workspace.slug, "is_default": workspace.is_default,
            })).collect::<Vec<_>>(),
            "managed_domains": managed_domains,
            "accounts": members.iter().map(|member| json!({
                "account_id": member.account.0, "login": member.login, "role": member.role, "is_home": member.is_home,
                "accepted": member.accepted,
            })).collect::<Vec<_>>(),
        }),
    );
    Ok(Answer::new(text, json))
}

async fn second_factor_in(config: &Config, command: &OrgSecondFactor) -> Result<Answer, Failure> {
    let opened = open(config, &Purpose::Existing).await?;
    let answer = second_factor(&opened, command).await;
    opened.close().await;
    answer
}

async fn tokens_in(config: &Config, command: OrgTokens) -> Result<Answer, Failure> {
    let opened = open(config, &Purpose::Existing).await?;
    let answer = tokens::of_organization(&opened, &operator(&opened), command).await;
    opened.close().await;
    answer
}

async fn token_lifetime_in(config: &Config, command: OrgTokenLifetime) -> Result<Answer, Failure> {
    let opened = open(config, &Purpose::Existing).await?;
    let answer = tokens::lifetime(&opened, &operator(&opened), command).await;
    opened.close().await;
    answer
}

async fn second_factor(opened: &Opened, command: &OrgSecondFactor) -> Result<Answer, Failure> {
    let organization = find(opened, command.organization).await?;
    let admits = command.elsewhere == Elsewhere::Admit;
    let call = Call::from_cli(opened.kernel.settings().contracts.of_installation());
    match opened.identity.set_second_factor_rule(&call, organization, admits).await {
        Ok(()) => {
            let what = if admits { "admitted without it" } else { "refused" };
            Ok(Answer::new(
                format!(
                    "Members of organization {organization} with a second factor are {what} where clients cannot ask for it."
                ),
                json!({ "organization_id": organization.0, "admits_without_second_factor": admits }),
            ))
        }
        Err(Refused::Rule(rule)) => Err(Failure::new("rule_refused", rule.to_string())),
        Err(Refused::Fault(fault)) => Err(fault.into()),
    }
}

async fn create(opened: &Opened, command: OrgCreate, typed: Option<Password>) -> Result<Answer, Failure> {
    // The owner can sign in through every contract, so every contract's password rule holds.
    let call = Call::from_cli(opened.kernel.settings().contracts.of_installation());
    let made = typed.is_none().then(|| make_password(&call.profile.password, &SystemEntropy));
    let Some(owner_password) = typed.or_else(|| made.clone()) else {
        return Err(Failure::internal("no password"));
    };
    let email = command.root_email;
    let claim = Provision {
        name: command.name.clone(),
        owner_email: email.clone(),
        owner_password,
        managed_domains: command.managed_domain,
    };
    let provisioned = opened.identity.provision(&call, claim).await.map_err(refusal)?;
    let mut answer = Answer::new(
        format!(
            "Organization {} ({}) is owned by {email} (account {}).",
            command.name, provisioned.organization.0, provisioned.owner.id.0
        ),
        json!({
            "organization_id": provisioned.organization.0,
            "org_id": provisioned.organization.opaque(),
            "account_id": provisioned.owner.id.0,
            "email": email.to_string(),
            "mailed": false,
            "evicted_account_id": provisioned.evicted.map(|account| account.0),
        }),
    );
    if let (Some(made), Some(fields)) = (made, answer.json.as_object_mut()) {
        fields.insert("password".to_owned(), json!(made.expose()));
        answer.text += &format!("\nPassword (shown only once): {}", made.expose());
    }
    let evicted = what_was_evicted(provisioned.evicted);
    answer.text += &format!("\n{}{evicted}", how_to_hand_over(opened.mail_mode()));
    Ok(answer)
}

fn refusal(refused: Refused<ProvisionError>) -> Failure {
    match refused {
        Refused::Rule(rule @ ProvisionError::EmailTaken) => Failure::new("email_taken", rule.to_string()),
        Refused::Rule(rule @ ProvisionError::DomainTaken(_)) => {
            Failure::new("domain_taken", rule.to_string())
        }
        Refused::Rule(rule @ ProvisionError::WeakPassword(_)) => {
            Failure::new("weak_password", rule.to_string())
        }
        Refused::Fault(fault) => fault.into(),
    }
}
