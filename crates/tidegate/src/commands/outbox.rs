//! `tidegate outbox`

use serde_json::{Value, json};
use tidegate_domain::Timestamp;
use tidegate_domain::account::LoginName;
use tidegate_identity::operator::codes::CodeState;
use tidegate_identity::operator::{AccountName, Operator};
use tidegate_kernel::Kernel;
use tidegate_kernel::deliver::OutboxEntry;
use tidegate_kernel::tables::outbox::{Message, State};

use super::user::operator;
use crate::cli::{DeadMessage, Outbox, OutboxCode, OutboxList, OutboxShow};
use crate::config::Config;
use crate::failure::{Failure, without_numbers};
use crate::installation::{Served, place, served};
use crate::output::{Answer, table};
use crate::wiring::{Opened, Purpose, open};

/// How far back a code or a number is looked for.
const LOOKED_THROUGH: i64 = 1_000;
/// How a message comes to be sent again that has no way of its own.
const REPEAT: &str = "repeat the request that sent it";

pub(super) async fn run(config: &Config, command: Outbox) -> Result<Answer, Failure> {
    let opened = open(config, &Purpose::Existing).await?;
    let kernel = &opened.kernel;
    let answer = match command {
        Outbox::List(command) => list(kernel, &command).await,
        Outbox::Code(command) => code(config, &opened, &command).await,
        Outbox::Show(command) => show(kernel, &command).await,
        Outbox::Retry(DeadMessage { number }) => {
            let was = kernel.retry_message(number).await?;
            let what = match was {
                Some(State::Pending) => "was pending; it is tried at once",
                _ => "is tried again",
            };
            settled(was.is_some(), number, what, "dead or pending")
        }
        Outbox::Drop(DeadMessage { number }) => {
            settled(kernel.drop_message(number).await?, number, "is removed", "dead")
        }
    };
    opened.close().await;
    answer
}

async fn list(kernel: &Kernel, command: &OutboxList) -> Result<Answer, Failure> {
    let entries = kernel.list_outbox(command.to.as_ref(), command.limit.into()).await?;
    let json = entries.iter().map(json_of).collect();
    if entries.is_empty() {
        let text = match &command.to {
            None => "The outbox is empty: nothing was to be sent yet. IngestIQ's register sends no mail, and `tidegate user create` neither.".to_owned(),
            Some(to) => format!("Nothing was to be sent to {}.", to.as_str()),
        };
        return Ok(Answer::new(text, json));
    }
    let rows: Vec<[String; 11]> = entries
        .iter()
        .map(|OutboxEntry { message, .. }| {
            let next = next_attempt(&message.state, message.next_attempt_at());
            [
                message.number.to_string(),
                message.standing().to_owned(),
                message.attempts.to_string(),
                message.channel.clone(),
                message.template.clone(),
                message.recipient.clone(),
                message.created_at().iso_seconds(),
                next.or(message.settled_at()).map(Timestamp::iso_seconds).unwrap_or_default(),
                message.provider.clone().unwrap_or_default(),
                receipt(message),
                message.last_error.as_deref().map(without_numbers).unwrap_or_default(),
            ]
        })
        .collect();
    let heads = [
        "NUMBER",
        "STATE",
        "ATTEMPTS",
        "CHANNEL",
        "TEMPLATE",
        "TO",
        "CREATED",
        "NEXT OR SETTLED",
        "PROVIDER",
        "RECEIPT",
        "LAST ERROR",
    ];
    Ok(Answer::new(table(heads, &rows), json))
}

async fn code(config: &Config, opened: &Opened, command: &OutboxCode) -> Result<Answer, Failure> {
    let entries = opened.kernel.list_outbox(Some(&command.to), LOOKED_THROUGH).await?;
    // What was never to be sent only looks like a message with a code.
    let mut sent = entries.iter().filter(|entry| entry.message.state != State::Discarded.as_str()).peekable();
    let to = command.to.as_str();
    let other = sent.peek().and_then(|entry| in_place_of_code(to, entry));
    let again = sent.peek().map(|entry| how_to_repeat(&entry.message));
    let operator = operator(opened);
    let mut newest = None;
    for entry in sent {
        let Some(code) = entry.code() else { continue };
        match opened.identity.code_state(&operator, entry).await? {
            CodeState::Usable(until) => return Ok(usable(entry, code, until)),
            state => newest = newest.or(Some((entry, state))),
        }
    }
    if let Some(other) = other {
        return Err(other);
    }
    Err(match newest {
        Some((entry, state)) => not_usable(to, &entry.message, state),
        None if !entries.is_empty() => Failure::advised(
            "no_code",
            format!("there is no readable code for {to}: what was sent there is gone"),
            format!(
                "it was delivered, or a provider took it (codes stay readable with `tidegate serve --dev` and no [mail.smtp] or \
                 [sms]): see `tidegate outbox list --to {to}`; for a new one {}",
                again.unwrap_or(REPEAT)
            ),
        ),
        None if is_unverified(opened, &operator, &command.to).await => Failure::advised(
            "no_code",
            format!("there is no code for {to}: an account has it, and nothing was sent"),
            "IngestIQ's register sends no code; sign in at /account to get one",
        ),
        None => no_code(config, to),
    })
}

/// What the newest mail to an address is, where it is another one than was waited for.
fn in_place_of_code(to: &str, newest: &OutboxEntry) -> Option<Failure> {
    let number = newest.message.number;
    let (what, advice) = match newest.message.template.as_str() {
        // Who signs up with an address that has an account is mailed that, and no code.
        "address_in_use" => (
            "an account has that address, and the newest mail to it says so",
            format!(
                "sign in with it, or sign up with another; `tidegate outbox show {number}` shows the mail"
            ),
        ),
        "invitation" | "password_reset" | "email_addition" if newest.link().is_some() => (
            "the newest mail to it has a link in place of one",
            format!("`tidegate outbox show {number}` shows the mail"),
        ),
        _ => return None,
    };
    Some(Failure::advised("no_code", format!("there is no code for {to}: {what}"), advice))
}

/// Whether an account has the address, and has yet to verify it.
async fn is_unverified(opened: &Opened, operator: &Operator, login: &LoginName) -> bool {
    let found = opened.identity.show_account(operator, &AccountName::Login(login.clone())).await;
    found.is_ok_and(|found| !found.summary.verified)
}

/// Why there may be none: also because the server that was asked for it is another one.
fn no_code(config: &Config, to: &str) -> Failure {
    let place = place(config);
    let advice = match served(config) {
        Served::Nowhere => format!(
            "no server serves {place} just now: what listens at http://{} or where you asked for the code is another server, or \
             another program. Start this one with `tidegate serve --dev`, or give this command the --data-dir, --database or --config of \
             the other. What this one has sent so far, and to whom: `tidegate outbox list --to {to}`",
            config.listen
        ),
        Served::At { address, .. } => format!(
            "{place} is served at http://{address}: if you asked for the code elsewhere, give this command the --data-dir, --database or \
             --config of that server. If you asked there, none was sent, or a provider took it (codes stay readable with `tidegate serve \
             --dev` and no [mail.smtp] or [sms]): see `tidegate outbox list --to {to}`"
        ),
        Served::Unknown => format!(
            "this looked into {place}: if the server that you asked has another database, name that. Else none was sent, or a provider \
             took it (codes stay readable with `tidegate serve --dev` and no [mail.smtp] or [sms]): see `tidegate outbox list --to {to}`"
        ),
    };
    Failure::advised("no_code", format!("there is no readable code for {to} in {place}"), advice)
}

fn usable(entry: &OutboxEntry, code: &str, until: Timestamp) -> Answer {
    let json = json!({
        "code": code,
        "to": entry.message.recipient,
        "number": entry.message.number,
        "template": entry.message.template,
        "created_at": entry.message.created_at().iso_seconds(),
        "expires_at": until.iso_seconds(),
    });
    Answer::new(code, json)
}

/// Why the newest code that was sent is of no use any more, and how there comes to be another.
fn not_usable(to: &str, message: &Message, state: CodeState) -> Failure {
    let (code, what) = match state {
        CodeState::Used(at) => ("code_used", format!("was used at {}: a code works once", at.iso_seconds())),
        CodeState::Expired(at) => ("code_expired", format!("expired at {}", at.iso_seconds())),
        CodeState::Blocked => ("code_blocked", "is blocked: too many wrong ones were tried".to_owned()),
        CodeState::Withdrawn | CodeState::Usable(_) => {
            ("code_withdrawn", "was withdrawn, or expired long ago".to_owned())
        }
    };
    let sent = message.created_at().iso_seconds();
    let again = how_to_repeat(message);
    let what = format!("there is no code to use for {to}: the newest, sent at {sent}, {what}");
    Failure::advised(code, what, format!("for a new one {again}"))
}

/// How another message like this one comes to be sent.
fn how_to_repeat(message: &Message) -> &'static str {
    match message.template.as_str() {
        "sign_up_code" => "sign up or sign in again with the same address",
        "hosted_sign_up_code" => "sign up again with the same address",
        "sms_code" => "ask for a code to that phone again",
        "second_factor_code" => "sign in again",
        "invitation_code" => {
            "send it again: PUT /v1/accounts/resend-verification-code/ with the address as `email`"
        }
        _ => REPEAT,
    }
}

async fn show(kernel: &Kernel, command: &OutboxShow) -> Result<Answer, Failure> {
    let entries = kernel.list_outbox(None, LOOKED_THROUGH).await?;
    let Some(entry) = entries.iter().find(|entry| entry.message.number == command.number) else {
        return Err(Failure::new(
            "not_found",
            format!("there is no message {} among the newest {LOOKED_THROUGH}", command.number),
        ));
    };
    let Some(said) = kernel.render(entry)? else {
        return Err(Failure::new(
            "not_kept",
            format!("message {} was delivered, and its text was deleted", command.number),
        ));
    };
    let subject = said.subject().map(|subject| format!("Subject: {subject}\n")).unwrap_or_default();
    let text = format!("To: {}\n{subject}\n{}", entry.message.recipient, said.text());
    let mut json = json_of(entry);
    tidegate_domain::text::merge(
        &mut json,
        &json!({"subject": said.subject(), "text": said.text(), "html": said.html()}),
    );
    Ok(Answer::new(text, json))
}

fn settled(done: bool, number: i64, what: &str, needed: &str) -> Result<Answer, Failure> {
    if done {
        return Ok(Answer::new(format!("Message {number} {what}."), json!({ "number": number })));
    }
    Err(Failure::new(
        "not_dead",
        format!("message {number} is not {needed}, or does not exist; see `tidegate outbox list`"),
    ))
}

/// What the provider has reported: `failed (UserInBlacklist)`.
fn receipt(message: &Message) -> String {
    match (&message.receipt, &message.receipt_reason) {
        (Some(receipt), Some(reason)) => format!("{receipt} ({reason})"),
        (receipt, _) => receipt.clone().unwrap_or_default(),
    }
}

fn next_attempt(state: &str, at: Timestamp) -> Option<Timestamp> {
    (state == State::Pending.as_str()).then_some(at)
}

/// With the code and the link as long as they are kept: what end-to-end tests read.
fn json_of(entry: &OutboxEntry) -> Value {
    let message = &entry.message;
    json!({
        "number": message.number,
        "state": message.standing(),
        "attempts": message.attempts,
        "channel": message.channel,
        "template": message.template,
        "to": message.recipient,
        "created_at": message.created_at().iso_seconds(),
        "next_attempt_at": next_attempt(&message.state, message.next_attempt_at()).map(Timestamp::iso_seconds),
        "settled_at": message.settled_at().map(Timestamp::iso_seconds),
        "provider": message.provider,
        "receipt": message.receipt,
        "receipt_reason": message.receipt_reason,
        "last_error": message.last_error.as_deref().map(without_numbers),
        "code": entry.code(),
        "link": entry.link(),
    })
}
