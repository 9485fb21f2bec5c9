//! Keys of the stubs. They sign nothing else.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};

use super::key;

/// The issuers' first key.
pub(super) const ISSUER_PEM: &str = "-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgVspW3/0lz/+H5Rj2
lkcMiFE697ZQAHDpadxCTfXHvYehRANCAATi7FNgYY6Aav51v18fZr5MtlFblFU8
lAZUAYwbwDiwCDe0wj0FpcXCv0C3TIdiTNiWW2K7tb7pZqZCuFNK76Vl
-----END PRIVATE KEY-----
";
const ISSUER_POINT: [&str; 2] =
    ["4uxTYGGOgGr-db9fH2a-TLZRW5RVPJQGVAGMG8A4sAg", "N7TCPQWlxcK_QLdMh2JM2JZbYru1vulmpkK4U0rvpWU"];

/// The key of the client at Apple, and the issuers' second key.
pub(super) const CLIENT_PEM: &str = "-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgVOuIRJE5T6FXunJG
ChzENu3TxJxS41Cl+p05juQqCi2hRANCAARRr6cBdamAL6S6KAMBuo6e32zq/PSZ
SIsa4qhMcjrxBUTQM85ihHihxfxKkande/0yjseHjXIrCskhWEhiUC9b
-----END PRIVATE KEY-----
";
const CLIENT_POINT: [&str; 2] =
    ["Ua-nAXWpgC-kuigDAbqOnt9s6vz0mUiLGuKoTHI68QU", "RNAzzmKEeKHF_EqRqd17_TKOx4eNcisKySFYSGJQL1s"];

/// The team at Apple.
pub(super) const TEAM: &str = "ABCDE12345";
/// What Apple calls the client's key.
pub(super) const APPLE_KEY: &str = "FGHIJ67890";
const FIRST: &str = "issuer-key-1";
const SECOND: &str = "issuer-key-2";

fn jwk(kid: &str, [x, y]: [&str; 2]) -> Value {
    json!({ "kty": "EC", "crv": "P-256", "x": x, "y": y, "kid": kid, "use": "sig", "alg": "ES256" })
}

/// What an issuer publishes.
pub(super) fn published(with_second: bool) -> Value {
    let mut keys = vec![jwk(FIRST, ISSUER_POINT)];
    if with_second {
        keys.push(jwk(SECOND, CLIENT_POINT));
    }
    json!({ "keys": keys })
}

/// The client's public key at Apple.
pub(super) fn of_client() -> Value {
    json!({ "keys": [jwk(APPLE_KEY, CLIENT_POINT)] })
}

pub(super) fn sign(claims: &Map<String, Value>, with_second: bool) -> String {
    let key = if with_second { key(CLIENT_PEM, SECOND) } else { key(ISSUER_PEM, FIRST) };
    key.sign(claims).expect("a token").expose().to_owned()
}

/// The token with another header and without a signature.
pub fn unsigned(token: &str, header: &Value) -> String {
    let claims = token.split('.').nth(1).expect("claims");
    format!("{}.{claims}.", URL_SAFE_NO_PAD.encode(header.to_string()))
}
