//! Signatures of requests, as Google's stub checks them.
//!
//! Source: Cloud Storage, "V4 signing process", "HMAC keys", "HTTP status and error codes for XML".

use std::time::Duration;

use aws_lc_rs::{digest, hmac};
use axum::http::StatusCode;
use axum::http::request::Parts;
use tidegate_domain::Timestamp;

use super::google::Refusal;

/// An HMAC key of a service account.
pub(super) const ACCESS_KEY_ID: &str = "GOOG1EXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLE";
pub(super) const SECRET_ACCESS_KEY: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYHMACKEY";

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
/// How far clocks may be apart.
const SKEW: Duration = Duration::from_secs(900);

/// What says who asks.
struct Proof {
    credential: String,
    signed_headers: String,
    signature: String,
    /// The digest of the body, as it is signed.
    payload: String,
    at: String,
    /// How long a signed URL lives, in seconds; none for a signed request.
    lives: Option<u64>,
}

/// Refuses a request that nobody has signed who may.
pub(super) fn check(parts: &Parts, body: &[u8], now: Timestamp) -> Result<(), Refusal> {
    let proof = proof(parts).ok_or(Refusal(StatusCode::FORBIDDEN, "AccessDenied"))?;
    let at = instant(&proof.at).ok_or(Refusal(StatusCode::BAD_REQUEST, "InvalidArgument"))?;
    match proof.lives {
        Some(lives) if now > at.plus(Duration::from_secs(lives)) => {
            return Err(Refusal(StatusCode::BAD_REQUEST, "ExpiredToken"));
        }
        None if now > at.plus(SKEW) || now < at.minus(SKEW) => {
            return Err(Refusal(StatusCode::FORBIDDEN, "RequestTimeTooSkewed"));
        }
        _ => {}
    }
    if proof.lives.is_none() && proof.payload != sha256(body) {
        return Err(Refusal(StatusCode::BAD_REQUEST, "BadDigest"));
    }
    let scope: Vec<&str> = proof.credential.split('/').collect();
    let [key_id, date, region, "s3", "aws4_request"] = scope.as_slice() else {
        return Err(Refusal(StatusCode::BAD_REQUEST, "AuthorizationHeaderMalformed"));
    };
    if *key_id != ACCESS_KEY_ID || !proof.at.starts_with(date) {
        return Err(Refusal(StatusCode::FORBIDDEN, "InvalidSecurity"));
    }
    let to_sign = format!(
        "{ALGORITHM}\n{}\n{date}/{region}/s3/aws4_request\n{}",
        proof.at,
        sha256(canonical(parts, &proof).as_bytes())
    );
    if hex::encode(signature(date, region, &to_sign)) != proof.signature {
        return Err(Refusal(StatusCode::FORBIDDEN, "SignatureDoesNotMatch"));
    }
    Ok(())
}

fn signature(date: &str, region: &str, to_sign: &str) -> Vec<u8> {
    let first = format!("AWS4{SECRET_ACCESS_KEY}").into_bytes();
    [date, region, "s3", "aws4_request", to_sign].iter().fold(first, |key, text| {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
        hmac::sign(&key, text.as_bytes()).as_ref().to_vec()
    })
}

/// From the query of a signed URL, or from the header.
fn proof(parts: &Parts) -> Option<Proof> {
    let header =
        |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let of_query = |name: &str| {
        let query = parts.uri.query().unwrap_or_default();
        pairs(query).find(|(known, _)| *known == name).map(|(_, value)| decoded(value))
    };
    if let Some(signature) = of_query("X-Amz-Signature") {
        (of_query("X-Amz-Algorithm")? == ALGORITHM).then_some(())?;
        return Some(Proof {
            credential: of_query("X-Amz-Credential")?,
            signed_headers: of_query("X-Amz-SignedHeaders")?,
            signature,
            payload: "UNSIGNED-PAYLOAD".to_owned(),
            at: of_query("X-Amz-Date")?,
            lives: Some(of_query("X-Amz-Expires")?.parse().ok()?),
        });
    }
    let authorization = header("authorization")?;
    let fields = authorization.strip_prefix(ALGORITHM)?.trim();
    let field = |name: &str| {
        fields.split(", ").find_map(|field| field.strip_prefix(name)?.strip_prefix('=')).map(str::to_owned)
    };
    Some(Proof {
        credential: field("Credential")?,
        signed_headers: field("SignedHeaders")?,
        signature: field("Signature")?,
        payload: header("x-amz-content-sha256")?,
        at: header("x-amz-date")?,
        lives: None,
    })
}

/// The request in the form in which it is signed.
fn canonical(parts: &Parts, proof: &Proof) -> String {
    let query = parts.uri.query().unwrap_or_default();
    let mut query: Vec<String> = pairs(query)
        .filter(|(name, _)| *name != "X-Amz-Signature")
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    query.sort();
    let headers: String = proof
        .signed_headers
        .split(';')
        .map(|name| {
            let value = parts.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
            format!("{name}:{}\n", value.trim())
        })
        .collect();
    format!(
        "{}\n{}\n{}\n{headers}\n{}\n{}",
        parts.method,
        parts.uri.path(),
        query.join("&"),
        proof.signed_headers,
        proof.payload
    )
}

/// What a query says, encoded as it came.
pub(super) fn pairs(query: &str) -> impl Iterator<Item = (&str, &str)> {
    query.split('&').filter(|pair| !pair.is_empty()).map(|pair| pair.split_once('=').unwrap_or((pair, "")))
}

/// A percent-encoded text.
pub(super) fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let escaped = after.get(..2).and_then(|digits| hex::decode(digits).ok());
        match (first, escaped) {
            (b'%', Some(byte)) => {
                bytes.extend(byte);
                rest = &after[2..];
            }
            _ => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// `20260105T090000Z`
fn instant(text: &str) -> Option<Timestamp> {
    let part = |from: usize, to: usize| text.get(from..to);
    let written = format!(
        "{}-{}-{}T{}:{}:{}Z",
        part(0, 4)?,
        part(4, 6)?,
        part(6, 8)?,
        part(9, 11)?,
        part(11, 13)?,
        part(13, 15)?
    );
    Timestamp::from_rfc3339(&written)
}

pub(super) fn sha256(bytes: &[u8]) -> String {
    hex::encode(digest::digest(&digest::SHA256, bytes))
}
