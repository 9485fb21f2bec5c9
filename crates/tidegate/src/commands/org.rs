//! `tidegate org`

use std::io::Read;

use serde_json::json;
use tidegate_crypto::SystemEntropy;
use tidegate_domain::{Entropy, Password, PasswordRule};
use tidegate_identity::provisioning::provision::{Provision, ProvisionError};
use tidegate_kernel::{Call, Refused};

use crate::cli::{Org, OrgCreate, OrgTransfer};
use crate::config::Config;
use crate::failure::Failure;
use crate::output::Answer;
use crate::wiring::{Opened, Purpose, open};

/// Characters of a password that is made here: 24 of 66 are 145 bits.
const PASSWORD_LENGTH: usize = 24;
/// Longest password read from standard input, in bytes: more than any contract takes.
const LONGEST_INPUT: u64 = 16 * 1024;

pub(super) async fn run(config: &Config, command: Org) -> Result<Answer, Failure> {
    match command {
        Org::Create(command) => create_in(config, command).await,
        Org::Transfer(command) => transfer_in(config, &command).await,
    }
}

async fn create_in(config: &Config, command: OrgCreate) -> Result<Answer, Failure> {
    // Before the database is opened: a missing password is reported without waiting for it.
    let typed =
        if command.root_password_stdin { Some(read_password(std::io::stdin().lock())?) } else { None };
    let opened = open(config, &Purpose::Create).await?;
    let answer = create(&opened, command, typed).await;
    opened.close().await;
    answer
}

async fn transfer_in(config: &Config, command: &OrgTransfer) -> Result<Answer, Failure> {
    let opened = open(config, &Purpose::Existing).await?;
    let (organization, to) = (command.organization, &command.to);
    let call = Call::from_cli(opened.kernel.settings().contracts.of_installation());
    let outcome = opened.identity.transfer_ownership(&call, organization, to).await;
    opened.close().await;
    match outcome {
        Ok(()) => Ok(Answer::new(
            format!(
                "Organization {organization} is now owned by {to}. Its former owner is an admin; both were signed out."
            ),
            json!({
                "organization_id": organization.0,
                "org_id": organization.opaque(),
                "owner_email": to.as_str(),
            }),
        )),
        Err(Refused::Rule(rule)) => Err(Failure::new("transfer_refused", rule.to_string())),
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
            "email": email.as_str(),
        }),
    );
    if let (Some(made), Some(fields)) = (made, answer.json.as_object_mut()) {
        fields.insert("password".to_owned(), json!(made.expose()));
        answer.text += &format!("\nPassword (shown only once): {}", made.expose());
    }
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

/// The first line, without its end.
fn read_password(input: impl Read) -> Result<Password, Failure> {
    let mut text = String::new();
    input.take(LONGEST_INPUT).read_to_string(&mut text).map_err(|error| {
        Failure::new("input", format!("the password cannot be read from standard input: {error}"))
    })?;
    match text.lines().next() {
        Some(line) if !line.is_empty() => Ok(Password::new(line)),
        _ => Err(Failure::new(
            "input",
            "standard input contains no password; write it there as one line, or omit --root-password-stdin",
        )),
    }
}

/// A password of every kind of character, none of them easily taken for another or of meaning to a shell.
fn make_password(rule: &PasswordRule, entropy: &dyn Entropy) -> Password {
    const KINDS: [&[u8]; 4] =
        [b"ABCDEFGHJKLMNPQRSTUVWXYZ", b"abcdefghijkmnopqrstuvwxyz", b"23456789", b"-_.+:="];
    let all: Vec<u8> = KINDS.concat();
    let length = PASSWORD_LENGTH.max(rule.min_length);
    loop {
        let text: String = (0..length).filter_map(|_| pick(&all, entropy)).collect();
        let has_all = KINDS.iter().all(|kind| text.bytes().any(|c| kind.contains(&c)));
        // Drawing anew, unlike putting the missing kind somewhere, leaves all passwords equally likely.
        if has_all {
            return Password::new(text);
        }
    }
}

fn pick(from: &[u8], entropy: &dyn Entropy) -> Option<char> {
    let index = entropy.below(u32::try_from(from.len()).ok()?);
    from.get(usize::try_from(index).ok()?).map(|c| char::from(*c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_made_password_satisfies_any_rule_of_kinds() {
        let rule = PasswordRule {
            min_length: 8,
            max_length: 128,
            upper: true,
            lower: true,
            digit: true,
            symbol: true,
        };
        for _ in 0..100 {
            let password = make_password(&rule, &SystemEntropy);
            assert_eq!(rule.check(&password), Ok(()));
            assert_eq!(password.expose().len(), PASSWORD_LENGTH);
        }
    }

    #[test]
    fn a_typed_password_is_the_first_line_spaces_included() {
        let read = |text: &str| read_password(text.as_bytes()).map(|password| password.expose().to_owned());
        assert_eq!(read(" two words \r\n").unwrap(), " two words ");
        assert_eq!(read("no end").unwrap(), "no end");
        assert!(read("").is_err() && read("\n").is_err());
    }
}
