//! Tokens that their bearer has to prove to hold the key of (RFC 9449 section 7).

use axum::extract::OriginalUri;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use tidegate_crypto::dpop::ALGORITHMS;
use tidegate_kernel::Actor;
use tidegate_kernel::dpop::{ProofRefused, ReadProof, ShownProof};
use tidegate_kernel::noted::{CredentialFault, refused};

use crate::wire::rejection::Rejection;
use crate::wire::state::App;

/// The header with the proof.
pub(crate) const DPOP: HeaderName = HeaderName::from_static("dpop");
/// The header with what the next proof has to repeat.
pub(crate) const DPOP_NONCE: HeaderName = HeaderName::from_static("dpop-nonce");

/// How a token is presented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scheme {
    /// Whoever bears it may use it (RFC 6750).
    Bearer,
    /// With a proof of possession (RFC 9449).
    Dpop,
}

/// Why a token that is bound to a key, or presented as one, is not accepted.
#[derive(Clone, Debug)]
pub(crate) struct Unproven {
    /// As the challenge names it (RFC 9449 section 7.1).
    pub(crate) error: &'static str,
    /// What is wrong, for the developer.
    pub(crate) description: String,
    /// What the next proof has to repeat.
    pub(crate) nonce: Option<String>,
}

impl Unproven {
    fn token(description: &str) -> Rejection {
        Self { error: "invalid_token", description: description.to_owned(), nonce: None }.rejection()
    }

    /// The same as a rejection, which the log tells of in the same words.
    fn rejection(self) -> Rejection {
        refused(CredentialFault::Dpop(self.description.clone()));
        Rejection::Unproven(Box::new(self))
    }

    /// The headers of the answer.
    pub(crate) fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let challenge = format!("DPoP error=\"{}\", algs=\"{}\"", self.error, ALGORITHMS.join(" "));
        if let Ok(challenge) = HeaderValue::try_from(challenge) {
            headers.insert(header::WWW_AUTHENTICATE, challenge);
        }
        if let Some(nonce) = self.nonce.as_deref().and_then(|nonce| HeaderValue::from_str(nonce).ok()) {
            headers.insert(DPOP_NONCE, nonce);
        }
        headers
    }
}

/// The token of the one `Authorization` header.
///
/// # Errors
/// What the log says of another scheme, an empty token, none or two headers.
pub(crate) fn presented(headers: &HeaderMap) -> Result<(Scheme, &str), &'static str> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let value = match (values.next(), values.next()) {
        (None, _) => return Err("no header"),
        (Some(value), None) => value.to_str().map_err(|_| "the header is no text")?,
        (Some(_), Some(_)) => return Err("two headers"),
    };
    // The value itself may be a token that somebody forgot the scheme of.
    let (scheme, token) = value.split_once(' ').ok_or("neither Bearer nor DPoP and a token")?;
    let scheme = match scheme {
        scheme if scheme.eq_ignore_ascii_case("bearer") => Scheme::Bearer,
        scheme if scheme.eq_ignore_ascii_case("dpop") => Scheme::Dpop,
        _ => return Err("neither Bearer nor DPoP and a token"),
    };
    let token = token.trim();
    if token.is_empty() { Err("the token is empty") } else { Ok((scheme, token)) }
}

/// The one proof of a request; none where none is sent.
///
/// # Errors
/// Two, or one that is no text: two readers could believe one each.
pub(crate) fn proof(headers: &HeaderMap) -> Result<Option<&str>, &'static str> {
    let mut values = headers.get_all(DPOP).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(proof), None) => proof.to_str().map(Some).map_err(|_| "the DPoP header is no text"),
        (Some(_), Some(_)) => Err("two DPoP headers are sent"),
    }
}

/// Refuses a token that is bound to a key without the proof of it, and one that is not bound in the place of one that is. Answers the proof,
/// which counts once it is noted: see [`note`].
pub(crate) fn require_possession(
    app: &App,
    parts: &Parts,
    actor: &Actor,
    (scheme, token): (Scheme, &str),
) -> Result<Option<ReadProof>, Rejection> {
    match (scheme, &actor.claims().cnf) {
        (Scheme::Bearer, None) => Ok(None),
        (Scheme::Bearer, Some(_)) => {
            Err(Unproven::token("this access token is bound to a key: send it with DPoP"))
        }
        (Scheme::Dpop, None) => {
            Err(Unproven::token("this access token is not bound to a key: send it as Bearer"))
        }
        (Scheme::Dpop, Some(bound)) => proven(app, parts, token, &bound.jkt).map(Some),
    }
}

/// Refuses a request that does not prove to hold the key. Nothing is written yet.
fn proven(app: &App, parts: &Parts, token: &str, key: &str) -> Result<ReadProof, Rejection> {
    let proof = match proof(&parts.headers) {
        Ok(Some(proof)) => proof,
        Ok(None) => return Err(invalid(app, "the DPoP header with the proof is missing".to_owned(), false)),
        Err(text) => return Err(invalid(app, text.to_owned(), false)),
    };
    let path = parts.extensions.get::<OriginalUri>().map_or(&parts.uri, |uri| &uri.0).path();
    let method = parts.method.as_str();
    let shown = ShownProof { proof, method, path, access_token: Some(token), bound_to: Some(key) };
    app.kernel().read_possession(shown).map_err(|refused| rejected(app, refused))
}

/// Notes a proof, and refuses one that was shown before. After the caller was counted: each is a row, and whoever has a token could write as
/// many as they send requests.
pub(crate) async fn note(app: &App, proof: Option<ReadProof>) -> Result<(), Rejection> {
    let Some(proof) = proof else { return Ok(()) };
    app.kernel().note_possession(proof).await.map(drop).map_err(|refused| rejected(app, refused))
}

fn rejected(app: &App, refused: ProofRefused) -> Rejection {
    match refused {
        ProofRefused::OtherKey => {
            Unproven::token("this access token is bound to another key than the one of the DPoP proof")
        }
        ProofRefused::Fault(fault) => fault.into(),
        ProofRefused::Invalid(text) => invalid(app, text, false),
        refused @ ProofRefused::UseNonce => invalid(app, refused.to_string(), true),
    }
}

fn invalid(app: &App, description: String, needs_nonce: bool) -> Rejection {
    let error = if needs_nonce { "use_dpop_nonce" } else { "invalid_dpop_proof" };
    let nonce = needs_nonce.then(|| app.kernel().dpop_nonce());
    Unproven { error, description, nonce }.rejection()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[&str]) -> Option<(Scheme, String)> {
        let headers: HeaderMap =
            values.iter().map(|value| (header::AUTHORIZATION, value.parse().unwrap())).collect();
        presented(&headers).ok().map(|(scheme, token)| (scheme, token.to_owned()))
    }

    #[test]
    fn one_header_of_a_known_scheme_is_a_token_and_nothing_else_is() {
        assert_eq!(of(&["Bearer abc"]), Some((Scheme::Bearer, "abc".into())));
        assert_eq!(of(&["bearer  abc "]), Some((Scheme::Bearer, "abc".into())));
        assert_eq!(of(&["dpop abc"]), Some((Scheme::Dpop, "abc".into())));
        for values in [
            &[][..],
            &["Bearer"],
            &["Bearer "],
            &["Basic abc"],
            &["abc"],
            &["Bearer a", "Bearer b"],
            &["Bearer a", "DPoP a"],
        ] {
            assert_eq!(of(values), None, "{values:?}");
        }
    }

    #[test]
    fn of_two_proofs_neither_is_believed() {
        let with = |proofs: &[&str]| {
            proofs.iter().map(|proof| (DPOP, proof.parse().unwrap())).collect::<HeaderMap>()
        };
        assert_eq!(proof(&with(&[])), Ok(None));
        assert_eq!(proof(&with(&["a"])), Ok(Some("a")));
        assert!(proof(&with(&["a", "a"])).is_err());
    }
}
