//! An application proves who it is with a JWT that it signed (RFC 7523 section 2.2).

use std::time::Duration;

use serde_json::{Map, Value};
use tidegate_crypto::{ClientJwt, ClientJwtError, ClientKeys};
use tidegate_domain::oauth::ClientAuthentication;
use tidegate_domain::{Secret, Timestamp};
use tidegate_kernel::Fault;

use crate::applications::Application;
use crate::{Oauth, OauthTables};

/// The only kind of assertion that authenticates a client (RFC 7523 section 2.2).
pub const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// How long before its expiry an assertion may be made at most. Libraries make them for a minute to an hour; what is longer is a secret
/// that is kept somewhere.
const LONGEST: Duration = Duration::from_secs(3_600);
/// How much clocks may differ.
const LEEWAY: Duration = Duration::from_secs(60);
/// Longest name of an assertion, in characters.
const MAX_ID: usize = 255;
/// Types of a JWT that is no other kind of token (RFC 8725 section 3.11).
const TYPES: [&str; 2] = ["jwt", "client-authentication+jwt"];

/// When a JWT that a client signed counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Validity {
    pub(crate) expires_at: Timestamp,
}

impl Validity {
    /// Reads `exp`, `nbf` and `iat`, and refuses what has expired, is not valid yet, or will be for too long. Numbers that no clock shows
    /// are no times.
    ///
    /// # Errors
    /// Which of them is wrong, for the log.
    pub(crate) fn of(claims: &Map<String, Value>, now: Timestamp) -> Result<Self, String> {
        let expires_at = claims.get("exp").and_then(time).ok_or("exp is missing, or no time")?;
        if now >= expires_at.plus(LEEWAY) {
            return Err(format!("it expired {} s ago (exp)", now.since(expires_at).as_secs()));
        }
        if expires_at > now.plus(LONGEST + LEEWAY) {
            return Err("it is valid for more than an hour (exp)".to_owned());
        }
        for name in ["nbf", "iat"] {
            let Some(value) = claims.get(name) else { continue };
            let at = time(value).ok_or_else(|| format!("{name} is no time"))?;
            if at > now.plus(LEEWAY) {
                return Err(format!("it is not valid for another {} s ({name})", at.since(now).as_secs()));
            }
        }
        Ok(Self { expires_at: expires_at.plus(LEEWAY) })
    }
}

/// A NumericDate (RFC 7519 section 2): seconds, maybe with a fraction, of the years 1970 to 9999.
fn time(value: &Value) -> Option<Timestamp> {
    const LAST: i64 = 253_402_300_799;
    let seconds = value.as_i64().or_else(|| {
        let float = value.as_f64().filter(|float| (0.0..=LAST as f64).contains(float))?;
        Some(float as i64)
    })?;
    (0..=LAST).contains(&seconds).then(|| Timestamp::from_seconds(seconds))
}

/// Whether all whom a JWT is for are this server, under one of its names. One that is for others, too, could be theirs to bring.
pub(crate) fn is_for(claims: &Map<String, Value>, names: &[&str]) -> bool {
    let is_own = |value: &Value| value.as_str().is_some_and(|text| names.contains(&text));
    match claims.get("aud") {
        Some(Value::Array(all)) => !all.is_empty() && all.iter().all(is_own),
        Some(one) => is_own(one),
        None => false,
    }
}

impl Oauth {
    /// Whether an application made that assertion for this server, lately, and brings it for the first time; or why it does not count, for
    /// the log.
    ///
    /// Source: RFC 7523 section 3; OpenID Connect Core section 9; RFC 8725.
    pub(super) async fn check_assertion(
        &self,
        application: &Application,
        assertion: &Secret,
    ) -> Result<Result<(), String>, Fault> {
        let now = self.kernel.now();
        let jwt = match application.authentication {
            ClientAuthentication::PrivateKeyJwt => {
                let allowed = application.metadata.assertion_algorithms();
                self.verified(application, assertion.expose(), |keys, token| keys.verify(token, &allowed))
                    .await
            }
            ClientAuthentication::SecretJwt => match self.open_secret(application)? {
                Some(secret) => ClientJwt::with_secret(assertion.expose(), &secret),
                None => Err(ClientJwtError::Invalid),
            },
            _ => Err(ClientJwtError::Invalid),
        };
        let jwt = match jwt {
            Ok(jwt) => jwt,
            Err(why) => return Ok(Err(why.to_string())),
        };
        let (id, validity) = match self.assertion_of(application, &jwt, now) {
            Ok(asserted) => asserted,
            Err(why) => return Ok(Err(why)),
        };
        let fingerprint = ClientJwt::fingerprint(&application.client_id(), id);
        let mut unit = self.kernel.store.begin().await?;
        let is_first = unit.used_assertions().use_up(&fingerprint, validity.expires_at).await?;
        unit.commit().await?;
        Ok(if is_first { Ok(()) } else { Err("it was used before (jti)".to_owned()) })
    }

    /// The name of an assertion, and how long it counts, if it is one of the application for this server; else what is wrong with it.
    fn assertion_of<'j>(
        &self,
        application: &Application,
        jwt: &'j ClientJwt,
        now: Timestamp,
    ) -> Result<(&'j str, Validity), String> {
        let is_assertion =
            jwt.typ.as_ref().is_none_or(|typ| TYPES.iter().any(|known| typ.eq_ignore_ascii_case(known)));
        let client_id = application.client_id();
        let is_own = |name: &str| jwt.claims.get(name).and_then(Value::as_str) == Some(client_id.as_str());
        let issuer = self.issuer();
        let (token, par) = (format!("{issuer}/oauth/token"), format!("{issuer}/oauth/par"));
        // The issuer (RFC 7523 section 3), with the slash that some libraries append, and the endpoints (RFC 9126 section 2).
        let slashed = format!("{issuer}/");
        let is_ours = is_for(&jwt.claims, &[issuer, &slashed, &token, &par]);
        if !is_assertion {
            return Err("its type is neither JWT nor client-authentication+jwt (typ)".to_owned());
        }
        if !is_own("iss") || !is_own("sub") {
            return Err("iss and sub are not both the client_id".to_owned());
        }
        if !is_ours {
            return Err(format!("aud is not {issuer} or {token} alone"));
        }
        let id = jwt.claims.get("jti").and_then(Value::as_str);
        let id = id.filter(|id| !id.is_empty() && id.chars().count() <= MAX_ID);
        let id = id.ok_or("jti is missing, or too long")?;
        Ok((id, Validity::of(&jwt.claims, now)?))
    }

    /// Verifies what a client signed with its keys. Where it names a key that is not known, they are read anew, if it publishes them.
    pub(crate) async fn verified(
        &self,
        application: &Application,
        token: &str,
        verify: impl Fn(&ClientKeys, &str) -> Result<ClientJwt, ClientJwtError>,
    ) -> Result<ClientJwt, ClientJwtError> {
        let metadata = &application.metadata;
        if let Some(jwks) = &metadata.jwks {
            let (keys, _) = ClientKeys::registered(jwks).map_err(|_| ClientJwtError::UnknownKey)?;
            return verify(&keys, token);
        }
        let url = metadata.jwks_uri.as_deref().and_then(|uri| url::Url::parse(uri).ok());
        let Some(url) = url else { return Err(ClientJwtError::UnknownKey) };
        let now = self.kernel.now();
        let unread = |error: tidegate_federation::FederationError| {
            tracing::info!(client_id = %application.id, %error, "the keys of a client cannot be read");
            ClientJwtError::UnknownKey
        };
        let parsed = |body: &[u8]| ClientKeys::parse(body).map_err(|_| ClientJwtError::UnknownKey);
        let of = application.publisher();
        let document = self.documents.read(of, &url, now).await.map_err(unread)?;
        match parsed(&document.body).and_then(|keys| verify(&keys, token)) {
            Err(ClientJwtError::UnknownKey) if document.read_at < now => {
                let newer =
                    self.documents.read_newer(of, &url, document.read_at, now).await.map_err(unread)?;
                verify(&parsed(&newer.body)?, token)
            }
            verified => verified,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn validity(claims: Value) -> Result<Validity, String> {
        Validity::of(claims.as_object().unwrap(), Timestamp::from_seconds(1_000_000))
    }

    #[test]
    fn an_assertion_is_made_for_now_and_not_for_long() {
        for fine in [
            json!({"exp": 1_000_001}),
            json!({"exp": 999_941}),
            json!({"exp": 1_003_660}),
            json!({"exp": 1_000_060.5}),
            json!({"exp": 1_000_300, "iat": 1_000_060, "nbf": 1_000_060}),
        ] {
            assert!(validity(fine.clone()).is_ok(), "{fine}");
        }
        for wrong in [
            json!({}),
            json!({"exp": 999_940}),
            json!({"exp": 1_003_661}),
            json!({"exp": "1000001"}),
            json!({"exp": null}),
            json!({"exp": -1}),
            json!({"exp": 1e300}),
            json!({"exp": i64::MAX}),
            json!({"exp": u64::MAX}),
            json!({"exp": 253_402_300_800_i64}),
            json!({"exp": 1_000_300, "nbf": 1_000_061}),
            json!({"exp": 1_000_300, "iat": 1_000_061}),
            json!({"exp": 1_000_300, "iat": "now"}),
        ] {
            assert!(validity(wrong.clone()).is_err(), "{wrong}");
        }
        for (wrong, told) in [
            (json!({"exp": 999_900}), "it expired 100 s ago (exp)"),
            (json!({"exp": 1_000_300, "nbf": 1_000_090}), "it is not valid for another 90 s (nbf)"),
            (json!({"exp": 1_000_300, "iat": "now"}), "iat is no time"),
        ] {
            assert_eq!(validity(wrong), Err(told.to_owned()));
        }
    }

    #[test]
    fn what_is_for_others_too_is_not_for_us() {
        let names = ["https://id.example.com", "https://id.example.com/oauth/token"];
        for (audience, fits) in [
            (json!("https://id.example.com"), true),
            (json!(["https://id.example.com"]), true),
            (json!(["https://id.example.com", "https://id.example.com/oauth/token"]), true),
            (json!(["https://id.example.com", "https://evil.example"]), false),
            (json!("https://id.example.com/"), false),
            (json!("https://ID.example.com"), false),
            (json!([]), false),
            (json!(null), false),
            (json!({"https://id.example.com": 1}), false),
            (json!([["https://id.example.com"]]), false),
        ] {
            let claims = json!({ "aud": audience });
            assert_eq!(is_for(claims.as_object().unwrap(), &names), fits, "{claims}");
        }
        assert!(!is_for(&Map::new(), &names));
    }
}
