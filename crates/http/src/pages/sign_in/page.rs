//! What the pages of the sign-in are made of.

use std::time::Duration;

use askama::Template;
use axum::extract::Query;
use axum::extract::rejection::QueryRejection;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;
use tidegate_domain::Catalogue;
use tidegate_kernel::{Fault, SignedIn};

use super::flow::Flow;
use super::passkey::PasskeyOffer;
use crate::pages::failure;
use crate::pages::look::{Look, coded, page};
use crate::pages::parts::{Alert, Button, Field, FieldKind, Form, LinkButton, Rank, Tone};
use crate::pages::visitor::Visitor;
use crate::wire::headers::page_headers;
use crate::wire::rejection::Rejection;
use crate::wire::state::App;

/// A sign-in under way, as addresses carry it.
#[derive(Debug, Default, Deserialize)]
pub(super) struct FlowQuery {
    #[serde(default)]
    pub(super) flow: String,
    /// What an application has in the first field: only without a flow, which has its own.
    #[serde(default)]
    pub(super) login_hint: String,
    /// Whether a backup code is asked for.
    #[serde(default)]
    pub(super) backup: String,
}

/// The query of a page of the sign-in.
pub(super) type SentQuery = Result<Query<FlowQuery>, QueryRejection>;

/// What an address carries; one that cannot be read carries nothing.
pub(super) fn read(query: SentQuery) -> FlowQuery {
    query.map(|Query(query)| query).unwrap_or_default()
}

/// A page with a form, and others beside it.
#[derive(Template)]
#[template(path = "sign_in.html")]
pub(crate) struct Page<'a> {
    pub(crate) look: &'a Look,
    pub(crate) title: &'a str,
    pub(crate) alerts: Vec<Alert>,
    pub(crate) texts: Vec<String>,
    /// What the last of the texts announces.
    pub(crate) items: Vec<String>,
    pub(crate) form: Option<Form>,
    pub(super) passkey: Option<PasskeyOffer>,
    /// Other identity providers.
    pub(super) providers: Vec<LinkButton>,
    pub(crate) others: Vec<Form>,
    pub(crate) links: Vec<LinkButton>,
    /// A text at the end.
    pub(super) note: Option<String>,
    /// Where an answer to a form sends the browser on to, if that is not this server.
    pub(crate) form_target: Option<String>,
}

impl<'a> Page<'a> {
    /// A page with that title: one of the texts `page.*.title`.
    pub(crate) fn titled(look: &'a Look, title: &'a str) -> Self {
        Self {
            look,
            title: look.words.text(title),
            alerts: Vec::new(),
            texts: Vec::new(),
            items: Vec::new(),
            form: None,
            passkey: None,
            providers: Vec::new(),
            others: Vec::new(),
            links: Vec::new(),
            note: None,
            form_target: None,
        }
    }

    /// The answer with that status.
    pub(crate) fn answer(self, app: &App, visitor: &Visitor, status: StatusCode) -> Response {
        let mut response = page(status, &self);
        let mut headers = page_headers();
        if let Some(policy) = self.policy(&headers) {
            headers.insert(header::CONTENT_SECURITY_POLICY, policy);
        }
        response.headers_mut().extend(headers);
        visitor.answer(app, response)
    }

    /// The policy of all pages. The script for passkeys may ask this server for a challenge, and forms may lead on to their target:
    /// browsers hold redirects against the policy, too (W3C Content Security Policy 3, section 6.4.1).
    fn policy(&self, headers: &HeaderMap) -> Option<HeaderValue> {
        let mut policy = headers.get(header::CONTENT_SECURITY_POLICY)?.to_str().ok()?.to_owned();
        if self.passkey.is_some() {
            policy.push_str("; connect-src 'self'");
        }
        if let Some(target) = &self.form_target {
            policy = policy.replace("form-action 'self'", &format!("form-action 'self' {target}"));
        }
        HeaderValue::try_from(policy).ok()
    }
}

/// Why a form comes back.
pub(super) struct Problem {
    pub(super) status: StatusCode,
    pub(crate) text: String,
    pub(crate) headers: HeaderMap,
    /// What the log calls it: the key of the text.
    key: String,
}

impl Problem {
    /// One of the texts `page.*`.
    pub(crate) fn saying(words: &Catalogue, status: StatusCode, key: &str) -> Self {
        Self { status, text: words.text(key).to_owned(), headers: HeaderMap::new(), key: key.to_owned() }
    }

    /// The form was made for another browser or session, or the browser keeps no cookies.
    pub(crate) fn stale(words: &Catalogue) -> Self {
        Self::saying(words, StatusCode::FORBIDDEN, "page.signin.stale")
    }

    /// Too many attempts, so many seconds to wait.
    pub(crate) fn too_many(words: &Catalogue, seconds: u64, headers: HeaderMap) -> Self {
        let wait = words.minutes(Duration::from_secs(seconds));
        let key = "page.signin.too_many";
        let text = words.fill(key, &[("wait", &wait)]);
        Self { status: StatusCode::TOO_MANY_REQUESTS, text, headers, key: key.to_owned() }
    }

    /// What befell the use case. None for what the form cannot help with.
    pub(crate) fn of(words: &Catalogue, rejection: &Rejection) -> Option<Self> {
        let headers = rejection.headers();
        match rejection {
            Rejection::RateLimited { retry_after, .. } => Some(Self::too_many(words, *retry_after, headers)),
            Rejection::Unavailable { .. } => {
                let busy = Self::saying(words, StatusCode::SERVICE_UNAVAILABLE, "page.failed.text");
                Some(Self { headers, ..busy })
            }
            _ => None,
        }
    }

    pub(crate) fn alert(&self) -> Alert {
        Alert { tone: Tone::Error, text: self.text.clone() }
    }
}

/// A fault as a form that comes back, or as a page of its own where the form cannot help.
pub(super) fn problem_of(
    app: &App,
    visitor: &Visitor,
    look: &Look,
    fault: Fault,
) -> Result<Problem, Box<Response>> {
    let rejection: Rejection = fault.into();
    Problem::of(&look.words, &rejection).ok_or_else(|| Box::new(failure(app, &visitor.headers, rejection)))
}

/// The page, with what is wrong above its form.
pub(super) fn answer(app: &App, visitor: &Visitor, mut page: Page<'_>, problem: Option<Problem>) -> Response {
    let Some(problem) = problem else { return page.answer(app, visitor, StatusCode::OK) };
    page.alerts.push(problem.alert());
    let mut response = coded(page.answer(app, visitor, problem.status), &problem.key);
    response.headers_mut().extend(problem.headers);
    response
}

/// The languages that the application asked for come before the browser's.
pub(super) fn look(app: &App, visitor: &Visitor, flow: &Flow) -> Look {
    Look::asked_for(app, &visitor.headers, flow.locales.as_deref())
}

/// A form of this browser's with nothing but a button, or with fields that are added.
pub(crate) fn form(
    app: &App,
    visitor: &Visitor,
    action: &'static str,
    flow: Option<String>,
    (rank, label): (Rank, &str),
) -> Form {
    let hidden = std::iter::once(visitor.form_token(app, action)).chain(flow.map(|flow| ("flow", flow)));
    Form {
        action: action.into(),
        hidden: hidden.collect(),
        username: None,
        fields: Vec::new(),
        checks: Vec::new(),
        button: Button { rank, label: label.to_owned() },
    }
}

/// The field for a one-time code.
pub(super) fn code_field(label: &str, kind: FieldKind) -> Field {
    Field { is_focused: true, ..Field::new("code", label, kind, "one-time-code") }
}

/// A link to another page of the sign-in.
pub(crate) fn link(words: &Catalogue, key: &str, href: String) -> LinkButton {
    LinkButton { rank: Rank::Secondary, label: words.text(key).to_owned(), href }
}

/// A sign-in that is too old, altered or another browser's.
pub(super) fn gone(app: &App, visitor: &Visitor) -> Response {
    let look = visitor.look(app);
    let mut page = Page::titled(&look, "page.signin.gone.title");
    page.texts.push(look.words.text("page.signin.gone.text").to_owned());
    page.links.push(link(&look.words, "page.sign_in", "/sign-in".to_owned()));
    coded(page.answer(app, visitor, StatusCode::BAD_REQUEST), "page.signin.gone.text")
}

/// Goes on to another page of the sign-in, so that reloading it sends no form again.
pub(super) fn go_on(app: &App, visitor: &Visitor, path: &str, flow: &Flow) -> Response {
    match flow.seal(app, visitor) {
        Ok(sealed) => visitor.answer(app, Redirect::to(&format!("{path}?flow={sealed}")).into_response()),
        Err(fault) => failure(app, &visitor.headers, fault.into()),
    }
}

/// The sign-in begins anew, and leads where it was to lead.
pub(super) fn begin_anew(app: &App, visitor: &Visitor, flow: &Flow) -> Response {
    go_on(app, visitor, "/sign-in", &flow.at(None))
}

/// Signs the browser in, and sends it where the sign-in leads. The session it had before ends.
pub(super) async fn finish(app: &App, visitor: &Visitor, flow: &Flow, signed_in: &SignedIn) -> Response {
    let target = match flow.target(app, signed_in.session) {
        Ok(target) => target,
        Err(fault) => return failure(app, &visitor.headers, fault.into()),
    };
    if let Some(before) = visitor.session.as_ref().filter(|before| before.session != signed_in.session) {
        // It may have ended by itself, and what ends it otherwise is not what signs in.
        if app.identity().sign_out(&visitor.call, &before.actor).await.is_err() {
            tracing::debug!("the browser's session before this one had ended");
        }
    }
    let response = Redirect::to(&target).into_response();
    visitor.answer_signed_in(app, response, signed_in.tokens.access_token.expose())
}
