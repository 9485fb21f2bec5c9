//! ID tokens, logout tokens, and ID tokens that come back as hints.

use jsonwebtoken::{decode, decode_header, encode};
use serde::Serialize;
use serde_json::{Map, Value};
use tidegate_domain::Secret;

use super::{KeyRing, MAX_TOKEN, SigningFailed, header_of};
use crate::SigningAlgorithm;

/// `typ` of a logout token (OpenID Connect Back-Channel Logout 1.0, section 2.4): nothing else can be taken for one.
const LOGOUT_TOKEN: &str = "logout+jwt";
/// `typ` of an ID token, as it is written here: it keeps it from being taken for an access token.
const ID_TOKEN: &str = "JWT";

/// Why a hint says nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HintError {
    /// It names a key that this installation does not have, or has no more: it may once have been right.
    #[error("the ID token is signed with a key that is not in use any more")]
    UnknownKey,
    /// It is none of this installation's.
    #[error("this is no ID token of this server")]
    Invalid,
}

impl KeyRing {
    /// An ID token that says `claims` (OpenID Connect Core section 2), signed with `algorithm`; with none, as access tokens are.
    ///
    /// # Errors
    /// [`SigningFailed`], also where there is no key of that algorithm.
    pub fn sign_id_token<T: Serialize>(
        &self,
        algorithm: Option<SigningAlgorithm>,
        claims: &T,
    ) -> Result<Secret, SigningFailed> {
        self.sign_as(ID_TOKEN, algorithm, claims)
    }

    /// A logout token that says `claims`, signed as the ID tokens of who is told are (Back-Channel Logout 1.0, section 2.6).
    ///
    /// # Errors
    /// As [`Self::sign_id_token`].
    pub fn sign_logout_token<T: Serialize>(
        &self,
        algorithm: Option<SigningAlgorithm>,
        claims: &T,
    ) -> Result<Secret, SigningFailed> {
        self.sign_as(LOGOUT_TOKEN, algorithm, claims)
    }

    fn sign_as<T: Serialize>(
        &self,
        typ: &str,
        algorithm: Option<SigningAlgorithm>,
        claims: &T,
    ) -> Result<Secret, SigningFailed> {
        let key = self.key_of_id_tokens(algorithm).ok_or(SigningFailed)?;
        encode(&header_of(key, typ), claims, key.private()).map(Secret::new).map_err(|_| SigningFailed)
    }

    /// What an ID token of this installation, `issuer`, says; also one that has expired: it is a hint, and opens nothing (OpenID Connect
    /// RP-Initiated Logout 1.0, section 2).
    ///
    /// # Errors
    /// [`HintError`].
    pub fn read_hint(&self, token: &str, issuer: &str) -> Result<Map<String, Value>, HintError> {
        if token.len() > MAX_TOKEN {
            return Err(HintError::Invalid);
        }
        let header = decode_header(token).map_err(|_| HintError::Invalid)?;
        let is_id_token = header.typ.as_deref().is_some_and(|typ| typ.eq_ignore_ascii_case(ID_TOKEN));
        if !is_id_token || header.crit.is_some() {
            return Err(HintError::Invalid);
        }
        let kid = header.kid.as_deref().ok_or(HintError::Invalid)?;
        let mut known = self.0.verifying.iter().chain(&self.0.of_id_tokens);
        let key = known.find(|key| key.kid() == kid).ok_or(HintError::UnknownKey)?;
        if key.algorithm().jws() != header.alg {
            return Err(HintError::Invalid);
        }
        let decoded = decode::<Map<String, Value>>(token, key.decoding(), key.validation());
        let claims = decoded.map_err(|_| HintError::Invalid)?.claims;
        let is_own = claims.get("iss").and_then(Value::as_str) == Some(issuer);
        if is_own { Ok(claims) } else { Err(HintError::Invalid) }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tidegate_domain::Timestamp;

    use super::*;
    use crate::testing::Seeded;
    use crate::{SigningKey, TokenError, TokenFault};

    const ISSUER: &str = "https://id.example.com";

    fn ring(algorithm: SigningAlgorithm, seed: u64) -> KeyRing {
        let key = SigningKey::generate(algorithm, Timestamp::from_seconds(0), &Seeded::new(seed)).unwrap();
        KeyRing::new(key, Vec::new())
    }

    fn read(ring: &KeyRing, token: &str) -> Result<Value, HintError> {
        ring.read_hint(token, ISSUER).map(Value::Object)
    }

    #[test]
    fn an_id_token_is_read_however_old_it_is() {
        for algorithm in [SigningAlgorithm::Es256, SigningAlgorithm::EdDsa] {
            let ring = ring(algorithm, 1);
            let claims = json!({ "iss": ISSUER, "sub": "1", "aud": "client", "exp": 1 });
            let token = ring.sign_id_token(None, &claims).unwrap();
            assert_eq!(read(&ring, token.expose()), Ok(claims));
        }
    }

    #[test]
    fn each_algorithm_has_a_key_and_the_one_of_access_tokens_comes_first() {
        use SigningAlgorithm::{EdDsa, Es256, Rs256};
        let made = |algorithm, seed| {
            SigningKey::generate(algorithm, Timestamp::from_seconds(0), &Seeded::new(seed)).unwrap()
        };
        let (main, beside) = (made(Es256, 1), vec![made(EdDsa, 2), made(Rs256, 3), made(Es256, 4)]);
        let retired = vec![made(EdDsa, 5).verification_key().clone()];
        let names: Vec<String> = beside.iter().map(|key| key.kid().to_owned()).collect();
        let own = main.kid().to_owned();
        let ring = KeyRing::with_id_token_keys(main, Vec::new(), beside, retired);
        assert_eq!(ring.jwks()["keys"].as_array().unwrap().len(), 5);
        let claims = json!({ "iss": ISSUER, "sub": "1" });
        let by = [(None, &own), (Some(Es256), &own), (Some(EdDsa), &names[0]), (Some(Rs256), &names[1])];
        for (algorithm, kid) in by {
            let signed = [ring.sign_id_token(algorithm, &claims), ring.sign_logout_token(algorithm, &claims)];
            for token in &signed {
                let header = decode_header(token.as_ref().unwrap().expose()).unwrap();
                assert_eq!(header.kid.as_ref(), Some(kid), "{algorithm:?}");
            }
            assert_eq!(read(&ring, signed[0].as_ref().unwrap().expose()), Ok(claims.clone()));
            assert!(algorithm.is_none_or(|algorithm| ring.signs_id_tokens_with(algorithm)));
        }
        let alone = super::tests::ring(Es256, 1);
        assert!(!alone.signs_id_tokens_with(EdDsa));
        assert_eq!(alone.sign_id_token(Some(EdDsa), &claims).map(drop), Err(SigningFailed));
    }

    #[test]
    fn no_other_token_is_a_hint() {
        let ring = ring(SigningAlgorithm::Es256, 1);
        let claims = json!({ "iss": ISSUER, "sub": "1" });
        let token = ring.sign_id_token(None, &claims).unwrap().expose().to_owned();
        let strangers = super::tests::ring(SigningAlgorithm::Es256, 2);
        assert_eq!(read(&strangers, &token), Err(HintError::UnknownKey));
        let logout = ring.sign_logout_token(None, &claims).unwrap();
        assert_eq!(read(&ring, logout.expose()), Err(HintError::Invalid));
        assert_eq!(
            ring.verify(logout.expose(), ISSUER, Timestamp::from_seconds(0)),
            Err(TokenError::Invalid(TokenFault::Type))
        );
        let elsewhere =
            ring.sign_id_token(None, &json!({ "iss": "https://other.example", "sub": "1" })).unwrap();
        assert_eq!(read(&ring, elsewhere.expose()), Err(HintError::Invalid));
        let [header, payload, signature] = token.split('.').collect::<Vec<_>>()[..] else { panic!("a JWT") };
        let other = payload.replace(|c: char| c.is_ascii_digit(), "A");
        for wrong in [
            String::new(),
            "x".to_owned(),
            format!("{header}.{other}x.{signature}"),
            format!("{header}.{payload}."),
            "x".repeat(9_000),
        ] {
            assert_eq!(read(&ring, &wrong), Err(HintError::Invalid), "{wrong}");
        }
    }
}
