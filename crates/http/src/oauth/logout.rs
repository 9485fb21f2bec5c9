//! `/oauth/logout`: an application has a person signed out (OpenID Connect RP-Initiated Logout 1.0).
//!
//! A request with an ID token of the person who is signed in here signs out at once. Any other may come from anywhere, and the person is
//! asked. Nobody is sent to an address that is not registered, nor to one of an application that only says that it asks, unless the person
//! was asked; and nobody who is signed out to one of an application that registered itself, unless they go on by themselves.

use axum::body::Body;
use axum::extract::{FromRequest, FromRequestParts, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use tidegate_identity::sessions::sign_out::SignOutError;
use tidegate_kernel::{Call, Fault, Refused};
use tidegate_oauth::applications::origin;
use tidegate_oauth::logout::{LogoutParameters, LogoutRefused, LogoutRequest};
use url::form_urlencoded::Serializer;

use super::foreign::{AT_LOGOUT, note_in};
use super::form::{Form, decoded};
use super::form_post::source;
use super::path::LOGOUT;
use crate::pages::{BrowserSession, Page, Rank, SIGNED_OUT, Visitor, answer_signed_out, failure, form, link};
use crate::wire::headers::page_headers;
use crate::wire::state::App;
use crate::wire::telemetry::ErrorCode;

/// The field of the question's form that has the request.
const ASKED: &str = "asked";

/// The request as a link.
pub(super) async fn logout(State(app): State<App>, request: Request) -> Response {
    let (mut parts, _) = request.into_parts();
    let visitor = match Visitor::from_request_parts(&mut parts, &app).await {
        Ok(visitor) => visitor,
        Err(response) => return guarded(response),
    };
    guarded(go_on(&app, &visitor, parts.uri.query().unwrap_or_default(), None).await)
}

/// A form: the person's answer, or a request that an application had the browser post.
pub(super) async fn answer(State(app): State<App>, request: Request) -> Response {
    let (mut parts, body) = request.into_parts();
    let visitor = match Visitor::from_request_parts(&mut parts, &app).await {
        Ok(visitor) => visitor,
        Err(response) => return guarded(response),
    };
    guarded(answered(&app, &visitor, Request::from_parts(parts, body)).await)
}

async fn answered(app: &App, visitor: &Visitor, request: Request<Body>) -> Response {
    let fields = match Form::from_request(request, app).await {
        Ok(form) => form.pairs(),
        Err(error) => return refused(app, visitor, "invalid_request", error.description()),
    };
    let find = |name: &str| fields.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
    let (Some(csrf), Some(query)) = (find("csrf"), find(ASKED)) else {
        // It came without the cookies, which browsers keep back from forms of other sites. As a link it is asked for with them.
        let query = Serializer::new(String::new()).extend_pairs(&fields).finish();
        return Redirect::to(&format!("{LOGOUT}?{query}")).into_response();
    };
    go_on(app, visitor, &query, Some(csrf)).await
}

/// A page with the headers of all pages, where it has none of its own.
fn guarded(mut response: Response) -> Response {
    for (name, value) in &page_headers() {
        response.headers_mut().entry(name).or_insert_with(|| value.clone());
    }
    response
}

/// What a form is bound to: a person who was asked about one request has not answered another.
fn bound(query: &str) -> String {
    format!("{LOGOUT}\n{query}")
}

async fn go_on(app: &App, visitor: &Visitor, query: &str, csrf: Option<String>) -> Response {
    let request = match read(app, &visitor.call, query).await {
        Ok(request) => request,
        Err(Refused::Rule(error)) => return refused(app, visitor, error.code(), &reason(app, &error)),
        Err(Refused::Fault(fault)) => return failure(app, &visitor.headers, fault.into()),
    };
    let Some(session) = &visitor.session else {
        // Who is signed out already is sent on for an application that has signed them in, and for no other.
        return match request.redirect.as_deref().filter(|_| request.has_hint()) {
            Some(to) if request.is_strangers() => offered(app, visitor, &request, to),
            Some(to) => sent(to),
            None => Redirect::to(SIGNED_OUT).into_response(),
        };
    };
    let account = session.actor.session().account;
    let is_answer = csrf.is_some_and(|csrf| visitor.accepts(app, &bound(query), &csrf));
    if !is_answer && !request.is_proof_of(account) {
        return ask(app, visitor, session, query, &request);
    }
    match app.identity().log_out(&visitor.call, &session.actor, request.session_of(account)).await {
        Ok(()) | Err(Refused::Rule(SignOutError::AlreadyEnded)) => {
            let response = match &request.redirect {
                Some(to) => sent(to),
                None => Redirect::to(SIGNED_OUT).into_response(),
            };
            answer_signed_out(app, response)
        }
        Err(Refused::Fault(fault)) => failed(app, visitor, fault),
    }
}

async fn read(app: &App, call: &Call, query: &str) -> Result<LogoutRequest, Refused<LogoutRefused>> {
    let pairs = decoded(query.as_bytes()).map_err(|_| Refused::Rule(LogoutRefused::Unreadable("query")))?;
    note_in(&pairs, AT_LOGOUT);
    let parameters = LogoutParameters::read(pairs).map_err(Refused::Rule)?;
    app.oauth().logout_request(call, parameters).await
}

fn failed(app: &App, visitor: &Visitor, fault: Fault) -> Response {
    failure(app, &visitor.headers, fault.into())
}

/// Sends the browser to a registered address.
fn sent(to: &str) -> Response {
    match HeaderValue::from_str(to) {
        Ok(location) => {
            let headers = [
                (header::LOCATION, location),
                // The address of this request has an ID token in it.
                (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
            ];
            (StatusCode::SEE_OTHER, headers).into_response()
        }
        Err(_) => Redirect::to(SIGNED_OUT).into_response(),
    }
}

/// The way back to an application that registered itself, as a link: its ID token may be of the account of whoever registered it, and a link to
/// this server must not become one to anywhere (RFC 9700 section 4.11.2).
fn offered(app: &App, visitor: &Visitor, request: &LogoutRequest, to: &str) -> Response {
    let look = visitor.look_asked_for(app, request.ui_locales.as_deref());
    let words = &look.words;
    let mut page = Page::titled(&look, "page.signed_out.title");
    page.texts.push(words.fill("page.signed_out.text", &[("product", &look.product)]));
    page.texts.push(words.fill("page.logout.unknown.text", &[("host", &origin(to))]));
    page.links.push(link(words, "page.authorize.unknown.link", to.to_owned()));
    page.answer(app, visitor, StatusCode::OK)
}

/// A request that is not answered. The reason is for the application's developer, in English; the code is for the log of this server.
fn refused(app: &App, visitor: &Visitor, code: &str, reason: &str) -> Response {
    let look = visitor.look_asked_for(app, None);
    let mut page = Page::titled(&look, "page.authorize.refused.title");
    page.texts.push(look.words.text("page.logout.refused.text").to_owned());
    page.texts.push(look.words.fill("page.authorize.refused.reason", &[("reason", reason)]));
    if visitor.session.is_some() {
        page.links.push(link(&look.words, "page.signout.button", "/sign-out".to_owned()));
    }
    let mut response = page.answer(app, visitor, StatusCode::BAD_REQUEST);
    response.extensions_mut().insert(ErrorCode(code.to_owned()));
    response
}

/// The reason for the developer. In development it says what is registered, too, as at the sign-in.
fn reason(app: &App, error: &LogoutRefused) -> String {
    match error {
        LogoutRefused::RedirectUri(unregistered) if app.http().plain_cookies => {
            format!("{error}: {unregistered}")
        }
        error => error.to_string(),
    }
}

/// Asks the person.
fn ask(
    app: &App,
    visitor: &Visitor,
    session: &BrowserSession,
    query: &str,
    request: &LogoutRequest,
) -> Response {
    let look = visitor.look_asked_for(app, request.ui_locales.as_deref());
    let words = &look.words;
    let mut page = Page::titled(&look, "page.signout.title");
    page.texts.push(words.fill("page.account.text", &[("name", &session.name)]));
    if let Some(application) = &request.application {
        page.texts.push(words.fill("page.logout.asked", &[("application", &application.name)]));
    }
    if let Some(to) = &request.redirect {
        page.texts.push(words.fill("page.consent.target", &[("host", &origin(to))]));
        page.form_target = Some(source(to));
    }
    let mut main = form(app, visitor, LOGOUT, None, (Rank::Primary, words.text("page.signout.button")));
    let (name, token) = visitor.form_token(app, &bound(query));
    main.hidden = vec![(name, token), (ASKED, query.to_owned())];
    page.form = Some(main);
    page.links.push(link(words, "page.logout.stay", "/account".to_owned()));
    page.answer(app, visitor, StatusCode::OK)
}
