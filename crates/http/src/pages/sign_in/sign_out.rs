//! `/sign-out` and `/signed-out`.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;
use tidegate_domain::Catalogue;
use tidegate_identity::sessions::sign_out::SignOutError;
use tidegate_kernel::Refused;

use super::page::{Page, Problem, answer, form, link};
use crate::pages::failure;
use crate::pages::parts::{Form, Rank};
use crate::pages::visitor::{Sent, Visitor, answer_signed_out};
use crate::wire::state::App;

const ACTION: &str = "/sign-out";
/// Where it is said that nobody is signed in here.
pub(crate) const SIGNED_OUT: &str = "/signed-out";

/// The form.
#[derive(Deserialize)]
pub(super) struct SignOutForm {
    #[serde(default)]
    csrf: String,
}

/// The form with the button that signs out.
pub(super) fn form_of(app: &App, visitor: &Visitor, words: &Catalogue) -> Form {
    form(app, visitor, ACTION, None, (Rank::Primary, words.text("page.signout.button")))
}

/// Asks: a link of another site must not sign anyone out.
pub(super) async fn ask(State(app): State<App>, visitor: Visitor) -> Response {
    page(&app, &visitor, false)
}

fn page(app: &App, visitor: &Visitor, is_stale: bool) -> Response {
    let Some(session) = &visitor.session else { return Redirect::to(SIGNED_OUT).into_response() };
    let look = visitor.look(app);
    let mut page = Page::titled(&look, "page.signout.title");
    page.texts.push(look.words.fill("page.account.text", &[("name", &session.name)]));
    page.form = Some(form_of(app, visitor, &look.words));
    answer(app, visitor, page, is_stale.then(|| Problem::stale(&look.words)))
}

/// Ends the session.
pub(super) async fn sign_out(State(app): State<App>, sent: Sent<SignOutForm>) -> Response {
    let Sent { visitor, form } = sent;
    // Browsers keep the cookies back from forms of other sites: those must not have them removed either.
    let Some(session) = &visitor.session else { return Redirect::to(SIGNED_OUT).into_response() };
    if !visitor.accepts(&app, ACTION, &form.csrf) {
        return page(&app, &visitor, true);
    }
    match app.identity().log_out(&visitor.call, &session.actor, None).await {
        Ok(()) | Err(Refused::Rule(SignOutError::AlreadyEnded)) => {
            answer_signed_out(&app, Redirect::to(SIGNED_OUT).into_response())
        }
        Err(Refused::Fault(fault)) => failure(&app, &visitor.headers, fault.into()),
    }
}

/// Says that nobody is signed in here; where somebody is, that is said.
pub(super) async fn done(State(app): State<App>, visitor: Visitor) -> Response {
    if visitor.session.is_some() {
        return Redirect::to("/account").into_response();
    }
    let look = visitor.look(&app);
    let mut page = Page::titled(&look, "page.signed_out.title");
    page.texts.push(look.words.fill("page.signed_out.text", &[("product", &look.product)]));
    page.links.push(link(&look.words, "page.sign_in", "/sign-in".to_owned()));
    page.answer(&app, &visitor, StatusCode::OK)
}
