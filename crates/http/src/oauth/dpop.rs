//! Proofs of possession where tokens are issued (RFC 9449 section 5).

use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::Response;
use tidegate_kernel::dpop::{ProofRefused, ShownProof};
use tidegate_kernel::noted::{CredentialFault, refused};

use super::error::Error;
use crate::wire::possession::{DPOP_NONCE, proof};
use crate::wire::rejection::Rejection;
use crate::wire::state::App;

/// The thumbprint of the key that the caller of an endpoint proves to hold; none where no proof is sent.
pub(super) async fn shown_key(
    app: &App,
    headers: &HeaderMap,
    path: &'static str,
) -> Result<Option<String>, Error> {
    let invalid = |text: String| {
        refused(CredentialFault::Dpop(text.clone()));
        Error::new(StatusCode::BAD_REQUEST, "invalid_dpop_proof", text)
    };
    let Some(proof) = proof(headers).map_err(|text| invalid(text.to_owned()))? else {
        return Ok(None);
    };
    let shown = ShownProof { proof, method: "POST", path, access_token: None, bound_to: None };
    match app.kernel().prove_possession(shown).await {
        Ok(key) => Ok(Some(key)),
        Err(ProofRefused::Invalid(text)) => Err(invalid(text)),
        Err(why @ ProofRefused::OtherKey) => Err(invalid(why.to_string())),
        Err(why @ ProofRefused::UseNonce) => {
            refused(CredentialFault::Dpop(why.to_string()));
            let error = Error::new(StatusCode::BAD_REQUEST, "use_dpop_nonce", why.to_string());
            Err(match HeaderValue::try_from(app.kernel().dpop_nonce()) {
                Ok(nonce) => error.with_header(DPOP_NONCE, nonce),
                Err(_) => error,
            })
        }
        Err(ProofRefused::Fault(fault)) => Err(Rejection::from(fault).into()),
    }
}

/// Hands out what the next proof has to repeat, where that is asked for (section 8.2).
pub(super) fn hand_out_nonce(app: &App, response: &mut Response) {
    if !app.kernel().settings().oauth.rules.require_dpop_nonce {
        return;
    }
    if let Ok(nonce) = HeaderValue::try_from(app.kernel().dpop_nonce()) {
        response.headers_mut().insert(DPOP_NONCE, nonce);
    }
}
