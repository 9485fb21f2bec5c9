use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey};
use proptest::prelude::*;
use tidegate_domain::Entropy;

use super::*;
use crate::testing::Seeded;
use crate::{PlainToken, SigningAlgorithm};

const ISSUER: &str = "https://id.example.com";
const ISSUED: i64 = 1_700_000_000;
const EXPIRY: i64 = ISSUED + 900;

fn key(algorithm: SigningAlgorithm, seed: u64) -> SigningKey {
    SigningKey::generate(algorithm, Timestamp::from_seconds(ISSUED), &Seeded::new(seed)).unwrap()
}

fn ring() -> KeyRing {
    KeyRing::new(key(SigningAlgorithm::Es256, 1), Vec::new())
}

fn claims_json() -> Value {
    let id = |seed| {
        let entropy: &dyn Entropy = &Seeded::new(seed);
        entropy.uuid(Timestamp::from_seconds(ISSUED))
    };
    json!({
        "iss": ISSUER, "sub": id(1), "aud": ISSUER, "exp": EXPIRY, "iat": ISSUED, "jti": "token-1",
        "sid": id(2), "org": id(3), "role": "admin", "scope": "full", "dialect": "rivergen",
    })
}

fn claims() -> AccessClaims {
    serde_json::from_value(claims_json()).unwrap()
}

fn token(ring: &KeyRing) -> String {
    ring.sign(&claims()).unwrap().expose().to_owned()
}

/// What a client is told of a refused token, which is all that most tests are about.
#[derive(Debug, PartialEq)]
enum Told {
    Expired,
    Invalid,
}

impl From<TokenError> for Told {
    fn from(error: TokenError) -> Self {
        match error {
            TokenError::Expired { .. } => Self::Expired,
            TokenError::Invalid(_) => Self::Invalid,
        }
    }
}

fn verify(ring: &KeyRing, token: &str) -> Result<AccessClaims, Told> {
    ring.verify(token, ISSUER, Timestamp::from_seconds(ISSUED)).map_err(Told::from)
}

/// What the operator is told.
fn fault(ring: &KeyRing, token: &str) -> String {
    match ring.verify(token, ISSUER, Timestamp::from_seconds(ISSUED)) {
        Err(TokenError::Invalid(fault)) => fault.to_string(),
        other => panic!("{other:?}"),
    }
}

/// A token with any header and claims, rightly signed by `key`: only somebody who has it could make one.
fn forge(key: &SigningKey, header: &Value, claims: &Value) -> String {
    let encode = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
    let message = format!("{}.{}", encode(header), encode(claims));
    let signature =
        jsonwebtoken::crypto::sign(message.as_bytes(), key.private(), key.algorithm().jws()).unwrap();
    format!("{message}.{signature}")
}

fn header_json(key: &SigningKey) -> Value {
    json!({"typ": "at+jwt", "alg": key.algorithm().as_str(), "kid": key.kid()})
}

fn with(mut object: Value, member: &str, value: Value) -> Value {
    object[member] = value;
    object
}

#[test]
fn what_is_signed_is_what_is_read() {
    for algorithm in [SigningAlgorithm::Es256, SigningAlgorithm::EdDsa] {
        let ring = KeyRing::new(key(algorithm, 1), Vec::new());
        assert_eq!(verify(&ring, &token(&ring)), Ok(claims()));
    }
}

#[test]
fn the_header_says_what_kind_of_token_it_is_and_which_key_verifies_it() {
    let ring = ring();
    let token = token(&ring);
    let header = URL_SAFE_NO_PAD.decode(token.split('.').next().unwrap()).unwrap();
    let header: Value = serde_json::from_slice(&header).unwrap();
    assert_eq!(header, json!({"typ": "at+jwt", "alg": "ES256", "kid": ring.jwks()["keys"][0]["kid"]}));
}

#[test]
fn a_relying_party_verifies_with_the_published_keys_alone() {
    for algorithm in [SigningAlgorithm::Es256, SigningAlgorithm::EdDsa] {
        let ring = KeyRing::new(key(algorithm, 1), Vec::new());
        let published: jsonwebtoken::jwk::JwkSet = serde_json::from_value(ring.jwks()).unwrap();
        let token = token(&ring);
        let kid = decode_header(&token).unwrap().kid.unwrap();
        let jwk = published.find(&kid).unwrap();
        let mut validation = jsonwebtoken::Validation::new(algorithm.jws());
        validation.validate_exp = false;
        validation.set_audience(&[ISSUER]);
        validation.set_issuer(&[ISSUER]);
        let read = decode::<Value>(&token, &jwk.try_into().unwrap(), &validation).unwrap();
        assert_eq!(read.claims["jti"], "token-1");
    }
}

#[test]
fn a_token_ends_exactly_at_its_expiry() {
    let ring = ring();
    let token = token(&ring);
    let at = |micros| ring.verify(&token, ISSUER, Timestamp::from_micros(EXPIRY * 1_000_000 + micros));
    let second = Timestamp::from_seconds;
    let expired = || Err(TokenError::Expired { at: second(EXPIRY), issued: second(ISSUED) });
    assert_eq!(at(-1), Ok(claims()));
    assert_eq!(at(0), expired());
    assert_eq!(at(1), expired());
}

#[test]
fn expired_is_said_only_of_tokens_that_were_right() {
    let ring = ring();
    let late = |ring: &KeyRing, token: &str, issuer: &str| {
        ring.verify(token, issuer, Timestamp::from_seconds(EXPIRY + 1)).map_err(Told::from)
    };
    let token = token(&ring);
    assert_eq!(late(&ring, &token, ISSUER), Err(Told::Expired));
    assert_eq!(late(&ring, &token, "https://other.example.com"), Err(Told::Invalid));
    let stranger = KeyRing::new(key(SigningAlgorithm::Es256, 2), Vec::new());
    assert_eq!(late(&stranger, &token, ISSUER), Err(Told::Invalid));
    let mut tampered = token.clone();
    tampered.pop();
    assert_eq!(late(&ring, &tampered, ISSUER), Err(Told::Invalid));
}

#[test]
fn no_bit_of_a_token_can_be_flipped() {
    for algorithm in [SigningAlgorithm::Es256, SigningAlgorithm::EdDsa] {
        let ring = KeyRing::new(key(algorithm, 1), Vec::new());
        let token = token(&ring);
        for bit in 0..token.len() * 8 {
            let mut flipped = token.clone().into_bytes();
            flipped[bit / 8] ^= 1 << (bit % 8);
            // A token comes as text; bytes that are none never get this far.
            let Ok(flipped) = String::from_utf8(flipped) else {
                continue;
            };
            assert_eq!(verify(&ring, &flipped), Err(Told::Invalid), "bit {bit}");
        }
    }
}

#[test]
fn a_token_for_another_issuer_or_audience_is_refused() {
    let key = key(SigningAlgorithm::Es256, 1);
    let signed = |claims: &Value| verify(&ring(), &forge(&key, &header_json(&key), claims));
    assert_eq!(signed(&claims_json()), Ok(claims()));
    for member in ["iss", "aud"] {
        let other = with(claims_json(), member, json!("https://other.example.com"));
        assert_eq!(signed(&other), Err(Told::Invalid), "{member}");
        let slash = with(claims_json(), member, json!(format!("{ISSUER}/")));
        assert_eq!(signed(&slash), Err(Told::Invalid), "{member}");
        let others = with(claims_json(), member, json!(["https://other.example.com"]));
        assert_eq!(signed(&others), Err(Told::Invalid), "{member}");
    }
    let issuers = with(claims_json(), "iss", json!([ISSUER]));
    assert_eq!(signed(&issuers), Err(Told::Invalid));
    // RFC 7519 section 4.1.3: one audience may be written as a list.
    assert_eq!(signed(&with(claims_json(), "aud", json!([ISSUER]))), Ok(claims()));
}

#[test]
fn a_token_without_one_of_its_claims_is_refused() {
    let key = key(SigningAlgorithm::Es256, 1);
    for member in ["iss", "sub", "aud", "exp", "iat", "jti", "sid", "org", "role", "scope", "dialect"] {
        let mut claims = claims_json();
        claims.as_object_mut().unwrap().remove(member);
        let token = forge(&key, &header_json(&key), &claims);
        assert_eq!(verify(&ring(), &token), Err(Told::Invalid), "{member}");
    }
}

#[test]
fn only_access_tokens_are_access_tokens() {
    let key = key(SigningAlgorithm::Es256, 1);
    let typed = |typ: Value| {
        let header = with(header_json(&key), "typ", typ);
        verify(&ring(), &forge(&key, &header, &claims_json()))
    };
    for typ in ["at+jwt", "AT+JWT", "application/at+jwt", "Application/At+Jwt"] {
        assert_eq!(typed(json!(typ)), Ok(claims()), "{typ}");
    }
    for typ in
        ["JWT", "logout+jwt", "at+jwt ", "", "application/", "application/application/at+jwt", "\u{e9}"]
    {
        assert_eq!(typed(json!(typ)), Err(Told::Invalid), "{typ}");
    }
    assert_eq!(typed(json!(null)), Err(Told::Invalid));
}

#[test]
fn a_header_that_demands_unknown_extensions_is_refused() {
    let key = key(SigningAlgorithm::Es256, 1);
    let header = with(header_json(&key), "crit", json!(["b64"]));
    assert_eq!(verify(&ring(), &forge(&key, &header, &claims_json())), Err(Told::Invalid));
}

#[test]
fn an_unsigned_token_is_refused() {
    let key = key(SigningAlgorithm::Es256, 1);
    for alg in ["none", "None", "NONE", ""] {
        let header = with(header_json(&key), "alg", json!(alg));
        let signed = forge(&key, &header, &claims_json());
        let (message, _) = signed.rsplit_once('.').unwrap();
        for unsigned in [signed.clone(), format!("{message}."), message.to_owned()] {
            assert_eq!(verify(&ring(), &unsigned), Err(Told::Invalid), "{unsigned}");
        }
    }
    let token = token(&ring());
    let (message, _) = token.rsplit_once('.').unwrap();
    assert_eq!(verify(&ring(), &format!("{message}.")), Err(Told::Invalid));
}

#[test]
fn the_public_key_does_not_sign_as_a_shared_secret() {
    // CVE-2015-9256 and its kin: HS256 with whatever bytes of the public key the verifier might take as the secret.
    let key = key(SigningAlgorithm::Es256, 1);
    let jwk = key.public_jwk();
    let coordinate = |name: &str| URL_SAFE_NO_PAD.decode(jwk[name].as_str().unwrap()).unwrap();
    let point = [vec![4], coordinate("x"), coordinate("y")].concat();
    for secret in [point, coordinate("x"), jwk.to_string().into_bytes(), Vec::new()] {
        let mut header = ring().0.header.clone();
        header.alg = Algorithm::HS256;
        let token = encode(&header, &claims(), &EncodingKey::from_secret(&secret)).unwrap();
        assert_eq!(verify(&ring(), &token), Err(Told::Invalid));
    }
}

#[test]
fn the_key_decides_the_algorithm() {
    let (ours, other) = (key(SigningAlgorithm::Es256, 1), key(SigningAlgorithm::EdDsa, 2));
    let ring = KeyRing::new(key(SigningAlgorithm::Es256, 1), vec![other.verification_key().clone()]);
    // Each header with each key: only the key that the header names, with its own algorithm, passes.
    for (header_alg, kid, signer) in [
        ("EdDSA", ours.kid(), &other),
        ("ES256", other.kid(), &ours),
        ("EdDSA", ours.kid(), &ours),
        ("ES384", ours.kid(), &ours),
        ("RS256", ours.kid(), &ours),
        ("HS256", ours.kid(), &ours),
    ] {
        let header = json!({"typ": "at+jwt", "alg": header_alg, "kid": kid});
        let token = forge(signer, &header, &claims_json());
        assert_eq!(verify(&ring, &token), Err(Told::Invalid), "{header_alg} {kid}");
    }
    assert_eq!(verify(&ring, &forge(&other, &header_json(&other), &claims_json())), Ok(claims()));
}

#[test]
fn a_token_names_its_key_and_the_right_one() {
    let ours = key(SigningAlgorithm::Es256, 1);
    for kid in [json!("unknown"), json!(""), json!(null), json!(7)] {
        let token = forge(&ours, &with(header_json(&ours), "kid", kid), &claims_json());
        assert_eq!(verify(&ring(), &token), Err(Told::Invalid));
    }
    let stranger = key(SigningAlgorithm::Es256, 2);
    let stolen_name = forge(&stranger, &header_json(&ours), &claims_json());
    assert_eq!(verify(&ring(), &stolen_name), Err(Told::Invalid));
}

#[test]
fn a_key_that_the_token_brings_along_is_not_used() {
    let (ours, stranger) = (key(SigningAlgorithm::Es256, 1), key(SigningAlgorithm::Es256, 2));
    for kid in [ours.kid(), stranger.kid()] {
        let header = with(header_json(&stranger), "kid", json!(kid));
        let header = with(header, "jwk", stranger.public_jwk());
        let token = forge(&stranger, &header, &claims_json());
        assert_eq!(verify(&ring(), &token), Err(Told::Invalid));
    }
}

#[test]
fn an_opaque_token_is_not_an_access_token() {
    let refresh = PlainToken::generate("tgr_", &Seeded::new(3));
    assert_eq!(verify(&ring(), refresh.expose()), Err(Told::Invalid));
    assert_eq!(verify(&ring(), "1|abcdefghijklmnopqrstuvwxyz"), Err(Told::Invalid));
    assert_eq!(verify(&ring(), ""), Err(Told::Invalid));
}

#[test]
fn after_rotation_the_old_keys_tokens_still_count_until_it_is_retired() {
    let old = ring();
    let token = token(&old);
    let rotated =
        KeyRing::new(key(SigningAlgorithm::EdDsa, 2), vec![old.signing_key().verification_key().clone()]);
    assert_eq!(verify(&rotated, &token), Ok(claims()));
    let fresh = self::token(&rotated);
    assert_eq!(verify(&rotated, &fresh), Ok(claims()));
    assert_eq!(verify(&old, &fresh), Err(Told::Invalid));
    let retired = KeyRing::new(key(SigningAlgorithm::EdDsa, 2), Vec::new());
    assert_eq!(verify(&retired, &token), Err(Told::Invalid));
}

#[test]
fn every_key_is_published_once_the_one_that_signs_first() {
    let (old, new) = (key(SigningAlgorithm::Es256, 1), key(SigningAlgorithm::EdDsa, 2));
    let others = vec![old.verification_key().clone(), new.verification_key().clone()];
    let expected = json!({"keys": [new.public_jwk(), old.public_jwk()]});
    assert_eq!(KeyRing::new(new, others).jwks(), expected);
}

#[test]
fn a_very_long_token_is_refused_even_if_it_is_right() {
    let key = key(SigningAlgorithm::Es256, 1);
    let padded = |length: usize| {
        let claims = with(claims_json(), "jti", json!("x".repeat(length)));
        forge(&key, &header_json(&key), &claims)
    };
    let (short, long) = (padded(1_000), padded(7_000));
    assert!(short.len() < MAX_TOKEN && long.len() > MAX_TOKEN);
    assert!(verify(&ring(), &short).is_ok());
    assert_eq!(verify(&ring(), &long), Err(Told::Invalid));
}

#[test]
fn an_expiry_at_the_end_of_time_does_not_overflow() {
    let key = key(SigningAlgorithm::Es256, 1);
    let at =
        |exp: i64| verify(&ring(), &forge(&key, &header_json(&key), &with(claims_json(), "exp", json!(exp))));
    assert!(at(i64::MAX).is_ok());
    assert_eq!(at(i64::MIN), Err(Told::Expired));
    assert_eq!(at(0), Err(Told::Expired));
}

#[test]
fn the_operator_is_told_what_is_wrong_with_a_token() {
    let (ours, stranger) = (key(SigningAlgorithm::Es256, 1), key(SigningAlgorithm::Es256, 2));
    let header = header_json(&ours);
    let signed = |header: &Value, claims: &Value| fault(&ring(), &forge(&ours, header, claims));
    let headed = |member: &str, value: Value| signed(&with(header.clone(), member, value), &claims_json());
    let says = |member: &str, value: Value| signed(&header, &with(claims_json(), member, value));
    let begins = |told: String, expected: &str| assert!(told.starts_with(expected), "{told}");
    begins(headed("kid", json!(null)), "kid: missing");
    begins(headed("kid", json!("unknown")), "kid: unknown, or of a key that was retired");
    let elsewhere = with(claims_json(), "iss", json!("https://other.example.com"));
    begins(signed(&with(header.clone(), "kid", json!("unknown")), &elsewhere), "kid: unknown; iss is not");
    begins(headed("typ", json!("JWT")), "typ: not at+jwt");
    begins(headed("alg", json!("ES384")), "alg: ");
    begins(headed("alg", json!("none")), "malformed: ");
    begins(headed("crit", json!(["b64"])), "crit: ");
    begins(fault(&ring(), &forge(&stranger, &header, &claims_json())), "signature: wrong");
    begins(says("exp", json!("soon")), "claims: ");
    begins(says("iss", json!("https://old.example.com")), "iss: https://old.example.com, which");
    begins(says("aud", json!("https://api.example.com")), "aud: https://api.example.com, which");
    for none in ["", "a.b.c", "1|abc"] {
        begins(fault(&ring(), none), "malformed: ");
    }
    begins(fault(&ring(), &"a".repeat(MAX_TOKEN + 1)), "malformed: longer than");
}

#[test]
fn a_key_of_id_tokens_alone_signs_no_access_token_and_the_operator_is_told() {
    let (ours, beside) = (key(SigningAlgorithm::Es256, 1), key(SigningAlgorithm::EdDsa, 2));
    let token = forge(&beside, &header_json(&beside), &claims_json());
    let ring = KeyRing::with_id_token_keys(ours, Vec::new(), vec![beside], Vec::new());
    assert!(fault(&ring, &token).starts_with("typ: "));
}

#[test]
fn of_a_token_that_was_not_signed_here_nothing_is_repeated_and_of_others_one_line() {
    let (ours, stranger) = (key(SigningAlgorithm::Es256, 1), key(SigningAlgorithm::Es256, 2));
    let marked = ["iss", "aud", "jti"]
        .iter()
        .fold(claims_json(), |claims, member| with(claims, member, json!("https://marked.example")));
    let header = with(header_json(&stranger), "kid", json!("marked"));
    for token in [
        forge(&stranger, &header, &marked),
        forge(&stranger, &header_json(&ours), &marked),
        forge(&stranger, &with(header_json(&stranger), "typ", json!("marked")), &marked),
        "marked.marked.marked".to_owned(),
    ] {
        let told = fault(&ring(), &token);
        assert!(!told.contains("marked"), "{told}");
    }
    let long = format!("a\nb\u{1b}{}", "x".repeat(2_000));
    let told = fault(&ring(), &forge(&ours, &header_json(&ours), &with(claims_json(), "iss", json!(long))));
    assert!(told.starts_with("iss: a\\nb\\u{1b}xxx") && told.len() < 300, "{told}");
}

#[test]
fn debug_output_hides_keys_and_tokens() {
    let ring = ring();
    let private = URL_SAFE_NO_PAD.encode(ring.signing_key().private().as_bytes());
    let shown = format!("{ring:?} {:?}", ring.sign(&claims()).unwrap());
    assert!(!shown.contains(&private));
    assert!(shown.ends_with("[secret]"));
}

proptest! {
    #[test]
    fn arbitrary_text_is_refused_and_nothing_panics(text in ".*") {
        prop_assert_eq!(verify(&ring(), &text), Err(Told::Invalid));
    }

    #[test]
    fn text_in_the_shape_of_a_token_is_refused(text in "[A-Za-z0-9_=-]{0,80}(\\.[A-Za-z0-9_=-]{0,80}){0,4}") {
        prop_assert_eq!(verify(&ring(), &text), Err(Told::Invalid));
    }

    #[test]
    fn arbitrary_json_in_a_rightly_signed_token_is_refused(header in "\\PC*", claims in "\\PC*") {
        let key = key(SigningAlgorithm::Es256, 1);
        let loose = |text: &str| serde_json::from_str(text).unwrap_or(json!(text));
        let wrong_header = forge(&key, &loose(&header), &claims_json());
        prop_assert_eq!(verify(&ring(), &wrong_header), Err(Told::Invalid));
        let wrong_claims = forge(&key, &header_json(&key), &loose(&claims));
        prop_assert_eq!(verify(&ring(), &wrong_claims), Err(Told::Invalid));
    }

    #[test]
    fn parts_of_different_tokens_do_not_combine(first in 0_usize..3, second in 0_usize..3, third in 0_usize..3) {
        let ring = ring();
        let tokens: Vec<String> = (0..3)
            .map(|n| AccessClaims { jti: n.to_string(), ..claims() })
            .map(|claims| ring.sign(&claims).unwrap().expose().to_owned())
            .collect();
        let part = |token: usize, at: usize| tokens[token].split('.').nth(at).unwrap();
        let mixed = [part(first, 0), part(second, 1), part(third, 2)].join(".");
        prop_assert_eq!(verify(&ring, &mixed).is_ok(), second == third);
    }
}
