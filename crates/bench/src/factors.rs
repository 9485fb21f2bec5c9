//! People with passkeys and with authenticator apps (RiverGen).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use tidegate_crypto::TotpSeed;
use tidegate_crypto::totp::SEED_BYTES;
use tidegate_crypto::webauthn::software::SoftwareAuthenticator;
use tidegate_domain::Timestamp;

use crate::Result;
use crate::clients::{Contract, email};
use crate::load::Client;
use crate::wire::{Answer, Connection, post, post_as};

/// Where development servers expect passkeys, at any port.
const ORIGIN: &str = "http://localhost";
/// Seconds of a time step.
const STEP: u64 = 30;

/// The data of an answer.
fn data(answer: &Value, pointer: &str) -> Result<Value> {
    answer.pointer(pointer).cloned().ok_or_else(|| format!("no {pointer} in {answer}").into())
}

fn text(answer: &Value, pointer: &str) -> Result<String> {
    Ok(data(answer, pointer)?.as_str().ok_or_else(|| format!("{pointer} is no text"))?.to_owned())
}

/// Registers a passkey for a seeded account.
pub(crate) async fn register(connection: &mut Connection, account: u64) -> Result<SoftwareAuthenticator> {
    let signed_in = connection.call(&Contract::Rivergen.sign_in(&email(account))).await?.json(200)?;
    let token = text(&signed_in, "/data/access_token")?;
    let name = json!({ "device_name": "Phone" });
    let started = post_as("/api/v1/webauthn/register/start", &token, &name);
    let options = data(&connection.call(&started).await?.json(201)?, "/data")?;
    let mut authenticator = SoftwareAuthenticator::new(format!("passkey {account}").as_bytes(), ORIGIN);
    let body = json!({ "device_name": "Phone", "credential": authenticator.register(&options) });
    let completed = post_as("/api/v1/webauthn/register/complete", &token, &body);
    connection.call(&completed).await?.expect(200)?;
    Ok(authenticator)
}

/// Signs in with a passkey, again and again: each time one request for a challenge and one with the answer.
pub(crate) struct SigningInByPasskey {
    email: String,
    authenticator: SoftwareAuthenticator,
    request: Vec<u8>,
    has_challenge: bool,
}

impl SigningInByPasskey {
    pub(crate) fn new(account: u64, authenticator: SoftwareAuthenticator) -> Self {
        Self { email: email(account), authenticator, request: Vec::new(), has_challenge: false }
    }
}

impl Client for SigningInByPasskey {
    fn request(&mut self) -> Option<&[u8]> {
        if !self.has_challenge {
            self.request = post("/api/v1/webauthn/authenticate/start", &json!({ "email": self.email }));
        }
        Some(&self.request)
    }

    fn answered(&mut self, answer: &Answer<'_>) -> Result<()> {
        if self.has_challenge {
            self.has_challenge = false;
            return answer.expect(200);
        }
        let options = data(&answer.json(200)?, "/data")?;
        let body = json!({ "email": self.email, "credential": self.authenticator.sign_in(&options) });
        self.request = post("/api/v1/webauthn/authenticate/complete", &body);
        self.has_challenge = true;
        Ok(())
    }
}

fn now() -> Result<Timestamp> {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    Ok(Timestamp::from_seconds(i64::try_from(seconds)?))
}

/// Sets up an authenticator app for a seeded account; answers its seed.
pub(crate) async fn enrol(connection: &mut Connection, account: u64) -> Result<TotpSeed> {
    let signed_in = connection.call(&Contract::Rivergen.sign_in(&email(account))).await?.json(200)?;
    let token = text(&signed_in, "/data/access_token")?;
    let set_up = post_as("/api/v1/mfa/totp/setup", &token, &json!({ "device_name": "Phone" }));
    let secret = text(&connection.call(&set_up).await?.json(200)?, "/data/secret")?;
    let seed = TotpSeed::from_bytes(&from_base32(&secret)?)?;
    let code = seed.code_at(now()?).expose().to_owned();
    let verified = post_as("/api/v1/mfa/totp/verify", &token, &json!({ "code": code }));
    connection.call(&verified).await?.expect(200)?;
    Ok(seed)
}

/// Signs in with the password; answers the token with which the second factor is shown.
pub(crate) async fn sign_in_halfway(connection: &mut Connection, account: u64) -> Result<String> {
    let answer = connection.call(&Contract::Rivergen.sign_in(&email(account))).await?.json(200)?;
    text(&answer, "/data/temporary_token")
}

/// Waits for a time step whose codes were not used, with most of it still to come.
pub(crate) fn await_next_step() -> Result<()> {
    let within = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs() % STEP;
    std::thread::sleep(Duration::from_secs(STEP - within));
    Ok(())
}

/// A request that shows the code of this moment.
pub(crate) fn showing(temporary_token: &str, seed: &TotpSeed) -> Result<Vec<u8>> {
    let code = seed.code_at(now()?).expose().to_owned();
    Ok(post("/api/v1/auth/mfa/verify", &json!({ "temporary_token": temporary_token, "code": code })))
}

/// Base32 without padding (RFC 4648 section 6).
fn from_base32(text: &str) -> Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(SEED_BYTES);
    let (mut bits, mut held) = (0_u32, 0);
    for symbol in text.bytes() {
        let place = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".iter().position(|known| *known == symbol);
        bits = (bits << 5) | u32::try_from(place.ok_or("a secret that is not base32")?)?;
        held += 5;
        if held >= 8 {
            held -= 8;
            bytes.push(u8::try_from((bits >> held) & 0xff)?);
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_read_as_it_is_shown() {
        let seed = TotpSeed::from_bytes(&[7; SEED_BYTES]).unwrap();
        assert_eq!(from_base32(seed.base32().expose()).unwrap(), [7; SEED_BYTES]);
        assert!(from_base32("1").is_err());
    }
}
