//! `/sign-in/with/{provider}`: sign-in by another identity provider.
//!
//! It begins with a link and not with a form: browsers hold the redirects of a form against the page's policy, which cannot name all
//! providers' addresses. The link carries what a form would: a request of another site begins nothing. What the sign-in leads to waits
//! in the store until the provider sends the browser back.

use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tidegate_crypto::PlainToken;
use tidegate_domain::{Catalogue, Secret};
use tidegate_identity::sign_in::second_factor::FactorRequest;
use tidegate_identity::social::begin::{BeginSocial, ReturnTo};
use tidegate_identity::social::error::SocialError;
use tidegate_identity::social::finish::ProviderAnswer;
use tidegate_identity::social::outcome::SocialOutcome;
use tidegate_kernel::Refused;
use url::form_urlencoded;

use super::flow::{FactorStep, Flow, Step};
use super::page::{Problem, finish, go_on, gone, look, problem_of};
use super::password;
use crate::pages::look::Look;
use crate::pages::parts::{LinkButton, Rank};
use crate::pages::visitor::{Sent, Visitor};
use crate::wire::state::App;

/// What links are bound to.
const ACTION: &str = "/sign-in/with";
/// Longest value that is looked at, in bytes: codes of large providers have less than 2 KiB.
const MAX_VALUE: usize = 8 * 1024;
/// What a name is sealed for that a provider's form has brought.
const NAME: &str = "name in a provider's form";

/// The buttons, one for each provider; where the person has to have signed in lately, for those that tell.
pub(super) fn offers(
    app: &App,
    visitor: &Visitor,
    words: &Catalogue,
    (flow, sealed): (&Flow, &str),
) -> Vec<LinkButton> {
    let (_, csrf) = visitor.form_token(app, ACTION);
    let offer = |(name, title): (String, String)| LinkButton {
        rank: Rank::Secondary,
        label: words.fill("page.signin.with", &[("provider", &title)]),
        href: format!("{ACTION}/{name}?flow={sealed}&csrf={csrf}"),
    };
    let can_answer = |(name, _): &(String, String)| {
        flow.provider_max_age().is_none() || app.identity().social_tells_when(name)
    };
    app.identity().social_providers().into_iter().filter(can_answer).map(offer).collect()
}

/// Where a provider sends the person back.
fn callback(app: &App, provider: &str) -> String {
    format!("{}{ACTION}/{provider}/callback", app.kernel().settings().public_url)
}

/// What browsers are recognized by at the provider's answer: their forms' secret, without another cookie.
fn browser(app: &App, visitor: &Visitor) -> PlainToken {
    PlainToken::from_presented(&visitor.binding(app))
}

/// What people call the provider.
fn title(app: &App, provider: &str) -> String {
    let known = app.identity().social_providers().into_iter().find(|(name, _)| name == provider);
    known.map_or_else(String::new, |(_, title)| title)
}

/// Parameters of a query, the first of each name.
fn parameter(query: &str, name: &str) -> String {
    let found = form_urlencoded::parse(query.as_bytes()).find(|(known, _)| known == name);
    found.map(|(_, value)| value.into_owned()).unwrap_or_default()
}

/// Sends the person to the provider.
pub(super) async fn begin(
    State(app): State<App>,
    visitor: Visitor,
    Path(provider): Path<String>,
    RawQuery(query): RawQuery,
) -> Response {
    let query = query.unwrap_or_default();
    let (flow, csrf) = (parameter(&query, "flow"), parameter(&query, "csrf"));
    let Ok(flow) = Flow::open(&app, &visitor, &flow) else { return gone(&app, &visitor) };
    let max_age = flow.provider_max_age();
    let flow = Flow { begun_at: max_age.map(|_| app.kernel().now().seconds()), ..flow.at(None) };
    let look = look(&app, &visitor, &flow);
    let cannot_tell = max_age.is_some() && !app.identity().social_tells_when(&provider);
    if cannot_tell || !visitor.accepts(&app, ACTION, &csrf) {
        return password::show(&app, &visitor, &flow, Some(Problem::stale(&look.words)));
    }
    let sealed = match flow.seal(&app, &visitor) {
        Ok(sealed) => sealed,
        Err(fault) => return crate::pages::failure(&app, &visitor.headers, fault.into()),
    };
    let claim = BeginSocial {
        return_to: ReturnTo::Page(callback(&app, &provider)),
        provider,
        state: None,
        page_challenge: None,
        browser: Some(browser(&app, &visitor)),
        max_age,
        carried: Some(sealed),
    };
    match app.identity().begin_social_sign_in(&visitor.call, claim).await {
        Ok(begun) => visitor.answer(&app, Redirect::to(&begun.url).into_response()),
        Err(refused) => refuse(&app, &visitor, &flow, &look, refused),
    }
}

/// The sign-in page again, with what is wrong.
fn refuse(app: &App, visitor: &Visitor, flow: &Flow, look: &Look, refused: Refused<SocialError>) -> Response {
    match refused {
        Refused::Rule(error) => {
            let (status, key) = told(&error);
            password::show(app, visitor, flow, Some(Problem::saying(&look.words, status, key)))
        }
        Refused::Fault(fault) => match problem_of(app, visitor, look, fault) {
            Ok(problem) => password::show(app, visitor, flow, Some(problem)),
            Err(response) => *response,
        },
    }
}

/// In plain words. Those that an attack causes look like a sign-in that took too long.
fn told(error: &SocialError) -> (StatusCode, &'static str) {
    let key = match error {
        SocialError::UnknownProvider => "page.social.unknown",
        SocialError::Denied(_) => "page.social.denied",
        SocialError::ProviderUnavailable => {
            return (StatusCode::SERVICE_UNAVAILABLE, "page.social.unavailable");
        }
        SocialError::ProviderFailed | SocialError::NotAnew => "page.social.failed",
        SocialError::NoVerifiedEmail => "page.social.no_email",
        SocialError::AddressTaken => "page.social.taken",
        SocialError::Blocked => "page.social.blocked",
        SocialError::NotAdmitted | SocialError::AlreadyRegistered => "page.social.not_admitted",
        SocialError::MissingCode
        | SocialError::InvalidState
        | SocialError::OtherProvider
        | SocialError::CodeRefused
        | SocialError::PageNotAllowed => "page.social.again",
    };
    (StatusCode::UNPROCESSABLE_ENTITY, key)
}

/// The parameters of an answer. None of them may come twice (RFC 6749 section 3.1).
#[derive(Default)]
struct Brought {
    code: Option<String>,
    state: Option<String>,
    error: Option<String>,
    iss: Option<String>,
    /// Of a form: as it was sent. In an address: sealed.
    user: Option<String>,
}

impl Brought {
    /// None where it is ambiguous or too long.
    fn read(pairs: impl IntoIterator<Item = (String, String)>) -> Option<Self> {
        let mut brought = Self::default();
        for (name, value) in pairs {
            let place = match name.as_str() {
                "code" => &mut brought.code,
                "state" => &mut brought.state,
                "error" => &mut brought.error,
                "iss" => &mut brought.iss,
                "user" => &mut brought.user,
                _ => continue,
            };
            if value.len() > MAX_VALUE || place.replace(value).is_some() {
                return None;
            }
        }
        Some(brought)
    }
}

/// A provider's answer in a form that it has the browser post (OAuth 2.0 Form Post Response Mode). Browsers keep the cookies back from
/// it: as a link it comes with them. The name of the person, which nobody signed, comes along sealed.
pub(super) async fn posted(
    State(app): State<App>,
    Path(provider): Path<String>,
    sent: Sent<Vec<(String, String)>>,
) -> Response {
    let Sent { visitor, form } = sent;
    let Some(brought) = Brought::read(form) else {
        return told_again(&app, &visitor, &Flow::default());
    };
    let user = brought.user.and_then(|user| {
        let kernel = app.kernel();
        kernel.vault.seal(NAME, user.as_bytes(), kernel.entropy.as_ref()).ok()
    });
    let user = user.map(|sealed| URL_SAFE_NO_PAD.encode(sealed));
    let mut query = form_urlencoded::Serializer::new(String::new());
    let fields = [
        ("code", brought.code),
        ("state", brought.state),
        ("error", brought.error),
        ("iss", brought.iss),
        ("user", user),
    ];
    for (name, value) in fields {
        if let Some(value) = value {
            query.append_pair(name, &value);
        }
    }
    // What names no provider is no part of a path either.
    let provider: String = form_urlencoded::byte_serialize(provider.as_bytes()).collect();
    Redirect::to(&format!("{ACTION}/{provider}/callback?{}", query.finish())).into_response()
}

fn told_again(app: &App, visitor: &Visitor, flow: &Flow) -> Response {
    let look = look(app, visitor, flow);
    refuse(app, visitor, flow, &look, Refused::Rule(SocialError::InvalidState))
}

/// The name that a form has brought.
fn name_of(app: &App, sealed: &str) -> Option<String> {
    let sealed = URL_SAFE_NO_PAD.decode(sealed).ok()?;
    let opened = app.kernel().vault.open(NAME, &sealed).ok()?;
    String::from_utf8(opened.to_vec()).ok()
}

/// The provider has sent the browser back.
pub(super) async fn come_back(
    State(app): State<App>,
    visitor: Visitor,
    Path(provider): Path<String>,
    RawQuery(query): RawQuery,
) -> Response {
    let query = query.unwrap_or_default();
    let Some(brought) = Brought::read(form_urlencoded::parse(query.as_bytes()).into_owned()) else {
        return told_again(&app, &visitor, &Flow::default());
    };
    let browser = browser(&app, &visitor);
    let state = brought.state.clone().unwrap_or_default();
    let flow = match app.identity().social_carried(&provider, &state, &browser).await {
        Ok(carried) => {
            carried.and_then(|sealed| Flow::open(&app, &visitor, &sealed).ok()).unwrap_or_default()
        }
        Err(fault) => return crate::pages::failure(&app, &visitor.headers, fault.into()),
    };
    let look = look(&app, &visitor, &flow);
    let answer = ProviderAnswer {
        provider: provider.clone(),
        code: brought.code.map(Secret::new),
        state: brought.state,
        error: brought.error.filter(|error| !error.is_empty()),
        issuer: brought.iss,
        user: brought.user.and_then(|sealed| name_of(&app, &sealed)),
        browser: Some(browser),
        is_hosted: true,
        signed_in_since: flow.provider_since(app.kernel().now()),
    };
    let device = visitor.device(&app, flow.is_strict);
    match app.identity().finish_social_sign_in(&visitor.call, answer, &device.data()).await {
        Ok(SocialOutcome::SignedIn(social)) => {
            let mut response = finish(&app, &visitor, &flow, &social.signed_in).await;
            device.keep_known(&app, &mut response);
            response
        }
        Ok(SocialOutcome::SecondFactorRequired(request)) => {
            ask_for_more(&app, &visitor, &flow, &request, &provider)
        }
        Err(refused) => refuse(&app, &visitor, &flow, &look, refused),
    }
}

/// The second factor, or the code that connects the provider, comes first.
fn ask_for_more(
    app: &App,
    visitor: &Visitor,
    flow: &Flow,
    request: &FactorRequest,
    provider: &str,
) -> Response {
    let joins = request.is_mailbox.then(|| title(app, provider));
    let step = FactorStep::new(request, &request.login).joining(joins);
    go_on(app, visitor, "/sign-in/factor", &flow.at(Some(Step::Factor(step))))
}
