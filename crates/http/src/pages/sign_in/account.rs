//! `/account`: who is signed in in this browser, and which applications have access to their account.

use std::collections::BTreeMap;

use askama::Template;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;
use tidegate_domain::Catalogue;
use tidegate_domain::id::ApplicationId;
use tidegate_kernel::{Fault, Refused};
use tidegate_oauth::authorize::consents::Consent;
use uuid::Uuid;

use super::flow::{Continuation, SignInWish, has_to_sign_in, sign_in_first, without_proof};
use super::page::{Problem, form, gone};
use super::sign_out;
use crate::pages::failure;
use crate::pages::look::{Look, coded, page as rendered};
use crate::pages::parts::{Alert, Form, Rank, Tone};
use crate::pages::scope_words::in_words;
use crate::pages::visitor::{BrowserSession, Sent, Visitor};
use crate::wire::headers::page_headers;
use crate::wire::state::App;

/// Where the page is.
const ACCOUNT: &str = "/account";
/// Where the forms go that take access away.
const WITHDRAW: &str = "/account/applications/withdraw";

#[derive(Template)]
#[template(path = "account.html")]
struct Account<'a> {
    look: &'a Look,
    title: &'a str,
    alerts: Vec<Alert>,
    text: String,
    sign_out: Form,
    applications_title: &'a str,
    may: &'a str,
    applications: Vec<Allowed>,
}

/// An application that has access.
struct Allowed {
    name: String,
    scopes: Vec<String>,
    withdraw: Form,
}

/// The form that takes access away.
#[derive(Deserialize)]
pub(super) struct WithdrawForm {
    #[serde(default)]
    csrf: String,
    #[serde(default)]
    client_id: String,
}

/// Says who is signed in; without a session, asks for one.
pub(super) async fn page(State(app): State<App>, visitor: Visitor, RawQuery(query): RawQuery) -> Response {
    let query = query.unwrap_or_default();
    let (query, proof) = without_proof(&query);
    let Ok(to) = Continuation::to(ACCOUNT, Some(&query)) else { return gone(&app, &visitor) };
    let wish = SignInWish::default();
    match &visitor.session {
        Some(session) if !has_to_sign_in(&app, session, &wish, &to, proof) => {
            show(&app, &visitor, session, (StatusCode::OK, None)).await
        }
        _ => sign_in_first(&app, &visitor, to, wish),
    }
}

/// Takes an application's access away.
pub(super) async fn withdraw(State(app): State<App>, sent: Sent<WithdrawForm>) -> Response {
    let Sent { visitor, form } = sent;
    let Some(session) = &visitor.session else { return Redirect::to(ACCOUNT).into_response() };
    let words = visitor.look(&app).words;
    if !visitor.accepts(&app, WITHDRAW, &form.csrf) {
        let alert = Problem::stale(&words).alert();
        let shown = show(&app, &visitor, session, (StatusCode::FORBIDDEN, Some(alert))).await;
        return coded(shown, "page.signin.stale");
    }
    let id = Uuid::try_parse(&form.client_id).unwrap_or_default();
    let name = match app.oauth().list_consents(&session.actor).await {
        Ok(consents) => consents.into_iter().find(|one| one.application.0 == id).map(|one| one.name),
        Err(fault) => return failed(&app, &visitor, fault),
    };
    let withdrawn = app.oauth().revoke_consent(&visitor.call, &session.actor, ApplicationId(id)).await;
    let said = match withdrawn {
        Ok(()) => {
            let name = name.unwrap_or_default();
            let text = words.fill("page.account.withdrawn", &[("application", &name)]);
            (StatusCode::OK, Some(Alert { tone: Tone::Success, text }))
        }
        Err(Refused::Rule(_)) => {
            let text = words.text("page.account.not_withdrawn").to_owned();
            (StatusCode::UNPROCESSABLE_ENTITY, Some(Alert { tone: Tone::Error, text }))
        }
        Err(Refused::Fault(fault)) => return failed(&app, &visitor, fault),
    };
    coded(show(&app, &visitor, session, said).await, "page.account.not_withdrawn")
}

/// What the use cases cannot do; a session that has ended meanwhile is asked for anew.
fn failed(app: &App, visitor: &Visitor, fault: Fault) -> Response {
    match fault {
        Fault::SessionEnded => Redirect::to(ACCOUNT).into_response(),
        fault => failure(app, &visitor.headers, fault.into()),
    }
}

async fn show(
    app: &App,
    visitor: &Visitor,
    session: &BrowserSession,
    (status, alert): (StatusCode, Option<Alert>),
) -> Response {
    let look = visitor.look(app);
    let words = &look.words;
    let consents = match app.oauth().list_consents(&session.actor).await {
        Ok(consents) => consents,
        Err(fault) => return failed(app, visitor, fault),
    };
    let mut applications = Vec::new();
    for consent in by_application(consents) {
        match allowed(app, visitor, words, consent).await {
            Ok(allowed) => applications.push(allowed),
            Err(fault) => return failed(app, visitor, fault),
        }
    }
    let account = Account {
        title: words.text("page.account.title"),
        alerts: alert.into_iter().collect(),
        text: words.fill("page.account.text", &[("name", &session.name)]),
        sign_out: sign_out::form_of(app, visitor, words),
        applications_title: words.text("page.account.applications"),
        may: words.text("page.account.may"),
        applications,
        look: &look,
    };
    let mut response = rendered(status, &account);
    response.headers_mut().extend(page_headers());
    visitor.answer(app, response)
}

/// One entry for each application, whatever it was allowed through.
fn by_application(consents: Vec<Consent>) -> Vec<Consent> {
    let mut places: BTreeMap<ApplicationId, usize> = BTreeMap::new();
    let mut merged: Vec<Consent> = Vec::new();
    for consent in consents {
        let known = places.get(&consent.application).and_then(|at| merged.get_mut(*at));
        match known {
            Some(known) => known.scopes = known.scopes.union(&consent.scopes),
            None => {
                places.insert(consent.application, merged.len());
                merged.push(consent);
            }
        }
    }
    merged
}

async fn allowed(
    app: &App,
    visitor: &Visitor,
    words: &Catalogue,
    consent: Consent,
) -> Result<Allowed, Fault> {
    let organization = match &consent.registered_itself_at {
        Some(origin) => origin.clone(),
        None => app.identity().organization_label(consent.organization_id).await?.to_string(),
    };
    let names = [("application", consent.name.as_str()), ("organization", organization.as_str())];
    let button = (Rank::Secondary, words.text("page.account.withdraw"));
    let mut withdraw = form(app, visitor, WITHDRAW, None, button);
    withdraw.hidden.push(("client_id", consent.application.to_string()));
    Ok(Allowed {
        name: words.fill("page.account.application", &names),
        scopes: in_words(words, &consent.scopes),
        withdraw,
    })
}
