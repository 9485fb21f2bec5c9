//! `tidegate user`

use std::io::{self, BufRead, IsTerminal};

use serde_json::{Value, json};
use tidegate_crypto::SystemEntropy;
use tidegate_domain::account::Session;
use tidegate_domain::factor::FactorKind;
use tidegate_domain::{EmailAddress, Timestamp};
use tidegate_identity::credentials::factors::phone_gone::PhoneFactor;
use tidegate_identity::operator::accounts::AccountDetails;
use tidegate_identity::operator::create::{CreateIndividualError, CreatedIndividual, NewIndividual};
use tidegate_identity::operator::identifiers::IdentifierRemoved;
use tidegate_identity::operator::repository::{AccountFilter, AccountSummary};
use tidegate_identity::operator::{AccountName, Operator, OperatorError};
use tidegate_identity::recovery::reset_factors::FactorReset;
use tidegate_kernel::tables::audit::SignInEvent;
use tidegate_kernel::{Call, Refused};

use super::kept_out::{kept_out_json, kept_out_text};
use super::passwords::{how_to_hand_over, make_password, read_password, what_was_evicted};
use super::{consents, org, tokens};
use crate::cli::{
    Named, RemoveIdentifier, ResetMfa, UnblockProvider, User, UserCreate, UserDelete, UserList, UserSessions,
};
use crate::config::Config;
use crate::failure::Failure;
use crate::installation::place;
use crate::output::{Answer, table, tell};
use crate::wiring::{Opened, Purpose, open};

/// How an account is found by another name.
const LOOK_FOR_IT: &str = "look for it with `tidegate user list --search TEXT`";

pub(super) async fn run(config: &Config, command: User) -> Result<Answer, Failure> {
    // Before the database is opened: a missing password is reported without waiting for it.
    let typed = match &command {
        User::Create(UserCreate { password_stdin: true, .. }) => Some(read_password(io::stdin().lock())?),
        _ => None,
    };
    let opened = open(config, &Purpose::Existing).await?;
    let operator = operator(&opened);
    let answer = match command {
        User::List(command) => list(config, &opened, &operator, command).await,
        User::Show(Named { account }) => show(config, &opened, &operator, &account).await,
        User::Create(command) => {
            let rule = &opened.kernel.settings().contracts.of_installation().password;
            let (password, is_made) = match typed {
                Some(typed) => (typed, false),
                None => (make_password(rule, &SystemEntropy), true),
            };
            let display_name = command.name.unwrap_or_default();
            let claim = NewIndividual { email: command.email, display_name, password };
            create(&opened, &operator, claim, is_made).await
        }
        User::Disable(named) => disable(&opened, &operator, &named).await,
        User::Enable(named) => {
            let outcome = opened.identity.enable_account(&operator, &named.account).await;
            done(outcome, "The account is enabled and can sign in again.")
        }
        User::Unlock(named) => unlock(config, &opened, &operator, &named.account).await,
        User::UnblockProvider(UnblockProvider { named, provider, subject }) => {
            let identity = &opened.identity;
            let outcome = identity.unblock_provider(&operator, &named.account, &provider, &subject).await;
            done(outcome, "The owner can connect the account at the provider again, with a mailed code.")
        }
        User::Delete(command) => delete(&opened, &operator, &command).await,
        User::Sessions(command) => sessions(&opened, &operator, command).await,
        User::Tokens(command) => tokens::of_account(&opened, &operator, command).await,
        User::Consents(command) => consents::run(&opened, &operator, command).await,
        User::Export(named) => {
            let export = opened.identity.export_account(&operator, &named.account).await.map_err(refusal);
            export.map(Value::Object).map(|json| Answer::new(format!("{json:#}"), json))
        }
        User::RemoveIdentifier(command) => remove_identifier(&opened, &operator, &command).await,
        User::ResetMfa(command) => reset_mfa(&opened, &command).await,
    };
    opened.close().await;
    answer
}

/// Lifts what an operator can lift for one account, and says what still keeps it out.
async fn unlock(
    config: &Config,
    opened: &Opened,
    operator: &Operator,
    name: &AccountName,
) -> Result<Answer, Failure> {
    opened.identity.unlock_account(operator, name).await.map_err(refusal)?;
    let found = opened.identity.show_account(operator, name).await.map_err(refusal)?;
    let mut text = "Wrong passwords and codes counted so far keep the account out no longer.".to_owned();
    if !found.kept_out.is_empty() {
        text += " What a client network used up for all accounts still does:";
        text += &kept_out_text(&found, opened.kernel.now(), config);
    }
    let kept_out: Vec<Value> = found.kept_out.iter().map(kept_out_json).collect();
    Ok(Answer::new(text, json!({ "kept_out": kept_out })))
}

async fn reset_mfa(opened: &Opened, command: &ResetMfa) -> Result<Answer, Failure> {
    let call = Call::from_cli(opened.kernel.settings().contracts.of_installation());
    match opened.identity.reset_factors(&call, &command.email).await {
        Ok(reset) => Ok(factors_reset(&command.email, reset)),
        Err(Refused::Rule(rule)) => Err(Failure::new("reset_refused", rule.to_string())),
        Err(Refused::Fault(fault)) => Err(fault.into()),
    }
}

fn factors_reset(email: &EmailAddress, reset: FactorReset) -> Answer {
    match reset {
        FactorReset::Done(removed) => {
            let passkey = (!removed.passkeys.is_empty()).then_some("passkey");
            let removed: Vec<&str> =
                removed.kinds.into_iter().map(FactorKind::as_str).chain(passkey).collect();
            Answer::new(
                format!(
                    "Removed the second factors of {email}: {}. The account was signed out everywhere; its password is unchanged.",
                    removed.join(", ")
                ),
                json!({ "email": email.to_string(), "removed": removed }),
            )
        }
        FactorReset::At(at) => Answer::new(
            format!(
                "The second factors of {email} are removed at {}, unless the owner follows the link that was mailed.",
                at.iso_seconds()
            ),
            json!({ "email": email.to_string(), "removed": [], "takes_effect_at": at.iso_seconds() }),
        ),
        FactorReset::OnceConfirmed(until) => Answer::new(
            format!(
                "The second factors of {email} are removed when the owner follows the link that was mailed, until {}.",
                until.iso_seconds()
            ),
            json!({ "email": email.to_string(), "removed": [], "to_be_confirmed_until": until.iso_seconds() }),
        ),
    }
}

/// Who acts by a command.
pub(super) fn operator(opened: &Opened) -> Operator {
    Operator::at_command_line(opened.kernel.settings().contracts.of_installation())
}

fn done(outcome: Result<(), Refused<OperatorError>>, text: &str) -> Result<Answer, Failure> {
    outcome.map_err(refusal)?;
    Ok(Answer::new(text, json!({})))
}

pub(super) fn refusal(refused: Refused<OperatorError>) -> Failure {
    let rule = match refused {
        Refused::Rule(rule) => rule,
        Refused::Fault(fault) => return fault.into(),
    };
    let (code, advice) = match rule {
        OperatorError::NotFound => return Failure::advised("not_found", rule.to_string(), LOOK_FOR_IT),
        OperatorError::OwnsOthers(_) => ("owns_organization", ", with `tidegate org transfer`"),
        OperatorError::Deleted => ("deleted", ""),
        OperatorError::NoSuchIdentifier => ("no_such_identifier", "; see `tidegate user show`"),
        OperatorError::LastIdentifier => ("last_identifier", ""),
        OperatorError::SeveralCouldSignIn(_) => ("several_could_sign_in", "; see `tidegate user show`"),
        OperatorError::NoSuchToken => ("no_such_token", "; see `tidegate user tokens`"),
        OperatorError::NotBlocked => ("not_blocked", "; see `tidegate user export`"),
        OperatorError::NoSuchSession => ("no_such_session", "; see `tidegate user sessions`"),
    };
    Failure::new(code, format!("{rule}{advice}"))
}

async fn list(
    config: &Config,
    opened: &Opened,
    operator: &Operator,
    command: UserList,
) -> Result<Answer, Failure> {
    let organization = match command.organization {
        Some(name) => Some(org::find(opened, name).await?),
        None => None,
    };
    let filter = AccountFilter { organization, search: command.search, disabled: command.disabled };
    let limit = command.limit;
    let listed = opened.identity.list_accounts(operator, &filter, command.after, limit.into()).await?;
    let json = listed.iter().map(summary).collect();
    if listed.is_empty() {
        let is_any = filter.organization.is_none()
            && filter.search.is_empty()
            && !filter.disabled
            && command.after == 0;
        let place = place(config);
        let text = if is_any {
            format!(
                "There is no account yet in {place}: people sign up, or `tidegate user create` makes one."
            )
        } else {
            format!("There is no such account in {place}.")
        };
        return Ok(Answer::new(text, json));
    }
    let rows: Vec<[String; 6]> = listed
        .iter()
        .map(|found| {
            [
                found.number.to_string(),
                found.shown_login().unwrap_or_default(),
                found.display_name.clone(),
                found.kind.as_str().to_owned(),
                state(found).to_owned(),
                found.created_at.iso_seconds(),
            ]
        })
        .collect();
    let mut text = table(["NUMBER", "LOGIN", "NAME", "KIND", "STATE", "CREATED"], &rows);
    if let Some(last) = listed.last().filter(|_| u32::try_from(listed.len()) == Ok(limit)) {
        text += &format!("\nThere may be more: add --after {}", last.number);
    }
    Ok(Answer::new(text, json))
}

const fn state(found: &AccountSummary) -> &'static str {
    match (found.login.is_some(), found.disabled_at.is_some(), found.verified) {
        (false, _, _) => "deleted",
        (true, true, _) => "disabled",
        (true, false, false) if matches!(found.kind, tidegate_domain::account::AccountKind::Individual) => {
            "unverified"
        }
        (true, false, _) => "active",
    }
}

fn summary(found: &AccountSummary) -> Value {
    json!({
        "number": found.number,
        "account_id": found.id.0,
        "login": found.shown_login(),
        "display_name": found.display_name,
        "kind": found.kind.as_str(),
        "state": state(found),
        "created_at": found.created_at.iso_seconds(),
    })
}

async fn show(
    config: &Config,
    opened: &Opened,
    operator: &Operator,
    name: &AccountName,
) -> Result<Answer, Failure> {
    let found = opened.identity.show_account(operator, name).await.map_err(|refused| match refused {
        Refused::Rule(rule @ OperatorError::NotFound) => {
            Failure::advised("not_found", format!("{rule} in {}", place(config)), LOOK_FOR_IT)
        }
        other => refusal(other),
    })?;
    let kept_out = kept_out_text(&found, opened.kernel.now(), config);
    Ok(Answer::new(shown_text(&found, &kept_out), shown_json(&found)))
}

fn shown_text(found: &AccountDetails, kept_out: &str) -> String {
    let AccountDetails { summary, identifiers, has_password, organizations, sessions, sign_ins, .. } = found;
    let identifiers: Vec<[String; 4]> = identifiers
        .iter()
        .map(|known| {
            let verified = if known.verified_at.is_some() { "verified" } else { "not verified" };
            let primary = if known.is_primary { "signs in" } else { "" };
            [known.kind.clone(), known.shown(), verified.to_owned(), primary.to_owned()]
        })
        .collect();
    let organizations: Vec<[String; 4]> = organizations
        .iter()
        .map(|member| {
            let number = member.number.to_string();
            [number, member.name.clone(), member.role.as_str().to_owned(), member.joined_at.iso_seconds()]
        })
        .collect();
    let sign_ins: Vec<[String; 4]> = sign_ins
        .iter()
        .map(|event| {
            let reason = event.metadata.get("reason").and_then(Value::as_str).unwrap_or_default();
            let outcome = event.action.strip_prefix("auth.login.").unwrap_or(&event.action);
            [event.at.iso_seconds(), outcome.to_owned(), reason.to_owned(), event.ip.clone()]
        })
        .collect();
    format!(
        "{} (number {}, id {})\nState: {}{}\nName: {}\nPassword: {}\nCreated: {}\n\n{}\n\n{}\n\n{}\n\n{}",
        summary.shown_login().as_deref().unwrap_or("deleted account"),
        summary.number,
        summary.id,
        state(summary),
        kept_out,
        summary.display_name,
        if *has_password { "yes" } else { "none" },
        summary.created_at.iso_seconds(),
        table(["IDENTIFIER", "VALUE", "VERIFIED", ""], &identifiers),
        table(["ORGANIZATION", "NAME", "ROLE", "JOINED"], &organizations),
        session_table(sessions),
        table(["LAST SIGN-INS", "OUTCOME", "REASON", "ADDRESS"], &sign_ins),
    ) + &replay_text(&found.replays)
}

/// Sessions that a stolen token has ended, where there were any.
fn replay_text(replays: &[SignInEvent]) -> String {
    let line = |event: &SignInEvent| format!("\n  {}  from {}", event.at.iso_seconds(), event.ip);
    if replays.is_empty() {
        return String::new();
    }
    let lines: String = replays.iter().map(line).collect();
    format!(
        "\n\nEnded, because a refresh token was presented again after it had been replaced (it may have been stolen):{lines}"
    )
}

/// An event for programs.
fn event_json(event: &SignInEvent) -> Value {
    json!({
        "at": event.at.iso_seconds(),
        "action": event.action,
        "ip": event.ip,
        "user_agent": event.user_agent,
        "metadata": event.metadata,
    })
}

fn session_table(sessions: &[Session]) -> String {
    let rows: Vec<[String; 5]> = sessions
        .iter()
        .map(|session| {
            [
                session.number.to_string(),
                session.last_activity_at.iso_seconds(),
                session.expires_at.iso_seconds(),
                session.ip.clone(),
                session.user_agent.clone(),
            ]
        })
        .collect();
    table(["SESSION", "LAST ACTIVITY", "EXPIRES", "ADDRESS", "USER AGENT"], &rows)
}

fn session_json(session: &Session) -> Value {
    json!({
        "number": session.number,
        "organization_id": session.organization.0,
        "ip": session.ip,
        "user_agent": session.user_agent,
        "created_at": session.created_at.iso_seconds(),
        "last_activity_at": session.last_activity_at.iso_seconds(),
        "expires_at": session.expires_at.iso_seconds(),
    })
}

fn shown_json(found: &AccountDetails) -> Value {
    let mut json = summary(&found.summary);
    tidegate_domain::text::merge(
        &mut json,
        &json!({
            "has_password": found.has_password,
            "identifiers": found.identifiers.iter().map(|known| json!({
                "kind": known.kind,
                "value": known.shown(),
                "verified_at": known.verified_at.map(Timestamp::iso_seconds),
                "is_primary": known.is_primary,
            })).collect::<Vec<_>>(),
            "organizations": found.organizations.iter().map(|member| json!({
                "organization_id": member.id.0,
                "number": member.number,
                "name": member.name,
                "role": member.role.as_str(),
            })).collect::<Vec<_>>(),
            "sessions": found.sessions.iter().map(session_json).collect::<Vec<_>>(),
            "sign_ins": found.sign_ins.iter().map(event_json).collect::<Vec<_>>(),
            "replayed_tokens": found.replays.iter().map(event_json).collect::<Vec<_>>(),
            "kept_out": found.kept_out.iter().map(kept_out_json).collect::<Vec<_>>(),
        }),
    );
    json
}

async fn create(
    opened: &Opened,
    operator: &Operator,
    claim: NewIndividual,
    is_made: bool,
) -> Result<Answer, Failure> {
    let (email, password) = (claim.email.clone(), claim.password.clone());
    let CreatedIndividual { account, evicted } =
        opened.identity.provision_individual(operator, claim).await.map_err(|refused| match refused {
            Refused::Rule(rule @ CreateIndividualError::EmailTaken) => {
                Failure::new("email_taken", rule.to_string())
            }
            Refused::Rule(rule @ CreateIndividualError::WeakPassword(_)) => {
                Failure::new("weak_password", rule.to_string())
            }
            Refused::Fault(fault) => fault.into(),
        })?;
    let text = format!("Account {} ({email}) is created and can sign in.", account.number);
    let json = json!({
        "account_id": account.id.0,
        "number": account.number,
        "email": email.to_string(),
        "mailed": false,
        "evicted_account_id": evicted.map(|account| account.0),
    });
    let mut answer = Answer::new(text, json);
    if let (true, Some(fields)) = (is_made, answer.json.as_object_mut()) {
        fields.insert("password".to_owned(), json!(password.expose()));
        answer.text += &format!("\nPassword (shown only once): {}", password.expose());
    }
    answer.text += &format!("\n{}{}", how_to_hand_over(opened.mail_mode()), what_was_evicted(evicted));
    Ok(answer)
}

async fn disable(opened: &Opened, operator: &Operator, named: &Named) -> Result<Answer, Failure> {
    let ended = opened.identity.disable_account(operator, &named.account).await.map_err(refusal)?;
    Ok(Answer::new(
        format!(
            "The account is disabled; {ended} active session(s) ended, and its access tokens are revoked."
        ),
        json!({ "ended_sessions": ended }),
    ))
}

async fn remove_identifier(
    opened: &Opened,
    operator: &Operator,
    command: &RemoveIdentifier,
) -> Result<Answer, Failure> {
    let RemoveIdentifier { named, identifier, primary } = command;
    let identity = &opened.identity;
    let outcome = identity.remove_identifier(operator, &named.account, identifier, primary.as_ref()).await;
    let IdentifierRemoved { promoted, phone_factor } = outcome.map_err(refusal)?;
    let mut text = "The identifier is removed, and the account's sessions are ended.".to_owned();
    if let Some(promoted) = &promoted {
        text += &format!(
            " {promoted} signs in in its place; if it is an address, its owner sets a new password by a reset."
        );
    }
    let sms_otp = match phone_factor {
        PhoneFactor::Unaffected => Value::Null,
        PhoneFactor::Removed => {
            text += " Codes by text message are no second factor any more; another one is still asked for.";
            json!("removed")
        }
        PhoneFactor::Unreachable { backup_codes } => {
            text += &format!(
                " Its second factor, codes by text message, cannot be shown any more: {backup_codes} backup code(s) are left. \
                 `tidegate user reset-mfa` removes the factor."
            );
            json!("unreachable")
        }
    };
    Ok(Answer::new(text, json!({ "primary": promoted, "sms_otp": sms_otp })))
}

async fn delete(opened: &Opened, operator: &Operator, command: &UserDelete) -> Result<Answer, Failure> {
    let found = opened.identity.show_account(operator, &command.named.account).await.map_err(refusal)?;
    if !command.yes {
        let login = found.summary.shown_login().unwrap_or_default();
        if !io::stdin().is_terminal() {
            return Err(Failure::usage(format!("add --yes to delete {login}: it cannot be undone")));
        }
        tell(&format!("Delete {login} with all sessions and data? This cannot be undone. Type yes:"));
        let mut typed = String::new();
        let read = io::stdin().lock().read_line(&mut typed);
        if read.is_err() || typed.trim() != "yes" {
            return Err(Failure::new("not_confirmed", "nothing was deleted"));
        }
    }
    // The account that was shown, whoever has its name by now.
    let shown = AccountName::Id(found.summary.id);
    let outcome = opened.identity.delete_account_for_operator(operator, &shown).await;
    done(outcome, "The account is deleted.")
}

async fn sessions(opened: &Opened, operator: &Operator, command: UserSessions) -> Result<Answer, Failure> {
    let name = &command.named.account;
    if command.end_all || command.end.is_some() {
        let ended =
            opened.identity.end_account_sessions(operator, name, command.end).await.map_err(refusal)?;
        return Ok(Answer::new(format!("{ended} session(s) ended."), json!({ "ended_sessions": ended })));
    }
    let found = opened.identity.show_account(operator, name).await.map_err(refusal)?;
    let json = found.sessions.iter().map(session_json).collect();
    if found.sessions.is_empty() {
        let text = "The account has no active session.".to_owned() + &replay_text(&found.replays);
        return Ok(Answer::new(text, json));
    }
    Ok(Answer::new(session_table(&found.sessions) + &replay_text(&found.replays), json))
}
