//! People with second factors.

use serde_json::{Value, json};
use tidegate_crypto::TotpSeed;
use tidegate_domain::Timestamp;

use crate::{Answer, Person, TestApp};

/// An authenticator app in somebody's hands, and their backup codes.
#[derive(Debug)]
pub struct Authenticator {
    seed: TotpSeed,
    /// As they were shown.
    pub backup_codes: Vec<String>,
}

impl Authenticator {
    /// An app with the seed that is typed into it.
    ///
    /// # Panics
    /// When that is no seed.
    pub fn with(base32: &str) -> Self {
        let seed = TotpSeed::from_bytes(&decoded(base32)).expect("a seed");
        Self { seed, backup_codes: Vec::new() }
    }

    /// What it shows at an instant.
    pub fn code(&self, now: Timestamp) -> String {
        self.seed.code_at(now).expose().to_owned()
    }
}

impl TestApp {
    /// Sets an authenticator app up through RiverGen. The code of the present time step is used up with it.
    pub async fn enrol_totp(&self, who: &Person, name: &str) -> Authenticator {
        let request = self.post("/api/v1/mfa/totp/setup").bearer(&who.access_token);
        let set_up = request.json(&json!({ "device_name": name })).send().await;
        let mut app = Authenticator::with(&set_up.assert_status(200).text_at("data.secret"));
        let request = self.post("/api/v1/mfa/totp/verify").bearer(&who.access_token);
        let verified = request.json(&json!({ "code": app.code(self.now()) })).send().await;
        app.backup_codes = texts(verified.assert_status(200).field("data.backup_codes"));
        app
    }

    /// Makes codes by e-mail a second factor through RiverGen; answers the backup codes.
    pub async fn enrol_email_otp(&self, who: &Person) -> Vec<String> {
        let request = self.post("/api/v1/mfa/email-otp/setup").bearer(&who.access_token);
        request.json(&json!({})).send().await.assert_status(200);
        let code = self.latest_code(&who.email).await;
        let request = self.post("/api/v1/mfa/email-otp/verify").bearer(&who.access_token);
        let verified = request.json(&json!({ "code": code })).send().await;
        texts(verified.assert_status(200).field("data.backup_codes"))
    }

    /// Signs in with the password alone, which leads to the second factor; answers the temporary token.
    pub async fn sign_in_halfway(&self, who: &Person) -> String {
        let claim = json!({ "email": who.email, "password": who.password });
        let answer = self.post("/api/v1/auth/login").json(&claim).send().await;
        assert_eq!(answer.assert_status(200).field("data.mfa_required"), true, "{}", answer.text);
        answer.text_at("data.temporary_token")
    }

    /// Chooses how the second factor will be shown; answers the next temporary token.
    pub async fn choose_factor(&self, temporary_token: &str, method: &str) -> String {
        let claim = json!({ "temporary_token": temporary_token, "method": method });
        let answer = self.post("/api/v1/auth/mfa/otp/generate").json(&claim).send().await;
        answer.assert_status(200).text_at("data.temporary_token")
    }

    /// Shows a second factor.
    pub async fn show_factor(&self, temporary_token: &str, field: &str, code: &str) -> Answer {
        let claim = json!({ "temporary_token": temporary_token, (field): code });
        self.post("/api/v1/auth/mfa/verify").json(&claim).send().await
    }
}

/// The texts of an array.
fn texts(array: &Value) -> Vec<String> {
    let array = array.as_array().expect("an array");
    array.iter().map(|text| text.as_str().expect("a text").to_owned()).collect()
}

/// Base32 without padding (RFC 4648 section 6).
fn decoded(text: &str) -> Vec<u8> {
    let mut bits = 0_u64;
    let mut held = 0;
    let mut bytes = Vec::new();
    for symbol in text.bytes() {
        let value = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".iter().position(|known| *known == symbol);
        bits = (bits << 5) | value.expect("base32") as u64;
        held += 5;
        if held >= 8 {
            held -= 8;
            bytes.push(u8::try_from((bits >> held) & 0xff).expect("a byte"));
        }
    }
    bytes
}
