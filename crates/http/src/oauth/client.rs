//! How an application presents itself (RFC 6749 section 2.3.1, RFC 7523 section 2.2).

use axum::http::{HeaderMap, HeaderValue, header};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tidegate_crypto::oauth::unverified_subject;
use tidegate_domain::Secret;
use tidegate_kernel::noted::{CredentialFault, refused};
use tidegate_oauth::token::assertion::JWT_BEARER;
use tidegate_oauth::token::{PresentedClient, TokenError};
use url::form_urlencoded;

use super::error::Error;
use super::form::Form;

/// What an application presents of itself; none where it presents nothing. Two ways at once are refused: two readers could believe
/// one each.
pub(super) fn presented(headers: &HeaderMap, form: &mut Form) -> Result<Option<PresentedClient>, Error> {
    let (id, secret) = (form.take("client_id"), form.secret("client_secret"));
    let is_sent_empty = form.has_empty("client_secret");
    let asserted = asserted(form, id.as_deref())?;
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let basic = match (values.next(), values.next()) {
        (None, _) => None,
        (Some(value), None) => {
            let text = value.to_str().ok();
            Some(
                text.and_then(basic)
                    .ok_or_else(|| unreadable("the Authorization header is no Basic that can be read"))?,
            )
        }
        (Some(_), Some(_)) => return Err(Error::invalid_request("two Authorization headers are sent")),
    };
    if let Some(asserted) = asserted {
        if basic.is_some() || secret.is_some() {
            return Err(Error::invalid_request(
                "the client authenticates with an assertion and with a secret; send one of them",
            ));
        }
        return Ok(Some(asserted));
    }
    match (basic, id, secret) {
        (Some(_), _, Some(_)) => Err(Error::invalid_request(
            "the client authenticates in the header and in the body; send one of them",
        )),
        (Some(basic), Some(id), None) if basic.id != id => {
            Err(Error::invalid_request("client_id in the body is another one than in the header"))
        }
        (Some(basic), _, None) => Ok(Some(basic)),
        (None, Some(id), secret) => {
            let secret = secret.or_else(|| is_sent_empty.then(|| Secret::new("")));
            Ok(Some(PresentedClient { id, secret, assertion: None }))
        }
        (None, None, Some(_)) => Err(Error::invalid_request("client_secret is sent without client_id")),
        (None, None, None) => Ok(None),
    }
}

/// A JWT by which an application authenticates (RFC 7523 section 2.2). Its `sub` names the application where the form does not; whether it
/// is that one's, the signature says.
fn asserted(form: &mut Form, id: Option<&str>) -> Result<Option<PresentedClient>, Error> {
    let (assertion, kind) = (form.secret("client_assertion"), form.take("client_assertion_type"));
    let assertion = match (assertion, kind.as_deref()) {
        (None, None) => return Ok(None),
        (Some(assertion), Some(JWT_BEARER)) => assertion,
        (Some(_), _) => {
            return Err(Error::invalid_request(format!("client_assertion_type must be {JWT_BEARER}")));
        }
        (None, Some(_)) => {
            return Err(Error::invalid_request("client_assertion_type is sent without client_assertion"));
        }
    };
    let id = match id {
        Some(id) => id.to_owned(),
        None => {
            let subject = unverified_subject(assertion.expose());
            subject.ok_or_else(|| unreadable("neither client_id nor an assertion with sub"))?
        }
    };
    Ok(Some(PresentedClient { id, secret: None, assertion: Some(assertion) }))
}

/// The same where nobody has to authenticate: a bearer token in the header is left alone.
pub(super) fn presented_beside_bearer(
    headers: &HeaderMap,
    form: &mut Form,
) -> Result<Option<PresentedClient>, Error> {
    let mut others = headers.clone();
    let is_bearer = |value: &HeaderValue| {
        let scheme = value.as_bytes().split(|byte| *byte == b' ').next();
        scheme.is_some_and(|scheme| {
            scheme.eq_ignore_ascii_case(b"bearer") || scheme.eq_ignore_ascii_case(b"dpop")
        })
    };
    if headers.get_all(header::AUTHORIZATION).iter().all(is_bearer) {
        others.remove(header::AUTHORIZATION);
    }
    presented(&others, form)
}

/// The same of an endpoint where an application has to.
pub(super) fn required(headers: &HeaderMap, form: &mut Form) -> Result<PresentedClient, Error> {
    presented(headers, form)?.ok_or_else(|| unreadable("nothing is presented").into())
}

/// An application that cannot be told: it learns no more than that, the operator why.
fn unreadable(why: &'static str) -> TokenError {
    refused(CredentialFault::Client(why));
    TokenError::InvalidClient
}

/// Both parts are form-encoded before they are joined (RFC 6749 section 2.3.1).
fn basic(header: &str) -> Option<PresentedClient> {
    let (scheme, encoded) = header.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let bytes = STANDARD.decode(encoded.trim()).ok()?;
    let (id, secret) = str::from_utf8(&bytes).ok()?.split_once(':')?;
    let (id, secret) = (part(id)?, part(secret)?);
    Some(PresentedClient { id, secret: Some(Secret::new(secret)), assertion: None })
}

fn part(text: &str) -> Option<String> {
    if text.contains(['&', '=']) {
        return None;
    }
    let mut pairs = form_urlencoded::parse(text.as_bytes());
    Some(pairs.next().map(|(name, _)| name.into_owned()).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(plain: &str) -> Option<(String, Option<String>)> {
        let client = basic(&format!("Basic {}", STANDARD.encode(plain)))?;
        Some((client.id, client.secret.map(|secret| secret.expose().to_owned())))
    }

    #[test]
    fn both_parts_are_form_encoded() {
        assert_eq!(of("id:secret_1"), Some(("id".into(), Some("secret_1".into()))));
        assert_eq!(of("a%3Ab:c%2Bd+e"), Some(("a:b".into(), Some("c+d e".into()))));
        assert_eq!(of("id:"), Some(("id".into(), Some(String::new()))));
        for not in ["id", "a=b:c", "a:b&c"] {
            assert_eq!(of(not), None, "{not}");
        }
        assert!(basic("Bearer abc").is_none() && basic("Basic ???").is_none());
    }

    proptest! {
        #[test]
        fn any_header_is_read_without_a_panic(plain in "\\PC{0,60}", header in "[ -~]{0,60}") {
            of(&plain);
            basic(&header);
        }
    }
}
