//! A sign-in under way: where it leads, and which step it waits for. It is sealed and travels with the pages, so that strangers who begin
//! sign-ins cost no storage, and two of them in one browser do not meet.

use std::time::Duration;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tidegate_domain::Timestamp;
use tidegate_domain::factor::FactorKind;
use tidegate_domain::id::SessionId;
use tidegate_domain::session::Amr;
use tidegate_identity::sign_in::second_factor::FactorRequest;
use tidegate_kernel::Fault;

use crate::pages::visitor::{BrowserSession, Visitor};
use crate::wire::state::App;

/// The pages that a sign-in may lead to. A new one registers here.
const CONTINUATIONS: [&str; 3] = ["/account", "/device", "/oauth/authorize"];
/// Longest address that a sign-in leads to, in bytes: sealed, it still fits into an address that proxies take.
const LONGEST: usize = 4_096;
/// How long a sign-in may be under way.
const LIFETIME: Duration = Duration::from_secs(3_600);
/// How long the page that a sign-in leads to may take it for one that was made for it.
const RETURN_LIFETIME: Duration = Duration::from_secs(300);
/// Where the page that a sign-in leads to finds the proof of it.
const RETURN: &str = "signed_in";

/// What sealed texts are for.
const FLOW: &str = "sign-in of a browser";
const RETURNED: &str = "return from a sign-in";

/// The page of this server that a sign-in leads to, with its query.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Continuation(String);

/// Why a sign-in does not lead there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ContinuationRefused {
    /// The page is none that a sign-in leads to.
    #[error("a sign-in does not lead to this page")]
    NotAPage,
    /// Its query is too long, or has characters that an address has not.
    #[error("the request is longer than {LONGEST} bytes, or no address")]
    NotAnAddress,
}

impl Continuation {
    /// The page at that path with that query.
    ///
    /// # Errors
    /// [`ContinuationRefused`].
    pub(crate) fn to(path: &str, query: Option<&str>) -> Result<Self, ContinuationRefused> {
        let address = match query {
            Some(query) if !query.is_empty() => format!("{path}?{query}"),
            _ => path.to_owned(),
        };
        Self::try_from(address)
    }
}

impl TryFrom<String> for Continuation {
    type Error = ContinuationRefused;

    fn try_from(address: String) -> Result<Self, ContinuationRefused> {
        let path = address.split_once('?').map_or(address.as_str(), |(path, _)| path);
        if !CONTINUATIONS.contains(&path) {
            return Err(ContinuationRefused::NotAPage);
        }
        if address.len() > LONGEST || !address.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#') {
            return Err(ContinuationRefused::NotAnAddress);
        }
        Ok(Self(address))
    }
}

impl From<Continuation> for String {
    fn from(continuation: Continuation) -> Self {
        continuation.0
    }
}

/// What a page asks of a sign-in (OpenID Connect Core, section 3.1.2.1).
#[derive(Clone, Debug, Default)]
pub(crate) struct SignInWish {
    /// Whether the person signs in anew even if they are signed in.
    pub(crate) prompt_login: bool,
    /// How long ago they may have signed in, in seconds.
    pub(crate) max_age: Option<u64>,
    /// Whether a second factor is to be shown where the account has one, also on a trusted device.
    pub(crate) second_factor: bool,
    /// Whether they are led to the page on which an account is made, where there is one.
    pub(crate) create: bool,
    /// What the sign-in page has in its first field.
    pub(crate) login_hint: Option<String>,
    /// The languages the person prefers, as OpenID Connect writes them.
    pub(crate) ui_locales: Option<String>,
    /// Where the page that asks may send the browser on to, as a content security policy names it: read out of a validated request,
    /// never what was sent.
    pub(crate) form_target: Option<String>,
}

impl SignInWish {
    /// The beginning of a sign-in that leads to `to`.
    fn flow(self, to: Continuation) -> Flow {
        Flow {
            to: Some(to),
            hint: self.login_hint.filter(|hint| hint.len() <= 320),
            locales: self.ui_locales.filter(|locales| locales.len() <= 100),
            is_strict: self.second_factor,
            is_fresh: self.prompt_login,
            max_age: self.max_age,
            begun_at: None,
            form_target: self.form_target,
            step: None,
        }
    }
}

/// A sign-in under way.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(super) struct Flow {
    /// Where it leads; none for a sign-in that nothing asked for.
    pub(super) to: Option<Continuation>,
    /// What the sign-in page has in its first field.
    pub(super) hint: Option<String>,
    /// The languages that the application asked for.
    pub(super) locales: Option<String>,
    /// Whether a trusted device is asked for the second factor, too.
    pub(super) is_strict: bool,
    /// Whether the person has to prove anew who they are: a provider that they are signed in to would answer for them at once.
    #[serde(default)]
    pub(super) is_fresh: bool,
    /// How long ago they may have proved it, in seconds.
    #[serde(default)]
    pub(super) max_age: Option<u64>,
    /// When a provider was asked, in seconds since the epoch.
    #[serde(default)]
    pub(super) begun_at: Option<i64>,
    /// Where the page that it leads to may send the browser on to: see [`SignInWish::form_target`].
    #[serde(default)]
    pub(super) form_target: Option<String>,
    /// The step it waits for; none at its beginning.
    pub(super) step: Option<Step>,
}

/// A step that a sign-in waits for.
#[derive(Clone, Serialize, Deserialize)]
pub(super) enum Step {
    /// The second factor.
    Factor(FactorStep),
    /// The code that was mailed to the address.
    Code {
        /// From the sign-in.
        token: String,
        /// Where the code was sent.
        email: String,
    },
    /// The code that was mailed to the address of an account that is yet to be made.
    SignUp {
        /// From the sign-up.
        token: String,
        /// Where the code was sent.
        email: String,
    },
}

/// A sign-in that waits for the second factor.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct FactorStep {
    /// From the sign-in, or from the choice of a method.
    pub(super) token: String,
    /// What was signed in as.
    pub(super) login: String,
    /// What can be shown, by name.
    kinds: Vec<String>,
    /// Whether a backup code would do.
    pub(super) has_recovery_codes: bool,
    /// What was chosen, by name.
    chosen: Option<String>,
    /// The provider that is connected by it: then it is no second factor that is asked for, but a code that is mailed.
    #[serde(default)]
    pub(super) joins: Option<String>,
}

impl FactorStep {
    pub(super) fn new(request: &FactorRequest, login: &str) -> Self {
        Self {
            token: request.temporary_token.expose().to_owned(),
            login: login.to_owned(),
            kinds: request.kinds.iter().map(|kind| kind.as_str().to_owned()).collect(),
            has_recovery_codes: request.has_recovery_codes,
            chosen: None,
            joins: None,
        }
    }

    /// The same where it connects a provider.
    pub(super) fn joining(self, provider: Option<String>) -> Self {
        Self { joins: provider, ..self }
    }

    pub(super) fn kinds(&self) -> impl Iterator<Item = FactorKind> {
        self.kinds.iter().filter_map(|name| FactorKind::from_name(name))
    }

    /// The kind of code that is asked for: that which was chosen, or an app's, which needs no choice.
    pub(super) fn asked(&self) -> Option<FactorKind> {
        match &self.chosen {
            Some(name) => FactorKind::from_name(name),
            None => self.kinds().find(|kind| *kind == FactorKind::Totp),
        }
    }

    /// The step after that choice.
    pub(super) fn choosing(&self, kind: FactorKind, token: &str) -> Self {
        Self { token: token.to_owned(), chosen: Some(kind.as_str().to_owned()), ..self.clone() }
    }
}

/// Sealed with what it holds: until when, and for which browser.
#[derive(Serialize, Deserialize)]
struct SealedFlow {
    until: i64,
    browser: Option<String>,
    flow: Flow,
}

/// Why a sign-in does not go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FlowGone;

impl Flow {
    /// As it travels.
    pub(super) fn seal(&self, app: &App, visitor: &Visitor) -> Result<String, Fault> {
        let sealed = SealedFlow {
            until: app.kernel().now().plus(LIFETIME).seconds(),
            // What only leads somewhere may be begun in one browser and ended in another, as a link is.
            browser: self.step.is_some().then(|| visitor.binding(app)),
            flow: self.clone(),
        };
        seal(app, FLOW, &sealed)
    }

    /// What travelled; an empty text is the beginning of a sign-in that nothing asked for.
    ///
    /// # Errors
    /// [`FlowGone`] for what is too old, altered, or another browser's.
    pub(super) fn open(app: &App, visitor: &Visitor, text: &str) -> Result<Self, FlowGone> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        let sealed: SealedFlow = open(app, FLOW, text).ok_or(FlowGone)?;
        let is_here = sealed.browser.is_none_or(|browser| browser == visitor.binding(app));
        let is_open = sealed.until > app.kernel().now().seconds();
        if is_here && is_open { Ok(sealed.flow) } else { Err(FlowGone) }
    }

    /// How long ago the person may have signed in at a provider that is asked, in seconds: 0 is anew. None: whenever.
    pub(super) fn provider_max_age(&self) -> Option<u64> {
        if self.is_fresh { Some(0) } else { self.max_age }
    }

    /// Since when they have to have, as it is now.
    pub(super) fn provider_since(&self, now: Timestamp) -> Option<Timestamp> {
        if self.is_fresh {
            return Some(self.begun_at.map_or(now, Timestamp::from_seconds));
        }
        self.max_age.map(|age| now.minus(Duration::from_secs(age)))
    }

    /// The same sign-in at another step.
    pub(super) fn at(&self, step: Option<Step>) -> Self {
        Self { step, ..self.clone() }
    }

    /// Where the browser goes once it is signed in.
    pub(super) fn target(&self, app: &App, session: SessionId) -> Result<String, Fault> {
        let Some(to) = &self.to else { return Ok("/account".to_owned()) };
        let until = app.kernel().now().plus(RETURN_LIFETIME).seconds();
        let proof =
            seal(app, RETURNED, &Returned { until, session, is_strict: self.is_strict, to: to.clone() })?;
        let separator = if to.0.contains('?') { '&' } else { '?' };
        Ok(format!("{}{separator}{RETURN}={proof}", to.0))
    }
}

/// The proof that a session was opened for the page that is asked for now.
#[derive(Serialize, Deserialize)]
struct Returned {
    until: i64,
    session: SessionId,
    /// Whether the second factor was asked for, also on a trusted device.
    #[serde(default)]
    is_strict: bool,
    to: Continuation,
}

fn seal(app: &App, purpose: &str, what: &impl Serialize) -> Result<String, Fault> {
    let kernel = app.kernel();
    let sealed = kernel.vault.seal(purpose, &serde_json::to_vec(what)?, kernel.entropy.as_ref())?;
    Ok(URL_SAFE_NO_PAD.encode(sealed))
}

fn open<T: DeserializeOwned>(app: &App, purpose: &str, text: &str) -> Option<T> {
    let sealed = URL_SAFE_NO_PAD.decode(text).ok()?;
    let opened = app.kernel().vault.open(purpose, &sealed).ok()?;
    serde_json::from_slice(&opened).ok()
}

/// The query without the proof of a sign-in, and the proof.
pub(crate) fn without_proof(query: &str) -> (String, Option<&str>) {
    let name =
        |pair: &str| pair.split_once('=').map_or("", |(name, _)| if name == RETURN { RETURN } else { "" });
    let kept: Vec<&str> = query.split('&').filter(|pair| name(pair) != RETURN).collect();
    let proof = query.split('&').find(|pair| name(pair) == RETURN).and_then(|pair| pair.split_once('='));
    (kept.join("&"), proof.map(|(_, proof)| proof))
}

/// Whether the session was opened for the page at `to`, just now, and as `wish` has it. `proof` came with the request: see
/// [`without_proof`].
pub(crate) fn was_signed_in_for(
    app: &App,
    session: &BrowserSession,
    wish: &SignInWish,
    to: &Continuation,
    proof: Option<&str>,
) -> bool {
    let returned: Option<Returned> = proof.and_then(|proof| open(app, RETURNED, proof));
    let now = app.kernel().now().seconds();
    returned.is_some_and(|returned| {
        let is_for_it = returned.session == session.session && returned.to == *to && returned.until > now;
        is_for_it && (returned.is_strict || !wish.second_factor)
    })
}

/// Whether the person has to sign in before the page at `to` goes on.
pub(crate) fn has_to_sign_in(
    app: &App,
    session: &BrowserSession,
    wish: &SignInWish,
    to: &Continuation,
    proof: Option<&str>,
) -> bool {
    !was_signed_in_for(app, session, wish, to, proof) && !satisfies(session, wish, app.kernel().now())
}

fn satisfies(session: &BrowserSession, wish: &SignInWish, now: Timestamp) -> bool {
    let is_recent = |most: u64| now.since(session.auth_time) <= Duration::from_secs(most);
    !wish.prompt_login
        && wish.max_age.is_none_or(is_recent)
        && (!wish.second_factor || session.amr.contains(Amr::MultiFactor))
}

/// Sends the browser to sign in first, or to make an account, and then back to `to`.
pub(crate) fn sign_in_first(app: &App, visitor: &Visitor, to: Continuation, wish: SignInWish) -> Response {
    let page = if wish.create && app.kernel().settings().sign_up_page { "/sign-up" } else { "/sign-in" };
    let response = match wish.flow(to).seal(app, visitor) {
        Ok(sealed) => Redirect::to(&format!("{page}?flow={sealed}")).into_response(),
        Err(fault) => {
            tracing::error!(%fault, "a sign-in could not be begun");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    };
    visitor.answer(app, response)
}

/// Where the person signs in with another account, as strictly as with this one, and then goes back to `to`.
pub(crate) fn sign_in_with_another(
    app: &App,
    visitor: &Visitor,
    to: &Continuation,
    wish: SignInWish,
) -> Option<String> {
    let flow = SignInWish { login_hint: None, ..wish }.flow(to.clone());
    flow.seal(app, visitor).ok().map(|sealed| format!("/sign-in?flow={sealed}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sign_in_leads_to_registered_pages_of_this_server_only() {
        let to = Continuation::to("/oauth/authorize", Some("client_id=x&state=%23")).unwrap();
        assert_eq!(String::from(to), "/oauth/authorize?client_id=x&state=%23");
        assert_eq!(Continuation::to("/account", None).unwrap().0, "/account");
        for address in [
            "",
            "/",
            "account",
            "//evil.example/account",
            "/account/../x",
            "/account/x",
            "/oauth/authorize@evil.example",
            "https://evil.example/oauth/authorize",
            "/\\evil.example",
        ] {
            assert_eq!(
                Continuation::try_from(address.to_owned()),
                Err(ContinuationRefused::NotAPage),
                "{address}"
            );
        }
        for query in ["a=\r\nset-cookie: x", "a b", "x#y", "\u{e9}", &"x".repeat(LONGEST)] {
            let refused = Continuation::to("/account", Some(query));
            assert_eq!(refused, Err(ContinuationRefused::NotAnAddress), "{query}");
        }
    }

    #[test]
    fn the_proof_of_a_sign_in_is_taken_out_of_the_query() {
        assert_eq!(without_proof("a=b&signed_in=x&c=d"), ("a=b&c=d".to_owned(), Some("x")));
        assert_eq!(without_proof("a=signed_in"), ("a=signed_in".to_owned(), None));
        assert_eq!(without_proof(""), (String::new(), None));
    }
}
