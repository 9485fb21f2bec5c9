//! A sign-in by a provider comes back: with its state to a callback, or with the code alone from an application.

use std::time::Duration;

use tidegate_crypto::{PlainToken, pkce_challenge};
use tidegate_domain::factor::DeviceData;
use tidegate_domain::{Secret, Timestamp};
use tidegate_federation::{CodeExchange, Provider, ProviderProfile};
use tidegate_kernel::Call;
use tidegate_kernel::fault::{Fault, Outcome, Refused, refuse};
use tidegate_kernel::throttle::Counted;

use crate::social::connect::{Connection, Intent};
use crate::social::error::SocialError;
use crate::social::outcome::SocialOutcome;
use crate::social::requests_repository::SocialRequest;
use crate::{Identity, IdentityTables};

/// How much a provider's clock may be behind.
const CLOCKS: Duration = Duration::from_secs(60);
/// Longest error code of a provider that is repeated to the client.
const MAX_CODE: usize = 64;

/// What a browser brings back from a provider.
#[derive(Clone, Debug, Default)]
pub struct ProviderAnswer {
    /// The provider whose callback was called.
    pub provider: String,
    /// The code.
    pub code: Option<Secret>,
    /// The state.
    pub state: Option<String>,
    /// What is wrong, in the provider's word.
    pub error: Option<String>,
    /// Who answers (RFC 9207).
    pub issuer: Option<String>,
    /// What Apple says of the person the first time, JSON.
    pub user: Option<String>,
    /// The browser's cookie.
    pub browser: Option<PlainToken>,
    /// Whether it came to a hosted page. Then the cookie is needed; the contract's callback takes an answer without one, as the client
    /// that began it may have had no place for cookies.
    pub is_hosted: bool,
    /// Since when the person has to have proved who they are at the provider; none: whenever.
    pub signed_in_since: Option<Timestamp>,
}

/// A code that an application sends.
#[derive(Clone, Debug)]
pub struct SocialCode {
    /// The provider.
    pub provider: String,
    /// The code.
    pub code: Secret,
    /// The state that came with it, where the application sends it.
    pub state: Option<String>,
    /// Who answered (RFC 9207), where the application sends it.
    pub issuer: Option<String>,
    /// The page it came to, where the request for the address named one.
    pub redirect_uri: Option<String>,
    /// The contract's own callback, where no page is named or configured.
    pub callback: String,
    /// The browser's cookie.
    pub browser: Option<PlainToken>,
    /// The secret of the page that began, where it keeps one.
    pub page_secret: Option<Secret>,
    /// What the client sent of its device.
    pub device: DeviceData,
}

/// What a new person agrees to.
#[derive(Clone, Debug, Default)]
pub struct SocialTerms {
    /// Whether they agreed.
    pub agreed: bool,
    /// To which version.
    pub version: Option<String>,
}

impl Identity {
    /// Signs in, or up, whoever a provider sends back.
    ///
    /// Source: RiverGen "oauth/{provider}/callback".
    ///
    /// # Errors
    /// [`SocialError`].
    pub async fn finish_social_sign_in(
        &self,
        call: &Call,
        answer: ProviderAnswer,
        device: &DeviceData,
    ) -> Outcome<SocialOutcome, SocialError> {
        let provider = match self.social_provider(&answer.provider) {
            Ok(provider) => provider,
            Err(error) => return refuse(error),
        };
        self.count_social_sign_in(call).await?;
        let browser = Browser {
            cookie: answer.browser.as_ref(),
            page_secret: None,
            is_hosted: answer.is_hosted,
            is_strict: false,
        };
        if let Some(error) = &answer.error {
            // The person may try again only from the beginning.
            if let Some(state) = &answer.state {
                self.take_social_request(call, provider, state, browser).await?;
            }
            return refuse(SocialError::Denied(shown(error)));
        }
        let Some(code) = answer.code.filter(|code| !code.expose().is_empty()) else {
            return refuse(SocialError::MissingCode);
        };
        let Some(state) = &answer.state else { return refuse(SocialError::InvalidState) };
        let Some(request) = self.take_social_request(call, provider, state, browser).await? else {
            return refuse(SocialError::InvalidState);
        };
        match provider.is_answer(answer.issuer.as_deref()).await {
            Ok(true) => {}
            Ok(false) => return refuse(SocialError::OtherProvider),
            Err(error) => return refuse(SocialError::of(provider.name(), &error)),
        }
        let profile = self.identify(provider, &code, &request, answer.user.as_deref()).await?;
        let is_since = |since: Timestamp| profile.auth_time.is_some_and(|at| at.plus(CLOCKS) >= since);
        if !answer.signed_in_since.is_none_or(is_since) {
            return refuse(SocialError::NotAnew);
        }
        let is_hosted = answer.is_hosted;
        let connection =
            Connection { provider, profile: &profile, intent: Intent::SignIn, device, is_hosted };
        self.connect_social(call, connection).await
    }

    /// Signs in, or up, whoever an application has a code of.
    ///
    /// Source: RiverGen "oauth/login".
    ///
    /// # Errors
    /// [`SocialError`].
    pub async fn social_sign_in(
        &self,
        call: &Call,
        claim: SocialCode,
    ) -> Outcome<SocialOutcome, SocialError> {
        let (provider, profile) = self.identify_by_code(call, &claim).await?;
        let (intent, device) = (Intent::SignIn, &claim.device);
        let connection = Connection { provider, profile: &profile, intent, device, is_hosted: false };
        self.connect_social(call, connection).await
    }

    /// Makes an account for whoever an application has a code of.
    ///
    /// Source: RiverGen "oauth/signup".
    ///
    /// # Errors
    /// [`SocialError`].
    pub async fn social_sign_up(
        &self,
        call: &Call,
        claim: SocialCode,
        terms: SocialTerms,
    ) -> Outcome<SocialOutcome, SocialError> {
        let (provider, profile) = self.identify_by_code(call, &claim).await?;
        let intent = Intent::SignUp(terms);
        let device = &claim.device;
        let connection = Connection { provider, profile: &profile, intent, device, is_hosted: false };
        self.connect_social(call, connection).await
    }

    async fn identify_by_code(
        &self,
        call: &Call,
        claim: &SocialCode,
    ) -> Outcome<(&Provider, ProviderProfile), SocialError> {
        let provider = match self.social_provider(&claim.provider) {
            Ok(provider) => provider,
            Err(error) => return refuse(error),
        };
        self.count_social_sign_in(call).await?;
        // Where the operator asks for all that protects a code, an issuer that the provider sends is among it.
        if claim.issuer.is_some() || self.federation.requires_state() {
            match provider.is_answer(claim.issuer.as_deref()).await {
                Ok(true) => {}
                Ok(false) => return refuse(SocialError::OtherProvider),
                Err(error) => return refuse(SocialError::of(provider.name(), &error)),
            }
        }
        if let Some(state) = &claim.state {
            let browser = self.browser_of(claim);
            let Some(request) = self.take_social_request(call, provider, state, browser).await? else {
                return refuse(SocialError::InvalidState);
            };
            return Ok((provider, self.identify(provider, &claim.code, &request, None).await?));
        }
        if self.federation.requires_state() {
            return refuse(SocialError::InvalidState);
        }
        self.identify_without_state(call, provider, claim).await.map(|profile| (provider, profile))
    }

    /// Asks who has signed in where the contract's request has no state: an ID token's nonce must be that of a request begun here.
    async fn identify_without_state(
        &self,
        call: &Call,
        provider: &Provider,
        claim: &SocialCode,
    ) -> Outcome<ProviderProfile, SocialError> {
        let redirect_uri = match claim.redirect_uri.as_deref() {
            Some(page) if page == claim.callback || self.federation.admits_page(page) => page,
            Some(_) => return refuse(SocialError::PageNotAllowed),
            None => provider.redirect_uri().unwrap_or(&claim.callback),
        };
        let exchange =
            CodeExchange { code: &claim.code, redirect_uri, code_verifier: None, nonce: None, user: None };
        let profile = match provider.identify(&exchange).await {
            Ok(profile) => profile,
            Err(error) => return refuse(SocialError::of(provider.name(), &error)),
        };
        if provider.has_nonce() {
            let nonce = profile.nonce.as_deref().unwrap_or_default();
            if !self.take_nonce(call, provider, nonce, redirect_uri, self.browser_of(claim)).await? {
                return refuse(SocialError::InvalidState);
            }
        }
        Ok(profile)
    }

    /// Uses up the request that the nonce names, if a code may be brought to it alone: to the same page, by the same browser where it
    /// shows a cookie, and not where the state had to come back.
    async fn take_nonce(
        &self,
        call: &Call,
        provider: &Provider,
        nonce: &str,
        redirect_uri: &str,
        browser: Browser<'_>,
    ) -> Result<bool, Fault> {
        let hash = PlainToken::from_presented(nonce).hash();
        let mut work = self.begin(call).await?;
        let open =
            work.unit.social_requests().open_with_nonce(provider.name(), hash.as_bytes(), work.now).await?;
        let fits = |request: &SocialRequest| {
            !request.uses_pkce && request.redirect_uri == redirect_uri && browser.began(request)
        };
        let Some(request) = open.filter(fits) else { return Ok(false) };
        let is_taken = work.unit.social_requests().consume(request.id, work.now).await?;
        work.commit().await?;
        Ok(is_taken)
    }

    /// Who brings a code.
    fn browser_of<'c>(&self, claim: &'c SocialCode) -> Browser<'c> {
        Browser {
            cookie: claim.browser.as_ref(),
            page_secret: claim.page_secret.as_ref(),
            is_hosted: false,
            is_strict: self.federation.requires_state(),
        }
    }

    async fn identify(
        &self,
        provider: &Provider,
        code: &Secret,
        request: &SocialRequest,
        user: Option<&str>,
    ) -> Outcome<ProviderProfile, SocialError> {
        let (nonce, verifier) = (self.social_nonce(request.id), self.social_verifier(request));
        let exchange = CodeExchange {
            code,
            redirect_uri: &request.redirect_uri,
            code_verifier: verifier.as_ref(),
            nonce: Some(nonce.expose()),
            user,
        };
        let identified = provider.identify(&exchange).await;
        identified.map_err(|error| Refused::Rule(SocialError::of(provider.name(), &error)))
    }

    /// Uses up the request that the state names, if it is open, of this provider and of this browser.
    async fn take_social_request(
        &self,
        call: &Call,
        provider: &Provider,
        state: &str,
        browser: Browser<'_>,
    ) -> Result<Option<SocialRequest>, Fault> {
        let hash = PlainToken::from_presented(state).hash();
        let mut work = self.begin(call).await?;
        let (name, own) = (provider.name(), browser.shown());
        let own = (own.0.as_slice(), own.1.as_str());
        let open = work.unit.social_requests().open_with_state(name, hash.as_bytes(), own, work.now).await?;
        let Some(request) = open.into_iter().find(|request| browser.began(request)) else {
            return Ok(None);
        };
        let taken = work.unit.social_requests().consume(request.id, work.now).await?;
        work.commit().await?;
        Ok(taken.then_some(request))
    }

    async fn count_social_sign_in(&self, call: &Call) -> Result<(), Fault> {
        let limit = call.profile.limits.social_sign_in_by_ip;
        self.kernel.throttle(call, &[(Counted::SocialSignInByIp, limit)]).await
    }
}

/// Who brings an answer.
#[derive(Clone, Copy)]
struct Browser<'a> {
    cookie: Option<&'a PlainToken>,
    page_secret: Option<&'a Secret>,
    is_hosted: bool,
    /// Whether it must show that it began the sign-in, with the one or the other.
    is_strict: bool,
}

impl Browser<'_> {
    /// What the requests that it began have; empty where it shows nothing.
    fn shown(&self) -> (Vec<u8>, String) {
        let cookie = self.cookie.map(|cookie| cookie.hash().as_bytes().to_vec());
        let challenge = self.page_secret.map(pkce_challenge);
        (cookie.unwrap_or_default(), challenge.unwrap_or_default())
    }

    /// Whether the request was begun for this way back, and in this browser where it shows a cookie. A hosted page needs the cookie; a
    /// request that was begun with a challenge needs its secret: without them, whoever has a code could have another browser sign in by
    /// it (RFC 6749 section 10.12).
    fn began(&self, request: &SocialRequest) -> bool {
        let is_its_way = self.is_hosted == request.is_hosted;
        let is_its_browser = match self.cookie {
            Some(cookie) => cookie.hash().as_bytes().as_slice() == request.browser_hash.as_slice(),
            None => !request.is_hosted,
        };
        let shows = |challenge: &str| self.page_secret.is_some_and(|s| pkce_challenge(s) == challenge);
        let (is_its_page, is_shown) = match request.page_challenge.as_deref() {
            Some(challenge) => (shows(challenge), true),
            None => (true, self.cookie.is_some()),
        };
        is_its_way && is_its_browser && is_its_page && (is_shown || !self.is_strict)
    }
}

/// A provider's error code as it may be repeated: of the letters that codes have.
fn shown(error: &str) -> String {
    let code: String =
        error.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '_').take(MAX_CODE).collect();
    if code.is_empty() { "error".to_owned() } else { code }
}
