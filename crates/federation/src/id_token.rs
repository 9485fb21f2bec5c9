//! Whether an ID token is for this client and this sign-in (OpenID Connect Core section 3.1.3.7). Its signature was verified before.

use serde_json::{Map, Value};
use tidegate_domain::Timestamp;

use crate::error::FederationError;
use crate::kind::Kind;
use crate::profile::MAX_SUBJECT;

/// How far clocks may differ, in seconds.
const LEEWAY: i64 = 60;
/// How old an ID token may be: it comes straight from the provider.
const MAX_AGE: i64 = 600;

/// What an ID token is compared with.
pub(crate) struct Expected<'a> {
    pub(crate) kind: Kind,
    /// As the discovery document says; with Microsoft perhaps a template.
    pub(crate) issuer: &'a str,
    pub(crate) tenant: &'a str,
    pub(crate) client_id: &'a str,
    /// None where the caller compares it.
    pub(crate) nonce: Option<&'a str>,
    pub(crate) now: Timestamp,
}

/// The subject and the issuer of an ID token.
pub(crate) struct Checked {
    pub(crate) issuer: String,
    pub(crate) subject: String,
    pub(crate) nonce: Option<String>,
}

/// Checks the claims.
pub(crate) fn check(
    claims: &Map<String, Value>,
    expected: &Expected<'_>,
) -> Result<Checked, FederationError> {
    let refused = |why| Err(FederationError::TokenRefused(why));
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    let seconds = |name: &str| claims.get(name).and_then(whole_seconds);
    let now = expected.now.seconds();
    let Some(iss) = text("iss") else { return refused("it names no issuer") };
    if !expected.kind.is_issuer(expected.issuer, iss, expected.tenant, claims) {
        return refused("it is of another issuer");
    }
    if !is_for(claims, expected.client_id) {
        return refused("it is for another client");
    }
    match seconds("exp") {
        Some(exp) if now < exp.saturating_add(LEEWAY) => {}
        _ => return refused("it has expired; is this machine's clock right?"),
    }
    match seconds("iat") {
        Some(iat) if iat <= now + LEEWAY && iat >= now - MAX_AGE => {}
        _ => return refused("it is too old, or of the future; is this machine's clock right?"),
    }
    if seconds("nbf").is_some_and(|nbf| nbf > now + LEEWAY) {
        return refused("it is of the future; is this machine's clock right?");
    }
    let nonce = text("nonce");
    if expected.nonce.is_some_and(|expected| nonce != Some(expected)) {
        return refused("its nonce is not this sign-in's");
    }
    match text("sub") {
        Some(subject) if !subject.is_empty() && subject.len() <= MAX_SUBJECT => Ok(Checked {
            issuer: iss.to_owned(),
            subject: subject.to_owned(),
            nonce: nonce.map(str::to_owned),
        }),
        _ => refused("it names no subject"),
    }
}

/// Dates are numbers, with or without a fraction (RFC 7519 section 2).
pub(crate) fn whole_seconds(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| Timestamp::from_fractional_seconds(value.as_f64()?).map(Timestamp::seconds))
}

fn is_for(claims: &Map<String, Value>, client_id: &str) -> bool {
    let is_own = |value: &Value| value.as_str() == Some(client_id);
    let is_authorized = |azp: &Value| is_own(azp);
    let azp = claims.get("azp");
    match claims.get("aud") {
        Some(Value::Array(all)) if all.len() == 1 => all.iter().all(is_own) && azp.is_none_or(is_authorized),
        // Others are named, too: then the authorized party must be this client.
        Some(Value::Array(all)) => all.iter().any(is_own) && azp.is_some_and(is_authorized),
        Some(one) => is_own(one) && azp.is_none_or(is_authorized),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn checked(change: Value) -> Result<Checked, FederationError> {
        let mut claims = json!({
            "iss": "https://issuer.example", "sub": "1", "aud": "client", "exp": 1_300, "iat": 1_000, "nonce": "n",
        });
        for (name, value) in change.as_object().unwrap() {
            claims[name] = value.clone();
        }
        let expected = Expected {
            kind: Kind::Oidc,
            issuer: "https://issuer.example",
            tenant: "",
            client_id: "client",
            nonce: Some("n"),
            now: Timestamp::from_seconds(1_000),
        };
        check(claims.as_object().unwrap(), &expected)
    }

    #[test]
    fn a_token_for_this_client_and_sign_in_is_accepted() {
        for fine in [
            json!({}),
            json!({"aud": ["client"]}),
            json!({"aud": ["client", "other"], "azp": "client"}),
            json!({"exp": 941}),
            json!({"iat": 1_060}),
            json!({"iat": 1000.5}),
            json!({"nbf": 1_000}),
        ] {
            let checked = checked(fine.clone()).map_err(|error| format!("{fine}: {error}")).unwrap();
            assert_eq!((checked.subject.as_str(), checked.nonce.as_deref()), ("1", Some("n")));
        }
    }

    #[test]
    fn a_clock_that_is_wrong_is_named_as_a_reason() {
        for wrong in [json!({"exp": 940}), json!({"iat": 1_061}), json!({"iat": 399}), json!({"nbf": 1_061})]
        {
            let why = checked(wrong.clone()).map(drop).unwrap_err().to_string();
            assert!(why.ends_with("; is this machine's clock right?"), "{wrong}: {why}");
        }
    }

    #[test]
    fn every_other_token_is_refused() {
        for wrong in [
            json!({"iss": null}),
            json!({"iss": "https://issuer.example/"}),
            json!({"iss": "https://other.example"}),
            json!({"aud": null}),
            json!({"aud": []}),
            json!({"aud": "other"}),
            json!({"aud": ["other"]}),
            json!({"aud": ["client", "other"]}),
            json!({"aud": ["client", "other"], "azp": "other"}),
            json!({"azp": "other"}),
            json!({"exp": null}),
            json!({"exp": 940}),
            json!({"exp": "1300"}),
            json!({"iat": null}),
            json!({"iat": 1_061}),
            json!({"iat": 399}),
            json!({"nbf": 1_061}),
            json!({"nonce": null}),
            json!({"nonce": "other"}),
            json!({"sub": ""}),
            json!({"sub": null}),
            json!({"sub": "x".repeat(256)}),
        ] {
            assert!(checked(wrong.clone()).is_err(), "{wrong}");
        }
    }
}
