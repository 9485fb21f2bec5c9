//! Clients of the Riven contract, and the codes they are texted.
//!
//! Nothing is texted here: a server started with `--dev` keeps its messages, sealed. They are read straight from its
//! database and opened with its master key, as its own command would, but for thousands at a time.

use std::fs;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tidegate_crypto::{MasterKey, Vault};

use crate::load::Client;
use crate::server::Setup;
use crate::wire::{Answer, post};
use crate::{Result, database};

/// What the server seals messages for.
const PAYLOAD: &str = "outbox payload";
/// How long the server may take to go through its outbox, and how often it is looked.
const PATIENCE: Duration = Duration::from_secs(600);
const PAUSE: Duration = Duration::from_millis(200);

/// A text message, as far as it matters here.
pub(crate) struct Text {
    /// In the order in which they were written.
    pub(crate) number: i64,
    pub(crate) phone: String,
    code: String,
}

/// What connections share out among themselves: requests, each of them once.
pub(crate) type Pile = Arc<Mutex<Vec<Vec<u8>>>>;

/// The text messages after that with the number `after`, once all of them have gone the way of the outbox.
pub(crate) fn texts(setup: &Setup, after: i64) -> Result<Vec<Text>> {
    let begun = Instant::now();
    while database::pending_messages(setup)? > 0 {
        if begun.elapsed() > PATIENCE {
            return Err(format!("the outbox is not empty after {PATIENCE:?}").into());
        }
        std::thread::sleep(PAUSE);
    }
    let key: MasterKey = fs::read_to_string(setup.key_file())?.trim().parse()?;
    let vault = Vault::new(key, Vec::new())?;
    let open = |(number, phone, sealed): (i64, String, Vec<u8>)| {
        let values: Value = serde_json::from_slice(&vault.open(PAYLOAD, &sealed)?)?;
        let code = values.get("code").and_then(Value::as_str).ok_or("a text message without a code")?;
        Ok(Text { number, phone, code: code.to_owned() })
    };
    database::texts(setup, after)?.into_iter().map(open).collect()
}

/// Requests for codes to each of `phones`.
pub(crate) fn asking_for_codes<'p>(path: &str, phones: impl IntoIterator<Item = &'p str>) -> Pile {
    pile(phones.into_iter().map(|phone| post(path, &json!({ "phone": phone }))))
}

/// Requests that send back each of `texts`.
pub(crate) fn sending_back<'t>(path: &str, texts: impl IntoIterator<Item = &'t Text>) -> Pile {
    let claim = |text: &Text| post(path, &json!({ "phone": text.phone, "code": text.code }));
    pile(texts.into_iter().map(claim))
}

fn pile(requests: impl Iterator<Item = Vec<u8>>) -> Pile {
    Arc::new(Mutex::new(requests.collect()))
}

/// The `count`-th phone of a connection: a Kenyan mobile number used once.
fn phone(connection: usize, count: u32) -> String {
    format!("+2547{connection:02}{count:06}")
}

/// Asks for a code to register one new phone after another.
pub(crate) struct EnteringPhones {
    connection: usize,
    count: u32,
    request: Vec<u8>,
}

impl EnteringPhones {
    /// `connection` is below 100, and another one for every client of the same server.
    pub(crate) fn new(connection: usize) -> Self {
        Self { connection, count: 0, request: Vec::new() }
    }
}

impl Client for EnteringPhones {
    fn request(&mut self) -> Option<&[u8]> {
        self.request =
            post("/api/v1/auth/enter-phone", &json!({ "phone": phone(self.connection, self.count) }));
        self.count += 1;
        Some(&self.request)
    }

    fn answered(&mut self, answer: &Answer<'_>) -> Result<()> {
        answer.expect(200)
    }
}

/// Works off a pile, together with others.
pub(crate) struct WorkingOff {
    pile: Pile,
    request: Vec<u8>,
}

impl WorkingOff {
    pub(crate) fn new(pile: &Pile) -> Self {
        Self { pile: Arc::clone(pile), request: Vec::new() }
    }
}

impl Client for WorkingOff {
    fn request(&mut self) -> Option<&[u8]> {
        self.request = self.pile.lock().unwrap_or_else(PoisonError::into_inner).pop()?;
        Some(&self.request)
    }

    fn answered(&mut self, answer: &Answer<'_>) -> Result<()> {
        answer.expect(200)
    }
}

#[cfg(test)]
mod tests {
    use tidegate_domain::PhoneRule;

    use super::*;

    #[test]
    fn phones_are_mobile_numbers_that_nobody_else_has() {
        for (connection, count, written) in
            [(0, 0, "+254700000000"), (63, 1, "+254763000001"), (99, 999_999, "+254799999999")]
        {
            assert_eq!(phone(connection, count), written);
            assert_eq!(PhoneRule::default().parse(written).unwrap().expose(), written);
        }
    }

    #[test]
    fn a_pile_is_worked_off_once() {
        let pile = asking_for_codes("/", ["+254700000000", "+254700000001"]);
        let (mut one, mut other) = (WorkingOff::new(&pile), WorkingOff::new(&pile));
        let (first, second) = (one.request().map(<[u8]>::to_vec).unwrap(), other.request().unwrap().to_vec());
        assert_ne!(first, second);
        assert!(one.request().is_none() && other.request().is_none());
    }
}
