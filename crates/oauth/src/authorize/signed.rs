//! Authorization requests that the application signed (RFC 9101).

use serde_json::{Map, Value};

use super::error::ShownError;
use super::parameters::Parameters;
use crate::Oauth;
use crate::applications::Application;
use crate::token::assertion::{Validity, is_for};

/// Types of a JWT that is an authorization request, or does not say what it is (RFC 9101 section 10.8).
const TYPES: [&str; 2] = ["jwt", "oauth-authz-req+jwt"];
/// Claims that are no parameters (RFC 7519 section 4.1).
const REGISTERED: [&str; 7] = ["iss", "sub", "aud", "exp", "nbf", "iat", "jti"];

/// Refuses a signed request, with a text for the application's developer.
fn invalid<T>(text: impl std::fmt::Display) -> Result<T, ShownError> {
    Err(ShownError::InvalidRequestObject(text.to_string()))
}

impl Oauth {
    /// The parameters inside a signed request. Nothing that stands beside it counts, but the `client_id`, which has to be the same.
    ///
    /// It needs `iss`, `aud` and `exp`: without them it could be brought for ever, and one made for another server here.
    ///
    /// Source: RFC 9101 sections 5, 6 and 10.
    ///
    /// # Errors
    /// [`ShownError::InvalidRequestObject`].
    pub(super) async fn signed_parameters(
        &self,
        application: &Application,
        request: &str,
    ) -> Result<Parameters, ShownError> {
        let allowed = application.metadata.request_algorithms();
        let jwt = self.verified(application, request, |keys, token| keys.verify(token, &allowed)).await;
        let jwt = match jwt {
            Ok(jwt) => jwt,
            Err(why) => return invalid(why),
        };
        if !jwt.typ.as_ref().is_none_or(|typ| TYPES.iter().any(|known| typ.eq_ignore_ascii_case(known))) {
            return invalid("its type must be oauth-authz-req+jwt");
        }
        let client_id = application.client_id();
        let text = |name: &str| jwt.claims.get(name).and_then(Value::as_str);
        if text("iss") != Some(client_id.as_str())
            || text("client_id").is_some_and(|inside| inside != client_id)
        {
            return invalid("iss and client_id in it must be the client_id");
        }
        // An assertion that authenticates the client says so (RFC 9101 section 10.8).
        if text("sub") == Some(client_id.as_str()) {
            return invalid("sub must not be the client_id: that would authenticate the client");
        }
        let issuer = self.issuer();
        if !is_for(&jwt.claims, &[issuer, &format!("{issuer}/")]) {
            return invalid("aud must be the issuer, and nobody else");
        }
        if Validity::of(&jwt.claims, self.kernel.now()).is_err() {
            return invalid("exp is needed, at most an hour ahead, and nbf and iat must have passed");
        }
        match Parameters::read(pairs(&jwt.claims, client_id)?) {
            Ok(parameters) => Ok(parameters),
            Err(why) => invalid(why),
        }
    }
}

/// The claims that are parameters, as pairs of name and value.
fn pairs(claims: &Map<String, Value>, client_id: String) -> Result<Vec<(String, String)>, ShownError> {
    let mut pairs = vec![("client_id".to_owned(), client_id)];
    for (name, value) in claims {
        if REGISTERED.contains(&name.as_str()) || name == "client_id" {
            continue;
        }
        // Section 4: neither may be inside.
        if name == "request" || name == "request_uri" {
            return invalid("request and request_uri must not be in it");
        }
        if let ("resource", Value::Array(all)) = (name.as_str(), value) {
            // RFC 8707 section 2: several values are an array.
            for one in all {
                match one {
                    Value::String(one) => pairs.push((name.clone(), one.clone())),
                    _ => return invalid("resource must be a text, or an array of texts"),
                }
            }
            continue;
        }
        match parameter(name, value) {
            Some(value) => pairs.push((name.clone(), value)),
            None => return invalid(format!("{name:.40} must be a text")),
        }
    }
    Ok(pairs)
}

/// A claim as a parameter (RFC 9101 section 4): numbers and flags as they are written, objects as JSON.
fn parameter(name: &str, value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Object(_) if name == "claims" => Some(value.to_string()),
        Value::Bool(_) | Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}
