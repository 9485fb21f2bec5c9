//! The checks, one function each.

mod database;
mod directory;
mod files;
mod outbox;
mod secrets;
mod serving;
mod social;

use std::sync::Arc;

use tidegate_broker::{Alpaca, AlpacaConfig, BrokerError, RetryPolicy};
use tidegate_crypto::SystemEntropy;
use tidegate_delivery::sms::SmsProviderKind;
use tidegate_delivery::{SmsConfig, SmtpConfig};
use tidegate_domain::{Clock, Password, Timestamp};
use tidegate_kernel::settings::DeliveryMode;
use tidegate_kernel::tables::keys::StoredKey;

use self::database::Kept;
use super::Verdict::{Fine, Warning};
use super::{Finding, Verdict};
use crate::clock::{SystemClock, stopwatch};
use crate::commands::serve::{base_url, below_a_path, is_secure, is_this_machine};
use crate::config::{Config, Loaded};
use crate::failure::Failure;
use crate::output::progress;
use crate::peppers::ADD_IT;
use crate::secrets::{LOST_SIGNING_KEYS, MayCreate, check_opens, key_id, open_vault};

/// No machine that runs this has a right clock before 2026.
const YOUNGEST: Timestamp = Timestamp::from_seconds(1_767_225_600);

/// An address that no account has: its domain is reserved (RFC 2606 section 2).
const UNUSED_ADDRESS: &str = "nobody@tidegate.invalid";

/// All of them.
pub(super) async fn all(loaded: &Loaded) -> Vec<Finding> {
    let config = &loaded.config;
    let bar = progress("checking");
    let (database, kept) = database::look(config, &bar).await;
    let Kept { keys, has_accounts, public_url: last_url, files, peppers, unsent, copied, connections } = kept;
    let mut findings = vec![
        sources(loaded),
        environment(loaded),
        directory::data_dir(config),
        directory::disk(config),
        directory::temporary_files(),
        files::store(config, &files).await,
        secrets::secret_files(loaded),
        master_key(config, &keys, has_accounts),
        database,
        mail(config).await,
        templates(config),
        sms(config),
        broker(config).await,
        serving::listen(config).await,
        serving::proxy(config),
        serving::pgwire(config).await,
        serving::query_disk(config),
        serving::contracts(),
        lifetimes(config),
        public_url(config, last_url.as_deref()),
        passkeys(config),
        password_hash(config, peppers),
        clock(SystemClock.now(), &keys),
    ];
    findings.extend(connections);
    findings.extend(copied.map(|copied| judge("copy", Err(copied), "")));
    findings.extend(unsent.map(|unsent| outbox::unsent(&unsent)));
    findings.extend(config.prompts.said_of_models().map(|said| Finding::new("models", Fine, said)));
    findings.extend(social::providers(config).await);
    bar.finish_and_clear();
    findings
}

fn sources(loaded: &Loaded) -> Finding {
    let detail = match loaded.sources.as_slice() {
        [] => "defaults only".to_owned(),
        sources => format!("defaults, {}", sources.join(", ")),
    };
    Finding::new("configuration", Fine, detail)
}

/// Variables that other programs read and this one does not, and those of ours that are empty.
fn environment(loaded: &Loaded) -> Finding {
    let unread: Vec<&str> = loaded.unread.iter().map(|(_, text)| text.as_str()).collect();
    match unread.as_slice() {
        [] => Finding::new("environment", Fine, "no variable is set in vain"),
        unread => Finding::new("environment", Warning, unread.join("\n")),
    }
}

/// Whether the key is there, and is the one the database was sealed with.
fn master_key(config: &Config, stored: &[StoredKey], has_accounts: bool) -> Finding {
    if stored.is_empty() && has_accounts {
        let what = "the database has accounts and no signing key: the next start makes one";
        return Finding::new("master key", Warning, what).advised(LOST_SIGNING_KEYS);
    }
    let judged = key_id(config).and_then(|id| match id {
        None if stored.is_empty() => Ok((Warning, "created at the first start".to_owned())),
        _ => {
            let vault = open_vault(config, MayCreate::No)?;
            check_opens(config, &vault, stored)?;
            let id = id.map(|id| id.to_string()).unwrap_or_default();
            Ok((Fine, format!("{id}, opens {} signing key(s)", stored.len())))
        }
    });
    let advice = "restore the key that the database was sealed with, from your backup of master.key, or set master_key";
    judge("master key", judged, advice)
}

async fn mail(config: &Config) -> Finding {
    let judged = match (config.mail_mode(), config.mail_provider()) {
        (_, Err(failure)) => Err(failure),
        (DeliveryMode::Off, _) | (_, Ok(None)) => Ok((
            Warning,
            "none: sign-up with e-mail verification, password reset and changes of e-mail addresses are refused; set \
             [mail.smtp]"
                .to_owned(),
        )),
        (DeliveryMode::Keep, _) => Ok((Warning, "development: kept in the outbox, not sent".to_owned())),
        (DeliveryMode::Send, Ok(Some(provider))) => match provider.check().await {
            Ok(()) => Ok((Fine, taken(config))),
            // It says which settings to look at: a list of all would lead away from them.
            Err(error) if error.has_advice() => {
                return Finding::new("mail", Verdict::Wrong, format!("[mail.smtp] {error}"));
            }
            Err(error) => Err(Failure::configuration(format!("[mail.smtp] {error}"))),
        },
    };
    judge(
        "mail",
        judged,
        "check host, port, tls, username and password of [mail.smtp], and that this machine reaches it",
    )
}

/// What is known of a mail server that answers and lets us in. Nothing is sent to find out more.
fn taken(config: &Config) -> String {
    match &config.mail.smtp {
        Some(SmtpConfig { username: None, from, .. }) => format!(
            "the mail server answers; no credentials are configured: whether it takes mail from {from}, the first mail shows"
        ),
        _ => "the mail server accepts the credentials".to_owned(),
    }
}

fn templates(config: &Config) -> Finding {
    let judged = config.templates().map(|_| match &config.mail.templates_dir {
        Some(path) => (Fine, format!("built in, some replaced from {}", path.display())),
        None => (Fine, "built in".to_owned()),
    });
    judge(
        "mail templates",
        judged,
        "correct the file, or leave out mail.templates_dir for the built-in texts",
    )
}

/// Sends nothing: a text message costs money and reaches a real phone.
fn sms(config: &Config) -> Finding {
    let judged = config.sms_receipts().and(config.sms_providers()).map(|providers| match config.sms_mode() {
        DeliveryMode::Off => (
            Warning,
            "none: sign-up and sign-in by phone are refused; set [sms.africas_talking], [sms.twilio] or [sms.webhook]"
                .to_owned(),
        ),
        DeliveryMode::Keep => (Warning, "development: kept in the outbox, not sent".to_owned()),
        DeliveryMode::Send => {
            let order: Vec<&str> = providers.kinds().map(SmsProviderKind::as_str).collect();
            let doubts = doubts_about(&config.sms);
            let verdict = if doubts.is_empty() { Fine } else { Warning };
            (verdict, [vec![order.join(", then ")], doubts].concat().join("\n"))
        }
    });
    judge("sms", judged, "correct the table of the provider; docs/operations.md shows each")
}

/// What an operator may want that way, or have overlooked.
fn doubts_about(sms: &SmsConfig) -> Vec<String> {
    let africas_talking = sms.africas_talking.as_ref();
    let (twilio, webhook) = (sms.twilio.as_ref(), sms.webhook.as_ref());
    [
        (
            africas_talking.is_some_and(|config| config.username == "sandbox"),
            "africas_talking: the username `sandbox` sends no messages",
        ),
        (
            africas_talking.is_some_and(|config| config.receipt_secret.is_none()),
            "africas_talking: without receipt_secret no delivery receipts are accepted",
        ),
        (
            twilio.is_some_and(|config| config.status_callback.is_none()),
            "twilio: without status_callback no delivery receipts are sent",
        ),
        (
            webhook.is_some_and(|config| !is_secure(&config.url)),
            "webhook: without https, codes cross the network unencrypted",
        ),
    ]
    .into_iter()
    .filter(|(applies, _)| *applies)
    .map(|(_, doubt)| doubt.to_owned())
    .collect()
}

async fn broker(config: &Config) -> Finding {
    let name = config.broker_name();
    let judged = match &config.broker.alpaca {
        Some(alpaca) => ask(name, alpaca).await,
        None => {
            let forgotten = config.opens_sandbox_accounts_for_real_phones();
            let verdict = if forgotten { Warning } else { Fine };
            Ok((verdict, format!("{name}: no real accounts are opened; set [broker.alpaca] for real ones")))
        }
    };
    judge("broker", judged, "check [broker.alpaca]")
}

/// Looks up an address without an account: this changes nothing, and checks the credentials.
async fn ask(name: &str, config: &AlpacaConfig) -> Result<(Verdict, String), Failure> {
    let wrong = |what: String| Failure::configuration(format!("{name}: {what}"));
    // The operator is waiting and can run the command again.
    let retry = RetryPolicy { max_attempts: 1, ..config.retry };
    let alpaca = Alpaca::new(&AlpacaConfig { retry, ..config.clone() }, Arc::new(SystemClock))
        .map_err(|error| wrong(format!("broker.alpaca: {error}")))?;
    match alpaca.find_by_email(UNUSED_ADDRESS).await {
        Ok(_) => Ok((Fine, format!("{name} accepts the credentials"))),
        Err(error @ BrokerError::Unauthorized) => Err(wrong(format!(
            "{error}: check key, secret and environment of [broker.alpaca]; sandbox and production have \
             different keys"
        ))),
        Err(error @ BrokerError::Unavailable { .. }) => Err(wrong(format!(
            "{error}; check that this machine reaches it, and broker.alpaca.base_url where that is set"
        ))),
        Err(error) => Err(wrong(format!("{error}; check broker.alpaca.base_url where that is set"))),
    }
}

/// What the start warns of, too.
fn lifetimes(config: &Config) -> Finding {
    let (cut, short) = (config.cut_lifetimes(), config.short_lifetimes());
    let is_cut = !cut.is_empty();
    let told = [cut, short].concat();
    if told.is_empty() {
        let detail = "none is longer than what it belongs to, or shorter than is of use";
        return Finding::new("lifetimes", Fine, detail);
    }
    let finding = Finding::new("lifetimes", Warning, told.join("\n"));
    if is_cut {
        finding.advised("raise the lifetime that is named second, or lower the first")
    } else {
        finding
    }
}

/// Whether there is a domain that passkeys can be bound to.
fn passkeys(config: &Config) -> Finding {
    match config.passkeys_at(&config.expected_url()).relying_party {
        Ok(relying_party) => Finding::new("passkeys", Fine, format!("bound to {}", relying_party.id())),
        Err(reason) => {
            let finding = Finding::new("passkeys", Warning, reason);
            if config.public_url.is_some() || !config.listen.ip().is_loopback() {
                return finding;
            }
            finding.advised(
                "fine on a development machine: with `tidegate serve --dev` they are bound to localhost",
            )
        }
    }
}

/// `last` is the one at which the installation was served last.
fn public_url(config: &Config, last: Option<&str>) -> Finding {
    let finding = configured_url(config);
    match last.filter(|last| is_another_url(config, last)) {
        Some(last) if finding.verdict == Fine => {
            let detail = format!(
                "{}; at the last start it was {last}: tokens, passkeys and links that name that one stop working; see \
                 docs/operations.md, \"Another public URL\"",
                finding.detail
            );
            Finding::new("public_url", Warning, detail)
        }
        None => match last.filter(|last| is_another_address(config, last)) {
            Some(last) => {
                let detail = format!(
                    "{}; at the last start it was {last}, whose access tokens count there alone",
                    finding.detail
                );
                Finding { detail, ..finding }
            }
            None => finding,
        },
        Some(_) => finding,
    }
}

fn configured_url(config: &Config) -> Finding {
    let (verdict, detail) = match &config.public_url {
        Some(url) if is_secure(url) => match below_a_path(url) {
            Some(warning) => (Warning, warning),
            None => (Fine, url.clone()),
        },
        Some(url) => {
            let detail = format!("{url}: without https, passwords and tokens cross the network unencrypted");
            if !config.dev {
                let detail = format!("{detail}, and browsers do not keep the cookies of the sign-in pages");
                let advice = "put a proxy that speaks TLS in front, and set public_url to its https address";
                return Finding::wrong("public_url", detail, advice);
            }
            (Warning, detail)
        }
        None if config.listen.ip().is_loopback() => (Fine, format!("http://{}, the listen address", config.listen)),
        None => (
            Warning,
            "not set: links in mails and the issuer of tokens use the listen address, which clients may not reach"
                .to_owned(),
        ),
    };
    Finding::new("public_url", verdict, detail)
}

/// Whether a start would be at another URL than the last one. Where none was ever chosen, the port is not known here.
fn is_another_url(config: &Config, last: &str) -> bool {
    match &config.public_url {
        Some(url) => url != last,
        None => !is_this_machine(last),
    }
}

/// Whether the last start was at another listen address than the configured one, where nobody has chosen a URL. A flag of `serve` or a free
/// port may have made it so: that alone is nothing to warn of.
fn is_another_address(config: &Config, last: &str) -> bool {
    config.public_url.is_none() && config.listen.port() != 0 && base_url(config.listen) != last
}

/// `missing` says which peppers are needed and not configured.
fn password_hash(config: &Config, missing: Option<String>) -> Finding {
    let judged = config.password_hasher().and_then(|hasher| {
        let started = stopwatch();
        hasher
            .hash(&Password::new("correct horse battery staple"), &SystemEntropy)
            .map_err(|error| Failure::internal(error.to_string()))?;
        let seconds = started.elapsed().as_secs_f64();
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let at_once = config.pool_size().threads.min(cores);
        let rate = at_once as f64 / seconds.max(f64::EPSILON);
        Ok((
            Fine,
            format!(
                "{:.0} ms per password: about {rate:.1} sign-ins/s on {at_once} core(s)",
                seconds * 1_000.0
            ),
        ))
    });
    let found = judge("password hash", judged, "correct password_hash, pepper and previous_peppers");
    match missing {
        Some(missing) => Finding::new("password hash", Warning, missing).advised(ADD_IT).and(found),
        None => found,
    }
}

/// A wrong clock refuses valid tokens or accepts expired ones.
fn clock(now: Timestamp, keys: &[StoredKey]) -> Finding {
    let newest = keys.iter().map(|key| Timestamp::from_micros(key.created_at)).max();
    let advice = "set the clock, and keep it with NTP (`timedatectl set-ntp true`)";
    match newest {
        Some(newest) if newest > now => {
            let (now, newest) = (now.iso_seconds(), newest.iso_seconds());
            let detail = format!("{now} is earlier than the creation of the newest signing key, {newest}");
            let advice = format!(
                "{advice}. If it is right, it was ahead before, when that key was made, or another node's was: look there"
            );
            Finding::wrong("clock", detail, advice)
        }
        _ if now < YOUNGEST => {
            Finding::wrong("clock", format!("{} is wrong: it is in the past", now.iso_seconds()), advice)
        }
        _ => Finding::new("clock", Fine, now.iso_seconds()),
    }
}

/// A failure brings its own advice, or gets that of its check.
fn judge(name: &'static str, judged: Result<(Verdict, String), Failure>, advice: &str) -> Finding {
    match judged {
        Ok((verdict, detail)) => Finding::new(name, verdict, detail),
        Err(failure) => {
            let (what, own) = failure.parts();
            Finding::wrong(name, what, own.unwrap_or(advice))
        }
    }
}

#[cfg(test)]
mod tests;
