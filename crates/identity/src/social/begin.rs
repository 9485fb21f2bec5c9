//! A sign-in by a provider begins: the address at the provider, with everything in it that the answer must repeat.

use std::time::Duration;

use tidegate_crypto::PlainToken;
use tidegate_domain::Secret;
use tidegate_federation::{AuthorizationRequest, Provider, UnknownProvider};
use tidegate_kernel::Call;
use tidegate_kernel::fault::{Fault, Outcome, refuse};
use tidegate_kernel::throttle::Counted;
use uuid::Uuid;

use crate::social::error::SocialError;
use crate::social::requests_repository::{NewSocialRequest, SocialRequest};
use crate::{Identity, IdentityTables};

/// How long a person may take at the provider.
pub const REQUEST_LIFETIME: Duration = Duration::from_secs(600);
/// States are of this kind.
const STATE_PREFIX: &str = "tgs_";
/// Cookies of browsers are of this kind.
const BROWSER_PREFIX: &str = "tgb_";
/// What nonces are keyed for.
const NONCE: &str = "social nonce";
/// What code verifiers are keyed for.
const VERIFIER: &str = "social code verifier";

/// Where a sign-in comes back to.
#[derive(Clone, Debug)]
pub enum ReturnTo {
    /// To an application's page that the request names, or else to where the operator says for the provider, or else to `callback`,
    /// which answers as the contract says.
    Application {
        /// What the request names.
        page: Option<String>,
        /// The contract's own.
        callback: String,
    },
    /// To a page of this installation, with the browser's cookie.
    Page(String),
}

/// A sign-in to begin.
#[derive(Clone, Debug)]
pub struct BeginSocial {
    /// The provider's name.
    pub provider: String,
    /// What the client wants to come back with the code; made here where it sends none.
    pub state: Option<String>,
    /// Where it comes back to.
    pub return_to: ReturnTo,
    /// S256 (RFC 7636) of a secret that the application's page keeps: whoever brings the code has to show it.
    pub page_challenge: Option<String>,
    /// The cookie of the browser, where it has one from before: other sign-ins that it began stay open.
    pub browser: Option<PlainToken>,
    /// Seconds since the person last proved who they are at the provider, at most; 0: anew.
    pub max_age: Option<u64>,
    /// What a page wants back with the answer: sealed, and nothing that the store looks into.
    pub carried: Option<String>,
}

/// A sign-in that was begun.
#[derive(Clone, Debug)]
pub struct BegunSocial {
    /// Where the person signs in.
    pub url: String,
    /// The provider's name.
    pub provider: String,
    /// What comes back with the code.
    pub state: String,
    /// For the browser's cookie.
    pub browser: PlainToken,
    /// Whether the answer comes as a form from the provider's page: browsers keep most cookies back then.
    pub posts_answer: bool,
}

impl Identity {
    /// Begins a sign-in by a provider.
    ///
    /// Source: RiverGen "oauth/{provider}/url".
    ///
    /// # Errors
    /// [`SocialError`].
    pub async fn begin_social_sign_in(
        &self,
        call: &Call,
        claim: BeginSocial,
    ) -> Outcome<BegunSocial, SocialError> {
        let provider = match self.social_provider(&claim.provider) {
            Ok(provider) => provider,
            Err(error) => return refuse(error),
        };
        let limit = call.profile.limits.social_requests_by_ip;
        self.kernel.throttle(call, &[(Counted::SocialRequestsByIp, limit)]).await?;
        let (redirect_uri, is_hosted, is_own) = match claim.return_to {
            ReturnTo::Page(page) => (page, true, true),
            ReturnTo::Application { page: Some(page), .. } if !self.federation.admits_page(&page) => {
                return refuse(SocialError::PageNotAllowed);
            }
            ReturnTo::Application { page: Some(page), callback } => {
                let is_own = page == callback;
                (page, false, is_own)
            }
            ReturnTo::Application { page: None, callback } => match provider.redirect_uri() {
                Some(page) => (page.to_owned(), false, page == callback),
                None => (callback, false, true),
            },
        };
        let (now, entropy) = (self.kernel.now(), self.kernel.entropy.as_ref());
        let browser = claim.browser.unwrap_or_else(|| PlainToken::generate(BROWSER_PREFIX, entropy));
        let state =
            claim.state.unwrap_or_else(|| PlainToken::generate(STATE_PREFIX, entropy).expose().to_owned());
        let request = SocialRequest {
            id: entropy.uuid(now),
            provider: provider.name().to_owned(),
            browser_hash: browser.hash().as_bytes().to_vec(),
            is_hosted,
            redirect_uri,
            // Where the state may not come back, the verifier would not be found.
            uses_pkce: is_own || self.federation.requires_state(),
            page_challenge: claim.page_challenge,
        };
        let (nonce, verifier) = (self.social_nonce(request.id), self.social_verifier(&request));
        let address = AuthorizationRequest {
            redirect_uri: &request.redirect_uri,
            state: &state,
            nonce: nonce.expose(),
            code_verifier: verifier.as_ref(),
            max_age: claim.max_age,
        };
        let url = match provider.authorization_url(&address).await {
            Ok(url) => url.to_string(),
            Err(error) => return refuse(SocialError::of(provider.name(), &error)),
        };
        self.keep_social_request(call, &request, (&state, &nonce), claim.carried.as_deref()).await?;
        let posts_answer = provider.posts_answer();
        Ok(BegunSocial { url, provider: request.provider, state, browser, posts_answer })
    }

    async fn keep_social_request(
        &self,
        call: &Call,
        request: &SocialRequest,
        (state, nonce): (&str, &PlainToken),
        carried: Option<&str>,
    ) -> Result<(), Fault> {
        let now = self.kernel.now();
        let (state, nonce) = (PlainToken::from_presented(state).hash(), nonce.hash());
        let mut work = self.begin(call).await?;
        let new = NewSocialRequest {
            request,
            state_hash: state.as_bytes(),
            nonce_hash: nonce.as_bytes(),
            carried,
            created_at: now,
            expires_at: now.plus(REQUEST_LIFETIME),
        };
        work.unit.social_requests().insert(&new).await?;
        work.commit().await
    }

    /// The providers that people can sign in by: their names, and what people call them.
    pub fn social_providers(&self) -> Vec<(String, String)> {
        let named = |provider: &Provider| (provider.name().to_owned(), provider.title().to_owned());
        self.federation.providers().map(named).collect()
    }

    /// Whether the provider of that name can be asked to have a person sign in anew, and says when they did.
    pub fn social_tells_when(&self, name: &str) -> bool {
        self.federation.provider(name).is_ok_and(Provider::tells_when)
    }

    /// Whether the provider of that name answers with a form; none where there is no such provider.
    pub fn social_posts_answer(&self, name: &str) -> Option<bool> {
        self.federation.provider(name).ok().map(Provider::posts_answer)
    }

    /// The provider of that name. One that the contract names and that is not set up is told to operators.
    pub(crate) fn social_provider(&self, name: &str) -> Result<&Provider, SocialError> {
        self.federation.provider(name).map_err(|unknown| {
            if unknown == UnknownProvider::NotSetUp {
                tracing::warn!(
                    provider = name,
                    "sign-in by this provider is not set up: see [social] in the configuration"
                );
            }
            SocialError::UnknownProvider
        })
    }

    /// The nonce of a request: it follows from its key, so that the store holds none.
    pub(crate) fn social_nonce(&self, request: Uuid) -> PlainToken {
        PlainToken::from_presented(&self.derived(NONCE, request))
    }

    /// The code verifier of a request, if it uses one.
    pub(crate) fn social_verifier(&self, request: &SocialRequest) -> Option<Secret> {
        request.uses_pkce.then(|| Secret::new(self.derived(VERIFIER, request.id)))
    }

    fn derived(&self, purpose: &str, request: Uuid) -> String {
        let mac = self.kernel.vault.mac(purpose, request.as_bytes());
        mac.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}
