//! Authorization requests that are kept here: pushed by the application (RFC 9126), or signed by it and brought by a browser.

use std::collections::BTreeMap;
use std::time::Duration;

use tidegate_crypto::{PlainToken, TokenHash};
use tidegate_kernel::Call;
use tidegate_kernel::fault::{Fault, Outcome, Refused, refuse};

use super::error::{RequestRefused, ShownError};
use super::parameters::Parameters;
use super::pushed_repository::NewPushedRequest;
use super::resolved::Resolved;
use crate::applications::Application;
use crate::{Oauth, OauthTables};

/// What every `request_uri` that is made here begins with (RFC 9126 section 2.2).
pub const REQUEST_URI: &str = "urn:ietf:params:oauth:request_uri:";

/// What stands before the name of a request that was pushed, and of one that a browser brought signed.
const PUSHED: &str = "p.";
const SIGNED: &str = "s.";

/// How long a request lives once a browser has brought it: as long as it may take a person to sign in and to answer. It is answered once.
const OPENED: Duration = Duration::from_secs(1_800);
/// Most requests of one application that wait to be brought.
const MOST_WAITING: i64 = 10_000;

/// A request that is kept.
#[derive(Clone, Debug)]
pub struct Pushed {
    /// What the browser brings in its place.
    pub request_uri: String,
    /// Seconds in which it has to.
    pub expires_in: u64,
}

/// Why a request is not kept.
#[derive(Clone, Debug, thiserror::Error)]
pub enum PushError {
    /// As the authorization endpoint would refuse it.
    #[error(transparent)]
    Request(#[from] RequestRefused),
    /// RFC 9126 section 2.1.
    #[error("{0}")]
    Malformed(&'static str),
    /// The application has too many that were not brought.
    #[error("too many pushed requests of this client wait to be used; use them, or wait until they expire")]
    TooMany,
}

impl Oauth {
    /// Keeps an authorization request of an application that has proven who it is.
    ///
    /// `key` is the thumbprint of the key that the application has proven to hold (RFC 9449 section 10.1).
    ///
    /// Source: RFC 9126 section 2.
    ///
    /// # Errors
    /// [`PushError`].
    pub async fn push_request(
        &self,
        application: &Application,
        mut parameters: Parameters,
        key: Option<String>,
    ) -> Outcome<Pushed, PushError> {
        if parameters.request_uri.is_some() {
            return refuse(PushError::Malformed("request_uri must not be pushed"));
        }
        let client_id = application.client_id();
        if parameters.client_id.as_ref().is_some_and(|named| *named != client_id) {
            return refuse(PushError::Malformed("client_id is another one than that which authenticated"));
        }
        parameters.client_id = Some(client_id);
        let is_signed = parameters.request.is_some() && application.metadata.has_keys();
        if is_signed && let Some(request) = parameters.request.take() {
            let signed = self.signed_parameters(application, &request).await;
            parameters = signed.map_err(|error| Refused::Rule(PushError::Request(error.into())))?;
        }
        match (&parameters.dpop_jkt, key) {
            (Some(named), Some(shown)) if *named != shown => {
                return refuse(PushError::Malformed("dpop_jkt names another key than that of the proof"));
            }
            (None, Some(shown)) => parameters.dpop_jkt = Some(shown),
            _ => {}
        }
        let resolved = Resolved { parameters: parameters.clone(), pushed: None, is_pushed: true, is_signed };
        // What the authorization endpoint would refuse is refused here, where only the application sees it.
        match self.validated(application.clone(), resolved).await {
            Ok(_) => {}
            Err(Refused::Rule(refused)) => return refuse(PushError::Request(refused)),
            Err(Refused::Fault(fault)) => return Err(Refused::Fault(fault)),
        }
        let lifetime = self.rules().pushed_request_lifetime;
        let handle = PlainToken::generate(PUSHED, self.kernel.entropy.as_ref());
        let kept = self.keep(application, &parameters, &handle, is_signed, Some(lifetime)).await?;
        if !kept {
            return refuse(PushError::TooMany);
        }
        let request_uri = format!("{REQUEST_URI}{}", handle.expose());
        Ok(Pushed { request_uri, expires_in: lifetime.as_secs() })
    }

    /// Keeps a signed request that a browser brings, so that it needs not be valid as long as its person signs in, nor be sent along;
    /// answers its `request_uri`. Brought again it is the same.
    ///
    /// # Errors
    /// [`RequestRefused`].
    pub async fn keep_signed_request(
        &self,
        call: &Call,
        parameters: Parameters,
    ) -> Outcome<(String, String), RequestRefused> {
        let shown = |error: ShownError| Refused::Rule(RequestRefused::Shown(error));
        let client_id = parameters.client_id.as_deref();
        let application = self.active_application(call, client_id).await?;
        let application = application.ok_or_else(|| shown(ShownError::without_client(client_id)))?;
        let request = match (&parameters.request, &parameters.request_uri) {
            (Some(request), None) => request,
            _ => return Err(shown(ShownError::InvalidRequestUri)),
        };
        if !application.metadata.has_keys() {
            // Refused like any other, where its redirect URI is registered.
            let refused = self.authorization_request(call, parameters.clone()).await.err();
            return Err(refused.unwrap_or_else(|| shown(ShownError::InvalidRequestUri)));
        }
        let signed = self.signed_parameters(&application, request).await.map_err(shown)?;
        let resolved =
            Resolved { parameters: signed.clone(), pushed: None, is_pushed: false, is_signed: true };
        drop(self.validated(application.clone(), resolved).await?);
        // Nobody can guess it who does not have the signed request, and it is the same for the same one.
        let mac = self.kernel.vault.mac("signed authorization request", request.as_bytes());
        let handle = PlainToken::from_presented(&format!("{SIGNED}{}", hex::encode(mac)));
        if !self.keep(&application, &signed, &handle, true, None).await? {
            return Err(shown(ShownError::InvalidRequest(PushError::TooMany.to_string())));
        }
        Ok((application.client_id(), format!("{REQUEST_URI}{}", handle.expose())))
    }

    /// False where the application has too many that wait. A public client proves nothing, and anybody pushes in its name: its oldest gives way, or
    /// else a stranger would keep its people out.
    async fn keep(
        &self,
        application: &Application,
        parameters: &Parameters,
        handle: &PlainToken,
        is_signed: bool,
        lifetime: Option<Duration>,
    ) -> Result<bool, Fault> {
        let (kernel, now, hash) = (&self.kernel, self.kernel.now(), handle.hash());
        let text = serde_json::to_vec(&parameters.pairs().collect::<BTreeMap<_, _>>())?;
        let sealed = kernel.vault.seal(&context(&hash), &text, kernel.entropy.as_ref())?;
        let mut unit = kernel.store.begin().await?;
        if unit.pushed_requests().waiting(application.id, now).await? >= MOST_WAITING {
            if !application.authentication.is_public() {
                return Ok(false);
            }
            unit.pushed_requests().forget_oldest(application.id, now).await?;
        }
        let new = NewPushedRequest {
            hash,
            application: application.id,
            parameters: &sealed,
            is_signed,
            created_at: now,
            expires_at: now.plus(lifetime.unwrap_or(OPENED)),
            is_opened: lifetime.is_none(),
        };
        unit.pushed_requests().insert(&new).await?;
        unit.commit().await?;
        Ok(true)
    }

    /// The request that is meant: the one that was pushed, the one that is signed, or the parameters as they are.
    ///
    /// # Errors
    /// [`ShownError::InvalidRequestUri`], [`ShownError::InvalidRequestObject`] and those of the store.
    pub(super) async fn resolved(
        &self,
        application: &Application,
        mut parameters: Parameters,
    ) -> Outcome<Resolved, ShownError> {
        let kept = parameters.request_uri.as_deref().and_then(|uri| uri.strip_prefix(REQUEST_URI));
        if let Some(handle) = kept {
            if parameters.request.is_some() {
                return refuse(ShownError::InvalidRequest(
                    "request and request_uri are both sent; send one of them".to_owned(),
                ));
            }
            return self.brought(application, &PlainToken::from_presented(handle)).await;
        }
        let is_signed = parameters.request.is_some()
            && parameters.request_uri.is_none()
            && application.metadata.has_keys();
        if is_signed && let Some(request) = parameters.request.take() {
            parameters = self.signed_parameters(application, &request).await.map_err(Refused::Rule)?;
        }
        Ok(Resolved { parameters, pushed: None, is_pushed: false, is_signed })
    }

    async fn brought(&self, application: &Application, handle: &PlainToken) -> Outcome<Resolved, ShownError> {
        let (now, hash) = (self.kernel.now(), handle.hash());
        let found = self.kernel.store.read().await?.pushed_requests().find(&hash).await?;
        let is_live = |found: &super::pushed_repository::PushedRequest| {
            found.application == application.id && !found.is_used && now < found.expires_at
        };
        let Some(found) = found.filter(is_live) else {
            return refuse(ShownError::InvalidRequestUri);
        };
        if !found.is_opened {
            let mut unit = self.kernel.store.begin().await?;
            unit.pushed_requests().open(&hash, now, now.plus(OPENED)).await?;
            unit.commit().await?;
        }
        let text = self.kernel.vault.open(&context(&hash), &found.parameters).map_err(Fault::from)?;
        let pairs: BTreeMap<String, String> = serde_json::from_slice(&text).map_err(Fault::from)?;
        let parameters = Parameters::from_kept(pairs)
            .map_err(|why| Refused::Rule(ShownError::InvalidRequest(why.to_string())))?;
        // One that a browser brought signed was not pushed: whoever has to push did not.
        let is_pushed = handle.expose().starts_with(PUSHED);
        Ok(Resolved { parameters, pushed: Some(hash), is_pushed, is_signed: found.is_signed })
    }
}

/// What the parameters are sealed for.
fn context(hash: &TokenHash) -> String {
    format!("pushed-request/{}", hex::encode(hash.as_bytes()))
}
