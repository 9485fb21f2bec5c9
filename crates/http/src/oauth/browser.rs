//! `/oauth/authorize` for people in a browser: they sign in, are asked, and are sent back to the application.
//!
//! The request is validated anew at each step: nothing that travelled with a page is believed, but the proof of a sign-in, which is sealed.

use axum::body::Body;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use tidegate_domain::session::Amr;
use tidegate_kernel::{Call, Fault, Refused};
use tidegate_oauth::applications::{Application, MadeBy, origin};
use tidegate_oauth::authorize::{
    Answer as Authorized, AuthorizationError, AuthorizationRequest, Decision, Parameters, Presence,
    RequestRefused, ResponseMode, ShownError,
};
use url::form_urlencoded::Serializer;

use super::authorize::sent;
use super::foreign::{AT_AUTHORIZE, note_in};
use super::form::{Form, decoded};
use super::form_post::source;
use super::path::AUTHORIZE;
use crate::pages::{
    BrowserSession, Continuation, Page, Rank, SignInWish, Visitor, failure, form, in_words, link,
    sign_in_first, sign_in_with_another, was_signed_in_for, without_proof,
};
use crate::wire::accept::prefers_html;
use crate::wire::headers::page_headers;
use crate::wire::state::App;
use crate::wire::telemetry::ErrorCode;

/// The field of the question's forms that has the request.
const ASKED: &str = "asked";

/// The code of a request that cannot be read (RFC 6749 section 4.1.2.1).
const INVALID: &str = "invalid_request";

/// The value of `acr_values` that asks for more than one factor. (OpenID Connect Extended Authentication Profile: `phrh`, `phr`;
/// any name with `mfa`.)
fn asks_for_second_factor(request: &AuthorizationRequest) -> bool {
    request.acr_values.iter().any(|value| {
        let value = value.to_ascii_lowercase();
        value.contains("mfa") || value == "phr" || value == "phrh"
    })
}

/// Whether a person's browser asks, and no client with a token.
pub(super) fn is_browser(headers: &HeaderMap) -> bool {
    !headers.contains_key(header::AUTHORIZATION) && prefers_html(headers)
}

/// What the person answered.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Choice {
    Allowed,
    Denied,
}

/// What a form says that the person answered.
struct Reply {
    choice: Choice,
    csrf: String,
}

/// A request that a page is made for.
struct Asked {
    request: AuthorizationRequest,
    /// The request as it was sent, without the proof of a sign-in.
    to: Continuation,
    /// The same with it.
    query: String,
}

/// A request that a browser brings.
pub(super) async fn authorize(app: &App, mut parts: Parts) -> Response {
    let visitor = match Visitor::from_request_parts(&mut parts, app).await {
        Ok(visitor) => visitor,
        Err(response) => return guarded(response),
    };
    let query = parts.uri.query().unwrap_or_default();
    if let Some(response) = kept(app, &visitor, query).await {
        return guarded(response);
    }
    guarded(go_on(app, &visitor, query, None).await)
}

/// A signed request is kept, and the browser goes on with its name: it is too long to be carried from page to page, and expires while its
/// person signs in.
async fn kept(app: &App, visitor: &Visitor, query: &str) -> Option<Response> {
    let pairs = decoded(query.as_bytes()).ok()?;
    let parameters = Parameters::read(pairs).ok().filter(|read| read.request.is_some())?;
    let kept = app.oauth().keep_signed_request(&visitor.call, parameters).await;
    Some(match kept {
        Ok((client_id, request_uri)) => {
            let fields = [("client_id", client_id), ("request_uri", request_uri)];
            let query = Serializer::new(String::new()).extend_pairs(fields).finish();
            Redirect::to(&format!("{AUTHORIZE}?{query}")).into_response()
        }
        Err(Refused::Rule(RequestRefused::SentBack(back))) => {
            sent_back(app, visitor, back.answer(app.oauth().issuer()))
        }
        Err(Refused::Rule(RequestRefused::Shown(error))) => {
            refused(app, visitor, error.code(), &reason(app, &error))
        }
        Err(Refused::Fault(fault)) => failure(app, &visitor.headers, fault.into()),
    })
}

/// A form: the person's answer, or a request that an application had the browser post (OpenID Connect Core, section 3.1.2.1).
pub(super) async fn answer(app: &App, mut parts: Parts, body: Body) -> Response {
    let visitor = match Visitor::from_request_parts(&mut parts, app).await {
        Ok(visitor) => visitor,
        Err(response) => return guarded(response),
    };
    let fields = match Form::from_request(Request::from_parts(parts, body), app).await {
        Ok(form) => form.pairs(),
        Err(error) => return guarded(refused(app, &visitor, INVALID, error.description())),
    };
    let find = |name: &str| fields.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
    // No name of a parameter of a request: `request` is one (OpenID Connect Core, section 6.1).
    let (Some(csrf), Some(query), Some(choice)) = (find("csrf"), find(ASKED), find("choice")) else {
        // It came without the cookies, which browsers keep back from forms of other sites. As a link it is asked for with them.
        let query = Serializer::new(String::new()).extend_pairs(&fields).finish();
        return guarded(Redirect::to(&format!("{AUTHORIZE}?{query}")).into_response());
    };
    let choice = match choice.as_str() {
        "allow" => Some(Choice::Allowed),
        "deny" => Some(Choice::Denied),
        _ => None,
    };
    let reply = choice.map(|choice| Reply { choice, csrf });
    guarded(go_on(app, &visitor, &query, reply).await)
}

/// A page with the headers of all pages, where it has none of its own.
fn guarded(mut response: Response) -> Response {
    for (name, value) in &page_headers() {
        response.headers_mut().entry(name).or_insert_with(|| value.clone());
    }
    response
}

/// Why a request was not read.
enum Unread {
    /// The application is told.
    SentBack(Authorized),
    /// The person is, and is sent nowhere: the code, and the reason.
    Shown(&'static str, String),
    /// Something else.
    Fault(Fault),
}

async fn read(app: &App, call: &Call, query: &str) -> Result<AuthorizationRequest, Unread> {
    let pairs =
        decoded(query.as_bytes()).map_err(|error| Unread::Shown(INVALID, error.description().to_owned()))?;
    note_in(&pairs, AT_AUTHORIZE);
    let parameters =
        Parameters::read(pairs).map_err(|unreadable| Unread::Shown(INVALID, unreadable.to_string()))?;
    match app.oauth().authorization_request(call, parameters).await {
        Ok(request) => Ok(request),
        Err(Refused::Rule(RequestRefused::SentBack(back))) => {
            Err(Unread::SentBack(back.answer(app.oauth().issuer())))
        }
        Err(Refused::Rule(RequestRefused::Shown(error))) => {
            Err(Unread::Shown(error.code(), reason(app, &error)))
        }
        Err(Refused::Fault(fault)) => Err(Unread::Fault(fault)),
    }
}

/// Sends the browser back to the application: with an error of one that nobody has looked at, once the person goes on.
fn sent_back(app: &App, visitor: &Visitor, answer: Authorized) -> Response {
    if answer.needs_person {
        return offered(app, visitor, &answer);
    }
    sent(answer).unwrap_or_else(|error| refused(app, visitor, INVALID, error.description()))
}

/// The way back to an application that registered itself, as a link or a button: with it, a link to this server must not become one to anywhere
/// (RFC 9700 section 4.11.2).
fn offered(app: &App, visitor: &Visitor, answer: &Authorized) -> Response {
    let look = visitor.look_asked_for(app, None);
    let host = origin(&answer.redirect_uri);
    let mut page = Page::titled(&look, "page.authorize.refused.title");
    page.texts.push(look.words.fill("page.authorize.unknown.text", &[("host", &host)]));
    let label = "page.authorize.unknown.link";
    if answer.response_mode == ResponseMode::FormPost {
        // Nothing of this browser's goes along: the address is a stranger's.
        let mut to_press = form(app, visitor, AUTHORIZE, None, (Rank::Secondary, look.words.text(label)));
        to_press.action = answer.redirect_uri.clone().into();
        to_press.hidden.clone_from(&answer.fields);
        page.form = Some(to_press);
        page.form_target = Some(source(&answer.redirect_uri));
    } else {
        page.links.push(link(&look.words, label, answer.location()));
    }
    let mut response = page.answer(app, visitor, StatusCode::BAD_REQUEST);
    if let Some(code) = answer.error() {
        response.extensions_mut().insert(ErrorCode(code.to_owned()));
    }
    response
}

/// A request that cannot be answered: nobody is sent to an address that is not registered. The reason is for the application's developer,
/// in English; the code is for the log of this server.
fn refused(app: &App, visitor: &Visitor, code: &str, reason: &str) -> Response {
    let look = visitor.look_asked_for(app, None);
    let mut page = Page::titled(&look, "page.authorize.refused.title");
    page.texts.push(look.words.text("page.authorize.refused.text").to_owned());
    page.texts.push(look.words.fill("page.authorize.refused.reason", &[("reason", reason)]));
    let mut response = page.answer(app, visitor, StatusCode::BAD_REQUEST);
    response.extensions_mut().insert(ErrorCode(code.to_owned()));
    response
}

/// The reason for the developer. In development it says what is registered, too: whoever asks is on the developer's machine.
fn reason(app: &App, error: &ShownError) -> String {
    match error {
        ShownError::InvalidRedirectUri(unregistered) if app.http().plain_cookies => {
            format!("{error}: {unregistered}")
        }
        error => error.to_string(),
    }
}

/// What the person is asked.
struct Question {
    application: Application,
    organization: String,
}

impl Question {
    /// # Errors
    /// The answer, where nothing can be asked.
    async fn about(app: &App, visitor: &Visitor, asked: &Asked) -> Result<Self, Box<Response>> {
        let request = &asked.request;
        let id = request.application.client_id();
        let scopes = request.asked_scopes.to_string();
        let introduced =
            app.oauth().introduce(&visitor.call, &id, &request.redirect_uri, Some(&scopes)).await;
        let application = match introduced {
            Ok(introduction) => introduction.application,
            Err(Refused::Rule(error)) => {
                return Err(Box::new(refused(app, visitor, INVALID, &error.to_string())));
            }
            Err(Refused::Fault(fault)) => return Err(Box::new(failure(app, &visitor.headers, fault.into()))),
        };
        let made_by = match application.made_by() {
            MadeBy::Organization(organization) => organization,
            // It is nobody's: what is known of it is where its document is, or where its people are sent now.
            MadeBy::Itself { address } => {
                let is_described = application.document.is_some();
                let organization = origin(if is_described { address } else { &request.redirect_uri });
                return Ok(Self { application, organization });
            }
        };
        match app.identity().organization_label(made_by).await {
            Ok(label) => Ok(Self { application, organization: label.to_string() }),
            Err(fault) => Err(Box::new(failure(app, &visitor.headers, fault.into()))),
        }
    }

    /// What its forms are bound to: who asks, as the page says it, and for what. Where any of it has changed since, the person is asked again.
    fn bound(&self, session: &BrowserSession, asked: &Asked) -> String {
        let (request, application) = (&asked.request, &self.application);
        let said = serde_json::json!([
            asked.query,
            session.name,
            application.id,
            application.name,
            self.organization,
            request.redirect_uri,
            request.resource,
            request.allowed.to_string(),
        ]);
        format!("{AUTHORIZE}\n{said}")
    }
}

async fn go_on(app: &App, visitor: &Visitor, query: &str, reply: Option<Reply>) -> Response {
    let (without, proof) = without_proof(query);
    let Ok(to) = Continuation::to(AUTHORIZE, Some(&without)) else {
        return refused(app, visitor, INVALID, "the request is too long, or no address");
    };
    let request = match read(app, &visitor.call, &without).await {
        Ok(request) => request,
        Err(Unread::SentBack(answer)) => return sent_back(app, visitor, answer),
        Err(Unread::Shown(code, reason)) => return refused(app, visitor, code, &reason),
        Err(Unread::Fault(fault)) => return failure(app, &visitor.headers, fault.into()),
    };
    let asked = Asked { request, to, query: query.to_owned() };
    let Some(session) = &visitor.session else {
        return match asked.request.without_person() {
            Decision::SentBack(back) => sent_back(app, visitor, back.answer(app.oauth().issuer())),
            _ => sign_in(app, visitor, &asked),
        };
    };
    let is_fresh = was_signed_in_for(app, session, &wish(&asked.request), &asked.to, proof);
    let lacks_factor = asks_for_second_factor(&asked.request) && !session.amr.contains(Amr::MultiFactor);
    if lacks_factor && !is_fresh && !asked.request.prompt.none {
        return sign_in(app, visitor, &asked);
    }
    let presence = Presence::Browser { signed_in_for_it: is_fresh.then_some(session.auth_time) };
    match app.oauth().decide(&session.actor, &asked.request, presence).await {
        Ok(decision) => follow(app, visitor, session, &asked, decision, reply).await,
        Err(fault) => failed(app, visitor, &asked, fault),
    }
}

async fn follow(
    app: &App,
    visitor: &Visitor,
    session: &BrowserSession,
    asked: &Asked,
    decision: Decision,
    reply: Option<Reply>,
) -> Response {
    let (call, actor, request) = (&visitor.call, &session.actor, &asked.request);
    let (granted, question) = match decision {
        Decision::SentBack(back) => return sent_back(app, visitor, back.answer(app.oauth().issuer())),
        Decision::NeedsSignIn => return sign_in(app, visitor, asked),
        Decision::Granted(approval) => (Some(approval), None),
        Decision::NeedsConsent(question) => (None, Some(question)),
    };
    let approval = match (granted, reply) {
        (Some(approval), None) => approval,
        (granted, reply) => {
            let shown = match Question::about(app, visitor, asked).await {
                Ok(shown) => shown,
                Err(response) => return *response,
            };
            // Another browser's form, or one that was made for another question, is no answer to this one.
            let is_answer = |reply: &Reply| visitor.accepts(app, &shown.bound(session, asked), &reply.csrf);
            match (reply.filter(is_answer).map(|reply| reply.choice), granted, question) {
                (Some(Choice::Denied), ..) => {
                    return match app.oauth().deny(call, actor, request).await {
                        Ok(answer) => sent_back(app, visitor, answer),
                        Err(fault) => failed(app, visitor, asked, fault),
                    };
                }
                (_, Some(approval), _) => approval,
                (Some(Choice::Allowed), None, Some(question)) => question.allowed(),
                _ => return ask(app, visitor, session, asked, &shown),
            }
        }
    };
    match app.oauth().approve(call, actor, request, approval).await {
        Ok(answer) => sent_back(app, visitor, answer),
        Err(Refused::Rule(error)) => refused(app, visitor, error.code(), &error.to_string()),
        Err(Refused::Fault(fault)) => failed(app, visitor, asked, fault),
    }
}

fn failed(app: &App, visitor: &Visitor, asked: &Asked, fault: Fault) -> Response {
    match fault {
        // It ended between two looks at it.
        Fault::SessionEnded => sign_in(app, visitor, asked),
        // The person is not asked for anything, or for the second factor that this session was opened without.
        Fault::StepUpRequired if asked.request.prompt.none => {
            let error = AuthorizationError::LoginRequired;
            sent_back(app, visitor, asked.request.refused(error).answer(app.oauth().issuer()))
        }
        Fault::StepUpRequired => {
            let wish =
                SignInWish { prompt_login: true, second_factor: true, create: false, ..wish(&asked.request) };
            sign_in_first(app, visitor, asked.to.clone(), wish)
        }
        fault => failure(app, &visitor.headers, fault.into()),
    }
}

fn sign_in(app: &App, visitor: &Visitor, asked: &Asked) -> Response {
    sign_in_first(app, visitor, asked.to.clone(), wish(&asked.request))
}

fn wish(request: &AuthorizationRequest) -> SignInWish {
    let prompt = request.prompt;
    SignInWish {
        prompt_login: prompt.login || prompt.select_account || request.hinted.is_some(),
        max_age: request.max_age,
        second_factor: asks_for_second_factor(request),
        create: prompt.create,
        login_hint: request.login_hint.clone(),
        ui_locales: (!request.ui_locales.is_empty()).then(|| request.ui_locales.join(" ")),
        form_target: Some(source(&request.redirect_uri)),
    }
}

/// Asks the person.
fn ask(
    app: &App,
    visitor: &Visitor,
    session: &BrowserSession,
    asked: &Asked,
    question: &Question,
) -> Response {
    let request = &asked.request;
    let bound = question.bound(session, asked);
    let locales = request.ui_locales.join(" ");
    let look = visitor.look_asked_for(app, Some(&locales));
    let words = &look.words;
    let form_of = |choice: &str, rank, label: &str| {
        let mut form = form(app, visitor, AUTHORIZE, None, (rank, words.text(label)));
        let (name, token) = visitor.form_token(app, &bound);
        form.hidden = vec![(name, token), (ASKED, asked.query.clone()), ("choice", choice.to_owned())];
        form
    };
    let target = origin(&request.redirect_uri);
    let mut page = Page::titled(&look, "page.consent.title");
    page.texts.push(words.fill(
        "page.consent.text",
        &[
            ("application", &question.application.name),
            ("organization", &question.organization),
            ("name", &session.name),
        ],
    ));
    page.texts.push(words.fill("page.consent.target", &[("host", &target)]));
    page.texts.push(words.text("page.consent.scopes").to_owned());
    page.items = in_words(words, &request.allowed);
    page.form = Some(form_of("allow", Rank::Primary, "page.consent.allow"));
    page.others.push(form_of("deny", Rank::Secondary, "page.consent.deny"));
    page.form_target = Some(source(&request.redirect_uri));
    // OpenID Connect Registration section 2. Its picture is not shown: a stranger's would be another's mark on this page.
    let metadata = &question.application.metadata;
    for (key, href) in
        [("page.consent.policy", &metadata.policy_uri), ("page.consent.terms", &metadata.tos_uri)]
    {
        page.links.extend(href.clone().map(|href| link(words, key, href)));
    }
    if let Some(href) = sign_in_with_another(app, visitor, &asked.to, wish(request)) {
        page.links.push(link(words, "page.consent.other", href));
    }
    page.answer(app, visitor, StatusCode::OK)
}
