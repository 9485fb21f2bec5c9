//! `tidegate outbox`

use serde_json::{Value, json};
use tidegate_domain::Timestamp;
use tidegate_kernel::Kernel;
use tidegate_kernel::deliver::OutboxEntry;
use tidegate_kernel::tables::outbox::{Message, State};

use crate::cli::{DeadMessage, Outbox, OutboxCode, OutboxList, OutboxShow};
use crate::config::Config;
use crate::failure::{Failure, without_numbers};
use crate::output::{Answer, table};
use crate::wiring::{Purpose, open};

/// How far back a code or a number is looked for.
const LOOKED_THROUGH: i64 = 1_000;

pub(super) async fn run(config: &Config, command: Outbox) -> Result<Answer, Failure> {
    let opened = open(config, &Purpose::Existing).await?;
    let kernel = &opened.kernel;
    let answer = match command {
        Outbox::List(command) => list(kernel, &command).await,
        Outbox::Code(command) => code(kernel, &command).await,
        Outbox::Show(command) => show(kernel, &command).await,
        Outbox::Retry(DeadMessage { number }) => {
            settled(kernel.retry_message(number).await?, number, "is tried again")
        }
        Outbox::Drop(DeadMessage { number }) => {
            settled(kernel.drop_message(number).await?, number, "is removed")
        }
    };
    opened.close().await;
    answer
}

async fn list(kernel: &Kernel, command: &OutboxList) -> Result<Answer, Failure> {
    let entries = kernel.list_outbox(command.to.as_ref(), command.limit.into()).await?;
    let json = entries.iter().map(json_of).collect();
    if entries.is_empty() {
        return Ok(Answer::new("The outbox is empty.", json));
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

async fn code(kernel: &Kernel, command: &OutboxCode) -> Result<Answer, Failure> {
    let entries = kernel.list_outbox(Some(&command.to), LOOKED_THROUGH).await?;
    // What was never to be sent only looks like a message with a code.
    let sent = entries.iter().filter(|entry| entry.message.state != State::Discarded.as_str());
    let newest = sent.filter_map(|entry| Some((entry, entry.code()?))).next();
    let Some((entry, code)) = newest else {
        return Err(Failure::new(
            "no_code",
            format!(
                "no readable code for {}: either none was sent, or a provider took it (codes stay readable with \
                 `tidegate serve --dev` and no [mail.smtp] or [sms]); see `tidegate outbox list --to {}`",
                command.to.as_str(),
                command.to.as_str()
            ),
        ));
    };
    let json = json!({
        "code": code,
        "to": entry.message.recipient,
        "number": entry.message.number,
        "template": entry.message.template,
        "created_at": entry.message.created_at().iso_seconds(),
    });
    Ok(Answer::new(code, json))
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

fn settled(done: bool, number: i64, what: &str) -> Result<Answer, Failure> {
    if done {
        return Ok(Answer::new(format!("Message {number} {what}."), json!({ "number": number })));
    }
    Err(Failure::new(
        "not_dead",
        format!("message {number} is not dead or does not exist; see `tidegate outbox list`"),
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
