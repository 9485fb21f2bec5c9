//! An authenticator and its client in memory, for tests and benchmarks: what it says can be wrong in every place.
#![allow(
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "test code: a broken expectation ends the test"
)]

use std::collections::BTreeMap;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_cbor_2::Value as Cbor;
use serde_json::{Value, json};

/// The person touched it.
pub const USER_PRESENT: u8 = 0b0000_0001;
/// It verified that it was the right person.
pub const USER_VERIFIED: u8 = 0b0000_0100;
/// Its passkeys may be synchronized.
pub const BACKUP_ELIGIBLE: u8 = 0b0000_1000;
/// They are.
pub const BACKED_UP: u8 = 0b0001_0000;
/// A credential follows.
const HAS_CREDENTIAL: u8 = 0b0100_0000;

/// An authenticator with one passkey, and the browser it is used in.
pub struct SoftwareAuthenticator {
    key: EcdsaKeyPair,
    /// The id of its passkey.
    pub credential_id: Vec<u8>,
    /// Whose passkey it is: learned at the registration.
    pub user_handle: Option<Vec<u8>>,
    /// The signature counter of the next answer. It counts up by itself; 0 stays 0.
    pub sign_count: u32,
    /// The flags of its answers.
    pub flags: u8,
    /// Its model.
    pub aaguid: [u8; 16],
    /// The page's origin, as the browser reports it.
    pub origin: String,
    /// The relying party in place of the one in the options.
    pub rp_id: Option<String>,
    /// Further members of the client data.
    pub client_data: Value,
    /// How the client reaches it.
    pub transports: Vec<String>,
}

fn base64(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn bytes_at(options: &Value, pointer: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(options.pointer(pointer)?.as_str()?).ok()
}

fn map<const N: usize>(entries: [(Cbor, Cbor); N]) -> Cbor {
    Cbor::Map(BTreeMap::from(entries))
}

fn text(text: &str) -> Cbor {
    Cbor::Text(text.to_owned())
}

impl SoftwareAuthenticator {
    /// A new one whose passkey has that id, used on pages of `origin`.
    pub fn new(credential_id: &[u8], origin: &str) -> Self {
        let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).expect("a key");
        Self {
            key,
            credential_id: credential_id.to_vec(),
            user_handle: None,
            sign_count: 1,
            flags: USER_PRESENT | USER_VERIFIED,
            aaguid: [0; 16],
            origin: origin.to_owned(),
            rp_id: None,
            client_data: json!({}),
            transports: vec!["internal".to_owned()],
        }
    }

    /// Answers the options of a registration, as `PublicKeyCredential.toJSON()` does.
    pub fn register(&mut self, options: &Value) -> Value {
        self.user_handle = bytes_at(options, "/user/id");
        let rp_id = options.pointer("/rp/id").and_then(Value::as_str).unwrap_or_default();
        let client_data = self.client_data("webauthn.create", options);
        let mut data = self.authenticator_data(rp_id, HAS_CREDENTIAL);
        data.extend(self.aaguid);
        let length = u16::try_from(self.credential_id.len()).expect("a short id");
        data.extend(length.to_be_bytes());
        data.extend(&self.credential_id);
        data.extend(self.public_key());
        let object = map([
            (text("fmt"), text("none")),
            (text("attStmt"), map([])),
            (text("authData"), Cbor::Bytes(data)),
        ]);
        let object = serde_cbor_2::to_vec(&object).expect("an attestation object");
        self.answer(json!({
            "attestationObject": base64(&object),
            "clientDataJSON": base64(&client_data),
            "transports": self.transports,
        }))
    }

    /// Answers the options of a sign-in.
    pub fn sign_in(&mut self, options: &Value) -> Value {
        let rp_id = options.pointer("/rpId").and_then(Value::as_str).unwrap_or_default();
        let client_data = self.client_data("webauthn.get", options);
        let data = self.authenticator_data(rp_id, 0);
        let signed = [data.as_slice(), digest(&SHA256, &client_data).as_ref()].concat();
        let signature = self.key.sign(&SystemRandom::new(), &signed).expect("a signature");
        self.answer(json!({
            "authenticatorData": base64(&data),
            "clientDataJSON": base64(&client_data),
            "signature": base64(signature.as_ref()),
            "userHandle": self.user_handle.as_ref().map(|handle| base64(handle)),
        }))
    }

    fn answer(&self, response: Value) -> Value {
        let id = base64(&self.credential_id);
        json!({ "id": id, "rawId": id, "response": response, "type": "public-key" })
    }

    fn client_data(&self, kind: &str, options: &Value) -> Vec<u8> {
        let mut data = json!({
            "type": kind,
            "challenge": options.get("challenge"),
            "origin": self.origin,
            "crossOrigin": false,
        });
        tidegate_domain::text::merge(&mut data, &self.client_data);
        data.to_string().into_bytes()
    }

    fn authenticator_data(&mut self, rp_id: &str, more_flags: u8) -> Vec<u8> {
        let rp_id = self.rp_id.as_deref().unwrap_or(rp_id);
        let mut data = digest(&SHA256, rp_id.as_bytes()).as_ref().to_vec();
        data.push(self.flags | more_flags);
        data.extend(self.sign_count.to_be_bytes());
        if self.sign_count > 0 {
            self.sign_count = self.sign_count.wrapping_add(1);
        }
        data
    }

    /// The public key in COSE's form (RFC 9053).
    fn public_key(&self) -> Vec<u8> {
        let point = self.key.public_key().as_ref();
        let (x, y) = point.get(1..).and_then(|point| point.split_at_checked(32)).expect("a point of P-256");
        let integer = Cbor::Integer;
        let key = map([
            (integer(1), integer(2)),
            (integer(3), integer(-7)),
            (integer(-1), integer(1)),
            (integer(-2), Cbor::Bytes(x.to_vec())),
            (integer(-3), Cbor::Bytes(y.to_vec())),
        ]);
        serde_cbor_2::to_vec(&key).expect("a key")
    }
}
