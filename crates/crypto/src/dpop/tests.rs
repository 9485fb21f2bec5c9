//! Proofs, and what is none.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{KeyPair, RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaEncoding, RsaKeyPair};
use proptest::prelude::*;
use serde_json::{Value, json};
use tidegate_domain::Timestamp;

use super::software::{SoftwareKey, token_hash};
use super::*;
use crate::SigningAlgorithm;
use crate::testing::Seeded;

const URI: &str = "https://id.example.com/oauth/token";

fn key(algorithm: SigningAlgorithm) -> SoftwareKey {
    SoftwareKey::generate(algorithm, &Seeded::new(7))
}

fn es256() -> SoftwareKey {
    key(SigningAlgorithm::Es256)
}

fn claims() -> Value {
    json!({ "jti": "one", "htm": "POST", "htu": URI, "iat": 1_700_000_000 })
}

fn with(mut value: Value, name: &str, changed: Value) -> Value {
    value[name] = changed;
    value
}

#[test]
fn a_proof_is_read_with_the_key_that_it_brings() {
    for algorithm in [SigningAlgorithm::Es256, SigningAlgorithm::EdDsa] {
        let key = key(algorithm);
        let proof = Proof::read(&key.proof("POST", URI, Timestamp::from_seconds(5), "one")).unwrap();
        assert_eq!(proof.key, key.thumbprint());
        assert_eq!((proof.id.as_str(), proof.method.as_str(), proof.uri.as_str()), ("one", "POST", URI));
        assert_eq!((proof.issued_at, proof.nonce, proof.token_hash), (5, None, None));
    }
}

#[test]
fn the_proof_and_the_thumbprint_are_those_of_the_rfc() {
    // RFC 9449, section 4.1 and section 6.1.
    let proof = concat!(
        "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCR",
        "nMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19.eyJqdGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHR",
        "tIjoiUE9TVCIsImh0dSI6Imh0dHBzOi8vc2VydmVyLmV4YW1wbGUuY29tL3Rva2VuIiwiaWF0IjoxNTYyMjYyNjE2fQ.2-GxA6T8lP4vfrg8v-FdWP0A0zdrj8igiMLvqRMU",
        "vwnQg4PtFLbdLXiOSsX0x7NVY-FNyJK70nfbV37xRZT3Lg"
    );
    let read = Proof::read(proof).unwrap();
    assert_eq!(read.key, "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I");
    assert_eq!((read.method.as_str(), read.uri.as_str()), ("POST", "https://server.example.com/token"));
    assert!(is_thumbprint(&read.key) && !is_thumbprint("short") && !is_thumbprint(&"!".repeat(43)));
}

#[test]
fn what_is_no_proof_is_refused_and_why_is_told() {
    let key = es256();
    let header = key.header();
    let jwk = key.jwk();
    let cases = [
        (with(header.clone(), "typ", json!("at+jwt")), claims(), ProofError::Type),
        (with(header.clone(), "typ", Value::Null), claims(), ProofError::Type),
        (with(header.clone(), "alg", json!("none")), claims(), ProofError::Algorithm),
        (with(header.clone(), "alg", json!("HS256")), claims(), ProofError::Algorithm),
        (with(header.clone(), "alg", json!("ES384")), claims(), ProofError::Algorithm),
        (with(header.clone(), "alg", json!("EdDSA")), claims(), ProofError::Algorithm),
        (with(header.clone(), "alg", json!("RS256")), claims(), ProofError::Algorithm),
        (with(header.clone(), "crit", json!(["b64"])), claims(), ProofError::Critical),
        (with(header.clone(), "jwk", Value::Null), claims(), ProofError::Key),
        (with(header.clone(), "jwk", with(jwk.clone(), "d", json!("AAAA"))), claims(), ProofError::Key),
        (with(header.clone(), "jwk", with(jwk.clone(), "crv", json!("P-384"))), claims(), ProofError::Key),
        (with(header.clone(), "jwk", with(jwk.clone(), "kty", json!("oct"))), claims(), ProofError::Key),
        (with(header.clone(), "jwk", with(jwk.clone(), "x", json!("AAAA"))), claims(), ProofError::Key),
        (with(header.clone(), "jwk", json!("x")), claims(), ProofError::Malformed),
        (header.clone(), with(claims(), "jti", Value::Null), ProofError::Claims),
        (header.clone(), with(claims(), "jti", json!("")), ProofError::Claims),
        (header.clone(), with(claims(), "jti", json!("x".repeat(257))), ProofError::Claims),
        (header.clone(), with(claims(), "htm", json!(1)), ProofError::Claims),
        (header.clone(), with(claims(), "htu", Value::Null), ProofError::Claims),
        (header.clone(), with(claims(), "iat", json!("now")), ProofError::Claims),
        (header.clone(), with(claims(), "nonce", json!("")), ProofError::Claims),
    ];
    for (header, claims, error) in cases {
        let text = key.sign(&header, &claims);
        assert_eq!(Proof::read(&text), Err(error), "{header} {claims}");
    }
    let rsa = json!({ "kty": "RSA", "n": "AQAB", "e": "AQAB" });
    let short = key.sign(&json!({ "typ": "dpop+jwt", "alg": "RS256", "jwk": rsa }), &claims());
    assert_eq!(Proof::read(&short), Err(ProofError::Key), "a modulus of 24 bits");
}

/// A proof with an RSA key of 2048 bits.
fn rsa_proof(algorithm: &str) -> String {
    let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    // PKCS #1: a sequence of the modulus, which begins with a zero, and of the exponent 65537.
    let der = pair.public_key().as_ref();
    let encoded = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let jwk = json!({ "kty": "RSA", "n": encoded(&der[9..265]), "e": encoded(&der[267..270]) });
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let message =
        format!("{}.{}", part(&json!({ "typ": "dpop+jwt", "alg": algorithm, "jwk": jwk })), part(&claims()));
    let padding: &dyn RsaEncoding = if algorithm == "PS256" { &RSA_PSS_SHA256 } else { &RSA_PKCS1_SHA256 };
    let mut signature = vec![0; pair.public_modulus_len()];
    pair.sign(padding, &SystemRandom::new(), message.as_bytes(), &mut signature).unwrap();
    format!("{message}.{}", encoded(&signature))
}

#[test]
fn keys_of_rsa_prove_with_either_padding_and_not_with_the_other_ones() {
    for algorithm in ["PS256", "RS256"] {
        let proof = rsa_proof(algorithm);
        assert!(is_thumbprint(&Proof::read(&proof).unwrap().key), "{algorithm}");
        // The same signature under the other name.
        let other = if algorithm == "PS256" { "RS256" } else { "PS256" };
        let (header, rest) = proof.split_once('.').unwrap();
        let header =
            String::from_utf8(URL_SAFE_NO_PAD.decode(header).unwrap()).unwrap().replace(algorithm, other);
        let renamed = format!("{}.{rest}", URL_SAFE_NO_PAD.encode(header));
        assert_eq!(Proof::read(&renamed), Err(ProofError::Signature));
    }
}

#[test]
fn another_keys_signature_is_none() {
    let (key, other) = (es256(), SoftwareKey::generate(SigningAlgorithm::Es256, &Seeded::new(8)));
    assert_eq!(Proof::read(&other.sign(&key.header(), &claims())), Err(ProofError::Signature));
    let proof = key.sign(&key.header(), &claims());
    let (message, signature) = proof.rsplit_once('.').unwrap();
    assert_eq!(Proof::read(&format!("{message}.")), Err(ProofError::Signature));
    assert_eq!(Proof::read(&format!("{message}.{signature}.x")), Err(ProofError::Malformed));
    assert_eq!(Proof::read(&format!("{proof}{}", "x".repeat(9_000))), Err(ProofError::Malformed));
}

#[test]
fn a_proof_is_for_one_access_token() {
    let key = es256();
    let of = |claims: &Value| Proof::read(&key.sign(&key.header(), claims)).unwrap();
    let proof = of(&with(claims(), "ath", json!(token_hash("token"))));
    assert!(proof.is_for_token("token") && !proof.is_for_token("other"));
    assert!(!of(&claims()).is_for_token("token"));
    assert_eq!(proof.digest(), of(&claims()).digest());
    assert_ne!(proof.digest(), of(&with(claims(), "jti", json!("two"))).digest());
}

proptest! {
    #[test]
    fn any_text_is_read_without_a_panic(text in "\\PC{0,80}", header in "\\PC{0,80}") {
        drop(Proof::read(&text));
        let encoded = URL_SAFE_NO_PAD.encode(header);
        drop(Proof::read(&format!("{encoded}.{encoded}.{encoded}")));
    }
}
