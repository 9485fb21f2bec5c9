//! An address that came with a request and that its application is not registered with.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use tidegate_domain::Timestamp;
use tidegate_domain::id::ApplicationId;
use url::Url;

/// Most characters that are told of one address.
const LONGEST: usize = 200;
/// Most registered addresses that are told.
const MOST: usize = 5;
/// Lines that are written in a minute about one application, and about all: a client without an account can cause any number of them.
const LINES: usize = 10;
const ALL_LINES: usize = 200;
/// Seconds in which lines are counted.
const WINDOW: i64 = 60;

/// The address, and those that are registered: for the operator's log, and for a developer whose server is their own machine. Nobody
/// else is told what an application is registered with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unregistered {
    sent: Option<String>,
    registered: Vec<String>,
    /// How many more are registered than are told.
    more: usize,
}

impl Unregistered {
    pub(crate) fn new(sent: Option<&str>, registered: impl IntoIterator<Item = impl fmt::Display>) -> Self {
        let mut registered = registered.into_iter();
        Self {
            sent: sent.map(address),
            registered: registered.by_ref().take(MOST).map(|uri| shown(&uri.to_string())).collect(),
            more: registered.count(),
        }
    }
}

/// Tells the log, so often. An application that is asked for again and again leaves room for what is told of others.
#[derive(Debug, Default)]
pub(crate) struct UnregisteredLog(Mutex<Minute>);

#[derive(Debug, Default)]
struct Minute {
    number: i64,
    lines: usize,
    by_application: HashMap<ApplicationId, usize>,
    left_out: u64,
}

impl UnregisteredLog {
    /// Whether a line is written about an application.
    pub(crate) fn admits(&self, application: ApplicationId, now: Timestamp) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).admits(application, now)
    }
}

impl Minute {
    fn admits(&mut self, application: ApplicationId, now: Timestamp) -> bool {
        let number = now.seconds().div_euclid(WINDOW);
        if number != self.number {
            if self.left_out > 0 {
                tracing::info!(
                    lines = self.left_out,
                    "lines about addresses that are not registered were left out"
                );
            }
            *self = Self { number, ..Self::default() };
        }
        let written = self.by_application.get(&application).copied().unwrap_or_default();
        if self.lines >= ALL_LINES || written >= LINES {
            self.left_out += 1;
            return false;
        }
        self.lines += 1;
        self.by_application.insert(application, written + 1);
        true
    }
}

impl fmt::Display for Unregistered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.sent {
            Some(sent) => write!(f, "it sent {sent}; registered: ")?,
            None => f.write_str("it sent none; registered: ")?,
        }
        if self.registered.is_empty() {
            return f.write_str("none");
        }
        f.write_str(&self.registered.join(", "))?;
        if self.more > 0 { write!(f, " and {} more", self.more) } else { Ok(()) }
    }
}

/// What came as an address, up to its query: what follows, a login before the host, and what is no address at all may be a secret that
/// went astray.
fn address(sent: &str) -> String {
    match Url::parse(sent) {
        Ok(url) if url.username().is_empty() && url.password().is_none() => match sent.find(['?', '#']) {
            Some(end) => shown(&sent[..end]) + "?...",
            None => shown(sent),
        },
        Ok(_) => "an address with a login in it".to_owned(),
        Err(_) => "what is no absolute address".to_owned(),
    }
}

/// On one line, however long it is and whatever is in it: a stranger may have sent it.
fn shown(text: &str) -> String {
    let mut start = text.chars();
    let shown: String = start.by_ref().take(LONGEST).flat_map(char::escape_debug).collect();
    if start.next().is_some() { shown + "..." } else { shown }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn strangers_do_not_flood_the_log() {
        let log = UnregisteredLog::default();
        let application = |number: u128| ApplicationId::from(Uuid::from_u128(number));
        let lines = |number: u128, second: i64| {
            let now = Timestamp::from_seconds(second);
            (0..1_000).filter(|_| log.admits(application(number), now)).count()
        };
        assert_eq!(lines(1, 30), LINES);
        assert_eq!(lines(2, 31), LINES, "others have their own");
        assert_eq!((3..100).map(|number| lines(number, 32)).sum::<usize>(), ALL_LINES - 2 * LINES);
        assert_eq!(lines(1, 60), LINES, "in the next minute");
    }

    #[test]
    fn what_was_sent_stands_beside_what_is_registered() {
        let registered = ["http://127.0.0.1:18150/callback"];
        let told = Unregistered::new(Some("http://localhost:18150/callback"), registered);
        let text = "it sent http://localhost:18150/callback; registered: http://127.0.0.1:18150/callback";
        assert_eq!(told.to_string(), text);
        let none: [&str; 0] = [];
        assert_eq!(Unregistered::new(None, none).to_string(), "it sent none; registered: none");
        let many = ["a:/1", "a:/2", "a:/3", "a:/4", "a:/5", "a:/6", "a:/7"];
        let text = "it sent b:/; registered: a:/1, a:/2, a:/3, a:/4, a:/5 and 2 more";
        assert_eq!(Unregistered::new(Some("b:/"), many).to_string(), text);
    }

    #[test]
    fn what_may_be_a_secret_is_not_told() {
        let told = |sent| Unregistered::new(Some(sent), ["a:/1"]).to_string();
        assert_eq!(told("secret_1234"), "it sent what is no absolute address; registered: a:/1");
        assert_eq!(
            told("https://a.example/cb?code=1234"),
            "it sent https://a.example/cb?...; registered: a:/1"
        );
        assert_eq!(
            told("https://a.example/cb#token=1234"),
            "it sent https://a.example/cb?...; registered: a:/1"
        );
        assert_eq!(
            told("https://1234@a.example/cb"),
            "it sent an address with a login in it; registered: a:/1"
        );
    }

    #[test]
    fn a_line_of_the_log_stays_one_and_short() {
        let forged = "https://e.example/\n2026-01-01T00:00:00Z  INFO signed in\u{1b}[31m\u{202e}";
        let told = Unregistered::new(Some(forged), ["a:/1"]).to_string();
        assert!(!told.chars().any(|c| c.is_control() || c == '\u{202e}'), "{told}");
        assert!(told.starts_with("it sent https://e.example/\\n2026-01-01"), "{told}");
        let long = Unregistered::new(Some(&format!("a:/{}", "x".repeat(100_000))), ["a:/1"]).to_string();
        assert!(long.len() < 300 && long.contains("xxx...; registered: a:/1"), "{long}");
    }
}
